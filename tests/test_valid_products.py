"""Every product of the demonstration, held against validators and readers of other makers; none is left out."""

import hashlib
import json
import sqlite3
from contextlib import closing
from xml.etree import ElementTree as ET

import numpy as np
import pypdf
import pytest
import rasterio
from affine import Affine
from conftest import hashes
from product_checks import (
    check_cog,
    check_exports,
    check_geopackage,
    check_kml,
    has_system_gdal,
    read_frame,
    system_validator,
)
from test_exports import messy_tables

from pipeline.products.geopackage import write_geopackage

pytestmark = pytest.mark.slow

SITES = ("sim-camp", "sim-mine", "sim-port")


def outputs(folder):
    return [folder / output["path"] for output in json.loads((folder / "manifest.json").read_text("utf-8"))["outputs"]]


@pytest.mark.parametrize("site", SITES)
def test_every_product_of_a_site_is_valid(demo_results, site):
    folder, checked = demo_results / site, set()
    package = folder / f"{site}.gpkg"
    schema = check_exports(folder / "tables", package, simulated=True)
    check_kml(folder / f"{site}.kml", package, simulated=True)
    for path in outputs(folder):
        if path.parent.name == "inputs":
            assert hashlib.sha256(path.read_bytes()).hexdigest() in (folder / "manifest.json").read_text("utf-8")
        elif path.parent.name == "masks" and path.suffix == ".tif":
            with rasterio.open(path) as masks:
                assert masks.crs.is_projected
                assert all(masks.descriptions)
        elif path.suffix == ".gpkg":
            check_geopackage(path)
        elif path.suffix == ".tif":
            check_cog(path)
        elif path.suffix == ".qml":
            assert ET.parse(path).getroot().tag == "qgis"  # noqa: S314 - written by this program
        elif path.suffix == ".pdf":
            assert len(pypdf.PdfReader(path).pages) > 1
        elif path.suffix == ".html":
            assert path.read_text("utf-8").lower().startswith("<!doctype html>")
        else:
            assert path.parent.name == "tables" or path.suffix == ".kml", f"nothing checks {path}"
        checked.add(path.relative_to(folder).as_posix())
    beside = ("manifest.json", "run.json", "runs/", "review.gpkg")
    assert set(hashes(folder, without=beside)) == checked, "nothing lies there that the manifest does not name"
    assert schema["simulated"] is True


def test_the_validators_are_not_blind(tmp_path):
    """A raster that is no cloud-optimised one, and a table whose columns were changed, are both named."""
    path = tmp_path / "plain.tif"
    grid = {"width": 1200, "height": 1200, "count": 1, "dtype": "uint16", "crs": "EPSG:32652"}
    with rasterio.open(path, "w", driver="GTiff", transform=Affine.scale(10, -10), **grid) as file:
        file.write(np.zeros((1, 1200, 1200), np.uint16))
    with pytest.raises(AssertionError, match=r"plain\.tif"):
        check_cog(path)
    if has_system_gdal():
        assert system_validator(path).returncode == 1
    path = tmp_path / "a.gpkg"
    write_geopackage(path, messy_tables(), 32652, "a", simulated=False)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE run ADD COLUMN bad VARCHAR")
    with pytest.raises(AssertionError, match=r"a\.gpkg"):
        check_geopackage(path)


def test_portfolio_is_valid_and_holds_all_sites(demo_results):
    check_geopackage(demo_results / "portfolio.gpkg")
    frame = read_frame(demo_results / "portfolio.gpkg", layer="portfolio")
    assert list(frame["site_id"]) == list(SITES)
    assert set(frame["state"]) == {"finished"}
    assert frame["simulated"].all()


@pytest.mark.parametrize("site", SITES)
def test_a_composite_names_the_scenes_it_is_the_median_of(demo_results, site):
    folder = demo_results / site
    scenes = read_frame(folder / f"{site}.gpkg", layer="scenes", read_geometry=False)
    for path in sorted((folder / "composites").glob("*.tif")):
        with rasterio.open(path) as file:
            tags, names, scales, units = file.tags(), file.descriptions, file.scales, file.units
            epsg, whole = file.crs.to_epsg(), (file.count, file.nodata)
        used = scenes[scenes["used"] & (scenes["datetime"].dt.year == int(path.stem))]
        assert json.loads(tags["scenes"]) == sorted(used["scene_id"])
        assert tags["n_scenes"] == str(len(used))
        assert tags["year"] == path.stem
        assert tags["site"] == site
        assert tags["crs"] == f"EPSG:{epsg}"
        assert tags["windows"] == "04-01 to 06-15, 06-01 to 09-30, 09-01 to 10-20"
        assert "median" in tags["statistic"]
        assert tags["SIMULATED"] == "yes"
        assert tags["TIFFTAG_COPYRIGHT"].startswith("SIMULATED")
        assert tags["TIFFTAG_IMAGEDESCRIPTION"].startswith("SIMULATED")
        assert names == ("blue", "green", "red", "nir", "swir16", "swir22")
        assert set(scales) == {0.0001}
        assert set(units) == {"reflectance"}
        assert whole == (6, 65535)
