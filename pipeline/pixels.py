"""Rasters from outside: read by window, brought onto the grid; :mod:`pipeline.rasters` opens them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from pipeline.addresses import one_line
from pipeline.decoded import cut, keep, path_of
from pipeline.errors import EvidenceError, InputError, SceneRefusedError
from pipeline.imagery import Calibration, Image, Scratch, StoredBand, StoredScene
from pipeline.kernels.resample import as_float
from pipeline.radiometry import to_reflectance
from pipeline.rasters import Part, nodata_of, opened, window_of
from pipeline.resample import Method, resample
from pipeline.types import Float32, Grid

MARGIN_M = 60.0
"""Kept around the grid, so that a shifted scene still fills it: twice the largest shift accepted."""
_COARSE_M = 15.0
"""Between the 10 m and the 20 m bands."""
_METRES_PER_DEGREE = 111_320.0
_SAME_LATTICE_PX = 1e-3
_LOWEST_LAND_M = -450.0
"""Shore of the Dead Sea; what an elevation model says below it is a mark for no data it does not declare."""


def read_part(path: str, grid: Grid) -> Part:
    """Read what a raster shows of a grid and its margin.

    Parameters
    ----------
    path : str
        A local path, or a remote address in GDAL's notation.
    grid : Grid

    Raises
    ------
    SceneRefusedError
        The raster does not reach the grid, or is nothing a scene's band can be.
    RasterioError
        It cannot be opened or read.
    """
    with opened(path) as dataset:
        window = window_of(dataset, grid, MARGIN_M)
        return Part(dataset.read(1, window=window), dataset.window_transform(window), dataset.crs, nodata_of(dataset))


def pixel_window(path: str, grid: Grid) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the rows and columns that :func:`read_part` would read, first and after the last; raises the same."""
    with opened(path) as dataset:
        window = window_of(dataset, grid, MARGIN_M)
        (top, bottom), (left, right) = window.toranges()
        return (int(top), int(bottom)), (int(left), int(right))


def check_part(path: str, grid: Grid) -> CRS:
    """Return the CRS of a raster that :func:`read_part` could be asked for; reads no pixel and raises the same."""
    with opened(path) as dataset:
        window_of(dataset, grid, MARGIN_M)
        return dataset.crs


def why(error: RasterioError) -> str:
    """Say on one line what GDAL found wrong; rasterio's own words often only point to it."""
    return one_line(error.__cause__ or error)


def read_image(stored: StoredScene, grid: Grid, bands: Sequence[str], calibration: Calibration) -> Image:
    """Read a scene onto a grid: calibrated, moved by its shift, resampled once.

    10 m bands cubic, 20 m bands bilinear, SCL nearest. Items on one lattice are joined before they are
    resampled, so that no seam shows; where they overlap, the first valid pixel wins.

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

    Raises
    ------
    EvidenceError
        A stored or referenced file cannot be read.
    """
    found: dict[str, Float32] = {}
    for band in bands:
        layers = [s for item in stored.bands for s in item if s.band == band]
        if layers:
            found[band] = _read_band(layers, grid, calibration, stored.scratch)
    scl = found.pop("scl", None)
    reflectance = {band: to_reflectance(dn, calibration) for band, dn in found.items()}
    return Image(grid, reflectance, None if scl is None else np.where(np.isnan(scl), 0, scl).astype(np.uint8))


def read_raw(stored: StoredScene, grid: Grid, bands: Sequence[str]) -> dict[str, Float32]:
    """DN of some bands on a grid, neither calibrated nor moved; NaN is no data."""
    image = read_image(stored, grid, bands, Calibration(scale=1.0))
    return dict(image.bands) | ({"scl": image.scl.astype(np.float32)} if image.scl is not None else {})


def read_elevation(path: str, grid: Grid) -> Float32:
    """Elevation on a grid, metres; NaN where the model has none.

    Parameters
    ----------
    path : str
        Single-band raster in metres, in any CRS.
    grid : Grid

    Raises
    ------
    InputError
        The file cannot be read, is no such raster, or does not reach the grid.
    """
    try:
        part = read_part(path, grid)
    except SceneRefusedError as error:
        raise InputError(f"clear.dem = {path}: {error}; name a raster in metres that covers the site") from error
    except RasterioError as error:
        raise InputError(f"clear.dem = {path}: cannot be read ({why(error)}); name a GeoTIFF or JPEG 2000") from error
    pixels = part.pixels.astype(np.float32)
    pixels[(pixels < _LOWEST_LAND_M) | ~np.isfinite(pixels)] = np.nan
    if part.nodata is not None:
        pixels[part.pixels == part.nodata] = np.nan
    return resample(pixels, part.transform, part.crs, grid, (0.0, 0.0), _smooth(part))


