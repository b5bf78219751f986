"""Occupied ground: its extent by zone and year, and what two halves of one year's dates differ by."""

from collections.abc import Sequence

import numpy as np
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from models._uncertainty import outline_sigma_m2
from models.footprint import classes
from pipeline.compare import Z95
from pipeline.config import BoundaryConfig, Config
from pipeline.findings import ZoneGround
from pipeline.grid import areal_scale, burn
from pipeline.outlines import polygons_only, to_polygons
from pipeline.passes.history import Years, brief, occupied
from pipeline.passes.label import YearMaps, read_maps
from pipeline.types import PIXEL_M, Bool, Grid, Zone

STAIRCASE = np.pi / 4
"""Mean length of a smooth outline per length of its pixel staircase."""


def year_pairs(years: Sequence[int], base: int | None) -> list[tuple[int, int]]:
    """Pair each year with the one before it and with the baseline, earlier first."""
    pairs = {(year - 1, year) for year in years if year - 1 in years}
    if base is not None and base in years:
        pairs |= {(min(base, year), max(base, year)) for year in years if year != base}
    return sorted(pairs)


def positional_noise_m(config: BoundaryConfig) -> float:
    """Distance beyond which ground has certainly changed (science 3.4): 1.96 sigma of two outlines."""
    return float(Z95 * np.sqrt(2 * config.sigma_registration_m**2 + 2 * config.sigma_edge_m**2))


def ground_outline(year: int, years: Years, grid: Grid) -> BaseGeometry:
    """Outline of a year's occupied ground, the reference of a site without a sourced perimeter."""
    return to_polygons(occupied(years, year)[0], grid)


def measure_year(year: int, years: Years, zones: Sequence[Zone], grid: Grid, config: Config) -> list[ZoneGround]:
    """Measure occupied ground of every zone in one year.

    Ground that was occupied in another year and not seen in this one widens the interval by its whole area:
    it may be there or not. So does ground that was bared for a short time, or in the last year alone.
    """
    maps = read_maps(years.maps[year])
    footprint, shore = occupied(years, year)[0], np.load(years.shore)
    hidden = np.load(years.ever) & ~maps.ground_seen
    doubtful, cleared = brief(years, year, config.boundary.lasting_years)
    by_class = classes(footprint, cleared, maps.brightness, config.footprint.dark_brightness)
    eps, core = positional_noise_m(config.boundary), to_polygons(footprint, grid).buffer(-PIXEL_M)
    cut_sigma_m = np.hypot(config.boundary.sigma_absolute_m, PIXEL_M / np.sqrt(12))
    # A shore moves between two dates of one year, and is never a gain.
    first, second = (to_polygons(half & ~shore, grid) for half in maps.ground[1:])
    chance = [beyond(second, first, eps), beyond(first, second, eps)]
    found = []
    for zone in zones:
        inside = burn(zone.geometry, grid)
        cell_m2 = PIXEL_M**2 / zone_scale(zone, grid)
        outline_m = _outline_m(footprint & inside)
        # Where the zone's own edge cuts ground, the position of the whole series counts, and that pixels are whole.
        cut_m = core.intersection(zone.geometry.boundary).length
        sigma = outline_sigma_m2(outline_m, PIXEL_M, config.uncertainty.c, config.boundary.sigma_edge_m)
        # Below the smallest patch that is mapped nothing is known, also where nothing was found.
        smallest = config.footprint.min_px * PIXEL_M**2 / Z95
        doubt = [float((mask & inside).sum()) * cell_m2 for mask in (hidden, doubtful)]
        found.append(
            ZoneGround(
                zone.zone_id,
                float((footprint & inside).sum()) * cell_m2,
                float(np.linalg.norm([max(sigma, smallest), cut_m * cut_sigma_m, *doubt])),
                outline_m,
                *_seen(maps, inside, config.min_dates),
                {name: to_polygons(mask & inside, grid) for name, mask in by_class.items()},
                tuple(c.intersection(zone.geometry).area * cell_m2 / PIXEL_M**2 for c in chance),
            )
        )
    return found


def _seen(year: YearMaps, inside: Bool, min_dates: int) -> tuple[float, float, int, int]:
    """Share of a zone seen on enough dates, and median number of dates, for ground and for piles."""
    if not inside.any():
        return 0.0, 0.0, 0, 0
    shares = [round(float(np.mean(seen[inside])), 4) for seen in (year.ground_seen, year.clear >= min_dates)]
    return shares[0], shares[1], int(np.median(year.ground_clear[inside])), int(np.median(year.clear[inside]))


def zone_scale(zone: Zone, grid: Grid) -> float:
    """Planar over geodesic area at a zone's centre."""
    centre = zone.geometry.centroid
    return areal_scale(grid.epsg, centre.x, centre.y)


def beyond(later: BaseGeometry, earlier: BaseGeometry, eps_m: float) -> MultiPolygon:
    """Ground of ``later`` farther than the positional noise from ``earlier``."""
    return polygons_only(later.difference(earlier.buffer(eps_m, quad_segs=4)))


def _outline_m(mask: Bool) -> float:
    """Length of a mask's outline, staircase corrected, metres."""
    padded = np.pad(mask, 1)
    edges = (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()
    return float(edges) * PIXEL_M * STAIRCASE
