"""Files of strangers, and what is read of them: against rasterio, and files that tell every pixel from the others."""

import datetime as dt
import json
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from imagery_fixture import an_item
from rasterio.transform import Affine
from rasterio.windows import Window
from servers import EPSG, LEFT, TOP, footprint, unique_pixels, write_band

from pipeline import rasters
from pipeline.errors import EvidenceError, SceneRefusedError
from pipeline.evidence import geotiff
from pipeline.imagery import Calibration, Scene, StoredBand, StoredScene
from pipeline.pixels import check_part, read_image, read_part, read_raw
from pipeline.types import Grid

GRID = Grid(EPSG, LEFT + 200, TOP - 200, 60, 40)
"""20 pixels inside the corner of every file of ``write_band``."""


def a_band(path, band="red", nodata=0.0):
    return StoredBand(band, str(path), "", 0, "", "reference", None, None, nodata)


def a_scene(*items):
    """Make a scene whose items hold the given bands."""
    found = [[a_band(*band) if isinstance(band, tuple) else a_band(band) for band in item] for item in items]
    documents = tuple(an_item(f"item-{number}") for number in range(len(items)))
    when = dt.datetime(2022, 5, 1, 2, tzinfo=dt.UTC)
    return StoredScene(Scene("s", when, None, None, None, documents), tuple(map(tuple, found)))


def red(path, grid=GRID, **calibration):
    """DN of a one-band scene."""
    return read_image(a_scene([path]), grid, ("red",), Calibration(scale=1.0, **calibration)).bands["red"]


