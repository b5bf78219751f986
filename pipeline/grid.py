"""Where a site is measured: one grid in one UTM zone, its windows and zones, and geodesic areas. Pure.

A site stays in one tile family (one UTM zone): grids of neighbouring zones are rotated against each
other by almost four degrees here, and planar areas of the wrong zone are off by up to 0.7 % (science 2.5).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from pyproj import CRS, Geod, Proj, Transformer
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from pipeline.errors import InputError
from pipeline.imagery import Item
from pipeline.types import PIXEL_M, Bool, Feature, Grid, Site, Zone

_LONLAT = 4326
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
    if geometry.is_empty:
        return 0.0
    lonlat = reproject(geometry, epsg, _LONLAT)
    area = 0.0
    geod = Geod(ellps="WGS84")
    for polygon in getattr(lonlat, "geoms", [lonlat]):
        if polygon.geom_type == "Polygon":
            area += abs(geod.geometry_area_perimeter(shapely.geometry.polygon.orient(polygon))[0])
    return area


def burn(geometry: BaseGeometry, grid: Grid) -> Bool:
    """Mask of the cells whose centre lies in a geometry of the grid's CRS; True inside."""
    if geometry.is_empty:
        return np.zeros(grid.shape, dtype=bool)
    mask = rasterize([(geometry, 1)], out_shape=grid.shape, transform=grid.transform, dtype="uint8")
    return np.asarray(mask, dtype=bool)


def slug(name: str) -> str:
    """Lower-case letters and digits joined by hyphens, for zone ids."""
    joined = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not joined:
        raise InputError(f"name {name!r} holds no letter or digit a zone id could be made of; add a Latin name")
    return joined


def measured_ground(site: Site, grid: Grid) -> BaseGeometry:
    """Return the AOI without excluded ground, in the grid's CRS."""
    excluded = [reproject(f.geometry, _LONLAT, grid.epsg) for f in site.with_role("exclude")]
    return reproject(site.aoi, _LONLAT, grid.epsg).difference(shapely.union_all(excluded))


def make_zones(
    site: Site, grid: Grid, reference: BaseGeometry | None, rings_m: tuple[float, float, float]
) -> list[Zone]:
    """Zones a site is measured in, clipped to its AOI and without excluded ground.

    Always ``site`` (the AOI without its controls) and each named and control polygon. With a reference
    (a sourced perimeter, else the baseline footprint) also ``inside``, the rings and ``outside``.

    Parameters
    ----------
    site : Site
    grid : Grid
    reference : BaseGeometry or None
        In the grid's CRS; None when neither perimeter nor baseline footprint exists.
    rings_m : tuple of float
        Outer edges of the two adjacent rings and of the outside zone, metres.
    """
    controls = [(f, reproject(f.geometry, _LONLAT, grid.epsg)) for f in site.with_role("control")]
    ground = measured_ground(site, grid)
    free = shapely.difference(ground, shapely.unary_union([geometry for _, geometry in controls]))
    zones = [_zone("site", "site", site.name, free, grid.epsg)]
    for feature in site.with_role("zone"):
        geometry = reproject(feature.geometry, _LONLAT, grid.epsg).intersection(ground)
        zones.append(_zone(f"named:{slug(feature.name)}", "named", feature.name, geometry, grid.epsg))
    for feature, geometry in controls:
        zones.append(
            _zone(f"control:{slug(feature.name)}", "control", feature.name, geometry.intersection(ground), grid.epsg)
        )
    if reference is not None and not reference.is_empty:
        kind = "perimeter" if perimeter_of(site) else "baseline_footprint"
        zones += [
            Zone(z.zone_id, z.role, z.name, z.geometry, z.area_m2, reference=kind)  # type: ignore[arg-type]
            for z in _rings(reference, free, rings_m, grid.epsg)
        ]
    return [zone for zone in zones if not zone.geometry.is_empty]


def perimeter_of(site: Site) -> Feature | None:
    """Return the sourced perimeter with the latest ``valid_from``, or None."""
    perimeters = sorted(site.with_role("perimeter"), key=lambda f: str(f.valid_from or ""))
    return perimeters[-1] if perimeters else None


def _zone(zone_id: str, role: str, name: str, geometry: BaseGeometry, epsg: int) -> Zone:
    # Overlays leave points and lines where outlines touch; GEOS fails on some that are mixed with polygons.
    parts = [p for part in shapely.get_parts(geometry) for p in shapely.get_parts(part)]
    areal = shapely.union_all([p for p in parts if p.geom_type == "Polygon"])
    return Zone(zone_id, role, name, areal, geodesic_area_m2(areal, epsg))  # type: ignore[arg-type]


def _grown(shape: BaseGeometry, distance_m: float) -> BaseGeometry:
    """Everything within a distance of a shape, as ``buffer`` has it, in growing steps.

    Ground of a thousand patches buffered by a kilometre at once takes minutes; after the first small step most
    patches are one.
    """
    done = 0.0
    for step_m in (distance_m / 30, distance_m / 8, distance_m):
        shape = shape.buffer(step_m - done)
        done = step_m
    return shape


def _rings(reference: BaseGeometry, free: BaseGeometry, rings_m: tuple[float, float, float], epsg: int) -> list[Zone]:
    near, far, outer = rings_m
    to_near = _grown(reference, near)
    to_far = to_near.buffer(far - near)
    to_outer = to_far.buffer(outer - far)
    parts = [
        ("inside", "inside", "inside the reference", reference),
        (
            f"adjacent_0_{near / 1000:g}km",
            "adjacent",
            f"within {near / 1000:g} km of the reference",
            to_near.difference(reference),
        ),
        (
            f"adjacent_{near / 1000:g}_{far / 1000:g}km",
            "adjacent",
            f"{near / 1000:g} to {far / 1000:g} km from the reference",
            to_far.difference(to_near),
        ),
        (
            "outside",
            "outside",
            f"{far / 1000:g} to {outer / 1000:g} km from the reference",
            to_outer.difference(to_far),
        ),
    ]
    return [_zone(zone_id, role, name, geometry.intersection(free), epsg) for zone_id, role, name, geometry in parts]
