"""Finished products into a site's folder: renamed over the former ones, the manifest and the run's record last."""

import shutil
from pathlib import Path

from pipeline.products._documents import COMPOSITES, MANIFEST, MASKS, RUN, RUNS, TABLES, Manifest
from pipeline.products.manifest import RunFacts, write_manifest, write_run

_OURS = {
    COMPOSITES: (".tif", ".qml", ".aux.xml"),
    MASKS: (".tif", ".aux.xml"),
    TABLES: (".csv", ".json", ".geojson"),
}
"""Folders of products and how files in them end; what GDAL notes beside a composite says nothing of a new one."""


def seal(stage: Path, folder: Path, manifest: Manifest, facts: RunFacts) -> None:
    """Add manifest and record of the run to finished products, and move all of them into the site's folder.

    Parameters
    ----------
    stage : Path
        Holds the products, as they shall lie in the folder, on the same file system.
    folder : Path
        Of the site.
    manifest : Manifest
        Names all products, those too that stay in the folder as they are.
    facts : RunFacts
    """
    if (folder / RUNS).is_dir():
        shutil.copytree(folder / RUNS, stage / RUNS)
    write_manifest(stage, manifest)
    write_run(stage, facts)
    place(stage, folder, manifest)


def place(stage: Path, folder: Path, manifest: Manifest) -> None:
    """Move what is finished into the site's folder, and remove products the manifest does not name.

    Renames need no space, so a full disk is met before anything former is touched. Whatever else is in the folder
    stays.
    """
    last = {stage / MANIFEST, stage / RUN}
    files = sorted((p for p in stage.rglob("*") if p.is_file()), key=lambda p: (p in last, p == stage / RUN, p))
    for path in files:
        target = folder / path.relative_to(stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    named = {folder / output.path for output in manifest.outputs}
    for name, endings in _OURS.items():
        for old in sorted((folder / name).glob("*")):
            if old.name.endswith(endings) and old not in named:
                old.unlink()
