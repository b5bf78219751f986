"""A loopback Sentinel Hub: OAuth, Catalog and Process as their public descriptions say, with known pixels and faults.

Payloads are checked against the published rules, and the evalscript is run by a JavaScript interpreter for every
pixel. The truth of a pixel is a formula of the place on the ground, so that it can be had without this server.
"""

import datetime as dt
import io
import json
import re
import secrets
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import dukpy
import numpy as np
import pyproj
import shapely
from rasterio.io import MemoryFile
from rasterio.transform import from_bounds
from servers import _Server
from shapely.geometry import box, mapping, shape

CLIENT_ID, CLIENT_SECRET = "canary-client-4711", "canary-secret-c0ffee-0815"
EPSG = 32652
LEFT, TOP = 399_960.0, 4_300_020.0
"""Corner of tile T52SDH, on whole 60 m like those of real tiles."""
TILE_M = 109_800.0
NATIVE_M = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B8A": 20, "B11": 20, "B12": 20, "SCL": 20}
MOST_PX, MOST_ITEMS = 2500, 100
SAMPLE_TYPES = {"UINT8": (np.uint8, 255), "UINT16": (np.uint16, 65535)}


def true_dn(name, x, y, add=0):
    """DN of a band at coordinates in metres: each native pixel has its own; 0 in some, where there are data."""
    cell = NATIVE_M[name]
    column, row = np.floor(np.asarray(x) / cell).astype(np.int64), np.floor(np.asarray(y) / cell).astype(np.int64)
    if name == "SCL":
        return ((column + 2 * row) % 12).astype(np.uint8)
    salt = list(NATIVE_M).index(name)
    mixed = (column * 7919 + row * 104_729 + salt * 1_299_709) % 9001
    return np.where(mixed == 0, 0, mixed + add).astype(np.uint16)


def has_data(x, y):
    """Where the tiles have data: not in every seventh kilometre from west to east."""
    return (np.floor(np.asarray(x) / 1000.0) % 7 != 3) & (np.asarray(y) < 1e9)


def centres(bounds, width, height):
    """Coordinates of pixel centres, shape (rows, columns)."""
    left, bottom, right, top = bounds
    x = left + (np.arange(width) + 0.5) * (right - left) / width
    y = top - (np.arange(height) + 0.5) * (top - bottom) / height
    return np.meshgrid(x, y)


@dataclass
class Tile:
    """One product; ``add`` is put on every DN but 0, so that products can be told apart."""

    product: str
    when: str
    add: int = 0
    cloud: float = 5.0
    left: float = LEFT
    top: float = TOP
    ident: int = 1

    @property
    def place(self):
        return f"s3://EODATA/Sentinel-2/MSI/L2A/{self.when[:10].replace('-', '/')}/{self.product}.SAFE"

    @property
    def extent(self):
        return self.left, self.top - TILE_M, self.left + TILE_M, self.top

    @property
    def outline(self):
        to_degrees = pyproj.Transformer.from_crs(EPSG, 4326, always_xy=True).transform
        return shapely.transform(box(*self.extent), to_degrees, interleaved=False)

    def document(self):
        """Item of the catalogue, with the members of the documentation's example."""
        outline = {
            **mapping(shapely.MultiPolygon([self.outline])),
            "crs": {"type": "name", "properties": {"name": "x"}},
        }
        return {
            "stac_version": "1.0.0", "stac_extensions": [], "id": self.product, "type": "Feature",
            "geometry": outline, "bbox": list(self.outline.bounds), "collection": "sentinel-2-l2a", "links": [],
            "properties": {
                "datetime": self.when, "platform": f"sentinel-{self.product[1:3].lower()}", "instruments": ["msi"],
                "constellation": "sentinel-2", "gsd": 10, "eo:cloud_cover": self.cloud, "proj:epsg": EPSG,
                "proj:bbox": list(self.extent),
            },
            "assets": {"data": {"href": f"{self.place}/", "title": "s3", "type": "inode/directory"}},
        }  # fmt: skip

    def scene(self):
        """Description of the tile as an evalscript sees it."""
        return {
            "date": self.when, "shId": self.ident, "cloudCoverage": self.cloud, "dataPath": self.place,
            "tileOriginalId": "x", "productId": self.product,
        }  # fmt: skip

    def samples(self, names, bounds, width, height, *, harmonise):
        """Values of each band and of the mask at the pixels of a request."""
        x, y = centres(bounds, width, height)
        left, bottom, right, top = self.extent
        mask = has_data(x, y) & (x > left) & (x < right) & (y > bottom) & (y < top)
        found = {"dataMask": mask.astype(np.uint8)}
        for name in set(names) - {"dataMask"}:
            dn = true_dn(name, x, y, self.add if name != "SCL" else 0)
            if harmonise and name != "SCL":
                dn = np.maximum(dn.astype(int) - 1000, 0)
            found[name] = np.where(mask, dn, 0)
        return found


