"""The schema of the exported tables: JSON Schema 2020-12, filled from the columns of the records."""

import datetime as dt
from typing import Any

from pipeline.products._columns import Column, Layer
from pipeline.products.finished import Finished
from pipeline.records import LAYERS

SCHEMA = "schema.json"
PLACE = ("lon", "lat")
"""Columns of a CSV file in place of the outline."""
SIMULATED = "simulated"
"""Last column of a CSV file."""

_TYPES: dict[type, dict[str, str]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    dt.date: {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
    dt.datetime: {
        "type": "string",
        "format": "date-time",
        # A checker of formats is no part of most validators.
        "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
    },
}
_CSV_NOTE = (
    "UTF-8 with byte order mark, comma, header. An empty cell is NULL, or an empty text where a column is never NULL; "
    "true is 1, false 0. Before = + - @ and ' at the start of a text, and after a semicolon, tab or new line in it, "
    "stands a ' so that no spreadsheet computes it; the JSON files hold the text as it is."
)
_PLACE_NOTE = {
    "lon": "Longitude of a point inside the outline, degrees (WGS84)",
    "lat": "Latitude of a point inside the outline, degrees (WGS84)",
}


def schema_of(source: Finished) -> dict[str, Any]:
    """Return the schema that every JSON file of the tables fits; ``$defs`` holds one definition per layer."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": source.marked(f"Tables of {source.site_id}"),
        "description": "Columns of the tables beside this file. NULL is not computed or not stated, never 0; 0 is a "
        "measured 0. Units stand under unit: 1 is a share, a probability or a count. " + _CSV_NOTE,
        "simulated": source.simulated,
        "type": "object",
        "required": ["layer"],
        "properties": {"layer": {"enum": list(LAYERS)}},
        # Not one of many: a file that does not fit is then told where.
        "allOf": [
            {"if": {"properties": {"layer": {"const": name}}}, "then": _file(Layer.of(name), source)} for name in LAYERS
        ],
        "$defs": {name: _row(Layer.of(name)) for name in LAYERS},
    }


def _file(layer: Layer, source: Finished) -> dict[str, Any]:
    """Return the schema of a layer's JSON file."""
    row: dict[str, Any] = {"$ref": f"#/$defs/{layer.name}"}
    fixed = {
        "layer": layer.name,
        "name": source.marked(layer.name),
        "site": source.site_id,
        "simulated": source.simulated,
        "schema": SCHEMA,
    }
    properties: dict[str, Any] = {key: {"const": value} for key, value in fixed.items()}
    if layer.spatial:
        properties["type"] = {"const": "FeatureCollection"}
        properties["features"] = {"type": "array", "items": _feature(layer, row)}
    else:
        properties["rows"] = {"type": "array", "items": row}
    return _whole(properties)


def _feature(layer: Layer, row: dict[str, Any]) -> dict[str, Any]:
    outline: dict[str, Any] = _whole(
        {
            "type": {"const": "MultiPolygon"},
            "coordinates": {
                "type": "array",
                "items": {"type": "array", "items": {"type": "array", "minItems": 4, "items": _POSITION}},
            },
        }
    )
    shape = {"anyOf": [outline, {"type": "null"}]} if layer.geometry_nullable else outline
    return _whole({"type": {"const": "Feature"}, "geometry": shape, "properties": row})


_POSITION = {
    "type": "array",
    "prefixItems": [
        {"type": "number", "minimum": -180, "maximum": 180},
        {"type": "number", "minimum": -90, "maximum": 90},
    ],
    "minItems": 2,
    "items": False,
}
"""Longitude, then latitude."""


def _row(layer: Layer) -> dict[str, Any]:
    """Return the schema of a row; ``csv`` names the columns of the CSV file in order."""
    places = PLACE if layer.spatial else ()
    return _whole({column.name: _column(column) for column in layer.columns}) | {
        "description": layer.summary,
        "csv": [*(column.name for column in layer.columns), *places, SIMULATED],
        **({"csv_place": _PLACE_NOTE} if places else {}),
    }


def _column(column: Column) -> dict[str, Any]:
    """Return the schema of a column, with what a reader is told of it."""
    told: dict[str, Any] = dict(_TYPES[column.type])
    if column.nullable:
        told["type"] = [told["type"], "null"]
    told["title"] = column.alias
    told["description"] = column.meaning
    if column.unit:
        told["unit"] = column.unit
    if column.technical:
        told["technical"] = True
    if column.told.values:
        told["enum"] = [word for word, _ in column.told.values] + [None] * column.nullable
        told["labels"] = dict(column.told.values)
    return told


def _whole(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with these keys and no other."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
