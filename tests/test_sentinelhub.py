"""Sentinel Hub against a loopback server whose pixels are a formula of the ground, and against real replies."""

import dataclasses
import datetime as dt
import json
import logging
import os
import pickle
import re
import tarfile
import threading
import time
import traceback
from pathlib import Path

import jsonschema
import numpy as np
import pyproj
import pytest
import yaml
from conftest import DATA
from rasterio.transform import Affine
from sentinelhub_server import (
    CLIENT_ID,
    CLIENT_SECRET,
    EPSG,
    LEFT,
    NATIVE_M,
    TILE_M,
    TOP,
    SentinelHubServer,
    Tile,
    centres,
    has_data,
    process_problems,
    search_problems,
    tiff,
    true_dn,
)  # fmt: skip
from shapely.geometry import box

from pipeline import remote, sources
from pipeline.config import Config, SourceConfig, WindowsConfig, YearsConfig
from pipeline.errors import (
    BudgetError,
    InputError,
    RefusedError,
    SceneRefusedError,
    SourceError,
    UnauthorizedError,
)  # fmt: skip
from pipeline.ledger import Ledger, Limits, Traffic
from pipeline.remote import Line
from pipeline.sources import _sh_account, _sh_reply, _sh_request
from pipeline.sources._items import BANDS
from pipeline.types import Grid

hub = sources.load("sentinelhub")
OWN = Tile("S2A_MSIL2A_20200511T021601_N0500_R003_T52SDH_20230505T101112", "2020-05-11T02:20:11Z", ident=7)
OLDER = Tile("S2A_MSIL2A_20200511T021601_N0214_R003_T52SDH_20200511T050000", "2020-05-11T02:20:11Z", add=1111, ident=8)
BESIDE = Tile(
    "S2A_MSIL2A_20200511T021601_N0500_R003_T52SEH_20230505T101112", "2020-05-11T02:20:07Z", 2222, left=LEFT + 99_960,
    ident=9,
)  # fmt: skip
LATER = Tile("S2B_MSIL2A_20200513T020549_N0500_R103_T52SDH_20230505T101112", "2020-05-13T02:10:22Z", 3333, ident=10)
TILES = [OLDER, OWN, BESIDE, LATER]
ALL = list(BANDS)
GRID = Grid(EPSG, 401_600.0, 4_299_000.0, 60, 40)
"""Its eastern end lies where the tiles have no data."""
REACH = (401_540.0, 4_298_540.0, 402_260.0, 4_299_060.0)
"""By hand: the grid's 600 x 400 m and 60 m on each side."""


@pytest.fixture(autouse=True)
def account(monkeypatch, tmp_path):
    """Credentials of the loopback server in the environment, and no others anywhere."""
    monkeypatch.setenv("SH_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("SH_CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SH_PROFILE", raising=False)
    monkeypatch.setattr(_sh_account, "_TOKENS", {})
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.02)


@pytest.fixture
def server():
    with SentinelHubServer(list(TILES)) as running:
        yield running


@pytest.fixture
def line(server, tmp_path):
    return line_to(server, tmp_path)


def line_to(server, tmp_path, limits=None, **more):
    source = SourceConfig(
        kind="sentinelhub", url=server.url, token_url=server.token_url, sign_url=None,
        **{"retries": 3, "patience_s": 10.0, "timeout_s": 5.0, **more},
    )  # fmt: skip
    return Line(source, Ledger(tmp_path / "ledger", limits or Limits(4)).opened())


def item_of(tile, line):
    return hub._read(tile.document(), line)


def deliver(line, bands=ALL, grid=GRID, tile=OWN):
    return {one.band: one for one in hub.deliver(item_of(tile, line), bands, grid, line)}


def truth(band, bounds=REACH, add=0):
    """DN of a band over bounds, by the formula alone; 0 where the tiles have no data."""
    name = BANDS[band]
    cell = NATIVE_M[name]
    x, y = centres(bounds, round((bounds[2] - bounds[0]) / cell), round((bounds[3] - bounds[1]) / cell))
    return np.where(has_data(x, y), true_dn(name, x, y, 0 if name == "SCL" else add), 0)


# --- pixels ---


def test_every_band_comes_as_raw_dn_on_its_own_lattice(line):
    came = deliver(line)
    assert list(came) == ALL
    for band, one in came.items():
        cell = NATIVE_M[BANDS[band]]
        assert np.array_equal(one.part.pixels, truth(band)), band
        assert one.part.pixels.dtype == (np.uint8 if band == "scl" else np.uint16)
        assert one.part.transform == Affine(cell, 0, REACH[0], 0, -cell, REACH[3])
        assert one.part.crs.to_epsg() == EPSG
        assert one.part.nodata == 0
    assert (truth("blue") == 0).any(axis=0)[-20:].all(), "part of the window should have no data"


def test_validity_is_said_by_the_mask_alone(line):
    """Classes 0 and DN 0 lie all over the data; pixels under an empty mask come as 0 whatever they hold."""
    one = deliver(line, ["blue", "scl"])
    x, y = centres(REACH, 72, 52)
    zeros = has_data(x, y) & (true_dn("B02", x, y) == 0)
    assert one["blue"].response["zero-pixels-with-data"] == str(zeros.sum())
    assert (truth("scl")[has_data(*centres(REACH, 36, 26))] == 0).any()


