"""The simulated archive against what is known without it: areas, radiometry, geometry, STAC, its own truth."""

import dataclasses
import json
import shutil

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from pyproj import Geod, Transformer
from rasterio.warp import Resampling, reproject
from scipy import ndimage, special
from servers import searched
from shapely.geometry import shape
from skimage.registration import phase_cross_correlation

from pipeline import clear
from pipeline.config import LimitsConfig, read_config
from pipeline.errors import InputError
from pipeline.sites import read_claims, read_sites
from pipeline.sources import _scene_model, simulated
from pipeline.sources._scene_model import CELL_M, amplitudes, make_ground, shares
from pipeline.sources._sim_render import render_scene, tile_image, to_dn, true_sky
from pipeline.sources._sim_scenes import plan_year
from pipeline.sources._sim_sites import SITES, footprint, piles
from pipeline.sources._sim_sky import make_sky, sky_at

CAMP, MINE, PORT = SITES["sim-camp"], SITES["sim-mine"], SITES["sim-port"]
YEAR = 2019


def to_utm(outline):
    transformer = Transformer.from_crs(4326, 32652, always_xy=True)
    return shapely.transform(outline, transformer.transform, interleaved=False)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """One year of the port alone."""
    folder = tmp_path_factory.mktemp("simulated") / "archive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated, "SITES", {PORT.id: PORT})
        simulated.simulate(folder, seed=5, years=(YEAR, YEAR))
    return folder


@pytest.fixture(scope="module")
def camp_ground():
    return make_ground(CAMP, 2020, 1)


@pytest.fixture(scope="module")
def clear_scene():
    """Return a July scene of the camp that nothing disturbs."""
    scene = next(s for s in plan_year(CAMP, 2020, 1) if s.datetime.month == 7)
    return dataclasses.replace(scene, cloud_cover=0.0, haze=0.0, shift_x_m=0.0, shift_y_m=0.0, offset_in_dn=True)


@pytest.mark.parametrize(
    ("site", "year", "area_m2"), [(CAMP, 2018, 28_000), (CAMP, 2023, 48_000), (MINE, 2020, 39_500)]
)
def test_drawn_coal_has_the_true_area(site, year, area_m2):
    drawn = shares(site, year)
    assert sum(pile.area for pile in piles(site, year).values()) == pytest.approx(area_m2)
    assert drawn["coal"].sum(dtype=float) * CELL_M**2 == pytest.approx(area_m2, rel=1e-5)
    np.testing.assert_allclose(sum(layer.astype(float) for layer in drawn.values()), 1.0, atol=1e-5)


def test_camp_grows_as_described():
    by_year = [{name: round(p.area / 1e4, 2) for name, p in piles(CAMP, year).items()} for year in range(2018, 2024)]
    assert [year["A"] for year in by_year] == [1.0, 1.2, 1.45, 1.7, 1.95, 2.2]
    assert ["D" in year for year in by_year] == [False, False, True, True, True, True]
    assert ["E" in year for year in by_year] == [True, True, True, False, False, False]
    zone = next(outline for role, _, outline in CAMP.places if role == "zone")
    assert zone.contains(piles(CAMP, 2020)["D"])
    # A front of 500 m advances by 12 m a year; a yard of 160 x 150 m is cleared in 2020.
    gained = [round(footprint(CAMP, year).intersection(zone).area) for year in range(2018, 2024)]
    assert gained == [0, 6_000, 36_000, 42_000, 48_000, 54_000]
    assert footprint(MINE, 2018).equals(footprint(MINE, 2023))


def test_edge_is_smeared_by_the_stated_point_spread(monkeypatch):
    """The quay's straight edge at x = 320 m is an error function of sigma 5.1 and 9.8 m."""
    monkeypatch.setattr(_scene_model, "_texture", lambda *_: np.zeros((_scene_model.SIZE,) * 2, np.float32))
    ground = make_ground(PORT, YEAR, 1)
    across = np.arange(-60.0, 60.5, 0.5)
    for resolution, sigma_m in ((10, 5.1), (20, 9.8)):
        drawn = amplitudes(ground, resolution, 320.0 + across, np.full_like(across, 130.0))
        water = drawn[ground.materials.index("deep_water")].astype(float)
        np.testing.assert_allclose(water, 0.5 * (1 + special.erf(across / (sigma_m * np.sqrt(2)))), atol=0.025)
        spread = np.gradient(water)
        # The edge lies on a border of cells, which smear it less than one anywhere, by a sixth of a cell squared.
        expected_m = np.sqrt(sigma_m**2 - CELL_M**2 / 6)
        assert np.sqrt(np.sum(spread * across**2) / spread.sum()) == pytest.approx(expected_m, rel=0.01)


