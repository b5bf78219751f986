"""Every product of a site held against readers and validators of other makers, for made-up rows and for whole runs."""

import csv
import functools
import io
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyproj import Transformer
from rio_cogeo import cog_validate

SYSTEM_PYTHON = "/usr/bin/python3"
KML = "{http://www.opengis.net/kml/2.2}"
CENTIMETRES = 0.03
"""Half a unit of the last digit of a degree, in metres, on both axes; and what two versions of PROJ differ by."""
_LIVE = tuple("=+-@＝＋－＠")


def check_geopackage(path):
    """The validator of the format finds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "osgeo_utils.samples.validate_gpkg", "-v", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{path.name}: {done.stdout}{done.stderr}"


def check_cog(path):
    """Both validators find nothing, not even a warning; the second only where Debian's GDAL has its bindings."""
    valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    assert (valid, errors, warnings) == (True, [], []), path.name
    if has_system_gdal():
        done = system_validator(path)
        assert done.returncode == 0, f"{path.name}: {done.stdout}{done.stderr}"
        assert "is a valid cloud optimized GeoTIFF" in done.stdout
        assert "warning" not in done.stdout.lower()


def system_validator(path):
    """Run the validator of Debian's GDAL, which also reads every tile."""
    command = [SYSTEM_PYTHON, "-m", "osgeo_utils.samples.validate_cloud_optimized_geotiff", "--full-check=yes", path]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={})


@functools.cache
def has_system_gdal():
    if shutil.which(SYSTEM_PYTHON) is None:
        return False
    code = "import osgeo_utils.samples.validate_cloud_optimized_geotiff"
    return subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, check=False, env={}).returncode == 0


def layers_of(package):
    """Layer to its columns and whether it has outlines, as the GeoPackage says itself; without what only QGIS reads."""
    with closing(sqlite3.connect(package)) as connection:
        listed = connection.execute(
            "SELECT table_name, data_type FROM gpkg_contents WHERE table_name != 'layer_styles'"
        ).fetchall()
        return {
            name: (
                [
                    (column, kind)
                    for column, kind in connection.execute("SELECT name, type FROM pragma_table_info(?)", (name,))
                    if column not in ("fid", "geom")
                ],
                kind == "features",
            )
            for name, kind in listed
        }


def stored(package, layer, columns):
    names = ", ".join(f'"{name}"' for name, _ in columns)
    with closing(sqlite3.connect(package)) as connection:
        return connection.execute(f'SELECT {names} FROM "{layer}" ORDER BY fid').fetchall()  # noqa: S608


