"""Two documents of numbers side by side: rows made up here, so that every difference is known."""

import copy
import datetime as dt
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pipeline.config import Config
from pipeline.products._documents import Code, Manifest, Run
from pipeline.products.dependence import NUMBER_LAYERS
from pipeline.products.difference.command import compare_runs, document_of
from pipeline.products.difference.inputs import KeptRun
from pipeline.products.difference.kept import named_run
from pipeline.products.difference.lines import lines
from pipeline.products.difference.moves import moves_of, verdict_changes
from pipeline.products.difference.shown import FIELDS
from pipeline.products.difference.why import NARROW
from pipeline.records import LAYERS

ZERO, ONE = "0" * 64, "1" * 64
ZONES = {"zones/site": {"zone_id": "site", "role": "site", "name": "the mine", "area_m2": 1e6}}


def change(zone="site", metric="stockpile_area_m2", years=(2019, 2020), **columns):
    known = {
        "delta": 5000.0,
        "lo95": 1000.0,
        "hi95": 9000.0,
        "mdc95": 4000.0,
        "unit": "m2",
        "p_value": 0.014,
        "q_value": 0.04,
        "verdict": "increase",
        "reason": None,
    }
    return {
        f"changes/{zone}/{metric}/{years[0]}-{years[1]}": {
            "site_id": "mine",
            "zone_id": zone,
            "metric": metric,
            "year_from": years[0],
            "year_to": years[1],
            **known,
            **columns,
        }
    }


def value(year=2020, zone="site", metric="stockpile_area_m2", **columns):
    known = {"value": 20000.0, "lo95": 18000.0, "hi95": 22000.0, "unit": "m2", "n_dates": 8, "valid_fraction": 1.0}
    return {
        f"measurements/{zone}/{metric}/{year}": {
            "site_id": "mine",
            "zone_id": zone,
            "year": year,
            "metric": metric,
            "status": "ok",
            **known,
            **columns,
        }
    }


def scene(name="S1", day="2020-05-12", **columns):
    known = {
        "platform": "sentinel-2b",
        "processing_baseline": "05.00",
        "relative_orbit": 3,
        "used": True,
        "reason": None,
        "clear_fraction": 1.0,
        "offset_verdict": "consistent",
        "shift_x_m": 1.0,
        "shift_y_m": 2.0,
        "sha256": ZERO,
        "residual_m": 0.1,
        "evidence_version": 1,
        "scale": 1e-4,
        "offset_dn": 0.0,
        "nodata_dn": 0,
    }
    return {f"scene/{name}": {"scene_id": name, "datetime": f"{day}T02:00:00.000Z", **known, **columns}}


def run(number=1, facts=None, manifest=None, **rows):
    """Make up a run; ``rows`` are layers."""
    made_by = Code(version="1.0", commit="c" * 40, dirty=False, sha256=ZERO, python="3.11", libraries={}, bundled={})
    known = {
        "site": "mine",
        "simulated": False,
        "version": "1.0",
        "key": ZERO,
        "code_sha256": ZERO,
        "code": made_by,
        "settings": {"min_dates": 6, "stats": {"fdr_q": 0.1}},
        "settings_sha256": ZERO,
        "site_sha256": ZERO,
        "claims_sha256": None,
        "inputs": (),
        "refused": (),
        "outputs": (),
    }
    record = {
        "started": "2026-01-01T00:00:00Z",
        "finished": "2026-01-02T00:00:00Z",
        "seconds": 1.0,
        "workers": 1,
        "log": (),
        "libraries": {},
        "archive_root": None,
        "evidence_root": "",
        "manifest_sha256": f"{number:064x}",
        "previous_run_sha256": None,
    }
    about = {"fdr_q": "0.1", "baseline_year": "2019", "reference_scene": "S1", "reference": "perimeter"}
    numbers = {"format": 1, "facts": about | (facts or {}), "rows": {"zones": ZONES, **rows}}
    return KeptRun(number, Run(**record), Manifest(**known | (manifest or {})), numbers)


def told(before, after, *, everything=True):
    return "\n".join(lines(compare_runs(before, after), everything=everything))


# --- what moved ---

number = st.one_of(st.none(), st.floats(-1e7, 1e7), st.sampled_from([0.0, 1.0, 2e4]))
word = st.one_of(st.none(), st.text(max_size=5))


