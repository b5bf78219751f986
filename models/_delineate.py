"""Outline of one pile on one date: the contour half way between the pile and its own background.

A fixed threshold shrinks piles on bright ground by a sixth at one hectare; the half-way contour between
local levels is unbiased for a straight edge and a symmetric point spread (science 1.5, 1.7). Three things
still make it too small, and each is taken back by what causes it:

* pixels are 10 m wide and straight chords cut every bend: the contour is drawn on a smooth interpolation
  of the pixels;
* a blurred edge of curvature k lies ``k sigma^2 / 2`` too far inside; round any closed outline that adds up
  to ``pi sigma^2`` (its total turning is 2 pi), 82 m2 whatever the size of the pile: the outline is moved
  out by as much;
* near the edge, pile and background see each other's light: with the outline so far it is known how much,
  and both levels are freed of it, until outline and levels agree.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from models._contour import contours
from models._delineate_kernels import CORE, FREE, OWN, PSF_SIGMA_PX, SEEN, unmixed
from models._indices import Bands, Bool, Float32
from models._morphology import grown
from models._spline_kernels import FINE, magnified

OUTLINE_BANDS = ("blue", "green", "red", "nir")
"""The bands of 10 m pixels; 20 m bands detect but never delineate."""

_CORE_PX = 2
"""Depth inside the object from which pixels are free of the background's light (four sigma)."""
_MIN_CORE = 4
_REACH_PX = 3
"""How far beyond the object's mask the outline may lie."""
_MAX_CUT = 0.05
"""An outline that ends at the reach on more than this share of its length is not the pile's edge."""
_ROUNDS = 4
"""Times levels and outline are found from each other; more change the area by less than 0.1 %."""
_STEP = 0.25
"""Levels above and below the contour's that show whether the edge is symmetric."""
_BEND_PX2 = 2 * np.pi * (0.674 * PSF_SIGMA_PX) ** 2
"""Asymmetry that a closed outline's own bend makes: at these levels an edge lies 0.674 sigma off."""
_CLEAN_EXCESS_PX = 0.025
"""Asymmetry of piles without dust beyond that, 0.2 m on implants, is left alone."""
_HALO_GAIN = 1.7
_SHORT_PX, _LONG_PX = 12.0, 28.0
"""Of an outline this short noise alone looks like dust; from the longer length (0.5 ha) on the sign is trusted."""
_MAX_HALO_PX = 0.25
"""Dust moves the contour by 2 m on implants; much more is another thing beside the pile."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Outline:
    """One pile on one date; geometry in (column, row) of the window, pixel edges at whole numbers.

    Attributes
    ----------
    geometry : BaseGeometry
        Sub-pixel outline.
    pile_level, background_level : float
        Mean reflectance of the outline bands.
    contrast_sigma : float
        Separation of the two levels in standard deviations of the background about its local level.
    halo_px : float
        How far the contour was drawn in, pixels, because the ground beside the pile is part pile (dust).
    """

    geometry: BaseGeometry
    pile_level: float
    background_level: float
    contrast_sigma: float
    halo_px: float


@dataclass(frozen=True, eq=False)
class Place:
    """A pile's window, the same on every date of a year; arrays of its shape.

    Attributes
    ----------
    member : Bool
        Pixels of the pile by persistence.
    others : Bool
        Pixels of other dark things and of water.
    edge : Bool
        The pile and the pixels beside it: a date that does not show all of them does not show the pile whole.
    reach : Bool
        Where the outline may lie for its distance.
    role : NDArray[np.uint8]
        Bits of what a pixel is where it is seen: OWN, FREE, CORE of `_delineate_kernels`.
    """

    member: Bool
    others: Bool
    edge: Bool
    reach: Bool
    role: NDArray[np.uint8]


def place_of(member: Bool, others: Bool) -> Place:
    """Say what each pixel of a pile's window is.

    Parameters
    ----------
    member : Bool
        Shape (rows, columns): pixels of the pile by persistence.
    others : Bool
        Pixels of other dark things and of water: kept out of the background, and the outline keeps to its
        side of the middle between them and the pile.
    """
    if not member.any():
        nothing = np.zeros_like(member)
        return Place(member, others, nothing, nothing, np.zeros(member.shape, dtype=np.uint8))
    near = np.asarray(ndimage.distance_transform_edt(~member))
    reach = near <= _REACH_PX
    own = reach & (near <= np.asarray(ndimage.distance_transform_edt(~others))) if others.any() else reach
    # A mask of dark ground ends inside it: the next pixel is not yet free of it.
    free = ~ndimage.binary_dilation(others) & ~member
    role = SEEN + OWN * own.astype(np.uint8) + FREE * free.astype(np.uint8) + CORE * _core(member).astype(np.uint8)
    return Place(member, others, np.asarray(ndimage.binary_dilation(member)), reach, role.astype(np.uint8))


def outline(bands: Bands, clear: Bool, place: Place, level: float) -> Outline | None:
    """Outline a pile in a small window.

    Parameters
    ----------
    bands : Mapping[str, Float32]
        Reflectance of OUTLINE_BANDS, shape (rows, columns); NaN is no data.
    clear : Bool
        True where the date can be used.
    place : Place
        The pile's window.
    level : float
        Fraction at which the contour is drawn, 0.5 is half way.

    Returns
    -------
    Outline or None
        None when the date does not show the whole pile and enough background, when no contour meets the
        pile, or when the contour ends at its reach and not at a change of the ground.
    """
    pixels = np.array([bands[band] for band in OUTLINE_BANDS], dtype=np.float32)
    return outlines(pixels[np.newaxis], clear[np.newaxis], place, level)[0]


def outlines(pixels: Float32, clear: Bool, place: Place, level: float) -> list[Outline | None]:
    """Outline a pile on some dates, each as :func:`outline` does; takes about 300 bytes a pixel and date.

    Parameters
    ----------
    pixels : Float32
        Shape (dates, bands, rows, columns): reflectance of OUTLINE_BANDS; NaN is no data.
    clear : Bool
        Shape (dates, rows, columns).
    place : Place
    level : float
    """
    seen = clear & np.isfinite(pixels).all(axis=1)
    whole = ~(place.edge & ~seen).any(axis=(1, 2)) & place.edge.any()
    found: list[Outline | None] = [None] * len(pixels)
    shown = np.flatnonzero(whole)
    drawn = _outlines(pixels[shown], seen[shown], place, level) if shown.size else []
    for date, one in zip(shown, drawn, strict=True):
        found[date] = one
    return found


def _outlines(pixels: Float32, seen: Bool, place: Place, level: float) -> list[Outline | None]:
    """Outline a pile on dates that show it whole."""
    role = np.where(seen, place.role, np.uint8(0))
    levels = np.zeros((*pixels.shape[:2], 3))
    levels[:, :, 0] = np.median(pixels[:, :, (place.role & CORE) > 0], axis=2)
    values, enough = pixels.astype(np.float64), np.ones(len(pixels), dtype=bool)
    member = place.member.repeat(FINE, axis=0).repeat(FINE, axis=1)
    shape, fraction = np.repeat(member[np.newaxis], len(pixels), axis=0), np.zeros(seen.shape)
    fine = np.zeros(shape.shape)
    for _ in range(_ROUNDS):
        fraction, held = unmixed(values, shape, role, levels, level, enough)
        fine = magnified(held)
        shape = fine > level
    geometries, halos_px = _without_halo(fine, level, place.member)
    return [
        _judged(geometry, float(halo_px), levels[date], (fraction[date] > level) & seen[date], place)
        if enough[date]
        else None
        for date, (geometry, halo_px) in enumerate(zip(geometries, halos_px, strict=True))
    ]


def _judged(geometry: BaseGeometry, halo_px: float, levels: Float64, dark: Bool, place: Place) -> Outline | None:
    """Put an outline together; None where there is none, or where it ends at its reach."""
    if geometry.is_empty or _cut_px(dark & ~place.others, place.reach) > _MAX_CUT * geometry.length:
        return None
    pile, middle, sigma = levels.T
    contrast = float(np.linalg.norm(np.maximum(middle - pile, 0.0) / sigma))
    return Outline(geometry, float(pile.mean()), float(middle.mean()), contrast, halo_px)


def _core(member: Bool) -> Bool:
    """Return the pile's inner pixels; of a thin pile its deepest ones."""
    depth = np.asarray(ndimage.distance_transform_edt(member))
    deep = depth > _CORE_PX
    if deep.sum() >= _MIN_CORE:
        return deep
    ranked = np.sort(depth[member])
    return np.asarray(member & (depth >= ranked[-min(_MIN_CORE, ranked.size)]))


