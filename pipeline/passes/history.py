"""What the years of a site say about each other: ground that lasts, ground bare in one year alone, shores.

A field that rotates, a logged patch or the shore of a reservoir is bare ground too. What tells them from
ground that was taken into use is the years around, and water (science 3.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from pipeline.passes.label import read_maps
from pipeline.types import PIXEL_M, Bool

_NEAR = np.ones((3, 3), dtype=bool)
"""An outline lies within a pixel of that of another year where nothing changed (science 3.4)."""

_LEAST_INVARIANT_PX = 100
"""One hectare: fewer pixels are a roof or two, which may be built anew."""


@dataclass(frozen=True)
class Years:
    """Maps of a site's years.

    Attributes
    ----------
    maps : Mapping[int, Path]
        Every year that has scenes.
    adequate : Sequence[int]
        Those with enough dates, in order: the others say nothing about ground that lasts.
    ever, shore : Path
        Maps of the site, shape (rows, columns): ground occupied in any year, and ground by water in any year.
    """

    maps: Mapping[int, Path]
    adequate: Sequence[int]
    ever: Path
    shore: Path


@dataclass(frozen=True)
class Lasting:
    """How the years beside the later of two judge its ground; shape (rows, columns), at most one is True.

    Attributes
    ----------
    kept : Bool
        Occupied in an adequate year beside it, and green in none of those that follow.
    passing : Bool
        Green again in one of the adequate years that follow.
    waiting : Bool
        No year confirms or refutes it yet.
    """

    kept: Bool
    passing: Bool
    waiting: Bool


def remember(maps: Mapping[int, Path], adequate: Sequence[int], work: Path, shore_m: float) -> Years:
    """Write what all years show together; no year, nothing written.

    Parameters
    ----------
    maps : Mapping[int, Path]
        Year to its maps.
    adequate : Sequence[int]
        Years with enough dates.
    work : Path
        Folder the maps are written to.
    shore_m : float
        How near to water of any year ground is shore, in metres.
    """
    years = Years(maps, sorted(adequate), work / "ever.npy", work / "shore.npy")
    if maps:
        read = [read_maps(maps[year]) for year in sorted(maps)]
        np.save(years.ever, np.any([one.ground[0] for one in read], axis=0))
        wet = np.any([one.wet for one in read], axis=0)
        far = ndimage.distance_transform_edt(~wet) * PIXEL_M if wet.any() else np.full(wet.shape, np.inf)
        np.save(years.shore, far <= shore_m)
    return years


def occupied(years: Years, year: int) -> tuple[Bool, Bool]:
    """Occupied ground of a year, and ground seen on enough dates."""
    with np.load(years.maps[year]) as arrays:
        return arrays["ground"][0], arrays["ground_seen"]


def occupied_until(years: Years, year: int) -> Bool:
    """Ground occupied in a year or in an adequate one before it."""
    before = [y for y in years.adequate if y < year]
    return np.asarray(np.any([occupied(years, y)[0] for y in (*before, year)], axis=0))


def lasting(years: Years, pair: tuple[int, int], follow: int) -> Lasting:
    """Judge the ground of the later year of a pair by the adequate years beside it.

    Parameters
    ----------
    years : Years
    pair : (int, int)
        Earlier and later year.
    follow : int
        How many of the adequate years after the later one must not show it green again.
    """
    earlier, later = pair
    between = [y for y in years.adequate if earlier < y < later][-1:]
    after = [y for y in years.adequate if y > later][:follow]
    shape = occupied(years, later)[0].shape
    kept, green = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for year in (*between, *after[:1]):
        kept |= _held(years, year)[0]
    for year in after:
        green |= _held(years, year)[1]
    return Lasting(kept & ~green, green, ~kept & ~green)


def alone(years: Years, year: int) -> tuple[Bool, Bool]:
    """Ground occupied in a year that an adequate year beside it shows green, and none occupied.

    Returns
    -------
    alone : Bool
        Seen green in at least one of the two years beside it, occupied in neither.
    cleared : Bool
        Seen green in the year before and in the year after: cleared for a year, or rotating.
    """
    beside = [[y for y in years.adequate if y < year][-1:], [y for y in years.adequate if y > year][:1]]
    ground = occupied(years, year)[0]
    held, green = np.zeros(ground.shape, dtype=bool), []
    for side in beside:
        for other in side:
            there, gone = _held(years, other)
            held |= there
            green.append(gone)
    single = ground & ~held & np.any([np.zeros_like(ground), *green], axis=0)
    both = np.logical_and(*green) if len(green) == len(beside) else np.zeros_like(ground)
    return single, ground & both


def invariant_levels(years: Years, dark_brightness: float) -> dict[int, float]:
    """Median brightness, in every adequate year, of the ground occupied in all of them and dark in none.

    Coal comes and goes where ground is dark. Empty where too little ground stays to say.
    """
    if not years.adequate:
        return {}
    read = {year: read_maps(years.maps[year]) for year in years.adequate}
    with np.errstate(invalid="ignore"):
        stays = np.all([one.ground[0] & (one.brightness >= dark_brightness) for one in read.values()], axis=0)
    if stays.sum() < _LEAST_INVARIANT_PX:
        return {}
    return {year: float(np.median(one.brightness[stays])) for year, one in read.items()}


def _held(years: Years, year: int) -> tuple[Bool, Bool]:
    """Ground occupied in a year or within a pixel of it, and ground seen that is neither."""
    ground, seen = occupied(years, year)
    near = np.asarray(ndimage.binary_dilation(ground, _NEAR))
    return near, seen & ~near
