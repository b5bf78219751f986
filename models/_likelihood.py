"""How probable coal is, given what an object reflects: likelihood of each material with its spread and noise.

Ratios of dark numbers are noisy and hard limits on them lose bright coal to keep dark asphalt out. Here every
material has a mean spectrum, a spread of brightness and a spread of colour, the errors of the measurement
are added, and the probability follows by Bayes (science 1.4). Tails are those of Student's t: no material is
as uniform as a normal distribution would have it.

Means are the rows of science 1.1. Coal is a model there, not a measurement.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

SPECTRUM_BANDS = ("blue", "green", "red", "nir", "nir08", "swir16", "swir22")


@dataclass(frozen=True)
class Material:
    """A material: mean reflectance in SPECTRUM_BANDS, spreads of ln reflectance, and how common it is.

    Attributes
    ----------
    spectrum : tuple of float
    brightness : float
        Spread common to all bands.
    colour : float
        Spread of each band.
    weight : float
        Share among dark lasting objects that are not coal; of coal, among ranks.
    """

    name: str
    spectrum: tuple[float, ...]
    brightness: float
    colour: float
    weight: float


_HARD = (
    Material("anthracite", (0.040, 0.041, 0.042, 0.0455, 0.046, 0.052, 0.055), 0.17, 0.06, 1.0),
    Material("semi-anthracite", (0.0417, 0.0434, 0.0454, 0.0502, 0.0511, 0.0631, 0.0670), 0.17, 0.06, 1.0),
    Material("low bituminous", (0.0433, 0.0457, 0.0488, 0.0553, 0.0566, 0.0757, 0.0815), 0.17, 0.06, 1.0),
    Material("bituminous", (0.045, 0.048, 0.052, 0.060, 0.062, 0.090, 0.098), 0.17, 0.06, 1.0),
    Material("high bituminous", (0.0466, 0.0511, 0.0569, 0.0692, 0.0717, 0.1113, 0.1222), 0.17, 0.06, 1.0),
)
_LIGNITE = (
    Material("sub-bituminous", (0.0466, 0.0511, 0.0569, 0.0692, 0.0717, 0.1113, 0.1222), 0.17, 0.06, 1.0),
    Material("lignite, dark", (0.0483, 0.0544, 0.0622, 0.0798, 0.0830, 0.1375, 0.1524), 0.17, 0.06, 1.0),
    Material("lignite", (0.050, 0.058, 0.068, 0.092, 0.096, 0.170, 0.190), 0.17, 0.06, 1.0),
)
COAL: Mapping[str, tuple[Material, ...]] = {"hard": _HARD, "lignite": _LIGNITE, "unknown": (*_HARD, *_LIGNITE)}
"""Coal by the rank a site's file gives; between the rows of science 1.1 interpolated in ln reflectance."""

OTHERS = (
    Material("clear water", (0.033, 0.038, 0.025, 0.020, 0.020, 0.019, 0.016), 0.25, 0.15, 1.0),
    Material("turbid water", (0.070, 0.065, 0.054, 0.030, 0.028, 0.010, 0.008), 0.3, 0.25, 1.0),
    Material("shadow on soil", (0.026, 0.027, 0.025, 0.022, 0.021, 0.011, 0.007), 0.3, 0.2, 1.0),
    Material("shadow on wood", (0.020, 0.026, 0.018, 0.065, 0.070, 0.030, 0.015), 0.3, 0.2, 1.0),
    Material("asphalt", (0.079, 0.084, 0.090, 0.098, 0.101, 0.131, 0.127), 0.2, 0.08, 2.0),
    Material("dark paving", (0.070, 0.074, 0.079, 0.084, 0.083, 0.063, 0.060), 0.2, 0.08, 0.5),
    Material("asphalt roof", (0.047, 0.051, 0.057, 0.077, 0.079, 0.122, 0.106), 0.2, 0.08, 2.0),
    Material("tar roof", (0.0255, 0.0252, 0.0248, 0.0242, 0.0241, 0.0268, 0.0271), 0.2, 0.08, 0.5),
    Material("felt roof", (0.038, 0.039, 0.042, 0.051, 0.053, 0.121, 0.127), 0.2, 0.08, 1.0),
    Material("char", (0.045, 0.054, 0.067, 0.076, 0.079, 0.185, 0.207), 0.25, 0.12, 1.0),
    Material("burnt ground", (0.028, 0.031, 0.037, 0.048, 0.050, 0.130, 0.182), 0.25, 0.12, 1.0),
    Material("wet soil", (0.050, 0.068, 0.088, 0.108, 0.112, 0.130, 0.105), 0.25, 0.12, 1.0),
    Material("dark spoil", (0.066, 0.081, 0.098, 0.124, 0.130, 0.186, 0.192), 0.2, 0.08, 2.0),
    Material("sparse plants", (0.045, 0.065, 0.070, 0.150, 0.160, 0.190, 0.140), 0.25, 0.15, 1.0),
    Material("wood", (0.025, 0.045, 0.030, 0.200, 0.220, 0.120, 0.060), 0.3, 0.2, 1.0),
)
"""What is dark and lasting and not coal. Magnetite is not among them: it cannot be told from anthracite."""