def test_values_under_an_empty_mask_are_no_data(server, line):
    def dirty(files):
        mask = np.zeros((52, 72), np.uint8)
        mask[0, 0] = 1
        return files | {"dataMask.tif": tiff(mask, REACH), "B02.tif": tiff(np.full((52, 72), 77, np.uint16), REACH)}

    server.fail("process", files=dirty)
    pixels = deliver(line, ["blue"])["blue"].part.pixels
    assert pixels[0, 0] == 77
    assert np.count_nonzero(pixels) == 1


@pytest.mark.parametrize(("tile", "add"), [(OWN, 0), (OLDER, 1111), (LATER, 3333)])
def test_a_request_reads_one_tile_of_one_acquisition(server, line, tile, add):
    """The service has an older processing of the same tile, its neighbour, and the next pass."""
    one = deliver(line, ["red"], tile=tile)["red"]
    assert np.array_equal(one.part.pixels, np.where(truth("red") > 0, truth("red") + add, 0))
    assert [tile["productId"] for tile in json.loads(one.response["tiles"])] == [tile.product]


def test_a_tile_is_known_by_its_place_in_the_archive_too(server, line, monkeypatch):
    """The documentation promises no more of a tile than its date, number and place."""
    scene = Tile.scene
    monkeypatch.setattr(Tile, "place", property(lambda tile: f"s3://sentinel-s2-l2a/tiles/52/S/DH/{tile.ident}"))
    documented = ("date", "shId", "cloudCoverage", "dataPath")
    monkeypatch.setattr(Tile, "scene", lambda tile: {key: scene(tile)[key] for key in documented})
    assert np.array_equal(deliver(line, ["red"])["red"].part.pixels, truth("red"))


def test_products_may_be_named_with_their_folder(server, line):
    server.tiles = [dataclasses.replace(OWN, product=f"{OWN.product}.SAFE")]
    assert np.array_equal(deliver(line, ["red"])["red"].part.pixels, truth("red"))


def test_only_bands_asked_for_are_paid_for(server, line):
    deliver(line, ["red", "scl"])
    responses = [[r["identifier"] for r in payload["output"]["responses"]] for _, payload, _ in server.asked("process")]
    assert responses == [["B04", "dataMask", "userdata"], ["SCL", "dataMask", "userdata"]]
    with pytest.raises(SceneRefusedError, match="has no band pan"):
        deliver(line, ["pan"])


def test_the_request_is_what_was_sent(server, line):
    one = deliver(line, ["red"])["red"]
    payload = server.asked("process")[0][1]
    assert one.request == {
        "method": "POST", "url": f"{server.url}/api/v1/process", "output": "B04.tif", "payloads": [payload],
    }  # fmt: skip
    assert payload["input"]["data"] == [
        {
            "type": "sentinel-2-l2a",
            "dataFilter": {"timeRange": {"from": "2020-05-11T02:19:11Z", "to": "2020-05-11T02:21:11Z"}},
            "processing": {"upsampling": "NEAREST", "downsampling": "NEAREST", "harmonizeValues": False},
        }
    ]
    assert payload["input"]["bounds"] == {
        "bbox": list(REACH), "properties": {"crs": "http://www.opengis.net/def/crs/EPSG/0/32652"},
    }  # fmt: skip
    assert (payload["output"]["width"], payload["output"]["height"]) == (72, 52)
    assert one.response["etag"] == '"made-now"'
    assert len(one.response["body-sha256"]) == 64
    assert all(isinstance(value, str) and name == name.lower() for name, value in one.response.items())
    json.dumps(one.request)


def test_a_window_wider_than_a_request_is_rejoined_as_if_it_had_not_been_cut(server, line):
    """2,572 x 14 pixels at 10 m are two requests, 1,286 x 7 at 20 m one."""
    grid = Grid(EPSG, 401_600.0, 4_299_000.0, 2560, 2)
    bounds = (401_540.0, 4_298_920.0, 427_260.0, 4_299_060.0)
    came = deliver(line, ["blue", "scl"], grid)
    sizes = [(p["output"]["width"], p["output"]["height"]) for _, p, _ in server.asked("process")]
    assert sizes == [(1286, 14), (1286, 14), (1286, 7)]
    for band in ("blue", "scl"):
        assert np.array_equal(came[band].part.pixels, truth(band, bounds))
    assert len(came["blue"].request["payloads"]) == 2
    assert came["blue"].response["body-sha256"].count(", ") == 1


