"""The mask of a block's dates: kept as bits, joined without seams, with and without an elevation model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from conftest import call
from hypothesis import given
from hypothesis import strategies as st
from servers import opened_line
from shapely import affinity

from models._delineate import place_of
from models._disk_kernels import within_steps
from models._indices import brightness
from pipeline import cli
from pipeline.clear import sun_position
from pipeline.config import read_config
from pipeline.grid import Block, blocks, burn, window
from pipeline.imagery import StoredScene
from pipeline.kernels.dates import BANDS as ORDER
from pipeline.kernels.dates import NO_DATA
from pipeline.maps import write_map
from pipeline.passes.join import YearBlocks
from pipeline.passes.mask import MASKS, DateMask, packed, read_dates, read_masks, unpacked, write_masks
from pipeline.passes.observe import PileGround, observe
from pipeline.passes.scene import BANDS, calibrate, inspect, survey
from pipeline.plan import open_store, plan_site
from pipeline.products.geopackage import read_tables
from pipeline.sites import read_sites
from pipeline.sources._sim_scenes import plan_year
from pipeline.sources._sim_sites import SITES
from pipeline.sources._sim_sky import make_sky, sky_at
from pipeline.store import fetch
from pipeline.types import Grid

YEAR = 2018


# --- bits on disk ---


@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_masks_come_back_from_every_window(tmp_path_factory, dates, seed):
    folder = tmp_path_factory.mktemp("masks")
    rng = np.random.default_rng(seed)
    grid = Grid(32652, 400000.0, 4400000.0, 30, 26)
    seen, suspected = rng.random((2, dates, *grid.shape)) < 0.5
    parts: list[tuple[Block, Path]] = []
    for block in blocks(grid, 16, 4):
        top = round((grid.top_m - block.grid.top_m) / 10)
        left = round((block.grid.left_m - grid.left_m) / 10)
        at = slice(top, top + block.grid.height), slice(left, left + block.grid.width)
        path = folder / f"{block.row}_{block.column}"
        write_masks(path, packed([DateMask(s[at], p[at]) for s, p in zip(seen, suspected, strict=True)]), block.inner)
        parts.append((block, path))
    assert len(parts) == 4
    write_map(folder, "whole", YearBlocks(parts, grid).read(MASKS, slice(0, 26), slice(0, 30)))
    for at in ((slice(0, 26), slice(0, 30)), (slice(12, 20), slice(10, 22))):
        found = read_masks(folder / "whole.npy", at, dates)
        assert np.array_equal([m.usable for m in found], seen[:, *at])
        assert np.array_equal([m.suspected for m in found], suspected[:, *at])


# --- real dates of the simulated port ---


@pytest.fixture(scope="module")
def dates(port, tmp_path_factory):
    """Configuration, grid and the prepared scenes of one year."""
    config = read_config(port / "config.yaml")
    (site,) = read_sites(config.sites, config.limits, ["sim-port"])
    line = opened_line(config.source, tmp_path_factory.mktemp("line"))
    planned, store = plan_site(site, config, line), open_store(config, line)
    of_year = [s for s in planned.scenes if s.date.year == YEAR]
    stored = [s for s in (fetch(store, scene, planned.grid, BANDS) for scene in of_year) if isinstance(s, StoredScene)]
    scenes = calibrate(stored, [inspect(s, planned.grid, config) for s in stored], site, config)
    return config, planned.grid, [s for s in (survey(s, site, planned.grid, config) for s in scenes) if s.used]


def without_classes(scenes):
    """Take the scene classes away, as from an archive that has none."""
    return [
        replace(
            s, stored=replace(s.stored, bands=tuple(tuple(b for b in i if b.band != "scl") for i in s.stored.bands))
        )
        for s in scenes
    ]


def true_sky(grid, scenes):
    """True cloud, shadow and haze of every date; the sky is delivered where it is, whatever the scene's shift."""
    site = SITES["sim-port"]
    planned = {s.datetime: s for s in plan_year(site, YEAR, 1)}
    x = grid.left_m + 10 * (np.arange(grid.width) + 0.5) - site.origin_m[0]
    y = grid.top_m - 10 * (np.arange(grid.height) + 0.5) - site.origin_m[1]
    return [sky_at(make_sky(planned[s.stored.scene.datetime]), *np.meshgrid(x, y)) for s in scenes]


def reflectance(stack):
    """Bands of every date of a stack, NaN where there is no data."""
    ((_, _, values),) = stack.strips(0)
    known = np.where(values == NO_DATA, np.nan, values * np.float32(1e-4)).astype(np.float32)
    return [dict(zip(ORDER, date, strict=True)) for date in np.moveaxis(known, 1, 0)]


