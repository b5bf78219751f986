"""Finished products into a site's folder: renamed over the former ones, the manifest and the run's record last."""

import shutil
from pathlib import Path

from pipeline.products._documents import COMPOSITES, MANIFEST, MASKS, RUN, RUNS, TABLES, Manifest
from pipeline.products.atomic import flush
from pipeline.products.manifest import RunFacts, read_manifest, write_manifest, write_run

PLACING = ".placing"
"""Folder of finished products under way to their place: one that is there belongs to a process that was killed."""

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
    stays. Once the stage has its new name the new products are the site's: whoever comes next goes on
    (:func:`go_on`), however this process ends.

    Parameters
    ----------
    stage : Path
        Holds what is finished, on the same file system; it is gone afterwards.
    folder : Path
        Of the site.
    manifest : Manifest
        Written into the stage where it is not there.
    """
    if not (stage / MANIFEST).is_file():
        write_manifest(stage, manifest)
    commit(stage, folder)
    go_on(folder)


def commit(stage: Path, folder: Path) -> None:
    """Decide that what is finished takes the place of the former: one rename, done or not done."""
    folder.mkdir(parents=True, exist_ok=True)
    go_on(folder)
    stage.rename(folder / PLACING)
    flush(folder)


def go_on(folder: Path) -> bool:
    """Finish what :func:`commit` decided; True when there was anything, as after a process that was killed.

    May be called at any time by whoever alone writes in the folder.
    """
    placing = folder / PLACING
    if not placing.is_dir():
        return False
    last = {placing / MANIFEST, placing / RUN}
    files = sorted((p for p in placing.rglob("*") if p.is_file()), key=lambda p: (p in last, p == placing / RUN, p))
    for path in files:
        target = folder / path.relative_to(placing)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    if (folder / MANIFEST).is_file():
        _remove_unnamed(folder)
    shutil.rmtree(placing)
    return True


def _remove_unnamed(folder: Path) -> None:
    named = {folder / output.path for output in read_manifest(folder).outputs}
    for name, endings in _OURS.items():
        for old in sorted((folder / name).glob("*")):
            if old.name.endswith(endings) and old not in named:
                old.unlink()
