"""The words of a digest: what stands first, what is told of nothing, and that no text of others breaks a line."""

import pytest

from pipeline import errors
from pipeline.batches import bulletin
from pipeline.batches.bulletin import REMEDIES, digest_of, subject_of
from pipeline.batches.summary import (
    Delivery,
    Disk,
    Failure,
    Headline,
    SiteSummary,
    Summary,
    Verdict,
    VerdictChange,
    Waiting,
)  # fmt: skip

GB = 1_000_000_000


def verdict(word, value=None, lo95=None, hi95=None, reason=None, unit="m2"):
    return Verdict(verdict=word, value=value, lo95=lo95, hi95=hi95, unit=unit, reason=reason)


def site(**more):
    values = {
        "site": "camp-a", "outcome": "up_to_date", "simulated": False, "seconds": 3.0, "manifest_sha256": "m",
        "error": None, "remedy": None,
    }  # fmt: skip
    return SiteSummary(**values | more)


def change(**more):
    values = {
        "site": "camp-a", "simulated": False, "address": "changes/site/stockpile_area_m2/2020-2026", "layer": "changes",
        "name": "Stockpile area, whole site, 2020 to 2026", "zone": "site", "metric": "stockpile_area_m2",
        "year_from": 2020, "year_to": 2026, "before": verdict("no_detectable_change", 1200.0, -400.0, 2800.0),
        "after": verdict("increase", 20_100.0, 17_100.0, 23_100.0), "causes": ("new scene S2A of 3 June 2026",),
        "certain": True,
    }  # fmt: skip
    return VerdictChange(**values | more)


def summary(*sites, **more):
    values = {
        "batch": 7, "version": "1", "simulated": False, "started": "2026-06-05T03:00:00Z",
        "finished": "2026-06-05T03:12:00Z", "exit_status": 0, "sites": sites or (site(),), "next_window": "2026-06-05",
    }  # fmt: skip
    return Summary(**values | more)


def test_nothing_changed_is_one_line():
    assert digest_of(summary()) == (
        "# Batch 7, 5 June 2026\n\n1 site: 1 up to date, in 12 min. A window is open.\n\nNothing changed.\n"
    )
    assert subject_of(summary()) == "stockline batch 7: nothing changed"


FAILED = {"outcome": "failed", "manifest_sha256": None, "error": "no answer", "remedy": "wait"}
FIRST = {"outcome": "finished", "first": True}


@pytest.mark.parametrize(
    ("sites", "line", "subject", "news"),
    [
        ([FAILED], "No site was finished.", "1 failed", False),
        ([{}, FAILED], "At 1 site: nothing changed.", "1 failed", False),
        ([FIRST, FAILED], "These are the first results; there is nothing", "1 first result, 1 failed", True),
        ([{"outcome": "up_to_date", "first": True}], "These are the first results;", "1 first result", True),
        ([{}, FIRST], "1 first result, compared with nothing. At 1 site: nothing changed.", "1 first result", True),
        ([{"moved": 4, "compared_run": 1}], "No verdict changed; 4 numbers moved.", "no verdict changed", False),
        ([{"note": "broken"}], "1 site could not be compared.", "1 not compared", True),
        ([{"told_known": False}], "1 site could not be compared.", "1 not compared", True),
        ([{"told_known": False, "compared_run": 3}], "Nothing changed.", "nothing changed", True),
    ],
)
def test_nothing_changed_is_said_only_of_what_was_compared(sites, line, subject, news):
    told = summary(*(site(**more) for more in sites))
    text = digest_of(told)
    assert f"\n\n{line}" in text
    assert text.lower().count("nothing changed") == line.lower().count("nothing changed")
    assert subject_of(told) == f"stockline batch 7: {subject}"
    assert bulletin.is_news(told) == news


def test_first_results_of_a_batch_that_was_cut_off_are_listed():
    text = digest_of(summary(site(outcome="up_to_date", first=True)))
    assert "## Finished\n\n- camp-a (first result), 3 s:" in text


def test_it_is_said_where_it_is_not_known_what_was_told():
    text = digest_of(summary(site(told_known=False, compared_run=3, run=4), site(site="mine", told_known=False, run=1)))
    assert "## What was told before is not known\n\n- camp-a: compared with run 3, the one before its newest\n" in text
    assert "- mine: it has no other run to compare with\n" in text
    assert "first result" not in text


def test_a_verdict_that_changed_stands_first_with_both_intervals_and_why():
    text = digest_of(summary(verdict_changes=(change(),)))
    assert (
        "## Verdicts that changed\n\n- camp-a, Stockpile area, whole site, 2020 to 2026: now increase, +2.01 ha (95 % "
        "interval +1.71 to +2.31 ha); before no detectable change, +0.12 ha (95 % interval −0.04 to +0.28 ha). "
        "Because of: new scene S2A of 3 June 2026.\n"
    ) in text
    assert subject_of(summary(verdict_changes=(change(),))) == "stockline batch 7: 1 verdict changed"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"before": None}, "; before not there."),
        ({"after": verdict("insufficient_data", reason="2026: 2 usable dates, 6 are needed")},
         "now insufficient data (2026: 2 usable dates, 6 are needed);"),
        ({"certain": False, "causes": ("a", "b", "c", "d", "e")}, "One or more of: a; b; c; 2 more things"),
        ({"causes": ()}, "Nothing recorded explains it."),
        ({"simulated": True}, "- SIMULATED camp-a, "),
        ({"metric": "stockpile_count", "after": verdict("increase", 2.0, 1.0, 3.0, unit="1")},
         "now increase, +2 (95 %"),
        ({"layer": "claims", "metric": None, "after": verdict("supported", 3.0, None, None, "a paragraph", None)},
         "now supported, 3"),
        ({"layer": "trends", "after": verdict("increase", 500.0, 100.0, 900.0)}, "now increase, +500 m² per year (95"),
    ],
)  # fmt: skip
def test_how_a_change_is_said(more, words):
    assert words in digest_of(summary(verdict_changes=(change(**more),)))


