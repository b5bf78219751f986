"""A row of a review file -> a decision, or one line that names row, column, value and remedy. Pure.

The file comes back from a reviewer's desk: every value is checked as if a stranger had written it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from pipeline.grid import reproject
from pipeline.printable import is_plain, shown
from pipeline.review.decisions import (
    CHOICES,
    DRAWN,
    FIRST_YEAR,
    KINDS,
    LAST_YEAR,
    MOST_TEXT,
    MOST_UNCERTAINTY_M,
    MOST_VERTICES,
    OURS,
    Choice,
    Decision,
    Kind,
    Machine,
    rounded,
)

_LONLAT = 4326
_MOST_NAME = 80


@dataclass(frozen=True)
class RawRow:
    """A row as it stands in the file: column to value, and the outline (CRS of the site) or why there is none."""

    fid: int
    values: Mapping[str, Any]
    outline: BaseGeometry | None
    broken: str | None = None


@dataclass(frozen=True)
class Place:
    """What rows are checked against: AOI (EPSG:4326), and the last day a decision may have been taken."""

    aoi: BaseGeometry
    latest: dt.date


@dataclass(frozen=True)
class ReviewFile:
    """A review file as it was handed back, its rows in order.

    ``offered`` is what each object was when it was put in, ``outlines`` its outline in the CRS of the file (``epsg``).
    ``site`` is the site it was made for, None where a file of an earlier version does not tell.
    """

    epsg: int
    rows: tuple[RawRow, ...]
    offered: Mapping[tuple[str, str], Machine]
    outlines: Mapping[tuple[str, str], BaseGeometry]
    site: str | None = None


@dataclass(frozen=True)
class Fault:
    """What is wrong with one row, and what to do about it."""

    fid: int
    column: str
    value: object
    remedy: str

    def __str__(self) -> str:
        """One line for the reviewer."""
        value = "empty" if self.value is None or self.value == "" else shown(repr(self.value))
        return f"row {self.fid}: {self.column} is {value}: {self.remedy}"


class _BadValueError(Exception):
    def __init__(self, column: str, value: object, remedy: str) -> None:
        super().__init__(column, value, remedy)
        self.fault = column, value, remedy


def check(row: RawRow, file: ReviewFile, place: Place) -> Decision | Fault | None:
    """Turn a row of a file into a decision; None while its object waits for one."""
    try:
        return _Checked(row, file, place).decision()
    except _BadValueError as bad:
        return Fault(row.fid, *bad.fault)


def check_rows(file: ReviewFile, place: Place) -> tuple[list[Decision], list[Fault]]:
    """Check all rows of a file: sound decisions, and faults.

    Two rows by one reviewer on the same object and year that say different things are both faults: which came last,
    the file does not tell.
    """
    decisions: dict[tuple[str, str, int | None, str], tuple[int, Decision]] = {}
    faults, twice = [], set()
    for row in file.rows:
        found = check(row, file, place)
        if isinstance(found, Fault):
            faults.append(found)
        elif found is not None:
            former = decisions.setdefault(found.key, (row.fid, found))
            if former[1].said != found.said:
                remedy = (
                    f"row {former[0]} by the same reviewer on this object and year says otherwise; delete one of them"
                )
                faults.append(Fault(row.fid, "decision", found.choice, remedy))
                twice.add(found.key)
    return [d for key, (_, d) in decisions.items() if key not in twice], faults


@dataclass(frozen=True)
class _Checked:
    """One row under check; each method raises where a value cannot be taken."""

    row: RawRow
    file: ReviewFile
    place: Place

    def decision(self) -> Decision | None:
        kind = self.choice_of("object", KINDS)
        choice = self.row.values.get("decision")
        if kind in OURS and (choice is None or choice == ""):
            return None
        choice = self.choice_of("decision", CHOICES[kind])
        object_id = self.text("object_id", most=_MOST_NAME)
        if object_id is None:
            raise _BadValueError("object_id", None, "give the outline a name of its own, e.g. north-yard")
        machine = self.machine(kind, object_id)
        if choice not in DRAWN:
            self.check_unmoved(choice)
        source_date = self.day("source_date", needed=choice == "own")
        return Decision(
            kind=cast("Kind", kind),
            object_id=object_id,
            year=self.year(kind, choice, source_date),
            choice=cast("Choice", choice),
            analyst=self.needed("analyst", "name the reviewer who decided"),
            reviewed_on=cast("dt.date", self.day("reviewed_on", needed=True)),
            reason=self.reason(choice),
            imagery=self.imagery(kind, choice),
            source=self.needed("source", "say what it was drawn on") if choice == "own" else self.text("source"),
            source_date=source_date,
            uncertainty_m=self.uncertainty(needed=choice in DRAWN),
            outline=self.outline() if choice in DRAWN else None,
            machine=machine,
        )

    def machine(self, kind: str, object_id: str) -> Machine | None:
        if kind not in OURS:
            return None
        known = self.file.offered.get((kind, object_id))
        if known is None:
            remedy = "no such object was put into this file; copy the row of the object, or draw one of your own"
            raise _BadValueError("object_id", object_id, remedy)
        return known

    def year(self, kind: str, choice: str, source_date: dt.date | None) -> int | None:
        """Year as the row has it: what it is called does not depend on the choice, so that a later one replaces it."""
        value = self.row.values.get("year")
        if value is None:
            if kind != "own_pile" or choice == "withdraw":
                return None
            if source_date is None:
                raise _BadValueError("year", None, "say which year the own pile is of")
            return source_date.year
        if isinstance(value, bool) or not isinstance(value, int) or not FIRST_YEAR <= value <= LAST_YEAR:
            raise _BadValueError("year", value, "write a year such as 2023, or leave it empty for all years")
        if kind == "ground":
            raise _BadValueError("year", value, "leave it empty: a gain of ground is of the two years in its name")
        if value > cast("dt.date", self.day("reviewed_on", needed=True)).year:
            raise _BadValueError("year", value, "is after the day of the decision; correct the year")
        return value

    def reason(self, choice: str) -> str | None:
        if choice in {"reject", "edit", "unclear", "withdraw"}:
            return self.needed("reason", f"say why, in a sentence; needed for {choice}")
        return self.text("reason")

    def imagery(self, kind: str, choice: str) -> str | None:
        if kind in OURS and choice != "withdraw":
            return self.needed("imagery", "say what was looked at, e.g. composites 2018-2023, Maxar 2023-05-02")
        return self.text("imagery")

    def uncertainty(self, *, needed: bool) -> float | None:
        value = self.row.values.get("uncertainty_m")
        remedy = "say within how many metres the true edge lies (95 %)"
        if value is None and not needed:
            return None
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
        if not 0 < number <= MOST_UNCERTAINTY_M:
            raise _BadValueError("uncertainty_m", value, f"{remedy}; above 0, at most {MOST_UNCERTAINTY_M:g}")
        return number

    def choice_of(self, column: str, allowed: Sequence[str]) -> str:
        value = self.row.values.get(column)
        if not isinstance(value, str) or value not in allowed:
            raise _BadValueError(column, value, f"choose one of {', '.join(allowed)}")
        return value

    def text(self, column: str, *, most: int = MOST_TEXT) -> str | None:
        value = self.row.values.get(column)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if not isinstance(value, str) or len(value) > most or not is_plain(value):
            raise _BadValueError(column, value, f"write text without control characters, at most {most:,} characters")
        return value.strip()

    def needed(self, column: str, remedy: str) -> str:
        text = self.text(column)
        if text is None:
            raise _BadValueError(column, None, remedy)
        return text

    def day(self, column: str, *, needed: bool) -> dt.date | None:
        value = self.row.values.get(column)
        if (value is None or value == "") and not needed:
            return None
        try:
            day = dt.date.fromisoformat(value)  # type: ignore[arg-type]  # what is no text raises
        except (TypeError, ValueError):
            raise _BadValueError(column, value, "give a day, e.g. 2024-03-31") from None
        if day.year < FIRST_YEAR or day > self.place.latest:
            raise _BadValueError(column, value, f"is not between {FIRST_YEAR} and today; correct the day")
        return day

    def outline(self) -> BaseGeometry:
        """Outline drawn by the reviewer, valid once it is in degrees too."""
        drawn = self._polygon()
        if drawn is None:
            raise _BadValueError("geometry", None, "draw the outline")
        kept = rounded(reproject(drawn, self.file.epsg, _LONLAT))
        if not kept.is_valid:
            why = f"no edges may cross ({shown(explain_validity(drawn if not drawn.is_valid else kept))}); redraw it"
            raise _BadValueError("geometry", "not a valid polygon", why)
        if not kept.intersects(self.place.aoi):
            raise _BadValueError("geometry", "outside the AOI", "move it, or enlarge the AOI in the site file")
        if _same(drawn, self._ours()):
            remedy = "edit takes an outline that differs; change it, or choose accept"
            raise _BadValueError("geometry", "the outline as we have it", remedy)
        return kept

    def check_unmoved(self, choice: str) -> None:
        """Refuse an outline that was moved without being called edited: it would be lost."""
        drawn = self._polygon() if choice in {"accept", "reject", "unclear"} else None
        ours = self._ours()
        if drawn is not None and ours is not None and not _same(drawn, ours):
            remedy = f"to keep the new outline choose edit; to {choice} ours, restore it (copy it from stockpiles)"
            raise _BadValueError("geometry", "another outline than ours", remedy)

    def _ours(self) -> BaseGeometry | None:
        """Outline that was put before the reviewer; None of what was found without us."""
        return self.file.outlines.get((str(self.row.values.get("object")), str(self.row.values.get("object_id"))))

    def _polygon(self) -> BaseGeometry | None:
        if self.row.broken is not None:
            raise _BadValueError("geometry", self.row.broken, "draw the outline again")
        drawn = self.row.outline
        if drawn is None or drawn.is_empty:
            return None
        points = shapely.get_coordinates(drawn)
        if drawn.geom_type not in {"Polygon", "MultiPolygon"} or not np.isfinite(points).all():
            raise _BadValueError("geometry", drawn.geom_type, "draw a polygon")
        if len(points) > MOST_VERTICES:
            raise _BadValueError("geometry", f"{len(points):,} vertices", f"simplify it to {MOST_VERTICES:,}")
        return shapely.force_2d(drawn)


def _same(drawn: BaseGeometry, ours: BaseGeometry | None) -> bool:
    """Whether two outlines have the same vertices, whatever polygon or ring comes first."""
    if ours is None:
        return False
    one, other = (shapely.normalize(shapely.MultiPolygon(shapely.get_parts(shape).tolist())) for shape in (drawn, ours))
    return bool(one == other)
