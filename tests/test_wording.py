"""Numbers and sentences of the report: truth tables by hand, and signs that rounding may not hide."""

import datetime as dt
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.products.change_listings import found_from
from pipeline.products.rounding import ABSENT, show, show_metres, show_percent, show_probability
from pipeline.products.spelling import legible, span
from pipeline.products.wording import (
    VERDICTS,
    attribution,
    day,
    evidence_note,
    headline,
    listed,
    reference_note,
    sanctions_note,
    trend,
    unjudged,
)
from pipeline.records import (
    ChangeRow,
    MeasurementRow,
)
from pipeline.series_records import TrendRow

# Far below a square millimetre; smaller ones are lost by the division into hectares.
areas = st.floats(-1e9, 1e9).filter(lambda n: n == 0 or abs(n) > 1e-100)


def parsed(text: str) -> float:
    """Read a printed number back."""
    return float(text.replace("−", "-").replace(",", ""))


@pytest.mark.parametrize(
    ("value", "lo95", "hi95", "signed", "expected"),
    [
        (13_050.0, 11_280.0, 14_820.0, True, ("+1.30 ha", "+1.12 to +1.49 ha")),
        (850.0, -180.0, 1_880.0, True, ("+800 m²", "−200 to +1,900 m²")),
        (402_000.0, 388_000.0, 416_000.0, False, ("40.2 ha", "38.8 to 41.6 ha")),
        (2_350.0, 40.0, 4_660.0, True, ("+2,400 m²", "+40 to +4,700 m²")),
        (6_000.0, 4.0, 12_000.0, True, ("+0.60 ha", "+0.0004 to +1.20 ha")),
        (-600.0, -1_196.0, -4.0, True, ("−600 m²", "−1,200 to −4 m²")),
        (-500.29, -4_441.0, 3_440.0, True, ("−500 m²", "−4,500 to +3,500 m²")),
        (11_300.0, 11_300.0, 11_300.0, False, ("1.13 ha", "1.13 to 1.13 ha")),
        (0.0, -20.0, 20.0, True, ("0 m²", "−20 to +20 m²")),
        (5.6e7, 5.4e7, 5.8e7, False, ("5,600 ha", "5,400 to 5,800 ha")),
        (9_876.0, None, None, False, ("9,880 m²", ABSENT)),
        (None, None, None, True, (ABSENT, ABSENT)),
        (math.nan, math.nan, math.inf, True, (ABSENT, ABSENT)),
    ],
)
def test_area_is_printed_with_the_digits_its_interval_supports(value, lo95, hi95, signed, expected):
    shown = show(value, lo95, hi95, "m2", signed=signed)
    assert (shown.value_with_unit, shown.interval_with_unit) == expected


@pytest.mark.parametrize(
    ("value", "lo95", "hi95", "expected"),
    [
        (3.0, 3.0, 3.0, ("3", "3 to 3")),
        (0.0, -0.4, 0.4, ("0", "−0.4 to +0.4")),
        (1.0, -0.02, 2.02, ("+1", "−0.02 to +2.1")),
    ],
)
def test_count_is_printed_without_unit(value, lo95, hi95, expected):
    shown = show(value, lo95, hi95, "count", signed=lo95 < 0)
    assert (shown.value_with_unit, shown.interval_with_unit) == expected


@given(st.lists(areas, min_size=3, max_size=3).map(sorted), st.sampled_from(["m2", "count"]))
@example([1e-9, 5.0, 12_000.0], "m2")
@example([-12_000.0, -5.0, -4e-5], "m2")
@example([0.0, 0.0, 0.0], "m2")
def test_rounding_keeps_sign_order_and_the_side_of_zero(numbers, unit):
    lo95, value, hi95 = numbers
    shown = show(value, lo95, hi95, unit, signed=True)
    printed = [parsed(text) for text in (*shown.interval.split(" to "), shown.value)]
    assert printed[0] <= printed[2] <= printed[1]
    for number, text in zip((lo95, hi95, value), printed, strict=True):
        assert math.copysign(1, text) == math.copysign(1, number) or number == 0 == text
        assert (text == 0) == (number == 0)


