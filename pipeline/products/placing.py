"""Finished products into a site's folder: renamed over the former ones, the manifest and the run's record last."""

from pathlib import Path

from pipeline.products._documents import COMPOSITES, INPUTS, MANIFEST, MASKS, RUN, RUNS, TABLES, Manifest
from pipeline.products.atomic import flush
from pipeline.products.manifest import write_manifest
from pipeline.products.runs import RunFacts, write_run

_OURS = {
    COMPOSITES: (".tif", ".qml", ".aux.xml"),
    TABLES: (".csv", ".json", ".geojson"),
    INPUTS: (".geojson", ".yaml", ".jsonl"),
    MASKS: (".tif", ".aux.xml"),
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
    write_manifest(stage, manifest)
    write_run(stage, facts, folder)
    place(stage, folder, manifest)


def place(stage: Path, folder: Path, manifest: Manifest) -> None:
    """Move what is finished into the site's folder, and remove products the manifest does not name.

    Renames need no space, so a full disk is met before anything former is touched. Whatever else is in the folder
    stays. Killed between any two renames, the folder is not that of its manifest, or its newest record is not
    ``run.json``, and the site is run again; the records that are there are whole, and the next one follows them.
    """
    files = sorted((p for p in stage.rglob("*") if p.is_file()), key=lambda path: (_turn(path, stage), path))
    for path in files:
        flush(path)
    for turn in sorted({_turn(path, stage) for path in files}):
        moved = [path for path in files if _turn(path, stage) == turn]
        for path in moved:
            target = folder / path.relative_to(stage)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        # What comes later vouches for this: it must not reach the disk before.
        for parent in sorted({(folder / path.relative_to(stage)).parent for path in moved}):
            flush(parent)
    named = {folder / output.path for output in manifest.outputs}
    for name, endings in _OURS.items():
        for old in sorted((folder / name).glob("*")):
            if old.name.endswith(endings) and old not in named:
                old.unlink()


def _turn(path: Path, stage: Path) -> int:
    """When a file comes: products, what is kept beside the record of the run, that record, manifest, ``run.json``."""
    name = path.relative_to(stage).as_posix()
    if name.startswith(f"{RUNS}/"):
        return 2 if name.endswith(".json") else 1
    return {MANIFEST: 3, RUN: 4}.get(name, 0)
