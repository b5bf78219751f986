"""Occupied ground: its extent by zone and year, and what two halves of one year's dates differ by."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from models._uncertainty import outline_sigma_m2
from models.footprint import CLASSES, classes
from pipeline.compare import Z95
from pipeline.config import BoundaryConfig, Config
from pipeline.findings import ZoneGround
from pipeline.grid import areal_scale
from pipeline.kernels.zones import count_edges, tally
from pipeline.maps import read_map
from pipeline.outlines import to_polygons
from pipeline.overlays import Laid, beyond_m2, edge_inside_m, lay, of_zone
from pipeline.passes.history import Years, brief, occupied, read_site_map, strips
from pipeline.threads import hand_back
from pipeline.types import PIXEL_M, Grid, Zone

STAIRCASE = np.pi / 4
"""Mean length of a smooth outline per length of its pixel staircase."""
CLASS_MARKS = dict(zip(CLASSES, (1, 2, 4), strict=True))
OCCUPIED, HIDDEN, DOUBTFUL, FIRST, SECOND, SEEN = 7, 8, 16, 32, 64, 128
"""Marks of a pixel in one year: of one of the classes; occupied in another year and not seen; bared for a short time;
occupied by the first and by the second half of the dates; seen on enough dates."""


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
    hand_back()
    marks = _marks(year, years, grid, config)
    found = []
    for zone in zones:
        # What the outlines of one zone leave is not kept through all of them.
        hand_back()
        found.append(_measure_zone(zone, marks, years.maps[year], grid, config))
    return found


def _marks(year: int, years: Years, grid: Grid, config: Config) -> NDArray[np.uint8]:
    """Mark every pixel of a year by what the year and those around say of it."""
    marks = np.zeros(grid.shape, dtype=np.uint8)
    folder = years.maps[year]
    for at in strips(grid.height):
        ground, seen = occupied(years, year, at)
        doubtful, cleared = brief(years, year, config.boundary.lasting_years, at)
        by_class = classes(ground, cleared, read_map(folder, "brightness", at), config.footprint.dark_brightness)
        # A shore moves between two dates of one year, and is never a gain.
        dry = ~read_site_map(years.shore, at)
        for mark, mask in (
            *((CLASS_MARKS[name], mask) for name, mask in by_class.items()),
            (HIDDEN, read_site_map(years.ever, at) & ~seen),
            (DOUBTFUL, doubtful),
            *((mark, read_map(folder, "ground", (half, *at)) & dry) for half, mark in ((1, FIRST), (2, SECOND))),
            (SEEN, seen),
        ):
            marks[at] |= mask * np.uint8(mark)
    return marks


def _measure_zone(zone: Zone, marks: NDArray[np.uint8], folder: Path, grid: Grid, config: Config) -> ZoneGround:
    """Measure the ground of one zone, given the marks of all pixels."""
    laid, eps = lay(zone.geometry, grid), positional_noise_m(config.boundary)
    marked = marks[laid.at]
    counts = _counts(laid, marks, folder)
    cell_m2 = PIXEL_M**2 / zone_scale(zone, grid)

    def count(mark: int) -> int:
        return int(counts[0, (np.arange(256) & mark) > 0].sum())

    outline_m = float(count_edges(laid.marks, marked, OCCUPIED)) * PIXEL_M * STAIRCASE
    # Where the zone's own edge cuts ground, the position of the whole series counts, and that pixels are whole.
    cut_m = edge_inside_m(laid, marks, OCCUPIED, grid)
    cut_sigma_m = np.hypot(config.boundary.sigma_absolute_m, PIXEL_M / np.sqrt(12))
    sigma = outline_sigma_m2(outline_m, PIXEL_M, config.uncertainty.c, config.boundary.sigma_edge_m)
    # Below the smallest patch that is mapped nothing is known, also where nothing was found.
    smallest = config.footprint.min_px * PIXEL_M**2 / Z95
    doubt = [count(mark) * cell_m2 for mark in (HIDDEN, DOUBTFUL)]
    chance_m2 = [beyond_m2(laid, marks, halves, grid, eps) for halves in ((SECOND, FIRST), (FIRST, SECOND))]
    return ZoneGround(
        zone.zone_id,
        count(OCCUPIED) * cell_m2,
        float(np.linalg.norm([max(sigma, smallest), cut_m * cut_sigma_m, *doubt])),
        outline_m,
        *_seen(counts, config.min_dates, count(SEEN)),
        {name: to_polygons(of_zone(laid, marked, mark), grid, laid.at) for name, mark in CLASS_MARKS.items()},
        tuple(chance * cell_m2 / PIXEL_M**2 for chance in chance_m2),
    )


def _counts(laid: Laid, marks: NDArray[np.uint8], folder: Path) -> NDArray[np.int64]:
    """Count the marks of a zone's pixels, their numbers of dates for ground, and for piles; shape (3, 256)."""
    counts = np.zeros((3, 256), dtype=np.int64)
    rows, columns = laid.at
    for part, _ in strips(rows.stop - rows.start):
        at = slice(rows.start + part.start, rows.start + part.stop), columns
        ground_dates, dates = (read_map(folder, name, at) for name in ("ground_clear", "clear"))
        tally(laid.marks[part], (marks[at], ground_dates, dates), counts)
    return counts


def _seen(counts: NDArray[np.int64], min_dates: int, ground_seen: int) -> tuple[float, float, int, int]:
    """Share of a zone seen on enough dates, and median number of dates, for ground and for piles.

    ``counts`` holds how many pixels bear each mark, have each number of dates for ground, and for piles.
    """
    pixels = int(counts[1].sum())
    if pixels == 0:
        return 0.0, 0.0, 0, 0
    shares = [round(number / pixels, 4) for number in (ground_seen, int(counts[2, min_dates:].sum()))]
    return shares[0], shares[1], _median(counts[1]), _median(counts[2])


def _median(counts: NDArray[np.int64]) -> int:
    """Median of numbers told by how often each occurs, rounded down."""
    below, total = np.cumsum(counts), int(counts.sum())
    low, high = (int(np.searchsorted(below, place, side="right")) for place in ((total - 1) // 2, total // 2))
    return (low + high) // 2


def zone_scale(zone: Zone, grid: Grid) -> float:
    """Planar over geodesic area at a zone's centre."""
    centre = zone.geometry.centroid
    return areal_scale(grid.epsg, centre.x, centre.y)
