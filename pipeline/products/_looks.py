"""The colours of a layer, read from its QGIS style, for formats that have colours and no patterns."""

from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree as ET

from pipeline.products import styles

_SOLID_ALPHA, _PATTERN_ALPHA = 160, 64
"""Imagery stays visible under a filled polygon; one with a pattern is paler than a solid one."""


@dataclass(frozen=True)
class Look:
    """Line of a polygon, and its fill where it has one: red, green, blue and, of the fill, opacity; all 0 to 255."""

    line: tuple[int, int, int]
    width_mm: float
    fill: tuple[int, int, int, int] | None


@cache
def looks_of(layer: str) -> tuple[str | None, dict[str, Look]]:
    """Return the column whose values are drawn apart, None where all rows are drawn alike, and the look of each value.

    Parameters
    ----------
    layer : str
        A layer with outlines.
    """
    root = ET.fromstring(styles.qml(layer, simulated=False))  # noqa: S314 - made by this program
    renderer = root.find("renderer-v2")
    if renderer is None:
        raise ValueError(f"the style of {layer} draws nothing")
    drawn = {symbol.get("name", ""): _look(symbol) for symbol in renderer.findall("symbols/symbol")}
    column = renderer.get("attr")
    if column is None:
        return None, {"": drawn["0"]}
    categories = renderer.findall("categories/category")
    return column, {c.get("value", ""): drawn[c.get("symbol", "")] for c in categories}


def _look(symbol: ET.Element) -> Look:
    line, width, fill = (0, 0, 0), 0.0, None
    for part in symbol.findall("layer"):
        options = {option.get("name", ""): option.get("value", "") for option in part.findall("Option/Option")}
        if part.get("class") == "SimpleLine":
            # The last one is drawn over its casing.
            line, width = _rgb(options["line_color"]), float(options["line_width"])
        else:
            fill = (*_rgb(options["color"]), _SOLID_ALPHA if part.get("class") == "SimpleFill" else _PATTERN_ALPHA)
    return Look(line, width, fill)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in colour.split(",")[:3])
    return red, green, blue
