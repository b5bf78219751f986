"""Charts and pictures: axes against hand counts, outlines against where they lie, letters against the font."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from affine import Affine
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from shapely import Polygon, box

from pipeline.products.charts import Point, chart_svg, ticks_of
from pipeline.products.fonts import embedded_face
from pipeline.products.lettering import CAPITAL, UNITS, font_path, glyph, width
from pipeline.products.pictures import Outlines, Picture, dashes, picture_jpeg
from pipeline.products.svg import Drawing, Letters, number

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("low", "high", "whole", "texts"),
    [
        (0.0, 10.0, False, ["0", "2", "4", "6", "8", "10"]),
        (0.0, 0.7, False, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]),
        (0.0, 17.5, False, ["0.0", "2.5", "5.0", "7.5", "10.0", "12.5", "15.0", "17.5"]),
        (0.0, 2.0, True, ["0", "1", "2"]),
        (-1.2, 3.0, True, ["\N{MINUS SIGN}1", "0", "1", "2", "3"]),
    ],
)
def test_axes_are_marked_at_round_values(low, high, whole, texts):
    assert [text for _, text in ticks_of(low, high, whole=whole)] == texts


@given(st.floats(-1e6, 0.0), st.floats(1e-3, 1e7), st.booleans())
def test_marks_of_an_axis_lie_on_it_and_say_their_value(low, high, whole):
    marks = ticks_of(low, high, whole=whole)
    assert 1 <= len(marks) <= 9
    for value, text in marks:
        assert low - 1e-6 * (high - low) <= value <= high + 1e-6 * (high - low)
        assert float(text.replace("\N{MINUS SIGN}", "-")) == pytest.approx(value, abs=1e-6 * (high - low))


def points(*values):
    return [Point(2016 + n, v, v - 1, v + 1, 9, "ok", "increase") for n, v in enumerate(values)]


def marks(svg, kind):
    return [e for e in ET.fromstring(svg).iter() if e.get("class") == kind]  # noqa: S314 - drawn by this project


def ends(mark):
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", mark.get("d"))]


def test_bars_are_as_long_as_their_intervals_and_stand_on_their_years():
    svg = chart_svg(points(10.0, 20.0, 30.0), "count", wide=True, simulated=False)
    bars = [ends(mark) for mark in marks(svg, "interval")]
    lengths = [low - high for (_, low), (_, high) in bars]
    assert lengths == pytest.approx([lengths[0]] * 3, abs=0.02)
    across = [x for (x, _), _ in bars]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.02)
    middles = [(low + high) / 2 for (_, low), (_, high) in bars]
    # Two units are one bar; ten units lie between the years.
    assert middles[0] - middles[1] == pytest.approx(5 * lengths[0], abs=0.05)


def test_an_axis_begins_at_zero():
    svg = chart_svg(points(1000.0, 1001.0), "count", wide=True, simulated=False)
    ((_, low), (_, high)), _ = (ends(mark) for mark in marks(svg, "interval"))
    assert 0 < low - high < 2


def test_korean_letters_travel_with_the_page_and_no_other():
    assert embedded_face("plain words; 2018\u20132020: \u22125 \u2192 \u2265 \u00d7 \u00b2") == ""
    face = embedded_face("\ubd81\ucc3d Pukchang \u22125")
    data = base64.b64decode(re.search(r"base64,([^\"]+)", face)[1])
    with TTFont(io.BytesIO(data)) as font:
        assert set(font.getBestCmap()) == {0xBD81, 0xCC3D}


def test_letters_are_those_of_the_font():
    with TTFont(font_path()) as font:
        assert font["head"].unitsPerEm == UNITS
        assert font["OS/2"].sCapHeight == CAPITAL * UNITS
        advance = font["hmtx"].metrics
        names = font.getBestCmap()
        assert width("Año 한", 10.0) == pytest.approx(sum(advance[names[ord(c)]][0] for c in "Año 한") / 100)
    assert glyph(" ").path == ""
    # What the font lacks is a box, never nothing.
    assert glyph(chr(0x10FFFD)).path == glyph(chr(0x10FFFC)).path
    assert glyph(chr(0x10FFFD)).path


def test_every_letter_that_is_used_is_there_once():
    drawing = Drawing(100.0, 50.0)
    drawing.text(50.0, 20.0, "n = 11", Letters(9.0, "#000000"))
    root = ET.fromstring(drawing.finished())  # noqa: S314 - drawn by this project
    there = [e.get("id") for e in root.iter(f"{SVG}path") if e.get("id")]
    used = [e.get("{http://www.w3.org/1999/xlink}href")[1:] for e in root.iter(f"{SVG}use")]
    assert len(there) == len(set(there)) == 3
    assert len(used) == 4
    assert set(used) == set(there)


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (0.5, "0.5"), (-0.001, "0"), (120.0, "120"), (2.345, "2.35")])
def test_numbers_are_written_short(value, text):
    assert number(value) == text


def test_dashes_lie_on_the_line_at_equal_lengths():
    square = np.array([[0.0, 0], [30, 0], [30, 30], [0, 30], [0, 0]])
    found = list(dashes(square, 10.0, 5.0))
    assert len(found) == 8
    assert [np.hypot(*np.diff(dash, axis=0).T).sum() for dash in found] == pytest.approx([10.0] * 8)
    # The third goes round the first corner.
    np.testing.assert_allclose(found[2], [[30, 0], [30, 10]])
    np.testing.assert_allclose(found[1], [[15, 0], [25, 0]])


def drawn(outlines, bounds=(0.0, 0.0, 1000.0, 1000.0), rgb=None):
    picture = Picture(2020, np.full((100, 100, 3), 90, np.uint8) if rgb is None else rgb,
                      Affine(10, 0, 0, 0, -10, 1000), 32652)  # fmt: skip
    data = picture_jpeg(picture, outlines, bounds, "", simulated=False)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def yellow(image):
    return (image[..., 0] > 200) & (image[..., 1] > 190) & (image[..., 2] < 120)


def test_an_outline_is_drawn_where_it_lies():
    pile = Polygon(box(400, 300, 600, 500).exterior.coords, [box(480, 380, 520, 420).exterior.coords])
    rows, columns = np.nonzero(yellow(drawn(Outlines((("", pile),), (), ()))))
    # 1.1 pixels a metre; the line is 4 pixels wide.
    assert (columns.min(), columns.max()) == pytest.approx((440, 660), abs=3)
    assert (rows.min(), rows.max()) == pytest.approx((550, 770), abs=3)
    near = yellow(drawn(Outlines((("", pile),), (), ()), (450.0, 350.0, 550.0, 450.0)))
    rows, columns = np.nonzero(near)
    # Eleven pixels a metre: only the hole is in view.
    assert (columns.min(), columns.max()) == pytest.approx((330, 770), abs=3)


def test_ground_is_shown_pixel_by_pixel_when_it_is_close():
    rng = np.random.default_rng(3)
    rgb = rng.integers(60, 190, (100, 100, 1), dtype=np.uint8).repeat(3, axis=2)
    image = drawn(Outlines((), (), ()), (400.0, 400.0, 500.0, 500.0), rgb)
    middles = image[55::110, 55::110, 1][3:7, 2:8]
    np.testing.assert_allclose(middles, rgb[50:60, 40:50, 1][3:7, 2:8], atol=4)
