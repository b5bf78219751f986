"""Quantiles of chosen pixels: values are counted by their upper bits, and sorted only where the quantile lies."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Bool = NDArray[np.bool_]
Float32 = NDArray[np.float32]
Bits = NDArray[np.uint32]

_HALF_BITS = np.uint32(16)
_SIGN = np.uint32(0x80000000)
_BINS = 1 << 16
_LARGEST = np.uint32(0xFFFFFFFF)


def quantile(values: Float32, chosen: Bool, share: float) -> float:
    """Quantile of the chosen values, linear between two of them as in :func:`numpy.quantile`.

    Parameters
    ----------
    values : Float32
        Any shape; not NaN where ``chosen``.
    chosen : Bool
        Same shape: True where a value counts.
    share : float
        0 to 1; 0.5 is the median.

    Returns
    -------
    float
        Rounded as float32; NaN where nothing is chosen.
    """
    number = int(np.count_nonzero(chosen))
    if number == 0:
        return float("nan")
    place = share * (number - 1)
    rank = int(place)
    keys = np.empty(chosen.size, dtype=np.uint32)
    counts = np.zeros(_BINS, dtype=np.int64)
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    _order(bits.ravel(), np.ascontiguousarray(chosen).ravel(), keys, counts)
    up_to = np.cumsum(counts)
    upper = int(np.searchsorted(up_to, rank, side="right"))
    alike = np.sort(keys[keys >> _HALF_BITS == upper])
    start = rank - int(up_to[upper] - counts[upper])
    low = _value(alike[start])
    if place == rank:
        return low
    high = _value(alike[start + 1] if start + 1 < counts[upper] else keys[keys >> _HALF_BITS > upper].min())
    return float(np.float32(low + (high - low) * (place - rank)))


@compiled
def _order(bits: Bits, chosen: Bool, keys: Bits, counts: NDArray[np.int64]) -> None:
    """Turn the bits of values into numbers ordered as the values are, and count those by their upper half.

    Parameters
    ----------
    bits : Bits
        Of float32, shape (pixels,).
    chosen : Bool
        Shape (pixels,).
    keys : Bits
        Result, shape (pixels,); what is not chosen is above all else.
    counts : NDArray[np.int64]
        Result, shape (65536,), 0 before.
    """
    for place in range(bits.size):
        turn = _LARGEST if bits[place] & _SIGN else _SIGN
        keys[place] = bits[place] ^ turn if chosen[place] else _LARGEST
    for place in range(bits.size):
        counts[keys[place] >> _HALF_BITS] += 1


def _value(key: np.uint32) -> float:
    """Return the value of a key."""
    return float((key ^ (_SIGN if key & _SIGN else _LARGEST)).view(np.float32))
