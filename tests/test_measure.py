"""Piles and ground to one number a zone and year, against sums done by hand."""

import datetime as dt

import numpy as np
import pytest
import shapely
from shapely import box

from pipeline.config import Config
from pipeline.findings import BoundaryPiece, Observation, PileSeries, PileYear, YearDates, ZoneGround
from pipeline.measure import (
    boundary_measurements,
    common_baseline,
    ground_measurements,
    measure_zones,
    stockpile_measurements,
)
from pipeline.pile_measures import pile_measurements, pile_tier, stock_covariance, zone_of
from pipeline.types import Measurement, Zone

CONFIG = Config()
NONE_LIMIT = 20 * 100 / 1.96
"""20 px of 100 m2 are the smallest pile measured, as a 95 % interval."""
SITE = Zone("site", "site", "Site", box(0, 0, 1000, 1000), 1e6)
EAST = Zone("east", "named", "East", box(500, 0, 1000, 1000), 5e5)
CONTROL = Zone("control", "control", "Control", box(2000, 0, 2500, 500), 2.5e5)
DAYS = (100, 110, 120, 250, 260, 270)


def pile_year(year, area, sigma=300.0, tier="probable", reason=None):
    seen = area is not None
    date = dt.date(year, 5, 1)
    drawn = (Observation("s", date, box(0, 0, 1, 1), area, sigma, 0.04, 0.2, 1.0),) if area else ()
    return PileYear(
        year, area, sigma if seen else None, 8, 185.0, 0.9 if area else 0.0, tier if area else None,
        box(0, 0, 1, 1) if area else None, drawn, reason,
    )  # fmt: skip


def pile(name, point, *years):
    return PileSeries(name, point, years)


def ground(zone="site", area=5e4, **changes):
    values = {
        "zone_id": zone, "area_m2": area, "sigma_m2": 900.0, "outline_m": 1000.0, "valid_fraction": 1.0,
        "stock_valid_fraction": 1.0, "n_dates": 7, "stock_n_dates": 9, "by_class": {}, "chance_m2": (100.0, 300.0),
    }  # fmt: skip
    return ZoneGround(**{**values, **changes})


def dates(year, stock=DAYS, footprint=DAYS):
    return YearDates(year, stock, footprint)


def one(rows, zone, year, metric):
    (row,) = [r for r in rows if (r.zone_id, r.year, r.metric) == (zone, year, metric)]
    return row


def stock(piles, seen=None, when=None):
    seen = ground() if seen is None else seen
    return stockpile_measurements(piles, [SITE], {2020: [seen]}, [dates(2020) if when is None else when], CONFIG)


# --- tier and zone ---


@pytest.mark.parametrize(
    ("tiers", "tier"),
    [
        (["probable"], "probable"),
        (["probable", "candidate"], "probable"),
        (["probable", "candidate", "candidate"], "candidate"),
        (["candidate", None, None], "candidate"),
        (["probable", None, None], "probable"),
        ([None], "candidate"),
    ],
)
def test_a_pile_has_one_tier_through_the_years(tiers, tier):
    years = [pile_year(2018 + n, 3000.0 if t else 0.0, tier=t) for n, t in enumerate(tiers)]
    assert pile_tier(pile("a", (1, 1), *years)) == tier


def test_a_pile_belongs_to_the_smallest_zone_it_lies_in():
    zones = [SITE, EAST, Zone("aeast", "named", "Twin", EAST.geometry, EAST.area_m2)]
    assert zone_of(pile("a", (700, 500), pile_year(2020, 1.0)), zones) == "aeast"
    assert zone_of(pile("a", (100, 500), pile_year(2020, 1.0)), zones) == "site"
    assert zone_of(pile("a", (5000, 500), pile_year(2020, 1.0)), zones) == "site"


# --- stock ---