@dataclass
class Fault:
    """What goes wrong with requests whose path holds ``part``; ``times`` counts down, None is for ever.

    ``files`` changes the files of a reply before they are packed, ``body`` its bytes, ``cut`` ends the connection
    half-way.
    """

    part: str
    status: int | None = None
    body: Any = None
    headers: dict = field(default_factory=dict)
    files: Any = None
    cut: bool = False
    times: int | None = 1


@dataclass
class SentinelHubServer:
    """Serves tiles on a port of its own; use as a context manager.

    ``requests`` holds (path, payload, status), ``told`` what
    each request brought to prove who asks.
    """

    tiles: list[Tile]
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    page: int = MOST_ITEMS
    life_s: float = 600

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

    @property
    def token_url(self):
        return f"{self.url}/oauth/token"

    def fail(self, part, status=None, **more):
        self.faults.append(Fault(part, status, **more))

    def fault(self, path):
        for fault in self.faults:
            if fault.part in path and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return Fault("")

    def asked(self, part):
        return [request for request in self.requests if part in request[0]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: SentinelHubServer

    def log_message(self, *arguments):
        """Say nothing."""

    def do_GET(self):
        self._send(404, {}, b"not found", Fault(""))

    def do_POST(self):
        path = urlsplit(self.path).path
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        fault = self.owner.fault(path)
        self.owner.told.append(self.headers.get("Authorization", ""))
        status, headers, body = self._answer(path, sent, fault)
        payload = parse_qs(sent.decode()) if path == "/oauth/token" else json.loads(sent)
        self.owner.requests.append((path, payload, status))
        self._send(status, headers, body, fault)

    def _send(self, status, headers, body, fault):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault.cut else body)
        self.close_connection = fault.cut

    def _answer(self, path, sent, fault):
        if fault.status is not None:
            body = fault.body
            if callable(body):
                body = body(self.headers, sent)
            return fault.status, fault.headers, body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        if path == "/oauth/token":
            return self._token(parse_qs(sent.decode()))
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.owner.tokens[-1:]:
            return _json(401, {"code": 401, "description": "You are not authorized! Please provide a valid token."})
        payload = json.loads(sent)
        if path == "/api/v1/catalog/1.0.0/search":
            return self._search(payload)
        if path == "/api/v1/process":
            return self._process(payload, fault)
        return _json(404, {"code": 404, "description": "Not found"})

    def _token(self, form):
        if (form.get("client_id"), form.get("client_secret")) != ([CLIENT_ID], [CLIENT_SECRET]):
            return _json(401, {"error": "invalid_client", "error_description": "Invalid client credentials"})
        if form.get("grant_type") != ["client_credentials"]:
            return _json(400, {"error": "unsupported_grant_type"})
        self.owner.tokens.append(f"canary-token-{secrets.token_hex(24)}")
        said = {"access_token": self.owner.tokens[-1], "expires_in": self.owner.life_s, "token_type": "Bearer"}
        return _json(200, said)

    def _search(self, payload):
        wrong = search_problems(payload)
        if wrong:
            return _json(400, {"code": 400, "description": "; ".join(wrong)})
        first, last = (dt.datetime.fromisoformat(part) for part in payload["datetime"].split("/"))
        area = shape(payload["intersects"]) if "intersects" in payload else box(*payload["bbox"])
        cloud = float(re.fullmatch(r"eo:cloud_cover <= ([\d.]+)", payload.get("filter", "eo:cloud_cover <= 100"))[1])
        found = [
            tile.document()
            for tile in self.owner.tiles
            if first <= dt.datetime.fromisoformat(tile.when) <= last
            and tile.cloud <= cloud
            and tile.outline.intersects(area)
        ]
        start, size = payload.get("next", 0), min(payload.get("limit", 10), self.owner.page)
        context = {"limit": size, "returned": len(found[start : start + size])}
        if start + size < len(found):
            context["next"] = start + size
        page = {"type": "FeatureCollection", "features": found[start : start + size], "links": [], "context": context}
        return (
            200,
            {"Content-Type": "application/geo+json", "x-processingunits-spent": "0.01"},
            json.dumps(page).encode(),
        )

    def _process(self, payload, fault):
        wrong = process_problems(payload)
        if not wrong and self.headers.get("Accept") not in {"application/tar", "application/x-tar"}:
            wrong = [("Accept", "several responses need application/tar")]
        if wrong:
            errors = [{"parameter": where, "violation": what} for where, what in wrong]
            error = {
                "status": 400, "reason": "Bad Request", "message": wrong[0][1], "code": "COMMON_BAD_PAYLOAD",
                "errors": errors,
            }  # fmt: skip
            return _json(400, {"error": error})
        files, units = rendered(payload, self.owner.tiles)
        if fault.files is not None:
            files = fault.files(files)
        body = packed(files)
        headers = {"Content-Type": "application/tar", "x-processingunits-spent": str(units), "ETag": '"made-now"'}
        return 200, {**headers, **fault.headers}, body if fault.body is None else fault.body(body)


