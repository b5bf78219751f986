"""The ledger of a site's reviews: ``<reviews>/<site>.jsonl``, one decision a line, appended and never changed.

Each line holds the hash of the one before, so that a line that was changed, moved or taken out shows. The ledger is an
input: a run reads it, and its hash is in the manifest. What a result was made with, the ledger must begin with from
then on: so lines that were taken off its end show too.
"""

import datetime as dt
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ReviewError
from pipeline.printable import shown
from pipeline.review.decisions import Decision, from_lines, to_line

_MOST_BYTES = 64 << 20
"""Twenty thousand decisions with outlines of a hundred vertices."""
_RESTORE = "restore the ledger from a copy, or choose another --out to begin without those decisions"


@dataclass(frozen=True)
class Ledger:
    """Decisions on a site in the order they were taken; ``sha256`` of the file, None without one, and its bytes."""

    decisions: tuple[Decision, ...] = ()
    sha256: str | None = None
    content: bytes = field(default=b"", repr=False)


def ledger_path(folder: Path, site: str) -> Path:
    """Path of a site's ledger in the folder of reviews."""
    return folder / f"{site}.jsonl"


def read_ledger(folder: Path, site: str, named: str | None = None) -> Ledger:
    """Read the decisions on a site; a folder or file that is not there holds none.

    Parameters
    ----------
    folder : Path
        Of reviews.
    site : str
    named : str, optional
        ``sha256`` of the ledger the present result was made with, which this one must begin with.

    Raises
    ------
    ReviewError
        The file cannot be read, is too large, is not as it was written, or lacks what the present result was made
        with; names file and line.
    """
    path = ledger_path(folder, site)
    if not _is_there(folder, path, named):
        return Ledger()
    with _opened(path, "rb") as file:
        return _read(path, file, site, named)[0]


def append(
    folder: Path,
    site: str,
    choose: Callable[[Sequence[Decision]], Sequence[Decision]],
    named: str | None = None,
) -> list[Decision]:
    """Add decisions at the end of a site's ledger, all or none; one writer at a time.

    Parameters
    ----------
    folder : Path
        Of reviews; made when missing.
    site : str
    choose : callable
        Takes the decisions the ledger holds, and gives those to add.
    named : str, optional
        As of :func:`read_ledger`.

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
    _is_there(folder, path, named)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from error
    with _opened(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        ledger, lines = _read(path, file, site, named)
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


def _is_there(folder: Path, path: Path, named: str | None) -> bool:
    """Whether there is a ledger; :class:`ReviewError` where there must be one, or its folder is none."""
    try:
        if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
            raise ReviewError(f"{folder}: is no folder; set `reviews` to the folder of the ledgers")
        there = path.exists() or path.is_symlink()
    except OSError as error:
        raise _refused(path, error) from error
    if named is not None and not there:
        raise ReviewError(f"{path}: is not there, but the present result was made with decisions from it; {_RESTORE}")
    return there


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
        if (path.exists() or path.is_symlink()) and not path.is_file():
            raise ReviewError(f"{path}: is no plain file; set `reviews` to the folder of the ledgers")
        with path.open(mode) as file:
            yield file  # type: ignore[misc]  # both modes are binary
    except OSError as error:
        raise _refused(path, error) from error


def _read(path: Path, file: BinaryIO, site: str, named: str | None) -> tuple[Ledger, list[str]]:
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
    if named is not None and not _begins_with(content, named):
        raise ReviewError(f"{path}: does not begin with the decisions the present result was made with; {_RESTORE}")
    return Ledger(tuple(decisions), hashlib.sha256(content).hexdigest() if content else None, content), lines


def _begins_with(content: bytes, named: str) -> bool:
    """Whether some first lines of a ledger have a hash."""
    digest = hashlib.sha256()
    for line in content.splitlines(keepends=True):
        digest.update(line)
        if digest.hexdigest() == named:
            return True
    return False


def _refused(path: Path, error: OSError) -> ReviewError:
    return ReviewError(f"{path}: {error.strerror or error}; check the path, its permissions and the space on disk")
