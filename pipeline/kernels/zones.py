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


@compiled
def sort_patches(here: UInt8, marked: UInt8, marks: tuple[int, int], sides: UInt8) -> None:
    """Say of every patch of later ground, connected along pixel edges, on which side of a zone's edge it lies.

    Parameters
    ----------
    here, marked, marks
        As of :func:`tally_beside`.
    sides : UInt8
        Result, of the same shape, 0 before: for all pixels of a patch 1 inside, 2 outside, 3 where the edge parts it.
    """
    rows, columns = here.shape
    later, both = marks[0], marks[0] | marks[1]
    held = 0
    for row in range(rows):
        for column in range(columns):
            held += marked[row, column] & both == later
    patch = np.empty((held, 2), dtype=np.int32)
    for row in range(rows):
        for column in range(columns):
            if marked[row, column] & both != later or sides[row, column]:
                continue
            sides[row, column] = 3
            patch[0] = row, column
            found, looked_at, side = 1, 0, 0
            while looked_at < found:
                at_row, at_column = patch[looked_at]
                looked_at += 1
                mark = here[at_row, at_column]
                side |= 3 if mark & CROSSED else (1 if mark & INSIDE else 2)
                for down, right in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                    to_row, to_column = at_row + down, at_column + right
                    if not (0 <= to_row < rows and 0 <= to_column < columns):
                        continue
                    if marked[to_row, to_column] & both == later and not sides[to_row, to_column]:
                        sides[to_row, to_column] = 3
                        patch[found] = to_row, to_column
                        found += 1
            for place in range(found):
                sides[patch[place, 0], patch[place, 1]] = side
