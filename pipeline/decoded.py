"""Decoded pixels of a run: what a file shows of a site is decoded once, and every pass reads its windows there.

Decoding is the larger part of reading, and the passes look at a scene six times. The copy is plain integers on
disk, named by the hash of the file it was decoded from; it is scratch, not evidence, and goes with the work folder.
"""

import errno
import functools
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from pipeline.imagery import Scratch, StoredBand, StoredScene
from pipeline.rasters import Part
from pipeline.resample import in_system
from pipeline.types import Grid

_BYTES_PER_PX = {"scl": 0.25, "nir08": 0.5, "swir16": 0.5, "swir22": 0.5}
"""Of a 10 m cell; the others have two."""
_AT_ONCE_BYTES = 1 << 18
"""Read before a window's columns are taken out of it: stays in the processor's own memory."""
_SLACK_PX = 1e-6
"""Window edges nearer than this to a whole pixel are on it, as in the files themselves."""


@dataclass(frozen=True)
class _Header:
    """What belongs to the pixels of a decoded file."""

    dtype: str
    shape: tuple[int, int]
    transform: Affine
    crs: CRS
    nodata: float | None


def with_scratch(stored: Sequence[StoredScene], folder: Path, grid: Grid, most_gb: float) -> list[StoredScene]:
    """Give scenes a place for their decoded pixels, or none where those of all would not fit.

    Parameters
    ----------
    stored : sequence of StoredScene
        All scenes of a site.
    folder : Path
        Need not be there.
    grid : Grid
        Of the site.
    most_gb : float
        Disk space they may take; without it every pass decodes anew, with the same result.
    """
    size = sum(_BYTES_PER_PX.get(band.band, 2.0) for scene in stored for item in scene.bands for band in item)
    if size * grid.width * grid.height > most_gb * 1e9:
        return list(stored)
    return [replace(scene, scratch=Scratch(str(folder), grid)) for scene in stored]


def path_of(band: StoredBand, scratch: Scratch) -> str:
    """Where a band's decoded pixels are or will be: a header beside the pixels."""
    return f"{scratch.folder}/{band.sha256[:40]}.json"


def keep(part: Part, path: str) -> None:
    """Write decoded pixels; whole or not at all, also when two tasks do it at once."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    said = {
        "dtype": part.pixels.dtype.str,
        "shape": part.pixels.shape,
        "transform": tuple(part.transform)[:6],
        "crs": part.crs.to_wkt(),
        "nodata": part.nodata,
    }
    _put(np.ascontiguousarray(part.pixels).data, _pixels_of(path))
    # The header comes last: where it is, the pixels are.
    _put(json.dumps(said).encode(), path)


def _pixels_of(path: str) -> str:
    return f"{path.removesuffix('.json')}.raw"


def _put(data: bytes | memoryview, path: str) -> None:
    with tempfile.NamedTemporaryFile(dir=Path(path).parent, delete=False) as file:
        file.write(data)
    os.replace(file.name, path)  # noqa: PTH105 - Path(file.name) adds nothing


def cut(path: str, grid: Grid, margin_m: float) -> Part | None:
    """Read the pixels that cover a grid and a margin; None where the file does not reach.

    Parameters
    ----------
    path : str
        Of :func:`path_of`.
    grid : Grid
        A window of the grid it was decoded for.
    margin_m : float
        In metres, as it was decoded with or less.

    Raises
    ------
    FileNotFoundError
        Nothing was kept there.
    """
    header = _header(path)
    to = header.transform
    left, bottom, right, top = grid.bounds
    bounds = left - margin_m, bottom - margin_m, right + margin_m, top + margin_m
    if not in_system(header.crs, grid.epsg):
        bounds = transform_bounds(f"EPSG:{grid.epsg}", header.crs, *bounds, densify_pts=21)
    left, bottom, right, top = bounds
    rows = _span((top - to.f) / to.e, (bottom - to.f) / to.e, header.shape[0])
    columns = _span((left - to.c) / to.a, (right - to.c) / to.a, header.shape[1])
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return None
    pixels = _window(_pixels_of(path), header, rows, columns)
    corner = to.c + to.a * columns.start, to.f + to.e * rows.start
    return Part(pixels, Affine(to.a, 0.0, corner[0], 0.0, to.e, corner[1]), header.crs, header.nodata)


def _window(path: str, header: _Header, rows: slice, columns: slice) -> NDArray[Any]:
    """Copy a window out of its whole rows, some at a time: mapping them takes longer, and counts as memory."""
    dtype, width = np.dtype(header.dtype), header.shape[1]
    line = width * dtype.itemsize
    step = max(_AT_ONCE_BYTES // line, 1)
    out = np.empty((rows.stop - rows.start, columns.stop - columns.start), dtype=dtype)
    file = os.open(path, os.O_RDONLY)
    try:
        for first in range(0, len(out), step):
            part = out[first : first + step]
            raw = os.pread(file, len(part) * line, (rows.start + first) * line)
            if len(raw) != len(part) * line:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            part[:] = np.frombuffer(raw, dtype=dtype).reshape(-1, width)[:, columns]
    finally:
        os.close(file)
    return out


def _span(first: float, last: float, length: int) -> slice:
    return slice(max(floor(first + _SLACK_PX), 0), min(ceil(last - _SLACK_PX), length))


@functools.lru_cache(maxsize=4096)
def _header(path: str) -> _Header:
    said = json.loads(Path(path).read_bytes())
    nodata = said["nodata"]
    return _Header(said["dtype"], tuple(said["shape"]), Affine(*said["transform"]), _system(said["crs"]), nodata)


@functools.lru_cache(maxsize=64)
def _system(wkt: str) -> CRS:
    return CRS.from_wkt(wkt)
