"""Windows of decoded pixels are those of the files themselves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from test_pixels import a_scene

from pipeline import pixels
from pipeline.decoded import cut, keep, path_of, with_scratch
from pipeline.errors import SceneRefusedError
from pipeline.imagery import Calibration, Scratch, StoredBand, StoredScene
from pipeline.pixels import MARGIN_M, read_image, read_part
from pipeline.types import Grid

SITE = Grid(32652, 400_000, 4_400_000, 120, 90)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Three files over a site: its own lattice, one of 20 m beside it, one in degrees."""
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(5)
    places = {
        "fine": ("EPSG:32652", from_origin(399_000, 4_400_500, 10, 10), (260, 300)),
        "coarse": ("EPSG:32652", from_origin(400_320, 4_400_060, 20, 20), (120, 70)),
        "degrees": ("EPSG:4326", from_origin(127.8, 39.76, 0.0001, 0.0001), (400, 400)),
    }
    for name, (crs, transform, shape) in places.items():
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", dtype="uint16", count=1, height=shape[0], width=shape[1],
            crs=crs, transform=transform, nodata=0, compress="deflate", tiled=True, blockxsize=64, blockysize=64,
        ) as target:  # fmt: skip
            target.write(random.integers(0, 9000, shape).astype(np.uint16), 1)
    return folder


@given(
    st.integers(0, 25), st.integers(0, 20), st.integers(1, 70), st.integers(1, 50),
    st.sampled_from(["fine", "coarse", "degrees"]),
)  # fmt: skip
def test_a_window_of_the_decoded_copy_is_the_window_of_the_file(files, left, top, width, height, name):
    window = Grid(SITE.epsg, SITE.left_m + 20 * left, SITE.top_m - 20 * top, width, height)
    path, source = str(files / "scratch" / f"{name}.json"), str(files / f"{name}.tif")
    if not Path(path).exists():
        keep(read_part(source, SITE), path)
    found = cut(path, window, MARGIN_M)
    if found is None:
        with pytest.raises(SceneRefusedError, match="does not reach"):
            read_part(source, window)
        return
    wanted = read_part(source, window)
    np.testing.assert_array_equal(found.pixels, wanted.pixels)
    assert found.transform.almost_equals(wanted.transform, 1e-6)
    assert (found.crs, found.nodata) == (wanted.crs, wanted.nodata)


def test_a_file_beside_a_window_shows_nothing_of_it(files, tmp_path):
    keep(read_part(str(files / "coarse.tif"), SITE), str(tmp_path / "x.json"))
    beside = Grid(SITE.epsg, SITE.left_m, SITE.top_m, 20, 20)
    assert cut(str(tmp_path / "x.json"), beside, MARGIN_M) is None


def stored(files: Path, scratch: Scratch | None) -> StoredScene:
    names = {"red": "fine", "swir16": "coarse", "nir": "degrees"}
    bands = tuple(
        StoredBand(band, str(files / f"{name}.tif"), name * 10, 1, f"{name}.tif", "reference", None, None, 0.0)
        for band, name in names.items()
    )
    return replace(a_scene([]), bands=(bands,), scratch=scratch)


def test_a_scene_reads_the_same_from_its_copy_and_is_decoded_once(files, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(pixels, "read_part", lambda path, grid: read.append(path) or read_part(path, grid))
    scratch = Scratch(str(tmp_path / "decoded"), SITE)
    for window in (SITE, Grid(SITE.epsg, SITE.left_m + 400, SITE.top_m - 200, 31, 40)):
        for calibration in (Calibration(), Calibration(offset_dn=-1000.0, shift_x_m=3.7, shift_y_m=-8.1)):
            images = [
                read_image(stored(files, where), window, ("red", "swir16", "nir"), calibration)
                for where in (scratch, None)
            ]
            for band in ("red", "swir16", "nir"):
                np.testing.assert_array_equal(images[0].bands[band], images[1].bands[band])
    assert len(read) == 3 + 4 * 3


def test_half_a_copy_is_no_copy(files, tmp_path):
    scratch = Scratch(str(tmp_path), SITE)
    band = stored(files, scratch).bands[0][0]
    # Killed between the pixels and their header.
    Path(path_of(band, scratch)).with_suffix(".raw").write_bytes(b"half")
    found = read_image(stored(files, scratch), SITE, ("red",), Calibration()).bands["red"]
    np.testing.assert_array_equal(found, read_image(stored(files, None), SITE, ("red",), Calibration()).bands["red"])


def test_scenes_that_would_not_fit_are_not_kept(files):
    # By hand: 120 x 90 cells of 2 + 0.5 + 2 bytes.
    scenes = [stored(files, None)]
    assert with_scratch(scenes, files, SITE, 48_700 / 1e9)[0].scratch == Scratch(str(files), SITE)
    assert with_scratch(scenes, files, SITE, 48_500 / 1e9)[0].scratch is None
