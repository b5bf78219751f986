"""Occupied ground over seasons with a known answer, and volumes against closed forms."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from specification import ground as specification
from specification.footprint import expected_largest

from models._morphology import closed, grown, opened, shrunk
from models.footprint import (
    CLASSES,
    REACH_PX,
    FootprintRules,
    SeasonLayers,
    classes,
    marks,
    measure,
    outlined,
)
from models.volume import volume_m3

RULES = FootprintRules(ndvi_max=0.30, bare_share=0.60, water_share_max=0.3, min_px=10, min_dates=3)
SHAPE = (30, 30)
YARD = (slice(5, 20), slice(5, 20))


def season(ndvi_by_date, *, seen=None, water=0.0, bright=0.2):
    """Layers of a season in which YARD has these NDVI values and all else is green; NaN is an unseen date."""
    dates = np.full((len(ndvi_by_date), *SHAPE), 0.8)
    for date, value in enumerate(ndvi_by_date):
        dates[(date, *YARD)] = value
    if seen is not None:
        dates[~seen] = np.nan
    clear = np.isfinite(dates).sum(axis=0)
    unseen = clear == 0
    largest = np.where(unseen, np.nan, np.nanmax(np.where(np.isfinite(dates), dates, -9), axis=0))
    share = np.where(unseen, np.nan, np.nansum(dates < RULES.ndvi_max, axis=0) / np.maximum(clear, 1))
    brightness = np.full(SHAPE, bright)
    # nir - red rises with NDVI; here it is a third of it.
    return SeasonLayers(
        largest.astype(np.float32), (largest / 3).astype(np.float32), share.astype(np.float32),
        np.full(SHAPE, water, np.float32), brightness.astype(np.float32), clear.astype(np.uint8),
    )  # fmt: skip


def test_permanent_bare_ground_is_found_whole():
    """All but the four corner pixels, which the opening takes."""
    expected = np.zeros(SHAPE, dtype=bool)
    expected[YARD] = True
    expected[[5, 5, 19, 19], [5, 19, 5, 19]] = False
    np.testing.assert_array_equal(measure(season([0.1, 0.15, 0.2, 0.12]), RULES), expected)


@pytest.mark.parametrize("green_at", range(5))
def test_a_field_that_is_green_once_is_out(green_at):
    """Bare on four dates of five: its share says bare, its largest NDVI does not."""
    values = [0.1] * 5
    values[green_at] = 0.5
    assert not measure(season(values), RULES).any()


def test_green_exactly_at_the_limit_is_out():
    assert not measure(season([0.1, 0.1, 0.1, 0.3]), RULES).any()


def test_bare_on_too_few_dates_is_out():
    layers = season([0.1] * 4)
    layers.bare_share[YARD] = 0.59
    assert not measure(layers, RULES).any()
    layers.bare_share[YARD] = 0.60
    assert measure(layers, RULES).any()


def test_water_and_ground_seen_too_rarely_are_out():
    assert not measure(season([0.1] * 4, water=0.31), RULES).any()
    assert measure(season([0.1] * 4, water=0.30), RULES).any()
    assert not measure(season([0.1] * 2), RULES).any()
    assert measure(season([0.1] * 3), RULES).any()


def test_no_data_never_becomes_ground():
    """An unseen hole stays one: closing must not fill it."""
    seen = np.ones((4, *SHAPE), dtype=bool)
    seen[:, 10, 10] = False
    seen[:2, 12, 12] = False
    ground = measure(season([0.1] * 4, seen=seen), RULES)
    assert not ground[10, 10]
    assert not ground[12, 12]
    assert ground.sum() > 200
    seen[:] = False
    assert not measure(season([0.1] * 4, seen=seen), RULES).any()


def test_small_patches_and_thin_lines_are_left_out():
    layers = season([0.8] * 4)
    layers.ndvi_max[2:5, 2:5] = 0.1  # 9 px
    layers.ndvi_max[10, 2:28] = 0.1  # a path one pixel wide
    layers.ndvi_max[20:24, 2:6] = 0.1  # 16 px; the opening takes its corners
    layers.bare_share[:] = 1.0
    ground = measure(layers, RULES)
    assert not ground[:15].any()
    assert ground[20:24, 2:6].sum() >= 12


@given(
    arrays(np.float32, (12, 12), elements=st.sampled_from([np.float32(x) for x in (0.1, 0.2, 0.5, np.nan)])),
    arrays(np.uint8, (12, 12), elements=st.integers(0, 5)),
)
def test_ground_is_always_seen_ground_in_patches_of_the_least_size(largest, clear):
    ones = np.ones(largest.shape, np.float32)
    layers = SeasonLayers(largest, largest / 3, ones, 0 * ones, 0.2 * ones, clear)
    ground = measure(layers, RULES)
    assert not (ground & (clear < RULES.min_dates)).any()
    labels, count = ndimage.label(ground, structure=np.ones((3, 3)))
    assert all((labels == i).sum() >= RULES.min_px for i in range(1, count + 1))


@given(
    arrays(bool, (6, 6)),
    arrays(bool, (6, 6)),
    arrays(np.float32, (6, 6), elements=st.sampled_from([np.float32(x) for x in (0.02, 0.1, 0.3, np.nan)])),
)
def test_classes_part_the_ground(ground, cleared, brightness):
    parts = classes(ground, cleared, brightness, 0.10)
    assert tuple(parts) == CLASSES
    np.testing.assert_array_equal(np.sum(list(parts.values()), axis=0), ground.astype(int))
    np.testing.assert_array_equal(parts["dark_ground"], ground & ~cleared & (brightness < 0.1))
    np.testing.assert_array_equal(parts["other_cleared"], ground & cleared)


# --- the largest of a season ---

NUMBERS = st.lists(st.integers(-50, 90).map(lambda n: n / 100), min_size=1, max_size=7)


def drawn(values, k):
    """Mean of the largest over all draws of k of the values, one by one."""
    return np.mean([max(draw) for draw in itertools.combinations(values, min(k, len(values)))])


def of_pixel(values, k):
    return float(expected_largest(np.array(values, dtype=np.float32).reshape(-1, 1, 1), k)[0, 0])


@given(NUMBERS, st.integers(1, 4))
def test_expected_largest_is_the_mean_of_all_draws(values, k):
    assert of_pixel(values, k) == pytest.approx(drawn(values, k), abs=1e-6)
    with_gaps = [np.nan, *itertools.chain.from_iterable((v, np.nan) for v in values)]
    assert of_pixel(with_gaps, k) == pytest.approx(drawn(values, k), abs=1e-6)


def test_expected_largest_of_no_date_is_not_known():
    assert np.isnan(of_pixel([np.nan, np.nan], 3))


@pytest.mark.parametrize("kept", [3, 4, 6])
def test_leaving_dates_out_does_not_move_it(kept):
    """The mean over all ways to thin nine dates is that of the nine; the plain largest falls."""
    values = [0.12, 0.15, 0.11, 0.32, 0.18, 0.14, 0.41, 0.13, 0.16]
    thinned = list(itertools.combinations(values, kept))
    assert np.mean([of_pixel(t, 3) for t in thinned]) == pytest.approx(of_pixel(values, 3), abs=1e-6)
    assert np.mean([max(t) for t in thinned]) < max(values) - 0.01


# --- edges ---

FOREST, SOIL = (0.030, 0.340), (0.190, 0.245)
BARE = {"soil": SOIL, "concrete": (0.292, 0.315), "coal": (0.042, 0.045)}
"""Red and nir (science 1.1)."""


def edge_season(bare, green, half_m=62.0, off_m=3.0, brightness=None):
    """A square of bare ground in green as pixels of 10 m see it through a point spread of 5.1 m."""
    fine = np.arange(-200, 200) + 0.5
    inside = (np.abs(fine - off_m) < half_m).astype(float)
    line = ndimage.gaussian_filter(inside, np.sqrt(5.1**2 - 100 / 12)).reshape(-1, 10).mean(axis=1)
    share = np.outer(line, line)
    red, nir = (b * share + g * (1 - share) for b, g in zip(bare, green, strict=True))
    index = ((nir - red) / (nir + red)).astype(np.float32)
    ones = np.ones_like(index)
    return SeasonLayers(
        index, (nir - red).astype(np.float32), (index < RULES.ndvi_max).astype(np.float32), 0 * ones,
        0.2 * ones if brightness is None else (brightness[0] * share + brightness[1] * (1 - share)).astype(np.float32),
        np.full(index.shape, 8, np.uint8),
    )  # fmt: skip


def mean_area_m2(bare, green, half_m):
    """Mean over where the square lies in the pixels, with the corners the opening takes given back."""
    found = [measure(edge_season(bare, green, half_m, off), RULES).sum() * 100.0 for off in np.arange(0, 10, 1.0)]
    return np.mean(found)


@pytest.mark.parametrize("material", BARE)
@pytest.mark.parametrize("green", [FOREST, (0.042, 0.360), (0.07, 0.24)], ids=["forest", "crop", "grass"])
def test_the_edge_lies_half_way_whatever_the_materials(material, green):
    """The NDVI of 0.3 lies 1 to 6 m inside: 3 to 20 % of this square of 1.5 ha. The opening takes its corners."""
    assert mean_area_m2(BARE[material], green, 62.0) == pytest.approx(124.0**2, abs=550.0)


def test_without_green_levels_the_fixed_limit_stands():
    """Sparse grass of NDVI 0.32 all round: no edge of vegetation, so nothing moves."""
    layers = edge_season(SOIL, (0.10, 0.195))
    fixed = ndimage.binary_closing(ndimage.binary_opening(layers.ndvi_max < RULES.ndvi_max))
    half_way = layers.dvi_max < (0.095 + 0.055) / 2
    assert (measure(layers, RULES) ^ fixed).sum() == 0
    assert (half_way ^ fixed).sum() > 20, "there is something that could move"


def test_a_mixed_pixel_by_water_is_ground_only_to_half():
    """Concrete in water: MNDWI calls it water from four fifths of water on; half-way in brightness is the edge."""
    layers = edge_season(BARE["concrete"], (0.025, 0.020), brightness=(0.26, 0.03))
    wet = (layers.brightness < 0.03 + 0.2 * 0.23).astype(np.float32)
    layers = SeasonLayers(
        np.minimum(layers.ndvi_max, 0.1), layers.dvi_max, np.ones_like(wet), wet, layers.brightness, layers.clear
    )
    found = measure(layers, RULES).sum() * 100.0
    assert found == pytest.approx(124.0**2, rel=0.05)
    assert ((wet == 0).sum() * 100.0) > 1.08 * 124.0**2, "what the water test alone leaves"


# --- held to the specification ---

BLOCK = np.ones((3, 3), dtype=bool)


@given(arrays(bool, (9, 11), elements=st.sampled_from([True, True, False])), st.booleans())
def test_masks_grow_and_shrink_as_scipy_has_it(mask, corners):
    shape = BLOCK if corners else None
    np.testing.assert_array_equal(grown(mask, corners=corners), ndimage.binary_dilation(mask, shape))
    np.testing.assert_array_equal(shrunk(mask, corners=corners), ndimage.binary_erosion(mask, shape))
    beyond = ndimage.binary_erosion(mask, shape, border_value=1)
    np.testing.assert_array_equal(shrunk(mask, corners=corners, outside=True), beyond)
    np.testing.assert_array_equal(opened(mask), ndimage.binary_opening(mask))
    np.testing.assert_array_equal(closed(mask), ndimage.binary_closing(mask))


def random_season(seed, shape=(90, 70)):
    """Fields, water and holes with soft edges."""
    rng = np.random.default_rng(seed)
    green, wet, bright, hidden = (ndimage.gaussian_filter(rng.standard_normal(shape), s) for s in (3, 4, 2, 3))
    green, wet, bright, hidden = (x / x.std() for x in (green, wet, bright, hidden))
    clear = np.clip(6 + 3 * hidden, 0, 12).round().astype(np.uint8)
    index = (0.3 + 0.2 * green + 0.03 * rng.standard_normal(shape)).astype(np.float32)
    water = np.clip((wet - 1) / 2, 0, 1).astype(np.float32)
    brightness = (0.15 + 0.03 * bright - 0.1 * water).astype(np.float32)
    unseen = clear == 0
    for layer in (index, water, brightness):
        layer[unseen] = np.nan
    return SeasonLayers(index, index / 2, np.where(unseen, np.nan, 0.7 - index / 3).astype(np.float32), water,
                        brightness, clear)  # fmt: skip


@given(st.integers(0, 2**32 - 1))
def test_ground_is_that_of_the_specification(seed):
    season = random_season(seed)
    expected = specification.measure(season, RULES)
    assert expected.any()
    np.testing.assert_array_equal(measure(season, RULES), expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_a_window_shows_what_the_whole_map_shows(seed, start):
    season = random_season(seed)
    marked = marks(season, RULES)
    whole = outlined(marked, season.dvi_max, season.brightness)
    rows = slice(max(start - REACH_PX, 0), start + 10 + REACH_PX)
    part = outlined(marked[rows], season.dvi_max[rows], season.brightness[rows])
    kept = slice(start, start + 10)
    np.testing.assert_array_equal(part[start - rows.start :][:10], whole[kept])


# --- volume ---


def square(side_m, pixel_m=1.0):
    cells = round(side_m / pixel_m)
    return np.pad(np.ones((cells, cells), dtype=bool), 3)


@pytest.mark.parametrize(("height_m", "book_m3"), [(3.0, 27_700), (6.0, 51_000), (12.0, 85_800), (1e9, 125_600)])
def test_one_hectare_square_as_in_the_book(height_m, book_m3):
    """Science 1.8, and the closed form of a square frustum: (A1 + A2 + sqrt(A1 A2)) h / 3."""
    found = volume_m3(square(100.0), 1.0, 37.0, height_m)
    assert found == pytest.approx(book_m3, rel=0.005)
    height = min(height_m, 50 * np.tan(np.radians(37)))
    top = 100 - 2 * height / np.tan(np.radians(37))
    assert found == pytest.approx((1e4 + top**2 + 100 * top) * height / 3, rel=0.005)


@pytest.mark.parametrize("repose_deg", [30.0, 37.0, 45.0])
def test_cone(repose_deg):
    """A^1.5 tan(phi) / (3 sqrt(pi))."""
    y, x = np.mgrid[-210:211, -210:211] / 4.0
    inside = np.hypot(x, y) < 50.0
    closed = (inside.sum() / 16) ** 1.5 * np.tan(np.radians(repose_deg)) / (3 * np.sqrt(np.pi))
    # Cells draw an oblique edge a third of a cell too near: 0.5 % here.
    assert volume_m3(inside, 0.25, repose_deg, 1e9) == pytest.approx(closed, rel=0.007)


def test_windrow_with_conical_ends():
    """(w^2 / 4) tan(phi) (L - w) + pi w^3 tan(phi) / 24."""
    width, length = 30.0, 150.0
    y, x = np.mgrid[-80:81, -320:321] / 4.0
    inside = np.hypot(np.maximum(np.abs(x) - (length - width) / 2, 0), y) < width / 2
    slope = np.tan(np.radians(37.0))
    closed = width**2 / 4 * slope * (length - width) + np.pi * width**3 * slope / 24
    assert volume_m3(inside, 0.25, 37.0, 1e9) == pytest.approx(closed, rel=0.02)


def test_volume_does_not_depend_on_the_cells():
    fine = volume_m3(square(100.0, 0.5), 0.5, 37.0, 6.0)
    assert volume_m3(square(100.0, 2.0), 2.0, 37.0, 6.0) == pytest.approx(fine, rel=0.01)


def test_nothing_has_no_volume_and_height_only_adds():
    assert volume_m3(np.zeros((5, 5), dtype=bool), 1.0, 37.0, 6.0) == 0.0
    found = [volume_m3(square(60.0), 1.0, 37.0, h) for h in (1.0, 3.0, 6.0, 12.0)]
    assert found == sorted(found)
