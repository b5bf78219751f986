"""What is asked of the Process API: where, which bands, of which tile, and what it costs. Pure.

Facts and their sources (documentation of Sentinel Hub, pages "Process API", "Sentinel-2 L2A", "Evalscript V3" and
"Processing Unit definition", read in 2026):

* With ``units: DN`` and ``harmonizeValues: false`` values are exactly those of the source files; by default they are
  made comparable over the change of 2022-01-25 and negative ones become 0, which hides dark ground. Files hold unsigned
  numbers, so raw DN are never negative; the offset of baseline 04.00 and later is still in them.
* ``dataMask`` is 0 for all pixels without data and 1 elsewhere, is computed for each output pixel and costs nothing.
* Mosaicking ``TILE`` gives one sample per tile and names the tiles; ``preProcessScenes`` leaves those that are wanted
  before any pixel is processed. So a request reads one tile of one acquisition, never a mosaic.
* Both ends of a time range are included. Width and height are 1 to 2500 pixels.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite
from typing import Any

import pyproj
import shapely
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from shapely.geometry import box

from pipeline.errors import SceneRefusedError
from pipeline.grid import is_utm
from pipeline.imagery import Item
from pipeline.pixels import MARGIN_M
from pipeline.sources._items import BANDS
from pipeline.types import Grid

Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top; metres."""

GROUPS: Mapping[int, tuple[str, ...]] = {
    10: ("blue", "green", "red", "nir"),
    20: ("nir08", "swir16", "swir22", "scl"),
}
"""Native pixel in metres -> common names; each group is a request of its own, so that nothing is resampled."""
MASK = "dataMask"
MOST_PX = 2500
"""Longest edge of a request."""
SAME_TIME_S = 60.0
"""A request reaches this far from the time of its tile; the tiles of a pass lie seconds apart, the next pass a day."""
_SNAP_M = 20
"""Corners of tiles lie on whole 20 m, so a window that does is on the lattice of every band."""
_UNIT_PX, _UNIT_BANDS = 512 * 512, 3
_LEAST_AREA, _LEAST_UNITS = 0.01, 0.005
_DAYS_OF_MONTH = 28


@dataclass(frozen=True)
class Patch:
    """A window that one request can give: north-up, in the CRS of the tile.

    Attributes
    ----------
    left_m, top_m : float
        Corner.
    width, height : int
        Pixels, 1 to 2500.
    pixel_m : int
    """

    epsg: int
    left_m: float
    top_m: float
    width: int
    height: int
    pixel_m: int

    @property
    def bounds(self) -> Bounds:
        """(left, bottom, right, top) in metres."""
        right, bottom = self.left_m + self.width * self.pixel_m, self.top_m - self.height * self.pixel_m
        return self.left_m, bottom, right, self.top_m

    @property
    def transform(self) -> Affine:
        """Affine from (column, row) to (x, y)."""
        return Affine(self.pixel_m, 0.0, self.left_m, 0.0, -self.pixel_m, self.top_m)


def patches(item: Item, grid: Grid, pixel_m: int) -> list[list[Patch]]:
    """Cut a grid and its margin, as far as a tile reaches, into rows of windows that one request can give each.

    Raises
    ------
    SceneRefusedError
        The tile does not reach the grid, or its CRS is not known.
    """
    left, bottom, right, top = _reach(item, grid)
    columns, rows = _cut(round((right - left) / pixel_m)), _cut(round((top - bottom) / pixel_m))
    return [
        [
            Patch(int(item.epsg or 0), left + c * pixel_m, top - r * pixel_m, width, height, pixel_m)
            for c, width in columns
        ]
        for r, height in rows
    ]


def process_units(patch: Patch, n_bands: int) -> float:
    """Return the processing units of one request.

    One unit is 512 x 512 pixels, three bands, one sample, 16 bit; the area counts at least 0.01, a request at least
    0.005. ``dataMask`` is not counted (page "Processing Unit definition").
    """
    area = max(patch.width * patch.height / _UNIT_PX, _LEAST_AREA)
    return max(area * n_bands / _UNIT_BANDS, _LEAST_UNITS)


def search_units(days: int, area_km2: float) -> float:
    """Return the processing units of one page of a search, at most.

    A million km2 and a month are one unit; the area counts at least 0.01, begun months whole, a page at most 1.
    """
    return min(max(area_km2 / 1e6, _LEAST_AREA) * ceil(max(days, 1) / _DAYS_OF_MONTH), 1.0)


def is_covered(item: Item, patch: Patch) -> bool:
    """Whether a tile has data in more than a hundredth of a window, by its coverage in the catalogue."""
    to_degrees = pyproj.Transformer.from_crs(patch.epsg, 4326, always_xy=True).transform
    outline = shapely.transform(shapely.segmentize(box(*patch.bounds), 1000.0), to_degrees, interleaved=False)
    return bool(item.coverage.intersection(outline).area > outline.area / 100)


def is_of(item: Item, tile: Mapping[str, Any]) -> bool:
    """Whether a tile, as the service names it, is the item: the same product, or the same place in the archive."""
    path = _text(tile, "dataPath").rstrip("/")
    names = {_product(_text(tile, "productId")), _product(path.rsplit("/", maxsplit=1)[-1])}
    return _product(item.id) in names or (path != "" and path == archive_path(item))


def archive_path(item: Item) -> str:
    """Where the archive of the service keeps an item, as its catalogue says; empty when it does not."""
    assets = item.document.get("assets")
    data = assets.get("data") if isinstance(assets, dict) else None
    return _text(data, "href").rstrip("/") if isinstance(data, dict) else ""


