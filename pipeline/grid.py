"""Where a site is measured: one grid in one UTM zone, its windows, and geodesic areas. Pure.

A site stays in one tile family (one UTM zone): grids of neighbouring zones are rotated against each
other by almost four degrees here, and planar areas of the wrong zone are off by up to 0.7 % (science 2.5).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj, Transformer
from shapely.geometry.base import BaseGeometry

from pipeline.imagery import Item
from pipeline.kernels.burn import fill_polygons, touch_lines
from pipeline.outlines import areal, polygons_only
from pipeline.types import PIXEL_M, Bool, Grid

_LONLAT = 4326
_BESIDE = 1e-6
"""In cells: a line this near to the edge of a cell lies on it."""
_SNAP_M = 2 * PIXEL_M
"""Corners lie on whole 20 m cells, so 10 m and 20 m bands of a tile share them."""


@lru_cache(maxsize=64)
def _transformer(epsg_from: int, epsg_to: int) -> Transformer:
    return Transformer.from_crs(epsg_from, epsg_to, always_xy=True)


def reproject(geometry: BaseGeometry, epsg_from: int, epsg_to: int) -> BaseGeometry:
    """Geometry in another CRS, vertex by vertex; x is easting or longitude."""
    if epsg_from == epsg_to or geometry.is_empty:
        return geometry
    return shapely.transform(geometry, _transformer(epsg_from, epsg_to).transform, interleaved=False)


def utm_epsg(longitude: float, latitude: float) -> int:
    """EPSG code of the UTM zone of a point (zones 1-60, WGS84)."""
    zone = min(int((longitude + 180.0) // 6.0) + 1, 60)
    return (32600 if latitude >= 0 else 32700) + zone


def is_utm(epsg: int | None) -> bool:
    """Whether an EPSG code is a WGS84 UTM zone, the only CRS a grid may have."""
    return epsg is not None and (32601 <= epsg <= 32660 or 32701 <= epsg <= 32760)  # noqa: PLR2004


def choose_epsg(aoi: BaseGeometry, items: Sequence[Item]) -> int:
    """Choose the UTM zone a site is measured in: one tile family.

    The zone whose scenes cover most of the AOI, then the one with most scenes, then the AOI's own.
    Items in another CRS than UTM do not vote.

    Parameters
    ----------
    aoi : BaseGeometry
        In longitude and latitude.
    items : sequence of Item
        Found by the search.
    """
    own = utm_epsg(aoi.centroid.x, aoi.centroid.y)
    counts = Counter(item.epsg for item in items if item.epsg is not None and is_utm(item.epsg))
    if not counts:
        return own

    def rank(epsg: int) -> tuple[float, int, bool, int]:
        covered = shapely.unary_union([item.coverage for item in items if item.epsg == epsg])
        share = round(float(covered.intersection(aoi).area / aoi.area), 2)
        return share, counts[epsg], epsg == own, -epsg

    return max(sorted(counts), key=rank)


def make_grid(aoi: BaseGeometry, epsg: int, margin_m: float = 200.0) -> Grid:
    """Grid around an AOI, with a margin so that outlines and their background ring are whole.

    Parameters
    ----------
    aoi : BaseGeometry
        In longitude and latitude.
    epsg : int
        UTM zone.
    margin_m : float
        Added on every side, metres.
    """
    left, bottom, right, top = reproject(shapely.segmentize(aoi, 0.01), _LONLAT, epsg).bounds
    left_m = float(np.floor((left - margin_m) / _SNAP_M) * _SNAP_M)
    top_m = float(np.ceil((top + margin_m) / _SNAP_M) * _SNAP_M)
    columns = int(np.ceil((right + margin_m - left_m) / _SNAP_M)) * 2
    rows = int(np.ceil((top_m - bottom + margin_m) / _SNAP_M)) * 2
    return Grid(epsg=epsg, left_m=left_m, top_m=top_m, width=columns, height=rows)


@dataclass(frozen=True)
class Block:
    """A part of a grid that is computed at once: ``grid`` with its halo, ``inner`` the rows and columns kept."""

    grid: Grid
    row: int
    column: int
    inner: tuple[slice, slice]

    @property
    def target(self) -> tuple[slice, slice]:
        """Where the kept part lies in the whole grid."""
        height = self.inner[0].stop - self.inner[0].start
        width = self.inner[1].stop - self.inner[1].start
        return slice(self.row, self.row + height), slice(self.column, self.column + width)


def window(grid: Grid, rows: slice, columns: slice) -> Grid:
    """Return the part of a grid between even row and column bounds (whole 20 m cells)."""
    return Grid(
        epsg=grid.epsg,
        left_m=grid.left_m + columns.start * PIXEL_M,
        top_m=grid.top_m - rows.start * PIXEL_M,
        width=columns.stop - columns.start,
        height=rows.stop - rows.start,
    )


def blocks(grid: Grid, size_px: int, halo_px: int) -> Iterator[Block]:
    """Cut a grid into blocks of one size, at most ``size_px``, with a halo of ``halo_px`` where the grid goes on."""
    halo = halo_px + halo_px % 2
    height, width = (_share(length, size_px + size_px % 2) for length in grid.shape)
    for row in range(0, grid.height, height):
        for column in range(0, grid.width, width):
            bottom, right = min(row + height, grid.height), min(column + width, grid.width)
            rows = slice(max(row - halo, 0), min(bottom + halo, grid.height))
            columns = slice(max(column - halo, 0), min(right + halo, grid.width))
            inner = (slice(row - rows.start, bottom - rows.start), slice(column - columns.start, right - columns.start))
            yield Block(window(grid, rows, columns), row, column, inner)


def _share(length: int, most: int) -> int:
    """Even length of the parts when a length is cut into as few as possible of at most ``most``."""
    parts = -(-length // most)
    share = -(-length // parts)
    return share + share % 2


@lru_cache(maxsize=64)
def _projection(epsg: int) -> Proj:
    return Proj(CRS.from_epsg(epsg))


def areal_scale(epsg: int, x_m: float, y_m: float) -> float:
    """Planar area per true area at a point of a UTM zone; geodesic area = planar area / this."""
    longitude, latitude = _transformer(epsg, _LONLAT).transform(x_m, y_m)
    return float(_projection(epsg).get_factors(longitude, latitude).areal_scale)


def geodesic_area_m2(geometry: BaseGeometry, epsg: int) -> float:
    """Area on the WGS84 ellipsoid of a geometry in a CRS of metres or degrees; holes are left out."""
    geod, area = Geod(ellps="WGS84"), 0.0
    for polygon in polygons_only(reproject(geometry, epsg, _LONLAT)).geoms:
        rings = (np.ascontiguousarray(shapely.get_coordinates(ring).T) for ring in shapely.get_rings(polygon))
        outer, *holes = (abs(geod.polygon_area_perimeter(*lonlat)[0]) for lonlat in rings)
        area += outer - sum(holes)
    return float(area)


def burn(geometry: BaseGeometry, grid: Grid) -> Bool:
    """Mask of the cells whose centre lies in the polygons of a geometry of the grid's CRS; True inside."""
    mask = np.zeros(grid.shape, dtype=bool)
    polygons = areal(geometry)
    if not polygons.is_empty:
        _, points, (starts, firsts, *_) = shapely.to_ragged_array([polygons])
        fill_polygons(_in_cells(points, grid), starts.astype(np.int64), firsts.astype(np.int64), mask)
    return mask


def touched(polygons: BaseGeometry, grid: Grid) -> Bool:
    """Mask of the cells the edges of polygons pass or run along, and of few others; True there."""
    return _passed(polygons, grid, _BESIDE)


def crossed(polygons: BaseGeometry, grid: Grid) -> Bool:
    """Mask of the cells the edges of polygons pass, and of few others, without those they only run along; True there.

    All others lie wholly inside or outside.
    """
    return _passed(polygons, grid, -_BESIDE)


def _passed(polygons: BaseGeometry, grid: Grid, beside: float) -> Bool:
    mask = np.zeros(grid.shape, dtype=bool)
    _, points, (starts, *_) = shapely.to_ragged_array([polygons])
    touch_lines(_in_cells(points, grid), starts.astype(np.int64), beside, mask)
    return mask


def _in_cells(points: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Points of the grid's CRS as its columns and rows, in place."""
    points -= [grid.left_m, grid.top_m]
    points /= [PIXEL_M, -PIXEL_M]
    return points
