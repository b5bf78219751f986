"""Rasters from outside, opened with suspicion.

A file here may be anything a stranger's catalogue names. Only GeoTIFF and JPEG 2000 are opened (other formats
could read any file they name), nothing beside the file is looked at (a sidecar could move it or change its
no-data value, and is in no hash), its coordinate system may name no file (shift grids are opened wherever they
lie), and no more is decoded than a real scene could need.
"""

import contextlib
import functools
import mmap
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, floor, isfinite
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import numpy as np
import rasterio
from affine import AffineError
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError, NotGeoreferencedWarning, WindowError
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from pipeline.addresses import file_name
from pipeline.errors import SceneRefusedError
from pipeline.jp2 import wrong_size
from pipeline.tiff import TiffError, read_directory
from pipeline.types import Grid

MOST_BYTES = 400_000_000
"""A window, or a tile of a file, with more bytes than this is no scene's: 45 x 45 km at 10 m have 40 million, a file
of 110 x 110 km in a single tile 240 million."""
_OPENING = threading.Lock()
_ELSEWHERE = "has a coordinate system that names other files"
_WRITTEN_OUT = b"ESRI PE String"
_NAMES_FILES = re.compile(r"GRIDS|PARAMETERFILE|EXTENSION|PROJ-BASED", re.IGNORECASE)
_WEB_MERCATOR = (
    'EXTENSION["PROJ4","+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +k=1 +units=m '
    '+nadgrids=@null +wktext +no_defs"]'
)


@dataclass(frozen=True)
class Part:
    """A window of one raster, in the raster's own lattice and type.

    Attributes
    ----------
    pixels : NDArray
        Shape (rows, columns).
    transform : Affine
        North-up, of ``pixels``.
    crs : CRS
    nodata : float or None
        As the file says.
    """

    pixels: NDArray[Any]
    transform: Affine
    crs: CRS
    nodata: float | None


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """Give the dataset of a raster that may be a band of a scene; :class:`SceneRefusedError` when it cannot be one."""
    driver = "JP2OpenJPEG" if urlsplit(path).path.lower().endswith(".jp2") else "GTiff"
    local = Path(path)
    if local.is_file():
        status = local.stat()
        wrong = _wrong_bytes(path, status.st_size, status.st_mtime_ns)
        if wrong is not None:
            raise SceneRefusedError(f"file {file_name(path)} {wrong}")
    elif local.exists() and not local.is_dir():
        raise SceneRefusedError(f"file {file_name(path)} is no plain file")
    inside = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_GEOREF_SOURCES": "INTERNAL"}
    with rasterio.Env(**inside), _open(path, driver) as dataset:
        wrong = _wrong(dataset)
        if wrong is not None:
            raise SceneRefusedError(f"file {file_name(path)} {wrong}")
        yield dataset


def _open(path: str, driver: str) -> Any:
    with _OPENING, warnings.catch_warnings():
        # A file that lies nowhere is refused below, in words of ours. One thread at a time: filters are the process's.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, driver=driver)


def window_of(dataset: Any, grid: Grid, margin_m: float) -> Window:
    """Whole pixels of a dataset that cover a grid and a margin; :class:`SceneRefusedError` when there are none."""
    left, bottom, right, top = grid.bounds
    grown = (left - margin_m, bottom - margin_m, right + margin_m, top + margin_m)
    nowhere = Window(0, 0, 0, 0)
    try:
        bounds = transform_bounds(f"EPSG:{grid.epsg}", dataset.crs, *grown, densify_pts=21)
        wanted = from_bounds(*bounds, transform=dataset.transform) if all(map(isfinite, bounds)) else nowhere
    except (AffineError, CRSError, CPLE_BaseError, WindowError) as error:
        raise SceneRefusedError(f"file {file_name(dataset.name)} lies where nothing is") from error
    if not all(map(isfinite, (wanted.col_off, wanted.row_off, wanted.width, wanted.height))):
        wanted = nowhere
    columns = slice(max(floor(wanted.col_off), 0), min(ceil(wanted.col_off + wanted.width), dataset.width))
    rows = slice(max(floor(wanted.row_off), 0), min(ceil(wanted.row_off + wanted.height), dataset.height))
    if columns.stop <= columns.start or rows.stop <= rows.start:
        raise SceneRefusedError(f"file {file_name(dataset.name)} does not reach the AOI")
    size = np.dtype(dataset.dtypes[0]).itemsize
    if (columns.stop - columns.start) * (rows.stop - rows.start) * size > MOST_BYTES:
        raise SceneRefusedError(f"file {file_name(dataset.name)} has more pixels over the AOI than any real scene")
    return Window.from_slices(rows, columns)


def nodata_of(dataset: Any) -> float | None:
    """Give the no-data value a file declares; one that none of its pixels can have says nothing."""
    value: float | None = dataset.nodata
    kind = np.dtype(dataset.dtypes[0])
    if value is None or kind.kind == "f":
        return value
    fits = isfinite(value) and value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max
    return value if fits else None


def _wrong(dataset: Any) -> str | None:
    """Say what makes a raster unfit to be a band; None when nothing does."""
    rows, columns = dataset.block_shapes[0] if dataset.count else (0, 0)
    size = np.dtype(dataset.dtypes[0]).itemsize if dataset.count else 0
    to = dataset.transform
    checks = (
        (dataset.count != 1, f"holds {dataset.count} bands, not one"),
        (np.dtype(dataset.dtypes[0]).kind not in "uif", f"holds {dataset.dtypes[0]}, not numbers"),
        (dataset.crs is None, "has no coordinate system"),
        (dataset.crs is not None and _names_files(dataset.crs), _ELSEWHERE),
        (to.b or to.d or to.a <= 0 or to.e >= 0, "is not north-up"),
        (rows * columns * size > MOST_BYTES, f"is cut into tiles of {rows} x {columns} pixels"),
    )
    return next((text for fails, text in checks if fails), None)


def _names_files(system: CRS) -> bool:
    """Whether a coordinate system could have files opened; true of one that cannot be written down, too."""
    try:
        said = f"{system.to_wkt()} {system.to_wkt(version='WKT2_2019')}"
    except CRSError:
        return True
    return _NAMES_FILES.search(said.replace(_WEB_MERCATOR, "")) is not None


@functools.lru_cache(maxsize=4096)
def _wrong_bytes(path: str, size_bytes: int, changed_ns: int) -> str | None:  # noqa: ARG001 - part of the cache's key
    """Say why a file must not even be opened; ``size_bytes`` and ``changed_ns`` tell which file it is.

    A coordinate system that is written out in words is built while a file is opened, and shift grids it names are
    opened with it. Words stand in one tag of a GeoTIFF, and of a JPEG 2000 in a GeoTIFF inside it.
    """
    with Path(path).open("rb") as file:
        get = functools.partial(_bytes_of, file)
        with contextlib.suppress(TiffError, struct.error):
            words = read_directory(functools.partial(_all_of, get)).system_words
            return _ELSEWHERE if _WRITTEN_OUT in words and _NAMES_FILES.search(words.decode("latin-1")) else None
        if size_bytes == 0:
            return None
        if path.lower().endswith(".jp2") and (wrong := wrong_size(get)) is not None:
            return wrong
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            return _ELSEWHERE if whole.find(_WRITTEN_OUT) >= 0 else None


def _bytes_of(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _all_of(get: Callable[[int, int], bytes], start: int, end: int) -> bytes:
    found = get(start, end)
    if len(found) < end - start:
        raise TiffError(f"ends before byte {end}")
    return found
