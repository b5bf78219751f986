"""Re-check every hash of a finished result, offline, and name each file that differs, lacks or is too much."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from pipeline.errors import EvidenceError, InputError, ProductError
from pipeline.evidence import read_version, sha256_file
from pipeline.products._documents import (
    COMPOSITES,
    MANIFEST,
    MASKS,
    PLACING,
    PORTFOLIO,
    PORTFOLIO_PACKAGE,
    RUN,
    RUNS,
    TABLES,
    InputFile,
    Manifest,
    OutputFile,
    Portfolio,
    Run,
    read_document,
    stays_inside,
)

EVIDENCE = "evidence"
ARCHIVE = "archive"
"""Folder in which an export holds the files of a local archive that were referenced."""
UNREADABLE = "unreadable"

Hasher: TypeAlias = Callable[[Path], str]


@dataclass(frozen=True)
class Problem:
    """One file that is not as recorded; ``path`` is relative to the folder asked about, or absolute outside it.

    ``incomplete`` says that nothing was found wrong, but a referenced file is not here to be checked.
    """

    path: str
    kind: Literal["differs", "missing", "extra", "incomplete", "unsafe"]
    detail: str

    def __str__(self) -> str:
        """One line for the user."""
        return f"{self.path}: {self.detail}"


def verify(folder: Path) -> list[Problem]:
    """Re-hash all outputs and evidence of a site, or of all sites of a folder, and check the chain of runs.

    Copied evidence is looked for in ``evidence/`` of the site's folder, then beside it, then where the run
    kept it; referenced files in ``archive/`` likewise (an export), then where the run found its archive.

    Parameters
    ----------
    folder : Path
        A site's folder, or the folder of all sites.

    Returns
    -------
    list of Problem
        Empty when every file is as recorded; by site and then in the order of the manifest.

    Raises
    ------
    InputError
        There is no result in the folder.
    """
    if _is_result(folder):
        sites = [folder]
    elif folder.is_dir():
        children = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        sites = sorted(path for path in children if _is_result(path))
    else:
        sites = []
    if not sites:
        raise InputError(f"{folder}: holds no result; name a site's folder or the folder of all sites")
    # Sites share the files of an archive; each is read once.
    hasher = functools.cache(_digest)
    problems = [] if sites == [folder] else list(_verify_portfolio(folder, sites, hasher))
    for site in sites:
        inside = "" if site == folder else f"{site.name}/"
        for problem in _verify_site(site, hasher):
            outside = Path(problem.path).is_absolute()
            problems.append(problem if outside else replace(problem, path=inside + problem.path))
    return problems


def _is_result(folder: Path) -> bool:
    """Whether a folder is a site's: also when its manifest, or everything but its products, was removed."""
    packages = (path.name for path in folder.glob("*.gpkg"))
    return any((folder / name).exists() for name in (MANIFEST, RUN, RUNS)) or any(
        name != PORTFOLIO_PACKAGE for name in packages
    )


def _verify_portfolio(folder: Path, sites: Sequence[Path], hasher: Hasher) -> Iterator[Problem]:
    """Check what gathers all sites, where it is: its own files, and that it was made of these results."""
    anew = "stockline report writes it anew"
    yield from _verify_placed(folder, "the next batch")
    if not (folder / PORTFOLIO).is_file():
        if (folder / PORTFOLIO_PACKAGE).exists():
            yield Problem(PORTFOLIO, "missing", f"is missing; {PORTFOLIO_PACKAGE} cannot be checked; {anew}")
        return
    try:
        portfolio = read_document(folder / PORTFOLIO, Portfolio)
    except ProductError as error:
        yield Problem(PORTFOLIO, "differs", f"is not a portfolio: {_reason(error, folder / PORTFOLIO)}")
        return
    for output in portfolio.outputs:
        if stays_inside(output.path):
            yield from _compare(folder / output.path, output.path, output, hasher, PORTFOLIO)
        else:
            yield Problem(PORTFOLIO, "unsafe", f"names {output.path!r}, which is outside the folder")
    gathered = {site.site: site.manifest_sha256 for site in portfolio.sites}
    present = {site.name: hasher(site / MANIFEST) for site in sites if (site / MANIFEST).is_file()}
    for name in sorted(gathered.keys() | present.keys()):
        known_to_lack = name in gathered and gathered[name] is None
        if not known_to_lack and gathered.get(name) != present.get(name):
            yield Problem(PORTFOLIO, "differs", f"was not made of the present result of {name}; {anew}")


def _verify_site(folder: Path, hasher: Hasher) -> Iterator[Problem]:
    run: Run | None = None
    yield from _verify_placed(folder, "the next run of the site")
    if (folder / RUN).is_file():
        try:
            run = read_document(folder / RUN, Run)
        except ProductError as error:
            yield Problem(RUN, "differs", f"is not a run record: {_reason(error, folder / RUN)}")
    yield from _verify_chain(folder, run, hasher)
    if not (folder / MANIFEST).is_file():
        yield Problem(MANIFEST, "missing", "is missing; nothing can be checked against it")
        return
    try:
        manifest = read_document(folder / MANIFEST, Manifest)
    except ProductError as error:
        yield Problem(MANIFEST, "differs", f"is not a manifest: {_reason(error, folder / MANIFEST)}")
        return
    yield from _verify_outputs(folder, manifest, hasher)
    for file in manifest.inputs:
        yield from _verify_input(folder, file, run, hasher)


