"""Real Sentinel-2 archives that nobody measured coal in: the whole flow, and nothing found that is not there."""

import json
import re

import numpy as np
import pytest
import rasterio
from conftest import DATA
from pyproj import Transformer
from rasterio.features import geometry_mask
from rasterio.warp import Resampling, reproject
from shapely import transform
from shapely.geometry import box, mapping

from pipeline import cli
from pipeline.products.geopackage import read_tables

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the real archives are not beside the project ({DATA})"),
]

WHOLE_YEAR = {"stockpile": [["01-01", "12-31"]], "footprint": [["01-01", "12-31"]]}


@pytest.fixture
def measure(settings, tmp_path, capsys):
    """Run one archive as a site of its own; exit status, tables or None, standard error."""

    def run(name, aoi, years, /, source=None, **sections):
        about = {
            "role": "aoi", "id": name, "name": name.title(), "kind": "other", "coal_rank": "hard", "status": "test",
            "source": "bounds of the archive", "source_date": "2025", "uncertainty_m": 10, "note": "no coal known",
        }  # fmt: skip
        feature = {"type": "Feature", "properties": about, "geometry": mapping(aoi)}
        (tmp_path / "aoi").mkdir()
        (tmp_path / "aoi" / f"{name}.geojson").write_text(
            json.dumps({"type": "FeatureCollection", "features": [feature]})
        )
        config = settings(
            source={"url": str(DATA / name / "catalog.json"), **(source or {})},
            sites="aoi",
            years={"first": years[0], "last": years[1]},
            **sections,
        )
        status = cli.main(["run", "--config", str(config)])
        told = capsys.readouterr().err
        package = tmp_path / "results" / name / f"{name}.gpkg"
        return status, read_tables(package) if package.exists() else None, told

    return run


def increases(tables):
    """Every row that says there is more coal."""
    rows = [c for c in tables["changes"] if c.metric.startswith("stockpile")]
    rows += tables["stockpile_changes"]
    rows += [t for t in tables["trends"] if t.metric.startswith("stockpile")]
    return [row for row in rows if row.verdict == "increase"]


def water_frequency(name, epsg, shape, grid_transform):
    """Share of the dates with data on which a pixel has MNDWI above 0, from the archive's own files."""
    wet, dates = np.zeros(shape), np.zeros(shape)
    for folder in sorted((DATA / name).glob("S2_*")):
        bands = []
        for band in ("B03", "B11"):
            out = np.zeros(shape, dtype=np.float32)
            with rasterio.open(folder / f"{band}.tif") as source:
                reproject(
                    source.read(1).astype(np.float32), out, src_transform=source.transform, src_crs=source.crs,
                    dst_transform=grid_transform, dst_crs=f"EPSG:{epsg}", src_nodata=0, dst_nodata=0,
                    resampling=Resampling.bilinear,
                )  # fmt: skip
            bands.append(out)
        green, swir16 = bands
        there = (green > 0) & (swir16 > 0)
        dates += there
        wet += there & (green > swir16)
    return np.divide(wet, dates, out=np.zeros(shape), where=dates > 0)


BOADELLA = box(2.7935, 42.3315, 2.8365, 42.3635)


def test_the_reservoir_is_a_dark_object_when_water_is_not_told_apart(measure):
    """What the next test rests on: without the tests for water its deep water is as dark as coal, on every date."""
    blind = {"mndwi_max": 1.0, "water_share_max": 1.0, "swir16_min": 0.0}
    clear = {"max_sun_zenith_deg": 75}
    status, _, told = measure(
        "boadella", BOADELLA, (2020, 2022), windows=WHOLE_YEAR, min_dates=2, clear=clear, stockpile=blind
    )
    assert status == 0
    found = re.search(r"(\d+) piles or candidates among (\d+) dark objects", told)
    assert int(found[2]) >= 1


