"""One decision of a reviewer as a record, and its line in the ledger, each with the hash of the line before. Pure."""

import datetime as dt
import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias, get_args

import numpy as np
import shapely
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from shapely.geometry import MultiPolygon, mapping, shape
from shapely.geometry.base import BaseGeometry

from pipeline.documents import parsed
from pipeline.outlines import polygons_only
from pipeline.printable import is_plain, plain

Kind = Literal["pile", "ground", "own_perimeter", "own_pile", "own_yard"]
Key: TypeAlias = tuple[str, str, int | None, str]
"""Kind, object, year and reviewer."""
Choice = Literal["accept", "reject", "edit", "unclear", "own", "withdraw"]

KINDS: tuple[str, ...] = get_args(Kind)
OURS: tuple[str, ...] = ("pile", "ground")
"""Kinds of objects that a run finds; the others are drawn by a reviewer."""
CHOICES: dict[str, tuple[str, ...]] = {
    # Unclear: whether it is there cannot be told, which is no absence.
    "pile": ("accept", "reject", "edit", "unclear", "withdraw"),
    "ground": ("accept", "reject", "edit", "withdraw"),
    **dict.fromkeys(("own_perimeter", "own_yard"), ("own", "withdraw")),
    # An own pile that was looked for in a year and is not there: without it that year stays unknown.
    "own_pile": ("own", "reject", "withdraw"),
}
"""Kind of an object -> what can be decided of it."""
DRAWN: tuple[str, ...] = ("edit", "own")
"""Decisions that come with an outline."""

MOST_TEXT = 2_000
"""Characters of a reason; a page has as many."""
MOST_VERTICES = 20_000
"""Of an outline; the largest measured one of the demo has 300."""
MOST_UNCERTAINTY_M = 1_000.0
FIRST_YEAR, LAST_YEAR = 1950, 2100
_DIGITS = 8
"""Decimal places of a degree: a millimetre."""


@dataclass(frozen=True)
class Machine:
    """What the program said of an object when it was put before the reviewer; ``outline`` in EPSG:4326."""

    year: int
    area_m2: float
    area_lo95_m2: float | None
    area_hi95_m2: float | None
    tier: str | None
    outline: BaseGeometry
    manifest_sha256: str


@dataclass(frozen=True)
class Decision:
    """What one reviewer decided of one object, for one year or for all (None); ``of_year`` is the year of an edit.

    ``outline`` (EPSG:4326) is there where the decision draws one; ``uncertainty_m`` is then the distance within
    which the true edge lies, at 95 %. ``machine`` is None for what a reviewer found alone. ``line`` is the place in
    the ledger, from 1; 0 before it is taken.
    """

    kind: Kind
    object_id: str
    year: int | None
    choice: Choice
    analyst: str
    reviewed_on: dt.date
    reason: str | None = None
    imagery: str | None = None
    source: str | None = None
    source_date: dt.date | None = None
    uncertainty_m: float | None = None
    outline: BaseGeometry | None = None
    machine: Machine | None = None
    line: int = 0

    @property
    def of_year(self) -> int | None:
        """Year the decision is for; an edit that names none is of the year of our outline."""
        if self.year is None and self.choice == "edit" and self.machine is not None:
            return self.machine.year
        return self.year

    @property
    def takes_back_all(self) -> bool:
        """Whether it withdraws what its reviewer said of the object for any year."""
        return self.choice == "withdraw" and self.year is None

    @property
    def key(self) -> Key:
        """What a later decision of the same reviewer takes the place of."""
        return self.kind, self.object_id, self.year, who(self.analyst)

    @property
    def said(self) -> "Decision":
        """The decision alone: equal for two rows that say the same."""
        return replace(self, machine=None, line=0)


def who(analyst: str) -> str:
    """One reviewer however the name was typed: two spellings are not two people who agree."""
    return " ".join(unicodedata.normalize("NFC", analyst).split()).casefold()


def rounded(outline: BaseGeometry) -> MultiPolygon:
    """Outline in EPSG:4326 as it is kept: a multipolygon to the millimetre; a valid one stays valid."""
    parts = outline if isinstance(outline, MultiPolygon) else polygons_only(outline)
    kept = shapely.transform(parts, lambda points: np.round(points, _DIGITS))
    if kept.is_valid or not parts.is_valid:
        return kept
    # Vertices nearer than that to each other (of a buffer, say) may have crossed.
    snapped = polygons_only(shapely.set_precision(parts, 10.0**-_DIGITS))
    return shapely.transform(snapped, lambda points: np.round(points, _DIGITS))


def _text(value: str) -> str:
    if not value.strip() or len(value) > MOST_TEXT or not is_plain(value):
        raise ValueError(f"is empty, longer than {MOST_TEXT} characters, or holds control characters")
    return value


