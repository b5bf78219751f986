"""Masks of a grid as polygons along the pixel edges. Pure."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from pipeline.kernels.outlines import count_corners, find_holes, own_rings, walk_rings
from pipeline.types import PIXEL_M, Bool, Grid


def tight(mask: Bool) -> tuple[slice, slice]:
    """Rows and columns that hold all True pixels of a mask; both empty when there is none."""
    spans = []
    for axis in (1, 0):
        held = np.flatnonzero(mask.any(axis=axis))
        spans.append(slice(int(held[0]), int(held[-1]) + 1) if held.size else slice(0, 0))
    return spans[0], spans[1]


def to_polygons(mask: Bool, grid: Grid, at: tuple[slice, slice] | None = None) -> BaseGeometry:
    """Polygons along the pixel edges of a mask, in the grid's CRS.

    Pixels that touch at a corner alone are of two polygons, or of one that goes round between them.

    Parameters
    ----------
    mask : Bool
        Shape (rows, columns).
    grid : Grid
    at : tuple of slice, optional
        Rows and columns of the grid where the mask lies; all of it when left out.

    Returns
    -------
    BaseGeometry
        A valid Polygon or MultiPolygon; an empty MultiPolygon of a mask that holds nothing.
    """
    rows, columns = tight(mask)
    if rows.start == rows.stop:
        return MultiPolygon()
    part = np.pad(mask[rows, columns].view(np.uint8), 1)
    corners = count_corners(part)
    vertices = np.empty((corners, 2), dtype=np.int32)
    starts, first_of = np.empty(corners // 4 + 2, dtype=np.int32), np.empty((corners // 4 + 1, 2), dtype=np.int32)
    rings = walk_rings(part, vertices, starts, first_of)
    owner, hole = np.empty(rings, dtype=np.int32), np.empty(rings, dtype=np.bool_)
    own_rings(part, first_of[:rings], owner)
    find_holes(vertices, starts, hole)
    row, column = (0, 0) if at is None else (at[0].start, at[1].start)
    corner = grid.left_m + (column + columns.start) * PIXEL_M, grid.top_m - (row + rows.start) * PIXEL_M
    return _assembled(vertices, starts[: rings + 1].astype(np.int64), (owner, hole), corner)


def _assembled(
    vertices: NDArray[np.int32],
    starts: NDArray[np.int64],
    of: tuple[NDArray[np.int32], Bool],
    corner: tuple[float, float],
) -> BaseGeometry:
    """Put rings together: of one owner the outer one first, then its holes; ``of`` says whose a ring is, and a hole."""
    owner, hole = of
    order = np.lexsort((hole, owner))
    lengths = np.diff(starts)[order] + 1
    ends = np.concatenate([[0], np.cumsum(lengths)])
    # Every ring ends where it starts.
    index = np.arange(ends[-1]) - np.repeat(ends[:-1] - starts[:-1][order], lengths)
    index[ends[1:] - 1] = starts[:-1][order]
    points = np.empty((len(index), 2))
    points[:, 0] = corner[0] + vertices[index, 1] * PIXEL_M
    points[:, 1] = corner[1] - vertices[index, 0] * PIXEL_M
    outer = np.flatnonzero(~hole[order])
    rings = ends, np.concatenate([outer, [len(order)]])
    if len(outer) == 1:
        return shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, rings)[0]
    return shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, points, (*rings, np.array([0, len(outer)])))[0]


def areal(geometry: BaseGeometry) -> BaseGeometry:
    """Return a Polygon or MultiPolygon as it is, of any other geometry its areal parts."""
    return geometry if geometry.geom_type in {"Polygon", "MultiPolygon"} else polygons_only(geometry)


def polygons_only(geometry: BaseGeometry) -> MultiPolygon:
    """Return the areal parts of a geometry: overlays leave points and lines where outlines touch."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    areal = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)
    return multipolygon(parts[areal])


def multipolygon(polygons: NDArray[np.object_]) -> MultiPolygon:
    """Put an array of polygons together; none make an empty one."""
    return shapely.multipolygons(polygons) if polygons.size else MultiPolygon()
