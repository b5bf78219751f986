"""What a zone holds of a site's maps, counted in one go."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]
UInt8 = NDArray[np.uint8]


@compiled
def tally(inside: Bool, layers: tuple[UInt8, UInt8, UInt8], counts: NDArray[np.int64]) -> None:
    """Count how often every value of some layers occurs in a zone.

    Parameters
    ----------
    inside : Bool
        Shape (rows, columns): the zone.
    layers : tuple of UInt8
        Of the same shape.
    counts : NDArray[np.int64]
        Shape (layers, 256); what is found is added.
    """
    first, second, third = layers
    rows, columns = inside.shape
    for row in range(rows):
        for column in range(columns):
            if inside[row, column]:
                counts[0, first[row, column]] += 1
                counts[1, second[row, column]] += 1
                counts[2, third[row, column]] += 1


@compiled
def count_edges(inside: Bool, marked: UInt8, mark: int) -> int:
    """Count the pixel edges between what bears a mark in a zone and all else, the array's rim included."""
    rows, columns = inside.shape
    edges = 0
    for row in range(rows):
        for column in range(columns):
            if not inside[row, column] or not marked[row, column] & mark:
                continue
            edges += row == 0 or not inside[row - 1, column] or not marked[row - 1, column] & mark
            edges += row == rows - 1 or not inside[row + 1, column] or not marked[row + 1, column] & mark
            edges += column == 0 or not inside[row, column - 1] or not marked[row, column - 1] & mark
            edges += column == columns - 1 or not inside[row, column + 1] or not marked[row, column + 1] & mark
    return edges
