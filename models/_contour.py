"""Polygons of a pile from the fraction of pile on fine points."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LinearRing, MultiPolygon, Polygon

from models._contour_kernels import all_rings
from models._delineate_kernels import PSF_SIGMA_PX
from models._indices import Bool

Float64 = NDArray[np.float64]

_ARC_SEGMENTS = 16
"""Chords of a quarter circle where an outline is moved round a corner."""


def contours(fine: Float64, levels: Float64, member: Bool) -> NDArray[np.object_]:
    """Polygons where fractions exceed levels that meet a pile, freed of what the point spread took from them.

    A hole stays a hole unless most of it belongs to the pile by persistence: a sunlit slope may be as bright as
    the ground on a date.

    Parameters
    ----------
    fine : Float64
        Shape (fields, n x rows, n x columns), n odd: fraction of pile on n points a pixel and axis.
    levels : Float64
        Shape (fields, levels).
    member : Bool
        Shape (rows, columns): pixels of the pile by persistence.

    Returns
    -------
    NDArray[np.object_]
        Shape (fields, levels), of geometries in (column, row), pixel edges at whole numbers; empty when nothing meets
        the pile.
    """
    points_px = fine.shape[1] // member.shape[0]
    seeds = np.zeros(fine.shape[1:], dtype=bool)
    seeds[points_px // 2 :: points_px, points_px // 2 :: points_px] = member
    points, ends, owners = all_rings(fine, levels, seeds)
    places = np.repeat(np.arange(ends.size), np.diff(ends, prepend=0))
    rings = shapely.linearrings((points - 0.5) / points_px, indices=places)
    shapes, of = _filled(rings, owners, member)
    shapes = _unblurred(shapes)
    found = np.full(levels.size, MultiPolygon(), dtype=object)
    single = np.bincount(of, minlength=found.size)[of] == 1
    found[of[single]] = shapes[single]
    for number in np.unique(of[~single]):
        found[number] = shapely.union_all(shapes[of == number])
    return found.reshape(levels.shape)


def _filled(
    rings: NDArray[np.object_], owners: NDArray[np.int64], member: Bool
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Outer rings and holes as polygons, less the holes in which more than half of the pixels belong to the pile.

    ``owners`` say of each ring which contour it belongs to and which part of it, and so does the second result.
    """
    _, outer, part = np.unique(owners, axis=0, return_index=True, return_inverse=True)
    shapes = shapely.polygons(rings[outer])
    for number in np.flatnonzero(np.bincount(part.ravel()) > 1):
        holes = [rings[ring] for ring in np.flatnonzero(part.ravel() == number)[1:] if _is_open(rings[ring], member)]
        shapes[number] = shapely.polygons(rings[outer[number]], holes=holes or None)
    # So that it hardly matters where a ring begins; and a field that is exactly the level at a point makes a contour
    # touch itself there.
    parts, of = shapely.get_parts(shapely.buffer(shapes, 0.0), return_index=True)
    areal = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)
    return parts[areal], owners[outer[of[areal]], 0]


def _is_open(ring: LinearRing, member: Bool) -> bool:
    """Whether a hole stays one."""
    rows, columns = np.indices(member.shape)
    inside = shapely.contains_xy(Polygon(ring), columns + 0.5, rows + 0.5)
    return not inside.any() or bool(member[inside].mean() <= 0.5)  # noqa: PLR2004 - more than half


def _unblurred(parts: NDArray[np.object_]) -> NDArray[np.object_]:
    """Move outlines out by what the point spread has moved them in.

    ``pi sigma^2`` of area round the outer ring, and as much the other way round every hole.
    """
    lost = np.pi * PSF_SIGMA_PX**2 * (1 - shapely.get_num_interior_rings(parts))
    return np.asarray(shapely.buffer(parts, lost / shapely.length(parts), quad_segs=_ARC_SEGMENTS))