def _verify_placed(folder: Path, who: str) -> Iterator[Problem]:
    """Tell a reader that files of two runs lie side by side, since a process was killed while it put them in place."""
    if (folder / PLACING).is_dir():
        yield Problem(
            PLACING, "incomplete", f"finished files were being put in place when a run was killed; {who} goes on"
        )


def _verify_chain(folder: Path, run: Run | None, hasher: Hasher) -> Iterator[Problem]:
    """Check each run against the one before, run.json against the newest, and the manifest against run.json."""
    kept = sorted((folder / RUNS).glob("*.json"))
    if not (folder / RUN).is_file():
        yield Problem(RUN, "missing", "is missing")
    elif not kept:
        yield Problem(RUNS, "missing", "is missing; earlier runs cannot be checked")
    elif hasher(folder / RUN) != hasher(kept[-1]):
        yield Problem(RUN, "differs", f"differs from the newest run, {RUNS}/{kept[-1].name}")
    previous: Path | None = None
    for number, path in enumerate(kept, start=1):
        name = f"{RUNS}/{path.name}"
        if path.name != f"{number:04d}.json":
            yield Problem(f"{RUNS}/{number:04d}.json", "missing", "is missing from the chain of runs")
            return
        try:
            recorded = read_document(path, Run).previous_run_sha256
        except ProductError as error:
            yield Problem(name, "differs", f"is not a run record: {_reason(error, path)}")
        else:
            if recorded != (hasher(previous) if previous else None):
                before = f"{RUNS}/{previous.name}" if previous else "an earlier run that is not here"
                yield Problem(before if previous else name, "differs", f"differs from the hash in {name}")
        previous = path
    if run is not None and (folder / MANIFEST).is_file() and hasher(folder / MANIFEST) != run.manifest_sha256:
        yield Problem(MANIFEST, "differs", f"differs from the hash in {RUN}")


def _verify_outputs(folder: Path, manifest: Manifest, hasher: Hasher) -> Iterator[Problem]:
    for output in manifest.outputs:
        path = folder / output.path
        if not stays_inside(output.path) or not path.resolve().is_relative_to(folder.resolve()):
            yield Problem(MANIFEST, "unsafe", f"names {output.path!r}, which is outside the site's folder")
        else:
            yield from _compare(path, output.path, output, hasher)
    listed = {output.path for output in manifest.outputs}
    for path in sorted(path for name in (COMPOSITES, MASKS, TABLES) for path in (folder / name).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in listed:
            yield Problem(name, "extra", "is not in the manifest")


def _verify_input(folder: Path, file: InputFile, run: Run | None, hasher: Hasher) -> Iterator[Problem]:
    if not stays_inside(file.path):
        yield Problem(MANIFEST, "unsafe", f"names {file.path!r}, which is outside its archive")
        return
    roots = evidence_roots(folder, file, run)
    found = next((root / file.path for root in roots if (root / file.path).is_file()), None)
    if found is not None:
        name = found.relative_to(folder).as_posix() if found.is_relative_to(folder) else str(found.absolute())
        yield from _compare(found, name, file, hasher)
        if file.evidence == "copy":
            yield from _recorded(found, name, file)
    elif file.evidence == "copy":
        detail = f"is missing: the copy of band {file.band} of scene {file.scene_id}"
        yield Problem(f"{EVIDENCE}/{file.path}", "missing", detail)
    else:
        yield Problem(MANIFEST, "incomplete", f"incomplete: referenced file {file.path} is not here")


def evidence_roots(folder: Path, file: InputFile, run: Run | None) -> list[Path]:
    """Folders a file of evidence of a site is looked for in: its own, the one of all sites, where the run had it."""
    name = EVIDENCE if file.evidence == "copy" else ARCHIVE
    kept = run and (run.evidence_root if file.evidence == "copy" else run.archive_root)
    return [folder / name, folder.parent / name, *([Path(kept)] if kept else [])]


def _recorded(path: Path, name: str, file: InputFile) -> Iterator[Problem]:
    """Hold a copy against the record beside it, which must be there and say the same."""
    try:
        kept = read_version(path.parent).files[file.band].sha256
    except (EvidenceError, KeyError, ValueError):
        yield Problem(name, "missing", "has no record beside it that can be read")
        return
    if kept != file.sha256:
        yield Problem(name, "differs", "has another hash in the record beside it than in the manifest")


def _compare(
    path: Path, name: str, recorded: InputFile | OutputFile, hasher: Hasher, where: str = "the manifest"
) -> Iterator[Problem]:
    if not path.is_file():
        yield Problem(name, "missing", "is missing")
        return
    digest = hasher(path)
    if digest == UNREADABLE:
        yield Problem(name, "missing", "cannot be read")
    elif digest != recorded.sha256 or path.stat().st_size != recorded.size_bytes:
        yield Problem(name, "differs", f"differs from the hash in {where}")


def _digest(path: Path) -> str:
    """Return the hash of a file, or UNREADABLE, which equals no hash."""
    try:
        return sha256_file(path)
    except OSError:
        return UNREADABLE


def _reason(error: ProductError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ").split("; ", maxsplit=1)[0]
