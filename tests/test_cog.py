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
from PIL import Image

from pipeline.errors import ProductError
from pipeline.products import _tiff
from pipeline.products.cog import REFLECTANCE, read_cog, write_cog
from pipeline.types import Grid

ROOT = Path(__file__).resolve().parents[1]
GRID = Grid(epsg=32652, left_m=500_000.0, top_m=4_500_000.0, width=700, height=600)


def two_bands():
    """Ramps with a hole: known at every pixel."""
    rows, columns = np.indices(GRID.shape, dtype=np.uint16)
    red = rows * 10 + columns
    red[100:140, 200:260] = 65535
    return {"red": red, "swir16": columns * np.uint16(10)}


def write(path, bands, tags, grid=GRID, **more):
    stack = np.stack(list(bands.values()))
    write_cog(path, list(bands), lambda rows, columns: stack[:, rows, columns], grid, tags, **more)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_pixels_names_place_and_no_data_come_back(tmp_path):
    path = tmp_path / "composites" / "2020.tif"
    write(path, two_bands(), {"SIMULATED": "yes", "YEAR": "2020"})
    bands, transform, epsg = read_cog(path)
    assert list(bands) == ["red", "swir16"]
    for name, expected in two_bands().items():
        assert bands[name].dtype == np.uint16
        np.testing.assert_array_equal(bands[name], expected)
    assert epsg == 32652
    assert transform @ (0, 0) == (500_000.0, 4_500_000.0)
    assert transform @ (700, 600) == (507_000.0, 4_494_000.0)


def test_the_file_is_a_tagged_compressed_cog_with_overviews(tmp_path):
    path = tmp_path / "a.tif"
    write(path, two_bands(), {"SIMULATED": "yes", "note": 'a < b & "c"'})
    with rasterio.open(path) as file:
        structure = file.tags(ns="IMAGE_STRUCTURE")
        assert structure["LAYOUT"] == "COG"
        assert structure["COMPRESSION"] == "DEFLATE"
        assert structure["PREDICTOR"] == "2"
        assert structure["INTERLEAVE"] == "PIXEL"
        assert file.tags()["SIMULATED"] == "yes"
        assert file.tags()["note"] == 'a < b & "c"'
        assert file.tags()["AREA_OR_POINT"] == "Area"
        assert file.overviews(1) == [2]
        assert file.nodata == 65535
        assert file.block_shapes == [(512, 512)] * 2
        assert file.descriptions == ("red", "swir16")
        assert file.crs.to_epsg() == 32652
        assert file.crs.linear_units == "metre"
    # An overview chooses pixels and never averages them.
    with rasterio.open(path, overview_level=0) as overview:
        np.testing.assert_array_equal(overview.read(1), two_bands()["red"][::2, ::2])
        assert overview.nodata == 65535
    # A classic little-endian TIFF whose first directory follows the header at once, as a COG wants it.
    head = path.read_bytes()[:4096]
    assert struct.unpack("<2sH", head[:4]) == (b"II", 42)
    assert b"LAYOUT=IFDS_BEFORE_DATA" in head


def test_stored_numbers_are_told_to_be_reflectance_and_stay_as_they_are(tmp_path):
    path = tmp_path / "a.tif"
    write(path, two_bands(), {}, quantity=REFLECTANCE)
    with rasterio.open(path) as file:
        assert file.scales == (0.0001, 0.0001)
        assert file.offsets == (0.0, 0.0)
        assert file.units == ("reflectance", "reflectance")
        assert file.nodata == 65535
        assert [colour.name for colour in file.colorinterp] == ["red", "undefined"]
        np.testing.assert_array_equal(file.read(1), two_bands()["red"])
    np.testing.assert_array_equal(read_cog(path)[0]["red"], two_bands()["red"])
    write(path, two_bands(), {})
    with rasterio.open(path) as file:
        assert (file.scales, file.units) == ((1.0, 1.0), (None, None))


def test_a_reader_that_knows_no_gdal_sees_the_description_and_the_credit(tmp_path):
    path = tmp_path / "a.tif"
    told = {"TIFFTAG_IMAGEDESCRIPTION": "SIMULATED & <small>", "TIFFTAG_COPYRIGHT": "SIMULATED 시험"}
    write(path, {"nir": two_bands()["red"]}, told)
    with Image.open(path) as picture:
        assert picture.tag_v2[270] == "SIMULATED & <small>"
        # TIFF knows no encoding; it is written in that of GDAL's metadata.
        assert picture.tag_v2[33432].encode("latin-1").decode("utf-8") == "SIMULATED 시험"
    with rasterio.open(path) as file:
        assert told.items() <= file.tags().items()


