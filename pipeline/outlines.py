"""Masks of a grid as polygons along the pixel edges. Pure."""

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.kernels.outlines import count_corners, walk_rings
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
    part = np.pad(mask[rows, columns], 1)
    corners = count_corners(part)
    vertices = np.empty((corners, 2), dtype=np.int32)
    starts, first_of = np.empty(corners // 4 + 2, dtype=np.int32), np.empty((corners // 4 + 1, 2), dtype=np.int32)
    rings = walk_rings(part, vertices, starts, first_of)
    labels, _ = ndimage.label(part[1:-1, 1:-1])
    owner = labels[tuple(first_of[:rings].T)]
    row, column = (0, 0) if at is None else (at[0].start, at[1].start)
    origin = np.array([grid.left_m + (column + columns.start) * PIXEL_M, grid.top_m - (row + rows.start) * PIXEL_M])
    points = origin + vertices[:, ::-1] * np.array([PIXEL_M, -PIXEL_M])
    return _assembled(points, starts[: rings + 1].astype(np.int64), owner)


def _assembled(points: NDArray[np.float64], starts: NDArray[np.int64], owner: NDArray[np.int32]) -> BaseGeometry:
    """Put rings together: of one owner the outer one first, then its holes."""
    after = np.arange(len(points)) + 1
    after[starts[1:] - 1] = starts[:-1]
    (x, y), (x_next, y_next) = (points - points[0]).T, (points - points[0])[after].T
    # Ground lies to the right: seen with y upwards an outer ring runs clockwise, its area is negative.
    hole = np.add.reduceat(x * y_next - x_next * y, starts[:-1]) > 0
    order = np.lexsort((hole, owner))
    lengths = np.diff(starts)[order] + 1
    ends = np.concatenate([[0], np.cumsum(lengths)])
    # Every ring ends where it starts.
    index = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths) + np.repeat(starts[:-1][order], lengths)
    index[ends[1:] - 1] = starts[:-1][order]
    outer = np.flatnonzero(~hole[order])
    polygons = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, points[index], (ends, np.concatenate([outer, [len(order)]]))
    )
    return polygons[0] if len(polygons) == 1 else MultiPolygon(list(polygons))


def polygons_only(geometry: BaseGeometry) -> MultiPolygon:
    """Return the areal parts of a geometry: overlays leave points and lines where outlines touch."""
    parts = shapely.get_parts(geometry)
    flat = [p for part in parts for p in shapely.get_parts(part)]
    return MultiPolygon([p for p in flat if isinstance(p, Polygon) and p.area > 0])
