"""What an outlined object reflects, in plain numpy, scipy and shapely: what `models/_spectrum.py` must give."""

from collections.abc import Mapping

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from models._indices import Bands, Bool
from models._spectrum import Levels

_FINE = 4
_SIGMA_PX: Mapping[str, float] = {
    "blue": 0.51, "green": 0.51, "red": 0.51, "nir": 0.51, "nir08": 1.25, "swir16": 1.25, "swir22": 1.25,
}  # fmt: skip
_SHARED_PX: Mapping[float, float] = {0.51: 1.0, 1.25: 4.0}
_LEAST_SHARE = 0.25
_RING_PX = (2.5, 6.0)
_MIN_RING = 12
_NOISE = 0.004
_GAIN = 0.02

Float64 = NDArray[np.float64]


def object_levels(bands: Bands, seen: Bool, shape: BaseGeometry, others: Bool) -> Levels | None:
    rows, columns = seen.shape
    down, right = ((np.arange(size * _FINE) + 0.5) / _FINE for size in (rows, columns))
    shapely.prepare(shape)
    fine = shapely.contains_xy(shape, *np.meshgrid(right, down)).astype(np.float64)
    cover = fine.reshape(rows, _FINE, columns, _FINE).mean(axis=(1, 3))
    if not (cover > 0.5).any():
        return None
    distance = np.asarray(ndimage.distance_transform_edt(cover == 0))
    ring = (distance >= _RING_PX[0]) & (distance <= _RING_PX[1]) & seen & ~others
    if ring.sum() < _MIN_RING:
        return None
    levels = {b: _level(x, _shares(fine, _SIGMA_PX[b]), ring, seen & ~others, b) for b, x in bands.items()}
    found = {band: level for band, level in levels.items() if level is not None}
    if len(found) < len(levels):
        return None
    return Levels({band: value for band, (value, _) in found.items()}, {b: sigma for b, (_, sigma) in found.items()})


def _shares(fine: Float64, sigma_px: float) -> Float64:
    """Share of each pixel's light that comes from the object."""
    # Averaging the points of a pixel smears as well: a twelfth of a pixel squared.
    blurred = ndimage.gaussian_filter(fine, np.sqrt(sigma_px**2 - 1 / 12) * _FINE, mode="nearest")
    rows, columns = (size // _FINE for size in fine.shape)
    return np.asarray(blurred.reshape(rows, _FINE, columns, _FINE).mean(axis=(1, 3)))


def _level(
    pixels: NDArray[np.float32], share: Float64, ring: Bool, seen: Bool, band: str
) -> tuple[float, float] | None:
    """Level of one band and its standard error: noise of the pixels, spread of the background, calibration."""
    background = float(np.median(pixels[ring & np.isfinite(pixels)]))
    spread = 1.4826 * float(np.median(np.abs(pixels[ring & np.isfinite(pixels)] - background)))
    used = (share > _LEAST_SHARE) & seen & np.isfinite(pixels)
    f, x = share[used], pixels[used].astype(np.float64)
    weight = float((f**2).sum())
    if weight == 0:
        return None
    level = float((f * (x - (1 - f) * background)).sum() / weight)
    noise = _NOISE * np.sqrt(_SHARED_PX[_SIGMA_PX[band]] / weight)
    mixed = spread * float((f * (1 - f)).sum()) / weight
    return level, float(np.sqrt(noise**2 + mixed**2 + (_GAIN * level) ** 2))
