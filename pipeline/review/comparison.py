"""A reviewer's outline beside what was measured there. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.findings import PileSeries, ZoneGround
from pipeline.grid import geodesic_area_m2
from pipeline.outlines import polygons_only
from pipeline.review.decisions import Decision
from pipeline.review.numbers import drawn

_STEP_M = 5.0
"""Between points along a boundary: half a pixel."""
_MOST_POINTS = 4_000
"""Along a boundary: a perimeter of 20 km at 5 m."""
_SITE = "site"


@dataclass(frozen=True)
class Comparison:
    """One outline (CRS of metres) and ours: areas in m2, distances from its boundary to ours in metres.

    All that is of ours is None where nothing of ours meets the outline.
    """

    decision: Decision
    outline: BaseGeometry
    year: int
    area_m2: float
    compared_with: str | None = None
    our_area_m2: float | None = None
    overlap: float | None = None
    share_of_ours_inside: float | None = None
    distance_p50_m: float | None = None
    distance_p90_m: float | None = None


def compare_outlines(
    decisions: Sequence[Decision],
    piles: Sequence[PileSeries],
    ground: Mapping[int, Sequence[ZoneGround]],
    epsg: int,
) -> list[Comparison]:
    """Hold every outline that counts against ours: a perimeter against occupied ground, others against piles.

    Parameters
    ----------
    decisions : sequence of Decision
        Those that count.
    piles : sequence of PileSeries
        As measured, candidates too.
    ground : Mapping[int, sequence of ZoneGround]
        Occupied ground by year.
    epsg : int
        CRS of piles and ground.
    """
    return [_compared(d, piles, ground, epsg) for d in decisions if d.outline is not None]


def _compared(
    decision: Decision, piles: Sequence[PileSeries], ground: Mapping[int, Sequence[ZoneGround]], epsg: int
) -> Comparison:
    outline = drawn(decision, epsg)
    wanted = decision.of_year or (decision.source_date or decision.reviewed_on).year
    alone = Comparison(decision, outline, wanted, geodesic_area_m2(outline, epsg))
    of_ground = decision.kind in {"own_perimeter", "ground"}
    by_year = _ground(ground) if of_ground else _piles(piles, decision, outline)
    near = min(by_year, key=lambda year: (abs(year - wanted), -year), default=None)
    if near is None or not by_year[near].intersects(outline):
        return alone
    ours, what = by_year[near], "occupied ground" if of_ground else "piles"
    common = ours.intersection(outline).area
    p50, p90 = boundary_distances(outline, ours)
    return Comparison(
        *(decision, outline, wanted, alone.area_m2, f"{what} of {near}", geodesic_area_m2(ours, epsg)),
        *(float(common / ours.union(outline).area), float(common / ours.area), p50, p90),
    )


def _ground(ground: Mapping[int, Sequence[ZoneGround]]) -> dict[int, BaseGeometry]:
    """Occupied ground of the whole site in every year that has some."""
    found = {}
    for year, zones in ground.items():
        shapes = [shape for zone in zones if zone.zone_id == _SITE for shape in zone.by_class.values()]
        whole = polygons_only(shapely.union_all(shapes))
        if not whole.is_empty:
            found[year] = whole
    return found


def _piles(piles: Sequence[PileSeries], decision: Decision, outline: BaseGeometry) -> dict[int, BaseGeometry]:
    """Year to the pile decided on; of what a reviewer found alone, to all piles that meet it."""
    shapes: dict[int, list[BaseGeometry]] = {}
    for pile in piles:
        for year in pile.years:
            if year.geometry is not None and year.area_m2:
                mine = pile.pile_id == decision.object_id if decision.kind == "pile" else True
                if mine and year.geometry.intersects(outline):
                    shapes.setdefault(year.year, []).append(year.geometry)
    return {year: polygons_only(shapely.union_all(of_year)) for year, of_year in shapes.items()}


def boundary_distances(theirs: BaseGeometry, ours: BaseGeometry) -> tuple[float, float]:
    """Median and 90th percentile of the distance from points along one boundary to the other, metres."""
    step = max(_STEP_M, theirs.length / _MOST_POINTS)
    points = [
        shapely.line_interpolate_point(ring, np.arange(0.0, ring.length, step))
        for ring in shapely.get_parts(theirs.boundary)
    ]
    edge = ours.boundary
    shapely.prepare(edge)
    away = shapely.distance(np.concatenate(points), edge)
    return float(np.median(away)), float(np.quantile(away, 0.9))
