"""Pixel edges of a mask walked round: its rings as corners of pixels."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

UInt8 = NDArray[np.uint8]
Int32 = NDArray[np.int32]


@compiled
def count_corners(ground: UInt8) -> int:
    """Count the corners of a mask's outline, shape (rows, columns) with a rim of 0: those of all its rings."""
    rows, columns = ground.shape
    count = 0
    for row in range(1, rows):
        for column in range(1, columns):
            above, below = ground[row - 1, column], ground[row, column]
            above_left, below_left = ground[row - 1, column - 1], ground[row, column - 1]
            if (above + below + above_left + below_left) % 2 == 1:
                count += 1
            elif above == below_left and above != below:
                # Two pixels that touch here alone.
                count += 2
    return count


@compiled
def walk_rings(ground: UInt8, vertices: Int32, starts: Int32, first_of: Int32) -> int:
    """Walk round every ring of a mask's outline, ground to the right; where it touches itself it becomes two.

    Parameters
    ----------
    ground : UInt8
        Shape (rows, columns), 1 with a rim of 0; pixels whose upper edge was walked become 3. Pixels that touch at a
        corner alone are apart.
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
    path = np.empty_like(vertices)
    pinches = np.empty(vertices.shape[0], dtype=np.int64)
    rings = 0
    starts[0] = 0
    for row in range(1, rows):
        for column in range(1, columns):
            if ground[row, column] == 1 and not ground[row - 1, column]:
                before = rings
                rings = _walk(ground, (row, column), (path, pinches), (vertices, starts), rings)
                first_of[before:rings, 0] = row - 1
                first_of[before:rings, 1] = column - 1
    return rings


@compiled
def _walk(
    ground: UInt8,
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
    while right != 1 or ground[row, column] == 1:
        if right == 1:
            ground[row, column] = 3
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


@compiled
def find_holes(vertices: Int32, starts: Int32, hole: NDArray[np.bool_]) -> None:
    """Say of each ring whether it runs round a hole: ground lies to the right.

    Parameters
    ----------
    vertices, starts
        As of :func:`walk_rings`.
    hole : NDArray[np.bool_]
        Result, shape (rings,).
    """
    for ring in range(hole.size):
        twice, before = 0, starts[ring + 1] - 1
        for place in range(starts[ring], starts[ring + 1]):
            rows = int(vertices[place, 0]) - int(vertices[before, 0])
            twice += rows * (int(vertices[place, 1]) + int(vertices[before, 1]))
            before = place
        hole[ring] = twice < 0


@compiled
def own_rings(ground: UInt8, first_of: Int32, owner: Int32) -> None:
    """Find the connected ground each ring runs round: the same number for all rings of one, in the order of the rows.

    Runs of ground in a row are joined to those they meet in the row above; there are far fewer of them than pixels.

    Parameters
    ----------
    ground, first_of
        As of :func:`walk_rings`.
    owner : Int32
        Result, shape (rings,): number of the first run of the ground.
    """
    rows, columns = ground.shape
    first_run = np.zeros(rows + 1, dtype=np.int64)
    for row in range(rows):
        first_run[row + 1] = first_run[row]
        for column in range(1, columns):
            first_run[row + 1] += ground[row, column] > 0 and ground[row, column - 1] == 0
    runs = int(first_run[rows])
    starts, joined = np.empty(runs, dtype=np.int32), np.arange(runs).astype(np.int32)
    for row in range(1, rows):
        run, above = first_run[row] - 1, first_run[row - 1] - 1
        for column in range(1, columns):
            above += ground[row - 1, column] > 0 and ground[row - 1, column - 1] == 0
            if ground[row, column] == 0:
                continue
            begins = ground[row, column - 1] == 0
            run += begins
            starts[run] = column if begins else starts[run]
            if ground[row - 1, column] > 0 and (begins or ground[row - 1, column - 1] == 0):
                one, other = _first_joined(joined, run), _first_joined(joined, above)
                joined[max(one, other)] = min(one, other)
    for ring in range(owner.size):
        row = first_of[ring, 0] + 1
        of_row = starts[first_run[row] : first_run[row + 1]]
        run = first_run[row] + np.searchsorted(of_row, first_of[ring, 1] + 1, side="right") - 1
        owner[ring] = _first_joined(joined, run)


@compiled
def _first_joined(joined: Int32, run: int) -> int:
    """Follow a run to the first it is joined to, and shorten the way."""
    while joined[run] != run:
        joined[run] = joined[joined[run]]
        run = joined[run]
    return run
