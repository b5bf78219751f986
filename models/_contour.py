"""Polygons of a pile from the fraction of pile on fine points."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from models._contour_kernels import parts_of, rings_of
from models._delineate_kernels import PSF_SIGMA_PX
from models._indices import Bool

Float64 = NDArray[np.float64]

_ARC_SEGMENTS = 16
"""Chords of a quarter circle where an outline is moved round a corner."""


def contour(fine: Float64, level: float, member: Bool) -> BaseGeometry:
    """Polygons where a fraction exceeds ``level`` that meet a pile, freed of what the point spread took from them.

    A hole stays a hole unless most of it belongs to the pile by persistence: a sunlit slope may be as bright as
    the ground on a date.

    Parameters
    ----------
    fine : Float64
        Shape (n x rows, n x columns), n odd: fraction of pile on n points a pixel and axis.
    level : float
    member : Bool
        Shape (rows, columns): pixels of the pile by persistence.

    Returns
    -------
    BaseGeometry
        In (column, row), pixel edges at whole numbers; empty when nothing meets the pile.
    """
    points_px = fine.shape[0] // member.shape[0]
    seeds = np.zeros(fine.shape, dtype=bool)
    seeds[points_px // 2 :: points_px, points_px // 2 :: points_px] = member
    labels, count, size = parts_of(fine, level, seeds)
    if count == 0:
        return MultiPolygon()
    points, ends, of_part = rings_of(fine, level, labels, count, size)
    places = np.repeat(np.arange(ends.size), np.diff(ends, prepend=0))
    rings = shapely.linearrings((points - 0.5) / points_px, indices=places)
    shapes = [_unblurred(part) for label in range(1, count + 1) for part in _filled(rings[of_part == label], member)]
    return shapes[0] if len(shapes) == 1 else shapely.union_all(shapes)


def _filled(rings: NDArray[np.object_], member: Bool) -> list[Polygon]:
    """Outer ring and holes as polygons, less the holes in which more than half of the pixels belong to the pile."""
    open_ = []
    for ring in rings[1:]:
        rows, columns = np.indices(member.shape)
        inside = shapely.contains_xy(Polygon(ring), columns + 0.5, rows + 0.5)
        if not inside.any() or member[inside].mean() <= 0.5:  # noqa: PLR2004 - more than half
            open_.append(ring)
    shape = shapely.polygons(rings[0], holes=open_ or None)
    # So that it hardly matters where a ring begins; and a field that is exactly the level at a point makes a contour
    # touch itself there.
    whole = shapely.buffer(shape, 0.0)
    return [part for part in shapely.get_parts(whole) if isinstance(part, Polygon)]


def _unblurred(part: Polygon) -> BaseGeometry:
    """Move an outline out by what the point spread has moved it in.

    ``pi sigma^2`` of area round the outer ring, and as much the other way round every hole.
    """
    lost = np.pi * PSF_SIGMA_PX**2 * (1 - shapely.get_num_interior_rings(part))
    return shapely.buffer(part, lost / shapely.length(part), quad_segs=_ARC_SEGMENTS)
