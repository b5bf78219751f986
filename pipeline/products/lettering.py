"""Text of drawings as outlines, in the one font that comes with a package: no reader's font decides how it looks."""

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pylopdf_fonts_ko
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.ttLib import TTFont

_READING = threading.Lock()
"""The font is read as it is needed, and sites may be published by several threads."""


@dataclass(frozen=True)
class Glyph:
    """Outline of a character as SVG path data, y upward, and how far the next one is, both in ``UNITS`` a size."""

    path: str
    advance: float


UNITS = 1000
"""Units of the font per size: Noto Sans KR."""
CAPITAL = 0.733
"""Height of a capital letter or a figure, as a share of the size (its OS/2 table)."""


def font_path() -> Path:
    """File of the font: Noto Sans KR, SIL Open Font License 1.1."""
    return Path(pylopdf_fonts_ko.sans_path())


@cache
def _font() -> tuple[dict[int, str], Any]:
    font = TTFont(font_path(), lazy=True)
    return font.getBestCmap(), font.getGlyphSet()


@cache
def glyph(character: str) -> Glyph:
    """Return the outline of a character; one the font lacks is its empty box."""
    with _READING:
        names, glyphs = _font()
        drawn = glyphs[names.get(ord(character), ".notdef")]
        pen = SVGPathPen(glyphs, ntos=lambda value: str(round(value)))
        drawn.draw(pen)
        return Glyph(pen.getCommands(), float(drawn.width))


def width(text: str, size: float) -> float:
    """Width of a text of a size, in the unit of the size."""
    return sum(glyph(character).advance for character in text) * size / UNITS
