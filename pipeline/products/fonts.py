"""The one font of all drawings and documents, which comes with a package: no reader's machine decides how they look.

The PDF embeds what it uses by itself; a page shows boxes for Hangul where no Korean font is installed, so
the few glyphs it needs travel with it (Noto Sans KR, SIL Open Font License 1.1).
"""

import io
from base64 import b64encode
from functools import cache
from pathlib import Path

import pylopdf_fonts_ko
from fontTools.ttLib import TTFont

FONT = "Stockline Noto Sans KR"
"""Name the font has in matplotlib: its own, so that none of a machine's fonts can stand in for it."""
_LAYOUT = ("GDEF", "GPOS", "GSUB")
"""No feature of these tables is kept; leaving them out first spares reading the largest part of the font."""
_KOREAN = ((0x1100, 0x11FF), (0x2E80, 0xFFDC))
"""First and last of the Hangul letters, and of all from the Chinese radicals to the half-width letters. Between them
lie the dashes, minus signs and arrows that every font has: a page that holds no more than these needs no other."""


def font_path() -> Path:
    """File of the font: Noto Sans KR."""
    return Path(pylopdf_fonts_ko.sans_path())


@cache
def offer_font() -> None:
    """Make the font known to matplotlib as ``FONT``."""
    from matplotlib.font_manager import FontEntry, fontManager  # noqa: PLC0415 - slow to import

    fontManager.ttflist.append(FontEntry(fname=str(font_path()), name=FONT))


def embedded_face(text: str) -> str:
    """Return an ``@font-face`` rule with the Korean glyphs of a text, or nothing when it has none.

    Parameters
    ----------
    text : str
        Everything the page says.

    Returns
    -------
    str
        CSS; the family is ``Embedded Korean`` and covers the Korean range only. The same text gives the
        same bytes.
    """
    codes = sorted(map(ord, set(text)))
    wanted = tuple(code for code in codes if any(first <= code <= last for first, last in _KOREAN))
    return _face(wanted) if wanted else ""


@cache
def _face(wanted: tuple[int, ...]) -> str:
    """Return the rule of some characters; most sites of a batch need the same."""
    from fontTools.subset import Options, Subsetter  # noqa: PLC0415 - slow to import, and few pages need it

    # recalcTimestamp would write the time of day into the font.
    with TTFont(font_path(), recalcTimestamp=False) as font:
        without = [*Options().drop_tables, *_LAYOUT]
        subsetter = Subsetter(Options(layout_features=[], drop_tables=without, hinting=False, desubroutinize=True))
        subsetter.populate(unicodes=wanted)
        subsetter.subset(font)
        out = io.BytesIO()
        font.save(out)
    data = b64encode(out.getvalue()).decode("ascii")
    ranges = ", ".join(f"U+{first:X}-{last:X}" for first, last in _KOREAN)
    return (
        '@font-face { font-family: "Embedded Korean"; '
        f'src: url("data:font/otf;base64,{data}") format("opentype"); unicode-range: {ranges}; }}'
    )
