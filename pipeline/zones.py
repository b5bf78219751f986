"""Zones a site is measured in: drawn ones, and rings around a perimeter or the measured ground. Pure."""

import re

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from models._disk_kernels import within
from pipeline.errors import InputError
from pipeline.grid import burn, geodesic_area_m2, reproject
from pipeline.outlines import polygons_only, to_polygons
from pipeline.patches import within_zone
from pipeline.types import PIXEL_M, Feature, Grid, Site, Zone

_LONLAT = 4326


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
        hull = reference if kind == "perimeter" else _filled(reference, grid, rings_m[0])
        zones += [
            Zone(z.zone_id, z.role, z.name, z.geometry, z.area_m2, reference=kind)  # type: ignore[arg-type]
            for z in _rings(reference, hull, free, rings_m, grid)
        ]
    return [zone for zone in zones if not zone.geometry.is_empty]


def perimeter_of(site: Site) -> Feature | None:
    """Return the sourced perimeter with the latest ``valid_from``, or None."""
    perimeters = sorted(site.with_role("perimeter"), key=lambda f: str(f.valid_from or ""))
    return perimeters[-1] if perimeters else None


def _zone(zone_id: str, role: str, name: str, geometry: BaseGeometry, epsg: int) -> Zone:
    # Overlays leave points and lines where outlines touch; GEOS fails on some that are mixed with polygons.
    found = polygons_only(geometry)
    areal = found.geoms[0] if len(found.geoms) == 1 else found
    return Zone(zone_id, role, name, areal, geodesic_area_m2(areal, epsg))  # type: ignore[arg-type]


def _grown(shape: BaseGeometry, distance_m: float) -> BaseGeometry:
    """Everything within a distance of a shape, as ``buffer`` has it, in growing steps and patch by patch.

    Ground of a thousand patches buffered by a kilometre at once takes minutes; after the first small step most
    patches are one.
    """
    done = 0.0
    for step_m in (distance_m / 30, distance_m / 8, distance_m):
        shape = shapely.union_all(shapely.buffer(shapely.get_parts(shape), step_m - done))
        done = step_m
    return shape


def _filled(ground: BaseGeometry, grid: Grid, distance_m: float) -> BaseGeometry:
    """Fill gaps of ground along pixel edges that do not show in what lies within a distance of it.

    A pixel may be filled when every disk of that radius that holds a point of it touches the ground: what lies
    within the distance is the same, and has a hundredth of the corners to be drawn round.
    """
    if ground.is_empty:
        return ground
    half_diagonal_m = PIXEL_M / np.sqrt(2) + 1e-6
    pad = int(np.ceil(2 * (distance_m + 2 * half_diagonal_m) / PIXEL_M)) + 1
    held = burn(ground, grid)
    # Pixels wholly within the distance; then those around which there are no others, as far as a disk's centre lies.
    near = within(np.pad(held, pad), (distance_m - half_diagonal_m) / PIXEL_M)
    far = within(np.logical_not(near, out=near), (distance_m + 2 * half_diagonal_m) / PIXEL_M)
    held |= ~far[pad:-pad, pad:-pad]
    return to_polygons(held, grid)


def _rings(
    reference: BaseGeometry, hull: BaseGeometry, free: BaseGeometry, rings_m: tuple[float, float, float], grid: Grid
) -> list[Zone]:
    """Zones inside a reference and in the rings around it; ``hull`` stands for it where they are drawn.

    A reference that is not its own hull is ground along pixel edges.
    """
    near, far, outer = rings_m
    to_near = _grown(hull, near)
    to_far = to_near.buffer(far - near)
    to_outer = to_far.buffer(outer - far)
    close = polygons_only(to_near.intersection(free))
    beside = close.difference(reference) if hull is reference else within_zone(_gaps(reference, grid), close)
    parts = [
        ("inside", "inside", "inside the reference", within_zone(reference, free)),
        (f"adjacent_0_{near / 1000:g}km", "adjacent", f"within {near / 1000:g} km of the reference", beside),
        (
            f"adjacent_{near / 1000:g}_{far / 1000:g}km",
            "adjacent",
            f"{near / 1000:g} to {far / 1000:g} km from the reference",
            to_far.difference(to_near).intersection(free),
        ),
        (
            "outside",
            "outside",
            f"{far / 1000:g} to {outer / 1000:g} km from the reference",
            to_outer.difference(to_far).intersection(free),
        ),
    ]
    return [_zone(zone_id, role, name, geometry, grid.epsg) for zone_id, role, name, geometry in parts]


def _gaps(ground: BaseGeometry, grid: Grid) -> BaseGeometry:
    """Everything on the grid that is not ground along pixel edges; cheaper drawn than cut out of a zone."""
    mask = np.pad(~burn(ground, grid), 1, constant_values=True)
    return to_polygons(mask, grid, (slice(-1, grid.height + 1), slice(-1, grid.width + 1)))
