"""A world in which everything a stranger can write may be hostile, and what watches it."""

import contextlib
import ctypes
import json
import os
import select
import shutil
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import servers
import yaml
from servers import LEFT, SIZE_M, TOP, FileServer, footprint, item_document, unique_pixels, write_band
from shapely.geometry import mapping

from pipeline import cli

CANARY = "canary-b7c1f0"
"""Stands in every file outside the roots; must come out nowhere."""
ITEM = "S2A_MSIL2A_20200501T020000_R103_T52SBG"
BANDS = {
    "blue": "B02", "green": "B03", "red": "B04", "nir": "B08", "nir08": "B8A", "swir16": "B11", "swir22": "B12",
    "scl": "SCL",
}  # fmt: skip
FINE = {"B02", "B03", "B04", "B08"}
_IN_OPEN, _IN_NONBLOCK = 0x20, 0x800


class Opened:
    """Which of some files anything on this machine opens, whatever way it takes (inotify)."""

    def __init__(self, paths) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(_IN_NONBLOCK)
        self._names = {}
        for path in paths:
            self._names[self._libc.inotify_add_watch(self._handle, os.fsencode(path), _IN_OPEN)] = path

    def so_far(self):
        found = set()
        while select.select([self._handle], [], [], 0)[0]:
            data = os.read(self._handle, 1 << 16)
            at = 0
            while at < len(data):
                watch, _, _, length = struct.unpack_from("iIII", data, at)
                found.add(self._names[watch].name)
                at += 16 + length
        return found

    def close(self):
        os.close(self._handle)


class Neighbour:
    """Another host: counts who knocks, on both addresses of this machine that have no name."""

    def __enter__(self) -> Self:
        self.knocks = 0
        self._sockets = []
        first = socket.create_server(("127.0.0.1", 0))
        self.port = first.getsockname()[1]
        self._sockets.append(first)
        with contextlib.suppress(OSError):
            self._sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count)
        self._thread.start()
        return self

    def __exit__(self, *error) -> None:
        self._over.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    def _count(self):
        while not self._over.is_set():
            for ready in select.select(self._sockets, [], [], 0.05)[0]:
                ready.accept()[0].close()
                self.knocks += 1


