"""Where a value lies between the levels on both sides of an edge."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]

NEITHER, LOW, HIGH = 0, 1, 2
"""Side of an edge a pixel is on."""


@compiled
def half_way(values: Float32, side: NDArray[np.uint8], edge: Bool, reach: int, least: float, result: Bool) -> None:
    """Set pixels of an edge by whether they are below the middle of the levels beside it, where those differ enough.

    Parameters
    ----------
    values : Float32
        Shape (rows, columns); NaN makes the mean of its window unknown.
    side : NDArray[np.uint8]
        LOW or HIGH for pixels that tell a level, NEITHER for others.
    edge : Bool
        Pixels that are asked about.
    reach : int
        The levels are means over a square window so many pixels to each side.
    least : float
        Least difference, high minus low.
    result : Bool
        Changed where a pixel of the edge sees both levels and they differ enough.
    """
    rows, columns = values.shape
    for row in range(rows):
        for column in range(columns):
            if not edge[row, column]:
                continue
            low, high, lows, highs = 0.0, 0.0, 0, 0
            for near_row in range(max(row - reach, 0), min(row + reach + 1, rows)):
                for near in range(max(column - reach, 0), min(column + reach + 1, columns)):
                    if side[near_row, near] == LOW:
                        low += values[near_row, near]
                        lows += 1
                    elif side[near_row, near] == HIGH:
                        high += values[near_row, near]
                        highs += 1
            if lows > 0 and highs > 0 and high / highs - low / lows >= least:
                result[row, column] = values[row, column] < (high / highs + low / lows) / 2