@st.composite
def documents(draw):
    """Numbers of some rows in every layer, each column of its own type."""
    rows = {}
    for layer in NUMBER_LAYERS:
        hints = LAYERS[layer].__annotations__
        names = [name for name in hints if name != "geometry"]
        rows[layer] = {}
        for index in draw(st.lists(st.integers(0, 3), unique=True, max_size=3)):
            row = {name.removesuffix("_"): draw(column(name, hints[name])) for name in names}
            rows[layer][f"{layer}/{index}"] = row
    return {"format": 1, "facts": {"fdr_q": draw(st.sampled_from(["0.1", "0.05"]))}, "rows": {"zones": ZONES, **rows}}


WHOLE = {"year", "year_from", "year_to", "year_first", "year_last", "n_dates", "n_years", "n_before", "n_after"}
OF_A_FEW = {
    "verdict": ["increase", "no_detectable_change", "insufficient_data", "supported"],
    "unit": ["m2", "1"],
    "status": ["ok", "partial", "insufficient_data"],
} | {
    name: ["stockpile_area_m2", "footprint_area_m2", "reviewed_stockpile_count"]
    for name in ("metric", "zone_id", "change", "class_", "tier", "pile_id")
}


def column(name, hint):
    if name in WHOLE:
        return st.integers(2017, 2020)
    if name in OF_A_FEW:
        return st.sampled_from(OF_A_FEW[name])
    if "float" in str(hint) or name in {"p_value", "q_value"}:
        return st.floats(0, 1) if name in {"valid_fraction", "persistence"} else number
    return word


@given(documents())
def test_a_run_beside_itself_moves_nothing(document):
    compared = moves_of(document, copy.deepcopy(document))
    assert compared.moves == compared.finer == ()
    assert compared.same == sum(len(document["rows"][layer]) for layer in NUMBER_LAYERS)


@given(documents(), documents())
def test_before_and_after_change_places(one, other):
    other["facts"] = one["facts"]
    there, back = moves_of(one, other), moves_of(other, one)
    assert [m.address for m in there.moves] == [m.address for m in back.moves]
    kinds = {"new": "gone", "gone": "new", "moved": "moved"}
    for move, mirrored in zip(there.moves, back.moves, strict=True):
        assert kinds[move.kind] == mirrored.kind
        assert (move.before, move.after) == (mirrored.after, mirrored.before)
        assert [(s.before, s.after) for s in move.said] == [(s.after, s.before) for s in mirrored.said]
        assert (move.verdict or ())[::-1] == (mirrored.verdict or ())
    assert (there.same, len(there.finer)) == (back.same, len(back.finer))


@given(documents(), documents())
def test_every_number_is_counted_once(one, other):
    compared = moves_of(one, other)
    addresses = {at for document in (one, other) for layer in NUMBER_LAYERS for at in document["rows"][layer]}
    assert len(compared.moves) + compared.same == len(addresses)
    moved = {move.address for move in compared.moves}
    for layer in NUMBER_LAYERS:
        before, after = one["rows"][layer], other["rows"][layer]
        assert before.keys() ^ after.keys() <= moved
        assert not {at for at in before.keys() & after.keys() if before[at] == after[at]} & moved
        # Words are shown as they are: where they differ, a reader sees it.
        for at in before.keys() & after.keys():
            if before[at].get("verdict") != after[at].get("verdict"):
                assert at in moved


@given(documents(), documents())
def test_any_two_runs_can_be_told(one, other):
    before, after = (KeptRun(n, run().record, run().manifest, d) for n, d in ((1, one), (2, other)))
    comparison = compare_runs(before, after)
    for everything in (False, True):
        assert list(lines(comparison, everything=everything))
    json.dumps(document_of(comparison), allow_nan=False)


def test_digits_nobody_is_shown_are_no_move():
    before, after = run(measurements=value()), run(2, measurements=value(value=20000.4))
    compared = moves_of(before.numbers, after.numbers)
    assert (compared.moves, compared.same) == ((), 1)
    assert [move.address for move in compared.finer] == ["measurements/site/stockpile_area_m2/2020"]
    assert "No number moved; 1 read the same" in told(before, after)
    assert "Stockpile area, whole site, 2020" in told(before, after)


