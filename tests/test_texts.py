"""Standing texts and what was not assessed, against results that lack one thing at a time."""

import datetime as dt
from dataclasses import replace

import pytest
from report_fixture import BASELINE, make_tables

from pipeline.products import texts
from pipeline.products.claim_words import in_names, named
from pipeline.products.gaps import not_assessed
from pipeline.products.listings import values_listing
from pipeline.products.results import Results
from pipeline.products.scale import Scale
from pipeline.products.wording import measured as in_words
from pipeline.records import MeasurementRow, RunRow, SceneRow, SiteRow
from pipeline.series_records import BreakRow, TrendRow


def results_of(**layers):
    return Results(make_tables() | layers, BASELINE)


def measured(zone_id, year, metric="stockpile_area_m2", **given):
    row = MeasurementRow("s", zone_id, year, metric, 100.0, 90.0, 110.0, "m2", 8, 1.0, "ok")
    return replace(row, **given)


def gap(zone_id, year, metric="stockpile_area_m2", n_dates=2):
    nothing = {"value": None, "lo95": None, "hi95": None, "valid_fraction": 0.25, "status": "insufficient_data"}
    return measured(zone_id, year, metric, n_dates=n_dates, **nothing)


def said(rows):
    return not_assessed(results_of(measurements=rows, changes=[]))


def test_a_year_that_was_not_seen_is_named_with_its_dates_and_zones():
    lines = said([measured("site", 2018), gap("site", 2019), measured("north", 2018), measured("north", 2019)])
    assert lines[1] == (
        "2019, not observable: stockpile area in whole site (2 usable dates, 25 % of the ground seen often enough)."
    )


def test_zones_and_metrics_that_lack_the_same_share_a_sentence():
    rows = [
        measured("site", 2018), measured("north", 2018),
        *(gap(zone, 2019, metric) for zone in ("site", "north") for metric in ("stockpile_area_m2", "stockpile_count")),
        gap("site", 2019, "footprint_area_m2", n_dates=1),
    ]  # fmt: skip
    assert said(rows)[1] == (
        "2019, not observable: stockpile area and number of stockpiles in both zones (2 usable dates, 25 % of the "
        "ground seen often enough); area of occupied ground in whole site (1 usable date, 25 % of the ground seen "
        "often enough)."
    )


def test_a_year_seen_in_part_is_named():
    lines = said([measured("site", 2018), measured("site", 2019, status="partial", valid_fraction=0.8)])
    assert "2019, only part of the ground was seen in whole site: what is missing is not counted." in lines


def test_a_year_seen_whole_is_not_said_to_lack_images():
    lines = said([measured("site", 2018, status="partial"), gap("site", 2019, n_dates=9)])
    assert "2018, not every pile could be outlined in whole site: the numbers are measured in part." in lines
    whole = gap("site", 2019, n_dates=9)
    lines = said([measured("site", 2018), replace(whole, valid_fraction=1.0)])
    why = "too much of the piles could not be outlined"
    assert f"2019, without a number: stockpile area in whole site ({why})." in lines


def test_what_review_leaves_open_is_not_put_on_the_images():
    reviewed = "reviewed_stockpile_area_m2"
    rows = [measured("site", year, valid_fraction=0.9, status="partial") for year in (2018, 2019, 2020)]
    rows[1] = measured("site", 2019)
    rows += [gap("site", 2018, reviewed, n_dates=9), measured("site", 2019, reviewed, status="partial")]
    rows += [replace(rows[2], metric=reviewed)]
    lines = said(rows)
    assert any(line.startswith("2018, without a number: reviewed stockpile area in whole site (") for line in lines)
    assert not any("not observable" in line for line in lines)
    assert [line for line in lines if line.startswith("2019")] == [
        "2019, the decisions of reviewers leave a pile open in whole site: the reviewed numbers are measured in part."
    ]
    assert "2020, only part of the ground was seen in whole site: what is missing is not counted." in lines


def test_a_number_of_a_part_says_of_which():
    row = measured("site", 2019, status="partial")
    assert "not every pile could be outlined" in in_words(row, Scale.of("m2", [100.0]))
    assert "only part of the area was seen" in in_words(replace(row, valid_fraction=0.8), Scale.of("m2", [100.0]))
    # From where a zone counts as seen whole on, and just below.
    assert "not every pile" in in_words(replace(row, valid_fraction=0.95), Scale.of("m2", [100.0]))
    assert "only part of" in in_words(replace(row, valid_fraction=0.9499), Scale.of("m2", [100.0]))
    lacking = [gap("site", 2019), replace(gap("site", 2020), valid_fraction=1.0)]
    table = values_listing(results_of(measurements=lacking, changes=[]))
    assert [row[-1].text for row in table.rows] == ["not observable", "insufficient data"]


def test_a_metric_that_was_not_assessed_stands_with_the_reason_of_the_run():
    note = "Stockpiles are listed as candidates and not assessed: the rank of coal is unknown."
    rows = [measured("site", 2018, value=None, status="not_assessed")]
    lines = not_assessed(results_of(measurements=rows, changes=[], run=[RunRow("note_1", note)]))
    assert lines[0] == f"Not assessed: stockpile area. {note}"
    assert "number of stockpiles" in lines[1]
    assert not any("2018, not observable" in line for line in lines)