def test_areas_add_up_and_their_errors_add_as_squares():
    piles = [
        pile("a", (100, 100), pile_year(2020, 8000.0, 300.0)),
        pile("b", (700, 100), pile_year(2020, 5000.0, 400.0)),
        pile("c", (700, 700), pile_year(2020, 9000.0, 500.0, tier="candidate")),
    ]
    rows = stockpile_measurements(piles, [SITE, EAST], {2020: [ground(), ground("east")]}, [dates(2020)], CONFIG)
    area = one(rows, "site", 2020, "stockpile_area_m2")
    assert (area.value, area.sigma, area.unit, area.status) == (13000.0, 500.0, "m2", "ok")
    assert (area.n_dates, area.mean_day_of_year, area.valid_fraction) == (9, 185.0, 1.0)
    assert one(rows, "site", 2020, "stockpile_count").value == 2
    assert one(rows, "east", 2020, "stockpile_area_m2").value == 5000.0
    assert one(rows, "east", 2020, "stockpile_count").value == 1


def test_a_seen_zone_without_a_pile_has_zero_with_the_limit_of_detection():
    area, count = stock([])
    assert (area.value, count.value) == (0.0, 0.0)
    assert area.sigma == pytest.approx(NONE_LIMIT)
    assert count.sigma == pytest.approx(0.5 / 1.96)


def test_a_pile_that_is_gone_counts_as_none():
    gone = pile("a", (1, 1), pile_year(2019, 4000.0), pile_year(2020, 0.0, NONE_LIMIT))
    area, count = stock([gone])
    assert (area.value, count.value) == (0.0, 0.0)
    assert area.sigma == pytest.approx(NONE_LIMIT)


def test_a_pile_at_its_own_noise_makes_the_count_doubtful():
    _, count = stock([pile("a", (1, 1), pile_year(2020, 2000.0, 1100.0)), pile("b", (2, 2), pile_year(2020, 9000.0))])
    assert count.value == 2
    assert count.sigma == pytest.approx(np.hypot(0.5 / 1.96, 0.5))


def test_a_small_pile_not_seen_makes_the_year_partial_and_wide():
    lost = pile("b", (2, 2), pile_year(2019, 1000.0), pile_year(2020, None, reason="outlined on 1 of 8 dates"))
    kept = pile("a", (1, 1), pile_year(2019, 19000.0), pile_year(2020, 20000.0, 600.0))
    area, count = stock([kept, lost])
    assert (area.status, area.value) == ("partial", 20000.0)
    assert area.sigma == pytest.approx(np.hypot(600.0, 1000.0))
    # It may be there: one pile more must not be called an increase when it is seen again.
    assert (count.status, count.value) == ("partial", 1.0)
    assert count.sigma == pytest.approx(np.hypot(0.5 / 1.96, 1.0))
    assert "could not be outlined" in area.reason


def test_a_large_pile_not_seen_leaves_no_number():
    lost = pile("b", (2, 2), pile_year(2019, 3000.0), pile_year(2020, None))
    kept = pile("a", (1, 1), pile_year(2019, 19000.0), pile_year(2020, 20000.0))
    for row in stock([kept, lost]):
        assert (row.status, row.value, row.sigma) == ("insufficient_data", None, None)
        assert row.reason == "1 of 2 piles could not be outlined"


@pytest.mark.parametrize(
    ("when", "seen", "status", "reason"),
    [
        (dates(2020, DAYS[:5]), ground(), "insufficient_data", "5 usable dates, 6 are needed"),
        (
            dates(2020),
            ground(stock_valid_fraction=0.79),
            "insufficient_data",
            "79% of the zone seen on 6 dates or more",
        ),
        (dates(2020), ground(stock_valid_fraction=0.80), "partial", "80% of the zone seen on 6 dates or more"),
        (dates(2020), ground(stock_valid_fraction=0.95), "ok", None),
    ],
)
def test_what_was_not_seen_has_no_number(when, seen, status, reason):
    for row in stock([pile("a", (1, 1), pile_year(2020, 8000.0))], seen, when):
        assert (row.status, row.reason) == (status, reason)
        assert (row.value is None) == (row.sigma is None) == (status == "insufficient_data")


