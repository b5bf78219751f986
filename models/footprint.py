"""Occupied ground: what stays without vegetation through the growing season (science 3.4).

A fence is not visible at 10 m; this is the extent of bare, mined and built ground, not a security line.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models import Model
from models._indices import Bool, Float32

MODEL = Model(
    name="footprint",
    version="1",
    measures="persistent non-vegetated ground",
    bands=("blue", "green", "red", "nir", "nir08", "swir16"),
)

CLASSES = ("bare_or_built", "dark_ground")
"""Bare and built ground are not told apart without radar; dark ground is spoil, coal or tar."""


@dataclass(frozen=True)
class FootprintRules:
    """Limits of the footprint; reflectance 0-1."""

    ndvi_max: float
    bare_share: float
    water_share_max: float
    dark_brightness: float
    min_px: int
    min_dates: int


@dataclass(frozen=True)
class SeasonLayers:
    """What one growing season shows of every pixel, shape (rows, columns).

    Attributes
    ----------
    ndvi_max : Float32
        Largest NDVI of the clear dates; NaN unseen.
    bare_share, water_share : Float32
        Share of clear dates below the NDVI limit, and looking like water; NaN unseen.
    brightness : Float32
        Median brightness; NaN unseen.
    clear : NDArray
        Number of clear dates.
    """

    ndvi_max: Float32
    bare_share: Float32
    water_share: Float32
    brightness: Float32
    clear: NDArray[np.integer]


def measure(season: SeasonLayers, rules: FootprintRules) -> Bool:
    """Pixels of occupied ground; True needs ``min_dates`` clear dates.

    Crops are green at some time of the season, permanent bare ground never is: the largest NDVI stays
    below ``ndvi_max`` and the ground is bare on ``bare_share`` of the dates. Opened and closed by one
    pixel, patches below ``min_px`` left out.
    """
    with np.errstate(invalid="ignore"):
        bare = (
            (season.ndvi_max < rules.ndvi_max)
            & (season.bare_share >= rules.bare_share)
            & ~(season.water_share > rules.water_share_max)
            & (season.clear >= rules.min_dates)
        )
    smooth = ndimage.binary_closing(ndimage.binary_opening(bare)) & (season.clear >= rules.min_dates)
    labels, count = ndimage.label(smooth, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes >= rules.min_px
    keep[0] = False
    return np.asarray(keep[labels])


def classes(footprint: Bool, season: SeasonLayers, rules: FootprintRules) -> dict[str, Bool]:
    """Split occupied ground into CLASSES by its median brightness."""
    with np.errstate(invalid="ignore"):
        dark = footprint & (season.brightness < rules.dark_brightness)
    return {"bare_or_built": footprint & ~dark, "dark_ground": dark}
