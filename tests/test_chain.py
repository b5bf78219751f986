"""Which rows a row rests on, on rows written by hand."""

import pytest
from shapely import box

from pipeline.products.tracing.chain import Rows

SITE, NORTH = box(0, 0, 2000, 2000), box(0, 1000, 2000, 2000)


def measured(zone, metric, year, value=1.0):
    return {f"measurements/{zone}/{metric}/{year}": {"zone_id": zone, "metric": metric, "year": year, "value": value}}


def pile(name, year, tier="probable"):
    return {f"stockpiles/{name}/{year}": {"pile_id": name, "year": year, "machine_tier": tier}}


def date(name, scene, year):
    return {f"stockpile_observations/{name}/{scene}": {"pile_id": name, "scene_id": scene, "year": year}}


def year_scene(metric, year, scene):
    return {f"year_scenes/{metric}/{year}/{scene}": {"metric": metric, "year": year, "scene_id": scene}}


STOCK, GROUND, GAIN = "stockpile_area_m2", "footprint_area_m2", "boundary_gain_m2"
IN_NORTH, IN_SOUTH = "p00050-000150", "p00050-000050"


def change(metric, years=(2018, 2019)):
    return {
        f"changes/site/{metric}/{years[0]}-{years[1]}": {
            "zone_id": "site", "metric": metric, "year_from": years[0], "year_to": years[1],
        }
    }  # fmt: skip


LAYERS = {
    "zones": {f"zones/{name}": {"zone_id": name, "role": name} for name in ("site", "control")},
    "scenes": {f"scene/{s}": {"scene_id": s} for s in ("A", "B", "C", "G")},
    "year_scenes": {**year_scene(STOCK, 2018, "A"), **year_scene(STOCK, 2019, "C"), **year_scene(GROUND, 2018, "G")},
    "stockpiles": {
        **pile(IN_NORTH, 2018), **pile(IN_SOUTH, 2018), **pile(IN_NORTH, 2019),
        **pile("p00060-000160", 2018, "candidate"),
    },
    "stockpile_observations": {**date(IN_NORTH, "A", 2018), **date(IN_NORTH, "B", 2018), **date(IN_NORTH, "C", 2019)},
    "stockpile_changes": {
        f"stockpile_changes/{IN_SOUTH}/2018-2019": {"pile_id": IN_SOUTH, "year_from": 2018, "year_to": 2019}
    },
    "footprints": {
        "footprints/site/bare_or_built/2018": {"zone_id": "site", "class": "bare_or_built", "year": 2018},
        "footprints/site/bare_or_built/2019": {"zone_id": "site", "class": "bare_or_built", "year": 2019},
    },
    "boundary_changes": {
        "boundary_changes/site/certain_gain/2018-2019": {"zone_id": "site", "year_from": 2018, "year_to": 2019}
    },
    "measurements": {
        **measured("site", STOCK, 2018), **measured("site", STOCK, 2019), **measured("north", STOCK, 2018),
        **measured("site", GROUND, 2018), **measured("site", GROUND, 2019), **measured("site", GROUND, 2020, None),
        **measured("control", GROUND, 2018), **measured("site", "reviewed_stockpile_area_m2", 2018),
    },
    "changes": {**change(STOCK), **change(GAIN)},
    "trends": {
        f"trends/site/{metric}": {"zone_id": "site", "metric": metric, "year_first": 2018, "year_last": 2020}
        for metric in (GROUND, "footprint_area_minus_control_m2")
    },
    "breaks": {f"breaks/site/{GROUND}/2371": {"zone_id": "site", "metric": GROUND}},
    "claims": {
        "claims/more": {"metric": STOCK, "tested": "site 2018-2019; north 2018-2019"},
        "claims/there": {"metric": STOCK, "tested": "site 2019"},
        "claims/unseen": {"metric": STOCK, "tested": None},
    },
    "reviews": {
        "reviews/1": {"year": 2018, "counts": True}, "reviews/2": {"year": None, "counts": True},
        "reviews/3": {"year": 2019, "counts": True}, "reviews/4": {"year": 2018, "counts": False},
    },
}  # fmt: skip
ROWS = Rows(LAYERS, {"site": SITE, "north": NORTH})


@pytest.mark.parametrize(
    ("at", "below"),
    [
        (f"changes/site/{STOCK}/2018-2019", [f"measurements/site/{STOCK}/2018", f"measurements/site/{STOCK}/2019"]),
        (
            f"changes/site/{GAIN}/2018-2019",
            [
                "boundary_changes/site/certain_gain/2018-2019",
                f"measurements/site/{GROUND}/2018",
                f"measurements/site/{GROUND}/2019",
            ],
        ),
        (f"measurements/site/{STOCK}/2018", [f"stockpiles/{IN_NORTH}/2018", f"stockpiles/{IN_SOUTH}/2018", "scene/A"]),
        (f"measurements/north/{STOCK}/2018", [f"stockpiles/{IN_NORTH}/2018", "scene/A"]),
        (f"measurements/site/{GROUND}/2018", ["footprints/site/bare_or_built/2018"]),
        (f"measurements/control/{GROUND}/2018", ["scene/G"]),
        (
            "measurements/site/reviewed_stockpile_area_m2/2018",
            [f"measurements/site/{STOCK}/2018", "reviews/1", "reviews/2"],
        ),
        (
            f"stockpiles/{IN_NORTH}/2018",
            [f"stockpile_observations/{IN_NORTH}/A", f"stockpile_observations/{IN_NORTH}/B"],
        ),
        (f"stockpile_observations/{IN_NORTH}/B", ["scene/B"]),
        (f"stockpile_changes/{IN_SOUTH}/2018-2019", [f"stockpiles/{IN_SOUTH}/2018"]),
        ("footprints/site/bare_or_built/2018", ["scene/G"]),
        (
            "boundary_changes/site/certain_gain/2018-2019",
            ["footprints/site/bare_or_built/2018", "footprints/site/bare_or_built/2019"],
        ),
        (f"trends/site/{GROUND}", [f"measurements/site/{GROUND}/2018", f"measurements/site/{GROUND}/2019"]),
        (
            "trends/site/footprint_area_minus_control_m2",
            [
                f"measurements/site/{GROUND}/2018",
                f"measurements/site/{GROUND}/2019",
                f"measurements/control/{GROUND}/2018",
            ],
        ),
        (f"breaks/site/{GROUND}/2371", [f"measurements/site/{GROUND}/2018", f"measurements/site/{GROUND}/2019"]),
        ("claims/more", [f"changes/site/{STOCK}/2018-2019"]),
        ("claims/there", [f"measurements/site/{STOCK}/2019"]),
        ("claims/unseen", []),
        ("scene/A", []),
        ("zones/site", []),
    ],
)
def test_what_a_row_rests_on_at_once(at, below):
    assert list(ROWS.below(at)) == below


def test_everything_below_stands_once_and_after_what_is_above():
    found = ROWS.all_below(["claims/more"])
    assert len(found) == len(set(found))
    assert found[:2] == ["claims/more", f"changes/site/{STOCK}/2018-2019"]
    assert {"scene/A", "scene/B", "scene/C"} <= set(found)
    assert "scene/G" not in found
    assert f"stockpiles/{IN_SOUTH}/2018" in found
    assert "stockpiles/p00060-000160/2018" not in found, "a candidate is never counted"


def test_a_row_that_is_not_there_has_no_columns():
    with pytest.raises(KeyError):
        ROWS.columns("changes/site/nothing/2018-2019")
