"""Which items become scenes: one acquisition once, one tile family, the newest processing."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagery_fixture import NOON, an_item
from shapely.geometry import box

from pipeline.imagery import Item
from pipeline.scenes import select_scenes

AOI = box(126.0, 39.5, 126.1, 39.6)
WHOLE = box(125.9, 39.4, 126.2, 39.7)
WEST, EAST = box(125.9, 39.4, 126.05, 39.7), box(126.03, 39.4, 126.2, 39.7)
SLIVER = box(126.0, 39.5, 126.00005, 39.6)
AWAY = box(130.0, 39.4, 130.2, 39.7)
OTHER_ZONE = "tile of another UTM zone (EPSG:32651); the site is measured in EPSG:32652"
OLDER = "older processing of an acquisition that is used"
SPARE = "overlapping tile of an acquisition that is used"


def item(item_id: str, tile: str | None = "52SBJ", coverage=WHOLE, seconds: float = 0.0, **changes) -> Item:
    return an_item(item_id, tile=tile, coverage=coverage, datetime=NOON + dt.timedelta(seconds=seconds), **changes)


def chosen(items: list[Item]) -> tuple[dict[str, list[str]], dict[str, str]]:
    scenes, refused = select_scenes(items, 32652, AOI)
    return {s.scene_id: [i.id for i in s.items] for s in scenes}, {r.scene_id: r.reason for r in refused}


def test_overlapping_tiles_of_one_acquisition_count_once():
    assert chosen([item("a", "52SBJ"), item("b", "52SCJ", seconds=3.0)]) == ({"a": ["a"]}, {"b": SPARE})


def test_a_tile_that_covers_more_is_taken_first():
    assert chosen([item("a", "52SBJ", WEST), item("b", "52SCJ")]) == ({"b": ["b"]}, {"a": SPARE})


def test_an_aoi_across_two_tiles_keeps_both_as_one_scene():
    used, refused = chosen([item("a", "52SBJ", WEST), item("b", "52SCJ", EAST, seconds=14.0)])
    assert used == {"b": ["b", "a"]}  # the larger share of the AOI names the scene
    assert refused == {}


def test_a_tile_that_adds_less_than_a_thousandth_is_spare():
    almost = box(126.00004, 39.4, 126.2, 39.7)
    assert chosen([item("a", "52SBJ", almost), item("b", "52SCJ", SLIVER)]) == ({"a": ["a"]}, {"b": SPARE})


def test_an_item_that_misses_the_aoi_is_kept_when_it_is_all_there_is():
    """The search asked for it; what it shows is settled by its pixels, not here."""
    assert chosen([item("a", coverage=AWAY)]) == ({"a": ["a"]}, {})


@pytest.mark.parametrize(
    ("baselines", "kept"),
    [(("02.12", "05.00"), "second"), (("05.09", "05.11"), "second"), (("05.11", "05.09"), "first"),
     ((None, "02.07"), "second"), (("04.00", None), "first"), (("05.00", "05.00"), "second")],
)  # fmt: skip
def test_the_newest_processing_of_a_tile_stays(baselines, kept):
    items = [item(name, processing_baseline=b) for name, b in zip(("first", "second"), baselines, strict=True)]
    other = "first" if kept == "second" else "second"
    assert chosen(items) == ({kept: [kept]}, {other: OLDER})


def test_older_processing_of_one_tile_does_not_cost_the_other_tile():
    items = [
        item("a", "52SBJ", WEST, processing_baseline="05.00"),
        item("a-old", "52SBJ", WEST, processing_baseline="02.12"),
        item("b", "52SCJ", EAST, processing_baseline="02.12"),
    ]
    used, refused = chosen(items)
    assert {frozenset(v) for v in used.values()} == {frozenset({"a", "b"})}
    assert refused == {"a-old": OLDER}


def test_another_utm_zone_is_refused_with_its_reason_and_another_crs_stays():
    items = [item("a"), item("b", "51SYD", epsg=32651), item("c", None, epsg=4326, seconds=90)]
    items.append(item("d", None, epsg=None, seconds=180))
    used, refused = chosen(items)
    assert sorted(used) == ["a", "c", "d"]
    assert refused == {"b": OTHER_ZONE}


def test_two_satellites_and_two_passes_are_different_scenes():
    items = [item("a"), item("b", platform="sentinel-2b", seconds=1), item("c", seconds=86400), item("d", seconds=61)]
    used, refused = chosen(items)
    assert sorted(used) == ["a", "b", "c", "d"]
    assert refused == {}


def test_without_tile_names_the_same_ground_is_the_same_tile():
    items = [
        item("a", None, WEST, processing_baseline="02.12"),
        item("b", None, WEST, processing_baseline="05.00"),
        item("c", None, EAST),
    ]
    used, refused = chosen(items)
    assert {frozenset(v) for v in used.values()} == {frozenset({"b", "c"})}
    assert refused == {"a": OLDER}


def test_a_scene_carries_what_its_first_item_says():
    [scene], _ = select_scenes([item("a", relative_orbit=46)], 32652, AOI)
    assert (scene.scene_id, scene.platform, scene.processing_baseline, scene.relative_orbit) == (
        "a", "sentinel-2a", "05.09", 46,
    )  # fmt: skip
    assert scene.date == dt.date(2022, 5, 1)
    assert not scene.simulated


def test_one_simulated_item_makes_a_simulated_scene():
    scenes, _ = select_scenes([item("a", "52SBJ", WEST), item("b", "52SCJ", EAST, simulated=True)], 32652, AOI)
    assert [s.simulated for s in scenes] == [True]


def test_no_item_is_no_scene():
    assert select_scenes([], 32652, AOI) == ([], [])


items_found = st.lists(
    st.builds(
        lambda tile, coverage, baseline, platform, seconds, epsg: (tile, coverage, baseline, platform, seconds, epsg),
        st.sampled_from(["52SBJ", "52SCJ", None]),
        st.sampled_from([WHOLE, WEST, EAST, AWAY]),
        st.sampled_from(["02.12", "05.00", None]),
        st.sampled_from(["sentinel-2a", "sentinel-2b", None]),
        st.sampled_from([0.0, 2.5, 20.0, 300.0, 86400.0]),
        st.sampled_from([32652, 32651, 4326]),
    ),
    max_size=9,
)


@settings(deadline=None)
@given(items_found, st.randoms(use_true_random=False))
def test_the_order_of_the_search_does_not_matter_and_no_item_is_lost(found, random):
    items = [
        item(f"i{n}", tile, coverage, seconds, processing_baseline=baseline, platform=platform, epsg=epsg)
        for n, (tile, coverage, baseline, platform, seconds, epsg) in enumerate(found)
    ]
    shuffled = list(items)
    random.shuffle(shuffled)
    scenes, refused = select_scenes(items, 32652, AOI)
    assert select_scenes(shuffled, 32652, AOI) == (scenes, refused)
    named = [i.id for s in scenes for i in s.items] + [r.scene_id for r in refused]
    assert sorted(named) == sorted(i.id for i in items)
    assert scenes == sorted(scenes, key=lambda s: (s.datetime, s.scene_id))
    for scene in scenes:
        # Never two versions of a named tile, and never two zones, in one scene.
        tiles = [i.tile for i in scene.items if i.tile]
        assert len(tiles) == len(set(tiles))
        assert all(i.epsg != 32651 for i in scene.items)
