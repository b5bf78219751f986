"""The scene pass on files with a known displacement: what is taken off, what is stored, and what is refused."""

import datetime as dt
import re

import numpy as np
import pytest
from imagery_fixture import an_item
from servers import EPSG, LEFT, TOP, write_band
from test_align import analytic

from pipeline.config import Config
from pipeline.findings import PreparedScene
from pipeline.imagery import Calibration, Scene, StoredBand, StoredScene
from pipeline.passes.scene import CLEAR_BANDS, register
from pipeline.types import Grid

GRID = Grid(EPSG, LEFT + 200, TOP - 200, 140, 120)
TEN_M = ("blue", "green", "red", "nir")
LIMITS = Config().align


def a_scene(folder, name, shift_10_m=(0.0, 0.0), shift_20_m=None, noise=0.002, fresh=0.0):
    """Write a scene whose 10 m and 20 m bands are displaced by so many metres; ``fresh`` is the share of new ground."""
    folder = folder / name
    folder.mkdir()
    rng = np.random.default_rng(len(name) + ord(name[0]))
    bands = []
    for band in (*TEN_M, "swir16"):
        image = analytic(*(shift_10_m if band in TEN_M else shift_20_m or shift_10_m), seed=3)
        changed = round(fresh * image.shape[1])
        image[:, :changed] = analytic(seed=90)[:, :changed]
        dn = np.round((image + rng.normal(0, noise, image.shape)) * 1e4).clip(1)
        path = write_band(folder / f"{band}.tif", dn.astype(np.uint16))
        bands.append(StoredBand(band, str(path), "", 0, "", "reference", None, None, 0.0))
    scene = Scene(name, dt.datetime(2022, 5, 1, 2, tzinfo=dt.UTC), None, None, None, (an_item(name),))
    return PreparedScene(StoredScene(scene, (tuple(bands),)), Calibration(), 150.0, used=True)


@pytest.fixture
def reference(tmp_path):
    return a_scene(tmp_path, "reference")


def test_the_fixture_has_the_bands_that_are_asked_for():
    assert set(CLEAR_BANDS) - {"scl"} == {*TEN_M, "swir16"}


def test_a_scene_is_placed_and_its_residual_is_kept(tmp_path, reference):
    placed = register(a_scene(tmp_path, "good", (7.3, -4.1)), reference, GRID, Config())
    assert placed.used
    assert placed.registered
    assert placed.calibration.shift_x_m == pytest.approx(7.3, abs=0.5)
    assert placed.calibration.shift_y_m == pytest.approx(-4.1, abs=0.5)
    assert 0 <= placed.residual_m < 0.6


def test_half_of_what_the_resolution_groups_differ_by_is_the_residual(tmp_path, reference):
    placed = register(a_scene(tmp_path, "torn", (2.0, 0.0), (2.0, 4.0)), reference, GRID, Config())
    assert placed.used
    assert placed.residual_m == pytest.approx(2.0, abs=0.4)
    assert placed.calibration.shift_y_m == pytest.approx(0.0, abs=0.5), "the 10 m bands place the scene"


def test_a_scene_whose_bands_disagree_is_refused_with_its_residual(tmp_path, reference):
    torn = register(a_scene(tmp_path, "torn", (2.0, 0.0), (2.0, 9.0)), reference, GRID, Config())
    assert not torn.used
    assert not torn.registered
    assert torn.residual_m == pytest.approx(4.5, abs=0.6)
    assert torn.residual_m > LIMITS.max_residual_m
    assert torn.reason.startswith("registration residual 4.")


def test_a_shift_that_is_not_known_well_is_refused(tmp_path, reference):
    strict = Config(align={"max_sigma_m": 0.21, "max_residual_m": 30.0})
    noisy = register(a_scene(tmp_path, "noisy", (2.0, 0.0), noise=0.006), reference, GRID, strict)
    assert not noisy.used
    assert "shift known to" in noisy.reason
    assert "limit 0.21 m" in noisy.reason


def test_a_shift_beyond_the_limit_is_refused(tmp_path, reference):
    far = register(a_scene(tmp_path, "far", (23.0, 23.0)), reference, GRID, Config())
    assert not far.used
    assert re.fullmatch(rf"shift of 3[123] m, limit {LIMITS.max_shift_m:g} m", far.reason)


def test_other_ground_is_refused_and_the_reference_stays(tmp_path, reference):
    lost = register(a_scene(tmp_path, "lost", fresh=1.0), reference, GRID, Config())
    assert not lost.used
    assert lost.reason
    assert lost.calibration == Calibration()
    still = register(reference, reference, GRID, Config())
    assert still.registered
    assert still.residual_m is None
