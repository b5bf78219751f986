"""Levels of a pile and of the ground round it, and the fraction of pile in each pixel, compiled."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled
from models._indices import Bool

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]

PSF_SIGMA_PX = 0.51
"""Point spread of the 10 m bands, pixel included, in pixels (science 1.7)."""
RING_PX = (2.0, 4.5)
"""Distance from the outline's pixels of the ground it is compared with: near, since a yard ends soon."""
SMOOTH_PX = 1.5
"""Scale over which the background may differ round the pile."""
MIN_RING = 12
NOISE = 0.004
"""Least spread of a background: the noise of one pixel (science 1.4)."""
NEAR_RING = 1e-3
"""Where the ring's smoothed weight is less, no ring pixel is near."""
_FINE = 3
"""Points per pixel and axis on which shapes are drawn."""
_LOOK_PX = 4
"""Distances are asked for up to here: the ring's."""
_FAR = (_LOOK_PX + 1) ** 2
SEEN, OWN, FREE, CORE, _RING = 1, 2, 4, 8, 16
"""Bits of what a pixel is: usable; where the outline may lie; free of the pile and of others; inside the pile."""


def _gaussian(sigma_px: float, radius_px: int) -> Float64:
    weights = np.exp(-0.5 / sigma_px**2 * np.arange(-radius_px, radius_px + 1) ** 2)
    return np.asarray(weights / weights.sum())


_BLUR = _gaussian(PSF_SIGMA_PX * _FINE, 6)
_SMOOTH = _gaussian(SMOOTH_PX, 8)


@compiled
def _squared_distance(mask: Bool) -> Int64:
    """Squared distance of every pixel to the nearest marked one; _FAR beyond _LOOK_PX."""
    rows, columns = mask.shape
    down, out = np.empty((rows, columns), np.int64), np.empty((rows, columns), np.int64)
    for row in range(rows):
        for column in range(columns):
            before = down[row - 1, column] if row > 0 else _LOOK_PX
            down[row, column] = 0 if mask[row, column] else min(before + 1, _LOOK_PX + 1)
    for row in range(rows - 2, -1, -1):
        for column in range(columns):
            down[row, column] = min(down[row, column], down[row + 1, column] + 1)
    for row in range(rows):
        for column in range(columns):
            least = _FAR
            for other in range(max(column - _LOOK_PX, 0), min(column + _LOOK_PX + 1, columns)):
                least = min(least, down[row, other] * down[row, other] + (other - column) * (other - column))
            out[row, column] = least
    return out


@compiled
def _middle(values: Float64) -> tuple[float, float]:
    """Return the two middle ones of some values, twice the same of an odd number; rearranges them (Hoare)."""
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
    return lower, values[half]


@compiled
def _mirrored(size: int, margin: int) -> Int64:
    """Places of a row with a margin on either side, as places inside: after the last one it goes back."""
    out = np.empty(size + 2 * margin, np.int64)
    for place in range(out.size):
        at = (place - margin) % (2 * size)
        out[place] = min(at, 2 * size - 1 - at)
    return out


@compiled
def _blurred(values: Float64, weights: Float64, size: int) -> Float64:
    """Smooth by a symmetric filter along the first axis, mirrored at its ends, which the result has as its second.

    The result has ``size`` places along it: of so many in a row the middle one.
    """
    step, columns, radius = values.shape[0] // size, values.shape[1], weights.size // 2
    out, line, places = np.empty((columns, size)), np.empty(columns), _mirrored(values.shape[0], radius)
    for row in range(size):
        centre = row * step + step // 2 + radius
        here = places[centre]
        for column in range(columns):
            line[column] = values[here, column] * weights[radius]
        for away in range(radius, 0, -1):
            above, below, weight = places[centre - away], places[centre + away], weights[radius - away]
            for column in range(columns):
                line[column] += (values[above, column] + values[below, column]) * weight
        for column in range(columns):
            out[column, row] = line[column]
    return out


@compiled
def _mark_ring(role: UInt8, share: Float64, level: float, ring: Float64) -> int:
    """Mark the free ground at the distance of the background from a pile, also by 1.0; return how many pixels it is."""
    pile, count = np.empty(role.shape, np.bool_), 0
    for row in range(role.shape[0]):
        for column in range(role.shape[1]):
            share[row, column] = min(share[row, column], 1 - 1e-9)
            pile[row, column] = share[row, column] >= level
    distance = _squared_distance(pile)
    for row in range(role.shape[0]):
        for column in range(role.shape[1]):
            at = RING_PX[0] ** 2 <= distance[row, column] <= RING_PX[1] ** 2 and role[row, column] & FREE
            role[row, column] = role[row, column] & (_RING - 1) | (_RING if at else 0)
            ring[row, column] = 1.0 if at else 0.0
            count += 1 if at else 0
    return count


