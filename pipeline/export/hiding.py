"""Tables without what is hidden: what people are called and what they wrote, or where a site is. Pure.

A value is hidden in its column and wherever else it stands in a text; the same value has the same mark in its place
everywhere, so that two reviewers stay two. A text that was given never becomes one that was not.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from shapely.geometry import MultiPolygon

from pipeline.export.commitments import Closed
from pipeline.export.redaction import LOCATION, RUNS, Step
from pipeline.products._columns import GEOMETRY_FIELD, Layer
from pipeline.records import Row, RunRow, SceneRow, StockpileChangeRow, StockpileRow, Tables, ZoneRow
from pipeline.review_records import ReviewRow

_SHORT = 5
"""Letters of a word that may be a part of many others: of fewer, only the whole word is meant."""
_NOTE = "Site: "
_NAMED_BY_PEOPLE = {"named", "control"}
_KEPT = {"id", "site_id", "scene_id", "key", "claim_id", "sha256", "manifest_sha256"}
"""Columns that are addresses of the result: what they name is in the names of its files too."""


@dataclass(frozen=True)
class Hidden:
    """A value that is hidden, what stands in its place, and the step that asks for it."""

    value: str
    mark: str
    step: Step

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Where the value stands in a text, in any case of its letters."""
        return re.compile(pattern_of(self.value), re.IGNORECASE)


def pattern_of(value: str) -> str:
    """Return the pattern of a value in texts; spaces match any space, a short word only itself."""
    inner = r"\s+".join(re.escape(word) for word in unicodedata.normalize("NFC", value).split())
    whole = value.isascii() and len(value) < _SHORT
    return rf"(?<!\w){inner}(?!\w)" if whole else inner


def hidden_values(tables: Tables, steps: Sequence[Step], sites: Mapping[str, str]) -> tuple[Hidden, ...]:
    """Collect the values steps hide, in the order of their rows, numbered through.

    Parameters
    ----------
    tables : Tables
        Of one site.
    steps : sequence of Step
    sites : mapping
        Id and name of each site that is left out.
    """
    found: dict[str, Hidden] = {}
    for step in steps:
        values = [step.left_out, sites[step.left_out]] if step.left_out is not None else _values(tables, step)
        for value in values:
            if value.strip():
                mark = f"[redacted {1 + len({h.mark for h in found.values() if h.mark.startswith('[')})}]"
                found.setdefault(value, Hidden(value, mark, step))
        if step.what == LOCATION:
            for number, pile in enumerate(_piles(tables), start=1):
                found[pile] = Hidden(pile, f"pile-{number}", step)
    for row in tables["zones"]:
        if isinstance(row, ZoneRow) and row.name in found and ":" in row.zone_id:
            slug = found[row.name].mark.strip("[]").replace(" ", "-")
            mark = f"{row.zone_id.partition(':')[0]}:{slug}"
            found[row.zone_id] = Hidden(row.zone_id, mark, found[row.name].step)
    return tuple(found.values())


def holds_nothing(tables: Tables, step: Step) -> bool:
    """Whether the column a step names is empty here; values another step hides too are not nothing."""
    is_column = step.left_out is None and step.what not in {LOCATION, RUNS}
    return is_column and not any(value.strip() for value in _values(tables, step))


def _values(tables: Tables, step: Step) -> Iterator[str]:
    """Give the texts of a column; the note of a site stands in the layer of facts."""
    layer, _, column = step.what.partition(".")
    if step.what == "sites.note":
        notes = (row.value for row in tables["run"] if isinstance(row, RunRow) and row.key.startswith("note_"))
        yield from (note.removeprefix(_NOTE) for note in notes if note.startswith(_NOTE))
    elif step.what == "zones.name":
        # Inside, adjacent and outside are called so by the program.
        yield from (row.name for row in tables["zones"] if isinstance(row, ZoneRow) and row.role in _NAMED_BY_PEOPLE)
    elif column:
        yield from (value for row in tables[layer] if (value := getattr(row, column)) is not None)


def _piles(tables: Tables) -> list[str]:
    rows = [*tables["stockpiles"], *tables["stockpile_changes"]]
    named = dict.fromkeys(row.pile_id for row in rows if isinstance(row, StockpileRow | StockpileChangeRow))
    parts = (part for row in rows if isinstance(row, StockpileRow) and row.parts for part in _PILE.findall(row.parts))
    return list(named | dict.fromkeys(parts))


_PILE = re.compile(r"p\d+-\d+")


def hide(tables: Tables, hidden: Sequence[Hidden], *, location: bool) -> tuple[Tables, dict[str, int]]:
    """Put marks in the place of hidden values, and take away outlines where the location is hidden.

    Parameters
    ----------
    tables : Tables
    hidden : sequence of Hidden
    location : bool
        True: no row keeps its outline; where a layer must have one it is empty.

    Returns
    -------
    tuple of (Tables, dict)
        The tables, and in how many cells of each column something was hidden.
    """
    replaced = replacer(hidden)
    counts: dict[str, int] = {}
    made: Tables = {}
    for name, rows in tables.items():
        layer = Layer.of(name)
        columns = [c for c in layer.columns if c.type is str and not c.told.values and c.name not in _KEPT]
        made[name] = []
        for row in rows:
            changes: dict[str, Any] = {}
            for column in columns:
                text = getattr(row, column.field)
                if text is not None and (other := replaced(text)) != text:
                    changes[column.field] = other
                    counts[f"{name}.{column.name}"] = counts.get(f"{name}.{column.name}", 0) + 1
            if location and layer.spatial:
                changes[GEOMETRY_FIELD] = None if layer.geometry_nullable else MultiPolygon()
                counts[f"{name}.{GEOMETRY_FIELD}"] = counts.get(f"{name}.{GEOMETRY_FIELD}", 0) + 1
            made[name].append(_changed(row, changes))
    return made, counts


def without_hashes(tables: Tables, closed: Closed | None, *, location: bool) -> Tables:
    """Close hashes in rows that were made over something hidden.

    Parameters
    ----------
    tables : Tables
    closed : Closed or None
        Takes the hashes of manifests reviewers decided upon: those name the site file and former decisions. None:
        nothing of these is hidden.
    location : bool
        True: hashes of pixels are taken away. A window of a public image with that hash would show where the site is.
    """
    made = dict(tables)
    made["reviews"] = [
        dataclasses.replace(row, manifest_sha256=closed.close("a former manifest.json", row.manifest_sha256))
        if closed is not None and isinstance(row, ReviewRow) and row.manifest_sha256
        else row
        for row in tables["reviews"]
    ]
    if location:
        made["scenes"] = [
            dataclasses.replace(row, sha256=None) if isinstance(row, SceneRow) else row for row in tables["scenes"]
        ]
    return made


def _changed(row: Row, changes: Mapping[str, Any]) -> Row:
    return dataclasses.replace(row, **changes) if changes else row


def replacer(hidden: Sequence[Hidden]) -> Callable[[str], str]:
    """Return what puts marks in the place of hidden values of a text; of two that overlap the longer counts."""
    if not hidden:
        return lambda text: text
    ordered = sorted(hidden, key=lambda one: (-len(one.value), one.value))
    pattern = re.compile("|".join(f"({pattern_of(one.value)})" for one in ordered), re.IGNORECASE)

    def replaced(text: str) -> str:
        composed = unicodedata.normalize("NFC", text)
        made, count = pattern.subn(lambda match: ordered[(match.lastindex or 1) - 1].mark, composed)
        return made if count else text

    return replaced
