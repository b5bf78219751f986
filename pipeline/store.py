"""The evidence store: pixels as delivered, hashed, with the request beside them.

``copy`` keeps the AOI's window of every band in its native grid and type, one folder per item and
window, written beside and renamed; what is there is never fetched again. ``reference`` keeps hash and
path of the files of a local archive. Pixels are read back from here only, after their hash was checked:
GDAL reads corrupted deflate without an error.
"""

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import rasterio
from rasterio.crs import CRS
from rasterio.errors import RasterioError

from pipeline.addresses import checked, file_name, is_remote, one_line, unsigned
from pipeline.config import Config
from pipeline.errors import EvidenceError, ProductError, SceneRefusedError, SourceError
from pipeline.imagery import Asset, Item, Refusal, Scene, StoredBand, StoredScene
from pipeline.pixels import MARGIN_M, Part, check_part, read_part, why
from pipeline.remote import download, gdal_options
from pipeline.types import Grid

_RECORD = "record.json"
_FOLDER_NAME = re.compile(r"[^\W_][\w.:+@=~ -]{0,199}", re.ASCII)
"""What an item or collection may be called: its name becomes a folder."""
_STALE_S = 86_400.0
"""A half-written folder older than a day is left over from a process that was killed."""


@dataclass(frozen=True)
class Store:
    """Where evidence is kept and how it is read; cheap to send to a worker."""

    root: Path
    config: Config
    sign: Callable[[str, str, Config], str]

    @staticmethod
    def copying(config: Config) -> bool:
        """Return True when pixels are copied, False when a local archive is referenced."""
        wanted = config.source.evidence
        return wanted == "copy" if wanted else is_remote(config.source.url)


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
    ProductError
        The store cannot be written.
    """
    stored, fetched = [], 0
    try:
        for item in scene.items:
            item_bands, new = _fetch_item(store, item, grid, bands)
            stored.append(item_bands)
            fetched += new
        _same_system(stored, grid)
    except SceneRefusedError as refused:
        return refusal(scene, str(refused))
    return StoredScene(scene, tuple(stored), fetched)


def refusal(scene: Scene, reason: str) -> Refusal:
    """Record that a scene is not used, and why."""
    return Refusal(
        scene.scene_id, scene.datetime, scene.platform, scene.processing_baseline, scene.relative_orbit, reason
    )


def sha256_file(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_item(store: Store, item: Item, grid: Grid, bands: Sequence[str]) -> tuple[tuple[StoredBand, ...], int]:
    assets = [_asset(item, band, store.config) for band in bands if band != "scl" or "scl" in item.assets]
    if not Store.copying(store.config):
        return tuple(_referenced(asset, store.config) for asset in assets), 0
    for name in (item.id, item.collection):
        if not _FOLDER_NAME.fullmatch(name):
            raise SceneRefusedError(f"name {name!r} cannot be that of a folder")
    folder = store.root / item.collection / item.id / _window_key(grid)
    if (folder / _RECORD).is_file():
        return _stored(folder, assets), 0
    try:
        _copy(store, item, grid, assets, folder)
    except OSError as error:
        remedy = "free disk space, make it writable or choose another --out"
        raise ProductError(f"{folder}: cannot be written ({error.strerror or error}); {remedy}") from error
    return _stored(folder, assets), len(assets)


def _asset(item: Item, band: str, config: Config) -> Asset:
    """Return the asset of a band, or the substitute the configuration allows for it."""
    substitute = config.source.band_substitutes.get(band)
    if band in item.assets:
        return item.assets[band]
    if substitute is not None and substitute in item.assets:
        return replace(item.assets[substitute], band=band)
    raise SceneRefusedError(f"band {band} is missing (source.band_substitutes can name a band to read in its place)")


def _referenced(asset: Asset, config: Config) -> StoredBand:
    """Hash a file of a local archive where it lies."""
    if is_remote(asset.href):
        raise SceneRefusedError(f"{unsigned(asset.href)} is remote and cannot be referenced; set source.evidence: copy")
    path = Path(checked(asset.href, config.source.url))
    try:
        return _band(asset, path, sha256_file(path), path.stat().st_size, "reference")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise SceneRefusedError(f"file {path.name} is not there ({error.strerror})") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read now ({error.strerror}); run again later") from error


def _band(asset: Asset, path: Path, digest: str, size: int, evidence: str) -> StoredBand:
    return StoredBand(
        asset.band, str(path), digest, size, unsigned(asset.href), evidence, asset.scale, asset.offset, asset.nodata
    )


def _stored(folder: Path, assets: Sequence[Asset]) -> tuple[StoredBand, ...]:
    """Return bands already in the store, each checked against its recorded hash."""
    again = f"remove the folder {folder} to fetch it again"
    try:
        files: dict[str, Any] = json.loads((folder / _RECORD).read_text(encoding="utf-8"))["files"]
        kept = {asset.band: files.get(f"{asset.band}.tif") for asset in assets}
        named = {band: (str(k["href"]), str(k["sha256"]), int(k["size_bytes"])) for band, k in kept.items() if k}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(f"{folder / _RECORD}: cannot be read ({one_line(error)}); {again}") from error
    found = []
    for asset in assets:
        path = folder / f"{asset.band}.tif"
        if asset.band not in named:
            raise EvidenceError(f"{path}: was not fetched when the others were; {again}")
        href, digest, size = named[asset.band]
        if file_name(href) != file_name(asset.href):
            raise EvidenceError(f"{path}: was fetched from {href}, the catalogue names another file now; {again}")
        try:
            same = sha256_file(path) == digest
        except OSError as error:
            raise EvidenceError(f"{path}: cannot be read ({error.strerror}); {again}") from error
        if not same:
            raise EvidenceError(f"{path}: differs from the hash recorded when it was fetched; {again}")
        found.append(_band(asset, path, digest, size, "copy"))
    return tuple(found)


def _copy(store: Store, item: Item, grid: Grid, assets: Sequence[Asset], folder: Path) -> None:
    """Fetch the window of every band, write all beside, rename once; an interruption leaves nothing half."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        files = {}
        for asset in assets:
            data = _geotiff(_delivered(store, item, asset, grid, beside))
            # Written as bytes: GDAL reports a full disk only when it closes a file, and rasterio drops that.
            (beside / f"{asset.band}.tif").write_bytes(data)
            files[f"{asset.band}.tif"] = {
                "href": unsigned(asset.href),
                "sha256": hashlib.sha256(data).hexdigest(),
                "size_bytes": len(data),
            }
        record = {
            "item": _without_queries(dict(item.document)),
            "files": files,
            "window": {"epsg": grid.epsg, "bounds_m": list(grid.bounds), "margin_m": MARGIN_M},
            "fetched": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        (beside / _RECORD).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if not folder.exists():
            beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left half-written beside a folder."""
    for left in folder.parent.glob(f".{folder.name}-*"):
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def _delivered(store: Store, item: Item, asset: Asset, grid: Grid, scratch: Path) -> Part:
    """Window of a band as the provider delivers it.

    A window that cannot be read over the network is read from the whole file, fetched once: only when every
    byte is here and it still cannot be read is the file itself broken.
    """
    source = store.config.source
    href = checked(asset.href, source.url)
    path = Path(href)
    if is_remote(href):
        address = store.sign(href, item.collection, store.config)
        try:
            with rasterio.Env(**gdal_options(source)):
                return read_part(f"/vsicurl/{address}", grid)
        except (RasterioError, SceneRefusedError):
            # Either may be the network's: GDAL leaves out, with a warning, a coordinate system it could not read.
            path = scratch / file_name(href)
            download(address, path, source)
    try:
        if not path.is_file():
            raise SceneRefusedError(f"file {path.name} is not there")
        return read_part(str(path), grid)
    except RasterioError as error:
        raise SceneRefusedError(f"file {path.name} is broken ({why(error)})") from error
    finally:
        if path.parent == scratch:
            path.unlink(missing_ok=True)


def _geotiff(part: Part) -> bytes:
    profile = {
        "driver": "GTiff", "width": part.pixels.shape[1], "height": part.pixels.shape[0], "count": 1,
        "dtype": part.pixels.dtype, "crs": part.crs, "transform": part.transform, "nodata": part.nodata,
        "compress": "deflate", "predictor": 3 if part.pixels.dtype.kind == "f" else 2,
    }  # fmt: skip
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(part.pixels, 1)
        return bytes(memory.getbuffer())


def _same_system(stored: Sequence[Sequence[StoredBand]], grid: Grid) -> None:
    """Refuse a scene with a file that cannot be read, or whose files lie in different coordinate systems."""
    first: tuple[str, CRS] | None = None
    for band in (band for item in stored for band in item):
        name = file_name(band.href)
        try:
            # A copy was read when it was made; of a file of another's archive all that is needed must be there.
            system = check_part(band.path, grid) if band.evidence == "copy" else read_part(band.path, grid).crs
        except RasterioError as error:
            raise SceneRefusedError(f"file {name} is broken ({why(error)})") from error
        first = first or (name, system)
        if system != first[1]:
            raise SceneRefusedError(f"file {first[0]} is in {_title(first[1])}, file {name} in {_title(system)}")


def _title(system: CRS) -> str:
    code = system.to_epsg()
    return f"EPSG:{code}" if code else "an unnamed coordinate system"


def _without_queries(value: Any) -> Any:
    """Return a document of a catalogue, its addresses unsigned."""
    if isinstance(value, dict):
        return {k: unsigned(v) if k == "href" and isinstance(v, str) else _without_queries(v) for k, v in value.items()}
    return [_without_queries(v) for v in value] if isinstance(value, list) else value


def _window_key(grid: Grid) -> str:
    left, bottom, right, top = (int(edge) for edge in grid.bounds)
    return f"{grid.epsg}_{left}_{bottom}_{right}_{top}"
