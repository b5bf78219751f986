"""Loops over pixels of :mod:`pipeline.align`. An image is float32 of shape (rows, columns), like every number here.

``on`` is 1 where a pixel is usable and 0 elsewhere. Sums are kept by column: whatever the width of the processor's
registers, they come out the same.
"""

import numpy as np

from models._compiled import compiled
from pipeline.types import Float32

_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_FLAT = np.float32(1e-12)
"""What is less is nothing but rounding; keeps divisions finite."""
_OUT_OF_RANK = np.float32(1e30)
"""Added to what is not usable: more than any value that is ranked."""
_COARSE_BITS = np.uint32(14)
"""Bits of a float32 that are let go when values are counted: bins are 1/512 of their value wide."""
_BINS = 1 << 17
"""As many as positive float32 have without those bits."""


@compiled
def weigh_around(padded: Float32, down: Float32, across: Float32, out: Float32) -> None:
    """Correlate an image with a separable kernel; into ``out``.

    Parameters
    ----------
    padded : Float32
        Larger than ``out`` by the taps of each axis but one.
    down, across : Float32
        Taps along rows and along columns; those that are 0 cost nothing.
    out : Float32
    """
    rows, columns = out.shape
    line = np.empty(padded.shape[1], np.float32)
    for row in range(rows):
        line[:] = _ZERO
        for tap in range(down.size):
            if down[tap] != 0:
                for column in range(line.size):
                    line[column] += down[tap] * padded[row + tap, column]
        out[row] = _ZERO
        for tap in range(across.size):
            if across[tap] != 0:
                for column in range(columns):
                    out[row, column] += across[tap] * line[column + tap]


@compiled
def _mirrored(place: int, length: int) -> int:
    """Place of an axis that one before its first or after its last mirrors."""
    inside = place % (2 * length)
    return int(min(inside, 2 * length - 1 - inside))


@compiled
def sum_around(image: Float32, on: Float32, size: int, out: Float32) -> None:
    """Sum of the usable pixels in the square around every pixel; beyond the edges the image is mirrored.

    Parameters
    ----------
    image : Float32
        NaN counts as 0.
    on : Float32
    size : int
        Edge of the square, odd.
    out : Float32
        Result.
    """
    rows, columns = image.shape
    reach, wide = size // 2, columns + size - 1
    down, sums = np.zeros(columns, np.float64), np.empty((2, wide), np.float32)
    # Views: an index that might be below 0 would keep the loops from being done many columns at a time.
    for row in range(rows + size - 1):
        of, use = image[_mirrored(row - reach, rows)], on[_mirrored(row - reach, rows)]
        for column in range(columns):
            value = of[column] * use[column]
            down[column] += value if np.isfinite(value) else _ZERO
        if row >= size:
            of, use = image[_mirrored(row - size - reach, rows)], on[_mirrored(row - size - reach, rows)]
            for column in range(columns):
                value = of[column] * use[column]
                down[column] -= value if np.isfinite(value) else _ZERO
        if row < size - 1:
            continue
        middle = sums[0, reach:]
        for column in range(columns):
            middle[column] = down[column]
        for column in range(reach):
            sums[0, column] = down[_mirrored(column - reach, columns)]
            sums[0, wide - 1 - column] = down[_mirrored(columns + reach - 1 - column, columns)]
        # Sums of 1, 2, 4, 8 ... in a row; those whose lengths make up the square's are laid end to end.
        to, first, doubled = out[row - size + 1], 0, 0
        to[:] = _ZERO
        while 1 << doubled <= size:
            length, line, longer = 1 << doubled, sums[doubled % 2], sums[1 - doubled % 2]
            if size & length:
                part = line[first:]
                for column in range(columns):
                    to[column] += part[column]
                first += length
            beside = line[length:]
            for column in range(wide - length):
                longer[column] = line[column] + beside[column]
            doubled += 1


@compiled
def level(edges: Float32, mean: Float32, faint: float, out: Float32) -> None:
    """Write edges as a share of the mean of those around them and ``faint`` into ``out``; NaN as 0."""
    rows, columns = edges.shape
    least = np.float32(faint)
    for row in range(rows):
        for column in range(columns):
            share = edges[row, column] / max(mean[row, column] + least, _FLAT)
            out[row, column] = share if np.isfinite(edges[row, column]) else _ZERO


