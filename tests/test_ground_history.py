"""Ground that lasts, passes or waits for another year, on analytic scenes of squares through the years."""

import numpy as np
import pytest
import shapely
from shapely import box

from pipeline.config import Config
from pipeline.maps import write_map
from pipeline.passes.boundary import measure_boundary
from pipeline.passes.ground import measure_year
from pipeline.passes.history import brief, invariant_levels, lasting, remember
from pipeline.passes.label import YearMaps, write_maps
from pipeline.types import Grid, Zone

CONFIG = Config()
SIDE = 60
GRID = Grid(32652, 300_000.0, 4_400_000.0, SIDE, SIDE)
CAMP = (slice(5, 25), slice(5, 25))
NEW = (slice(35, 45), slice(35, 45))
"""Ten pixels square: 1 ha."""
NEW_M2 = 1e4
FIRST = 2018


def cell(rows, columns):
    """Rectangle of the grid's pixels in its CRS."""
    return box(
        GRID.left_m + 10 * columns.start, GRID.top_m - 10 * rows.stop,
        GRID.left_m + 10 * columns.stop, GRID.top_m - 10 * rows.start,
    )  # fmt: skip


SITE = Zone("site", "site", "Site", cell(slice(0, SIDE), slice(0, SIDE)), 36e4)
EAST = Zone("east", "named", "East", cell(slice(0, SIDE), slice(40, SIDE)), 12e4)


def mask(*parts):
    found = np.zeros(GRID.shape, dtype=bool)
    for part in parts:
        found[part] = True
    return found


@pytest.fixture
def series(tmp_path):
    """Write maps of years: what of NEW is bare is told by a string, B bare, G green, ? unseen, W water."""

    def write(pattern, *, adequate=None, camp=(CAMP,), where=NEW, brightness=None):
        maps = {}
        for number, state in enumerate(pattern):
            ground = mask(*camp, *([where] if state == "B" else []))
            seen = ~mask(where) if state == "?" else mask((slice(None), slice(None)))
            level = np.full(GRID.shape, 0.2 if brightness is None else brightness[number], np.float32)
            counts = np.full(GRID.shape, 8, np.uint8)
            maps[FIRST + number] = tmp_path / str(FIRST + number)
            found = YearMaps(
                objects=mask(), water=mask(), clear=counts, ground_clear=counts,
                ground=np.stack([ground] * 3), ground_seen=seen, wet=mask(where) if state == "W" else mask(),
                brightness=level,
            )  # fmt: skip
            write_maps(maps[FIRST + number], found)
        return remember(maps, list(maps) if adequate is None else adequate, tmp_path, CONFIG.boundary.shore_m)

    return write


def gain(years, pair, zones=(SITE,)):
    pieces = measure_boundary(pair, years, zones, GRID, CONFIG)
    return {(p.zone_id, p.change): p for p in pieces}


def certain_m2(years, pair):
    return gain(years, pair)["site", "certain_gain"].area_m2


@pytest.mark.parametrize(
    ("pattern", "pair", "certain"),
    [
        ("GBBB", (2018, 2019), True),  # stays
        ("GBBB", (2018, 2021), True),  # the last year, shown by the one before
        ("GGGB", (2018, 2021), False),  # new in the last year
        ("GGGB", (2020, 2021), False),
        ("GGBB", (2020, 2021), False),  # no gain at all
        ("GBG", (2018, 2019), False),  # a field that rotates
        ("GBGBG", (2018, 2021), False),
        ("GBBG", (2018, 2019), False),  # logged, green within two years
        ("GBBG", (2018, 2020), False),
        ("GBBBG", (2018, 2019), True),  # three years are use
        ("BGBBB", (2019, 2020), False),  # occupied before: it comes back
        ("BGBBB", (2019, 2022), False),
        ("G?BBB", (2019, 2020), False),  # unseen before
        ("GB?BB", (2018, 2019), True),  # a year it was not seen neither confirms the next nor refutes
        ("GB?", (2018, 2019), False),
        ("GB", (2018, 2019), False),
    ],
)
def test_which_gain_is_certain(pattern, pair, certain, series):
    expected = NEW_M2 if certain and pattern[1:3] != "B?" else 0.0
    assert certain_m2(series(pattern), pair) == pytest.approx(expected, rel=2e-3)


def test_a_year_with_too_few_dates_confirms_nothing(series):
    years = series("GBBG", adequate=[2018, 2019, 2021])
    assert certain_m2(years, (2018, 2019)) == 0.0
    assert lasting(years, (2018, 2019), 2).passing[NEW].all()


@pytest.mark.parametrize(
    ("pattern", "pair", "waiting", "passing"),
    [("GGB", (2018, 2020), 1, 0), ("GBG", (2018, 2019), 0, 1), ("GBBB", (2018, 2019), 0, 0)],
)
def test_what_is_left_out_is_told(pattern, pair, waiting, passing, series):
    found = gain(series(pattern), pair)
    piece = found["site", "certain_gain"]
    assert piece.waiting_m2 == pytest.approx(waiting * NEW_M2, rel=2e-3)
    assert piece.passing_m2 == pytest.approx(passing * NEW_M2, rel=2e-3)
    assert found["site", "possible_gain"].area_m2 == pytest.approx(max(waiting, passing) * NEW_M2, rel=2e-3)


