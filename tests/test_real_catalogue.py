"""Search against a real STAC API with a database behind it: pages, places, times, clouds; scenes counted once."""

import datetime as dt
import json
import tempfile
from pathlib import Path

import pytest
import requests
from conftest import DATA
from servers import LEFT, SIZE_M, TOP, footprint, item_document, published, write_archive
from shapely import unary_union
from shapely.geometry import box, shape

from pipeline.config import Config, SourceConfig, WindowsConfig, YearsConfig
from pipeline.errors import SourceError
from pipeline.remote import line_to
from pipeline.scenes import select_scenes
from pipeline.sources import stac

AOI = footprint()
HREFS = {"blue": "https://pixels.example/B02.tif"}
ALL_YEAR = WindowsConfig(stockpile=(("01-01", "12-31"),), footprint=(("01-01", "12-31"),))


def config_of(url, collection, *, years=(2020, 2020), windows=None, **source):
    values = {"sign_url": None, "timeout_s": 10.0, "retries": 0, "max_cloud_percent": 100.0, **source}
    return Config(
        source=SourceConfig(url=str(url), collection=collection, **values),
        years=YearsConfig(first=years[0], last=years[1]),
        windows=windows or WindowsConfig(),
    )


def search(aoi, config):
    with tempfile.TemporaryDirectory() as folder:
        line = line_to(config.source, Path(folder) / "line")
        line.ledger.opened()
        return list(stac.search(aoi, config, line))


def ids(items):
    return [item.id for item in items]


# --- items of our own ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(pgstac):
    """Load a collection of items, each (id, time, more properties, outline)."""

    def load(collection, *rows):
        documents = [
            item_document(name, when, HREFS, outline=outline, **properties) for name, when, properties, outline in rows
        ]
        pgstac.load(collection, documents)
        return pgstac.url

    return load


def test_the_api_is_of_another_maker_and_does_not_say_how_many_there_are(pgstac):
    landing = requests.get(pgstac.url, timeout=10).json()
    assert "stac-fastapi" in landing["id"]
    assert any("item-search" in uri for uri in landing["conformsTo"])
    pgstac.load("matched", [item_document("a", "2020-05-01T02:00:00Z", HREFS)])
    answer = requests.post(f"{pgstac.url}/search", json={"collections": ["matched"], "limit": 10}, timeout=10).json()
    assert len(answer["features"]) == 1
    assert "numberMatched" not in answer
    assert "context" not in answer
    assert ids(search(AOI, config_of(pgstac.url, "matched"))) == ["a"]


def test_every_page_is_read_and_every_item_comes_once(loaded):
    noon = dt.datetime(2020, 4, 2, 12, tzinfo=dt.UTC)
    rows = [(f"item-{n:03}", (noon + dt.timedelta(hours=7 * n)).isoformat(), {}, None) for n in range(215)]
    url = loaded("many", *rows)
    first = requests.post(f"{url}/search", json={"collections": ["many"], "limit": stac.PAGE}, timeout=10).json()
    assert len(first["features"]) < 215
    found = search(AOI, config_of(url, "many", windows=ALL_YEAR))
    assert ids(found) == [row[0] for row in rows]
    assert [item.datetime.isoformat() for item in found] == [row[1] for row in rows]


def test_another_collection_of_the_same_ids_is_not_asked(loaded):
    loaded("one", ("shared", "2020-05-01T02:00:00Z", {"eo:cloud_cover": 1.0}, None))
    url = loaded("two", ("shared", "2020-05-01T02:00:00Z", {"eo:cloud_cover": 2.0}, None))
    for collection, cloud_percent in (("one", 1.0), ("two", 2.0)):
        assert [(i.collection, i.cloud_percent) for i in search(AOI, config_of(url, collection))] == [
            (collection, cloud_percent)
        ]


def test_what_meets_the_aoi_is_found_and_nothing_beside_it(loaded):
    url = loaded(
        "places",
        ("on it", "2020-05-01T02:00:00Z", {}, None),
        ("corner", "2020-05-02T02:00:00Z", {}, footprint(left=LEFT + SIZE_M - 20, top=TOP + SIZE_M - 20)),
        ("east of it", "2020-05-03T02:00:00Z", {}, footprint(left=LEFT + SIZE_M + 50)),
        ("far", "2020-05-04T02:00:00Z", {}, footprint(left=LEFT + 200_000)),
    )
    assert ids(search(AOI, config_of(url, "places"))) == ["on it", "corner"]
    assert ids(search(footprint(left=LEFT + 200_000), config_of(url, "places"))) == ["far"]
    # An AOI in two parts on either side of an item is not the box round both.
    parts = footprint(left=LEFT - 5_000).union(footprint(left=LEFT + 200_000))
    assert ids(search(parts, config_of(url, "places"))) == ["far"]
    with pytest.raises(SourceError, match=r"no scene over the AOI in 2020-2020"):
        search(footprint(left=LEFT - 100_000), config_of(url, "places"))


