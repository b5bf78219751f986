"""The index of all sites: counted against the rows it was made of, and what it says of sites that failed."""

import re
from html import unescape

import pytest
from report_fixture import BASELINE, NASTY, make_tables

from pipeline.printable import unplaced
from pipeline.products.geopackage import write_geopackage
from pipeline.products.index_page import Entry, index_of, write_index
from pipeline.products.results import Results
from pipeline.products.software import code_sha256
from pipeline.products.statements import statements
from pipeline.records import RunRow

SAID = {
    "baseline_year": "2016", "fdr_q": "0.1", "site_name": NASTY, "kind": "power_plant", "simulated": "yes",
    "epsg": "32652", "code_sha256": code_sha256(),
}  # fmt: skip


def finish(out, site_id, **said):
    """Put a finished site of the made-up tables into a folder."""
    tables = make_tables() | {"run": [RunRow(key, value) for key, value in (SAID | said).items()]}
    (out / site_id).mkdir()
    write_geopackage(out / site_id / f"{site_id}.gpkg", tables, 32652, site_id, simulated=True)
    (out / site_id / "manifest.json").write_text("{}", encoding="utf-8")


def row_of(page, site_id):
    return re.search(rf'<tr id="site/{site_id}">.*?</tr>', page, re.DOTALL)[0]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("index")
    finish(out, "alpha", simulated="no", site_name="Alpha")
    finish(out, "beta", code_sha256="0" * 64)
    states = {
        "alpha": {"ok": True, "error": None},
        "beta": {"ok": False, "error": f"site beta: {NASTY}"},
        "gamma": {"ok": False, "error": "site gamma: no scenes"},
    }
    (out / "delta").mkdir()
    (out / "delta" / "manifest.json").write_text("{}", encoding="utf-8")
    (out / "delta" / "delta.gpkg").write_bytes(b"no database")
    return write_index(out, states).read_text(encoding="utf-8")


def test_every_site_gives_its_verdict_difference_and_years(page):
    row = row_of(page, "alpha")
    assert re.findall(r'class="verdict (\w+)"', row) == [
        *("increase", "no_detectable_change", "no_detectable_change", "no_detectable_change"),
        *("not_observable", "not_detectable", "supported"),
    ]
    assert "+1.30\xa0ha (+1.12\xa0to\xa0+1.49)" in row
    assert 'data-key="13050.0"' in row
    assert row.count("2016 to 2021") == 5
    assert 'href="alpha/report.html"' in row
    of_site = [s for s in statements(Results(make_tables(), BASELINE), 0.1) if s.zone_id == "site"]
    assert [s.delta for s in of_site] == [13_050.0, 0.0, 2_500.0, 1_300.0]


def test_what_failed_what_is_old_and_what_cannot_be_read_is_said(page):
    assert "The last run failed" not in row_of(page, "alpha")
    assert "another version" not in row_of(page, "alpha")
    beta = row_of(page, "beta")
    assert "<script>" not in beta
    assert f"The last run failed: site beta: {NASTY}" in unescape(beta)
    assert "What stands here is of an earlier run." in beta
    assert "Made by another version of this program" in beta
    gamma = row_of(page, "gamma")
    assert "The last run failed: site gamma: no scenes" in gamma
    assert "href" not in gamma
    assert gamma.count("not assessed") == 4
    assert "Cannot be read" in row_of(page, "delta")


def test_no_folder_of_the_machine_is_on_the_page(tmp_path):
    out = tmp_path / "my results"
    (out / "broken").mkdir(parents=True)
    (out / "broken" / "manifest.json").write_text("{}", encoding="utf-8")
    states = {
        "alpha": {"ok": False, "error": f"{tmp_path}/the reviews/alpha.jsonl: line 2: is not JSON"},
        "beta": {"ok": False, "error": f"{out}/beta/review.gpkg: lacks the table review"},
        "gamma": {"ok": False, "error": f"site gamma: unexpected OSError: [Errno 28] No space: '{tmp_path}/a/b.tif'"},
    }
    page = write_index(out, states).read_text(encoding="utf-8")
    assert str(tmp_path) not in unescape(page)
    assert "The last run failed: alpha.jsonl: line 2: is not JSON" in row_of(page, "alpha")
    assert "The last run failed: beta/review.gpkg: lacks the table review" in row_of(page, "beta")
    assert "No space: 'b.tif'" in unescape(row_of(page, "gamma"))
    assert "Cannot be read: broken/broken.gpkg" in row_of(page, "broken")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b/c.json: is bad", "c.json: is bad"),
        ("/out/site/x.gpkg: is bad", "site/x.gpkg: is bad"),
        ("/a/out/site/x.gpkg: is bad", "x.gpkg: is bad"),
        ("read file:///a b/c d.tif (no)", "read c d.tif (no)"),
        ("https://host/a/b: 404; m2/year, and/or", "https://host/a/b: 404; m2/year, and/or"),
        ("cannot copy (/a/b) to (/c/d)", "cannot copy (b) to (d)"),
        ("root = /a/b, else 1 / 2", "root = b, else 1 / 2"),
        ("/out: busy", "out: busy"),
    ],
)
def test_absolute_paths_are_shown_below_the_results_or_by_name(text, expected):
    assert unplaced(text, "/out") == expected


def test_claims_are_counted_over_sites(page):
    row = re.search(r'<tr id="claim/production-2016">.*?</tr>', page, re.DOTALL)[0]
    assert re.findall(r"<strong>(\d+)</strong>", row) == ["2", "0", "0", "0"]
    assert 'href="alpha/report.html#claims/production-2016"' in row


def test_simulated_is_said_and_texts_of_users_stay_texts(page):
    assert "SIMULATED" in page
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert "SIMULATED" not in row_of(page, "alpha")
    assert "SIMULATED" in row_of(page, "beta")


def test_places_keep_east_and_north():
    at = {"west": (125.0, 39.0), "east": (129.0, 39.0), "north": (125.0, 42.0)}
    page = index_of([Entry(name, name, at=place) for name, place in at.items()])
    dots = {
        name: (float(x), float(y))
        for name, x, y in re.findall(r'href="#site/(\w+)" aria-label="\w+"><circle cx="([\d.]+)" cy="([\d.]+)"', page)
    }
    assert dots["west"][1] == dots["east"][1] > dots["north"][1]
    assert dots["west"][0] == dots["north"][0] < dots["east"][0]
    # A degree of longitude at 40.5 degrees north is 0.76 of one of latitude.
    one_east, one_north = (dots["east"][0] - dots["west"][0]) / 4, (dots["west"][1] - dots["north"][1]) / 3
    assert one_east / one_north == pytest.approx(0.760, abs=0.005)


def test_middle_of_a_site_is_where_it_lies(page):
    # Zone 52 has its middle meridian at 129 degrees; the made-up site lies 1.5 km east of it at 39.75 degrees north.
    assert "129° E" in page
    assert "40° N" in page


def test_an_empty_folder_has_an_index_that_says_so(tmp_path):
    page = write_index(tmp_path, {}).read_text(encoding="utf-8")
    assert "No site was run here yet." in page
    assert "SIMULATED" not in page


def test_the_same_results_give_the_same_bytes(tmp_path):
    finish(tmp_path, "alpha")
    first = write_index(tmp_path, {}).read_bytes()
    assert write_index(tmp_path, {"alpha": {"ok": True, "error": None}}).read_bytes() == first
