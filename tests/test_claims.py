"""The rules of the claims as truth tables, and from measurements through compare to the verdict."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from pipeline.claims import ClaimFinding, judge, share
from pipeline.compare import CompareRules, compare
from pipeline.types import Change, Claim, Measurement, PairMeasurement, Zone

CLAIM = Claim(
    id="production-2016",
    quote="an increase",
    source="a submission",
    observable="stock",
    sites=("camp-a", "camp-b"),
    zones=("site",),
    metric="stockpile_area_m2",
    baseline=2017,
    test_years=(2018, 2021),
    direction="increase",
    aggregate="each site, and the share of sites",
    margin_fraction=0.1,
    margin_m2=None,
    not_observable="production: stock is not flow",
)
PRESENCE = dataclasses.replace(
    CLAIM, observable="presence", metric="stockpile_count", direction="presence", margin_fraction=None
)
ZONES = tuple(
    Zone(zone_id, role, zone_id, box(0, 0, 1, 1), 1.0)
    for zone_id, role in (
        ("site", "site"),
        ("inside", "inside"),
        ("adjacent:1", "adjacent"),
        ("adjacent:2", "adjacent"),
        ("named:tukchang", "named"),
    )
)


def measured(year, value, zone="site", metric="stockpile_area_m2", **more):
    fields = {"sigma": 100.0, "unit": "m2", "n_dates": 8, "valid_fraction": 1.0, "status": "ok", **more}
    return Measurement(zone_id=zone, year=year, metric=metric, value=value, mean_day_of_year=150.0, **fields)


BASE = measured(2017, 10_000.0)


def changed(year, verdict="no_detectable_change", delta=0.0, half=500.0, zone="site", start=2017):
    numbers = (delta, delta - half, delta + half, half)
    if verdict == "insufficient_data":
        numbers = (None,) * 4
    p = None if verdict == "insufficient_data" else 0.5
    reason = "4 dates of 6 needed" if verdict == "insufficient_data" else None
    return Change(zone, "stockpile_area_m2", start, year, *numbers, "m2", p, p, verdict, reason)


UP = ("increase", 3000.0)
DOWN = ("decrease", -3000.0)
SAME = ("no_detectable_change", 100.0)  # 600 at most: below the margin of 1000
OPEN = ("no_detectable_change", 700.0)  # 1200 at most: beyond it
NONE = ("insufficient_data", 0.0)


def table(*verdicts, first=2018, zone="site"):
    return [changed(first + i, *verdict, zone=zone) for i, verdict in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ((UP, UP, UP, UP), "supported"),
        ((UP, UP, UP, OPEN), "supported"),
        ((UP, UP, OPEN, OPEN), "not_detectable"),
        ((UP, UP, UP, DOWN), "not_detectable"),
        ((UP, UP, OPEN, NONE), "supported"),
        ((UP, UP, NONE, NONE), "supported"),
        ((UP, NONE, NONE, NONE), "not_detectable"),  # one year is one state
        ((SAME, NONE, NONE, NONE), "not_detectable"),
        ((SAME, SAME, NONE, NONE), "contradicted"),
        ((UP, SAME, SAME, SAME), "not_detectable"),
        ((SAME, SAME, SAME, SAME), "contradicted"),
        ((SAME, DOWN, NONE, DOWN), "contradicted"),
        ((SAME, SAME, SAME, OPEN), "not_detectable"),
        ((NONE, NONE, NONE, NONE), "not_observable"),
        ((), "not_observable"),
    ],
)
def test_verdict_truth_table(rows, verdict):
    assert judge(CLAIM, "camp-a", table(*rows), [BASE], ZONES).verdict == verdict


def test_one_test_year_says_that_it_is_too_few():
    finding = judge(CLAIM, "camp-a", table(UP, NONE), [BASE], ZONES)
    assert finding.reason.endswith("one adequate test year neither supports nor contradicts, 2 are needed.")
    two_zones = dataclasses.replace(CLAIM, zones=("adjacent",))
    rows = [*table(UP, zone="adjacent:1"), *table(UP, zone="adjacent:2")]
    finding = judge(two_zones, "camp-a", rows, [measured(2017, 1.0, z) for z in ("adjacent:1", "adjacent:2")], ZONES)
    assert finding.verdict == "not_detectable", "two zones of one year are one year"


def test_what_the_controls_show_stands_beside_and_does_not_count():
    zones = (*ZONES, Zone("control:a", "control", "a", box(0, 0, 1, 1), 1.0))
    alone = judge(CLAIM, "camp-a", table(UP, UP), [BASE], ZONES)
    rows = [*table(UP, UP), *table(UP, SAME, NONE, zone="control:a")]
    beside = judge(CLAIM, "camp-a", rows, [BASE], zones)
    assert beside.reason == f"{alone.reason} The controls show an increase in 1 of 2 such tests."
    assert dataclasses.replace(beside, reason=alone.reason) == alone
    assert judge(CLAIM, "camp-a", [*table(UP, UP), *table(NONE, zone="control:a")], [BASE], zones) == alone


def test_without_margin_never_contradicted():
    claim = dataclasses.replace(CLAIM, margin_fraction=None)
    finding = judge(claim, "camp-a", table(DOWN, DOWN, DOWN, DOWN), [BASE], ZONES)
    assert finding.verdict == "not_detectable"
    assert "margin: none, so that it cannot be contradicted" in finding.test


@pytest.mark.parametrize(
    ("fraction", "area", "verdict"),
    [
        (0.06, None, "not_detectable"),  # ends at 600, the margin: not below it
        (0.0601, None, "contradicted"),
        (None, 600.0, "not_detectable"),
        (None, 600.1, "contradicted"),
        (0.5, 600.0, "not_detectable"),  # the smaller of the two
        (0.06, 5000.0, "not_detectable"),
    ],
)
def test_margin(fraction, area, verdict):
    claim = dataclasses.replace(CLAIM, margin_fraction=fraction, margin_m2=area)
    assert judge(claim, "camp-a", table(SAME, SAME), [BASE], ZONES).verdict == verdict


def test_an_increase_below_the_margin_is_supported_and_says_so():
    finding = judge(CLAIM, "camp-a", table(*2 * [("increase", 450.0, 300.0)]), [BASE], ZONES)
    assert finding.verdict == "supported"
    assert finding.reason.endswith("and every interval ends below the margin (10 % of the baseline value).")


def test_the_margin_is_not_named_when_only_some_years_end_below_it():
    assert "margin" not in judge(CLAIM, "camp-a", table(SAME, OPEN), [BASE], ZONES).reason


def test_words_and_numbers_of_the_newest_year():
    rows = table(UP, OPEN, ("increase", 12_345.0), NONE)
    finding = judge(CLAIM, "camp-a", rows, [BASE], ZONES)
    assert finding == ClaimFinding(
        claim_id="production-2016",
        verdict="supported",
        reason="Compared with 2017 there is an increase in 2 of 3 adequate test years and a decrease in 0; in 2020 the "
        "difference is 12,345 m2 (95 % interval 11,845 m2 to 12,845 m2).",
        value=12_345.0,
        lo95=11_845.0,
        hi95=12_845.0,
        test="stockpile_area_m2 in site, 2018-2021 against a baseline year up to 2017: an increase in more than half "
        "of the adequate test years, at least 2, and a decrease in none; margin: 10 % of the baseline value.",
        tested=tuple(("site", 2017, year) for year in (2018, 2019, 2020, 2021)),
    )


def test_other_sites_are_not_judged():
    assert judge(CLAIM, "camp-c", table(UP), [BASE], ZONES) is None


def test_only_rows_of_the_claim_count():
    noise = [
        dataclasses.replace(changed(2019, *UP), metric="footprint_area_m2"),
        changed(2019, *UP, zone="inside"),
        changed(2019, *UP, start=2018),
        changed(2017, *UP, start=2016),
        changed(2022, *UP),
    ]
    finding = judge(CLAIM, "camp-a", [*table(SAME, SAME), *noise], [BASE], ZONES)
    assert finding.verdict == "contradicted"
    assert "in 0 of 2 adequate test years" in finding.reason


def test_a_baseline_after_the_claims_is_not_observable():
    late = [measured(2017, None, status="insufficient_data"), measured(2018, 1.0)]
    finding = judge(CLAIM, "camp-a", table(UP, UP), late, ZONES)
    assert finding.verdict == "not_observable"
    assert finding.reason == "There is no adequate year up to 2017 (the baseline year is 2018)."
    assert (finding.value, finding.lo95, finding.hi95) == (None, None, None)
    finding = judge(CLAIM, "camp-a", [], [], ZONES)
    assert finding.reason == "There is no adequate year up to 2017 (none at all)."


def test_the_baseline_that_was_set_is_used():
    rows = [
        *(changed(y, *UP, start=2017) for y in (2018, 2019)),
        *(changed(y, *SAME, start=2016) for y in (2018, 2019)),
    ]
    series = [measured(2016, 10_000.0, status="insufficient_data"), BASE]
    assert judge(CLAIM, "camp-a", rows, series, ZONES).verdict == "supported"
    assert judge(CLAIM, "camp-a", rows, series, ZONES, baseline=2016).verdict == "not_detectable"
    series[0] = measured(2016, 10_000.0)
    assert judge(CLAIM, "camp-a", rows, series, ZONES).verdict == "contradicted"


def test_nothing_to_compare_says_why():
    finding = judge(CLAIM, "camp-a", table(NONE, NONE), [BASE], ZONES)
    assert finding.reason == "No test year up to 2019 can be compared; the newest: 4 dates of 6 needed."
    finding = judge(CLAIM, "camp-a", [], [BASE], ZONES)
    assert finding.reason == "There is no year of 2018-2021 to compare."


def test_no_zone_is_not_observable():
    claim = dataclasses.replace(CLAIM, zones=("named:chomabong", "control"))
    finding = judge(claim, "camp-a", table(UP), [BASE], ZONES)
    assert finding.verdict == "not_observable"
    assert finding.reason == "The site has no sourced zone or perimeter for named:chomabong or control."


@pytest.mark.parametrize("wanted", [("named:tukchang",), ("named",), ("named", "named:tukchang", "control")])
def test_zones_by_id_and_by_role(wanted):
    claim = dataclasses.replace(CLAIM, zones=wanted)
    series = [BASE, measured(2017, 1.0, "named:tukchang")]
    finding = judge(claim, "camp-a", [*table(SAME, SAME), *table(UP, UP, zone="named:tukchang")], series, ZONES)
    assert finding.verdict == "supported"
    assert "in 2 of 2 adequate test years" in finding.reason


def test_several_zones_count_each_year_each():
    claim = dataclasses.replace(CLAIM, zones=("named", "adjacent"))
    series = [BASE, *(measured(2017, 1.0, zone) for zone in ("adjacent:1", "adjacent:2", "named:tukchang"))]
    rows = [
        *table(UP, UP, zone="adjacent:1"),
        *table(UP, OPEN, zone="named:tukchang"),
        *table(OPEN, OPEN, zone="adjacent:2"),
    ]
    finding = judge(claim, "camp-a", rows, series, ZONES)
    assert finding.verdict == "not_detectable"
    assert "in 3 of 6 adequate pairs of zone and test year and" in finding.reason
    assert "in 2019 in named:tukchang the difference is 700 m2" in finding.reason
    assert judge(claim, "camp-a", rows[:-1], series, ZONES).verdict == "supported"


# Presence


def counts(*values, zone="site", status="ok"):
    return [
        measured(
            2018 + i,
            v,
            zone,
            "stockpile_count",
            unit="1",
            sigma=0.5,
            status="insufficient_data" if v is None else status,
        )
        for i, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "verdict", "value"),
    [
        ((0.0, 2.0, 0.0), "supported", 0.0),
        ((None, 1.0), "supported", 1.0),
        ((0.0, None, 0.0), "not_detectable", 0.0),
        ((0.9, 0.0), "not_detectable", 0.0),
        ((None, None), "not_observable", None),
        ((), "not_observable", None),
        ((0.0, 0.0, 0.0, 0.0, 9.0), "not_detectable", 0.0),  # 2022 is after the test years
    ],
)
def test_presence_truth_table(values, verdict, value):
    finding = judge(PRESENCE, "camp-a", [], counts(*values), ZONES)
    assert (finding.verdict, finding.value) == (verdict, value)


def test_presence_is_never_contradicted():
    claim = dataclasses.replace(PRESENCE, margin_fraction=0.9, margin_m2=9e9)
    assert judge(claim, "camp-a", [], counts(0.0, 0.0), ZONES).verdict == "not_detectable"


def test_presence_in_words_and_numbers():
    finding = judge(PRESENCE, "camp-a", [], counts(1.0, None, 3.0, 2.0, status="partial"), ZONES)
    assert finding.reason == "At least 1 is seen in 3 of 3 adequate years (2018, 2020, 2021); in 2021 there are 2."
    assert (finding.value, finding.lo95, finding.hi95) == (2.0, pytest.approx(1.02), pytest.approx(2.98))
    assert finding.test == "stockpile_count in site, 2018-2021: at least 1 in any adequate year."
    finding = judge(PRESENCE, "camp-a", [], counts(0.0), ZONES)
    assert finding.reason == "At least 1 is seen in 0 of 1 adequate years; in 2018 there are 0."
    assert (finding.lo95, finding.hi95) == (0.0, pytest.approx(0.98))
    finding = judge(PRESENCE, "camp-a", [], [dataclasses.replace(counts(1.0)[0], sigma=0.0)], ZONES)
    assert (finding.value, finding.lo95, finding.hi95) == (1.0, None, None)
    finding = judge(PRESENCE, "camp-a", [], counts(None), ZONES)
    assert finding.reason == "No year of 2018-2021 is adequate."


def test_presence_in_other_zones_does_not_count():
    assert judge(PRESENCE, "camp-a", [], counts(3.0, zone="inside"), ZONES).verdict == "not_observable"


# From measurements to the verdict


def test_from_measurements_of_a_growing_stock():
    series = [measured(2017 + i, value) for i, value in enumerate([10_000.0, 13_000.0, 13_500.0, 14_000.0, 14_500.0])]
    finding = judge(CLAIM, "camp-a", compare(series, CompareRules(0.10, 60)), series, ZONES)
    assert finding.verdict == "supported"
    assert finding.value == 4500.0
    assert (finding.lo95, finding.hi95) == (
        pytest.approx(4500 - 1.96 * 2**0.5 * 100),
        pytest.approx(4500 + 1.96 * 2**0.5 * 100),
    )


def test_from_measurements_of_a_stock_that_stays():
    series = [measured(year, 10_000.0) for year in range(2017, 2022)]
    assert judge(CLAIM, "camp-a", compare(series, CompareRules(0.10, 60)), series, ZONES).verdict == "contradicted"


@pytest.mark.parametrize(
    ("value", "verdict"), [(5000.0, "supported"), (1000.0, "contradicted"), (1800.0, "not_detectable")]
)
def test_gain_takes_baseline_and_margin_from_the_footprint(value, verdict):
    claim = dataclasses.replace(CLAIM, observable="ground", metric="boundary_gain_m2", zones=("adjacent:1",))
    footprint = [measured(2016, None, metric="footprint_area_m2", status="insufficient_data")]
    footprint += [measured(year, 9e6, metric="footprint_area_m2") for year in (2017, 2018, 2019)]
    footprint += [measured(year, 10_000.0, "adjacent:1", "footprint_area_m2") for year in (2017, 2018, 2019)]
    gains = [
        PairMeasurement("adjacent:1", "boundary_gain_m2", start, end, value, 400.0, 1000.0, "m2", "ok")
        for start, end in ((2017, 2018), (2017, 2019), (2018, 2019))
    ]
    finding = judge(claim, "camp-a", compare([*footprint, *gains], CompareRules(0.10, 60)), footprint, ZONES)
    assert finding.verdict == verdict
    assert f"in 2019 the gain beyond chance is {value - 1000:,.0f} m2" in finding.reason


@given(
    st.lists(st.sampled_from([UP, DOWN, SAME, OPEN, NONE]), max_size=4),
    st.sampled_from([None, 0.0, 0.1, 0.5]),
    st.randoms(use_true_random=False),
)
def test_invariants(verdicts, margin, random):
    claim = dataclasses.replace(CLAIM, margin_fraction=margin)
    rows = table(*verdicts)
    finding = judge(claim, "camp-a", rows, [BASE], ZONES)
    random.shuffle(rows)
    assert judge(claim, "camp-a", rows, [BASE], ZONES) == finding
    assert (finding.verdict == "not_observable") == all(verdict == NONE for verdict in verdicts)
    assert (finding.value is None) == (finding.verdict == "not_observable")
    if DOWN in verdicts:
        assert finding.verdict != "supported"
    if UP in verdicts:
        assert (
            judge(dataclasses.replace(claim, margin_fraction=0.1), "camp-a", rows, [BASE], ZONES).verdict
            != "contradicted"
        )
    assert finding.reason.endswith(".")
    assert finding.reason.isascii()


# Shares


def test_share_counts_sites():
    verdicts = [
        "supported",
        "not_observable",
        "supported",
        "contradicted",
        "not_detectable",
        "not_detectable",
        "not_detectable",
    ]
    findings = {f"s{i}": ClaimFinding("c", verdict, "", None, None, None, "") for i, verdict in enumerate(verdicts)}
    counted = share(findings)
    assert (counted.claim_id, counted.n_sites, counted.supported, counted.contradicted) == ("c", 7, 2, 1)
    assert (counted.not_detectable, counted.not_observable) == (3, 1)
    assert counted.text == (
        "supported at 2 of 7 sites, contradicted at 1 of 7 sites, "
        "not detectable at 3 of 7 sites, not observable at 1 of 7 sites"
    )


def test_share_is_of_one_claim():
    one, two = (ClaimFinding(name, "supported", "", None, None, None, "") for name in "ab")
    with pytest.raises(ValueError, match=r"\['a', 'b'\]"):
        share({"x": one, "y": two})
    with pytest.raises(ValueError, match="exactly one claim"):
        share({})
