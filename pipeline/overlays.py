"""Ground of two dates laid over each other, and over a zone, without touching what both share. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiLineString, MultiPolygon
from shapely.geometry.base import BaseGeometry

from models._morphology import grown, shrunk
from pipeline.grid import burn, crossed, touched, window
from pipeline.kernels.zones import CROSSED, INSIDE, TOUCHED, sort_patches, tally_beside
from pipeline.outlines import multipolygon, polygons_only, to_polygons
from pipeline.types import PIXEL_M, Bool, Grid

Window = tuple[slice, slice]
UInt8 = NDArray[np.uint8]

_QUAD_SEGS = 4
"""Chords of a quarter circle: of 8 m radius they are off by 15 cm at most."""
_TILE_M = 10_000.0
"""What starts in one tile is laid over at once."""
_TILE_PX = 512
"""What is drawn at once where a zone's edge passes: GEOS takes a kilobyte for every corner."""
_WITHIN, _PARTED = 1, 3
"""Sides of a zone's edge (:func:`pipeline.kernels.zones.sort_patches`)."""
_MARGIN_PX = 4
"""Ground this near to the edge of a zone may matter: whether it is farther than a pixel from the ground's outline."""


@dataclass(frozen=True)
class Laid:
    """A zone laid over a grid.

    Attributes
    ----------
    geometry : BaseGeometry
        The zone.
    at : tuple of slice
        Rows and columns of the grid that hold it, with a margin.
    marks : UInt8
        Marks of the pixels there (:mod:`pipeline.kernels.zones`).
    """

    geometry: BaseGeometry
    at: Window
    marks: UInt8


def lay(zone: BaseGeometry, grid: Grid) -> Laid:
    """Lay a zone, of polygons that are not empty, over a grid."""
    at = _even(_pixels(zone, grid, _MARGIN_PX), grid)
    part = window(grid, *at)
    marks = burn(zone, part).view(np.uint8)
    marks[touched(zone, part)] |= TOUCHED
    marks[crossed(zone, part)] |= CROSSED
    return Laid(zone, at, marks)


def of_zone(laid: Laid, marked: UInt8, mark: int) -> Bool:
    """Pixels of a zone that bear a mark; ``marked`` is of the zone's window."""
    held = marked & np.uint8(mark)
    held *= laid.marks & np.uint8(INSIDE)
    found = held.view(np.bool_)
    np.not_equal(held, 0, out=found)
    return found


def beyond_m2(laid: Laid, marked: UInt8, marks: tuple[int, int], grid: Grid, eps_m: float) -> float:
    """Area of later ground in a zone farther than ``eps_m`` from earlier ground, in the plane of the grid.

    It is that of :func:`beyond`. What is left of a pixel follows from which of its neighbours are earlier ground, so
    that pixels are counted; only those that the zone's edge crosses are drawn.

    Parameters
    ----------
    laid : Laid
    marked : UInt8
        Marks of the grid's pixels.
    marks : (int, int)
        All marks of later ground, and that of earlier.
    grid : Grid
    eps_m : float
        Beyond a pixel more than neighbours matter, and all is drawn.
    """
    counts, drawn = np.zeros(256, dtype=np.int64), INSIDE | TOUCHED
    if eps_m <= PIXEL_M:
        drawn = CROSSED
        tally_beside(laid.marks, marked[laid.at], marks, counts)
    area_m2 = float(sum(int(counts[code]) * _left_m2(int(code), eps_m) for code in np.flatnonzero(counts)))
    later, earlier = marks
    reach = int(np.ceil(eps_m / PIXEL_M))
    for part in _tiles(laid.marks.shape):
        at = _moved(part, laid.at)
        fresh = ((laid.marks[part] & drawn) > 0) & ((marked[at] & (later | earlier)) == later)
        if fresh.any():
            wide = _widened(at, grid.shape, reach)
            near = _placed(fresh, at, wide)
            for _ in range(reach):
                near = grown(near, corners=True)
            near &= (marked[wide] & earlier) > 0
            held = to_polygons(near, grid, wide).buffer(eps_m, quad_segs=_QUAD_SEGS)
            area_m2 += to_polygons(fresh, grid, at).difference(held).intersection(laid.geometry).area
    return area_m2


def _placed(mask: Bool, at: Window, wide: Window) -> Bool:
    """Put a mask into a wider window."""
    offs = [(inner.start - outer.start, outer.stop - inner.stop) for inner, outer in zip(at, wide, strict=True)]
    return np.pad(mask, offs)


@lru_cache(maxsize=1024)
def _left_m2(beside: int, eps_m: float) -> float:
    """Area of a pixel farther than ``eps_m`` from those beside it (as :func:`tally_beside` numbers them)."""
    around = np.insert((beside >> np.arange(8)) & 1, 4, 0).astype(bool).reshape(3, 3)
    grid = Grid(32600, 0.0, 0.0, 3, 3)
    held = to_polygons(around, grid).buffer(eps_m, quad_segs=_QUAD_SEGS)
    return float(shapely.box(PIXEL_M, -2 * PIXEL_M, 2 * PIXEL_M, -PIXEL_M).difference(held).area)


