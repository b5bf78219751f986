"""Every layer as CSV and as JSON beside the GeoPackage, made from it, row by row.

``tables/<layer>.csv`` is for spreadsheets, ``tables/<layer>.json`` for programs; a layer with outlines is GeoJSON, and
ends in ``.geojson``. ``tables/schema.json`` tells every column (:mod:`pipeline.products.schema`).
"""

import csv
import datetime as dt
import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from pipeline.products._columns import Layer, Value
from pipeline.products._documents import TABLES
from pipeline.products.atomic import atomic_path
from pipeline.products.finished import Finished, rounded
from pipeline.products.schema import PLACE, SCHEMA, SIMULATED, schema_of
from pipeline.records import LAYERS

_ACTIVE = re.compile(r"(^|[;\t\r\n])(\s*)(['=+\-@＝＋－＠])")
"""Where a spreadsheet would begin to compute a cell; those of many countries begin a cell at a semicolon too."""


def files_of(layer: str) -> tuple[str, str]:
    """Names of a layer's CSV and JSON files, below the site's folder."""
    ending = "geojson" if Layer.of(layer).spatial else "json"
    return f"{TABLES}/{layer}.csv", f"{TABLES}/{layer}.{ending}"


def write_exports(folder: Path, source: Finished) -> list[Path]:
    """Write both files of every layer, and their schema; the same bytes for the same GeoPackage.

    Parameters
    ----------
    folder : Path
        Of the site; the files go into its folder ``tables``.
    source : Finished

    Returns
    -------
    list of Path
        Every file written.

    Raises
    ------
    ProductError
        The GeoPackage cannot be read, or a file could not be written; a former file of that name is untouched.
    """
    written = [folder / TABLES / SCHEMA]
    with atomic_path(written[0]) as beside:
        beside.write_text(json.dumps(schema_of(source), indent=1, ensure_ascii=False) + "\n", "utf-8", newline="\n")
    for name in LAYERS:
        paths = [folder / file for file in files_of(name)]
        with ExitStack() as files:
            tables, documents = (
                files.enter_context(files.enter_context(atomic_path(path)).open("w", encoding=encoding, newline=""))
                # Spreadsheets take a file without the mark for one of their country, and names lose their letters.
                for path, encoding in zip(paths, ("utf-8-sig", "utf-8"), strict=True)
            )
            _write_layer(Layer.of(name), source, tables, documents)
        written += paths
    return written


def _write_layer(layer: Layer, source: Finished, tables: IO[str], documents: IO[str]) -> None:
    """Write one layer into both files, reading it once."""
    rows = csv.writer(tables, lineterminator="\n")
    places = PLACE if layer.spatial else ()
    rows.writerow([*(column.name for column in layer.columns), *places, SIMULATED])
    documents.write(_opening(layer, source))
    separator = ""
    for row in source.rows(layer.name):
        values = {column.name: column.clean(getattr(row, column.field)) for column in layer.columns}
        outline = source.outline(row) if layer.spatial else None
        cells = [*values.values(), *(_place(outline) if layer.spatial else ())]
        rows.writerow([*map(_cell, cells), "SIMULATED" if source.simulated else ""])
        documents.write(separator + _json(_feature(values, outline) if layer.spatial else values))
        separator = ",\n"
    documents.write("\n]}\n")


def _opening(layer: Layer, source: Finished) -> str:
    """Return the first line of a JSON file: what it is, up to its rows."""
    about: dict[str, Any] = {
        "layer": layer.name,
        "name": source.marked(layer.name),
        "site": source.site_id,
        "simulated": source.simulated,
        "schema": SCHEMA,
    }
    if layer.spatial:
        about = {"type": "FeatureCollection"} | about
    return f'{_json(about)[:-1]}, "{"features" if layer.spatial else "rows"}": [\n'


def _feature(values: dict[str, Value], outline: BaseGeometry | None) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": None if outline is None else mapping(outline),
        "properties": values,
    }


def _place(outline: BaseGeometry | None) -> tuple[float | None, float | None]:
    """Longitude and latitude of a point inside an outline."""
    if outline is None:
        return None, None
    point = outline.point_on_surface()
    return rounded(point.x), rounded(point.y)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_text)


def _text(value: Any) -> str:
    """Date or time in ISO 8601; times are in UTC, to the millisecond."""
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dt.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not of a column")


def _cell(value: Value) -> str:
    """Return a value as a cell: NULL is empty; a text that would be computed is made a text."""
    if value is None:
        return ""
    return tame(value) if isinstance(value, str) else cell_text(value)


def cell_text(value: Value) -> str:
    """Return a value that is there as text: true 1, false 0, a number with all its digits, a date in ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    return repr(value) if isinstance(value, int | float) else _text(value)


def tame(text: str) -> str:
    """Put ``'`` before what a spreadsheet would compute: texts of strangers stand in the cells.

    It stands at the start of the text and after a semicolon, tab or new line, before ``= + - @``, their wide forms and
    before ``'`` itself: who takes one away at each of these places has the text as it was.
    """
    return _ACTIVE.sub(r"\1\2'\3", text)
