"""Quantiles of chosen pixels: values are counted by their upper bits, and sorted only where the quantile lies."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]
Bits = NDArray[np.uint32]

_HALF_BITS = np.uint32(16)
_SIGN = np.uint32(0x80000000)
_UPPER_SIGN = np.uint32(0x8000)
_BINS = 1 << 16
_LARGEST = np.uint32(0xFFFFFFFF)
_AT_ONCE = 1 << 12
"""Values whose keys are made before they are counted: what both loops touch stays in the processor."""


def quantile(values: Float32, chosen: Bool, share: float) -> float:
    """Return one of :func:`quantiles`."""
    return quantiles(values, chosen, (share,))[0]


def quantiles(values: Float32, chosen: Bool, shares: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of the chosen values, linear between two of them as in :func:`numpy.quantile`.

    Parameters
    ----------
    values : Float32
        Any shape; NaN is never chosen.
    chosen : Bool
        Same shape: True where a value counts.
    shares : sequence of float
        0 to 1; 0.5 is the median.

    Returns
    -------
    tuple of float
        Rounded as float32; NaN where nothing is chosen.
    """
    flat = np.ascontiguousarray(values, dtype=np.float32).ravel()
    of = flat, flat.view(np.uint32), np.ascontiguousarray(chosen).ravel()
    counts = np.zeros(_BINS, dtype=np.int64)
    _count(*of, counts)
    up_to = np.cumsum(counts)
    return tuple(_ranked(of, up_to, share * (int(up_to[-1]) - 1)) for share in shares)


def _ranked(of: tuple[Float32, Bits, Bool], up_to: NDArray[np.int64], place: float) -> float:
    """Value at a place in the order of the chosen values; NaN where there is none."""
    if not up_to[-1]:
        return float("nan")
    rank = int(place)
    at = int(np.searchsorted(up_to, rank, side="right"))
    low, start = _alike(of, up_to, at), rank - (int(up_to[at - 1]) if at else 0)
    lower = _value(low[start])
    if place == rank:
        return lower
    # The next value may be the least of a bin that follows.
    if start + 1 == low.size:
        low, start = _alike(of, up_to, int(np.searchsorted(up_to, rank + 1, side="right"))), -1
    beside = low[start + 1]
    return float(np.float32(lower + (_value(beside) - lower) * (place - rank)))


def _alike(of: tuple[Float32, Bits, Bool], up_to: NDArray[np.int64], at: int) -> Bits:
    """Keys of the chosen values of one bin, in order."""
    keys = np.empty(int(up_to[at]) - (int(up_to[at - 1]) if at else 0), dtype=np.uint32)
    _pick(*of, np.uint32(at), keys)
    keys.sort()
    return keys


@compiled
def _key(value: float, bits: int, chosen: bool) -> Any:
    """Return a number ordered as the values are, of the bits of one; above all else where it is not chosen, or NaN."""
    turn = _LARGEST if bits & _SIGN else _SIGN
    return np.uint32(bits ^ turn) if chosen and value == value else _LARGEST  # noqa: PLR0124 - NaN


@compiled
def _count(values: Float32, bits: Bits, chosen: Bool, counts: NDArray[np.int64]) -> None:
    """Count the chosen values by the upper half of their keys.

    Parameters
    ----------
    values, bits, chosen
        Shape (pixels,); ``bits`` are those of the values.
    counts : NDArray[np.int64]
        Result, shape (65536,), 0 before.
    """
    keys = np.empty(_AT_ONCE, np.uint32)
    for first in range(0, bits.size, _AT_ONCE):
        of_values, of_bits, of_chosen = values[first:], bits[first:], chosen[first:]
        number = min(_AT_ONCE, bits.size - first)
        for place in range(number):
            keys[place] = _key(of_values[place], of_bits[place], of_chosen[place])
        for place in range(number):
            counts[keys[place] >> _HALF_BITS] += 1
    # What is not chosen is above infinity, the only value of its bin and those that follow.
    counts[_BINS - 1] = 0


@compiled
def _pick(values: Float32, bits: Bits, chosen: Bool, upper: Any, keys: Bits) -> None:
    """Write the keys of the chosen values of one bin into ``keys``."""
    found = 0
    # The upper bits of the values themselves: few are looked at twice.
    own = upper ^ ((_SIGN if upper & _UPPER_SIGN else _LARGEST) >> _HALF_BITS)
    for place in range(bits.size):
        if bits[place] >> _HALF_BITS == own and chosen[place]:
            key = _key(values[place], bits[place], chosen[place])
            if key != _LARGEST:
                keys[found] = key
                found += 1


def _value(key: np.uint32) -> float:
    """Return the value of a key."""
    return float((key ^ (_SIGN if key & _SIGN else _LARGEST)).view(np.float32))