@pytest.mark.parametrize("length", [1, 2499, 2500, 2501, 5000, 5001, 9999])
def test_parts_of_an_edge_touch_and_fit_into_a_request(length):
    parts = _sh_request._cut(length)
    assert parts[0][0] == 0
    assert [start + size for start, size in parts] == [*(start for start, _ in parts[1:]), length]
    assert all(1 <= size <= 2500 for _, size in parts)
    assert len(parts) == -(-length // 2500)


def test_a_window_ends_where_its_tile_does(line):
    """The grid lies over the north-western corner of the tile."""
    grid = Grid(EPSG, LEFT - 160, TOP + 100, 60, 40)
    part = deliver(line, ["blue", "swir16"], grid)["swir16"].part
    assert part.transform.c == LEFT == 399_960
    assert part.transform.f == TOP == 4_300_020
    assert part.pixels.shape == (18, 25)  # By hand: 60 m beyond 300 m and 440 m, in 20 m, of what is left of it.


def test_a_grid_in_another_zone_is_covered_with_its_margin(line):
    """Asked for in the CRS of the tile, so that no pixel is made up."""
    x, y = pyproj.Transformer.from_crs(EPSG, 32651, always_xy=True).transform(431_800.0, 4_280_000.0)
    grid = Grid(32651, x - x % 20, y - y % 20, 60, 40)
    part = deliver(line, ["blue"], grid)["blue"].part
    left, top, (rows, columns) = part.transform.c, part.transform.f, part.pixels.shape
    assert (left % 20, top % 20) == (0, 0)
    bounds = (left, top - rows * 10, left + columns * 10, top)
    assert np.array_equal(part.pixels, truth("blue", bounds))
    corners = [(grid.left_m + dx, grid.top_m + dy) for dx in (-60, 660) for dy in (60, -460)]
    for xy in corners:
        at = pyproj.Transformer.from_crs(32651, EPSG, always_xy=True).transform(*xy)
        assert box(*bounds).covers(box(*at, *at).centroid)


def test_a_tile_that_does_not_reach_the_grid_is_refused(line):
    for grid in (Grid(EPSG, LEFT - 2000, 4_299_000.0, 60, 40), Grid(EPSG, LEFT + TILE_M + 80, 4_299_000.0, 60, 40)):
        with pytest.raises(SceneRefusedError, match="does not reach the AOI"):
            deliver(line, grid=grid)
        with pytest.raises(SceneRefusedError, match="does not reach the AOI"):
            hub.price(item_of(OWN, line), ALL, grid)
    with pytest.raises(SceneRefusedError, match="lies in EPSG:None"):
        list(hub.deliver(dataclasses.replace(item_of(OWN, line), epsg=None), ALL, GRID, line))


# --- cost ---


def test_the_price_is_the_published_rule():
    """By hand: 512 x 512 px of 3 bands are 1, of 4 bands 1.333; a small area counts 0.01, a request at least 0.005."""
    patch = _sh_request.Patch(EPSG, 0.0, 0.0, 512, 512, 10)
    assert _sh_request.process_units(patch, 3) == 1.0
    assert _sh_request.process_units(patch, 4) == pytest.approx(4 / 3)
    small = dataclasses.replace(patch, width=10, height=10)
    assert _sh_request.process_units(small, 4) == pytest.approx(0.04 / 3)
    assert _sh_request.process_units(small, 1) == 0.005
    assert _sh_request.search_units(200, 100.0) == pytest.approx(0.08)
    assert _sh_request.search_units(31, 5e6) == 1.0


@pytest.mark.parametrize("grid", [GRID, Grid(EPSG, 401_600.0, 4_299_000.0, 2560, 2)])
def test_what_is_spent_is_at_most_the_price_and_is_counted(server, line, grid):
    priced = hub.price(item_of(OWN, line), ALL, grid)
    came = list(deliver(line, grid=grid).values())
    spent = sum((one.traffic for one in came), Traffic())
    assert spent.requests == spent.pixel_requests == priced.requests == len(server.asked("process"))
    assert spent.size_bytes <= priced.size_bytes
    assert spent.processing_units == pytest.approx(priced.processing_units)
    assert [bool(one.traffic.requests) for one in came] == [band in {"blue", "nir08"} for band in ALL]
    counted = line.ledger.spent()
    assert counted.pixel_requests == spent.pixel_requests
    assert counted.requests == spent.requests + 1, "and one for the token"
    assert counted.processing_units == pytest.approx(spent.processing_units)


def test_a_budget_ends_a_run_before_it_is_exceeded(server, tmp_path):
    """By hand: 72 x 52 px of 4 bands are 0.019 units, 36 x 26 of 4 are 0.013."""
    line = line_to(server, tmp_path, Limits(4, processing_units=0.025))
    came = []
    with pytest.raises(BudgetError, match=r"source\.max_processing_units = 0\.025"):
        came.extend(hub.deliver(item_of(OWN, line), ALL, GRID, line))
    assert [one.band for one in came] == ["blue", "green", "red", "nir"]
    assert len(server.asked("process")) == 1
    line = line_to(server, tmp_path / "bytes", Limits(4, size_bytes=10_000))
    with pytest.raises(BudgetError, match=r"source\.max_bytes"):
        deliver(line)


@pytest.mark.parametrize("said", ["nan", "-3", "many", "inf"])
def test_an_answer_that_does_not_say_its_cost_is_counted_at_its_price(server, line, said):
    server.fail("process", files=lambda files: files, headers={"x-processingunits-spent": said})
    deliver(line, ["blue", "green", "red"])
    assert line.ledger.spent().processing_units == pytest.approx(72 * 52 / 512**2)


# --- what goes wrong ---


def test_a_busy_server_is_asked_again_when_it_wishes(server, line):
    """Retry-After counts milliseconds here: 300 of them are not five minutes."""
    server.fail("process", 429, headers={"Retry-After": "300"}, body={"status": 429, "code": "RATE_LIMIT_EXCEEDED"})
    server.fail("process", 503, times=2)
    began = time.monotonic()
    came = deliver(line)
    assert 0.3 <= time.monotonic() - began < 8
    assert [status for _, _, status in server.asked("process")] == [429, 503, 503, 200, 200]
    assert all(np.array_equal(one.part.pixels, truth(band)) for band, one in came.items())
    assert came["blue"].traffic.requests == 4


def test_a_wish_that_is_a_date_is_understood(server, line):
    when = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    server.fail("process", 429, headers={"Retry-After": when.strftime("%a, %d %b %Y %H:%M:%S GMT")})
    assert np.array_equal(deliver(line, ["red"])["red"].part.pixels, truth("red"))


def test_patience_ends(server, tmp_path):
    line = line_to(server, tmp_path, patience_s=1.0)
    server.fail("process", 429, headers={"Retry-After": "90000"}, times=None)
    with pytest.raises(SourceError, match=r"cannot be read now .*429.*run again later"):
        deliver(line)
    assert len(server.asked("process")) == 1


def test_a_reply_cut_on_its_way_is_asked_for_again(server, line):
    server.fail("process", cut=True)
    assert np.array_equal(deliver(line, ["red"])["red"].part.pixels, truth("red"))
    assert len(server.asked("process")) == 2


def replaced(name, content):
    return lambda files: {**files, name: content}


def userdata(used, offered=()):
    return json.dumps({"used": used, "offered": list(offered)}).encode()


def reshaped(shape=(52, 72), dtype=np.uint16, bounds=REACH, epsg=EPSG, **more):
    return replaced("B04.tif", tiff(np.ones(shape, dtype), bounds, epsg, **more))


def oversized(name, size):
    def change(files):
        info = tarfile.TarInfo(name)
        info.size = size
        return [*((key, content) for key, content in files.items() if key != name), (name, info)]

    return change


def linked(files):
    info = tarfile.TarInfo("B04.tif")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return [("userdata.json", files["userdata.json"]), ("B04.tif", info)]


WRONG = {
    "wrong size": (reshaped((52, 71)), r"B04.tif has 71 x 52 pixels, not 72 x 52"),
    "wrong type": (reshaped(dtype=np.float32), r"B04.tif holds float32, not uint16"),
    "elsewhere": (reshaped(bounds=[v + 10 for v in REACH]), r"B04.tif lies at \(401550.0, 4298550.0, .*\), not"),
    "other zone": (reshaped(epsg=32651), r"B04.tif lies in EPSG:32651, not EPSG:32652"),
    "nowhere": (reshaped(epsg=4326), r"lies in EPSG:4326"),
    "no tiff": (replaced("B04.tif", b"<VRTDataset/>"), "B04.tif cannot be read"),
    "odd mask": (replaced("dataMask.tif", tiff(np.full((52, 72), 2, np.uint8), REACH)), "dataMask holds 2"),
    "missing": (lambda files: {k: v for k, v in files.items() if k != "dataMask.tif"}, r"lacks dataMask\.tif"),
    "too much": (replaced("../../etc/cron.d/x", b"x"), r"holds '\.\./\.\./etc/cron\.d/x', which was not asked for"),
    "twice": (lambda files: [*files.items(), ("B04.tif", b"x")], "holds 'B04.tif', which .* comes twice"),
    "bomb": (oversized("B04.tif", 1 << 40), r"B04.tif is no file of at most|cut"),
    "link": (linked, "B04.tif is no file of at most"),
    "no identities": (replaced("userdata.json", b"{}"), r"userdata\.json does not name its tiles \('used'\)"),
    "deep": (replaced("userdata.json", b"[" * 5000), r"userdata\.json does not name its tiles"),
    "another day": (replaced("userdata.json", userdata([LATER.scene()])), f"was made of {LATER.product}, not"),
    "mixed": (replaced("userdata.json", userdata([OWN.scene(), LATER.scene()])), f"was made of {LATER.product}"),
    "doubled": (replaced("userdata.json", userdata([OWN.scene(), OWN.scene()])), f"{OWN.product}, {OWN.product}"),
    "older": (replaced("userdata.json", userdata([OLDER.scene()])), f"was made of {OLDER.product}"),
    "wrong time": (
        replaced("userdata.json", userdata([OWN.scene() | {"date": "2020-05-12T02:20:11Z"}])), "not of this tile alone",
    ),
    "no time": (replaced("userdata.json", userdata([OWN.scene() | {"date": None}])), "does not name its tiles"),
    "unnamed": (replaced("userdata.json", userdata([])), "pixels have data, but no tile is named"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_reply_that_is_not_what_was_asked_for_is_not_used(server, line, case):
    change, expected = WRONG[case]
    server.fail("process", files=change)
    with pytest.raises(SourceError, match=expected) as caught:
        deliver(line, ["red"])
    assert str(caught.value).startswith(OWN.product)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 100, 700, 5000, 9000])
def test_an_archive_that_was_cut_before_it_was_sent_is_not_used(server, line, keep):
    server.fail("process", body=lambda body: body[:keep])
    with pytest.raises(SourceError, match=r"reply of the Process API (is no archive|lacks|.*cannot be read)"):
        deliver(line, ["red"])


def test_a_reply_longer_than_could_be_is_not_read(server, tmp_path):
    line = line_to(server, tmp_path, retries=0)
    server.fail("process", body=lambda body: body + bytes(40_000_000))
    with pytest.raises(SourceError, match=r"sends more than the .* bytes expected"):
        deliver(line, ["red"])


def test_a_tile_the_service_does_not_have_is_no_empty_ground(server, line):
    item = item_of(OWN, line)
    server.tiles = [OLDER]
    with pytest.raises(SourceError, match=f"has no such tile .it has {OLDER.product}.; run again later"):
        list(hub.deliver(item, ["red"], GRID, line))
    server.tiles = []
    with pytest.raises(SourceError, match=r"has no such tile \(it has none\)"):
        list(hub.deliver(item, ["red"], GRID, line))


def test_a_tile_whose_data_end_beside_the_window_is_refused(server, line):
    """By its own outline it covers the west of its square, where the grid is not."""
    item = dataclasses.replace(item_of(OWN, line), coverage=OWN.outline.intersection(box(120, 30, 127.86, 50)))
    server.tiles = []
    with pytest.raises(SceneRefusedError, match=f"item {OWN.product} has no data over the AOI"):
        list(hub.deliver(item, ["red"], Grid(EPSG, 480_000.0, 4_299_000.0, 60, 40), line))


def test_a_tile_missing_from_one_of_two_windows_is_no_empty_ground(server, line):
    def without(files):
        nothing = {name: tiff(np.zeros((14, 1286), np.uint16), bounds) for name in ("B04.tif",)}
        mask = tiff(np.zeros((14, 1286), np.uint8), bounds)
        return {**nothing, "dataMask.tif": mask, "userdata.json": userdata([], [OLDER.scene()])}

    bounds = (401_540.0, 4_298_920.0, 414_400.0, 4_299_060.0)
    server.fail("process", files=without)
    with pytest.raises(SourceError, match="has no such tile"):
        deliver(line, ["red"], Grid(EPSG, 401_600.0, 4_299_000.0, 2560, 2))


def recorded():
    path = DATA / "sentinelhub-errors" / "recorded_error_bodies.json"
    if not path.is_file():
        return []
    return [
        entry["body"]
        for entry in json.loads(path.read_text(encoding="utf-8"))
        if entry["status"] == 400 and "body" in entry
    ]


BODIES = [
    *((400, body, body["error"]["message"]) for body in recorded()),
    (
        403,
        {"error": {"status": 403, "reason": "Forbidden", "message": "Insufficient processing units or requests."}},
        "Insufficient",
    ),
    (400, {"code": 400, "description": "Illegal collection"}, "Illegal collection"),
    (400, {"code": 7}, "400"),
    (400, [1, 2], "400"),
]


@pytest.mark.parametrize(("status", "body", "words"), BODIES, ids=range(len(BODIES)))
def test_what_the_service_says_is_wrong_is_said_on_one_line_at_once(server, line, status, body, words):
    server.fail("process", status, body=body, times=None)
    with pytest.raises(RefusedError) as caught:
        deliver(line)
    assert " ".join(words.split())[:60] in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert len(server.asked("process")) == 1


def test_the_recorded_errors_are_there():
    if not (DATA / "sentinelhub-errors").is_dir():
        pytest.skip("the real error bodies are not at hand (../shared/data/sentinelhub-errors)")
    assert len(recorded()) == 3


def test_a_real_reply_is_taken_apart(line):
    """A tar the service gave in 2019: one TIFF of three bands, and user data."""
    path = DATA / "sentinelhub-replies" / "img.tar"
    if not path.is_file():
        pytest.skip("the real reply is not at hand (../shared/data/sentinelhub-replies)")
    body, item = path.read_bytes(), item_of(OWN, line)
    with tarfile.open(path) as archive:
        expected = {member.name: archive.extractfile(member).read() for member in archive}
    sizes = {name: len(content) for name, content in expected.items()}
    assert _sh_reply._unpacked(body, sizes, item) == expected
    with pytest.raises(SourceError, match=r"default\.tif is no file of at most"):
        _sh_reply._unpacked(body, sizes | {"default.tif": sizes["default.tif"] - 1}, item)
    for keep in (0, 300, 5000, len(body) // 2):
        with pytest.raises(SourceError, match=r"is no archive|lacks"):
            _sh_reply._unpacked(body[:keep], sizes, item)
    with pytest.raises(SourceError, match="was not asked for"):
        _sh_reply.read_reply(body, item, ["B02"], _sh_request.patches(item, GRID, 10)[0][0])


# --- who asks ---


def test_a_token_is_bought_once_and_renewed_before_it_ends(server, tmp_path):
    line = line_to(server, tmp_path)
    deliver(line)
    deliver(line, ["red"])
    assert len(server.tokens) == 1
    server.life_s = 0.4
    _sh_account._TOKENS.clear()
    deliver(line, ["red"])
    time.sleep(0.4)
    deliver(line, ["red"])
    assert len(server.tokens) == 3
    assert {status for _, _, status in server.asked("process")} == {200}


def test_threads_share_a_token(server, line):
    threads = [threading.Thread(target=deliver, args=(line, ["red"])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked("process")) == 4
    assert len(server.tokens) == 1


def test_a_token_revoked_early_is_renewed_once(server, line):
    deliver(line, ["red"])
    server.tokens.append("another")
    assert np.array_equal(deliver(line, ["red"])["red"].part.pixels, truth("red"))
    assert [status for _, _, status in server.asked("process")] == [200, 401, 200]
    server.fail("process", 401, body={"code": 401, "description": "You are not authorized!"}, times=None)
    with pytest.raises(UnauthorizedError, match="is refused \\(401: You are not authorized!"):
        deliver(line, ["red"])
    assert len(server.asked("process")) == 5


def test_wrong_credentials_are_the_users_to_mend(server, line, monkeypatch):
    monkeypatch.setenv("SH_CLIENT_SECRET", "wrong-secret-wrong-secret")
    with pytest.raises(UnauthorizedError, match=r"Invalid client credentials.*check SH_CLIENT_ID and SH_CLIENT_SECRET"):
        deliver(line)
    assert len(server.asked("token")) == 1


def test_missing_credentials_are_found_before_anything_is_asked(server, line, monkeypatch, tmp_path):
    monkeypatch.delenv("SH_CLIENT_SECRET")
    config = config_of(line.source)
    with pytest.raises(InputError, match="SH_CLIENT_ID and SH_CLIENT_SECRET are not set; set them"):
        hub.search(OWN.outline, config, line)
    assert server.requests == []
    assert not (tmp_path / "config").exists(), "the package writes a file of its own where there is none"


def profile(tmp_path, text):
    path = tmp_path / "config" / "sentinelhub" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


def test_credentials_may_be_in_the_packages_own_profile(server, line, monkeypatch, tmp_path):
    for name in ("SH_CLIENT_ID", "SH_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    profile(tmp_path, f'[mine]\nsh_client_id = "{CLIENT_ID}"\nsh_client_secret = "{CLIENT_SECRET}"\n')
    monkeypatch.setenv("SH_PROFILE", "mine")
    assert np.array_equal(deliver(line, ["red"])["red"].part.pixels, truth("red"))
    _sh_account._TOKENS.clear()
    monkeypatch.setenv("SH_PROFILE", "other")
    with pytest.raises(
        InputError, match=r"config\.toml: its profile other cannot be read; correct it or set SH_CLIENT_ID"
    ):
        deliver(line)


@pytest.mark.parametrize(
    "text", ["[default-profile]\nsh_client_id = ", f'[default-profile]\n"{CLIENT_SECRET}" = 1\n', "\0"]
)
def test_a_profile_that_is_broken_is_not_quoted(server, line, monkeypatch, tmp_path, text):
    monkeypatch.delenv("SH_CLIENT_ID")
    profile(tmp_path, text)
    with pytest.raises(InputError, match="its default profile cannot be read") as caught:
        deliver(line)
    assert CLIENT_SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            {"url": "https://sh.example.org", "token_url": None},
            r"source\.url = https://sh\.example\.org: is no known deployment; name https://sh\.dataspace",
        ),
        ({"url": "http://sh.dataspace.copernicus.eu", "token_url": None}, r"source\.url = http://sh.* is not https"),
        ({"token_url": "http://identity.example.org/token"}, r"source\.token_url = http://identity.* is not https"),
    ],
)  # fmt: skip
def test_a_secret_goes_to_known_addresses_only(server, tmp_path, more, expected):
    line = line_to(server, tmp_path)
    line = dataclasses.replace(line, source=line.source.model_copy(update=more))
    with pytest.raises(InputError, match=expected):
        search(line)
    assert server.requests == []


def test_the_tokens_of_a_deployment_come_from_its_own_address():
    found = {
        url: _sh_account.token_address(SourceConfig(kind="sentinelhub", url=url))
        for url in ("https://sh.dataspace.copernicus.eu", "https://services.sentinel-hub.com/")
    }
    assert [re.sub(r"https://([^/]+)/.*/(\w+)/protocol.*", r"\1 \2", url) for url in found.values()] == [
        "identity.dataspace.copernicus.eu CDSE", "services.sentinel-hub.com main",
    ]  # fmt: skip


@pytest.mark.parametrize("part", ["token", "process", "search"])
@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_leads_to_no_other_host(server, line, part, status):
    with SentinelHubServer(list(TILES)) as other:
        server.fail(part, status, headers={"Location": f"{other.url}/api/v1/{part}"}, times=None)
        asked = deliver if part == "process" else search
        with pytest.raises(RefusedError, match=r"http://127\.0\.0\.1:\d+/\S+ is not https"):
            asked(line)
        assert other.requests == []


@pytest.mark.parametrize("status", [302, 307])
def test_not_even_an_allowed_host_is_told_the_secret(server, tmp_path, status):
    with SentinelHubServer(list(TILES)) as other:
        line = line_to(server, tmp_path, hosts=(other.url,))
        server.fail("token", status, headers={"Location": other.token_url}, times=None)
        with pytest.raises(RefusedError, match=r"http://127\.0\.0\.1:\d+/\S+ is not https"):
            deliver(line)
        server.faults.clear()
        server.fail("process", 307, headers={"Location": f"{other.url}/api/v1/process"}, times=None)
        with pytest.raises(UnauthorizedError):
            deliver(line)
        assert {(path, status) for path, _, status in other.requests} == {("/api/v1/process", 401)}
        assert set(other.told) == {""}


def echo(pad):
    """What a careless server might answer: all it was told, on the line a client shows, perhaps cut there."""
    return lambda headers, sent: json.dumps(
        {"description": f"{'x' * pad}{headers.get('Authorization', '')} {sent.decode()}"}
    ).encode()


CARELESS = [
    ("token", 401),
    ("token", 400),
    ("token", 503),
    ("process", 401),
    ("process", 403),
    ("process", 429),
    ("search", 400),
]


@pytest.mark.parametrize("pad", [0, 20, 60, 110])
@pytest.mark.parametrize(("part", "status"), CARELESS)
def test_no_secret_leaves(server, tmp_path, caplog, part, status, pad):
    caplog.set_level(logging.DEBUG)
    line = line_to(server, tmp_path, retries=1, patience_s=1.0)
    texts = [str(deliver(line))]
    secrets = [CLIENT_SECRET[:12], "canary-token", CLIENT_ID[:12]]
    _sh_account._TOKENS.clear()
    server.fail(part, status, body=echo(pad), times=None)
    asked = search if part == "search" else deliver
    with pytest.raises(SourceError) as caught:
        asked(line)
    texts += ["".join(traceback.format_exception(caught.value)), repr(caught.value), repr(pickle.dumps(caught.value))]
    texts += [
        caplog.text,
        repr(pickle.dumps(line)),
        repr(_sh_account._TOKENS.values()),
        repr(_sh_account._credentials()),
    ]
    texts = [*texts[:-1], texts[-1].replace(CLIENT_ID, "")]
    texts += [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [secret for secret in secrets for text in texts if secret in text]
    if pad == 0:
        hidden = "***" in str(caught.value) or "..." in str(caught.value)
        assert hidden == (status not in {429, 503}), "else nothing was told"


# --- items ---


def config_of(source, years=(2020, 2020), windows=(("04-01", "06-15"), ("06-01", "09-30"))):
    sections = WindowsConfig(stockpile=(windows[0],), footprint=(windows[1],))
    return Config(source=source, years=YearsConfig(first=years[0], last=years[1]), windows=sections)


def search(line, **more):
    return hub.search(OWN.outline, config_of(line.source, **more), line)


def many(count, first=dt.date(2020, 5, 1)):
    days = [first + dt.timedelta(days=number) for number in range(count)]
    return [
        Tile(f"S2B_MSIL2A_{day:%Y%m%d}T021601_N0400_R003_T52SDH_{day:%Y%m%d}T060000", f"{day}T02:20:11Z")
        for day in days
    ]


def test_an_item_says_what_its_product_is(line):
    items = search(line)
    assert [item.id for item in items] == [tile.product for tile in (BESIDE, OLDER, OWN, LATER)]
    item = items[2]
    assert item.datetime == dt.datetime(2020, 5, 11, 2, 20, 11, tzinfo=dt.UTC)
    assert (item.platform, item.processing_baseline, item.relative_orbit) == ("sentinel-2a", "05.00", 3)
    assert (item.epsg, item.tile, item.cloud_percent, item.offset_applied) == (EPSG, "52SDH", 5.0, None)
    assert item.coverage.equals_exact(OWN.outline, 1e-9) or item.coverage.symmetric_difference(OWN.outline).area < 1e-9
    assert set(item.assets) == set(BANDS)
    blue = item.assets["blue"]
    assert (blue.href, blue.scale, blue.offset, blue.nodata) == (
        f"{line.source.url}/api/v1/process#B02",
        1e-4,
        None,
        0.0,
    )
    assert item.document["id"] == item.id


def test_every_page_of_every_year_is_read_and_sorted(server, line):
    server.tiles, server.page = list(reversed(many(23) + many(5, dt.date(2021, 4, 28)))), 4
    items = search(line, years=(2019, 2021))
    assert len(items) == 28
    assert [item.datetime for item in items] == sorted(item.datetime for item in items)
    asked = [payload for _, payload, _ in server.asked("search")]
    assert [payload.get("next") for payload in asked] == [None, None, 4, 8, 12, 16, 20, None, 4]
    assert [payload["datetime"] for payload in asked if "next" not in payload] == [
        f"{year}-04-01T00:00:00Z/{year}-09-30T23:59:59Z" for year in (2019, 2020, 2021)
    ]
    assert all(payload["filter"] == "eo:cloud_cover <= 60" for payload in asked)
    assert line.ledger.spent().processing_units == pytest.approx(0.01 * len(asked))


def test_only_clear_days_of_the_windows_over_the_aoi_are_found(server, line):
    """Windows to 10 May: of days from the first ten; one of them too cloudy."""
    server.tiles = many(23)
    server.tiles[3].cloud = 60.1
    windows = (("04-01", "05-05"), ("05-06", "05-10"))
    assert len(search(line, windows=windows)) == 9
    far = box(100.0, 10.0, 100.1, 10.1)
    with pytest.raises(SourceError, match="no scene over the AOI in 2020-2020 within the windows; check source"):
        hub.search(far, config_of(line.source), line)


def test_what_a_catalogue_gives_unasked_is_left_aside(server, line):
    """A gap from 4 to 6 May, a cloudy scene, another year, another place, all twice; the service filters nothing."""
    server.tiles = []
    tiles = [
        *many(23),
        dataclasses.replace(many(1)[0], product="S2B_cloudy", cloud=60.1),
        *many(2, dt.date(2021, 5, 1)),
    ]
    tiles += [dataclasses.replace(many(1)[0], product="S2B_far", left=LEFT + 300_000)]
    server.fail("search", 200, body={"features": [tile.document() for tile in [*tiles, *tiles]]})
    windows = (("04-01", "05-03"), ("05-07", "05-10"))
    assert [item.datetime.day for item in search(line, windows=windows)] == [1, 2, 3, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ({"features": [], "context": {"next": 0}}, None),
        ({"features": [], "context": {"next": "4"}}, "after -1 comes '4'"),
        ({"features": "x", "context": 3}, "answers no page of items"),
        ({"type": "FeatureCollection"}, r"answers no page of items \('features'\)"),
        ([], "answers no page of items"),
        (b"<html>", "answers no page of items"),
        ({"features": [7]}, "item int is malformed"),
        ({"features": [{"id": "a", "properties": {"datetime": "2020-05-01"}, "geometry": 3}]}, "item a is malformed"),
    ],
)  # fmt: skip
def test_a_page_that_is_none_ends_the_search(server, line, page, expected):
    server.fail("search", 200, body=page, times=None)
    with pytest.raises(SourceError, match=expected or "after 0 comes 0"):
        search(line)
    assert len(server.asked("search")) <= 2


def test_an_address_without_a_catalogue_is_the_users_to_mend(server, line):
    server.fail("search", 404, body={"code": 404, "description": "Not found"})
    with pytest.raises(InputError, match=r"source\.url = http://127.* is no deployment of Sentinel Hub"):
        search(line)


def test_a_search_says_its_cost_to_the_budget(server, tmp_path):
    line = line_to(server, tmp_path, Limits(4, processing_units=0.05))
    with pytest.raises(BudgetError, match=r"source\.max_processing_units"):
        search(line)


def test_items_can_be_sent_to_a_worker_that_delivers(line):
    item, sent = (pickle.loads(pickle.dumps(one)) for one in (item_of(OWN, line), line))  # noqa: S301 - made here
    (one,) = hub.deliver(item, ["red"], GRID, sent)
    assert np.array_equal(pickle.loads(pickle.dumps(one)).part.pixels, truth("red"))  # noqa: S301 - made here


# --- the server itself ---

GOOD = {
    "input": {
        "bounds": {"bbox": [0, 0, 10, 10], "properties": {"crs": "http://www.opengis.net/def/crs/EPSG/0/32652"}},
        "data": [
            {
                "type": "sentinel-2-l2a",
                "dataFilter": {"timeRange": {"from": "2020-01-01T00:00:00Z", "to": "2020-01-01T00:02:00Z"}},
            }
        ],
    },
    "output": {"width": 10, "height": 10, "responses": [{"identifier": "B02", "format": {"type": "image/tiff"}}]},
    "evalscript": "//VERSION=3\n",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "parameter"),
    [
        ("output.width", 2501, "width"),
        ("output.width", 10.0, "width"),
        ("output.resx", 10, "output"),
        ("input.bounds.bbox", [10, 0, 0, 10], "bbox"),
        ("input.bounds.properties.crs", "EPSG:32652", "crs"),
        ("input.data.0.type", "S2", "data"),
        ("input.data.0.dataFilter.timeRange.from", "2020-01-01", "timeRange"),
        ("input.data.0.dataFilter.timeRange.from", "2020-01-02T00:00:00Z", "timeRange"),
        ("input.data.0.processing", {"harmonizeValues": "false"}, "harmonizeValues"),
        ("input.data.0.processing", {"upsampling": "nearest"}, "upsampling"),
        ("evalscript", "function setup() {}", "evalscript"),
    ],
)
def test_the_loopback_server_refuses_what_the_rules_forbid(path, value, parameter):
    assert process_problems(GOOD) == []
    payload = json.loads(json.dumps(GOOD))
    *way, last = path.split(".")
    place = payload
    for key in way:
        place = place[int(key) if key.isdecimal() else key]
    place[last] = value
    assert [where for where, _ in process_problems(payload)] == [parameter]
    assert search_problems({"collections": ["a"], "datetime": "2020", "bbox": [1]}) == ["datetime must be an interval"]


