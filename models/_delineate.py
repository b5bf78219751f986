"""Outline of one pile on one date: the contour half way between the pile and its own background.

A fixed threshold shrinks piles on bright ground by a sixth at one hectare; the half-way contour between
local levels is unbiased for a symmetric point spread (science 1.5, 1.7).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from shapely import Polygon, unary_union
from shapely.geometry.base import BaseGeometry
from skimage.measure import find_contours

from models._indices import Bands, Bool, Float32

OUTLINE_BANDS = ("blue", "green", "red", "nir")
"""The bands of 10 m pixels; 20 m bands detect but never delineate."""

_CORE_PX = 2
"""Depth inside the object from which pixels are free of the background's light (PSF sigma about half a pixel)."""
_RING_PX = (3, 8)
"""Distance outside the object, in pixels, of the ground it is compared with."""
_SMOOTH_PX = 3.0
"""Scale over which the background may differ round the pile."""
_REACH_PX = 3
"""How far beyond the object's mask the outline may lie."""
_MIN_RING = 12
_MIN_CORE = 4


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
        Separation of the two levels in standard deviations of the background about itself.
    """

    geometry: BaseGeometry
    pile_level: float
    background_level: float
    contrast_sigma: float


def outline(bands: Bands, clear: Bool, member: Bool, others: Bool, level: float) -> Outline | None:
    """Outline a pile in a small window.

    Parameters
    ----------
    bands : Mapping[str, Float32]
        Reflectance of OUTLINE_BANDS, shape (rows, columns); NaN is no data.
    clear : Bool
        True where the date can be used.
    member : Bool
        Pixels of the pile by persistence.
    others : Bool
        Pixels of other dark things and of water, kept out of the background.
    level : float
        Fraction at which the contour is drawn, 0.5 is half way.

    Returns
    -------
    Outline or None
        None when background or core cannot be seen, or no contour meets the pile.
    """
    distance = np.asarray(ndimage.distance_transform_edt(~member))
    ring = (distance >= _RING_PX[0]) & (distance <= _RING_PX[1]) & clear & ~others
    core = _core(member) & clear
    if ring.sum() < _MIN_RING or not core.any():
        return None
    fraction, sigma = _fraction(bands, ring, core)
    near = distance <= _REACH_PX
    fraction = np.where(near & clear, fraction, np.minimum(np.nan_to_num(fraction, nan=0.0), 0.0))
    geometry = _contour(fraction.astype(np.float32), level, member)
    if geometry.is_empty:
        return None
    mean = np.mean([bands[band] for band in OUTLINE_BANDS], axis=0)
    return Outline(geometry, float(np.median(mean[core])), float(np.median(mean[ring])), sigma)


def _core(member: Bool) -> Bool:
    """Return the pile's inner pixels; of a thin pile its deepest ones."""
    depth = np.asarray(ndimage.distance_transform_edt(member))
    deep = depth > _CORE_PX
    if deep.sum() >= _MIN_CORE:
        return deep
    ranked = np.sort(depth[member])
    return np.asarray(member & (depth >= ranked[-min(_MIN_CORE, ranked.size)]))


def _fraction(bands: Bands, ring: Bool, core: Bool) -> tuple[Float32, float]:
    """Fraction of pile in each pixel by two-endmember unmixing, and the levels' separation in sigmas.

    ``f = sum w (b - x) / sum w (b - c)`` with ``w = (b - c) / sigma^2`` (science 1.5); ``b`` is the
    background near each pixel, ``c`` the level of the pile's core, ``sigma`` the background's spread.
    """
    weight = ndimage.gaussian_filter(ring.astype(np.float64), _SMOOTH_PX, truncate=5.0)
    numerator = np.zeros(ring.shape)
    denominator = np.zeros(ring.shape)
    separation = 0.0
    for band in OUTLINE_BANDS:
        x = bands[band].astype(np.float64)
        pile, ground = float(np.median(x[core])), float(np.median(x[ring]))
        sigma = max(1.4826 * float(np.median(np.abs(x[ring] - ground))), 0.004)
        local = ndimage.gaussian_filter(np.where(ring, x, 0.0), _SMOOTH_PX, truncate=5.0)
        # Where no ring pixel is near, the ring's median is the best guess.
        background = np.where(weight > 1e-3, local / np.maximum(weight, 1e-3), ground)  # noqa: PLR2004
        gap = background - pile
        w = np.maximum(gap, 0.0) / sigma**2
        numerator += w * (background - x)
        denominator += w * gap
        separation += max(ground - pile, 0.0) ** 2 / sigma**2
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = np.where(denominator > 0, numerator / denominator, 0.0)
    return fraction.astype(np.float32), float(np.sqrt(separation))


def _contour(fraction: Float32, level: float, member: Bool) -> BaseGeometry:
    """Polygons where the fraction exceeds ``level`` that meet the pile; holes are kept as holes."""
    padded = np.pad(fraction, 1, constant_values=0.0)
    rings = [Polygon(line[:, ::-1] - 0.5) for line in find_contours(padded, level) if len(line) > 3]  # noqa: PLR2004
    # Even-odd: a ring inside a ring is a hole. Larger first, each cut from or added to what is there.
    shape: BaseGeometry = Polygon()
    for ring in sorted((r.buffer(0) for r in rings), key=lambda r: -r.area):
        shape = shape.symmetric_difference(ring)
    labels, _ = ndimage.label(fraction > level)
    kept = []
    rows, columns = np.nonzero(member & (labels > 0))
    wanted = set(labels[rows, columns].tolist())
    for part in getattr(shape, "geoms", [shape]):
        if part.is_empty:
            continue
        inside = part.representative_point()
        column = min(max(int(np.floor(inside.x)), 0), fraction.shape[1] - 1)
        row = min(max(int(np.floor(inside.y)), 0), fraction.shape[0] - 1)
        touching = labels[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if wanted & set(touching.ravel().tolist()):
            kept.append(part)
    return unary_union(kept) if kept else Polygon()
