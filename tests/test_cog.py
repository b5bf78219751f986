"""Composites: what GDAL, another reader and the file's own tags say of them."""

import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from pipeline.errors import ProductError
from pipeline.products.cog import read_cog, write_cog
from pipeline.types import Grid

ROOT = Path(__file__).resolve().parents[1]
GRID = Grid(epsg=32652, left_m=500_000.0, top_m=4_500_000.0, width=700, height=600)


def two_bands():
    """Ramps with a hole: known at every pixel."""
    rows, columns = np.indices(GRID.shape, dtype=np.float32)
    red = rows / 1000 + columns / 10_000
    red[100:140, 200:260] = np.nan
    return {"red": red, "swir16": (columns / 1000).astype(np.float32)}


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_pixels_names_place_and_no_data_come_back(tmp_path):
    path = tmp_path / "composites" / "2020.tif"
    write_cog(path, two_bands(), GRID, {"SIMULATED": "yes", "YEAR": "2020"})
    bands, transform, epsg = read_cog(path)
    assert list(bands) == ["red", "swir16"]
    for name, expected in two_bands().items():
        assert bands[name].dtype == np.float32
        np.testing.assert_array_equal(bands[name], expected)
    assert epsg == 32652
    assert transform @ (0, 0) == (500_000.0, 4_500_000.0)
    assert transform @ (700, 600) == (507_000.0, 4_494_000.0)


def test_the_file_is_a_tagged_compressed_cog_with_overviews(tmp_path):
    path = tmp_path / "a.tif"
    write_cog(path, two_bands(), GRID, {"SIMULATED": "yes"})
    with rasterio.open(path) as file:
        structure = file.tags(ns="IMAGE_STRUCTURE")
        assert structure["LAYOUT"] == "COG"
        assert structure["COMPRESSION"] == "DEFLATE"
        assert structure["PREDICTOR"] == "3"
        assert file.tags()["SIMULATED"] == "yes"
        assert file.overviews(1) == [2]
        assert np.isnan(file.nodata)
        assert file.block_shapes == [(512, 512)] * 2
        assert file.descriptions == ("red", "swir16")
    # Overviews average what is there and take no part of the hole: rows r, r+1 and columns c, c+1.
    with rasterio.open(path, overview_level=0) as overview:
        red = overview.read(1)
    assert red.shape == (300, 350)
    assert red[10, 20] == pytest.approx((20 + 21) / 2 / 1000 + (40 + 41) / 2 / 10_000, rel=1e-6)
    assert np.isnan(red[60, 110])
    assert np.isfinite(red[49, 110])
    # A classic little-endian TIFF whose first directory follows the header at once, as a COG wants it.
    head = path.read_bytes()[:4096]
    assert struct.unpack("<2sH", head[:4]) == (b"II", 42)
    assert b"LAYOUT=IFDS_BEFORE_DATA" in head


def test_counts_keep_their_type_and_their_largest_value_is_no_data(tmp_path):
    counts = (np.indices(GRID.shape).sum(axis=0) % 2 * 80 + 10).astype(np.uint16)
    path = tmp_path / "n.tif"
    write_cog(path, {"n_clear": counts}, GRID, {})
    bands, _, _ = read_cog(path)
    assert bands["n_clear"].dtype == np.uint16
    np.testing.assert_array_equal(bands["n_clear"], counts)
    with rasterio.open(path) as file:
        assert file.nodata == 65535
        assert file.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"
    with rasterio.open(path, overview_level=0) as overview:
        assert set(np.unique(overview.read(1))) <= set(np.unique(counts))  # chosen, never averaged


@pytest.mark.parametrize(
    ("bands", "words"),
    [
        ({"red": np.zeros((600, 701), np.float32)}, "band 'red' has shape"),
        ({"red": np.zeros(GRID.shape, np.float32), "scl": np.zeros(GRID.shape, np.uint8)}, "float32, uint8"),
        ({"clear": np.zeros(GRID.shape, bool)}, "bool"),
        ({}, "none"),
    ],
)
def test_bands_that_one_file_cannot_hold_are_refused(tmp_path, bands, words):
    with pytest.raises(ProductError, match=words):
        write_cog(tmp_path / "a.tif", bands, GRID, {})
    assert names_in(tmp_path) == []


SCRIPT = """
import resource, sys
sys.path.insert(0, sys.argv[1]), sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_cog import GRID, two_bands
from pipeline.errors import ProductError
from pipeline.products.cog import write_cog
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
try:
    write_cog(Path(sys.argv[3]), two_bands(), GRID, {"SIMULATED": "yes"})
except ProductError as error:
    print(error)
    sys.exit(3)
"""


def run_script(path, limit, **environment):
    command = [sys.executable, "-c", SCRIPT, str(ROOT), str(ROOT / "tests"), str(path), str(limit)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_bytes_do_not_depend_on_time_zone_or_locale(tmp_path):
    digests = set()
    for index, zone in enumerate(["UTC", "Asia/Pyongyang"]):
        path = tmp_path / str(index) / "a.tif"
        assert run_script(path, -1, TZ=zone, LANG="ko_KR.UTF-8", GDAL_NUM_THREADS=str(index + 1)).returncode == 0
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("limit", [0, 1000, 100_000])
def test_a_file_that_cannot_grow_is_one_error_and_the_former_file_stays(tmp_path, limit):
    path = tmp_path / "a.tif"
    write_cog(path, two_bands(), GRID, {})
    before = path.read_bytes()
    assert len(before) > limit
    done = run_script(path, limit)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith(f"{path}: cannot be written (")
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["a.tif"]


def test_a_missing_or_truncated_or_foreign_file_is_one_error(tmp_path):
    path = tmp_path / "a.tif"
    with pytest.raises(ProductError, match=r"a\.tif: cannot be read"):
        read_cog(path)
    write_cog(path, two_bands(), GRID, {})
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ProductError, match=r"a\.tif: cannot be read"):
        read_cog(path)
    profile = {"width": 4, "height": 4, "count": 1, "dtype": "uint8", "crs": "EPSG:32652", "transform": GRID.transform}
    with rasterio.open(path, "w", driver="GTiff", **profile) as foreign:
        foreign.write(np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(ProductError, match="not a composite"):
        read_cog(path)


def test_a_window_a_coarser_view_and_single_bands_are_read(tmp_path):
    path = tmp_path / "a.tif"
    counts = (np.indices(GRID.shape) * [[[700]], [[1]]]).sum(axis=0).astype(np.uint32)
    write_cog(path, {"red": counts, "nir": counts + 7}, GRID, {})
    whole, _, _ = read_cog(path)
    at = (slice(100, 150), slice(40, 101))
    part, transform, epsg = read_cog(path, at, bands=["nir"])
    assert (list(part), epsg) == (["nir"], 32652)
    np.testing.assert_array_equal(part["nir"], whole["nir"][at])
    assert transform @ (0, 0) == (500_400.0, 4_499_000.0)
    coarse, transform, _ = read_cog(path, max_px=200)
    assert list(coarse) == ["red", "nir"]
    assert coarse["red"].shape == (150, 175), "one in four"
    assert transform @ (1, 1) == (500_040.0, 4_499_960.0)
    # Every pixel of the view is one of those it stands for.
    row, column = coarse["red"] // 700 // 4, coarse["red"] % 700 // 4
    np.testing.assert_array_equal([row, column], np.indices((150, 175)))
    assert read_cog(path, max_px=700)[0]["red"].shape == GRID.shape
    with pytest.raises(ProductError, match="not a composite"):
        read_cog(path, bands=["swir"])
