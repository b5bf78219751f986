"""The change report as a reader meets it: parsed HTML, extracted PDF text, charts read back from their SVG."""

import base64
import datetime as dt
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader
from report_fixture import BASELINE, MISSING, NAME, NASTY, YEARS, make_facts, make_map, make_pictures, make_tables

from pipeline.errors import ProductError
from pipeline.products.assets import json_element
from pipeline.products.change_listings import changes_listing, gathered
from pipeline.products.charts import Chart, Point, chart_svgs
from pipeline.products.drawings import window_around
from pipeline.products.pages import korean
from pipeline.products.pictures import scale_bar_m
from pipeline.products.report import write_report
from pipeline.products.results import Results
from pipeline.products.scene_listings import scenes_listings
from pipeline.products.view import build_view
from pipeline.records import LAYERS, ChangeRow, SceneRow

VOID = {"meta", "img", "br", "hr", "link", "input", "wbr"}
FLAT = re.compile(r"\s+")


class Page(HTMLParser):
    """Elements, visible text and verdicts of a page; fails on a tag that is closed out of order."""

    def __init__(self, text) -> None:
        super().__init__()
        self.elements, self.texts, self.open, self.verdicts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if "verdict" in (dict(attrs).get("class") or "").split():
            self.verdicts.append(dict(attrs)["class"].split()[1])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return FLAT.sub(" ", "".join(self.texts))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    view = build_view(make_tables(), make_pictures(), make_facts())
    return write_report(tmp_path_factory.mktemp("report"), view, make_map(make_tables(), view))