def test_an_aligned_window_is_what_rasterio_reads(tmp_path):
    path = write_band(tmp_path / "a.tif", unique_pixels(120, 120))
    with rasterio.open(path) as dataset:
        expected = dataset.read(1, window=Window(20, 20, 60, 40))
    found = red(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    # By hand: the cell in row r and column c is the pixel in row r + 20 and column c + 20.
    assert found[3, 5] == 1 + 23 * 120 + 25


def test_any_window_of_the_grid_reads_the_same_pixels(tmp_path):
    path = write_band(tmp_path / "a.tif", unique_pixels(120, 120))
    part = Grid(EPSG, GRID.left_m + 80, GRID.top_m - 120, 16, 10)
    np.testing.assert_array_equal(red(path, part, shift_x_m=3.3), red(path, shift_x_m=3.3)[12:22, 8:24])


def test_reflectance_is_calibrated(tmp_path):
    path = write_band(tmp_path / "a.tif", np.full((120, 120), 1650, np.uint16))
    image = read_image(a_scene([path]), GRID, ("red",), Calibration(1e-4, -1000.0))
    np.testing.assert_allclose(image.bands["red"], 0.065, rtol=1e-6)


def test_a_scene_displaced_to_the_east_is_put_back(tmp_path):
    """The file's corner is moved by the shift: its content lies 12.3 m east and 4 m south of the truth."""
    smooth = (3000 + 900 * np.sin(np.add.outer(np.arange(120) / 9.0, np.arange(120) / 7.0))).astype(np.uint16)
    true = red(write_band(tmp_path / "true.tif", smooth))
    moved = write_band(tmp_path / "moved.tif", smooth, left=LEFT + 12.3, top=TOP - 4.0)
    np.testing.assert_allclose(red(moved, shift_x_m=12.3, shift_y_m=-4.0), true, atol=0.01)
    assert np.abs(red(moved) - true).max() > 100


def test_no_data_is_nan_and_darkens_no_neighbour(tmp_path):
    ground = np.full((120, 120), 2000, np.uint16)
    ground[30:40, 30:40] = 0
    found = red(write_band(tmp_path / "a.tif", ground), shift_x_m=4.0, shift_y_m=4.0)
    assert np.isnan(found).sum() == 100
    np.testing.assert_allclose(found[np.isfinite(found)], 2000, rtol=1e-6)


@pytest.mark.parametrize(("declared", "in_file", "lost"), [(7.0, 0, 7), (None, 9, 9), (None, None, 0)])
def test_no_data_is_what_the_item_declares_else_the_file(tmp_path, declared, in_file, lost):
    ground = np.full((120, 120), 2000, np.uint16)
    ground[50, 50], ground[50, 51], ground[50, 52] = 0, 7, 9
    path = write_band(tmp_path / "a.tif", ground, nodata=in_file)
    dn = read_image(a_scene([(path, "red", declared)]), GRID, ("red",), Calibration(1.0)).bands["red"]
    assert dict(zip((0, 7, 9), np.isnan(dn[30, 30:33]), strict=True)) == {value: value == lost for value in (0, 7, 9)}


def test_nan_and_infinity_of_a_float_archive_are_no_data(tmp_path):
    ground = np.full((120, 120), 0.2, np.float32)
    ground[50, 50:52] = np.nan, np.inf
    found = red(write_band(tmp_path / "a.tif", ground, nodata=np.nan))
    assert np.isnan(found[30, 30:32]).all()
    assert np.isfinite(found).sum() == 2398


def test_classes_are_never_mixed(tmp_path):
    classes = np.random.default_rng(1).choice(np.array([4, 8, 11], np.uint8), (60, 60))
    path = write_band(tmp_path / "scl.tif", classes, resolution_m=20)
    image = read_image(a_scene([(path, "scl")]), GRID, ("scl",), Calibration(shift_x_m=6.0))
    assert image.scl.dtype == np.uint8
    assert set(np.unique(image.scl)) == {4, 8, 11}
    assert not image.bands


def test_twenty_metre_bands_are_bilinear_and_ten_metre_bands_cubic(tmp_path):
    """A step of 1000: bilinear stays within it, cubic overshoots."""
    step = np.full((120, 120), 1000, np.uint16)
    step[:, 25:] = 2000
    fine = red(write_band(tmp_path / "fine.tif", step), shift_x_m=4.0)
    coarse = red(write_band(tmp_path / "coarse.tif", step[:60, :60], resolution_m=20), shift_x_m=4.0)
    assert fine.max() > 2050
    assert coarse.min() == 1000
    assert coarse.max() == 2000


def test_an_archive_in_degrees_knows_its_coarse_bands(tmp_path):
    """A step in a raster of 0.0002 degrees (about 20 m) does not overshoot."""
    step = np.full((80, 80), 1000, np.uint16)
    step[:, 35:] = 2000
    west, _, _, north = footprint().buffer(0.001).bounds
    path = write_band(
        tmp_path / "a.tif", step, crs="EPSG:4326", transform=Affine(2e-4, 0, west, 0, -2e-4, north), epsg=4326
    )
    found = red(path)
    assert np.isfinite(found).all()
    assert found.min() == 1000
    assert found.max() == 2000


@pytest.mark.parametrize("shift", [(0.0, 0.0), (12.3, -4.0)])
def test_adjacent_tiles_join_without_a_seam(tmp_path, shift):
    """A raster cut in two is read as if it were whole; of the strip both have, the first item's pixels count."""
    whole = np.random.default_rng(2).integers(1, 9000, (120, 120)).astype(np.uint16)
    calibration = Calibration(1.0, 0.0, *shift)
    expected = red(write_band(tmp_path / "whole.tif", whole), shift_x_m=shift[0], shift_y_m=shift[1])
    west = write_band(tmp_path / "west.tif", whole[:, :50])
    east = write_band(tmp_path / "east.tif", whole[:, 50:], left=LEFT + 500)
    for order in ([west], [east]), ([east], [west]):
        joined = read_image(a_scene(*order), GRID, ("red",), calibration).bands["red"]
        np.testing.assert_array_equal(joined, expected)
    other = write_band(tmp_path / "other.tif", whole[:, 40:] + np.uint16(10_000), left=LEFT + 400)
    joined = read_image(a_scene([west], [other]), GRID, ("red",), Calibration(1.0)).bands["red"]
    np.testing.assert_array_equal(joined[:, :30], whole[20:60, 20:50])
    np.testing.assert_array_equal(joined[:, 30:], whole[20:60, 50:80] + 10_000)


def test_where_the_first_item_has_no_data_the_second_is_seen(tmp_path):
    first, second = np.full((120, 120), 3000, np.uint16), np.full((120, 120), 4000, np.uint16)
    first[:, 60:] = 0
    items = [[write_band(tmp_path / f"{name}.tif", data)] for name, data in (("a", first), ("b", second))]
    found = read_image(a_scene(*items), GRID, ("red",), Calibration(1.0)).bands["red"]
    assert set(np.unique(found[:, :40])) == {3000.0}
    assert set(np.unique(found[:, 40:])) == {4000.0}


def test_tiles_on_different_lattices_are_joined_after_they_are_resampled(tmp_path):
    whole = np.full((120, 120), 5000, np.uint16)
    west = write_band(tmp_path / "west.tif", whole[:, :50])
    east = write_band(tmp_path / "east.tif", whole[:, 50:], left=LEFT + 504)
    found = read_image(a_scene([west], [east]), GRID, ("red",), Calibration(1.0)).bands["red"]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, 5000, rtol=1e-6)


