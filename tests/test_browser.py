"""The pages in a real browser, opened from disk with no network: what a reader sees, clicks, types and prints."""

import re
import shutil
from dataclasses import replace

import pytest
from chromium import DESK, PHONE, missing, opened, running, violations
from report_fixture import NASTY, make_facts, make_map, make_pictures, make_tables

from pipeline.products.index_page import write_index
from pipeline.products.report import html_of
from pipeline.products.view import build_view

pytestmark = [pytest.mark.desktop, pytest.mark.slow]

STOCK = "site/stockpile_area_m2/2018-2023"
CUT = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel)"
IMAGES = "[...document.querySelectorAll('.leaflet-{}-pane img')].map(e => e.src)"


@pytest.fixture(scope="module")
def browser():
    why = missing()
    if why is not None:
        pytest.skip(why)
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def camp(demo_results):
    return demo_results / "sim-camp" / "report.html"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """Report of the made-up site: texts that would like to be scripts, a year without an image."""
    path = tmp_path_factory.mktemp("made-up") / "report.html"
    view = build_view(make_tables(), make_pictures(), make_facts())
    path.write_text(html_of(view, make_map(make_tables(), view)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def forty(demo_results, tmp_path_factory):
    """Index of forty sites, one of which failed."""
    out = tmp_path_factory.mktemp("forty")
    for number in range(40):
        folder = out / f"site-{number:02d}"
        folder.mkdir()
        package = sorted(demo_results.glob("sim-*/sim-*.gpkg"))[number % 3]
        shutil.copy(package, folder / f"{folder.name}.gpkg")
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
    return write_index(out, {"site-03": {"ok": False, "error": "site-03: the catalogue does not answer"}})


def test_it_is_ready_soon_asks_for_nothing_and_complains_of_nothing(browser, demo_results):
    for path in sorted(demo_results.glob("*/report.html")):
        with opened(browser, path) as one:
            ready_ms = one.page.evaluate("performance.getEntriesByName('map-ready')[0].startTime")
            assert one.complaints == []
            assert one.asked_outside == []
            assert ready_ms < 1_500
            assert path.stat().st_size < 8e6


def test_the_slider_steps_through_the_years_by_keyboard_and_says_which_have_no_image(browser, made_up):
    with opened(browser, made_up) as one:
        page = one.page
        page.focus("#map-year")
        assert page.text_content("#map-right-said") == "2021"
        first = page.evaluate(IMAGES.format("right"))
        page.keyboard.press("Home")
        assert page.text_content("#map-right-said") == "2016"
        assert page.evaluate(IMAGES.format("right")) != first
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        assert page.text_content("#map-right-said") == "2019: no image"
        assert page.evaluate(IMAGES.format("right")) == []
        assert page.get_attribute("#map-year", "aria-valuetext") == "2019, no image"
        said = page.text_content("#map-said")
        assert "stockpile area: not observable" in said
        assert "There is no image of this year." in said


def test_the_swipe_shows_two_years_side_by_side_and_moves_by_keyboard_and_pointer(browser, camp):
    with opened(browser, camp) as one:
        page = one.page
        page.check("#map-swipe")
        left, right = (page.evaluate(IMAGES.format(side)) for side in ("left", "right"))
        assert len(left) == len(right) == 1
        assert left != right
        assert [page.text_content(f"#map-{side}-said") for side in ("left", "right")] == ["2018", "2023"]
        width = page.evaluate("document.getElementById('map-view').clientWidth")
        edges = "s => { const b = document.querySelector(`.leaflet-${s}-pane`).style.clipPath.match(/-?[0-9.]+px/g); "
        edges += "return [parseFloat(b[0]), parseFloat(b[2])] }"
        assert page.evaluate(edges, "left")[1] == page.evaluate(edges, "right")[0] == pytest.approx(width / 2, abs=1)
        page.focus("#map-split")
        for _ in range(10):
            page.keyboard.press("ArrowLeft")
        assert page.evaluate(edges, "left")[1] == page.evaluate(edges, "right")[0] == pytest.approx(0.4 * width, abs=1)
        assert page.evaluate(edges, "right")[1] == pytest.approx(width, abs=1)
        box = page.locator("#map-split").bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 0.405 * box["width"], middle)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], middle, steps=5)
        page.mouse.up()
        assert page.evaluate(edges, "left")[1] > 0.7 * width
        page.select_option("#map-other", "2020")
        assert page.evaluate(IMAGES.format("left")) != left
        page.uncheck("#map-swipe")
        assert page.evaluate(IMAGES.format("left")) == []
        assert one.complaints == []


def test_the_look_switches_both_sides_to_the_short_waves(browser, camp):
    with opened(browser, camp) as one:
        page = one.page
        page.check("#map-swipe")
        seen = [page.evaluate(IMAGES.format(side)) for side in ("left", "right")]
        page.check("input[name=look][value=swir]")
        switched = [page.evaluate(IMAGES.format(side)) for side in ("left", "right")]
        assert all(len(images) == 1 for images in switched)
        assert seen[0] != switched[0]
        assert seen[1] != switched[1]


