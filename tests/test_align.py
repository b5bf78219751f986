"""Shifts of analytic scenes and of real imagery, known because they were put there."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipeline import align
from pipeline.align import Shift

DATA = Path(__file__).parents[2] / "shared" / "data"
SHAPE = (160, 180)
TENTH_PX_M = 1.0
"""A tenth of a pixel of 10 m."""
LIMIT_M = 1.5
"""What a shift may be off by: 0.15 px."""


def analytic(
    shift_x_m: float = 0.0, shift_y_m: float = 0.0, seed: int = 0, shape: tuple[int, int] = SHAPE
) -> np.ndarray:
    """Return smooth fields and dark piles, evaluated exactly where the shifted grid sees them: no resampling.

    What lies at ground point p of the unshifted scene appears at p + shift.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape, dtype=float)
    x_m, y_m = 10 * columns - shift_x_m, -10 * rows - shift_y_m
    image = np.full(shape, 0.12)
    extent = 10 * max(shape)
    for _ in range(60):
        centre = rng.uniform(-0.1, 1.1, 2) * extent
        width = rng.uniform(25, 120, 2)
        height = rng.uniform(-0.05, 0.07)
        edge = np.abs((x_m - centre[0]) / width[0]) ** 3 + np.abs((y_m + centre[1]) / width[1]) ** 3
        image += height * np.exp(-edge)
    return image.astype(np.float32)


def estimate_shift(reference: np.ndarray, scene: np.ndarray, clear: np.ndarray) -> Shift | None:
    """Shift of one band, or of bands where the images have a third axis."""
    stacks = (image if image.ndim == 3 else image[None] for image in (reference, scene))
    return align.estimate_shift(*stacks, clear)


def all_clear(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, dtype=bool)


def error_m(found: Shift | None, x_m: float, y_m: float) -> float:
    assert found is not None
    return float(np.hypot(found.x_m - x_m, found.y_m - y_m))


SHIFTS = [(0.0, 0.0), (3.0, 0.0), (0.0, 3.0), (-4.3, 7.7), (12.6, -9.1), (-16.0, -16.0), (25.0, 20.0), (-0.7, 0.4)]


@pytest.mark.parametrize(("x_m", "y_m"), SHIFTS)
def test_shift_of_an_analytic_scene(x_m, y_m):
    reference = analytic()
    assert error_m(estimate_shift(reference, analytic(x_m, y_m), all_clear(reference)), x_m, y_m) < TENTH_PX_M / 4


def test_sign_is_where_the_ground_of_the_reference_is_seen():
    """A single dark block one pixel further east and two further north: content at p + shift."""
    reference = np.full((60, 60), 0.2, dtype=np.float32)
    reference[28:36, 20:30] = 0.05
    scene = np.full((60, 60), 0.2, dtype=np.float32)
    scene[26:34, 21:31] = 0.05
    found = estimate_shift(reference, scene, all_clear(reference))
    assert (found.x_m, found.y_m) == (pytest.approx(10.0, abs=0.1), pytest.approx(20.0, abs=0.1))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(-22, 22), st.floats(-22, 22), st.integers(0, 10_000))
def test_any_shift_within_noise_gain_and_offset(x_m, y_m, seed):
    """Another date: other light, another offset, noise of 0.004 in every pixel of three bands."""
    rng = np.random.default_rng(seed)
    reference = analytic(seed=seed) + rng.normal(0, 0.004, (3, *SHAPE)).astype(np.float32)
    scene = 1.3 * analytic(x_m, y_m, seed) + 0.03 + rng.normal(0, 0.004, (3, *SHAPE))
    assert error_m(estimate_shift(reference, scene.astype(np.float32), all_clear(scene[0])), x_m, y_m) < LIMIT_M


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.floats(-15, 15), st.floats(-15, 15), st.integers(0, 10_000))
def test_swapping_scene_and_reference_turns_the_shift_round(x_m, y_m, seed):
    a, b = analytic(seed=seed), analytic(x_m, y_m, seed)
    forth, back = estimate_shift(a, b, all_clear(a)), estimate_shift(b, a, all_clear(a))
    assert np.hypot(forth.x_m + back.x_m, forth.y_m + back.y_m) < TENTH_PX_M / 2


