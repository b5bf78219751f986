"""Items of real providers translated, and the conventions they differ in."""

import copy
import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import shapely

from pipeline.addresses import not_allowed
from pipeline.config import RadiometryConfig, SourceConfig
from pipeline.errors import SceneRefusedError, SourceError
from pipeline.presets import PRESETS
from pipeline.radiometry import OffsetEvidence, decide_offsets, declared_offset_dn
from pipeline.sources import stac
from pipeline.sources._items import BANDS, read_item

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError)
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


# --- every real item, as it should come out -----------------------------------------------------------------------

TERMS = "https://sentinel.esa.int/documents/247904/690755/Sentinel_Data_Legal_Notice"


@dataclass(frozen=True)
class Convention:
    """What the items of one maker share: the end of a band's address, scale, no data, those of SCL, licence."""

    file: str
    scale: float | None
    nodata: float | None
    scl: tuple[float | None, float | None, float | None]
    licence: str | None


MAKERS = {
    "earth-search": Convention("/{name}.tif", 1e-4, 0.0, (None, None, 0.0), TERMS),
    "earth-search-c1": Convention("/{name}.tif", 1e-4, 0.0, (None, None, 0.0), None),
    "planetary-computer": Convention("/R{m}m/T{tile}_{time}_{name}_{m}m.tif", None, None, (None, None, None), TERMS),
    "planetary-computer with raster:bands": Convention(
        "/R{m}m/T{tile}_{time}_{name}_{m}m.tif", None, 0.0, (None, None, 0.0), TERMS
    ),
    "stactools, plain names": Convention("./R{m}m/{name}.jp2", 1e-4, 0.0, (None, None, 0.0), TERMS),
    "stactools, SAFE": Convention("/R{m}m/T{tile}_{time}_{name}_{m}m.jp2", 1e-4, 0.0, (None, None, 0.0), TERMS),
    "stactools, COG": Convention("/R{m}m/T{tile}_{time}_{name}_{m}m.tif", 1e-4, 0.0, (None, None, 0.0), TERMS),
}
# Read off the product names, not the properties: S2A_MSIL2A_<time>_N<baseline>_R<orbit>_T<tile>; the zone of a tile is
# that of its EPSG code, south of N in the alphabet 327. Id, maker, time, baseline, orbit, tile, offset.
TABLE = [
    row.split()
    for row in """
S2B_T20EPT_20250731T131905_L2A earth-search-c1 20250731T131909 05.11 95 20EPT -0.1
S2B_T24MUV_20250731T130245_L2A earth-search-c1 20250731T130249 05.11 95 24MUV -0.1
S2B_T24MVV_20250731T130245_L2A earth-search-c1 20250731T130249 05.11 95 24MVV -0.1
S2B_T24MWV_20250731T130245_L2A earth-search-c1 20250731T130249 05.11 95 24MWV -0.1
S2B_T24MXV_20250731T130245_L2A earth-search-c1 20250731T130249 05.11 95 24MXV -0.1
S2B_T24MUA_20250731T130245_L2A earth-search-c1 20250731T130249 05.11 95 24MUA -0.1
S2B_20EPT_20250731_0_L2A earth-search 20250731T131909 05.11 95 20EPT -0.1
S2B_24MUV_20250731_0_L2A earth-search 20250731T130249 05.11 95 24MUV -0.1
S2B_24MVV_20250731_0_L2A earth-search 20250731T130249 05.11 95 24MVV -0.1
S2B_24MWV_20250731_0_L2A earth-search 20250731T130249 05.11 95 24MWV -0.1
S2B_24MXV_20250731_0_L2A earth-search 20250731T130249 05.11 95 24MXV -0.1
S2B_24MUA_20250731_0_L2A earth-search 20250731T130249 05.11 95 24MUA -0.1
S2A_13TDE_20231008_0_L2A earth-search 20231008T175231 05.09 141 13TDE -0.1
S2A_MSIL2A_20190101T000001_R116_T60VUK_20201007T214652 planetary-computer 20190101T000001 02.12 116 60VUK -
S2A_MSIL2A_20190101T000001_R116_T60VUJ_20201007T214652 planetary-computer 20190101T000001 02.12 116 60VUJ -
S2A_MSIL2A_20190101T000001_R116_T59VPE_20201007T214658 planetary-computer 20190101T000001 02.12 116 59VPE -
S2A_MSIL2A_20190101T000001_R116_T59VPD_20201007T214657 planetary-computer 20190101T000001 02.12 116 59VPD -
S2A_MSIL2A_20190101T000001_R116_T59VPC_20201007T214653 planetary-computer 20190101T000001 02.12 116 59VPC -
S2A_MSIL2A_20190101T000001_R116_T59VNF_20201007T214654 planetary-computer 20190101T000001 02.12 116 59VNF -
S2B_MSIL2A_20190629T212529_R043_T06VVN_20201006T080531 planetary-computer* 20190629T212529 02.12 43 06VVN -
S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL plain - 05.10 - 34VEL -0.1
S2A_OPER_MSI_L2A_TL_2APS_20240109T203651_A044654_T60CWS plain - 05.10 - 60CWS -0.1
S2A_OPER_MSI_L2A_TL_SGS__20181231T210250_A018414_T10SDG plain - 02.11 - 10SDG 0
S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBP plain - 04.00 - 34LBP -0.1
S2A_T34LBQ_20220401T090142_L2A plain 20220401T083601 04.00 64 34LBQ -0.7
S2B_OPER_MSI_L2A_TL_S2RP_20230315T224658_A018417_T01VCG plain - 05.00 - 01VCG -0.1
S2A_T01KAB_20230821T221944_L2A SAFE 20230821T221941 05.09 29 01KAB -0.1
S2A_T01WCP_20230625T234624_L2A SAFE 20230625T234621 05.09 73 01WCP -0.1
S2A_T01WCS_20230625T234624_L2A SAFE 20230625T234621 05.09 73 01WCS -0.1
S2B_T22HBD_20210122T133224_L2A SAFE 20210122T133229 02.14 81 22HBD 0
S2A_T07HFE_20190212T192646_L2A COG 20190212T192651 02.12 13 07HFE 0
S2B_T01CCV_20191228T210521_L2A COG 20191228T210519 02.12 71 01CCV 0
S2B_T33XWJ_20220413T150756_L2A COG 20220413T150759 04.00 25 33XWJ -0.1
""".strip().splitlines()
]
SHORT = {"plain": "stactools, plain names", "SAFE": "stactools, SAFE", "COG": "stactools, COG"}


