"""Pixel edges of a mask walked round: its rings as corners of pixels."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]
Int32 = NDArray[np.int32]


@compiled
def count_corners(ground: Bool) -> int:
    """Count the corners of a mask's outline, shape (rows, columns) with a rim of False: those of all its rings."""
    rows, columns = ground.shape
    count = 0
    for row in range(1, rows):
        for column in range(1, columns):
            above, below = ground[row - 1, column], ground[row, column]
            above_left, below_left = ground[row - 1, column - 1], ground[row, column - 1]
            if (int(above) + int(below) + int(above_left) + int(below_left)) % 2 == 1:
                count += 1
            elif above == below_left and above != below:
                # Two pixels that touch here alone.
                count += 2
    return count


@compiled
def walk_rings(ground: Bool, vertices: Int32, starts: Int32, first_of: Int32) -> int:
    """Walk round every ring of a mask's outline, ground to the right; where it touches itself it becomes two.

    Parameters
    ----------
    ground : Bool
        Shape (rows, columns), with a rim of False. Pixels that touch at a corner alone are apart.
    vertices : Int32
        Result, shape (count_corners, 2): row and column of every corner of the rings, without the rim.
    starts : Int32
        Result: where each ring starts in ``vertices``, and where the last one ends.
    first_of : Int32
        Result, shape (rings, 2): row and column of a pixel of the ground each ring runs round, without the rim.

    Returns
    -------
    int
        Number of rings.
    """
    rows, columns = ground.shape
    walked = np.zeros((rows, columns), dtype=np.bool_)
    path = np.empty_like(vertices)
    pinches = np.empty(vertices.shape[0], dtype=np.int64)
    rings = 0
    starts[0] = 0
    for row in range(1, rows):
        for column in range(1, columns):
            if ground[row, column] and not ground[row - 1, column] and not walked[row, column]:
                before = rings
                rings = _walk(ground, walked, (row, column), (path, pinches), (vertices, starts), rings)
                first_of[before:rings, 0] = row - 1
                first_of[before:rings, 1] = column - 1
    return rings


@compiled
def _walk(
    ground: Bool,
    walked: Bool,
    first: tuple[int, int],
    scratch: tuple[Int32, NDArray[np.int64]],
    found: tuple[Int32, Int32],
    rings: int,
) -> int:
    """Walk from the upper edge of a pixel eastwards until it comes again; return the number of rings so far."""
    path, pinches = scratch
    vertices, starts = found
    (row, column), down, right = first, 0, 1
    length, pinched = 0, 0
    while right != 1 or not walked[row, column]:
        if right == 1:
            walked[row, column] = True
        row, column = row + down, column + right
        # The two pixels ahead, on the right hand and on the left.
        on_right = ground[row + (down + right - 1) // 2, column + (right - down - 1) // 2]
        on_left = ground[row + (down - right - 1) // 2, column + (right + down - 1) // 2]
        if on_right and not on_left:
            continue
        if on_left and not on_right:
            # Ground touches ground at this corner alone. If the walk was here before, what lies between is a ring.
            before = _place_of(path, pinches[:pinched], row, column)
            if before < pinched:
                pinched, end = before, length
                length = pinches[before]
                rings = _take(path[length:end], vertices, starts, rings)
            pinches[pinched] = length
            pinched += 1
        path[length, 0], path[length, 1] = row, column
        length += 1
        down, right = (-right, down) if on_right else (right, -down)
    return _take(path[:length], vertices, starts, rings)


@compiled
def _place_of(path: Int32, pinches: NDArray[np.int64], row: int, column: int) -> int:
    """Find which of the pinches of a path lies at a corner; their number where none does."""
    for place in range(pinches.size):
        if path[pinches[place], 0] == row and path[pinches[place], 1] == column:
            return place
    return int(pinches.size)


@compiled
def _take(loop: Int32, vertices: Int32, starts: Int32, rings: int) -> int:
    """Write a closed loop as the next ring; return the number of rings."""
    start = starts[rings]
    for corner in range(loop.shape[0]):
        vertices[start + corner, 0], vertices[start + corner, 1] = loop[corner, 0] - 1, loop[corner, 1] - 1
    starts[rings + 1] = start + loop.shape[0]
    return rings + 1
