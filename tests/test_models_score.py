"""What may be coal on one date, what an outlined object reflects, and how probable coal is from it."""

import csv

import numpy as np
import pytest
from conftest import DATA
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, stats
from shapely import affinity, box

from models._indices import difference_ratio, ndvi
from models._likelihood import COAL, OTHERS, SPECTRUM_BANDS, _log_density, _table, weigh
from models._spectrum import object_levels
from models.stockpile import MODEL, ScoreRules, looks_like_water, may_be_coal, score
from pipeline.config import Config
from pipeline.rules import score_rules
from pipeline.types import Site

BANDS = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")
GATE_BANDS = {"blue", "green", "red", "nir", "swir16"}
SPLIB = DATA / "spectra" / "splib07_to_S2A.csv"
FACTORS = (0.75, 0.85, 1.0, 1.15, 1.25, 1.35)
PLAIN = (1.0, 0.0)

# Science 1.1; where it gives one value for B8A and B08, nir is nir08.
ANTHRACITE = (0.040, 0.041, 0.042, 0.046, 0.046, 0.052, 0.055)
BITUMINOUS = (0.045, 0.048, 0.052, 0.062, 0.062, 0.090, 0.098)
LIGNITE = (0.050, 0.058, 0.068, 0.096, 0.096, 0.170, 0.190)
SOIL = (0.118, 0.182, 0.280, 0.360, 0.360, 0.479, 0.423)
WATER = {
    "clear water": (0.033, 0.038, 0.025, 0.020, 0.020, 0.019, 0.016),
    "turbid water": (0.070, 0.065, 0.054, 0.028, 0.028, 0.005, 0.005),
}
NOT_COAL = {
    **WATER,
    "char and ash": (0.045, 0.054, 0.067, 0.079, 0.079, 0.185, 0.207),
    "burnt ground": (0.028, 0.031, 0.037, 0.050, 0.050, 0.130, 0.182),
    "asphalt road": (0.079, 0.084, 0.090, 0.101, 0.101, 0.131, 0.127),
    "asphalt roof": (0.047, 0.051, 0.057, 0.079, 0.079, 0.122, 0.106),
    "fresh tar": (0.025, 0.025, 0.025, 0.024, 0.024, 0.027, 0.027),
    "roofing felt": (0.038, 0.039, 0.042, 0.053, 0.053, 0.121, 0.126),
    "spoil": (0.066, 0.081, 0.098, 0.124, 0.130, 0.186, 0.192),
}
SKYLIGHT = np.array([0.22, 0.17, 0.12, 0.06, 0.055, 0.02, 0.015])
"""Light in full shadow as a share of sunlight: 0.22 in blue to 0.015 in swir22 (science 1.6)."""


def rules(rank="hard", **changes):
    site = Site("x", "x", "mine", rank, None)
    return ScoreRules(**{**vars(score_rules(site, Config())), **changes})


def exactly(spectrum):
    return {band: np.array([rho], dtype=np.float32) for band, rho in zip(BANDS, spectrum, strict=True)}


def rate(spectrum, limits, draws=2000):
    """Share of noisy views that may be coal: gain 3 % a band, 0.004 a band and 0.004 common (science 1.6)."""
    rng = np.random.default_rng(0)
    common = rng.normal(0, 0.004, draws)
    views = {
        band: (rho * (1 + rng.normal(0, 0.03, draws)) + rng.normal(0, 0.004, draws) + common).astype(np.float32)
        for band, rho in zip(BANDS, spectrum, strict=True)
    }
    return may_be_coal(views, limits).mean()


def measured(spectrum, error=0.05):
    """An object's levels with a relative standard error in every band."""
    levels = dict(zip(BANDS, map(float, spectrum), strict=True))
    return levels, {band: error * max(value, 0.01) for band, value in levels.items()}


def probability(spectrum, rank="hard", error=0.05):
    return score(*measured(spectrum, error), rank, PLAIN).probability


# --- the gate of one date ---


@pytest.mark.parametrize("coal", [ANTHRACITE, BITUMINOUS])
@pytest.mark.parametrize("factor", FACTORS)
def test_hard_coal_may_be_coal_at_every_brightness(coal, factor):
    assert rate(np.multiply(coal, factor), rules()) > 0.97


