"""Changes of the instrument inside a series, and trends minus controls."""

import dataclasses

import pytest
from shapely.geometry import box

from pipeline.confounding import Archive, SceneFacts, shifts
from pipeline.controls import EFFECT, minus_control
from pipeline.trend import TrendRules, trends
from pipeline.types import Measurement, Zone

YEARS = range(2018, 2024)
RULES = TrendRules(0.10, 5, 60.0, 0.01)


def scenes(baseline="02.07", platform="sentinel-2a", orbit=3, n=8):
    return [SceneFacts(platform, baseline, orbit)] * n


def archive(baselines, level=None):
    return Archive(dict(zip(YEARS, (scenes(b) for b in baselines), strict=True)), level or {})


OLD_NEW = ["02.07", "02.12", "02.14", "02.14", "05.09", "05.10"]


def test_a_baseline_that_parts_the_years_is_named():
    (shift,) = shifts(
        list(YEARS), archive(OLD_NEW, dict(zip(YEARS, [0.20, 0.21, 0.20, 0.20, 0.23, 0.24], strict=True)))
    )
    assert (shift.year, shift.what) == (2022, "processing baseline 02.x -> 05.x")
    assert shift.drift == pytest.approx(0.035)
    assert shift.text == (
        "confounded with processing baseline 02.x -> 05.x in 2022: ground that stays differs by 0.035 in reflectance"
    )


@pytest.mark.parametrize(
    "baselines",
    [["02.07"] * 6, ["05.09"] * 6, ["02.07", "05.00", "02.14", "02.14", "05.09", "05.10"]],
    ids=["one", "other", "both on both sides"],
)
def test_what_occurs_on_both_sides_parts_nothing(baselines):
    assert shifts(list(YEARS), archive(baselines)) == ()


def test_a_few_scenes_do_not_carry_a_year():
    found = archive(OLD_NEW)
    mixed = Archive({**found.scenes, 2020: [*scenes("02.14", n=15), *scenes("05.00", n=2)]})
    assert [s.year for s in shifts(list(YEARS), mixed)] == [2022]
    half = Archive({**found.scenes, 2020: [*scenes("02.14", n=4), *scenes("05.00", n=4)]})
    assert shifts(list(YEARS), half) == ()


def test_platform_and_orbit_part_too_and_unknown_facts_do_not():
    by_platform = {y: scenes(platform="sentinel-2a" if y < 2020 else "sentinel-2b") for y in YEARS}
    assert [(s.year, s.what) for s in shifts(list(YEARS), Archive(by_platform))] == [
        (2020, "platform sentinel-2a -> sentinel-2b")
    ]
    both = {y: scenes() if y < 2020 else [*scenes(n=4), *scenes(platform="sentinel-2b", n=4)] for y in YEARS}
    assert shifts(list(YEARS), Archive(both)) == (), "a second satellite beside the first"
    by_orbit = {y: scenes(orbit=3 if y < 2023 else 46) for y in YEARS}
    assert [s.what for s in shifts(list(YEARS), Archive(by_orbit))] == ["relative orbit 3 -> 46"]
    unknown = {y: [SceneFacts(None, None, None)] for y in YEARS}
    assert shifts(list(YEARS), Archive(unknown)) == ()
    assert shifts(list(YEARS), Archive()) == ()


def measured(year, value, zone="site", sigma=1.0, **more):
    fields = {"unit": "m2", "n_dates": 8, "valid_fraction": 1.0, "status": "ok", "mean_day_of_year": 150.0, **more}
    return Measurement(zone_id=zone, year=year, metric="footprint_area_m2", value=value, sigma=sigma, **fields)


def rising():
    return [measured(year, 100.0 * n) for n, year in enumerate(YEARS)]


def test_a_trend_across_a_change_of_the_instrument_says_so():
    (row,) = trends(rising(), RULES, archive(OLD_NEW, dict.fromkeys(YEARS, 0.2)))
    assert row.verdict == "increase"
    assert row.reason.startswith("confounded with processing baseline 02.x -> 05.x in 2022")
    (row,) = trends(rising(), RULES, archive(OLD_NEW))
    assert row.verdict == "increase"
    assert "differs by not known" in row.reason


