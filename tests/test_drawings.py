"""Charts and pictures: bars against their intervals, outlines against where they lie, letters against the font."""

import base64
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from affine import Affine
from fontTools.ttLib import TTFont
from PIL import Image
from shapely import Polygon, box

from pipeline.products.charts import Chart, Point, chart_svgs
from pipeline.products.drawings import chart_drawings, picture_drawings, picture_note
from pipeline.products.fonts import embedded_face
from pipeline.products.pictures import Outlines, Picture, dashes, picture_jpeg
from pipeline.products.results import Results
from pipeline.records import LAYERS, MeasurementRow

SVG = "{http://www.w3.org/2000/svg}"


def points(*values):
    return tuple(Point(2016 + n, v, v - 1, v + 1, 9, "ok", "increase") for n, v in enumerate(values))


def svg_of(chart, *, simulated=False):
    return ET.fromstring(chart_svgs([chart], simulated=simulated)[0])  # noqa: S314 - drawn by this project


def named(svg, kind):
    """Paths of the parts whose name begins with a word, as points of the first path of each."""
    groups = [e for e in svg.iter(f"{SVG}g") if (e.get("id") or "").startswith(kind)]
    paths = [next(e.iter(f"{SVG}path"), None) for e in groups]
    return [[] if path is None else ends(path) for path in paths]


def ends(mark):
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", mark.get("d"))]


def words(svg):
    """Every text of a drawing: letters are paths, with their text in a comment before them."""
    return re.findall(r"<!-- (.*?) -->", svg.decode("utf-8"), re.DOTALL)


def test_bars_are_as_long_as_their_intervals_and_stand_on_their_years():
    bars = named(svg_of(Chart(points(10.0, 20.0, 30.0), "count")), "interval-")
    lengths = [low - high for (_, low), (_, high) in bars]
    assert lengths == pytest.approx([lengths[0]] * 3, abs=0.02)
    across = [x for (x, _), _ in bars]
    assert across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.02)
    middles = [(low + high) / 2 for (_, low), (_, high) in bars]
    # Two units are one bar; ten units lie between the years.
    assert middles[0] - middles[1] == pytest.approx(5 * lengths[0], abs=0.05)


def test_an_axis_begins_at_zero_and_takes_in_every_interval():
    chart = Chart(points(1000.0, 1001.0), "count")
    ((_, low), (_, high)), _ = named(svg_of(chart), "interval-")
    assert 0 < low - high < 2
    ((_, low), (_, high)), *_ = named(svg_of(Chart(points(-3.0, 4.0), "count")), "interval-")
    assert low < 198.0
    assert high > 0.0
    assert "\N{MINUS SIGN}4" in " ".join(words(chart_svgs([Chart(points(-3.0, 4.0), "count")], simulated=False)[0]))


@pytest.mark.parametrize(
    ("value", "unit", "label"), [(9_999.0, "m2", "m²"), (10_000.0, "m2", "ha"), (3.0, "1", "number")]
)
def test_the_unit_stands_on_the_axis(value, unit, label):
    point = Point(2018, value, value, value, 9, "ok", "baseline")
    assert label in words(chart_svgs([Chart((point,), unit)], simulated=False)[0])


def test_a_missing_year_is_hatched_with_its_reason_and_has_no_mark():
    gap = Point(2017, None, None, None, 2, "insufficient_data", "")
    chart = Chart((points(3.0)[0], gap), "m2")
    svg = chart_svgs([chart], simulated=False)[0]
    root = ET.fromstring(svg)  # noqa: S314 - drawn by this project
    assert "not observable: 2 dates" in words(svg)
    assert len(named(root, "missing-2017")) == 1
    assert len(named(root, "value-")) == len(named(root, "interval-")) == 1
    assert "url(#" in next(e for e in root.iter(f"{SVG}g") if e.get("id") == "missing-2017")[0].get("style")


def test_resolutions_of_the_years_are_marked_on_their_day():
    svg = svg_of(Chart(points(1.0, 2.0, 3.0), "count"))
    before, middle, day = (named(svg, name)[0][0][0] for name in ("interval-2016", "interval-2017", "resolution-2371"))
    # 5 August is day 217 of 365, and a year's column is centred on its number.
    assert (day - middle) / (middle - before) == pytest.approx(216 / 365 - 0.5, abs=0.002)
    said = words(chart_svgs([Chart(points(1.0, 2.0, 3.0), "count")], simulated=False)[0])
    assert "2371, 2017-08-05" in said
    assert not named(svg_of(Chart(points(1.0)[:1], "count")), "resolution-2371")


