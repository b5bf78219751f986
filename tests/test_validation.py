"""The truth that accuracy is measured against: implants as they were drawn, sets kept apart, figures by hand."""

import dataclasses
import json
import subprocess

import numpy as np
import pytest
import rasterio
import shapely
from conftest import DATA, call
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.errors import InputError
from pipeline.parallel import SerialPool
from pipeline.products.software import code_sha256
from pipeline.validation import command, figures
from pipeline.validation.archive import World
from pipeline.validation.draw import Order, draw_things
from pipeline.validation.materials import COAL, CONFUSERS, coal_spectrum
from pipeline.validation.outcomes import ChangeResult, FalseResult, PileResult, WorldResult
from pipeline.validation.plan import worlds_of
from pipeline.validation.render import make_patch
from pipeline.validation.shapes import COURSES, FORMS, areas, outline, size_class
from pipeline.validation.worlds import ground_of, make_world

FREE = np.ones((120, 120), dtype=bool)


def things(seed=1, **changes):
    order = Order(**{"piles": 8, "confusers": 0, "years": 3, **changes})
    return draw_things(np.random.default_rng(seed), order, 1200.0, 1200.0, FREE)


# --- what is drawn ---


@given(st.sampled_from(FORMS), st.floats(1e3, 4e4), st.floats(1, 3), st.integers(0, 50))
def test_an_outline_has_exactly_its_area(form, area_m2, aspect, seed):
    shape = outline(form, area_m2, aspect, 30.0, np.random.default_rng(seed))
    assert shape.area == pytest.approx(area_m2, rel=1e-9)
    assert shape.is_valid


@given(st.sampled_from(COURSES), st.floats(1e3, 3.9e4), st.integers(2, 6), st.integers(0, 50))
def test_courses_do_what_they_say(course, area_m2, years, seed):
    sizes = areas(course, area_m2, years, np.random.default_rng(seed))
    steps = np.diff(sizes)
    assert max(sizes) < 4e4
    assert {
        "stable": not steps.any(),
        "growing": (steps > 0).all(),
        "shrinking": (steps < 0).all(),
        "appearing": sizes[0] == 0 and sizes[-1] > 0 and (steps >= 0).all(),
        "vanishing": sizes[-1] == 0 and sizes[0] > 0 and (steps <= 0).all(),
    }[course]


def test_ranks_meet_the_rows_of_the_table():
    for rank, spectrum in enumerate(COAL):
        np.testing.assert_allclose(coal_spectrum(rank, 1.0), spectrum)
    np.testing.assert_allclose(coal_spectrum(0.5, 2.0), 2 * np.sqrt(np.multiply(COAL[0], COAL[1])))


def test_things_do_not_touch():
    found = things(piles=20)
    hulls = [shapely.affinity.translate(t.extent, t.x_m, t.y_m) for t in found]
    assert len(found) > 5
    assert min(a.distance(b) for i, a in enumerate(hulls) for b in hulls[:i]) > 70.0


def test_what_is_seen_of_a_pile_adds_up_to_its_area():
    """Point spread moves light and loses none; texture is of mean one."""
    for thing in things(piles=6):
        plain = dataclasses.replace(thing, halo_m=0.0, shaded=False, texture=0.0, yard=None)
        for year, shape in enumerate(plain.outlines):
            patch = make_patch(plain, year, 5.1, (1, 2))
            if shape is None:
                assert patch is None
                continue
            assert float(patch.thing.sum()) * 2.5**2 == pytest.approx(shape.area, rel=0.01)
            rows, columns = np.indices(patch.thing.shape)
            east = patch.left_m + 2.5 * (float((columns * patch.thing).sum() / patch.thing.sum()) + 0.5)
            south = patch.top_m + 2.5 * (float((rows * patch.thing).sum() / patch.thing.sum()) + 0.5)
            middle = plain.placed(year).centroid
            assert (east, south) == pytest.approx((middle.x, middle.y), abs=0.5)


# --- sets and seeds ---


def test_no_pile_is_in_both_sets():
    sets = {name: worlds_of(name, real=True) for name in ("tuning", "reporting")}
    streams = {name: {w.stream(4) for w in worlds} for name, worlds in sets.items()}
    assert not streams["tuning"] & streams["reporting"]
    places = {name: {w.ground for w in worlds} - {"simulated"} for name, worlds in sets.items()}
    assert places == {"tuning": {"belgium"}, "reporting": {"boadella"}}
    for name, worlds in sets.items():
        assert len({w.stream(4) for w in worlds}) == len(worlds), name
    assert {w.ground for w in worlds_of("reporting", real=False)} == {"simulated"}