def test_dn_round_trip_and_no_accidental_nodata():
    reflectance = np.array([0.1234, 0.0, -0.005, 0.9], np.float32)
    with_offset, without = to_dn(reflectance, offset=True), to_dn(reflectance, offset=False)
    assert with_offset.tolist() == [2234, 1000, 950, 10000]
    assert without.tolist() == [1234, 1, 1, 9000]
    np.testing.assert_allclose((with_offset - 1000.0) / 1e4, reflectance, atol=5e-5)


@pytest.mark.parametrize("site", [CAMP, MINE, PORT], ids=lambda site: site.id)
@pytest.mark.parametrize(("year", "in_dn"), [(2019, False), (2022, True)])
def test_one_scene_of_the_year_lies_about_its_offset(site, year, in_dn):
    plan = plan_year(site, year, 1)
    lying = [scene for scene in plan if scene.offset_declared != scene.offset_in_dn]
    assert [scene.offset_in_dn for scene in lying] == [in_dn]
    assert all(scene.offset_in_dn == (year == 2022) or scene.snow for scene in plan)
    if site is MINE:
        deep = render_scene(site, lying[0], make_ground(site, year, 1))["B12"][30:45, 35:50]
        assert (np.median(deep) > 850) == in_dn


def test_reprocessed_scenes_carry_the_offset_before_2022():
    plan = plan_year(MINE, 2020, 1)
    reprocessed = [scene for scene in plan if scene.processing_baseline == "05.00"]
    assert len(reprocessed) == 2
    assert all(scene.offset_in_dn and scene.offset_declared for scene in reprocessed)
    assert not any(scene.offset_in_dn for scene in plan if scene not in reprocessed)


def test_content_is_displaced_by_the_stated_shift(camp_ground, clear_scene):
    """Least squares of the difference on the gradients, which knows nothing of how the image was drawn."""
    moved = dataclasses.replace(clear_scene, shift_x_m=3.0, shift_y_m=-2.0)
    still, displaced = (render_scene(CAMP, scene, camp_ground)["B08"].astype(float) for scene in (clear_scene, moved))
    down, right = np.gradient(ndimage.gaussian_filter((still + displaced) / 2, 1.0))
    change = ndimage.gaussian_filter(displaced - still, 1.0)
    found, *_ = np.linalg.lstsq(np.stack([-right.ravel(), down.ravel()], axis=1) / 10, change.ravel())
    np.testing.assert_allclose(found, [3.0, -2.0], atol=0.3)


def test_both_tiles_of_an_acquisition_show_the_same_ground(camp_ground, clear_scene):
    images = [tile_image(CAMP, tile) for tile in CAMP.tiles]
    assert [image.epsg for image in images] == [32651, 32652]
    dn = [render_scene(CAMP, clear_scene, camp_ground, number)["B04"].astype(np.float32) for number in (0, 1)]
    other = np.zeros_like(dn[0])
    reproject(
        dn[1], other, src_crs="EPSG:32652", dst_crs="EPSG:32651", src_transform=images[1].transform(10),
        dst_transform=images[0].transform(10), src_nodata=0, dst_nodata=0, resampling=Resampling.cubic,
    )  # fmt: skip
    core = (slice(40, -40), slice(40, -40))
    assert np.all(other[core] > 0)
    shift, _, _ = phase_cross_correlation(dn[0][core], other[core], upsample_factor=50, normalization=None)
    assert np.all(np.abs(shift) <= 0.06)
    # Independent sensor noise of 25 DN in each, less where the resampling averages.
    assert np.std(dn[0][core] - other[core]) < 45