def test_reviewed_values_stand_beside_those_of_the_program():
    plain = Chart(points(10.0, 20.0), "count")
    both = replace(plain, reviewed=points(8.0, 20.0))
    assert not named(svg_of(plain), "reviewed-")
    svg = svg_of(both)
    assert len(named(svg, "reviewed-value-")) == 2
    (machine, *_), (reviewed, *_) = named(svg, "interval-2016"), named(svg, "reviewed-interval-2016")
    assert reviewed[0][0] > machine[0][0]
    assert reviewed[0][1] > machine[0][1], "a smaller value lies lower"
    assert "after review" in words(chart_svgs([both], simulated=False)[0])


def test_simulated_stands_in_every_chart():
    charts = [Chart(points(1.0, 2.0), "count", wide=wide) for wide in (True, False)]
    assert all("SIMULATED" in words(svg) for svg in chart_svgs(charts, simulated=True))
    assert not any("SIMULATED" in words(svg) for svg in chart_svgs(charts, simulated=False))


def test_charts_do_not_depend_on_those_before_them_nor_on_settings_of_the_reader():
    one, other = Chart(points(1.0, 2.0), "count"), Chart(points(5.0), "m2", wide=False)
    alone = chart_svgs([other], simulated=True)
    with mpl.rc_context({"axes.labelsize": 30, "svg.fonttype": "none", "font.family": "serif"}):
        assert chart_svgs([one, other], simulated=True)[1:] == alone
        assert mpl.rcParams["axes.labelsize"] == 30


def test_letters_are_those_of_the_font_that_comes_along():
    svg = chart_svgs([Chart(points(1.0), "m2")], simulated=True)[0].decode("utf-8")
    assert set(re.findall(r'id="([A-Za-z]+-[A-Za-z]+)-', svg)) == {"NotoSansKR-Regular"}


def test_korean_letters_travel_with_the_page_and_no_other():
    assert embedded_face("plain words; 2018\u20132020: \u22125 \u2192 \u2265 \u00d7 \u00b2") == ""
    face = embedded_face("\ubd81\ucc3d Pukchang \u22125")
    data = base64.b64decode(re.search(r"base64,([^\"]+)", face)[1])
    with TTFont(io.BytesIO(data)) as font:
        assert set(font.getBestCmap()) == {0xBD81, 0xCC3D}


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
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    # As wide as high; the legend stands below.
    return image[: image.shape[1]]


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


def pixels(outlines, credit=""):
    """A whole picture, its legend too."""
    picture = Picture(2020, np.full((100, 100, 3), 90, np.uint8), Affine(10, 0, 0, 0, -10, 1000), 32652)
    data = picture_jpeg(picture, outlines, (0.0, 0.0, 1000.0, 1000.0), credit, simulated=False)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_name_stays_inside_the_picture():
    pile = box(880, 480, 960, 520)
    outlined, named = (yellow(drawn(Outlines(((name, pile),), (), ()))) for name in ("", "p78122-361077"))
    letters = named & ~outlined
    _, columns = np.nonzero(letters)
    assert columns.max() < 1096
    # As wide as it is in the middle of a picture: nothing of it is cut off.
    middle = box(380, 480, 460, 520)
    bare, free = (yellow(drawn(Outlines(((name, middle),), (), ()))) for name in ("", "p78122-361077"))
    assert np.ptp(columns) == pytest.approx(np.ptp(np.nonzero(free & ~bare)[1]), abs=8)


def test_names_of_piles_beside_each_other_do_not_lie_over_each_other():
    piles = [box(300, 480, 340, 520), box(350, 475, 390, 515)]
    bare = yellow(drawn(Outlines(tuple(("", pile) for pile in piles), (), ())))
    named = yellow(drawn(Outlines(tuple(("p78122-361077", pile) for pile in piles), (), ())))
    alone = [
        yellow(drawn(Outlines((("p78122-361077", pile), ("", other)), (), ()))) & ~bare
        for pile, other in (piles, piles[::-1])
    ]
    # As many pixels of letters as both names have on their own.
    assert (named & ~bare).sum() == pytest.approx(sum(a.sum() for a in alone), rel=0.1)


