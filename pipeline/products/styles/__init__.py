"""How the products look in QGIS: one readable file for each layer, filled from the product definition.

A layer's file says how it is drawn and called; its columns, their aliases, units and words come from the records
(:class:`pipeline.told.Told`), so that a new column is one place. Element and attribute names are those QGIS 3.22 writes
and reads. A project takes no style from ``layer_styles``, so the same text stands in both.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import escape

from pipeline.products._columns import Column, Layer
from pipeline.products._relations import METRIC_OF, Relation, references_of, tabs_of
from pipeline.products.stretch import CompositeBand
from pipeline.told import Told

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.22.0"
_UNITS = {"m": "m", "m2": "m²", "m3": "m³"}
_KINDS = {dt.datetime: "datetime", bool: "bool"}
_LONG = frozenset({"quote", "reason", "test", "not_observable", "value", "source", "note"})
"""Texts that need more than a line in a form."""


@dataclass(frozen=True)
class _Field:
    """A column as a style needs it: ``title`` has the unit, ``kind`` is of times and flags."""

    name: str
    title: str
    technical: bool
    told: Told
    kind: str

    @classmethod
    def of(cls, column: Column) -> "_Field":
        unit = _UNITS.get(column.unit)
        title = f"{column.alias} ({unit})" if unit else column.alias
        return cls(column.name, title, column.technical, column.told, _KINDS.get(column.type, ""))


@dataclass(frozen=True)
class _Sheet:
    """A layer as its style needs it."""

    name: str
    spatial: bool
    columns: tuple[_Field, ...]
    long: frozenset[str] = _LONG

    @classmethod
    def of(cls, layer: Layer) -> "_Sheet":
        return cls(layer.name, layer.spatial, tuple(map(_Field.of, layer.columns)))

    def word(self, column: str, value: str) -> str:
        """Return how a value of a column is shown."""
        words = next((dict(field.told.values) for field in self.columns if field.name == column), {})
        return words.get(value, value.capitalize())


def prefix(*, simulated: bool) -> str:
    """Return what every name shown to a reader begins with."""
    return "SIMULATED " if simulated else ""


def qml(layer: str, *, simulated: bool, gathered: bool = False) -> str:
    """Return the QML document of one layer: look, labels, aliases, form, table and map tip."""
    return _document(look(layer, simulated=simulated, gathered=gathered))


def composite_qml(year: int, bands: Sequence[CompositeBand]) -> str:
    """Return the QML document of a year's composite; ``bands`` are those shown as red, green and blue."""
    return _document(composite_look(year, bands), labels=False)


def masks_qml(band: int, year: int) -> str:
    """Return the QML document of the masks of a pile: the band of one year, its bits by colour."""
    values = (
        (0, "Neither", "#ffffff", 0),
        (1, "Pile", "#d95f02", 200),
        (2, "Other dark thing, or water", "#1b6ca8", 160),
        (3, "Both", "#7a0177", 200),
    )
    return _document(fill("masks", band=band, year=year, values=values), labels=False)


def look(layer: str, relations: Sequence[Relation] = (), *, simulated: bool, gathered: bool = False) -> str:
    """Return what a QML document and a layer of a project have in common.

    Parameters
    ----------
    layer : str
        A name of :data:`pipeline.records.LAYERS`.
    relations : sequence of Relation
        Those of the project; a layer that is opened on its own has none.
    simulated : bool
        True marks the map tips.
    gathered : bool
        True of the file of all sites, whose rows name their site.
    """
    return fill(
        layer,
        layer=_Sheet.of(Layer.of(layer).gathered() if gathered else Layer.of(layer)),
        tabs=tabs_of(layer, relations),
        references=references_of(layer, relations),
        metric=METRIC_OF.get(layer) if relations else None,
        simulated=simulated,
    )


def composite_look(year: int, bands: Sequence[CompositeBand]) -> str:
    """Return what the QML document of a composite and its layer in a project have in common."""
    return fill("composite", year=year, bands=bands)


def review_look() -> str:
    """Return form and look of the layer reviewers work in, as its own file has them."""
    document = (Path(__file__).parent / "review.qml").read_text(encoding="utf-8")
    return document[document.index(">", document.index("<qgis ")) + 1 : document.rindex("</qgis>")]


def fill(template: str, **values: Any) -> str:
    """Fill one of the files beside this module."""
    return _environment().get_template(f"{template}.j2").render(values)


def _document(inner: str, *, labels: bool = True) -> str:
    drawn = ' labelsEnabled="1"' if labels else ""
    head = f'<qgis version="{VERSION}" styleCategories="AllStyleCategories" readOnly="1"{drawn}>'
    return f"{DOCTYPE}{head}\n{inner}</qgis>\n"


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        # Expressions of QGIS are put together first and escaped once, where they enter the XML.
        autoescape=False,  # noqa: S701
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A line break inside an attribute would be read as a blank.
    environment.filters["e"] = lambda text: str(escape(str(text))).replace("\n", "&#10;")
    environment.globals["number"] = number
    environment.globals["amount"] = amount
    environment.globals["quantity"] = quantity
    environment.globals["signed"] = signed
    environment.globals["plain"] = plain
    environment.globals["in_review"] = in_review
    return environment


def number(column: str, places: int = 0) -> str:
    """Return the expression of a number grouped as in the report, whatever the locale."""
    return f"format_number(\"{column}\",{places},'en')"


def amount(value: str, low: str, high: str) -> str:
    """Return the expression of an area with its interval; of what has no interval, without one."""
    return f"{number(value)} || coalesce(' m² (' || {number(low)} || ' to ' || {number(high)} || ')', ' m²')"


def quantity(value: str, low: str, high: str) -> str:
    """Return the expression of a number with its interval, in the unit the row names: an area or a count."""
    places = "if(\"unit\" like 'm2%',0,1)"
    shown = {column: f"format_number(\"{column}\",{places},'en')" for column in (value, low, high)}
    unit = "if(\"unit\" like 'm2%',' m²','')"
    return f"{shown[value]} || {unit} || coalesce(' (' || {shown[low]} || ' to ' || {shown[high]} || ')', '')"


def signed(column: str) -> str:
    """Return the expression of the sign of a difference; what is below 0 has its own."""
    return f"if(\"{column}\" > 0,'+','')"


def in_review() -> str:
    """Return the expression of what reviewers say of a pile, after a comma; nothing where none decided."""
    return "if(\"review\" is null,'',', in review: ' || represent_value(\"review\"))"


def plain(column: str) -> str:
    """Return the expression of a text of strangers in a map tip: it is never markup."""
    return f"replace(coalesce(\"{column}\",''), map('&','&amp;','<','&lt;'))"
