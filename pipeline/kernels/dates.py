"""All dates of a strip of a block, pixel by pixel; specification: tests/specification/history.py and block.py.

Reflectance comes as whole numbers of 0.0001, shape (bands, dates, rows, columns), in the order of ``BANDS``. Dates
of a line are sorted by a network of comparisons, the same for every pixel, which the processor does many at a time.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled
from pipeline.types import Float32

BANDS = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")
NO_DATA = -32768
_LAST = 32767
_TO_REFLECTANCE = np.float32(1e-4)

Int16: TypeAlias = NDArray[np.int16]
Flags: TypeAlias = NDArray[np.uint8]
Date: TypeAlias = tuple[Any, Any, Any]
"""Blue, nir and swir16 of a pixel on one date."""


def sorting_network(length: int) -> NDArray[np.int64]:
    """Pairs (first, second) to compare and exchange in order, shape (pairs, 2); Batcher's merge exchange (1968)."""
    pairs = []
    p = 1
    while p < length:
        k = p
        while k >= 1:
            for j in range(k % p, length - k, 2 * k):
                pairs += [
                    (i + j, i + j + k)
                    for i in range(min(k, length - j - k))
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p)
                ]
            k //= 2
        p *= 2
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


@compiled
def _sort(lines: NDArray[Any], network: NDArray[np.int64]) -> None:
    """Sort every column of ``lines``, shape (dates, columns), in place."""
    width = lines.shape[1]
    for pair in range(network.shape[0]):
        first, second = lines[network[pair, 0]], lines[network[pair, 1]]
        for column in range(width):
            a, b = first[column], second[column]
            first[column] = min(a, b)
            second[column] = max(a, b)


@compiled
def quantise(band: Float32, out: Int16) -> None:
    """Write reflectance as whole numbers of 0.0001, held within 3.2; NaN as NO_DATA."""
    for row in range(band.shape[0]):
        for column in range(band.shape[1]):
            value = band[row, column]
            if np.isnan(value):
                out[row, column] = NO_DATA
            else:
                whole: Any = np.rint(value * np.float32(1e4))
                out[row, column] = np.int16(min(max(whole, -32000.0), 32000.0))


