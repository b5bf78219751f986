"""Whatever a stranger writes ends in one clear line: nothing else is read, asked or written.

Each case spoils one thing in a world that works, and runs the command line on it as a user would.
"""

import errno
import gzip
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import rasterio
from hostile import BANDS, CANARY, ITEM, Neighbour, Opened, Provider, World, build
from rasterio.transform import Affine
from servers import EPSG, LEFT, TOP

from pipeline import remote


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
    Hostile("a virtual raster", "href", lambda w: w.href(virtual(w.outside / "secret.tif")), "is not there"),
    Hostile("a directory of a TIFF", "href", lambda w: w.href(f"GTIFF_DIR:1:{w.outside}/secret.tif"), "is not there"),
    Hostile("S3", "href", lambda w: w.href("s3://bucket/B02.tif"), "neither http(s)"),
    Hostile("FTP", "href", lambda w: w.href(f"ftp://127.0.0.1:{w.other.port}/B02.tif"), "neither http(s)"),
    Hostile("another host", "href", lambda w: w.copied() or w.href(f"{w.elsewhere}/B02.tif"), "is not https"),
    Hostile(
        "another host, https", "href",
        lambda w: w.copied() or w.href(f"https://127.0.0.1:{w.other.port}/B02.tif"), "is not among those of source.url",
    ),
    Hostile(
        "this host by another name", "href",
        lambda w: w.remote().href(w.own.url.replace("127.0.0.1", "localhost") + "/B02.tif"), "is not https",
    ),
    Hostile(
        "another host as a number", "href", lambda w: w.remote().href(f"https://2130706433:{w.other.port}/B02.tif"),
        "is not among those",
    ),
    Hostile(
        "another host in version 6", "href", lambda w: w.remote().href(f"https://[::1]:{w.other.port}/B02.tif"),
        "is not among those",
    ),
    Hostile(
        "a host of full-width digits", "href",
        lambda w: w.remote().href(f"https://１２７.0.0.1:{w.other.port}/B02.tif"), "address",
    ),
    Hostile("a host that is none", "href", lambda w: w.remote().href("https://[::1/B02.tif"), "address"),
    Hostile("a port that is none", "href", lambda w: w.remote().href("https://127.0.0.1:99999999/B02.tif"), "address"),
    Hostile(
        "a user in the address", "href",
        lambda w: w.remote().href(w.own.url.replace("//", f"//user:{CANARY}@") + "/B02.tif"), "holds a user name",
    ),
    Hostile(
        "a backslash before another host", "href",
        lambda w: w.remote().href(f"{w.own.url}\\@127.0.0.1:{w.other.port}/B02.tif"), "neither http(s) nor a path",
    ),
    Hostile(
        "the same scheme, another host", "href", lambda w: w.remote().href(f"//127.0.0.1:{w.other.port}/B02.tif"),
        "is not https",
    ),
    Hostile("a second line", "href", lambda w: w.href(f"{w.item_folder}/B02.tif\n{w.outside}/a.tif"), "neither http(s)"),
    Hostile("a command to the terminal", "href", lambda w: w.href(f"{w.item_folder}/\x1b[2J.tif"), "\\x1b[2J"),
    Hostile("a zero byte", "href", lambda w: w.href(f"{w.item_folder}/B02.tif\0/x.tif"), "neither http(s)"),
    Hostile("ten thousand characters", "href", lambda w: w.href("x" * 10_000 + ".tif"), "neither http(s)"),
    Hostile("a pipe", "href", lambda w: fifo(w.item_folder / "B02.tif"), "is no plain file"),
    Hostile("a folder", "href", lambda w: folder_for_a_file(w.item_folder / "B02.tif"), "is not there"),
    Hostile(
        "a path of this machine from a server", "href", lambda w: w.remote().href(f"file://{w.outside}/secret.tif"),
        "which a remote catalogue may not name",
    ),
]  # fmt: skip


def redirected(world, location):
    world.remote()
    world.own.fail("B02.tif", 302, location=location(world))


