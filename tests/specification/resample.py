"""Look-up of a raster's pixels at places of another lattice, in plain numpy."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Method = Literal["nearest", "bilinear", "cubic"]
_Tap = tuple[NDArray[np.intp], Float32]

_LEAST_WEIGHT = 0.2


def look_up(pixels: Float32, rows: Float64, columns: Float64, method: Method) -> Float32:
    """Values at places of a raster, shape (rows, columns)."""
    nearest, outside = zip(*(_nearest(p, n) for p, n in zip((rows, columns), pixels.shape, strict=True)), strict=True)
    here: Float32 = pixels[nearest[0]][:, nearest[1]]
    here[outside[0]] = np.nan
    here[:, outside[1]] = np.nan
    if method == "nearest":
        return here
    taps = _cubic if method == "cubic" else _linear
    value = _weigh(pixels, *(taps(p, n, np.nan) for p, n in zip((rows, columns), pixels.shape, strict=True)))
    linear = [_linear(p, n, 0.0) for p, n in zip((rows, columns), pixels.shape, strict=True)]
    known = np.isfinite(pixels)
    total = _weigh(np.where(known, pixels, np.float32(0.0)), *linear)
    weight = np.maximum(_weigh(known.astype(np.float32), *linear), np.float32(_LEAST_WEIGHT))
    value = np.where(np.isnan(value), total / weight, value)
    return np.where(np.isnan(here), np.float32(np.nan), value).astype(np.float32, copy=False)


def _nearest(place: Float64, length: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    index = np.floor(place + 0.5).astype(np.intp)
    return np.clip(index, 0, length - 1), (index < 0) | (index >= length)


def _linear(place: Float64, length: int, outside: float) -> list[_Tap]:
    base = np.floor(place)
    part = place - base
    return _taps(base.astype(np.intp), {0: 1.0 - part, 1: part}, length, outside)


def _cubic(place: Float64, length: int, outside: float) -> list[_Tap]:
    base = np.floor(place)
    part = place - base
    weights = {-1: _far(1.0 + part), 0: _near(part), 1: _near(1.0 - part), 2: _far(2.0 - part)}
    return _taps(base.astype(np.intp), weights, length, outside)


def _near(distance: Float64) -> Float64:
    return (1.5 * distance - 2.5) * distance**2 + 1.0


def _far(distance: Float64) -> Float64:
    return ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0


def _taps(base: NDArray[np.intp], weights: dict[int, Float64], length: int, outside: float) -> list[_Tap]:
    """Index and weight of every tap that weighs anything; ``outside`` weighs the pixels that do not exist."""
    found = []
    for step, weight in weights.items():
        index = base + step
        lacking = ((index < 0) | (index >= length)) & (weight != 0.0)
        if weight.any():
            found.append((np.clip(index, 0, length - 1), np.where(lacking, outside, weight).astype(np.float32)))
    return found


def _weigh(pixels: Float32, rows: list[_Tap], columns: list[_Tap]) -> Float32:
    """Weighted sum over the taps of both axes."""
    first = np.zeros((rows[0][0].size, pixels.shape[1]), dtype=np.float32)
    for index, weight in rows:
        first += weight[:, None] * pixels[index]
    out = np.zeros((first.shape[0], columns[0][0].size), dtype=np.float32)
    for index, weight in columns:
        out += weight * np.take(first, index, axis=1)
    return out
