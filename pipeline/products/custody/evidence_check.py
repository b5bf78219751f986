"""Copied and referenced pixels of a result held against its manifests, and the store searched for what is not of it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import EvidenceError
from pipeline.evidence import RECORD, read_version
from pipeline.products._documents import EVIDENCE, MANIFEST, InputFile, Manifest, Run, stays_inside
from pipeline.products.custody.problems import Hasher, Problem, compared, extra, files_below, outside_of
from pipeline.products.custody.run_chain import Link

ARCHIVE = "archive"
"""Folder in which an export holds the files of a local archive that were referenced."""
_VERSION = re.compile(r"v[1-9]\d*", re.ASCII)
_SET_ASIDE = re.compile(r"v\d+\.unreadable-\d{8}T\d{6}", re.ASCII)
_DESCRIBED = re.compile(r"described/[0-9a-f]{16}\.json", re.ASCII)
_LEVELS = 3
"""Collection, item and window: what lies higher up is a folder."""


@dataclass(frozen=True)
class Told:
    """What records of runs tell of a store: files that came with pixels, by path below it, and windows they are of."""

    files: frozenset[str]
    windows: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> "Told":
        """Make it of the paths that records name."""
        files = frozenset(names)
        return cls(files, frozenset(str(PurePosixPath(name).parent.parent) for name in files))


@dataclass(frozen=True)
class Place:
    """A site's folder, the runs that are known of it, how files are hashed, and which were held to a manifest."""

    folder: Path
    links: Sequence[Link]
    hasher: Hasher
    held: set[Path]

    @property
    def run(self) -> Run | None:
        """The newest run."""
        return self.links[-1].run if self.links else None


def evidence_roots(folder: Path, file: InputFile, run: Run | None) -> list[Path]:
    """Folders a file of evidence of a site is looked for in: its own, the one of all sites, where the run had it."""
    name = EVIDENCE if file.evidence == "copy" else ARCHIVE
    kept = run and (run.evidence_root if file.evidence == "copy" else run.archive_root)
    return [folder / name, folder.parent / name, *([Path(kept)] if kept else [])]


def check_evidence(manifest: Manifest, place: Place) -> Iterator[Problem]:
    """Check the pixels of the present result, the copies of former ones, what came with them, and what lies beside."""
    windows: set[Path] = set()
    told = Told.of(name for link in place.links for name in link.run.records)
    for file in manifest.inputs:
        yield from _check_file(file, place, told.files, windows, "the manifest")
    yield from _check_former(manifest, place, told.files, windows)
    yield from _check_records(place)
    for window in sorted(windows):
        root = window.parents[_LEVELS - 1]
        yield from check_window(window, place.hasher, place.held, told if root.parent == place.folder else None)


def _check_file(
    file: InputFile, place: Place, recorded: frozenset[str], windows: set[Path], where: str
) -> Iterator[Problem]:
    if not stays_inside(file.path):
        yield outside_of(str(place.folder / MANIFEST), file.path, "its archive")
        return
    roots = evidence_roots(place.folder, file, place.run)
    found = next((root / file.path for root in roots if (root / file.path).is_file()), None)
    if found is None and file.evidence == "reference":
        detail = f"incomplete: referenced file {file.path} is not here"
        yield Problem(str(place.folder / MANIFEST), "incomplete", detail)
    elif found is None:
        at = next((root for root in roots if root.is_dir()), roots[0]) / file.path
        yield Problem(str(at), "missing", f"is missing: the copy of band {file.band} of scene {file.scene_id}")
        windows |= {at.parents[1]} if at.parents[1].is_dir() else set()
    else:
        yield from compared(found, file.sha256, file.size_bytes, place.hasher, where)
        place.held.add(found)
        if file.evidence == "copy":
            windows.add(found.parents[1])
            if str(PurePosixPath(file.path).with_name(RECORD)) not in recorded:
                yield from _said(found, file)


def _said(path: Path, file: InputFile) -> Iterator[Problem]:
    """Hold a copy against the record beside it, of whose hash no run tells, and which must say the same."""
    try:
        kept = read_version(path.parent).files[file.band].sha256
    except (EvidenceError, KeyError, ValueError):
        yield Problem(str(path), "missing", "has no record beside it that can be read")
        return
    if kept != file.sha256:
        yield Problem(str(path), "differs", "has another hash in the record beside it than in the manifest")