@given(st.lists(areas, min_size=3, max_size=3).map(sorted), st.sampled_from(["m2", "count"]))
@example([-4_441.0, -500.29, 3_440.0], "m2")
@example([-680.0, -30.0, 12_620.0], "m2")
@example([-0.55, 0.0, 0.44], "count")
def test_the_printed_interval_holds_the_whole_of_the_measured_one(numbers, unit):
    lo95, value, hi95 = numbers
    shown = show(value, lo95, hi95, unit)
    scale = 10_000.0 if shown.unit == "ha" else 1.0
    low, high = (parsed(text) * scale for text in shown.interval.split(" to "))
    assert low <= lo95 + 2e-9 * abs(lo95)
    assert high >= hi95 - 2e-9 * abs(hi95)


@given(st.lists(st.integers(-(10**9), 10**9).map(lambda n: n / 100), min_size=3, max_size=3).map(sorted))
def test_rounding_moves_no_value_by_more_than_a_twentieth_of_the_half_width(numbers):
    lo95, value, hi95 = numbers
    shown = show(value, lo95, hi95, "m2")
    scale = 10_000.0 if shown.unit == "ha" else 1.0
    half = (hi95 - lo95) / 2
    # Two digits of a half-width: at most half a unit of the second.
    allowed = half * 0.05 if half > 0 else abs(value) * 0.01
    assert abs(parsed(shown.value) * scale - value) <= allowed * (1 + 1e-9) + 1e-9 * abs(value)


@pytest.mark.parametrize(
    ("probability", "threshold", "expected"),
    [
        (0.21, 0.1, "0.210"),
        (0.1004, 0.1, "0.1004"),
        (0.1, 0.1, "0.100"),
        (0.0996, 0.1, "0.100"),
        (2e-47, 0.1, "< 0.001"),
        (0.0, None, "< 0.001"),
        (1.0, 0.1, "1.000"),
        (None, 0.1, ABSENT),
        (math.nan, 0.1, ABSENT),
    ],
)
def test_probability_stays_on_its_side_of_the_threshold(probability, threshold, expected):
    assert show_probability(probability, threshold) == expected


@given(st.floats(0.001, 1.0), st.sampled_from([0.05, 0.1]))
def test_printed_q_gives_the_same_decision(probability, threshold):
    assert (float(show_probability(probability, threshold)) <= threshold) == (probability <= threshold)


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.0, "0 %"), (0.004, "< 1 %"), (0.31, "31 %"), (0.996, "> 99 %"), (1.0, "100 %"), (None, ABSENT)],
)
def test_percent(fraction, expected):
    assert show_percent(fraction) == expected


def test_metres_keep_their_sign():
    assert [show_metres(n) for n in (-2.44, 0.03, 0.0, None)] == ["−2.4", "0.03", "0.0", ABSENT]


def test_found_from_is_3_6_sigma():
    assert found_from(1.96) == pytest.approx(3.6)
    assert found_from(None) is None


def measurement(year, value, lo95, hi95, status="ok"):
    return MeasurementRow("s", "site", year, "stockpile_area_m2", value, lo95, hi95, "m2", 12, 0.9, status)


def change(verdict, delta=13_050.0, lo95=11_280.0, hi95=14_820.0, reason=None):
    mdc95 = None if delta is None else (hi95 - lo95) / 2
    return ChangeRow(
        "s", "site", "stockpile_area_m2", 2016, 2021, delta, lo95, hi95, mdc95, "m2", 0.1, 0.2, verdict, reason
    )


BEFORE, AFTER = measurement(2016, 10_050.0, 9_300.0, 10_800.0), measurement(2021, 23_100.0, 21_500.0, 24_700.0)
SITE = "over the whole site"


def test_sentence_of_an_increase_holds_values_intervals_dates_and_the_verdict():
    sentence = headline("stockpile_area_m2", SITE, BEFORE, AFTER, change("increase"), 0.1)
    assert sentence.text == (
        "The stockpile area over the whole site was 2.31 ha in 2021 (95 % interval 2.15 to 2.47 ha, 12 dates) and "
        "1.005 ha in 2016 (95 % interval 0.930 to 1.080 ha, 12 dates); the difference is +1.30 ha "
        "(95 % interval +1.12 to +1.49 ha): increase."
    )


def test_no_detectable_change_names_the_limit_and_never_says_no_change():
    text = headline(
        "stockpile_area_m2", SITE, BEFORE, AFTER, change("no_detectable_change", 850, -180, 1_880), 0.1
    ).text
    assert "no detectable change; a difference smaller than 0.103 ha would not be called." in text
    assert "no change" not in text


def test_interval_beyond_zero_without_q_says_so():
    text = headline(
        "stockpile_area_m2", SITE, BEFORE, AFTER, change("no_detectable_change", 2_350, 40, 4_660), 0.1
    ).text
    assert "q is above 0.1" in text


