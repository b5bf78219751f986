"""Spectra that implants and simulated ground are made of, and how each changes with the date.

Surface reflectance in the order of BANDS. Coal is a model: priors of science 1.1, between which rank is
interpolated. Confusers and ground are measured: rows of science 1.1, or splib07 of the USGS as Sentinel-2A
sees it (carbon black, seawater, Brick GDS355, Roofing_Felt GDS377, Asphalt GDS376, BurnArea WRF00), rounded;
spoil and wet soil are drawn between soil and coal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Spectrum = tuple[float, float, float, float, float, float, float]
Float64 = NDArray[np.float64]

BANDS = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")

COAL: tuple[Spectrum, Spectrum, Spectrum] = (
    (0.040, 0.041, 0.042, 0.0455, 0.046, 0.052, 0.055),
    (0.045, 0.048, 0.052, 0.060, 0.062, 0.090, 0.098),
    (0.050, 0.058, 0.068, 0.092, 0.096, 0.170, 0.190),
)
"""Anthracite, bituminous coal, lignite: ranks 0, 1 and 2."""
HARD_RANKS, LIGNITE_RANKS = (0.0, 1.3), (1.3, 2.0)
"""Ranks of piles at sites of hard coal and of lignite."""
COAL_BRIGHTNESS = (0.75, 1.35)
"""Factor of one pile on the spectrum of its rank (science 1.1)."""

Behaviour = Literal["lasting", "flooded", "glint", "fresh", "wetting", "shaded", "snowing"]
"""How a confuser shows through the dates of a year; see :func:`spectrum_on`."""


@dataclass(frozen=True)
class Confuser:
    """Something that is not coal and may look like it.

    Attributes
    ----------
    spectrum : Spectrum
        When it shows.
    behaviour : Behaviour
    size_m2 : tuple of float
        Smallest and largest.
    """

    spectrum: Spectrum
    behaviour: Behaviour
    size_m2: tuple[float, float]


CONFUSERS: Mapping[str, Confuser] = {
    "clear water": Confuser((0.033, 0.038, 0.025, 0.020, 0.020, 0.019, 0.016), "lasting", (3e3, 4e4)),
    "turbid water": Confuser((0.070, 0.065, 0.054, 0.030, 0.028, 0.008, 0.006), "lasting", (3e3, 4e4)),
    "water with glint": Confuser((0.033, 0.038, 0.025, 0.020, 0.020, 0.019, 0.016), "glint", (3e3, 4e4)),
    "flooded pit": Confuser((0.050, 0.058, 0.060, 0.066, 0.068, 0.085, 0.075), "flooded", (3e3, 3e4)),
    "cast shadow": Confuser((0.22, 0.16, 0.11, 0.07, 0.065, 0.025, 0.015), "shaded", (3e3, 3e4)),
    "asphalt yard": Confuser((0.079, 0.084, 0.090, 0.098, 0.101, 0.131, 0.127), "lasting", (3e3, 3e4)),
    "asphalt roof": Confuser((0.047, 0.051, 0.057, 0.077, 0.079, 0.122, 0.106), "lasting", (1e3, 1.2e4)),
    "fresh tar roof": Confuser((0.0255, 0.0252, 0.0248, 0.0242, 0.0241, 0.0268, 0.0271), "lasting", (1e3, 1.2e4)),
    "felt roof": Confuser((0.0384, 0.0393, 0.0421, 0.0508, 0.0528, 0.1213, 0.127), "lasting", (1e3, 1.2e4)),
    "burnt ground": Confuser((0.0289, 0.0337, 0.0415, 0.0561, 0.059, 0.1531, 0.2084), "fresh", (3e3, 4e4)),
    "wet soil": Confuser((0.050, 0.068, 0.088, 0.108, 0.112, 0.125, 0.100), "wetting", (3e3, 4e4)),
    "dark spoil": Confuser((0.066, 0.081, 0.098, 0.124, 0.130, 0.186, 0.192), "lasting", (3e3, 4e4)),
    "magnetite": Confuser((0.045, 0.046, 0.047, 0.049, 0.050, 0.058, 0.062), "lasting", (2e3, 2e4)),
    "snow patch": Confuser((0.83, 0.83, 0.82, 0.76, 0.75, 0.10, 0.08), "snowing", (3e3, 4e4)),
}
"""Everything science 1.3 warns of. ``cast shadow`` is the share of light that is left, not a reflectance."""

GROUND: Mapping[str, tuple[Spectrum, Spectrum]] = {
    # In leaf or wet, and out of leaf or dry.
    "forest": ((0.028, 0.052, 0.030, 0.340, 0.360, 0.170, 0.080), (0.048, 0.066, 0.082, 0.165, 0.185, 0.225, 0.150)),
    "crop": ((0.040, 0.075, 0.042, 0.360, 0.380, 0.200, 0.100), (0.085, 0.115, 0.145, 0.215, 0.235, 0.300, 0.240)),
    "grass": ((0.050, 0.080, 0.065, 0.270, 0.290, 0.240, 0.150), (0.082, 0.122, 0.169, 0.240, 0.257, 0.331, 0.235)),
    "soil": ((0.100, 0.140, 0.190, 0.245, 0.260, 0.330, 0.290), (0.110, 0.152, 0.205, 0.262, 0.278, 0.355, 0.315)),
    "gravel": ((0.120, 0.140, 0.160, 0.180, 0.183, 0.210, 0.200), (0.120, 0.140, 0.160, 0.180, 0.183, 0.210, 0.200)),
    "concrete": ((0.218, 0.248, 0.292, 0.315, 0.313, 0.338, 0.338), (0.218, 0.248, 0.292, 0.315, 0.313, 0.338, 0.338)),
}
YARDS = ("soil", "gravel", "concrete")
"""Ground that people store coal on."""


def coal_spectrum(rank: float, brightness: float) -> Float64:
    """Spectrum of coal of a rank between 0 (anthracite) and 2 (lignite), shape (7,)."""
    low = min(int(rank), len(COAL) - 2)
    first, second = (np.log(COAL[low + i]) for i in range(2))
    return np.asarray(brightness * np.exp(first + (rank - low) * (second - first)))


def in_leaf(day_of_year: int, shift_days: float) -> float:
    """Share of leaf of a plant cover, 0-1; fields differ in time by ``shift_days``."""
    rise = 1 / (1 + np.exp(-(day_of_year - 135 - shift_days) / 9.0))
    fall = 1 / (1 + np.exp((day_of_year - 280 - shift_days) / 9.0))
    return float(rise * fall)


def ground_spectrum(name: str, day_of_year: int, shift_days: float = 0.0) -> Float64:
    """Spectrum of a kind of ground on a day, shape (7,)."""
    leaf, bare = (np.asarray(s) for s in GROUND[name])
    share = in_leaf(day_of_year, shift_days)
    return np.asarray(share * leaf + (1 - share) * bare)


def shows_on(behaviour: Behaviour, day_of_year: int, rng: np.random.Generator) -> float:  # noqa: PLR0911 - a table
    """How much of a confuser shows on a date, 0-1; below 0 by how much sun glint brightens water.

    ``rng`` is the object's own on that date. A flooded pit is under water on half of the dates, dark mud on
    the others, so that its median over a year is dark and flat; burnt ground shows for two months of spring;
    soil is wet on two dates of five; shadow lasts while the sun is low; snow lies on early April dates.
    """
    if behaviour == "flooded":
        return float(rng.random() < 0.5)  # noqa: PLR2004
    if behaviour == "glint":
        return -float(rng.uniform(0.0, 0.05)) if rng.random() < 0.4 else 0.0  # noqa: PLR2004
    if behaviour == "fresh":
        return 1.0 if day_of_year < 155 else 0.0  # noqa: PLR2004
    if behaviour == "wetting":
        return float(rng.random() < 0.4)  # noqa: PLR2004
    if behaviour == "shaded":
        return 1.0 if abs(day_of_year - 172) > 40 else 0.6  # noqa: PLR2004
    if behaviour == "snowing":
        return 1.0 if day_of_year < 101 else 0.0  # noqa: PLR2004
    return 1.0
