"""Coal stockpiles: what stays dark through a year, the objects it makes, and how probable coal is.

Coal is dark and featureless; on one date asphalt, tar and shaded ground look like it (science 1.3-1.6). So a
pile is found in three steps: pixels that may be coal, dark, dry and bare as they are with the ground beside
them mixed in; ground where that holds on most clear dates of a year; and, once it is outlined, the
probability of coal given what the object itself reflects (models/_likelihood.py). What is measured is dark
bulk material that reflects as coal does.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from models import Model
from models._disk_kernels import within
from models._indices import Bands, Bool, Float32, difference_ratio, ndvi
from models._likelihood import SPECTRUM_BANDS, weigh
from models._patch_kernels import keep_patches

MODEL = Model(
    name="stockpile",
    version="2",
    measures="persistent dark bulk material that reflects as coal does",
    bands=("blue", "green", "red", "nir", "nir08", "swir16", "swir22"),
)

_EIGHT = np.ones((3, 3), dtype=bool)
_MIN_WATER_PX = 10


@dataclass(frozen=True)
class ScoreRules:
    """Limits of what may be coal on one date; reflectance 0-1, ratios -1 to 1."""

    brightness_max: float
    swir16_min: float
    swir16_max: float
    mndwi_max: float
    ndvi_max: float


def may_be_coal(bands: Bands, rules: ScoreRules) -> Bool:
    """Whether each pixel of one date may be mostly coal: dark, dry and bare.

    Wide on purpose: a pile of 0.2 ha has no pure pixel in the 20 m bands, and what an object is made of is
    asked once it is outlined.

    Parameters
    ----------
    bands : Mapping[str, Float32]
        Reflectance of blue, green, red, nir and swir16, all of one shape; NaN is no data.
    rules : ScoreRules

    Returns
    -------
    Bool
        False where any band is NaN.
    """
    bright = (bands["blue"] + bands["green"] + bands["red"] + bands["nir"]) / 4
    swir16 = bands["swir16"]
    with np.errstate(invalid="ignore"):
        dry = (swir16 > rules.swir16_min) & (difference_ratio(bands["green"], swir16) < rules.mndwi_max)
        bare = ndvi(bands) < rules.ndvi_max
        return np.asarray((bright < rules.brightness_max) & dry & (swir16 < rules.swir16_max) & bare)


@dataclass(frozen=True)
class Score:
    """How probable coal is, and the material that explains an object best."""

    probability: float
    material: str


def score(
    levels: Mapping[str, float], sigmas: Mapping[str, float], rank: str, calibration: tuple[float, float]
) -> Score:
    """Probability that an object is coal.

    Parameters
    ----------
    levels, sigmas : Mapping of str to float
        Reflectance of the object in every band of ``MODEL.bands`` and its standard error.
    rank : str
        ``hard``, ``lignite`` or ``unknown``; unknown looks for either.
    calibration : (float, float)
        Slope and shift of the logarithm of the odds, found on implants of other seeds and places than those
        accuracy is reported on (docs/accuracy.md).

    Raises
    ------
    KeyError
        A band is missing: without it coal is not told from what looks like it.
    """
    slope, shift = calibration
    log_odds, material = weigh(levels, sigmas, rank)
    odds = slope * log_odds + shift
    return Score(float(1 / (1 + np.exp(-np.clip(odds, -50, 50)))), material)


def looks_like_water(bands: Bands) -> Bool:
    """Whether each pixel of one date looks like water: MNDWI above 0 and hardly any swir16 (science 1.3)."""
    with np.errstate(invalid="ignore"):
        wet = difference_ratio(bands["green"], bands["swir16"]) > 0
        return np.asarray(wet & (bands["swir16"] < 0.05))  # noqa: PLR2004 - turbid water of science 1.1 stays below


def persistence_interval(hits: NDArray[np.int64], clear: NDArray[np.int64]) -> tuple[Float32, Float32, Float32]:
    """Share of clear dates that hit, with its 95 % Jeffreys interval (Brown, Cai and DasGupta 2001).

    Returns
    -------
    tuple of Float32
        Share, lower and upper bound; NaN where no date was clear.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(clear > 0, hits / np.maximum(clear, 1), np.nan)
    low = stats.beta.ppf(0.025, hits + 0.5, clear - hits + 0.5)
    high = stats.beta.ppf(0.975, hits + 0.5, clear - hits + 0.5)
    low = np.where(hits == 0, 0.0, low)
    high = np.where(hits == clear, 1.0, high)
    unseen = clear == 0
    low[unseen], high[unseen] = np.nan, np.nan
    return share.astype(np.float32), low.astype(np.float32), high.astype(np.float32)


@dataclass(frozen=True)
class ObjectRules:
    """How pixels become objects: hysteresis on persistence, a least size, and what is water."""

    seed: float
    grow: float
    min_px: int
    min_dates: int
    water_share_max: float
    shore_px: int


DARK, SEED, WET = 1, 2, 4
"""Marks of a pixel: what objects may grow over, what they must hold, and what is water on too many dates."""


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
    return objects_and_water(marks(share, clear, water_share, rules), rules)[0]


def marks(share: Float32, clear: NDArray[np.integer], water_share: Float32, rules: ObjectRules) -> NDArray[np.uint8]:
    """Say what every pixel is by itself: DARK, SEED and WET, added up; parameters as of :func:`detect`."""
    seen = clear >= rules.min_dates
    with np.errstate(invalid="ignore"):
        dark, seed = (seen & (share >= least) for least in (rules.grow, rules.seed))
        wet = water_share > rules.water_share_max
    return np.asarray(DARK * dark + SEED * seed + WET * wet, dtype=np.uint8)


def objects_and_water(marked: NDArray[np.uint8], rules: ObjectRules) -> tuple[Bool, Bool]:
    """Pixels of objects (:func:`detect`) and of water: what is wet, in a body of 0.1 ha or more.

    A lone wet pixel is no water: noise makes the darkest coal look like water on a few dates.

    Parameters
    ----------
    marked : NDArray[np.uint8]
        Of :func:`marks`, the whole map.
    rules : ObjectRules
    """
    water = (marked & WET) > 0
    keep_patches(water, water, _MIN_WATER_PX)
    land = ~within(water, rules.shore_px)
    objects = ((marked & DARK) > 0) & land
    keep_patches(objects, ((marked & SEED) > 0) & land, rules.min_px)
    return objects, water


def families(masks: Iterable[Bool]) -> tuple[NDArray[np.int32], int]:
    """Label piles through the years: what touches in any year is one family.

    Parameters
    ----------
    masks : iterable of Bool
        Of each year, shape (rows, columns): pixels of objects; one is held at a time.

    Returns
    -------
    labels : NDArray[np.int32]
        Shape (rows, columns), 0 outside every family; 8-connected.
    count : int

    Raises
    ------
    TypeError
        There is no year.
    """
    ever = functools.reduce(np.logical_or, masks)
    labels = np.empty(ever.shape, dtype=np.int32)
    count = ndimage.label(ever, structure=_EIGHT, output=labels)
    return labels, int(count)


__all__ = [
    "MODEL",
    "SPECTRUM_BANDS",
    "ObjectRules",
    "Score",
    "ScoreRules",
    "detect",
    "families",
    "looks_like_water",
    "marks",
    "may_be_coal",
    "objects_and_water",
    "persistence_interval",
    "score",
]
