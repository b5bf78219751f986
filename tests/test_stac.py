"""Search: a static catalogue by path and by URL and an API of another maker find the same; failures say what to do."""

import datetime as dt
import json
import time
from types import SimpleNamespace

import pytest
from servers import (
    COLLECTION,
    LEFT,
    TOKEN,
    FileServer,
    footprint,
    item_document,
    opened_line,
    published,
    searched,
    stac_api,
    write_archive,
)

from pipeline import remote
from pipeline.config import Config, SourceConfig, YearsConfig
from pipeline.errors import InputError, SourceError
from pipeline.sources import _files, stac

COUNT = 12
AOI = footprint()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Twelve items, 10 days apart, from 1 April 2020; do not write into it."""
    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder, COUNT, first=dt.date(2020, 4, 1), step_days=10)
    return folder


@pytest.fixture(scope="module")
def documents(archive):
    return [json.loads(path.read_text()) for path in sorted(archive.glob("S2A*/*.json"))]


@pytest.fixture(scope="module")
def files(archive):
    with FileServer(archive) as running:
        yield running


@pytest.fixture
def server(archive, monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.01)
    with FileServer(archive) as running:
        yield running


@pytest.fixture(scope="module")
def api(documents, files, tmp_path_factory):
    """Those twelve, one elsewhere, one cloudy and one of another year, behind an API."""
    hrefs = {"blue": "./B02.tif"}
    more = [
        item_document("elsewhere", "2020-05-02T02:00:00Z", hrefs, outline=footprint(left=LEFT + 20_000)),
        item_document("cloudy", "2020-05-03T02:00:00Z", hrefs, **{"eo:cloud_cover": 61.0}),
        item_document("older", "2019-05-03T02:00:00Z", hrefs),
    ]
    with stac_api(published([*documents, *more], files.url), tmp_path_factory.mktemp("api")) as url:
        yield url


def config_of(url, years=(2020, 2020), **source):
    values = {"sign_url": None, "timeout_s": 2.0, "retries": 1, "collection": COLLECTION, **source}
    return Config(source=SourceConfig(url=str(url), **values), years=YearsConfig(first=years[0], last=years[1]))


def told(items, base):
    """Tell what a search says of items, addresses relative to where the archive is served."""
    return [
        (i.id, i.collection, i.datetime, i.platform, i.processing_baseline, i.epsg, i.cloud_percent, i.coverage.wkt,
         {band: asset.href.removeprefix(str(base)) for band, asset in i.assets.items()})
        for i in items
    ]  # fmt: skip


# --- three ways to the same items --------------------------------------------------------------------------------


def test_api_and_static_catalogue_by_path_and_url_find_the_same(api, archive, files):
    by_path = told(searched(stac, AOI, config_of(archive / "catalog.json")), archive)
    by_url = told(searched(stac, AOI, config_of(f"{files.url}/catalog.json")), files.url)
    by_api = told(searched(stac, AOI, config_of(api)), files.url)
    assert len(by_path) == COUNT
    assert by_path == by_url == by_api
    assert by_path[0][-1]["blue"] == f"/{by_path[0][0]}/B02.tif"


@pytest.mark.parametrize("page", [1, 5, 12, 13])
def test_every_page_is_read(api, monkeypatch, page):
    monkeypatch.setattr(stac, "PAGE", page)
    asked = []
    real = stac.ask
    monkeypatch.setattr(stac, "ask", lambda *a: (asked.append(a), real(*a))[1])
    assert len(searched(stac, AOI, config_of(api))) == COUNT
    # The landing page, and the search: 12 wanted and one cloudy item over the AOI.
    assert len(asked) - 1 >= -(-13 // page)


def test_years_are_asked_one_by_one(api):
    assert [item.id for item in searched(stac, AOI, config_of(api, (2019, 2020)))][:2] == [
        "older",
        "S2A_MSIL2A_20200401T020000_R103_T52SBG",
    ]


def test_items_cloudier_than_wanted_are_left_out(api):
    assert "cloudy" not in [item.id for item in searched(stac, AOI, config_of(api, max_cloud_percent=60.9))]
    assert "cloudy" in [item.id for item in searched(stac, AOI, config_of(api, max_cloud_percent=61.0))]


def test_a_collection_the_api_does_not_have_is_told(api):
    with pytest.raises(
        SourceError, match=r"no scene over the AOI in 2020-2020 within the windows; check source\.url, "
    ):
        searched(stac, AOI, config_of(api, collection="sentinel-3"))


def test_other_products_beside_the_wanted_are_left_out(tmp_path):
    write_archive(tmp_path, 2)
    path = min(tmp_path.glob("S2A*/*.json"))
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "id": document["id"].replace("L2A", "L1C")}))
    assert len(searched(stac, AOI, config_of(tmp_path / "catalog.json"))) == 1


# --- answers that are none ---------------------------------------------------------------------------------------


def page(features, **more):
    return json.dumps({"type": "FeatureCollection", "features": features, "links": [], **more}).encode()


class ApiServer(FileServer):
    """An API whose search answers whatever a test says."""

    def answer(self, data):
        """Answer every search with some bytes."""
        landing = {
            "type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "api",
            "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
            "links": [{"rel": "search", "href": f"{self.url}/search", "method": "GET", "type": "application/geo+json"},
                      {"rel": "root", "href": f"{self.url}/landing"}, {"rel": "self", "href": f"{self.url}/landing"}],
        }  # fmt: skip
        (self.root / "landing").write_text(json.dumps(landing))
        (self.root / "search").write_bytes(data)
        return config_of(f"{self.url}/landing")


@pytest.fixture
def odd(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(stac.pystac_client.Client, "search", lambda *a, **k: real_search(*a, **k, method="GET"))
    with ApiServer(tmp_path) as running:
        yield running


real_search = stac.pystac_client.Client.search


def test_fewer_items_than_the_api_says_there_are_is_no_result(odd, documents):
    features = published(documents, odd.url)[:3]
    assert len(searched(stac, AOI, odd.answer(page(features, numberMatched=3)))) == 3
    for matched in ({"numberMatched": 4}, {"context": {"matched": 4}}):
        with pytest.raises(SourceError, match=r"answered 3 of 4 items; run again later"):
            searched(stac, AOI, odd.answer(page(features, **matched)))


def test_an_item_that_comes_twice_is_one(odd, documents):
    features = published(documents, odd.url)[:3]
    assert len(searched(stac, AOI, odd.answer(page([*features, *features])))) == 3


def test_relative_addresses_of_an_api_are_made_absolute(odd, documents):
    links = [{"rel": "self", "href": f"{odd.url}/items/a"}]
    found = searched(stac, AOI, odd.answer(page([{**documents[0], "links": links}])))
    assert found[0].assets["blue"].href == f"{odd.url}/items/B02.tif"


@pytest.mark.parametrize(
    "damage",
    [
        {"assets": None},
        {"geometry": {"type": "Polygon"}},
        {"properties": None},
    ],
)
def test_an_item_that_cannot_be_understood_is_named_not_dropped(odd, documents, damage):
    features = published(documents, odd.url)
    with pytest.raises((SourceError, InputError)) as caught:
        searched(stac, AOI, odd.answer(page([{**features[0], **damage}, features[1]])))
    assert features[0]["id"] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"<html>maintenance</html>", b"[]", b'{"code": 500}', page([])])
def test_an_api_that_answers_nothing_ends_with_one_line(odd, data):
    with pytest.raises((SourceError, InputError)) as caught:
        searched(stac, AOI, odd.answer(data))
    assert odd.url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_busy_api_is_asked_again_and_given_up_in_time(odd, documents):
    config = odd.answer(page(published(documents, odd.url)))
    odd.fail("/search", 503, times=1)
    assert len(searched(stac, AOI, config)) == COUNT
    odd.fail("/search", 503)
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"/search: cannot be read now \(503 .*\); run again later"):
        searched(stac, AOI, config)
    assert time.monotonic() - started < 3


def test_an_address_without_an_api_is_told_so(server):
    with pytest.raises(
        SourceError, match=r"/nothing/here: is not there \(404\); check source\.url and source\.collection"
    ):
        searched(stac, AOI, config_of(f"{server.url}/nothing/here"))


@pytest.mark.parametrize("path", ["/catalog.json", ""])
def test_a_server_that_is_not_there_fails_the_site(path):
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9.*; run again later"):
        searched(stac, AOI, config_of(f"http://127.0.0.1:9{path}", retries=0))


# --- static catalogues -------------------------------------------------------------------------------------------


def test_a_busy_static_catalogue_is_asked_again(server):
    server.fail("catalog.json", 503, times=1)
    server.fail("20200411", 503, times=1)
    assert len(searched(stac, AOI, config_of(f"{server.url}/catalog.json"))) == COUNT


@pytest.mark.parametrize(("part", "status", "remedy"), [
    ("catalog.json", 503, "run again later"), ("catalog.json", 404, "check source.url and source.collection"),
    ("20200411", 503, "run again later"), ("20200411", 404, "check source.url and source.collection"),
])  # fmt: skip
def test_a_static_catalogue_that_is_not_whole_fails_the_site(server, part, status, remedy):
    """One item that cannot be read must not be missing without a word."""
    server.fail(part, status)
    with pytest.raises(SourceError) as caught:
        searched(stac, AOI, config_of(f"{server.url}/catalog.json"))
    assert str(status) in str(caught.value)
    assert str(caught.value).endswith(remedy)


def test_an_item_missing_from_a_local_catalogue_fails_the_site(tmp_path):
    write_archive(tmp_path, 2)
    path = min(tmp_path.glob("S2A*/*.json"))
    path.unlink()
    with pytest.raises(SourceError, match=path.name):
        searched(stac, AOI, config_of(tmp_path / "catalog.json"))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "not json", '{"type": "Catalog"}', '{"type": "Feature", "stac_version": "1.0.0"}']
)
def test_a_file_that_is_no_catalogue_is_the_users_to_mend(tmp_path, text):
    (tmp_path / "catalog.json").write_text(text)
    with pytest.raises(InputError, match=r"source\.url = .*catalog\.json: ") as caught:
        searched(stac, AOI, config_of(tmp_path / "catalog.json"))
    assert "\n" not in str(caught.value)


def test_a_local_catalogue_may_name_files_elsewhere(tmp_path):
    write_archive(tmp_path / "pixels", 1)
    folder = next((tmp_path / "pixels").glob("S2A*"))
    (tmp_path / "catalogue").mkdir()
    hrefs = {"blue": str(folder / "B02.tif"), "red": f"file://{folder}/B04.tif"}
    (tmp_path / "catalogue" / "item.json").write_text(json.dumps(item_document("a", "2020-05-01T02:00:00Z", hrefs)))
    links = [{"rel": "item", "href": "./item.json"}]
    catalog = {"type": "Catalog", "id": "c", "stac_version": "1.0.0", "description": "c", "links": links}
    (tmp_path / "catalogue" / "catalog.json").write_text(json.dumps(catalog))
    (item,) = searched(stac, AOI, config_of(tmp_path / "catalogue" / "catalog.json"))
    assert {band: asset.href for band, asset in item.assets.items()} == {
        "blue": str(folder / "B02.tif"), "red": str(folder / "B04.tif"),
    }  # fmt: skip


# --- tokens ------------------------------------------------------------------------------------------------------


def signed(href, collection, config, folder):
    return _files._signed(href, collection, opened_line(config.source, folder))


def test_a_token_is_added_where_the_provider_issues_them(server, tmp_path):
    config = config_of("https://a.b/stac", sign_url=f"{server.url}/token")
    assert signed("https://a.b/x.tif", "coll", config, tmp_path) == f"https://a.b/x.tif?{TOKEN}"
    assert signed("https://a.b/x.tif?v=1", "coll", config, tmp_path) == f"https://a.b/x.tif?v=1&{TOKEN}"
    assert len(server.asked("/token/coll")) == 1
    assert signed("https://a.b/x.tif", "coll", config_of("https://a.b/stac"), tmp_path) == "https://a.b/x.tif"


def test_an_old_token_is_replaced(server, monkeypatch, tmp_path):
    config = config_of("https://a.b/stac", sign_url=f"{server.url}/token")
    clock = [1_000_000.0]
    monkeypatch.setattr(_files, "time", SimpleNamespace(time=lambda: clock[0]))
    signed("https://a.b/x.tif", "old", config, tmp_path)
    clock[0] += 1800
    signed("https://a.b/x.tif", "old", config, tmp_path)
    assert len(server.asked("/token/old")) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"token": ', '{"error": "quota"}'])
def test_an_answer_without_a_token_is_told(tmp_path, text):
    (tmp_path / "issue").mkdir()
    (tmp_path / "issue" / "coll").write_text(text)
    with FileServer(tmp_path) as server:
        config = config_of("https://a.b/stac", sign_url=f"{server.url}/issue")
        with pytest.raises(SourceError, match=r"/issue/coll: gives no read token \(.*\); run again later"):
            signed("https://a.b/x.tif", "coll", config, tmp_path)
