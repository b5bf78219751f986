"""Folders on disk: descriptions of real products, broken and hostile ones, the numbers of the same pixels as STAC."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import yaml
from affine import Affine
from conftest import DATA, PORT_YEARS, aoi_alone, call
from safe_products import SafeProduct, write_safe
from servers import EPSG, LEFT, TOP, footprint, item_document, opened_line, unique_pixels, write_band
from shapely.geometry import box, shape

from pipeline.config import Config, SourceConfig, WindowsConfig, YearsConfig, read_config
from pipeline.errors import InputError, SceneRefusedError, SourceError
from pipeline.imagery import Refusal, Scene, StoredScene
from pipeline.pixels import read_image
from pipeline.products.geopackage import read_tables
from pipeline.products.manifest import archive_root
from pipeline.radiometry import Calibration, declared_offset_dn
from pipeline.sources import archive
from pipeline.sources._items import BANDS, read_item
from pipeline.sources._safe import MOST_BYTES, describe, read_checksums, read_product, read_tile
from pipeline.store import Store, fetch
from pipeline.types import Grid

METADATA = DATA / "safe-metadata"
PRODUCT = SafeProduct("2020-05-01T02:01:00.500000Z", "52SDG", EPSG, footprint())
GRID = Grid(EPSG, LEFT + 400, TOP - 400, 30, 20)
FINE, COARSE = Affine(10, 0, LEFT, 0, -10, TOP), Affine(20, 0, LEFT, 0, -20, TOP)
PIXELS = {"B02": (unique_pixels(120, 120), FINE), "SCL": (np.full((60, 60), 5, np.uint8), COARSE)}

REAL = {
    # Read with grep from both files of each product, by hand:
    # baseline, orbit, tile, EPSG, SENSING_TIME, cloud, offset (BOA_ADD_OFFSET, or none listed).
    "S2A_MSIL2A_20190212T192651_N0212_R013_T07HFE_20201007T160857":
        ("02.12", 13, "07HFE", 32707, "2019-02-12T19:33:32.161000+00:00", 51.580326, 0.0),
    "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825":
        ("05.09", 29, "01KAB", 32701, "2023-08-21T22:20:45.625508+00:00", 59.050727, -1000.0),
    "S2B_MSIL2A_20191228T210519_N0212_R071_T01CCV_20201003T104658":
        ("02.12", 71, "01CCV", 32701, "2019-12-28T21:05:52.062315+00:00", 99.998890, 0.0),
    "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126":
        ("04.00", 25, "33XWJ", 32633, "2022-04-13T15:08:07.846358+00:00", 98.944211, -1000.0),
    "S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500":
        ("02.14", 81, "22HBD", 32722, "2021-01-22T13:42:49.838906+00:00", 0.447807, 0.0),
}  # fmt: skip
needs_metadata = pytest.mark.skipif(not METADATA.is_dir(), reason=f"{METADATA} is absent")


def config_of(url, first=2020, last=2020, **source):
    days = (("01-01", "12-31"),)
    return Config(
        source=SourceConfig(kind="archive", url=str(url), max_cloud_percent=100, sign_url=None, **source),
        years=YearsConfig(first=first, last=last),
        windows=WindowsConfig(stockpile=days, footprint=days),
    )


def searched(folder, tmp_path, aoi=None, **options):
    config = config_of(folder, **options)
    return archive.search(aoi or footprint(), config, opened_line(config.source, tmp_path / "line"))


def real_folder(name):
    return next(path for path in METADATA.iterdir() if path.name.removeprefix("esa_").removesuffix(".SAFE") == name)


def read_folder(folder):
    product = read_product((folder / "MTD_MSIL2A.xml").read_text(encoding="utf-8"))
    tile = read_tile((folder / "GRANULE" / product.granule / "MTD_TL.xml").read_text(encoding="utf-8"))
    checksums = read_checksums((folder / "manifest.safe").read_text(encoding="utf-8"))
    return read_item(describe(product, tile, checksums, str(folder)))


@needs_metadata
@pytest.mark.parametrize("name", REAL)
def test_a_real_product_says_what_was_read_from_it_by_hand(name):
    item = read_folder(real_folder(name))
    baseline, orbit, tile, epsg, sensed, cloud, offset_dn = REAL[name]
    assert (item.id, item.processing_baseline, item.relative_orbit, item.tile) == (name, baseline, orbit, tile)
    assert (item.epsg, item.datetime.isoformat(), item.cloud_percent) == (epsg, sensed, cloud)
    assert item.platform == f"sentinel-{name[1:3].lower()}"
    assert set(item.assets) == set(BANDS)
    for band, asset in item.assets.items():
        step = 10 if band in {"blue", "green", "red", "nir"} else 20
        assert asset.href.endswith(f"_{BANDS[band]}_{step}m.jp2")
        assert f"/IMG_DATA/R{step}m/" in asset.href
        assert asset.nodata == 0
        if band != "scl":
            assert asset.scale == 1e-4
            assert declared_offset_dn(item, asset, raw_dn=None) == offset_dn


@needs_metadata
@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500", "d50110b93492859514eaba279c5de8c43291af"),
        (
            "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825",
            "162009f95136fb6b984249611b170fa40cf775dd5cff1603a532f1000773e1ef8532",
        ),
    ],
)
def test_every_band_of_a_real_product_has_its_checksum(name, checksum):
    """Those of B02 by hand from manifest.safe; d5 01 10 is MD5 of 16 bytes as a multihash, 16 20 SHA3-256 of 32."""
    item = read_folder(real_folder(name))
    assert item.assets["blue"].checksum == checksum
    assert len({asset.checksum for asset in item.assets.values()} - {None}) == len(BANDS)


@needs_metadata
def test_the_outline_of_a_real_product_is_where_its_tile_lies():
    """By hand: T22HBD lies in Uruguay; the first corner of its list is -37.99 -54.14, latitude first."""
    outline = read_folder(real_folder("S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500")).coverage
    assert outline.contains(shapely.Point(-53.5, -37.5))
    assert outline.bounds == pytest.approx((-54.41397, -38.0146, -53.13849, -36.99813), abs=1e-4)


@needs_metadata
def test_a_real_product_across_the_180th_meridian_covers_both_sides_and_nothing_between():
    """By hand: T01KAB reaches from 179.24 E to 179.72 W, between 16.2 and 17.3 S."""
    outline = read_folder(real_folder("S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825")).coverage
    assert outline.contains(shapely.Point(179.9, -16.8))
    assert outline.contains(shapely.Point(-179.9, -16.8))
    assert not outline.intersects(box(-170, -17, 170, -16.5))
    assert outline.area == pytest.approx(1.0, abs=0.05)


@needs_metadata
def test_real_products_are_found_and_level_1c_is_not(tmp_path):
    folder = tmp_path / "archive"
    shutil.copytree(METADATA, folder, ignore=shutil.ignore_patterns("*T01VCG*"))
    world = {"aoi": box(-180, -89, 180, 89), "first": 2019, "last": 2023}
    items = searched(folder, tmp_path, **world)
    assert [item.id for item in items] == sorted(REAL, key=lambda name: REAL[name][4])
    # The tile of the open bucket has neither scale nor offset.
    tile = next(METADATA.glob("*T01VCG*"))
    shutil.copytree(tile, folder / tile.name)
    with pytest.raises(SourceError, match=r"T01VCG_20230315T224658: holds neither MTD_MSIL2A\.xml nor a STAC item"):
        searched(folder, tmp_path, **world)


def test_names_of_the_first_products_are_read_too():
    """Baselines 02.04 to 02.06 (PSD 14.2) called some elements otherwise."""
    product = dataclasses.replace(PRODUCT, baseline="02.05", offset_dn=None)
    text = product.xmls({"B02": 10})[0]
    for name in ("PRODUCT_URI", "IMAGE_FILE"):
        text = text.replace(f"{name}>", f"{name}_2A>")
    text = text.replace("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
    found = read_product(text)
    assert (found.name, found.quantification, set(found.files)) == (product.name, 10000, {"B02"})


@pytest.mark.parametrize(
    ("baseline", "listed_dn", "declared_dn"),
    [("02.14", None, 0.0), ("03.01", None, 0.0), ("04.00", None, None), ("05.00", -1000, -1000.0), ("05.11", 0, 0.0)],
)
def test_the_offset_is_the_listed_one_and_none_was_known_before_baseline_04(baseline, listed_dn, declared_dn):
    product = dataclasses.replace(PRODUCT, baseline=baseline, offset_dn=listed_dn)
    texts = product.xmls({"B02": 10})
    item = read_item(describe(read_product(texts[0]), read_tile(texts[1]), {}, "/archive"))
    assert declared_offset_dn(item, item.assets["blue"], raw_dn=None) == declared_dn


def test_the_offset_of_a_band_is_its_own():
    """B8A is number 8, B11 number 11, B12 number 12 of the list: B10, which level 2A lacks, is counted."""
    text = PRODUCT.xmls({"B8A": 20, "B11": 20, "B12": 20})[0]
    for number in range(13):
        text = text.replace(f'band_id="{number}">-1000', f'band_id="{number}">-{number}')
    said = read_product(text).offsets_dn
    assert said == {"B02": -1, "B03": -2, "B04": -3, "B08": -7, "B8A": -8, "B11": -11, "B12": -12}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("05.11</PROCESSING", "five</PROCESSING", "PROCESSING_BASELINE is 'five'"),
        ("<PRODUCT_URI>S2A_MSIL2A", "<PRODUCT_URI>../../S2A_MSIL2A", "PRODUCT_URI is '../../S2A_MSIL2A"),
        ("<PRODUCT_URI>S2A_MSIL2A", "<PRODUCT_URI>S2A_MSIL1C", "not what a level 2A product has there"),
        ("GRANULE/", "/etc/", "names band files of 0 tiles"),
        ("GRANULE/L2A", "GRANULE/../L2A", "names band files of 0 tiles"),
        ('unit="none">10000', 'unit="none">many', "BOA_QUANTIFICATION_VALUE is 'many', not a number"),
        ('unit="none">10000', 'unit="none">0', "BOA_QUANTIFICATION_VALUE is 0"),
        ("NODATA<", "SOMETHING<", "holds no Special_Values of NODATA"),
        ('band_id="11"', 'band_id="99"', "names no BOA_ADD_OFFSET of B11"),
        ("<EXT_POS_LIST>", "<EXT_POS_LIST>91 ", "EXT_POS_LIST is no outline"),
        ("<EXT_POS_LIST>", "<EXT_POS_LIST>nan nan ", "EXT_POS_LIST is 'nan', not a number"),
        ("Sentinel-2A<", "<", "holds no SPACECRAFT_NAME, not one"),
        ("</n1:Level-2A_User_Product>", "", "is no XML"),
        ("<n1:General_Info>", "<!-- <!DOCTYPE --><n1:General_Info>", "declares a document type or an entity"),
    ],
)
def test_a_broken_product_ends_the_search_by_name(old, new, told, tmp_path):
    folder = write_safe(tmp_path / "archive", PRODUCT, {})
    path = folder / "MTD_MSIL2A.xml"
    text = PRODUCT.xmls({"B02": 10})[0]
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        searched(tmp_path / "archive", tmp_path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert told in said
    assert said.endswith("; download the product again or move it out of the archive")
    assert "\n" not in said


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><n1>&b;</n1>'
OUTSIDE = '<!DOCTYPE x [<!ENTITY file SYSTEM "file://{secret}">]><n1><PRODUCT_URI>&file;</PRODUCT_URI></n1>'


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("MTD_MSIL2A.xml", BOMB.encode(), "declares a document type"),
        ("MTD_MSIL2A.xml", BOMB.encode("utf-16"), "codec can't decode byte"),
        ("MTD_MSIL2A.xml", OUTSIDE.encode(), "declares a document type"),
        ("MTD_MSIL2A.xml", b"<a>" * (MOST_BYTES // 3 + 1), "has more than 4,194,304 characters"),
        ("MTD_MSIL2A.xml", b"<a>" * 1_000_000, "is no XML"),
        ("GRANULE/L2A_T52SDG_A025000_20200501T020100/MTD_TL.xml", BOMB.encode(), "declares a document type"),
        ("GRANULE/L2A_T52SDG_A025000_20200501T020100/MTD_TL.xml", b"", "is no XML"),
        ("manifest.safe", BOMB.encode(), "declares a document type"),
        ("GRANULE/L2A_T52SDG_A025000_20200501T020100/MTD_TL.xml", None, "cannot be read (No such file"),
        ("MTD_MSIL2A.xml", None, "cannot be read (No such file or directory)"),
    ],
)
def test_hostile_and_missing_descriptions_are_refused_in_one_line(name, data, told, tmp_path):
    (tmp_path / "secret").write_text(f"{PRODUCT.name}.SAFE")
    path = write_safe(tmp_path / "archive", PRODUCT, PIXELS) / name
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data.replace(b"{secret}", str(tmp_path / "secret").encode()))
    with pytest.raises(SourceError) as caught:
        searched(tmp_path / "archive", tmp_path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)
    assert PRODUCT.name not in str(caught.value).replace(str(path), "")
    assert "\n" not in str(caught.value)


def with_link_out(folder, outside):
    write_safe(outside, PRODUCT, PIXELS)
    (folder / "more").symlink_to(outside)


def with_file_link_out(folder, outside):
    product = write_safe(folder, PRODUCT, PIXELS)
    (outside / "MTD_TL.xml").write_text(PRODUCT.xmls({})[1])
    tile = product / "GRANULE" / PRODUCT.granule / "MTD_TL.xml"
    tile.unlink()
    tile.symlink_to(outside / "MTD_TL.xml")


def with_item_link_out(folder, outside):
    (outside / "item.json").write_text(json.dumps(item_document("a", PRODUCT.sensed, {"blue": "./B02.tif"})))
    (folder / "item.json").symlink_to(outside / "item.json")


def test_a_link_out_is_not_even_looked_through(tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "archive" / "more").symlink_to(tmp_path / "empty")
    with pytest.raises(InputError, match=r"archive/more: leads out of"):
        searched(tmp_path / "archive", tmp_path)


@pytest.mark.parametrize("made", [with_link_out, with_file_link_out, with_item_link_out])
def test_links_lead_out_of_an_archive_only_where_the_configuration_names_a_folder_above(made, tmp_path):
    folder, outside = tmp_path / "data" / "archive", tmp_path / "data" / "outside"
    folder.mkdir(parents=True)
    outside.mkdir()
    made(folder, outside)
    with pytest.raises(InputError, match=r"leads out of .*archive; source\.root can name a folder above both"):
        searched(folder, tmp_path)
    assert len(searched(folder, tmp_path, root=str(tmp_path / "data"))) == 1


def test_links_within_an_archive_and_round_in_circles_find_nothing_twice(tmp_path):
    folder = tmp_path / "archive"
    product = write_safe(folder / "2020", PRODUCT, PIXELS)
    (folder / "latest.SAFE").symlink_to(product)
    (folder / "2020" / "again").symlink_to(folder)
    (folder / "readme").symlink_to("/etc/hostname")  # nothing that would be read
    assert [item.id for item in searched(folder, tmp_path)] == [PRODUCT.name]


def with_two(folder):
    write_safe(folder / "a", PRODUCT, PIXELS)
    write_safe(folder / "b", PRODUCT, PIXELS)


def with_deep_folders(folder):
    folder.joinpath(*"abcdefghijkl").mkdir(parents=True)


def with_broken_json(folder):
    (folder / "item.json").write_text('{"type": "Feature", ')


def with_empty_item(folder):
    (folder / "item.json").write_text('{"type": "Feature", "stac_version": "1.0.0", "id": "a", "assets": {}}')


def with_bad_address(folder):
    document = item_document("a", PRODUCT.sensed, {"blue": "./B02\0.tif"})
    (folder / "item.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (with_two, rf"b/{PRODUCT.name}.SAFE: holds {PRODUCT.name} as .*/a/{PRODUCT.name}.SAFE does; move one"),
        (with_deep_folders, "lies more than 10 folders below"),
        (with_broken_json, r"item\.json: Expecting property name.*; download the product again"),
        (with_empty_item, r"item\.json: is malformed \('properties'\); download"),
        (with_bad_address, r"item\.json: is malformed \(its address .* is none\)"),
        (lambda folder: (folder / f"{PRODUCT.name}.SAFE").mkdir(), r"MTD_MSIL2A\.xml: cannot be read \(No such file"),
        (lambda folder: (folder / PRODUCT.name).mkdir(), r"holds neither MTD_MSIL2A\.xml nor a STAC item"),
        (lambda folder: (folder / f"{PRODUCT.name}.zip").touch(), r"\.zip: is packed; unpack it or move it out"),
        (lambda folder: (folder / "tileInfo.json").write_text("[]"), "no scene over the AOI in 2020-2020"),
        (lambda folder: (folder / "S2A_MSIL1C_x.SAFE").mkdir(), "no scene over the AOI in 2020-2020"),
    ],
)
def test_what_cannot_be_read_is_never_left_out_in_silence(made, told, tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    made(folder)
    with pytest.raises((SourceError, InputError), match=told) as caught:
        searched(folder, tmp_path)
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_packed_product_beside_its_unpacked_one_is_no_error(tmp_path):
    write_safe(tmp_path / "archive", PRODUCT, PIXELS)
    (tmp_path / "archive" / f"{PRODUCT.name}.zip").touch()
    assert len(searched(tmp_path / "archive", tmp_path)) == 1


@pytest.mark.parametrize("url", ["https://archive.example/folder", "/nowhere/folder"])
def test_an_address_that_is_no_folder_is_told(url, tmp_path):
    with pytest.raises(InputError, match=r"no such folder; source\.kind archive reads one of this machine"):
        searched(url, tmp_path)


def stored(folder, tmp_path, **source):
    """What the store makes of the only product, in blue and classes."""
    config = config_of(folder, **source)
    line = opened_line(config.source, tmp_path / "line")
    (item,) = archive.search(footprint(), config, line)
    scene = Scene(item.id, item.datetime, item.platform, item.processing_baseline, item.relative_orbit, (item,))
    return fetch(Store(tmp_path / "evidence", line, archive.deliver), scene, GRID, ("blue", "scl"))


@pytest.mark.parametrize("evidence", ["copy", "reference"])
def test_a_product_is_kept_as_evidence_and_read_back_without_loss(evidence, tmp_path):
    write_safe(tmp_path / "archive" / "2020", PRODUCT, PIXELS)
    kept = stored(tmp_path / "archive", tmp_path, evidence=evidence)
    assert isinstance(kept, StoredScene)
    found = read_image(kept, GRID, ("blue",), Calibration(scale=1.0))
    np.testing.assert_array_equal(found.bands["blue"], PIXELS["B02"][0][40:60, 40:70])
    with rasterio.open(kept.bands[0][0].path) as dataset:
        assert dataset.nodata == (0 if evidence == "copy" else None)
    assert archive_root(str(tmp_path / "archive"), [kept]) == tmp_path / "archive"


@pytest.mark.parametrize("evidence", ["copy", "reference"])
def test_pixels_that_the_product_calls_no_data_are_none(evidence, tmp_path):
    pixels = PIXELS["B02"][0].copy()
    pixels[:50] = 0
    write_safe(tmp_path / "archive", PRODUCT, {**PIXELS, "B02": (pixels, FINE)})
    found = read_image(stored(tmp_path / "archive", tmp_path, evidence=evidence), GRID, ("blue",), Calibration(1.0))
    assert np.isnan(found.bands["blue"][:8]).all()
    assert np.isfinite(found.bands["blue"][12:]).all()


def unlink(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:200])


def disguise(path):
    path.write_text("<VRTDataset rasterXSize='1' rasterYSize='1'/>")


@pytest.mark.parametrize("evidence", ["copy", "reference"])
@pytest.mark.parametrize(
    ("spoil", "told"),
    [(unlink, "is not there"), (truncate, "has no stream of JPEG 2000"), (disguise, "has no stream of JPEG 2000")],
)
def test_a_broken_band_file_refuses_its_scene_by_name(spoil, told, evidence, tmp_path):
    folder = write_safe(tmp_path / "archive", PRODUCT, PIXELS, checksums=None)
    spoil(next(folder.rglob("*_B02_10m.jp2")))
    refused = stored(tmp_path / "archive", tmp_path, evidence=evidence)
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith(f"file T52SDG_20200501T020100_B02_10m.jp2 {told}")


@pytest.mark.parametrize("evidence", ["copy", "reference"])
@pytest.mark.parametrize("checksums", ["MD5", "SHA3-256"])
def test_a_file_that_is_decoded_into_other_pixels_is_told_by_its_checksum(checksums, evidence, tmp_path):
    folder = write_safe(tmp_path / "archive", PRODUCT, PIXELS, checksums)
    path = next(folder.rglob("*_B02_10m.jp2"))
    data = bytearray(path.read_bytes())
    assert isinstance(stored(tmp_path / "archive", tmp_path, evidence=evidence), StoredScene)
    shutil.rmtree(tmp_path / "evidence", ignore_errors=True)
    data[len(data) // 2 : len(data) // 2 + 20] = bytes(20)
    path.write_bytes(data)
    with rasterio.open(path) as dataset:
        assert (dataset.read(1) != PIXELS["B02"][0]).any()  # no error
    refused = stored(tmp_path / "archive", tmp_path, evidence=evidence)
    assert isinstance(refused, Refusal)
    assert refused.reason == f"file {path.name} is broken (differs from the checksum its provider gave)"


@pytest.mark.parametrize("evidence", ["copy", "reference"])
def test_a_band_file_outside_the_archive_is_not_read(evidence, tmp_path):
    """Its own folder is the limit, not the one above it."""
    folder = tmp_path / "archive"
    folder.mkdir()
    write_band(tmp_path / "B02.tif", PIXELS["B02"][0])
    write_band(folder / "SCL.tif", PIXELS["SCL"][0], resolution_m=20)
    document = item_document("a", PRODUCT.sensed, {"blue": "../B02.tif", "scl": "./SCL.tif"})
    (folder / "a.json").write_text(json.dumps(document))
    refused = stored(folder, tmp_path, evidence=evidence)
    assert isinstance(refused, Refusal)
    assert "B02.tif lies outside" in refused.reason
    assert isinstance(stored(folder, tmp_path, evidence=evidence, root=str(tmp_path)), StoredScene)


def test_the_file_of_a_downloaded_item_that_is_not_there_is_not_fetched(tmp_path):
    folder = tmp_path / "archive"
    folder.mkdir()
    address = "https://files.example/tiles/B02.tif?token=s3cret"
    document = item_document("a", PRODUCT.sensed, {"blue": address, "scl": "./SCL.tif"})
    (folder / "a.json").write_text(json.dumps(document))
    config = config_of(folder)
    line = opened_line(config.source, tmp_path / "line")
    (item,) = archive.search(footprint(), config, line)
    assert item.assets["blue"].href == str(folder / "B02.tif")
    with pytest.raises(SceneRefusedError, match=r"file B02\.tif is not there"):
        list(archive.deliver(item, ("blue",), GRID, line))
    assert line.ledger.spent().requests == 0


def test_a_configuration_names_the_folder_relative_to_itself(tmp_path):
    (tmp_path / "config.yaml").write_text("source: {kind: archive, url: products}\n")
    source = read_config(tmp_path / "config.yaml").source
    assert (source.url, source.root, source.sign_url) == (str(tmp_path / "products"), None, None)
    (tmp_path / "config.yaml").write_text("source: {kind: archive, url: products, preset: cdse}\n")
    with pytest.raises(InputError, match=r"archives known by name are for source\.kind = 'stac'"):
        read_config(tmp_path / "config.yaml")


def as_safe(folder, item_file):
    """Write a simulated item as a SAFE product of the same pixels; SAFE has no word for simulated."""
    document = json.loads(item_file.read_text())
    properties = document["properties"]
    offset = document["assets"]["B02"]["raster:bands"][0]["offset"]
    baseline = properties["s2:processing_baseline"]
    bands = {}
    for band in document["assets"]:
        with rasterio.open(item_file.parent / f"{band}.tif") as dataset:
            bands[band] = (dataset.read(1), dataset.transform)
    product = SafeProduct(
        sensed=properties["datetime"],
        tile=properties["s2:mgrs_tile"],
        epsg=int(properties["proj:code"].removeprefix("EPSG:")),
        outline=shape(document["geometry"]),
        platform=properties["platform"],
        baseline=baseline,
        orbit=properties["sat:relative_orbit"],
        cloud_percent=properties["eo:cloud_cover"],
        offset_dn=round(offset * 10_000) if offset or baseline >= "04.00" else None,
    )
    return write_safe(folder, product, bands)


def without_names(rows):
    """Rows but for what is the archive's own: names and hashes of its files."""
    return [dataclasses.replace(row, **dict.fromkeys({"scene_id", "sha256"} & vars(row).keys(), "")) for row in rows]