def _read_band(layers: Sequence[StoredBand], grid: Grid, calibration: Calibration, scratch: Scratch | None) -> Float32:
    """One band of all items of a scene, DN."""
    out: Float32 | None = None
    shift_m = (calibration.shift_x_m, calibration.shift_y_m)
    for part in _joined([part for layer in layers if (part := _stored_part(layer, grid, scratch)) is not None]):
        method: Method = "nearest" if layers[0].band == "scl" else _smooth(part)
        dn = resample(part.pixels, part.transform, part.crs, grid, shift_m, method)
        out = dn if out is None else np.where(np.isfinite(out), out, dn)
    return np.full(grid.shape, np.nan, dtype=np.float32) if out is None else out


def _stored_part(band: StoredBand, grid: Grid, scratch: Scratch | None) -> Part | None:
    """Read what one item shows, as float32 with NaN for no data; None where the item does not reach."""
    try:
        part = _decoded(band, grid, scratch)
    except SceneRefusedError:
        # It was whole when it was fetched and its bytes are the same: it lies beside this window of the site.
        return None
    except RasterioError as error:
        raise EvidenceError(f"{band.path}: cannot be read back ({why(error)}); run the site again") from error
    if part is None:
        return None
    nodata = next(value for value in (band.nodata, part.nodata, 0.0) if value is not None)
    return Part(_known(part.pixels, nodata), part.transform, part.crs, part.nodata)


def _decoded(band: StoredBand, grid: Grid, scratch: Scratch | None) -> Part | None:
    """Read a window from the run's decoded copy, which is made first; None where that does not reach."""
    if scratch is None:
        return read_part(band.path, grid)
    path = path_of(band, scratch)
    try:
        return cut(path, grid, MARGIN_M)
    except FileNotFoundError:
        keep(read_part(band.path, scratch.grid), path)
        return cut(path, grid, MARGIN_M)


def _known(pixels: NDArray[Any], nodata: float) -> Float32:
    """Pixels as float32, NaN where there is no data."""
    known: Float32 = np.empty(pixels.shape, dtype=np.float32)
    if pixels.dtype in (np.uint16, np.uint8):
        as_float(pixels, nodata, known)
        return known
    known[:] = pixels
    known[(pixels == nodata) | ~np.isfinite(known)] = np.nan
    return known


def _smooth(part: Part) -> Method:
    return resampled_by(part.transform, part.crs)


def resampled_by(transform: Affine, crs: CRS) -> Method:
    """Return how a raster's reflectance is brought onto the grid: by the size of its pixels."""
    unit_m = _METRES_PER_DEGREE if crs.is_geographic else 1.0
    return "bilinear" if abs(transform.e) * unit_m > _COARSE_M else "cubic"


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Parts on one lattice put together, the first valid pixel on top; parts on others as they are."""
    if len(parts) == 1:
        return list(parts)
    groups: list[list[Part]] = []
    for part in parts:
        fitting = next((group for group in groups if _place(part, group[0]) is not None), None)
        if fitting is None:
            groups.append([part])
        else:
            fitting.append(part)
    return [group[0] if len(group) == 1 else _pasted(group) for group in groups]


def _pasted(parts: Sequence[Part]) -> Part:
    corners = [corner for part in parts if (corner := _place(part, parts[0])) is not None]
    top, left = (min(corner[axis] for corner in corners) for axis in (0, 1))
    ends = [(r + p.pixels.shape[0], c + p.pixels.shape[1]) for (r, c), p in zip(corners, parts, strict=True)]
    height, width = max(end[0] for end in ends) - top, max(end[1] for end in ends) - left
    canvas = np.full((height, width), np.nan, dtype=np.float32)
    for (row, column), part in zip(corners, parts, strict=True):
        rows, columns = part.pixels.shape
        place = canvas[row - top : row - top + rows, column - left : column - left + columns]
        place[:] = np.where(np.isfinite(place), place, part.pixels)
    return replace(parts[0], pixels=canvas, transform=parts[0].transform @ Affine.translation(left, top))


def _place(part: Part, first: Part) -> tuple[int, int] | None:
    """Row and column of a part's corner in another's lattice; None when it is not on it."""
    if part.crs != first.crs:
        return None
    column, row = ~first.transform @ (part.transform.c, part.transform.f)
    steps = part.transform.a / first.transform.a - 1.0, part.transform.e / first.transform.e - 1.0
    off = abs(column - round(column)), abs(row - round(row)), *(abs(s) * max(part.pixels.shape) for s in steps)
    return (round(row), round(column)) if max(off) < _SAME_LATTICE_PX else None
