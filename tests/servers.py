"""A provider on loopback: a file server that can misbehave, a STAC API of another maker, and a small archive."""

import contextlib
import datetime as dt
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import numpy as np
import pyproj
import rasterio
import requests
import shapely
from rasterio.transform import Affine
from shapely.geometry import box, mapping

from pipeline.remote import line_to

EPSG = 32652
LEFT, TOP = 400_000.0, 4_300_000.0
"""Corner of every file of the small archive."""
SIZE_M = 1200
BANDS = {"blue": ("B02", 10), "red": ("B04", 10), "swir16": ("B11", 20), "scl": ("SCL", 20)}
COLLECTION = "sentinel-2-l2a"
TOKEN = "sig=s3cret-read-token"  # noqa: S105 - opens nothing but the server below
"""What :class:`FileServer` hands out, and asks for once ``token`` is set."""


@dataclass
class Fault:
    """What goes wrong with requests whose path holds ``part``; ``times`` counts down, None is for ever."""

    part: str
    status: int | None = None
    times: int | None = None
    truncated: bool = False
    slow_s: float = 0.0
    location: str | None = None
    retry_after: str | None = None


@dataclass
class FileServer:
    """Serves a folder with byte ranges on a port of its own; use as a context manager.

    ``requests`` holds (method, path, query, range, status) of everything asked.
    """

    root: Path
    token: str | None = None
    ranges: bool = True
    lengths: bool = True
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def fail(self, part, status=None, **more):
        self.faults.append(Fault(part, status, **more))

    def fault(self, path):
        for fault in self.faults:
            if fault.part in path and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return Fault("")

    def content(self, name, data):  # noqa: ARG002 - what a server that lies needs to know
        """Give the bytes of a file and further headers; a server that lies says other ones."""
        return data, {}

    def asked(self, part=""):
        """Return the requests whose path holds a text."""
        return [request for request in self.requests if part in request[1]]


_COUNTING = threading.Lock()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments):
        """Say nothing of clients that hang up: they are meant to."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FileServer

    def log_message(self, *arguments):
        """Say nothing."""

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        parts = urlsplit(self.path)
        fault = self.owner.fault(parts.path)
        self.owner.headers.append(dict(self.headers))
        with _COUNTING:
            self.owner.under_way += 1
            self.owner.most_under_way = max(self.owner.most_under_way, self.owner.under_way)
        time.sleep(fault.slow_s)
        with _COUNTING:
            self.owner.under_way -= 1
        status, headers, data = self._content(parts, fault)
        self.owner.requests.append((self.command, parts.path, parts.query, self.headers.get("Range"), status))
        self.send_response(status)
        lengths = {"Content-Length": str(len(data))} if self.owner.lengths else {"Connection": "close"}
        for name, value in {**lengths, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data[: len(data) // 2] if fault.truncated else data)
        self.close_connection = fault.truncated or not self.owner.lengths

    def _content(self, parts, fault):
        if fault.status is not None:
            extra = {"Location": fault.location, "Retry-After": fault.retry_after}
            return fault.status, {k: v for k, v in extra.items() if v}, b"not now"
        if parts.path.startswith("/token/"):
            expiry = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).isoformat()
            return 200, {}, json.dumps({"msft:expiry": expiry, "token": TOKEN}).encode()
        path = self.owner.root / parts.path.lstrip("/")
        if not path.is_file():
            return 404, {}, b"no such file"
        if self.owner.token and path.suffix == ".tif" and self.owner.token not in parts.query:
            return 403, {}, b"no token"
        data, headers = self.owner.content(path.name, path.read_bytes())
        status, plain, body = self._part(data)
        return status, {**plain, **headers}, body

    def _part(self, data):
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not (asked and self.owner.ranges):
            return 200, {"Accept-Ranges": "bytes" if self.owner.ranges else "none"}, data
        first, last = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
        if first >= len(data):
            return 416, {"Content-Range": f"bytes */{len(data)}"}, b""
        return 206, {"Content-Range": f"bytes {first}-{last}/{len(data)}"}, data[first : last + 1]


def opened_line(source, folder):
    """Give a line to a source, counted from zero in a folder."""
    folder.mkdir(exist_ok=True)
    line = line_to(source, folder / "traffic")
    line.ledger.opened()
    return line


def searched(module, aoi, config):
    """Items a source finds, asked on a line of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return module.search(aoi, config, opened_line(config.source, Path(folder)))