def test_first_and_last_moments_of_the_windows(loaded):
    moments = {
        "year before": "2019-05-01T02:00:00Z", "too early": "2020-03-31T23:59:59Z", "first": "2020-04-01T00:00:00Z",
        "summer": "2020-08-01T02:00:00Z", "last": "2020-10-20T23:59:59Z", "too late": "2020-10-21T00:00:00Z",
        "year after": "2021-05-01T02:00:00Z",
    }  # fmt: skip
    url = loaded("times", *((name, when, {}, None) for name, when in moments.items()))
    assert ids(search(AOI, config_of(url, "times"))) == ["first", "summer", "last"]
    stockpile_alone = WindowsConfig(footprint=(("04-01", "06-15"),))
    assert ids(search(AOI, config_of(url, "times", windows=stockpile_alone))) == ["first", "last"]
    assert ids(search(AOI, config_of(url, "times", years=(2019, 2021)))) == [
        "year before", "first", "summer", "last", "year after",
    ]  # fmt: skip


def test_items_cloudier_than_wanted_are_left_out_and_unknown_ones_stay(loaded):
    url = loaded(
        "clouds",
        ("clear", "2020-05-01T02:00:00Z", {"eo:cloud_cover": 0}, None),
        ("at the limit", "2020-05-02T02:00:00Z", {"eo:cloud_cover": 60.0}, None),
        ("beyond it", "2020-05-03T02:00:00Z", {"eo:cloud_cover": 60.01}, None),
        ("unknown", "2020-05-04T02:00:00Z", {"eo:cloud_cover": None}, None),
    )
    found = search(AOI, config_of(url, "clouds", max_cloud_percent=60.0))
    assert ids(found) == ["clear", "at the limit", "unknown"]


def test_a_collection_that_is_not_there_is_told(pgstac):
    with pytest.raises(SourceError, match=r"source\.collection"):
        search(AOI, config_of(pgstac.url, "no-such-collection"))


def test_the_beginning_of_a_time_span_stands_for_a_time_that_is_not_given(pgstac):
    document = item_document("timeless", None, HREFS)
    document["properties"] |= {"start_datetime": "2020-05-01T02:00:00Z", "end_datetime": "2020-05-01T02:00:10Z"}
    pgstac.load("spans", [document])
    (item,) = search(AOI, config_of(pgstac.url, "spans"))
    assert item.datetime == dt.datetime(2020, 5, 1, 2, tzinfo=dt.UTC)


def test_a_catalogue_in_files_and_the_api_tell_the_same(pgstac, tmp_path):
    write_archive(tmp_path, 5)
    written = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("S2A*/*.json"))]
    pgstac.load("archive", published(written, "https://pixels.example"))
    by_api = search(AOI, config_of(pgstac.url, "archive"))
    by_file = search(AOI, config_of(tmp_path / "catalog.json", "archive"))
    assert len(by_api) == 5
    for found, expected in zip(by_api, by_file, strict=True):
        for name in ("id", "collection", "datetime", "platform", "processing_baseline", "relative_orbit", "epsg",
                     "tile", "coverage", "offset_applied", "cloud_percent", "simulated"):  # fmt: skip
            assert getattr(found, name) == getattr(expected, name), name
        assert {b: a.href.rpartition("/")[2] for b, a in found.assets.items()} == {
            b: a.href.rpartition("/")[2] for b, a in expected.assets.items()
        }


def test_an_acquisition_in_several_tiles_zones_and_versions_is_one_scene(loaded):
    """Two tiles of one zone, a tile of the next, an older processing, and the next day."""
    half = footprint(left=LEFT + SIZE_M / 2)
    tile = {"s2:mgrs_tile": "52SBG", "proj:epsg": 32652}
    url = loaded(
        "tiles",
        ("a whole", "2020-05-01T02:00:00Z", tile, None),
        ("a half", "2020-05-01T02:00:14Z", tile | {"s2:mgrs_tile": "52SCG"}, half),
        ("a other zone", "2020-05-01T02:00:05Z", {"s2:mgrs_tile": "51SYB", "proj:epsg": 32651}, None),
        ("a older", "2020-05-01T02:00:00Z", tile | {"s2:processing_baseline": "02.14"}, None),
        ("b half", "2020-05-06T02:00:00Z", tile | {"s2:mgrs_tile": "52SCG"}, half),
    )
    items = search(AOI, config_of(url, "tiles"))
    assert len(items) == 5
    scenes, refused = select_scenes(items, 32652, AOI)
    assert [ids(scene.items) for scene in scenes] == [["a whole"], ["b half"]]
    assert {refusal.scene_id: refusal.reason.split(" (")[0] for refusal in refused} == {
        "a half": "overlapping tile of an acquisition that is used",
        "a older": "older processing of an acquisition that is used",
        "a other zone": "tile of another UTM zone",
    }
    scenes, _ = select_scenes(items, 32651, AOI)
    assert [ids(scene.items) for scene in scenes] == [["a other zone"]]


# --- items of real providers --------------------------------------------------------------------------------------

RECORDED = DATA / "stac-items" / "pystac-client_recorded_s2_items.json"