@pytest.mark.parametrize(("after_m2", "shown"), [(24000.0, "2.40 ha"), (26000.0, "2.60 ha")])
def test_a_number_is_told_in_the_units_of_the_report(after_m2, shown):
    after = value(value=after_m2, lo95=after_m2 - 2000, hi95=after_m2 + 2000)
    text = told(run(measurements=value()), run(2, measurements=after))
    half = 0.2
    assert (
        f"      2.00 ha (95 % interval 1.80 to 2.20 ha) → {shown} (95 % interval {float(shown[:4]) - half:.2f} to "
        f"{float(shown[:4]) + half:.2f} ha), +{(after_m2 - 20000) / 1e4:.2f} ha\n"
    ) in text


def test_a_difference_below_the_digits_shown_is_not_given():
    after = value(value=20190.0)
    text = told(run(measurements=value()), run(2, measurements=after))
    assert "2.00 ha (95 % interval 1.80 to 2.20 ha) → 2.02 ha (95 % interval 1.80 to 2.20 ha)\n" in text


def test_layers_that_are_judged_and_their_words_are_all_told():
    assert FIELDS.keys() == NUMBER_LAYERS.keys()
    for layer, fields in FIELDS.items():
        columns = {name.removesuffix("_") for name in LAYERS[layer].__annotations__}
        assert {name for field in fields for name in field.columns} <= columns
        assert ("verdict" in columns) == any(field.called == "verdict" for field in fields)


def test_changes_of_verdicts_for_a_digest():
    before = run(
        changes=change() | change(zone="b") | change(zone="c", verdict="no_detectable_change") | change(zone="d")
    )
    after = run(
        changes=change(delta=5001.0)
        | change(zone="b", verdict="no_detectable_change")
        | change(zone="e", verdict="insufficient_data")
        | change(zone="f", verdict="decrease")
    )
    found = {move.row["zone_id"]: move.verdict for move in verdict_changes(before.numbers, after.numbers)}
    assert found == {
        "b": ("increase", "no_detectable_change"),
        "d": ("increase", None),
        "f": (None, "decrease"),
    }


# --- why ---


def test_every_narrow_setting_is_one_of_the_configuration():
    for key in NARROW:
        section: type[BaseModel] = Config
        *above, last = key.split(".")
        for part in above:
            section = section.model_fields[part].annotation
        assert last in section.model_fields, key


def causes(before, after):
    comparison = compare_runs(before, after)
    names = [root.name for root in comparison.roots]
    return {
        move.address: ([names[n] for n in why.causes], [names[n] for n in why.less], why.by_tests)
        for move, why in zip(comparison.compared.moves, comparison.why, strict=True)
    }


def test_a_scene_reaches_its_year_and_others_through_what_years_share():
    old = {**value(2019), **value(2020), **value(2021)}
    new = {at: row | {"value": 30000.0} for at, row in old.items()}
    after = run(2, scenes=scene(), measurements=new)
    assert causes(run(measurements=old), after) == {
        "measurements/site/stockpile_area_m2/2019": ([], ["S1"], False),
        "measurements/site/stockpile_area_m2/2020": (["S1"], [], False),
        "measurements/site/stockpile_area_m2/2021": ([], ["S1"], False),
    }
    text = told(run(measurements=old), after)
    assert "because of [1], through what all years share" in text
    assert text.count("because of [1]\n") == 1


def test_a_scene_that_no_run_used_moves_nothing_unless_offsets_moved():
    refused = scene(used=False, reason="snow")
    before, after = run(measurements=value()), run(2, measurements=value(value=3e4), scenes=refused)
    assert causes(before, after) == {"measurements/site/stockpile_area_m2/2020": ([], [], False)}
    assert "nothing recorded explains it" in told(before, after)
    other = (
        {"scenes": scene("S2", offset_verdict="consistent")},
        {"scenes": refused | scene("S2", offset_verdict="corrected", offset_dn=-1000.0)},
    )
    before, after = run(measurements=value(), **other[0]), run(2, measurements=value(value=3e4), **other[1])
    assert causes(before, after) == {"measurements/site/stockpile_area_m2/2020": ([], ["S1"], False)}
    text = told(before, after)
    assert "new scene S1 of 12 May 2020; not used: snow" in text
    assert "[a] scene S2: offset consistent (0) → corrected (-1000)" in text