def test_a_year_without_a_scene_is_there_and_empty():
    rows = measure_zones([], [SITE], {}, [dates(2020, (), ())], CONFIG)
    assert [r.metric for r in rows] == ["stockpile_area_m2", "stockpile_count", "footprint_area_m2"]
    for row in rows:
        assert (row.status, row.value, row.n_dates) == ("insufficient_data", None, 0)
        assert (row.valid_fraction, row.mean_day_of_year) == (0.0, None)


def test_stock_and_ground_are_judged_by_their_own_windows():
    seen = ground(valid_fraction=0.5, stock_valid_fraction=1.0)
    rows = measure_zones([], [SITE], {2020: [seen]}, [dates(2020, DAYS, (160, 170))], CONFIG)
    assert one(rows, "site", 2020, "stockpile_area_m2").status == "ok"
    assert one(rows, "site", 2020, "footprint_area_m2").reason == "2 usable dates, 6 are needed"


def test_the_dates_of_each_part_of_the_season_go_with_the_number():
    when = YearDates(2020, DAYS, DAYS, (3, 3), (2, 4))
    rows = measure_zones([], [SITE], {2020: [ground()]}, [when], CONFIG)
    assert [r.part_dates for r in rows] == [(3, 3), (3, 3), (2, 4)]


def test_every_pile_has_a_row_a_year():
    rows = pile_measurements([pile("a", (1, 1), pile_year(2019, 4000.0), pile_year(2020, None, reason="why"))])
    assert [(r.zone_id, r.year, r.value, r.status, r.reason) for r in rows] == [
        ("a", 2019, 4000.0, "ok", None),
        ("a", 2020, None, "insufficient_data", "why"),
    ]
    assert [r.valid_fraction for r in rows] == [1.0, 0.0]


# --- ground ---


def test_ground_of_a_zone():
    (row,) = ground_measurements([SITE], {2020: [ground(area=51_234.0)]}, [dates(2020)], CONFIG)
    assert (row.value, row.sigma, row.n_dates, row.status) == (51_234.0, 900.0, 7, "ok")


def piece(zone, area, change="certain_gain", sigma=50.0):
    return BoundaryPiece(zone, change, shapely.Polygon(), area, sigma, None)


def gains(pieces, *, later=None, zones=(SITE, CONTROL), site=None):
    seen = {2019: [site or ground(), ground("control", outline_m=800.0)], 2020: later or [ground(), ground("control")]}
    rows = boundary_measurements(list(zones), seen, {(2019, 2020): pieces}, CONFIG)
    return {row.zone_id: row for row in rows}


def test_gain_stands_beside_what_halves_of_a_year_show():
    """Halves show 100 and 300 in each of two years: 200 by chance, standard deviation 115.5."""
    row = gains([piece("site", 4000.0), piece("control", 0.0)])["site"]
    assert (row.value, row.chance_value, row.status) == (4000.0, 200.0, "ok")
    assert row.sigma == pytest.approx(np.sqrt(50.0**2 + 13333.33 + (10 * 100 / 1.96) ** 2), abs=0.1)


def test_gain_stands_beside_what_the_controls_gain_by_the_metre():
    """Controls gain 400 m2 along 800 m; the site has 1000 m of outline: 500 m2 by chance."""
    rows = gains([piece("site", 4000.0), piece("control", 400.0)])
    assert rows["site"].chance_value == pytest.approx(500.0)
    assert rows["control"].chance_value == pytest.approx(200.0)


def doubtful(area, **doubts):
    return BoundaryPiece("site", "certain_gain", shapely.Polygon(), area, 50.0, None, **doubts)


def test_new_ground_of_the_last_year_alone_waits():
    """What is certain is within chance, what waits is not: neither a gain nor none."""
    row = gains([doubtful(0.0, waiting_m2=6000.0), piece("control", 0.0)])["site"]
    assert (row.value, row.status) == (None, "insufficient_data")
    assert row.reason == "6,000 m2 of new ground wait for another adequate year to confirm them"


