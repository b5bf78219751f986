"""Items of real providers translated, and the conventions they differ in."""

import copy
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import RadiometryConfig
from pipeline.errors import SceneRefusedError
from pipeline.radiometry import OffsetEvidence, decide_offsets, declared_offset_dn
from pipeline.sources._items import BANDS, read_item

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "stac-items"
NATIVE_M = {"blue": 10, "green": 10, "red": 10, "nir": 10, "nir08": 20, "swir16": 20, "swir22": 20, "scl": 20}


def real_items() -> list[dict[str, Any]]:
    """Every item of every file, L1C among them."""
    found: list[dict[str, Any]] = []
    for path in sorted(FOLDER.rglob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found += {"Feature": [document], "FeatureCollection": document.get("features", [])}.get(document["type"], [])
    return found


REAL = real_items()
LEVEL_2A = [d for d in REAL if "L1C" not in d["id"]]
by_id = pytest.mark.parametrize("document", LEVEL_2A, ids=lambda d: d["id"])
needs_items = pytest.mark.skipif(not REAL, reason=f"{FOLDER} is absent")


def real(item_id: str) -> dict[str, Any]:
    if not REAL:
        pytest.skip(f"{FOLDER} is absent")
    return copy.deepcopy(next(d for d in REAL if d["id"] == item_id))


@needs_items
def test_the_real_items_are_many_and_of_several_providers():
    assert len(LEVEL_2A) >= 25
    assert {d["stac_version"] for d in LEVEL_2A} >= {"1.0.0", "1.1.0"}
    baselines = {read_item(d).processing_baseline for d in LEVEL_2A}
    assert {"02.11", "02.12", "02.14", "04.00", "05.00", "05.09", "05.10", "05.11"} <= baselines


@needs_items
@by_id
def test_a_real_item_is_translated_whole(document):
    item = read_item(document)
    properties = document["properties"]
    assert set(item.assets) == set(BANDS)
    assert item.datetime == dt.datetime.fromisoformat(properties["datetime"])
    assert item.datetime.utcoffset() == dt.timedelta(0)
    assert item.platform in {"sentinel-2a", "sentinel-2b"}
    assert item.epsg // 100 in {326, 327}
    zone, band = int(item.tile[:2]), item.tile[2]
    assert item.epsg % 100 == zone
    assert item.epsg // 100 == (326 if band >= "N" else 327)
    assert item.cloud_percent == properties["eo:cloud_cover"]
    # The outline lies in the box the provider gives; tiles across 180 degrees have one that runs the other way.
    west, south, east, north = item.coverage.bounds
    if document["bbox"][0] < document["bbox"][2]:
        assert (west, east) == (pytest.approx(document["bbox"][0]), pytest.approx(document["bbox"][2]))
    assert (south, north) == (pytest.approx(document["bbox"][1]), pytest.approx(document["bbox"][3]))


@needs_items
@by_id
def test_a_real_item_gives_the_file_of_the_native_pixel(document):
    """By an independent look: the file names and transforms in the item, not the rule under test."""
    for band, asset in read_item(document).assets.items():
        [raw] = [a for a in document["assets"].values() if a["href"] == asset.href]
        assert BANDS[band] in asset.href.rsplit("/", maxsplit=1)[-1]
        if "proj:transform" in raw:
            assert abs(raw["proj:transform"][0]) == NATIVE_M[band]
        assert asset.band == band


@needs_items
@by_id
def test_a_real_item_gives_scale_offset_and_nodata_as_they_stand_there(document):
    for band, asset in read_item(document).assets.items():
        [raw] = [a for a in document["assets"].values() if a["href"] == asset.href]
        stated = (raw.get("raster:bands") or [{}])[0]
        assert (asset.scale, asset.offset, asset.nodata) == (
            stated.get("scale"), stated.get("offset"), stated.get("nodata"),
        ), band  # fmt: skip


@needs_items
@pytest.mark.parametrize("document", [d for d in REAL if "L1C" in d["id"]], ids=lambda d: d["id"])
def test_top_of_atmosphere_is_refused(document):
    with pytest.raises(SceneRefusedError, match="level 1C") as refused:
        read_item(document)
    assert document["id"] in str(refused.value)


@needs_items
def test_there_are_top_of_atmosphere_items_to_refuse():
    assert len(REAL) - len(LEVEL_2A) >= 8


def test_top_of_atmosphere_is_refused_by_product_type_too():
    document = plain_item(product_type="S2MSI1C")
    with pytest.raises(SceneRefusedError, match="level 1C"):
        read_item(document)


# --- offsets of real items ---


@pytest.mark.parametrize(
    ("item_id", "raw_dn", "declared"),
    [
        ("S2B_T20EPT_20250731T131905_L2A", None, -1000.0),  # Earth Search c1: no flag, apply
        ("S2B_20EPT_20250731_0_L2A", None, 0.0),  # Earth Search: flag says applied, offset stands beside it
        ("S2A_13TDE_20231008_0_L2A", None, 0.0),
        ("S2A_MSIL2A_20190101T000001_R116_T60VUK_20201007T214652", True, 0.0),  # Planetary Computer, 02.12
        ("S2A_MSIL2A_20190101T000001_R116_T60VUK_20201007T214652", None, None),
        ("S2B_OPER_MSI_L2A_TL_S2RP_20230315T224658_A018417_T01VCG", None, -1000.0),  # 2020, reprocessed as 05.00
        ("S2A_OPER_MSI_L2A_TL_SGS__20181231T210250_A018414_T10SDG", None, 0.0),  # 02.11
        ("S2B_T33XWJ_20220413T150756_L2A", None, -1000.0),  # 04.00
        ("S2A_T34LBQ_20220401T090142_L2A", None, -7000.0),  # altered by its authors
    ],
)
def test_declared_offset_of_real_items(item_id, raw_dn, declared):
    item = read_item(real(item_id))
    for band in ("blue", "nir08", "swir22"):
        assert declared_offset_dn(item, item.assets[band], raw_dn) == declared


def test_the_altered_offset_ends_in_quarantine_whatever_the_pixels_say():
    item = read_item(real("S2A_T34LBQ_20220401T090142_L2A"))
    declared = declared_offset_dn(item, item.assets["blue"], None)
    pixels = [
        OffsetEvidence({"blue": 0.0, "swir22": 0.0}, {"blue": 1200.0, "swir22": 1050.0}, 1500.0),
        OffsetEvidence({"blue": 0.5, "swir22": 0.5}, {"blue": 200.0, "swir22": 50.0}, 500.0),
        OffsetEvidence({}, {}, None),
    ]
    decisions = decide_offsets([declared] * 3, pixels, RadiometryConfig())
    assert [(d.verdict, d.offset_dn) for d in decisions] == [("quarantined", None)] * 3
    assert "-7000 DN" in decisions[0].reason


# --- conventions, one at a time ---


def plain_item(product_type: str | None = None, **properties: Any) -> dict[str, Any]:
    """Return the least an archive writes."""
    if product_type:
        properties["s2:product_type"] = product_type
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "scene-1",
        "geometry": {"type": "Polygon", "coordinates": [[[126, 39], [127, 39], [127, 40], [126, 40], [126, 39]]]},
        "properties": {"datetime": "2022-05-01T02:10:00Z", **properties},
        "assets": {"B02": {"href": "/a/B02.tif"}},
    }


