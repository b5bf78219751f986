"""What real metadata declare, item by item, and faults of the offset put into real pixels: none may pass silently."""

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA
from scipy import ndimage
from test_items import LEVEL_2A, real

from benchmarks import offset_faults
from benchmarks.offset_faults import as_new, evidence_of, faults, moved, outcomes, read_archive, settled_dn
from pipeline.band_check import band_faults
from pipeline.config import RadiometryConfig
from pipeline.radiometry import declared_offset_dn, pixel_word
from pipeline.sources._items import read_item

CONFIG = RadiometryConfig()
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent")

# --- every real item, by its own facts: (baseline, flag, raster offset) -> what is declared ---

C1 = dict.fromkeys(
    [f"S2B_T{tile}_20250731T{time}_L2A" for tile, time in (
        ("20EPT", "131905"), ("24MUV", "130245"), ("24MVV", "130245"), ("24MWV", "130245"), ("24MXV", "130245"),
        ("24MUA", "130245"),
    )],
    -1000.0,
)  # fmt: skip
"""Collection 1 of Earth Search: raw DN, offset -0.1, no flag."""
FLAGGED = dict.fromkeys(
    [f"S2B_{tile}_20250731_0_L2A" for tile in ("20EPT", "24MUV", "24MVV", "24MWV", "24MXV", "24MUA")]
    + ["S2A_13TDE_20231008_0_L2A"],
    0.0,
)
"""Earth Search with the flag "applied" beside an offset of -0.1: nothing is left to take off."""
RAW_OLD = dict.fromkeys(
    [f"S2A_MSIL2A_20190101T000001_R116_T{tile}_20201007T{time}" for tile, time in (
        ("60VUK", "214652"), ("60VUJ", "214652"), ("59VPE", "214658"), ("59VPD", "214657"), ("59VPC", "214653"),
        ("59VNF", "214654"),
    )] + ["S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531"],
    0.0,
)  # fmt: skip
"""Planetary Computer, baseline 02.12, no offset stated: raw DN of an old baseline."""
FROM_SAFE = {
    "S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL": -1000.0,  # 05.10
    "S2A_OPER_MSI_L2A_TL_2APS_20240109T203651_A044654_T60CWS": -1000.0,  # 05.10
    "S2A_OPER_MSI_L2A_TL_SGS__20181231T210250_A018414_T10SDG": 0.0,  # 02.11
    "S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBP": -1000.0,  # 04.00
    "S2A_T01KAB_20230821T221944_L2A": -1000.0,  # 05.09
    "S2A_T01WCP_20230625T234624_L2A": -1000.0,
    "S2A_T01WCS_20230625T234624_L2A": -1000.0,
    "S2A_T07HFE_20190212T192646_L2A": 0.0,  # 02.12
    "S2A_T34LBQ_20220401T090142_L2A": -7000.0,  # altered by its authors
    "S2B_OPER_MSI_L2A_TL_S2RP_20230315T224658_A018417_T01VCG": -1000.0,  # sensed 2020, reprocessed as 05.00
    "S2B_T01CCV_20191228T210521_L2A": 0.0,  # 02.12
    "S2B_T22HBD_20210122T133224_L2A": 0.0,  # 02.14
    "S2B_T33XWJ_20220413T150756_L2A": -1000.0,  # 04.00
}
DECLARED = {**C1, **FLAGGED, **RAW_OLD, **FROM_SAFE}


@needs_data
def test_the_table_has_every_real_item():
    assert {document["id"] for document in LEVEL_2A} == set(DECLARED)


@pytest.mark.parametrize("item_id", DECLARED)
def test_what_a_real_item_declares_in_every_band(item_id):
    item = read_item(real(item_id))
    said = {declared_offset_dn(item, asset, raw_dn=True) for band, asset in item.assets.items() if band != "scl"}
    assert said == {DECLARED[item_id]}


SAFE = {
    "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857.SAFE": "S2A_T07HFE_20190212T192646_L2A",
    "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825.SAFE": "S2A_T01KAB_20230821T221944_L2A",
    "S2B_MSIL2A_20191228T210519_N0212_R071_T01CCV_20201003T104658.SAFE": "S2B_T01CCV_20191228T210521_L2A",
    "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE": "S2B_T33XWJ_20220413T150756_L2A",
    "esa_S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500.SAFE": "S2B_T22HBD_20210122T133224_L2A",
}


@needs_data
@pytest.mark.parametrize("folder", SAFE)
def test_the_producer_s_own_metadata_agree_with_the_table(folder):
    """BOA_ADD_OFFSET of the product itself; a product before 04.00 has none, which is 0."""
    metadata = (DATA / "safe-metadata" / folder / "MTD_MSIL2A.xml").read_text(encoding="utf-8")
    offsets = {float(value) for value in re.findall(r"BOA_ADD_OFFSET [^>]*>(-?\d+)<", metadata)}
    assert (offsets or {0.0}) == {DECLARED[SAFE[folder]]}