def test_the_legend_names_the_lines_there_are_and_nothing_covers_the_ground():
    pile = (("", box(400, 300, 600, 500)),)
    with_pile, with_zone = (pixels(o)[1100:] for o in (Outlines(pile, (), ()), Outlines((), (), (box(1, 1, 9, 9),))))
    assert with_pile.shape[0] == with_zone.shape[0] > 50
    assert yellow(with_pile).any()
    assert not yellow(with_zone).any()
    dark = (pixels(Outlines(pile, (), ()), "Contains data")[1100:] < 80).all(axis=-1)
    assert dark[45:].any(), "the credit stands below the legend"
    assert not (with_pile < 80).all(axis=-1)[45:].any()


def rows_of(zone_id, metric, *values, unit="m2"):
    """Measurements of 2018 and the years after it; each value with its bounds."""
    return [
        MeasurementRow("s", zone_id, 2018 + n, metric, value, lo95, hi95, unit, 8, 1.0, "ok")
        for n, (value, lo95, hi95) in enumerate(values)
    ]


def drawings_of(*rows):
    measurements = [row for group in rows for row in group]
    layers = {name: [] for name in LAYERS} | {"measurements": measurements}
    return chart_drawings(Results(layers, 2018), simulated=False)


def test_a_zone_in_which_nothing_is_has_a_sentence_instead_of_a_chart():
    nothing, something = (0.0, 0.0, 2000.0), (5000.0, 4500.0, 5500.0)
    charts, note = drawings_of(
        rows_of("site", "stockpile_area_m2", nothing, nothing),
        rows_of("north", "stockpile_area_m2", nothing, nothing),
        rows_of("south", "stockpile_area_m2", nothing, something),
        rows_of("east", "footprint_area_m2", (10.0, -500.0, 520.0), (0.0, -500.0, 500.0)),
        rows_of("south", "stockpile_count", (0.0, 0.0, 0.5), (1.0, 0.5, 1.5), unit="1"),
    )
    # The whole site is always drawn: that it holds nothing is a result.
    assert [chart.title for chart in charts] == ["Stockpile area, whole site", "Stockpile area, south"]
    assert "stockpile area in north" in note
    assert "area of occupied ground in east" in note
    assert "number of stockpiles in south" in note


def test_reviewed_values_are_drawn_in_the_chart_of_the_program_and_told_in_its_words():
    value, reviewed = (50_000.0, 45_000.0, 55_000.0), (30_000.0, 28_000.0, 32_000.0)
    charts, _ = drawings_of(
        rows_of("site", "stockpile_area_m2", value, value),
        rows_of("site", "reviewed_stockpile_area_m2", value, reviewed),
    )
    assert len(charts) == 1
    assert b"reviewed-value-2019" in charts[0].content
    assert charts[0].alt.endswith(
        "After review: 2018: 5.00 ha (4.50 to 5.50), baseline year; 2019: 3.00 ha (2.80 to 3.20), not compared."
    )


def test_the_closest_view_is_shown_in_short_wave_infrared_too():
    plain = Picture(2018, np.full((100, 100, 3), 90, np.uint8), Affine(10, 0, 0, 0, -10, 1000), 32652)
    asked = []

    def infrared(bounds):
        asked.append(bounds)
        return replace(plain, rgb=np.full((100, 100, 3), (200, 20, 20), np.uint8))

    layers = {name: [] for name in LAYERS} | {"measurements": rows_of("site", "stockpile_area_m2", (9.0, 8.0, 10.0))}
    results = Results(layers, 2018)
    (true,) = picture_drawings(results, [plain], simulated=True)
    both = picture_drawings(results, [replace(plain, infrared=infrared)], simulated=True)
    assert [d.title for d in both] == ["Whole site, 2018", "Whole site, short-wave infrared, 2018"]
    assert both[0] == true
    assert asked == [plain.bounds]
    assert both[1].alt.startswith("Short-wave infrared image")
    middle = np.asarray(Image.open(io.BytesIO(both[1].content)))[500, 500]
    np.testing.assert_allclose(middle, (200, 20, 20), atol=6)
    assert "swir22" in picture_note(results, [replace(plain, infrared=infrared)], 32652)
    assert "swir22" not in picture_note(results, [plain], 32652)
