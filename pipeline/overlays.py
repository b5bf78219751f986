"""Ground of two dates laid over each other, and over a zone, without touching what both share. Pure."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiLineString, MultiPolygon
from shapely.geometry.base import BaseGeometry

from models._morphology import grown, shrunk
from pipeline.grid import touched
from pipeline.outlines import multipolygon, polygons_only, to_polygons
from pipeline.types import PIXEL_M, Bool, Grid

_QUAD_SEGS = 4
"""Chords of a quarter circle: of 8 m radius they are off by 15 cm at most."""
_TILE_M = 10_000.0
"""What starts in one tile is laid over at once."""


def beyond(later: Bool, earlier: Bool, grid: Grid, eps_m: float) -> tuple[MultiPolygon, BaseGeometry]:
    """Ground of ``later`` farther than ``eps_m`` from ``earlier``, and the part of its own outline that is.

    Only ground of ``later`` alone is drawn, and of ``earlier`` what lies near it: the rest cannot differ.
    """
    fresh = later & ~earlier
    reach = int(np.ceil(eps_m / PIXEL_M))
    ground, rims = [], []
    for patches in _groups(shapely.get_parts(to_polygons(fresh, grid))):
        drawn = multipolygon(patches)
        at = _pixels(drawn, grid, reach)
        near = fresh[at]
        for _ in range(reach):
            near = grown(near, corners=True)
        held = to_polygons(earlier[at] & near, grid, at).buffer(eps_m, quad_segs=_QUAD_SEGS)
        ground.append(shapely.get_parts(polygons_only(drawn.difference(held))))
        rims.append(shapely.get_parts(drawn.boundary.difference(held)))
    if not ground:
        return MultiPolygon(), MultiLineString()
    return multipolygon(np.concatenate(ground)), shapely.multilinestrings(np.concatenate(rims))


def _groups(parts: NDArray[np.object_]) -> Iterator[NDArray[np.object_]]:
    """Give parts that lie near each other together: what is done with a whole country at once takes its memory."""
    if parts.size:
        tiles = (shapely.bounds(parts)[:, :2] // _TILE_M).astype(np.int64)
        _, group = np.unique(tiles, axis=0, return_inverse=True)
        order = np.argsort(group.ravel(), kind="stable")
        yield from np.split(parts[order], np.flatnonzero(np.diff(group.ravel()[order])) + 1)


def _pixels(geometry: BaseGeometry, grid: Grid, margin_px: int) -> tuple[slice, slice]:
    """Rows and columns of the grid that hold a geometry along pixel edges, with a margin."""
    left, bottom, right, top = geometry.bounds
    rows = round((grid.top_m - top) / PIXEL_M), round((grid.top_m - bottom) / PIXEL_M)
    columns = round((left - grid.left_m) / PIXEL_M), round((right - grid.left_m) / PIXEL_M)
    window = [slice(max(first - margin_px, 0), last + margin_px) for first, last in (rows, columns)]
    return window[0], window[1]


class ZoneCutter:
    """Cuts ground along a zone; what lies wholly inside is not drawn again.

    It holds a copy of the zone: a prepared geometry is not shared with other threads.
    """

    def __init__(self, zone: BaseGeometry) -> None:
        self._zone = shapely.from_wkb(shapely.to_wkb(zone))
        shapely.prepare(self._zone)

    def cut(self, ground: BaseGeometry) -> MultiPolygon:
        """Return the polygons of ground, valid and apart from each other, that lie in the zone."""
        inside, crossing = self._sorted(ground)
        cut = (polygons_only(shapely.intersection(multipolygon(group), self._zone)) for group in _groups(crossing))
        return multipolygon(np.concatenate([inside, *(shapely.get_parts(piece) for piece in cut)]))

    def length_m(self, lines: BaseGeometry) -> float:
        """Length of lines, crossing each other nowhere, inside the zone."""
        inside, crossing = self._sorted(lines)
        cut = (shapely.intersection(shapely.multilinestrings(group), self._zone) for group in _groups(crossing))
        return float(shapely.length(inside).sum() + sum(piece.length for piece in cut))

    def _sorted(self, geometry: BaseGeometry) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Part a geometry into what lies wholly in the zone and what crosses its edge."""
        parts = shapely.get_parts(geometry)
        inside = shapely.contains_properly(self._zone, parts)
        return parts[inside], parts[~inside & shapely.intersects(self._zone, parts)]


def edge_inside_m(ground: Bool, zone: BaseGeometry, grid: Grid) -> float:
    """Length of a zone's own edge that lies in ground farther than a pixel from the ground's outline."""
    line = zone.boundary
    # Nothing of a pixel with other than ground on a side of it is farther.
    crossed = shrunk(ground) & touched(line, grid)
    near = ground & grown(grown(crossed, corners=True), corners=True)
    return float(to_polygons(near, grid).buffer(-PIXEL_M).intersection(line).length)