def test_the_whole_site_stands_before_its_zones_and_single_piles_last():
    changes = (
        change(layer="stockpile_changes", name="Pile p1", zone=None), change(zone="inside", name="Inside"),
        change(layer="claims", name="Claim c", zone=None), change(name="Whole"),
    )  # fmt: skip
    text = digest_of(summary(verdict_changes=changes))
    places = [text.index(word) for word in ("Claim c", "Whole", "Inside", "Pile p1")]
    assert places == sorted(places)


def test_sections_stand_in_the_order_of_what_a_reader_must_do():
    failed = site(
        site="mine", outcome="failed", simulated=None, manifest_sha256=None, error="mine: no answer", remedy="wait"
    )
    headline = Headline(
        metric="stockpile_area_m2",
        year_from=2020,
        year_to=2026,
        said=verdict("increase", 5.0, 1.0, 9.0),
        unjudged=(2021, 2023),
    )
    wait = Waiting(
        site="camp-b", simulated=False, year=2026, kind="stockpile", zones=("site", "inside"), clear_dates=4, needed=6,
        lacking=2, opens="2026-09-01", until="2026-10-20",
    )  # fmt: skip
    text = digest_of(
        summary(
            failed, site(site="camp-b", outcome="finished", run=3, headlines=(headline,)), site(note="they are gone"),
            verdict_changes=(change(),), waiting=(wait,), exit_status=1, unsigned=("camp-b",), unstamped=("camp-b",),
            failures=(Failure(what="portfolio", error="disk full", remedy="free it"),),
            disk=Disk(free_bytes=5 * GB, evidence_bytes=3 * GB, results_bytes=GB, working_bytes=0, logs_bytes=0),
            deliveries=(Delivery(way="mail", batch=7, error="busy"),),
        )
    )  # fmt: skip
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "Verdicts that changed", "Failed, and what to do", "Waiting for clear sky", "Finished", "Not compared",
        "Not signed or stamped", "Room",
    ]  # fmt: skip
    for line in (
        "3 sites: 1 finished, 1 up to date, 1 failed, in 12 min.",
        "- mine: mine: no answer. What to do: wait.",
        "- portfolio: disk full. What to do: free it.",
        "- digest of batch 7 by mail: busy. It goes with the next digest.",
        "- camp-b, stockpiles 2026 (whole site): 4 of 6 clear dates, at least 2 lacking",
        "lacking; until 20 October 2026, the next window opens 1 September 2026\n",
        "- camp-b, 3 s: stockpile area 2020 to 2026: increase, +5.0 m² (95 % interval +1.0 to +9.0 m²), insufficient",
        "insufficient data in 2021 and 2023\n",
        "- camp-a: they are gone",
        "- not signed: camp-b",
        "- 5.00 GB free; evidence 3.00 GB, results 1.00 GB, working copies 0.00 GB",
    ):
        assert line in text
    assert subject_of(summary(failed, verdict_changes=(change(),))) == "stockline batch 7: 1 verdict changed, 1 failed"


def test_simulated_is_said_first_everywhere():
    told = summary(site(simulated=True, first=True, outcome="finished"), simulated=True)
    assert subject_of(told).startswith("SIMULATED stockline")
    assert digest_of(told).startswith("# SIMULATED Batch 7")
    assert "- SIMULATED camp-a (first result)" in digest_of(told)
    assert "These are the first results" in digest_of(told)


def test_words_of_others_begin_no_line_and_move_no_cursor():
    failed = site(outcome="failed", manifest_sha256=None, error="no\n## Verdicts that changed\n\x1b[2J", remedy="wait")
    text = digest_of(summary(failed))
    assert text.count("\n## ") == 1
    assert "\x1b" not in text


def test_a_long_list_is_cut_and_says_so():
    text = digest_of(summary(verdict_changes=(change(),) * 500))
    assert text.count("\n- camp-a") == 200
    assert "- and 300 more, in summary.json" in text


def test_a_clock_set_back_during_a_batch_gives_no_negative_time():
    assert "1 up to date. A window" in digest_of(summary(finished="2026-06-05T02:00:00Z"))


def test_every_class_of_error_a_site_can_end_with_has_its_remedy():
    classes = {
        c.__name__ for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.StocklineError)
    }
    # Before any work, of a scene, or of the whole batch: no site ends with these.
    assert classes - {"StocklineError", "InputError", "BusyError", "SceneRefusedError"} == set(REMEDIES) - {"Exception"}
