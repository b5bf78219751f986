"""Decisions -> what reviewers say of each pile in each year, also where a pile has since another name. Pure.

A decision is for the pile of its name. Names follow from places, so a pile that has grown or split may have another:
a decision is then for every pile without a decision of its own that lies on the outline it was made on.

- A **rejection** holds where at least half of the pile lies on the rejected outline: what is there now is mostly what
  was rejected. It does not hold for a large pile that has come to include a small rejected one.
- An **acceptance** (an outline drawn anew, or that it cannot be told) holds only for what is for the most part the
  same: overlap (intersection over union) of at least half. It must not spread to every splinter of what was accepted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.findings import PileSeries
from pipeline.grid import reproject
from pipeline.outlines import polygons_only
from pipeline.review.decisions import Decision, who

State = Literal["accepted", "rejected", "edited", "contested", "unclear"]

_HALF = 0.5
"""Half of an area: what decides whether two outlines are of one thing."""
_LONLAT = 4326


@dataclass(frozen=True)
class Standing:
    """What reviewers say together; ``outline`` is the decision whose outline counts, None where none was drawn."""

    state: State
    reviewed_as: str
    outline: Decision | None = None


@dataclass(frozen=True)
class Judged:
    """What reviewers say of the piles: of a year of a pile, and which piles each decision (by line) is for."""

    by_year: Mapping[tuple[str, int], Standing]
    applied: Mapping[int, tuple[str, ...]]

    def of_pile(self, pile: PileSeries) -> dict[int, Standing]:
        """Year to what is said of it."""
        found = {year.year: self.by_year.get((pile.pile_id, year.year)) for year in pile.years}
        return {year: standing for year, standing in found.items() if standing is not None}


def stand(decisions: Sequence[Decision], piles: Sequence[PileSeries], epsg: int) -> Judged:
    """Bring the decisions that count to the piles of a run.

    Parameters
    ----------
    decisions : sequence of Decision
        Those that count (:func:`pipeline.review.taking.counting`), of all kinds.
    piles : sequence of PileSeries
    epsg : int
        CRS of the piles.
    """
    of_piles = [d for d in decisions if d.kind == "pile"]
    ids = {pile.pile_id for pile in piles}
    outlines = [(d, _outline(d, epsg)) for d in of_piles]
    by_year: dict[tuple[str, int], Standing] = {}
    applied: dict[int, list[str]] = {}
    for pile in piles:
        own = [d for d in of_piles if d.object_id == pile.pile_id]
        said = own or [d for d, outline in outlines if outline is not None and _holds(d, outline, pile, ids)]
        for decision in said:
            if decision.of_year is None or any(year.year == decision.of_year for year in pile.years):
                applied.setdefault(decision.line, []).append(pile.pile_id)
        for year in pile.years:
            standing = together(_of_year(said, year.year))
            if standing is not None:
                by_year[pile.pile_id, year.year] = standing
    return Judged(by_year, {line: tuple(names) for line, names in applied.items()})


def together(said: Sequence[Decision]) -> Standing | None:
    """Put what reviewers say of one object in one year together, one decision each.

    Of several outlines the one of the least uncertainty counts, then the newest. Who cannot tell contradicts nobody.
    """
    if not said:
        return None
    unclear, said = said[0], [d for d in said if d.choice != "unclear"]
    if not said:
        return Standing("unclear", unclear.object_id)
    drawn = [d for d in said if d.choice == "edit" and d.outline is not None]
    rejected = [d for d in said if d.choice == "reject"]
    if rejected and len(rejected) < len(said):
        return Standing("contested", said[0].object_id)
    if rejected:
        return Standing("rejected", said[0].object_id)
    best = min(drawn, key=lambda d: (d.uncertainty_m or 0.0, -d.reviewed_on.toordinal(), -d.line), default=None)
    return Standing("edited" if best else "accepted", said[0].object_id, best)


def _of_year(said: Iterable[Decision], year: int) -> list[Decision]:
    """Give each reviewer's decision for a year: the one for this year, else the one for all."""
    chosen: dict[str, Decision] = {}
    for decision in said:
        former = chosen.get(who(decision.analyst))
        if decision.of_year == year or (decision.of_year is None and (former is None or former.of_year is None)):
            chosen[who(decision.analyst)] = decision
    return list(chosen.values())


def _outline(decision: Decision, epsg: int) -> BaseGeometry | None:
    """Outline a decision was made on, in the CRS of the piles."""
    if decision.machine is None:
        return None
    return reproject(polygons_only(shapely.make_valid(decision.machine.outline)), _LONLAT, epsg)


def _holds(decision: Decision, decided: BaseGeometry, pile: PileSeries, ids: set[str]) -> bool:
    """Whether a decision on another name is for a pile, which has none of its own."""
    now = _nearest_outline(pile, decision.machine.year if decision.machine else 0)
    if now is None or not decided.intersects(now):
        return False
    common = decided.intersection(now).area
    if decision.choice == "reject":
        return bool(common >= _HALF * now.area)
    # The accepted pile itself still has its name: this is another.
    return decision.object_id not in ids and bool(common >= _HALF * decided.union(now).area)


def _nearest_outline(pile: PileSeries, year: int) -> BaseGeometry | None:
    """Outline of a pile in the year nearest to one; of two the later."""
    drawn = [y for y in pile.years if y.geometry is not None and y.area_m2]
    nearest = min(drawn, key=lambda y: (abs(y.year - year), -y.year), default=None)
    return None if nearest is None else nearest.geometry
