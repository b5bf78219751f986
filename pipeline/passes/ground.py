"""Occupied ground: its extent by zone and year, and what certainly changed between two years.

The difference of two outlines is mostly noise and misregistration (science 3.4-3.5), so only ground
beyond the positional noise is a certain gain, and even that is held against what unchanged ground shows:
the gain between two halves of one year's dates, and the gain per metre of outline in control zones.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from scipy import ndimage
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.geometry.base import BaseGeometry

from models._uncertainty import outline_sigma_m2
from models.footprint import CLASSES
from pipeline.config import BoundaryConfig, Config
from pipeline.findings import BoundaryPiece, ZoneGround
from pipeline.grid import areal_scale, burn
from pipeline.passes.label import YearMaps, read_maps
from pipeline.types import PIXEL_M, Bool, Grid, Zone

_STAIRCASE = np.pi / 4
"""Mean length of a smooth outline per length of its pixel staircase."""
_CHANGES = ("certain_gain", "possible_gain", "certain_loss", "possible_loss")


def to_polygons(mask: Bool, grid: Grid) -> BaseGeometry:
    """Polygons along the pixel edges of a mask, in the grid's CRS."""
    found = shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=grid.transform)
    polygons = [shape(geometry) for geometry, _ in found]
    return shapely.union_all(polygons) if polygons else MultiPolygon()


def polygons_only(geometry: BaseGeometry) -> MultiPolygon:
    """Return the areal parts of a geometry: overlays leave points and lines where outlines touch."""
    parts = shapely.get_parts(geometry)
    flat = [p for part in parts for p in shapely.get_parts(part)]
    return MultiPolygon([p for p in flat if isinstance(p, Polygon) and p.area > 0])


def year_pairs(years: Sequence[int], base: int | None) -> list[tuple[int, int]]:
    """Pair each year with the one before it and with the baseline, earlier first."""
    pairs = {(year - 1, year) for year in years if year - 1 in years}
    if base is not None and base in years:
        pairs |= {(min(base, year), max(base, year)) for year in years if year != base}
    return sorted(pairs)


def positional_noise_m(config: BoundaryConfig) -> float:
    """Distance beyond which ground has certainly changed (science 3.4): 1.96 sigma of two outlines."""
    return float(1.96 * np.sqrt(2 * config.sigma_registration_m**2 + 2 * config.sigma_edge_m**2))


def ground_outline(maps: Path, grid: Grid) -> BaseGeometry:
    """Outline of a year's occupied ground, the reference of a site without a sourced perimeter."""
    return to_polygons(read_maps(maps).ground[0], grid)


def measure_year(maps: Path, ever: Path, zones: Sequence[Zone], grid: Grid, config: Config) -> list[ZoneGround]:
    """Measure occupied ground of every zone in one year.

    Ground that was occupied in another year (``ever``) and not seen in this one widens the interval by its
    whole area: it may be there or not.
    """
    year = read_maps(maps)
    hidden = np.load(ever) & ~year.ground_seen
    footprint, dark = year.ground[0], year.dark
    by_class = {CLASSES[0]: footprint & ~dark, CLASSES[1]: dark}
    eps = positional_noise_m(config.boundary)
    first, second = (to_polygons(half, grid) for half in year.ground[1:])
    chance = [_beyond(second, first, eps), _beyond(first, second, eps)]
    found = []
    for zone in zones:
        inside = burn(zone.geometry, grid)
        scale = _scale(zone, grid)
        outline_m = _outline_m(footprint & inside)
        area = float((footprint & inside).sum()) * PIXEL_M**2 / scale
        smallest = config.footprint.min_px * PIXEL_M**2 / 1.96
        sigma = outline_sigma_m2(outline_m, PIXEL_M, config.uncertainty.c, config.boundary.sigma_edge_m)
        hidden_m2 = float((hidden & inside).sum()) * PIXEL_M**2 / scale
        found.append(
            ZoneGround(
                zone.zone_id,
                area,
                # Below the smallest patch that is mapped nothing is known, also where nothing was found.
                float(np.hypot(max(sigma, smallest), hidden_m2)),
                outline_m,
                *_seen(year, inside, config.min_dates),
                {name: to_polygons(mask & inside, grid) for name, mask in by_class.items()},
                tuple(c.intersection(zone.geometry).area / scale for c in chance),
            )
        )
    return found


