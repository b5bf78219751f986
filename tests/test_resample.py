"""Against GDAL's warp, arithmetic by hand and images whose true values are known everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject
from specification.resample import look_up

from pipeline.resample import _look_up, _places, resample
from pipeline.types import Grid

UTM = CRS.from_epsg(32652)
GRID = Grid(32652, 400_000.0, 4_300_000.0, 60, 40)


def lattice(resolution_m, margin_m=60.0):
    """Transform and shape of a raster that covers the grid and a margin."""
    left, bottom, right, top = GRID.bounds
    shape = tuple(round((edge + 2 * margin_m) / resolution_m) for edge in (top - bottom, right - left))
    return Affine(resolution_m, 0, left - margin_m, 0, -resolution_m, top + margin_m), shape


def warped(pixels, transform, shift, method):
    out = np.full(GRID.shape, np.nan, np.float32)
    reproject(
        pixels, out, src_transform=transform, src_crs=UTM, dst_transform=Affine.translation(*shift) @ GRID.transform,
        dst_crs=UTM, src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling[method],
    )  # fmt: skip
    return out


def field(x, y):
    """Smooth ground, known everywhere (metres)."""
    return 2000 + 600 * np.sin(x / 90.0) + 400 * np.cos(y / 70.0)


def drawn(transform, shape, shift=(0.0, 0.0)):
    """Draw the field on a lattice, its content displaced by a shift."""
    x, y = transform @ np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    return field(x - shift[0], y - shift[1]).astype(np.float32)


@pytest.mark.parametrize(
    ("resolution_m", "method"), [(10, "nearest"), (10, "bilinear"), (10, "cubic"), (20, "nearest"), (20, "bilinear")]
)
@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.21, -4.17), (12.3, 0.0), (-0.01, 27.5)])
def test_it_agrees_with_gdal(resolution_m, shift, method):
    transform, shape = lattice(resolution_m)
    pixels = np.random.default_rng(5).uniform(1, 9000, shape).astype(np.float32)
    if method == "bilinear":  # where GDAL's rule for missing pixels is this one too
        pixels[5:8, 6:7] = np.nan
    ours = resample(pixels, transform, UTM, GRID, shift, method)
    np.testing.assert_allclose(ours, warped(pixels, transform, shift, method), atol=0.01, equal_nan=True)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
def test_a_lattice_that_fits_comes_back_bit_by_bit(method):
    transform, shape = lattice(10)
    pixels = np.random.default_rng(6).uniform(-1, 65535, shape).astype(np.float32)
    pixels[10, 10:20] = np.nan
    np.testing.assert_array_equal(resample(pixels, transform, UTM, GRID, (0.0, 0.0), method), pixels[6:46, 6:66])


def test_every_cell_looks_up_its_own_pixel():
    transform, shape = lattice(20)
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = resample(pixels, transform, UTM, GRID, (0.0, 0.0), "nearest")
    np.testing.assert_array_equal(found, np.kron(pixels[3:23, 3:33], np.ones((2, 2))))


@pytest.mark.parametrize(("resolution_m", "method", "limit"), [(10, "cubic", 1.0), (20, "bilinear", 8.0)])
@pytest.mark.parametrize("shift", [(12.3, 0.0), (0.0, 12.3), (-7.7, 21.0)])
def test_displaced_content_is_put_back(resolution_m, method, limit, shift):
    """A scene whose ground lies 12.3 m east: the wrong sign would be off by up to 160 DN."""
    transform, shape = lattice(resolution_m)
    truth = drawn(GRID.transform, GRID.shape)
    put_back = resample(drawn(transform, shape, shift), transform, UTM, GRID, shift, method)
    assert np.abs(put_back - truth).max() < limit
    wrong = resample(drawn(transform, shape, shift), transform, UTM, GRID, (-shift[0], -shift[1]), method)
    assert np.abs(wrong - truth).max() > 50


@pytest.mark.parametrize(("method", "reach"), [("nearest", 0), ("bilinear", 1), ("cubic", 2)])
def test_no_data_reaches_no_farther_than_the_kernel(method, reach):
    transform, shape = lattice(10)
    flat = np.random.default_rng(7).uniform(500, 900, shape).astype(np.float32)
    holed = flat.copy()
    holed[20, 30] = np.nan
    shift = (3.0, -4.0)
    whole, found = (resample(p, transform, UTM, GRID, shift, method) for p in (flat, holed))
    rows, columns = np.nonzero(~(whole == found))
    # Pixel (20, 30) of the raster is cell (14, 24) of the grid but for a shift of less than half a cell.
    assert np.abs(rows - 14).max() <= reach
    assert np.abs(columns - 24).max() <= reach
    assert np.isnan(found).sum() == 1
    assert np.isnan(found[14, 24])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), lost=st.floats(0, 1), x=st.floats(-30, 30), y=st.floats(-30, 30),
    kind=st.sampled_from([(10, "nearest"), (10, "cubic"), (20, "bilinear")]),
)  # fmt: skip
def test_missing_pixels_make_no_values(seed, lost, x, y, kind):
    """Flat ground with holes stays flat: nothing is darkened by no data, and a cell over a hole is a hole."""
    transform, shape = lattice(kind[0])
    rng = np.random.default_rng(seed)
    pixels = np.where(rng.random(shape) < lost, np.nan, 1234.0).astype(np.float32)
    found = resample(pixels, transform, UTM, GRID, (x, y), kind[1])
    own = resample(pixels, transform, UTM, GRID, (x, y), "nearest")
    np.testing.assert_array_equal(np.isnan(found), np.isnan(own))
    np.testing.assert_allclose(found[np.isfinite(found)], 1234.0, rtol=1e-5)


def test_outside_the_raster_is_no_data():
    transform, shape = lattice(10)
    half = np.full((shape[0], 30), 700.0, np.float32)
    found = resample(half, transform, UTM, GRID, (0.0, 0.0), "cubic")
    assert np.isfinite(found[:, :24]).all()
    assert np.isnan(found[:, 24:]).all()


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
def test_a_raster_that_ends_inside_the_grid_is_read_to_its_last_pixel(method):
    """A plane, which both kernels keep: also beside the edge, where the cubic kernel is not whole."""
    transform, shape = lattice(10)
    x, y = transform @ np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    plane = (x - GRID.left_m + 3 * (GRID.top_m - y) + 5000).astype(np.float32)
    found = resample(plane[:30, :40].copy(), transform, UTM, GRID, (4.0, -4.0), method)
    own_x, own_y = GRID.transform @ np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5)
    true = own_x + 4 - GRID.left_m + 3 * (GRID.top_m - (own_y - 4)) + 5000
    # By hand: the raster's last column and row are the grid's 33rd and 23rd; 4 m on, their centres lie behind.
    inside = np.zeros(GRID.shape, bool)
    inside[:24, :34] = True
    np.testing.assert_array_equal(np.isfinite(found), inside)
    between = np.zeros(GRID.shape, bool)
    between[:23, :33] = True
    limit = 16.1 if method == "nearest" else 0.01
    assert np.abs(found - true)[between].max() < limit


@pytest.mark.parametrize("epsg", [4326, 32651])
def test_another_coordinate_system_is_warped_to_a_tenth_of_a_pixel(epsg):
    """The field drawn in degrees, or in the neighbouring zone, is read back where it belongs."""
    import pyproj  # noqa: PLC0415 - only here

    to_there = pyproj.Transformer.from_crs(32652, epsg, always_xy=True)
    left, bottom, right, top = GRID.bounds
    corners = to_there.transform([left, right, left, right], [bottom, bottom, top, top])
    size = 1e-4 if epsg == 4326 else 10.0
    west, north = min(corners[0]) - 8 * size, max(corners[1]) + 8 * size
    shape = (
        int((north - min(corners[1])) / size) + 8,
        int((max(corners[0]) - west) / size) + 8,
    )
    transform = Affine(size, 0, west, 0, -size, north)
    x, y = transform @ np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    east, high = to_there.transform(x, y, direction="INVERSE")
    shift = (12.3, -5.0)
    pixels = field(east - shift[0], high - shift[1]).astype(np.float32)
    found = resample(pixels, transform, CRS.from_epsg(epsg), GRID, shift, "cubic")
    assert np.abs(found - drawn(GRID.transform, GRID.shape)).max() < 8


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0.5, 1.0, 2.0]), st.floats(-6, 40), st.floats(-6, 40),
    st.sampled_from(["nearest", "bilinear", "cubic"]), st.floats(0, 0.4),
)  # fmt: skip
def test_the_compiled_look_up_is_that_of_the_specification_bit_by_bit(seed, step, down, right, method, holes):
    random = np.random.default_rng(seed)
    pixels = random.integers(1, 20000, (37, 41)).astype(np.float32)
    pixels[random.random(pixels.shape) < holes] = np.nan
    if random.random() < 0.3:  # places on pixels exactly, as without a shift
        down, right = round(down), round(right)
    rows, columns = _places(30, down, step), _places(26, right, step)
    plain = (np.frombuffer(places) for places in (rows, columns))
    np.testing.assert_array_equal(_look_up(pixels, rows, columns, method), look_up(pixels, *plain, method))