def maker_of(short: str, document: dict[str, Any]) -> Convention:
    if short == "planetary-computer*":
        # The one item that is there twice: as it is served, and with raster:bands added.
        extended = any("raster:bands" in asset for asset in document["assets"].values())
        return MAKERS["planetary-computer with raster:bands" if extended else "planetary-computer"]
    return MAKERS[SHORT.get(short, short)]


@needs_items
def test_the_table_holds_every_real_item_and_no_other():
    assert sorted(row[0] for row in TABLE) == sorted({d["id"] for d in LEVEL_2A})
    assert len(LEVEL_2A) == len(TABLE) + 1


@needs_items
@by_id
def test_a_real_item_comes_out_as_the_table_says(document):
    [row] = [row for row in TABLE if row[0] == document["id"]]
    _, short, time, baseline, orbit, tile, offset = row
    item, maker = read_item(document), maker_of(short, document)
    assert item.tile == tile
    assert item.epsg == (32600 if tile[2] >= "N" else 32700) + int(tile[:2])
    assert item.processing_baseline == baseline
    assert item.relative_orbit == (None if orbit == "-" else int(orbit))
    assert item.platform == {"S2A": "sentinel-2a", "S2B": "sentinel-2b"}[document["id"][:3]]
    assert item.offset_applied is (True if short == "earth-search" else None)
    assert item.licence == maker.licence
    assert item.document is document
    assert set(item.assets) == set(BANDS)
    for band, asset in item.assets.items():
        tail = maker.file.format(name=BANDS[band], m=NATIVE_M[band], tile=tile, time=time)
        assert asset.href.endswith(tail), (asset.href, tail)
        expected = (maker.scale, None if offset == "-" else float(offset), maker.nodata)
        assert (asset.scale, asset.offset, asset.nodata) == (maker.scl if band == "scl" else expected), band


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