def test_seasons_and_snow(camp_ground, clear_scene):
    forest = (slice(20, 60), slice(60, 100))
    plan = plan_year(CAMP, 2020, 1)
    april = next(s for s in plan if s.datetime.month == 4)
    april = dataclasses.replace(april, cloud_cover=0.0, haze=0.0, offset_in_dn=True)
    ndvi = {}
    for name, scene in (("april", april), ("july", clear_scene)):
        dn = render_scene(CAMP, scene, camp_ground)
        nir, red = (np.median(dn[band][forest]) - 1000 for band in ("B08", "B04"))
        ndvi[name] = (nir - red) / (nir + red)
    assert ndvi["july"] > 0.6
    assert ndvi["april"] < 0.4
    winter = next(s for s in plan if s.snow)
    assert np.mean(render_scene(CAMP, winter, camp_ground)["SCL"] == 11) > 0.1


def test_sun_agrees_with_the_almanac():
    for scene in plan_year(PORT, 2021, 1):
        zenith, azimuth = clear.sun_position(scene.datetime, PORT.longitude, PORT.latitude)
        assert scene.sun_zenith_deg == pytest.approx(zenith, abs=0.6)
        assert scene.sun_azimuth_deg == pytest.approx(azimuth, abs=1.0)


def test_shadows_fall_away_from_the_sun(camp_ground, clear_scene):
    """At half past ten in July the sun stands in the east-south-east: shadows lie to the west-north-west."""
    scl = render_scene(CAMP, dataclasses.replace(clear_scene, cloud_cover=0.08), camp_ground)["SCL"]
    shadow, cloud = scl == 3, np.isin(scl, (8, 9, 10))
    azimuth = np.radians(clear.sun_position(clear_scene.datetime, CAMP.longitude, CAMP.latitude)[1])
    assert np.degrees(azimuth) == pytest.approx(113, abs=5)
    assert shadow.sum() > 100

    def overlap(away):
        reach_px = np.arange(300, 1500, 20) / 20
        moved = [ndimage.shift(cloud.astype(float), (-r * np.cos(away), r * np.sin(away)), order=0) for r in reach_px]
        return max(np.sum(shadow * m) for m in moved) / shadow.sum()

    # Some shadows are cast by clouds beyond the image.
    assert overlap(azimuth + np.pi) > 0.7
    assert max(overlap(azimuth + quarter * np.pi / 2) for quarter in (0, 1, -1)) < 0.4


def test_shadow_darkens_and_cloud_brightens(camp_ground, clear_scene):
    """Held against the same scene without cloud: cloud is white, full shadow keeps about a third of the NIR."""
    cloudy = dataclasses.replace(clear_scene, cloud_cover=0.15)
    before, after = (render_scene(CAMP, scene, camp_ground) for scene in (clear_scene, cloudy))
    image = tile_image(CAMP, CAMP.tiles[0])
    rows, columns = np.mgrid[: image.shape(10)[0], : image.shape(10)[1]]
    x, y = image.left_m + 10 * columns + 5 - CAMP.origin_m[0], image.top_m - 10 * rows - 5 - CAMP.origin_m[1]
    sky = sky_at(make_sky(cloudy), x, y)
    nir = [scene["B08"].astype(float) - 1000 for scene in (before, after)]
    assert np.median((nir[1] / nir[0])[sky.shadow > 0.99]) == pytest.approx(0.35, abs=0.03)
    assert np.median(nir[1][sky.cloud > 0.99]) == pytest.approx(5200, rel=0.05)
    np.testing.assert_allclose(nir[1][sky.clear], nir[0][sky.clear], atol=300)


def test_scene_classification_errs_over_coal(camp_ground):
    """Coal is dark area, bare, water and shadow in turn; a mask of classes 2, 3 and 6 would delete it."""
    image = tile_image(CAMP, CAMP.tiles[0])
    pile = piles(CAMP, 2020)["A"].centroid
    row = round((image.top_m - CAMP.origin_m[1] - pile.y) / 20)
    column = round((pile.x + CAMP.origin_m[0] - image.left_m) / 20)
    plan = [dataclasses.replace(s, cloud_cover=0.0) for s in plan_year(CAMP, 2020, 1) if not s.snow]
    classes = [render_scene(CAMP, s, camp_ground)["SCL"][row - 1 : row + 1, column - 1 : column + 1] for s in plan]
    seen = set(np.unique(classes).tolist())
    assert 2 in seen
    assert len(seen & {3, 5, 6, 7}) >= 2
    assert not seen & {4, 8, 9, 10}


