"""Edges a scene is held in place by, and where two scenes both show them. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models._disk_kernels import within_steps
from pipeline.kernels.align import level, ranked, sum_around, weigh_around
from pipeline.types import PIXEL_M, Bool, Float32

MIN_PIXELS = 400
"""Fewer pixels common to both scenes than a square of 200 m cannot hold a scene in place."""
PART_PX = 24
"""Parts of 240 m count as independent: smaller ones share errors, and the truth falls outside too often."""
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
_ENOUGH_PX = 1 << 18
"""As many pixels tell the best of few displacements, and a median to 1/500; of a larger image rows are left out."""
FLAT = 1e-12
"""What is less is nothing but rounding; keeps divisions finite."""

Float64 = NDArray[np.float64]


def edges(image: Float32, pixel_m: float = PIXEL_M) -> Float32:
    """Gradient magnitude of every band; what :func:`estimate_shift` needs of one image, whatever the other is.

    Parameters
    ----------
    image : Float32
        Shape (bands, rows, columns); NaN is no data.
    pixel_m : float
        Pixel the bands were delivered with.

    Returns
    -------
    Float32
        Same shape, per pixel of 10 m; NaN where the band has no data.
    """
    found = np.full_like(image, np.nan)
    for band, values in zip(found, image, strict=True):
        known = np.isfinite(values)
        if known.any():
            filled = values if known.all() else np.where(known, values, np.mean(values, where=known))
            np.copyto(band, _gradient(filled, _EDGE_SIGMA * pixel_m / PIXEL_M), where=known)
    return found


@dataclass(frozen=True)
class Common:
    """What two scenes both show: ``pixels``, in so many ``parts`` of the picture.

    Attributes
    ----------
    on : Float32
        Shape (rows, columns): 1 where both can be used and nothing masked reaches the edges, 0 elsewhere.
    around : Float32
        Same shape: how many such pixels there are around each, 1 where there is none.
    step : int
        How many rows on the next one is that is ranked; ``ranked_px`` pixels in them all.
    """

    on: Float32
    around: Float32
    pixels: int
    parts: int
    step: int
    ranked_px: int

    @classmethod
    def of(cls, usable: Bool) -> "Common":
        """Draw back from what is masked, and from the border: what lies beyond the image is masked."""
        inner = usable & ~within_steps(~usable, _EDGE_REACH_PX)
        for side in (np.s_[:_EDGE_REACH_PX], np.s_[-_EDGE_REACH_PX:]):
            inner[side] = False
            inner[:, side] = False
        on = inner.astype(np.float32)
        shown = inner
        for axis in (0, 1):
            shown = np.logical_or.reduceat(shown, np.arange(0, inner.shape[axis], PART_PX), axis=axis)
        step = max(on.size // _ENOUGH_PX, 1)
        ranked_px = int(np.count_nonzero(inner[::step]))
        if ranked_px < MIN_PIXELS:
            step, ranked_px = 1, int(np.count_nonzero(inner))
        around = np.empty_like(on)
        sum_around(on, on, _LEVELLED_PX, around)
        np.maximum(around, np.float32(1.0), out=around)
        return cls(on, around, int(np.count_nonzero(inner)), int(np.count_nonzero(shown)), step, ranked_px)


def levelled(edges: Float32, common: Common) -> Float32:
    """Edges of one band against those around them, up to a limit: they stay where they are all year; 0 where flat."""
    mean, known = np.empty_like(edges), np.empty_like(edges)
    sum_around(edges, common.on, _LEVELLED_PX, mean)
    mean /= common.around
    level(edges, mean, _FAINT * _quantile(mean, common, 0.5), known)
    limit = _quantile(known, common, _STRONGEST)
    np.minimum(known, np.float32(limit if limit > FLAT else 0.0), out=known)
    return known


def _gradient(image: Float32, sigma_px: float) -> Float32:
    """Magnitude of the gradient of an image smoothed by a Gaussian."""
    reach = int(4 * sigma_px + 0.5)
    places = np.arange(-reach, reach + 1)
    smooth = np.exp(-0.5 * (places / sigma_px) ** 2)
    smooth /= smooth.sum()
    # Its slope as sums of the steps from pixel to pixel: where there is no step there is exactly no gradient.
    slope = np.cumsum(places * smooth)[:-1] / sigma_px**2
    padded = np.pad(image, reach, mode="symmetric")
    down = weighed(np.diff(padded, axis=0), slope, smooth)
    right = weighed(np.diff(padded, axis=1), smooth, slope)
    return np.sqrt(down * down + right * right)


def weighed(padded: Float32, down: Float64, across: Float64) -> Float32:
    """Correlate a padded image with a kernel of as many taps along rows and columns."""
    rows, columns = padded.shape
    out = np.empty((rows - down.size + 1, columns - across.size + 1), dtype=np.float32)
    weigh_around(padded, down.astype(np.float32), across.astype(np.float32), out)
    return out


def _quantile(values: Float32, common: Common, share: float) -> float:
    """Quantile of the usable values, none of them below 0."""
    return ranked(values, values, common.on, np.zeros(3, dtype=np.float32), common.step, share * (common.ranked_px - 1))
