"""The evidence store against a provider on loopback that fails in every way real ones do."""

import datetime as dt
import errno
import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from servers import COLLECTION, EPSG, LEFT, TOKEN, TOP, FileServer, opened_line, write_archive, write_band

from pipeline import evidence, ranges, remote, store
from pipeline.config import Config, SourceConfig
from pipeline.errors import BudgetError, ProductError, SourceError
from pipeline.imagery import Refusal, Scene, StoredScene
from pipeline.pixels import read_raw
from pipeline.sources import stac
from pipeline.sources._items import read_item
from pipeline.store import Store, copying, fetch
from pipeline.types import Grid

GRID = Grid(EPSG, LEFT + 400, TOP - 400, 30, 20)
BANDS = ("blue", "red", "swir16", "scl")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three items with pixels, as a static catalogue; do not write into it."""
    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder, 3)
    return folder


@pytest.fixture
def server(archive, monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.01)
    with FileServer(archive) as running:
        yield running


@pytest.fixture
def local(tmp_path):
    """Write an archive of one item of the test's own, which may be broken."""
    write_archive(tmp_path / "own", 1)
    return tmp_path / "own"


def band_file(folder, code):
    return min(folder.glob(f"S2A*/{code}.tif"))


def config_of(url, **source):
    values = {"sign_url": None, "timeout_s": 2.0, "retries": 1, "patience_s": 20.0, "evidence": "copy", **source}
    return Config(source=SourceConfig(url=str(url), **values))


def scene_of(folder, number=0, base=None):
    """Scene of an item of an archive, its files below ``base`` (an address) or where they lie."""
    path = sorted(folder.glob("S2A*/*.json"))[number]
    text = path.read_text().replace('"./', f'"{base or folder}/{path.parent.name}/')
    item = read_item(json.loads(text), COLLECTION)
    return Scene(item.id, item.datetime, item.platform, item.processing_baseline, None, (item,))


def store_in(tmp_path, config):
    return Store(tmp_path / "evidence", opened_line(config.source, tmp_path), stac.deliver)


def from_server(server, tmp_path, number=0, **source):
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json", **source))
    return fetch(where, scene_of(server.root, number, server.url), GRID, BANDS)


def from_files(folder, tmp_path, **source):
    where = store_in(tmp_path, config_of(folder / "catalog.json", **source))
    return fetch(where, scene_of(folder), GRID, BANDS)