@pytest.fixture(scope="module")
def page(written):
    return Page(written[0].read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pdf(written):
    return PdfReader(written[1])


def map_data(html):
    """Data of the map as its script reads them."""
    body = html.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="map-data">(.*?)</script>', body, re.DOTALL)[1])


def squeezed(text):
    """Text without any white space: a PDF breaks lines where it likes."""
    return FLAT.sub("", text)


def test_page_loads_nothing_and_runs_its_own_scripts_only(page, written):
    assert not [tag for tag, _ in page.elements if tag in ("link", "iframe", "object", "embed")]
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "srcset", "action", "background"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), (tag, name)
    body = written[0].read_text(encoding="utf-8")
    styles = re.findall(r"<style>(.*?)</style>", body, re.DOTALL)
    css = "".join(styles)
    assert "@import" not in css
    assert all(target.startswith('"data:') for target in re.findall(r"url\(([^)]*)\)", css))
    policy = next(
        a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", body, re.DOTALL)
    assert len(scripts) == 3
    assert sum(tag == "script" for tag, _ in page.elements) == 4  # and the data of the map
    for part, texts in (("script-src", scripts), ("style-src", styles)):
        allowed = re.search(rf"{part} ([^;]*);", policy)[1].split()
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert allowed == [f"'sha256-{digest}'" for digest in digests]


def test_drawings_refer_to_nothing_outside(page):
    for _, attributes in page.elements:
        uri = attributes.get("src") or ""
        if uri.startswith("data:image/svg+xml"):
            svg = base64.b64decode(uri.split(",", 1)[1]).decode("utf-8")
            assert all(target.startswith("#") for target in re.findall(r'xlink:href="([^"]*)"', svg))
            assert "<script" not in svg


def test_page_is_accessible(page):
    assert ("html", {"lang": "en"}) in page.elements
    assert all(len(a.get("alt") or "") > 20 for t, a in page.elements if t == "img")
    assert all(a.get("scope") in ("col", "row") for t, a in page.elements if t == "th")
    assert sum(t == "h1" for t, _ in page.elements) == 1
    names = {a.get("name") for t, a in page.elements if t == "meta"}
    assert "viewport" in names


def test_text_of_users_is_shown_as_it_was_written(page, pdf):
    wanted = FLAT.sub(" ", NASTY)
    # Source of the outline, note, reason in the summary and in the table, quote of a claim.
    assert page.text.count(wanted) == 5
    said = squeezed("".join(p.extract_text() for p in pdf.pages))
    assert said.count(squeezed(NASTY)) >= 4


def test_summary_gives_each_headline_verdict_once(page, written):
    body = written[0].read_text(encoding="utf-8")
    summary = Page(re.search(r'<section id="summary">.*?</section>', body, re.DOTALL)[0])
    assert summary.verdicts == [
        *("increase", "no_detectable_change", "no_detectable_change", "no_detectable_change"),
        *("insufficient_data", "insufficient_data", "decrease", "insufficient_data"),
    ]
    assert "Stockpile area in 2021 is 1.30 ha larger than in 2016." in summary.text
    assert "2.31 ha (2.14 to 2.48), 10 dates" in summary.text
    assert "+1.30 ha (+1.12 to +1.49)" in summary.text
    assert "Called from (MDC)0.177 ha" in summary.text.replace(") ", ")")
    assert f"Years that could not be judged: {MISSING} (stockpile area" in page.text


def test_every_link_of_the_page_leads_somewhere(page, written):
    ids = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(ids) == len(set(ids))
    data = map_data(written[0])
    links = [unquote(a["href"][1:]) for _, a in page.elements if (a.get("href") or "").startswith("#")]
    links += [link[1] for what in (*data["targets"].values(), *data["features"]) for link in what["links"]]
    assert len(links) > 60
    assert set(links) - set(ids) == set()
    keys = set(data["targets"]) | {feature["key"] for feature in data["features"]}
    shown = [a["data-at"] for _, a in page.elements if a.get("data-at")]
    assert len(shown) > 8
    assert set(shown) <= keys


def test_a_finding_leads_to_the_scenes_of_its_years_and_to_its_row_at_once(page, written):
    body = written[0].read_text(encoding="utf-8")
    card = re.search(r'<li id="site/stockpile_area_m2/2016-2021".*?</li>', body, re.DOTALL)[0]
    links = [unquote(link) for link in re.findall(r'href="#([^"]*)"', card)]
    assert links == ["map", "scenes/2016", "scenes/2021", "changes/site/stockpile_area_m2/2016-2021"]
    listed = re.search(r'id="scenes/2021">.*?</section>', body, re.DOTALL)[0]
    of_2021 = [s.scene_id for s in make_tables()["scenes"] if s.used and s.datetime.year == 2021]
    assert re.findall(r'<tr id="scene/([^"]*)"', listed) == of_2021
    assert f"Scenes of 2021 ({len(of_2021)})" in card


def test_text_of_users_cannot_leave_the_data_of_the_map(written):
    body = written[0].read_text(encoding="utf-8")
    raw = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', body, re.DOTALL)[1]
    assert NASTY in json.loads(raw)["features"][0]["rows"][1][1]
    assert not set("<>&'\u2028\u2029") & set(raw)
    told = json_element({"name": "</script><script>1</script>\u2028 북창 <!--"})
    assert json.loads(told) == {"name": "</script><script>1</script>\u2028 북창 <!--"}
    assert told.isascii()
    assert not set("<>&'") & set(told)


def test_korean_words_are_marked_as_korean(page):
    assert [a["lang"] for tag, a in page.elements if tag == "span" and a.get("lang")][:1] == ["ko"]
    assert str(korean("북창 Pukchang <b>덕장 동</b>")) == (
        '<span lang="ko">북창</span> Pukchang &lt;b&gt;<span lang="ko">덕장 동</span>&lt;/b&gt;'
    )


def test_claims_stand_with_verdict_and_what_is_not_observable(page, written):
    body = written[0].read_text(encoding="utf-8")
    claims = Page("<div>" + "".join(re.findall(r"<article.*?</article>", body, re.DOTALL)) + "</div>")
    assert claims.verdicts == ["supported", "not_detectable", "not_observable"]
    for text in (
        "a stock is not a flow",
        "Counter-evidence: national output",
        "Who lives there.",
        "Measured not assessed",
    ):
        assert text in claims.text.replace("Measurednot", "Measured not")


def test_tables_say_not_assessed_and_refused_with_reason(page):
    for text in (
        "not assessed",
        "offset quarantined: pixels and metadata disagree",
        "Scenes considered: 24. Used: 20. Refused: 4.",
    ):
        assert text in page.text
    assert "None" not in page.text
    assert "nan" not in re.findall(r"[a-z]+", page.text)


def test_limits_reference_and_traces_are_told(page):
    for text in (
        "A fence, a wall or a guard line is not visible",
        "A stock is not a flow",
        "Piles below 0.2 ha",
        "No radar",
    ):
        assert text in page.text
    for text in ("draws no security perimeter", "stockline verify", "manifest.json", "0123456789ab", "pukchang.gpkg"):
        assert text in page.text


def test_html_and_pdf_say_the_same_verdicts_and_numbers(page, pdf):
    said = squeezed("".join(p.extract_text() for p in pdf.pages))
    for number in re.findall(r"[+−]\d[\d.]* (?:ha|m²)", page.text):
        assert squeezed(number) in said, number


def test_pdf_embeds_its_fonts_and_holds_the_korean_name(pdf):
    assert all(NAME.split()[0] in p.extract_text() for p in pdf.pages)
    fonts = [font.get_object() for p in pdf.pages for font in p["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor)
    assert pdf.metadata.creation_date is None


def test_pdf_counts_its_pages(pdf):
    n = len(pdf.pages)
    assert n > 3
    for i, p in enumerate(pdf.pages, start=1):
        assert f"page {i} of {n}" in p.extract_text()


def test_simulated_is_said_on_every_page_and_in_every_image(page, pdf):
    assert all("SIMULATED" in p.extract_text() for p in pdf.pages)
    title = "".join(page.texts[: page.texts.index("Change report")])
    assert "SIMULATED. Change report" in FLAT.sub(" ", title)


def test_real_data_carry_the_copernicus_notice_and_no_simulated(tmp_path):
    html, pdf = write_report(tmp_path, build_view(make_tables(), make_pictures(), make_facts(simulated=False)))
    text = Page(html.read_text(encoding="utf-8")).text
    pages = [p.extract_text() for p in PdfReader(pdf).pages]
    assert "SIMULATED" not in text
    assert "Contains modified Copernicus Sentinel data 2016–2021." in text
    assert all("modified Copernicus Sentinel data 2016" in p and "SIMULATED" not in p for p in pages)


def points_of(values):
    marked = [(y, v, "ok" if v else "insufficient_data") for y, v in values]
    return tuple(Point(y, v, v and v * 0.9, v and v * 1.1, 9, status, "") for y, v, status in marked)


def bars(values):
    """Count the interval bars and the hatched columns in a chart."""
    svg = chart_svgs([Chart(points_of(values), "m2")], simulated=False)[0]
    names = [e.get("id", "") for e in ET.fromstring(svg).iter()]  # noqa: S314 - drawn by this project
    return sum(n.startswith("interval-") for n in names), sum(n.startswith("missing-") for n in names)


def test_missing_year_is_a_hatched_column_and_never_a_zero():
    values = [(2016, 10_000.0), (2017, 12_000.0), (2018, None), (2019, 13_000.0)]
    assert bars(values) == (3, 1)
    assert bars([v for v in values if v[1]]) == (3, 0)


def test_chart_of_missing_years_only_is_drawn():
    assert bars([(2016, None), (2017, None)]) == (0, 2)


def test_chart_text_says_missing_not_zero():
    view = build_view(make_tables(), make_pictures(), make_facts())
    area = view.charts[0]
    assert area.title == "Stockpile area, whole site"
    assert f"{MISSING}: not observable" in area.alt
    assert re.search(r"\d{4}: 0 ", area.alt) is None


def test_years_without_a_row_are_not_assessed():
    tables = make_tables()
    tables["measurements"] = [r for r in tables["measurements"] if r.year != 2018]
    point = next(p for p in Results(tables, BASELINE).points("site", "stockpile_area_m2") if p.year == 2018)
    assert (point.value, point.status) == (None, "not_assessed")
    assert Results(tables, BASELINE).years == YEARS


def test_before_and_after_show_the_baseline_and_the_newest_year_alike():
    view = build_view(make_tables(), make_pictures(), make_facts(simulated=False))
    assert [p.title for p in view.pictures] == [
        *("Whole site, 2016", "Whole site, 2021", "Pile P001, close view, 2016", "Pile P001, close view, 2021"),
    ]
    before, after = (
        np.asarray(Image.open(io.BytesIO(p.content)).convert("RGB")).astype(int) for p in view.pictures[:2]
    )
    assert before.shape == after.shape
    # Yellow of the pile outline: more of it round the larger pile (radius 57 m and 86 m), none without a pile.
    yellow = [((i[..., 0] > 200) & (i[..., 1] > 190) & (i[..., 2] < 120)).sum() for i in (before, after)]
    assert 0 < yellow[0] < yellow[1]


def test_year_without_an_image_is_named():
    view = build_view(make_tables(), make_pictures()[:1], make_facts())
    assert "No image is at hand for 2021." in view.picture_note
    assert [p.title for p in view.pictures][:1] == ["Whole site, 2016"]


def test_empty_results_are_a_report_that_says_so(tmp_path):
    facts = replace(make_facts(), baseline_year=None, notes=())
    html, pdf = write_report(tmp_path, build_view({layer: [] for layer in LAYERS}, [], facts))
    text = Page(html.read_text(encoding="utf-8")).text
    for said in (
        "Nothing could be judged: insufficient data",
        "No claim was tested",
        "No scene was refused.",
        "No two years were compared.",
    ):
        assert said in text
    assert len(PdfReader(pdf).pages) >= 1


def test_scale_bar_and_window():
    assert [scale_bar_m(w) for w in (800, 3_000, 40_000)] == [100, 500, 2_000]
    whole = (0.0, 0.0, 5_000.0, 4_000.0)
    assert window_around((2_000, 2_000, 2_100, 2_050), whole, 1_000) == (1_550, 1_525, 2_550, 2_525)
    assert window_around((0, 0, 100, 50), whole, 1_000) == (0, 0, 1_000, 1_000)
    assert window_around((0, 0, 5_000, 4_000), whole, 1_000) == (500, 0, 4_500, 4_000)


def test_same_results_give_the_same_bytes_in_another_process_and_time_zone(written, tmp_path):
    code = (
        "import sys, pathlib; from report_fixture import *; from pipeline.products.report import write_report;"
        "from pipeline.products.view import build_view;"
        "view = build_view(make_tables(), make_pictures(), make_facts());"
        "write_report(pathlib.Path(sys.argv[1]), view, make_map(make_tables(), view))"
    )
    root = Path(__file__).parents[1]
    environment = os.environ | {
        "TZ": "Asia/Pyongyang",
        "LC_ALL": "C",
        "PYTHONHASHSEED": "7",
        "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")]),
    }
    (tmp_path / "matplotlibrc").write_text("axes.labelpad: 31\nxtick.major.size: 12\n", encoding="utf-8")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment, cwd=tmp_path)
    for path in written:
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_order_of_rows_does_not_matter():
    shuffled = {layer: list(reversed(rows)) for layer, rows in make_tables().items()}
    shuffled["claims"].reverse()
    shuffled["run"].reverse()
    one, other = (build_view(t, make_pictures(), make_facts()) for t in (make_tables(), shuffled))
    assert one == other


