"""Working copies on the disk: found, measured, removed; how much space everything takes.

Working copies are, below the folder of results, what the program itself made in ``.work/`` and ``.memory/``, told by
its names (:mod:`pipeline.places`), and hidden folders with which a process that was killed wrote beside; in the store,
fetches that have not ended (``.part-*``). Nothing else is ever removed here but logs of batches: a version of evidence,
also one set aside, a product, a run, a ledger is none, nor what somebody else put into these folders. Links are neither
followed nor removed.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.batches.retention import Copy, Kind, going, old_logs
from pipeline.batches.state_records import LOGS
from pipeline.config import Config
from pipeline.errors import ProductError
from pipeline.places import MADE, MEMORY, WORK, forget, forget_shared_marks, is_shared_mark, remembered
from pipeline.products._documents import GATHERED, MANIFEST, REBUILT
from pipeline.products.placing import go_on

_GB = 1e9
_RECORDS = ".records"
"""Of a fetch that has become a version."""
_SHOWN = 4
"""Folders named of those that take most."""


@dataclass(frozen=True)
class DiskUse:
    """What a folder of results and its evidence take, in bytes.

    ``free`` is what their disk has left, the fuller one of two; ``largest`` are the folders that take most.
    """

    free: int
    evidence: int
    results: int
    working: int
    logs: int
    largest: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """One line for the user."""
        named = ", ".join(f"{path} {size / _GB:.2f}" for path, size in self.largest)
        return (
            f"{self.free / _GB:.2f} GB free; evidence {self.evidence / _GB:.2f}, results {self.results / _GB:.2f}, "
            f"working copies {self.working / _GB:.2f}, logs {self.logs / _GB:.2f} GB; largest: {named or 'none'}"
        )


def store_of(config: Config) -> Path:
    """Return the folder evidence is kept in."""
    return config.store or config.out / "evidence"


@dataclass(frozen=True)
class Room:
    """What was done to make room for a batch; ``lacking`` says why it must not begin, None: it may."""

    lines: tuple[str, ...]
    lacking: str | None

    def needed(self) -> None:
        """Raise :class:`ProductError` where there is no room."""
        if self.lacking is not None:
            raise ProductError(self.lacking)


def make_room(config: Config) -> Room:
    """Finish what a killed batch left half done, and make the room ``retention.min_free_gb`` asks for.

    The lock must be held. Done before the books of the batch are opened, which need room themselves.

    Raises
    ------
    ProductError
        What was left half done cannot be finished.
    """
    out, store, least = config.out, store_of(config), config.retention.min_free_gb
    try:
        lines = [
            f"{folder.name}: finished products of a run that was killed were put in place"
            for folder in (out, *_folders(out))
            if go_on(folder)
        ]
    except OSError as error:
        raise ProductError(f"{out}: {error.strerror or error}; free disk space or choose another --out") from error
    lines += _removed(going(find(out, store), None))
    lacking = None
    for folder in (out, store):
        there = _there(folder)
        # What lies on another disk makes no room on this one.
        near = [copy for copy in find(out, store) if _disk(Path(copy.path)) == _disk(there)]
        lines += _removed(going(near, None, max(0, round(least * _GB) - _free(folder))))
        if lacking is None and _free(folder) < least * _GB:
            lacking = (
                f"{folder}: a batch begins with retention.min_free_gb = {least:g}, not with less: "
                f"{disk_use(out, store)}; free disk space there, or lower the setting"
            )
    return Room(tuple(lines), lacking)


def tidy(config: Config, used: Iterable[str]) -> list[str]:
    """Remove, after a batch, what is over the limits of ``retention``; return what to tell.

    Parameters
    ----------
    config : Config
    used : iterable of str
        Sites of the batch: what they remember was used now.
    """
    out, store, limits = config.out, store_of(config), config.retention
    forget_shared_marks(out)
    for site in used:
        with contextlib.suppress(OSError):
            os.utime(out / MEMORY / site)
    most = None if limits.max_working_gb is None else round(limits.max_working_gb * _GB)
    lines = _removed(going(find(out, store), most))
    left = sum(copy.size_bytes for copy in find(out, store))
    if most is not None and left > most:
        lines.append(
            f"working copies take more than retention.max_working_gb = {limits.max_working_gb:g}: {left / _GB:.2f}"
        )
    return lines + _logs_removed(out, limits.keep_log_days)


def _logs_removed(out: Path, keep_days: int) -> list[str]:
    logs = {int(path.stem): path for path in _plain(out, f"{LOGS}/*.jsonl") if path.stem.isdecimal()}
    try:
        old = old_logs([(number, path.stat().st_mtime) for number, path in logs.items()], keep_days)
        for number in old:
            logs[number].unlink(missing_ok=True)
    except OSError as error:
        return [f"{out / LOGS}: old logs cannot be removed ({error.strerror})"]
    return [f"{len(old)} logs older than {keep_days} days were removed"] if old else []


def find(out: Path, store: Path) -> list[Copy]:
    """Find all working copies; nobody else may be at work in ``out``."""
    left = [
        *(path for path in _plain(out, f"{WORK}/{MADE}*") if not is_shared_mark(path)),
        *_plain(out, GATHERED),
        *(path for path in _kept(out) if path.name.startswith(".part-")),
        *(path for folder in (out, *_folders(out)) for path in _plain(folder, ".*.part") if _is_beside(path)),
        *(path for folder in _folders(out) if (folder / MANIFEST).is_file() for path in _plain(folder, REBUILT)),
    ]
    memories = [path for path in _plain(out, f"{MEMORY}/*") if remembered(path)]
    # However old: age would be told by a clock, and a fetch that goes on may save what was paid for.
    fetches = _plain(store, "*/*/*/.part-*")
    ended = [path for path in fetches if path.suffix == _RECORDS and not path.with_suffix("").exists()]
    kinds: tuple[tuple[Kind, list[Path]], ...] = (
        ("leftover", [*left, *ended]),
        ("memory", memories),
        ("fetch", fetches),
    )
    return [_copy(path, kind) for kind, paths in kinds for path in paths if kind == "leftover" or path not in ended]


def _kept(out: Path) -> list[Path]:
    """Return what sites remember."""
    return [path for site in _plain(out, f"{MEMORY}/*") for path in remembered(site)]


def _is_beside(folder: Path) -> bool:
    """Whether in a folder ``.NAME.part`` there is only what is written in one: NAME, and files drivers put beside."""
    name = folder.name.removeprefix(".").removesuffix(".part")
    return folder.is_dir() and all(path.name.startswith(name) and path.is_file() for path in folder.iterdir())


def disk_use(out: Path, store: Path) -> DiskUse:
    """Measure all folders; every file is looked at, so this takes a while in a large store."""
    working = find(out, store)
    kept = {path: _size(path) for path in _children(out) if path not in {store, out / LOGS} and path.name[0] != "."}
    pixels = {path: _size(path) for path in _children(store)}
    hidden = {path: _size(path) for path in (out / WORK, out / MEMORY)}
    fetches = sum(copy.size_bytes for copy in working if Path(copy.path).is_relative_to(store))
    largest = sorted((kept | pixels | hidden).items(), key=lambda item: (-item[1], item[0]))[:_SHOWN]
    return DiskUse(
        free=min(_free(out), _free(store)),
        evidence=sum(pixels.values()) - fetches,
        results=sum(kept.values()),
        working=sum(hidden.values()) + fetches,
        logs=_size(out / LOGS),
        largest=tuple((str(path), size) for path, size in largest if size),
    )


def _removed(copies: Sequence[Copy]) -> list[str]:
    """Remove working copies; one line per kind, and one for each that stays."""
    gone: dict[str, list[Copy]] = {}
    lines = []
    for copy in copies:
        path = Path(copy.path)
        try:
            with _held(path) as free:
                if not free:
                    continue
                if copy.kind == "memory":
                    forget(path)
                elif path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        except OSError as error:
            lines.append(f"{path}: working copy cannot be removed ({error.strerror})")
            continue
        gone.setdefault(copy.kind, []).append(copy)
    for kind, those in sorted(gone.items()):
        size = sum(copy.size_bytes for copy in those) / _GB
        lines.append(f"{len(those)} {_WORDS[kind]} removed, {size:.2f} GB")
    return lines


_WORDS = {
    "leftover": "leftovers of runs that were killed",
    "memory": "sites' working copies (computed anew when needed)",
    "fetch": "fetches under way (begun anew when needed)",
}


@contextlib.contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Hold the window of a fetch, which another batch that shares the store may be at; False where it is."""
    lock = path.parent / ".lock"
    if not path.name.startswith(".part-") or not lock.is_file():
        yield True
        return
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _copy(path: Path, kind: Kind) -> Copy:
    used = 0.0
    with contextlib.suppress(OSError):
        used = path.stat(follow_symlinks=False).st_mtime
    size = sum(map(_size, remembered(path))) if kind == "memory" else _size(path)
    return Copy(str(path), kind, size, used)