def test_an_item_beside_the_window_shows_nothing_of_it(tmp_path):
    path = write_band(tmp_path / "a.tif", unique_pixels(120, 120), left=LEFT + 5000)
    assert np.isnan(red(path)).all()


def test_a_band_the_scene_lacks_is_absent_and_raw_is_not_moved(tmp_path):
    path = write_band(tmp_path / "a.tif", unique_pixels(120, 120))
    found = read_raw(a_scene([path]), GRID, ("red", "scl"))
    assert list(found) == ["red"]
    assert found["red"][0, 0] == 1 + 20 * 120 + 20


def test_a_file_that_cannot_be_read_back_is_an_evidence_error(tmp_path):
    path = write_band(tmp_path / "a.tif", np.random.default_rng(1).integers(1, 9, (120, 120)).astype(np.uint16))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(EvidenceError, match=r"a\.tif: cannot be read back .*; run the site again"):
        red(path)


# --- suspicion ---------------------------------------------------------------------------------------------------


def vrt_of(path):
    return (
        f'<VRTDataset rasterXSize="120" rasterYSize="120"><SRS>EPSG:{EPSG}</SRS>'
        f"<GeoTransform>{LEFT}, 10, 0, {TOP}, 0, -10</GeoTransform>"
        f'<VRTRasterBand dataType="UInt16" band="1"><SimpleSource><SourceFilename>{path}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def test_a_virtual_raster_is_not_opened_whatever_it_is_called(tmp_path):
    """It could read any file of this machine; rasterio alone would open it, so the test could fail."""
    target = write_band(tmp_path / "target.tif", unique_pixels(120, 120))
    disguised = tmp_path / "red.tif"
    disguised.write_text(vrt_of(target))
    with rasterio.open(disguised) as dataset:
        assert dataset.driver == "VRT"
    for path in (str(disguised), vrt_of(target), f"vrt://{target}"):
        with pytest.raises(rasterio.errors.RasterioError):
            read_part(path, GRID)


def test_sidecars_are_not_looked_at(tmp_path):
    """They are in no hash: one must not move a file, or say what is no data in it."""
    path = write_band(tmp_path / "a.tif", unique_pixels(120, 120))
    Path(f"{path}.aux.xml").write_text(
        f"<PAMDataset><GeoTransform>{LEFT + 100}, 10, 0, {TOP}, 0, -10</GeoTransform>"
        '<PAMRasterBand band="1"><NoDataValue>2421</NoDataValue></PAMRasterBand></PAMDataset>'
    )
    (tmp_path / "a.tfw").write_text("10\n0\n0\n-10\n0\n0\n")
    with rasterio.open(path) as dataset:
        assert dataset.nodata == 2421
    part = read_part(str(path), GRID)
    assert part.nodata == 0
    assert red(path)[0, 0] == 1 + 20 * 120 + 20


def test_of_a_raster_that_claims_to_be_huge_only_the_window_is_read(tmp_path):
    path = tmp_path / "bomb.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=200_000, height=200_000, count=1, dtype="uint16", crs=f"EPSG:{EPSG}",
        transform=Affine(10, 0, LEFT, 0, -10, TOP), tiled=True, blockxsize=256, blockysize=256, sparse_ok=True,
        bigtiff="yes", nodata=0,
    ):  # fmt: skip
        pass
    assert path.stat().st_size < 20_000_000
    started = time.monotonic()
    assert read_part(str(path), GRID).pixels.shape == (52, 72)
    assert np.isnan(red(path)).all()
    assert time.monotonic() - started < 2


