"""Objects and water on joined maps, plainly: scipy's labels and distances."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models._indices import Bool, Float32
from models.stockpile import ObjectRules

_EIGHT = np.ones((3, 3), dtype=bool)
_MIN_WATER_PX = 10


def detect(share: Float32, clear: NDArray[np.integer], water_share: Float32, rules: ObjectRules) -> Bool:
    """Pixels of objects: connected ground of persistence ``grow`` that holds ``seed``, ``min_px`` at least.

    Ground seen on fewer than ``min_dates`` dates, or as water on more than ``water_share_max`` of them, is
    never part of an object, nor is ground within ``shore_px`` of such water: a pixel that holds half a
    bright quay and half the water beside it is as dark and flat as coal on every date.

    Parameters
    ----------
    share, water_share : Float32
        Share of clear dates that look like coal, like water; NaN unseen.
    clear : NDArray
        Number of clear dates.
    rules : ObjectRules
    """
    land = (clear >= rules.min_dates) & ~_widened(lasting_water(water_share, rules), rules.shore_px)
    with np.errstate(invalid="ignore"):
        grown = (share >= rules.grow) & land
        seeds = (share >= rules.seed) & land
    labels, count = ndimage.label(grown, structure=_EIGHT)
    if count == 0:
        return grown
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    seeded = np.zeros(count + 1, dtype=bool)
    seeded[np.unique(labels[seeds])] = True
    keep = seeded & (sizes >= rules.min_px)
    keep[0] = False
    return np.asarray(keep[labels])


def lasting_water(water_share: Float32, rules: ObjectRules) -> Bool:
    """Pixels of water: seen so on more than ``water_share_max`` of the dates, in a body of 0.1 ha or more.

    A lone pixel is none: noise makes the darkest coal look like water on a few dates.

    Parameters
    ----------
    water_share : Float32
        Share of clear dates that look like water; NaN unseen.
    rules : ObjectRules
    """
    with np.errstate(invalid="ignore"):
        wet = water_share > rules.water_share_max
    labels, count = ndimage.label(wet, structure=_EIGHT)
    large = np.bincount(labels.ravel(), minlength=count + 1) >= _MIN_WATER_PX
    large[0] = False
    return np.asarray(large[labels])


def _widened(mask: Bool, pixels: int) -> Bool:
    """Add the pixels within a distance of a mask to it."""
    if not mask.any() or pixels == 0:
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask) <= pixels, dtype=bool)