def _plain(folder: Path, pattern: str) -> list[Path]:
    """Entries below a folder that no link leads to, in order."""
    return [path for path in sorted(folder.glob(pattern)) if not _linked(path, folder)]


def _linked(path: Path, folder: Path) -> bool:
    """Whether a path, or one between it and a folder, is a link."""
    return any(step.is_symlink() for step in (path, *path.parents) if step != folder and step.is_relative_to(folder))


def _folders(out: Path) -> list[Path]:
    """Folders of sites, and those in them."""
    sites = [path for path in _plain(out, "*") if path.is_dir() and not path.name.startswith(".")]
    return [*sites, *(path for site in sites for path in _plain(site, "*") if path.is_dir() and path.name[0] != ".")]


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    """Bytes of the files of a folder, or of one file; links count for nothing."""
    total = 0
    pending = [path]
    while pending:
        entry = pending.pop()
        with contextlib.suppress(OSError):
            if entry.is_symlink():
                continue
            if entry.is_dir():
                pending += entry.iterdir()
            else:
                total += entry.stat().st_size
    return total


def _there(folder: Path) -> Path:
    """Return a folder, or the one it will be made in."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _free(folder: Path) -> int:
    return shutil.disk_usage(_there(folder)).free


def _disk(path: Path) -> int:
    """Which disk something lies on."""
    return path.stat(follow_symlinks=False).st_dev