def with_assets(**assets: dict[str, Any]) -> dict[str, Any]:
    return plain_item() | {"assets": assets}


def test_the_least_an_archive_writes_is_enough():
    item = read_item(plain_item())
    assert (item.collection, item.platform, item.processing_baseline, item.tile, item.epsg) == (
        "archive", None, None, None, None,
    )  # fmt: skip
    assert item.assets["blue"].href == "/a/B02.tif"
    assert (item.offset_applied, item.cloud_percent, item.simulated) == (None, None, False)


@pytest.mark.parametrize(
    ("key", "value", "field", "read"),
    [
        ("s2:processing_baseline", "04.00", "processing_baseline", "04.00"),
        ("processing:version", "05.11", "processing_baseline", "05.11"),
        # Without its nought 2.12 would sort after 04.00 and lose 1000 DN it does not carry.
        ("processing:version", "2.12", "processing_baseline", "02.12"),
        ("processing:version", 5.1, "processing_baseline", "05.10"),
        ("processing:version", "v2025.06.17", "processing_baseline", None),
        ("s2:datatake_id", "GS2B_20250731T130249_043879_N05.11", "processing_baseline", "05.11"),
        ("s2:mgrs_tile", "52SBJ", "tile", "52SBJ"),
        ("grid:code", "MGRS-52SBJ", "tile", "52SBJ"),
        ("proj:epsg", 32652, "epsg", 32652),
        ("proj:code", "EPSG:32652", "epsg", 32652),
        ("proj:code", "IAU_2015:30100", "epsg", None),
        ("proj:epsg", None, "epsg", None),
        ("sat:relative_orbit", 46, "relative_orbit", 46),
        ("s2:product_uri", "S2B_MSIL2A_20250731T130249_N0511_R095_T24MUV_20250731T132745.SAFE", "relative_orbit", 95),
        ("platform", "Sentinel-2C", "platform", "sentinel-2c"),
        ("earthsearch:boa_offset_applied", True, "offset_applied", True),
        ("sentinel:boa_offset_applied", False, "offset_applied", False),
        ("stockline:simulated", True, "simulated", True),
    ],
)
def test_property(key, value, field, read):
    assert getattr(read_item(plain_item(**{key: value})), field) == read


def test_baseline_tile_and_orbit_are_read_from_a_product_name_when_nothing_else_says_them():
    document = plain_item() | {"id": "S2A_MSIL2A_20180504T021600_N0207_R003_T51SYS_20180504T061600"}
    item = read_item(document)
    assert (item.processing_baseline, item.relative_orbit, item.tile) == ("02.07", 3, "51SYS")