def test_a_shore_neither_gains_nor_is_occupied(series):
    years = series("WBBB")
    found = gain(years, (2018, 2020))
    assert {p.area_m2 for p in found.values()} == {0.0}
    assert found["site", "certain_gain"].shore_m2 == pytest.approx(NEW_M2, rel=2e-3)
    area = measure_year(2020, years, [SITE], GRID, CONFIG)[0].area_m2
    assert area == pytest.approx(400 * 100.0, rel=2e-3), "the camp alone"


def test_ground_by_steady_water_gains(series, tmp_path):
    years = series("GBBB")
    for path in years.maps.values():
        write_map(path, "wet", mask((slice(45, 50), slice(30, 50))))
    years = remember(years.maps, years.adequate, tmp_path, CONFIG.boundary.shore_m)
    assert certain_m2(years, (2018, 2020)) == pytest.approx(NEW_M2, rel=2e-3)


def test_flicker_of_a_bank_is_no_shore(series):
    """Mixed pixels, two wide, that are water in one year and ground in another."""
    years = series("GWGG", where=(slice(35, 55), slice(35, 37)))
    assert not np.load(years.shore).any()


@pytest.mark.parametrize(
    ("pattern", "year", "doubtful", "cleared"),
    [
        ("GBG", 2019, True, True),
        ("GBBG", 2019, True, True),
        ("GBBG", 2020, True, True),
        ("GBBBG", 2020, False, False),
        ("GGB", 2020, True, False),  # new in the last year
        ("GBB", 2020, False, False),
        ("BGG", 2018, True, False),  # bare in the first year alone
        ("BBG", 2018, False, False),
        ("BBB", 2019, False, False),
        ("B", 2018, False, False),
        ("GB?", 2019, False, False),
    ],
)
def test_ground_bared_for_a_short_time(pattern, year, doubtful, cleared, series):
    years = series(pattern)
    found = brief(years, year, 2)
    assert [bool(part[NEW].all()) for part in found] == [doubtful, cleared]
    assert [bool(part[NEW].any()) for part in found] == [doubtful, cleared]
    assert not any(part[CAMP].any() for part in found)
    (zone,) = measure_year(year, years, [SITE], GRID, CONFIG)
    assert (zone.sigma_m2 > 0.99 * NEW_M2) == doubtful
    assert zone.by_class["other_cleared"].area == (NEW_M2 if cleared else 0.0)


def test_advance_and_its_length(series, tmp_path):
    """The camp's east side moves 50 m along 200 m; the ends of the strip move too, as far as they lie beyond eps."""
    years = series("GGGG")
    wide = (CAMP[0], slice(5, 30))
    for year in (2019, 2020, 2021):
        write_map(years.maps[year], "ground", np.stack([mask(wide)] * 3))
    years = remember(years.maps, years.adequate, tmp_path, CONFIG.boundary.shore_m)
    piece = gain(years, (2018, 2020))["site", "certain_gain"]
    eps = 7.84
    assert piece.area_m2 == pytest.approx(200 * (50 - eps), rel=5e-3)
    assert piece.advance.length_m == pytest.approx(np.pi / 4 * (200 + 2 * (50 - eps)), rel=0.01)
    assert piece.advance.max_m == pytest.approx(45.0), "centre of the outermost pixel"
    assert piece.advance.p50_m == pytest.approx(45.0)


def test_zones_part_the_gain(series):
    found = gain(series("GBBB"), (2018, 2020), (SITE, EAST))
    assert found["east", "certain_gain"].area_m2 == pytest.approx(NEW_M2 / 2, rel=2e-3)
    assert found["east", "certain_gain"].geometry.difference(EAST.geometry).area == 0.0


def test_a_zone_whose_edge_cuts_ground_is_less_certain(series):
    """Fifteen of the camp's twenty columns: the edge cuts 200 m, of which 10 m at either end are rim."""
    years = series("GGG")
    half = Zone("half", "named", "Half", cell(slice(0, SIDE), slice(0, 20)), 12e4)
    whole, cut = (measure_year(2019, years, [zone], GRID, CONFIG)[0] for zone in (SITE, half))
    extra = 180.0 * np.hypot(3.3, 10 / np.sqrt(12))
    own = cut.outline_m / whole.outline_m * whole.sigma_m2
    assert cut.sigma_m2 == pytest.approx(np.hypot(own, extra), rel=0.03)


def test_levels_of_ground_that_stays(series):
    years = series("BGBB", brightness=[0.20, 0.21, 0.19, 0.20])
    assert invariant_levels(years, 0.10) == pytest.approx({2018: 0.20, 2019: 0.21, 2020: 0.19, 2021: 0.20})
    assert invariant_levels(years, 0.195) == {}, "dark in one year"
    assert (
        invariant_levels(series("BB", camp=((slice(5, 8), slice(5, 8)),), where=(slice(1, 4), slice(1, 4))), 0.1) == {}
    )


def test_no_year_is_no_error(tmp_path):
    years = remember({}, [], tmp_path, 30.0)
    assert invariant_levels(years, 0.1) == {}
    assert not years.ever.exists()


def test_gain_lies_within_the_later_ground(series):
    piece = gain(series("GBBB"), (2018, 2020))["site", "certain_gain"]
    assert shapely.difference(piece.geometry, cell(*NEW)).area == 0.0
