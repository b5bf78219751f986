"""The characters most readers' machines lack, as a small font inside the HTML page.

The PDF embeds what it uses by itself; a page shows boxes for Hangul where no Korean font is installed, so
the few glyphs it needs travel with it (Noto Sans KR, SIL Open Font License 1.1).
"""

import io
from base64 import b64encode
from functools import cache

import pylopdf_fonts_ko
from fontTools.ttLib import TTFont

_LAYOUT = ("GDEF", "GPOS", "GSUB")
"""No feature of these tables is kept; leaving them out first spares reading the largest part of the font."""
_FROM, _TO = 0x1100, 0xFFDC
"""From the first Hangul letter to the last half-width one: Korean, and Chinese characters in Korean names."""


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
    wanted = sorted({ord(character) for character in text if _FROM <= ord(character) <= _TO})
    return _face(tuple(wanted)) if wanted else ""


@cache
def _face(wanted: tuple[int, ...]) -> str:
    """Return the rule of some characters; most sites of a batch need the same."""
    from fontTools.subset import Options, Subsetter  # noqa: PLC0415 - slow to import, and few pages need it

    # recalcTimestamp would write the time of day into the font.
    with TTFont(pylopdf_fonts_ko.sans_path(), recalcTimestamp=False) as font:
        without = [*Options().drop_tables, *_LAYOUT]
        subsetter = Subsetter(Options(layout_features=[], drop_tables=without, hinting=False, desubroutinize=True))
        subsetter.populate(unicodes=wanted)
        subsetter.subset(font)
        out = io.BytesIO()
        font.save(out)
    data = b64encode(out.getvalue()).decode("ascii")
    return (
        '@font-face { font-family: "Embedded Korean"; '
        f'src: url("data:font/otf;base64,{data}") format("opentype"); unicode-range: U+{_FROM:X}-{_TO:X}; }}'
    )