@contextlib.contextmanager
def stac_api(documents, folder):
    """Serve items by ``rustac serve``, an independent STAC API server; gives its address."""
    collection = {
        "type": "Collection", "id": COLLECTION, "stac_version": "1.0.0", "description": "loopback", "license": "other",
        "links": [], "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
    }  # fmt: skip
    paths = [folder / "collection.json", folder / "items.json"]
    paths[0].write_text(json.dumps(collection), encoding="utf-8")
    paths[1].write_text(json.dumps({"type": "FeatureCollection", "features": documents}), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program = shutil.which("rustac", path=Path(sys.executable).parent)
    process = subprocess.Popen(
        [program, "serve", "-a", address, *map(str, paths)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"http://{address}/", timeout=5)
                break
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def write_band(path, pixels, *, resolution_m=10, left=LEFT, top=TOP, epsg=EPSG, **profile):
    """Write a tiled GeoTIFF; a resolution in metres, or a transform of its own."""
    profile = {
        "driver": "GTiff", "height": pixels.shape[0], "width": pixels.shape[1], "count": 1, "dtype": pixels.dtype,
        "crs": f"EPSG:{epsg}", "transform": Affine(resolution_m, 0, left, 0, -resolution_m, top), "nodata": 0,
        "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate", **profile,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels, 1)
    return path


def unique_pixels(rows, columns):
    """Pixels whose value tells their place: 1 + row * columns + column."""
    return np.arange(1, rows * columns + 1, dtype=np.uint16).reshape(rows, columns)


def footprint(epsg=EPSG, left=LEFT, top=TOP, size_m=SIZE_M):
    """Outline of a square in longitude and latitude."""
    to_degrees = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform
    return shapely.transform(box(left, top - size_m, left + size_m, top), to_degrees, interleaved=False)


def item_document(name, when, hrefs, *, outline=None, **properties):
    """STAC item with the bands of ``hrefs`` (common name to address)."""
    outline = outline or footprint()
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": COLLECTION, "links": [],
        "stac_extensions": [], "bbox": list(outline.bounds), "geometry": mapping(outline),
        "properties": {
            "datetime": when, "platform": "Sentinel-2A", "eo:cloud_cover": 5.0, "proj:epsg": EPSG,
            "s2:processing_baseline": "05.11", **properties,
        },
        "assets": {BANDS[band][0]: {"href": href, "type": "image/tiff"} for band, href in hrefs.items()},
    }  # fmt: skip


def write_archive(folder, count, *, first=dt.date(2020, 5, 1), step_days=9, **properties):
    """Write a static catalogue of ``count`` items with pixels; hrefs are relative. Gives the items' documents."""
    folder.mkdir(parents=True, exist_ok=True)
    documents, links = [], [{"rel": "root", "href": "./catalog.json"}]
    for number in range(count):
        day = first + dt.timedelta(days=number * step_days)
        name = f"S2A_MSIL2A_{day:%Y%m%d}T020000_R103_T52SBG"
        (folder / name).mkdir()
        for code, resolution_m in BANDS.values():
            pixels = unique_pixels(SIZE_M // resolution_m, SIZE_M // resolution_m)
            pixels = (pixels % 11 + 1).astype(np.uint8) if code == "SCL" else pixels + np.uint16(number)
            write_band(folder / name / f"{code}.tif", pixels, resolution_m=resolution_m)
        hrefs = {band: f"./{code}.tif" for band, (code, _) in BANDS.items()}
        document = item_document(name, f"{day.isoformat()}T02:00:00Z", hrefs, **properties)
        (folder / name / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
        documents.append(document)
        links.append({"rel": "item", "href": f"./{name}/{name}.json"})
    catalog = {"type": "Catalog", "id": "small", "stac_version": "1.0.0", "description": "small", "links": links}
    (folder / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")
    return documents


def published(documents, url):
    """Items as an API answers them: hrefs absolute, ``./`` being the item's folder at an address."""
    texts = (json.dumps({**d, "collection": COLLECTION, "links": []}) for d in documents)
    return [json.loads(t.replace('"./', f'"{url}/{d["id"]}/')) for t, d in zip(texts, documents, strict=True)]