def _check_former(manifest: Manifest, place: Place, recorded: frozenset[str], windows: set[Path]) -> Iterator[Problem]:
    """Check copies that former results rest on and the present one does not: no version is ever changed or removed."""
    known = {file.path: file.sha256 for file in manifest.inputs}
    for link in reversed(place.links):
        for file in link.manifest.inputs if link.manifest is not None else ():
            if file.evidence != "copy":
                continue
            if file.path not in known:
                yield from _check_file(file, place, recorded, windows, f"the manifest of {link.name}")
            elif known[file.path] != file.sha256:
                at = evidence_roots(place.folder, file, place.run)[0] / file.path
                yield Problem(str(at), "differs", f"had another hash in the manifest of {link.name}")
            known.setdefault(file.path, file.sha256)


def _check_records(place: Place) -> Iterator[Problem]:
    """Check what came with the copies: a record that a later run names otherwise was changed between the two."""
    named: dict[str, tuple[str, Link]] = {}
    for link in reversed(place.links):
        for path, digest in link.run.records.items():
            # Of a version the oldest counts: what it saw is what came. A description may be noted anew.
            if path not in named or path.endswith(f"/{RECORD}"):
                named[path] = (digest, link)
    run = place.run
    for path, (digest, link) in sorted(named.items()):
        if not stays_inside(path):
            yield outside_of(str(place.folder / link.name), path, "the evidence")
            continue
        roots = [place.folder / EVIDENCE, place.folder.parent / EVIDENCE, *([Path(run.evidence_root)] if run else [])]
        # Of a file that is gone, where its neighbours are.
        root = next((r for r in roots if (r / path).exists()), None)
        root = root or next((r for r in roots if (r / path).parent.is_dir()), roots[0])
        yield from compared(root / path, digest, None, place.hasher, link.name)


def check_window(window: Path, hasher: Hasher, held: set[Path], told: Told | None) -> Iterator[Problem]:
    """Check what one window of an item holds: its versions by their own records, and nothing else.

    In a window that a result uses, a version of which no run tells is one too many.

    Parameters
    ----------
    window : Path
    hasher : Hasher
    held : set of Path
        Files that a manifest vouches for.
    told : Told or None
        What the runs tell; None where others may write there too.
    """
    below = window.relative_to(window.parents[_LEVELS - 1])
    versions = {path.name for path in window.glob("v*") if path.is_dir() and _VERSION.fullmatch(path.name)}
    unnamed = set() if told is None else _unnamed(window, versions, held, told)
    for name in sorted(versions):
        if name in unnamed:
            paths = (window / name, *files_below(window / name))
            yield from (extra(path, "is in no record of a run") for path in paths)
        else:
            yield from _check_version(window / name, hasher, held)
    for path in files_below(window):
        first, *_ = inside = path.relative_to(window).parts
        noted = _DESCRIBED.fullmatch("/".join(inside)) and not path.is_symlink()
        if noted and (told is None or (below / Path(*inside)).as_posix() in told.files):
            continue
        of_store = first.startswith(".part-") or _SET_ASIDE.fullmatch(first) or (first in versions and len(inside) > 1)
        if inside != (".lock",) and not of_store:
            yield extra(path, "is not of the evidence: no run names it")


def _unnamed(window: Path, versions: set[str], held: set[Path], told: Told) -> set[str]:
    """Return the versions of a window that is used which neither records nor manifests of runs name."""
    below = window.relative_to(window.parents[_LEVELS - 1])
    named = {
        name
        for name in versions
        if (below / name / RECORD).as_posix() in told.files or not held.isdisjoint((window / name).iterdir())
    }
    return versions - named if named or below.as_posix() in told.windows else set()


def _check_version(folder: Path, hasher: Hasher, held: set[Path]) -> Iterator[Problem]:
    try:
        files = {f"{band}.tif": kept.sha256 for band, kept in read_version(folder).files.items()}
    except (EvidenceError, ValueError):
        files = None
        yield Problem(str(folder / RECORD), "missing", "is missing or cannot be read")
    for name, digest in (files or {}).items():
        if folder / name in held:
            continue
        yield from compared(folder / name, digest, None, hasher, "the record beside it")
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or (name != RECORD and files is not None and name not in files):
            yield extra(path, "is not in the record beside it")


def check_store(root: Path, hasher: Hasher, held: set[Path], recorded: Iterable[str]) -> Iterator[Problem]:
    """Check a whole store that belongs to a folder of results: also what no result rests on, by its own records."""
    told = Told.of(recorded)
    found = (path for path in root.glob("/".join("*" * _LEVELS)) if path.is_dir())
    # What is behind a link is not looked at: the link itself is named below.
    windows = sorted(p for p in found if not any(part.is_symlink() for part in (p, *p.parents[: _LEVELS - 1])))
    for window in windows:
        yield from check_window(window, hasher, held, told)
    inside = set(windows)
    for path in files_below(root):
        if inside.isdisjoint(path.parents):
            yield extra(path, "is not of the evidence: pixels lie in a folder for each window")
