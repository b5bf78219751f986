"""Outlines by year and changes as KML 2.2 (OGC 07-147r2), for Google Earth and whoever has no GIS.

Made from the GeoPackage, one layer after the other. Colours, labels and the period a polygon is shown for are those of
the styles; a reader's programs take a description as HTML, so texts are escaped twice.
"""

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree as ET

import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.products._columns import Layer
from pipeline.products._looks import looks_of
from pipeline.products._project import SHOWN
from pipeline.products.atomic import atomic_path
from pipeline.products.exports import cell_text
from pipeline.products.finished import Finished
from pipeline.products.reviewed import in_review
from pipeline.products.rounding import show, show_percent
from pipeline.products.wording import attribution

LAYERS_SHOWN = ("stockpile_changes", "stockpiles", "boundary_changes", "footprints", "zones", "sites")
"""Topmost first; outlines of single dates are in the GeoPackage alone."""

_YEAR_FIELDS = ("year", "year_to")
_SHOWN = {shown.layer: shown for shown in SHOWN}
_PX_PER_MM = 4
_TYPES: dict[type, str] = {int: "int", float: "double", bool: "bool"}
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters XML 1.0 cannot hold."""


def write_kml(folder: Path, source: Finished) -> Path:
    """Write ``<site>.kml`` into a site's folder; the same bytes for the same GeoPackage.

    Raises
    ------
    ProductError
        The GeoPackage cannot be read, or the file could not be written; a former file is untouched.
    """
    path = folder / f"{source.site_id}.kml"
    with atomic_path(path) as beside, beside.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">\n<Document>\n')
        _write(file, _text("name", source.marked(source.site_name)))
        _write(file, _text("open", "1"))
        _write(file, _text("description", html.escape(_about(source))))
        for name in LAYERS_SHOWN:
            for style in _styles(name):
                _write(file, style)
        for name in LAYERS_SHOWN:
            _write(file, _schema(Layer.of(name)))
        for name in LAYERS_SHOWN:
            _write_layer(file, name, source)
        file.write("</Document>\n</kml>\n")
    return path


def _about(source: Finished) -> str:
    """Say what the file is, whose data it rests on, and where the numbers come from."""
    years = sorted({getattr(row, "year") for row in source.rows("measurements")})  # noqa: B009 - a column of the layer
    return (
        f"{attribution(years, simulated=source.simulated)} Outlines of site {source.site_id} as measured by year, and "
        f"what changed between two years. Areas are in m2 on the ellipsoid; all numbers, intervals and scenes are in "
        f"{source.path.name} beside this file."
    )


def _write_layer(file: IO[str], name: str, source: Finished) -> None:
    """Write the folder of a layer, its polygons in folders of their years where they have one."""
    style = _SHOWN[name]
    groups: dict[int | None, list[Any]] = {}
    for row in source.rows(name):
        year = next((getattr(row, field) for field in _YEAR_FIELDS if hasattr(row, field)), None)
        groups.setdefault(year, []).append(row)
    shown = str(int(style.visible))
    file.write("<Folder>\n")
    _write(file, _text("name", source.marked(style.title)))
    _write(file, _text("visibility", shown))
    for year in sorted(groups, key=lambda year: year or 0):
        if year is not None:
            file.write("<Folder>\n")
            _write(file, _text("name", source.marked(f"{style.title} {year}")))
            _write(file, _text("visibility", shown))
        for row in groups[year]:
            for element in _placemark(name, row, year, source):
                _write(file, element)
        if year is not None:
            file.write("</Folder>\n")
    file.write("</Folder>\n")


def _placemark(name: str, row: Any, year: int | None, source: Finished) -> Iterator[ET.Element]:
    """Give the placemark of a row; none where it has no outline."""
    outline = source.outline(row)
    if outline is None:
        return
    title, said = _TOLD[name](row, {c.name: dict(c.told.values) for c in Layer.of(name).columns})
    placemark = ET.Element("Placemark")
    placemark.append(_text("name", source.marked(title)))
    placemark.append(_text("visibility", str(int(_SHOWN[name].visible))))
    lines = [source.marked(title), *said]
    placemark.append(_text("description", "<br/>".join(html.escape(line) for line in lines)))
    if year is not None:
        span = ET.SubElement(placemark, "TimeSpan")
        span.append(_text("begin", f"{year}-01-01"))
        span.append(_text("end", f"{year}-12-31"))
    drawn_by, looks = looks_of(name)
    value = "" if drawn_by is None else getattr(row, drawn_by, None) or getattr(row, f"{drawn_by}_")
    if value in looks:
        placemark.append(_text("styleUrl", f"#{_style_id(name, value)}"))
    data = ET.SubElement(ET.SubElement(placemark, "ExtendedData"), "SchemaData", schemaUrl=f"#{name}-columns")
    for column in Layer.of(name).columns:
        stored = column.clean(getattr(row, column.field))
        if stored is not None:
            data.append(_text("SimpleData", cell_text(stored), name=column.name))
    several = ET.SubElement(placemark, "MultiGeometry")
    several.extend(_polygon(part) for part in shapely.get_parts(outline))
    yield placemark


def _polygon(part: Polygon) -> ET.Element:
    element = ET.Element("Polygon")
    for tag, ring in [("outerBoundaryIs", part.exterior), *(("innerBoundaryIs", hole) for hole in part.interiors)]:
        line = ET.SubElement(ET.SubElement(element, tag), "LinearRing")
        line.append(_text("coordinates", _coordinates(ring)))
    return element


def _coordinates(ring: BaseGeometry) -> str:
    return " ".join(f"{x!r},{y!r}" for x, y in shapely.get_coordinates(ring).tolist())


def _styles(name: str) -> Iterator[ET.Element]:
    """Give the styles of a layer: one per value of the column it is drawn by."""
    for value, look in looks_of(name)[1].items():
        element = ET.Element("Style", id=_style_id(name, value))
        line = ET.SubElement(element, "LineStyle")
        line.append(_text("color", _colour(*look.line)))
        line.append(_text("width", f"{max(look.width_mm * _PX_PER_MM, 1):g}"))
        fill = ET.SubElement(element, "PolyStyle")
        fill.append(_text("color", _colour(*(look.fill or (*look.line, 0)))))
        fill.append(_text("fill", str(int(look.fill is not None))))
        yield element


def _style_id(name: str, value: str) -> str:
    return f"{name}-{value}" if value else name


def _colour(red: int, green: int, blue: int, alpha: int = 255) -> str:
    """Colour in KML's order."""
    return f"{alpha:02x}{blue:02x}{green:02x}{red:02x}"