def left_in(folder):
    """Every finished version of a store."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).glob("*/*/*/v*"))


# --- copying -----------------------------------------------------------------------------------------------------


def test_the_window_is_copied_as_delivered_with_its_hash_and_request(server, tmp_path):
    stored = from_server(server, tmp_path)
    assert isinstance(stored, StoredScene)
    assert stored.fetched == 4
    item = stored.scene.items[0]
    for band in stored.bands[0]:
        code = {"blue": "B02", "red": "B04", "swir16": "B11", "scl": "SCL"}[band.band]
        step = 20 if code in {"B11", "SCL"} else 10
        with rasterio.open(server.root / item.id / f"{code}.tif") as there, rasterio.open(band.path) as here:
            # By hand: the grid begins 400 m from the file's corner and 60 m more are kept on every side.
            window = Window(340 // step, 340 // step, (300 + 120) // step, (200 + 120) // step)
            np.testing.assert_array_equal(here.read(1), there.read(1, window=window))
            assert here.dtypes == there.dtypes
            assert here.crs == there.crs
            assert (here.transform.c, here.transform.f) == (LEFT + 340, TOP - 340)
            assert here.nodata == 0
        data = Path(band.path).read_bytes()
        assert (band.sha256, band.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert (band.href, band.evidence) == (f"{server.url}/{item.id}/{code}.tif", "copy")
    record = json.loads((Path(stored.bands[0][0].path).parent / "record.json").read_text())
    assert record["item"] == item.document
    assert record["files"]["blue.tif"]["sha256"] == stored.bands[0][0].sha256
    assert record["window"] == {"epsg": EPSG, "bounds_m": list(GRID.bounds), "margin_m": 60.0}


def test_a_copy_reads_back_as_the_file_it_comes_from(server, tmp_path):
    copied = read_raw(from_server(server, tmp_path), GRID, BANDS)
    referenced = read_raw(from_files(server.root, tmp_path, evidence="reference"), GRID, BANDS)
    assert list(copied) == list(referenced)
    for band in copied:
        np.testing.assert_array_equal(copied[band], referenced[band])


def test_what_is_in_the_store_is_not_fetched_again(server, tmp_path):
    first = from_server(server, tmp_path)
    assert len(server.requests) <= 4 * 3  # head, header, data
    server.requests.clear()
    again = from_server(server, tmp_path)
    assert server.requests == []
    assert (again.bands, again.fetched) == (first.bands, 0)


def test_the_same_pixels_give_the_same_bytes(server, tmp_path):
    hashes = {from_server(server, tmp_path / str(run)).sha256s for run in range(2)}
    assert len(hashes) == 1


def test_a_float_archive_is_copied_as_it_is(local, tmp_path):
    pixels = np.random.default_rng(3).normal(0.1, 0.05, (120, 120)).astype(np.float32)
    write_band(band_file(local, "B04"), pixels, nodata=np.nan)
    stored = from_files(local, tmp_path)
    with rasterio.open(stored.bands[0][1].path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), pixels[34:66, 34:76])
        assert np.isnan(dataset.nodata)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"


def test_another_window_of_an_item_is_kept_beside(server, tmp_path):
    from_server(server, tmp_path)
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    other = Grid(EPSG, LEFT + 400, TOP - 400, 40, 20)
    assert fetch(where, scene_of(server.root, 0, server.url), other, BANDS).fetched == 4
    assert len(left_in(tmp_path / "evidence")) == 2


def test_a_local_archive_can_be_copied(archive, tmp_path):
    stored = from_files(archive, tmp_path)
    assert stored.fetched == 4
    assert all(str(tmp_path) in band.path for band in stored.bands[0])


def test_a_local_archive_is_referenced_where_it_lies(archive, tmp_path):
    stored = from_files(archive, tmp_path, evidence=None)
    assert stored.fetched == 0
    assert not (tmp_path / "evidence").exists()
    for band in stored.bands[0]:
        path = Path(band.path)
        assert path.is_relative_to(archive)
        assert band.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert band.evidence == "reference"


@pytest.mark.parametrize(
    ("evidence", "url", "wanted"),
    [(None, "catalog.json", False), (None, "https://a.b/stac", True), ("copy", "catalog.json", True),
     ("reference", "https://a.b/stac", False)],
)  # fmt: skip
def test_pixels_are_copied_from_afar_and_referenced_nearby_unless_told(evidence, url, wanted):
    assert copying(config_of(url, evidence=evidence).source) is wanted


# --- tokens ------------------------------------------------------------------------------------------------------


def test_a_read_token_is_asked_once_used_and_written_nowhere(server, tmp_path, capfd):
    server.token = TOKEN
    sign_url = f"{server.url}/token"
    for number in range(3):
        assert from_server(server, tmp_path, number, sign_url=sign_url).fetched == 4
    assert len(server.asked("/token/")) == 1
    assert server.asked("/token/")[0][1] == f"/token/{COLLECTION}"
    assert {request[4] for request in server.requests} <= {200, 206}
    written = b"".join(path.read_bytes() for path in (tmp_path / "evidence").rglob("*") if path.is_file())
    assert b"s3cret" not in written
    assert b"record" not in written
    assert b"sha256" in written
    assert "s3cret" not in "".join(capfd.readouterr())


def test_errors_do_not_tell_the_token(server, tmp_path):
    server.token = TOKEN
    server.fail("B04.tif", 503)
    with pytest.raises(SourceError) as caught:
        from_server(server, tmp_path, sign_url=f"{server.url}/token")
    assert "B04.tif" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_addresses_signed_by_the_provider_are_kept_without_their_signature(server, tmp_path):
    scene = scene_of(server.root, 0, server.url)
    text = json.dumps(scene.items[0].document).replace(".tif", ".tif?X-Amz-Signature=s3cret")
    item = read_item(json.loads(text), COLLECTION)
    signed = Scene("s", scene.datetime, None, None, None, (item,))
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    stored = fetch(where, signed, GRID, BANDS)
    assert all("X-Amz-Signature=s3cret" in request[2] for request in server.requests)
    record = (Path(stored.bands[0][0].path).parent / "record.json").read_text()
    assert "s3cret" not in record
    assert "s3cret" not in repr(stored.bands)
    assert "B04.tif" in record


def test_without_a_token_the_site_fails_and_may_be_run_again(server, tmp_path):
    server.token = TOKEN
    with pytest.raises(SourceError, match=r"\.tif: is refused \(403\); run again later"):
        from_server(server, tmp_path)


def test_no_token_to_be_had_is_told(server, tmp_path):
    server.fail("/token/", 503)
    with pytest.raises(SourceError, match=rf"/token/{COLLECTION}: cannot be read now \(503 .*\); run again later"):
        from_server(server, tmp_path, sign_url=f"{server.url}/token", timeout_s=2.5)


# --- failures that pass ------------------------------------------------------------------------------------------


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.fail("B04.tif", 503, times=2)
    server.fail("B02.tif", 429, times=1)
    assert from_server(server, tmp_path, retries=4).fetched == 4
    asked = server.asked("B04.tif")
    assert [request[4] for request in asked].count(503) == 2
    # The window was asked for again, not the whole file in its place.
    assert all(request[3] for request in asked if request[0] == "GET")


@pytest.mark.parametrize("status", [503, 429, 500, 502, 504])
def test_a_server_that_stays_busy_fails_the_site_soon(server, tmp_path, status):
    server.fail("B04.tif", status)
    started = time.monotonic()
    with pytest.raises(SourceError, match=rf"B04\.tif: cannot be read now \({status} .*\); run again later$"):
        from_server(server, tmp_path, retries=2)
    assert time.monotonic() - started < 5
    assert len(server.asked("B04.tif")) <= 12
    assert left_in(tmp_path / "evidence") == []


def test_what_failed_once_is_had_by_the_same_process_later(server, tmp_path):
    """GDAL alone would say from memory that the file is not there."""
    server.fail("B04.tif", 503)
    with pytest.raises(SourceError):
        from_server(server, tmp_path)
    server.faults.clear()
    # The other bands came the first time and were kept.
    assert from_server(server, tmp_path).fetched == 1


def test_a_server_that_asks_for_an_hour_is_not_waited_for(server, tmp_path):
    server.fail("B04.tif", 503, retry_after="3600")
    started = time.monotonic()
    with pytest.raises(SourceError):
        from_server(server, tmp_path, timeout_s=1.0)
    assert time.monotonic() - started < 8


def test_a_server_that_never_answers_is_given_up(server, tmp_path):
    server.fail("B04.tif", slow_s=3.0)
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"B04\.tif: cannot be read now \(timed out\); run again later$"):
        from_server(server, tmp_path, timeout_s=0.3, retries=0)
    assert time.monotonic() - started < 5


def test_a_server_that_is_not_there_fails_the_site(server, tmp_path, archive):
    scene = scene_of(archive, 0, "http://127.0.0.1:9")
    where = store_in(tmp_path, config_of("http://127.0.0.1:9/catalog.json"))
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9/.*B02\.tif: cannot be read now"):
        fetch(where, scene, GRID, BANDS)


def test_a_body_cut_off_on_its_way_is_no_broken_file(server, tmp_path):
    """Half of what was announced: the file may be whole, so the scene must not be refused for good."""
    server.fail("B04.tif", truncated=True)
    with pytest.raises(SourceError, match=r"B04\.tif: cannot be read now"):
        from_server(server, tmp_path)
    server.faults.clear()
    server.fail("B04.tif", truncated=True, times=2)
    assert from_server(server, tmp_path, retries=3).fetched == 1


def test_a_server_without_ranges_is_read_all_the_same(server, tmp_path):
    server.ranges = False
    plain = from_server(server, tmp_path / "a")
    server.ranges = True
    assert plain.sha256s == from_server(server, tmp_path / "b").sha256s
    assert left_in(tmp_path / "a/evidence") == left_in(tmp_path / "b/evidence")


@pytest.mark.parametrize("limit", ["FILE_BYTES", "_MOST_BYTES"])
def test_a_file_larger_than_any_scene_does_not_fill_the_disk(server, tmp_path, monkeypatch, limit):
    server.ranges = limit == "_MOST_BYTES"
    monkeypatch.setattr(ranges, limit, 1000)
    monkeypatch.setattr(ranges, "_HEAD_BYTES", 16)
    server.lengths = False
    if server.ranges:
        assert from_server(server, tmp_path).reason.endswith("more than any scene")
    else:
        with pytest.raises(SourceError, match="sends more than the 1,000 bytes expected of it"):
            from_server(server, tmp_path)
    assert left_in(tmp_path / "evidence") == []


# --- failures for good -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_not_there_refuses_the_scene(server, tmp_path, status):
    server.fail("B04.tif", status)
    refused = from_server(server, tmp_path)
    assert isinstance(refused, Refusal)
    assert refused.reason == f"file B04.tif is not there ({status})"
    assert refused.scene_id == scene_of(server.root).scene_id
    assert left_in(tmp_path / "evidence") == []


@pytest.mark.parametrize("kept", [0, 3, 300, 2000, -500])
@pytest.mark.parametrize("how", ["http", "copy", "reference"])
def test_a_truncated_file_refuses_the_scene(local, tmp_path, how, kept, monkeypatch):
    path = band_file(local, "B04")
    path.write_bytes(path.read_bytes()[:kept])
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.01)
    if how == "http":
        with FileServer(local) as server:
            refused = from_server(server, tmp_path)
    else:
        refused = from_files(local, tmp_path, evidence=how)
    assert isinstance(refused, Refusal)
    no_place = "file B04.tif has no coordinate system"
    assert refused.reason.startswith(no_place if kept == 300 else "file B04.tif is broken (")
    assert "See previous exception" not in refused.reason
    assert "\n" not in refused.reason
    assert left_in(tmp_path / "evidence") == []


def test_something_else_than_a_raster_refuses_the_scene(local, tmp_path, server):
    band_file(local, "B04").write_text("<html>Service moved</html>")
    assert from_files(local, tmp_path).reason.startswith("file B04.tif is broken (")


def test_a_missing_band_refuses_the_scene_unless_another_may_stand_in(archive, tmp_path):
    where = store_in(tmp_path, config_of(archive / "catalog.json"))
    refused = fetch(where, scene_of(archive), GRID, ("blue", "nir08"))
    assert refused.reason.startswith("band nir08 is missing (source.band_substitutes")
    config = config_of(archive / "catalog.json", band_substitutes={"nir08": "swir16"})
    stored = fetch(store_in(tmp_path, config), scene_of(archive), GRID, ("blue", "nir08"))
    assert [band.band for band in stored.bands[0]] == ["blue", "nir08"]
    assert stored.bands[0][1].href.endswith("B11.tif")


def test_a_band_fetched_in_place_of_another_is_not_taken_for_it_later(archive, tmp_path):
    def with_substitute(band):
        config = config_of(archive / "catalog.json", band_substitutes={"nir08": band})
        return fetch(store_in(tmp_path, config), scene_of(archive), GRID, ("blue", "nir08"))

    first, second = with_substitute("swir16"), with_substitute("red")
    assert [stored.bands[0][1].href[-7:] for stored in (first, second)] == ["B11.tif", "B04.tif"]
    assert (first.version, second.version, second.fetched) == (1, 1, 2)
    assert with_substitute("swir16").sha256s == first.sha256s


def test_classes_may_be_missing(archive, tmp_path):
    scene = scene_of(archive)
    del scene.items[0].assets["scl"]
    where = store_in(tmp_path, config_of(archive / "catalog.json"))
    assert [band.band for band in fetch(where, scene, GRID, BANDS).bands[0]] == ["blue", "red", "swir16"]


@pytest.mark.parametrize("evidence", ["copy", "reference"])
def test_bands_in_different_coordinate_systems_refuse_the_scene(local, tmp_path, evidence):
    pixels = np.ones((100, 100), np.uint16)
    write_band(band_file(local, "B11"), pixels, resolution_m=20, epsg=32651, left=LEFT + 520_400, top=TOP + 11_000)
    refused = from_files(local, tmp_path, evidence=evidence)
    assert refused.reason == "file B02.tif is in EPSG:32652, file B11.tif in EPSG:32651"
    assert from_files(local, tmp_path, evidence=evidence).reason == refused.reason


@pytest.mark.parametrize("evidence", ["copy", "reference"])
def test_a_file_that_does_not_reach_the_aoi_refuses_the_scene(local, tmp_path, evidence):
    write_band(band_file(local, "B04"), np.ones((120, 120), np.uint16), left=LEFT + 3000)
    assert from_files(local, tmp_path, evidence=evidence).reason == "file B04.tif does not reach the AOI"


def test_a_file_of_a_local_archive_that_is_gone_refuses_the_scene(local, tmp_path):
    band_file(local, "B04").unlink()
    assert from_files(local, tmp_path, evidence="reference").reason.startswith("file B04.tif is not there (")
    assert from_files(local, tmp_path, evidence="copy").reason == "file B04.tif is not there"


def test_a_local_disk_that_fails_is_no_broken_file(archive, tmp_path, monkeypatch):
    def stale(path):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(store, "sha256_file", stale)
    with pytest.raises(SourceError, match=r"B02\.tif: cannot be read now \(Stale file handle\); run again later"):
        from_files(archive, tmp_path, evidence="reference")


# --- addresses and names -----------------------------------------------------------------------------------------

_DANGEROUS = [
    "/vsizip//tmp/a.zip/B04.tif", "/vsicurl/http://127.0.0.1:9/B04.tif", "/vsisubfile/0_9,/etc/passwd.tif",
    "relative/B04.tif",
    "vrt:///etc/passwd.tif", "zip:///tmp/a.zip!B04.tif", "file:///etc/passwd", "file:///etc/passwd.tif", "ftp://a.b/B04.tif",
    "s3://bucket/B04.tif", "GTIFF_DIR:1:/etc/passwd.tif", "<VRTDataset><A>B04.tif</A></VRTDataset>", "http:///B04.tif",
    "http://a.b/<B04.tif", "https://a.b/x y.tif", "gopher://a.b/B04.tif", "data:image/tif;base64,AAAA.tif", "",
]  # fmt: skip


@pytest.mark.parametrize("href", _DANGEROUS)
@pytest.mark.parametrize("url", ["https://a.b/stac", "catalog.json"])
def test_addresses_of_anything_but_one_file_are_refused(href, url, archive, tmp_path):
    item = scene_of(archive).items[0]
    asset = item.assets["blue"]
    item.assets["blue"] = type(asset)("blue", href)
    where = store_in(tmp_path, config_of(url))
    refused = fetch(where, Scene("s", item.datetime, None, None, None, (item,)), GRID, ("blue",))
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith("address ")
    assert refused.reason.endswith("is neither http(s) nor a path")


def test_a_catalogue_from_the_network_names_no_file_of_this_machine(archive, tmp_path):
    where = store_in(tmp_path, config_of("https://a.b/stac"))
    refused = fetch(where, scene_of(archive), GRID, BANDS)
    assert refused.reason.endswith("B02.tif is a local path, which a remote catalogue may not name")


def test_a_remote_file_cannot_be_referenced(archive, tmp_path):
    config = config_of(archive / "catalog.json", evidence="reference")
    refused = fetch(store_in(tmp_path, config), scene_of(archive, 0, "https://a.b"), GRID, BANDS)
    assert refused.reason.endswith("B02.tif is remote and cannot be referenced; set source.evidence: copy")


@pytest.mark.parametrize("target", ["file://{path}", "/B04.tif.html", "gopher://127.0.0.1/B04.tif"])
def test_a_redirect_leads_to_no_local_file(server, tmp_path, target):
    path = band_file(server.root, "B04")
    server.fail("B04.tif", 302, location=target.format(path=path))
    found = None
    try:
        found = from_server(server, tmp_path)
    except SourceError as error:
        assert "B04.tif" in str(error)  # noqa: PT017 - either end is right, pixels are not
    assert found is None or isinstance(found, Refusal)
    assert left_in(tmp_path / "evidence") == []


def test_a_virtual_raster_called_tif_is_refused(local, tmp_path):
    band_file(local, "B04").write_text(
        f'<VRTDataset rasterXSize="120" rasterYSize="120"><VRTRasterBand dataType="UInt16" band="1"><SimpleSource>'
        f"<SourceFilename>{band_file(local, 'B02')}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    for kept in ("copy", "reference"):
        assert from_files(local, tmp_path, evidence=kept).reason.startswith("file B04.tif is broken (")


@pytest.mark.parametrize(
    "name", ["../../escape", "/etc/cron.d/x", "..", ".hidden", "a/b", "a\\b", "a\0b", "x" * 300, ""]
)
@pytest.mark.parametrize("field", ["id", "collection"])
def test_a_name_that_leads_out_of_the_store_is_refused(name, field, archive, tmp_path):
    item = scene_of(archive).items[0]
    object.__setattr__(item, field, name)
    where = store_in(tmp_path, config_of(archive / "catalog.json"))
    refused = fetch(where, Scene("s", item.datetime, None, None, None, (item,)), GRID, BANDS)
    assert refused.reason.endswith("cannot be that of a folder")
    assert [path.name for path in tmp_path.iterdir()] == ["traffic"]


# --- what is stored ----------------------------------------------------------------------------------------------


def bytes_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40] + bytes(40)), "differs from the hash recorded"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "differs from the hash recorded"),
        (lambda path: path.unlink(), "cannot be read (No such file"),
    ],
)
def test_a_broken_copy_is_fetched_again_put_back_and_told(server, tmp_path, damage, said):
    first = from_server(server, tmp_path)
    whole = bytes_in(tmp_path / "evidence")
    damage(Path(first.bands[0][1].path))
    again = from_server(server, tmp_path)
    assert (again.bands, again.version) == (first.bands, 1)
    assert len(again.notes) == 1
    assert again.notes[0].startswith(f"{first.bands[0][1].path}: {said}")
    assert again.notes[0].endswith("; it was fetched again")
    assert bytes_in(tmp_path / "evidence") == whole
    assert from_server(server, tmp_path).notes == ()


def test_a_broken_copy_is_never_trusted_when_it_cannot_be_fetched_again(server, tmp_path):
    path = Path(from_server(server, tmp_path).bands[0][1].path)
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    server.fail(".tif", 503)
    with pytest.raises(SourceError, match="cannot be read now"):
        from_server(server, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"files": {}}', '{"files": {"red.tif": 1}}'])
def test_a_record_that_cannot_be_read_is_set_aside_and_told(archive, tmp_path, text):
    folder = Path(from_files(archive, tmp_path).bands[0][0].path).parent
    (folder / "record.json").write_text(text)
    again = from_files(archive, tmp_path)
    assert again.version == 2
    assert "record.json: cannot be read" in again.notes[0]
    assert [path.name[:13] for path in sorted(folder.parent.glob("v*"))] == ["v1.unreadable", "v2"]
    assert from_files(archive, tmp_path).version == 2


def changed(folder, number, **properties):
    """Scene of a server whose item says that it was made anew."""
    scene = scene_of(folder.root, number, folder.url)
    document = json.loads(json.dumps(scene.items[0].document))
    document["properties"].update(properties)
    item = read_item(document, COLLECTION)
    return Scene(item.id, item.datetime, item.platform, item.processing_baseline, None, (item,))


def test_pixels_the_provider_has_changed_are_a_second_version_beside_the_first(local, tmp_path):
    with FileServer(local) as server:
        where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
        first = fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS)
        before = bytes_in(tmp_path / "evidence")
        write_band(band_file(local, "B04"), np.full((120, 120), 777, np.uint16))
        # The same description: what is kept stands, and nothing is asked.
        server.requests.clear()
        assert fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS) == replace(
            first, fetched=0, requests=0, received_bytes=0
        )
        assert server.requests == []
        second = fetch(where, changed(server, 0, updated="2026-01-01T00:00:00Z"), GRID, BANDS)
        assert (first.version, second.version, second.fetched) == (1, 2, 4)
        assert [a != b for a, b in zip(first.sha256s, second.sha256s, strict=True)] == [False, True, False, False]
        after = bytes_in(tmp_path / "evidence")
        assert {path: after[path] for path in before} == before
        assert (read_raw(second, GRID, ("red",))["red"] == 777).all()
        # Each description gets its own pixels, without a request.
        server.requests.clear()
        old = fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS)
        new = fetch(where, changed(server, 0, updated="2026-01-01T00:00:00Z"), GRID, BANDS)
        assert (old.bands, new.bands, server.requests) == (first.bands, second.bands, [])


def test_a_new_description_of_the_same_pixels_is_no_new_version(server, tmp_path):
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    first = fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS)
    again = fetch(where, changed(server, 0, updated="2026-01-01T00:00:00Z"), GRID, BANDS)
    assert (again.version, again.bands, again.fetched) == (1, first.bands, 4)
    server.requests.clear()
    assert fetch(where, changed(server, 0, updated="2026-01-01T00:00:00Z"), GRID, BANDS).fetched == 0
    assert server.requests == []
    noted = [json.loads(path.read_text()) for path in (tmp_path / "evidence").rglob("described/*.json")]
    assert [(n["version"], n["item"]["properties"]["updated"]) for n in noted] == [(1, "2026-01-01T00:00:00Z")]


@pytest.mark.parametrize("what", ["baseline", "size", "checksum", "address", "made"])
def test_whatever_tells_of_another_making_has_the_scene_fetched_again(server, tmp_path, what):
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS)
    scene = scene_of(server.root, 0, server.url)
    (item,) = scene.items
    asset = item.assets["red"]
    red = {
        "size": replace(asset, size_bytes=123), "checksum": replace(asset, checksum="1220" + "ab" * 32),
        "address": replace(asset, href=asset.href.replace("/B04", "//B04")),
    }.get(what, asset)  # fmt: skip
    item = replace(item, assets={**item.assets, "red": red})
    if what == "baseline":
        item = replace(item, processing_baseline="05.12")
    if what == "made":
        item = changed(server, 0, **{"s2:generation_time": "2026-01-01T00:00:00Z"}).items[0]
    assert fetch(where, replace(scene, items=(item,)), GRID, BANDS).fetched == 4


def test_a_changed_offset_or_scale_is_no_change_of_pixels(server, tmp_path):
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS)
    scene = scene_of(server.root, 0, server.url)
    assets = {band: replace(asset, offset=-0.1, scale=1e-4) for band, asset in scene.items[0].assets.items()}
    again = fetch(where, replace(scene, items=(replace(scene.items[0], assets=assets),)), GRID, BANDS)
    assert again.fetched == 0
    assert {band.offset for band in again.bands[0]} == {-0.1}


def test_a_smaller_window_is_cut_from_a_larger_one_and_has_the_same_bytes(server, tmp_path):
    small = Grid(EPSG, LEFT + 500, TOP - 460, 12, 9)
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    larger = fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS)
    server.requests.clear()
    cut = fetch(where, scene_of(server.root, 0, server.url), small, BANDS)
    assert (server.requests, cut.fetched) == ([], 0)
    direct = fetch(
        store_in(tmp_path / "other", config_of(f"{server.url}/catalog.json")),
        scene_of(server.root, 0, server.url), small, BANDS,
    )  # fmt: skip
    assert cut.sha256s == direct.sha256s
    record = json.loads((Path(cut.bands[0][0].path).parent / "record.json").read_text())
    assert record["files"]["blue.tif"]["request"] == {
        "cut_from": f"{Path(larger.bands[0][0].path).parent.parent.name}/v1/blue.tif",
        "sha256": larger.bands[0][0].sha256,
    }


def test_nothing_is_cut_from_a_broken_window(server, tmp_path):
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    path = Path(fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS).bands[0][2].path)
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    small = Grid(EPSG, LEFT + 500, TOP - 460, 12, 9)
    assert fetch(where, scene_of(server.root, 0, server.url), small, BANDS).fetched == 4


def test_the_record_says_how_the_pixels_came(server, tmp_path):
    stored = from_server(server, tmp_path)
    record = json.loads((Path(stored.bands[0][1].path).parent / "record.json").read_text())
    red = record["files"]["red.tif"]
    url = f"{server.url}/{stored.scene.scene_id}/B04.tif"
    assert red["href"] == url
    assert (red["request"]["method"], red["request"]["url"]) == ("GET", url)
    size = (server.root / stored.scene.scene_id / "B04.tif").stat().st_size
    assert all(0 <= first < last <= size for first, last in red["request"]["ranges"])
    assert {"content-range", "date", "server"} <= set(red["response"])
    assert dt.datetime.fromisoformat(red["fetched"]).tzinfo is not None
    assert red["bytes_received"] == sum(last - first for first, last in red["request"]["ranges"])
    assert stored.requests == len(server.requests)
    assert stored.received_bytes == sum(f["bytes_received"] for f in record["files"].values())


@pytest.mark.parametrize(("own", "archives", "kept"), [("CC-BY-4.0", "terms", "CC-BY-4.0"), (None, "terms", "terms")])
def test_the_record_has_the_licence_of_the_item_or_else_of_the_archive(archive, tmp_path, own, archives, kept):
    scene = scene_of(archive)
    where = replace(store_in(tmp_path, config_of(archive / "catalog.json")), licence=archives)
    stored = fetch(where, replace(scene, items=(replace(scene.items[0], licence=own),)), GRID, BANDS)
    assert json.loads((Path(stored.bands[0][0].path).parent / "record.json").read_text())["licence"] == kept


def test_an_interruption_keeps_what_came_and_the_next_run_fetches_the_rest(server, tmp_path, monkeypatch):
    from_server(server, tmp_path, 0)
    before = bytes_in(tmp_path / "evidence")
    real, calls = evidence.geotiff, []

    def interrupted(part):
        calls.append(part)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(part)

    with monkeypatch.context() as patch:
        patch.setattr(evidence, "geotiff", interrupted)
        with pytest.raises(KeyboardInterrupt):
            from_server(server, tmp_path, 1)
    left = bytes_in(tmp_path / "evidence")
    assert {path: left[path] for path in before} == before
    assert len(left_in(tmp_path / "evidence")) == 1
    assert from_server(server, tmp_path, 1).fetched == 2
    assert from_server(server, tmp_path, 0).fetched == 0
    assert list((tmp_path / "evidence").rglob(".part-*")) == []


def test_half_of_a_file_left_by_a_killed_process_is_fetched_again(server, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(evidence.Fetching, "finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            from_server(server, tmp_path)
    (red,) = (tmp_path / "evidence").rglob("red.tif")
    red.write_bytes(red.read_bytes()[:100])
    assert from_server(server, tmp_path).fetched == 1
    assert from_server(server, tmp_path / "plain").sha256s == from_server(server, tmp_path).sha256s


def test_a_fetch_nobody_went_on_with_is_swept_after_a_week(server, tmp_path):
    stored = from_server(server, tmp_path)
    window = Path(stored.bands[0][0].path).parent.parent
    fresh, old = (window / f".part-{name}" for name in ("fresh", "old"))
    for left in (fresh, old):
        (left / "records").mkdir(parents=True)
    os.utime(old, (0, 0))
    fetch(store_in(tmp_path, config_of(f"{server.url}/catalog.json")), changed(server, 0, updated="x"), GRID, BANDS)
    assert [path.name for path in window.glob(".part-*")] == [".part-fresh"]


def test_a_budget_ends_a_fetch_and_what_came_is_kept(server, tmp_path):
    with pytest.raises(BudgetError, match=r"source\.max_bytes = 30,000: .*; what was fetched is kept"):
        from_server(server, tmp_path, max_bytes=30_000, max_concurrent=1)
    assert len(server.requests) > 0
    again = from_server(server, tmp_path)
    assert 0 < again.fetched < 4
    assert again.sha256s == from_server(server, tmp_path / "other").sha256s


def test_two_workers_that_want_the_same_fetch_it_once(server, tmp_path):
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(fetch, where, scene_of(server.root, 0, server.url), GRID, BANDS) for _ in range(4)]
        found = [job.result() for job in jobs]
    assert sorted(stored.fetched for stored in found) == [0, 0, 0, 4]
    assert len({stored.sha256s for stored in found}) == 1


@pytest.mark.parametrize(("where", "lacking"), [("open", 4), ("replace", 4), ("rename", 0)])
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing_half(archive, tmp_path, monkeypatch, where, lacking):
    real = getattr(Path, where)

    def full(self, *arguments, **options):
        if "evidence" in str(self) and self.name != ".lock":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, where, full)
        with pytest.raises(ProductError) as caught:
            from_files(archive, tmp_path)
    assert "cannot be written (No space left on device); free disk space" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path / "evidence") == []
    assert from_files(archive, tmp_path).fetched == lacking


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_the_pixels_are_written_so_that_a_full_disk_is_noticed(archive, tmp_path, monkeypatch):
    """A device that is always full, in place of the file: rasterio itself would close it without a word."""
    real = Path.open

    def full(self, *arguments, **options):
        return real(Path("/dev/full") if self.name == ".red.tif.new" else self, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(ProductError, match="No space left on device"):
        from_files(archive, tmp_path)
    assert left_in(tmp_path / "evidence") == []


def test_a_store_that_may_not_be_written_is_told(archive, tmp_path):
    (tmp_path / "evidence").write_text("a file where the folder should be")
    with pytest.raises(ProductError, match=r"cannot be written \(.*\); free disk space, make it writable or choose"):
        from_files(archive, tmp_path)


# --- versions of one description ---------------------------------------------------------------------------------


def planted(version, name="v2", **more):
    """Put a version beside another: the same description, other pixels, and a record that agrees with them."""
    made = version.with_name(name)
    shutil.copytree(version, made)
    with rasterio.open(made / "red.tif", "r+") as dataset:
        dataset.write(dataset.read(1) + 500, 1)
    record = json.loads((made / "record.json").read_text()) | more
    record["files"]["red.tif"]["sha256"] = evidence.sha256_file(made / "red.tif")
    record["files"]["red.tif"]["size_bytes"] = (made / "red.tif").stat().st_size
    (made / "record.json").write_text(json.dumps(record))
    return made


@pytest.mark.parametrize("name", ["v2", "v0", "v00", "v01"])
def test_of_versions_with_one_description_the_first_is_used(server, tmp_path, name):
    first = from_server(server, tmp_path)
    planted(Path(first.bands[0][0].path).parent, name)
    again = from_server(server, tmp_path)
    assert (again.version, again.bands, again.fetched, again.notes) == (1, first.bands, 0, ())
    small = Grid(EPSG, LEFT + 500, TOP - 460, 12, 9)
    where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
    cut = fetch(where, scene_of(server.root, 0, server.url), small, BANDS)
    record = json.loads((Path(cut.bands[0][0].path).parent / "record.json").read_text())
    assert "/v1/" in record["files"]["red.tif"]["request"]["cut_from"]


def test_the_next_of_one_description_is_used_where_the_first_is_broken_and_only_that_is_told(server, tmp_path):
    first = from_server(server, tmp_path)
    second = planted(Path(first.bands[0][0].path).parent)
    path = Path(first.bands[0][1].path)
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    again = from_server(server, tmp_path)
    assert (again.version, Path(again.bands[0][1].path).parent, again.fetched) == (2, second, 0)
    told = store.fetch_facts([again])[1:]
    assert told == [
        f"{path}: differs from the hash recorded when it was fetched; version 2 of the same description is used",
        f"{first.scene.scene_id}: version 2 of its pixels is used; an earlier one is broken, set aside or gone",
    ]
    # What comes again for both mends the first.
    (second / "red.tif").write_bytes(b"")
    mended = from_server(server, tmp_path)
    assert (mended.version, mended.bands) == (1, first.bands)
    assert [note.rsplit("; ", 1)[1] for note in mended.notes] == ["it was fetched again"] * 2


def test_a_change_by_the_provider_is_told_where_the_description_differs(local, tmp_path):
    with FileServer(local) as server:
        where = store_in(tmp_path, config_of(f"{server.url}/catalog.json"))
        fetch(where, scene_of(server.root, 0, server.url), GRID, BANDS)
        write_band(band_file(local, "B04"), np.full((120, 120), 777, np.uint16))
        for _ in range(2):
            second = fetch(where, changed(server, 0, updated="2026-01-01T00:00:00Z"), GRID, BANDS)
            (told,) = store.fetch_facts([second])[1:]
            assert told.endswith(": version 2 of its pixels is used; the provider has changed them")


def test_a_later_version_that_is_set_aside_is_told_and_nothing_is_said_to_be_fetched(server, tmp_path):
    first = from_server(server, tmp_path)
    (planted(Path(first.bands[0][0].path).parent) / "record.json").write_text("{")
    again = from_server(server, tmp_path)
    assert (again.version, again.bands, again.fetched) == (1, first.bands, 0)
    assert [note.rsplit("; ", 1)[1] for note in again.notes] == ["it was set aside"]


def test_a_version_in_place_of_one_set_aside_is_no_change_by_the_provider(archive, tmp_path):
    (Path(from_files(archive, tmp_path).bands[0][0].path).parent / "record.json").write_text("{")
    for _ in range(2):
        again = from_files(archive, tmp_path)
        assert again.notes[-1].endswith("version 2 of its pixels is used; an earlier one is broken, set aside or gone")