def test_full_results_say_so():
    rows = [measured("site", 2018, m) for m in ("stockpile_area_m2", "stockpile_count", "footprint_area_m2")]
    rows.append(measured("site", 2018, "boundary_gain_m2"))
    assert said(rows)[0] == "Every metric has a value in every zone and year."


def test_comparisons_trends_and_resolutions_without_data_are_counted():
    short = TrendRow(
        "s", "site", "stockpile_area_m2", 2018, 2021, 2, *[None] * 3, "m2", None, None, "insufficient_data", ""
    )
    untested = [
        BreakRow("s", "site", "stockpile_area_m2", number, dt.date(2017, 8, 5), 0, 6, None, "m2", *[None] * 3,
                 "insufficient_data", "no adequate year before the date")
        for number in ("2371", "2397")
    ]  # fmt: skip
    lines = not_assessed(results_of(trends=[short, replace(short, verdict="increase")], breaks=untested))
    assert "1 of 2 trends were not assessed: a trend needs five comparable adequate years." in lines
    assert (
        "The level before and after resolution 2371 and 2397 could not be compared (no adequate year before the date)."
    ) in lines
    changes = make_tables()["changes"]
    without = sum(row.verdict == "insufficient_data" for row in changes)
    assert any(line.startswith(f"{without} of {len(changes)} comparisons") for line in lines)


@pytest.mark.parametrize(("role", "words"), [("perimeter", "No perimeter"), ("control", "no control zone")])
def test_what_a_site_file_lacks_is_said(role, words):
    sites = [row for row in make_tables()["sites"] if row.role == "aoi"]
    there = [*sites, SiteRow(sites[0].geometry, "x", "x", None, role, None, None, None)]
    assert any(words in line for line in not_assessed(results_of(sites=sites)))
    assert not any(words in line for line in not_assessed(results_of(sites=there)))


def test_claims_that_cannot_be_observed_are_named():
    assert any("adjacent-zones" in line for line in not_assessed(results_of()))


def test_seasons_are_said_in_words_and_the_least_number_of_dates_is_that_of_the_run():
    run = [
        RunRow("setting_min_dates", "7"),
        RunRow("setting_stockpile_windows", "04-01 to 06-15, 09-01 to 10-20"),
        RunRow("setting_footprint_windows", "02-29 to 09-30"),
    ]
    method = dict(texts.method(results_of(run=run)))
    assert "from 1 April to 15 June and from 1 September to 20 October" in method["Piles"]
    assert "from 29 February to 30 September" in method["Occupied ground"]
    assert "at least 7 usable dates" in method["Years and verdicts"]
    assert not any("{" in paragraph for paragraph in method.values())


@pytest.mark.parametrize(("gate", "told"), [("off, no elevation model", True), ("on, dem.tif: cosine 0.3", False)])
def test_a_terrain_model_is_missed_only_where_there_is_none(gate, told):
    limits = texts.limits(results_of(run=[RunRow("illumination_gate", gate)]))
    assert any("No terrain model" in limit for limit in limits) == told


def test_a_citation_names_program_scenes_and_the_very_bytes():
    row = SceneRow(
        None, "a", dt.datetime(2018, 4, 9, 23, tzinfo=dt.UTC), *[None] * 3, True, None, 1.0, None, 0, 0, "ab"
    )
    later = replace(row, scene_id="b", datetime=dt.datetime(2023, 10, 10, tzinfo=dt.UTC))
    refused = replace(row, scene_id="c", datetime=dt.datetime(2024, 1, 1, tzinfo=dt.UTC), used=False)
    first, second = texts.cite(
        "Change report: X", "0.1.0 (source ab)", ("x.gpkg", "f" * 64), [later, row, refused], "C."
    )
    assert first == (
        "Change report: X. Made with Stockline 0.1.0 (source ab), from 2 scenes of 9 April 2018 to 10 October 2023. "
        f"Results: x.gpkg, SHA-256 {'f' * 64}. C."
    )
    assert "manifest.json" in second
    assert "no scene used" in texts.cite("T", "p", ("x", "y"), [refused], "C.")[0]


def test_every_term_of_the_report_is_explained():
    terms = " ".join(term for term, _ in texts.READING)
    for word in ("increase", "no detectable change", "insufficient data", "supported", "not observable", "candidate"):
        assert word in terms


def test_a_claim_is_told_with_names_in_place_of_ids():
    results = results_of()
    held = "boundary_gain_m2 in named:tukchang, 2019-2023 against a baseline year up to 2018: margin: 5,000 m2."
    said = in_names(held, results)
    assert (
        said
        == "Ground newly occupied, 덕장 Tukchang, 2019 to 2023 against a baseline year up to 2018: margin: 5,000 m²."
    )
    assert named("in 2023 in named:tukchang the gain", results) == "in 2023 in 덕장 Tukchang the gain"
    assert named("named:tukchang-2", results) == "named:tukchang-2"
    assert in_names("free words", results) == "free words"
