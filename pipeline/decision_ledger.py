"""The ledger of a site's reviews: ``<reviews>/<site>.jsonl``, one decision a line, appended and never changed.

Each line holds the hash of the one before, so that a line that was changed, moved or taken out shows. The ledger is an
input: a run reads it, and its hash is in the manifest.
"""

import datetime as dt
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ReviewError
from pipeline.printable import shown
from pipeline.review.decisions import Decision, from_lines, to_line

_MOST_BYTES = 64 << 20
"""Twenty thousand decisions with outlines of a hundred vertices."""


@dataclass(frozen=True)
class Ledger:
    """Decisions on a site in the order they were taken; ``sha256`` of the file, None without one."""

    decisions: tuple[Decision, ...] = ()
    sha256: str | None = None


def ledger_path(folder: Path, site: str) -> Path:
    """Path of a site's ledger in the folder of reviews."""
    return folder / f"{site}.jsonl"


def read_ledger(folder: Path, site: str) -> Ledger:
    """Read the decisions on a site; a folder or file that is not there holds none.

    Raises
    ------
    ReviewError
        The file cannot be read, is too large, or is not as it was written; names file and line.
    """
    path = ledger_path(folder, site)
    if not path.exists():
        return Ledger()
    with _opened(path, "rb") as file:
        return _read(path, file, site)[0]


def append(folder: Path, site: str, choose: Callable[[Sequence[Decision]], Sequence[Decision]]) -> list[Decision]:
    """Add decisions at the end of a site's ledger, all or none; one writer at a time.

    Parameters
    ----------
    folder : Path
        Of reviews; made when missing.
    site : str
    choose : callable
        Takes the decisions the ledger holds, and gives those to add.

    Returns
    -------
    list of Decision
        What was added.

    Raises
    ------
    ReviewError
        As of :func:`read_ledger`, or the file cannot be written.
    """
    path = ledger_path(folder, site)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from error
    with _opened(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        ledger, lines = _read(path, file, site)
        added, now = list(choose(ledger.decisions)), dt.datetime.now(dt.UTC)
        former = len(lines)
        for decision in added:
            lines.append(to_line(decision, site, lines, now))
        try:
            from_lines(lines, site)
        except ValueError as error:
            raise ReviewError(f"{path}: {shown(str(error))}; nothing is written") from error
        _write(file, "".join(f"{line}\n" for line in lines[former:]).encode("utf-8"))
    return added


def _write(file: BinaryIO, content: bytes) -> None:
    """Append all of it or, where the disk is full, nothing."""
    size = file.seek(0, os.SEEK_END)
    try:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), size)
        raise


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[BinaryIO]:
    try:
        if path.exists() and not path.is_file():
            raise ReviewError(f"{path}: is no plain file; set `reviews` to the folder of the ledgers")
        with path.open(mode) as file:
            yield file  # type: ignore[misc]  # both modes are binary
    except OSError as error:
        raise _refused(path, error) from error


def _read(path: Path, file: BinaryIO, site: str) -> tuple[Ledger, list[str]]:
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ReviewError(f"{path}: has more than {_MOST_BYTES:,} bytes; it is no ledger of this program")
    try:
        *lines, rest = content.decode("utf-8").split("\n")
        decisions = from_lines(lines, site)
    except ValueError as error:
        raise ReviewError(f"{path}: {shown(str(error))}; restore the ledger from a copy") from error
    if rest:
        raise ReviewError(f"{path}: line {len(lines) + 1}: is not whole; restore the ledger from a copy")
    return Ledger(tuple(decisions), hashlib.sha256(content).hexdigest() if content else None), lines


def _refused(path: Path, error: OSError) -> ReviewError:
    return ReviewError(f"{path}: {error.strerror or error}; check the path, its permissions and the space on disk")