def _json(status, content):
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


# --- the published rules ---


def search_problems(payload):
    """Say what is wrong with a search (POST /api/v1/catalog/1.0.0/search)."""
    known = {"datetime", "collections", "bbox", "intersects", "ids", "limit", "next", "filter", "filter-lang", "fields"}
    when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    checks = (
        (bool(set(payload) - known), f"unknown members {sorted(set(payload) - known)}"),
        (len(payload.get("collections", ())) != 1, "collections must name one"),
        (not re.fullmatch(f"{when}/{when}", payload.get("datetime", "")), "datetime must be an interval"),
        (("bbox" in payload) == ("intersects" in payload), "one of bbox and intersects"),
        (not 1 <= payload.get("limit", 10) <= MOST_ITEMS, "limit must be 1 to 100"),
        (not isinstance(payload.get("next", 0), int), "next must be an integer"),
        ("filter" in payload and payload.get("filter-lang") != "cql2-text", "filter-lang must be cql2-text"),
    )
    return [text for fails, text in checks if fails]


def process_problems(payload):
    """Say what is wrong with a request (POST /api/v1/process): (parameter, violation) each."""
    found = []

    def check(fails, where, what):
        if fails:
            found.append((where, what))

    check(set(payload) != {"input", "output", "evalscript"}, "", "members must be input, output, evalscript")
    bounds, data, output = payload["input"]["bounds"], payload["input"]["data"], payload["output"]
    crs = bounds.get("properties", {}).get("crs", "")
    check(not re.fullmatch(r"http://www.opengis.net/def/crs/EPSG/0/32[67]\d\d", crs), "crs", f"{crs} is not known")
    bbox = bounds.get("bbox", ())
    check(len(bbox) != 4 or bbox[0] >= bbox[2] or bbox[1] >= bbox[3], "bbox", f"{bbox} is no box")
    check(len(data) != 1 or data[0].get("type") != "sentinel-2-l2a", "data", "one data set of a known type")
    span = data[0].get("dataFilter", {}).get("timeRange", {})
    when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"
    check(not all(re.fullmatch(when, span.get(end, "")) for end in ("from", "to")), "timeRange", "no time zone")
    check(span.get("from", "") > span.get("to", ""), "timeRange", "ends before it starts")
    processing = data[0].get("processing", {})
    check(set(processing) - {"upsampling", "downsampling", "harmonizeValues"}, "processing", "unknown member")
    check(not isinstance(processing.get("harmonizeValues", True), bool), "harmonizeValues", "must be a boolean")
    for key in ("upsampling", "downsampling"):
        check(processing.get(key, "NEAREST") not in {"NEAREST", "BILINEAR", "BICUBIC"}, key, "is not known")
    check(
        {"resx", "resy"} & set(output), "output", "Only width and height or resx and resy can be set at the same time."
    )
    for key in ("width", "height"):
        value = output.get(key)
        check(
            type(value) is not int or not 1 <= value <= MOST_PX, key, f"`{key} = {value}` is larger than allowed 2500."
        )
    check(not payload["evalscript"].startswith("//VERSION=3"), "evalscript", "must start with //VERSION=3")
    for response in output["responses"]:
        kind = response["format"]["type"]
        expected = {"application/json"} if response["identifier"] == "userdata" else {"image/tiff", "image/png"}
        check(kind not in expected, "format", f"{kind} is not for {response['identifier']}")
    return found


