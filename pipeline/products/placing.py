"""Finished products into a site's folder: renamed over the former ones, the manifest and the run's record last."""

import shutil
from pathlib import Path

from pipeline.products._documents import COMPOSITES, INPUTS, MANIFEST, MASKS, PLACING, RUN, RUNS, TABLES, Manifest
from pipeline.products.atomic import flush
from pipeline.products.manifest import read_manifest, write_manifest
from pipeline.products.runs import RunFacts, write_run

_OURS = {
    COMPOSITES: (".tif", ".qml", ".aux.xml"),
    TABLES: (".csv", ".json", ".geojson"),
    INPUTS: (".geojson", ".yaml", ".jsonl"),
    MASKS: (".tif", ".qml", ".aux.xml"),
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
    go_on(folder)  # the record of a run follows those of all runs that were decided
    write_manifest(stage, manifest)
    write_run(stage, facts, folder)
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
    for path in sorted(stage.rglob("*")):
        flush(path)  # the name must not reach the disk before what it stands for
    stage.rename(folder / PLACING)
    flush(folder)


def go_on(folder: Path) -> bool:
    """Finish what :func:`commit` decided; True when there was anything, as after a process that was killed.

    May be called at any time by whoever alone writes in the folder.
    """
    placing = folder / PLACING
    if not placing.is_dir():
        return False
    files = sorted((p for p in placing.rglob("*") if p.is_file()), key=lambda path: (_turn(path, placing), path))
    for path in files:
        target = folder / path.relative_to(placing)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    for parent in sorted({(folder / path.relative_to(placing)).parent for path in files}):
        flush(parent)
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


def _turn(path: Path, stage: Path) -> int:
    """When a file comes: products, what is kept beside the record of the run, that record, manifest, ``run.json``."""
    name = path.relative_to(stage).as_posix()
    if name.startswith(f"{RUNS}/"):
        return 2 if name.endswith(".json") else 1
    return {MANIFEST: 3, RUN: 4}.get(name, 0)