def test_a_number_that_moved_with_the_tests_of_others_is_laid_to_what_moved_them():
    before = run(changes=change() | change(zone="b", years=(2020, 2021)), scenes=scene("S2", "2020-06-01"))
    wider = {"delta": 9000.0, "lo95": 5000.0, "hi95": 13000.0, "p_value": 0.001, "q_value": 0.002}
    moved = change(zone="b", years=(2020, 2021), **wider)
    # S4 is of a year of the number that stands: it would have moved the number itself.
    scenes = scene("S2", "2020-06-01") | scene("S3", "2021-05-01") | scene("S4", "2019-05-01")
    after = run(2, changes=change(q_value=0.028) | moved, scenes=scenes)
    found = causes(before, after)
    assert found["changes/b/stockpile_area_m2/2020-2021"] == (["S3"], ["S4"], False)
    assert found["changes/site/stockpile_area_m2/2019-2020"] == (["S3"], ["S4"], True)
    text = told(before, after)
    assert "its own numbers stand; it is tested together with others that moved: because of [1]; or, " in text


def test_reviewed_numbers_are_a_family_of_their_own():
    before = run(changes=change() | change(metric="reviewed_stockpile_area_m2"))
    after = run(
        2,
        manifest={"reviews_sha256": ONE},
        changes=change(q_value=0.028) | change(metric="reviewed_stockpile_area_m2", delta=9000.0),
    )
    found = causes(before, after)
    assert found["changes/site/reviewed_stockpile_area_m2/2019-2020"] == (["reviews"], [], False)
    assert found["changes/site/stockpile_area_m2/2019-2020"] == ([], [], True)


@pytest.mark.parametrize(
    ("key", "reached"),
    [
        ("uncertainty.sigma_edge_m", {"stock"}),
        ("footprint.min_px", {"ground"}),
        ("boundary.sigma_edge_m", {"ground"}),
        ("boundary.rings_m", {"stock", "ground"}),
        ("stockpile.water_share_max", {"stock", "ground"}),
        ("uncertainty.c", {"stock", "ground"}),
        ("min_dates", {"stock", "ground"}),
        ("not.known.yet", {"stock", "ground"}),
        ("limits.max_aoi_km2", set()),
        ("stats.min_trend_years", set()),
        ("source.url", set()),
    ],
)
def test_a_setting_reaches_what_it_can(key, reached):
    def set_to(number):
        nested = number
        for part in reversed(key.split(".")):
            nested = {part: nested}
        return {"settings": nested}

    stock, ground = value(), value(metric="footprint_area_m2")
    before = run(manifest=set_to(1), measurements=stock | ground)
    moved = {at: row | {"value": 4e4} for at, row in (stock | ground).items()}
    found = causes(before, run(2, manifest=set_to(2), measurements=moved))
    names = {"stock": next(iter(stock)), "ground": next(iter(ground))}
    assert {word for word, at in names.items() if found[at][0] == [key]} == reached
    inert = "; no number rests on it by itself" in told(before, run(2, manifest=set_to(2), measurements=moved))
    assert inert == key.startswith(("limits", "source"))
    # Another baseline year, or other ground in a zone, opens the way to all that rests on it.
    if reached in ({"stock"}, {"ground"}):
        after = run(2, {"baseline_year": "2020"}, set_to(2), measurements=moved)
        assert all(names == [key] for names, _, _ in causes(before, after).values())


def test_a_verdict_that_moved_with_the_limit_alone():
    before = run(changes=change(), manifest={"settings": {"stats": {"fdr_q": 0.1}}})
    after = run(
        2,
        {"fdr_q": "0.01"},
        {"settings": {"stats": {"fdr_q": 0.01}, "volume": {"enabled": True}}},
        changes=change(verdict="no_detectable_change", reason="q 0.04 is above 0.01"),
    )
    assert causes(before, after) == {"changes/site/stockpile_area_m2/2019-2020": (["stats.fdr_q"], [], False)}
    text = told(before, after)
    assert "      +5,000 m² (95 % interval +1,000 to +9,000 m²), as before\n" in text
    assert text.index("Verdicts that changed: 1") < text.index("verdict: increase → no detectable change")


