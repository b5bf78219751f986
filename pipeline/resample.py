"""Pixels of a raster onto a window of the site's grid, displaced by a shift. Pure arrays.

Inside one CRS the two lattices differ by an offset and a whole-number ratio only, so a separable kernel does
it: several times faster than a general warp for windows this small, and a lattice that already fits comes
back bit by bit. Between CRSs GDAL warps, to within a tenth of a pixel.
"""

import functools
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from pipeline.kernels import resample as kernels
from pipeline.types import PIXEL_M, Float32, Grid

Float64 = NDArray[np.float64]
Method = Literal["nearest", "bilinear", "cubic"]
_Taps = tuple[NDArray[np.int64], Float32]
"""Index of the pixel and its weight, each of shape (taps, cells of an axis)."""

_SAME_PLACE_PX = 1e-6
"""Positions closer than this to a pixel's centre are on it: rounding of metres in float64."""
_LEAST_WEIGHT = 0.2
"""Below what any cell can carry whose own pixel is known (a quarter); keeps the division of others finite."""


def resample(
    pixels: Float32, transform: Affine, crs: CRS, grid: Grid, shift_m: tuple[float, float], method: Method
) -> Float32:
    """Look up every cell of a grid in a raster whose content lies displaced by a shift.

    A cell is NaN where the pixel it falls into is NaN or outside the raster. Elsewhere bilinear leaves NaN
    pixels out and scales the other weights up; cubic gives way to bilinear where its kernel holds one. So no
    data is never taken for a value, reaches no farther than the kernel, and makes nothing overshoot.

    Parameters
    ----------
    pixels : Float32
        Shape (rows, columns); NaN is no data.
    transform : Affine
        North-up, of ``pixels``.
    crs : CRS
    grid : Grid
    shift_m : (float, float)
        How far east and north the content lies from where it belongs.
    method : {"nearest", "bilinear", "cubic"}
        Cubic is the convolution of Keys (1981) with a = -0.5.

    Returns
    -------
    Float32
        Shape ``grid.shape``.
    """
    if in_system(crs, grid.epsg):
        left_m, top_m = grid.left_m + shift_m[0], grid.top_m + shift_m[1]
        rows = _places(grid.height, (top_m - transform.f) / transform.e, -PIXEL_M / transform.e)
        columns = _places(grid.width, (left_m - transform.c) / transform.a, PIXEL_M / transform.a)
        return _look_up(pixels, rows, columns, method)
    there = Affine.translation(*shift_m) @ grid.transform
    out = np.full(grid.shape, np.nan, dtype=np.float32)
    reproject(
        pixels, out, src_transform=transform, src_crs=crs, dst_transform=there, dst_crs=f"EPSG:{grid.epsg}",
        src_nodata=np.nan, dst_nodata=np.nan, resampling=Resampling[method],
    )  # fmt: skip
    return out


@functools.lru_cache(maxsize=64)
def in_system(crs: CRS, epsg: int) -> bool:
    """Whether a coordinate system is the one of this number; asked for every band of every window."""
    return bool(crs == CRS.from_epsg(epsg))


# Windows of one raster, and bands of one lattice, ask for the same places: these and their taps are made once.


@functools.lru_cache(maxsize=256)
def _places(cells: int, start: float, step: float) -> bytes:
    """Centres of a grid's cells on one axis, in pixels of the raster (float64); whole numbers are pixel centres."""
    place = start + (np.arange(cells) + 0.5) * step - 0.5
    whole = np.rint(place)
    return np.where(np.abs(place - whole) < _SAME_PLACE_PX, whole, place).tobytes()


def _look_up(pixels: Float32, rows: bytes, columns: bytes, method: Method) -> Float32:
    """Values at places of a raster, one for each of rows and columns."""
    axes = (rows, pixels.shape[0]), (columns, pixels.shape[1])
    covered = [_covered(*axis) for axis in axes]
    out = np.empty([cells for cells, _, _ in covered], dtype=np.float32)
    if any(inside != slice(0, cells) for cells, inside, _ in covered):
        (_, here, row), (_, there, column) = covered
        out[:] = np.nan
        if row and column:
            out[here, there] = _look_up(pixels, row, column, method)
        return out
    # A lattice that fits is copied.
    down, right = _unbroken(rows), _unbroken(columns)
    if down is not None and right is not None:
        out[:] = pixels[down, right]
        return out
    nearest = _nearest(rows), _nearest(columns)
    if method == "nearest":
        kernels.look_up_nearest(pixels, *nearest, out)
        return out
    taps = _cubic if method == "cubic" else _linear
    if kernels.weigh(pixels, *taps(*axes[0], np.nan), *taps(*axes[1], np.nan), out):
        kernels.fill_linear(pixels, *_linear(*axes[0], 0.0), *_linear(*axes[1], 0.0), out, _LEAST_WEIGHT)
        kernels.hide_unknown(pixels, *nearest, out)
    return out


@functools.lru_cache(maxsize=256)
def _covered(places: bytes, length: int) -> tuple[int, slice, bytes]:
    """How many cells an axis has, which of them fall into the raster, and the places of those."""
    index = _nearest(places)
    first, last = (int(place) for place in np.searchsorted(index, [0, length]))
    return index.size, slice(first, last), places[8 * first : 8 * last]


@functools.lru_cache(maxsize=256)
def _unbroken(places: bytes) -> slice | None:
    """Pixels of an axis, where its places are those of one after the other; else None."""
    index = _nearest(places)
    fits = np.array_equal(np.frombuffer(places), np.arange(index[0], index[0] + index.size))
    return slice(int(index[0]), int(index[-1]) + 1) if fits else None


@functools.lru_cache(maxsize=256)
def _nearest(places: bytes) -> NDArray[np.int64]:
    return np.floor(np.frombuffer(places) + 0.5).astype(np.int64)


@functools.lru_cache(maxsize=256)
def _linear(places: bytes, length: int, outside: float) -> _Taps:
    place = np.frombuffer(places)
    base = np.floor(place)
    part = place - base
    return _taps(base.astype(np.int64), {0: 1.0 - part, 1: part}, length, outside)


@functools.lru_cache(maxsize=256)
def _cubic(places: bytes, length: int, outside: float) -> _Taps:
    place = np.frombuffer(places)
    base = np.floor(place)
    part = place - base
    weights = {-1: _far(1.0 + part), 0: _near(part), 1: _near(1.0 - part), 2: _far(2.0 - part)}
    return _taps(base.astype(np.int64), weights, length, outside)


def _near(distance: Float64) -> Float64:
    return (1.5 * distance - 2.5) * distance**2 + 1.0


def _far(distance: Float64) -> Float64:
    return ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0


def _taps(base: NDArray[np.int64], weights: dict[int, Float64], length: int, outside: float) -> _Taps:
    """Index and weight of every tap that weighs anything; ``outside`` weighs the pixels that do not exist."""
    found = []
    for step, weight in weights.items():
        index = base + step
        lacking = ((index < 0) | (index >= length)) & (weight != 0.0)
        if weight.any():
            found.append((np.clip(index, 0, length - 1), np.where(lacking, outside, weight).astype(np.float32)))
    indices, weighing = zip(*found, strict=True)
    return np.stack(indices), np.stack(weighing)