def of_a_length(world, said):
    """Serve the blue band with a length of the server's choice."""
    world.remote()
    data = (world.item_folder / "B02.tif").read_bytes()
    head = {"Content-Range": f"bytes 0-8191/{said}"}
    world.own.answers[f"/{ITEM}/B02.tif"] = lambda *_: (206, head, data[:8192].ljust(8192, b"\0"))


REDIRECTS = [
    Hostile("to another host", "redirect", lambda w: redirected(w, lambda w: f"{w.elsewhere}/a.tif"), "is not https"),
    Hostile(
        "to another host, https", "redirect",
        lambda w: redirected(w, lambda w: f"https://127.0.0.1:{w.other.port}/a.tif"), "is not among those",
    ),
    Hostile("to a file", "redirect", lambda w: redirected(w, lambda w: f"file://{w.outside}/secret.tif"), "not https"),
    Hostile("to itself", "redirect", lambda w: redirected(w, lambda w: "B02.tif"), "is redirected more than 5 times"),
    Hostile(
        "of the catalogue", "redirect",
        lambda w: (w.remote(), w.own.fail("catalog.json", 302, location=f"{w.elsewhere}/catalog.json")), "is not https",
    ),
    Hostile("a file of a size no file has", "reply", lambda w: of_a_length(w, 10**20), "more than any scene"),
    Hostile("a file of a size no number has", "reply", lambda w: of_a_length(w, "9" * 5000), "cannot be read now"),
    Hostile(
        "a part that was not asked for", "reply",
        lambda w: (
            w.remote(),
            w.own.answer(f"/{ITEM}/B02.tif", b"x" * 9, status=206, Content_Range="bytes 5-13/9999"),
        ), "another part of the file",
    ),
    Hostile(
        "an error nested without end", "reply",
        lambda w: (w.remote(), w.own.answer(f"/{ITEM}/B02.tif", b'{"message":' + b"[" * 60_000, status=400)),
        "is refused (400)",
    ),
    Hostile(
        "an error that commands the terminal", "reply",
        lambda w: (w.remote(), w.own.answer(f"/{ITEM}/B02.tif", {"message": "\x1b]0;x\x07\n<b>"}, status=400)),
        "is refused (400: \\x1b]0;x\\x07 <b>)",
    ),
]  # fmt: skip


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
    return lambda w: w.api(lambda n: w.page("a", next_href=href(w)))


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
        "links without end", "catalogue",
        lambda w: w.catalog(*(item_link(f"./{n}.json") for n in range(100_001))), "more than 100,000 documents",
    ),
    Hostile("a link that climbs", "catalogue", lambda w: w.catalog(item_link("../outside/secret.json")), "lies outside"),
    Hostile(
        "a link to a file", "catalogue", lambda w: w.catalog(item_link(f"file://{w.outside}/secret.json")),
        "lies outside",
    ),
    Hostile(
        "a link from a server to a file", "catalogue",
        lambda w: (w.remote(), w.catalog(item_link(f"file://{w.outside}/secret.json"))),
        "which a remote catalogue may not name",
    ),
    Hostile("a link to a host", "catalogue", lambda w: w.catalog(item_link(f"{w.elsewhere}/a.json")), "is not https"),
    Hostile(
        "a link that is no text", "catalogue", lambda w: w.catalog({"rel": "item", "href": {"a": 1}}), "STAC catalog", 2
    ),
    Hostile(
        "a next page that is this page", "page", lambda w: w.api(lambda n: w.page("a", next_href=f"{w.own.url}/search")),
        "pages with nothing new and does not end",
    ),
    Hostile(
        "pages without end", "page",
        lambda w: w.api(
            lambda n: w.page(*(f"{n}-{m}" for m in range(2_000)), next_href=f"{w.own.url}/search?page={n + 1}")
        ), "more than 50,000 items a year and does not end",
    ),
    Hostile("a next page elsewhere", "page", next_elsewhere(lambda w: f"{w.elsewhere}/search"), "is not https"),
    Hostile(
        "a next page on this machine", "page", next_elsewhere(lambda w: f"file://{w.outside}/secret.json"), "is not https"
    ),
    Hostile("a next page by its path", "page", next_elsewhere(lambda w: f"{w.outside}/secret.json"), "path of this machine"),
    Hostile("items that are words", "page", lambda w: w.api(lambda n: {"features": ["a"]}), "is not a STAC API", 2),
    Hostile("as many items as a word", "page", lambda w: w.api(lambda n: w.page("a") | {"numberMatched": "a"}), "STAC API", 2),
]  # fmt: skip

