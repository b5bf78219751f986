"""Polygons burned onto a grid: cells whose centre lies inside, and cells their outline passes."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]
Float64 = NDArray[np.float64]


@compiled
def fill_polygons(points: Float64, starts: NDArray[np.int64], firsts: NDArray[np.int64], inside: Bool) -> None:
    """Set the cells whose centre lies in any of some polygons; a centre on an edge is of the cell GDAL says.

    Parameters
    ----------
    points : Float64
        Shape (points, 2): column and row of the rings' points in cells, the first of each ring repeated at its end.
    starts : NDArray[np.int64]
        Where each ring starts, and where the last one ends.
    firsts : NDArray[np.int64]
        The first ring of each polygon, its outer one, and the number of rings.
    inside : Bool
        Result, shape (rows, columns).
    """
    rows, columns = inside.shape
    odd = np.zeros((rows, columns), dtype=np.bool_)
    for polygon in range(firsts.size - 1):
        for ring in range(firsts[polygon], firsts[polygon + 1]):
            for place in range(starts[ring], starts[ring + 1] - 1):
                _cross(points[place], points[place + 1], odd)
                _run(points[place], points[place + 1], inside)
        outer = points[starts[firsts[polygon]] : starts[firsts[polygon] + 1]]
        first = max(int(np.floor(outer[:, 0].min())), 0)
        last = min(int(np.ceil(outer[:, 0].max())) + 1, columns)
        for row in range(max(int(np.floor(outer[:, 1].min())), 0), min(int(np.ceil(outer[:, 1].max())), rows)):
            within = False
            for column in range(first, last):
                within ^= odd[row, column]
                odd[row, column] = False
                inside[row, column] |= within


@compiled
def _cross(start: Float64, end: Float64, odd: Bool) -> None:
    """Turn round, in every row whose middle an edge crosses, the first cell whose centre lies to the right of it."""
    rows, columns = odd.shape
    low, high = (start, end) if start[1] < end[1] else (end, start)
    # Rows whose middle lies on the lower end or above, and below the upper one.
    for row in range(max(int(np.ceil(low[1] - 0.5)), 0), min(int(np.ceil(high[1] - 0.5)), rows)):
        x = (row + 0.5 - low[1]) * (high[0] - low[0]) / (high[1] - low[1]) + low[0]
        column = max(int(np.floor(x + 0.5)), 0)
        if column < columns:
            odd[row, column] = not odd[row, column]


@compiled
def _run(start: Float64, end: Float64, inside: Bool) -> None:
    """Set the cells whose centres a level edge runs along to the left: GDAL counts those, and none to the right."""
    rows, columns = inside.shape
    row = int(np.floor(start[1]))
    if start[1] == end[1] == row + 0.5 and start[0] > end[0] and 0 <= row < rows:
        inside[row, max(int(np.floor(end[0] + 0.5)), 0) : min(max(int(np.floor(start[0] + 0.5)), 0), columns)] = True


@compiled
def touch_lines(points: Float64, starts: NDArray[np.int64], slack: float, touched: Bool) -> None:
    """Set the cells that lines pass or run along; not those an upright or level line meets at its end alone.

    Parameters
    ----------
    points, starts
        As of :func:`fill_polygons`; lines need not be closed.
    slack : float
        In cells: a line this near to the edge of a cell runs along it. Some more cells are set beside slanted lines.
    touched : Bool
        Result, shape (rows, columns).
    """
    rows, columns = touched.shape
    for line in range(starts.size - 1):
        for place in range(starts[line], starts[line + 1] - 1):
            low, high = (place, place + 1) if points[place, 1] < points[place + 1, 1] else (place + 1, place)
            x_low, y_low, x_high, y_high = points[low, 0], points[low, 1], points[high, 0], points[high, 1]
            level, upright = y_high == y_low, x_high == x_low
            over = -slack if upright and not level else slack
            beside = -slack if level and not upright else slack
            slope = 0.0 if level else (x_high - x_low) / (y_high - y_low)
            for row in range(max(int(np.floor(y_low - over)), 0), min(int(np.floor(y_high + over)) + 1, rows)):
                enter, leave = x_low, x_high
                if not level:
                    enter = x_low + slope * (min(max(row - slack, y_low), y_high) - y_low)
                    leave = x_low + slope * (min(max(row + 1 + slack, y_low), y_high) - y_low)
                first = max(int(np.floor(min(enter, leave) - beside)), 0)
                for column in range(first, min(int(np.floor(max(enter, leave) + beside)) + 1, columns)):
                    touched[row, column] = True
