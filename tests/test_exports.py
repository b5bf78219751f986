"""CSV and JSON beside a GeoPackage: equal to it, fit for their schema, and harmless in a spreadsheet."""

import datetime as dt
import hashlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from product_checks import check_exports, stored, untamed
from shapely import MultiPolygon, box

from pipeline.errors import ProductError
from pipeline.products.exports import files_of, tame, write_exports
from pipeline.products.finished import Finished
from pipeline.products.geopackage import write_geopackage
from pipeline.records import LAYERS, ChangeRow, ClaimRow, RunRow, SceneRow, SiteRow, StockpileRow

ROOT = Path(__file__).resolve().parents[1]
EPSG = 32652
NASTY = """=cmd|' /C calc'!A0"""
MESSY = "a \"b\", c;=1+1\n@SUM(A1)\t-2; 'quoted' 회령"
AOI = box(500000, 4500000, 501000, 4502000)


def messy_tables(*, simulated=False):
    """Rows with every kind of value and NULL, and texts a spreadsheet would run."""
    tables = {name: [] for name in LAYERS}
    tables["sites"] = [
        SiteRow(AOI, "hoeryong", NASTY, "camp", "aoi", MESSY, None, 30.0),
        SiteRow(AOI.buffer(-100), "hoeryong", "'already", "camp", "perimeter", "+82 1", "2020-01", None),
    ]
    when = dt.datetime(2020, 5, 1, 2, 21, 39, 24_000, tzinfo=dt.UTC)
    tables["scenes"] = [
        SceneRow(AOI, "S2A_1", when, "sentinel-2a", "05.00", 46, True, None, 0.93, "consistent", 1.5, -0.25, "ab" * 32),
        SceneRow(
            None, "-S2B_2", when, None, None, None, False, "NA", None, None, None, None, None, math.nan, None
        ),
    ]  # fmt: skip
    days = dt.date(2021, 1, 1), dt.date(2021, 12, 31)
    ring = box(500100, 4500100, 500200, 4500150) - box(500120, 4500110, 500130, 4500120)
    pile = StockpileRow(
        MultiPolygon([ring, box(500300, 4500100, 500310, 4500150)]), "P001", 2021, *days, 1 / 3, 1e-17, 5e17, 7, 0.9,
        "probable", None, None, None, "half-way contour", 0.97, "anthracite", 0.6, 1.0, 5400.0, 4900.0, "p1",
        machine_tier="probable",
    )  # fmt: skip
    tables["stockpiles"] = [pile]
    tables["changes"] = [
        ChangeRow(
            "hoeryong", "site", "stockpile_area_m2", 2020, 2021, -12.5, -1e-9, 0.0, 3.0, "m2", 0.5, None,
            "no_detectable_change", "=1",
        )
    ]  # fmt: skip
    facts = {
        "site_id": "hoeryong", "site_name": NASTY, "epsg": str(EPSG), "simulated": "yes" if simulated else "no",
        "baseline_year": "", "note_1": MESSY, "note_2": "null",
    }  # fmt: skip
    tables["run"] = [RunRow(key, value) for key, value in facts.items()]
    return tables


def package(folder, *, simulated=False, tables=None):
    path = folder / "hoeryong.gpkg"
    write_geopackage(path, tables or messy_tables(simulated=simulated), EPSG, "Hoeryong", simulated)
    return path


def write(folder, **how):
    source = package(folder, **how)
    return source, write_exports(folder, Finished.at(source))


@pytest.mark.parametrize("simulated", [False, True])
def test_both_files_of_a_layer_hold_what_the_geopackage_holds(tmp_path, simulated):
    source, written = write(tmp_path, simulated=simulated)
    schema = check_exports(tmp_path / "tables", source, simulated=simulated)
    assert sorted(written) == sorted((tmp_path / "tables").iterdir())
    assert schema["title"].startswith("SIMULATED") is simulated
    assert {file for layer in LAYERS for file in files_of(layer)} == {
        path.relative_to(tmp_path).as_posix() for path in written if path.name != "schema.json"
    }


def test_the_schema_tells_a_column_as_the_record_does(tmp_path):
    write(tmp_path)
    schema = json.loads((tmp_path / "tables" / "schema.json").read_text("utf-8"))
    area = schema["$defs"]["stockpiles"]["properties"]["area_m2"]
    assert area == {"type": "number", "title": "Area", "unit": "m2", "description": area["description"]}
    assert "Median" in area["description"]
    verdict = schema["$defs"]["changes"]["properties"]["verdict"]
    assert "no_detectable_change" in verdict["enum"]
    assert verdict["labels"]["no_detectable_change"] == "No detectable change"
    low = schema["$defs"]["changes"]["properties"]["lo95"]
    assert low["type"] == ["number", "null"]
    for layer, row in schema["$defs"].items():
        for name, column in row["properties"].items():
            assert column["title"], f"{layer}.{name}"
            assert column["description"], f"{layer}.{name}"