# --- in words ---


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({}, scene(), "new scene S1 of 12 May 2020"),
        (scene(), {}, "scene S1 of 12 May 2020 is no longer there"),
        (scene(), scene(sha256=ONE, evidence_version=2), "scene S1 of 12 May 2020: other pixels, version 1 → 2"),
        (scene(), scene(sha256=ONE), "scene S1 of 12 May 2020: other pixels"),
        (
            scene(sha256=None, used=False, reason="broken file"),
            scene(),
            "scene S1 of 12 May 2020: not used (broken file) → used",
        ),
        (
            scene(),
            scene(processing_baseline="05.11"),
            "scene S1 of 12 May 2020: the provider describes it anew: processing baseline 05.00 → 05.11",
        ),
    ],
)
def test_scenes_in_words(old, new, words):
    assert f"    [1] {words}\n" in told(run(scenes=old), run(2, scenes=new)) + "\n"


def test_documents_and_software_in_words():
    before = run(reviews={}, claims={})
    decided = {"line": 1, "object": "pile", "object_id": "p1", "year": None, "decision": "reject"}
    zones = ZONES | {"zones/named:b": {"zone_id": "named:b", "role": "named", "name": "B", "area_m2": 10.0}}
    made_by = before.manifest.code.model_copy(
        update={"sha256": ONE, "commit": "d" * 40, "dirty": True, "libraries": {"numpy": "3"}}
    )
    after = run(
        2,
        {"coal_rank": "hard"},
        {"site_sha256": ONE, "claims_sha256": ONE, "reviews_sha256": ONE, "code": made_by, "code_sha256": ONE},
        reviews={"reviews/1": decided},
    )
    after.numbers["rows"]["zones"] = zones
    text = told(before, after)
    assert "[1] code: version 1.0, commit cccccccccccc → version 1.0, commit dddddddddddd and changes since\n" in text
    assert "[2] libraries: numpy none → 3\n" in text
    assert "[3] site file: rank of coal none → hard; zone named:b is new\n" in text
    assert "[4] claims file: no test of this site differs\n" in text
    assert "[5] reviews: line 1: reject pile p1, all years" in text


def test_the_same_inputs_and_other_numbers_are_not_passed_over():
    text = told(run(measurements=value()), run(2, measurements=value(value=9e4)))
    assert "What they were made from does not differ: nothing recorded explains that numbers moved." in text
    assert "      nothing recorded explains it" in text


def test_other_sites_are_refused():
    with pytest.raises(Exception, match="run 1 is of site mine, run 1 of camp"):
        compare_runs(run(), run(manifest={"site": "camp"}))


@pytest.mark.parametrize(
    ("text", "folder", "number"),
    [("a/b@3", "a/b", 3), ("a/b", "a/b", None), ("a@b/c", "a@b/c", None), ("a@x", "a@x", None)],
)
def test_how_a_run_is_named(text, folder, number):
    assert named_run(text) == (Path(folder), number)


def test_a_folder_whose_name_ends_like_a_run_is_taken_as_it_is(tmp_path):
    (tmp_path / "site@3").mkdir()
    assert named_run(str(tmp_path / "site@3")) == (tmp_path / "site@3", None)


def test_a_thousand_piles_of_nine_years_are_compared_in_seconds():
    years = [dt.date(year, 5, 1).year for year in range(2017, 2026)]

    def piles(factor):
        return {
            f"stockpile_changes/p{n}/{a}-{a + 1}": {
                "pile_id": f"p{n}",
                "year_from": a,
                "year_to": a + 1,
                "delta_m2": n * factor,
                "lo95_m2": n * factor - 500.0,
                "hi95_m2": n * factor + 500.0,
                "mdc95_m2": 500.0,
                "verdict": "no_detectable_change",
            }
            for n in range(1000)
            for a in years[:-1]
        }

    before, after = run(stockpile_changes=piles(1.0)), run(2, stockpile_changes=piles(1.5), scenes=scene())
    started = time.process_time()
    text = told(before, after, everything=False)
    assert time.process_time() - started < 20
    assert "Further numbers that moved, are new or gone: " in text
    assert len(text) < 3000
