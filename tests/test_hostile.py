"""Whatever a stranger writes ends in one clear line: nothing else is read, asked or written.

Each case spoils one thing in a world that works, and runs the command line on it as a user would.
"""

import gzip
import html
import html.parser
import json
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pypdf
import pytest
import rasterio
from conftest import call, environment
from hostile import CANARY, ITEM, Neighbour, Opened, Provider, World, build
from rasterio.transform import Affine
from servers import EPSG, LEFT, TOP

from pipeline import cli, remote
from pipeline.products.assets import leaflet, template


@dataclass(frozen=True)
class Hostile:
    """One input: through which door it comes, how a world is spoilt with it, how the run ends and what it says."""

    name: str
    door: str
    make: Callable[[World], object]
    said: str
    status: int = 1


def linked(world, target, name="B02.tif"):
    """Put a link into the archive that leads elsewhere."""
    path = world.item_folder / name
    path.unlink()
    path.symlink_to(target)


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def folder_for_a_file(path):
    path.unlink()
    path.mkdir()


def virtual(path):
    return (
        f'<VRTDataset rasterXSize="120" rasterYSize="120"><SRS>EPSG:{EPSG}</SRS>'
        f"<GeoTransform>{LEFT}, 10, 0, {TOP}, 0, -10</GeoTransform><VRTRasterBand dataType='UInt16' band='1'>"
        f"<SimpleSource><SourceFilename>{path}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )


HREFS = [
    Hostile("a path elsewhere", "href", lambda w: w.href(str(w.outside / "secret.tif")), "lies outside"),
    Hostile("a path that climbs", "href", lambda w: w.href("../../outside/secret.tif"), "lies outside"),
    Hostile("a climb in percent signs", "href", lambda w: w.href("%2e%2e/%2e%2e/outside/secret.tif"), "is not there"),
    Hostile("a file address", "href", lambda w: w.href(f"file://{w.outside}/secret.tif"), "lies outside"),
    Hostile("a link in the archive", "href", lambda w: linked(w, w.outside / "secret.tif"), "lies outside"),
    Hostile("a link to what never ends", "href", lambda w: linked(w, "/dev/zero"), "lies outside"),
    Hostile("GDAL's network", "href", lambda w: w.href(f"/vsicurl/{w.elsewhere}/a.tif"), "neither http(s) nor a path"),
    Hostile("GDAL's archive", "href", lambda w: w.href(f"/vsizip/{w.outside}/secret.zip/a.tif"), "neither http(s)"),
    Hostile("a part of a file", "href", lambda w: w.href(f"/vsisubfile/0_9,{w.outside}/secret.tif"), "neither http(s)"),
    Hostile("rasterio's archive", "href", lambda w: w.href(f"zip://{w.outside}/secret.zip!a.tif"), "neither http(s)"),
    Hostile("a virtual raster's address", "href", lambda w: w.href(f"vrt://{w.outside}/secret.tif"), "neither http(s)"),
    Hostile("a virtual raster", "href", lambda w: w.href(virtual(w.outside / "secret.tif")), "blue is missing"),
    Hostile("a directory of a TIFF", "href", lambda w: w.href(f"GTIFF_DIR:1:{w.outside}/secret.tif"), "is not there"),
    Hostile("S3", "href", lambda w: w.href("s3://bucket/B02.tif"), "neither http(s)"),
    Hostile("FTP", "href", lambda w: w.href(f"ftp://127.0.0.1:{w.other.port}/B02.tif"), "neither http(s)"),
    Hostile("another host", "href", lambda w: w.copied().href(f"{w.elsewhere}/B02.tif"), "is not https"),
    Hostile(
        "another host, https",
        "href",
        lambda w: w.copied().href(f"https://127.0.0.1:{w.other.port}/B02.tif"),
        "is not among those of source.url",
    ),
    Hostile(
        "this host by another name",
        "href",
        lambda w: w.remote().href(w.own.url.replace("127.0.0.1", "localhost") + "/B02.tif"),
        "is not https",
    ),
    Hostile(
        "another host as a number",
        "href",
        lambda w: w.remote().href(f"https://2130706433:{w.other.port}/B02.tif"),
        "is not among those",
    ),
    Hostile(
        "another host in version 6",
        "href",
        lambda w: w.remote().href(f"https://[::1]:{w.other.port}/B02.tif"),
        "is not among those",
    ),
    Hostile(
        "a host of full-width digits",
        "href",
        lambda w: w.remote().href(f"https://１２７.0.0.1:{w.other.port}/B02.tif"),
        "is not among those",
    ),
    Hostile("a host that is none", "href", lambda w: w.remote().href("https://[::1/B02.tif"), "is not a STAC cat", 2),
    Hostile("a port that is none", "href", lambda w: w.remote().href("https://127.0.0.1:99999999/B02.tif"), "address"),
    Hostile(
        "a user in the address",
        "href",
        lambda w: w.remote().href(w.own.url.replace("//", f"//user:{CANARY}@") + "/B02.tif"),
        "holds a user name",
    ),
    Hostile(
        "a backslash before another host",
        "href",
        lambda w: w.found(f"{w.own.url}\\@127.0.0.1:{w.other.port}/B02.tif"),
        "neither http(s) nor a path",
    ),
    Hostile(
        "the same scheme, another host",
        "href",
        lambda w: w.found(f"//127.0.0.1:{w.other.port}/B02.tif"),
        "is not https",
    ),
    Hostile(
        "a second line", "href", lambda w: w.href(f"{w.item_folder}/B02.tif\n{w.outside}/a.tif"), "neither http(s)"
    ),
    Hostile("a command to the terminal", "href", lambda w: w.href(f"{w.item_folder}/\x1b[2J.tif"), "\\x1b[2J"),
    Hostile("a zero byte", "href", lambda w: w.href(f"{w.item_folder}/B02.tif\0/x.tif"), "neither http(s)"),
    Hostile("ten thousand characters", "href", lambda w: w.href("x" * 10_000 + ".tif"), "neither http(s)"),
    Hostile("a pipe", "href", lambda w: fifo(w.item_folder / "B02.tif"), "is no plain file"),
    Hostile("a folder", "href", lambda w: folder_for_a_file(w.item_folder / "B02.tif"), "is not there"),
    Hostile(
        "a path of this machine from a server",
        "href",
        lambda w: w.remote().href(f"file://{w.outside}/secret.tif"),
        "which a remote catalogue may not name",
    ),
]


def redirected(world, location):
    world.remote()
    world.own.fail("B02.tif", 302, location=location(world))


def of_a_length(world, said):
    """Serve the blue band with a length of the server's choice."""
    world.remote()
    data = (world.item_folder / "B02.tif").read_bytes()
    head = {"Content-Range": f"bytes 0-8191/{said}"}
    world.own.answers[f"/{ITEM}/B02.tif"] = lambda *_: (206, head, data[:8192].ljust(8192, b"\0"))


def spoilt_head(world):
    """Have the file begin as no TIFF does."""
    answer = world.own.answers[f"/{ITEM}/B02.tif"]
    world.own.answers[f"/{ITEM}/B02.tif"] = lambda *asked: (*answer(*asked)[:2], b"\0" * 8192)


def blocks_of_a_gigabyte(world):
    """Serve a directory whose blocks would fill the memory, of a file that could hold them."""
    for number in range(4):
        patched(world.item_folder / "B02.tif", 325, 1 << 30, at=number)
    of_a_length(world, 2 << 30)


REDIRECTS = [
    Hostile("to another host", "redirect", lambda w: redirected(w, lambda w: f"{w.elsewhere}/a.tif"), "is not https"),
    Hostile(
        "to another host, https",
        "redirect",
        lambda w: redirected(w, lambda w: f"https://127.0.0.1:{w.other.port}/a.tif"),
        "is not among those",
    ),
    Hostile("to a file", "redirect", lambda w: redirected(w, lambda w: f"file://{w.outside}/secret.tif"), "not https"),
    Hostile("to itself", "redirect", lambda w: redirected(w, lambda _: "B02.tif"), "is redirected more than 5 times"),
    Hostile(
        "of the catalogue",
        "redirect",
        lambda w: (w.remote(), w.own.fail("catalog.json", 302, location=f"{w.elsewhere}/catalog.json")),
        "is not https",
    ),
    Hostile("a file of a size no file has", "reply", lambda w: of_a_length(w, 10**20), "more than any scene"),
    Hostile("blocks of a gigabyte", "reply", blocks_of_a_gigabyte, "more bytes over the AOI than any real scene"),
    Hostile(
        "a file of 3 GB to be had whole",
        "reply",
        lambda w: (cut_short(w.item_folder / "B02.tif", 9000), of_a_length(w, 3 << 30), spoilt_head(w)),
        "too many to fetch whole",
    ),
    Hostile("a file of a size no number has", "reply", lambda w: of_a_length(w, "9" * 5000), "cannot be read now"),
    Hostile(
        "a part that was not asked for",
        "reply",
        lambda w: (
            w.remote(),
            w.own.answer(f"/{ITEM}/B02.tif", b"x" * 9, status=206, Content_Range="bytes 5-13/9999"),
        ),
        "another part of the file",
    ),
    Hostile(
        "an error nested without end",
        "reply",
        lambda w: (w.remote(), w.own.answer(f"/{ITEM}/B02.tif", b'{"message":' + b"[" * 60_000, status=400)),
        "is refused (400)",
    ),
    Hostile(
        "an error that commands the terminal",
        "reply",
        lambda w: (w.remote(), w.own.answer(f"/{ITEM}/B02.tif", {"message": "\x1b]0;x\x07\n<b>"}, status=400)),
        "is refused (400: \\x1b]0;x\\x07 <b>)",
    ),
]


def catalogue(world, text):
    (world.archive / "catalog.json").write_bytes(text if isinstance(text, bytes) else text.encode())


def item_link(href):
    return {"rel": "item", "href": href}


def endless(world):
    """Serve catalogues each of which leads to another one that was never seen."""
    world.remote()
    links = (
        {"type": "Catalog", "id": str(n), "stac_version": "1.0.0", "description": "c",
         "links": [{"rel": "child", "href": f"./{n}/catalog.json"}]}
        for n in range(10**9)
    )  # fmt: skip
    answer = lambda *_: (200, {}, json.dumps(next(links)).encode())  # noqa: E731
    world.own.answers |= {"/catalog.json": answer, "/*": answer}


def circular(world):
    (world.archive / "a").mkdir()
    world.catalog({"rel": "child", "href": "./a/catalog.json"})
    world.catalog({"rel": "child", "href": "../catalog.json"}, folder=world.archive / "a", id="a")


def bomb_in_gzip(world):
    world.remote()
    world.own.answer("/catalog.json", gzip.compress(b" " * (200 << 20), 1), Content_Encoding="gzip")


def nested(depth):
    return '{"type": "Catalog", "x": ' + "[" * depth + "]" * depth + "}"


def next_elsewhere(href):
    return lambda w: w.api(lambda _: w.page("a", next_href=href(w)))


CATALOGUES = [
    Hostile("nested without end", "catalogue", lambda w: catalogue(w, nested(100_000)), "nested deeper than 32", 2),
    Hostile("quotes without end", "catalogue", lambda w: catalogue(w, '\\"' * 500_000), "is not a STAC catalog", 2),
    Hostile("a million parts", "catalogue", lambda w: catalogue(w, f"[{'{},' * 1_000_001}0]"), "1,000,000 objects", 2),
    Hostile("no text", "catalogue", lambda w: catalogue(w, bytes(range(256))), "is not a STAC catalog", 2),
    Hostile("a number of 5,000 digits", "catalogue", lambda w: catalogue(w, "9" * 5_000), "is not a STAC catalog", 2),
    Hostile("200 MB in gzip", "catalogue", bomb_in_gzip, "sends more than the 67,108,864 bytes"),
    Hostile("catalogues without end", "catalogue", endless, "lies more than 16 catalogues deep"),
    Hostile("catalogues in a circle", "catalogue", circular, "no scene over the AOI"),
    Hostile(
        "links without end",
        "catalogue",
        lambda w: w.catalog(*(item_link(f"./{n}.json") for n in range(100_001))),
        "more than 100,000 documents",
    ),
    Hostile(
        "a link that climbs", "catalogue", lambda w: w.catalog(item_link("../outside/secret.json")), "lies outside"
    ),
    Hostile(
        "a link to a file",
        "catalogue",
        lambda w: w.catalog(item_link(f"file://{w.outside}/secret.json")),
        "lies outside",
    ),
    Hostile(
        "a link from a server to a file",
        "catalogue",
        lambda w: (w.remote(), w.catalog(item_link(f"file://{w.outside}/secret.json"))),
        "which a remote catalogue may not name",
    ),
    Hostile("a link to a host", "catalogue", lambda w: w.catalog(item_link(f"{w.elsewhere}/a.json")), "is not https"),
    Hostile(
        "a link that is no text", "catalogue", lambda w: w.catalog({"rel": "item", "href": {"a": 1}}), "STAC catalog", 2
    ),
    Hostile(
        "a next page that is this page",
        "page",
        lambda w: w.api(lambda _: w.page("a", next_href=f"{w.own.url}/search")),
        "pages with nothing new and does not end",
    ),
    Hostile(
        "pages without end",
        "page",
        lambda w: w.api(
            lambda n: w.page(*(f"L1C-{n}-{m}" for m in range(20_000)), next_href=f"{w.own.url}/search?page={n + 1}")
        ),
        "more than 50,000 items a year and does not end",
    ),
    Hostile("a next page elsewhere", "page", next_elsewhere(lambda w: f"{w.elsewhere}/search"), "is not https"),
    Hostile(
        "a next page on this machine",
        "page",
        next_elsewhere(lambda w: f"file://{w.outside}/secret.json"),
        "is not https",
    ),
    Hostile(
        "a next page by its path", "page", next_elsewhere(lambda w: f"{w.outside}/secret.json"), "path of this machine"
    ),
    Hostile("items that are words", "page", lambda w: w.api(lambda _: {"features": ["a"]}), "is not a STAC API", 2),
    Hostile(
        "as many items as a word",
        "page",
        lambda w: w.api(lambda _: w.page("a") | {"numberMatched": "a"}),
        "STAC API",
        2,
    ),
]

STAR = [[126.0 + 1e-6 * n * (n % 7), 38.0 + 1e-6 * n * (n % 11)] for n in range(3_000)]
ITEMS = [
    Hostile("a name that climbs", "item", lambda w: w.copied().item(id="../../../evil"), "cannot be that of a folder"),
    Hostile("a name that is a path", "item", lambda w: w.copied().item(id="/evil"), "cannot be that of a folder"),
    Hostile("a name of two dots", "item", lambda w: w.copied().item(id=".."), "cannot be that of a folder"),
    Hostile("a name in SQL", "item", lambda w: w.copied().item(id="x'; DROP TABLE scenes; --"), "cannot be that of"),
    Hostile("a name in HTML", "item", lambda w: w.copied().item(id="<script>alert(1)</script>"), "cannot be that of"),
    Hostile("a name of 310 characters", "item", lambda w: w.item(id="x" * 310), "its id is longer than 300 characters"),
    Hostile("a name that commands the terminal", "item", lambda w: w.item(id="a\x1b[2Jb"), "a\\x1b[2Jb is malformed"),
    Hostile("a name read from right to left", "item", lambda w: w.item(id="a\u202eb"), "a\\u202eb is malformed"),
    Hostile("a name of two lines", "item", lambda w: w.item(id="a\nplace: done"), "a place: done is malformed"),
    Hostile("a collection that climbs", "item", lambda w: w.copied().source.update(collection="../../x"), "be that of"),
    Hostile(
        "a platform with a bell", "item", lambda w: w.item(properties={"platform": "a\x07"}), "its platform is longer"
    ),
    Hostile(
        "an outline that crosses itself without end",
        "item",
        lambda w: w.item(geometry={"type": "Polygon", "coordinates": [[*STAR, STAR[0]]]}),
        "more than 2,000 corners",
    ),
    Hostile(
        "an outline that is nowhere",
        "item",
        lambda w: w.item(geometry={"type": "Polygon", "coordinates": [[[float("nan")] * 2] * 4]}),
        "is malformed",
    ),
    Hostile(
        "a day that is none",
        "item",
        lambda w: w.item(properties={"datetime": "2020-13-45"}),
        "is not a STAC catalog",
        2,
    ),
    Hostile(
        "a year that is none",
        "item",
        lambda w: w.item(properties={"datetime": "99999-01-01"}),
        "is not a STAC catalog",
        2,
    ),
    Hostile(
        "a cloud cover without end", "item", lambda w: w.item(properties={"eo:cloud_cover": float("inf")}), "malformed"
    ),
    Hostile("bands that are a word", "item", lambda w: w.item(assets="none"), "a STAC catalog", 2),
]


def site_text(change):
    return lambda w: w.site.write_text(change(w.site.read_text()))


def laughs(key):
    lines = [f"{key}: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines) + "\n"


def corners(count):
    angle = np.linspace(0, 2 * np.pi, count)
    ring = np.column_stack([127.86 + 0.001 * np.cos(angle), 38.83 + 0.001 * np.sin(angle)]).tolist()
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def with_attribute(key, value):
    return lambda w: w.edit_site(lambda f: f["properties"].update({key: value}))


def config(text):
    return lambda w: setattr(w, "config_text", text)


def claims(text):
    return lambda w: setattr(w, "claims_text", text)


WRITTEN = [
    Hostile("nested without end", "site", site_text(lambda _: "[" * 50_000), "nested deeper than 32", 2),
    Hostile("20 MB", "site", site_text(lambda t: t + " " * (20 << 20)), "has more than 16,777,216 bytes", 2),
    Hostile(
        "a key twice",
        "site",
        site_text(lambda t: t.replace('"role"', '"role": "zone", "role"')),
        "'role' stands twice",
        2,
    ),
    Hostile(
        "200,000 corners",
        "site",
        lambda w: w.edit_site(lambda f: f.update(geometry=corners(200_000))),
        "simplify it",
        2,
    ),
    Hostile("a corner that is no number", "site", site_text(lambda t: t.replace("[[[", "[[[NaN, 1], [", 1)), "NaN", 2),
    Hostile(
        "a corner of 5,000 digits",
        "site",
        site_text(lambda t: t.replace("[[[", f"[[[{'9' * 5000}, 1], [", 1)),
        "is not JSON",
        2,
    ),
    Hostile("a length of 400 digits", "site", with_attribute("uncertainty_m", 10**400), "write a number of metres", 2),
    Hostile("a name that climbs", "site", with_attribute("id", "../../evil"), "use lower-case letters", 2),
    Hostile(
        "a name that commands the terminal",
        "site",
        with_attribute("name", "\x1b[2Jport"),
        "control characters: \\x1b[2J",
        2,
    ),
    Hostile(
        "a note read from right to left", "site", with_attribute("note", "\u202eport"), "control characters: \\u202e", 2
    ),
    Hostile("no text", "site", lambda w: w.site.write_bytes(b"\xff\xfe{}"), "is not JSON", 2),
    Hostile("a pipe", "site", lambda w: fifo(w.site), "is no plain file", 2),
    Hostile(
        "what never ends", "site", lambda w: (w.site.unlink(), w.site.symlink_to("/dev/zero")), "is no plain file", 2
    ),
    Hostile("a billion laughs", "config", config(laughs("years")), "line 2: *a repeats a list or mapping", 2),
    Hostile("a circle", "config", config("years: &a [*a]\n"), "line 1: *a repeats", 2),
    Hostile(
        "a key twice", "config", config("out: a\nsites: b\nout: c\n"), "line 3, column 1: key 'out' stands twice", 2
    ),
    Hostile(
        "a key twice inside",
        "config",
        config("years: {first: 2018,\n first: 2019}\n"),
        "line 2, column 2: key 'first'",
        2,
    ),
    Hostile("an object of Python", "config", config("out: !!python/object/apply:os.system ['true']\n"), "line 1", 2),
    Hostile("nested without end", "config", config("out: " + "[" * 50_000), "nested deeper than 32", 2),
    Hostile(
        "a number of 5,000 digits", "config", config(f"min_dates: {'9' * 5000}\n"), "a number of 5,000 characters", 2
    ),
    Hostile("a day that is none", "config", config("years: {first: 2001-99-99}\n"), "is not valid YAML", 2),
    Hostile("2 MB", "config", config("# " + "x" * (2 << 20)), "has more than 1,048,576 bytes", 2),
    Hostile("keys that are no words", "config", config("1: 2\n[a]: 3\n"), "config.yaml", 2),
    Hostile(
        "a user in the address",
        "config",
        config(f"source: {{url: 'https://user:{CANARY}@a.b/c'}}\n"),
        "names a user",
        2,
    ),
    Hostile(
        "a key in the address",
        "config",
        config(f"source: {{url: 'https://a.b/c?key={CANARY}'}}\n"),
        "more than a path",
        2,
    ),
    Hostile(
        "a key for tokens",
        "config",
        config(f"source: {{sign_url: 'https://a.b/c?key={CANARY}'}}\n"),
        "more than a path",
        2,
    ),
    Hostile("a user of a host", "config", config(f"source: {{hosts: ['u:{CANARY}@a.b']}}\n"), "names a user", 2),
    Hostile(
        "a file address", "config", config("source: {url: 'file:///etc/passwd'}\n"), "neither http(s) nor a path", 2
    ),
    Hostile(
        "GDAL's network",
        "config",
        config("source: {url: '/vsicurl/http://a.b/c.json'}\n"),
        "neither http(s) nor a path",
        2,
    ),
    Hostile("a zero byte", "config", config('source: {url: "a\\0b"}\n'), "control characters", 2),
    Hostile("a billion laughs", "claims", claims(laughs("claims")), "line 2: *a repeats a list or mapping", 2),
    Hostile(
        "a key twice", "claims", claims("claims: []\nclaims: []\n"), "key 'claims' stands twice, first in line 1", 2
    ),
    Hostile("a command to the terminal", "claims", claims('claims: [{quote: "\\e[2J"}]\n'), "control characters", 2),
    Hostile(
        "a number in seconds and seconds",
        "claims",
        claims(f"claims: {'1:1' * 500}\n"),
        "a number of 1,500 characters",
        2,
    ),
]


def cut_short(path, size):
    path.write_bytes(path.read_bytes()[:size])


def patched(path, tag, value, at=0):
    """Write a number over one of those of a tag of a little-endian classic TIFF."""
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        found, kind, length, offset = struct.unpack_from("<HHII", data, entry)
        if found == tag:
            form, size = {3: ("<H", 2), 4: ("<I", 4)}[kind]
            struct.pack_into(form, data, (entry + 8 if size * length <= 4 else offset) + at * size, value)
            path.write_bytes(data)
            return
    raise AssertionError(tag)


def next_directory_is_first(path):
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    path.write_bytes(data)


GRIDS = (
    'PROJCS["x",GEOGCS["g",DATUM["d",SPHEROID["Bessel 1841",6377397.155,299.15],EXTENSION["PROJ4_GRIDS","{}"]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",129],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def shift_grid(world):
    """Name a shift grid in the coordinate system: PROJ opens it when the raster is opened."""
    with rasterio.Env():
        world.band(crs=GRIDS.format(world.folder / "secret.gsb"), GEOTIFF_KEYS_FLAVOR="ESRI_PE")
    path = world.item_folder / "B02.tif"
    here, there = str(world.folder / "secret.gsb"), str(world.outside / "secret.gsb")
    # Written with a name of the same length, so that the file itself is not opened while this one is made.
    assert len(here) <= len(there)
    path.write_bytes(path.read_bytes().replace(here.encode(), there.encode()))


def huge(world, width, height, *, step_m=10, **profile):
    path = world.item_folder / "B02.tif"
    path.unlink()
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, dtype="uint16", crs=f"EPSG:{EPSG}",
        transform=Affine(step_m, 0, LEFT, 0, -step_m, TOP), sparse_ok=True, bigtiff="yes", nodata=0, **profile,
    ):  # fmt: skip
        pass


def jpeg2000(world, change):
    """Have the blue band be a JPEG 2000 whose bytes are changed."""
    path = world.item_folder / "B02.jp2"
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", height=120, width=120, count=1, dtype="uint16", crs=f"EPSG:{EPSG}",
        transform=Affine(10, 0, LEFT, 0, -10, TOP), quality=100, reversible=True,
    ) as dataset:  # fmt: skip
        dataset.write(np.ones((120, 120), np.uint16), 1)
    path.write_bytes(change(path.read_bytes()))
    for side in world.item_folder.glob("*.aux.xml"):
        side.unlink()
    world.href("./B02.jp2")


def sized(width, height, tile_width, tile_height):
    """Give a change that has a JPEG 2000 claim a size, in its header and its stream."""

    def change(data):
        data, header, stream = bytearray(data), data.index(b"ihdr") + 4, data.index(b"\xff\x51") + 6
        struct.pack_into(">II", data, header, height, width)
        struct.pack_into(">II", data, stream, width, height)
        struct.pack_into(">II", data, stream + 16, tile_width, tile_height)
        return bytes(data)

    return change


RASTERS = [
    Hostile(
        "a virtual raster in a .tif",
        "raster",
        lambda w: (w.item_folder / "B02.tif").write_text(virtual(w.outside / "secret.tif")),
        "is broken",
    ),
    Hostile(
        "a virtual raster in a .jp2",
        "raster",
        lambda w: jpeg2000(w, lambda _: virtual(w.outside / "secret.tif").encode()),
        "no stream of JPEG 2000",
    ),
    Hostile("a shift grid elsewhere", "raster", shift_grid, "names other files"),
    Hostile(
        "tiles of 16,384 pixels",
        "raster",
        lambda w: huge(w, 200_000, 200_000, tiled=True, blockxsize=16_384, blockysize=16_384),
        "is cut into tiles of 16384 x 16384",
    ),
    Hostile(
        "one strip of 30,000 x 30,000",
        "raster",
        lambda w: huge(w, 30_000, 30_000, blockysize=30_000, compress="deflate"),
        "is cut into tiles of 30000 x 30000",
    ),
    Hostile("300 bands", "raster", lambda w: w.band(count=300, interleave="pixel"), "holds 300 bands, not one"),
    Hostile("complex numbers", "raster", lambda w: w.band(dtype="complex64"), "holds complex64, not numbers"),
    Hostile(
        "a local coordinate system",
        "raster",
        lambda w: w.band(crs='LOCAL_CS["x",UNIT["metre",1]]'),
        "lies where nothing is",
    ),
    Hostile(
        "pixels without a size",
        "raster",
        lambda w: w.band(transform=Affine(1e-308, 0, LEFT, 0, -1e-308, TOP)),
        "lies where nothing is",
    ),
    Hostile(
        "pixels of all the world",
        "raster",
        lambda w: w.band(transform=Affine(1e308, 0, LEFT, 0, -1e308, TOP)),
        "does not reach the AOI",
    ),
    Hostile(
        "pixels of a centimetre",
        "raster",
        lambda w: huge(w, 200_000, 200_000, tiled=True, blockxsize=512, blockysize=512, step_m=0.01),
        "more pixels over the AOI",
    ),
    Hostile(
        "a block longer than the file",
        "raster",
        lambda w: [patched(w.item_folder / "B02.tif", 325, 2**31, at=n) for n in range(4)],
        "is broken",
    ),
    Hostile(
        "blocks beyond the end",
        "raster",
        lambda w: [patched(w.item_folder / "B02.tif", 324, 2**31, at=n) for n in range(4)],
        "is broken",
    ),
    Hostile(
        "blocks beyond the end, remote",
        "raster",
        lambda w: w.remote() and [patched(w.item_folder / "B02.tif", 324, 2**31, at=n) for n in range(4)],
        "is broken",
    ),
    Hostile(
        "a JPEG 2000 of 200,000 x 200,000",
        "raster",
        lambda w: jpeg2000(w, sized(200_000, 200_000, 200_000, 200_000)),
        "tiles of 200000 x 200000",
    ),
    Hostile(
        "a JPEG 2000 of 65,025 tiles",
        "raster",
        lambda w: jpeg2000(w, sized(255, 255, 1, 1)),
        "is cut into 65,025 tiles",
    ),
    Hostile("half a JPEG 2000", "raster", lambda w: jpeg2000(w, lambda d: d[: len(d) // 2]), "B02.jp2"),
    Hostile("a file cut short", "raster", lambda w: cut_short(w.item_folder / "B02.tif", 300), "B02.tif"),
]


TABLE = [*HREFS, *REDIRECTS, *CATALOGUES, *ITEMS, *WRITTEN, *RASTERS]


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.01)
    build(tmp_path)
    with Provider(tmp_path / "archive") as own, Neighbour() as other:
        yield World(tmp_path, own, other)


def kept(folder):
    """Every byte below a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def unwelcome(world, before, opened):
    """List what a run read, asked or wrote that it should not have."""
    found = [f"opened {name}" for name in sorted(opened.so_far())]
    found += [f"asked the other host {world.other.knocks} times"] * bool(world.other.knocks)
    after = world.tree()
    found += [f"wrote {name}" for name in sorted(after) if before.get(name) != after[name]]
    found += ["kept the content of a file outside"] * (CANARY.encode() in kept(world.out))
    return found


@pytest.mark.parametrize("case", TABLE, ids=lambda case: f"{case.door}: {case.name}")
def test_hostile_input_is_refused_in_one_line_and_reaches_nothing_else(case, world, capsys):
    case.make(world)
    world.write()
    before = world.tree()
    opened = Opened(list(world.outside.iterdir()))
    capsys.readouterr()
    try:
        status = world.run()
        said = capsys.readouterr()
        assert unwelcome(world, before, opened) == []
    finally:
        opened.close()
    text = said.out + said.err
    *progress, last = said.err.splitlines()
    assert (status, said.out) == (case.status, "")
    assert case.said in last
    assert last.startswith("place: FAILED after " if case.status == 1 else "stockline: ")
    assert all(line.startswith(("place: ", "source: ")) and "FAILED" not in line for line in progress), said.err
    assert "unexpected" not in last
    assert CANARY not in text
    assert text.replace("\n", "").isprintable()
    assert len(last) < 700


def test_there_are_forty_and_they_come_through_every_door():
    assert len(TABLE) >= 40
    assert len({(case.door, case.name) for case in TABLE}) == len(TABLE)
    doors = {"href", "redirect", "reply", "catalogue", "page", "item", "site", "config", "claims", "raster"}
    assert {case.door for case in TABLE} == doors


@pytest.mark.parametrize("spoil", [lambda _: None, lambda w: w.copied(), lambda w: w.remote()])
def test_the_world_works_when_nothing_is_spoilt(spoil, world, capsys):
    spoil(world)
    world.write()
    before = world.tree()
    opened = Opened(list(world.outside.iterdir()))
    assert world.run() == 0, capsys.readouterr().err
    assert unwelcome(world, before, opened) == []
    opened.close()
    assert (world.out / "place" / "report.html").is_file()


def test_what_watches_a_run_sees_every_kind_of_trespass(world):
    before = world.tree()
    opened = Opened(list(world.outside.iterdir()))
    with rasterio.open(world.outside / "secret.tif") as dataset:
        dataset.read(1)
    socket.create_connection(("127.0.0.1", world.other.port)).close()
    (world.folder / "more").write_text("x")
    world.out.mkdir()
    (world.out / "copy").write_bytes((world.outside / "secret.txt").read_bytes())
    time.sleep(0.2)
    assert unwelcome(world, before, opened) == [
        "opened secret.tif", "opened secret.txt", "asked the other host 1 times", "wrote more",
        "kept the content of a file outside",
    ]  # fmt: skip
    opened.close()


# --- names that reach results ------------------------------------------------------------------------------------

NAMES = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "sql": "x'); DROP TABLE scenes; --\"",
    "typst": '#read("/etc/passwd") \\ $x$ *b* @a',
    "markup": "[/red][link=file:///etc/passwd]x[/link]",
    "template": "{{ 7 * 7 }}{% raw %}",
    "formula": "=cmd|'/C calc'!A0",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_of_a_catalogue_is_only_a_name_in_every_product(kind, world, capsys):
    """A local archive's names become no folder, so they go on into the results: as text, whatever they hold."""
    name = NAMES[kind]
    world.item(id=name, properties={"platform": name})
    assert world.run() == 0, capsys.readouterr().err
    folder = world.out / "place"
    with sqlite3.connect(f"file:{folder}/place.gpkg?mode=ro", uri=True) as database:
        assert database.execute("SELECT scene_id, platform FROM scenes").fetchall() == [(name, name.lower())]
    page = (folder / "report.html").read_text(encoding="utf-8")
    seen = Texts()
    seen.feed(page)
    # The program's own scripts stand in the page; of a name they hold at most letters inside data.
    assert [text for text in seen.scripts if text not in OWN_SCRIPTS] == [seen.data]
    assert not seen.handlers
    told = page.replace(html.escape(name), "").replace(html.escape(name).replace(" ", "_"), "")  # as text, as an anchor
    assert ("<script>alert" in page, "onerror=alert" in told) == (False, False)
    told = " ".join(" ".join(sheet.extract_text() for sheet in pypdf.PdfReader(folder / "report.pdf").pages).split())
    assert "root:" not in told
    if kind in {"typst", "template"}:
        assert "49" not in html.unescape(page).split(name)[0][-3:]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {file["item_id"] for file in manifest["inputs"]} == {name}


OWN_SCRIPTS = (leaflet()[1], template("page.js"), template("map.js"))


class Texts(html.parser.HTMLParser):
    """Scripts of a page, which of them is data, and attributes that run something."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.data, self.handlers, self.kind = [], "", [], None

    def handle_data(self, data):
        if self.kind is not None:
            self.scripts.append(data)
            self.data += data if self.kind == "application/json" else ""

    def handle_endtag(self, tag):  # noqa: ARG002
        self.kind = None

    def handle_starttag(self, tag, attributes):
        self.kind = dict(attributes).get("type", "") if tag == "script" else None
        self.handlers += [
            (tag, name) for name, value in attributes if name.startswith("on") or "script:" in (value or "")
        ]


def test_a_warning_of_a_library_commands_no_terminal(world):
    """The client of STAC APIs repeats a word of the catalogue, and would print the line of code it is in."""
    world.api(lambda _: world.page("a"))
    search = {
        "rel": "search",
        "href": f"{world.own.url}/search",
        "type": "application/geo+json",
        "method": "G\x1b[2J\n",
    }
    world.own.answer("/", world.landing(search))
    world.write()
    done = call("run", "--config", world.folder / "config.yaml")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
    assert all(line.startswith(("stockline: ", "place: ", "source: ")) for line in done.stderr.splitlines()), (
        done.stderr
    )
    assert "\\x1b[2J" in done.stderr


# --- what was written before ---------------------------------------------------------------------------------------


def finished(world, capsys):
    world.copied()
    assert world.run() == 0
    capsys.readouterr()
    return world.out / "place"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\0b", "outside"), ("x" * 300, "outside"), ("../../outside/secret.txt", "outside"),
        ("/etc/passwd", "outside"), ("a\x1b[2J", "outside"),
    ],
    ids=["zero", "long", "climbs", "path", "terminal"],
)  # fmt: skip
@pytest.mark.parametrize("part", ["inputs", "outputs"])
def test_a_manifest_of_a_stranger_is_checked_without_following_it(part, name, said, world, capsys):
    path = finished(world, capsys) / "manifest.json"
    document = json.loads(path.read_text())
    document[part][0]["path"] = name
    path.write_text(json.dumps(document))
    opened = Opened(list(world.outside.iterdir()))
    assert cli.main(["verify", str(world.out)]) == 1
    out = capsys.readouterr().out
    assert said in out
    assert out.replace("\n", "").isprintable()
    assert opened.so_far() == set()
    opened.close()


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000, "9" * 5_000, "\xff", "", "null", "[]"])
def test_a_manifest_that_is_none_is_told_in_one_line(text, world, capsys):
    (finished(world, capsys) / "manifest.json").write_text(text, encoding="latin-1")
    assert cli.main(["verify", str(world.out)]) == 1
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "place/manifest.json: " in line]
    assert said == "place/manifest.json: differs from the hash in runs/0001.json"


RECORDS = {
    "nested": lambda _: "[" * 100_000,
    "elsewhere": lambda t: t.replace('"blue.tif"', '"../../../../../outside/secret.tif"'),
    "without a band": lambda t: t.replace('"blue.tif"', '"other.tif"'),
    "no record": lambda _: "null",
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_of_the_store_that_was_tampered_with_is_set_aside(kind, world, capsys):
    """What it says is not believed: the scene is fetched again, and nothing elsewhere is read."""
    finished(world, capsys)
    (path,) = world.out.rglob("v1/record.json")
    path.write_text(RECORDS[kind](path.read_text()))
    opened = Opened(list(world.outside.iterdir()))
    assert world.run() == 0
    said = capsys.readouterr().err
    assert opened.so_far() == set()
    opened.close()
    assert "fetched again" in said
    assert "Traceback" not in said


# --- memory ----------------------------------------------------------------------------------------------------------

BOMBS = {
    "directory of 200,000 x 200,000": lambda w: huge(w, 200_000, 200_000, tiled=True, blockxsize=512, blockysize=512),
    "the largest tile there may be": lambda w: huge(
        w, 20_000, 20_000, tiled=True, blockxsize=14_000, blockysize=14_000
    ),
    "JPEG 2000 in one tile": lambda w: jpeg2000(w, sized(200_000, 200_000, 200_000, 200_000)),
    "JPEG 2000 in 65,025 tiles": lambda w: jpeg2000(w, sized(255, 255, 1, 1)),
    "JPEG 2000 in the largest tile there may be": lambda w: jpeg2000(w, sized(11_000, 11_000, 11_000, 11_000)),
    "a reply of 200 MB in gzip": bomb_in_gzip,
    "a catalogue of a million parts": lambda w: catalogue(w, f"[{'{},' * 999_990}0]"),
    "a site file of 16 MB": lambda w: w.edit_site(lambda f: f.update(geometry=corners(300_000))),
}
MOST_MB = 900
"""Of the whole process; the program itself takes 250."""
LIMITED = """import sys
from pipeline import cli
status = cli.main(sys.argv[1:])
print("PEAK", next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(status)"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOMBS)
def test_no_bomb_takes_much_memory_or_time(kind, world):
    BOMBS[kind](world)
    world.write()
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "run", "--config", str(world.folder / "config.yaml")],
        env=environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    took_s, peak_mb = time.monotonic() - started, int(done.stdout.split("PEAK ")[1]) / 1000
    assert "Traceback" not in done.stderr
    assert peak_mb < MOST_MB, f"{peak_mb:.0f} MB"
    assert took_s < 60