@pytest.fixture(scope="module")
def real(pgstac):
    """Real items in the collections they come from; those of Planetary Computer apart, they share a name."""
    if not RECORDED.is_file():
        pytest.skip(f"{RECORDED} is absent")
    documents = json.loads(RECORDED.read_text(encoding="utf-8"))["features"]
    planetary = [d for d in documents if "planetarycomputer" in json.dumps(d["links"])]
    earth = [d for d in documents if d not in planetary]
    pgstac.load("planetary-computer", planetary)
    for collection in ("sentinel-2-l2a", "sentinel-2-c1-l2a", "sentinel-2-l1c"):
        pgstac.load(f"earth-search-{collection}", [d for d in earth if d["collection"] == collection])
    pgstac.load("earth-search-mixed", earth)
    return pgstac.url


def real_search(url, collection, aoi):
    return search(aoi, config_of(url, collection, years=(2018, 2025), windows=ALL_YEAR))


EVERYWHERE = box(-179, -85, 179, 85)


@pytest.mark.parametrize(
    ("collection", "count"),
    [("planetary-computer", 6), ("earth-search-sentinel-2-l2a", 7), ("earth-search-sentinel-2-c1-l2a", 6)],
)
def test_real_items_come_back_from_the_database_as_they_went_in(real, collection, count):
    found = {item.id: item for item in real_search(real, collection, EVERYWHERE)}
    assert len(found) == count
    documents = {d["id"]: d for d in json.loads(RECORDED.read_text(encoding="utf-8"))["features"]}
    for name, item in found.items():
        assert item.datetime == dt.datetime.fromisoformat(documents[name]["properties"]["datetime"])
        assert item.coverage.equals_exact(shape(documents[name]["geometry"]), 1e-9)
        assert {a.href for a in item.assets.values()} <= {a["href"] for a in documents[name]["assets"].values()}
        assert set(item.assets) == {"blue", "green", "red", "nir", "nir08", "swir16", "swir22", "scl"}


def test_top_of_atmosphere_beside_surface_reflectance_is_left_out(real):
    assert {item.id.rpartition("_")[2] for item in real_search(real, "earth-search-mixed", EVERYWHERE)} == {"L2A"}
    with pytest.raises(SourceError, match="no scene over the AOI"):
        real_search(real, "earth-search-sentinel-2-l1c", EVERYWHERE)


MUV, MVV, MUA = (f"S2B_T24{tile}_20250731T130245_L2A" for tile in ("MUV", "MVV", "MUA"))
VUK = "S2A_MSIL2A_20190101T000001_R116_T60VUK_20201007T214652"
VPE = "S2A_MSIL2A_20190101T000001_R116_T59VPE_20201007T214658"
VPD = "S2A_MSIL2A_20190101T000001_R116_T59VPD_20201007T214657"


@pytest.mark.parametrize(
    ("collection", "aoi", "epsg", "found", "needed"),
    [
        # In all three tiles at once: one is enough.
        ("earth-search-sentinel-2-c1-l2a", box(-39.87, -4.57, -39.86, -4.56), 32724, {MUV, MVV, MUA}, 1),
        # Across the edge of two, of which one lies in the third too: two are one scene.
        ("earth-search-sentinel-2-c1-l2a", box(-39.92, -4.57, -39.79, -4.56), 32724, {MUV, MVV, MUA}, 2),
        # Where zones 59 and 60 overlap: whichever the site is measured in, the other is not counted again.
        ("planetary-computer", box(173.9, 58.0, 173.95, 58.05), 32659, {VPE, VUK}, 1),
        ("planetary-computer", box(173.9, 58.0, 173.95, 58.05), 32660, {VPE, VUK}, 1),
        ("planetary-computer", box(173.0, 57.66, 173.05, 57.7), 32659, {VPE, VPD}, 1),
    ],
)  # fmt: skip
def test_real_overlaps_of_tiles_and_zones_are_counted_once(real, collection, aoi, epsg, found, needed):
    items = real_search(real, collection, aoi)
    assert set(ids(items)) == found
    (scene,), refusals = select_scenes(items, epsg, aoi)
    assert len(scene.items) == needed
    assert {item.tile[:2] for item in scene.items} == {str(epsg)[-2:]}
    assert unary_union([item.coverage for item in scene.items]).covers(aoi)
    assert sorted([*ids(scene.items), *(refusal.scene_id for refusal in refusals)]) == sorted(found)


def test_one_acquisition_of_two_archives_is_counted_once(real):
    """The same tile and pass as Earth Search has it in its two collections, of one baseline."""
    aoi = box(-38.6, -4.8, -38.5, -4.7)
    items = real_search(real, "earth-search-mixed", aoi)
    assert ids(items) == ["S2B_24MWV_20250731_0_L2A", "S2B_T24MWV_20250731T130245_L2A"]
    scenes, refusals = select_scenes(items, 32724, aoi)
    assert len(scenes) == len(refusals) == 1
    assert len(scenes[0].items) == 1
