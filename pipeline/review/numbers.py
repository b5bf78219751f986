"""Piles as reviewers leave them, for numbers that stand beside the machine's. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.compare import Z95
from pipeline.config import Config
from pipeline.findings import PileSeries, PileYear
from pipeline.grid import geodesic_area_m2, reproject
from pipeline.outlines import polygons_only
from pipeline.pile_measures import pile_tier
from pipeline.review.decisions import Decision, who
from pipeline.review.standing import Judged, Standing
from pipeline.types import PIXEL_M

PREFIX = "reviewed_"
"""Of a metric, and the machine's name of it behind."""
NOT_GIVEN = "a pile that a reviewer found is not given for this year"
UNCLEAR = "a reviewer cannot tell whether a pile is there"
_LONLAT = 4326
_MOSTLY = 0.5
"""An own pile is one that we lack when more than this share of it lies outside our outlines that count."""


def outline_sigma_m2(outline: BaseGeometry, uncertainty_m: float) -> float:
    """Return the standard deviation of the area in an outline whose edge is off by up to ``uncertainty_m`` all round.

    The error of a hand is common to the whole outline (georeference, what is taken as the edge), so it does not
    average out along it: half the 95 % interval is perimeter times uncertainty.

    Parameters
    ----------
    outline : BaseGeometry
        In metres.
    uncertainty_m : float
        Distance within which the true edge lies, at 95 %.
    """
    return float(outline.length) * uncertainty_m / Z95


def drawn(decision: Decision, epsg: int) -> BaseGeometry:
    """Outline of a decision in a CRS of metres; empty where it has none."""
    return polygons_only(reproject(decision.outline or shapely.MultiPolygon(), _LONLAT, epsg))


def reviewed_piles(
    piles: Sequence[PileSeries], judged: Judged, decisions: Sequence[Decision], epsg: int, config: Config
) -> list[PileSeries]:
    """Return the piles that count once the reviewers' decisions are taken in.

    Counted is what the machine counts or a reviewer accepted in some year. A pile rejected in all its years is left
    out, one rejected in a year is absent in it, one that cannot be told in a year is not judged in it; a drawn
    outline takes the place of ours in its year; what reviewers disagree on stays as the machine has it.

    Parameters
    ----------
    piles : sequence of PileSeries
        As measured.
    judged : Judged
    decisions : sequence of Decision
        Those that count.
    epsg : int
        CRS of the piles.
    config : Config
    """
    kept = [_reviewed(pile, judged.of_pile(pile), epsg, config) for pile in piles]
    counted = [pile for pile in kept if pile is not None]
    years = sorted({year.year for pile in piles for year in pile.years} or config.years.all)
    for own in _own_piles(decisions):
        added = _added(own, counted, years, epsg, config)
        counted += [added] if added is not None else []
    return counted


def as_measured(reviewed: Sequence[PileSeries], measured: Sequence[PileSeries]) -> list[PileSeries]:
    """Leave of piles after review the years with our own outline: what a hand drew shares no error with other years."""
    ours = {(pile.pile_id, year.year): year.geometry for pile in measured for year in pile.years}
    return [
        replace(p, years=tuple(y for y in p.years if y.geometry is ours.get((p.pile_id, y.year)))) for p in reviewed
    ]


def _reviewed(pile: PileSeries, said: Mapping[int, Standing], epsg: int, config: Config) -> PileSeries | None:
    """Return one pile as reviewers leave it; None when it does not count."""
    accepted = any(standing.state in {"accepted", "edited"} for standing in said.values())
    if pile_tier(pile) != "probable" and not accepted:
        return None
    years = [_reviewed_year(year, said.get(year.year), epsg, config) for year in pile.years]
    rejected = [y.year for y in pile.years if y.area_m2 and _state(said, y.year) == "rejected"]
    if rejected and not any(year.area_m2 or year.reason == UNCLEAR for year in years):
        return None
    counts = [bool(y.area_m2) or y.reason == UNCLEAR for y in years]
    return replace(
        pile, years=tuple(replace(y, tier="probable" if c else None) for y, c in zip(years, counts, strict=True))
    )


