"""The characters most readers' machines lack, as a small font inside the HTML page.

The PDF embeds what it uses by itself; a page shows boxes for Hangul where no Korean font is installed, so
the few glyphs it needs travel with it (Noto Sans KR, SIL Open Font License 1.1).
"""

import io
from base64 import b64encode

import pylopdf_fonts_ko
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

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
    if not wanted:
        return ""
    # recalcTimestamp would write the time of day into the font.
    with TTFont(pylopdf_fonts_ko.sans_path(), recalcTimestamp=False) as font:
        subsetter = Subsetter(Options(layout_features=[], hinting=False, desubroutinize=True))
        subsetter.populate(unicodes=wanted)
        subsetter.subset(font)
        out = io.BytesIO()
        font.save(out)
    data = b64encode(out.getvalue()).decode("ascii")
    return (
        '@font-face { font-family: "Embedded Korean"; '
        f'src: url("data:font/otf;base64,{data}") format("opentype"); unicode-range: U+{_FROM:X}-{_TO:X}; }}'
    )