# --- pixels ---

_DRIVER = """
;(function () {
  var set = setup(), tiles = dukpy.tiles, data = dukpy.data, size = dukpy.size, out = {}, metadata = {};
  var collections = {scenes: {tiles: tiles}};
  if (set.mosaicking !== "TILE") { throw new Error("this server has TILE only"); }
  if (typeof preProcessScenes === "function") { collections = preProcessScenes(collections); }
  var kept = collections.scenes.tiles, names = set.input[0].bands;
  var scale = set.input[0].units === "DN" ? 1 : 1e-4;
  set.output.forEach(function (o) { out[o.id] = []; });
  for (var p = 0; p < size; p++) {
    var samples = kept.map(function (tile) {
      var sample = {};
      names.forEach(function (name) {
        sample[name] = data[tile.__idx][name][p] * (name.charAt(0) === "B" ? scale : 1);
      });
      return sample;
    });
    var values = evaluatePixel(samples, collections.scenes, {}, {}, {});
    for (var id in out) { out[id].push(values[id][0]); }
  }
  if (typeof updateOutputMetadata === "function") {
    updateOutputMetadata(collections.scenes, {serviceVersion: "loopback", normalizationFactor: 1e-4}, metadata);
  }
  return {out: out, set: set, kept: kept.length, userData: metadata.userData};
})()
"""


def rendered(payload, tiles):
    """Run a request: files of the reply by name, and what it costs."""
    span = payload["input"]["data"][0]["dataFilter"]["timeRange"]
    first, last = (dt.datetime.fromisoformat(span[end]) for end in ("from", "to"))
    bounds, output = payload["input"]["bounds"]["bbox"], payload["output"]
    width, height = output["width"], output["height"]
    met = [
        tile
        for tile in tiles
        if first <= dt.datetime.fromisoformat(tile.when) <= last and box(*tile.extent).intersection(box(*bounds)).area
    ]
    harmonise = payload["input"]["data"][0].get("processing", {}).get("harmonizeValues", True)
    wanted = re.findall(r'"(B\d[\dA]|SCL|dataMask)"', payload["evalscript"])
    data = [tile.samples(wanted, bounds, width, height, harmonise=harmonise) for tile in met]
    ran = dukpy.evaljs(
        payload["evalscript"] + _DRIVER,
        tiles=[{**tile.scene(), "__idx": number} for number, tile in enumerate(met)],
        data=[{name: values.ravel().tolist() for name, values in one.items()} for one in data],
        size=width * height,
    )
    files = {}
    for response in output["responses"]:
        name = response["identifier"]
        if name == "userdata":
            files["userdata.json"] = json.dumps(ran["userData"]).encode()
            continue
        kind, most = SAMPLE_TYPES[next(o["sampleType"] for o in ran["set"]["output"] if o["id"] == name)]
        pixels = np.clip(np.rint(ran["out"][name]), 0, most).astype(kind).reshape(height, width)
        epsg = int(payload["input"]["bounds"]["properties"]["crs"].rsplit("/", maxsplit=1)[-1])
        files[f"{name}.tif"] = tiff(pixels, bounds, epsg)
    bands = len(set(ran["set"]["input"][0]["bands"]) - {"dataMask"})
    area = max(width * height / 262_144, 0.01)
    return files, max(area * bands / 3 * max(ran["kept"], 1), 0.005)


def tiff(pixels, bounds, epsg=EPSG, **more):
    """Bytes of a GeoTIFF with one band."""
    height, width = pixels.shape
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": pixels.dtype,
        "crs": f"EPSG:{epsg}", "transform": from_bounds(*bounds, width, height), **more,
    }  # fmt: skip
    with MemoryFile() as file:
        with file.open(**profile) as dataset:
            dataset.write(pixels, 1)
        return file.read()


def packed(files):
    """Tar of files; a list of pairs may hold a name twice, and a TarInfo in place of bytes."""
    pairs = files.items() if isinstance(files, dict) else files
    with io.BytesIO() as out:
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, content in pairs:
                if isinstance(content, tarfile.TarInfo):
                    archive.addfile(content)
                    continue
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return out.getvalue()
