"""Sub-pixel shift of a scene, in plain numpy and scipy: what the compiled loops are held to."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.align import Shift
from pipeline.types import PIXEL_M, Bool, Float32

_REACH_PX = 3
"""Whole pixels tried in each direction: 30 m."""
_ITERATIONS = 12
_CONVERGED_PX = 0.002
_MIN_PIXELS = 400
"""Fewer pixels common to both scenes than a square of 200 m cannot hold a scene in place."""
_MIN_BLOCKS = 4
"""Fewer independent parts of the picture cannot tell how well the shift is known."""
_BLOCK_PX = 24
"""Parts of 240 m count as independent: smaller ones share errors, and the truth falls outside too often."""
_WIDER = 1.2
"""Factor on the standard error: weights that follow the residuals make it too small, 89 % inside where 95 are meant."""
_FLOOR_PX = 0.02
"""Standard error of the best match: light and season move edges themselves, alike in all parts of the picture."""
_EDGE_SIGMA = 1.0
"""Smoothing before the gradient in pixels of the band; half as much lets noise in, twice as much doubles the error."""
_EDGE_REACH_PX = 5
"""A masked pixel reaches this far into the edges around it: their filter and the cubic lookup."""
_LEVELLED_PX = 27
"""Edges are measured against the mean of a square of this edge, so that lit slopes do not outweigh the fields."""
_FAINT = 0.2
"""Share of the median edge below which a neighbourhood is flat, and is not blown up."""
_STRONGEST = 0.95
"""Quantile at which edges are levelled: one new field or roof outshines a thousand lasting edges."""
_MIN_GAIN = 0.05
"""Below it the two images have no edges in common."""

Float64 = NDArray[np.float64]


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
    usable = clear & np.isfinite(reference).all(axis=0) & np.isfinite(scene).all(axis=0)
    usable = np.asarray(ndimage.binary_erosion(usable, iterations=_EDGE_REACH_PX, border_value=0))
    parts = _parts(usable)
    if usable.sum() < _MIN_PIXELS or parts.max(initial=-1) + 1 < _MIN_BLOCKS:
        return None
    fixed, moving = ([_edges(band, usable, pixel_m) for band in image] for image in (reference, scene))
    if any(np.ptp(band[usable]) == 0 for band in (*fixed, *moving)):
        return None
    start = _whole_pixels(np.sum(fixed, axis=0), np.sum(moving, axis=0), usable)
    solved = _refine(fixed, moving, usable, parts, start)
    if solved is None:
        return None
    (rows, columns), (sigma_rows, sigma_columns) = solved
    return Shift(*(float(px * PIXEL_M) for px in (columns, -rows, sigma_columns, sigma_rows)))


def _parts(usable: Bool) -> NDArray[np.intp]:
    """Return the number of the block each usable pixel lies in, counted from 0 without gaps."""
    rows, columns = np.nonzero(usable)
    blocks_across = usable.shape[1] // _BLOCK_PX + 1
    block = rows // _BLOCK_PX * blocks_across + columns // _BLOCK_PX
    return np.asarray(np.unique(block, return_inverse=True)[1])


def _edges(image: Float32, usable: Bool, pixel_m: float) -> Float32:
    """Gradient magnitude against that of its neighbourhood, levelled; edges stay where they are all year."""
    filled = np.where(np.isfinite(image), image, np.float32(np.nanmedian(image)))
    edges = ndimage.gaussian_gradient_magnitude(filled, _EDGE_SIGMA * pixel_m / PIXEL_M)
    weight = ndimage.uniform_filter(usable.astype(np.float32), _LEVELLED_PX)
    around = ndimage.uniform_filter(np.where(usable, edges, np.float32(0)), _LEVELLED_PX)
    mean = around / np.maximum(weight, np.float32(1e-3))
    edges = edges / np.maximum(mean + np.float32(_FAINT) * np.median(mean[usable]), np.float32(1e-12))
    return np.asarray(np.minimum(edges, np.quantile(edges[usable], _STRONGEST)), dtype=np.float32)


def _whole_pixels(fixed: Float32, moving: Float32, usable: Bool) -> Float64:
    """Best displacement in whole pixels (rows, columns) by correlation over the usable pixels."""
    best, where = -2.0, np.zeros(2)
    for rows in range(-_REACH_PX, _REACH_PX + 1):
        for columns in range(-_REACH_PX, _REACH_PX + 1):
            moved = np.roll(moving, (-rows, -columns), axis=(0, 1))
            correlation = float(np.corrcoef(fixed[usable], moved[usable])[0, 1])
            if correlation > best:
                best, where = correlation, np.array([rows, columns], dtype=np.float64)
    return where


def _refine(
    fixed: list[Float32], moving: list[Float32], usable: Bool, parts: NDArray[np.intp], start: Float64
) -> tuple[Float64, Float64] | None:
    """Displacement (rows, columns) and its standard errors in pixels by iterated robust least squares."""
    shift = start
    here, there = ([ndimage.spline_filter(b.astype(np.float64), order=3) for b in bands] for bands in (fixed, moving))
    spread = np.full(2, np.inf)
    for _ in range(_ITERATIONS):
        found = [_step(h, t, usable, parts, shift) for h, t in zip(here, there, strict=True)]
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


def _step(
    fixed: Float64, moving: Float64, usable: Bool, parts: NDArray[np.intp], shift: Float64
) -> tuple[Float64, Float64] | None:
    """Step of one band (rows, columns), and how far each part of the picture pulls it, shape (parts, 2)."""
    # Each image goes half of the way: moving one alone would smooth its noise only, and so pull the match.
    here = ndimage.shift(fixed, shift / 2, order=3, prefilter=False, mode="nearest")
    there = ndimage.shift(moving, -shift / 2, order=3, prefilter=False, mode="nearest")
    slope_here, slope_there = (np.stack([g[usable] for g in np.gradient(image)], axis=1) for image in (here, there))
    gain, residual, weights = _robust_fit(there[usable], here[usable])
    if not np.isfinite(gain) or gain <= _MIN_GAIN:
        return None
    # The product of the two dates' slopes: noise is in one or the other, and would count as slope in a square.
    common = gain * (slope_here * weights[:, None]).T @ slope_there
    curvature = (common + common.T) / 2
    if np.linalg.eigvalsh(curvature)[0] <= 0:
        return None
    score = (weights * residual)[:, None] * (slope_here + gain * slope_there) / 2
    by_part = np.stack([np.bincount(parts, column) for column in score.T], axis=1)
    inverse = np.linalg.inv(curvature)
    # A part that is fitted shows less of its error than it has: the usual correction for few parts.
    few = np.sqrt(len(by_part) / (len(by_part) - 1))
    return by_part.sum(axis=0) @ inverse, few * by_part @ inverse


def _robust_fit(values: Float64, target: Float64) -> tuple[float, Float64, Float64]:
    """Gain of ``target`` on ``values``, what gain and offset leave, and the weights; what changed is let go."""
    weights = np.ones(target.size)
    for _ in range(3):
        total = weights.sum()
        centre, aim = weights @ values / total, weights @ target / total
        spread = values - centre
        gain = float((weights * spread) @ (target - aim) / max((weights * spread) @ spread, 1e-12))
        residual = target - aim - gain * spread
        scale = 1.4826 * float(np.median(np.abs(residual))) + 1e-12
        # Cauchy's function.
        weights = 1.0 / (1.0 + (residual / (2.0 * scale)) ** 2)
    return gain, residual, weights
