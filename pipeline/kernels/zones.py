"""What a zone holds of a site's maps, counted in one go.

Where a pixel is in a zone is told by marks: its centre is inside, the zone's edge passes or runs along it, the edge
crosses its inside.
"""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

UInt8 = NDArray[np.uint8]
Int64 = NDArray[np.int64]

INSIDE, TOUCHED, CROSSED = 1, 2, 4


@compiled
def tally(here: UInt8, layers: tuple[UInt8, UInt8, UInt8], counts: Int64) -> None:
    """Count how often every value of some layers occurs in a zone.

    Parameters
    ----------
    here : UInt8
        Shape (rows, columns): marks of the zone.
    layers : tuple of UInt8
        Of the same shape.
    counts : NDArray[np.int64]
        Shape (layers, 256); what is found is added.
    """
    first, second, third = layers
    rows, columns = here.shape
    for row in range(rows):
        for column in range(columns):
            if here[row, column] & INSIDE:
                counts[0, first[row, column]] += 1
                counts[1, second[row, column]] += 1
                counts[2, third[row, column]] += 1


@compiled
def count_edges(here: UInt8, marked: UInt8, mark: int) -> int:
    """Count the pixel edges between what bears a mark in a zone and all else, the array's rim included."""
    rows, columns = here.shape
    edges = 0
    for row in range(rows):
        for column in range(columns):
            if not here[row, column] & INSIDE or not marked[row, column] & mark:
                continue
            edges += row == 0 or not here[row - 1, column] & INSIDE or not marked[row - 1, column] & mark
            edges += row == rows - 1 or not here[row + 1, column] & INSIDE or not marked[row + 1, column] & mark
            edges += column == 0 or not here[row, column - 1] & INSIDE or not marked[row, column - 1] & mark
            edges += column == columns - 1 or not here[row, column + 1] & INSIDE or not marked[row, column + 1] & mark
    return edges


@compiled
def tally_beside(here: UInt8, marked: UInt8, marks: tuple[int, int], counts: Int64) -> None:
    """Count pixels of later ground by which of their neighbours are earlier ground; what is beyond the array is none.

    Parameters
    ----------
    here : UInt8
        Shape (rows, columns): marks of the zone; pixels that its edge crosses are not counted.
    marked : UInt8
        Of the same shape: marks of the ground.
    marks : (int, int)
        All marks of later ground, and that of earlier; what is both is not later.
    counts : Int64
        Shape (256,); what is found is added. Bit 0 is the neighbour above and to the left, then along the rows.
    """
    rows, columns = here.shape
    later, earlier = marks
    for row in range(rows):
        for column in range(columns):
            mark = marked[row, column]
            if here[row, column] & (INSIDE | CROSSED) != INSIDE or mark & later != later or mark & earlier:
                continue
            beside, bit = 0, 1
            for other_row in range(row - 1, row + 2):
                for other in range(column - 1, column + 2):
                    if other_row == row and other == column:
                        continue
                    if 0 <= other_row < rows and 0 <= other < columns and marked[other_row, other] & earlier:
                        beside |= bit
                    bit <<= 1
            counts[beside] += 1
