"""Drift of steady ground: chosen from made years, and found again where a year was made brighter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specification import drift as specification

from pipeline.config import Config
from pipeline.drift import (
    BANDS,
    MIN_PIXELS,
    SceneDeparture,
    annual,
    by_platform,
    drift_note,
    drifts,
    steady_ground,
)
from pipeline.products.geopackage import read_tables

LIMIT = Config().radiometry.max_drift
YEARS = range(2018, 2024)
SHAPE = (80, 80)
GROUND = {
    # blue, green, red, nir, swir16, swir22
    "soil": (0.11, 0.14, 0.18, 0.22, 0.28, 0.24),
    "forest": (0.03, 0.05, 0.03, 0.34, 0.16, 0.07),
    "water": (0.04, 0.04, 0.03, 0.02, 0.01, 0.01),
    "coal": (0.04, 0.04, 0.04, 0.05, 0.05, 0.05),
    "yard": (0.12, 0.14, 0.16, 0.19, 0.22, 0.21),
}
STRIPS = {name: slice(16 * n, 16 * n + 16) for n, name in enumerate(GROUND)}
"""Columns of each ground; soil comes first, the coal and the yard beside it last."""


def a_year(rng, gain=1.0, plus=0.0):
    """Return the composite of a year: shape (bands, rows, columns)."""
    image = np.empty((len(BANDS), *SHAPE))
    for name, spectrum in GROUND.items():
        image[:, :, STRIPS[name]] = np.array(spectrum)[:, None, None]
    texture = np.random.default_rng(0).normal(1, 0.1, SHAPE)
    return (gain * image * texture + plus + rng.normal(0, 0.003, image.shape)).astype(np.float32)


def piles():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[30:50, STRIPS["coal"]] = True
    return mask


def choose(composites):
    return steady_ground(composites, piles(), Config().footprint.ndvi_max_bare, Config().footprint.dark_brightness)


def years(rng, changed=None, **change):
    return [a_year(rng, **(change if year == changed else {})) for year in YEARS]


def test_only_bare_bright_ground_away_from_piles_is_steady():
    rng = np.random.default_rng(1)
    composites = years(rng)
    for number, composite in enumerate(composites):
        composite[:, 60:, STRIPS["soil"]] *= 1 + 0.1 * number  # a field that is cleared little by little
    composites[2][:, :4, STRIPS["soil"]] = np.nan
    steady, level = choose(composites)
    assert steady[4:60, STRIPS["soil"]].mean() > 0.95
    assert not steady[60:, STRIPS["soil"]].any(), "what changes by itself"
    assert not steady[:4, STRIPS["soil"]].any(), "unseen in a year"
    for name in ("forest", "water", "coal"):
        assert not steady[:, STRIPS[name]].any(), name
    assert not steady[30:50, 64:73].any(), "the surroundings of a pile"
    assert steady[:18, STRIPS["yard"]].any()
    assert np.isnan(level[:, :4, STRIPS["soil"]]).all()


@pytest.mark.parametrize("change", [{"gain": 1.15}, {"plus": 0.02}, {"gain": 0.85}])
def test_a_brighter_year_does_not_take_its_own_evidence_away(change):
    """Pixels are chosen by what they do beside all others, so that a year that moves them all leaves them in."""
    rng = np.random.default_rng(2)
    steady, _ = choose(years(rng, 2021, **change))
    assert steady[:, STRIPS["soil"]].mean() > 0.9


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 7), height=st.integers(1, 80), noise=st.sampled_from([0, 0.02]))
def test_strip_by_strip_the_same_ground_is_steady(seed, count, height, noise):
    rng = np.random.default_rng(seed)
    composites = [(c + rng.normal(0, noise, c.shape)).astype(np.float32)[:, :height] for c in years(rng)] * 2
    for composite in composites:
        composite[:, rng.random(composite.shape[1:]) < 0.02] = np.nan
    given_by = composites[:count], piles()[:height], 0.25, 0.08
    for found, expected in zip(steady_ground(*given_by), specification.steady_ground(*given_by), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_two_years_choose_nothing():
    steady, _ = choose(years(np.random.default_rng(1))[:2])
    assert not steady.any()
    assert drift_note([], LIMIT).startswith("Drift between years is not watched")


def seen(rng, changed=None, platform_gain=None, **change):
    """Departures of eight scenes a year, each with the calibration and the air of its own day."""
    composites = years(rng, changed, **change)
    steady, level = choose(composites)
    found = []
    for year, composite in zip(YEARS, composites, strict=True):
        for number in range(8):
            platform = "sentinel-2a" if number % 2 else "sentinel-2b"
            gain = rng.normal(1, 0.015) * (platform_gain or {}).get(platform, 1.0)
            image = gain * composite + rng.normal(0, 0.003)
            departure = {b: float(np.median(image[n][steady] - level[n][steady])) for n, b in enumerate(BANDS)}
            found.append(SceneDeparture(f"{year}-{number}", year, platform, int(steady.sum()), departure))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_clean_years_are_not_flagged(seed):
    rows = annual(seen(np.random.default_rng(seed)))
    assert len(rows) == len(YEARS) * len(BANDS)
    assert not any(drifts(row, LIMIT) for row in rows)
    assert "at most" in drift_note(rows, LIMIT)
    inside = [row.lo95 <= 0 <= row.hi95 for row in rows]
    assert np.mean(inside) > 0.75
    assert min(row.n_pixels for row in rows) >= MIN_PIXELS


@pytest.mark.parametrize(("change", "least"), [({"gain": 1.15}, 5), ({"plus": 0.02}, 6), ({"plus": -0.02}, 6)])
def test_a_year_made_brighter_or_darker_is_flagged_and_no_other(change, least):
    rows = annual(seen(np.random.default_rng(7), 2021, **change))
    flagged = {(row.group, row.band) for row in rows if drifts(row, LIMIT)}
    assert {group for group, _ in flagged} == {"2021"}
    assert len(flagged) >= least
    said = drift_note(rows, LIMIT)
    assert "2021 nir" in said
    assert "2020" not in said
    expected = change.get("plus", 0.15 * 0.22)
    [nir] = [row for row in rows if (row.group, row.band) == ("2021", "nir")]
    assert nir.median == pytest.approx(expected, abs=0.006)


def test_a_platform_is_told_from_the_years():
    """One platform reads everything 3 % brighter; a year that is brighter as a whole does not touch it."""
    scenes = seen(np.random.default_rng(8), 2021, plus=0.02, platform_gain={"sentinel-2b": 1.03})
    rows = {(row.group, row.band): row for row in by_platform(scenes)}
    off = rows["sentinel-2b", "swir16"].median - rows["sentinel-2a", "swir16"].median
    assert off == pytest.approx(0.03 * 0.26, abs=0.003)
    assert rows["sentinel-2a", "swir16"].n_scenes == 24
    nobody = [SceneDeparture("x", 2018, None, 60, dict.fromkeys(BANDS, 0.0))]
    assert by_platform(nobody) == []


def test_one_scene_is_no_year():
    scenes = [SceneDeparture("x", 2018, "sentinel-2a", 60, dict.fromkeys(BANDS, 0.05))] * 2
    rows = annual(scenes)
    assert {(row.lo95, drifts(row, LIMIT)) for row in rows} == {(None, None)}


@pytest.mark.slow
@pytest.mark.parametrize("site", ["sim-camp", "sim-mine"])
def test_the_years_of_the_demonstration_are_clean(demo_results, site):
    tables = read_tables(demo_results / site / f"{site}.gpkg")
    assert {row.year for row in tables["drift"]} == set(YEARS)
    assert not any(row.flag for row in tables["drift"])
    assert min(row.n_pixels for row in tables["drift"]) >= 1000
    assert {row.platform for row in tables["platforms"]} == {"sentinel-2a", "sentinel-2b"}
    assert max(abs(row.median) for row in tables["platforms"]) < 0.005


def test_a_platform_of_brighter_years_is_not_called_bright():
    """Five of six scenes of a year 0.05 brighter are of one platform, and all it has but three."""
    plan = [(2020, "sentinel-2a", 3, 0.0), (2020, "sentinel-2b", 3, 0.0)]
    plan += [(2021, "sentinel-2a", 1, 0.05), (2021, "sentinel-2b", 5, 0.05)]
    scenes = [
        SceneDeparture(f"{year}-{platform}-{n}", year, platform, 60, dict.fromkeys(BANDS, off))
        for year, platform, count, off in plan
        for n in range(count)
    ]
    assert {row.median for row in by_platform(scenes)} == {0.0}