def test_folder_that_refuses_is_a_product_error(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ProductError, match="cannot be written"):
        write_report(tmp_path / "file", build_view({layer: [] for layer in LAYERS}, [], make_facts()))


def test_comparisons_without_data_share_a_line_with_every_year_and_reason():
    def row(year_to, verdict, reason=None):
        return ChangeRow(
            "s", "site", "stockpile_area_m2", 2016, year_to, *[None] * 4, "m2", None, None, verdict, reason
        )

    rows = [
        row(2017, "insufficient_data", "2016: 2 dates; 2017: 3 dates"),
        row(2018, "increase"),
        row(2019, "insufficient_data", "2016: 2 dates; 2019: 1 date"),
    ]
    assert gathered(rows, lambda r: r.metric) == [[rows[0], rows[2]], [rows[1]]]
    tables = make_tables() | {"changes": rows, "measurements": []}
    listing = changes_listing(Results(tables, 2016), 0.1, since_baseline=True)
    assert [cells[2].text for cells in listing.rows] == ["2016 to 2017, 2019", "2016 to 2018"]
    assert listing.rows[0][-1].text == "2016: 2 dates; 2017: 3 dates; 2019: 1 date"


def test_scenes_of_which_a_later_version_of_the_pixels_is_used_are_named():
    when = dt.datetime(2020, 5, 1, tzinfo=dt.UTC)
    row = SceneRow(None, "S2A_x", when, None, None, None, True, None, 1.0, None, 0, 0, "ab")
    plain, later, refused = (
        replace(row, scene_id=name, evidence_version=version, used=used)
        for name, version, used in (("one", 1, True), ("two", 2, True), ("three", 3, False))
    )
    used, _ = scenes_listings(Results({"scenes": [plain, later, refused]}, None))
    assert used.note.endswith(
        "Of 1 of these scenes the pixels used are not the first that were fetched, since the provider has changed them "
        "or an earlier copy is broken; every version is kept, and this one is used: two (version 2)."
    )
    assert "changed" not in scenes_listings(Results({"scenes": [plain]}, None))[0].note
