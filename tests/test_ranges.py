"""Windows of rasters on the network: what is asked for, against GDAL's own list of blocks, and files that misbehave."""

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window
from servers import EPSG, FileServer, opened_line

from pipeline import ranges, remote
from pipeline.config import SourceConfig
from pipeline.errors import SceneRefusedError, SourceError
from pipeline.pixels import MARGIN_M
from pipeline.ranges import fetch_window
from pipeline.types import Grid

LOG = logging.getLogger(__name__)
LEFT, TOP, SIZE_PX = 400_000.0, 4_300_000.0, 4096
BANDS = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B8A": 20, "B11": 20, "B12": 20, "SCL": 20}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.01)


@pytest.fixture(scope="module", params=[512, 1024])
def scene(request, tmp_path_factory):
    """Eight bands of 41 km as the public archives cut them: COG, deflate, overviews, blocks of 512 or 1024 px."""
    folder = tmp_path_factory.mktemp(f"scene{request.param}")
    chance = np.random.default_rng(2)
    for band, step in BANDS.items():
        size = SIZE_PX * 10 // step
        coarse = chance.integers(200, 3000, (size // 32, size // 32)).repeat(32, 0).repeat(32, 1)
        pixels = (coarse + chance.integers(0, 120, (size, size))).astype(np.uint16)
        if band == "SCL":
            pixels = (coarse % 11 + 1).astype(np.uint8)
        with rasterio.open(
            folder / f"{band}.tif", "w", driver="COG", compress="deflate", predictor="YES", blocksize=request.param,
            width=size, height=size, count=1, dtype=pixels.dtype, crs=f"EPSG:{EPSG}", nodata=0,
            transform=Affine(step, 0, LEFT, 0, -step, TOP),
        ) as file:  # fmt: skip
            file.write(pixels, 1)
    return folder, request.param


@pytest.fixture
def server(scene):
    with FileServer(scene[0]) as running:
        yield running


def fetched(server, grid, tmp_path, band="B04", **source):
    values = {"url": f"{server.url}/catalog.json", "sign_url": None, "timeout_s": 5.0, "retries": 3, **source}
    line = opened_line(SourceConfig(**values), tmp_path)
    return fetch_window(line, band, lambda: f"{server.url}/{band}.tif", grid, tmp_path)


def window_of(path, grid):
    """Pixels of a grid and its margin, read by GDAL from the file itself; bytes of the blocks that meet them."""
    with rasterio.open(path) as file:
        step = file.transform.a
        window = Window(
            (grid.left_m - MARGIN_M - LEFT) // step, (TOP - grid.top_m - MARGIN_M) // step,
            -(-(grid.width * 10 + 2 * MARGIN_M) // step), -(-(grid.height * 10 + 2 * MARGIN_M) // step),
        )  # fmt: skip
        block = file.block_shapes[0][0]
        rows = range(int(window.row_off) // block, int(window.row_off + window.height - 1) // block + 1)
        columns = range(int(window.col_off) // block, int(window.col_off + window.width - 1) // block + 1)
        sizes = [file.get_tag_item(f"BLOCK_SIZE_{c}_{r}", "TIFF", bidx=1) for r in rows for c in columns]
        return file.read(1, window=window), sum(map(int, sizes)), len(rows)


GRIDS = {
    "a port inside one block": Grid(EPSG, LEFT + 11_000, TOP - 11_000, 300, 300),
    "a camp over several rows": Grid(EPSG, LEFT + 9_000, TOP - 9_000, 1800, 1500),
    "a strip along one row": Grid(EPSG, LEFT + 2_000, TOP - 11_000, 3600, 300),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_bytes_fetched_are_hardly_more_than_the_blocks_that_meet_the_window(server, scene, name, tmp_path):
    grid, took, needed, often = GRIDS[name], 0, 0, []
    for band in BANDS:
        server.requests.clear()
        came = fetched(server, grid, tmp_path / band, band)
        pixels, size, rows = window_of(scene[0] / f"{band}.tif", grid)
        np.testing.assert_array_equal(came.part.pixels, pixels)
        took += came.traffic.size_bytes
        needed += size
        often.append((len(server.requests), rows))
        assert len(server.requests) == came.traffic.requests
    LOG.info("%s, blocks of %d px: %.3f of the blocks' bytes; requests, rows: %s", name, scene[1], took / needed, often)
    assert took <= 1.15 * needed
    assert all(requests <= 3 for requests, rows in often if rows == 1)
    assert all(requests <= 2 + rows for requests, rows in often)


def test_only_the_bytes_asked_for_lie_in_the_local_file(server, scene, tmp_path, monkeypatch):
    """Elsewhere it is empty: GDAL decodes nothing it was not given, overviews least of all."""
    seen = []
    real = ranges.read_part

    def read(path, grid):
        seen.append(Path(path).read_bytes())
        return real(path, grid)

    monkeypatch.setattr(ranges, "read_part", read)
    came = fetched(server, GRIDS["a port inside one block"], tmp_path)
    whole = (scene[0] / "B04.tif").read_bytes()
    asked = np.zeros(len(whole), dtype=bool)
    for first, last in came.request["ranges"]:
        asked[first:last] = True
    (local,) = seen
    assert len(local) == len(whole)
    assert not np.frombuffer(local, np.uint8)[~asked].any()
    assert came.traffic.size_bytes == asked.sum()
    assert 1000 < asked.sum() < len(whole) / 4


class ChangingServer(FileServer):
    """Serves other bytes for a file from some request on."""

    after, instead, tag = 0, b"", True

    def content(self, name, data):  # noqa: ARG002 - what the parent gives
        if len(self.asked(".tif")) >= self.after:
            data = self.instead
        return data, {"ETag": f'"{hash(data)}"'} if self.tag else {}


@pytest.mark.parametrize("tag", [True, False])
def test_a_file_that_changes_while_it_is_read_is_read_again_from_its_start(scene, tmp_path, tag):
    """Never half of one making and half of another; without a mark of its own a file's length tells."""
    other = tmp_path / "other.tif"
    with rasterio.open(scene[0] / "B04.tif") as file:
        pixels, profile = file.read(1), file.profile
    with rasterio.open(other, "w", **{**profile, "driver": "GTiff"}) as file:
        file.write(pixels + np.uint16(7), 1)
    grid = GRIDS["a port inside one block"]
    with ChangingServer(scene[0]) as server:
        server.after, server.instead, server.tag = 1, other.read_bytes(), tag
        came = fetched(server, grid, tmp_path)
        assert len(server.requests) == came.traffic.requests
    np.testing.assert_array_equal(came.part.pixels, window_of(other, grid)[0])


def test_a_part_of_a_file_of_another_length_is_of_another_file(scene, tmp_path):
    """Without a mark in the headers a length that differs is all there is; the file's own bytes would fit."""

    class Longer(FileServer):
        def _longer(self):
            return len(self.asked(".tif")) % 2

        def content(self, name, data):  # noqa: ARG002 - what the parent gives
            return data + bytes(self._longer()), {}

    with Longer(scene[0]) as server, pytest.raises(SourceError, match="changes while it is read"):
        fetched(server, GRIDS["a port inside one block"], tmp_path)


def test_a_file_that_never_stays_the_same_fails_the_site(scene, tmp_path):
    data = (scene[0] / "B04.tif").read_bytes()

    class Restless(ChangingServer):
        def content(self, name, data):  # noqa: ARG002 - what the parent gives
            return data, {"ETag": f'"{len(self.requests)}"'}

    with Restless(scene[0]) as server, pytest.raises(SourceError, match=r"B04\.tif: changes while it is read; run"):
        fetched(server, GRIDS["a port inside one block"], tmp_path)
    assert data


LIES = ["bytes 5-{last}/{size}", "bytes 0-{more}/{size}", "bytes nothing", "items 0-{last}/{size}"]


@pytest.mark.parametrize("lie", LIES)
def test_another_part_than_was_asked_for_is_no_answer(scene, tmp_path, lie):
    class Lying(FileServer):
        def content(self, name, data):  # noqa: ARG002 - what the parent gives
            size = len(data)
            said = lie.format(last=ranges._HEAD_BYTES - 1, more=ranges._HEAD_BYTES, size=size)
            return data, {"Content-Range": said}

    with Lying(scene[0]) as server, pytest.raises(SourceError, match=r"answers (another|a) part of"):
        fetched(server, GRIDS["a port inside one block"], tmp_path, retries=1)


def test_an_answer_of_fewer_bytes_than_it_names_is_no_answer(scene, tmp_path):
    """Complete as HTTP goes, and named right: only the count of bytes tells."""

    class Short(FileServer):
        def content(self, name, data):  # noqa: ARG002 - what the parent gives
            said = f"bytes 0-{ranges._HEAD_BYTES - 1}/{len(data)}"
            return data[:5000], {"Content-Range": said}

    with Short(scene[0]) as server, pytest.raises(SourceError, match="answers another part of the file"):
        fetched(server, GRIDS["a port inside one block"], tmp_path, retries=1)


@pytest.mark.parametrize("said", ["100", "999999999999999"])
def test_a_file_whose_length_is_a_lie_is_refused_or_fails_never_read_wrong(scene, tmp_path, said):
    class Lying(FileServer):
        def content(self, name, data):  # noqa: ARG002 - what the parent gives
            return data, {"Content-Range": f"bytes 0-{ranges._HEAD_BYTES - 1}/{said}"}

    with Lying(scene[0]) as server, pytest.raises((SourceError, SceneRefusedError)) as caught:
        fetched(server, GRIDS["a port inside one block"], tmp_path, retries=1)
    assert "\n" not in str(caught.value)