def test_outside_the_swath_there_is_no_data_and_nowhere_else(camp_ground):
    plan = plan_year(CAMP, 2020, 1)
    cut = [scene for scene in plan if scene.swath_edge]
    assert len(cut) == 1
    dn = render_scene(CAMP, cut[0], camp_ground)
    missing = dn["B02"] == 0
    assert 0.1 < missing.mean() < 0.6
    np.testing.assert_array_equal(missing, dn["B08"] == 0)
    np.testing.assert_array_equal(dn["SCL"] == 0, dn["B11"] == 0)
    whole = render_scene(CAMP, next(s for s in plan if not s.swath_edge), camp_ground)
    assert all(np.all(band > 0) for band in whole.values())


@pytest.mark.parametrize("seed", [1, 2])
def test_years_can_or_cannot_be_judged_as_meant(seed):
    for site in (CAMP, MINE, PORT):
        for year in range(2018, 2024):
            plan = plan_year(site, year, seed)
            windows = simulated._seen(plan, [true_sky(scene)[1] for scene in plan])["windows"]
            good = [windows[name]["good_dates"] for name in ("stockpile", "footprint")]
            if site is PORT and year not in (2018, 2021):
                assert max(good) <= 3
            else:
                assert good[0] >= 7
                assert good[1] >= 6


def test_a_year_does_not_depend_on_where_or_after_what_it_is_made(archive, tmp_path):
    simulated.write_site_year(simulated.SiteYear(tmp_path, PORT.id, YEAR, 5))
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert len(made) == 11 * 9
    for path in made:
        assert (tmp_path / path).read_bytes() == (archive / path).read_bytes(), path


def test_another_seed_is_another_archive():
    assert plan_year(PORT, YEAR, 1) != plan_year(PORT, YEAR, 2)


def test_bands_are_cogs_on_the_tile_grid(archive):
    folder = next(iter(sorted(archive.glob("S2*"))))
    for band, (resolution, dtype) in {"B02": (10, "uint16"), "B8A": (20, "uint16"), "SCL": (20, "uint8")}.items():
        with rasterio.open(folder / f"{band}.tif") as raster:
            assert raster.crs.to_epsg() == 32652
            assert raster.res == (resolution, resolution)
            assert (raster.transform.c % 20, raster.transform.f % 20) == (0, 0)
            assert (raster.dtypes[0], raster.nodata) == (dtype, 0)
            assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert raster.tags()["TIFFTAG_IMAGEDESCRIPTION"].startswith("SIMULATED")
            x, y = Transformer.from_crs(4326, 32652, always_xy=True).transform(PORT.longitude, PORT.latitude)
            assert raster.bounds.left + 1400 < x < raster.bounds.right - 1400
            assert raster.bounds.bottom + 1400 < y < raster.bounds.top - 1400


def test_pystac_opens_the_catalogue(archive):
    catalog = pystac.Catalog.from_file(str(archive / "catalog.json"))
    items = list(catalog.get_items())
    truth = json.loads((archive / "truth.json").read_text())
    assert {item.id for item in items} == {scene["id"] for scene in truth["scenes"]}
    for item in items:
        assert item.properties["stockline:simulated"] is True
        assert sorted(item.assets) == ["B02", "B03", "B04", "B08", "B11", "B12", "B8A", "SCL"]
        for asset in item.assets.values():
            with rasterio.open(asset.get_absolute_href()) as raster:
                assert list(raster.shape) == asset.extra_fields["proj:shape"]
                assert list(raster.transform)[:6] == asset.extra_fields["proj:transform"]
                footprint = to_utm(shape(item.geometry))
                np.testing.assert_allclose(footprint.bounds, raster.bounds, atol=0.01)


def test_items_declare_the_offset_as_the_truth_says(archive):
    truth = json.loads((archive / "truth.json").read_text())
    for scene in truth["scenes"]:
        item = json.loads((archive / scene["id"] / f"{scene['id']}.json").read_text())
        assert item["assets"]["B02"]["raster:bands"][0]["offset"] == (-0.1 if scene["offset_declared"] else 0)
    faults = [scene["id"] for scene in truth["scenes"] if scene["offset_declared"] != scene["offset_in_dn"]]
    assert truth["offset_faults"] == faults
    assert len(faults) == 1