@pytest.mark.parametrize(
    ("text", "utc"),
    [("2022-05-01T02:10:00Z", (2022, 5, 1, 2, 10)), ("2022-05-01T11:10:00+09:00", (2022, 5, 1, 2, 10)),
     ("2022-05-01T02:10:00", (2022, 5, 1, 2, 10)), ("2022-05-01", (2022, 5, 1, 0, 0))],
)  # fmt: skip
def test_times_are_utc(text, utc):
    assert read_item(plain_item(datetime=text)).datetime == dt.datetime(*utc, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"properties": {"datetime": None}}, "no datetime or no geometry"),
        ({"geometry": None}, "no datetime or no geometry"),
        ({"properties": {"datetime": "last spring"}}, "'last spring'"),
    ],
)
def test_an_item_without_time_or_place_is_refused_by_name(change, said):
    with pytest.raises(SceneRefusedError) as refused:
        read_item(plain_item() | change)
    assert said in str(refused.value)
    assert "scene-1" in str(refused.value)


def test_a_time_span_begins_when_the_scene_was_taken():
    item = read_item(
        plain_item(datetime=None, start_datetime="2022-05-01T02:10:00Z", end_datetime="2022-05-02T00:00:00Z")
    )
    assert item.datetime.day == 1


NATIVE_JP2 = {"href": "/a/R10m_B02.jp2", "type": "image/jp2"}
NATIVE_TIF = {"href": "/a/B02.tif", "type": "image/tiff"}


@pytest.mark.parametrize(
    ("assets", "href"),
    [
        ({"blue": NATIVE_TIF, "blue-jp2": NATIVE_JP2 | {"eo:bands": [{"name": "B02"}]}}, "/a/B02.tif"),
        ({"B02": NATIVE_JP2, "blue": NATIVE_TIF}, "/a/B02.tif"),
        ({"blue_20m": {"href": "/a/20.tif"}, "blue": NATIVE_TIF, "blue_60m": {"href": "/a/60.tif"}}, "/a/B02.tif"),
        ({"B02_20m": {"href": "/a/20.tif"}, "B02_10m": {"href": "/a/10.tif"}}, "/a/10.tif"),
        # The pixel counts more than the container.
        ({"blue_60m": {"href": "/a/60.tif"}, "blue": NATIVE_JP2 | {"gsd": 10}}, "/a/R10m_B02.jp2"),
        ({"anything": {"href": "/a/x.tif", "bands": [{"name": "B02"}]}}, "/a/x.tif"),
        ({"anything": {"href": "/a/x.tif", "bands": [{"eo:common_name": "blue"}]}}, "/a/x.tif"),
        ({"anything": {"href": "/a/x.TIF?sig=1", "eo:bands": [{"common_name": "blue"}]}}, "/a/x.TIF?sig=1"),
    ],
)  # fmt: skip
def test_which_file_is_blue(assets, href):
    assert read_item(with_assets(**assets)).assets["blue"].href == href


@pytest.mark.parametrize(
    "asset",
    [
        {"href": "/a/TCI.tif", "bands": [{"name": "B02"}, {"name": "B03"}, {"name": "B04"}]},  # three bands in one
        {"href": "/a/B02.xml", "bands": [{"name": "B02"}]},
        {"href": "/a/B02.png"},
        {"href": "/a/B03.tif", "bands": [{"name": "B03"}]},
    ],
)
def test_what_is_not_blue(asset):
    assert "blue" not in read_item(with_assets(other=asset)).assets


def test_the_narrow_infrared_band_is_never_taken_for_the_wide_one():
    """Planetary Computer and others call B8A nir or rededge by common name; B08 has another width and pixel."""
    narrow = {"href": "/a/B8A.tif", "eo:bands": [{"name": "B8A", "common_name": "nir"}]}
    item = read_item(with_assets(x=narrow))
    assert "nir" not in item.assets
    assert item.assets["nir08"].href == "/a/B8A.tif"


@pytest.mark.parametrize(
    "asset",
    [
        {"raster:bands": [{"scale": 0.0001, "offset": -0.1, "nodata": 0}]},
        {"bands": [{"name": "B02", "raster:scale": 0.0001, "raster:offset": -0.1, "nodata": 0}]},
        {"raster:scale": 0.0001, "raster:offset": -0.1, "nodata": 0},
        {"bands": [{"name": "B02", "scale": 0.0001, "offset": -0.1, "nodata": 0}]},
    ],
    ids=["raster 1.0", "STAC 1.1 in bands", "STAC 1.1 on the asset", "bare keys"],
)
def test_scale_offset_and_nodata_wherever_they_stand(asset):
    found = read_item(with_assets(B02={"href": "/a/B02.tif"} | asset)).assets["blue"]
    assert (found.scale, found.offset, found.nodata) == (0.0001, -0.1, 0.0)


def test_an_offset_of_zero_is_a_statement_and_no_offset_is_none():
    zero = read_item(with_assets(B02={"href": "/a/B02.tif", "raster:bands": [{"scale": 1e-4, "offset": 0}]}))
    nothing = read_item(with_assets(B02={"href": "/a/B02.tif"}))
    assert zero.assets["blue"].offset == 0.0
    assert nothing.assets["blue"].offset is None


def test_the_document_is_kept_as_it_was():
    document = plain_item()
    before = copy.deepcopy(document)
    assert read_item(document).document == before
    assert document == before