def test_directories_lie_before_tiles_and_each_tile_between_its_size_and_its_end(tmp_path):
    """As the description of the layout says, by which GDAL reads with half of the requests."""
    grid = Grid(32652, 500_000.0, 4_500_000.0, 1100, 1040)
    bands = {"n": np.random.default_rng(1).integers(0, 900, grid.shape).astype(np.uint16)}
    path = tmp_path / "a.tif"
    write(path, bands, {}, grid)
    raw, directories, at = path.read_bytes(), [], 0
    at = struct.unpack("<I", raw[4:8])[0]
    while at:
        count = struct.unpack("<H", raw[at : at + 2])[0]
        entries = [struct.unpack("<HHII", raw[k : k + 12]) for k in range(at + 2, at + 2 + 12 * count, 12)]
        assert [tag for tag, *_ in entries] == sorted(tag for tag, *_ in entries)
        directories.append((at, {tag: (n, value) for tag, _, n, value in entries}))
        at = struct.unpack("<I", raw[at + 2 + 12 * count :][:4])[0]
    assert [at for at, _ in directories] == sorted(at for at, _ in directories)
    assert [(d[256][1], d[257][1]) for _, d in directories] == [(1100, 1040), (550, 520), (275, 260)]
    first = []
    for _, entries in directories:
        (n, offsets), (_, sizes) = entries[324], entries[325]
        where = [offsets] if n == 1 else struct.unpack(f"<{n}I", raw[offsets : offsets + 4 * n])
        size = [sizes] if n == 1 else struct.unpack(f"<{n}I", raw[sizes : sizes + 4 * n])
        assert list(where) == sorted(where)
        first.append(where[0])
        for start, length in zip(where, size, strict=True):
            assert struct.unpack("<I", raw[start - 4 : start])[0] == length
            assert raw[start + length : start + length + 4] == raw[start + length - 4 : start + length]
    assert first == sorted(first, reverse=True), "the coarsest first"
    assert first[-1] - 4 > directories[-1][0]
    np.testing.assert_array_equal(read_cog(path)[0]["n"], bands["n"])


def test_a_file_too_large_for_four_bytes_has_offsets_of_eight(tmp_path, monkeypatch):
    monkeypatch.setattr(_tiff, "_CLASSIC_BYTES", 1000)
    path = tmp_path / "a.tif"
    write(path, two_bands(), {"SIMULATED": "yes"})
    assert struct.unpack("<2sH", path.read_bytes()[:4]) == (b"II", 43)
    bands, transform, epsg = read_cog(path)
    for name, expected in two_bands().items():
        np.testing.assert_array_equal(bands[name], expected)
    assert (epsg, transform @ (0, 0)) == (32652, (500_000.0, 4_500_000.0))
    with rasterio.open(path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags()["SIMULATED"] == "yes"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
def test_counts_keep_their_type_and_their_largest_value_is_no_data(tmp_path, dtype):
    counts = (np.indices(GRID.shape).sum(axis=0) % 2 * 80 + 10).astype(dtype)
    path = tmp_path / "n.tif"
    write(path, {"n_clear": counts}, {})
    bands, _, _ = read_cog(path)
    assert bands["n_clear"].dtype == dtype
    np.testing.assert_array_equal(bands["n_clear"], counts)
    with rasterio.open(path) as file:
        assert file.nodata == np.iinfo(dtype).max


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((1, 600, 699), np.uint16), r"a tile is uint16 \(1, 512, 187\); uint16 \(1, 512, 188\) is due"),
        (np.zeros((2, *GRID.shape), np.uint16), "1 unsigned bands are due"),
        (np.zeros((1, *GRID.shape), np.float32), "pixels are float32"),
    ],
)
def test_pixels_that_do_not_fit_are_refused(tmp_path, pixels, words):
    with pytest.raises(ProductError, match=words):
        write_cog(tmp_path / "a.tif", ["red"], lambda rows, columns: pixels[:, rows, columns], GRID, {})
    assert names_in(tmp_path) == []


SCRIPT = """
import resource, sys
sys.path.insert(0, sys.argv[1]), sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_cog import two_bands, write
from pipeline.errors import ProductError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
try:
    write(Path(sys.argv[3]), two_bands(), {"SIMULATED": "yes"})
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


@pytest.mark.parametrize("limit", [0, 400, 4000])
def test_a_file_that_cannot_grow_is_one_error_and_the_former_file_stays(tmp_path, limit):
    path = tmp_path / "a.tif"
    write(path, two_bands(), {})
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
    write(path, two_bands(), {})
    path.write_bytes(path.read_bytes()[:1000])
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
    write(path, {"red": counts, "nir": counts + 7}, {})
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
