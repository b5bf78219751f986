"""Sub-pixel shift of a scene against the reference scene of its site. Pure.

Scenes of one orbit lie within 5 m of each other at best and 16 m at worst (science 2.4); a shift changes
no area but turns every outline into a false gain on one side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from pipeline.edges import FLAT, MIN_PIXELS, PART_PX, Common, edges, levelled, weighed
from pipeline.kernels.align import add_moments, add_slopes, correlate, ranked
from pipeline.types import PIXEL_M, Bool, Float32

_REACH_PX = 3
"""Whole pixels tried in each direction: 30 m."""
_ITERATIONS = 12
_CONVERGED_PX = 0.002
_MIN_BLOCKS = 4
"""Fewer independent parts of the picture cannot tell how well the shift is known."""
_WIDER = 1.2
"""Factor on the standard error: weights that follow the residuals make it too small, 89 % inside where 95 are meant."""
_FLOOR_PX = 0.02
"""Standard error of the best match: light and season move edges themselves, alike in all parts of the picture."""
_MIN_GAIN = 0.05
"""Below it the two images have no edges in common."""

_SPLINE_POLE = np.sqrt(3.0) - 2.0
_SPLINE_REACH_PX = 12
"""What a pixel adds to the coefficients of a cubic spline falls to 1e-7 so far away (Unser 1999)."""
_MOVE_REACH_PX = _REACH_PX // 2 + 3
"""Half of the largest displacement looked up, a pixel more for the last step, and the reach of a cubic spline."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Shift:
    """Displacement of a scene's ground from the reference, metres east and north, with standard errors."""

    x_m: float
    y_m: float
    sigma_x_m: float
    sigma_y_m: float


def estimate_shift(reference: Float32, scene: Float32, clear: Bool, pixel_m: float = PIXEL_M) -> Shift | None:
    """Estimate the shift of ``scene`` against ``reference``.

    Gauss-Newton least squares on the gradient magnitude of both images (Lucas and Kanade 1981), started
    from whole pixels by normalised correlation, weighted by ``clear``: a mask is a mask, where a Fourier
    method would need the clouds filled in. A gain and an offset between the two dates are solved along.
    Bands are solved together, each weighted by what it knows; one without edges in common is left out. The
    standard error comes from how far parts of the picture disagree, since errors of neighbouring pixels are alike.

    Parameters
    ----------
    reference, scene : Float32
        The same bands of both scenes on the same grid, shape (bands, rows, columns); NaN is no data.
    clear : Bool
        True where both can be used, shape (rows, columns).
    pixel_m : float
        Pixel the bands were delivered with; the grid's own is 10 m.

    Returns
    -------
    Shift or None
        None when too little is in common or the solution runs away.
    """
    return match([(edges(reference, pixel_m), edges(scene, pixel_m))], clear)[0]


def match(images: Sequence[tuple[Float32, Float32]], clear: Bool) -> list[Shift | None]:
    """Estimate the shift of a scene from the :func:`edges` of both.

    Parameters
    ----------
    images : sequence of (Float32, Float32)
        Edges of the reference and of the scene in some bands, and again in others: a shift is found for each.
    clear : Bool
        As of :func:`estimate_shift`.

    Returns
    -------
    list of (Shift or None)
        One for each pair.
    """
    shown = [_shown(clear, (*reference, *scene)) for reference, scene in images]
    # Mostly all bands show the same ground.
    alike = all(np.array_equal(usable, shown[0]) for usable in shown[1:])
    common = [Common.of(usable) for usable in (shown[:1] if alike else shown)] * (len(shown) if alike else 1)
    return [_match(reference, scene, of) for (reference, scene), of in zip(images, common, strict=True)]


def _shown(clear: Bool, bands: Sequence[Float32]) -> Bool:
    """Where all bands have data and can be used."""
    usable = clear.copy()
    for band in bands:
        usable &= np.isfinite(band)
    return usable


def _match(reference: Float32, scene: Float32, common: Common) -> Shift | None:
    if common.pixels < MIN_PIXELS or common.parts < _MIN_BLOCKS:
        return None
    fixed, moving = ([levelled(band, common) for band in image] for image in (reference, scene))
    if not all(band.any() for band in (*fixed, *moving)):
        return None
    solved = _refine(fixed, moving, common, _whole_pixels(reduce(np.add, fixed), reduce(np.add, moving), common))
    if solved is None:
        return None
    (rows, columns), (sigma_rows, sigma_columns) = solved
    return Shift(*(float(px * PIXEL_M) for px in (columns, -rows, sigma_columns, sigma_rows)))


def _by_part(values: Float32) -> Float64:
    """Sum over the parts of the picture along the last axis."""
    starts = np.arange(0, values.shape[-1], PART_PX)
    return np.asarray(np.add.reduceat(values, starts, axis=-1, dtype=np.float64))