def edge_inside_m(laid: Laid, marked: UInt8, mark: int, grid: Grid) -> float:
    """Length of a zone's own edge that lies in ground, of a mark, farther than a pixel from the ground's outline."""
    line, length_m = laid.geometry.boundary, 0.0
    for part in _tiles(laid.marks.shape):
        wide = _widened(part, laid.marks.shape, _MARGIN_PX)
        ground = (marked[laid.at][wide] & mark) > 0
        # Nothing of a pixel with other than ground on a side of it is farther.
        passed = shrunk(ground) & ((laid.marks[wide] & TOUCHED) > 0)
        if passed.any():
            near = ground & grown(grown(passed, corners=True), corners=True)
            inner = to_polygons(near, grid, _moved(wide, laid.at)).buffer(-PIXEL_M)
            length_m += shapely.clip_by_rect(inner.intersection(line), *_bounds(part, laid.at, grid)).length
    return float(length_m)


def _tiles(shape: tuple[int, ...]) -> Iterator[Window]:
    """Windows that part an array."""
    for row in range(0, shape[0], _TILE_PX):
        for column in range(0, shape[1], _TILE_PX):
            yield slice(row, min(row + _TILE_PX, shape[0])), slice(column, min(column + _TILE_PX, shape[1]))


def _moved(part: Window, at: Window) -> Window:
    """Rows and columns of the grid of a part of a window."""
    rows, columns = (slice(w.start + p.start, w.start + p.stop) for p, w in zip(part, at, strict=True))
    return rows, columns


def _widened(at: Window, shape: tuple[int, ...], margin_px: int) -> Window:
    """Widen a window within an array."""
    rows, columns = (
        slice(max(span.start - margin_px, 0), min(span.stop + margin_px, size))
        for span, size in zip(at, shape, strict=True)
    )
    return rows, columns


def _bounds(part: Window, at: Window, grid: Grid) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a part of a window; off the pixel edges, on which the edges of zones may lie."""
    off_m = PIXEL_M * (np.sqrt(2) - 1)
    (top, bottom), (left, right) = ((w.start + p.start, w.start + p.stop) for p, w in zip(part, at, strict=True))
    return (
        grid.left_m + left * PIXEL_M - off_m,
        grid.top_m - bottom * PIXEL_M - off_m,
        grid.left_m + right * PIXEL_M - off_m,
        grid.top_m - top * PIXEL_M - off_m,
    )


def _even(at: Window, grid: Grid) -> Window:
    """Widen a window to corners a grid may have."""
    rows, columns = (
        slice(min(span.start, size - 1) // 2 * 2, min(span.stop, size))
        for span, size in zip(at, grid.shape, strict=True)
    )
    return rows, columns


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
        lines = shapely.get_parts(drawn.boundary.difference(held))
        # What leaves nothing of a line is one part that is empty.
        rims.append(lines[~shapely.is_empty(lines)])
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
    """Cuts ground along a zone; of patches that lie wholly inside nothing is drawn again.

    Parameters
    ----------
    laid : Laid
    marked : UInt8
        Marks of the grid's pixels.
    marks : (int, int)
        All marks of ground, and one it does not bear: what is cut are parts of the patches of that ground.
    grid : Grid
    """

    def __init__(self, laid: Laid, marked: UInt8, marks: tuple[int, int], grid: Grid) -> None:
        self._zone, self._grid = laid.geometry, grid
        here = np.zeros(grid.shape, dtype=np.uint8)
        here[laid.at] = laid.marks
        self._sides = np.zeros(grid.shape, dtype=np.uint8)
        sort_patches(here, marked, marks, self._sides)

    def cut(self, ground: BaseGeometry) -> MultiPolygon:
        """Return the polygons of ground, valid and apart from each other, that lie in the zone."""
        parts = shapely.get_parts(ground)
        side = self._side_of(parts)
        parted = parts[(side == 0) | (side == _PARTED)]
        cut = [polygons_only(shapely.intersection(multipolygon(group), self._zone)) for group in _groups(parted)]
        return multipolygon(np.concatenate([parts[side == _WITHIN], *(shapely.get_parts(piece) for piece in cut)]))

    def _side_of(self, parts: NDArray[np.object_]) -> UInt8:
        """Side of the zone's edge of polygons; 0 of those whose point inside lies in no such ground."""
        points = shapely.get_coordinates(shapely.point_on_surface(parts)) - [self._grid.left_m, self._grid.top_m]
        columns, rows = np.floor(points / [PIXEL_M, -PIXEL_M]).astype(np.int64).T
        return np.asarray(self._sides[rows, columns])


def pixels_near(laid: Laid, ground: BaseGeometry, grid: Grid, eps_m: float) -> Bool:
    """Pixels of a zone's window whose centre lies in polygons, or within ``eps_m`` of them.

    The rim that a certain change leaves out is so burned back in, and the outline's pixels are whole.
    """
    part = window(grid, *laid.at)
    found = np.zeros(part.shape, dtype=bool)
    for group in _groups(shapely.get_parts(ground)):
        found |= burn(multipolygon(shapely.buffer(group, eps_m)), part)
    return found


def length_inside_m(lines: BaseGeometry, zone: BaseGeometry) -> float:
    """Length of lines, crossing each other nowhere, inside a zone."""
    groups = _groups(shapely.get_parts(lines))
    return float(sum(shapely.intersection(shapely.multilinestrings(group), zone).length for group in groups))


def without(ground: BaseGeometry, taken: BaseGeometry) -> MultiPolygon:
    """Return ground less what is taken away from it, both polygons apart from each other."""
    parts = shapely.get_parts(taken)
    tree = shapely.STRtree(parts)
    left = []
    for group in _groups(shapely.get_parts(ground)):
        near = parts[np.sort(tree.query(shapely.box(*shapely.total_bounds(group))))]
        left.append(shapely.get_parts(polygons_only(multipolygon(group).difference(multipolygon(near)))))
    return multipolygon(np.concatenate(left)) if left else MultiPolygon()
