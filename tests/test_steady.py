"""What is kept of a scene gives the departure that the scene itself gives, whatever steady ground is chosen later."""

import datetime as dt

import numpy as np
import pytest

from pipeline.clear import CLEAR, CLOUD
from pipeline.config import Config
from pipeline.drift import BANDS
from pipeline.findings import PreparedScene
from pipeline.imagery import Calibration, Image, Scene, StoredScene
from pipeline.passes import steady as module
from pipeline.passes.steady import Shown, around, covers, read_clear, scene_departure
from pipeline.types import Grid

GRID = Grid(32652, 300_000.0, 4_400_000.0, 30, 20)
STORED = StoredScene(Scene("s", dt.datetime(2020, 5, 1, tzinfo=dt.UTC), "s2a", None, None, ()), ())
SCENE = PreparedScene(STORED, Calibration(), 0.0, used=True)
RNG = np.random.default_rng(1)
PIXELS = {band: RNG.random(GRID.shape, dtype=np.float32) for band in BANDS}
CODES = np.where(RNG.random(GRID.shape) < 0.7, CLEAR, CLOUD)
LEVEL = RNG.random((len(BANDS), *GRID.shape), dtype=np.float32)


@pytest.fixture(autouse=True)
def reads(monkeypatch):
    """Give the scene's pixels, and count how often they are read."""
    found = []

    def read(stored, grid, bands, calibration):
        found.append(stored)
        return Image(grid, PIXELS)

    monkeypatch.setattr(module, "read_image", read)
    monkeypatch.setattr(module, "classify", lambda *_: CODES)
    return found


def chosen(tmp_path, name, rows, columns):
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[rows, columns] = True
    path = tmp_path / f"{name}.npz"
    np.savez(path, steady=mask, level=LEVEL[:, mask])
    return path, mask


def departure(tmp_path, margin, steady):
    path = read_clear(SCENE, margin, GRID, Config(), tmp_path / "clear.npz")
    return scene_departure(Shown(path, "s", 2020, "s2a"), margin, steady)


def test_the_departure_is_that_of_the_scenes_own_pixels(tmp_path):
    steady, mask = chosen(tmp_path, "steady", slice(3, 17), slice(4, 20))
    margin = around(steady, tmp_path / "around.npy")
    later, less = chosen(tmp_path, "later", slice(2, 14), slice(5, 21))
    for path, ground in ((steady, mask), (later, less)):
        found = departure(tmp_path, margin, path)
        seen = ground & (CODES == CLEAR)
        assert found.n_pixels == seen.sum()
        for place, band in enumerate(BANDS):
            assert found.departure[band] == float(np.median(PIXELS[band][seen] - LEVEL[place][seen]))


def test_ground_far_from_the_former_is_not_covered(tmp_path):
    first, _ = chosen(tmp_path, "first", slice(3, 10), slice(4, 10))
    margin = around(first, tmp_path / "around.npy")
    assert covers(margin, first)
    assert covers(margin, chosen(tmp_path, "near", slice(1, 10), slice(2, 12))[0])
    assert not covers(margin, chosen(tmp_path, "far", slice(3, 10), slice(4, 14))[0])
    np.save(tmp_path / "other.npy", np.ones((4, 4), dtype=bool))
    assert not covers(tmp_path / "other.npy", first)


def test_too_little_ground_has_no_departure_and_needs_no_reading(tmp_path, reads):
    steady, _ = chosen(tmp_path, "steady", slice(3, 5), slice(4, 6))
    assert departure(tmp_path, around(steady, tmp_path / "around.npy"), steady) is None
    assert reads == []
    wide, _ = chosen(tmp_path, "wide", slice(0, 20), slice(0, 30))
    assert departure(tmp_path, around(wide, tmp_path / "around.npy"), steady) is None


@pytest.mark.parametrize("size", [1, 2, 3, 50, 51, 4_000])
def test_a_median_is_that_of_numpy(size):
    for _ in range(20):
        values = RNG.normal(0, 0.1, size).astype(np.float32)
        assert module._median(values) == float(np.median(values))
        values[RNG.integers(size)] = np.nan
        assert np.isnan(module._median(values))