@pytest.mark.parametrize(("certain", "waiting"), [(0.0, 500.0), (4000.0, 6000.0)])
def test_waiting_ground_that_does_not_decide_is_told_beside_the_number(certain, waiting):
    row = gains([doubtful(certain, waiting_m2=waiting, passing_m2=300.0, shore_m2=20.0), piece("control", 0.0)])["site"]
    assert (row.value, row.status) == (certain, "ok")
    assert row.note == f"not counted: {waiting:,.0f} m2 not confirmed by another year, 300 m2 green again later"


def test_loss_is_not_gain():
    assert gains([piece("site", 9.0), piece("site", 7000.0, "certain_loss")])["site"].value == 9.0


@pytest.mark.parametrize("later", [[ground(valid_fraction=0.7)], [ground("control")]])
def test_no_gain_without_two_adequate_years(later):
    row = gains([piece("site", 4000.0)], later=later)["site"]
    assert (row.value, row.sigma, row.chance_value, row.status) == (None, None, None, "insufficient_data")


# --- baseline ---


def baseline_rows(**years):
    return [
        Measurement("site", int(y[1:]), metric, 1.0 if s != "insufficient_data" else None, 1.0, "m2", 8, 1.0, s)
        for y, states in years.items()
        for metric, s in zip(("stockpile_area_m2", "footprint_area_m2"), states, strict=True)
    ]


def test_the_baseline_is_the_first_year_in_which_everything_is_adequate():
    bad, ok = "insufficient_data", "ok"
    assert common_baseline(baseline_rows(y2018=(ok, bad), y2019=(ok, ok), y2020=(ok, ok)), None) == 2019
    assert common_baseline(baseline_rows(y2018=(bad, bad), y2019=(ok, bad), y2020=(bad, ok)), None) == 2019
    assert common_baseline(baseline_rows(y2018=(bad, bad)), None) is None
    assert common_baseline([], None) is None
    assert common_baseline(baseline_rows(y2018=(ok, ok)), 2021) == 2021


@pytest.mark.parametrize("hidden", [None, "far"])
def test_a_control_that_was_not_seen_does_not_thin_the_chance_level_out(hidden):
    """Both controls gain 0.5 m2 a metre where they are seen; a hidden one leaves that rate as it is."""
    far = Zone("far", "control", "Far control", box(4000, 0, 4500, 500), 2.5e5)
    zones = [SITE, CONTROL, far]
    earlier = [ground(z.zone_id) for z in zones]
    later = [ground(z.zone_id, valid_fraction=0.1 if z.zone_id == hidden else 1.0) for z in zones]
    gained = [piece("site", 3000.0), piece("control", 500.0), piece("far", 50.0 if hidden else 500.0)]
    rows = boundary_measurements(zones, {2019: earlier, 2020: later}, {(2019, 2020): gained}, CONFIG)
    assert next(r for r in rows if r.zone_id == "site").chance_value == pytest.approx(500.0)


def test_errors_of_two_years_that_lie_on_each_other_cancel_in_part():
    """Covariance by hand: 0.6 times the overlap of the outlines (half) times both standard deviations."""
    first, second = box(0, 0, 100, 100), box(0, 0, 100, 50)
    years = tuple(
        PileYear(year, shape.area, sigma, 8, 150.0, 1.0, "probable", shape)
        for year, shape, sigma in ((2018, first, 100.0), (2019, second, 80.0))
    )
    zone = Zone("site", "site", "Site", box(-50, -50, 200, 200), 62500.0)
    shared = stock_covariance([PileSeries("p", (50.0, 25.0), years)], [zone], Config())
    assert shared == {
        ("p", "area_m2", 2018, 2019): pytest.approx(0.6 * 0.5 * 100 * 80),
        ("site", "stockpile_area_m2", 2018, 2019): pytest.approx(0.6 * 0.5 * 100 * 80),
    }
