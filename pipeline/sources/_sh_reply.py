"""What the Process API answers: a tar of one TIFF per band and a description, believed in nothing.

The archive is read in memory, no path in it is used, and no file may be larger than what was asked for. Every TIFF must
lie exactly where it was asked for. Whether a pixel has data is said by ``dataMask`` alone.
"""

import datetime as dt
import io
import tarfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from pipeline.addresses import one_line, shown
from pipeline.documents import parsed
from pipeline.errors import SourceError
from pipeline.imagery import Item
from pipeline.sources._sh_request import MASK, SAME_TIME_S, Patch, is_of, sample_type

_USERDATA = "userdata.json"
_USERDATA_BYTES = 1 << 18
"""A tile is described in 300 bytes; a request meets a few dozen at most."""
_TAR_BYTES, _TAR_BLOCK = 20_480, 1024
"""End of an archive, and heads and padding of a file in it."""
_TIFF_HEAD_BYTES = 1 << 17
"""Directory of a TIFF of 2500 rows, and its description of the place."""
_MOST_SHOWN = 3
Tile = Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """One window as it came.

    Attributes
    ----------
    pixels : Mapping
        Sentinel-2 name to pixels of the type that was asked for; 0 where the mask says that there is no data.
    zeros : Mapping
        Sentinel-2 name to the number of pixels of 0 where the mask says that there are data. By ESA's rule a DN of 0
        is no data, so they are read as none.
    tiles : sequence of Mapping
        The tile that was used, as the service names it; empty when it has nothing in this window.
    offered : sequence of Mapping
        All tiles of the time and place, also those left aside.
    """

    pixels: Mapping[str, NDArray[Any]]
    zeros: Mapping[str, int]
    tiles: Sequence[Tile]
    offered: Sequence[Tile]


def most_bytes(patch: Patch, names: Sequence[str]) -> int:
    """Size of the largest reply there can be to a request for some bands."""
    tiffs = sum(_tiff_bytes(patch, name) + _TAR_BLOCK for name in (*names, MASK))
    return tiffs + _USERDATA_BYTES + _TAR_BLOCK + _TAR_BYTES


def read_reply(body: bytes, item: Item, names: Sequence[str], patch: Patch) -> Reply:
    """Take a reply apart and check it against what was asked.

    Raises
    ------
    SourceError
        It is no such archive, another place, size or type, or was made of other tiles than the item.
    """
    limits = {f"{name}.tif": _tiff_bytes(patch, name) for name in (*names, MASK)} | {_USERDATA: _USERDATA_BYTES}
    files = _unpacked(body, limits, item)
    tiles, offered = _tiles(files[_USERDATA], item)
    mask = _band(files[f"{MASK}.tif"], MASK, patch, item)
    if not np.isin(mask, (0, 1)).all():
        raise _wrong(item, f"{MASK} holds {int(mask.max())}, it must be 0 or 1")
    if not tiles and mask.any():
        raise _wrong(item, "pixels have data, but no tile is named that they are of")
    pixels, zeros = {}, {}
    for name in names:
        band = _band(files[f"{name}.tif"], name, patch, item)
        zeros[name] = int(np.count_nonzero((band == 0) & (mask == 1)))
        pixels[name] = np.where(mask == 1, band, band.dtype.type(0))
    return Reply(pixels, zeros, tiles, offered)


def _unpacked(body: bytes, limits: Mapping[str, int], item: Item) -> dict[str, bytes]:
    """Content of the files that were asked for; anything else in the archive is an error."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name not in limits or name in found:
                    raise _wrong(item, f"holds {shown(name)!r}, which was not asked for or comes twice")
                if not member.isreg() or member.issparse() or member.size > limits[name]:
                    raise _wrong(item, f"{name} is no file of at most {limits[name]:,} bytes")
                stream = archive.extractfile(member)
                found[name] = b"" if stream is None else stream.read()
    except (tarfile.TarError, EOFError) as error:
        raise _wrong(item, f"is no archive, or one that was cut ({one_line(error)})") from error
    missing = sorted(set(limits) - set(found))
    if missing:
        raise _wrong(item, f"lacks {', '.join(missing)}")
    return found


def _tiles(text: bytes, item: Item) -> tuple[list[Tile], list[Tile]]:
    """Tiles the pixels are of (the item, or none where it has nothing), and all those the service has there."""
    try:
        said = parsed(text.decode())
        used, offered = list(said["used"]), list(said["offered"])
        strange = [tile for tile in used if not is_of(item, tile) or not _same_time(item, tile)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _wrong(item, f"{_USERDATA} does not name its tiles ({one_line(error)})") from error
    if strange or len(used) > 1:
        raise _wrong(item, f"was made of {named(strange or used)}, not of this tile alone")
    return used, offered


def _same_time(item: Item, tile: Tile) -> bool:
    when = dt.datetime.fromisoformat(tile["date"])
    when = when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when
    return abs((when - item.datetime).total_seconds()) <= SAME_TIME_S


def named(tiles: Sequence[Tile]) -> str:
    """Say which tiles these are, on one line."""
    names = [str(tile.get("productId") or tile.get("dataPath") or tile.get("date")) for tile in tiles]
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return shown(", ".join(names[:_MOST_SHOWN])) + more


def _band(data: bytes, name: str, patch: Patch, item: Item) -> NDArray[Any]:
    """Pixels of one TIFF, which lies where it was asked for."""
    try:
        with warnings.catch_warnings(), rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            # A file that lies nowhere is refused below, in words of ours.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with MemoryFile(data) as file, file.open(driver="GTiff") as dataset:
                problem = _misplaced(dataset, patch, sample_type(name))
                if problem is not None:
                    raise _wrong(item, f"{name}.tif {problem}")
                return np.asarray(dataset.read(1))
    except RasterioError as error:
        raise _wrong(item, f"{name}.tif cannot be read ({one_line(error.__cause__ or error)})") from error


def _misplaced(dataset: Any, patch: Patch, dtype: str) -> str | None:
    """Say how a TIFF differs from what was asked; None when it does not."""
    rows, columns = dataset.block_shapes[0]
    found_epsg = None if dataset.crs is None else dataset.crs.to_epsg()
    checks = (
        (dataset.count != 1, f"holds {dataset.count} bands, not one"),
        (dataset.dtypes[0] != dtype, f"holds {dataset.dtypes[0]}, not {dtype}"),
        ((dataset.width, dataset.height) != (patch.width, patch.height),
         f"has {dataset.width} x {dataset.height} pixels, not {patch.width} x {patch.height}"),
        (rows * columns > 4 * max(patch.width * patch.height, 1 << 18), f"is cut into tiles of {rows} x {columns}"),
        (found_epsg != patch.epsg, f"lies in EPSG:{found_epsg}, not EPSG:{patch.epsg}"),
        (not dataset.transform.almost_equals(patch.transform, precision=1e-3),
         f"lies at {tuple(dataset.bounds)}, not {patch.bounds}"),
    )  # fmt: skip
    return next((text for fails, text in checks if fails), None)


def _tiff_bytes(patch: Patch, name: str) -> int:
    """Size of the largest TIFF there can be of a window: not compressed, or a little longer where that did not help."""
    pixels = patch.width * patch.height * np.dtype(sample_type(name)).itemsize
    return pixels + pixels // 50 + _TIFF_HEAD_BYTES


def _wrong(item: Item, what: str) -> SourceError:
    return SourceError(f"{item.id}: reply of the Process API {what}; nothing of it is used; run again later")
