"""Departures from a pixel's own history: medians by brute force, and piles that come, grow and go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from specification import history as specification
from specification.history import median_of_others

from pipeline.config import ClearConfig
from pipeline.history import HistoryRules, sky_departures

CONFIG = ClearConfig()
RULES = HistoryRules(CONFIG.history_min_dates, CONFIG.history_veil, CONFIG.history_shade)
DATES, SIZE = 10, 24
PATCH = (slice(8, 16), slice(8, 16))
# blue, nir, swir16; science 1.1 and field-moist soil
COAL = np.array([0.040, 0.046, 0.052])
GROUND = {
    "soil": np.array([0.100, 0.245, 0.330]),
    "concrete": np.array([0.218, 0.315, 0.338]),
    "forest": np.array([0.028, 0.340, 0.170]),
    "dry grass": np.array([0.070, 0.240, 0.300]),
    "spoil": np.array([0.066, 0.124, 0.186]),
}
SHADOW = np.array([0.50, 0.35, 0.31])
"""Light left in full shadow."""


def series(ground, patch=None, dates=(), seed=0):
    """Noisy dates of one kind of ground, with another spectrum on a patch on some of them."""
    rng = np.random.default_rng(seed)
    stack = np.broadcast_to(ground, (DATES, SIZE, SIZE, 3)).copy()
    for date in dates:
        stack[(date, *PATCH)] = patch
    return stack * (1 + rng.normal(0, 0.03, (DATES, 1, 1, 3))) + rng.normal(0, 0.004, stack.shape)


def departures(stack, usable=None, shadable=None):
    shape = stack.shape[:3]
    values = np.rint(np.moveaxis(stack, -1, 0) * 1e4).astype(np.int16)
    usable = np.ones(shape, bool) if usable is None else usable
    return sky_departures(values, (0, 1, 2), usable, np.ones(shape, bool) if shadable is None else shadable, RULES)


# --- median of the others ---


@given(st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_median_of_others_by_brute_force(dates, seed):
    rng = np.random.default_rng(seed)
    stack = rng.choice(np.array([0.1, 0.2, 0.2, 0.3, 0.7, np.nan], np.float32), (dates, 3, 4))
    found = median_of_others(stack)
    for place in np.ndindex(stack.shape):
        others = np.delete(stack[:, *place[1:]], place[0])
        others = others[np.isfinite(others)]
        if np.isnan(stack[place]) or others.size == 0:
            assert np.isnan(found[place])
        else:
            assert found[place] == pytest.approx(np.median(others))


# --- sky ---


@pytest.mark.parametrize("ground", GROUND)
def test_a_lone_cloud_is_dropped_and_nothing_else(ground):
    cloud = GROUND[ground] * 0.7 + 0.3 * np.array([0.47, 0.52, 0.38])
    veiled, shaded = departures(series(GROUND[ground], cloud, dates=[4]))
    assert veiled[(4, *PATCH)].mean() > 0.95
    veiled[(4, *PATCH)] = False
    veiled[4, 5:19, 5:19] = False  # its rim
    assert not veiled.any()
    assert not shaded.any()


def test_a_veil_over_coal_is_dropped_on_any_date():
    haze = COAL + 0.045 * np.array([1.0, 0.36, 0.12])
    for date in range(DATES):
        veiled, _ = departures(series(COAL, haze, dates=[date]))
        assert veiled[(date, *PATCH)].mean() > 0.95
        assert veiled[:, :4].sum() == 0


def test_a_lone_shadow_between_two_dates_is_dropped():
    for ground in ("soil", "forest", "concrete", "dry grass"):
        _, shaded = departures(series(GROUND[ground], GROUND[ground] * SHADOW, dates=[5]))
        assert shaded[(5, *PATCH)].mean() > 0.95, ground
        assert not shaded[[4, 6]].any()
    # Nothing can have cast it, or the ground is dark on most dates: it stays.
    stack = series(GROUND["soil"], GROUND["soil"] * SHADOW, dates=[5])
    assert not departures(stack, shadable=np.zeros(stack.shape[:3], bool))[1].any()


def test_single_pixels_are_no_sky():
    stack = series(GROUND["soil"])
    stack[4, 10, 10] = 0.6
    stack[5, 4, 4] *= SHADOW
    assert not np.any(departures(stack))


def test_the_rim_of_a_shadow_goes_with_it():
    """Half shaded pixels beside a shadow, within 30 m: not clear ground there, nor what cannot be shaded."""
    stack = series(GROUND["soil"], GROUND["soil"] * SHADOW, dates=[5])
    stack[5, 7, 8:16] *= 0.8
    _, shaded = departures(stack)
    assert shaded[5, 7, 9:15].all()
    assert not shaded[5, 6].any()
    dry = np.ones(stack.shape[:3], bool)
    dry[:, 7] = False
    assert not departures(stack, shadable=dry)[1][5, 7].any()
    late = np.ones(stack.shape[:3], bool)
    late[:5, 7] = False  # the first date these pixels are seen on: they may have been so all the time
    assert not departures(stack, late)[1][5, 7].any()


def test_trees_bare_for_one_date_are_no_shadow():
    bare = np.array([0.048, 0.165, 0.225])  # half the nir, more swir16
    assert not departures(series(GROUND["forest"], bare, dates=[5]))[1].any()


# --- change of the ground: never dropped, whatever cloud is in view ---


@pytest.mark.parametrize("ground", GROUND)
@pytest.mark.parametrize("first", range(DATES + 1))
def test_a_pile_that_comes_and_stays_is_kept(ground, first):
    assert not np.any(departures(series(GROUND[ground], COAL, dates=range(first, DATES), seed=first)))


@pytest.mark.parametrize("ground", GROUND)
@pytest.mark.parametrize("last", range(DATES))
def test_a_pile_that_goes_is_kept(ground, last):
    assert not np.any(departures(series(GROUND[ground], COAL, dates=range(last), seed=last)))


@pytest.mark.parametrize("first", range(DATES - 1))
def test_a_pile_of_two_dates_is_kept(first):
    assert not np.any(departures(series(GROUND["soil"], COAL, dates=[first, first + 1], seed=first)))


@pytest.mark.parametrize("dates", [(1, 8), (2, 5, 8), (0, 2, 4, 6, 8), (1, 3, 5, 7, 9)])
def test_a_pile_that_comes_and_goes_is_kept(dates):
    assert not np.any(departures(series(GROUND["soil"], COAL, dates=dates)))


@pytest.mark.parametrize("gone", range(DATES))
def test_ground_bared_for_one_date_is_not_taken_for_cloud(gone):
    """A pile that is away on one date: soil is brighter than coal, but not as white as cloud."""
    dates = [date for date in range(DATES) if date != gone]
    assert not np.any(departures(series(GROUND["soil"], COAL, dates=dates, seed=gone)))


def test_a_pile_of_one_date_is_kept_where_no_cloud_can_shade_it_and_is_taken_for_shadow_where_one_can():
    """The price of the rule: on a date with cloud towards the sun a pile of that date alone is not believed."""
    stack = series(GROUND["soil"], COAL, dates=[5])
    assert not np.any(departures(stack, shadable=np.zeros(stack.shape[:3], bool)))
    assert departures(stack)[1][(5, *PATCH)].mean() > 0.95


# --- what the history is made of ---


def test_too_few_dates_drop_nothing():
    cloud = GROUND["soil"] * 0.7 + 0.3 * 0.5
    stack = series(GROUND["soil"], cloud, dates=[1])
    usable = np.zeros(stack.shape[:3], bool)
    usable[:3] = True
    assert not np.any(departures(stack, usable))
    usable[:4] = True
    assert departures(stack, usable)[0][(1, *PATCH)].mean() > 0.95


def test_dates_already_hidden_do_not_speak():
    """A cloud the mask of one date found is no neighbour that agrees with the thin cloud of the date after."""
    cloud = GROUND["soil"] * 0.7 + 0.3 * 0.5
    stack = series(GROUND["soil"], cloud, dates=[4, 5])
    usable = np.ones(stack.shape[:3], bool)
    assert not departures(stack, usable)[0].any()
    usable[4] = False
    veiled = departures(stack, usable)[0]
    assert veiled[(5, *PATCH)].mean() > 0.95
    assert not veiled[4].any()


def test_strips_are_seamless():
    """Blocks are taller than the strips they are worked on in."""
    tall = np.tile(series(GROUND["soil"], GROUND["soil"] * SHADOW, dates=[5]), (1, 12, 1, 1))
    veiled, shaded = departures(tall)
    single = departures(tall[:, :SIZE])[1]
    assert np.array_equal(shaded[:, :SIZE], single)
    assert np.array_equal(shaded[:, 5 * SIZE : 6 * SIZE], single)
    assert not veiled.any()


# --- the compiled version ---


@given(st.integers(1, 26), st.integers(0, 2**32 - 1))
def test_it_is_the_specification_bit_by_bit(dates, seed):
    rng = np.random.default_rng(seed)
    shape = (dates, 30, 22)
    sky = ndimage.gaussian_filter(rng.standard_normal(shape), (0, 3, 3))
    sky /= sky.std()
    values = np.array([900.0, 2500.0, 2800.0]).reshape(3, 1, 1, 1) + rng.normal(0, 30, (3, *shape))
    values[0] += np.where(sky > 1, 600 * (sky - 1), 0)
    values[1:] *= np.where(sky < -1, 0.4, 1)
    # Equal values and few distinct ones, as of saturated ground.
    step = rng.choice([1, 200])
    values = (np.round(values / step) * step).astype(np.int16)
    usable, shadable = rng.random((2, *shape)) < rng.choice([0.3, 0.8, 1.0])
    bands = dict(zip(specification.BANDS, values.astype(np.float32) * np.float32(1e-4), strict=True))
    by_date = [{name: band[date] for name, band in bands.items()} for date in range(dates)]
    expected = specification.sky_departures(by_date, usable, shadable, RULES)
    # nir first, swir16 second, blue third
    found = sky_departures(values[[1, 2, 0]], (2, 0, 1), usable, shadable, RULES)
    for ours, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, wanted)
