"""Ground along pixel edges cut along a zone, without laying over it what lies wholly inside. Pure.

GEOS takes a quarter of a kilobyte for every corner of what it cuts, and ground of a mine is one patch with thousands of
gaps.
"""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from pipeline.outlines import areal, multipolygon, polygons_only
from pipeline.types import PIXEL_M, Bool

_Polygons = NDArray[np.object_]
_APART_M = 1.0
"""What lies within a zone and nearer to its edge is laid over it: rounding may make them touch."""


def within_zone(ground: BaseGeometry, zone: BaseGeometry) -> MultiPolygon:
    """Part of ground along pixel edges, of patches apart from each other, that lies in a zone."""
    parts, sure = shapely.get_parts(areal(ground)), zone.buffer(-_APART_M)
    shapely.prepare(sure)
    inside = shapely.contains_properly(sure, parts)
    if inside.all():
        return multipolygon(parts)
    outlines, gaps = _without_gaps(parts[~inside], sure)
    cut = shapely.get_parts(polygons_only(shapely.intersection(multipolygon(outlines), zone)))
    return multipolygon(np.concatenate([parts[inside], _with_gaps(cut, gaps)]))


def _without_gaps(parts: _Polygons, sure: BaseGeometry) -> tuple[_Polygons, _Polygons]:
    """Fill gaps of patches that lie surely in a zone and keep no two other edges of theirs apart; return them too.

    Where gaps that touch each other lead from one edge to another, cutting one of these open parts the ground between:
    such gaps stay.
    """
    _, points, (starts, firsts) = shapely.to_ragged_array(parts)
    rings = shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, (starts, np.arange(len(starts))))
    filled = (_touches(points, starts) <= 1) & shapely.contains_properly(sure, rings)
    filled[firsts[:-1]] = False
    kept = np.flatnonzero(~filled)
    lengths = np.diff(starts)[kept]
    ends = np.concatenate([[0], np.cumsum(lengths)])
    index = np.arange(ends[-1]) + np.repeat(starts[kept] - ends[:-1], lengths)
    outlines = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, points[index], (ends, np.searchsorted(kept, firsts))
    )
    return outlines, rings[filled]


def _touches(points: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count how many corners of each ring are another one's too, or again its own."""
    corners = np.delete(np.round(points / PIXEL_M).astype(np.int64), starts[1:] - 1, axis=0)
    _, place, times = np.unique(corners[:, 0] * 2**32 + corners[:, 1], return_inverse=True, return_counts=True)
    first = starts[:-1] - np.arange(len(starts) - 1)
    return np.asarray(np.add.reduceat((times[place] > 1).astype(np.int64), first))


def _with_gaps(parts: _Polygons, gaps: _Polygons) -> _Polygons:
    """Cut gaps out of the polygons they lie in."""
    x, y = shapely.get_coordinates(shapely.point_on_surface(gaps)).T
    found, left = [], np.ones(len(gaps), dtype=bool)
    for part, (west, south, east, north) in zip(parts, shapely.bounds(parts), strict=True):
        near = np.flatnonzero(left & (x > west) & (x < east) & (y > south) & (y < north))
        held: Bool = np.zeros(0, dtype=bool)
        if near.size:
            shapely.prepare(part)
            held = shapely.contains_xy(part, x[near], y[near])
        left[near[held]] = False
        holes = [*shapely.get_rings(part)[1:], *shapely.get_exterior_ring(gaps[near[held]])]
        found.append(shapely.polygons(shapely.get_exterior_ring(part), holes) if held.any() else part)
    return np.array(found, dtype=object)