def check_exports(folder, package, *, simulated):
    """CSV and JSON of every layer fit their schema, and say what the GeoPackage says; nothing else is there."""
    schema = json.loads((folder / "schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    expected = {"schema.json"}
    for layer, (columns, spatial) in layers_of(package).items():
        ending = "geojson" if spatial else "json"
        expected |= {f"{layer}.csv", f"{layer}.{ending}"}
        rows = stored(package, layer, columns)
        check_document(folder / f"{layer}.{ending}", validator, columns, rows, simulated=simulated)
        check_csv(folder / f"{layer}.csv", schema["$defs"][layer], columns, rows, simulated=simulated)
        if spatial:
            check_outlines(folder / f"{layer}.geojson", folder / f"{layer}.csv", package, layer)
    # The sentences of the report are no layer: tests/test_trace.py holds them against the page.
    assert {path.name for path in folder.iterdir()} - {"findings.json"} == expected
    return schema


def check_document(path, validator, columns, rows, *, simulated):
    document = json.loads(path.read_text("utf-8"))
    faults = [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}" for fault in validator.iter_errors(document)
    ]
    assert not faults, f"{path.name}: {faults[:3]}"
    assert document["simulated"] is simulated
    assert document["name"].startswith("SIMULATED") is simulated
    if path.suffix == ".geojson":
        found = [feature["properties"] for feature in document["features"]]
    else:
        found = document["rows"]
    kinds = dict(columns)
    as_stored = [
        [int(value) if kinds[name] == "BOOLEAN" and value is not None else value for name, value in row.items()]
        for row in found
    ]
    assert as_stored == [list(row) for row in rows], path.name


def check_csv(path, schema, columns, rows, *, simulated):
    """As pandas reads it with the types of the schema, and as the standard library does without any."""
    text = path.read_bytes().decode("utf-8-sig")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    table = list(csv.reader(io.StringIO(text, newline="")))
    names = [name for name, _ in columns]
    assert table[0] == schema["csv"]
    assert table[0][: len(names)] == names
    assert {row[-1] for row in table[1:]} <= {"SIMULATED" if simulated else ""}
    live = [cell for row in table for cell in row if cell.lstrip().startswith(_LIVE)]
    assert all(re.fullmatch(r"-?\d+(\.\d+)?(e[-+]\d+)?", cell) for cell in live), path.name
    kinds = {name: schema["properties"][name] for name in names}
    types = {
        name: {"string": "object", "integer": "Int64", "number": "float64", "boolean": "Int64"}[plain_type(kind)]
        for name, kind in kinds.items()
    }
    frame = pd.read_csv(path, dtype=types, usecols=names, keep_default_na=False, na_values={n: [""] for n in names})
    assert len(frame) == len(rows)
    for place, name in enumerate(names):
        found = [None if pd.isna(value) else value for value in frame[name]]
        due = [row[place] for row in rows]
        if plain_type(kinds[name]) == "string":
            nullable = isinstance(kinds[name]["type"], list)
            found = [untamed(value) if value is not None else (None if nullable else "") for value in found]
        assert found == due, f"{path.name}: {name}"


def plain_type(kind):
    return kind["type"] if isinstance(kind["type"], str) else kind["type"][0]


def untamed(text):
    """Take away the sign that makes a text of what would be computed, as the schema's description says it is put in."""
    return re.sub(r"(^|[;\t\r\n])(\s*)'(?=['=+\-@＝＋－＠])", r"\1\2", text)


def read_frame(path, **how):
    """Read a layer with GDAL, which would otherwise note the metadata of a GeoPackage in a file beside it."""
    pyogrio.set_gdal_config_options({"GDAL_PAM_ENABLED": "NO"})
    try:
        return pyogrio.read_dataframe(path, **how)
    finally:
        pyogrio.set_gdal_config_options({"GDAL_PAM_ENABLED": None})


def check_outlines(path, table, package, layer):
    """GDAL reads the same outlines from both files, in the same place; a point of each is in the CSV file."""
    there, here = read_frame(package, layer=layer), read_frame(path)
    assert here.crs.to_epsg() == 4326
    to_globe = Transformer.from_crs(there.crs, 4326, always_xy=True).transform
    to_metres = Transformer.from_crs(4326, there.crs, always_xy=True).transform
    places = pd.read_csv(table, usecols=["lon", "lat"]).to_numpy()
    assert len(here) == len(there) == len(places)
    for expected, found, place in zip(there.geometry, here.geometry, places, strict=True):
        if expected is None or expected.is_empty:
            assert found is None
            assert np.isnan(place).all()
            continue
        assert found.is_valid
        back = shapely.transform(found, to_metres, interleaved=False)
        assert shapely.hausdorff_distance(expected, back) < CENTIMETRES
        assert all(part.exterior.is_ccw for part in shapely.get_parts(found))
        if expected.area > 1:
            on_globe = shapely.transform(expected, to_globe, interleaved=False)
            assert on_globe.distance(shapely.Point(place)) < 1e-6


def check_kml(path, package, *, simulated):
    """GDAL reads every outline that is shown where the GeoPackage has it; named styles and columns are there."""
    root = ET.parse(path).getroot()  # noqa: S314 - written by this program
    assert root.tag == f"{KML}kml"
    styles = {f"#{style.get('id')}" for style in root.iter(f"{KML}Style")}
    assert {url.text for url in root.iter(f"{KML}styleUrl")} <= styles
    schemas = {f"#{schema.get('id')}" for schema in root.iter(f"{KML}Schema")}
    assert {data.get("schemaUrl") for data in root.iter(f"{KML}SchemaData")} <= schemas
    names = [
        name.text for kind in ("Document", "Folder", "Placemark") for name in root.findall(f".//{KML}{kind}/{KML}name")
    ]
    assert all(name.startswith("SIMULATED") for name in names) is simulated
    spans = {(span.find(f"{KML}begin").text, span.find(f"{KML}end").text) for span in root.iter(f"{KML}TimeSpan")}
    assert all(begin[:4] == end[:4] and (begin[4:], end[4:]) == ("-01-01", "-12-31") for begin, end in spans)
    layers = [name for name, _ in pyogrio.list_layers(path)]
    found = [shape for name in layers for shape in read_frame(path, layer=name).geometry]
    due = []
    for layer in ("stockpile_changes", "stockpiles", "boundary_changes", "footprints", "zones", "sites"):
        frame = read_frame(package, layer=layer).to_crs(4326)
        year = next((name for name in ("year", "year_to") if name in frame), None)
        due += list((frame.sort_values(year, kind="stable") if year else frame).geometry.dropna())
    assert len(found) == len(due)
    degrees = [shapely.hausdorff_distance(one, other) for one, other in zip(found, due, strict=True)]
    assert max(degrees, default=0.0) < CENTIMETRES / 1e5
