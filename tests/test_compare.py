"""The verdict of change: hand values, scipy as second opinion, invariants, and the rate of false alarms."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.compare import (
    CompareRules,
    baseline_year,
    benjamini_hochberg,
    compare,
    quantity,
    verdict_of,
)
from pipeline.types import Change, Measurement, PairMeasurement

RULES = CompareRules(fdr_q=0.10, max_season_shift_days=60)


def measured(year, value, sigma=100.0, zone="site", metric="stockpile_area_m2", **more):
    fields = {"unit": "m2", "n_dates": 8, "valid_fraction": 1.0, "status": "ok", "mean_day_of_year": 150.0, **more}
    return Measurement(zone_id=zone, year=year, metric=metric, value=value, sigma=sigma, **fields)


def missing(year, zone="site", reason="4 dates of 6 needed", **more):
    return measured(year, None, None, zone, status="insufficient_data", reason=reason, **more)


def gain(value, sigma=50.0, chance=100.0, **more):
    fields = {"zone_id": "inside", "year_from": 2018, "year_to": 2019, "unit": "m2", "status": "ok", **more}
    return PairMeasurement(metric="boundary_gain_m2", value=value, sigma=sigma, chance_value=chance, **fields)


def only(rows: tuple[Change, ...], year_from: int, year_to: int) -> Change:
    (row,) = [row for row in rows if (row.year_from, row.year_to) == (year_from, year_to)]
    return row


def years(rows: tuple[Change, ...]) -> list[tuple[int, int]]:
    return [(row.year_from, row.year_to) for row in rows]


def test_hand_calculation():
    # 3-4-5: sigma 500; 1.96 * 500 = 980; z = 2.4, two-sided p 0.016395 (table of the normal distribution: 0.0164).
    (row,) = compare([measured(2018, 2000.0, 300.0), measured(2019, 3200.0, 400.0)], RULES)
    assert (row.zone_id, row.metric, row.year_from, row.year_to, row.unit) == (
        "site",
        "stockpile_area_m2",
        2018,
        2019,
        "m2",
    )
    assert (row.delta, row.lo95, row.hi95, row.mdc95) == (1200.0, 220.0, 2180.0, 980.0)
    assert row.p_value == pytest.approx(0.016395, abs=1e-6)
    assert row.q_value == row.p_value
    assert (row.verdict, row.reason) == ("increase", None)


@pytest.mark.parametrize(
    ("lo95", "hi95", "q_value", "expected"),
    [
        (0.1, 9.0, 0.10, "increase"),
        (0.1, 9.0, 0.1001, "no_detectable_change"),
        (0.0, 9.0, 0.01, "no_detectable_change"),
        (-1.0, 9.0, 0.01, "no_detectable_change"),
        (-9.0, 0.0, 0.01, "no_detectable_change"),
        (-9.0, -0.1, 0.10, "decrease"),
        (-9.0, -0.1, 0.1001, "no_detectable_change"),
    ],
)
def test_verdict_truth_table(lo95, hi95, q_value, expected):
    assert verdict_of(lo95, hi95, q_value, 0.10) == expected


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_that_ends_at_zero_includes_it(sign):
    at_limit = 1.96 * 5.0  # sigma of the difference is exactly 5
    (row,) = compare([measured(2018, 0.0, 3.0), measured(2019, sign * at_limit, 4.0)], RULES)
    assert 0.0 in (row.lo95, row.hi95)
    assert row.q_value < 0.10
    assert row.verdict == "no_detectable_change"
    (row,) = compare([measured(2018, 0.0, 3.0), measured(2019, sign * math.nextafter(at_limit, 99.0), 4.0)], RULES)
    assert row.verdict == ("increase" if sign > 0 else "decrease")


def test_multiplicity_withdraws_a_lone_change_and_says_so():
    # z = 2.0, p = 0.0455 alone; beside nineteen unchanged zones q = 20 p = 0.91.
    changed = [measured(2018, 0.0, 3.0, "z"), measured(2019, 10.0, 4.0, "z")]
    assert compare(changed, RULES)[0].verdict == "increase"
    same = [measured(year, 5.0, zone=f"a{i:02}") for i in range(19) for year in (2018, 2019)]
    row = compare(same + changed, RULES)[-1]
    assert row.q_value == pytest.approx(20 * 0.0455003, rel=1e-5)
    assert row.verdict == "no_detectable_change"
    assert row.reason == "q 0.91 is above 0.1"


def test_year_before_and_baseline_without_a_row_twice():
    rows = compare([measured(year, 5.0) for year in (2020, 2018, 2017, 2019)], RULES)
    assert years(rows) == [(2017, 2018), (2017, 2019), (2018, 2019), (2017, 2020), (2019, 2020)]


def test_first_adequate_year_is_the_baseline_of_every_zone():
    rows = [missing(2017), *(measured(year, 5.0) for year in (2018, 2019, 2020))]
    rows += [
        measured(2017, 5.0, zone="inside"),
        missing(2018, "inside"),
        *(measured(y, 5.0, zone="inside") for y in (2019, 2020)),
    ]
    changes = compare(rows, RULES)
    inside = [row for row in changes if row.zone_id == "inside"]
    assert years(inside) == [(2017, 2018), (2018, 2019), (2018, 2020), (2019, 2020)]
    assert only(tuple(inside), 2018, 2020).reason == "2018: 4 dates of 6 needed"
    assert [row.verdict for row in inside] == ["insufficient_data"] * 3 + ["no_detectable_change"]


def test_each_metric_has_its_own_baseline():
    rows = [missing(2017), measured(2018, 5.0), measured(2019, 5.0)]
    rows += [measured(year, 5.0, metric="footprint_area_m2") for year in (2017, 2018, 2019)]
    changes = compare(rows, RULES)
    assert years(tuple(r for r in changes if r.metric == "footprint_area_m2")) == [
        (2017, 2018),
        (2017, 2019),
        (2018, 2019),
    ]
    assert years(tuple(r for r in changes if r.metric == "stockpile_area_m2")) == [(2017, 2018), (2018, 2019)]


def test_baseline_year():
    rows = [
        measured(2016, 1.0, zone="inside"),
        missing(2017),
        measured(2019, 1.0),
        measured(2018, 1.0, status="partial"),
    ]
    assert baseline_year(rows, None) == 2018
    assert baseline_year(rows, 2017) == 2017
    assert baseline_year([row for row in rows if row.zone_id != "site"], None) == 2016
    assert baseline_year([missing(2017)], None) is None
    assert baseline_year([measured(2017, 1.0, status="not_assessed")], None) is None


def test_a_set_baseline_compares_earlier_years_in_order_of_time():
    rows = [measured(year, float(year)) for year in range(2017, 2022)]
    changes = compare(rows, dataclasses.replace(RULES, baseline=2019))
    pairs = [(2017, 2018), (2017, 2019), (2018, 2019), (2019, 2020), (2019, 2021), (2020, 2021)]
    assert years(changes) == pairs
    assert only(changes, 2017, 2019).delta == 2.0


def test_a_set_baseline_without_measurement_is_said():
    changes = compare([measured(2018, 1.0), measured(2019, 1.0)], dataclasses.replace(RULES, baseline=2016))
    assert only(changes, 2016, 2019).reason == "2016: not measured"
    assert only(changes, 2016, 2019).verdict == "insufficient_data"


def test_a_missing_year_is_a_row_without_numbers():
    changes = compare([measured(2017, 5.0), measured(2019, 5.0)], RULES)
    assert years(changes) == [(2017, 2018), (2017, 2019), (2018, 2019)]
    gap = only(changes, 2018, 2019)
    assert (gap.verdict, gap.reason) == ("insufficient_data", "2018: not measured")
    assert (gap.delta, gap.lo95, gap.hi95, gap.mdc95, gap.p_value, gap.q_value) == (None,) * 6
    assert only(changes, 2017, 2019).verdict == "no_detectable_change"


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (missing(2018), missing(2019, reason=None), "2018: 4 dates of 6 needed; 2019: insufficient_data"),
        (measured(2018, 1.0, status="not_assessed"), measured(2019, 1.0), "2018: not_assessed"),
        (measured(2018, 1.0), measured(2019, None), "2019: ok"),
        (measured(2018, 1.0, 0.0), measured(2019, 9e9), "2018: no uncertainty is stated"),
        (measured(2018, 1.0), measured(2019, 9e9, None), "2019: no uncertainty is stated"),
        (measured(2018, 1.0, mean_day_of_year=None), measured(2019, 9e9), "2018: mean day of year is not known"),
        (
            measured(2018, 1.0, mean_day_of_year=120.0),
            measured(2019, 9e9, mean_day_of_year=180.5),
            "seasons differ: mean day of year is 120 in 2018 and 180 in 2019, more than 60 days apart",
        ),
    ],
)
def test_what_cannot_be_compared_has_no_verdict_of_change(first, second, reason):
    (row,) = compare([first, second], RULES)
    assert (row.verdict, row.reason) == ("insufficient_data", reason)
    assert (row.delta, row.lo95, row.hi95, row.mdc95, row.p_value, row.q_value) == (None,) * 6


@pytest.mark.parametrize("day", [90.0, 210.0])
def test_seasons_at_the_limit_are_compared(day):
    (row,) = compare([measured(2018, 1.0), measured(2019, 9e9, mean_day_of_year=day)], RULES)
    assert row.verdict == "increase"


def test_partial_years_are_compared():
    assert compare([measured(2018, 1.0, status="partial"), measured(2019, 9e9)], RULES)[0].verdict == "increase"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([measured(2018, 1.0), measured(2018, 2.0)], "two measurements of stockpile_area_m2 of zone site in 2018"),
        ([measured(2018, 1.0), measured(2019, 1.0, unit="ha")], "unit differs"),
        ([measured(2018, 1.0), measured(2019, math.nan)], "not finite"),
        ([measured(2018, 1.0), measured(2019, 1.0, math.inf)], "not finite"),
        ([measured(2018, 1.0), measured(2019, 1.0, -1.0)], "must not be negative"),
        ([gain(1.0, chance=math.nan)], "not finite"),
        ([gain(1.0), gain(2.0)], "two differences"),
    ],
)
def test_impossible_rows_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        compare(rows, RULES)


def test_a_pair_measurement_refuses_years_out_of_order():
    with pytest.raises(ValueError, match="year_to must be after year_from"):
        gain(1.0, year_to=2018)


def test_gain_is_judged_against_chance():
    # 300 measured, 100 by chance, sigma 50: z = 4, p = 6.334e-5 (normal table, two-sided).
    (row,) = compare([gain(300.0)], RULES)
    assert (row.delta, row.lo95, row.hi95, row.verdict) == (200.0, 102.0, 298.0, "increase")
    assert row.p_value == pytest.approx(6.334e-5, rel=1e-3)
    assert row.reason == "measured 300 m2; unchanged ground shows 100 m2 by chance"


def test_gain_as_expected_by_chance_is_no_change():
    (row,) = compare([gain(150.0)], RULES)
    assert (row.delta, row.verdict) == (50.0, "no_detectable_change")


def test_gain_below_chance_is_never_a_decrease_nor_helps_others():
    (row,) = compare([gain(0.0, chance=1000.0)], RULES)
    assert (row.delta, row.p_value, row.q_value, row.verdict) == (-1000.0, 1.0, 1.0, "no_detectable_change")
    assert row.reason == "measured 0 m2; unchanged ground shows 1,000 m2 by chance"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (gain(None, None, None, status="insufficient_data", reason="clouds"), "2018 to 2019: clouds"),
        (gain(9e9, None), "2018 to 2019: no uncertainty is stated"),
        (gain(9e9, 0.0), "2018 to 2019: no uncertainty is stated"),
        (gain(9e9, chance=None), "2018 to 2019: ok"),
    ],
)
def test_gain_that_cannot_be_tested(row, reason):
    (change,) = compare([row], RULES)
    assert (change.verdict, change.reason, change.delta) == ("insufficient_data", reason, None)


def test_gains_and_areas_are_one_family():
    area = [measured(2018, 0.0, 3.0), measured(2019, 10.0, 4.0)]
    assert compare(area, RULES)[0].q_value == pytest.approx(0.0455003, rel=1e-5)
    assert compare([*area, gain(0.0)], RULES)[-1].q_value == pytest.approx(2 * 0.0455003, rel=1e-5)


def test_quantity():
    assert [quantity(v, "m2") for v in (12345.6, 100.0, 99.96, -2.5, 0.0)] == [
        "12,346 m2",
        "100 m2",
        "100 m2",
        "-2.5 m2",
        "0 m2",
    ]


def test_no_rows():
    assert compare([], RULES) == ()
    assert benjamini_hochberg([]) == ()


# Invariants

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40)


@given(P_VALUES)
def test_q_values_are_those_of_scipy_and_keep_the_order(p_values):
    q_values = np.array(benjamini_hochberg(p_values))
    np.testing.assert_allclose(q_values, stats.false_discovery_control(p_values, method="bh"), rtol=1e-12, atol=0)
    assert (q_values >= np.array(p_values)).all()
    assert (np.diff(q_values[np.argsort(p_values, kind="stable")]) >= 0).all()


VALUES = st.integers(0, 50_000).map(float)
SIGMAS = st.integers(1, 5_000).map(float)


@st.composite
def families(draw, *, gaps=True):
    """Zones with a few years each; some years inadequate, some of another season."""
    rows = []
    for zone in ("site", "inside", "named:a")[: draw(st.integers(1, 3))]:
        for year in range(2017, 2017 + draw(st.integers(2, 5))):
            if gaps and draw(st.integers(0, 5)) == 0:
                rows.append(missing(year, zone))
            else:
                day = draw(st.sampled_from([130.0, 150.0, 230.0])) if gaps else 150.0
                rows.append(measured(year, draw(VALUES), draw(SIGMAS), zone, mean_day_of_year=day))
    return rows


MIRROR = {"increase": "decrease", "decrease": "increase"}


@given(VALUES, SIGMAS, VALUES, SIGMAS)
def test_swapping_the_years_turns_sign_and_verdict(v1, s1, v2, s2):
    (there,) = compare([measured(2018, v1, s1), measured(2019, v2, s2)], RULES)
    (back,) = compare([measured(2018, v2, s2), measured(2019, v1, s1)], RULES)
    assert (back.delta, back.lo95, back.hi95) == (-there.delta, -there.hi95, -there.lo95)
    assert (back.mdc95, back.p_value) == (there.mdc95, there.p_value)
    assert back.verdict == MIRROR.get(there.verdict, there.verdict)


@given(families(), st.integers(-20, 20))
def test_the_unit_of_measurement_does_not_matter(rows, power):
    factor = 2.0**power  # exact in binary, so that nothing moves by rounding
    scaled = [
        dataclasses.replace(row, value=row.value and row.value * factor, sigma=row.sigma and row.sigma * factor)
        for row in rows
    ]
    for one, other in zip(compare(rows, RULES), compare(scaled, RULES), strict=True):
        assert (one.verdict, one.p_value, one.q_value) == (other.verdict, other.p_value, other.q_value)
        assert other.delta == (None if one.delta is None else one.delta * factor)


@given(families(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert compare(shuffled, RULES) == compare(rows, RULES)


@given(families(), st.sampled_from([2015, 2016, 2023]), st.sampled_from(["site", "inside", "new"]))
def test_an_inadequate_year_more_changes_nothing_else(rows, year, zone):
    before = compare(rows, RULES)
    after = compare([*rows, missing(year, zone)], RULES)
    assert set(before) <= set(after)
    assert {row.verdict for row in set(after) - set(before)} <= {"insufficient_data"}


@given(families(), st.data())
def test_more_uncertainty_never_makes_a_change(rows, data):
    at = data.draw(st.integers(0, len(rows) - 1))
    wider = list(rows)
    wider[at] = dataclasses.replace(rows[at], sigma=rows[at].sigma and rows[at].sigma * data.draw(st.floats(1.0, 50.0)))
    for narrow, wide in zip(compare(rows, RULES), compare(wider, RULES), strict=True):
        assert wide.verdict in (narrow.verdict, "no_detectable_change")


@given(families())
def test_verdicts_follow_the_contract(rows):
    changes = compare(rows, RULES)
    tested = [row for row in changes if row.verdict != "insufficient_data"]
    by_key = {(row.zone_id, row.year): row for row in rows}
    for row in changes:
        pair = [by_key.get((row.zone_id, year)) for year in (row.year_from, row.year_to)]
        fit = (
            all(m is not None and m.status == "ok" for m in pair)
            and abs(pair[0].mean_day_of_year - pair[1].mean_day_of_year) <= 60
        )
        assert (row in tested) == fit
    z = np.array([row.delta / (row.mdc95 / 1.96) for row in tested])
    q = stats.false_discovery_control(2 * stats.norm.sf(abs(z))) if tested else []
    for row, q_value in zip(tested, q, strict=True):
        assert row.q_value == pytest.approx(q_value, rel=1e-9)
        excludes_0 = not row.lo95 <= 0 <= row.hi95
        assert (row.verdict != "no_detectable_change") == (excludes_0 and row.q_value <= 0.10)
        assert row.verdict != "increase" or row.delta > 0
        assert row.verdict != "decrease" or row.delta < 0


# False alarms where nothing changed


def _null_rows(rng, zones):
    sigma = rng.uniform(50.0, 800.0, (zones, 2))
    value = 10_000.0 + sigma * rng.standard_normal((zones, 2))
    return [
        measured(2018 + k, float(value[i, k]), float(sigma[i, k]), f"z{i:02}") for i in range(zones) for k in (0, 1)
    ]


def test_false_alarms_of_2000_unchanged_pairs():
    rng = np.random.default_rng(20170805)
    alarms = sum(compare(_null_rows(rng, 1), RULES)[0].verdict != "no_detectable_change" for _ in range(2000))
    # 5 % expected, standard error 0.49 %: between 3.5 and 6.5 % is three of them.
    assert 0.035 <= alarms / 2000 <= 0.065


def test_false_alarms_of_families_stay_below_the_q_asked_for():
    rng = np.random.default_rng(20171222)
    changed = [
        [row.verdict != "no_detectable_change" for row in compare(_null_rows(rng, 10), RULES)] for _ in range(200)
    ]
    # Where nothing changed every discovery is false: families with any are at most q = 10 %, + 3 standard errors.
    assert np.mean([any(family) for family in changed]) <= 0.10 + 3 * math.sqrt(0.1 * 0.9 / 200)
    assert 0 < np.mean(changed) <= 0.02


def test_false_alarms_of_gains_are_one_sided():
    rng = np.random.default_rng(20160302)
    alarms = sum(
        compare([gain(float(100.0 + 50.0 * rng.standard_normal()))], RULES)[0].verdict == "increase"
        for _ in range(2000)
    )
    # 2.5 % expected, standard error 0.35 %.
    assert 0.0145 <= alarms / 2000 <= 0.0355


@pytest.mark.parametrize(
    ("first", "second", "judged"),
    [((3, 4), (1, 9), True), ((3, 4), (0, 9), False), ((0, 4), (0, 9), True), ((3, 4), (), True)],
)
def test_years_that_saw_other_parts_of_the_season_are_not_compared(first, second, judged):
    common = {"zone_id": "site", "metric": "footprint_area_m2", "sigma": 1.0, "unit": "m2", "n_dates": 8}
    common |= {"valid_fraction": 1.0, "status": "ok", "mean_day_of_year": 200.0}
    rows = [
        Measurement(year=2018, value=10.0, part_dates=first, **common),
        Measurement(year=2019, value=99.0, part_dates=second, **common),
    ]
    (change,) = compare(rows, CompareRules(0.10, 60))
    assert (change.verdict == "increase") == judged
    if not judged:
        assert change.reason == "seasons differ: dates in the parts of the season are 3 and 4 in 2018, 0 and 9 in 2019"


def test_a_note_stands_with_the_number():
    row = PairMeasurement("site", "boundary_gain_m2", 2018, 2019, 5e3, 10.0, 1e3, "m2", "ok", note="what else")
    (change,) = compare([row], CompareRules(0.10, 60))
    assert change.reason == "measured 5,000 m2; unchanged ground shows 1,000 m2 by chance; what else"
