"""What is to be hidden in an archive, who wants it and why: a file written by hand, read and checked before any work.

A redaction hides who and where, never what was measured: a number that is left out would read as one that was not
measured.
"""

import datetime as dt
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import bounded_bytes
from pipeline.documents import MOST_YAML, parsed_yaml
from pipeline.errors import InputError
from pipeline.printable import plain, shown
from pipeline.products._columns import Layer
from pipeline.records import LAYERS

LOCATION = "location"
RUNS = "runs"
_SITE = "site "
COLUMNS = {
    "sites.name": "names of the site and of its features",
    "sites.source": "sources of the site's outlines",
    "sites.source_date": "dates of these sources",
    "sites.note": "the note of the site file",
    "zones.name": "names of zones and controls",
    "claims.quote": "words of the claims",
    "claims.source": "sources of the claims",
    "claims.not_observable": "what the claims file says imagery cannot show",
    "reviews.analyst": "names of reviewers",
    "reviews.reason": "reasons reviewers gave",
    "reviews.imagery": "imagery reviewers looked at",
    "reviews.source": "sources reviewers drew on",
}
"""Columns that may be hidden: what people are called and what they wrote."""
_KEYS = {"what", "why", "by", "date", "may_remain"}
_REMEDY = "docs/contract.md says what can be hidden"


@dataclass(frozen=True)
class Step:
    """One redaction.

    Attributes
    ----------
    what : str
        A key of :data:`COLUMNS`, ``location``, ``runs``, or ``site`` and the id of one that is left out.
    why, by : str
    date : str or None
        The day it was decided, as given.
    may_remain : bool
        True: a value that also stands where it is not hidden is told, and does not end the export.
    """

    what: str
    why: str
    by: str
    date: str | None = None
    may_remain: bool = False

    @property
    def left_out(self) -> str | None:
        """Id of the site this step leaves out."""
        return self.what.removeprefix(_SITE).strip() if self.what.startswith(_SITE) else None

    @property
    def told(self) -> str:
        """What is hidden, in words that do not say it."""
        if self.left_out is not None:
            return "one site"
        return {LOCATION: "where the site is", RUNS: "records of the runs"}.get(self.what) or COLUMNS[self.what]

    def document(self) -> dict[str, Any]:
        """Return what the archive says of it."""
        what = "site" if self.left_out is not None else self.what
        return {"what": what, "hides": self.told, "why": self.why, "by": self.by, "date": self.date}


@dataclass(frozen=True)
class Redacted:
    """What was hidden in a site's results.

    Attributes
    ----------
    steps : tuple of Step
    manifest : str
        Commitment to the hash of the original's (:mod:`pipeline.export.commitments`), as all that follow.
    left_out : tuple of str
        Products of the original that have no counterpart; their names may tell what is hidden.
    withheld : tuple of (str, str, str)
        Scene, band and commitment of evidence that is not in the archive.
    replaced : Mapping
        By path, each product of the original that was replaced.
    """

    steps: tuple[Step, ...]
    manifest: str
    left_out: tuple[str, ...]
    withheld: tuple[tuple[str, str, str], ...]
    replaced: Mapping[str, str]


def read_steps(path: Path, sites: Sequence[str]) -> tuple[Step, ...]:
    """Read a redaction file: ``redactions``, a list of ``what``, ``why``, ``by`` and, if any, ``date``, ``may_remain``.

    Parameters
    ----------
    path : Path
    sites : sequence of str
        Ids of the sites that would be exported.

    Raises
    ------
    InputError
        It is no such file, or names what cannot be hidden; names file, entry, value and the nearest names.
    """
    try:
        document = parsed_yaml(bounded_bytes(path, "name a file with --redaction", MOST_YAML).decode("utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not YAML in UTF-8: {plain(str(error))}") from error
    entries = document.get("redactions") if isinstance(document, dict) and set(document) == {"redactions"} else None
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: holds no list named redactions; {_REMEDY}")
    steps = tuple(_step(f"{path}: redactions[{n}]", entry, sites) for n, entry in enumerate(entries))
    if twice := next((step.what for n, step in enumerate(steps) if step.what in {s.what for s in steps[:n]}), None):
        raise InputError(f"{path}: what = {twice!r} stands twice; name it once")
    left = {step.left_out for step in steps}
    if left >= set(sites):
        raise InputError(f"{path}: leaves out every site; nothing would be exported")
    return steps


def _step(where: str, entry: object, sites: Sequence[str]) -> Step:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: is {type(entry).__name__}, not keys and values; {_REMEDY}")
    for key in entry:
        if key not in _KEYS:
            raise InputError(f"{where}: unknown key {shown(str(key))!r}{_nearest(str(key), _KEYS)}")
    values = {key: _words(where, entry, key) for key in ("what", "why", "by")}
    date = entry.get("date")
    if date is not None and not isinstance(date, str | dt.date):
        raise InputError(f"{where}.date = {shown(str(date))!r}: is no day; write it as 2026-11-20, or leave it out")
    if not isinstance(entry.get("may_remain", False), bool):
        raise InputError(f"{where}.may_remain = {shown(str(entry['may_remain']))!r}: is neither true nor false")
    step = Step(**values, date=None if date is None else str(date), may_remain=entry.get("may_remain", False))
    _check_what(f"{where}.what = {shown(step.what)!r}", step, sites)
    return step


def _words(where: str, entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where}.{key}: is missing or no text; a redaction says what, why and by whom")
    return " ".join(value.split())


def _check_what(where: str, step: Step, sites: Sequence[str]) -> None:
    if step.left_out is not None:
        if step.left_out not in sites:
            raise InputError(f"{where}: is no site of this export{_nearest(step.left_out, sites)}")
        return
    if step.what in {*COLUMNS, LOCATION, RUNS}:
        return
    layer, _, column = step.what.partition(".")
    known = layer in LAYERS and column in {c.name for c in Layer.of(layer).columns}
    said = ": cannot be hidden: a redaction hides who and where, not what was measured" if known else ": is not known"
    raise InputError(f"{where}{said}{_nearest(step.what, [*COLUMNS, LOCATION, RUNS])}")


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; known are {', '.join(names)}"