def test_insufficient_data_gives_its_reason():
    row = change("insufficient_data", None, None, None, "2021: 3 of 6 dates")
    text = headline("stockpile_area_m2", SITE, BEFORE, AFTER, row, 0.1).text
    assert text.endswith("could not be compared between 2016 and 2021: insufficient data (2021: 3 of 6 dates).")


def test_one_adequate_year_has_no_verdict():
    sentence = headline("stockpile_area_m2", SITE, None, AFTER, None, 0.1)
    assert sentence.verdict == ""
    assert "no second adequate year" in sentence.text
    assert headline("stockpile_area_m2", SITE, None, None, None, 0.1).verdict == "insufficient_data"


def test_gain_is_told_as_what_is_beyond_chance():
    row = change("increase")
    assert "less what chance shows, is +1.30 ha" in headline("boundary_gain_m2", SITE, None, None, row, 0.1).text


def test_trend_sentence():
    row = TrendRow(
        "s",
        "site",
        "stockpile_area_m2",
        2016,
        2021,
        5,
        2_600.0,
        1_100.0,
        4_100.0,
        "m2/yr",
        0.017,
        0.03,
        "increase",
        None,
    )
    assert trend(row, SITE).text == (
        "Trend of the stockpile area over the whole site, 2016 to 2021 (5 adequate years): +2,600 m² per year "
        "(95 % interval +1,100 to +4,100 m² per year): increase."
    )


@pytest.mark.parametrize(
    ("first", "last", "named"),
    [
        (2016, 2021, ["2270", "2321", "2371", "2397"]),
        (2017, 2021, ["2371", "2397"]),
        (2018, 2021, []),
    ],
)
def test_only_resolutions_within_the_axis_are_named(first, last, named):
    note = sanctions_note(first, last)
    assert [n for n in ("2270", "2321", "2371", "2397") if n in note] == named
    assert bool(named) == ("Dotted" in note)


def test_small_words():
    assert [listed(x) for x in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert day(dt.date(2016, 3, 2)) == "2 March 2016"
    assert unjudged({}) == "Every year had enough usable dates."
    assert (
        unjudged({(2019, 2020): ["stockpile_area_m2"]})
        == "Years that could not be judged: 2019 and 2020 (stockpile area)."
    )
    assert attribution([2021, 2016], simulated=False) == "Contains modified Copernicus Sentinel data 2016–2021."
    assert attribution([2021], simulated=True).startswith("SIMULATED data")
    assert "draws no security perimeter" in reference_note("baseline_footprint", 2016)
    assert "named source" in reference_note("perimeter", 2016)
    assert "not copied" in evidence_note("reference")
    assert "unaltered" in evidence_note("copy")


def test_words_are_those_of_the_contract():
    assert {word.replace(" ", "_") for word in VERDICTS.values()} == set(VERDICTS)


@pytest.mark.parametrize(
    ("held", "read"),
    [
        ("measured 238 m2; unchanged ground shows 68.3 m2", "measured 238 m²; unchanged ground shows 68.3 m²"),
        ("-8.96 m2 (95 % interval -1,025 m2 to 7 m2)", "−8.96 m² (95 % interval −1,025 m² to 7 m²)"),
        ("2019-2023 and p59358-365149", "2019-2023 and p59358-365149"),
        ("departs by -0.005 (swir16, 2023)", "departs by −0.005 (short-wave infrared at 1.6 µm, 2023)"),
        (
            "confounded with processing baseline 02.x -> 04.x and 05.x in 2022: ground",
            "not told apart from a change of processing baseline from 02.x to 04.x and 05.x in 2022: ground",
        ),
        ("1 usable dates, 6 are needed", "1 usable date, 6 are needed"),
        ("1 comparable adequate years, 5", "1 comparable adequate year, 5"),
        ("in 0 of 11 adequate test years", "in 0 of 11 adequate test years"),
        ("1 of 1 adequate test years", "1 of 1 adequate test year"),
    ],
)
def test_a_reason_is_written_as_a_document_is(held, read):
    assert legible(held) == read


def test_a_span_of_one_year_is_the_year():
    assert (span(2018, 2018), span(2018, 2023)) == ("2018", "2018 to 2023")


def test_a_reason_of_a_layer_is_legible_in_its_sentence():
    row = change("insufficient_data", None, None, None, "2021: 1 usable dates, 6 are needed")
    assert "1 usable date, 6" in headline("stockpile_area_m2", SITE, BEFORE, AFTER, row, 0.1).text
