"""The compiled clear mask against its plain numpy specification: the same codes, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagery_fixture import an_image
from scipy import ndimage
from specification import clear as plain

from pipeline import clear
from pipeline.config import ClearConfig

SHAPES = st.tuples(st.integers(1, 90), st.integers(1, 90))
AZIMUTHS = st.one_of(st.floats(0, 360), st.sampled_from([0.0, 90.0, 180.0, 270.0]))
CONFIGS = st.builds(
    ClearConfig,
    cloud_dilate_m=st.floats(0, 300),
    shadow_dilate_m=st.floats(0, 200),
    shadow_reach_m=st.one_of(st.just(0.0), st.floats(0, 2000), st.just(8000.0)),
)
BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")


def patches(rng, shape, size=3.0):
    """Return smooth noise of standard deviation 1, in patches of so many pixels."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), size)
    return field / max(field.std(), 1e-9)


def a_picture(seed, shape, *, with_classes):
    """Return ground, lakes, clouds, snow and holes, near every limit the colours are held against."""
    rng = np.random.default_rng(seed)
    bright = 0.12 + 0.15 * patches(rng, shape)
    bands = {band: bright + 0.05 * patches(rng, shape) + rng.normal(0, 0.01, shape) for band in BANDS}
    bands["swir16"] = bands["swir16"] - 0.2 * (patches(rng, shape) > 1)
    bands[BANDS[seed % 6]][rng.random(shape) < 0.01] = np.nan
    scl = rng.integers(2, 8, shape).astype(np.uint8)
    for low, kinds in ((1.0, (8, 9, 10)), (1.4, (3,)), (1.8, (11,)), (2.2, (0, 1))):
        where = patches(rng, shape) > low + rng.normal(0, 0.3)
        scl[where] = rng.choice(kinds, where.sum())
    return an_image(shape, scl if with_classes else None, **bands)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), SHAPES, AZIMUTHS, CONFIGS, st.booleans())
def test_codes(seed, shape, azimuth, config, with_classes):
    image = a_picture(seed, shape, with_classes=with_classes)
    codes = clear.classify(image, azimuth, config)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, plain.classify(image, azimuth, config))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SHAPES, AZIMUTHS, CONFIGS)
def test_codes_by_another_mask(seed, shape, azimuth, config):
    image = a_picture(seed, shape, with_classes=False)
    rng = np.random.default_rng(seed + 1)
    found = patches(rng, shape) > 1.2, patches(rng, shape) > 1.2
    expected = plain.classify(image, azimuth, config, found)
    np.testing.assert_array_equal(clear.classify(image, azimuth, config, found), expected)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), SHAPES, AZIMUTHS, st.floats(0, 3000), st.floats(-1, 4))
def test_what_can_be_shaded(seed, shape, azimuth, reach_m, rarity):
    cloud = patches(np.random.default_rng(seed), shape, 1.0) > rarity
    expected = plain.can_be_shaded(cloud, azimuth, reach_m)
    np.testing.assert_array_equal(clear.can_be_shaded(cloud, azimuth, reach_m), expected)


def test_shadow_by_colour_is_found_in_some_pictures_and_alike():
    """Dark ground where the clouds would cast it: both ways find it, and the same pixels."""
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        shape = (120, 150)
        cloud = patches(rng, shape, 6) > 1.2
        dark = np.roll(cloud, (25, -18), (0, 1)) & ~cloud
        bands = {band: np.where(dark, 0.05, 0.3) + rng.normal(0, 0.02, shape) for band in ("nir", "swir16")}
        bands = {band: values.astype(np.float32) for band, values in bands.items()}
        about = bands, cloud, ~cloud, 35.0, 3000.0
        expected = plain.spectral_shadow(*about)
        np.testing.assert_array_equal(clear.spectral_shadow(*about), expected)
        found += expected.any()
    assert found > 10


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SHAPES)
def test_cloud_and_snow_by_colour(seed, shape):
    bands = a_picture(seed, shape, with_classes=False).bands
    for found, expected in zip(clear.spectral_cloud_and_snow(bands), plain.spectral_cloud_and_snow(bands), strict=True):
        np.testing.assert_array_equal(found, expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), SHAPES)
def test_veil(seed, shape):
    image = a_picture(seed, shape, with_classes=True)
    usable = np.isfinite(np.sum(list(image.bands.values()), axis=0)) & (image.scl < 7)
    expected = plain.veil(image.bands, usable)
    assert clear.veil(image.bands, usable) == pytest.approx(expected, abs=1e-7, nan_ok=True)


def test_normalized_difference_of_the_specification_by_hand():
    a = np.array([0.3, 0.1, 0.0, -0.01, 0.01, np.nan, 0.2], dtype=np.float32)
    b = np.array([0.1, 0.3, 0.0, 0.005, -0.005, 0.1, np.nan], dtype=np.float32)
    out = plain.normalized_difference(a, b)
    assert out.dtype == np.float32
    assert out[:2] == pytest.approx([0.5, -0.5])
    # Nothing there, noise below nothing, and no data on either side: no ratio. Noise above nothing has one.
    assert np.isnan(out[[2, 3, 5, 6]]).all()
    assert out[4] == pytest.approx(3.0)
