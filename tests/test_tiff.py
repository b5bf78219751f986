"""Directories of TIFF files against GDAL's own reading of them."""

import itertools
import struct

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin
from rasterio.windows import Window

from pipeline.tiff import TiffError, blocks_of, merge, read_directory

FORMS = {
    "cog": {"driver": "COG", "blocksize": 128, "compress": "deflate"},
    "tiled": {"driver": "GTiff", "tiled": True, "blockxsize": 64, "blockysize": 128, "compress": "lzw"},
    "strips": {"driver": "GTiff", "compress": "deflate"},
    "plain": {"driver": "GTiff", "blockysize": 7},
    "big": {"driver": "GTiff", "tiled": True, "blockxsize": 128, "blockysize": 128, "BIGTIFF": "YES"},
    "other order": {"driver": "GTiff", "ENDIANNESS": "BIG", "compress": "deflate"},
    "other order, big": {"driver": "GTiff", "ENDIANNESS": "BIG", "BIGTIFF": "YES", "tiled": True},
    "sparse": {"driver": "GTiff", "tiled": True, "SPARSE_OK": "TRUE", "blockxsize": 64, "blockysize": 64},
}


def written(path, form, height=300, width=421):
    pixels = np.random.default_rng(5).integers(1, 4000, (height, width)).astype(np.uint16)
    pixels[:130, :130] = 0
    with rasterio.open(
        path, "w", width=width, height=height, count=1, dtype="uint16", nodata=0,
        crs="EPSG:32652", transform=from_origin(4e5, 4.5e6, 10, 10), **FORMS[form],
    ) as file:  # fmt: skip
        file.write(pixels, 1)
    return pixels


def reader(data, asked=None):
    def get(start, end):
        if asked is not None:
            asked.append((start, end))
        if end > len(data):
            raise EOFError
        return data[start:end]

    return get


def of_gdal(path, row, column):
    with rasterio.open(path) as file:
        place = [file.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE")]
    return (int(place[0]), int(place[0]) + int(place[1])) if place[0] else (0, 0)


@pytest.mark.parametrize("form", FORMS)
def test_the_directory_is_what_gdal_reads(form, tmp_path):
    path = tmp_path / "band.tif"
    written(path, form)
    found = read_directory(reader(path.read_bytes()))
    with rasterio.open(path) as file:
        assert (found.height, found.width) == file.shape
        assert (found.block_height, found.block_width) == file.block_shapes[0]
    across = -(-found.width // found.block_width)
    expected = [of_gdal(path, at // across, at % across) for at in range(len(found.blocks))]
    assert [block if block[1] > block[0] else (0, 0) for block in found.blocks] == expected


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15)
@given(data=st.data())
def test_a_file_of_only_these_bytes_reads_as_the_whole(form, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiff")
    pixels = written(folder / "whole.tif", form)
    whole, asked = (folder / "whole.tif").read_bytes(), []
    directory = read_directory(reader(whole, asked))
    rows = sorted(data.draw(st.lists(st.integers(0, 300), min_size=2, max_size=2, unique=True)))
    columns = sorted(data.draw(st.lists(st.integers(0, 421), min_size=2, max_size=2, unique=True)))
    part = bytearray(len(whole))
    for start, end in [*asked, *blocks_of(directory, rows, columns)]:
        part[start:end] = whole[start:end]
    (folder / "part.tif").write_bytes(part)
    window = Window.from_slices(rows, columns)
    with rasterio.open(folder / "part.tif", driver="GTiff") as file:
        assert file.crs.to_epsg() == 32652
        assert file.nodata == 0
        np.testing.assert_array_equal(file.read(1, window=window), pixels[slice(*rows), slice(*columns)])


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 60)), max_size=12), st.integers(0, 30))
def test_merged_ranges_hold_all_and_lie_apart(pairs, gap):
    ranges = [(start, start + size) for start, size in pairs]
    merged = merge(ranges, gap)
    assert all(any(a <= start and end <= b for a, b in merged) for start, end in ranges)
    assert all(later[0] - earlier[1] > gap for earlier, later in itertools.pairwise(merged))
    wanted = {byte for start, end in ranges for byte in range(start, end)}
    got = {byte for start, end in merged for byte in range(start, end)}
    assert wanted <= got
    assert len(merged) > 1 or gap or got - wanted == set() or len(ranges) == 0


HEAD = b"II*\x00\x08\x00\x00\x00"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GIF89a" + bytes(40), "does not begin"),
        (b"II\x2b\x00\x04\x00\x00\x00" + bytes(40), "does not begin"),
        (HEAD + struct.pack("<H", 0) + bytes(40), "has 0 tags"),
        (HEAD + struct.pack("<H", 60_000) + bytes(40), "has 60000 tags"),
        (HEAD + struct.pack("<HHHI4s", 1, 324, 16, 2**31, b"\x00" * 4) + bytes(40), "tag of 17179869184 bytes"),
        (HEAD + struct.pack("<HHHI4s", 1, 256, 5, 1, b"\x08\x00\x00\x00") + bytes(40), "not as integers"),
        (HEAD + struct.pack("<HHHI4s", 1, 256, 3, 1, b"\x00\x00\x00\x00") + bytes(40), "no valid tag 256"),
    ],
)
def test_other_bytes_are_refused(data, said):
    with pytest.raises(TiffError, match=said):
        read_directory(reader(data))


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_directory_or_one_error(data):
    for head in (b"", HEAD, b"MM\x00*\x00\x00\x00\x08"):
        try:
            read_directory(reader(head + data + bytes(400)))
        except (TiffError, EOFError):
            continue