def test_a_mask_is_a_mask_cloud_and_no_data_move_nothing():
    reference, scene = analytic(), analytic(6.0, -4.0)
    clear = all_clear(reference)
    for at in (np.s_[20:70, 30:90], np.s_[100:140, 110:160]):
        scene[at] = 0.8  # clouds with edges far sharper than the ground's
        clear[at] = False
    scene[:, 150:] = np.nan  # the edge of a swath
    assert error_m(estimate_shift(reference, scene, clear), 6.0, -4.0) < TENTH_PX_M
    # The test can fail: without the mask the clouds, which are not in the reference, spoil it.
    unmasked = estimate_shift(reference, scene, all_clear(reference))
    assert unmasked is None or error_m(unmasked, 6.0, -4.0) > error_m(
        estimate_shift(reference, scene, clear), 6.0, -4.0
    )


def test_changed_ground_is_let_go():
    """A new pile and a cleared field are no reason to move the scene."""
    reference, scene = analytic(), analytic(5.0, 5.0)
    scene[30:50, 40:70] = 0.04
    scene[90:120, 100:115] = 0.35
    assert error_m(estimate_shift(reference, scene, all_clear(reference)), 5.0, 5.0) < TENTH_PX_M


def test_standard_error_holds_the_truth_as_often_as_it_says():
    """Shifts drawn by lot, three bands under a veil and a fifth of the ground changed: 95 % within 1.96 sigma."""
    inside, sigmas = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        noise = rng.uniform(0.001, 0.004)
        x_m, y_m = rng.uniform(-12, 12, 2)
        clean = analytic(x_m, y_m, seed)
        clean[:, :36] = analytic(seed=1000 + seed)[:, :36]
        veil = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), 25)
        reference = analytic(seed=seed) + rng.normal(0, noise, (3, *SHAPE))
        scene = rng.uniform(0.8, 1.2) * clean + 0.02 * veil / veil.std() + rng.normal(0, noise, (3, *SHAPE))
        found = estimate_shift(reference.astype(np.float32), scene.astype(np.float32), all_clear(clean))
        inside += [abs(found.x_m - x_m) < 1.96 * found.sigma_x_m, abs(found.y_m - y_m) < 1.96 * found.sigma_y_m]
        sigmas += [found.sigma_x_m, found.sigma_y_m]
    assert 0.9 <= np.mean(inside) < 0.995
    assert min(sigmas) >= 0.2
    assert np.median(sigmas) < 1.0


def test_standard_error_grows_with_the_noise_and_falls_with_the_ground_seen():
    rng = np.random.default_rng(1)
    said = []
    for noise, seen in ((0.001, np.s_[:, :]), (0.006, np.s_[:, :]), (0.006, np.s_[20:120, 20:120])):
        reference = analytic() + rng.normal(0, noise, SHAPE)
        scene = analytic(3.0, 2.0) + rng.normal(0, noise, SHAPE)
        clear = np.zeros(SHAPE, dtype=bool)
        clear[seen] = True
        said.append(estimate_shift(reference.astype(np.float32), scene.astype(np.float32), clear).sigma_x_m)
    assert 1.5 * said[0] < said[1] < said[2]


def test_a_band_without_common_edges_is_left_out():
    """One band shows other ground on both dates; the two others place the scene."""
    rng = np.random.default_rng(2)
    reference, scene = (np.stack([analytic(*shift)] * 3) for shift in ((0.0, 0.0), (6.0, -3.0)))
    reference[1], scene[1] = rng.normal(0.1, 0.02, (2, *SHAPE))
    assert error_m(estimate_shift(reference, scene, all_clear(reference[0])), 6.0, -3.0) < TENTH_PX_M / 2


@pytest.mark.parametrize(
    "case", ["nothing clear", "too little clear", "no data", "flat", "other ground", "only beyond the border"]
)
def test_nothing_in_common_is_none(case):
    reference, scene = analytic(), analytic(3.0, 0.0)
    clear = all_clear(reference)
    if case == "nothing clear":
        clear[:] = False
    elif case == "too little clear":
        clear[:] = False
        clear[50:71, 50:71] = True  # 21 by 21: what is left inside of it holds no scene in place
    elif case == "no data":
        scene[:] = np.nan
    elif case == "flat":
        scene[:] = 0.1
    elif case == "other ground":
        scene = np.random.default_rng(1).normal(0.1, 0.02, SHAPE).astype(np.float32)
    else:
        clear[10:-10, 10:-10] = False
    assert estimate_shift(reference, scene, clear) is None


