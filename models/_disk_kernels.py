"""What lies within a distance of a mask: dilation by a disk of any radius, exact, without a distance in every pixel."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]
Counts = NDArray[np.uint8] | NDArray[np.uint16]


def within_steps(mask: NDArray[np.bool_] | NDArray[np.uint8], steps: int) -> Bool:
    """Pixels that so many steps along rows and columns lead to from a True pixel.

    The same as ``binary_dilation(mask, iterations=steps)`` of scipy.ndimage.

    Parameters
    ----------
    mask : NDArray[np.bool_] or NDArray[np.uint8]
        Shape (rows, columns); True (not 0) is what is grown.
    steps : int
        At least 0.

    Returns
    -------
    Bool
        A new array of the same shape; all False where the mask is.
    """
    return _grown(mask, np.arange(steps, -1, -1))


def within(mask: NDArray[np.bool_] | NDArray[np.uint8], radius_px: float) -> Bool:
    """Pixels whose centre lies within a radius of the centre of any True pixel.

    The same as ``distance_transform_edt(~mask) <= radius_px`` of scipy.ndimage, in time that does not grow with the
    radius.

    Parameters
    ----------
    mask : NDArray[np.bool_] or NDArray[np.uint8]
        Shape (rows, columns); True (not 0) is what is grown.
    radius_px : float
        Pixels; a pixel that far is within, below 0 or NaN none is.

    Returns
    -------
    Bool
        A new array of the same shape; all False where the mask is.
    """
    # Beyond the diagonal a radius means nothing more, and may be infinite.
    square = _largest_square(min(radius_px, float(np.hypot(*mask.shape))))
    rows_off = np.arange(int(np.sqrt(square)) + 1 if square >= 0 else 0)
    return _grown(mask, np.sqrt(square - rows_off**2).astype(np.int64))


def _grown(mask: NDArray[np.bool_] | NDArray[np.uint8], half_chords: NDArray[np.int64]) -> Bool:
    """Grow a mask by a shape that has so many columns to either side, 0, 1, 2, ... rows away from its centre."""
    grown = np.zeros(mask.shape, dtype=np.bool_)
    if half_chords.size and mask.any():
        # A byte a pixel unless the shape is higher.
        away = np.empty(mask.shape, dtype=np.uint8 if half_chords.size < np.iinfo(np.uint8).max else np.uint16)
        _count_rows(np.ascontiguousarray(mask, dtype=np.bool_), half_chords.size, away)
        _cover_chords(away, half_chords, grown)
    return grown


def _largest_square(radius: float) -> int:
    """Return the largest whole square of a distance whose root, rounded as in float64, is within; -1 where none is."""
    if not radius >= 0:
        return -1
    square = int(radius * radius) + 1
    while np.sqrt(square) > radius:
        square -= 1
    return square


@compiled
def _count_rows(mask: Bool, beyond: int, away: Counts) -> None:
    """Count the rows between every pixel and the nearest True one of its column, up to ``beyond``; into ``away``."""
    rows, columns = mask.shape
    for column in range(columns):
        away[0, column] = 0 if mask[0, column] else beyond
    for row in range(1, rows):
        for column in range(columns):
            away[row, column] = 0 if mask[row, column] else min(away[row - 1, column] + 1, beyond)
    for row in range(rows - 2, -1, -1):
        for column in range(columns):
            away[row, column] = min(away[row, column], away[row + 1, column] + 1)


@compiled
def _cover_chords(away: Counts, half_chords: NDArray[np.int64], grown: Bool) -> None:
    """Cover in every row the chords of the disks whose centres lie in the rows around it.

    Parameters
    ----------
    away : Counts
        Shape (rows, columns): rows to the nearest True pixel of the column, at most ``half_chords.size``.
    half_chords : NDArray[np.int64]
        How many columns to either side the disk has, so many rows away from its centre.
    grown : Bool
        Result, shape (rows, columns), all False before.
    """
    rows, columns = away.shape
    beyond = half_chords.size
    for row in range(rows):
        if away[row].min() == beyond:
            continue
        # A pixel is reached by a chord from the left, or by one from the right.
        reach = -1
        for column in range(columns):
            if away[row, column] < beyond:
                reach = max(reach, column + half_chords[away[row, column]])
            grown[row, column] = column <= reach
        reach = columns
        for column in range(columns - 1, -1, -1):
            if away[row, column] < beyond:
                reach = min(reach, column - half_chords[away[row, column]])
            grown[row, column] |= column >= reach
