"""Slopes and Mann-Kendall: hand values, enumeration of all orders, and scipy as second opinion."""

import dataclasses
import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.trend import Trend, TrendRules, trend, trends
from pipeline.types import Measurement

RULES = TrendRules(fdr_q=0.10, min_trend_years=5, max_season_shift_days=60)


def measured(year, value, zone="site", metric="stockpile_area_m2", **more):
    fields = {"unit": "m2", "n_dates": 8, "valid_fraction": 1.0, "status": "ok", "mean_day_of_year": 150.0, **more}
    return Measurement(zone_id=zone, year=year, metric=metric, value=value, sigma=1.0, **fields)


def series(values, zone="site", first=2017, **more):
    return [measured(first + i, float(value), zone, **more) for i, value in enumerate(values)]


def score(values):
    return sum((b > a) - (b < a) for a, b in itertools.combinations(values, 2))


def enumerated_p(values, observed=None):
    """Share of all orders of the values whose score is at least as far from 0."""
    limit = abs(score(values) if observed is None else observed)
    scores = [abs(score(order)) for order in itertools.permutations(values)]
    return sum(s >= limit for s in scores) / len(scores)


@pytest.mark.parametrize(
    ("n", "p"), [(2, 1.0), (3, 2 / 6), (4, 2 / 24), (5, 2 / 120), (6, 2 / 720), (9, 2 / 362880)]
)  # a rising series is one of n! orders, its mirror the other
def test_smallest_p(n, p):
    assert trend(range(2017, 2017 + n), [float(v) for v in range(n)]).p_value == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize(("n", "p"), [(4, 0.083), (5, 0.0167), (6, 0.0028), (9, 5.5e-6)])
def test_published_smallest_p(n, p):
    assert trend(range(n), [-float(v) for v in range(n)]).p_value == pytest.approx(p, rel=0.01)


def test_hand_calculation():
    # Of the ten pairs of 1 4 2 8 6 eight rise and two fall, S = 6. P(S >= 6) of five values is 0.117 = 14/120
    # (Kendall 1975, table 1), two-sided 28/120. Only S = 10 reaches 5 %, so the interval runs from the
    # smallest pair slope (-2) to the largest (6).
    fit = trend([2017, 2018, 2019, 2020, 2021], [1.0, 4.0, 2.0, 8.0, 6.0])
    assert fit.p_value == pytest.approx(28 / 120)
    slopes = sorted([3, 0.5, 7 / 3, 1.25, -2, 2, 2 / 3, 6, 2, -2])
    assert fit.slope_per_year == pytest.approx((slopes[4] + slopes[5]) / 2)
    assert (fit.n_years, fit.lo95, fit.hi95) == (5, -2.0, 6.0)


def test_order_of_years_does_not_matter():
    assert trend([3, 1, 5, 2, 4], [3.0, 1.0, 5.0, 2.0, 4.0]) == trend([1, 2, 3, 4, 5], [1.0, 2.0, 3.0, 4.0, 5.0])


def test_four_years_have_no_interval():
    assert trend([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]) == Trend(4, 1.0, -math.inf, math.inf, 2 / 24)


def test_equal_values_are_no_trend():
    for n in (5, 9, 10, 12):
        assert trend(range(n), [7.0] * n) == Trend(n, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("years", "values"),
    [([2017], [1.0]), ([2017, 2017], [1.0, 2.0]), ([2017, 2018], [1.0, math.nan]), ([2017, 2018], [1.0, math.inf])],
)
def test_what_has_no_slope_is_refused(years, values):
    with pytest.raises(ValueError, match="two or more different years with finite values"):
        trend(years, values)


@given(st.integers(2, 9).flatmap(lambda n: st.permutations(range(n))))
def test_p_without_ties_is_scipys(order):
    expected = stats.kendalltau(range(len(order)), order, method="exact").pvalue
    assert trend(range(len(order)), [float(v) for v in order]).p_value == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=6))
def test_p_with_ties_is_that_of_all_orders(values):
    fit = trend(range(len(values)), [float(v) for v in values])
    assert fit.p_value == pytest.approx(enumerated_p(values), rel=1e-12)


def test_p_with_ties_in_nine_years():
    values = [0, 0, 1, 0, 2, 2, 2, 3, 2]
    index = np.array(list(itertools.permutations(range(9))), dtype=np.int8)
    orders = np.array(values, dtype=np.int8)[index]
    scores = sum(np.sign(orders[:, j] - orders[:, i]) for i, j in itertools.combinations(range(9), 2))
    expected = np.mean(np.abs(scores) >= abs(score(values)))
    assert trend(range(9), [float(v) for v in values]).p_value == pytest.approx(expected, rel=1e-12)


