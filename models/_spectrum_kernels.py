"""Share of an outlined object in every pixel, and the sums its level follows from, compiled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled
from models._indices import Bool, Float32

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

FINE = 4
"""Points per pixel and axis on which the outline is drawn."""
SHARP_PX, COARSE_PX = 0.51, 1.25
"""Point spread on 10 m pixels; of the 20 m bands 9.8 m with the bilinear step onto 10 m pixels (science 1.7)."""
LEAST_SHARE = 0.25
RING_PX = (2.5, 6.0)
MIN_RING = 12
_LOOK_PX = 6
_FAR = (_LOOK_PX + 1) ** 2
_MOSTLY = 0.5


def _smear(sigma_px: float) -> Float64:
    """Weights of fine points in the light of one pixel: a Gaussian and the pixel's own extent."""
    # Averaging the points of a pixel smears as well: a twelfth of a pixel squared.
    sigma = np.sqrt(sigma_px**2 - 1 / 12) * FINE
    radius = int(4.0 * sigma + 0.5)
    weights = np.exp(-0.5 / sigma**2 * np.arange(-radius, radius + 1) ** 2)
    return np.asarray(np.convolve(weights / weights.sum(), np.full(FINE, 1 / FINE)))


_SHARP, _COARSE = _smear(SHARP_PX), _smear(COARSE_PX)


@compiled
def _drawn(points: Float64, ends: Int64, rows: int, columns: int) -> Float64:
    """Fine points inside rings as 1, by the parity of the sides to their left; shape (rows, columns)."""
    sides = np.zeros((rows, columns + 1), np.bool_)
    first = 0
    for last in ends:
        for place in range(first, last - 1):
            x, y = points[place, 0] * FINE - 0.5, points[place, 1] * FINE - 0.5
            to_x, to_y = points[place + 1, 0] * FINE - 0.5, points[place + 1, 1] * FINE - 0.5
            for row in range(max(int(np.ceil(min(y, to_y))), 0), min(int(np.ceil(max(y, to_y))), rows)):
                at = x + (row - y) * (to_x - x) / (to_y - y)
                column = min(max(int(np.floor(at)) + 1, 0), columns)
                sides[row, column] = not sides[row, column]
        first = last
    out = np.empty((rows, columns))
    for row in range(rows):
        inside = False
        for column in range(columns):
            inside = inside != sides[row, column]
            out[row, column] = 1.0 if inside else 0.0
    return out


@compiled
def _shares(fine: Float64, weights: Float64) -> Float64:
    """Share of each pixel's light that comes from a shape on fine points; beyond the edge it goes on as there."""
    tall, wide = fine.shape
    rows, columns, margin = tall // FINE, wide // FINE, (weights.size - FINE) // 2
    out, down = np.zeros((rows, columns)), np.empty(wide)
    for row in range(rows):
        some = False
        for column in range(wide):
            down[column] = 0.0
        for place in range(weights.size):
            at = min(max(row * FINE - margin + place, 0), tall - 1)
            for column in range(wide):
                down[column] += fine[at, column] * weights[place]
        for column in range(wide):
            some = some or down[column] > 0.0
        for column in range(columns if some else 0):
            for place in range(weights.size):
                out[row, column] += down[min(max(column * FINE - margin + place, 0), wide - 1)] * weights[place]
    return out