@pytest.mark.parametrize(
    ("layer", "spoil"),
    [
        ("changes", lambda document: document["rows"][0].update(verdict="growth")),
        ("changes", lambda document: document["rows"][0].pop("delta")),
        ("changes", lambda document: document["rows"][0].update(metric=None)),
        ("changes", lambda document: document["rows"][0].update(more=1)),
        ("changes", lambda document: document.update(simulated=True)),
        ("scenes", lambda document: document["features"][0]["properties"].update(datetime="yesterday")),
        ("sites", lambda document: document["features"][0].update(geometry=None)),
        ("sites", lambda document: document["features"][0]["geometry"]["coordinates"][0][0][0].reverse()),
    ],
)
def test_the_schema_refuses_what_does_not_fit(tmp_path, layer, spoil):
    write(tmp_path)
    schema = json.loads((tmp_path / "tables" / "schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    document = json.loads((tmp_path / files_of(layer)[1]).read_text("utf-8"))
    assert validator.is_valid(document)
    spoil(document)
    assert not validator.is_valid(document)


def test_cells_no_spreadsheet_computes(tmp_path):
    write(tmp_path)
    text = (tmp_path / "tables" / "sites.csv").read_text("utf-8-sig")
    assert "'=cmd" in text
    assert ",=cmd" not in text
    assert "''already" in text
    assert "'+82 1" in text
    assert ";'=1+1" in text, "where a semicolon begins a cell"
    assert "\n'@SUM" in text
    assert "\t'-2" in text
    numbers = (tmp_path / "tables" / "changes.csv").read_text("utf-8-sig")
    assert ",-12.5,-1e-09,0.0," in numbers, "a number is no formula"


@example("a;=1")
@example("a\t \n'@1")
@example("''=")
@given(st.text(st.sampled_from(" ;,\t\n'\"=+-@＝x1") | st.characters(), max_size=12))
def test_every_text_comes_back_and_none_begins_a_formula(text):
    tamed = tame(text)
    assert untamed(tamed) == text
    for cell in tamed.replace("\r", "\n").replace("\t", "\n").replace(";", "\n").split("\n"):
        assert not cell.lstrip().startswith(tuple("=+-@＝＋－＠"))


def test_null_and_empty_text_stay_apart(tmp_path):
    source, _ = write(tmp_path)
    rows = json.loads((tmp_path / "tables" / "run.json").read_text("utf-8"))["rows"]
    assert {"key": "baseline_year", "value": ""} in rows
    (row,) = json.loads((tmp_path / "tables" / "changes.json").read_text("utf-8"))["rows"]
    assert row["q_value"] is None
    assert row["hi95"] == 0.0
    assert stored(source, "changes", [("q_value", "REAL")]) == [(None,)]


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1]), sys.path.insert(0, sys.argv[2])
import resource
from pathlib import Path
from test_exports import write
from pipeline.errors import ProductError
from pipeline.products.exports import write_exports
from pipeline.products.finished import Finished
folder, limit = Path(sys.argv[3]), int(sys.argv[4])
try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    write_exports(folder, Finished.at(Path(sys.argv[5])))
except ProductError as error:
    print(error)
    sys.exit(3)
"""


def in_a_process(folder, source, limit=-1, **environment):
    command = [sys.executable, "-c", SCRIPT, str(ROOT), str(ROOT / "tests"), str(folder), str(limit), str(source)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_bytes_do_not_depend_on_time_zone_or_locale(tmp_path):
    source, digests = package(tmp_path), set()
    for zone, language in (("UTC", "C"), ("Asia/Pyongyang", "ko_KR.UTF-8")):
        folder = tmp_path / zone.replace("/", "-")
        done = in_a_process(folder, source, TZ=zone, LC_ALL=language, PYTHONHASHSEED=str(len(zone)))
        assert done.returncode == 0, done.stderr
        files = sorted((folder / "tables").iterdir())
        digests.add(hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("limit", [0, 30_000])
def test_a_file_that_cannot_grow_is_one_error_and_the_former_files_stay(tmp_path, limit):
    source, written = write(tmp_path)
    before = {path: path.read_bytes() for path in written}
    assert max(map(len, before.values())) > limit
    done = in_a_process(tmp_path, source, limit)
    assert done.returncode == 3, done.stderr
    assert "cannot be written (" in done.stdout
    assert {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()} == before


def test_a_file_without_its_facts_is_named(tmp_path):
    tables = messy_tables()
    tables["run"] = [row for row in tables["run"] if row.key != "epsg"]
    with pytest.raises(ProductError, match=r"hoeryong\.gpkg: layer run lacks 'epsg'"):
        Finished.at(package(tmp_path, tables=tables))


def test_claims_keep_their_lines(tmp_path):
    tables = messy_tables()
    tables["claims"] = [
        ClaimRow("c", "two\nlines", "s", "t", "supported", "r", None, None, None, "n", "stockpile_area_m2")
    ]
    source, _ = write(tmp_path, tables=tables)
    check_exports(tmp_path / "tables", source, simulated=False)
    assert '"two\nlines"' in (tmp_path / "tables" / "claims.csv").read_text("utf-8-sig")