def evalscript(item: Item, names: Sequence[str]) -> str:
    """Program the service runs: DN of bands, each an output of its own, of the one tile that is the item.

    Parameters
    ----------
    item : Item
    names : sequence of str
        Sentinel-2 names, as ``B02`` or ``SCL``.
    """
    outputs = [{"id": name, "bands": 1, "sampleType": sample_type(name).upper()} for name in (*names, MASK)]
    inputs = [{"bands": [*names, MASK], "units": "DN"}]
    values = ", ".join(f"{name}: [s.{name}]" for name in (*names, MASK))
    nothing = ", ".join(f"{name}: 0" for name in (*names, MASK))
    return f"""//VERSION=3
var product = {json.dumps(_product(item.id))};
var place = {json.dumps(archive_path(item))};
var offered = [];
function setup() {{
  return {{input: {json.dumps(inputs)}, mosaicking: "TILE", output: {json.dumps(outputs)}}};
}}
function named(tile) {{
  return {{date: tile.date, shId: tile.shId, dataPath: tile.dataPath, productId: tile.productId,
    tileOriginalId: tile.tileOriginalId}};
}}
function plain(name) {{
  return String(name || "").replace(/\\/+$/, "").split("/").pop().replace(/\\.SAFE$/, "");
}}
function wanted(tile) {{
  var path = String(tile.dataPath || "").replace(/\\/+$/, "");
  return plain(tile.productId) === product || plain(path) === product || (path !== "" && path === place);
}}
function preProcessScenes(collections) {{
  offered = collections.scenes.tiles.map(named);
  collections.scenes.tiles = collections.scenes.tiles.filter(wanted);
  return collections;
}}
function evaluatePixel(samples) {{
  var s = samples.length > 0 ? samples[0] : {{{nothing}}};
  return {{{values}}};
}}
function updateOutputMetadata(scenes, inputMetadata, outputMetadata) {{
  outputMetadata.userData = {{used: scenes.tiles.map(named), offered: offered,
    serviceVersion: inputMetadata.serviceVersion}};
}}
"""


def payload(item: Item, bands: Sequence[str], patch: Patch) -> dict[str, Any]:
    """Body of a request to the Process API.

    Parameters
    ----------
    item : Item
    bands : sequence of str
        Common names, of one group of :data:`GROUPS`.
    patch : Patch
    """
    import sentinelhub as sh  # noqa: PLC0415 - half a second, which other sources need not wait

    names = [BANDS[band] for band in bands]
    when, around = item.datetime.replace(microsecond=0), dt.timedelta(seconds=SAME_TIME_S)
    api = sh.SentinelHubRequest
    data = api.input_data(
        sh.DataCollection.SENTINEL2_L2A,
        time_interval=(when - around, when + around),
        upsampling=sh.ResamplingType.NEAREST,
        downsampling=sh.ResamplingType.NEAREST,
        other_args={"type": item.collection, "processing": {"harmonizeValues": False}},
    )
    files = [api.output_response(name, sh.MimeType.TIFF) for name in (*names, MASK)]
    body = api.body(
        request_bounds=api.bounds(bbox=sh.BBox(patch.bounds, sh.CRS(str(patch.epsg)))),
        request_data=[data],
        request_output=api.output(
            [*files, api.output_response("userdata", sh.MimeType.JSON)], size=(patch.width, patch.height)
        ),
        evalscript=evalscript(item, names),
    )
    # Of the package's own types: what is recorded is what is sent.
    return dict(json.loads(json.dumps(body)))


def sample_type(name: str) -> str:
    """Type of an output, as numpy names it: classes and the mask fit into 8 bits, DN are as in the files."""
    return "uint8" if name in {"SCL", MASK} else "uint16"


def _reach(item: Item, grid: Grid) -> Bounds:
    """Bounds of the grid and its margin within the tile, outward to whole 20 m, in the CRS of the tile."""
    if item.epsg is None or not is_utm(item.epsg):
        raise SceneRefusedError(f"item {item.id} lies in EPSG:{item.epsg}, which is no UTM zone of a tile")
    left, bottom, right, top = grid.bounds
    grown = (left - MARGIN_M, bottom - MARGIN_M, right + MARGIN_M, top + MARGIN_M)
    if item.epsg != grid.epsg:
        grown = transform_bounds(f"EPSG:{grid.epsg}", f"EPSG:{item.epsg}", *grown, densify_pts=21)
    tile = _tile_bounds(item)
    if tile is not None:
        (left, bottom, right, top), (west, south, east, north) = grown, tile
        grown = (max(left, west), max(bottom, south), min(right, east), min(top, north))
    if not all(map(isfinite, grown)) or grown[0] >= grown[2] or grown[1] >= grown[3]:
        raise SceneRefusedError(f"item {item.id} does not reach the AOI")
    low_x, low_y = (floor(value / _SNAP_M) * _SNAP_M for value in grown[:2])
    high_x, high_y = (ceil(value / _SNAP_M) * _SNAP_M for value in grown[2:])
    return float(low_x), float(low_y), float(high_x), float(high_y)


def _tile_bounds(item: Item) -> Bounds | None:
    """Extent of the tile in its own CRS, where the catalogue gives it."""
    properties = item.document.get("properties")
    said = properties.get("proj:bbox") if isinstance(properties, dict) else None
    try:
        left, bottom, right, top = (float(value) for value in said or ())
    except (TypeError, ValueError):
        return None
    return (left, bottom, right, top) if left < right and bottom < top else None


def _cut(length: int) -> list[tuple[int, int]]:
    """First pixel and number of pixels of parts of an edge, none longer than a request may be."""
    n = ceil(length / MOST_PX)
    edges = [length * part // n for part in range(n + 1)]
    return [(start, end - start) for start, end in pairwise(edges)]


def _text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def _product(name: str) -> str:
    """Name of a product without the ending of its folder."""
    return name.removesuffix(".SAFE")
