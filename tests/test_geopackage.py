"""The GeoPackage against the contract's own table, SQLite, GDAL and the format's validator."""

import dataclasses
import datetime as dt
import hashlib
import importlib.util
import io
import itertools
import math
import os
import sqlite3
import subprocess
import sys
import types
import typing
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box

from pipeline.errors import ProductError
from pipeline.products import styles
from pipeline.products._columns import Layer
from pipeline.products.geopackage import read_tables, write_geopackage
from pipeline.products.stretch import CompositeBand, Composites
from pipeline.records import LAYERS, FootprintRow, MeasurementRow, RunRow, SceneRow, SiteRow, StockpileRow
from pipeline.types import Feature, Tier, Verdict, ZoneRole

EPSG = 32652
ROOT = Path(__file__).resolve().parents[1]

# The contract's table with the types it gives, written out again so that a changed record shows here.
DECLARED = {
    "sites": "id TEXT, name TEXT, kind TEXT, role TEXT, source TEXT, source_date TEXT, uncertainty_m REAL",
    "scenes": "scene_id TEXT, datetime DATETIME, platform TEXT, processing_baseline TEXT, relative_orbit INTEGER, "
    "used BOOLEAN, reason TEXT, clear_fraction REAL, offset_verdict TEXT, shift_x_m REAL, shift_y_m REAL, sha256 TEXT, "
    "residual_m REAL, evidence_version INTEGER, scale REAL, offset_dn REAL, nodata_dn TEXT",
    "stockpiles": "pile_id TEXT, year INTEGER, year_start DATE, year_end DATE, area_m2 REAL, area_lo95_m2 REAL, "
    "area_hi95_m2 REAL, n_dates INTEGER, persistence REAL, tier TEXT, zone_id TEXT, volume_lo_m3 REAL, "
    "volume_hi_m3 REAL, method TEXT, score REAL, material TEXT, persistence_lo95 REAL, persistence_hi95 REAL, "
    "area_max_m2 REAL, area_end_m2 REAL, parts TEXT, machine_tier TEXT, review TEXT, reviewed_as TEXT",
    "stockpile_observations": "pile_id TEXT, scene_id TEXT, date DATE, area_m2 REAL, area_lo95_m2 REAL, "
    "area_hi95_m2 REAL, pile_level REAL, background_level REAL, clear_fraction REAL, score REAL, year INTEGER",
    "footprints": "year INTEGER, year_start DATE, year_end DATE, class TEXT, zone_id TEXT, area_m2 REAL, "
    "area_lo95_m2 REAL, area_hi95_m2 REAL",
    "run": "key TEXT, value TEXT",
}
SPATIAL = {
    "sites", "zones", "scenes", "stockpiles", "stockpile_observations", "stockpile_changes", "footprints",
    "boundary_changes", "reviews", "analyst_outlines",
}  # fmt: skip


def empty_tables():
    return {name: [] for name in LAYERS}


def small_tables():
    tables = empty_tables()
    aoi = box(500000, 4500000, 501000, 4502000)
    tables["sites"] = [SiteRow(aoi, "hoeryong", "회령 Hoeryong", "camp", "aoi", None, None, 30.0)]
    tables["scenes"] = [
        SceneRow(
            box(0, 0, 9e5, 5e6), "S2A_1", dt.datetime(2020, 5, 1, 2, 21, 39, 24_000, tzinfo=dt.UTC), "sentinel-2a",
            "05.00", 46, True, None, 0.93, "consistent", 1.5, -0.25, "ab" * 32,
        ),
        SceneRow(
            None, "S2B_2", dt.datetime(2019, 1, 1, 8, 59, tzinfo=dt.timezone(dt.timedelta(hours=9))), None,
            None, None, False, "no band nir", None, None, None, None, None,
        ),
    ]  # fmt: skip
    for year in (2019, 2021):
        days = dt.date(year, 1, 1), dt.date(year, 12, 31)
        tables["stockpiles"].append(
            StockpileRow(
                box(500100, 4500100, 500200, 4500150), "P001", year, *days, 5000.0, 4500.0, 5500.0, 7, 0.9,
                "confirmed", None, None, None, "half-way contour", 0.97, "anthracite", 0.6, 1.0, 5400.0, 4900.0,
                "p50010-450010",
            )
        )  # fmt: skip
    tables["footprints"] = [
        FootprintRow(aoi, 2021, dt.date(2021, 1, 1), dt.date(2021, 12, 31), "dark_ground", "site", 2e6, None, None)
    ]
    tables["measurements"] = [
        MeasurementRow(
            "hoeryong", "site", 2021, "stockpile_area_m2", None, None, None, "m2", 2, 0.4, "insufficient_data"
        )
    ]
    tables["run"] = [RunRow("version", "0.1.0"), RunRow("note", "")]
    return tables


