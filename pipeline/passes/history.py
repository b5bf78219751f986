"""What the years of a site say about each other: ground that lasts, ground bare in one year alone, shores.

A field that rotates, a logged patch or the shore of a reservoir is bare ground too. What tells them from
ground that was taken into use is the years around, and water (science 3.4).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models._disk_kernels import within
from models._morphology import grown, shrunk
from pipeline.maps import read_map, write_map
from pipeline.types import PIXEL_M, Bool

Window = tuple[slice, slice]
_END = 2**31
EVERYWHERE: Window = (slice(0, _END), slice(0, _END))
"""The window that holds any map; slices end where the map does."""
_STRIP_PX = 512
"""Rows that are worked on at once, so that memory does not grow with the years of a large site."""

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
        shape = _shape(maps)
        bed, ever = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for at in strips(shape[0]):
            wet, dry = np.zeros_like(bed[at]), np.zeros_like(bed[at])
            for folder in maps.values():
                seen, water = read_map(folder, "ground_seen", at), read_map(folder, "wet", at)
                wet |= seen & water
                dry |= seen & ~water
                ever[at] |= read_map(folder, "ground", (0, *at))
            bed[at] = wet & dry
        # Mixed pixels of a steady bank are now water, now ground: lines narrower than three pixels are no shore.
        shore = within(grown(shrunk(bed, corners=True), corners=True), shore_m / PIXEL_M)
        write_map(work, "shore", shore)
        write_map(work, "ever", ever & ~shore)
    return years


def strips(height: int) -> Iterator[Window]:
    """Windows of whole rows that part a map."""
    for start in range(0, height, _STRIP_PX):
        yield slice(start, min(start + _STRIP_PX, height)), slice(0, _END)


def read_site_map(path: Path, at: Window = EVERYWHERE) -> NDArray[Any]:
    """Return a window of a map of the whole site, ``Years.ever`` or ``Years.shore``."""
    return read_map(path.parent, path.stem, at)


def occupied(years: Years, year: int, at: Window = EVERYWHERE) -> tuple[Bool, Bool]:
    """Occupied ground of a year without shore, which is occupied in none, and ground seen on enough dates."""
    ground = read_map(years.maps[year], "ground", (0, *at))
    return ground & ~read_site_map(years.shore, at), read_map(years.maps[year], "ground_seen", at)


def bared_shore(years: Years, pair: tuple[int, int], at: Window = EVERYWHERE) -> Bool:
    """Shore that is bare in the later of two years and was not in the earlier."""
    before, after = (read_map(years.maps[year], "ground", (0, *at)) for year in pair)
    seen = read_map(years.maps[pair[0]], "ground_seen", at)
    return np.asarray(read_site_map(years.shore, at) & seen & after & ~before)


def occupied_until(years: Years, year: int, at: Window = EVERYWHERE) -> Bool:
    """Ground occupied in a year or in an adequate one before it."""
    before = [y for y in years.adequate if y < year]
    return np.asarray(np.any([occupied(years, y, at)[0] for y in (*before, year)], axis=0))


def lasting(years: Years, pair: tuple[int, int], follow: int, at: Window = EVERYWHERE) -> Lasting:
    """Judge the ground of the later year of a pair by the adequate years beside it.

    Parameters
    ----------
    years : Years
    pair : (int, int)
        Earlier and later year.
    follow : int
        How many of the adequate years after the later one must not show it green again.
    at : tuple of slice, optional
        The window that is judged.
    """
    earlier, later = pair
    between = [y for y in years.adequate if earlier < y < later][-1:]
    after = [y for y in years.adequate if y > later][:follow]
    shape = read_site_map(years.shore, at).shape
    kept, green = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for year in (*between, *after[:1]):
        kept |= _held(years, year, at)[0]
    for year in after:
        green |= _held(years, year, at)[1]
    return Lasting(kept & ~green, green, ~kept & ~green)


def brief(years: Years, year: int, at_most: int, at: Window = EVERYWHERE) -> tuple[Bool, Bool]:
    """Ground of a year that is bare in a short run of adequate years, green before and after.

    Parameters
    ----------
    years : Years
    year : int
    at_most : int
        Longest run of adequate years that is brief; at either end of the series, where one side is not known,
        a run of one year.
    at : tuple of slice, optional
        The window that is judged.

    Returns
    -------
    doubtful : Bool
        Bare in such a run.
    cleared : Bool
        The part of it that is seen green on both sides: cleared, logged or rotating.
    """
    ground = occupied(years, year, at)[0]
    doubtful, cleared = np.zeros_like(ground), np.zeros_like(ground)
    if year not in years.adequate or len(years.adequate) == 1:
        return doubtful, cleared
    here, end = list(years.adequate).index(year), len(years.adequate)
    near = {y: _held(years, y, at) for y in years.adequate[max(here - at_most, 0) : here + at_most + 1]}
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
    levels: dict[int, list[NDArray[np.float32]]] = {year: [] for year in years.adequate}
    for at in strips(_shape(years.maps)[0]):
        brightness = {year: read_map(years.maps[year], "brightness", at) for year in years.adequate}
        with np.errstate(invalid="ignore"):
            bright = [level >= dark_brightness for level in brightness.values()]
        ground = [read_map(years.maps[year], "ground", (0, *at)) for year in years.adequate]
        stays = np.logical_and.reduce([*bright, *ground])
        for year, level in brightness.items():
            levels[year].append(level[stays])
    if sum(part.size for part in levels[years.adequate[0]]) < _LEAST_INVARIANT_PX:
        return {}
    return {year: float(np.median(np.concatenate(parts))) for year, parts in levels.items()}


def _shape(maps: Mapping[int, Path]) -> tuple[int, int]:
    """(rows, columns) of the maps of any year."""
    rows, columns = np.load(next(iter(maps.values())) / "wet.npy", mmap_mode="r").shape
    return rows, columns


def _held(years: Years, year: int, at: Window) -> tuple[Bool, Bool]:
    """Ground occupied in a year or within a pixel of it, and ground seen that is neither.

    An outline lies within a pixel of that of another year where nothing changed (science 3.4).
    """
    before = tuple(min(span.start, 1) for span in at)
    wide = tuple(slice(span.start - off, span.stop + 1) for span, off in zip(at, before, strict=True))
    ground = occupied(years, year, (wide[0], wide[1]))[0]
    seen = read_map(years.maps[year], "ground_seen", at)
    near = grown(ground, corners=True)[before[0] :, before[1] :][: seen.shape[0], : seen.shape[1]]
    return near, seen & ~near
