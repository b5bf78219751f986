"""Closed contours of a field on points, compiled; they are those of ``skimage.measure.find_contours``."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled
from models._indices import Bool

Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


@compiled
def parts_of(field: Float64, level: float, seeds: Bool) -> tuple[Int32, int, int]:
    """Label the points above a level that hang together with a seed, neighbour by neighbour, not over corners.

    Parameters
    ----------
    field : Float64
        Shape (rows, columns).
    level : float
    seeds : Bool
        Shape (rows, columns).

    Returns
    -------
    labels : Int32
        Shape (rows, columns): from 1, 0 elsewhere.
    count : int
        Of parts.
    size : int
        Number of labelled points.
    """
    rows, columns = field.shape
    labels, waiting = np.zeros((rows, columns), np.int32), np.empty((rows * columns, 2), np.int64)
    count, size = 0, 0
    for start_row in range(rows):
        for start_column in range(columns):
            if not seeds[start_row, start_column] or labels[start_row, start_column]:
                continue
            if not field[start_row, start_column] > level:
                continue
            count += 1
            labels[start_row, start_column] = count
            waiting[0, 0], waiting[0, 1] = start_row, start_column
            open_ = 1
            while open_:
                open_ -= 1
                size += 1
                row, column = waiting[open_, 0], waiting[open_, 1]
                for down, right in ((-1, 0), (0, 1), (1, 0), (0, -1)):
                    at, beside = row + down, column + right
                    if (
                        0 <= at < rows
                        and 0 <= beside < columns
                        and not labels[at, beside]
                        and field[at, beside] > level
                    ):
                        labels[at, beside] = count
                        waiting[open_, 0], waiting[open_, 1] = at, beside
                        open_ += 1
    return labels, count, size


@compiled
def _is_part(labels: Int32, row: int, column: int) -> bool:
    return bool(0 <= row < labels.shape[0] and 0 <= column < labels.shape[1] and labels[row, column] > 0)


@compiled
def _value(field: Float64, level: float, row: int, column: int) -> float:
    """Value at a point; beyond the edge 0, or what is below the level, so that every contour closes."""
    if 0 <= row < field.shape[0] and 0 <= column < field.shape[1]:
        return float(field[row, column])
    return 0.0 if level > 0 else level - 1.0


@compiled
def _crossing(field: Float64, level: float, row: int, column: int, side: int, out: Float64) -> None:
    """Write where the level is crossed between a point and its neighbour above, right, below or left: (x, y)."""
    first_row, first_column = row - (side == 0), column - (side == 3)  # noqa: PLR2004 - left
    upright = side % 2 == 0
    first = _value(field, level, first_row, first_column)
    second = _value(field, level, first_row + upright, first_column + (not upright))
    part = (level - first) / (second - first)
    # Counted from a margin of one point, as the specification does, for the same last bit.
    out[0] = first_column + 1 + (0.0 if upright else part)
    out[1] = first_row + 1 + (part if upright else 0.0)


@compiled
def _next(labels: Int32, row: int, column: int, side: int) -> tuple[int, int, int]:
    """Next side of a part's points, with the part on the right hand: sides are above, right, below, left."""
    # Along a side that faces up it goes right, along one that faces right it goes down, and so on.
    ahead = (side + 1) % 4
    down, right = (ahead == 2) - (ahead == 0), (ahead == 1) - (ahead == 3)  # noqa: PLR2004 - below, left
    out_down, out_right = (side == 2) - (side == 0), (side == 1) - (side == 3)  # noqa: PLR2004 - below, left
    if not _is_part(labels, row + down, column + right):
        return row, column, ahead
    if not _is_part(labels, row + down + out_down, column + right + out_right):
        return row + down, column + right, side
    return row + down + out_down, column + right + out_right, (side + 3) % 4


@compiled
def rings_of(field: Float64, level: float, labels: Int32, count: int, size: int) -> tuple[Float64, Int64, Int64]:
    """Contours round the labelled points, and round the holes in them; corners do not connect.

    Parameters
    ----------
    field : Float64
        Shape (rows, columns); 0 beyond its edge.
    level : float
    labels, count, size
        As from :func:`parts_of`.

    Returns
    -------
    points : Float64
        Shape (points, 2): (x, y), the first point of the field at (1, 1); first and last of a ring are the same.
    ends : Int64
        Shape (rings): place after a ring's last point.
    parts : Int64
        Shape (rings): label of the points it bounds. The first ring of a label is its outer one.
    """
    rows, columns = labels.shape
    # Every point of a part but one shares two sides with the others; a ring has four sides or more, and ends twice.
    sides = 2 * size + 2 * count
    walked = np.zeros((rows, columns, 4), np.bool_)
    points, ends, parts = (
        np.empty((sides + sides // 4, 2)),
        np.empty(sides // 4, np.int64),
        np.empty(sides // 4, np.int64),
    )
    place, rings = 0, 0
    for start_row in range(rows):
        for start_column in range(columns):
            # Every ring, outer or inner, has a side that faces up.
            part = labels[start_row, start_column]
            if not part or walked[start_row, start_column, 0] or _is_part(labels, start_row - 1, start_column):
                continue
            begin, row, column, side = place, start_row, start_column, 0
            while not walked[row, column, side]:
                walked[row, column, side] = True
                _crossing(field, level, row, column, side, points[place])
                place += 1
                row, column, side = _next(labels, row, column, side)
            points[place, 0], points[place, 1] = points[begin, 0], points[begin, 1]
            place += 1
            ends[rings], parts[rings] = place, part
            rings += 1
    return points[:place], ends[:rings], parts[:rings]


@compiled
def all_rings(fields: Float64, levels: Float64, seeds: Bool) -> tuple[Float64, Int64, Int64]:
    """Contours of some fields at some levels, each round the points that hang together with a seed.

    Parameters
    ----------
    fields : Float64
        Shape (fields, rows, columns).
    levels : Float64
        Shape (fields, levels).
    seeds : Bool
        Shape (rows, columns).

    Returns
    -------
    points : Float64
        Shape (points, 2), as of :func:`rings_of`.
    ends : Int64
        Shape (rings): place after a ring's last point.
    owners : Int64
        Shape (rings, 2): which contour a ring belongs to, field by field and level by level, and which part of it.
    """
    found, size, rings = [], 0, 0
    for number in range(levels.size):
        field, level = fields[number // levels.shape[1]], levels[number // levels.shape[1], number % levels.shape[1]]
        labels, count, labelled = parts_of(field, level, seeds)
        if count:
            points, ends, parts = rings_of(field, level, labels, count, labelled)
            found.append((number, points, ends, parts))
            size += points.shape[0]
            rings += ends.size
    all_points, all_ends, owners = np.empty((size, 2)), np.empty(rings, np.int64), np.empty((rings, 2), np.int64)
    place, ring = 0, 0
    for number, points, ends, parts in found:
        all_points[place : place + points.shape[0]] = points
        for one in range(ends.size):
            all_ends[ring] = place + ends[one]
            owners[ring, 0], owners[ring, 1] = number, parts[one]
            ring += 1
        place += points.shape[0]
    return all_points, all_ends, owners