def test_normal_approximation_from_ten_years():
    # The last four fall: 6 of 45 pairs, S = 39 - 6 = 33; var = 10 * 9 * 25 / 18 = 125; continuity correction 1.
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 9.0, 8.0, 7.0]
    assert score(values) == 33
    z = 32 / math.sqrt(125)
    assert trend(range(10), values).p_value == pytest.approx(2 * stats.norm.sf(z), rel=1e-9)


def test_normal_approximation_with_ties():
    # Groups of 3 and 2 among ten: var = (10*9*25 - 3*2*11 - 2*1*9) / 18 = 2166 / 18.
    values = [1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert score(values) == 41
    assert trend(range(10), values).p_value == pytest.approx(2 * stats.norm.sf(40 / math.sqrt(2166 / 18)), rel=1e-9)


@given(st.lists(st.integers(-500, 500), min_size=5, max_size=14, unique=True), st.data())
def test_slope_is_scipys(values, data):
    years = sorted(
        data.draw(st.lists(st.integers(2000, 2040), min_size=len(values), max_size=len(values), unique=True))
    )
    fit = trend(years, [float(v) for v in values])
    assert fit.slope_per_year == pytest.approx(stats.theilslopes(values, years).slope, abs=1e-9)
    assert fit.lo95 <= fit.slope_per_year <= fit.hi95


@pytest.mark.parametrize("n", [5, 6, 7, 8, 9, 12, 20])
def test_interval_is_scipys_to_the_next_pair_slope(n):
    # scipy rounds the normal approximation to an order statistic, so that it may stop one slope away.
    rng = np.random.default_rng(n)
    for _ in range(20):
        values = rng.normal(size=n)
        slopes = np.sort([(values[j] - values[i]) / (j - i) for i, j in itertools.combinations(range(n), 2)])
        fit, other = trend(range(n), values.tolist()), stats.theilslopes(values, np.arange(n), alpha=0.95)
        for mine, theirs in ((fit.lo95, other.low_slope), (fit.hi95, other.high_slope)):
            assert abs(np.argmin(np.abs(slopes - mine)) - np.argmin(np.abs(slopes - theirs))) <= 1


@given(st.integers(5, 6).flatmap(lambda n: st.lists(st.integers(-99, 99), min_size=n, max_size=n)))
def test_interval_holds_the_slopes_the_exact_test_does_not_refuse(values):
    n = len(values)
    fit = trend(range(n), [float(v) for v in values])
    slopes = sorted({(values[j] - values[i]) / (j - i) for i, j in itertools.combinations(range(n), 2)})
    between = [(a + b) / 2 for a, b in itertools.pairwise(slopes)]
    for slope in [slopes[0] - 1, *between, slopes[-1] + 1]:
        # Between two pair slopes the residuals have no ties, so that the orders of 0..n-1 are their null.
        refused = enumerated_p(range(n), score([v - slope * i for i, v in enumerate(values)])) <= 0.05
        assert refused == (not fit.lo95 <= slope <= fit.hi95)


def test_interval_covers_the_true_slope():
    rng = np.random.default_rng(2371)
    fits = [trend(range(8), (3.0 * np.arange(8) + rng.normal(size=8)).tolist()) for _ in range(1000)]
    # Exact: S >= 18 of eight values has P = 0.0141 a side (16: 0.031), so that 97.2 % is covered; se 0.52 %.
    assert abs(np.mean([fit.lo95 <= 3.0 <= fit.hi95 for fit in fits]) - 0.972) <= 3 * 0.0052


@given(st.lists(st.integers(-50, 50).map(float), min_size=5, max_size=9))
def test_mirrored_values_mirror_the_trend(values):
    up, down = trend(range(len(values)), values), trend(range(len(values)), [-v for v in values])
    assert (down.slope_per_year, down.lo95, down.hi95) == (-up.slope_per_year, -up.hi95, -up.lo95)
    assert down.p_value == up.p_value


# Verdicts


def test_rising_and_falling_series():
    up, down = trends([*series([1, 2, 4, 5, 9], "a"), *series([9, 5, 4, 2, 1], "b")], RULES)
    assert (up.zone_id, up.year_first, up.year_last, up.n_years, up.unit) == ("a", 2017, 2021, 5, "m2")
    assert (up.verdict, down.verdict) == ("increase", "decrease")
    assert up.slope_per_year == statistics.median([1, 1.5, 4 / 3, 2, 2, 1.5, 7 / 3, 1, 2.5, 4])
    assert (up.lo95, up.hi95) == (1.0, 4.0)
    assert up.p_value == up.q_value == pytest.approx(2 / 120)
    assert up.reason is None


def test_no_detectable_change():
    (row,) = trends(series([1, 4, 2, 8, 6]), RULES)
    assert (row.verdict, row.reason) == ("no_detectable_change", None)


def test_multiplicity_withdraws_a_lone_trend_and_says_so():
    flat = [row for i in range(9) for row in series([1, 4, 2, 8, 6], f"a{i}")]
    row = trends([*flat, *series([1, 2, 3, 4, 5], "z")], RULES)[-1]
    assert row.q_value == pytest.approx(10 * 2 / 120)
    assert (row.verdict, row.reason) == ("no_detectable_change", "q 0.17 is above 0.1")


def test_four_years_are_insufficient():
    rows = [*series([1, 2, 3, 4]), measured(2021, None, status="insufficient_data")]
    (row,) = trends(rows, RULES)
    assert row.verdict == "insufficient_data"
    assert row.reason == "4 comparable adequate years, 5 are needed; not used: 2021"
    assert (row.year_first, row.year_last, row.n_years) == (2017, 2020, 4)
    assert (row.slope_per_year, row.lo95, row.hi95, row.p_value, row.q_value) == (None,) * 5


def test_no_adequate_year():
    (row,) = trends([measured(y, None, status="insufficient_data") for y in (2017, 2018)], RULES)
    assert (row.year_first, row.year_last, row.n_years) == (2017, 2018, 0)
    assert row.reason == "0 comparable adequate years, 5 are needed; not used: 2017, 2018"


@pytest.mark.parametrize(("day", "n_years"), [(210.0, 6), (210.5, 5), (89.5, 5), (None, 5)])
def test_a_year_of_another_season_is_left_out(day, n_years):
    rows = [*series([1, 2, 3, 4, 5]), measured(2022, 99.0, mean_day_of_year=day)]
    (row,) = trends(rows, RULES)
    assert row.n_years == n_years


def test_a_year_without_a_mean_day_is_left_out_in_any_season():
    rows = [dataclasses.replace(row, mean_day_of_year=20.0) for row in series([1, 2, 3, 4, 5])]
    assert trends([*rows, measured(2022, 99.0, mean_day_of_year=None)], RULES)[0].n_years == 5


def test_partial_years_are_used():
    rows = series([1, 2, 3, 4, 5])
    rows[2] = dataclasses.replace(rows[2], status="partial")
    assert trends(rows, RULES)[0].n_years == 5


def test_a_year_twice_is_refused():
    with pytest.raises(ValueError, match="two measurements of stockpile_area_m2 of zone site in 2017"):
        trends([measured(2017, 1.0), measured(2017, 2.0)], RULES)


def test_no_rows():
    assert trends([], RULES) == ()


@given(st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(random):
    rows = [*series([1, 2, 4, 5, 9], "a"), *series([9, 5, 4, 2, 1], "b"), *series([1, 2], "c")]
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert trends(shuffled, RULES) == trends(rows, RULES)


def test_false_alarms_where_nothing_changed():
    rng = np.random.default_rng(2397)
    alarms = np.mean(
        [trends(series(rng.normal(size=9)), RULES)[0].verdict != "no_detectable_change" for _ in range(1000)]
    )
    # Exact level of nine years: S >= 20 has P = 0.022 a side, 4.4 %; three standard errors are 1.95 %.
    assert 0.024 <= alarms <= 0.064


@pytest.mark.parametrize(("sigma", "verdict"), [(2.0, "increase"), (2.1, "no_detectable_change"), (None, "increase")])
def test_a_slope_within_one_years_interval_is_not_called(sigma, verdict):
    """Four in all: 1.96 sigma of 2.0 are less, of 2.1 more."""
    rows = [dataclasses.replace(row, sigma=sigma) for row in series([1, 2, 3, 4, 5])]
    (row,) = trends(rows, RULES)
    assert row.verdict == verdict
    assert row.slope_per_year == 1.0
    if verdict != "increase":
        assert row.reason == "4 m2 from 2017 to 2021 lie within one year's interval of 4.12 m2 either way"