@pytest.mark.parametrize("classes", [True, False], ids=["with classes", "without"])
def test_one_used_pixel_in_a_hundred_may_be_cloud_or_shadow(dates, classes, tmp_path):
    config, grid, scenes = dates
    chosen = scenes if classes else without_classes(scenes)
    found = read_dates(grid, chosen, config.clear, tmp_path)
    seen, sky = np.array([mask.usable for mask in unpacked(found.bits, len(chosen))]), true_sky(grid, scenes)
    clean, haze = np.array([s.clear for s in sky]), np.array([s.haze for s in sky])
    # Sea and coal are never taken for shadow, whatever falls on them.
    bright = np.nanmedian([brightness(bands) for bands in reflectance(found.values)], axis=0) > 0.08
    assert (seen & ~clean & bright).sum() <= 0.01 * (seen & bright).sum()
    # What is plainly clear on a clear date is kept, and haze that lifts coal past its limit is not.
    calm = clean.all(axis=(1, 2)) & (haze.max(axis=(1, 2)) < 0.005)
    assert calm.sum() >= 3
    # By colour a bright quay passes for cloud now and then.
    assert seen[calm].mean() > (0.999 if classes else 0.98)
    veiled = (haze > 0.04) & clean
    assert veiled.sum() > 1000
    # Two hazy dates in succession vouch for each other where both are as hazy.
    assert seen[veiled].mean() < 0.3


def test_nothing_is_usable_and_suspected_at_once(dates, tmp_path):
    config, grid, scenes = dates
    for mask in unpacked(read_dates(grid, scenes, config.clear, tmp_path).bits, len(scenes)):
        assert not np.any(mask.usable & mask.suspected)


# --- light ---