def write(path, tables=None, *, simulated=False, title="Hoeryong"):
    write_geopackage(path, tables if tables is not None else small_tables(), EPSG, title, simulated)
    return path


def query(path, sql, *values):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def columns_of(path, layer):
    return dict(query(path, "SELECT name, type FROM pragma_table_info(?)", layer))


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def parse(text):
    return ET.fromstring(text)  # noqa: S314 - written by the test itself


# ---------------------------------------------------------------- round trip

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["회령", "석탄 더미", 'O\'Brien "x"', "NULL", "nan", "", " ", "2020-01-01"]
)
SQUARES = st.tuples(st.integers(0, 5), st.integers(1, 40)).map(lambda t: box(20 * t[0], 0, 20 * t[0] + t[1] / 3, 7.1))
POLYGONS = SQUARES | st.builds(
    lambda x: MultiPolygon([box(0, 0, 1, 1), box(x, x, x + 9, x + 9) - box(x + 1, x + 1, x + 2, x + 2)]),
    st.floats(2, 1e7),
)
VALUES = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    dt.date: st.dates(),
    dt.datetime: st.datetimes(
        dt.datetime(1900, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
        dt.datetime(2200, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=9))]),
    ).map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)),
    shapely.geometry.base.BaseGeometry: POLYGONS,
}


def records(record):
    hints = typing.get_type_hints(record)

    def of(hint):
        parts = typing.get_args(hint)
        if types.NoneType not in parts:
            return VALUES[hint]
        (kind,) = set(parts) - {types.NoneType}
        missing = [None, math.nan] if kind is float else [None]
        return st.sampled_from(missing) | VALUES[kind]

    return st.builds(record, **{field.name: of(hints[field.name]) for field in dataclasses.fields(record)})


def as_stored(row):
    """Apply the documented rule by hand: '' and NaN are None where None may stand; polygons are multipolygons."""
    hints = typing.get_type_hints(type(row))
    changed = {}
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        nullable = types.NoneType in typing.get_args(hints[field.name])
        if nullable and (value == "" or (isinstance(value, float) and math.isnan(value))):
            value = None
        if isinstance(value, Polygon):
            value = MultiPolygon([value])
        changed[field.name] = value
    return type(row)(**changed)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.fixed_dictionaries({name: st.lists(records(record), max_size=3) for name, record in LAYERS.items()}))
def test_what_is_written_reads_back(tmp_path_factory, tables):
    path = tmp_path_factory.mktemp("trip") / "a.gpkg"
    write(path, tables)
    back = read_tables(path)
    assert list(back) == list(LAYERS)
    for name, rows in tables.items():
        assert back[name] == [as_stored(row) for row in rows], name
        for row in back[name]:
            values = [getattr(row, field.name) for field in dataclasses.fields(row)]
            times = [value for value in values if isinstance(value, dt.datetime)]
            assert all(value.utcoffset() == dt.timedelta(0) for value in times)


# ---------------------------------------------------------------- the file itself


def test_columns_are_those_of_the_contract_with_and_without_rows(tmp_path):
    for index, tables in enumerate((small_tables(), empty_tables())):
        path = write(tmp_path / f"{index}.gpkg", tables)
        for layer, declared in DECLARED.items():
            columns = columns_of(path, layer).items()
            listed = [f"{name} {kind}" for name, kind in columns if name not in ("fid", "geom")]
            assert ", ".join(listed) == declared
        geometry = dict(
            query(path, "SELECT table_name, geometry_type_name || srs_id || z || m FROM gpkg_geometry_columns")
        )
        assert geometry == dict.fromkeys(SPATIAL, f"MULTIPOLYGON{EPSG}00")
        kinds = dict(query(path, "SELECT table_name, data_type FROM gpkg_contents"))
        assert {name for name, kind in kinds.items() if kind == "features"} == SPATIAL
        assert {name for name, kind in kinds.items() if kind == "attributes"} == set(LAYERS) - SPATIAL | {
            "layer_styles"
        }
        assert len(kinds) == len(LAYERS) + 1


