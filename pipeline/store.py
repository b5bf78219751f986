"""The evidence store: pixels as delivered, hashed, with the request beside them.

``copy`` keeps the AOI's window of every band in its native grid and type, one folder per item and
window, written beside and renamed; what is there is never fetched again. ``reference`` keeps hash and
path of the files of a local archive. Pixels are read back from here only, after their hash was checked:
GDAL reads corrupted deflate without an error.
"""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, floor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
import requests
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window, from_bounds

from pipeline.config import Config
from pipeline.errors import EvidenceError, SceneRefusedError, SourceError
from pipeline.imagery import Asset, Calibration, Image, Item, Refusal, Scene, StoredBand, StoredScene
from pipeline.radiometry import to_reflectance
from pipeline.types import Float32, Grid

_MARGIN_M = 60.0
"""Kept around the grid, so that a shifted scene still fills it: twice the largest shift accepted."""
_MAX_WINDOW_PX = 200_000_000
"""A window larger than this is a mistake of the file or the AOI (about 45 x 45 km at 10 m for 10 bands)."""


@dataclass(frozen=True)
class Store:
    """Where evidence is kept and how it is read; cheap to send to a worker."""

    root: Path
    config: Config
    sign: Callable[[str, str, Config], str]

    @staticmethod
    def copying(config: Config) -> bool:
        """True when pixels are copied, False when a local archive is referenced."""
        wanted = config.source.evidence
        return wanted == "copy" if wanted else "://" in config.source.url


def fetch(store: Store, scene: Scene, grid: Grid, bands: Sequence[str]) -> StoredScene | Refusal:
    """Bring every band of a scene into the store, or find it there.

    Returns
    -------
    StoredScene or Refusal
        A refusal when the provider's item is unusable for good (missing band, broken file).

    Raises
    ------
    SourceError
        The pixels cannot be had now.
    EvidenceError
        Stored pixels differ from their hash.
    """
    stored, fetched = [], 0
    try:
        for item in scene.items:
            item_bands, new = _fetch_item(store, item, grid, bands)
            stored.append(item_bands)
            fetched += new
    except SceneRefusedError as refused:
        return refusal(scene, str(refused))
    return StoredScene(scene, tuple(stored), fetched)


def refusal(scene: Scene, reason: str) -> Refusal:
    """Record that a scene is not used, and why."""
    return Refusal(
        scene.scene_id, scene.datetime, scene.platform, scene.processing_baseline, scene.relative_orbit, reason
    )


def _fetch_item(store: Store, item: Item, grid: Grid, bands: Sequence[str]) -> tuple[tuple[StoredBand, ...], int]:
    assets = [_asset(item, band, store.config) for band in bands if band != "scl" or "scl" in item.assets]
    if not Store.copying(store.config):
        return tuple(_referenced(asset) for asset in assets), 0
    folder = store.root / item.collection / item.id / _window_key(grid)
    record_path = folder / "record.json"
    if record_path.is_file():
        return _stored(folder, json.loads(record_path.read_text(encoding="utf-8")), assets), 0
    return _copied(store, item, grid, assets, folder), len(assets)


def _asset(item: Item, band: str, config: Config) -> Asset:
    """Return the asset of a band, or the substitute the configuration allows for it."""
    substitute = config.source.band_substitutes.get(band)
    if band in item.assets:
        return item.assets[band]
    if substitute in item.assets:
        return replace(item.assets[substitute], band=band)
    raise SceneRefusedError(f"band {band} is missing")


def _referenced(asset: Asset) -> StoredBand:
    path = Path(_local(asset.href))
    try:
        digest = sha256_file(path)
    except OSError as error:
        raise SceneRefusedError(f"file {path.name} cannot be read ({error.strerror})") from error
    with _opened(str(path)):
        pass
    return _band(asset, path, digest, path.stat().st_size, "reference")


def _band(asset: Asset, path: Path, digest: str, size: int, evidence: str) -> StoredBand:
    return StoredBand(
        asset.band, str(path), digest, size, _unsigned(asset.href), evidence, asset.scale, asset.offset, asset.nodata
    )


def _stored(folder: Path, record: dict[str, Any], assets: Sequence[Asset]) -> tuple[StoredBand, ...]:
    """Return bands already in the store, each checked against its recorded hash."""
    bands = []
    for asset in assets:
        path = folder / f"{asset.band}.tif"
        kept = record["files"].get(path.name)
        if kept is None or not path.is_file() or sha256_file(path) != kept["sha256"]:
            raise EvidenceError(
                f"{path}: differs from the hash recorded when it was fetched; remove the folder {folder} to fetch it again"
            )
        bands.append(_band(asset, path, kept["sha256"], kept["size_bytes"], "copy"))
    return tuple(bands)


