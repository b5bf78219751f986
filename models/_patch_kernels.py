"""Patches of a mask: those that are large enough, and hold a seed."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]


def keep_patches(mask: Bool, seeds: Bool, least: int) -> None:
    """Leave in a mask only the patches of a least size that hold a seed; corners connect.

    Parameters
    ----------
    mask : Bool
        Shape (rows, columns); changed in place.
    seeds : Bool
        The same shape; the mask itself where size alone counts.
    least : int
        Pixels.
    """
    # Memory is taken up only as far as the largest patch fills it.
    _keep(mask, seeds, least, np.zeros(mask.shape, dtype=np.bool_), np.empty(mask.size, dtype=np.int32))


@compiled
def _keep(mask: Bool, seeds: Bool, least: int, visited: Bool, patch: NDArray[np.int32]) -> None:
    """Go through every patch from its first pixel on; ``patch`` takes up its pixels, by number."""
    rows, columns = mask.shape
    for row in range(rows):
        for column in range(columns):
            if not mask[row, column] or visited[row, column]:
                continue
            visited[row, column] = True
            patch[0] = row * columns + column
            size, done, seeded = 1, 0, False
            while done < size:
                at_row, at_column = patch[done] // columns, patch[done] % columns
                done += 1
                seeded |= seeds[at_row, at_column]
                for near_row in range(max(at_row - 1, 0), min(at_row + 2, rows)):
                    for near_column in range(max(at_column - 1, 0), min(at_column + 2, columns)):
                        if mask[near_row, near_column] and not visited[near_row, near_column]:
                            visited[near_row, near_column] = True
                            patch[size] = near_row * columns + near_column
                            size += 1
            if size < least or not seeded:
                for place in range(size):
                    mask[patch[place] // columns, patch[place] % columns] = False
