"""Dates on which a pixel departs from its own history of the year as under cloud, haze or shadow. Pure.

A mask of one date misses thin cloud, haze and one shadow in five; the other dates of the pixel know better.
What departs alone in time is sky; what another date shares is a change of the ground: a pile that comes, grows
or goes is never dropped for that (science 2.3).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.dates import departures, sorting_network, with_rim
from pipeline.types import PIXEL_M, Bool

BANDS = ("blue", "nir", "swir16")
"""Bands the history is made of: cloud and haze show in blue, shadow in the other two."""
REACH_PX = 6
"""No departure depends on pixels farther away: opening reaches two, the rim three more."""

_WHITE = 0.8
"""Cloud and haze add at least this much blue for what they add to swir16; bare ground where coal was adds a quarter."""
_GROWN_M = 30.0
"""How far round a departure its rim is looked for: thin edges reach a few pixels beyond what is certain."""
_RIM = 0.5
"""Share of a limit that is enough within that distance."""


@dataclass(frozen=True)
class HistoryRules:
    """When a departure counts.

    Attributes
    ----------
    min_dates : int
        Usable dates a pixel needs; with fewer nothing is dropped.
    veil : float
        Blue reflectance above the other dates' that is cloud or haze.
    shade : float
        Share of nir and of swir16 that must be missing for shadow, 0-1.
    """

    min_dates: int
    veil: float
    shade: float


def sky_departures(
    values: NDArray[np.int16], at: tuple[int, int, int], usable: Bool, shadable: Bool, rules: HistoryRules
) -> tuple[Bool, Bool]:
    """Pixels and dates that look like sky against their own history.

    Veiled: brighter in blue than the median of the other usable dates and than both dates beside it, and as
    white as cloud. Shaded: darker in nir and swir16 than all three, where ``shadable``, on one date of the year
    alone: what is dark more often may be a pile that comes and goes. The first and the last date of a pixel have no
    date on one side and are never shaded, since a pile that has just come looks the same. Departures of a few single
    pixels are none; others take their thin rim along.

    Parameters
    ----------
    values : NDArray[np.int16]
        Reflectance in 0.0001, shape (bands, dates, rows, columns), in order of time.
    at : (int, int, int)
        Which of the bands are ``BANDS``.
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
    sure = np.zeros((2, *usable.shape), dtype=np.uint8)
    rim = np.zeros_like(sure)
    veil, shade = rules.veil, rules.shade
    limits = np.array([veil, _RIM * veil, _WHITE, 1.0 - shade, 1.0 - _RIM * shade], dtype=np.float32)
    network = sorting_network(len(usable))
    departures(values, np.array(at), usable.view(np.uint8), rules.min_dates, limits, network, sure, rim)
    may = shadable.view(np.uint8)
    sure[1] &= may
    rim[1] &= may
    found = np.zeros_like(sure)
    for kind, date in np.argwhere(sure.any(axis=(2, 3))):
        with_rim(sure[kind, date], rim[kind, date], round(_GROWN_M / PIXEL_M), found[kind, date])
    veiled, shaded = (found & usable.view(np.uint8)).view(bool)
    return veiled, shaded
