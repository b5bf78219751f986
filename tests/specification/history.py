"""Departures of dates from a pixel's own history, in plain numpy on reflectance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.history import HistoryRules
from pipeline.types import PIXEL_M, Bool, Float32

BANDS = ("blue", "nir", "swir16")
"""Bands the history is made of: cloud and haze show in blue, shadow in the other two."""

_WHITE = 0.8
"""Cloud and haze add at least this much blue for what they add to swir16; bare ground where coal was adds a quarter."""
_GROWN_M = 30.0
"""How far round a departure its rim is looked for: thin edges reach a few pixels beyond what is certain."""
_RIM = 0.5
"""Share of a limit that is enough within that distance."""
_STRIP_ROWS = 128
"""Rows worked on at once: sorted copies of all dates of a whole block would double its memory."""


@dataclass(frozen=True)
class _Reference:
    """What a date is held against: the median of the other dates, and the date before and after; NaN where none."""

    median: Mapping[str, Float32]
    before: Mapping[str, Float32]
    after: Mapping[str, Float32]


def sky_departures(
    dates: Sequence[Mapping[str, Float32]], usable: Bool, shadable: Bool, rules: HistoryRules
) -> tuple[Bool, Bool]:
    """Pixels and dates that look like sky against their own history.

    Veiled: brighter in blue than the median of the other usable dates and than both dates beside it, and as
    white as cloud. Shaded: darker in nir and swir16 than all three, where ``shadable``, on one date of the year
    alone: what is dark more often may be a pile that comes and goes. The first and the last date of a pixel have no
    date on one side and are never shaded, since a pile that has just come looks the same.

    Parameters
    ----------
    dates : sequence of Mapping[str, Float32]
        Reflectance of ``BANDS``, each of shape (rows, columns), in order of time.
    usable : Bool
        Shape (dates, rows, columns): what the mask of one date left.
    shadable : Bool
        Same shape: may lie in a cloud's shadow, and is not ground that is dark on most dates.
    rules : HistoryRules

    Returns
    -------
    veiled, shaded : Bool
        Shape (dates, rows, columns), True only where ``usable``.
    """
    sure = np.zeros((2, *usable.shape), dtype=bool)
    rim = np.zeros_like(sure)
    for start in range(0, usable.shape[1], _STRIP_ROWS):
        rows = slice(start, start + _STRIP_ROWS)
        strip = {
            b: np.where(usable[:, rows], np.stack([bands[b][rows] for bands in dates]), np.float32(np.nan))
            for b in BANDS
        }
        sure[:, :, rows], rim[:, :, rows] = _departures(strip, rules)
    sure[1] &= shadable
    rim[1] &= shadable
    veiled, shaded = (
        np.stack([_with_rim(s, r) for s, r in zip(sure[kind], rim[kind], strict=True)]) for kind in (0, 1)
    )
    return veiled & usable, shaded & usable


def _departures(strip: Mapping[str, Float32], rules: HistoryRules) -> tuple[Bool, Bool]:
    """Certain and possible departures, each of shape (veiled or shaded, dates, rows, columns)."""
    beside = {b: _beside(values) for b, values in strip.items()}
    reference = _Reference(
        {b: median_of_others(values) for b, values in strip.items()},
        {b: pair[0] for b, pair in beside.items()},
        {b: pair[1] for b, pair in beside.items()},
    )
    enough = np.isfinite(strip["blue"]).sum(axis=0) >= rules.min_dates
    first, last = (~np.isfinite(side["blue"]) for side in (reference.before, reference.after))
    veil, shade = rules.veil, rules.shade
    with np.errstate(invalid="ignore"):
        veiled = _veiled(strip, reference.median, veil)
        veiled &= (first | _veiled(strip, reference.before, veil)) & (last | _veiled(strip, reference.after, veil))
        shaded = _shaded(strip, reference.median, shade)
        alone = (shaded.sum(axis=0) <= 1) & ~first & ~last
        shaded &= alone & _shaded(strip, reference.before, shade) & _shaded(strip, reference.after, shade)
        rim = (
            _veiled(strip, reference.median, _RIM * veil),
            alone & _shaded(strip, reference.median, _RIM * shade),
        )
    return np.stack([veiled, shaded]) & enough, np.stack(rim) & enough


def _veiled(here: Mapping[str, Float32], there: Mapping[str, Float32], veil: float) -> Bool:
    blue, swir16 = here["blue"] - there["blue"], here["swir16"] - there["swir16"]
    return np.asarray((blue > veil) & (blue > _WHITE * swir16))


def _shaded(here: Mapping[str, Float32], there: Mapping[str, Float32], shade: float) -> Bool:
    left = np.float32(1.0 - shade)
    return np.asarray((here["nir"] < left * there["nir"]) & (here["swir16"] < left * there["swir16"]))


def median_of_others(stack: Float32) -> Float32:
    """Median over all other dates, for every date and pixel.

    Parameters
    ----------
    stack : Float32
        Shape (dates, rows, columns); NaN is not usable.

    Returns
    -------
    Float32
        Same shape; NaN where the date itself or every other one is NaN.
    """
    # NaN sorts to the end; one layer more, so that the place behind the last can be asked for.
    ordered = np.concatenate([np.sort(stack, axis=0), np.full((1, *stack.shape[1:]), np.nan, dtype=np.float32)])
    others = np.isfinite(stack).sum(axis=0) - 1
    total = np.zeros_like(stack)
    for place in (np.maximum(others - 1, 0) // 2, np.maximum(others, 0) // 2):
        below = np.take_along_axis(ordered, place[np.newaxis], axis=0)
        above = np.take_along_axis(ordered, place[np.newaxis] + 1, axis=0)
        # Without the date's own value all that lies above it moves down by one place.
        total += np.where(below < stack, below, above)
    return np.where(np.isfinite(stack), total / 2, np.float32(np.nan))


def _beside(stack: Float32) -> tuple[Float32, Float32]:
    """Value of the nearest usable date before and after each date; NaN where there is none."""
    return _last_before(stack), _last_before(stack[::-1])[::-1]


def _last_before(stack: Float32) -> Float32:
    out = np.empty_like(stack)
    last = np.full(stack.shape[1:], np.nan, dtype=np.float32)
    for place, values in enumerate(stack):
        out[place] = last
        last = np.where(np.isfinite(values), values, last)
    return out


def _with_rim(sure: Bool, rim: Bool) -> Bool:
    """Departures of more than a few single pixels, with their thin rim."""
    core: NDArray[np.bool_] = ndimage.binary_opening(sure)
    if not core.any():
        return core
    near = ndimage.distance_transform_edt(~core) * PIXEL_M <= _GROWN_M
    return np.asarray(core | (rim & near))