def _copied(store: Store, item: Item, grid: Grid, assets: Sequence[Asset], folder: Path) -> tuple[StoredBand, ...]:
    """Fetch the window of every band, write all beside, rename once; an interruption leaves nothing half."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        files = {}
        for asset in assets:
            path = beside / f"{asset.band}.tif"
            _copy_window(store.sign(_checked(asset.href), item.collection, store.config), grid, path, store.config)
            files[path.name] = {
                "href": _unsigned(asset.href),
                "sha256": sha256_file(path),
                "size_bytes": path.stat().st_size,
            }
        record = {
            "item": dict(item.document),
            "files": files,
            "window": {"epsg": grid.epsg, "bounds_m": list(grid.bounds), "margin_m": _MARGIN_M},
            "fetched": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        (beside / "record.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if not folder.exists():
            beside.rename(folder)
        return _stored(folder, json.loads((folder / "record.json").read_text(encoding="utf-8")), assets)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _copy_window(href: str, grid: Grid, path: Path, config: Config) -> None:
    """Write the grid's window of a raster in its native grid and type."""
    with _gdal(config):
        try:
            with _opened(href) as dataset:
                window = _window(dataset, grid, _MARGIN_M)
                pixels = dataset.read(1, window=window)
                profile = {
                    "driver": "GTiff", "width": pixels.shape[1], "height": pixels.shape[0], "count": 1,
                    "dtype": pixels.dtype, "crs": dataset.crs, "transform": dataset.window_transform(window),
                    "nodata": dataset.nodata, "compress": "deflate", "predictor": 2,
                }  # fmt: skip
        except (RasterioError, SceneRefusedError) as error:
            if _may_pass(href, config.source.timeout_s):
                raise SourceError(
                    f"{_unsigned(href)}: cannot be read now ({_short(error)}); run again later"
                ) from error
            raise SceneRefusedError(f"file {_unsigned(href)} is broken ({_short(error)})") from error
    with rasterio.open(path, "w", **profile) as out:
        out.write(pixels, 1)


def read_image(stored: StoredScene, grid: Grid, bands: Sequence[str], calibration: Calibration) -> Image:
    """Read a scene onto a grid: calibrated, moved by its shift, resampled once.

    10 m bands cubic, 20 m bands bilinear, SCL nearest; of overlapping items the first valid pixel wins.

    Parameters
    ----------
    stored : StoredScene
    grid : Grid
        Target; any window of the site's grid.
    bands : sequence of str
        Common names; ``scl`` is read into ``Image.scl`` when the scene has it.
    calibration : Calibration
        Offset and scale, and the shift that is taken off.

    Returns
    -------
    Image
        Reflectance, NaN where no item has data.
    """
    found: dict[str, Float32] = {}
    for band in bands:
        layers = [s for item in stored.bands for s in item if s.band == band]
        for layer in layers:
            dn = _read_band(layer, grid, calibration)
            found[band] = np.where(np.isfinite(found[band]), found[band], dn) if band in found else dn
    scl = found.pop("scl", None)
    reflectance = {band: to_reflectance(dn, calibration) for band, dn in found.items()}
    return Image(grid, reflectance, None if scl is None else np.nan_to_num(scl).astype(np.uint8))


def _read_band(band: StoredBand, grid: Grid, calibration: Calibration) -> Float32:
    out = np.full(grid.shape, np.nan, dtype=np.float32)
    try:
        with _opened(band.path) as dataset:
            window = _window(dataset, grid, _MARGIN_M)
            pixels = dataset.read(1, window=window).astype(np.float32)
            nodata = band.nodata if band.nodata is not None else (dataset.nodata or 0.0)
            transform, crs = dataset.window_transform(window), dataset.crs
            coarse = abs(transform.a) > 15.0  # noqa: PLR2004 - metres: a 20 m band in a UTM grid
    except SceneRefusedError:
        # The item does not reach this part of the grid: nothing of it is there to be read.
        return out
    except RasterioError as error:
        raise EvidenceError(f"{band.path}: cannot be read back ({_short(error)})") from error
    pixels[pixels == nodata] = np.nan
    # The scene's ground lies displaced by the shift: it is looked up there, whatever the file's CRS is.
    there = Affine.translation(calibration.shift_x_m, calibration.shift_y_m) * grid.transform
    smooth = Resampling.bilinear if coarse else Resampling.cubic
    reproject(
        pixels, out, src_transform=transform, src_crs=crs, dst_transform=there, dst_crs=f"EPSG:{grid.epsg}",
        src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling.nearest if band.band == "scl" else smooth,
    )  # fmt: skip
    return out