def test_every_confuser_of_the_method_is_there():
    named = " ".join(CONFUSERS)
    for word in ("water", "turbid", "glint", "pit", "shadow", "asphalt", "tar", "burnt", "wet soil", "spoil",
                 "magnetite", "snow"):  # fmt: skip
        assert word in named


SMALL = World("simulated", (1, 77, 0), Order(piles=8, confusers=1, years=1, still=True), 140)


@pytest.mark.slow
def test_a_world_is_the_same_again_and_another_seed_is_not(tmp_path):
    def pixels(world, name):
        made = make_world(world, tmp_path / name, None)
        return {p.relative_to(made.folder).name: p.read_bytes() for p in sorted(made.folder.glob("S2*/B0*.tif"))}

    first, again = pixels(SMALL, "a"), pixels(SMALL, "b")
    assert first
    assert first == again
    assert pixels(dataclasses.replace(SMALL, seed=(1, 77, 1)), "c") != first


@pytest.mark.slow
def test_a_pile_lies_where_the_truth_says(tmp_path):
    """Of a date without cloud the darkest ground of the archive lies in the piles, moved by the date's shift."""
    made = make_world(dataclasses.replace(SMALL, order=Order(8, 0, 1, still=True)), tmp_path / "a", None)
    clear = next(d for d in made.days if not d.scene.cloud_cover and not d.scene.haze)
    path = next(made.folder.glob(f"S2*{clear.scene.datetime:%Y%m%d}/B11.tif"))
    with rasterio.open(path) as source:
        swir, transform = source.read(1), source.transform
    inside = np.zeros(swir.shape, dtype=bool)
    for thing in made.things:
        shape = thing.placed(0)
        if shape is None:
            continue
        core = shape.buffer(-12)
        for row, column in np.ndindex(*swir.shape):
            x, y = transform * (column + 0.5, row + 0.5)
            at = shapely.Point(x - clear.scene.shift_x_m - made.left_m, made.top_m - (y - clear.scene.shift_y_m))
            inside[row, column] |= core.contains(at)
    assert inside.sum() > 4
    assert np.median(swir[inside]) < 0.6 * np.median(swir[~inside])


# --- figures ---


def pile(number=0, year=0, true=1.2e4, area=1.2e4, sigma=300.0, **changes):
    fields = {
        "world": "w", "ground": "simulated", "thing": number, "year": year, "true_m2": true, "adequate": True,
        "area_m2": area, "sigma_m2": sigma, "tier": "probable" if area else None, "form": "lobed", "course": "stable",
        "rank": 0.5, "brightness": 0.05, "halo": False, "shaded": False, "yard": True,
    }  # fmt: skip
    return PileResult(**{**fields, **changes})


def world(**changes):
    fields = {
        "world": "w", "ground": "simulated", "still": False, "lignite": False, "area_km2_years": 50.0, "piles": (),
        "changes": (), "false": (), "confusers": {}, "parts_changed": (), "scenes_used": 8, "scenes": 8,
    }  # fmt: skip
    return WorldResult(**{**fields, **changes})


def test_figures_of_areas_by_hand():
    piles = (
        pile(0, area=1.1e4, sigma=100.0), pile(1, area=1.2e4), pile(2, area=1.5e4), pile(3, area=None, sigma=None),
        pile(4, adequate=False, area=None), pile(5, true=0.0, area=0.0),
    )  # fmt: skip
    large = figures.figures([world(piles=piles)]).sizes[3]
    assert (large.piles, large.found.hits, large.found.of) == (4, 3, 4)
    assert large.bias == pytest.approx(0.0)
    assert large.error == pytest.approx((1 / 12 + 0 + 3 / 12) / 3)
    assert (large.area_covered.hits, large.area_covered.of) == (1, 3)
    assert large.half_width == pytest.approx(1.96 * 300 / 1.5e4, rel=0.3)


def change(true_from, true_to, verdict, delta=None, sigma=200.0):
    delta = true_to - true_from if delta is None else delta
    return ChangeResult("w", "simulated", 0, 0, 1, true_from, true_to, delta, sigma, verdict, "probable")


def test_figures_of_verdicts_by_hand():
    changes = (
        change(1e4, 1.5e4, "increase"), change(1.5e4, 1e4, "increase"), change(1e4, 1e4, "decrease"),
        change(1e4, 1e4, "no_detectable_change"), change(1e4, 1.05e4, "no_detectable_change"),
        change(2e3, 2e3, "increase"),
    )  # fmt: skip
    found = figures.figures([world(changes=changes)])
    assert (found.right.hits, found.right.of) == (1, 2)
    assert (found.false_change.hits, found.false_change.of) == (1, 2)