STAR = [[126.0 + 1e-6 * n * (n % 7), 38.0 + 1e-6 * n * (n % 11)] for n in range(3_000)]
ITEMS = [
    Hostile("a name that climbs", "item", lambda w: w.copied() or w.item(id="../../../evil"), "cannot be that of a folder"),
    Hostile("a name that is a path", "item", lambda w: w.copied() or w.item(id="/tmp/evil"), "cannot be that of a folder"),
    Hostile("a name of two dots", "item", lambda w: w.copied() or w.item(id=".."), "cannot be that of a folder"),
    Hostile("a name in SQL", "item", lambda w: w.copied() or w.item(id="x'; DROP TABLE scenes; --"), "cannot be that of"),
    Hostile("a name in HTML", "item", lambda w: w.copied() or w.item(id="<script>alert(1)</script>"), "cannot be that of"),
    Hostile("a name of 310 characters", "item", lambda w: w.item(id="x" * 310), "its id is longer than 300 characters"),
    Hostile("a name that commands the terminal", "item", lambda w: w.item(id="a\x1b[2Jb"), "a\\x1b[2Jb is malformed"),
    Hostile("a name read from right to left", "item", lambda w: w.item(id="a\u202eb"), "a\\u202eb is malformed"),
    Hostile("a name of two lines", "item", lambda w: w.item(id="a\nplace: done"), "a place: done is malformed"),
    Hostile("a collection that climbs", "item", lambda w: w.copied() or w.source.update(collection="../../x"), "be that of"),
    Hostile("a platform with a bell", "item", lambda w: w.item(properties={"platform": "a\x07"}), "its platform is longer"),
    Hostile(
        "an outline that crosses itself without end", "item",
        lambda w: w.item(geometry={"type": "Polygon", "coordinates": [[*STAR, STAR[0]]]}), "more than 2,000 corners",
    ),
    Hostile(
        "an outline that is nowhere", "item",
        lambda w: w.item(geometry={"type": "Polygon", "coordinates": [[[float("nan")] * 2] * 4]}), "covers no ground",
    ),
    Hostile("a zone of 400 digits", "item", lambda w: w.item(properties={"proj:epsg": 10**400}), "none of 1 scenes"),
    Hostile("a day that is none", "item", lambda w: w.item(properties={"datetime": "2020-13-45"}), "is malformed"),
    Hostile("a year that is none", "item", lambda w: w.item(properties={"datetime": "99999-01-01"}), "is malformed"),
    Hostile("a cloud cover without end", "item", lambda w: w.item(properties={"eo:cloud_cover": float("inf")}), "malformed"),
    Hostile("bands that are a word", "item", lambda w: w.item(assets="none"), "a STAC catalog", 2),
]  # fmt: skip


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
    Hostile("nested without end", "site", site_text(lambda t: "[" * 50_000), "nested deeper than 32", 2),
    Hostile("20 MB", "site", site_text(lambda t: t + " " * (20 << 20)), "has more than 16,777,216 bytes", 2),
    Hostile("a key twice", "site", site_text(lambda t: t.replace('"role"', '"role": "zone", "role"')), "'role' stands twice", 2),
    Hostile("200,000 corners", "site", lambda w: w.edit_site(lambda f: f.update(geometry=corners(200_000))), "simplify it", 2),
    Hostile("a corner that is no number", "site", site_text(lambda t: t.replace("[[[", "[[[NaN, 1], [", 1)), "NaN", 2),
    Hostile("a corner of 5,000 digits", "site", site_text(lambda t: t.replace("[[[", f"[[[{'9' * 5000}, 1], [", 1)), "is not JSON", 2),
    Hostile("a length of 400 digits", "site", with_attribute("uncertainty_m", 10**400), "write a number of metres", 2),
    Hostile("a name that climbs", "site", with_attribute("id", "../../evil"), "use lower-case letters", 2),
    Hostile("a name that commands the terminal", "site", with_attribute("name", "\x1b[2Jport"), "control characters: \\x1b[2J", 2),
    Hostile("a note read from right to left", "site", with_attribute("note", "\u202eport"), "control characters: \\u202e", 2),
    Hostile("no text", "site", lambda w: w.site.write_bytes(b"\xff\xfe{}"), "is not JSON", 2),
    Hostile("a pipe", "site", lambda w: fifo(w.site), "is no plain file", 2),
    Hostile("what never ends", "site", lambda w: (w.site.unlink(), w.site.symlink_to("/dev/zero")), "is no plain file", 2),
    Hostile("a billion laughs", "config", config(laughs("years")), "line 2: *a repeats a list or mapping", 2),
    Hostile("a circle", "config", config("years: &a [*a]\n"), "line 1: *a repeats", 2),
    Hostile("a key twice", "config", config("out: a\nsites: b\nout: c\n"), "line 3, column 1: key 'out' stands twice", 2),
    Hostile("a key twice inside", "config", config("years: {first: 2018,\n first: 2019}\n"), "line 2, column 2: key 'first'", 2),
    Hostile("an object of Python", "config", config("out: !!python/object/apply:os.system ['true']\n"), "line 1", 2),
    Hostile("nested without end", "config", config("out: " + "[" * 50_000), "nested deeper than 32", 2),
    Hostile("a number of 5,000 digits", "config", config(f"min_dates: {'9' * 5000}\n"), "a number of 5,000 characters", 2),
    Hostile("a day that is none", "config", config("years: {first: 2001-99-99}\n"), "is not valid YAML", 2),
    Hostile("2 MB", "config", config("# " + "x" * (2 << 20)), "has more than 1,048,576 bytes", 2),
    Hostile("keys that are no words", "config", config("1: 2\n[a]: 3\n"), "config.yaml", 2),
    Hostile("a user in the address", "config", config(f"source: {{url: 'https://user:{CANARY}@a.b/c'}}\n"), "names a user", 2),
    Hostile("a key in the address", "config", config(f"source: {{url: 'https://a.b/c?key={CANARY}'}}\n"), "more than a path", 2),
    Hostile("a key for tokens", "config", config(f"source: {{sign_url: 'https://a.b/c?key={CANARY}'}}\n"), "more than a path", 2),
    Hostile("a user of a host", "config", config(f"source: {{hosts: ['u:{CANARY}@a.b']}}\n"), "names a user", 2),
    Hostile("a file address", "config", config("source: {url: 'file:///etc/passwd'}\n"), "neither http(s) nor a path", 2),
    Hostile("GDAL's network", "config", config("source: {url: '/vsicurl/http://a.b/c.json'}\n"), "neither http(s) nor a path", 2),
    Hostile("a zero byte", "config", config('source: {url: "a\\0b"}\n'), "control characters", 2),
    Hostile("a billion laughs", "claims", claims(laughs("claims")), "line 2: *a repeats a list or mapping", 2),
    Hostile("a key twice", "claims", claims("claims: []\nclaims: []\n"), "key 'claims' stands twice, first in line 1", 2),
    Hostile("a command to the terminal", "claims", claims('claims: [{quote: "\\e[2J"}]\n'), "control characters", 2),
    Hostile("a number in seconds and seconds", "claims", claims(f"claims: {'1:1' * 500}\n"), "a number of 1,500 characters", 2),
]  # fmt: skip


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