def test_outlines_are_switched_off_and_on(browser, camp):
    with opened(browser, camp) as one:
        page = one.page
        for layer in ("pile", "change", "ground", "zone"):
            assert page.locator(f"path.m-{layer}").count() > 0
            page.uncheck(f"#map-legend input[value={layer}]")
            assert page.locator(f"path.m-{layer}").count() == 0
            page.check(f"#map-legend input[value={layer}]")
            assert page.locator(f"path.m-{layer}").count() > 0


def test_from_a_finding_to_its_outline_and_to_its_scenes(browser, camp):
    with opened(browser, camp) as one:
        page = one.page
        number = page.locator(f"[id='{STOCK}'] dd").nth(2).inner_text().replace("\xa0", " ")
        page.click(f"a[data-at='{STOCK}']")
        told = page.locator(".leaflet-popup-content")
        assert number in told.inner_text()
        assert "increase" in told.inner_text()
        assert page.evaluate("document.activeElement.className") == "told"
        assert page.evaluate("document.getElementById('map').getBoundingClientRect().top") < DESK["height"] / 2
        told.get_by_text("Scenes of 2023").click()
        assert page.evaluate("decodeURIComponent(location.hash)") == "#scenes/2023"
        top = page.evaluate("document.getElementById('scenes/2023').getBoundingClientRect().top")
        assert 0 <= top < DESK["height"]
        # One click less without the map.
        page.click(f"[id='{STOCK}'] .ways a:has-text('Scenes of 2018')")
        top = page.evaluate("document.getElementById('scenes/2018').getBoundingClientRect().top")
        assert 0 <= top < DESK["height"]


def test_the_keyboard_alone_goes_from_a_finding_to_the_map_and_back(browser, camp):
    with opened(browser, camp) as one:
        page = one.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#summary"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.at") == STOCK
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.className") == "told"
        page.keyboard.press("Escape")
        assert page.locator(".leaflet-popup").count() == 0
        assert page.evaluate("document.activeElement.dataset.at") == STOCK


def test_a_click_on_a_pile_tells_its_numbers_and_leads_to_its_row(browser, camp):
    with opened(browser, camp) as one:
        page = one.page
        page.locator("#map-view").scroll_into_view_if_needed()
        at = page.evaluate(
            "(() => { const b = [...document.querySelectorAll('path.m-pile')].pop().getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )
        page.mouse.click(*at)
        told = page.locator(".leaflet-popup-content")
        name, year = re.match(r"Pile (\S+), (\d+)", told.locator("h3").inner_text()).groups()
        row = page.locator(f"[id='stockpiles/{name}']")
        area = re.search(r"Area\s+(\S+\s\S+)", told.inner_text())[1]
        head = [text.strip(" ↕") for text in page.locator("[id=stockpiles] thead th").all_inner_texts()]
        assert area.replace("\xa0", " ") in row.locator("> *").nth(head.index(year)).inner_text().replace("\xa0", " ")
        told.get_by_text("Numbers of all years").click()
        assert 0 <= row.bounding_box()["y"] < DESK["height"]


def test_tables_sort_by_number_and_come_back(browser, camp):
    with opened(browser, camp) as one:
        page = one.page
        table = page.locator("[id=changes-since-baseline] table")
        column, head = "td:nth-child(5)", table.locator("thead th").nth(4)
        given = table.locator(f"tbody {column}").all_inner_texts()
        keys = f"[...document.querySelectorAll('[id=changes-since-baseline] tbody {column}')].map(e => e.dataset.key)"
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        numbers = [float(key) for key in page.evaluate(keys) if key is not None]
        assert numbers == sorted(numbers)
        assert len(numbers) > 90
        assert numbers[1] < 0 < numbers[-2]
        page.keyboard.press("Enter")
        numbers = [float(key) for key in page.evaluate(keys) if key is not None]
        assert numbers == sorted(numbers, reverse=True)
        page.keyboard.press("Enter")
        assert table.locator(f"tbody {column}").all_inner_texts() == given
        assert head.get_attribute("aria-sort") == "none"


def test_on_paper_no_table_is_cut_and_the_map_gives_way_to_pictures(browser, camp, forty):
    for path in (camp, forty):
        # 182 mm of an A4 sheet between the margins.
        with opened(browser, path, {"width": 688, "height": 1000}) as one:
            one.page.emulate_media(media="print")
            assert one.page.evaluate(CUT) == []
            assert one.page.evaluate("document.documentElement.scrollWidth") <= 688
            if path == camp:
                assert not one.page.locator("#map-view").is_visible()
                assert one.page.locator("#images img").first.is_visible()


def test_sheets_repeat_the_headings_of_tables(browser, camp, tmp_path):
    from pypdf import PdfReader  # noqa: PLC0415 - only here

    with opened(browser, camp) as one:
        one.page.pdf(path=tmp_path / "report.pdf", format="A4", prefer_css_page_size=True)
        assert one.page.locator("thead button").count() > 50
    texts = [page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages]
    first = next(i for i, text in enumerate(texts) if "Changes since the baseline year (" in text)
    assert all("Verdict" in text for text in texts[first : first + 3])
    assert all("SIMULATED data" in text for text in texts)


@pytest.mark.parametrize("which", ["camp", "made_up", "forty"])
def test_a_phone_needs_no_sideways_scrolling_of_the_page(browser, which, request):
    with opened(browser, request.getfixturevalue(which), PHONE) as one:
        page = one.page
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for region in page.locator(".scroll").all():
            assert region.get_attribute("tabindex") == "0"
        sides = "[...document.querySelectorAll('tbody th')].map(e => e.getBoundingClientRect().width)"
        assert max(page.evaluate(sides)) < 0.55 * PHONE["width"]


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("which", ["camp", "made_up", "forty"])
def test_axe_finds_nothing_serious(browser, which, viewport, request):
    with opened(browser, request.getfixturevalue(which), viewport) as one:
        if which != "forty":
            one.page.check("#map-swipe")
            one.page.locator("a[data-at]").first.click()
        assert violations(one.page) == []


def test_without_scripts_the_page_still_says_everything(browser, camp):
    with opened(browser, camp, java_script_enabled=False) as one:
        page = one.page
        assert page.locator("noscript p").is_visible()
        assert not page.locator("#map-tools").is_visible()
        assert page.locator("#images img").count() >= 2
        page.click(f"[id='{STOCK}'] .ways a:has-text('Scenes of 2018')")
        assert one.page.locator("[id='scenes/2018'] tbody tr").count() > 5


def test_texts_of_users_stay_texts(browser, made_up):
    with opened(browser, made_up) as one:
        page = one.page
        page.evaluate("document.querySelector('#map-view').scrollIntoView()")
        outline = page.evaluate(
            "(() => { const b = document.querySelector('path.k-aoi').getBoundingClientRect();"
            "return [b.x, b.y + b.height / 2] })()"
        )
        page.mouse.click(*outline)
        assert NASTY.replace("  ", " ") in page.locator(".leaflet-popup-content").inner_text()
        assert one.complaints == []
        assert one.asked_outside == []
        refused = page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
            "document.body.append(s); return window.ran === undefined }"
        )
        assert refused


