"""A last look into an archive before it is written: whether what is hidden still stands anywhere in it."""

import gzip
import html
import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path

from pipeline.errors import ProductError
from pipeline.export.documents import METHOD
from pipeline.export.entries import Entry
from pipeline.export.hiding import Hidden

_DIGITS = 12
"""Digits by which a hash that is cut short is known."""
_HASH = re.compile(rf"(?<![0-9a-f])[0-9a-f]{{{_DIGITS},64}}(?![0-9a-f])")


def told_apart(documents: Iterable[Entry], hidden: Iterable[Hidden]) -> tuple[list[Hidden], list[str]]:
    """Part values that can be looked for from words of the language the program's own documents are written in.

    Parameters
    ----------
    documents : iterable of Entry
        Of the method; they know nothing of any site.
    hidden : iterable of Hidden

    Returns
    -------
    tuple of (list of Hidden, list of str)
        Values to look for, and a line for each that also is such a word.
    """
    texts = [_composed(text) for entry in documents for text in _texts(entry)]
    sought, told = [], []
    for one in dict.fromkeys(hidden):
        if any(one.pattern.search(text) for text in texts):
            told.append(f"{one.step.what}: {one.mark} is a word of the documents in method/ too, and is not looked for")
        else:
            sought.append(one)
    return sought, told


def leaks(entries: Iterable[Entry], hidden: Sequence[Hidden]) -> dict[Hidden, list[str]]:
    """Find hidden values in names and bytes of files, pixels of evidence left aside.

    Looked through are texts as they are, as JSON and HTML escape them, what ``gzip`` packed, and every cell of a
    GeoPackage. The text of ``report.pdf`` is drawn, not written; what it says is in ``report.html`` word for word.

    Returns
    -------
    dict
        Value to the files it stands in.
    """
    found: dict[Hidden, list[str]] = {}
    for entry in entries if hidden else ():
        if entry.role == "evidence" or entry.path.startswith(METHOD):
            continue
        texts = [entry.path, *(_composed(text) for text in _texts(entry))]
        for one in hidden:
            if any(one.pattern.search(text) for text in texts):
                found.setdefault(one, []).append(entry.path)
    return found


def refuse_leaks(found: dict[Hidden, list[str]]) -> list[str]:
    """Refuse an archive in which a hidden value still stands, unless its step says that it may.

    Returns
    -------
    list of str
        A line for each value that remains as it may; the value itself is not in it.

    Raises
    ------
    ProductError
        Names the column and the files.
    """
    told = []
    for one, paths in found.items():
        where = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more files" if paths[3:] else "")
        if not one.step.may_remain:
            raise ProductError(
                f"{one.step.what}: a value of it ({one.mark}) still stands in {where}; nothing is exported: hide what "
                "holds it too, or set may_remain: true for it"
            )
        told.append(f"{one.step.what}: {one.mark} also stands in {where}, as may_remain allows")
    return told


def refuse_hashes(entries: Sequence[Entry], digests: AbstractSet[str]) -> None:
    """Refuse an archive in which a hash over something hidden still stands, or its first digits.

    A hash that a file of the archive has is over nothing hidden.

    Raises
    ------
    ProductError
        Names the file.
    """
    starts = {digest[:_DIGITS] for digest in digests - {entry.sha256 for entry in entries}}
    for entry in entries if starts else ():
        if entry.role == "evidence" or entry.path.endswith(".tif"):
            continue
        if any(match[:_DIGITS] in starts for text in (entry.path, *_texts(entry)) for match in _HASH.findall(text)):
            raise ProductError(f"{entry.path}: holds a hash over something hidden; nothing is exported: report this")


def _texts(entry: Entry) -> Iterator[str]:
    content = entry.content if isinstance(entry.content, bytes) else _read(entry.content)
    if entry.path.endswith(".gz"):
        content = gzip.decompress(content)
    text = content.decode("utf-8", errors="ignore")
    yield text
    if entry.media in {"text/html", "application/xml", "application/vnd.google-earth.kml+xml"}:
        yield html.unescape(text)
    if "\\u" in text:
        yield _unescaped(text)
    if entry.path.endswith(".gpkg") and isinstance(entry.content, Path):
        # A long text lies in pieces on several pages of the file.
        yield from _cells(entry.content)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProductError(f"{path}: cannot be read ({error.strerror}); nothing is exported") from error


def _unescaped(text: str) -> str:
    r"""Text in which ``\uXXXX`` of JSON stand as letters."""
    lines = []
    for line in text.split('"'):
        try:
            lines.append(json.loads(f'"{line}"') if "\\u" in line else line)
        except ValueError:
            lines.append(line)
    return '"'.join(lines)


def _cells(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            quoted = name.replace('"', '""')
            for row in connection.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608 - a table the file itself lists
                yield "\n".join(cell for cell in row if isinstance(cell, str))


def _composed(text: str) -> str:
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)