def test_header_integrity_and_spatial_index(tmp_path):
    path = write(tmp_path / "a.gpkg")
    assert query(path, "PRAGMA application_id") == [(0x47504B47,)]  # "GPKG"
    assert query(path, "PRAGMA user_version") == [(10300,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    assert query(path, "SELECT count(*) FROM rtree_stockpiles_geom") == [(2,)]
    indexed = query(path, "SELECT table_name FROM gpkg_extensions WHERE extension_name = 'gpkg_rtree_index'")
    assert {name for (name,) in indexed} == SPATIAL


def test_no_column_anywhere_holds_the_time_of_writing(tmp_path):
    path = write(tmp_path / "a.gpkg")
    assert query(path, "SELECT DISTINCT last_change FROM gpkg_contents") == [("1980-01-01T00:00:00.000Z",)]
    assert query(path, "SELECT DISTINCT update_time FROM layer_styles") == [("1980-01-01T00:00:00.000Z",)]
    assert query(path, "SELECT DISTINCT timestamp FROM gpkg_metadata_reference") == [("1980-01-01T00:00:00.000Z",)]
    now = dt.datetime.now(dt.UTC)
    assert f"{now:%Y-%m-%d}".encode() not in path.read_bytes()


def test_values_are_stored_as_the_format_wants_them(tmp_path):
    path = write(tmp_path / "a.gpkg")
    rows = query(path, "SELECT datetime, platform, relative_orbit, used, reason, shift_x_m, geom IS NULL FROM scenes")
    assert rows == [
        ("2020-05-01T02:21:39.024Z", "sentinel-2a", 46, 1, None, 1.5, 0),
        ("2018-12-31T23:59:00.000Z", None, None, 0, "no band nir", None, 1),
    ]
    assert query(path, "SELECT year_start, typeof(year), typeof(area_m2), volume_lo_m3 FROM stockpiles") == [
        ("2019-01-01", "integer", "real", None),
        ("2021-01-01", "integer", "real", None),
    ]


def test_missing_numbers_are_null_and_not_nan_or_empty(tmp_path):
    tables = small_tables()
    tables["measurements"] *= 2
    tables["measurements"][1] = dataclasses.replace(tables["measurements"][0], value=math.nan, lo95=np.float64("nan"))
    tables["sites"][0] = dataclasses.replace(tables["sites"][0], source="", uncertainty_m=None)
    path = write(tmp_path / "a.gpkg", tables)
    assert query(path, "SELECT DISTINCT typeof(value) || typeof(lo95) || typeof(hi95) FROM measurements") == [
        ("null" * 3,)
    ]
    assert query(path, "SELECT typeof(source), typeof(uncertainty_m) FROM sites") == [("null", "null")]


def test_gdal_reads_dates_times_crs_and_names(tmp_path):
    path = write(tmp_path / "a.gpkg")
    meta, _, geometry, values = pyogrio.raw.read(path, layer="stockpiles")
    kinds = dict(zip(meta["fields"], meta["dtypes"], strict=True))
    assert meta["crs"] == f"EPSG:{EPSG}"
    assert kinds["year_start"] == "datetime64[D]"
    assert values[list(meta["fields"]).index("year_end")].tolist() == [dt.date(2019, 12, 31), dt.date(2021, 12, 31)]
    assert shapely.from_wkb(geometry[0]).equals(box(500100, 4500100, 500200, 4500150))
    meta, _, _, values = pyogrio.raw.read(path, layer="sites")
    assert values[list(meta["fields"]).index("name")][0] == "회령 Hoeryong"
    listed = pyogrio.list_layers(path)[:, 0].tolist()
    spatial = [name for name in LAYERS if name in SPATIAL]
    assert listed == [*spatial, *(name for name in LAYERS if name not in SPATIAL), "layer_styles"]


@pytest.mark.skipif(not importlib.util.find_spec("osgeo_utils"), reason="pip install --no-deps gdal-utils")
@pytest.mark.parametrize("simulated", [False, True])
def test_the_validator_of_the_format_accepts_it(tmp_path, simulated):
    command = [sys.executable, "-m", "osgeo_utils.samples.validate_gpkg", "-k"]
    for index, tables in enumerate((small_tables(), empty_tables())):
        path = write(tmp_path / f"{index}.gpkg", tables, simulated=simulated)
        done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE run ADD COLUMN bad VARCHAR")
    connection.close()
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    assert done.returncode == 1, "the validator is blind"


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1]), sys.path.insert(0, sys.argv[2])
from pathlib import Path
from test_geopackage import small_tables, write
write(Path(sys.argv[3]), simulated=True)
"""


def test_bytes_do_not_depend_on_time_zone_locale_or_clock(tmp_path):
    digests = set()
    for index, (zone, language) in enumerate(
        [("UTC", "C"), ("Asia/Pyongyang", "ko_KR.UTF-8"), ("America/Lima", "de_DE")]
    ):
        folder = tmp_path / str(index)
        folder.mkdir()
        environment = {**os.environ, "TZ": zone, "LANG": language, "LC_ALL": language, "PYTHONHASHSEED": str(index)}
        path = folder / "a.gpkg"
        command = [sys.executable, "-c", SCRIPT, str(ROOT), str(ROOT / "tests"), str(path)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    write(tmp_path / "a.gpkg", simulated=True)
    digests.add(hashlib.sha256((tmp_path / "a.gpkg").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_simulated_is_said_everywhere_and_only_then(tmp_path):
    path = write(tmp_path / "s.gpkg", simulated=True)
    contents = query(path, "SELECT identifier, description FROM gpkg_contents")
    assert all(identifier.startswith("SIMULATED") and text.startswith("SIMULATED") for identifier, text in contents)
    assert "SIMULATED" in query(path, "SELECT metadata FROM gpkg_metadata")[0][0]
    document = project_of(path)
    assert document.findtext("title") == "SIMULATED Hoeryong"
    twice = write(tmp_path / "t.gpkg", simulated=True, title="SIMULATED Hoeryong")
    assert project_of(twice).findtext("title") == "SIMULATED Hoeryong"
    assert all(name.text.startswith("SIMULATED") for name in document.iter("layername"))
    assert b"SIMULATED" not in write(tmp_path / "m.gpkg").read_bytes()


# ---------------------------------------------------------------- QGIS


def project_of(path):
    ((kind, content),) = query(path, "SELECT typeof(content), content FROM qgis_projects")
    assert kind == "text"
    assert content == content.lower()
    with zipfile.ZipFile(io.BytesIO(bytes.fromhex(content))) as archive:
        (name,) = archive.namelist()
        assert name.endswith(".qgs")
        return parse(archive.read(name))


# What each categorised layer may hold: every value needs a symbol, a polygon without one is invisible in QGIS.
CATEGORIES = {
    "stockpiles": ("tier", set(typing.get_args(Tier))),
    "stockpile_changes": ("verdict", set(typing.get_args(Verdict))),
    "footprints": ("class", {"bare_or_built", "dark_ground", "other_cleared"}),
    "boundary_changes": ("change", {"certain_gain", "possible_gain", "certain_loss", "possible_loss"}),
    "zones": ("role", set(typing.get_args(ZoneRole))),
    "sites": ("role", {"aoi", *typing.get_args(typing.get_type_hints(Feature)["role"])}),
    "reviews": ("decision", {"accept", "reject", "edit", "unclear", "own", "withdraw"}),
    "scenes": ("if(\"used\", 'used', 'refused')", {"used", "refused"}),
}


def check_renderer(layer, renderer):
    if layer not in SPATIAL:
        assert renderer is None
        return
    symbols = {symbol.get("name") for symbol in renderer.findall("symbols/symbol")}
    if layer not in CATEGORIES:
        assert renderer.get("type") == "singleSymbol"
        assert symbols == {"0"}
        return
    attribute, expected = CATEGORIES[layer]
    assert renderer.get("attr") == attribute
    categories = list(renderer.iter("category"))
    assert {category.get("value") for category in categories} == expected
    assert {category.get("symbol") for category in categories} == symbols
    assert len({category.get("label") for category in categories}) == len(categories)


def check_columns(layer, document, columns):
    """Every column has an alias, a widget and a place in the table; the technical ones are hidden in both."""
    told = {column.name: column for column in Layer.of(layer).columns}
    ours = {"in_words", "metric"} - set(told)
    assert set(told) | {"fid"} == columns - {"geom"}
    aliases = {alias.get("field"): alias.get("name") for alias in document.findall("aliases/alias")}
    assert set(aliases) == set(told) | {"fid", "in_words"}
    widgets = {f.get("name"): f.find("editWidget").get("type") for f in document.findall("fieldConfiguration/field")}
    assert set(widgets) - ours == set(told) | {"fid"}
    hidden = {c.get("name") for c in document.iter("column") if c.get("hidden") == "1" and c.get("name")}
    for name, column in told.items():
        assert aliases[name].startswith(column.alias)
        assert (widgets[name] == "Hidden") == (name in hidden) == column.technical
    assert all(field.get("editable") == "0" for field in document.findall("editable/field"))


def test_default_styles_cover_every_layer_value_and_column(tmp_path):
    path = write(tmp_path / "a.gpkg")
    rows = query(path, "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles")
    assert [row[0] for row in rows] == list(LAYERS)
    for layer, column, text, default in rows:
        assert default == 1
        assert column == ("geom" if layer in SPATIAL else "")
        document = parse(text)
        assert document.get("readOnly") == "1"
        check_renderer(layer, document.find("renderer-v2"))
        check_columns(layer, document, set(columns_of(path, layer)))
        assert document.findtext("previewExpression")
        assert document.find("attributetableconfig").get("sortExpression")
        assert bool(document.findtext("mapTip")) == (layer in SPATIAL)
        assert [tab.get("name") for tab in document.findall("attributeEditorForm/*")] == ["Numbers"]


COMPOSITES = Composites(
    (2019, 2021),
    {"true": tuple(CompositeBand(n, 200, 2000) for n in (3, 2, 1)), "swir": (CompositeBand(6, 1, 9),) * 3},
)


def test_project_opens_this_file_by_year(tmp_path):
    path = tmp_path / "hoeryong.gpkg"
    write_geopackage(path, small_tables(), EPSG, "Hoeryong", False, COMPOSITES)
    document = project_of(path)
    tree = [node.get("id") for node in document.findall("layer-tree-group/*/layer-tree-layer")]
    layers = {layer.findtext("id"): layer for layer in document.iter("maplayer")}
    assert tree == list(layers)
    seen = set()
    for layer_id, layer in layers.items():
        assert len(layer_id) >= 10  # shorter ids are replaced silently by QGIS 3.22
        source, _, name = layer.findtext("datasource").partition("|layername=")
        if layer.get("type") == "raster":
            assert layer.findtext("datasource") in {"./composites/2019.tif", "./composites/2021.tif"}
            continue
        seen.add(name)
        assert layer.get("readOnly") == ("0" if name == "review" else "1")
        if name == "review":
            assert source == "./review.gpkg"
            continue
        assert (path.parent / source).resolve() == path.resolve()
        columns = columns_of(path, name)
        check_renderer(name, layer.find("renderer-v2"))
        check_columns(name, layer, set(columns))
        temporal = layer.find("temporal")
        if "year" in columns and name in SPATIAL - {"reviews"}:
            assert temporal.get("startExpression") == 'make_date("year",1,2)'
            assert temporal.get("endExpression") == 'make_date("year",12,30)'
    assert seen == {*LAYERS, "review"}
    assert document.findtext("ProjectTimeSettings/TemporalRange/start") == "2019-01-01T00:00:00Z"
    assert document.findtext("ProjectTimeSettings/TemporalRange/end") == "2021-12-31T23:59:59Z"
    assert document.find("ProjectTimeSettings").get("timeStepUnit") == "y"
    assert document.findtext("properties/SpatialRefSys/ProjectionsEnabled") == "1"
    assert {node.text for node in document.iter("authid")} == {f"EPSG:{EPSG}"}
    extent = [float(node.text) for node in document.find("mapcanvas/extent")]
    assert extent == [500000, 4500000, 501000, 4502000]
    page = document.find("Layouts/Layout/LayoutItem/Extent")
    left, bottom, right, top = (float(page.get(side)) for side in ("xmin", "ymin", "xmax", "ymax"))
    assert left < 500000
    assert right > 501000
    assert (bottom < 4500000, top > 4502000) == (True, True)
    assert (right - left) / (top - bottom) == pytest.approx(197 / 166)


def test_relations_join_columns_that_are_there(tmp_path):
    path = write(tmp_path / "a.gpkg")
    layers = {m.findtext("id"): m for m in project_of(path).iter("maplayer")}
    relations = project_of(path).findall("relations/relation")
    assert len({relation.get("id") for relation in relations}) == len(relations) > 0

    def columns(layer_id):
        name = layers[layer_id].findtext("datasource").partition("|layername=")[2]
        made = {field.get("name") for field in layers[layer_id].findall("expressionfields/field")}
        return made | ({"object_id"} if name == "review" else set(columns_of(path, name)))

    for relation in relations:
        for pair in relation.findall("fieldRef"):
            assert pair.get("referencedField") in columns(relation.get("referencedLayer"))
            assert pair.get("referencingField") in columns(relation.get("referencingLayer"))


def test_names_of_strangers_are_text_and_not_markup_or_expressions(tmp_path):
    title = """<b>"O'Brien" & [% layer_property(1) %]</b>"""
    path = write(tmp_path / "a.gpkg", title=title)
    document = project_of(path)
    assert document.findtext("title") == title.replace("[%", "[ %")
    assert "[% layer_property" not in ET.tostring(document, encoding="unicode")


def luminance_free_distance(first, second, matrix):
    """Distance of two sRGB colours as a dichromat sees them (linear RGB, Vienot, Brettel and Mollon 1999)."""

    def linear(text):
        srgb = np.array([int(part) for part in text.split(",")[:3]]) / 255
        return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)

    return float(np.linalg.norm(matrix @ (linear(first) - linear(second))))


def drawn(symbol):
    """Return line colour, dash and what is inside of a symbol."""
    inside = []
    for layer in symbol.findall("layer"):
        options = {option.get("name"): option.get("value") for option in layer.findall("Option/Option")}
        if layer.get("class") != "SimpleLine":
            inside.append((layer.get("class"), options.get("angle")))
        line = options
    return line["line_color"], (line["line_style"], tuple(inside))


@pytest.mark.parametrize("layer", sorted(SPATIAL))
def test_symbols_of_a_layer_differ_in_pattern_or_stay_apart_for_colour_blind_readers(layer):
    protanope = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deuteranope = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    renderer = parse(styles.qml(layer, simulated=False)).find("renderer-v2")
    looks = [drawn(symbol) for symbol in renderer.findall("symbols/symbol")]
    assert len(set(looks)) == len(looks)
    for (first, one), (second, other) in itertools.combinations(looks, 2):
        if one == other:
            for matrix in (protanope, deuteranope):
                assert luminance_free_distance(first, second, matrix) > 0.1, (first, second)


def test_verdicts_that_must_not_be_confused_differ_in_pattern():
    for layer, column, values in (
        ("stockpile_changes", "verdict", ("increase", "decrease", "no_detectable_change", "insufficient_data")),
        ("boundary_changes", "change", ("certain_gain", "possible_gain", "certain_loss", "possible_loss")),
        ("stockpiles", "tier", ("confirmed", "probable", "candidate")),
    ):
        renderer = parse(styles.qml(layer, simulated=False)).find("renderer-v2")
        assert renderer.get("attr") == column
        number = {c.get("value"): c.get("symbol") for c in renderer.iter("category")}
        symbols = {symbol.get("name"): drawn(symbol) for symbol in renderer.findall("symbols/symbol")}
        patterns = [symbols[number[value]][1] for value in values]
        assert len(set(patterns)) == len(values), layer


# ---------------------------------------------------------------- refusals and accidents


@pytest.mark.parametrize(
    ("layer", "change", "words"),
    [
        ("scenes", {"datetime": dt.datetime(2020, 1, 1)}, "column datetime"),  # noqa: DTZ001 - refused for that
        ("scenes", {"scene_id": None}, "column scene_id"),
        ("scenes", {"relative_orbit": 1.5}, "column relative_orbit"),
        ("scenes", {"used": 1}, "column used"),
        ("stockpiles", {"area_m2": math.nan}, "column area_m2"),
        ("stockpiles", {"area_m2": math.inf}, "column area_m2"),
        ("stockpiles", {"year_start": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "column year_start"),
        ("stockpiles", {"geometry": None}, "geometry is missing"),
        ("stockpiles", {"geometry": shapely.Point(0, 0)}, "Point"),
        ("stockpiles", {"geometry": Polygon([(0, 0), (math.inf, 1), (1, 1)])}, "not numbers"),
        ("sites", {"name": "a\0b"}, "column name"),
        ("sites", {"name": "\ud800"}, "column name"),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_the_former_file_stays(tmp_path, layer, change, words):
    path = write(tmp_path / "a.gpkg")
    before = path.read_bytes()
    tables = small_tables()
    tables[layer][0] = dataclasses.replace(tables[layer][0], **change)
    with pytest.raises(ProductError, match=words) as caught:
        write(path, tables)
    assert f"layer {layer}, row 0" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["a.gpkg"]


def test_a_layer_that_was_forgotten_is_named(tmp_path):
    tables = small_tables()
    del tables["claims"]
    with pytest.raises(ProductError, match="claims"):
        write(tmp_path / "a.gpkg", tables)


FULL_DISK = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
from pipeline.errors import ProductError
try:
    write(Path(sys.argv[3]))
except ProductError as error:
    print(error)
    sys.exit(3)
"""


