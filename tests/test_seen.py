"""The baseline year is that of the ground as it is measured, found without measuring it."""

import numpy as np
import pytest
from shapely import Polygon, box

from pipeline.config import Config
from pipeline.findings import YearDates
from pipeline.maps import write_map
from pipeline.measure import common_baseline, measure_zones, site_baseline
from pipeline.passes.ground import measure_year
from pipeline.passes.history import remember
from pipeline.passes.label import YearMaps, write_maps
from pipeline.passes.seen import seen_shares
from pipeline.types import Grid, Zone

GRID = Grid(32652, 300_000.0, 4_400_000.0, 40, 600)
LEFT, BOTTOM, RIGHT, TOP = GRID.bounds
SITE = Zone("site", "site", "Site", Polygon([(LEFT, BOTTOM), (RIGHT, BOTTOM + 5), (LEFT + 123, TOP)]), 1e6)
CONFIG = Config()
YEARS = range(2018, 2022)


def written(folder, rng):
    few = rng.random(GRID.shape) < rng.choice([0.01, 0.5])
    clear = np.where(few, rng.integers(0, 9, GRID.shape), 9).astype(np.uint8)
    ground = np.zeros((3, *GRID.shape), dtype=bool)
    write_maps(
        folder,
        YearMaps(
            objects=ground[0], water=ground[0], clear=clear, ground_clear=clear, ground=ground,
            ground_seen=clear >= CONFIG.min_dates, wet=ground[0], brightness=np.full(GRID.shape, 0.2, np.float32),
        ),
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("seed", range(8))
def test_the_baseline_is_that_of_the_measured_ground(seed, tmp_path):
    rng = np.random.default_rng(seed)
    maps = {year: written(tmp_path / str(year), rng) for year in YEARS}
    years = remember(maps, list(YEARS), tmp_path, CONFIG.boundary.shore_m)
    measured = {year: measure_year(year, years, [SITE], GRID, CONFIG) for year in YEARS}
    seen = {year: seen_shares(maps[year], SITE, GRID, CONFIG.min_dates) for year in YEARS}
    assert seen == {year: (g.valid_fraction, g.stock_valid_fraction) for year, (g,) in measured.items()}
    days = [(150,) * int(rng.choice([5, 8])) for _ in range(5)]
    dates = [YearDates(year, day, day) for year, day in zip(range(2017, 2022), days, strict=True)]
    plain = common_baseline(measure_zones([], [SITE], measured, dates, CONFIG), None)
    assert site_baseline([], SITE, seen, dates, CONFIG) == plain


def test_shares_by_hand(tmp_path):
    """Of ten pixels of a zone four are seen for ground, and three on six dates or more."""
    grid = Grid(32652, 300_000.0, 4_400_000.0, 2, 10)
    zone = Zone("site", "site", "Site", box(300_000, 4_399_900, 300_010, 4_400_000), 1e3)
    write_map(tmp_path, "ground_seen", np.array([[True, True]] * 4 + [[False, True]] * 6))
    write_map(tmp_path, "clear", np.array([[6, 9]] * 3 + [[5, 9]] * 7, dtype=np.uint8))
    assert seen_shares(tmp_path, zone, grid, 6) == (0.4, 0.3)
    outside = Zone("site", "site", "Site", box(0, 0, 10, 10), 1e3)
    assert seen_shares(tmp_path, outside, grid, 6) == (0.0, 0.0)
