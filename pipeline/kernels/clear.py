"""Loops over pixels of :mod:`pipeline.clear`; arrays have shape (rows, columns) unless said."""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled
from pipeline.types import Bool, Float32

Offsets = NDArray[np.int64]
Codes = NDArray[np.uint8]

# Reflectance is float32, and so is every number it is compared with.
_NDSI_SNOW = np.float32(0.4)
_SWIR_SNOW = np.float32(0.2)
_HAZE_OFFSET = np.float32(0.08)  # haze-optimised transform of Zhu and Woodcock 2012: blue - 0.5 red - 0.08 > 0
_CLOUD_VISIBLE = np.float32(0.12)
_BRIGHT_VISIBLE = np.float32(0.30)
_NDVI_CLOUD = np.float32(0.25)
_HALF, _THREE, _ZERO = np.float32(0.5), np.float32(3.0), np.float32(0.0)

# As in pipeline.clear, which imports this module.
_NO_DATA, _SHADOW, _CLOUD, _SNOW = np.uint8(0), np.uint8(2), np.uint8(3), np.uint8(4)


@compiled
def find_white(bands: tuple[Float32, Float32, Float32, Float32, Float32], cloud: Bool, snow: Bool) -> None:
    """Find what is white as cloud and what is white as snow, into ``cloud`` and ``snow``; NaN is neither.

    Parameters
    ----------
    bands : tuple of Float32
        Reflectance in blue, green, red, nir, swir16.
    cloud, snow : Bool
        Results.
    """
    blue, green, red, nir, swir16 = bands
    rows, columns = cloud.shape
    for row in range(rows):
        for column in range(columns):
            b, g, r = blue[row, column], green[row, column], red[row, column]
            n, s = nir[row, column], swir16[row, column]
            visible = (b + g + r) / _THREE
            # Ratios have no meaning where the sum is not above zero: noise around nothing.
            is_snow = (g + s > _ZERO) & ((g - s) / (g + s) > _NDSI_SNOW) & (s < _SWIR_SNOW) & (visible > _CLOUD_VISIBLE)
            hazy = (b - _HALF * r - _HAZE_OFFSET > _ZERO) & (visible > _CLOUD_VISIBLE)
            bright = (visible > _BRIGHT_VISIBLE) & (n + r > _ZERO) & ((n - r) / (n + r) < _NDVI_CLOUD)
            snow[row, column] = is_snow
            cloud[row, column] = (hazy | bright) & (not is_snow)


@compiled
def drop_unknown(band: Float32, codes: Codes) -> None:
    """Make every code 0 where a band is not known."""
    rows, columns = codes.shape
    for row in range(rows):
        for column in range(columns):
            codes[row, column] = codes[row, column] if np.isfinite(band[row, column]) else _NO_DATA


@compiled
def sort_classes(scl: Codes, means: Codes, codes: Codes, found: tuple[Bool, Bool, Bool]) -> None:
    """Sort pixels by their scene class.

    Parameters
    ----------
    scl : Codes
    means : Codes
        Shape (256,): code of every class.
    codes : Codes
        Made 0 where the class means so.
    found : tuple of Bool
        Results: cloud; shadow; snow, to what is True there before.
    """
    cloud, shadow, snow = found
    rows, columns = codes.shape
    line = np.empty(columns, np.uint8)
    for row in range(rows):
        for column in range(columns):
            line[column] = means[scl[row, column]]
        for column in range(columns):
            codes[row, column] = _NO_DATA if line[column] == _NO_DATA else codes[row, column]
            cloud[row, column] = line[column] == _CLOUD
            shadow[row, column] = line[column] == _SHADOW
            snow[row, column] |= line[column] == _SNOW


@compiled
def hide(masks: tuple[Bool, Bool, Bool], of: Codes, codes: Codes) -> None:
    """Give every pixel that is known the code of the first mask it is in; without one it keeps its own.

    Parameters
    ----------
    masks : tuple of Bool
    of : Codes
        Shape (masks,): the code of each.
    codes : Codes
    """
    rows, columns = codes.shape
    first, second, third = masks
    of_first, of_second, of_third = of[0], of[1], of[2]
    for row in range(rows):
        for column in range(columns):
            code = codes[row, column]
            hidden = of_third if third[row, column] else code
            hidden = of_second if second[row, column] else hidden
            hidden = of_first if first[row, column] else hidden
            codes[row, column] = hidden if code != _NO_DATA else code


@compiled
def shade_along(cloud: Bool, offsets: Offsets, shaded: Bool) -> None:
    """Mark what a cloud, or the unseen ground beyond the image's edge, shades when moved by any of the offsets.

    Parameters
    ----------
    cloud : Bool
    offsets : Offsets
        Shape (number, 2): whole (rows, columns), each as far as the one before or farther in the same direction.
    shaded : Bool
        Result, all False before.
    """
    rows, columns = cloud.shape
    seen = np.empty(rows, np.bool_)
    for row in range(rows):
        seen[row] = cloud[row].any()
    farthest = offsets[-1, 1]
    for row in range(rows):
        out = shaded[row]
        if row - offsets[-1, 0] < 0 or row - offsets[-1, 0] >= rows or abs(farthest) >= columns:
            out[:] = True
            continue
        out[: max(farthest, 0)] = True
        out[columns + min(farthest, 0) :] = True
        for number in range(offsets.shape[0]):
            down, right = offsets[number]
            if seen[row - down]:
                # Views: an index that might be below 0 would keep the loop from being done many columns at a time.
                to, of = out[max(right, 0) :], cloud[row - down, max(-right, 0) :]
                for column in range(columns - abs(right)):
                    to[column] |= of[column]


@compiled
def count_shaded(cloud: Bool, ground: Bool, dark: Bool, offsets: Offsets, counts: NDArray[np.int64]) -> None:
    """Count the ground that moved clouds cover, and what of it is dark.

    Parameters
    ----------
    cloud, ground, dark : Bool
        ``dark`` is part of ``ground``.
    offsets : Offsets
        Shape (number, 2): whole (rows, columns) the clouds are moved by; from beyond the image comes none.
    counts : NDArray[np.int64]
        Result, shape (number, 2), 0 before: covered pixels, dark ones among them.
    """
    rows, columns = cloud.shape
    for number in range(offsets.shape[0]):
        down, right = offsets[number]
        for row in range(max(down, 0), rows + min(down, 0)):
            of, to = cloud[row - down, max(-right, 0) :], ground[row, max(right, 0) :]
            below = dark[row, max(right, 0) :]
            covered, matched = 0, 0
            for column in range(columns - abs(right)):
                covered += of[column] & to[column]
                matched += of[column] & below[column]
            counts[number, 0] += covered
            counts[number, 1] += matched
