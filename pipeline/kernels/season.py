"""Dates of a block reduced to counts, medians and largest values; specification: tests/specification/block.py.

Reflectance comes as whole numbers of 0.0001, shape (bands, dates, rows, columns), in the order of ``dates.BANDS``.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled
from pipeline.types import Float32

Int16: TypeAlias = NDArray[np.int16]
Flags: TypeAlias = NDArray[np.uint8]
_TO_REFLECTANCE = np.float32(1e-4)
_BLUE, _GREEN, _RED, _NIR, _NIR08, _SWIR16, _SWIR22 = range(7)
_WATER_SWIR16 = np.float32(0.05)


@compiled
def count_coal(
    values: Int16, usable: Flags, which: NDArray[np.int64], limits: Float32, counts: tuple[Flags, Flags, Flags]
) -> None:
    """Count the dates on which a pixel may be coal, looks like water, and is clear.

    Parameters
    ----------
    values : Int16
        Shape (bands, dates, rows, columns).
    usable : Flags
        Shape (dates, rows, columns).
    which : NDArray[np.int64]
        Dates that count.
    limits : Float32
        Largest brightness, least and largest swir16, largest MNDWI and NDVI (:class:`models.stockpile.ScoreRules`).
    counts : tuple of Flags
        Hits, water and clear dates, each of shape (rows, columns); added to.
    """
    _, _, rows, columns = values.shape
    hits, water, clear = counts
    for date in which:
        for row in range(rows):
            for column in range(columns):
                used = usable[date, row, column] != 0
                blue = _reflectance(values[_BLUE, date, row, column])
                green = _reflectance(values[_GREEN, date, row, column])
                red, nir = _reflectance(values[_RED, date, row, column]), _reflectance(values[_NIR, date, row, column])
                swir16 = _reflectance(values[_SWIR16, date, row, column])
                wet, green_share = _ratio(green, swir16), _ratio(nir, red)
                dark = (blue + green + red + nir) / np.float32(4.0) < limits[0]
                dry = (swir16 > limits[1]) & (swir16 < limits[2]) & (wet < limits[3])
                clear[row, column] += used
                hits[row, column] += used & dark & dry & (green_share < limits[4])
                water[row, column] += used & (wet > np.float32(0.0)) & (swir16 < _WATER_SWIR16)


@compiled
def measure_season(
    values: Int16, usable: Flags, which: NDArray[np.int64], ndvi_max_bare: float, network: NDArray[np.int64],
    parts: NDArray[np.int64], weights: NDArray[np.float64], counts: Flags, largest: Float32, brightness: Float32,
) -> None:  # fmt: skip
    """Reduce the dates of a growing season: counts, expected largest NDVI and nir - red, median brightness.

    Parameters
    ----------
    values : Int16
        Shape (bands, dates, rows, columns).
    usable : Flags
        Shape (dates, rows, columns).
    which : NDArray[np.int64]
        Dates of the season.
    ndvi_max_bare : float
        NDVI below which ground is bare.
    network : NDArray[np.int64]
        Sorting network of as many dates.
    parts : NDArray[np.int64]
        First and step of each part of these dates.
    weights : NDArray[np.float64]
        Shape (dates + 1, dates): probability that the i-th smallest of n values is the largest of a draw.
    counts : Flags
        Shape (3, parts, rows, columns): clear, bare and water dates; written.
    largest : Float32
        Shape (2, parts, rows, columns): expected largest NDVI and nir - red; NaN unseen; written.
    brightness : Float32
        Shape (rows, columns): median; NaN unseen; written.
    """
    _, _, rows, columns = values.shape
    dates = which.size
    infinite = np.float32(np.inf)
    ndvi = np.empty((dates, columns), dtype=np.float32)
    difference = np.empty((dates, columns), dtype=np.float32)
    lines = np.empty((dates, columns), dtype=np.float32)
    wet = np.empty((dates, columns), dtype=np.uint8)
    count = np.empty(columns, dtype=np.int64)
    for row in range(rows):
        count[:] = 0
        for date in range(dates):
            place = which[date]
            for column in range(columns):
                used = usable[place, row, column] != 0
                red = _reflectance(values[_RED, place, row, column])
                nir = _reflectance(values[_NIR, place, row, column])
                green = _reflectance(values[_GREEN, place, row, column])
                swir16 = _reflectance(values[_SWIR16, place, row, column])
                share = _ratio(nir, red)
                known = used & (share == share)  # noqa: PLR0124 - not NaN
                ndvi[date, column] = share if known else infinite
                difference[date, column] = nir - red if known else infinite
                wet[date, column] = known & (_ratio(green, swir16) > np.float32(0.0)) & (swir16 < _WATER_SWIR16)
                visible = _reflectance(values[_BLUE, place, row, column]) + green + red
                light = (visible + _reflectance(values[_NIR08, place, row, column])) / np.float32(4.0)
                lines[date, column] = light if used else infinite
                count[column] += used
        _sort(lines, network)
        for column in range(columns):
            n = count[column]
            brightness[row, column] = np.nan
            if n > 0:
                brightness[row, column] = (lines[(n - 1) // 2, column] + lines[n // 2, column]) / np.float32(2.0)
        for part in range(parts.shape[0]):
            first, step = parts[part, 0], parts[part, 1]
            count[:] = 0
            for date in range(first, dates, step):
                for column in range(columns):
                    count[column] += ndvi[date, column] != infinite
                    counts[1, part, row, column] += ndvi[date, column] < ndvi_max_bare
                    counts[2, part, row, column] += wet[date, column]
            for column in range(columns):
                counts[0, part, row, column] = count[column]
            _expected_largest(ndvi[first::step], network, count, weights, lines, largest[0, part, row])
            _expected_largest(difference[first::step], network, count, weights, lines, largest[1, part, row])


@compiled
def _expected_largest(
    values: Float32, network: NDArray[np.int64], count: NDArray[np.int64], weights: NDArray[np.float64],
    lines: Float32, out: Float32,
) -> None:  # fmt: skip
    """Mean of the largest over all draws of a line's pixels, of which ``count`` dates are seen; the others infinite."""
    lines[:, :] = np.float32(np.inf)
    for date in range(values.shape[0]):
        lines[date] = values[date]
    _sort(lines, network)
    for column in range(lines.shape[1]):
        total = 0.0
        for place in range(count[column]):
            total += weights[count[column], place] * lines[place, column]
        out[column] = total if count[column] > 0 else np.nan


@compiled
def _reflectance(value: Any) -> Any:
    return np.float32(value) * _TO_REFLECTANCE


@compiled
def _ratio(a: Any, b: Any) -> Any:
    """Normalised difference; NaN where the sum is not above zero."""
    total = a + b
    return (a - b) / total if total > np.float32(0.0) else np.float32(np.nan)


@compiled
def _sort(lines: Float32, network: NDArray[np.int64]) -> None:
    """Sort every column of ``lines``, shape (dates, columns), in place."""
    for pair in range(network.shape[0]):
        first, second = lines[network[pair, 0]], lines[network[pair, 1]]
        for column in range(lines.shape[1]):
            a, b = first[column], second[column]
            first[column] = min(a, b)
            second[column] = max(a, b)
