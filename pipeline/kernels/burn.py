"""Polygons burned onto a grid: cells whose centre lies inside, and cells their outline passes."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]
Float64 = NDArray[np.float64]


@compiled
def fill_rings(points: Float64, starts: NDArray[np.int64], inside: Bool) -> None:
    """Set the cells whose centre lies in an odd number of rings; a centre on an edge is of the cell GDAL says.

    Parameters
    ----------
    points : Float64
        Shape (points, 2): column and row of the rings' points in cells, the first of each ring repeated at its end.
    starts : NDArray[np.int64]
        Where each ring starts, and where the last one ends.
    inside : Bool
        Result, shape (rows, columns), all False before.
    """
    rows, columns = inside.shape
    for ring in range(starts.size - 1):
        for place in range(starts[ring], starts[ring + 1] - 1):
            low, high = (place, place + 1) if points[place, 1] < points[place + 1, 1] else (place + 1, place)
            x_low, y_low, x_high, y_high = points[low, 0], points[low, 1], points[high, 0], points[high, 1]
            # Rows whose middle lies on the edge or above its end.
            for row in range(max(int(np.ceil(y_low - 0.5)), 0), min(int(np.ceil(y_high - 0.5)), rows)):
                x = (row + 0.5 - y_low) * (x_high - x_low) / (y_high - y_low) + x_low
                column = max(int(np.floor(x + 0.5)), 0)
                if column < columns:
                    inside[row, column] = not inside[row, column]
    for row in range(rows):
        within = False
        for column in range(columns):
            within ^= inside[row, column]
            inside[row, column] = within


@compiled
def touch_lines(points: Float64, starts: NDArray[np.int64], slack: float, touched: Bool) -> None:
    """Set the cells that lines pass, or come nearer to than ``slack``; some more beside slanted lines.

    Parameters
    ----------
    points, starts
        As of :func:`fill_rings`; lines need not be closed.
    slack : float
        In cells.
    touched : Bool
        Result, shape (rows, columns).
    """
    rows, columns = touched.shape
    for line in range(starts.size - 1):
        for place in range(starts[line], starts[line + 1] - 1):
            low, high = (place, place + 1) if points[place, 1] < points[place + 1, 1] else (place + 1, place)
            x_low, y_low, x_high, y_high = points[low, 0], points[low, 1], points[high, 0], points[high, 1]
            slope = (x_high - x_low) / (y_high - y_low) if y_high > y_low else 0.0
            for row in range(max(int(np.floor(y_low - slack)), 0), min(int(np.floor(y_high + slack)) + 1, rows)):
                enter, leave = x_low, x_high
                if y_high > y_low:
                    enter = x_low + slope * (min(max(row - slack, y_low), y_high) - y_low)
                    leave = x_low + slope * (min(max(row + 1 + slack, y_low), y_high) - y_low)
                first = max(int(np.floor(min(enter, leave) - slack)), 0)
                for column in range(first, min(int(np.floor(max(enter, leave) + slack)) + 1, columns)):
                    touched[row, column] = True