@dataclass
class Provider(FileServer):
    """A file server that answers some paths as a test likes: path to a function of (method, query)."""

    answers: dict[str, Callable[[str, str], tuple[int, dict, bytes]]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._server = servers._Server(("127.0.0.1", 0), type("Handler", (_Answering,), {"owner": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def answer(self, path, body, *, status=200, **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = lambda *_: (status, {k.replace("_", "-"): v for k, v in headers.items()}, data)


class _Answering(servers._Handler):
    def do_POST(self):  # noqa: N802 - the name http.server calls
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(body=True)

    def _content(self, parts, fault):
        made = next((self.owner.answers[key] for key in self._keys(parts.path) if key in self.owner.answers), None)
        return made(self.command, parts.path + "?" + parts.query) if made else super()._content(parts, fault)

    @staticmethod
    def _keys(path) -> list[str]:
        """Return the path itself, and each folder above it with a star."""
        return [path, *(f"{path[:at]}/*" for at, character in enumerate(path) if character == "/")]


@dataclass
class World:
    """Files of one run: an archive with one scene, a site, a configuration; and files that are none of its business."""

    folder: Path
    own: Provider
    other: Neighbour
    source: dict[str, Any] = field(default_factory=dict)
    config_text: str | None = None
    claims_text: str | None = None
    command: tuple[str, ...] = ("run",)

    @property
    def archive(self):
        return self.folder / "archive"

    @property
    def item_folder(self):
        return self.archive / ITEM

    @property
    def outside(self):
        return self.folder / "outside"

    @property
    def out(self):
        return self.folder / "out"

    @property
    def site(self):
        return self.folder / "sites" / "place.geojson"

    @property
    def elsewhere(self):
        return f"http://127.0.0.1:{self.other.port}"

    # --- ways to spoil it ---

    def item(self, **changes):
        """Write the item anew with changes to it; ``properties`` are added."""
        path = self.item_folder / f"{ITEM}.json"
        document = json.loads(path.read_text())
        document["properties"] |= changes.pop("properties", {})
        path.write_text(json.dumps(document | changes))

    def href(self, href):
        """Have the item name an address for its blue band."""
        path = self.item_folder / f"{ITEM}.json"
        document = json.loads(path.read_text())
        document["assets"]["B02"]["href"] = href
        document["assets"]["B02"]["title"] = "any"
        path.write_text(json.dumps(document))

    def remote(self):
        """Read the archive by its address."""
        self.source |= {"url": f"{self.own.url}/catalog.json", "evidence": "copy"}
        return self

    def copied(self):
        self.source["evidence"] = "copy"
        return self

    def api(self, *pages):
        """Serve pages of a search (functions of the number of the page), behind a landing page."""
        url = self.own.url
        search = {"rel": "search", "href": f"{url}/search", "type": "application/geo+json", "method": "POST"}
        self.own.answer("/", self.landing(search))
        self.source |= {"url": f"{url}/", "collection": servers.COLLECTION, "evidence": "copy"}
        asked = iter(range(10**9))
        self.own.answers["/search"] = lambda *_: (
            200, {}, json.dumps(pages[min(number := next(asked), len(pages) - 1)](number)).encode()
        )  # fmt: skip

    def landing(self, *links):
        return {
            "type": "Catalog", "id": "api", "stac_version": "1.0.0", "description": "api",
            "conformsTo": [
                "https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search",
                "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
            ],
            "links": [{"rel": "self", "href": f"{self.own.url}/"}, {"rel": "root", "href": f"{self.own.url}/"}, *links],
        }  # fmt: skip

    def page(self, *names, next_href=None):
        """Make a page of a search, of items without files that can be had."""
        one = item_document("", "2020-05-01T02:00:00Z", {}) | {"assets": {"B02": {"href": f"{self.own.url}/no.tif"}}}
        features = [one | {"id": name} for name in names]
        links = [] if next_href is None else [{"rel": "next", "href": next_href, "method": "GET"}]
        return {"type": "FeatureCollection", "features": features, "links": links}

    def found(self, href):
        """Serve a search that finds the item, its blue band at an address."""
        document = json.loads((self.item_folder / f"{ITEM}.json").read_text())
        for code, asset in document["assets"].items():
            asset["href"] = href if code == "B02" else f"{self.own.url}/{ITEM}/{code}.tif"
        self.api(lambda _: {"type": "FeatureCollection", "features": [document], "links": []})

    def catalog(self, *links, folder=None, **changes):
        document = {
            "type": "Catalog", "id": "c", "stac_version": "1.0.0", "description": "c", "links": list(links), **changes
        }  # fmt: skip
        ((folder or self.archive) / "catalog.json").write_text(json.dumps(document))

    def edit_site(self, change):
        document = json.loads(self.site.read_text())
        change(document["features"][0])
        self.site.write_text(json.dumps(document))

    def band(self, **profile):
        """Write the blue band anew."""
        (self.item_folder / "B02.tif").unlink()
        return write_band(self.item_folder / "B02.tif", unique_pixels(120, 120), **profile)

    # --- running it ---

    def write(self):
        source = {"kind": "stac", "url": str(self.archive / "catalog.json"), "timeout_s": 2, "retries": 1}
        config = {
            "sites": "sites", "out": "out", "years": {"first": 2020, "last": 2020}, "source": {**source, **self.source}
        }  # fmt: skip
        if self.claims_text is not None:
            (self.folder / "claims.yaml").write_text(self.claims_text)
            config["claims"] = "claims.yaml"
        text = yaml.safe_dump(config) if self.config_text is None else self.config_text
        (self.folder / "config.yaml").write_text(text)

    def run(self):
        """Run the real command line in this process; what it says is caught by the test."""
        self.write()
        return cli.main([*self.command, "--config", str(self.folder / "config.yaml")])

    def tree(self):
        """Everything outside ``out``, with sizes."""
        return {
            str(path.relative_to(self.folder)): path.lstat().st_size
            for path in sorted(self.folder.rglob("*"))
            if not path.is_relative_to(self.out)
        }


def build(folder):
    """Write the files of a world: an archive that can be read, a site, and secrets outside."""
    item = folder / "archive" / ITEM
    item.mkdir(parents=True)
    for code in BANDS.values():
        step = 10 if code in FINE else 20
        pixels = unique_pixels(SIZE_M // step, SIZE_M // step)
        pixels = np.full_like(pixels, 4, dtype=np.uint8) if code == "SCL" else pixels % 3000 + np.uint16(300)
        write_band(item / f"{code}.tif", pixels, resolution_m=step)
    document = item_document(ITEM, "2020-05-01T02:00:00Z", {})
    document["assets"] = {code: {"href": f"./{code}.tif", "type": "image/tiff"} for code in BANDS.values()}
    (item / f"{ITEM}.json").write_text(json.dumps(document))
    catalog = {
        "type": "Catalog", "id": "small", "stac_version": "1.0.0", "description": "small",
        "links": [{"rel": "item", "href": f"./{ITEM}/{ITEM}.json"}],
    }  # fmt: skip
    (folder / "archive" / "catalog.json").write_text(json.dumps(catalog))
    (folder / "sites").mkdir()
    aoi = {
        "type": "Feature", "geometry": mapping(footprint(left=LEFT + 400, top=TOP - 400, size_m=300)),
        "properties": {"role": "aoi", "id": "place", "name": "Place", "kind": "port", "coal_rank": "hard"},
    }  # fmt: skip
    (folder / "sites" / "place.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [aoi]}))
    outside = folder / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(CANARY)
    shutil.copy(item / "B02.tif", outside / "secret.tif")
    with (outside / "secret.tif").open("ab") as file:
        file.write(CANARY.encode())
    (outside / "secret.json").write_text(json.dumps(document | {"id": CANARY}))
    (outside / "secret.gsb").write_text(CANARY)