def test_more_pixels_than_any_scene_has_are_refused(tmp_path, monkeypatch):
    path = write_band(tmp_path / "a.tif", unique_pixels(120, 120))
    large = Grid(EPSG, GRID.left_m, GRID.top_m, 80, 60)
    monkeypatch.setattr(rasters, "MOST_BYTES", 92 * 72 * 2)
    assert read_part(str(path), large).pixels.shape == (72, 92)
    monkeypatch.setattr(rasters, "MOST_BYTES", 92 * 72 * 2 - 1)
    with pytest.raises(SceneRefusedError, match=r"file a\.tif has more pixels over the AOI than any real scene"):
        read_part(str(path), large)
    monkeypatch.setattr(rasters, "MOST_BYTES", 64 * 64 * 2 - 1)
    with pytest.raises(SceneRefusedError, match=r"file a\.tif is cut into tiles of 64 x 64 pixels"):
        check_part(str(path), GRID)


@pytest.mark.parametrize("said", [b"-9999", b"70000", b"nan", b"1e999", b"1.5"])
def test_a_no_data_value_that_no_pixel_can_have_says_nothing(tmp_path, said):
    """Files of other makers declare one of another type; what is written with it again could not be."""
    path = write_band(tmp_path / "a.tif", unique_pixels(120, 120), nodata=65535)
    content = path.read_bytes()
    assert content.count(b"65535\0") == 1
    path.write_bytes(content.replace(b"65535\0", said.ljust(6, b"\0")))
    part = read_part(str(path), GRID)
    assert part.nodata is None
    assert geotiff(part)


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"crs": None}, "has no coordinate system"),
        ({"transform": Affine(10, 2, LEFT, 0, -10, TOP)}, "is not north-up"),
        ({"transform": Affine(10, 0, LEFT, 0, 10, TOP - 1200)}, "is not north-up"),
        ({"transform": Affine(10, 0, LEFT + 90_000, 0, -10, TOP)}, "does not reach the AOI"),
        ({"dtype": "complex64"}, "holds complex64, not numbers"),
        ({"count": 3}, "holds 3 bands, not one"),
        ({"crs": "EPSG:3413"}, "does not reach the AOI"),
        ({"crs": "+proj=ortho +lat_0=-40 +lon_0=-60"}, "does not reach the AOI"),
    ],
)
def test_what_cannot_be_a_band_is_refused_by_name(tmp_path, profile, reason):
    path = write_band(tmp_path / "a.tif", unique_pixels(120, 120), **profile)
    for read in (read_part, check_part):
        with pytest.raises(SceneRefusedError, match=f"^file a.tif {reason}$"):
            read(str(path), GRID)


def test_a_jpeg_2000_is_opened_as_one(tmp_path):
    path = tmp_path / "a.jp2"
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", height=120, width=120, count=1, dtype="uint16", crs=f"EPSG:{EPSG}",
        transform=Affine(10, 0, LEFT, 0, -10, TOP), quality=100, reversible=True,
    ) as dataset:  # fmt: skip
        dataset.write(unique_pixels(120, 120), 1)
    part = read_part(str(path), GRID)
    np.testing.assert_array_equal(part.pixels, unique_pixels(120, 120)[14:66, 14:86])
    assert json.loads(json.dumps(list(part.transform)[:6])) == [10, 0, LEFT + 140, 0, -10, TOP - 140]
