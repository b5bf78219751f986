"""The folder of an export: every file held against its list of hashes."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.products._documents import stays_inside
from pipeline.products.custody.problems import Hasher, Problem, compared, outside_of

SUMS = "SHA256SUMS"
"""List of all other files of an export, as ``sha256sum -c`` reads it."""
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def exported(folder: Path) -> dict[str, str] | None:
    """Return path to hash of every file of an export; None where the folder is none. What is no line is left out."""
    path = folder / SUMS
    if path.is_symlink() or not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    found = (match for line in lines if (match := _LINE.fullmatch(line)))
    return {SUMS: "", **{match[2]: match[1] for match in found}}


def check_exported(folder: Path, listed: dict[str, str], hasher: Hasher) -> Iterator[Problem]:
    """Hold the files of an export against its list."""
    for name, digest in listed.items():
        if name == SUMS:
            continue
        if stays_inside(name):
            yield from compared(folder / name, digest, None, hasher, SUMS)
        else:
            yield outside_of(str(folder / SUMS), name, "the folder")