def _state(said: Mapping[int, Standing], year: int) -> str | None:
    return said[year].state if year in said else None


def _reviewed_year(year: PileYear, standing: Standing | None, epsg: int, config: Config) -> PileYear:
    if standing is not None and standing.state == "rejected":
        return _absent(year, config)
    if standing is not None and standing.state == "unclear":
        # How large it would be is known: by that the sum of the year is less certain.
        largest = max(year.area_m2 or 0.0, year.area_max_m2 or 0.0)
        return replace(year, area_m2=None, sigma_m2=None, geometry=None, reason=UNCLEAR, area_max_m2=largest)
    if standing is None or standing.outline is None:
        return year
    outline = drawn(standing.outline, epsg)
    return _given(year, outline, standing.outline.uncertainty_m or 0.0, epsg)


def _absent(year: PileYear, config: Config) -> PileYear:
    """Nothing there, with the uncertainty of the smallest pile that would be counted."""
    smallest = config.stockpile.min_measure_px * PIXEL_M**2 / Z95
    return replace(year, area_m2=0.0, sigma_m2=smallest, geometry=None, tier=None, reason=None)


def _given(year: PileYear, outline: BaseGeometry, uncertainty_m: float, epsg: int) -> PileYear:
    sigma = outline_sigma_m2(outline, uncertainty_m)
    area = geodesic_area_m2(outline, epsg)
    return replace(year, area_m2=area, sigma_m2=sigma, geometry=outline, tier="probable", reason=None)


def _own_piles(decisions: Sequence[Decision]) -> list[list[Decision]]:
    """Put what each reviewer says of each own pile together, the surest outline first."""
    groups: dict[tuple[str, str], list[Decision]] = {}
    for decision in decisions:
        if decision.kind == "own_pile":
            groups.setdefault((decision.object_id, who(decision.analyst)), []).append(decision)
    given = [group for group in groups.values() if any(d.choice == "own" for d in group)]

    def order(group: list[Decision]) -> tuple[float, int]:
        return min(d.uncertainty_m or 0.0 for d in group if d.choice == "own"), group[0].line

    return sorted(given, key=order)


def _added(
    own: Sequence[Decision], counted: Sequence[PileSeries], years: Sequence[int], epsg: int, config: Config
) -> PileSeries | None:
    """Return an own pile as far as it lies outside what counts already; None when that is no year's larger part.

    A year for which nothing is said of it cannot be judged: taken as empty, a pile that was looked for in one year
    alone would be an increase.
    """
    outlines = {d.year: drawn(d, epsg) for d in own if d.choice == "own" and d.year is not None}
    uncertainty = {d.year: d.uncertainty_m or 0.0 for d in own}
    absent = {d.year for d in own if d.choice == "reject"}
    whole = polygons_only(shapely.union_all(list(outlines.values())))
    found = []
    for number in years:
        year = PileYear(number, None, None, 0, None, None, None, None, reason=NOT_GIVEN)
        ours = _outlines_of(counted, number, outlines.get(number, whole))
        outside = polygons_only(outlines.get(number, whole).difference(ours))
        if outside.area <= _MOSTLY * outlines.get(number, whole).area:
            # It is one of ours in this year, counted there.
            year = replace(year, area_m2=0.0, sigma_m2=0.0, reason=None)
        elif number in outlines:
            year = _given(year, outside, uncertainty[number], epsg)
        elif number in absent:
            year = _absent(year, config)
        found.append(year)
    if not any(year.area_m2 for year in found):
        return None
    point = whole.representative_point()
    return PileSeries(f"{own[0].object_id} ({own[0].analyst})", (point.x, point.y), tuple(found))


def _outlines_of(counted: Sequence[PileSeries], year: int, near: BaseGeometry) -> BaseGeometry:
    """All outlines that count in a year, as far as they meet a place."""
    shapes = [y.geometry for p in counted for y in p.years if y.year == year and y.geometry is not None and y.area_m2]
    return polygons_only(shapely.union_all([shape for shape in shapes if shape.intersects(near)]))