def test_the_index_filters_sorts_and_leads_to_the_reports(browser, forty, demo_results):
    assert forty.stat().st_size < 2e6
    with opened(browser, forty) as one:
        page, rows = one.page, "#sites-table tbody tr:visible"
        assert one.complaints == []
        assert one.asked_outside == []
        assert page.locator(rows).count() == 40
        assert "The last run failed: site-03: the catalogue" in page.locator("[id='site/site-03']").inner_text()
        page.fill("#filter-words", "mine")
        assert page.locator(rows).count() == 13
        page.fill("#filter-words", "")
        page.select_option("#filter-verdict", "increase")
        assert 0 < page.locator(rows).count() < 40
        assert page.locator(f"{rows} .increase").count() >= page.locator(rows).count()
        page.select_option("#filter-verdict", "")
        page.click("#sites-table thead th:nth-child(3) button")
        keys = page.evaluate(
            "[...document.querySelectorAll('#sites-table tbody td:nth-child(3)')].map(e => Number(e.dataset.key))"
        )
        assert keys == sorted(keys)
    with opened(browser, demo_results / "index.html") as one:
        one.page.click("text=SIMULATED camp >> nth=0")
        assert one.page.url.endswith("/sim-camp/report.html")


def test_a_name_without_a_place_to_break_does_not_widen_the_page(browser, tmp_path):
    tables = make_tables()
    name = "조선민주주의인민공화국 " + "W" * 180
    tables["zones"] = [replace(zone, name=name) for zone in tables["zones"]]
    path = tmp_path / "report.html"
    view = build_view(tables, make_pictures(), make_facts())
    path.write_text(html_of(view, make_map(tables, view)), encoding="utf-8")
    with opened(browser, path, PHONE) as one:
        wide = (
            "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && "
            f"e.getBoundingClientRect().right > {PHONE['width']}).map(e => e.tagName + '.' + e.className)"
        )
        assert one.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], one.page.evaluate(wide)


def test_the_word_simulated_is_within_a_landmark(browser, tmp_path):
    path = tmp_path / "report.html"
    view = build_view(make_tables(), make_pictures(), replace(make_facts(), simulated=True))
    path.write_text(html_of(view, make_map(make_tables(), view)), encoding="utf-8")
    with opened(browser, path) as one:
        inside = "document.querySelector('.banner').closest('aside, header, main, nav, footer') !== null"
        assert one.page.evaluate(inside)