@pytest.mark.parametrize("factor", FACTORS)
def test_lignite_may_be_coal_where_lignite_is_looked_for(factor):
    assert rate(np.multiply(LIGNITE, factor), rules("lignite")) > 0.9


def test_a_pixel_with_a_quarter_of_dry_soil_may_still_be_coal():
    """A pile of 0.2 ha has no pure pixel of 20 m: half of its swir is the ground's."""
    mixed = 0.75 * np.array(ANTHRACITE) + 0.25 * np.array((0.10, 0.14, 0.19, 0.245, 0.26, 0.33, 0.29))
    mixed[5:] = 0.5 * np.array(ANTHRACITE[5:]) + 0.5 * np.array((0.33, 0.29))
    assert rate(mixed, rules()) > 0.9


@pytest.mark.parametrize("name", WATER)
@pytest.mark.parametrize("factor", [0.75, 1.0, 1.35])
def test_water_and_soil_are_never(name, factor):
    assert rate(np.multiply(WATER[name], factor), rules()) < 0.08
    assert rate(np.multiply(SOIL, factor), rules()) == 0.0


@pytest.mark.parametrize("surface", [SOIL, NOT_COAL["asphalt road"], (0.04, 0.08, 0.04, 0.36, 0.38, 0.2, 0.1)])
def test_full_shadow_is_never_coal(surface):
    """Skylight is blue and has no swir: dark, but not dark and flat."""
    assert rate(np.multiply(surface, SKYLIGHT), rules()) < 0.02


LIMITS = {
    # One band moved from a spectrum that passes everything, so that this limit alone is crossed.
    "brightness_max": {"blue": 0.106, "green": 0.106, "red": 0.106, "nir": 0.106, "swir16": 0.12},
    "swir16_min": {"swir16": 0.017, "green": 0.015},
    "swir16_max": {"swir16": 0.241},
    "mndwi_max": {"green": 0.070, "swir16": 0.052},
    "ndvi_max": {"nir": 0.090},
}


@pytest.mark.parametrize("limit", LIMITS)
def test_every_limit_bites_alone(limit):
    plain = dict(zip(BANDS, ANTHRACITE, strict=True))
    bands = exactly([{**plain, **LIMITS[limit]}[b] for b in BANDS])
    assert may_be_coal(exactly(ANTHRACITE), rules())[0]
    assert not may_be_coal(bands, rules())[0]
    wide = 0.0 if limit.endswith("_min") else 1.0
    assert may_be_coal(bands, rules(**{limit: wide}))[0]


@pytest.mark.parametrize("band", sorted(GATE_BANDS))
def test_no_data_in_any_band_is_never_coal(band):
    bands = exactly(ANTHRACITE)
    assert not may_be_coal({**bands, band: np.array([np.nan], np.float32)}, rules())[0]
    assert not looks_like_water({**exactly(WATER["clear water"]), "swir16": np.array([np.nan], np.float32)})[0]


@given(st.lists(st.floats(-0.2, 1.5), min_size=7, max_size=7))
def test_any_reflectance_has_an_answer_and_only_dark_may_be_coal(spectrum):
    found = may_be_coal(exactly(spectrum), rules())
    assert found.dtype == bool
    assert not found[0] or np.mean(np.float32(spectrum[:4])) < 0.1051


@given(st.floats(0.001, 1.0), st.floats(0.001, 1.0))
def test_ratios_are_antisymmetric_and_bounded(a, b):
    x, y = np.array([a], np.float32), np.array([b], np.float32)
    assert difference_ratio(x, y)[0] == -difference_ratio(y, x)[0]
    assert abs(difference_ratio(x, y)[0]) <= 1
    assert np.isnan(difference_ratio(-x, -y)[0])


def test_water_is_water_and_coal_is_not():
    for name in WATER:
        assert looks_like_water(exactly(WATER[name]))[0]
    for spectrum in (ANTHRACITE, BITUMINOUS, SOIL, NOT_COAL["char and ash"]):
        assert not looks_like_water(exactly(spectrum))[0]
    assert not looks_like_water(exactly((0.83, 0.83, 0.82, 0.76, 0.75, 0.10, 0.08)))[0]  # snow