@compiled
def median_of_dates(
    values: Int16 | NDArray[np.uint16], usable: Flags, no_data: int, network: NDArray[np.int64], out: NDArray[np.uint16]
) -> None:
    """Median over the usable dates as whole numbers, halves to even, at least 1; 0 where there is none.

    ``values`` and ``usable`` have shape (dates, rows, columns), ``out`` (rows, columns); ``no_data`` is never used.
    Values above 32,766 count as that.
    """
    dates, rows, columns = values.shape
    lines = np.empty((dates, columns), dtype=np.int16)
    count = np.empty(columns, dtype=np.int16)
    lacking, last = np.int32(no_data), np.int32(_LAST)
    for row in range(rows):
        count[:] = 0
        for date in range(dates):
            source, seen, line = values[date, row], usable[date, row], lines[date]
            # Arithmetic of few bits and no branch, so that many pixels go at a time.
            for column in range(columns):
                value = np.int32(source[column])
                used = (seen[column] != 0) & (value != lacking)
                line[column] = np.int16(min(value, last - np.int32(1)) if used else last)
                count[column] += np.int16(used)
        _sort(lines, network)
        for column in range(columns):
            n = count[column]
            if n == 0:
                out[row, column] = 0
                continue
            total = int(lines[(n - 1) // 2, column]) + int(lines[n // 2, column])
            half = total >> 1
            if total & 1:
                half += half & 1
            out[row, column] = max(half, 1)


@compiled
def departures(
    values: Int16, at: NDArray[np.int64], usable: Flags, min_dates: int, limits: NDArray[np.float32],
    network: NDArray[np.int64], sure: Flags, rim: Flags,
) -> None:  # fmt: skip
    """Find certain and possible departures of every date from its pixel's history, as under cloud or in shadow.

    Parameters
    ----------
    values : Int16
        Shape (bands, dates, rows, columns).
    at : NDArray[np.int64]
        Which bands are blue, nir and swir16.
    usable : Flags
        Shape (dates, rows, columns).
    min_dates : int
        Usable dates a pixel needs.
    limits : NDArray[np.float32]
        Added blue that is sky, certain and possible; share of it that swir16 may have; light left in shadow, certain
        and possible.
    network : NDArray[np.int64]
        Of as many dates.
    sure, rim : Flags
        Shape (2, dates, rows, columns): veiled and shaded; all zero, set where found.
    """
    _, dates, rows, columns = values.shape
    lines = np.empty((dates, columns), dtype=np.int16)
    middle = np.empty((3, 4, columns), dtype=np.int16)
    after = np.empty((3, dates, columns), dtype=np.int16)
    before = np.empty((3, columns), dtype=np.int16)
    count = np.empty(columns, dtype=np.int16)
    often = np.empty(columns, dtype=np.int64)
    flags = np.empty(columns, dtype=np.uint8)
    for row in range(rows):
        for band in range(3):
            _sorted_middle(values[at[band]], usable, row, network, lines, count, middle[band])
            _next_used(values[at[band]], usable, row, after[band])
        before[:] = _LAST
        often[:] = 0
        for date in range(dates):
            seen = usable[date, row]
            _may_depart(values[at[0], date, row], values[at[1], date, row], seen, middle, limits, flags)
            for column in range(columns):
                if flags[column] == 0 or count[column] < max(min_dates, 2):
                    continue
                here = (
                    values[at[0], date, row, column], values[at[1], date, row, column], values[at[2], date, row, column]
                )  # fmt: skip
                earlier = before[0, column], before[1, column], before[2, column]
                later = after[0, date, column], after[1, date, column], after[2, date, column]
                found = _judged(here, earlier, later, middle, column, limits)
                rim[0, date, row, column] = found & 1
                sure[0, date, row, column] = found >> 1 & 1
                rim[1, date, row, column] = found >> 2 & 1
                sure[1, date, row, column] = found >> 3 & 1
                often[column] += found >> 4
            for band in range(3):
                _renew(before[band], values[at[band], date, row], seen)
        for column in range(columns):
            if often[column] > 1:
                for date in range(dates):
                    sure[1, date, row, column] = 0
                    rim[1, date, row, column] = 0


@compiled
def _may_depart(blue: Int16, nir: Int16, seen: Flags, middle: Int16, limits: NDArray[np.float32], flags: Flags) -> None:
    """Flag the pixels of a line that a date may depart from, by one band each; few do, and only they are looked at."""
    veil, shade = limits[1], limits[4]
    for column in range(flags.size):
        bright = _reflectance(blue[column]) - _other(middle, 0, column, blue[column]) > veil
        dark = _reflectance(nir[column]) < shade * _other(middle, 1, column, nir[column])
        flags[column] = (seen[column] != 0) & (bright | dark)


@compiled
def _renew(last: Int16, values: Int16, seen: Flags) -> None:
    """Put a date's values in the place of those before it, where it is usable."""
    for column in range(last.size):
        last[column] = values[column] if seen[column] != 0 else last[column]


@compiled
def _sorted_middle(
    values: Int16, usable: Flags, row: int, network: NDArray[np.int64], lines: Int16, count: Int16, middle: Int16
) -> None:  # fmt: skip
    """Count the usable dates of a line's pixels, and give the four values among which the others' median lies."""
    dates, columns = lines.shape
    count[:] = 0
    last = np.int16(_LAST)
    for date in range(dates):
        source, seen, line = values[date, row], usable[date, row], lines[date]
        for column in range(columns):
            used = seen[column] != 0
            line[column] = source[column] if used else last
            count[column] += np.int16(used)
    _sort(lines, network)
    for column in range(columns):
        others = max(count[column] - 1, 0)
        for place in range(2):
            low = max(others - 1 + place, 0) // 2
            middle[2 * place, column] = lines[low, column]
            middle[2 * place + 1, column] = lines[low + 1, column] if low + 1 < dates else _LAST


@compiled
def _next_used(values: Int16, usable: Flags, row: int, after: Int16) -> None:
    """Give the value of the next usable date for every date of a line; _LAST where there is none."""
    dates, columns = after.shape
    following = np.full(columns, _LAST, dtype=np.int16)
    for back in range(dates):
        date = dates - 1 - back
        after[date] = following
        _renew(following, values[date, row], usable[date, row])


@compiled
def _judged(here: Date, earlier: Date, later: Date, middle: Int16, column: int, limits: NDArray[np.float32]) -> int:
    """Bits of one date: veiled possibly, certainly; shaded possibly, certainly; darker than the other dates."""
    blue, nir, swir16 = _reflectance(here[0]), _reflectance(here[1]), _reflectance(here[2])
    other_nir, other_swir16 = _other(middle, 1, column, here[1]), _other(middle, 2, column, here[2])
    added, below = blue - _other(middle, 0, column, here[0]), swir16 - other_swir16
    found = 0
    if added > limits[1] and added > limits[2] * below:
        found |= 1
        if added > limits[0] and _brighter(blue, swir16, earlier, limits) and _brighter(blue, swir16, later, limits):
            found |= 2
    if nir < limits[4] * other_nir and swir16 < limits[4] * other_swir16:
        # Ends of a pixel's dates are never shaded: what has just come looks the same.
        inside = earlier[0] != _LAST and later[0] != _LAST
        found |= 4 * inside
        if nir < limits[3] * other_nir and swir16 < limits[3] * other_swir16:
            found |= 16
            found |= 8 * (inside and _darker(nir, swir16, earlier, limits) and _darker(nir, swir16, later, limits))
    return found


@compiled
def _reflectance(value: Any) -> Any:
    return np.float32(value) * _TO_REFLECTANCE


@compiled
def _other(middle: Int16, band: int, column: int, value: Any) -> Any:
    """Median of the other dates: without its own value all that lies above it moves down by one place."""
    first = middle[band, 0, column] if middle[band, 0, column] < value else middle[band, 1, column]
    second = middle[band, 2, column] if middle[band, 2, column] < value else middle[band, 3, column]
    return (_reflectance(first) + _reflectance(second)) / np.float32(2.0)


@compiled
def _brighter(blue: Any, swir16: Any, other: Date, limits: NDArray[np.float32]) -> bool:
    """Whether a date is as white above another as cloud; true where there is no other."""
    if other[0] == _LAST:
        return True
    added = blue - _reflectance(other[0])
    return bool(added > limits[0] and added > limits[2] * (swir16 - _reflectance(other[2])))


@compiled
def _darker(nir: Any, swir16: Any, other: Date, limits: NDArray[np.float32]) -> bool:
    return bool(nir < limits[3] * _reflectance(other[1]) and swir16 < limits[3] * _reflectance(other[2]))


@compiled
def with_rim(sure: Flags, rim: Flags, reach_px: int, out: Flags) -> None:
    """Keep departures of more than a few single pixels (opened by a cross), and their rim within ``reach_px``."""
    rows, columns = sure.shape
    for row in range(rows):
        for column in range(columns):
            out[row, column] = 0
    for row in range(1, rows - 1):
        for column in range(1, columns - 1):
            if (
                sure[row, column] and sure[row - 1, column] and sure[row + 1, column]
                and sure[row, column - 1] and sure[row, column + 1]
            ):  # fmt: skip
                out[row, column] = out[row - 1, column] = out[row + 1, column] = 1
                out[row, column - 1] = out[row, column + 1] = 1
    for row in range(rows):
        for column in range(columns):
            if rim[row, column] and not out[row, column] and _near(out, row, column, reach_px):
                out[row, column] = 2
    for row in range(rows):
        for column in range(columns):
            out[row, column] = out[row, column] != 0


@compiled
def _near(core: Flags, row: int, column: int, reach_px: int) -> bool:
    rows, columns = core.shape
    for down in range(max(row - reach_px, 0), min(row + reach_px, rows - 1) + 1):
        for right in range(max(column - reach_px, 0), min(column + reach_px, columns - 1) + 1):
            if core[down, right] == 1 and (down - row) ** 2 + (right - column) ** 2 <= reach_px**2:
                return True
    return False
