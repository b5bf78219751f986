"""The report on paper, read back by another library: bookmarks, links, fonts, tags, tables whole or said not to be."""

import io
import re

import pytest
from pypdf import PdfReader
from report_fixture import NAME, make_facts, make_pictures, make_tables

from pipeline.products import pdf as module
from pipeline.products.listings import Cell, Column, Listing, cells
from pipeline.products.paper import LONG, MOST, on_paper
from pipeline.products.pdf import pdf_of
from pipeline.products.view import build_view

FLAT = re.compile(r"\s+")
SPOKEN = ["changes/site/stockpile_area_m2/2016-2021"]


def squeezed(text):
    """Text without any white space: a PDF breaks lines where it likes."""
    return FLAT.sub("", text)


@pytest.fixture(scope="module")
def view():
    return build_view(make_tables(), make_pictures(), make_facts())


@pytest.fixture(scope="module")
def reader(view, tmp_path_factory):
    path = tmp_path_factory.mktemp("pdf") / "report.pdf"
    path.write_bytes(pdf_of(view))
    return PdfReader(path)


@pytest.fixture(scope="module")
def texts(reader):
    return [page.extract_text() for page in reader.pages]


def bookmarks(outline):
    for entry in outline:
        if isinstance(entry, list):
            yield from bookmarks(entry)
        else:
            yield entry


def test_bookmarks_lead_to_the_pages_of_their_headings(reader, texts):
    found = list(bookmarks(reader.outline))
    titles = [entry.title for entry in found]
    for wanted in ("Findings", "Claims", "Year by year", "Results", "Scenes", "Method", "How to cite", "Piles by year"):
        assert wanted in titles
    for entry in found:
        assert squeezed(entry.title) in squeezed(texts[reader.get_destination_page_number(entry)])


def test_pages_are_labelled_by_their_number(reader):
    assert "/PageLabels" in reader.trailer["/Root"]
    assert reader.page_labels == [str(n) for n in range(1, len(reader.pages) + 1)]


def test_the_document_says_what_it_is(reader):
    assert reader.metadata.title == f"SIMULATED. Change report: {NAME}"
    assert reader.metadata.author == "Stockline 0.1.0, source 0123456789ab"
    assert reader.metadata.creation_date is None
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert "<pdfuaid:part>1</pdfuaid:part>" in root["/Metadata"].get_data().decode("utf-8")


def elements(node, kind):
    """Elements of a kind below a node of the tag tree."""
    node = node.get_object()
    if isinstance(node, list):
        return [found for child in node for found in elements(child, kind)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("/S") == kind else []
    return own + (elements(node["/K"], kind) if "/K" in node else [])


def test_every_figure_has_its_words_and_every_table_its_headers(reader, view):
    tree = reader.trailer["/Root"]["/StructTreeRoot"]["/K"]
    alts = [figure["/Alt"] for figure in elements(tree, "/Figure")]
    assert sorted(alts) == sorted(drawing.alt for drawing in (*view.charts, *view.pictures))
    tables = elements(tree, "/Table")
    printed = [on_paper(t, []) for t in (*view.results, *view.scenes)]
    headed = [table for table in tables if elements(table, "/TH")]
    assert len(headed) == sum(bool(listing.rows) for listing in printed)


def test_sentences_lead_to_their_row_and_to_their_scenes(reader, texts, view):
    wanted = {address for s in view.summary for address in (s.row, *(link.anchor for link in s.scenes)) if address}
    # Where a link leads is a page and a place on it: they are followed, and what stands there is read.
    led = []
    for page in reader.pages[:3]:
        for annotation in page.get("/Annots", []):
            entry = annotation.get_object()
            target = entry.get("/Dest") or entry.get("/A", {}).get("/D")
            led.append(reader.get_page_number(reader.named_destinations[target].page.get_object()
                                              if isinstance(target, str) else target[0].get_object()))  # fmt: skip
    assert wanted
    assert led
    scenes = {n for n, text in enumerate(texts) if re.search(r"Scenes used in 20\d\d", text)}
    changes = {n for n, text in enumerate(texts) if "Changes since the baseline year" in text}
    assert scenes & set(led)
    assert changes & set(led)
    ways = [link for s in view.summary for link in (s.row, *(one.anchor for one in s.scenes))]
    printed = module._document(view)["targets"]
    assert set(printed) == {way for way in ways if way}, "every way leads somewhere"


def test_hangul_is_written_with_an_embedded_font(reader, texts):
    assert all(NAME.split()[0] in text for text in texts)
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor)


def test_tables_are_whole_or_say_that_they_are_not(texts, view):
    said = squeezed("".join(texts))
    for listing in (*view.results, *view.scenes):
        printed = on_paper(listing, [s.row for s in view.summary])
        assert len(printed.rows) == len(listing.rows) or "All rows: tables/" in printed.note + printed.empty
        for row in printed.rows:
            assert all(squeezed(cell.text) in said for cell in row), row
        if not printed.rows:
            assert squeezed(printed.empty) in said