def outlined(*corners: list[Any], kind: str = "Polygon") -> dict[str, Any]:
    return {"geometry": {"type": kind, "coordinates": [list(corners)] if kind == "Polygon" else list(corners)}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"properties": {"datetime": None}}, "it has no datetime"),
        ({"properties": {}}, "it has no datetime"),
        ({"properties": {"datetime": "last spring"}}, "its datetime 'last spring' is not one"),
        ({"properties": {"datetime": 1651370000}}, "its datetime '1651370000' is not one"),
        ({"geometry": None}, "it has no geometry"),
        (outlined([126, 39], [127, 39]), ""),
        (outlined([126, 39], [127, 39], [126, 39]), "its geometry covers no ground"),
        (outlined([126, 39], [127, float("nan")], [127, 40], [126, 39]), "its geometry covers no ground"),
        (outlined(), "its geometry covers no ground"),
        (outlined(["a", 39], [127, 39], [127, 40], [126, 39]), ""),
        (outlined([126, 39], [127, 39], kind="LineString"), "its geometry covers no ground"),
        (outlined(kind="Heptagon"), ""),
        *(
            ({"properties": {"datetime": "2022-05-01T02:10:00Z", key: value}}, f"its {key} is {value!r}, not a number")
            for key in ("eo:cloud_cover", "sat:relative_orbit")
            for value in ("12", "few", [], {}, True, float("nan"), float("inf"))
        ),
        *(
            ({"properties": {"datetime": "2022-05-01T02:10:00Z", key: value}}, "neither true nor false")
            for key in ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
            for value in ("true", 1, [])
        ),
        *(
            ({"assets": {"B02": {"href": "/a/B02.tif", "raster:bands": [{key: value}]}}}, said)
            for key, value, said in [
                ("scale", "1e-4", "its scale of blue is '1e-4', not a number"), ("scale", 0, "its scale of blue is 0"),
                ("offset", "none", "its offset of blue is 'none', not a number"),
                ("offset", float("nan"), "its offset of blue is nan, not a number"), ("nodata", "nothing", "nothing"),
            ]
        ),
        ({"assets": {"B02": {"href": "/a/B02.tif", "file:size": "1"}}}, "its file:size of blue is '1', not a number"),
        ({"assets": None}, ""),
        ({"assets": {"B02": None}}, ""),
        ({"assets": {"B02": {"href": "/a/B02.tif", "raster:bands": 7}}}, ""),
        ({"properties": {"datetime": "2022-05-01T02:10:00Z", "platform": 2}}, ""),
        ({"properties": None}, ""),
    ],
)  # fmt: skip
def test_a_malformed_item_fails_the_search_in_one_line_that_names_it(tmp_path, change, said):
    """Left out it would be missing without a word; let through it would fail where nobody knows why."""
    document = plain_item() | change
    with pytest.raises(MALFORMED) as malformed:
        read_item(document)
    assert said in str(malformed.value)
    with pytest.raises(SourceError) as told:
        stac._read(document, SourceConfig(url=str(tmp_path)))
    assert str(told.value).startswith(f"{tmp_path}: item scene-1 is malformed (")
    assert str(told.value).endswith("); tell its provider")
    assert "\n" not in str(told.value)
    assert said[:100] in str(told.value)


def test_a_name_of_several_lines_makes_no_message_of_several(tmp_path):
    with pytest.raises(SourceError) as told:
        stac._read(plain_item() | {"id": "a\nb?sig=1\r" + "c" * 500, "geometry": None}, SourceConfig(url=str(tmp_path)))
    assert str(told.value).startswith(f"{tmp_path}: item a b c")
    assert len(str(told.value)) < 300 + len(str(tmp_path))


def test_top_of_atmosphere_is_left_out_however_malformed_it_is(tmp_path):
    for change in ({"geometry": None}, {"properties": {"datetime": None, "product:type": "S2MSI1C"}}):
        document = plain_item(product_type="S2MSI1C") | change
        assert stac._read(document, SourceConfig(url=str(tmp_path))) is None


def test_an_outline_that_crosses_itself_is_still_one():
    item = read_item(plain_item() | outlined([126, 39], [127, 40], [127, 39], [126, 40], [126, 39]))
    assert item.coverage.is_valid
    assert item.coverage.area == pytest.approx(0.5)


@pytest.mark.parametrize("value", [0, 0.0, 12, 99.99, 100])
def test_a_cloud_cover_that_is_a_number_is_taken(value):
    assert read_item(plain_item(**{"eo:cloud_cover": value})).cloud_percent == value


@pytest.mark.parametrize(
    ("links", "named", "licence"),
    [
        ([], None, None),
        ([{"rel": "license", "href": "https://a.example/terms"}], None, "https://a.example/terms"),
        ([{"rel": "self", "href": "https://a.example/item"}], "CC-BY-4.0", "CC-BY-4.0"),
        ([{"rel": "license", "href": "https://a.example/terms"}], "other", "https://a.example/terms"),
        ([{"rel": "license"}], "proprietary", "proprietary"),
        (None, None, None),
    ],
)
def test_licence(links, named, licence):
    document = plain_item(**({"license": named} if named else {})) | {"links": links}
    assert read_item(document).licence == licence


# --- the Copernicus Data Space: names of files on S3, the same by https beside them ---

NODE = "https://download.dataspace.copernicus.eu/odata/v1/Products(0b5e)/Nodes({name})/$value"