def test_ndvi_by_hand():
    assert ndvi({"nir": np.array([0.36], np.float32), "red": np.array([0.04], np.float32)})[0] == pytest.approx(0.8)


# --- what an outlined object reflects ---


def scene_of(shape_m, coal, ground, noise=0.0):
    """Draw an object on 1 m cells as bands of 10 and 20 m see it, all on 10 m pixels; shape in metres, 400 m window."""
    inside = np.zeros((400, 400))
    y, x = np.mgrid[:400, :400] + 0.5
    left, top, right, bottom = shape_m.bounds
    inside[(x > left) & (x < right) & (y > top) & (y < bottom)] = 1.0
    rng, bands = np.random.default_rng(3), {}
    for number, band in enumerate(BANDS):
        cells = inside * coal[number] + (1 - inside) * ground[number]
        sigma, step = (5.1, 10) if band in ("blue", "green", "red", "nir") else (9.8, 20)
        seen = ndimage.map_coordinates(
            ndimage.gaussian_filter(cells, sigma),
            np.mgrid[: 400 // step, : 400 // step] * step + step / 2 - 0.5,
            order=1,
        )
        if step == 20:
            places = np.mgrid[:40, :40] / 2 - 0.25
            seen = ndimage.map_coordinates(seen, places, order=1, mode="nearest")
        bands[band] = (seen + rng.normal(0, noise, seen.shape)).astype(np.float32)
    return bands


GRAVEL = (0.120, 0.140, 0.160, 0.180, 0.183, 0.210, 0.200)


@pytest.mark.parametrize(("width_m", "height_m"), [(45, 45), (30, 90), (70, 110)])
def test_a_small_pile_is_freed_of_the_ground_beside_it(width_m, height_m):
    """Its own pixels of 20 m are far too bright; its level comes out within a tenth."""
    shape = box(200 - width_m / 2, 203 - height_m / 2, 200 + width_m / 2, 203 + height_m / 2)
    bands = scene_of(shape, BITUMINOUS, GRAVEL)
    seen, nothing = np.ones((40, 40), dtype=bool), np.zeros((40, 40), dtype=bool)
    found = object_levels(bands, seen, affinity.scale(shape, 0.1, 0.1, origin=(0, 0)), nothing)
    for number, band in enumerate(BANDS):
        assert found.value[band] == pytest.approx(BITUMINOUS[number], rel=0.10), band
    if width_m * height_m < 3000:
        assert bands["swir16"].min() > 1.12 * BITUMINOUS[5]


def test_the_standard_error_covers_what_noise_does():
    shape = box(170, 170, 230, 230)
    quiet = scene_of(shape, ANTHRACITE, GRAVEL)
    seen, nothing = np.ones((40, 40), dtype=bool), np.zeros((40, 40), dtype=bool)
    drawn = affinity.scale(shape, 0.1, 0.1, origin=(0, 0))
    truth = object_levels(quiet, seen, drawn, nothing)
    rng, away = np.random.default_rng(5), []
    for _ in range(100):
        noisy = {b: (v + rng.normal(0, 0.004, v.shape)).astype(np.float32) for b, v in quiet.items()}
        found = object_levels(noisy, seen, drawn, nothing)
        away += [(found.value[b] - truth.value[b]) / found.sigma[b] for b in ("blue", "red", "nir")]
    assert np.mean(np.abs(away) < 1.96) > 0.95


def test_the_noise_of_pixels_is_in_the_standard_error():
    """Over uniform ground what is left beside 2 % of calibration is 0.004 over the root of the pixels it rests on."""
    shape = box(170, 170, 230, 230)
    seen, nothing = np.ones((40, 40), dtype=bool), np.zeros((40, 40), dtype=bool)
    found = object_levels(
        scene_of(shape, ANTHRACITE, GRAVEL), seen, affinity.scale(shape, 0.1, 0.1, origin=(0, 0)), nothing
    )
    for band, alike in (("red", 1.0), ("swir16", 4.0)):
        noise = np.sqrt(found.sigma[band] ** 2 - (0.02 * found.value[band]) ** 2)
        assert noise == pytest.approx(0.004 * np.sqrt(alike / 36), rel=0.35)


def test_without_ground_beside_it_nothing_is_said():
    shape = box(170, 170, 230, 230)
    bands, nothing = scene_of(shape, ANTHRACITE, GRAVEL), np.zeros((40, 40), dtype=bool)
    drawn = affinity.scale(shape, 0.1, 0.1, origin=(0, 0))
    hidden = ndimage.binary_dilation(bands["red"] < 0.1, iterations=1)
    assert object_levels(bands, hidden, drawn, nothing) is None
    assert object_levels(bands, np.ones((40, 40), dtype=bool), drawn, ~hidden) is None


# --- how probable coal is ---


@pytest.mark.parametrize("material", [COAL["hard"][0], OTHERS[4]])
def test_the_density_is_students_t(material):
    """Against scipy's multivariate t with the covariance written out."""
    levels, sigmas = measured(BITUMINOUS)
    value = np.array([levels[b] for b in SPECTRUM_BANDS])
    noise = np.array([sigmas[b] for b in SPECTRUM_BANDS]) / value
    shape = np.diag(material.colour**2 + noise**2) + material.brightness**2
    expected = stats.multivariate_t(np.log(material.spectrum), shape, df=6).logpdf(np.log(value))
    assert _log_density(np.log(value), noise, _table([material]))[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("coal", "rank"), [(ANTHRACITE, "hard"), (BITUMINOUS, "hard"), (LIGNITE, "lignite")])
@pytest.mark.parametrize("factor", FACTORS)
def test_coal_is_probable_at_every_brightness(coal, rank, factor):
    assert probability(np.multiply(coal, factor), rank) > 0.5


@pytest.mark.parametrize("name", NOT_COAL)
@pytest.mark.parametrize("rank", ["hard", "lignite", "unknown"])
def test_what_is_not_coal_is_not_probable(name, rank):
    assert probability(NOT_COAL[name], rank) < 0.35, name


def test_of_the_library_carbon_black_alone_passes_for_coal():
    if not SPLIB.exists():
        pytest.skip(f"{SPLIB} is not there")
    with SPLIB.open(encoding="utf-8") as file:
        columns = ("B02", "B03", "B04", "B08", "B8A", "B11", "B12")
        library = {row["name"]: [float(row[c]) for c in columns] for row in csv.DictReader(file)}
    passes = {name for name, s in library.items() if probability(s) >= Config().stockpile.score_listed}
    assert {name.split()[0] for name in passes} <= {"Carbon_Black"}


def test_noise_moves_the_odds_towards_nothing():
    """What is badly measured is neither surely coal nor surely not."""
    for spectrum in (ANTHRACITE, NOT_COAL["asphalt roof"], NOT_COAL["spoil"]):
        odds = [abs(weigh(*measured(spectrum, error), "hard")[0]) for error in (0.03, 0.3, 1.0)]
        assert odds[0] > 2 * odds[2]


def test_calibration_is_a_line_in_the_logarithm_of_the_odds():
    odds, _ = weigh(*measured(BITUMINOUS), "hard")
    found = score(*measured(BITUMINOUS), "hard", (0.5, -1.0)).probability
    assert found == pytest.approx(1 / (1 + np.exp(-(0.5 * odds - 1.0))))


@pytest.mark.parametrize("band", MODEL.bands)
def test_a_missing_band_is_an_error_and_not_a_guess(band):
    levels, sigmas = measured(ANTHRACITE)
    del levels[band]
    with pytest.raises(KeyError, match=band):
        score(levels, sigmas, "hard", PLAIN)


def test_an_unknown_rank_looks_for_either():
    for coal in (ANTHRACITE, BITUMINOUS, LIGNITE):
        assert probability(coal, "unknown") > 0.5
    assert probability(LIGNITE, "hard") < 0.2


def test_the_material_is_named():
    assert score(*measured(ANTHRACITE), "hard", PLAIN).material == "anthracite"
    assert score(*measured(NOT_COAL["roofing felt"]), "hard", PLAIN).material == "felt roof"
