"""Ground of two dates laid over each other, and over a zone, without touching what both share. Pure."""

import numpy as np
import shapely
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from models._morphology import grown, shrunk
from pipeline.grid import touched
from pipeline.outlines import multipolygon, polygons_only, tight, to_polygons
from pipeline.types import PIXEL_M, Bool, Grid

_QUAD_SEGS = 4
"""Chords of a quarter circle: of 8 m radius they are off by 15 cm at most."""


def beyond(later: Bool, earlier: Bool, grid: Grid, eps_m: float) -> tuple[MultiPolygon, BaseGeometry]:
    """Ground of ``later`` farther than ``eps_m`` from ``earlier``, and the part of its own outline that is.

    Only ground of ``later`` alone is drawn, and of ``earlier`` what lies near it: the rest cannot differ.
    """
    fresh = later & ~earlier
    at = _window(fresh, int(np.ceil(eps_m / PIXEL_M)))
    near = fresh[at]
    for _ in range(int(np.ceil(eps_m / PIXEL_M))):
        near = grown(near, corners=True)
    held = to_polygons(earlier[at] & near, grid, at).buffer(eps_m, quad_segs=_QUAD_SEGS)
    drawn = to_polygons(fresh[at], grid, at)
    return polygons_only(drawn.difference(held)), drawn.boundary.difference(held)


def _window(mask: Bool, margin_px: int) -> tuple[slice, slice]:
    """Rows and columns that hold all of a mask, with a margin."""
    rows, columns = (slice(max(s.start - margin_px, 0), s.stop + margin_px) for s in tight(mask))
    return rows, columns


class ZoneCutter:
    """Cuts ground along a zone; what lies wholly inside is not drawn again.

    It holds a copy of the zone: a prepared geometry is not shared with other threads.
    """

    def __init__(self, zone: BaseGeometry) -> None:
        self._zone = shapely.from_wkb(shapely.to_wkb(zone))
        shapely.prepare(self._zone)

    def cut(self, ground: BaseGeometry) -> MultiPolygon:
        """Return the polygons of ground, valid and apart from each other, that lie in the zone."""
        parts = shapely.get_parts(ground)
        inside = shapely.contains_properly(self._zone, parts)
        crossing = parts[~inside & shapely.intersects(self._zone, parts)]
        cut = polygons_only(shapely.intersection(multipolygon(crossing), self._zone))
        return multipolygon(np.concatenate([parts[inside], shapely.get_parts(cut)]))

    def length_m(self, lines: BaseGeometry) -> float:
        """Length of lines, crossing each other nowhere, inside the zone."""
        parts = shapely.get_parts(lines)
        inside = shapely.contains_properly(self._zone, parts)
        crossing = parts[~inside & shapely.intersects(self._zone, parts)]
        cut = shapely.intersection(shapely.multilinestrings(crossing), self._zone).length if crossing.size else 0.0
        return float(shapely.length(parts[inside]).sum() + cut)


def edge_inside_m(ground: Bool, zone: BaseGeometry, grid: Grid) -> float:
    """Length of a zone's own edge that lies in ground farther than a pixel from the ground's outline."""
    line = zone.boundary
    # Nothing of a pixel with other than ground on a side of it is farther.
    crossed = shrunk(ground) & touched(line, grid)
    if not crossed.any():
        return 0.0
    at = _window(crossed, 2)
    near = ground[at] & grown(grown(crossed[at], corners=True), corners=True)
    return float(to_polygons(near, grid, at).buffer(-PIXEL_M).intersection(line).length)