def test_the_loopback_server_harmonises_by_default(server):
    """So that forgetting to ask for raw DN is seen: the offset is taken off and what is below it is clamped."""
    x, y = centres(REACH, 72, 52)
    raw = OWN.samples(["B02"], REACH, 72, 52, harmonise=False)["B02"]
    assert np.array_equal(raw, np.where(has_data(x, y), true_dn("B02", x, y), 0))
    assert (OWN.samples(["B02"], REACH, 72, 52, harmonise=True)["B02"] < raw).any()


def test_every_payload_follows_the_published_description(line):
    """The provider's own file, where it is at hand; two oddities of it are known."""
    path = os.environ.get("SENTINELHUB_OPENAPI")
    if path is None:
        pytest.skip("set SENTINELHUB_OPENAPI to the provider's openapi.v1.yaml to run this")
    document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    item = item_of(OWN, line)
    aoi, when = OWN.outline, (item.datetime, item.datetime)
    bodies = {
        "ProcessRequest": [
            _sh_request.payload(item, bands, _sh_request.patches(item, GRID, cell)[0][0])
            for cell, bands in _sh_request.GROUPS.items()
        ],
        "CatalogItemSearchSearchBody": [hub._query(aoi, when, line)],
    }
    for name, found in bodies.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        validator = jsonschema.Draft202012Validator(schema)
        for body in found:
            problems = list(validator.iter_errors(json.loads(json.dumps(body))))
            said = [p.message for p in problems if "identifier" not in p.absolute_path]
            assert not [text for text in said if "is valid under each of" not in text]
