"""Level before and after a date: against all permutations, and verdicts that few years cannot have."""

import datetime as dt
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.breaks import SANCTIONS, breaks, permutation_p
from pipeline.types import Measurement


def measured(year, value, day=185.0, zone="site", **more):
    fields = {"unit": "m2", "n_dates": 8, "valid_fraction": 1.0, "status": "ok", "sigma": 1.0, **more}
    return Measurement(zone_id=zone, year=year, metric="footprint_area_m2", value=value, mean_day_of_year=day, **fields)


def series(values, first, **more):
    return [measured(first + n, float(v), **more) for n, v in enumerate(values)]


def of(rows, resolution):
    (row,) = [r for r in rows if r.resolution == resolution]
    return row


@given(st.lists(st.integers(0, 9), min_size=2, max_size=6), st.data())
def test_p_is_that_of_all_orders(values, data):
    split = data.draw(st.integers(1, len(values) - 1))
    means = [np.mean(o[split:]) - np.mean(o[:split]) for o in itertools.permutations(values)]
    seen = np.mean(values[split:]) - np.mean(values[:split])
    tails = np.mean(np.array(means) >= seen - 1e-9), np.mean(np.array(means) <= seen + 1e-9)
    assert permutation_p([float(v) for v in values], split) == pytest.approx(min(1.0, 2 * min(tails)))


@pytest.mark.parametrize(("n", "before", "p"), [(9, 1, 2 / 9), (9, 2, 2 / 36), (9, 3, 2 / 84), (6, 3, 2 / 20)])
def test_smallest_p(n, before, p):
    assert permutation_p([float(v) for v in range(n)], before) == pytest.approx(p)


@pytest.mark.parametrize("split", [0, 3])
def test_an_empty_side_is_refused(split):
    with pytest.raises(ValueError, match="leaves a side empty"):
        permutation_p([1.0, 2.0, 3.0], split)


def test_rounding_is_no_difference():
    assert permutation_p([0.1, 0.2, 0.3], 1) == permutation_p([1.0, 2.0, 3.0], 1)
    assert permutation_p([5.0] * 6, 2) == 1.0


def test_the_shipped_years_can_show_no_break():
    """2017 to 2025: one year before the ban of 2017, none before 2016."""
    rows = breaks(series([0, *[100] * 8], 2017), 0.10)
    assert [(r.resolution, r.n_before, r.n_after) for r in rows] == [
        ("2270", 0, 9), ("2321", 0, 9), ("2371", 1, 8), ("2397", 1, 8),
    ]  # fmt: skip
    assert {r.verdict for r in rows} == {"insufficient_data"}
    assert {r.delta for r in rows} == {r.p_value for r in rows} == {None}
    assert of(rows, "2270").reason == "no adequate year before the date"
    assert of(rows, "2397").reason == "1 years before and 8 after cannot reach p = 0.05: at best 0.22"
    assert of(rows, "2397").smallest_p == pytest.approx(2 / 9)


def test_a_step_at_the_date_is_called():
    rows = breaks(series([10, 12, 11, 50, 52, 49, 51, 53, 48], 2015), 0.10)
    row = of(rows, "2397")
    assert (row.n_before, row.n_after, row.verdict) == (3, 6, "increase")
    assert row.delta == pytest.approx(50.5 - 11.0)
    assert row.p_value == pytest.approx(2 / 84)
    assert row.p_value <= row.q_value <= 0.10
    down = of(breaks(series([50, 52, 49, 10, 12, 11, 9, 13, 10], 2015), 0.10), "2397")
    assert down.verdict == "decrease"


def test_a_steady_trend_is_no_break():
    row = of(breaks(series(range(9), 2015), 0.10), "2397")
    assert row.p_value == pytest.approx(2 / 84)
    assert row.verdict == "no_detectable_change"
    assert row.reason.startswith("the level differs as far when the series is split at 2016")


def test_a_step_elsewhere_is_no_break():
    row = of(breaks(series([10, 11, 9, 12, 60, 61, 62, 59, 63], 2015), 0.10), "2397")
    assert row.verdict == "no_detectable_change"


def test_a_year_lies_where_its_mean_day_does():
    """5 August is day 217: a year of spring dates lies before it, one of autumn dates after."""
    early = of(breaks(series(range(9), 2015, day=150.0), 0.10), "2371")
    late = of(breaks(series(range(9), 2015, day=270.0), 0.10), "2371")
    assert (early.n_before, late.n_before) == (3, 2)
    assert dict(SANCTIONS)["2371"] == dt.date(2017, 8, 5)


def test_inadequate_years_do_not_count():
    rows = series([1, 2, 3, 4, 5], 2015)
    rows += [measured(2020, None, status="insufficient_data"), measured(2021, 7.0, day=None)]
    assert of(breaks(rows, 0.10), "2397").n_after == 2


def test_noise_is_seldom_called():
    """Exact p: at most 5 % of unchanged series at one date; q and the other years make it fewer."""
    rng = np.random.default_rng(2397)
    called = [of(breaks(series(rng.normal(size=9), 2015), 0.10), "2397").verdict for _ in range(400)]
    share = np.mean([verdict != "no_detectable_change" for verdict in called])
    assert share <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)


def test_zones_are_one_family():
    rows = breaks([*series([1, 2, 1.5, 9, 8, 9, 8.5, 9, 8], 2015, zone="a"), *series([5] * 9, 2015, zone="b")], 0.10)
    assert [(r.zone_id, r.resolution) for r in rows] == [(z, n) for z in "ab" for n, _ in SANCTIONS]
    q = [r.q_value for r in rows if r.zone_id == "a" and r.resolution == "2397"]
    assert q[0] > of([r for r in rows if r.zone_id == "a"], "2397").p_value
