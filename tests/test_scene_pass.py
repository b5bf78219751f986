"""The scene pass on files with a known displacement: what is taken off, what is stored, and what is refused."""

import datetime as dt
import re

import numpy as np
import pytest
from imagery_fixture import an_item
from servers import EPSG, LEFT, TOP, write_band
from shapely.geometry import box
from test_align import analytic

from pipeline.config import Config
from pipeline.findings import PreparedScene
from pipeline.grid import reproject
from pipeline.imagery import Calibration, Scene, StoredBand, StoredScene
from pipeline.passes.scene import CLEAR_BANDS, draw, register, survey
from pipeline.types import Grid, Site

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
    return draw(a_scene(tmp_path, "reference"), GRID, Config(), tmp_path)


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
    still = register(reference.scene, reference, GRID, Config())
    assert still.registered
    assert still.residual_m is None


# --- survey: how much of the AOI a scene shows, block by block ---

WIDE = Grid(EPSG, LEFT, TOP, 300, 260)
INSIDE = np.s_[20:230, 30:280]
CLOUDS = (np.s_[50:75, 40:70], np.s_[120:131, 180:260], np.s_[5:9, 0:300], np.s_[179:185, 100:130])


def a_cloudy_scene(folder, haze=0.0):
    """Write a scene of 300 x 260 px with clouds in its classes, and bluish haze over all of it."""
    rng = np.random.default_rng(8)
    scl = np.full(WIDE.shape, 5, dtype=np.uint8)
    for cloud in CLOUDS:
        scl[cloud] = 9
    scl[:, 295:] = 0
    bands = []
    for band, level in {"blue": 0.05, "green": 0.07, "red": 0.09, "nir": 0.2, "swir16": 0.25, "scl": None}.items():
        if level is None:
            pixels = scl
        else:
            reflectance = level + (haze if band == "blue" else 0) + rng.normal(0, 0.004, WIDE.shape)
            pixels = np.round(reflectance * 1e4).astype(np.uint16)
        bands.append(
            StoredBand(band, str(write_band(folder / f"{band}.tif", pixels)), "", 0, "", "reference", None, None, 0.0)
        )
    scene = Scene("cloudy", dt.datetime(2022, 5, 1, 2, tzinfo=dt.UTC), None, None, None, (an_item("cloudy"),))
    return PreparedScene(StoredScene(scene, (tuple(bands),)), Calibration(), 150.0, used=True)


def a_site():
    rows, columns = INSIDE
    corners = LEFT + 10 * columns.start, TOP - 10 * rows.stop, LEFT + 10 * columns.stop, TOP - 10 * rows.start
    return Site("wide", "Wide", "camp", "hard", reproject(box(*corners), EPSG, 4326))


@pytest.mark.parametrize("block_px", [64, 100, 1024])
def test_the_clear_fraction_is_counted_alike_whatever_the_blocks(tmp_path, block_px):
    rows, columns = np.indices(WIDE.shape)
    hidden = np.zeros(WIDE.shape, dtype=bool)
    for top, left in CLOUDS:  # within 100 m of a cloud, by hand: of a rectangle
        down = np.maximum(np.maximum(top.start - rows, rows - (top.stop - 1)), 0)
        right = np.maximum(np.maximum(left.start - columns, columns - (left.stop - 1)), 0)
        hidden |= np.hypot(down, right) <= 10
    config = Config(limits={"block_px": block_px})
    surveyed = survey(a_cloudy_scene(tmp_path), a_site(), WIDE, config)
    assert surveyed.clear_fraction == round(1 - hidden[INSIDE].mean(), 4)
    assert surveyed.used


@pytest.mark.parametrize("block_px", [64, 1024])
def test_a_veil_is_measured_on_all_blocks(tmp_path, block_px):
    config = Config(limits={"block_px": block_px})
    # The darkest quarter in red lies 1.27 standard deviations lower: 0.05 + 0.06 - 0.5 x 0.085.
    veiled = survey(a_cloudy_scene(tmp_path, haze=0.06), a_site(), WIDE, config)
    assert not veiled.used
    assert re.fullmatch(r"veiled: haze of 0\.06[678] over dark ground, limit 0\.043", veiled.reason)
    below = survey(a_cloudy_scene(tmp_path, haze=0.02), a_site(), WIDE, config)
    assert below.used


def test_a_site_the_scene_does_not_reach_has_no_data(tmp_path):
    elsewhere = Grid(EPSG, LEFT + 2960, TOP, 300, 260)
    config = Config(limits={"block_px": 64})
    assert survey(a_cloudy_scene(tmp_path), a_site(), elsewhere, config).reason == "no data over the AOI"
    partly = Grid(EPSG, LEFT + 1000, TOP, 300, 260)
    assert survey(a_cloudy_scene(tmp_path), a_site(), partly, config).used
