"""The outline of a pile in plain numpy, scipy, scikit-image and shapely: what `models/_delineate.py` must give."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from skimage.measure import find_contours

from models._indices import Bands, Bool, Float32

OUTLINE_BANDS = ("blue", "green", "red", "nir")

_PSF_SIGMA_PX = 0.51
_CORE_PX = 2
_RING_PX = (2.0, 4.5)
_SMOOTH_PX = 1.5
_REACH_PX = 3
_MAX_CUT = 0.05
_MIN_RING = 12
_MIN_CORE = 4
_FINE = 3
_ROUNDS = 4
_STEP = 0.25
_BEND_PX2 = 2 * np.pi * (0.674 * _PSF_SIGMA_PX) ** 2
_CLEAN_EXCESS_PX = 0.025
_HALO_GAIN = 1.7
_SHORT_PX, _LONG_PX = 12.0, 28.0
_MAX_HALO_PX = 0.25
_NOISE = 0.004

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Outline:
    geometry: BaseGeometry
    pile_level: float
    background_level: float
    contrast_sigma: float
    halo_px: float


def outline(bands: Bands, clear: Bool, member: Bool, others: Bool, level: float) -> Outline | None:
    seen = clear & np.all([np.isfinite(bands[band]) for band in OUTLINE_BANDS], axis=0)
    if not member.any() or (ndimage.binary_dilation(member) & ~seen).any():
        return None
    near = np.asarray(ndimage.distance_transform_edt(~member))
    own = seen & (near <= _REACH_PX)
    if others.any():
        own &= near <= np.asarray(ndimage.distance_transform_edt(~others))
    # A mask of dark ground ends inside it: the next pixel is not yet free of it.
    free = seen & ~ndimage.binary_dilation(others) & ~member
    core = _core(member)
    piles = {band: float(np.median(bands[band][core])) for band in OUTLINE_BANDS}
    shape = np.asarray(member.repeat(_FINE, axis=0).repeat(_FINE, axis=1))
    fraction, fine = np.zeros(seen.shape), np.zeros(shape.shape)
    grounds: dict[str, _Ground] = {}
    for _ in range(_ROUNDS):
        share = _share(shape)
        ring = _ring(share >= level) & free
        if ring.sum() < _MIN_RING:
            return None
        grounds = {band: _ground((bands[band] - share * piles[band]) / (1 - share), ring) for band in OUTLINE_BANDS}
        piles = {band: _pile(bands[band], grounds[band], np.maximum(share, level), core) for band in OUTLINE_BANDS}
        fraction = _fraction(bands, grounds, piles)
        fine = _interpolated(fraction, own, seen)
        shape = fine > level
    geometry, halo_px = _without_halo(fine, level, member)
    cut = _cut_px((fraction > level) & seen & ~others, near <= _REACH_PX)
    if geometry.is_empty or cut > _MAX_CUT * geometry.length:
        return None
    gaps = [max(grounds[band].middle - piles[band], 0.0) / grounds[band].sigma for band in OUTLINE_BANDS]
    middles = [grounds[band].middle for band in OUTLINE_BANDS]
    pile_level = float(np.mean(list(piles.values())))
    return Outline(geometry, pile_level, float(np.mean(middles)), float(np.linalg.norm(gaps)), halo_px)


@dataclass(frozen=True)
class _Ground:
    """Background of one band: its level near each pixel, its median, and its spread about the level."""

    level: Float64
    middle: float
    sigma: float


def _core(member: Bool) -> Bool:
    """Return the pile's inner pixels; of a thin pile its deepest ones."""
    depth = np.asarray(ndimage.distance_transform_edt(member))
    deep = depth > _CORE_PX
    if deep.sum() >= _MIN_CORE:
        return deep
    ranked = np.sort(depth[member])
    return np.asarray(member & (depth >= ranked[-min(_MIN_CORE, ranked.size)]))


def _ring(pile: Bool) -> Bool:
    """Pixels round a pile at the distance of its background; none when there is no pile."""
    if not pile.any():
        return pile
    distance = np.asarray(ndimage.distance_transform_edt(~pile))
    return np.asarray((distance >= _RING_PX[0]) & (distance <= _RING_PX[1]))


