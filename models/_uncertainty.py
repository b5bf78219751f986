"""Interval of one outline's area (science 3.3)."""

import numpy as np

_CONTRAST = 19.0
"""Contrast at which c holds, in standard deviations of the ground; fainter piles have rougher outlines."""


def pile_sigma_m2(
    perimeter_m: float, pixel_m: float, contrast: float, halo_m: float, c: float, sigma_edge_m: float
) -> float:
    """One standard deviation of a pile's area on one date.

    The two parts of :func:`outline_sigma_m2`: the random one grows as the pile stands out less, up to two
    and a half times; to the common one is added as much as dust has moved the contour, since what dust leaves
    of its error is of that size (both found on implants, docs/accuracy.md).

    Parameters
    ----------
    perimeter_m, pixel_m : float
        Metres.
    contrast : float
        Separation of pile and ground in standard deviations of the ground.
    halo_m : float
        How far the contour was drawn in because of dust, metres.
    c, sigma_edge_m : float
        As in :func:`outline_sigma_m2`.
    """
    rough = c * float(np.clip(_CONTRAST / contrast, 0.4, 2.5))
    return outline_sigma_m2(perimeter_m, pixel_m, rough, float(np.hypot(sigma_edge_m, halo_m)))


def outline_sigma_m2(perimeter_m: float, pixel_m: float, c: float, sigma_edge_m: float) -> float:
    """One standard deviation of the area inside one outline.

    ``sqrt((c p^2 sqrt(P / p))^2 + (P sigma_edge)^2)``: the random part of the pixels along the outline,
    and an error of the contour's level that is the same all round.

    Parameters
    ----------
    perimeter_m : float
        P, metres.
    pixel_m : float
        p, metres.
    c : float
        0.3-0.4 by simulation.
    sigma_edge_m : float
        0.5-2 m for threshold, point spread and levels.
    """
    texture = c * pixel_m**2 * np.sqrt(perimeter_m / pixel_m)
    return float(np.hypot(texture, perimeter_m * sigma_edge_m))


def median_sigma(values: list[float], sigma_one: float) -> float:
    """One standard deviation of the median of dates.

    The outline's own error is kept whole: it comes from the ground's texture, which is the same on every
    date (science 1.7). To it is added the spread between dates, of which the median keeps
    ``1.2533 s / sqrt(n)`` (normal theory), ``s`` from the median absolute deviation.
    """
    if len(values) < 2:  # noqa: PLR2004 - one date shows no spread
        return sigma_one
    centre = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(np.asarray(values) - centre)))
    return float(np.hypot(sigma_one, 1.2533 * spread / np.sqrt(len(values))))