def test_figures_of_false_objects_by_hand():
    false = tuple(FalseResult("w", "s", "magnetite", 0, area, tier, 0, 0) for area, tier in
                  ((3e3, "probable"), (3e3, "candidate"), (1e3, "probable")))  # fmt: skip
    found = figures.figures([world(false=false, confusers={"magnetite": 2, "wet soil": 1})])
    assert (found.false_listed, found.false_counted) == (2, 1)
    per, upper = found.per_100_km2_year(0)
    assert per == 0
    assert upper == pytest.approx(-np.log(0.05) / 0.5)  # no event in half a unit: 3.0 / 0.5
    assert found.by_cause == (("magnetite", 2, 2, 1), ("wet soil", 1, 0, 0))


def test_appearance_and_stillness_by_hand():
    def course(number, years):
        return [pile(number, year, true=t, area=a, course="appearing") for year, (t, a) in enumerate(years)]

    right, late = course(0, [(0, 0), (6e3, 6e3)]), course(1, [(0, 0), (6e3, None), (6e3, 6e3)])
    found = figures.figures([world(piles=(*right, *late)), world(still=True, parts_changed=(True, False, False))])
    assert (found.appeared.hits, found.appeared.of) == (1, 2)
    assert (found.still_sites.hits, found.still_sites.of) == (1, 3)


@given(st.integers(0, 60), st.integers(1, 60))
def test_interval_of_a_rate_is_the_exact_one(hits, more):
    of = hits + more
    low, high = figures.Rate(hits, of).interval
    exact = stats.binomtest(hits, of).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_classes_of_size():
    assert [size_class(a) for a in (500, 1000, 2000, 4999, 5000, 39_900, 40_000)] == [None, 0, 1, 1, 2, 3, None]


# --- the command ---


@pytest.mark.slow
def test_the_command_writes_table_results_and_pictures(tmp_path, monkeypatch):
    """A small world from drawing to page: what is found is found, and nothing is written beside."""
    small = World("simulated", (1, 78, 0), Order(piles=8, confusers=0, years=1, still=True), 160)
    monkeypatch.setattr(command, "worlds_of", lambda *_, **__: [small])
    text = command.validate(tmp_path / "v", "tuning", None, None, SerialPool(), lambda _: None)
    assert text.startswith("Implants, not measured coal.")
    assert "tuning" in text
    assert small.id in text
    assert f"code {code_sha256()[:12]}, " in text
    assert (tmp_path / "v" / "accuracy.md").read_text(encoding="utf-8") == text
    (result,) = json.loads((tmp_path / "v" / "results.json").read_text())
    large = [p for p in result["piles"] if p["true_m2"] > 5000 and p["adequate"]]
    assert large
    assert all(p["area_m2"] == pytest.approx(p["true_m2"], rel=0.2) for p in large)
    assert (tmp_path / "v" / "pictures" / "error.png").is_file()
    assert not (tmp_path / "v" / "worlds").exists()
    again = command.validate(tmp_path / "v", "tuning", None, None, SerialPool(), lambda _: None)
    assert [line for line in again.splitlines() if "minutes" not in line] == [
        line for line in text.splitlines() if "minutes" not in line
    ]


def test_the_page_names_the_commit_of_the_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert command._commit() == "not from a checkout"
    who = ["-c", "user.name=a", "-c", "user.email=a"]
    for asked in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *asked], check=True, cwd=tmp_path)
    asked = ["git", "rev-parse", "--short=7", "HEAD"]
    head = subprocess.run(asked, check=True, cwd=tmp_path, capture_output=True, text=True).stdout.strip()
    assert command._commit() == f"commit {head}"
    (tmp_path / "a.txt").write_text("a")
    subprocess.run(["git", "add", "a.txt"], check=True, cwd=tmp_path)
    assert command._commit() == f"commit {head}-dirty"


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else than a validation"):
        command.validate(tmp_path, "tuning", None, None, SerialPool(), lambda _: None)
    said = call("validate", tmp_path / "new", "--data", tmp_path / "nowhere")
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert "name the one that holds boadella" in said.stderr


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "boadella").is_dir(), reason="the real scenes are not there")
def test_real_ground_keeps_things_away_from_water(tmp_path):
    made = make_world(
        World("boadella", (1, 79, 0), Order(piles=12, confusers=0, years=1, still=True)), tmp_path / "a", DATA
    )
    assert len(made.things) > 8
    ground = ground_of(made.world, DATA)
    for thing in made.things:
        middle = thing.placed(0).representative_point()
        row, column = int(middle.y // 10), int(middle.x // 10)
        for scene in ground.scenes:
            assert scene["swir16"][row - 3 : row + 4, column - 3 : column + 4].min() > 0.02