def huge(world, width, height, **profile):
    path = world.item_folder / "B02.tif"
    path.unlink()
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, dtype="uint16", crs=f"EPSG:{EPSG}",
        transform=Affine(10, 0, LEFT, 0, -10, TOP), sparse_ok=True, bigtiff="yes", nodata=0, **profile,
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


def larger(data):
    """Claim 200,000 x 200,000 pixels in one tile, in the header and the stream."""
    old, new = struct.pack(">II", 120, 120), struct.pack(">II", 200_000, 200_000)
    assert data.count(old) >= 2
    return data.replace(old, new)


RASTERS = [
    Hostile("a virtual raster in a .tif", "raster", lambda w: (w.item_folder / "B02.tif").write_text(virtual(w.outside / "secret.tif")), "is broken"),
    Hostile("a virtual raster in a .jp2", "raster", lambda w: jpeg2000(w, lambda d: virtual(w.outside / "secret.tif").encode()), "is broken"),
    Hostile("a shift grid elsewhere", "raster", shift_grid, "names other files"),
    Hostile("tiles of 16,384 pixels", "raster", lambda w: huge(w, 200_000, 200_000, tiled=True, blockxsize=16_384, blockysize=16_384), "is cut into tiles of 16384 x 16384"),
    Hostile("one strip of 200,000 x 200,000", "raster", lambda w: huge(w, 100_000, 100_000, blockysize=100_000), "is cut into tiles of 100000 x 100000"),
    Hostile("300 bands", "raster", lambda w: w.band(count=300, interleave="pixel"), "holds 300 bands, not one"),
    Hostile("complex numbers", "raster", lambda w: w.band(dtype="complex64"), "holds complex64, not numbers"),
    Hostile("a local coordinate system", "raster", lambda w: w.band(crs='LOCAL_CS["x",UNIT["metre",1]]'), "lies where nothing is"),
    Hostile("pixels without a size", "raster", lambda w: w.band(transform=Affine(1e-308, 0, LEFT, 0, -1e-308, TOP)), "lies where nothing is"),
    Hostile("pixels of all the world", "raster", lambda w: w.band(transform=Affine(1e308, 0, LEFT, 0, -1e308, TOP)), "does not reach the AOI"),
    Hostile("pixels of a millimetre", "raster", lambda w: huge(w, 2_000_000, 2_000_000, tiled=True) or patch_scale(w), "more pixels over the AOI"),
    Hostile("a block longer than the file", "raster", lambda w: [patched(w.item_folder / "B02.tif", 325, 2**31, at=n) for n in range(4)], "is broken"),
    Hostile("blocks beyond the end", "raster", lambda w: [patched(w.item_folder / "B02.tif", 324, 2**31, at=n) for n in range(4)], "is broken"),
    Hostile("blocks beyond the end, remote", "raster", lambda w: w.remote() and [patched(w.item_folder / "B02.tif", 324, 2**31, at=n) for n in range(4)], "is broken"),
    Hostile("a JPEG 2000 of 200,000 x 200,000", "raster", lambda w: jpeg2000(w, larger), "B02.jp2"),
    Hostile("half a JPEG 2000", "raster", lambda w: jpeg2000(w, lambda d: d[: len(d) // 2]), "B02.jp2"),
    Hostile("a file cut short", "raster", lambda w: cut_short(w.item_folder / "B02.tif", 300), "is broken"),
]  # fmt: skip


def patch_scale(world):
    """Set the pixel's size of the blue band to a millimetre."""
    path = world.item_folder / "B02.tif"
    data = path.read_bytes()
    old = struct.pack("<ddd", 10.0, 10.0, 0.0)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, struct.pack("<ddd", 0.001, 0.001, 0.0)))


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
    opened = Opened([path for path in world.outside.iterdir()])
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
    assert all(line.startswith("place: ") and "FAILED" not in line for line in progress), said.err
    assert "unexpected" not in last
    assert CANARY not in text
    assert text.replace("\n", "").isprintable()
    assert len(last) < 700