@pytest.mark.parametrize("limit", [0, 4096, 60_000, 150_000, 200_000, 280_000])
def test_a_file_that_cannot_grow_is_one_error_and_the_former_file_stays(tmp_path, limit):
    path = write(tmp_path / "a.gpkg")
    before = path.read_bytes()
    assert len(before) > limit
    script = SCRIPT.replace("write(Path(sys.argv[3]), simulated=True)\n", "") + FULL_DISK
    command = [sys.executable, "-c", script, str(ROOT), str(ROOT / "tests"), str(path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith(f"{path}: cannot be written (")
    assert "free disk space" in done.stdout
    assert done.stdout.count("\n") == 1
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["a.gpkg"]


def test_rows_that_the_driver_lost_without_a_word_are_noticed(tmp_path, monkeypatch):
    path = write(tmp_path / "a.gpkg")
    before = path.read_bytes()
    whole = pyogrio.raw.write

    def lose_the_last_row(file, geometry, **options):
        for name in ("field_data", "field_mask"):
            options[name] = [values[:-1] for values in options[name]]
        options["gdal_tz_offsets"] = {name: values[:-1] for name, values in options["gdal_tz_offsets"].items()}
        whole(file, None if geometry is None else geometry[:-1], **options)

    monkeypatch.setattr(pyogrio.raw, "write", lose_the_last_row)
    with pytest.raises(ProductError, match="layer sites holds 0 of 1 rows"):
        write(path)
    assert path.read_bytes() == before


def test_interruption_leaves_the_former_file(tmp_path, monkeypatch):
    path = write(tmp_path / "a.gpkg")
    before = path.read_bytes()

    def interrupt(layer, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(styles, "qml", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path, empty_tables())
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["a.gpkg"]


def test_what_a_killed_writer_left_is_cleared(tmp_path):
    leftover = tmp_path / ".a.gpkg.part"
    leftover.mkdir()
    (leftover / "a.gpkg").write_bytes(b"half a file")
    path = write(tmp_path / "a.gpkg")
    assert read_tables(path)["run"] == small_tables()["run"]
    assert names_in(tmp_path) == ["a.gpkg"]


def test_reading_names_the_missing_layer_column_or_file(tmp_path):
    path = write(tmp_path / "a.gpkg")
    with pytest.raises(ProductError, match=r"none\.gpkg: is not there"):
        read_tables(tmp_path / "none.gpkg")
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE claims RENAME COLUMN quote TO words")
    connection.commit()
    with pytest.raises(ProductError, match="layer claims lacks quote"):
        read_tables(path)
    connection.execute("DROP TABLE claims")
    connection.commit()
    connection.close()
    with pytest.raises(ProductError, match="layer claims is missing"):
        read_tables(path)
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(ProductError, match="cannot be read as a GeoPackage"):
        read_tables(path)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE stockpiles SET tier = NULL", "layer stockpiles, row 0"),
        ("UPDATE stockpiles SET year_start = 'spring'", "layer stockpiles, row 0"),
        ("UPDATE stockpiles SET area_m2 = 'large'", "layer stockpiles, row 0"),
        ("UPDATE footprints SET class = 5", None),  # SQLite turns it into text: TEXT affinity
        ("UPDATE scenes SET datetime = 7", "layer scenes, row 0"),
    ],
)
def test_reading_refuses_values_of_another_type(tmp_path, statement, words):
    path = write(tmp_path / "a.gpkg")
    connection = sqlite3.connect(path)
    for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
        connection.create_function(name, 1, lambda _: 0)  # the spatial index's triggers call them
    connection.execute(statement)
    connection.commit()
    connection.close()
    if words is None:
        assert read_tables(path)["footprints"][0].class_ == "5"
        return
    with pytest.raises(ProductError, match=words):
        read_tables(path)