@pytest.mark.parametrize("sun", [55.0, 75.0])
def test_a_reservoir_whose_deep_water_is_as_dark_as_coal(sun, measure, tmp_path):
    status, tables, told = measure(
        "boadella", BOADELLA, (2020, 2022), windows=WHOLE_YEAR, min_dates=2, clear={"max_sun_zenith_deg": sun}
    )
    assert status == 0, told
    used = [s for s in tables["scenes"] if s.used]
    assert len(tables["scenes"]) == 8
    assert len(used) >= (2 if sun == 55.0 else 4)
    assert all(s.reason for s in tables["scenes"] if not s.used)
    assert all(s.offset_verdict != "corrected" for s in used), "the archive is harmonised: no offset is in its pixels"
    assert not increases(tables)
    composite = next((tmp_path / "results" / "boadella" / "composites").glob("*.tif"))
    with rasterio.open(composite) as grid:
        water = water_frequency("boadella", grid.crs.to_epsg(), grid.shape, grid.transform)
        assert (water > 0.9).mean() > 0.03, "the reservoir is in the picture"
        for pile in tables["stockpiles"]:
            inside = geometry_mask([pile.geometry], grid.shape, grid.transform, invert=True, all_touched=True)
            if pile.tier != "candidate":
                assert water[inside].mean() < 0.1, f"{pile.pile_id} of {pile.year} is water"


def test_two_dates_of_an_alpine_lake_are_insufficient(measure):
    status, tables, told = measure("barbellino", box(10.0418, 46.0643, 10.0445, 46.0676), (2017, 2019))
    assert status == 0, told
    assert {m.status for m in tables["measurements"]} == {"insufficient_data"}
    assert {m.value for m in tables["measurements"]} == {None}
    assert {c.verdict for c in tables["changes"]} == {"insufficient_data"}
    assert all(c.reason for c in tables["changes"])
    assert not tables["stockpile_changes"] or not increases(tables)


BELGIUM = box(5.3205, 50.6300, 5.3320, 50.6365)


def test_an_archive_without_b8a_fails_by_name(measure):
    status, tables, told = measure("belgium", BELGIUM, (2020, 2021), windows=WHOLE_YEAR, min_dates=2)
    assert status == 1
    assert tables is None
    last = told.splitlines()[-1]
    assert last.startswith("belgium: FAILED")
    assert "nir08" in last
    assert "Traceback" not in told


def test_a_substitute_for_b8a_is_used_and_told_and_empty_months_are_no_data(measure, tmp_path):
    status, tables, told = measure(
        "belgium",
        BELGIUM,
        (2020, 2021),
        source={"band_substitutes": {"nir08": "nir"}},
        windows=WHOLE_YEAR,
        min_dates=2,
        clear={"max_sun_zenith_deg": 75},
    )
    assert status == 0, told
    empty = set()
    for folder in (DATA / "belgium").glob("S2_*"):
        with rasterio.open(folder / "B04.tif") as source:
            if not source.read(1).any():
                empty.add(folder.name)
    assert len(empty) == 2
    scenes = {s.scene_id: s for s in tables["scenes"]}
    assert len(scenes) == 12
    for name in empty:
        assert not scenes[name].used
        assert scenes[name].reason
    assert not {o.scene_id for o in tables["stockpile_observations"]} & empty
    assert not increases(tables)
    days = [s.datetime.year for s in scenes.values() if s.used]
    assert all(m.n_dates <= days.count(m.year) for m in tables["measurements"])
    report = (tmp_path / "results" / "belgium" / "report.html").read_text(encoding="utf-8")
    assert "Band nir08 is missing" in report
    assert "band nir was read in its place" in report


def test_an_aoi_that_reaches_beyond_the_archive_is_not_taken_for_seen(measure):
    """What lies outside the pictures is no data: the share seen says so."""
    west, south, east, north = BOADELLA.bounds
    wide = box(west, south, east + 2 * (east - west), north)
    status, tables, told = measure("boadella", wide, (2020, 2022), windows=WHOLE_YEAR, min_dates=2)
    assert status == 0, told
    rows = [m for m in tables["measurements"] if m.zone_id == "site"]
    assert rows
    assert all(m.valid_fraction < 0.5 for m in rows)
    assert {m.status for m in rows} <= {"insufficient_data", "partial"}
    to_grid = Transformer.from_crs(4326, 32631, always_xy=True).transform
    seen = transform(box(*BOADELLA.bounds).buffer(0.003), to_grid, interleaved=False)
    assert all(seen.covers(row.geometry) for row in (*tables["stockpiles"], *tables["footprints"]))