# --- faults in real pixels ---

KNOWN_HOLES = {
    "a group never applied (both nir)", "a group applied twice (both nir)", "a group applied twice (both swir)",
}  # fmt: skip
"""Two neighbours wrong in the same way: nothing in view tells them from a season."""


def archive(name: str, first: str) -> list[offset_faults.Delivered]:
    """Scenes of an archive from a date on: those with the sun as high as scenes need."""
    folder: Path = DATA / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return read_archive(folder, first)


SEASONS = [("boadella", "20200601"), ("belgium", "20210301")]


@pytest.mark.parametrize(("name", "first"), SEASONS)
def test_every_fault_in_real_pixels_is_caught(name, first):
    scenes = archive(name, first)
    found = list(outcomes(scenes))
    assert len(found) >= 39 * len(scenes), "no scene is given up"
    assert {fault for fault, _, caught in found if not caught} <= KNOWN_HOLES


@pytest.mark.parametrize(("name", "first"), SEASONS)
def test_good_scenes_of_mixed_baselines_are_all_used(name, first):
    scenes = [as_new(s) if n % 2 else s for n, s in enumerate(archive(name, first))]
    assert settled_dn([s.declared_dn for s in scenes], [evidence_of(s) for s in scenes]) == [s.right_dn for s in scenes]


@pytest.mark.parametrize(("name", "first"), [*SEASONS, ("barbellino", "2017")])
def test_a_fault_of_the_whole_scene_is_caught_where_it_is_the_only_one(name, first):
    for scene in archive(name, first):
        for fault, spoilt in faults(scene):
            if not fault.startswith(("one band", "a group")):
                assert settled_dn([spoilt.declared_dn], [evidence_of(spoilt)])[0] in (None, spoilt.right_dn), fault


@pytest.mark.parametrize("haze", [0.03, 0.06, 0.10, 0.14])
@pytest.mark.parametrize(("name", "first"), SEASONS)
def test_a_lone_hazy_scene_with_a_doubled_offset_is_refused(name, first, haze):
    """Haze fills up what clipping cut off of blue; the land without any swir22 stays."""
    for scene in archive(name, first):
        veil = ndimage.gaussian_filter(np.random.default_rng(1).uniform(0.5, 1.5, scene.dn["blue"].shape), 30)
        fades = {"blue": 1.0, "green": 0.8, "red": 0.6, "nir": 0.3, "nir08": 0.25, "swir16": 0.05, "swir22": 0.02}
        hazy = moved(scene, (), 0.0)
        hazy = offset_faults.Delivered(
            {b: v + np.float32(1e4 * haze * fades[b]) * veil.astype(np.float32) for b, v in hazy.dn.items()}, 0.0, 0.0
        )
        twice = moved(hazy, tuple(hazy.dn), -1000.0, clip=True)
        assert settled_dn([0.0], [evidence_of(twice)]) == [None]


def test_without_the_land_test_the_hazy_scene_would_pass():
    """What the test above rests on: blue and swir22 alone take it for a good scene."""
    scenes = archive("boadella", "20200601")
    passed = 0
    for scene in scenes:
        hazy = moved(scene, ("blue",), 1100.0)
        twice = moved(hazy, tuple(hazy.dn), -1000.0, clip=True)
        only = {band: twice.dn[band] for band in ("blue", "swir22")}
        passed += pixel_word(evidence_of(offset_faults.Delivered(only, 0.0, 0.0)), CONFIG)[0] == "absent"
    assert passed == len(scenes)


def test_scenes_that_are_not_used_teach_nothing_and_are_not_judged():
    scenes = archive("belgium", "20210301")
    evidence = [evidence_of(s) for s in scenes]
    spoilt = [evidence_of(moved(s, ("green",), 1000.0)) for s in scenes]
    assert band_faults([0.0] * len(scenes) + [None] * len(spoilt), [*evidence, *spoilt], CONFIG) == [None] * 16
    assert all(band_faults([0.0] * len(spoilt), spoilt, CONFIG)), "a whole archive with one band wrong"


@pytest.mark.parametrize("band", ["red", "nir", "swir16"])
def test_a_single_band_below_any_surface_is_seen_in_a_lone_scene(band):
    for scene in archive("boadella", "20200601"):
        [wrong] = band_faults([0.0], [evidence_of(moved(scene, (band,), -1000.0))], CONFIG)
        assert wrong == f"band {band} is darker than any surface with the offset of the other bands"