def _window(dataset: Any, grid: Grid, margin_m: float) -> Window:
    """Whole pixels of a dataset that cover the grid and a margin."""
    left, bottom, right, top = grid.bounds
    grown = (left - margin_m, bottom - margin_m, right + margin_m, top + margin_m)
    bounds = transform_bounds(f"EPSG:{grid.epsg}", dataset.crs, *grown, densify_pts=21)
    wanted = from_bounds(*bounds, transform=dataset.transform)
    columns = slice(max(floor(wanted.col_off), 0), min(ceil(wanted.col_off + wanted.width), dataset.width))
    rows = slice(max(floor(wanted.row_off), 0), min(ceil(wanted.row_off + wanted.height), dataset.height))
    if columns.stop <= columns.start or rows.stop <= rows.start:
        raise SceneRefusedError("the file does not reach the AOI")
    if (columns.stop - columns.start) * (rows.stop - rows.start) > _MAX_WINDOW_PX:
        raise SceneRefusedError("the AOI's window is larger than any real scene's")
    return Window.from_slices(rows, columns)


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Open a GeoTIFF or JPEG 2000 and nothing else: other drivers could read any file it names."""
    driver = "JP2OpenJPEG" if urlsplit(path).path.lower().endswith(".jp2") else "GTiff"
    try:
        dataset = rasterio.open(path, driver=driver)
    except RasterioError as error:
        raise SceneRefusedError(
            f"file {_unsigned(path).rsplit('/', maxsplit=1)[-1]} is broken ({_short(error)})"
        ) from error
    with dataset:
        if dataset.crs is None:
            raise SceneRefusedError(f"file {Path(dataset.name).name} has no coordinate system")
        yield dataset


@contextmanager
def _gdal(config: Config) -> Iterator[None]:
    """GDAL over HTTP: no directory listing, retries with back-off, nothing remembered after a failure."""
    with rasterio.Env(
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
        GDAL_HTTP_MAX_RETRY=config.source.retries,
        GDAL_HTTP_RETRY_DELAY=1,
        GDAL_HTTP_TIMEOUT=config.source.timeout_s,
        CPL_VSIL_CURL_NON_CACHED="/vsicurl/",
        GDAL_INGESTED_BYTES_AT_OPEN=65536,
    ):
        yield


def _may_pass(href: str, timeout_s: float) -> bool:
    """Whether a failed read may succeed later: the server does not answer, is busy, or refuses for now."""
    if "://" not in href:
        return False
    try:
        answer = requests.get(href, timeout=timeout_s, headers={"Range": "bytes=0-0"}, stream=True)
    except requests.RequestException:
        return True
    answer.close()
    return answer.status_code not in {200, 206, 404, 410}


def _checked(href: str) -> str:
    """Refuse addresses that GDAL would take for something other than one file."""
    scheme = urlsplit(href).scheme
    if scheme in {"https", "http"} or (not scheme and not href.startswith("/vsi") and "<" not in href):
        return href
    raise SceneRefusedError(f"address {href} is neither http(s) nor a path")


def _local(href: str) -> str:
    if "://" in href and not href.startswith("file://"):
        raise SceneRefusedError(f"{_unsigned(href)} is remote and cannot be referenced; set source.evidence: copy")
    return _checked(href.removeprefix("file://"))


def _unsigned(href: str) -> str:
    """Return an address without its query: read tokens never reach a file of ours."""
    return href.split("?", maxsplit=1)[0]


def _window_key(grid: Grid) -> str:
    left, bottom, right, top = (int(edge) for edge in grid.bounds)
    return f"{grid.epsg}_{left}_{bottom}_{right}_{top}"


def _short(error: BaseException) -> str:
    return _unsigned(" ".join(str(error).split()))[:160]


def sha256_file(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_raw(stored: StoredScene, grid: Grid, bands: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """DN of some bands on a grid, neither calibrated nor moved; NaN is no data."""
    raw = Calibration(scale=1.0)
    image = read_image(stored, grid, bands, raw)
    return dict(image.bands) | ({"scl": image.scl.astype(np.float32)} if image.scl is not None else {})
