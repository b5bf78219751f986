"""Dilation by a disk against the exact distance transform of scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from models._disk_kernels import within


def by_distance(mask, radius_px):
    return ndimage.distance_transform_edt(~mask) <= radius_px if mask.any() else mask


RADII = st.one_of(
    st.floats(0, 120),
    st.integers(0, 20_000).map(np.sqrt),  # a pixel's exact distance, and the numbers next to it
    st.integers(1, 20_000).map(lambda square: np.nextafter(np.sqrt(square), 0)),
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([0.0, 0.001, 0.02, 0.3, 0.97]), RADII, st.integers(0))
def test_within_is_the_distance_transform_compared(rows, columns, share, radius_px, seed):
    mask = np.random.default_rng(seed).random((rows, columns)) < share
    np.testing.assert_array_equal(within(mask, radius_px), by_distance(mask, radius_px))


def test_a_radius_of_more_than_a_byte_holds():
    mask = np.zeros((700, 9), dtype=bool)
    mask[0, 0] = True
    for radius_px in (253.0, 254.0, 255.0, 256.0, 300.5, 698.0):
        np.testing.assert_array_equal(within(mask, radius_px), by_distance(mask, radius_px))


def test_radii_beyond_all_reason_and_a_mask_of_bytes():
    mask = np.zeros((5, 40), dtype=np.uint8)
    mask[2, 3] = 7
    assert within(mask, np.inf).all()
    assert within(mask, 1e300).all()
    assert not within(mask, -1e-9).any()
    assert not within(mask, np.nan).any()
    np.testing.assert_array_equal(within(mask, 0.0), mask > 0)
    assert not within(mask[:0], 3.0).size


@pytest.mark.parametrize("view", [np.s_[::2, ::3], np.s_[::-1, :], np.s_[:, 5:30]])
def test_a_view_is_grown_as_its_copy_and_left_as_it_is(view):
    mask = np.random.default_rng(1).random((60, 50)) < 0.02
    before = mask.copy()
    np.testing.assert_array_equal(within(mask[view], 4.2), by_distance(mask[view].copy(), 4.2))
    np.testing.assert_array_equal(mask, before)
