"""What the years of a site say about each other: ground that lasts, ground bare in one year alone, shores.

A field that rotates, a logged patch or the shore of a reservoir is bare ground too. What tells them from
ground that was taken into use is the years around, and water (science 3.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from pipeline.maps import read_map
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
        Maps of the site, shape (rows, columns): ground occupied in any year, and shore (:func:`remember`).
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

    Shore is ground that was water in one year and seen dry in another, and what lies within ``shore_m`` of it:
    the bed of a reservoir or a river that moves. Quays and banks of steady water are none.

    Parameters
    ----------
    maps : Mapping[int, Path]
        Year to its maps.
    adequate : Sequence[int]
        Years with enough dates.
    work : Path
        Folder the maps are written to.
    shore_m : float
        In metres.
    """
    years = Years(maps, sorted(adequate), work / "ever.npy", work / "shore.npy")
    if maps:
        read = [read_maps(maps[year]) for year in sorted(maps)]
        wet, dry = (np.any([m.ground_seen & (m.wet == state) for m in read], axis=0) for state in (True, False))
        # Mixed pixels of a steady bank are now water, now ground: lines narrower than three pixels are no shore.
        bed = ndimage.binary_opening(wet & dry, _NEAR)
        far_m = ndimage.distance_transform_edt(~bed) * PIXEL_M if bed.any() else np.full(bed.shape, np.inf)
        shore = far_m <= shore_m
        np.save(years.shore, shore)
        np.save(years.ever, np.any([one.ground[0] for one in read], axis=0) & ~shore)
    return years


def occupied(years: Years, year: int) -> tuple[Bool, Bool]:
    """Occupied ground of a year without shore, which is occupied in none, and ground seen on enough dates."""
    ground = read_map(years.maps[year], "ground", (0, slice(None), slice(None)))
    return ground & ~np.load(years.shore), read_map(years.maps[year], "ground_seen")


def bared_shore(years: Years, pair: tuple[int, int]) -> Bool:
    """Shore that is bare in the later of two years and was not in the earlier."""
    before, after = (read_maps(years.maps[year]) for year in pair)
    return np.asarray(np.load(years.shore) & before.ground_seen & after.ground[0] & ~before.ground[0])


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


def brief(years: Years, year: int, at_most: int) -> tuple[Bool, Bool]:
    """Ground of a year that is bare in a short run of adequate years, green before and after.

    Parameters
    ----------
    years : Years
    year : int
    at_most : int
        Longest run of adequate years that is brief; at either end of the series, where one side is not known,
        a run of one year.

    Returns
    -------
    doubtful : Bool
        Bare in such a run.
    cleared : Bool
        The part of it that is seen green on both sides: cleared, logged or rotating.
    """
    ground = occupied(years, year)[0]
    doubtful, cleared = np.zeros_like(ground), np.zeros_like(ground)
    if year not in years.adequate or len(years.adequate) == 1:
        return doubtful, cleared
    here, end = list(years.adequate).index(year), len(years.adequate)
    near = {y: _held(years, y) for y in years.adequate[max(here - at_most, 0) : here + at_most + 1]}
    for first in range(max(here - at_most + 1, 0), here + 1):
        for after in range(here + 1, min(first + at_most, end) + 1):
            sides = [near[years.adequate[n]][1] for n in (first - 1, after) if 0 <= n < end]
            held = [near[y][0] for y in years.adequate[first:after]]
            bared = ground & np.all([*held, *sides], axis=0)
            if len(sides) > 1:
                cleared |= bared
            elif after - first == 1:
                doubtful |= bared
    return doubtful | cleared, cleared


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