@compiled
def correlate(fixed: Float32, moving: Float32, on: Float32, steps: tuple[int, int], sums: Float32) -> None:
    """Add up what the correlation of two images needs, for every displacement by whole pixels.

    Parameters
    ----------
    fixed, moving, on : Float32
        ``on`` is 0 within the reach of the edge, and ``fixed`` where ``on`` is.
    steps : (int, int)
        Reach: pixels in each direction; and how many rows on the next one is that is looked at.
    sums : Float32
        Shape (3, 2 reach + 1, 2 reach + 1, columns), 0 before: sums of ``moving`` as displaced by (rows, columns), of
        its square, and of its product with ``fixed``.
    """
    rows, columns = fixed.shape
    reach, step = steps
    for row in range(reach, rows - reach, step):
        still, seen = fixed[row, reach:], on[row, reach:]
        for down in range(2 * reach + 1):
            for right in range(2 * reach + 1):
                # Views: an index that might be below 0 would keep the loop from being done many columns at a time.
                moved = moving[row + down - reach, right:]
                first, second, product = sums[0, down, right], sums[1, down, right], sums[2, down, right]
                for column in range(columns - 2 * reach):
                    first[column] += seen[column] * moved[column]
                    second[column] += seen[column] * moved[column] * moved[column]
                    product[column] += still[column] * moved[column]


@compiled
def ranked(here: Float32, there: Float32, on: Float32, fit: Float32, step: int, rank: float) -> float:
    """Value of a rank among what a fit leaves of the usable pixels, without its sign.

    Parameters
    ----------
    here, there, on : Float32
    fit : Float32
        Gain and offset of ``here`` on ``there``; with (0, 0) the values of ``here`` themselves are ranked.
    step : int
        How many rows on the next one is that is looked at.
    rank : float
        From 0 for the least of these rows, between two ranks interpolated.

    Returns
    -------
    float
        To 1/512 of itself at worst: linear inside a bin.
    """
    rows, columns = here.shape
    gain, offset = fit[0], fit[1]
    counts = np.zeros(_BINS, np.int32)
    left = np.empty(max(columns, 2), np.float32)
    bits = left.view(np.uint32)
    for row in range(0, rows, step):
        for column in range(columns):
            off = abs(here[row, column] - offset - gain * there[row, column])
            left[column] = off + (_ONE - on[row, column]) * _OUT_OF_RANK
        for column in range(columns):
            counts[bits[column] >> _COARSE_BITS] += 1
    place, below = 0, 0
    while place < _BINS - 1 and below + counts[place] <= rank:
        below += counts[place]
        place += 1
    for side in range(2):
        bits[side] = np.uint32(place + side) << _COARSE_BITS
    return float(left[0] + (left[1] - left[0]) * (rank - below + 0.5) / max(counts[place], 1))


@compiled
def add_moments(here: Float32, there: Float32, on: Float32, fit: Float32, sums: Float32) -> None:
    """Add up the weighted moments of two images, with weights from what a fit leaves.

    Parameters
    ----------
    here, there, on : Float32
    fit : Float32
        Gain, offset, and the steepness of Cauchy's function: 0 weighs all usable pixels alike.
    sums : Float32
        Shape (5, columns), 0 before: of the weights w, and of w there, w here, w there there, w there here.
    """
    rows, columns = here.shape
    gain, offset, steep = fit[0], fit[1], fit[2]
    for row in range(rows):
        for column in range(columns):
            to, of = here[row, column], there[row, column]
            off = (to - offset - gain * of) * steep
            weight = on[row, column] / (_ONE + off * off)
            sums[0, column] += weight
            sums[1, column] += weight * of
            sums[2, column] += weight * to
            sums[3, column] += weight * of * of
            sums[4, column] += weight * of * to


@compiled
def add_slopes(here: Float32, there: Float32, on: Float32, fit: Float32, part_px: int, sums: Float32) -> None:
    """Add up the products of slopes, and of slopes with what a fit leaves, for parts of the picture.

    Parameters
    ----------
    here, there, on : Float32
        ``on`` is 0 in the first and last row and column.
    fit : Float32
        As for :func:`add_moments`.
    part_px : int
        Rows of a part.
    sums : Float32
        Shape (5, row parts, columns), 0 before. Weighted sums of the products of both images' slopes (rows with rows,
        rows with columns, columns with columns), and of the residual with their mean slope (along rows, along columns).
    """
    rows, columns = here.shape
    gain, offset, steep = fit[0], fit[1], fit[2]
    for row in range(1, rows - 1):
        part = row // part_px
        for column in range(1, columns - 1):
            off = here[row, column] - offset - gain * there[row, column]
            weight = on[row, column] / (_ONE + off * steep * (off * steep))
            here_down = _HALF * (here[row + 1, column] - here[row - 1, column])
            here_right = _HALF * (here[row, column + 1] - here[row, column - 1])
            there_down = _HALF * (there[row + 1, column] - there[row - 1, column])
            there_right = _HALF * (there[row, column + 1] - there[row, column - 1])
            sums[0, part, column] += weight * here_down * there_down
            sums[1, part, column] += weight * _HALF * (here_down * there_right + here_right * there_down)
            sums[2, part, column] += weight * here_right * there_right
            sums[3, part, column] += weight * off * _HALF * (here_down + gain * there_down)
            sums[4, part, column] += weight * off * _HALF * (here_right + gain * there_right)