@compiled
def _background(fine: Float64, usable: Bool) -> tuple[Bool, int]:
    """Usable pixels round a shape at the distance of its background, and their number; none of a shape too small."""
    rows, columns = usable.shape
    down, ring = np.empty((rows, columns), np.int64), np.zeros((rows, columns), np.bool_)
    mostly, count = False, 0
    for row in range(rows):
        for column in range(columns):
            inside = 0.0
            for place in range(FINE * FINE):
                inside += fine[row * FINE + place // FINE, column * FINE + place % FINE]
            mostly = mostly or inside > _MOSTLY * FINE * FINE
            before = down[row - 1, column] if row > 0 else _LOOK_PX
            down[row, column] = 0 if inside > 0 else min(before + 1, _LOOK_PX + 1)
    for row in range(rows - 2, -1, -1):
        for column in range(columns):
            down[row, column] = min(down[row, column], down[row + 1, column] + 1)
    for row in range(rows if mostly else 0):
        for column in range(columns):
            least = _FAR
            for other in range(max(column - _LOOK_PX, 0), min(column + _LOOK_PX + 1, columns)):
                least = min(least, down[row, other] * down[row, other] + (other - column) * (other - column))
            ring[row, column] = usable[row, column] and RING_PX[0] ** 2 <= least <= RING_PX[1] ** 2
            count += ring[row, column]
    return ring, count


@compiled
def _median(values: Float32) -> Any:
    """Median in single precision; rearranges the values (Hoare)."""
    half = values.size // 2
    first, last = 0, values.size - 1
    while first < last:
        pivot = values[(first + last) // 2]
        low, high = first, last
        while low <= high:
            while values[low] < pivot:
                low += 1
            while values[high] > pivot:
                high -= 1
            if low <= high:
                values[low], values[high] = values[high], values[low]
                low += 1
                high -= 1
        if high < half < low:
            break
        if half <= high:
            last = high
        else:
            first = low
    lower = values[half]
    if values.size % 2 == 0:
        lower = values[0]
        for place in range(1, half):
            lower = max(lower, values[place])
    return (lower + values[half]) / np.float32(2)


@compiled
def _fit(pixels: Float32, usable: Bool, ring: Bool, share: Float64, out: Float64) -> bool:
    """Write level, weight, share-weighted mixing and spread of one band; False when its pixels do not tell."""
    beside, count = np.empty(ring.size, np.float32), 0
    for row in range(ring.shape[0]):
        for column in range(ring.shape[1]):
            if ring[row, column] and np.isfinite(pixels[row, column]):
                beside[count] = pixels[row, column]
                count += 1
    if count == 0:
        return False
    background = _median(beside[:count])
    for place in range(count):
        beside[place] = abs(beside[place] - background)
    weight, total, mixed = 0.0, 0.0, 0.0
    for row in range(ring.shape[0]):
        for column in range(ring.shape[1]):
            f = share[row, column]
            if f > LEAST_SHARE and usable[row, column] and np.isfinite(pixels[row, column]):
                weight += f * f
                total += f * (pixels[row, column] - (1 - f) * background)
                mixed += f * (1 - f)
    out[0], out[1], out[2], out[3] = total / weight, weight, mixed / weight, _median(beside[:count])
    return weight > 0


@compiled
def fitted(pixels: Float32, coarse: Bool, usable: Bool, points: Float64, ends: Int64) -> tuple[bool, Float64]:
    """Level of an outlined object in every band by least squares, its share of each pixel being known.

    Parameters
    ----------
    pixels : Float32
        Shape (bands, rows, columns): reflectance; NaN is no data.
    coarse : Bool
        Shape (bands): whether a band's pixels are 20 m wide.
    usable : Bool
        Shape (rows, columns): seen, and nothing else dark.
    points : Float64
        Shape (points, 2): rings of the outline in (column, row), one after the other, each closed.
    ends : Int64
        Shape (rings): place after a ring's last point.

    Returns
    -------
    found : bool
        False when no pixel is mostly the object, when there is too little ground beside it, or when a band
        does not show it.
    fits : Float64
        Shape (bands, 4): level of the object; sum of the squares of its shares; by how much an error of the
        background moves the level; spread of the background (1/1.4826 of it).
    """
    bands, rows, columns = pixels.shape
    fits = np.zeros((bands, 4))
    fine = _drawn(points, ends, rows * FINE, columns * FINE)
    ring, count = _background(fine, usable)
    if count < MIN_RING:
        return False, fits
    sharp, wide = _shares(fine, _SHARP), _shares(fine, _COARSE)
    for band in range(bands):
        if not _fit(pixels[band], usable, ring, wide if coarse[band] else sharp, fits[band]):
            return False, fits
    return True, fits
