"""What is found wrong with the files of a result, and how one file is held against its hash."""

import functools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pipeline.evidence import sha256_file

UNREADABLE = "unreadable"
_SHOWN = 160
"""Characters of a path that somebody else wrote."""

Hasher: TypeAlias = Callable[[Path], str]


@dataclass(frozen=True)
class Problem:
    """One file that is not as recorded; ``path`` is relative to the folder asked about, or absolute outside it.

    ``incomplete`` says that nothing was found wrong, but something is not here to be checked. ``rests`` says in a
    line which numbers rest on the file, ``numbers`` are their addresses; empty while that is not looked up.
    """

    path: str
    kind: Literal["differs", "missing", "extra", "incomplete", "unsafe"]
    detail: str
    rests: str = ""
    numbers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for the user."""
        return f"{self.path}: {self.detail}"


def compared(path: Path, sha256: str, size_bytes: int | None, hasher: Hasher, where: str) -> Iterator[Problem]:
    """Hold a file against a hash; ``where`` says whose hash it is. A link is no file, whatever it leads to."""
    if path.is_symlink():
        yield Problem(str(path), "unsafe", "is a link; the file itself must be there")
    elif not path.is_file():
        yield Problem(str(path), "missing", "is missing")
    elif (digest := hasher(path)) == UNREADABLE:
        yield Problem(str(path), "missing", "cannot be read")
    elif digest != sha256 or (size_bytes is not None and path.stat().st_size != size_bytes):
        yield Problem(str(path), "differs", f"differs from the hash in {where}")


def outside_of(where: str, names: str, place: str) -> Problem:
    """Return the problem of a document ``where`` that names a path which :func:`stays_inside` refuses."""
    shown = repr(names) if len(names) <= _SHOWN else f"{names[:_SHOWN]!r}... ({len(names)} characters)"
    return Problem(where, "unsafe", f"names {shown}, which is outside {place} or is too long")


def make_hasher() -> Hasher:
    """Return a function that hashes each file once: UNREADABLE, which equals no hash, where it cannot be read."""
    return functools.cache(_digest)


def _digest(path: Path) -> str:
    try:
        # A pipe would be waited for, and what is behind a link is another file.
        return sha256_file(path) if stat.S_ISREG(path.lstat().st_mode) else UNREADABLE
    except OSError:
        return UNREADABLE


def files_below(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder that is no folder, links among it, by name; nothing is followed."""
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(set(folders) - set(linked))
        yield from (here / name for name in sorted([*names, *linked]))


def extra(path: Path, detail: str) -> Problem:
    """Return the problem of a file that should not be there."""
    if path.is_symlink():
        return Problem(str(path), "unsafe", "is a link; no file of a result is one")
    return Problem(str(path), "extra", detail)
