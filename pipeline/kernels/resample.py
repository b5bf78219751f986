"""Weighted look-up of a raster's pixels along both axes; specification: tests/specification/resample.py."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled
from pipeline.types import Float32

Index: TypeAlias = NDArray[np.int64]


@compiled
def as_float(pixels: NDArray[Any], nodata: float, out: Float32) -> None:
    """Write integer pixels as float32 into ``out``, NaN where they are ``nodata``."""
    rows, columns = pixels.shape
    for row in range(rows):
        for column in range(columns):
            value = pixels[row, column]
            out[row, column] = np.nan if value == nodata else np.float32(value)


@compiled
def weigh(
    pixels: Float32, row_index: Index, row_weight: Float32, column_index: Index, column_weight: Float32, out: Float32
) -> bool:
    """Weighted sum over the taps of both axes, rows first; True when any result is NaN.

    Parameters
    ----------
    pixels : Float32
        Shape (rows, columns).
    row_index, row_weight, column_index, column_weight
        Shape (taps, cells of the axis): the pixel each tap looks at, and what it weighs.
    out : Float32
        Shape (cells, cells); written.
    """
    width = pixels.shape[1]
    cells = column_index.shape[1]
    line = np.empty(width, dtype=np.float32)
    lacking = False
    # A lattice of the same step is looked up along whole lines, which the processor does many at a time.
    straight = True
    for tap in range(column_index.shape[0]):
        for cell in range(1, cells):
            if column_index[tap, cell] != column_index[tap, 0] + cell:
                straight = False
    for row in range(row_index.shape[1]):
        line[:] = np.float32(0.0)
        for tap in range(row_index.shape[0]):
            weight = row_weight[tap, row]
            source = pixels[row_index[tap, row]]
            for column in range(width):
                line[column] += weight * source[column]
        target = out[row]
        target[:] = np.float32(0.0)
        for tap in range(column_index.shape[0]):
            weights = column_weight[tap]
            if straight:
                part = line[column_index[tap, 0] : column_index[tap, 0] + cells]
                for cell in range(cells):
                    target[cell] += weights[cell] * part[cell]
            else:
                places = column_index[tap]
                for cell in range(cells):
                    target[cell] += weights[cell] * line[places[cell]]
        for cell in range(cells):
            if np.isnan(target[cell]):
                lacking = True
    return lacking


@compiled
def fill_linear(
    pixels: Float32, row_index: Index, row_weight: Float32, column_index: Index, column_weight: Float32, out: Float32,
    least_weight: float,
) -> None:  # fmt: skip
    """Put the mean of the known pixels among the taps, by their weights, where ``out`` is NaN."""
    least = np.float32(least_weight)
    for row in range(out.shape[0]):
        for cell in range(out.shape[1]):
            if not np.isnan(out[row, cell]):
                continue
            total, share = np.float32(0.0), np.float32(0.0)
            for tap in range(column_index.shape[0]):
                place = column_index[tap, cell]
                value, known = np.float32(0.0), np.float32(0.0)
                for other in range(row_index.shape[0]):
                    pixel = pixels[row_index[other, row], place]
                    weight = row_weight[other, row]
                    if not np.isnan(pixel):
                        value += weight * pixel
                        known += weight
                total += column_weight[tap, cell] * value
                share += column_weight[tap, cell] * known
            out[row, cell] = total / max(share, least)


@compiled
def look_up_nearest(pixels: NDArray[Any], rows: Index, columns: Index, out: Float32) -> None:
    """Write the pixel each cell falls into."""
    for row in range(rows.size):
        for cell in range(columns.size):
            out[row, cell] = pixels[rows[row], columns[cell]]


@compiled
def hide_unknown(pixels: NDArray[Any], rows: Index, columns: Index, out: Float32) -> None:
    """Make every cell NaN that falls into a NaN pixel."""
    for row in range(rows.size):
        for cell in range(columns.size):
            if np.isnan(pixels[rows[row], columns[cell]]):
                out[row, cell] = np.nan
