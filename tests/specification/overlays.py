"""Ground laid over ground and over a zone, plainly: GEOS over the polygons of the whole site."""

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.outlines import polygons_only, to_polygons
from pipeline.types import PIXEL_M, Bool, Grid

_QUAD_SEGS = 4


def beyond(later: Bool, earlier: Bool, grid: Grid, eps_m: float) -> tuple[BaseGeometry, BaseGeometry]:
    """Ground of ``later`` farther than ``eps_m`` from ``earlier``, and the part of its own outline that is."""
    fresh, held = to_polygons(later & ~earlier, grid), to_polygons(earlier, grid).buffer(eps_m, quad_segs=_QUAD_SEGS)
    return polygons_only(fresh.difference(held)), fresh.boundary.difference(held)


def beyond_m2(later: Bool, earlier: Bool, zone: BaseGeometry, grid: Grid, eps_m: float) -> float:
    """Area in a zone of ground of ``later`` farther than ``eps_m`` from ``earlier``."""
    return float(beyond(later, earlier, grid, eps_m)[0].intersection(zone).area)


def cut(ground: BaseGeometry, zone: BaseGeometry) -> BaseGeometry:
    """Return the part of ground that lies in a zone."""
    return polygons_only(shapely.intersection(ground, zone))


def edge_inside_m(ground: Bool, zone: BaseGeometry, grid: Grid) -> float:
    """Length of a zone's own edge that lies in ground farther than a pixel from the ground's outline."""
    return float(to_polygons(ground, grid).buffer(-PIXEL_M).intersection(zone.boundary).length)