def cdse_item() -> dict[str, Any]:
    """Return an item as stac.dataspace.copernicus.eu/v1 serves them, written by hand.

    After its documentation, and the shape of an item in a test of openeo-geopyspark-driver (issue 1043): every band in
    every resolution, bands named in ``bands``, scale and offset on the asset, the baseline in ``processing:version``.
    """
    folder = "S2B_MSIL2A_20220605T021609_N0510_R003_T52SBG_20240605T042600.SAFE"
    assets: dict[str, Any] = {"Product": {"href": NODE.format(name=folder), "type": "application/zip"}}
    for name, sizes in {"B02": (10, 20, 60), "B03": (10, 20, 60), "B04": (10, 20, 60), "B08": (10,), "B8A": (20, 60),
                        "B11": (20, 60), "B12": (20, 60), "SCL": (20, 60), "TCI": (10, 20, 60)}.items():  # fmt: skip
        for size in sizes:
            file = f"T52SBG_20220605T021609_{name}_{size}m.jp2"
            assets[f"{name}_{size}m"] = {
                "href": f"s3://eodata/Sentinel-2/MSI/L2A_N0500/2022/06/05/{folder}/IMG_DATA/R{size}m/{file}",
                "type": "image/jp2", "gsd": size, "nodata": 0, "proj:code": "EPSG:32652", "data_type": "uint16",
                "auth:refs": ["s3"], "alternate:name": "S3", "file:size": 1000 * size, "file:checksum": f"1620{size}",
                "alternate": {"https": {"href": NODE.format(name=file), "auth:refs": ["oidc"]}},
                **({} if name in {"SCL", "TCI"} else {
                    "bands": [{"name": name}], "raster:scale": 0.0001, "raster:offset": -0.1}),
            }  # fmt: skip
    document = plain_item(**{
        "grid:code": "MGRS-52SBG", "processing:version": "05.10", "processing:level": "L2", "eo:cloud_cover": 3.5,
        "product:type": "S2MSI2A", "platform": "sentinel-2b", "sat:relative_orbit": 3,
        "eopf:datatake_id": "GS2B_20220605T021609_027386_N05.10",
    })  # fmt: skip
    return document | {"id": folder.removesuffix(".SAFE"), "collection": "sentinel-2-l2a", "assets": assets}


def test_an_item_of_the_data_space():
    item = read_item(cdse_item())
    assert (item.tile, item.epsg, item.processing_baseline, item.relative_orbit) == ("52SBG", 32652, "05.10", 3)
    assert (item.platform, item.offset_applied, item.cloud_percent) == ("sentinel-2b", None, 3.5)
    for band, asset in item.assets.items():
        size = NATIVE_M[band]
        assert asset.href == NODE.format(name=f"T52SBG_20220605T021609_{BANDS[band]}_{size}m.jp2")
        expected = (None, None, 0.0) if band == "scl" else (0.0001, -0.1, 0.0)
        assert (asset.scale, asset.offset, asset.nodata) == expected
        assert (asset.size_bytes, asset.checksum) == (1000 * size, f"1620{size}")
        assert not_allowed(asset.href, PRESETS["cdse"].url, PRESETS["cdse"].hosts) is None
    assert set(item.assets) == set(BANDS)
    assert declared_offset_dn(item, item.assets["blue"], PRESETS["cdse"].raw_dn) == -1000.0


S3 = "s3://bucket/B02.tif"


@pytest.mark.parametrize(
    ("href", "alternate", "read"),
    [
        ("https://a.example/B02.tif", {"https": {"href": "https://b.example/B02.tif"}}, "https://a.example/B02.tif"),
        ("/data/B02.tif", {"https": {"href": "https://b.example/B02.tif"}}, "/data/B02.tif"),
        (S3, {"https": {"href": "https://b.example/B02.tif"}}, "https://b.example/B02.tif"),
        (S3, {"a": {"href": "https://a.example/1"}, "https": {"href": "https://b.example/2"}}, "https://b.example/2"),
        (S3, {"b": {"href": "https://b.example/2"}, "a": {"href": "gs://a/1"}}, "https://b.example/2"),
        (S3, {"http": {"href": "http://b.example/B02.tif"}}, "http://b.example/B02.tif"),
        (S3, {"https": {"href": "/vsicurl/https://b.example/B02.tif"}}, S3),
        (S3, {"https": {"href": "file:///etc/passwd"}}, S3),
        (S3, {"https": {}}, S3),
        (S3, {}, S3),
        (S3, None, S3),
    ],
)
def test_the_https_address_is_read_where_the_first_needs_another_protocol(href, alternate, read):
    document = with_assets(B02={"href": href, "alternate": alternate})
    assert read_item(document).assets["blue"].href == read


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