def placed(page):
    """Every piece of text of a page with where it begins, in points from its lower left corner."""
    found = []

    def visit(text, cm, tm, _font, _size):
        x = tm[4] * cm[0] + tm[5] * cm[2] + cm[4]
        y = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
        found.append((text.strip(), x, y))

    page.extract_text(visitor_text=visit)
    return [piece for piece in found if piece[0]]


def test_nothing_is_set_beyond_the_margins(reader):
    pieces = [(page, piece) for page in reader.pages for piece in placed(page)]
    assert len(pieces) > 500
    for page, (text, x, y) in pieces:
        assert 40 < x < float(page.mediabox.width) - 40, text
        assert 20 < y < float(page.mediabox.height) - 20, text


def test_a_table_over_several_pages_repeats_its_header():
    rows = tuple(cells(f"row {n}", f"text {n}") for n in range(28))
    listing = Listing("Long", "", (Column("First column"), Column("Second column")), rows, "")
    view = build_view(make_tables(), make_pictures(), make_facts())
    # One table after the other, so that some are divided.
    longer = type(view)(**{**vars(view), "results": (listing,) * 4})
    with_rows = [t for t in read(pdf_of(longer)) if re.search(r"row \d+", t)]
    assert len(with_rows) > 2
    assert all("First column" in text for text in with_rows)


def read(data):
    return [page.extract_text() for page in PdfReader(io.BytesIO(data)).pages]


def listing_of(verdicts, *, layer="changes"):
    """One row a verdict, larger from row to row."""
    rows = tuple(
        (Cell(f"zone {n}"), Cell(verdict, verdict), Cell(f"{n} ha", key=float(n))) for n, verdict in enumerate(verdicts)
    )
    ids = tuple((f"{layer}/zone{n}/area/2016-2021",) for n in range(len(verdicts)))
    columns = (Column("Zone"), Column("Verdict"), Column("Difference", number=True))
    return Listing("Changes", "How to read it.", columns, rows, "None.", row_ids=ids)


def kept(listing):
    return [int(row[0].text.removeprefix("zone ")) for row in listing.rows]


def test_short_tables_are_printed_whole():
    listing = listing_of(["increase", "no_detectable_change"] * (LONG // 2))
    assert on_paper(listing, []) == listing


def test_of_a_long_table_what_changed_and_what_is_spoken_of_is_printed():
    listing = listing_of(["no_detectable_change"] * LONG + ["increase", "decrease"])
    printed = on_paper(listing, ["changes/zone7/area/2016-2021"])
    assert kept(printed) == [7, LONG, LONG + 1]
    assert printed.note == (
        f"How to read it. Shortened for paper: 3 of {LONG + 2} rows, those with a verdict of change and those the "
        "summary speaks of. All rows: tables/changes.csv, and layer changes of the GeoPackage."
    )
    assert printed.row_ids[0] == ("changes/zone7/area/2016-2021",)


def test_of_too_many_changes_the_largest_are_printed_and_never_without_the_summarys():
    printed = on_paper(listing_of(["increase"] * 200), ["changes/zone3/area/2016-2021"])
    assert kept(printed) == [3, *range(200 - MOST + 1, 200)]
    assert "of these the largest" in printed.note


def test_without_any_change_the_largest_rows_are_printed():
    printed = on_paper(listing_of(["no_detectable_change"] * 100), [])
    assert kept(printed) == list(range(100 - LONG, 100))
    assert f"{LONG} of 100 rows, the largest." in printed.note


def test_rows_without_data_are_counted_and_those_the_summary_speaks_of_stay():
    listing = listing_of(["insufficient_data"] * 6 + ["increase"])
    printed = on_paper(listing, ["changes/zone2/area/2016-2021"])
    assert kept(printed) == [2, 6]
    assert "Left out: 5 rows with insufficient data." in printed.note
    empty = on_paper(listing_of(["insufficient_data"] * 6), [])
    assert empty.rows == ()
    assert "Left out: 6 rows" in empty.empty
    few = listing_of(["insufficient_data"] * 2 + ["increase"])
    assert on_paper(few, []) == few


def test_a_reason_that_is_the_same_in_every_row_is_said_once():
    rows = tuple(cells(f"zone {n}", "2019: 2 usable dates") for n in range(5))
    listing = Listing("T", "Note.", (Column("Zone"), Column("Reason")), rows, "", row_ids=(("trends/x/y",),) * 5)
    printed = on_paper(listing, [])
    assert [column.title for column in printed.columns] == ["Zone"]
    assert all(len(row) == 1 for row in printed.rows)
    assert printed.note == "Note. Reason in every row: 2019: 2 usable dates."


def test_lists_of_scenes_are_printed_whole():
    rows = tuple(cells(f"S2A_{n}") for n in range(300))
    ids = tuple((f"scene/S2A_{n}",) for n in range(300))
    listing = Listing("Scenes used in 2020", "", (Column("Scene"),), rows, "", row_ids=ids)
    assert on_paper(listing, []) == listing