def _schema(layer: Layer) -> ET.Element:
    """Return the types and aliases of a layer's columns."""
    schema = ET.Element("Schema", name=layer.name, id=f"{layer.name}-columns")
    for column in layer.columns:
        field = ET.SubElement(schema, "SimpleField", type=_TYPES.get(column.type, "string"), name=column.name)
        field.append(_text("displayName", f"{column.alias}, {column.unit}" if column.unit else column.alias))
    return schema


def _text(tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.Element(tag, attributes)
    element.text = _FORBIDDEN.sub("\ufffd", text)
    return element


def _write(file: IO[str], element: ET.Element) -> None:
    file.write(ET.tostring(element, encoding="unicode") + "\n")


_Words = dict[str, dict[str, str]]
"""Column to the words of its values."""


def _area(value: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    """``0.79 ha (95 % interval 0.76 to 0.82 ha)``."""
    shown = show(value, low, high, signed=signed)
    if low is None or high is None:
        return shown.value_with_unit
    return f"{shown.value_with_unit} (95 % interval {shown.interval_with_unit})"


def _stockpile(row: Any, words: _Words) -> tuple[str, list[str]]:
    return f"Stockpile {row.pile_id}, {row.year}", [
        ", ".join(filter(None, (words["tier"][row.tier], in_review(row.review)))),
        f"Area {_area(row.area_m2, row.area_lo95_m2, row.area_hi95_m2)}",
        f"{row.n_dates} dates, {show_percent(row.persistence)} of them like coal",
        f"Zone: {row.zone_id or 'none'}",
    ]


def _stockpile_change(row: Any, words: _Words) -> tuple[str, list[str]]:
    return f"Stockpile {row.pile_id}, {row.year_from} to {row.year_to}", [
        words["verdict"][row.verdict],
        f"Difference {_area(row.delta_m2, row.lo95_m2, row.hi95_m2, signed=True)}",
        f"Smallest difference that would be called: {show(row.mdc95_m2).value_with_unit}",
    ]


def _footprint(row: Any, words: _Words) -> tuple[str, list[str]]:
    kind = words["class"][row.class_]
    return f"{kind}, {row.year}", [f"Area {_area(row.area_m2, None, None)}", f"Zone: {row.zone_id}"]


def _boundary(row: Any, words: _Words) -> tuple[str, list[str]]:
    kind = words["change"][row.change]
    return f"{kind}, {row.year_from} to {row.year_to}", [
        f"Area {_area(row.area_m2, None, None)}",
        f"Zone: {row.zone_id}",
    ]


def _zone(row: Any, words: _Words) -> tuple[str, list[str]]:
    rests = {"perimeter": "a sourced perimeter", "baseline_footprint": "the footprint of the baseline year"}
    kind = [words["role"][row.role], *([f"Rests on {rests[row.reference]}"] if row.reference else [])]
    return row.name, [*kind, f"Area {_area(row.area_m2, None, None)}"]


def _site(row: Any, _: _Words) -> tuple[str, list[str]]:
    within = [] if row.uncertainty_m is None else [f"Within {row.uncertainty_m:g} m"]
    source = f"Source: {row.source or 'not stated'}, {row.source_date or 'no date'}"
    return f"{row.name} ({row.role})", [source, *within]


_TOLD: dict[str, Callable[[Any, _Words], tuple[str, list[str]]]] = {
    "stockpile_changes": _stockpile_change,
    "stockpiles": _stockpile,
    "boundary_changes": _boundary,
    "footprints": _footprint,
    "zones": _zone,
    "sites": _site,
}
"""Title and lines of a row, by layer."""