def _share(shape: Bool) -> Float64:
    """Share of each pixel's light that comes from a shape drawn on fine points; below one half outside it."""
    blurred = ndimage.gaussian_filter(shape.astype(np.float64), _PSF_SIGMA_PX * _FINE)
    return np.asarray(np.minimum(blurred[_FINE // 2 :: _FINE, _FINE // 2 :: _FINE], 1 - 1e-9))


def _ground(values: Float64, ring: Bool) -> _Ground:
    """Level of the ground round a pile, smoothed along the ring."""
    middle = float(np.median(values[ring]))
    weight = ndimage.gaussian_filter(ring.astype(np.float64), _SMOOTH_PX, truncate=5.0)
    total = ndimage.gaussian_filter(np.where(ring, values, 0.0), _SMOOTH_PX, truncate=5.0)
    # Where no ring pixel is near, the ring's median is the best guess.
    near = weight > 1e-3
    level = np.where(near, total / np.where(near, weight, 1.0), middle)
    sigma = 1.4826 * float(np.median(np.abs((values - level)[ring])))
    return _Ground(level, middle, max(sigma, _NOISE))


def _pile(values: Float32, ground: _Ground, share: Float64, core: Bool) -> float:
    """Level of the pile in pixels that see it to a share: ``(x - (1 - share) b) / share``."""
    return float(np.median(((values - (1 - share) * ground.level) / share)[core]))


def _fraction(bands: Bands, grounds: Mapping[str, _Ground], piles: Mapping[str, float]) -> Float64:
    """Fraction of pile in each pixel by two-endmember unmixing.

    ``f = sum w (b - x) / sum w (b - c)`` with ``w = (b - c) / sigma^2`` (science 1.5); ``b`` is the
    background near each pixel, ``c`` the level of the pile, ``sigma`` the background's spread. A band in
    which the ground is no brighter than the pile says nothing. NaN where a band is.
    """
    numerator, denominator = np.zeros(()), np.zeros(())
    for band in OUTLINE_BANDS:
        ground = grounds[band]
        gap = ground.level - piles[band]
        weight = np.maximum(gap, 0.0) / ground.sigma**2
        numerator = numerator + weight * (ground.level - bands[band])
        denominator = denominator + weight * gap
    return np.asarray(np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), 0.0))


def _interpolated(fraction: Float64, own: Bool, seen: Bool) -> Float64:
    """Fraction on _FINE times as many points an axis, by cubic splines; no pile beyond its own ground."""
    # Beyond it bright ground may still say that it is bright; what is not seen says nothing.
    inside = np.where(own, fraction, np.where(seen, np.minimum(fraction, 0.0), 0.0))
    return np.asarray(ndimage.zoom(inside, _FINE, order=3, mode="nearest", grid_mode=True))


def _cut_px(dark: Bool, reach: Bool) -> int:
    """Pixels just beyond the reach in which the pile goes on."""
    return int((ndimage.binary_dilation(dark & reach) & dark & ~reach).sum())


def _contour(fine: Float64, level: float, member: Bool) -> BaseGeometry:
    """Polygons where the fraction exceeds ``level`` that meet the pile.

    A hole stays a hole unless most of it belongs to the pile by persistence: a sunlit slope may be as bright as
    the ground on a date.
    """
    # Padded, so that every contour closes; point i lies at (i + 0.5) / _FINE pixels from the window's edge.
    lines = find_contours(np.pad(fine, 1, constant_values=0.0), level)
    rings = [Polygon((line[:, ::-1] - 0.5) / _FINE).buffer(0) for line in lines if len(line) > 3]
    # Even-odd: a ring inside a ring is a hole. Larger first, each cut from or added to what is there.
    shape: BaseGeometry = Polygon()
    for ring in sorted(rings, key=lambda r: -r.area):
        shape = shape.symmetric_difference(ring)
    rows, columns = np.nonzero(member)
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, Polygon)]
    kept = [part for part in parts if shapely.contains_xy(part, columns + 0.5, rows + 0.5).any()]
    whole = [_without_bright_slopes(part, member) for part in kept]
    return shapely.union_all([_unblurred(part) for part in whole]) if whole else MultiPolygon()


def _without_bright_slopes(part: Polygon, member: Bool) -> Polygon:
    """Fill the holes of an outline in which more than half of the pixels belong to the pile."""
    rows, columns = np.indices(member.shape)
    open_ = []
    for ring in part.interiors:
        inside = shapely.contains_xy(Polygon(ring), columns + 0.5, rows + 0.5)
        if not inside.any() or member[inside].mean() <= 0.5:
            open_.append(ring)
    return Polygon(part.exterior, open_)


def _without_halo(fine: Float64, level: float, member: Bool) -> tuple[BaseGeometry, float]:
    """Contour of the pile, drawn in where dust round it has drawn it out.

    A sharp edge smeared by the point spread is symmetric: from the level a quarter below to this one the
    contour moves as far as from this one to a quarter above. Dust beside a pile moves the lower contours out
    and the upper ones hardly; what the lower step exceeds the upper by, less what clean piles show, is how far
    the contour lies too far out (found on implants with and without dust, docs/accuracy.md).

    Returns
    -------
    geometry : BaseGeometry
    moved_px : float
        0 where there is no sign of dust.
    """
    middle = _contour(fine, level, member)
    low, high = (_contour(fine, level + step, member).area for step in (-_STEP, _STEP))
    length = middle.length
    if middle.is_empty or not low or not high:
        return middle, 0.0
    excess_px = ((low - middle.area) - (middle.area - high) - _BEND_PX2) / length - _CLEAN_EXCESS_PX
    trust = float(np.clip((length - _SHORT_PX) / (_LONG_PX - _SHORT_PX), 0.0, 1.0))
    moved_px = float(np.clip(trust * _HALO_GAIN * excess_px, 0.0, _MAX_HALO_PX))
    if moved_px == 0.0:
        return middle, 0.0
    # Between the contours of two levels the edge moves evenly with the level.
    step = _STEP * moved_px * length / max(middle.area - high, 1e-6)
    return _contour(fine, level + min(step, _STEP), member), moved_px


def _unblurred(part: Polygon) -> BaseGeometry:
    """Move an outline out by what the point spread has moved it in.

    ``pi sigma^2`` of area round the outer ring, and as much the other way round every hole.
    """
    lost = np.pi * _PSF_SIGMA_PX**2 * (1 - len(part.interiors))
    return part.buffer(lost / part.length)