def measure_boundary(
    years: tuple[Path, Path], zones: Sequence[Zone], grid: Grid, config: Config
) -> list[BoundaryPiece]:
    """Measure gain and loss of occupied ground from an earlier to a later year in every zone."""
    earlier, later = (read_maps(path) for path in years)
    eps = positional_noise_m(config.boundary)
    # Ground unseen in either year has neither gained nor lost.
    seen = earlier.ground_seen & later.ground_seen
    before, after = earlier.ground[0] & seen, later.ground[0] & seen
    old, new = to_polygons(before, grid), to_polygons(after, grid)
    gain, loss = _beyond(new, old, eps), _beyond(old, new, eps)
    parts = {
        "certain_gain": gain,
        "possible_gain": polygons_only(new.difference(old).difference(gain)),
        "certain_loss": loss,
        "possible_loss": polygons_only(old.difference(new).difference(loss)),
    }
    distance = {"certain_gain": _signed_distance_m(before), "certain_loss": _signed_distance_m(after)}
    found = []
    for zone in zones:
        inside, scale = burn(zone.geometry, grid), _scale(zone, grid)
        for change in _CHANGES:
            piece = polygons_only(parts[change].intersection(zone.geometry))
            moved = (after & ~before if change == "certain_gain" else before & ~after) & inside
            advance = _advance(distance[change], moved, eps) if change in distance else None
            sigma = outline_sigma_m2(piece.length, PIXEL_M, config.uncertainty.c, config.boundary.sigma_edge_m)
            found.append(BoundaryPiece(zone.zone_id, change, piece, piece.area / scale, sigma, advance))
    return found


def _seen(year: YearMaps, inside: Bool, min_dates: int) -> tuple[float, float, int, int]:
    """Share of a zone seen on enough dates, and median number of dates, for ground and for piles."""
    if not inside.any():
        return 0.0, 0.0, 0, 0
    shares = [round(float(np.mean(seen[inside])), 4) for seen in (year.ground_seen, year.clear >= min_dates)]
    return shares[0], shares[1], int(np.median(year.ground_clear[inside])), int(np.median(year.clear[inside]))


def _scale(zone: Zone, grid: Grid) -> float:
    centre = zone.geometry.centroid
    return areal_scale(grid.epsg, centre.x, centre.y)


def _beyond(later: BaseGeometry, earlier: BaseGeometry, eps_m: float) -> MultiPolygon:
    """Ground of ``later`` farther than the positional noise from ``earlier``."""
    return polygons_only(later.difference(earlier.buffer(eps_m, quad_segs=4)))


def _outline_m(mask: Bool) -> float:
    """Length of a mask's outline, staircase corrected, metres."""
    padded = np.pad(mask, 1)
    edges = (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()
    return float(edges) * PIXEL_M * _STAIRCASE


def _signed_distance_m(mask: Bool) -> NDArray[np.float64]:
    """Distance to a mask's outline in metres, negative inside; infinite when the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    outside = ndimage.distance_transform_edt(~mask)
    inside = ndimage.distance_transform_edt(mask)
    return np.asarray(np.where(mask, 0.5 - inside, outside - 0.5) * PIXEL_M)


def _advance(distance_m: NDArray[np.float64], moved: Bool, eps_m: float) -> tuple[float, float, float] | None:
    """Median, 90th percentile and maximum advance along the outline of what moved, metres."""
    rim = distance_m[moved & ~ndimage.binary_erosion(moved)]
    far = rim[np.isfinite(rim) & (rim > eps_m)]
    if far.size == 0:
        return None
    return float(np.median(far)), float(np.quantile(far, 0.9)), float(far.max())