def _outline(value: dict[str, Any]) -> dict[str, Any]:
    try:
        outline = shape(value)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        raise ValueError(f"is no outline ({' '.join(str(error).split())[:100]})") from error
    if outline.geom_type != "MultiPolygon" or outline.is_empty:
        raise ValueError("is no MultiPolygon with content")
    points = shapely.get_coordinates(outline)
    degrees = np.isfinite(points).all() and (np.abs(points) <= (180.0, 90.0)).all()
    if not degrees or len(points) > MOST_VERTICES:
        raise ValueError(f"holds coordinates that are no degrees, or more than {MOST_VERTICES:,} vertices")
    return value


def _valid(value: dict[str, Any]) -> dict[str, Any]:
    if not shape(_outline(value)).is_valid:
        raise ValueError("is no valid polygon: edges cross")
    return value


Text = Annotated[str, AfterValidator(_text)]
Outline = Annotated[dict[str, Any], AfterValidator(_outline)]
DrawnOutline = Annotated[dict[str, Any], AfterValidator(_valid)]
Year = Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _KeptMachine(_Kept):
    year: Year
    area_m2: float
    area_lo95_m2: float | None
    area_hi95_m2: float | None
    tier: Text | None
    outline: Outline
    manifest_sha256: Sha256


class _Line(_Kept):
    """One line of the ledger."""

    line: int
    previous: Sha256 | None
    taken_at: str
    site: Text
    object: Kind
    object_id: Text
    year: Year | None
    decision: Choice
    analyst: Text
    reviewed_on: dt.date
    reason: Text | None
    imagery: Text | None
    source: Text | None
    source_date: dt.date | None
    uncertainty_m: Annotated[float, Field(gt=0, le=MOST_UNCERTAINTY_M)] | None
    outline: DrawnOutline | None
    machine: _KeptMachine | None


def sha256_line(line: str) -> str:
    """Hash of a line of the ledger without its end."""
    return hashlib.sha256(line.encode("utf-8")).hexdigest()


def to_line(decision: Decision, site: str, former: Sequence[str], taken_at: dt.datetime) -> str:
    """Write a decision as the next line of a ledger, without its end.

    Parameters
    ----------
    decision : Decision
    site : str
        Id of the site.
    former : sequence of str
        The lines before.
    taken_at : datetime
        When it is taken, with a time zone.
    """
    machine = None
    if decision.machine is not None:
        machine = {**vars(decision.machine), "outline": _geojson(decision.machine.outline)}
    value = {
        "line": len(former) + 1,
        "previous": sha256_line(former[-1]) if former else None,
        "taken_at": taken_at.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "site": site,
        "object": decision.kind,
        "object_id": decision.object_id,
        "year": decision.year,
        "decision": decision.choice,
        "analyst": decision.analyst,
        "reviewed_on": decision.reviewed_on.isoformat(),
        "reason": decision.reason,
        "imagery": decision.imagery,
        "source": decision.source,
        "source_date": None if decision.source_date is None else decision.source_date.isoformat(),
        "uncertainty_m": decision.uncertainty_m,
        "outline": None if decision.outline is None else _geojson(decision.outline),
        "machine": machine,
    }
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def from_lines(lines: Sequence[str], site: str) -> list[Decision]:
    """Read the lines of a ledger; each must hold the hash of the one before.

    Raises
    ------
    ValueError
        A line is not as :func:`to_line` writes it, or the chain is broken; says which line and why.
    """
    found, previous = [], None
    for number, text in enumerate(lines, start=1):
        try:
            kept = _Line.model_validate(parsed(text, strict=True))
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in problem["loc"])
            raise ValueError(f"line {number}: {plain(key[:80]) or 'content'}: {problem['msg']}") from error
        except ValueError as error:
            raise ValueError(f"line {number}: is not JSON ({error})") from error
        if kept.line != number or kept.previous != previous:
            raise ValueError(f"line {number}: does not follow the line before it: a line was changed or is missing")
        if kept.site != site:
            raise ValueError(f"line {number}: is of site {plain(kept.site)!r}")
        previous = sha256_line(text)
        found.append(_decision(kept))
    return found


def _decision(kept: _Line) -> Decision:
    m = kept.machine
    machine = None
    if m is not None:
        known = m.year, m.area_m2, m.area_lo95_m2, m.area_hi95_m2, m.tier
        machine = Machine(*known, shape(m.outline), m.manifest_sha256)
    return Decision(
        kind=kept.object,
        object_id=kept.object_id,
        year=kept.year,
        choice=kept.decision,
        analyst=kept.analyst,
        reviewed_on=kept.reviewed_on,
        reason=kept.reason,
        imagery=kept.imagery,
        source=kept.source,
        source_date=kept.source_date,
        uncertainty_m=kept.uncertainty_m,
        outline=None if kept.outline is None else shape(kept.outline),
        machine=machine,
        line=kept.line,
    )


def _geojson(outline: BaseGeometry) -> dict[str, Any]:
    return dict(mapping(rounded(outline)))
