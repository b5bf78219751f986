"""Band files of an item, on the network or of a local archive: the pixels of a window, and what they cost."""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from rasterio.errors import RasterioError

from pipeline.addresses import checked, is_remote, one_line
from pipeline.delivery import Delivered
from pipeline.documents import parsed
from pipeline.errors import SceneRefusedError, SourceError
from pipeline.evidence import is_as_declared
from pipeline.exchange import Ask
from pipeline.imagery import Asset, Item
from pipeline.ledger import Traffic
from pipeline.pixels import read_part, why
from pipeline.presets import PRESETS
from pipeline.ranges import fetch_window
from pipeline.remote import Line, ask
from pipeline.types import Grid

_TOKEN_AGE_S = 600
"""A read token lives about an hour; one this old is always still good."""
_TOKENS: dict[tuple[str, int], str] = {}
_ASKING_TOKEN = threading.Lock()
_BYTES_PER_PIXEL = 1.4
"""Deflated 16-bit surface reflectance; measured 1.2-1.4 on Sentinel-2 scenes of hills and villages."""
_CLASS_BYTES_PER_PIXEL = 0.2
_BLOCK_PX = 1024
"""Largest block of the public archives: what meets a window reaches up to a block beyond it."""
_LEAST_BLOCK_PX = 512
"""Smallest: each row of blocks is a request."""
_JP2_BYTES_PER_PIXEL = 1.1
_TILE_PX = 10_980
_FINE = {"blue", "green", "red", "nir"}


def deliver(item: Item, bands: Sequence[str], grid: Grid, line: Line) -> Iterator[Delivered]:
    """Pixels of a grid and its margin, band by band as they come.

    Raises
    ------
    SceneRefusedError
        A file is broken, gone or elsewhere, or its address is none.
    SourceError
        A file cannot be had now.
    """
    preset = PRESETS.get(line.source.preset or "")
    if preset is not None and preset.pixels_need_account:
        raise SourceError(
            f"source.preset = {line.source.preset}: its files need an account, which is not used here; it serves to "
            "search and plan, set source.kind: sentinelhub to fetch"
        )
    wanted = [item.assets[band] for band in bands]
    for asset in wanted:
        checked(asset.href, line.source.url, line.source.root)
    with (
        tempfile.TemporaryDirectory(prefix="coming-", dir=line.ledger.folder) as folder,
        ThreadPoolExecutor(max_workers=line.source.max_concurrent) as threads,
    ):
        coming = [threads.submit(_delivered, asset, item.collection, grid, line, Path(folder)) for asset in wanted]
        try:
            for done in as_completed(coming):
                if done.cancelled():
                    continue
                if done.exception() is None:
                    yield done.result()
                else:
                    # What is under way is not lost, but nothing more is begun.
                    _cancel(coming)
        finally:
            _cancel(coming)
        for done in coming:
            if not done.cancelled():
                done.result()


def _cancel(coming: Sequence[Future[Delivered]]) -> None:
    for future in coming:
        future.cancel()


def _delivered(asset: Asset, collection: str, grid: Grid, line: Line, folder: Path) -> Delivered:
    if is_remote(asset.href):
        return fetch_window(line, asset.band, lambda: _signed(asset.href, collection, line), grid, folder)
    path = Path(asset.href)
    try:
        if not is_as_declared(path, asset.checksum):
            raise SceneRefusedError(f"file {path.name} is broken (differs from the checksum its provider gave)")
        part = read_part(str(path), grid)
    except (RasterioError, OSError) as error:
        if not path.is_file():
            raise SceneRefusedError(f"file {path.name} is not there") from error
        if isinstance(error, RasterioError):
            raise SceneRefusedError(f"file {path.name} is broken ({why(error)})") from error
        raise SourceError(f"{path}: cannot be read now ({error.strerror}); run again later") from error
    return Delivered(asset.band, part, {"path": path.name}, {})


def price(item: Item, bands: Sequence[str], grid: Grid) -> Traffic:
    """Say what a scene takes at most, from the size of the grid; of an archive of GeoTIFFs in blocks."""
    remote = [item.assets[band] for band in bands if band in item.assets and is_remote(item.assets[band].href)]
    requests = sum(_requests(asset, grid) for asset in remote)
    return Traffic(requests, requests, sum(_bytes(asset, grid) for asset in remote))


def _signed(href: str, collection: str, line: Line) -> str:
    """Add the read token of a collection to an href, where the provider issues tokens (``source.sign_url``)."""
    if line.source.sign_url is None:
        return href
    token = _token(line, collection, int(time.time() // _TOKEN_AGE_S))
    return f"{href}{'&' if '?' in href else '?'}{token}"


def _token(line: Line, collection: str, age: int) -> str:
    url = f"{line.source.sign_url}/{collection}"
    with _ASKING_TOKEN:
        if (url, age) not in _TOKENS:
            try:
                _TOKENS[url, age] = str(parsed(ask(line, Ask(url)).body.decode())["token"])
            except (KeyError, ValueError, TypeError) as error:
                raise SourceError(f"{url}: gives no read token ({one_line(error)}); run again later") from error
        return _TOKENS[url, age]


def _requests(asset: Asset, grid: Grid) -> int:
    """Directory, and each row of blocks; of a file without blocks what it begins with, and all of it."""
    if _is_jp2(asset):
        return 2
    return 1 + int(grid.height / _step(asset)) // _LEAST_BLOCK_PX + 2


def _step(asset: Asset) -> int:
    return 1 if asset.band in _FINE else 2


def _is_jp2(asset: Asset) -> bool:
    # Not at the end: the Data Space names a file as Nodes(NAME.jp2)/$value.
    return ".jp2" in asset.href.split("?", maxsplit=1)[0].lower()


def _bytes(asset: Asset, grid: Grid) -> int:
    """Compressed bytes of a band's blocks over a grid, or of the whole file when it has no blocks."""
    step = _step(asset)
    if _is_jp2(asset):
        return asset.size_bytes or round((_TILE_PX / step) ** 2 * _JP2_BYTES_PER_PIXEL)
    pixels = (grid.width / step + _BLOCK_PX) * (grid.height / step + _BLOCK_PX)
    return round(pixels * (_CLASS_BYTES_PER_PIXEL if asset.band == "scl" else _BYTES_PER_PIXEL))