def _cut_px(dark: Bool, reach: Bool) -> int:
    """Pixels just beyond the reach in which the pile goes on."""
    return int(np.count_nonzero(grown(dark & reach) & dark & ~reach))


def _without_halo(fine: Float64, level: float, member: Bool) -> tuple[NDArray[np.object_], Float64]:
    """Contours of the pile, drawn in where dust round it has drawn them out.

    A sharp edge smeared by the point spread is symmetric: from the level a quarter below to this one the
    contour moves as far as from this one to a quarter above. Dust beside a pile moves the lower contours out
    and the upper ones hardly; what the lower step exceeds the upper by, less what clean piles show, is how far
    the contour lies too far out (found on implants with and without dust, docs/accuracy.md).

    Returns
    -------
    geometries : NDArray[np.object_]
        Shape (dates).
    moved_px : Float64
        Shape (dates): 0 where there is no sign of dust.
    """
    drawn = contours(fine, np.tile([level - _STEP, level, level + _STEP], (len(fine), 1)), member)
    geometries, (low, middle, high), length = drawn[:, 1], shapely.area(drawn).T, shapely.length(drawn[:, 1])
    known = (low > 0) & (middle > 0) & (high > 0)
    excess_px = ((low - middle) - (middle - high) - _BEND_PX2) / np.where(known, length, 1.0) - _CLEAN_EXCESS_PX
    trust = np.clip((length - _SHORT_PX) / (_LONG_PX - _SHORT_PX), 0.0, 1.0)
    moved_px = np.where(known, np.clip(trust * _HALO_GAIN * excess_px, 0.0, _MAX_HALO_PX), 0.0)
    dusty = np.flatnonzero(moved_px)
    if dusty.size:
        # Between the contours of two levels the edge moves evenly with the level.
        step = _STEP * moved_px * length / np.maximum(middle - high, 1e-6)
        levels = level + np.minimum(step[dusty], _STEP)
        geometries[dusty] = contours(fine[dusty], levels[:, np.newaxis], member)[:, 0]
    return geometries, moved_px
