"""Persistence over a year, the objects it makes and their families through the years, as properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from specification import objects as specification

from models.stockpile import ObjectRules, detect, families, marks, objects_and_water, persistence_interval

RULES = ObjectRules(seed=0.6, grow=0.35, min_px=4, min_dates=6, water_share_max=0.3, shore_px=2)
SHAPE = (12, 14)
MASKS = arrays(bool, SHAPE)
SHARES = arrays(
    np.float32, SHAPE, elements=st.sampled_from([np.float32(x) for x in (0, 0.2, 0.35, 0.5, 0.6, 0.9, np.nan)])
)


def grid(value, dtype=np.float32):
    return np.full(SHAPE, value, dtype=dtype)


def found(share, *, clear=8, water=0.0, **changes):
    return detect(share, grid(clear, np.int64), grid(water), ObjectRules(**{**vars(RULES), **changes}))


def painted(*boxes):
    """Share of 0 but where (rows, columns, value) say."""
    share = grid(0.0)
    for rows, columns, value in boxes:
        share[slice(*rows), slice(*columns)] = value
    return share


# --- persistence ---


def test_interval_by_hand():
    """Jeffreys (Brown, Cai and DasGupta 2001): with 0 of n the upper end u solves I_u(1/2, n + 1/2) = 0.975.

    For one date the beta density of (1/2, 3/2) has the distribution (2/pi)(asin(sqrt x) + sqrt(x(1 - x))).
    """
    share, low, high = persistence_interval(np.array([0, 1]), np.array([1, 1]))
    x = float(high[0])
    assert 2 / np.pi * (np.arcsin(np.sqrt(x)) + np.sqrt(x * (1 - x))) == pytest.approx(0.975, abs=1e-5)
    assert (share[0], low[0]) == (0.0, 0.0)
    assert (share[1], high[1]) == (1.0, 1.0)
    assert low[1] == pytest.approx(1 - x, abs=1e-6)


def test_interval_as_published():
    """Brown, Cai and DasGupta 2001, table 5: n = 7..8 at 95 %."""
    _, low, high = persistence_interval(np.array([2, 6, 4]), np.array([8, 8, 8]))
    assert [round(float(v), 3) for v in low] == [0.056, 0.408, 0.199]
    assert [round(float(v), 3) for v in high] == [0.592, 0.944, 0.801]


@given(st.integers(0, 40), st.integers(0, 40))
def test_interval_holds_the_share_and_mirrors(hits, misses):
    n = hits + misses
    share, low, high = persistence_interval(np.array([hits, misses]), np.array([n, n]))
    if n == 0:
        assert np.isnan([share, low, high]).all()
        return
    assert 0 <= low[0] <= share[0] <= high[0] <= 1
    assert low[0] == pytest.approx(1 - high[1], abs=1e-5)


def test_interval_covers():
    rng = np.random.default_rng(0)
    for p in (0.2, 0.5, 0.6):
        hits = rng.binomial(9, p, 20_000)
        _, low, high = persistence_interval(hits, np.full(hits.shape, 9))
        assert np.mean((low <= p) & (p <= high)) > 0.90


# --- objects ---


def test_hysteresis_keeps_the_skirt_of_a_seed_and_nothing_without_one():
    share = painted(((1, 4), (1, 6), 0.4), ((2, 3), (2, 3), 0.6), ((7, 10), (1, 6), 0.5))
    assert found(share).sum() == 15
    assert not found(share)[7:].any()


def test_limits_are_inclusive():
    assert found(painted(((1, 3), (1, 3), 0.6))).sum() == 4
    assert found(painted(((1, 3), (1, 3), 0.35), ((1, 2), (1, 2), 0.6))).sum() == 4
    assert found(painted(((1, 3), (1, 3), 0.6)), min_px=5).sum() == 0
    assert found(painted(((1, 3), (1, 3), 0.6)), clear=6).sum() == 4
    assert found(painted(((1, 3), (1, 3), 0.6)), clear=5).sum() == 0
    assert found(painted(((1, 3), (1, 3), 0.6)), water=0.3).sum() == 4
    assert found(painted(((1, 3), (1, 3), 0.6)), water=0.31).sum() == 0


def test_corners_connect():
    share = painted(((1, 3), (1, 3), 0.6), ((3, 5), (3, 5), 0.4))
    assert found(share, min_px=8).sum() == 8


def test_ground_at_the_shore_is_left_out():
    share, water = painted(((0, 12), (4, 10), 0.9)), grid(0.0)
    water[:, :4] = 1.0
    columns = np.flatnonzero(detect(share, grid(8, np.int64), water, RULES).any(axis=0))
    assert columns.tolist() == [6, 7, 8, 9]
    none = ObjectRules(**{**vars(RULES), "shore_px": 0})
    assert np.flatnonzero(detect(share, grid(8, np.int64), water, none).any(axis=0)).tolist() == list(range(4, 10))


@given(
    SHARES,
    arrays(np.int64, SHAPE, elements=st.integers(0, 9)),
    arrays(np.float32, SHAPE, elements=st.sampled_from([np.float32(0), np.float32(0.5)])),
)
def test_objects_obey_every_rule(share, clear, water):
    objects = detect(share, clear, water, RULES)
    assert not (objects & ~(share >= RULES.grow)).any()
    assert not (objects & (clear < RULES.min_dates)).any()
    assert not (objects & (specification.lasting_water(water, RULES))).any()
    labels, count = ndimage.label(objects, structure=np.ones((3, 3)))
    for label in range(1, count + 1):
        assert (labels == label).sum() >= RULES.min_px
        assert (share[labels == label] >= RULES.seed).any()


@given(SHARES, SHARES)
def test_more_persistence_never_loses_ground(a, b):
    a = np.nan_to_num(a)
    assert not (found(a) & ~found(np.fmax(a, b))).any()


@given(SHARES, st.integers(4, 30))
def test_a_larger_least_size_only_removes(share, least):
    assert not (found(share, min_px=least) & ~found(share)).any()


@given(SHARES)
def test_no_data_is_never_an_object_and_turning_the_map_turns_the_objects(share):
    objects = found(share)
    assert not objects[np.isnan(share)].any()
    np.testing.assert_array_equal(found(share[::-1, ::-1])[::-1, ::-1], objects)


DATES = st.lists(st.tuples(MASKS, MASKS), min_size=6, max_size=9)


def year(dates):
    """Share, clear count and water share of dates of (hit, clear)."""
    clear = np.sum([c for _, c in dates], axis=0)
    hits = np.sum([h & c for h, c in dates], axis=0)
    share, _, _ = persistence_interval(hits, clear)
    return detect(share, clear, grid(0.0), RULES)


@settings(max_examples=30)
@given(DATES, st.randoms(use_true_random=False))
def test_the_order_of_dates_is_nothing(dates, random):
    shuffled = list(dates)
    random.shuffle(shuffled)
    np.testing.assert_array_equal(year(dates), year(shuffled))


@settings(max_examples=30)
@given(DATES, MASKS)
def test_a_date_under_cloud_changes_nothing(dates, hit):
    np.testing.assert_array_equal(year(dates), year([*dates, (hit, np.zeros(SHAPE, dtype=bool))]))


# --- families ---


def test_piles_that_touch_in_any_year_are_one_family():
    masks = np.zeros((3, *SHAPE), dtype=bool)
    masks[0, 1:3, 1:3] = True
    masks[1, 3:5, 3:5] = True  # touches the first at a corner
    masks[2, 9:11, 9:11] = True
    labels, count = families(masks)
    assert count == 2
    assert labels[1, 1] == labels[4, 4] != labels[9, 9]
    assert labels.dtype == np.int32


@given(arrays(bool, (3, *SHAPE)))
def test_families_cover_every_object_once_whatever_the_order_of_years(masks):
    labels, count = families(masks)
    np.testing.assert_array_equal(labels > 0, masks.any(axis=0))
    assert set(np.unique(labels)) - {0} == set(range(1, count + 1))
    again, _ = families(masks[::-1])
    np.testing.assert_array_equal(labels, again)
    # Neighbours, corners too, are of one family.
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shifted = np.roll(labels, (-down, -right), (0, 1))
        both = (labels > 0) & (shifted > 0)
        both[-1:, :] &= down == 0
        if right:
            both[:, -1 if right > 0 else 0] = False
        assert (labels[both] == shifted[both]).all()


def test_a_lone_wet_pixel_in_a_pile_is_no_water():
    """Noise makes the darkest coal look like water on a few dates; a body of 0.1 ha is believed."""
    share, water = painted(((2, 9), (2, 9), 0.9)), grid(0.0)
    water[5, 5] = 0.5
    assert detect(share, grid(8, np.int64), water, RULES)[5, 5]
    water[4:7, 4:8] = 0.5
    assert not detect(share, grid(8, np.int64), water, RULES)[5, 5]


@given(
    SHARES,
    arrays(np.int64, SHAPE, elements=st.integers(4, 9)),
    arrays(np.float32, SHAPE, elements=st.sampled_from([np.float32(x) for x in (0, 0, 0.3, 0.5, np.nan)])),
    st.integers(1, 6),
    st.integers(0, 3),
)
def test_objects_and_water_are_those_of_the_specification(share, clear, water, least, shore):
    rules = ObjectRules(**{**vars(RULES), "min_px": least, "shore_px": shore})
    objects, wet = objects_and_water(marks(share, clear, water, rules), rules)
    np.testing.assert_array_equal(objects, specification.detect(share, clear, water, rules))
    np.testing.assert_array_equal(wet, specification.lasting_water(water, rules))