@compiled
def _ground(values: Float64, share: Float64, weight: Float64, role: UInt8, levels: Float64, ground: Float64) -> None:
    """Find the level of a band's ground near each pixel; its median and spread about it go into ``levels``."""
    rows, columns = values.shape
    bare, of_ring = np.zeros((rows, columns)), np.empty(rows * columns)
    count = 0
    for row in range(rows):
        for column in range(columns):
            if role[row, column] & _RING:
                bare[row, column] = (values[row, column] - share[row, column] * levels[0]) / (1 - share[row, column])
                of_ring[count] = bare[row, column]
                count += 1
    low, high = _middle(of_ring[:count])
    levels[1] = (low + high) / 2
    total = _blurred(_blurred(bare, _SMOOTH, rows), _SMOOTH, columns)
    count = 0
    for row in range(rows):
        for column in range(columns):
            # Where no ring pixel is near, the ring's median is the best guess.
            near = weight[row, column] > NEAR_RING
            ground[row, column] = total[row, column] / weight[row, column] if near else levels[1]
            if role[row, column] & _RING:
                of_ring[count] = abs(bare[row, column] - ground[row, column])
                count += 1
    low, high = _middle(of_ring[:count])
    levels[2] = max(1.4826 * ((low + high) / 2), NOISE)


@compiled
def _pile(values: Float64, share: Float64, ground: Float64, role: UInt8, level: float) -> tuple[float, float]:
    """Middle levels of the pile in pixels that see it to a share of ``level`` at least: ``(x - (1 - s) b) / s``."""
    of_core, count = np.empty(role.size), 0
    for row in range(role.shape[0]):
        for column in range(role.shape[1]):
            if role[row, column] & CORE:
                part = max(share[row, column], level)
                of_core[count] = (values[row, column] - (1 - part) * ground[row, column]) / part
                count += 1
    return _middle(of_core[:count])


@compiled
def _fraction(values: Float64, grounds: Float64, levels: Float64) -> Float64:
    """Fraction of pile in each pixel; NaN where a band is.

    ``f = sum w (b - x) / sum w (b - c)`` with ``w = (b - c) / sigma^2`` (science 1.5); ``b`` is the background near
    each pixel, ``c`` the level of the pile, ``sigma`` the background's spread. A band in which the ground is no
    brighter than the pile says nothing.
    """
    bands, rows, columns = values.shape
    out = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            top, bottom = 0.0, 0.0
            for band in range(bands):
                gap = grounds[band, row, column] - levels[band, 0]
                weight = max(gap, 0.0) / levels[band, 2] ** 2
                top += weight * (grounds[band, row, column] - values[band, row, column])
                bottom += weight * gap
            if bottom > 0:
                out[row, column] = top / bottom
    return out


@compiled
def _unmixed(values: Float64, shape: Bool, role: UInt8, levels: Float64, level: float, out: Float64) -> bool:
    """Do on one date what :func:`unmixed` does on all; False where there is not enough ground beside the pile."""
    fraction, held = out[0], out[1]
    bands, rows, columns = values.shape
    ring = np.empty((rows, columns))
    drawn, grounds = np.empty(shape.shape), np.empty((bands, rows, columns))
    for row in range(shape.shape[0]):
        for column in range(shape.shape[1]):
            drawn[row, column] = 1.0 if shape[row, column] else 0.0
    share = _blurred(_blurred(drawn, _BLUR, rows), _BLUR, columns)
    if _mark_ring(role, share, level, ring) < MIN_RING:
        return False
    weight = _blurred(_blurred(ring, _SMOOTH, rows), _SMOOTH, columns)
    for band in range(bands):
        _ground(values[band], share, weight, role, levels[band], grounds[band])
        low, high = _pile(values[band], share, grounds[band], role, level)
        levels[band, 0] = (low + high) / 2
    fraction[:] = _fraction(values, grounds, levels)
    for row in range(rows):
        for column in range(columns):
            # Beyond its own ground bright ground may still say that it is bright; what is not seen says nothing.
            beyond = min(fraction[row, column], 0.0) if role[row, column] & SEEN else 0.0
            held[row, column] = fraction[row, column] if role[row, column] & OWN else beyond
    return True


@compiled
def unmixed(
    values: Float64, shape: Bool, role: UInt8, levels: Float64, level: float, enough: Bool
) -> tuple[Float64, Float64]:
    """Fraction of pile in each pixel on some dates by two-endmember unmixing, given the outlines so far.

    Parameters
    ----------
    values : Float64
        Shape (dates, bands, rows, columns).
    shape : Bool
        Shape (dates, 3 x rows, 3 x columns): the pile so far on fine points.
    role : UInt8
        Shape (dates, rows, columns): bits of what each pixel is; the ring is marked in it anew.
    levels : Float64
        Shape (dates, bands, 3): level of the pile; median level of the ground, and its spread about the level near by.
        Found anew.
    level : float
        Fraction at which the contour is drawn.
    enough : Bool
        Shape (dates): dates that are False are left out; set to False where there is too little ground beside the pile.

    Returns
    -------
    fraction : Float64
        Shape (dates, rows, columns); NaN where a band is, 0 on dates left out.
    held : Float64
        The same, on the pile's own ground; beyond it no pile.
    """
    dates, _, rows, columns = values.shape
    out = np.zeros((2, dates, rows, columns))
    for date in range(dates):
        if enough[date]:
            enough[date] = _unmixed(values[date], shape[date], role[date], levels[date], level, out[:, date])
    return out[0], out[1]
