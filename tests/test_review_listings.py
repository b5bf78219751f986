"""The report's tables on review, read as a reader would."""

import dataclasses
import datetime as dt
import html

import pytest
import report_fixture
from review_fixture import decided, drew, machine, own, pile, square

from pipeline.products.change_listings import pile_changes
from pipeline.products.listings import piles_by_year, piles_of_year
from pipeline.products.map_features import features_of
from pipeline.products.results import Results
from pipeline.products.review_listings import review_listings
from pipeline.products.statements import statements
from pipeline.products.styles import qml
from pipeline.records import LAYERS, MeasurementRow
from pipeline.review.agreement import agreements
from pipeline.review.comparison import compare_outlines
from pipeline.review.outcome import Reviewed, review_note
from pipeline.review.rows import agreement_rows, outline_rows, review_rows
from pipeline.review.standing import stand
from pipeline.review.taking import counting

EPSG = 32652
PILES = [pile("p1", {2022: square(0, 0)})]


def measured(metric, value, zone="site"):
    return MeasurementRow("x", zone, 2022, metric, value, value - 500, value + 500, "m2", 8, 1.0, "ok")


def listings(decisions, measurements=()):
    lines = [dataclasses.replace(d, line=n) for n, d in enumerate(decisions, start=1)]
    current = counting(lines)
    reviewed = Reviewed(
        decisions=lines,
        judged=stand(current, PILES, EPSG),
        outlines=compare_outlines(current, PILES, {}, EPSG),
        agreements=agreements(current),
    )
    tables = {name: [] for name in LAYERS} | {
        "measurements": list(measurements),
        "reviews": review_rows(reviewed, EPSG),
        "analyst_outlines": outline_rows(reviewed),
        "agreement": agreement_rows(reviewed),
    }
    return {table.title: table for table in review_listings(Results(tables, 2022))}


def texts(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_a_site_nobody_looked_at_says_so():
    (table,) = listings([]).values()
    assert not table.rows
    assert table.empty == "No reviewer has decided on a pile: all numbers are the machine's."
    assert review_note(Reviewed()) is None


def test_both_numbers_stand_side_by_side_where_they_differ():
    numbers = [
        measured("stockpile_area_m2", 20_000.0), measured("reviewed_stockpile_area_m2", 10_000.0),
        measured("stockpile_area_m2", 7_000.0, "inside"), measured("reviewed_stockpile_area_m2", 7_000.0, "inside"),
    ]  # fmt: skip
    table = listings([decided("reject", "p2")], numbers)["Machine and reviewed numbers"]
    assert texts(table) == [
        ["whole site", "Stockpile area", "2022", "2.000 ha", "1.950 to 2.050 ha", "1.000 ha", "0.950 to 1.050 ha"]
    ]


def test_all_decisions_stay_and_those_replaced_do_not_count():
    later = dt.date(2024, 4, 1)
    said = [decided("reject"), decided("accept", reviewed_on=later, reason=None), own(square(300, 0), "mine")]
    table = listings(said)["Decisions of reviewers"]
    assert texts(table) == [
        ["1", "Pile: p1", "all years", "Reject", "Kim", "2024-03-01", "because", "composites", "no", "–"],
        ["2", "Pile: p1", "all years", "Accept", "Kim", "2024-04-01", "–", "composites", "yes", "p1"],
        ["3", "Own pile: mine", "2022", "Own outline", "Kim", "2024-03-01", "because", "composites", "yes", "–"],
    ]
    assert len({address for ids in table.row_ids for address in ids}) == 3


def test_outlines_and_agreement_are_told_with_their_limits():
    said = [
        drew(square(0, 0, 80), machine=machine()),
        decided("accept", analyst="Lee"),
        decided("reject", analyst="Ro"),
    ]
    found = listings(said)
    (row,) = texts(found["Outlines drawn by reviewers"])
    assert row[:3] == ["Pile: p1", "2022", "Kim"]
    assert row[7:11] == ["piles of 2022", "1.00 ha", "64 %", "64 %"]
    (row,) = texts(found["Agreement of reviewers"])
    assert row[:5] == ["Lee, Ro", "Pile found by us", "1", "0", "0 %"]
    assert "too few objects for a statement (1 of 20)" in row[-1]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (None, "probable"),
        ("rejected", "probable, rejected in review"),
        ("contested", "probable, contested in review"),
    ],
)
def test_a_pile_reviewers_decided_on_says_so_wherever_it_is_listed(state, words):
    tables = report_fixture.make_tables()
    tables["stockpiles"] = [dataclasses.replace(row, review=state) for row in tables["stockpiles"]]
    results = Results(tables, report_fixture.BASELINE)
    (row,) = texts(piles_by_year(results))
    assert row[1] == words
    assert all(("in review" in cell) == (state is not None) for cell in row[2:] if "ha" in cell)
    assert texts(piles_of_year(results, 2021))[0][1] == words
    (row,) = texts(pile_changes(results))
    assert row[2] == ("–" if state is None else f"{state} in review (2016 and 2021)")
    popups = [dict(feature.rows) for feature in features_of(results) if feature.layer == "pile"]
    assert {rows["Tier"] for rows in popups} == {words}


def test_a_finding_holds_the_reviewed_numbers_where_they_differ():
    tables = report_fixture.make_tables()
    tables["measurements"] += [
        dataclasses.replace(row, metric=f"reviewed_{row.metric}")
        for row in tables["measurements"]
        if (row.zone_id, row.metric) == ("site", "stockpile_area_m2")
    ]
    key = "site", "stockpile_area_m2"
    found = {(s.zone_id, s.metric): s for s in statements(Results(tables, report_fixture.BASELINE), 0.1)}
    assert not any("reviewed" in name for name, _ in found[key].figures)
    tables["measurements"] = [
        dataclasses.replace(row, value=5_000.0, lo95=4_000.0, hi95=6_000.0)
        if (row.metric, row.year) == ("reviewed_stockpile_area_m2", 2021)
        else row
        for row in tables["measurements"]
    ]
    change = next(r for r in tables["changes"] if (r.zone_id, r.metric, r.year_from, r.year_to) == (*key, 2016, 2021))
    numbers = {"delta": -5_050.0, "lo95": -6_300.0, "hi95": -3_800.0, "verdict": "decrease"}
    tables["changes"] += [dataclasses.replace(change, metric="reviewed_stockpile_area_m2", **numbers)]
    found = {(s.zone_id, s.metric): s for s in statements(Results(tables, report_fixture.BASELINE), 0.1)}
    figures = dict(found[key].figures)
    assert figures["2021, reviewed"] == "0.50 ha (0.40 to 0.60)"
    assert figures["Difference, reviewed"] == "−0.50 ha (−0.63 to −0.38): decrease"
    assert found[key].number == "+1.30 ha (+1.12 to +1.49)", "the headline stays the program's"


def test_a_pile_in_qgis_says_what_reviewers_say():
    said = html.unescape(qml("stockpiles", simulated=False))
    expression = "', in review: ' || represent_value(\"review\")"
    assert said.count(expression) >= 3, "label, words of a row, map tip"


def test_a_gain_of_ground_is_called_by_its_years_and_zone():
    table = listings([decided("accept", "2018-2023 site", kind="ground"), decided("accept", "2018-2018 inside")])
    said = [row[1] for row in texts(table["Decisions of reviewers"])]
    assert said == ["Ground: 2018 to 2023, whole site", "Pile: 2018-2018 inside"]
