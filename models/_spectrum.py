"""What an outlined object itself reflects in every band, freed of the ground beside it.

A pile of half a hectare has hardly a pure pixel in the 20 m bands, so its pixels cannot say what it is made
of. Its outline is known from the 10 m bands; with it each pixel's share of the object is known in every
band, and the object's level follows by least squares (local unmixing with known shares, science 1.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from models._indices import Bands, Bool
from models._spectrum_kernels import COARSE_PX, SHARP_PX, fitted

_SIGMA_PX: Mapping[str, float] = {
    "blue": SHARP_PX, "green": SHARP_PX, "red": SHARP_PX, "nir": SHARP_PX,
    "nir08": COARSE_PX, "swir16": COARSE_PX, "swir22": COARSE_PX,
}  # fmt: skip
_SHARED_PX: Mapping[float, float] = {SHARP_PX: 1.0, COARSE_PX: 4.0}
"""10 m pixels that share one pixel's noise."""
_NOISE = 0.004
"""Noise of one pixel (science 1.4)."""
_GAIN = 0.02
"""Relative error of a date's calibration and atmospheric correction, different in every band (science 1.6)."""


@dataclass(frozen=True)
class Levels:
    """Reflectance of an object in some bands and its standard error, by band."""

    value: Mapping[str, float]
    sigma: Mapping[str, float]


def object_levels(bands: Bands, seen: Bool, shape: BaseGeometry, others: Bool) -> Levels | None:
    """Reflectance of an outlined object.

    Parameters
    ----------
    bands : Mapping[str, Float32]
        Reflectance, shape (rows, columns); NaN is no data.
    seen : Bool
        True where the date can be used.
    shape : BaseGeometry
        Outline in (column, row), pixel edges at whole numbers.
    others : Bool
        Other dark things and water: not part of the background.

    Returns
    -------
    Levels or None
        None when there is too little background, or no pixel shows the object.
    """
    rings = shapely.get_rings(shapely.get_parts(shape))
    points, of_ring = shapely.get_coordinates(rings, return_index=True)
    ends = np.searchsorted(of_ring, np.arange(rings.size), side="right")
    pixels = np.array(list(bands.values()), dtype=np.float32)
    coarse = np.array([_SIGMA_PX[band] == COARSE_PX for band in bands])
    found, fits = fitted(pixels, coarse, seen & ~others, points, ends)
    if not found:
        return None
    levels = dict(zip(bands, (float(level) for level in fits[:, 0]), strict=True))
    return Levels(levels, {band: _sigma(band, *fit) for band, fit in zip(bands, fits.tolist(), strict=True)})


def _sigma(band: str, level: float, weight: float, mixed: float, deviation: float) -> float:
    """Give the standard error of a level: noise of the pixels, spread of the background, calibration."""
    noise = _NOISE * np.sqrt(_SHARED_PX[_SIGMA_PX[band]] / weight)
    return float(np.sqrt(noise**2 + (1.4826 * deviation * mixed) ** 2 + (_GAIN * level) ** 2))