@pytest.mark.slow
def test_a_year_of_safe_products_gives_the_numbers_of_the_same_pixels_in_a_catalogue(port, small, tmp_path):
    year = PORT_YEARS[0]
    for item_file in sorted(port.glob(f"S2*_MSIL2A_{year}*/*.json")):
        as_safe(tmp_path / "products", item_file)
    aoi_alone(port, "sim-port", tmp_path / "aoi")
    config = {
        "source": {"kind": "archive", "url": "products"},
        "years": {"first": year, "last": year},
        "out": "results",
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = call("run", "--config", tmp_path / "config.yaml")
    assert done.returncode == 0, done.stderr
    found, wanted = (
        read_tables(Path(folder) / "results" / "sim-port" / "sim-port.gpkg") for folder in (tmp_path, small)
    )
    assert len(wanted["measurements"]) > 10
    assert any(row.value > 0 for row in wanted["measurements"] if row.metric == "stockpile_area_m2")
    for name in wanted:
        if name != "run":
            assert without_names(found[name]) == without_names(wanted[name]), name
    assert call("verify", tmp_path / "results").returncode == 0
    again = call("run", "--config", tmp_path / "config.yaml")
    assert "up to date" in again.stdout + again.stderr
    # A product that is changed where it lies is told.
    touched = next((tmp_path / "products").rglob("*_B02_10m.jp2"))
    touched.write_bytes(touched.read_bytes() + b"\0")
    told = call("verify", tmp_path / "results")
    assert told.returncode == 1
    assert touched.name in told.stdout + told.stderr
