"""Sub-pixel shift of a scene against the reference scene of its site. Pure.

Scenes of one orbit lie within 5 m of each other at best and 16 m at worst (science 2.4); a shift changes
no area but turns every outline into a false gain on one side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.types import PIXEL_M, Bool, Float32

_ITERATIONS = 12
_CONVERGED_PX = 0.002
_MIN_PIXELS = 400
"""Fewer pixels common to both scenes than a square of 200 m cannot hold a scene in place."""
_EDGE_REACH_PX = 5
"""A masked pixel reaches this far into the edges around it: four deviations of their filter and the cubic lookup."""
_STRONGEST = 0.95
"""Quantile at which edges are levelled: one new field or roof outshines a thousand lasting edges."""
_MIN_GAIN = 0.05
"""Below it the two images have no edges in common."""


@dataclass(frozen=True)
class Shift:
    """Displacement of a scene's ground from the reference, metres east and north, and its standard error."""

    x_m: float
    y_m: float
    sigma_m: float


def estimate_shift(reference: Float32, scene: Float32, clear: Bool) -> Shift | None:
    """Estimate the shift of ``scene`` against ``reference``.

    Gauss-Newton least squares on the gradient magnitude of both images (Lucas and Kanade 1981), started
    from whole pixels by normalised correlation, weighted by ``clear``: a mask is a mask, where a Fourier
    method would need the clouds filled in. A gain and an offset between the two dates are solved along.

    Parameters
    ----------
    reference, scene : Float32
        One band of both scenes on the same grid, shape (rows, columns); NaN is no data.
    clear : Bool
        True where both can be used.

    Returns
    -------
    Shift or None
        None when too little is in common or the solution runs away.
    """
    usable = clear & np.isfinite(reference) & np.isfinite(scene)
    usable = np.asarray(ndimage.binary_erosion(usable, iterations=_EDGE_REACH_PX, border_value=0))
    if usable.sum() < _MIN_PIXELS:
        return None
    fixed, moving = _edges(reference, usable), _edges(scene, usable)
    if np.ptp(fixed[usable]) == 0 or np.ptp(moving[usable]) == 0:
        return None
    start = _whole_pixels(fixed, moving, usable)
    solved = _refine(fixed, moving, usable, start)
    if solved is None:
        return None
    rows, columns, sigma_px = solved
    return Shift(columns * PIXEL_M, -rows * PIXEL_M, sigma_px * PIXEL_M)


def _edges(image: Float32, usable: Bool) -> Float32:
    """Gradient magnitude of a slightly smoothed image, levelled; edges stay where they are through the seasons."""
    filled = np.where(np.isfinite(image), image, np.float32(np.nanmedian(image)))
    edges = ndimage.gaussian_gradient_magnitude(filled, 1.0)
    return np.asarray(np.minimum(edges, np.quantile(edges[usable], _STRONGEST)), dtype=np.float32)


def _whole_pixels(fixed: Float32, moving: Float32, usable: Bool, reach: int = 3) -> tuple[float, float]:
    """Best displacement in whole pixels (rows, columns) by correlation over the usable pixels."""
    best, where = -2.0, (0.0, 0.0)
    for rows in range(-reach, reach + 1):
        for columns in range(-reach, reach + 1):
            moved = np.roll(moving, (-rows, -columns), axis=(0, 1))
            correlation = float(np.corrcoef(fixed[usable], moved[usable])[0, 1])
            if correlation > best:
                best, where = correlation, (float(rows), float(columns))
    return where


def _refine(
    fixed: Float32, moving: Float32, usable: Bool, start: tuple[float, float]
) -> tuple[float, float, float] | None:
    """Displacement (rows, columns) and its standard error in pixels by iterated robust least squares."""
    shift = np.array(start)
    coefficients = ndimage.spline_filter(moving.astype(np.float64), order=3)
    target = fixed[usable].astype(np.float64)
    error = np.inf
    for _ in range(_ITERATIONS):
        # The scene's ground lies displaced by the shift: look it up there.
        moved = ndimage.shift(coefficients, -shift, order=3, prefilter=False, mode="nearest")
        along_rows, along_columns = np.gradient(moved)
        design = np.stack([along_rows[usable], along_columns[usable], moved[usable], np.ones(target.size)], axis=1)
        solution, sigma = _robust_fit(design, target)
        gain = solution[2]
        if not np.isfinite(gain) or gain <= _MIN_GAIN:
            return None
        step = solution[:2] / gain
        shift = shift + step
        error = float(np.sqrt(np.mean(sigma[:2] ** 2)) / gain)
        if np.abs(step).max() < _CONVERGED_PX:
            break
    return float(shift[0]), float(shift[1]), error


def _robust_fit(
    design: NDArray[np.float64], target: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients and their standard errors; residuals weigh by Cauchy's function, so that what changed is let go."""
    weights = np.ones(target.size)
    for _ in range(3):
        weighted = design * weights[:, None]
        inverse = np.linalg.pinv(weighted.T @ design)
        solution = inverse @ (weighted.T @ target)
        residual = target - design @ solution
        scale = 1.4826 * float(np.median(np.abs(residual))) + 1e-12
        weights = 1.0 / (1.0 + (residual / (2.0 * scale)) ** 2)
    return solution, scale * np.sqrt(np.diag(inverse))