_FREEDOM = 6.0
_FLOOR = 0.004
_SCALE = (
    math.lgamma((_FREEDOM + len(SPECTRUM_BANDS)) / 2)
    - math.lgamma(_FREEDOM / 2)
    - len(SPECTRUM_BANDS) / 2 * math.log(_FREEDOM * math.pi)
)
"""Logarithm of what the density of Student's t is scaled by."""


def weigh(levels: Mapping[str, float], sigmas: Mapping[str, float], rank: str) -> tuple[float, str]:
    """Hold an object's reflectance against every material.

    Parameters
    ----------
    levels, sigmas : Mapping of str to float
        Reflectance of each of SPECTRUM_BANDS and its standard error.
    rank : str
        Key of COAL.

    Returns
    -------
    log_odds : float
        ``ln p(coal | levels) - ln p(not coal | levels)``, coal and the others taken as equally common, before
        calibration.
    likeliest : str
        Name of the material that explains the object best.
    """
    value = np.array([max(levels[band], _FLOOR) for band in SPECTRUM_BANDS])
    noise = np.array([sigmas[band] for band in SPECTRUM_BANDS]) / value
    log_value = np.log(value)
    coal, others = _log_density(log_value, noise, _TABLES[rank]), _log_density(log_value, noise, _TABLE_OF_OTHERS)
    log_odds = _mixture(coal, _TABLES[rank]) - _mixture(others, _TABLE_OF_OTHERS)
    materials = (*COAL[rank], *OTHERS)
    return log_odds, materials[int(np.argmax(np.concatenate([coal, others])))].name


@dataclass(frozen=True, eq=False)
class _Table:
    """Materials as arrays: ln reflectance, shape (materials, bands); variances and ln share, shape (materials, 1)."""

    log_spectrum: Float64
    brightness: Float64
    colour: Float64
    log_share: Float64


def _table(materials: Sequence[Material]) -> _Table:
    weight = np.array([[m.weight] for m in materials])
    return _Table(
        np.log([m.spectrum for m in materials]),
        np.array([[m.brightness**2] for m in materials]),
        np.array([[m.colour**2] for m in materials]),
        np.log(weight / weight.sum()),
    )


_TABLES: Mapping[str, _Table] = {rank: _table(materials) for rank, materials in COAL.items()}
_TABLE_OF_OTHERS = _table(OTHERS)


def _mixture(density: Float64, table: _Table) -> float:
    """Logarithm of the density of some materials together, each by its weight."""
    return float(np.logaddexp.reduce(density + table.log_share[:, 0]))


def _log_density(log_value: Float64, noise: Float64, table: _Table) -> Float64:
    """Density of Student's t with each material's spread and the measurement's noise."""
    away = log_value - table.log_spectrum
    own = table.colour + noise**2
    # Covariance own I + brightness^2 1 1': inverse and determinant by Sherman and Morrison.
    weight = away / own
    shared = table.brightness[:, 0]
    bottom = 1 + shared * (1 / own).sum(axis=1)
    distance = (away * weight).sum(axis=1) - shared * weight.sum(axis=1) ** 2 / bottom
    log_det = np.log(own).sum(axis=1) + np.log(bottom)
    d = log_value.size
    return np.asarray(_SCALE - log_det / 2 - (_FREEDOM + d) / 2 * np.log1p(distance / _FREEDOM))