def slope(path, grid, dip_deg, wall_m=0.0):
    """Write a plane that falls to the north-west in the west of a grid, level ground in its east, and a wall on it.

    The wall is 100 m thick and runs north, from 300 m east of the plane's end on.
    """
    left, top = grid.left_m - 3000.0, grid.top_m + 3000.0
    rows, columns = np.indices((grid.height // 2 + 300, grid.width // 2 + 300))
    along = (20.0 * columns + 20.0 * rows) / np.sqrt(2)
    steep = columns < grid.width / 4 + 150
    heights = np.where(steep, np.tan(np.radians(dip_deg)) * along, 0.0).astype(np.float32)
    heights[:, (columns[0] >= grid.width / 4 + 165) & (columns[0] < grid.width / 4 + 170)] += wall_m
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=heights.shape[0], width=heights.shape[1], dtype="float32",
        crs=f"EPSG:{grid.epsg}", transform=Affine(20.0, 0, left, 0, -20.0, top),
    ) as file:  # fmt: skip
        file.write(heights, 1)


def test_slopes_turned_from_the_sun_are_left_out_on_low_sun_only(dates, tmp_path):
    """A plane of 30 degrees, by hand from zenith and azimuth of each date."""
    config, grid, scenes = dates
    slope(tmp_path / "dem.tif", grid, 30.0)
    edge = grid.width // 2
    part = window(grid, slice(20, 60), slice(edge - edge % 2 - 20, edge - edge % 2 + 20))
    plain = unpacked(read_dates(part, scenes, config.clear, tmp_path).bits, len(scenes))
    clear = config.clear.model_copy(update={"dem": str(tmp_path / "dem.tif")})
    lit = unpacked(read_dates(part, scenes, clear, tmp_path).bits, len(scenes))
    outcomes = set()
    for scene, before, after in zip(scenes, plain, lit, strict=True):
        zenith, azimuth = sun_position(scene.stored.scene.datetime, 130.0, 38.5)
        # The sun on a plane that falls to the north-west: Soenen et al. 2005.
        s, z, turn = np.radians([30.0, zenith, azimuth - 315.0])
        by_hand = np.cos(z) * np.cos(s) + np.sin(z) * np.sin(s) * np.cos(turn)
        assert abs(by_hand - 0.5) > 0.02, "no date may stand on the limit"
        outcomes.add(by_hand >= 0.5)
        west, level = np.s_[:, :15], np.s_[:, 25:]
        expected = before.usable if by_hand >= 0.5 else np.zeros_like(before.usable)
        # A pixel's history may change with the dates left to it: only the light is looked at.
        assert np.mean((after.usable == expected)[west]) > 0.98, scene.stored.scene.scene_id
        assert np.mean((after.usable == before.usable)[level]) > 0.98, scene.stored.scene.scene_id
    assert outcomes == {True, False}


def test_ground_behind_a_wall_is_left_out(dates, tmp_path):
    """Its height times the tangent of the zenith, across the wall the sine of the azimuth of that."""
    config, grid, scenes = dates
    slope(tmp_path / "dem.tif", grid, 0.0, wall_m=1500.0)
    edge = grid.width // 2
    part = window(grid, slice(100, 140), slice(edge - edge % 2 - 2, edge - edge % 2 + 24))
    clear = config.clear.model_copy(update={"dem": str(tmp_path / "dem.tif")})
    lit = unpacked(read_dates(part, scenes, clear, tmp_path).bits, len(scenes))
    for scene, mask in zip(scenes, lit, strict=True):
        zenith, azimuth = sun_position(scene.stored.scene.datetime, 130.0, 38.5)
        shadow_m = 1500.0 * np.tan(np.radians(zenith)) * np.sin(np.radians(azimuth))
        dark_px = min(round(shadow_m / 10), 32)
        assert dark_px > 15, "the sun is low enough on every date"
        assert not mask.usable[:, 32 - dark_px + 2 :].any()
        assert not mask.suspected[:, 32 - dark_px + 2 :].any()


# --- the outline looks through the same mask ---


def test_an_outline_needs_its_surroundings_usable_and_its_pile_not_hidden_by_more_than_shadow(dates):
    config, grid, scenes = dates
    site = SITES["sim-port"]
    outlines = {p.pile_id: p.outline(YEAR) for p in site.patches if p.material == "coal"}
    pile = affinity.translate(next(iter(outlines.values())), *site.origin_m)
    rows, columns = np.nonzero(burn(pile, grid))
    at = tuple(slice((axis.min() - 16) // 2 * 2, (axis.max() + 16) // 2 * 2) for axis in (rows, columns))
    part, member = window(grid, *at), burn(pile, grid)[at]
    nothing, everything = np.zeros_like(member), np.ones_like(member)
    place, around, seen = place_of(member, nothing), within_steps(member, 4), np.full(member.shape, 9, np.uint8)
    scene = scenes[0]  # of a day without cloud

    def drawn(usable, suspected):
        masks = {scene.stored.scene.scene_id: DateMask(usable, suspected)}
        found = observe([scene], PileGround(part, member, place, around, seen, masks), "hard", config)
        return found[0] if found else None

    assert drawn(everything, nothing).area_m2 == pytest.approx(pile.area, rel=0.1)
    assert drawn(~member, member).area_m2 == pytest.approx(pile.area, rel=0.1)
    assert drawn(~member, nothing) is None
    assert drawn(member, ~member) is None


# --- what the products say ---


def facts(folder, name="sim-port"):
    return {row.key: row.value for row in read_tables(folder / f"{name}.gpkg")["run"]}


def test_products_say_that_the_light_was_not_looked_at(port_results):
    folder = port_results / "sim-port"
    assert facts(folder)["illumination_gate"] == "off, no elevation model"
    assert "Illumination gate: off, no elevation model" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_run_with_an_elevation_model_says_so_and_names_no_path(small, tmp_path):
    shutil.copytree(small / "aoi", tmp_path / "aoi")
    config = yaml.safe_load((small / "config.yaml").read_text())
    grid = Grid(32652, 580000.0, 4270000.0, 700, 900)
    (tmp_path / "models").mkdir()
    slope(tmp_path / "models" / "dem.tif", grid, 0.0)
    config["clear"] = {"dem": "models/dem.tif"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    done = call("run", "--config", tmp_path / "config.yaml")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "results" / "sim-port"
    assert facts(folder)["illumination_gate"] == "on, dem.tif: cosine of incidence at least 0.5, no cast shadow"
    said = json.loads((folder / "manifest.json").read_text())
    assert said["settings"]["clear"]["dem"].startswith("dem.tif ")
    assert str(tmp_path) not in json.dumps(said)
    # Level ground under a high sun: the numbers are those without a model.
    level, none = (read_tables(f / "sim-port.gpkg") for f in (folder, small / "results" / "sim-port"))
    assert level["measurements"] == none["measurements"]


def test_an_elevation_model_that_is_not_there_is_refused_before_any_work(settings, capsys):
    status = cli.main(["plan", "--config", str(settings(clear={"dem": "nowhere.tif"}))])
    told = capsys.readouterr().err
    assert status == 2
    assert "nowhere.tif: no such file; name a raster in metres, or leave it out" in told
