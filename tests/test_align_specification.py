"""The compiled shift against its plain numpy specification: the same metres, far within their standard error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from specification import align as plain
from test_align import SEASON, all_clear, analytic, boadella, ten_metre_bands

from pipeline import align
from pipeline.align import Shift, estimate_shift
from pipeline.kernels.align import ranked, sum_around

ALIKE_M = 0.02
"""The iteration ends at steps of a five-hundredth of a pixel; one of the two may take another step."""
POOR = 0.1
"""Share of the standard error they may differ by where few edges are left and the last steps are longer."""


def same(found: Shift | None, expected: Shift | None) -> None:
    assert (found is None) == (expected is None), (found, expected)
    if found is not None:
        limit_m = ALIKE_M + POOR * max(expected.sigma_x_m, expected.sigma_y_m)
        for axis in ("x_m", "y_m", "sigma_x_m", "sigma_y_m"):
            assert getattr(found, axis) == pytest.approx(getattr(expected, axis), abs=limit_m), axis


def test_scenes_as_they_mostly_are():
    """Where nothing is hidden or new the two differ by less than a millimetre."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        images = (analytic(*shift, seed) for shift in ((0.0, 0.0), rng.uniform(-20, 20, 2)))
        first, last = (
            np.stack([image * light for light in (1.0, 1.3, 0.7)])
            + rng.normal(0, 0.002, (3, *image.shape)).astype(np.float32)
            for image in images
        )
        for pixel_m in (10.0, 20.0):
            found, expected = (way.estimate_shift(first, last, all_clear(first[0]), pixel_m) for way in (align, plain))
            for axis in ("x_m", "y_m", "sigma_x_m", "sigma_y_m"):
                assert getattr(found, axis) == pytest.approx(getattr(expected, axis), abs=1e-3), axis


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1), st.tuples(st.integers(30, 150), st.integers(30, 150)),
    st.floats(-30, 30), st.floats(-30, 30), st.sampled_from([10.0, 20.0]), st.integers(1, 3),
)  # fmt: skip
def test_scenes_with_noise_cloud_new_ground_and_holes(seed, shape, x_m, y_m, pixel_m, bands):
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.0005, 0.003)
    reference, scene = (
        np.stack([analytic(*shift, seed % 1000, shape) * light for light in (1.0, 1.3, 0.7)[:bands]])
        for shift in ((0.0, 0.0), (x_m, y_m))
    )
    reference, scene = (image + rng.normal(0, noise, image.shape).astype(np.float32) for image in (reference, scene))
    clear = all_clear(scene[0])
    for _ in range(rng.integers(0, 3)):
        row, column = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        at = np.s_[row : row + shape[0] // 5, column : column + shape[1] // 5]
        scene[:, *at], clear[at] = 0.8, False
    scene[0, :, : rng.integers(0, 10)] = np.nan
    scene[:, -shape[0] // 6 :] = rng.choice([1.0, 0.0]) * scene[:, -shape[0] // 6 :] + 0.01
    same(estimate_shift(reference, scene, clear, pixel_m), plain.estimate_shift(reference, scene, clear, pixel_m))


@pytest.mark.parametrize("date", SEASON[1:])
def test_real_dates(date):
    for first, last, pixel_m in (
        (ten_metre_bands(SEASON[0]), ten_metre_bands(date), 10.0),
        (boadella(SEASON[0], "B11")[None], boadella(date, "B11")[None], 20.0),
    ):
        clear = all_clear(first[0])
        clear[100:160, 80:200] = False
        same(estimate_shift(first, last, clear, pixel_m), plain.estimate_shift(first, last, clear, pixel_m))


def waves(shape, shift_m, seed=3):
    """Return ground of many waves of 60 to 300 m, evaluated exactly where it lies."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape, dtype=float)
    x_m, y_m = 10 * columns - shift_m[0], -10 * rows - shift_m[1]
    image = np.full(shape, 0.2)
    for _ in range(24):
        length_m, heading, begin = rng.uniform(60, 300), rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
        image += 0.01 * np.cos((x_m * np.sin(heading) + y_m * np.cos(heading)) * 2 * np.pi / length_m + begin)
    return image


def test_a_large_picture_whose_rows_are_thinned():
    """Medians of every third row: the difference is less than a hundredth of the least standard error, 0.2 m."""
    rng, shape = np.random.default_rng(5), (1000, 900)
    first, last = (
        (waves(shape, shift_m) + rng.normal(0, 0.002, shape)).astype(np.float32)[None]
        for shift_m in ((0.0, 0.0), (13.1, -7.4))
    )
    found, expected = (way.estimate_shift(first, last, all_clear(first[0])) for way in (align, plain))
    for axis, truth in (("x_m", 13.1), ("y_m", -7.4)):
        assert getattr(found, axis) == pytest.approx(getattr(expected, axis), abs=2e-3), axis
        assert getattr(found, axis) == pytest.approx(truth, abs=0.2), axis


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 60), st.integers(1, 60)), st.integers(0, 15))
def test_sum_around_every_pixel(seed, shape, reach):
    rng = np.random.default_rng(seed)
    image, on = rng.random(shape).astype(np.float32), (rng.random(shape) < 0.8).astype(np.float32)
    image[rng.random(shape) < 0.1] = np.nan
    found = np.empty_like(image)
    sum_around(image, on, 2 * reach + 1, found)
    known = np.where(np.isfinite(image), image, 0) * on.astype(np.float64)
    expected = ndimage.uniform_filter(known, 2 * reach + 1, mode="reflect") * (2 * reach + 1) ** 2
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(-3, 3), st.floats(-2, 2))
def test_rank_of_what_a_fit_leaves(seed, share, gain, offset):
    rng = np.random.default_rng(seed)
    here, there = rng.gamma(1.0, 0.5, (2, 31, 17)).astype(np.float32)
    on = (rng.random(here.shape) < 0.8).astype(np.float32)
    fit = np.array([gain, offset, 0.0], dtype=np.float32)
    left = np.sort(np.abs(here - fit[1] - fit[0] * there)[on > 0])
    rank = share * (left.size - 1)
    found = ranked(here, there, on, fit, 1, rank)
    low, high = left[int(rank)], left[min(int(rank) + 1, left.size - 1)]
    assert low * (1 - 1 / 512) <= found <= high * (1 + 1 / 512)