def _whole_pixels(fixed: Float32, moving: Float32, common: Common) -> Float64:
    """Best displacement in whole pixels (rows, columns) by correlation over the usable pixels."""
    edge = 2 * _REACH_PX + 1
    sums = np.zeros((3, edge, edge, fixed.shape[1]), dtype=np.float32)
    fixed = fixed * common.on
    rows = slice(_REACH_PX, -_REACH_PX, common.step)
    pixels = max(int(np.count_nonzero(common.on[rows])), 1)
    correlate(fixed, moving, common.on, (_REACH_PX, common.step), sums)
    first, second, product = sums.sum(axis=-1, dtype=np.float64) / pixels
    mean = float(fixed[rows].sum(dtype=np.float64)) / pixels
    correlation = (product - first * mean) / np.sqrt(np.maximum(second - first**2, FLAT))
    best = np.unravel_index(np.argmax(correlation), correlation.shape)
    return np.array(best, dtype=np.float64) - _REACH_PX


def _spline(image: Float32) -> Float32:
    """Coefficients of the cubic spline through an image, with the margin that moving it asks for."""
    places = np.abs(np.arange(-_SPLINE_REACH_PX, _SPLINE_REACH_PX + 1))
    taps = -6.0 * _SPLINE_POLE / (1.0 - _SPLINE_POLE**2) * _SPLINE_POLE**places
    return np.pad(weighed(np.pad(image, _SPLINE_REACH_PX, mode="reflect"), taps, taps), _MOVE_REACH_PX, mode="edge")


def _moved(spline: Float32, shift: Float64) -> Float32:
    """Image of a spline, its content moved by (rows, columns)."""
    distance = np.abs(np.arange(-_MOVE_REACH_PX, _MOVE_REACH_PX + 1) + shift[:, None])
    near, far = 2.0 / 3.0 - distance**2 + distance**3 / 2.0, (2.0 - np.minimum(distance, 2.0)) ** 3 / 6.0
    return weighed(spline, *np.where(distance < 1.0, near, far))


def _refine(
    fixed: Sequence[Float32], moving: Sequence[Float32], common: Common, start: Float64
) -> tuple[Float64, Float64] | None:
    """Displacement (rows, columns) and its standard errors in pixels by iterated robust least squares."""
    shift, spread = start, np.full(2, np.inf)
    splines = [(_spline(here), _spline(there)) for here, there in zip(fixed, moving, strict=True)]
    for _ in range(_ITERATIONS):
        found = [_step(here, there, common, shift) for here, there in splines]
        steps = [step for step in found if step is not None]
        if not steps:
            return None
        weights = np.array([1.0 / (np.sum(pull**2) + _CONVERGED_PX**2) for _, pull in steps])
        weights /= weights.sum()
        step = np.sum([w * s for w, (s, _) in zip(weights, steps, strict=True)], axis=0)
        # What the bands share in one part of the picture is one error, not several: sum before squaring.
        pull = np.sum([w * p for w, (_, p) in zip(weights, steps, strict=True)], axis=0)
        shift, spread = shift + step, np.sqrt(_WIDER**2 * np.sum(pull**2, axis=0) + _FLOOR_PX**2)
        if np.abs(step).max() < _CONVERGED_PX:
            break
        if np.abs(shift).max() > _REACH_PX + 1:
            return None
    return shift, spread


def _step(fixed: Float32, moving: Float32, common: Common, shift: Float64) -> tuple[Float64, Float64] | None:
    """Step of one band (rows, columns), and how far each part of the picture pulls it, shape (parts, 2)."""
    # Each image goes half of the way: moving one alone would smooth its noise only, and so pull the match.
    here, there = _moved(fixed, shift / 2), _moved(moving, -shift / 2)
    fit = _robust_fit(here, there, common)
    if not np.isfinite(fit[0]) or fit[0] <= _MIN_GAIN:
        return None
    rows, columns = here.shape
    sums = np.zeros((5, -(-rows // PART_PX), columns), dtype=np.float32)
    add_slopes(here, there, common.on, fit, PART_PX, sums)
    # The product of the two dates' slopes: noise is in one or the other, and would count as slope in a square.
    along_rows, both, along_columns = fit[0] * sums[:3].sum(axis=(1, 2), dtype=np.float64)
    curvature = np.array([[along_rows, both], [both, along_columns]])
    if np.linalg.eigvalsh(curvature)[0] <= 0:
        return None
    by_part = _by_part(sums[3:]).reshape(2, -1).T
    inverse = np.linalg.inv(curvature)
    # A part that is fitted shows less of its error than it has: the usual correction for few parts.
    few = np.sqrt(common.parts / (common.parts - 1))
    return by_part.sum(axis=0) @ inverse, few * by_part @ inverse


def _robust_fit(here: Float32, there: Float32, common: Common) -> Float32:
    """Gain and offset of ``here`` on ``there``, and the steepness of the weights; what changed is let go."""
    fit = np.zeros(3, dtype=np.float32)
    for _ in range(3):
        sums = np.zeros((5, here.shape[1]), dtype=np.float32)
        add_moments(here, there, common.on, fit, sums)
        total, centre, aim, square, product = sums.sum(axis=1, dtype=np.float64)
        centre, aim = centre / total, aim / total
        gain = (product - total * centre * aim) / max(square - total * centre**2, FLAT)
        fit[:2] = gain, aim - gain * centre
        scale = 1.4826 * ranked(here, there, common.on, fit, common.step, (common.ranked_px - 1) / 2) + FLAT
        # Cauchy's function.
        fit[2] = 1.0 / (2.0 * scale)
    return fit