def test_truth_outlines_have_the_stated_areas(archive):
    truth = json.loads((archive / "truth.geojson").read_text())
    assert truth["description"].startswith("SIMULATED")
    areas = {}
    for feature in truth["features"]:
        values, outline = feature["properties"], shape(feature["geometry"])
        planar = to_utm(outline).area
        on_ellipsoid = abs(Geod(ellps="WGS84").geometry_area_perimeter(outline)[0])
        assert values["area_m2"] == pytest.approx(planar, rel=1e-6)
        assert values["geodesic_area_m2"] == pytest.approx(on_ellipsoid, rel=1e-6)
        areas[values["what"], values["pile_id"]] = values["area_m2"]
    assert areas["pile", "A"] == pytest.approx(11_500)
    assert areas["pile", "C"] == pytest.approx(6_000)


def test_the_pipeline_reads_its_settings(archive):
    config = read_config(archive / "config.yaml")
    assert (config.source.kind, config.years.first, config.years.last) == ("simulated", YEAR, YEAR)
    (site,) = read_sites(config.sites, LimitsConfig())
    assert site.name == "SIMULATED port"
    assert [feature.role for feature in site.features] == ["zone", "control"]
    assert all("SIMULATED" in feature.name for feature in site.features)
    assert abs(Geod(ellps="WGS84").geometry_area_perimeter(site.aoi)[0]) == pytest.approx(2400**2, rel=0.002)
    claims = read_claims(config.claims)
    assert [claim.observable for claim in claims] == ["stock", "ground", "presence"]
    assert all(claim.quote.startswith("SIMULATED claim") for claim in claims)
    items = searched(simulated, site.aoi, config)
    assert 0 < len(items) < 11
    assert all(item.simulated and item.cloud_percent <= 60 for item in items)


def test_search_refuses_what_is_not_simulated(archive, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(archive, copy)
    for path in copy.glob("S2*/*.json"):
        path.write_text(path.read_text().replace('"stockline:simulated": true', '"stockline:simulated": false'))
    config = read_config(copy / "config.yaml")
    (site,) = read_sites(config.sites, LimitsConfig())
    with pytest.raises(InputError, match="set source"):
        searched(simulated, site.aoi, config)


def test_everything_written_says_simulated(archive):
    texts = [path for path in archive.rglob("*") if path.suffix in {".json", ".geojson", ".yaml", ".md"}]
    assert len(texts) == 11 + 7
    assert all("SIMULATED" in path.read_text() for path in texts)


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(InputError, match="holds something else"):
        simulated.simulate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(InputError, match="is a file"):
        simulated.simulate(tmp_path / "mine.txt")


@pytest.mark.parametrize(("seed", "years"), [(-1, (2018, 2019)), (1, (2019, 2018)), (1, (1999, 2018))])
def test_impossible_arguments_are_refused(tmp_path, seed, years):
    with pytest.raises(InputError, match=r"seed|years"):
        simulated.simulate(tmp_path / "new", seed, years)
    assert not (tmp_path / "new").exists()


def test_an_earlier_simulation_is_replaced_and_results_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(simulated, "write_site_year", lambda _task: {"scenes": [], "summary": {}})
    folder = tmp_path / "archive"
    simulated.simulate(folder, years=(YEAR, YEAR))
    stale, kept = folder / "S2A_MSIL2A_20000101T000000_R003_T51SYS_20000101T040000", folder / "results"
    stale.mkdir()
    kept.mkdir()
    simulated.simulate(folder, years=(YEAR, YEAR))
    assert not stale.exists()
    assert kept.is_dir()


@pytest.mark.parametrize("site", [CAMP, MINE, PORT], ids=lambda site: site.id)
def test_tiles_are_the_mgrs_squares_of_the_site(site):
    """Column letters start anew every third zone, row letters repeat every 2000 km, shifted by five in even zones."""
    for tile in site.tiles:
        zone = tile.epsg - 32600
        transformer = Transformer.from_crs(4326, tile.epsg, always_xy=True)
        easting, northing = transformer.transform(site.longitude, site.latitude)
        column = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")[zone % 3][int(easting // 1e5) - 1]
        rows = "ABCDEFGHJKLMNPQRSTUV"
        row = rows[(int(northing // 1e5) + (5 if zone % 2 == 0 else 0)) % 20]
        assert tile.mgrs == f"{zone}S{column}{row}"