def test_inputs_are_left_as_they_are():
    reference, scene = analytic(), analytic(3.0, 0.0)
    scene[5, 5] = np.nan
    clear = all_clear(reference)
    before = reference.copy(), scene.copy(), clear.copy()
    estimate_shift(reference, scene, clear)
    for was, now in zip(before, (reference, scene, clear), strict=True):
        np.testing.assert_array_equal(was, now)


def boadella(date: str, band: str) -> np.ndarray:
    path = DATA / "boadella" / f"S2_boadella_{date}" / f"{band}.tif"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    with rasterio.open(path) as file:
        return (file.read(1) * 1e-4).astype(np.float32)


@pytest.mark.parametrize(("x_m", "y_m"), [(4.0, -3.0), (-13.0, 8.5), (0.0, 0.0)])
@pytest.mark.parametrize("band", ["B04", "B11"])
def test_shift_put_into_real_imagery(band, x_m, y_m):
    """Real reservoir and hills; moved by Fourier phase in a window cut from the middle, with cloud and noise put in."""
    whole = boadella("20210716", band)
    moved = np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(whole), (-y_m / 10, x_m / 10))).real
    rng = np.random.default_rng(5)
    inner = np.s_[60:-60, 60:-60]
    reference = whole[inner]
    scene = (0.9 * moved[inner] + 0.01 + rng.normal(0, 0.003, reference.shape)).astype(np.float32)
    clear = all_clear(reference)
    scene[40:120, 60:150], clear[40:120, 60:150] = 0.7, False
    assert error_m(estimate_shift(reference, scene, clear), x_m, y_m) < TENTH_PX_M


SEASON = ("20200621", "20210626", "20210716", "20220308")
"""Dates with the sun within 55 degrees of the zenith, as the pipeline uses them."""


def ten_metre_bands(date: str) -> np.ndarray:
    return np.stack([boadella(date, band) for band in ("B03", "B04", "B08")])


def coarse(image: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means of 3 by 3 pixels on a lattice that begins (rows, columns) further in: a shift of thirds of a pixel."""
    height, width = ((size - 6) // 3 * 3 for size in image.shape[-2:])
    cut = image[..., 3 + rows : 3 + rows + height, 3 + columns : 3 + columns + width]
    return cut.reshape(*image.shape[:-2], height // 3, 3, width // 3, 3).mean(axis=(-3, -1)).astype(np.float32)


@pytest.mark.slow
def test_thirds_of_a_pixel_between_real_dates_without_any_interpolation():
    """Both lattices are sampled from pixels as they are; what two dates differ by anyway is taken off."""
    off = []
    for first, last in itertools.permutations(SEASON, 2):
        reference = coarse(ten_metre_bands(first), 0, 0)
        whole = ten_metre_bands(last)
        clear = all_clear(reference[0])
        still = estimate_shift(reference, coarse(whole, 0, 0), clear)
        for rows, columns in ((1, 0), (0, 1), (-1, 2), (2, -2)):
            found = estimate_shift(reference, coarse(whole, rows, columns), clear)
            off.append((found.x_m - still.x_m + columns * 10 / 3, found.y_m - still.y_m - rows * 10 / 3))
    assert np.sqrt(np.mean(np.square(off), axis=0)).max() < 0.3
    assert np.quantile(np.abs(off), 0.95) < 0.6


@pytest.mark.slow
def test_real_dates_agree_among_themselves():
    """Closure: the shift from the first date to the last is the sum of the two between, for every three dates."""
    images = {date: ten_metre_bands(date) for date in SEASON}
    clear = all_clear(images[SEASON[0]][0])
    pairs = {(a, b): estimate_shift(images[a], images[b], clear) for a, b in itertools.combinations(SEASON, 2)}
    rings = [(pairs[a, b], pairs[b, c], pairs[a, c]) for a, b, c in itertools.combinations(SEASON, 3)]
    off = np.array([(ab.x_m + bc.x_m - ac.x_m, ab.y_m + bc.y_m - ac.y_m) for ab, bc, ac in rings])
    assert np.sqrt(np.mean(off**2, axis=0)).max() < 0.5
    said = np.array([np.hypot.reduce([(s.sigma_x_m, s.sigma_y_m) for s in ring]) for ring in rings])
    assert np.mean(np.abs(off) < 1.96 * said) >= 0.9