def test_a_trend_across_a_drift_is_not_judged():
    level = {year: 0.20 if year < 2022 else 0.211 for year in YEARS}
    (row,) = trends(rising(), RULES, archive(OLD_NEW, level))
    assert (row.verdict, row.slope_per_year, row.p_value, row.q_value) == ("insufficient_data", None, None, None)
    assert row.n_years == 6
    assert row.reason.endswith("differs by 0.011 in reflectance, more than 0.01")
    # The same drift without a change of the instrument is weather, and no reason.
    assert trends(rising(), RULES, archive(["02.07"] * 6, level))[0].verdict == "increase"


def test_a_year_of_another_part_of_the_season_is_no_part_of_a_trend():
    rows = [dataclasses.replace(row, part_dates=(3, 4)) for row in rising()]
    assert trends(rows, RULES)[0].n_years == 6
    rows[2] = dataclasses.replace(rows[2], part_dates=(0, 7))
    (row,) = trends(rows, RULES)
    assert row.n_years == 5
    none_in_spring = [dataclasses.replace(row, part_dates=(0, 7)) for row in rising()]
    assert trends(none_in_spring, RULES)[0].n_years == 6, "all alike"


# --- controls ---

SITE = Zone("site", "site", "Site", box(0, 0, 9, 9), 81.0)
VILLAGES = [Zone(f"control:{n}", "control", n, box(0, 0, 1, 1), 1.0) for n in "ab"]


def controlled(site, *controls, **more):
    rows = [measured(2018 + n, v, sigma=3.0, **more) for n, v in enumerate(site)]
    for zone, values in zip(VILLAGES, controls, strict=False):
        rows += [measured(2018 + n, v, zone.zone_id, sigma=4.0) for n, v in enumerate(values)]
    return minus_control(rows, [SITE, *VILLAGES[: len(controls)]])


def test_what_the_controls_do_is_taken_off_by_their_share():
    """Controls of 100 in all fall by 10 %, the site of 500 by 20 %: 50 of the 100 it lost are its own."""
    found = controlled([500.0, 400.0], [60.0, 50.0], [40.0, 40.0])
    assert [(m.metric, m.year, m.value) for m in found] == [(EFFECT, 2018, 0.0), (EFFECT, 2019, -50.0)]
    assert found[1].sigma == pytest.approx((3**2 + 25 * (4**2 + 4**2)) ** 0.5)


def test_the_same_share_everywhere_is_no_effect():
    assert [m.value for m in controlled([500.0, 600.0, 450.0], [100.0, 120.0, 90.0])] == pytest.approx([0, 0, 0])


def test_years_in_which_a_control_was_not_seen_are_left_out():
    rows = [measured(y, 500.0) for y in (2018, 2019)] + [measured(2018, 100.0, "control:a")]
    rows += [measured(2019, None, "control:a", status="insufficient_data")]
    assert [m.year for m in minus_control(rows, [SITE, VILLAGES[0]])] == [2018]


@pytest.mark.parametrize(
    ("site", "controls"),
    [([500.0], ()), ([500.0], ([7.0],)), ([0.0], ([100.0],))],
    ids=["no control", "control within its interval", "nothing to scale by"],
)
def test_without_something_to_hold_against_there_is_no_row(site, controls):
    assert controlled(site, *controls) == []


def test_a_zone_that_grows_against_its_controls_has_a_trend_of_its_own():
    rows = [measured(2018 + n, 500.0 + 30 * n) for n in range(6)]
    rows += [measured(2018 + n, 100.0 + n % 2, "control:a") for n in range(6)]
    found = trends([*rows, *minus_control(rows, [SITE, VILLAGES[0]])], RULES)
    assert {(t.zone_id, t.metric): t.verdict for t in found}["site", EFFECT] == "increase"
