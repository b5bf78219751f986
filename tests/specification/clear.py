"""Which pixels of one scene can be used, in plain numpy and scipy: what the compiled loops are held to."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.clear import CLEAR, CLOUD, NO_DATA, SHADOW, SNOW
from pipeline.config import ClearConfig
from pipeline.imagery import Image
from pipeline.types import PIXEL_M, Bool, Float32

_SCL_INVALID = (0, 1)
_SCL_SHADOW = 3
_SCL_CLOUD = (8, 9, 10)
_SCL_SNOW = 11
_STEP_PX = 5
"""Steps in which shadows are looked for; clouds are wider."""
_NDSI_SNOW = 0.4
_SWIR_SNOW = 0.2
_HAZE_OFFSET = 0.08  # haze-optimised transform of Zhu and Woodcock 2012: blue - 0.5 red - 0.08 > 0
_CLOUD_VISIBLE = 0.12
_BRIGHT_VISIBLE = 0.30
_NDVI_CLOUD = 0.25
_SHADE_LEFT = 0.7
"""Without scene classes: share of the scene's usual nir and swir16 below which ground may be shaded; full cloud
shadow leaves a third to a half."""
_SHADOW_FIT = 0.3
"""Least share of the moved clouds that must cover dark ground: 0.7 on a scene with true shadows, less than 0.2 on
scenes whose dark ground is water and slopes."""
_SHADOW_MIN_PX = 50
"""A fit on fewer pixels of ground is chance."""
_SHADOW_SPREAD_M = 300.0
"""Clouds of one scene differ in height: their shadows lie so far from where one height puts them."""
_VEIL_DARKEST = 0.25
"""Share of the clear ground a veil is measured on, the darkest in red: haze shows where little else is seen."""
_VEIL_MIN_PX = 100
"""Fewer pixels of clear ground (1 ha) tell nothing of a scene."""


def normalized_difference(a: Float32, b: Float32) -> Float32:
    """Return ``(a - b) / (a + b)``; NaN where the sum is not above zero (noise around nothing)."""
    total = a + b
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, (a - b) / total, np.float32(np.nan)).astype(np.float32)


def classify(
    image: Image, sun_azimuth_deg: float, config: ClearConfig, found: tuple[Bool, Bool] | None = None
) -> NDArray[np.uint8]:
    """Codes NO_DATA, CLEAR, SHADOW, CLOUD, SNOW for every pixel of an image.

    Parameters
    ----------
    image : Image
        Reflectance with blue, green, red, nir and swir16; ``scl`` when the archive has it.
    sun_azimuth_deg : float
        Clockwise from north.
    config : ClearConfig
    found : (Bool, Bool) or None
        Cloud and shadow of another mask, taken where the image has no ``scl``; None: found by colour.

    Returns
    -------
    NDArray[np.uint8]
        Shape ``image.grid.shape``.
    """
    valid = np.all([np.isfinite(band) for band in image.bands.values()], axis=0)
    cloud, snow = spectral_cloud_and_snow(image.bands)
    if image.scl is not None:
        valid &= ~np.isin(image.scl, _SCL_INVALID)
        cloud = np.isin(image.scl, _SCL_CLOUD)
        # Thin snow is often class 5 or 7; by colour nothing on the ground is taken for it.
        snow = snow | (image.scl == _SCL_SNOW)
        shadow = image.scl == _SCL_SHADOW
    elif found is not None:
        cloud, shadow = found
    else:
        shadow = spectral_shadow(image.bands, cloud, valid & ~cloud & ~snow, sun_azimuth_deg, config.shadow_reach_m)
    shadow = shadow & can_be_shaded(cloud, sun_azimuth_deg, config.shadow_reach_m)
    codes = np.full(image.grid.shape, CLEAR, dtype=np.uint8)
    codes[_dilate(shadow, config.shadow_dilate_m)] = SHADOW
    codes[snow] = SNOW
    codes[_dilate(cloud, config.cloud_dilate_m)] = CLOUD
    codes[~valid] = NO_DATA
    return codes


def spectral_cloud_and_snow(bands: Mapping[str, Float32]) -> tuple[Bool, Bool]:
    """Cloud and snow without a scene classification.

    Cloud: the haze-optimised transform of Zhu and Woodcock (2012), or bright ground without vegetation;
    snow: NDSI above 0.4 with dark swir16 (science 6.5). An archive with SCL is preferred.
    """
    visible = (bands["blue"] + bands["green"] + bands["red"]) / 3
    with np.errstate(invalid="ignore"):
        ndsi = normalized_difference(bands["green"], bands["swir16"])
        snow = (ndsi > _NDSI_SNOW) & (bands["swir16"] < _SWIR_SNOW) & (visible > _CLOUD_VISIBLE)
        haze = bands["blue"] - 0.5 * bands["red"] - _HAZE_OFFSET > 0
        ndvi = normalized_difference(bands["nir"], bands["red"])
        bright = (visible > _BRIGHT_VISIBLE) & (ndvi < _NDVI_CLOUD)
        cloud = ((haze & (visible > _CLOUD_VISIBLE)) | bright) & ~snow
    return ndimage.binary_opening(cloud), snow


def spectral_shadow(
    bands: Mapping[str, Float32], cloud: Bool, ground: Bool, sun_azimuth_deg: float, reach_m: float
) -> Bool:
    """Shadow without a scene classification: dark ground that lies as the clouds lie, moved away from the sun.

    Water, conifers and slopes are as dark as shadow. So the clouds are moved to where they cover the largest
    share of dark ground, and only dark ground near them there is shadow; where they fit nowhere nothing is.

    Parameters
    ----------
    bands : Mapping[str, Float32]
    cloud, ground : Bool
        Clouds as found, and what is neither cloud, snow nor no data.
    sun_azimuth_deg : float
        Clockwise from north.
    reach_m : float
        Longest shadow looked for.
    """
    nowhere = np.zeros_like(cloud)
    if not (cloud.any() and ground.any()):
        return nowhere
    with np.errstate(invalid="ignore"):
        dark = [bands[band] < _SHADE_LEFT * np.median(bands[band][ground]) for band in ("nir", "swir16")]
    dark_ground = ndimage.binary_opening(dark[0] & dark[1] & ground)
    best, at = _SHADOW_FIT, nowhere
    for offset in _shadow_offsets(cloud.shape, sun_azimuth_deg, reach_m):
        moved = _shifted(cloud, offset, beyond=False) & ground
        fit = float(dark_ground[moved].mean()) if moved.sum() >= _SHADOW_MIN_PX else 0.0
        if fit > best:
            best, at = fit, moved
    return np.asarray(dark_ground & _dilate(at, _SHADOW_SPREAD_M))


def veil(bands: Mapping[str, Float32], clear: Bool) -> float:
    """Haze of one date: the median of ``blue - 0.5 red`` over the darkest quarter of its clear ground.

    The haze-optimised transform of Zhu and Woodcock (2012): 0.003 to 0.021 over dark land under clear sky
    (science 2.3), more by 0.7 of what haze adds to blue. Water is left out: silt is as blue as haze.

    Returns
    -------
    float
        Reflectance; NaN where there is not enough clear ground.
    """
    with np.errstate(invalid="ignore"):
        land = clear & (normalized_difference(bands["green"], bands["swir16"]) < 0)
    blue, red = bands["blue"][land], bands["red"][land]
    if blue.size < _VEIL_MIN_PX:
        return float("nan")
    dark = red <= np.quantile(red, _VEIL_DARKEST)
    return float(np.median(blue[dark] - 0.5 * red[dark]))


def _dilate(mask: Bool, distance_m: float) -> Bool:
    """Return a mask True within a distance of any True pixel."""
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask) * PIXEL_M <= distance_m, dtype=bool)


def can_be_shaded(cloud: Bool, sun_azimuth_deg: float, reach_m: float) -> Bool:
    """Pixels that have a cloud, or the unseen ground beyond the image's edge, between them and the sun.

    Without any cloud in view nothing is shaded: an unseen cloud is then improbable, and the price of a
    wrong guess is the target itself.
    """
    if not cloud.any():
        return cloud
    wide = ndimage.binary_dilation(cloud, iterations=_STEP_PX)
    shaded = np.zeros_like(cloud)
    for offset in _shadow_offsets(cloud.shape, sun_azimuth_deg, reach_m):
        shaded |= _shifted(wide, offset, beyond=True)
    return shaded


def _shadow_offsets(shape: tuple[int, ...], sun_azimuth_deg: float, reach_m: float) -> Iterator[tuple[int, int]]:
    """Whole (rows, columns) from a cloud to its shadow, for clouds of growing height."""
    east, north = np.sin(np.radians(sun_azimuth_deg)), np.cos(np.radians(sun_azimuth_deg))
    longest = min(reach_m / PIXEL_M, float(np.hypot(shape[0], shape[1])))
    for distance in np.arange(_STEP_PX, longest + _STEP_PX, _STEP_PX):
        # Away from the sun: row increases to the south, column decreases to the west.
        yield round(float(distance * north)), round(float(-distance * east))


def _shifted(mask: Bool, offset: tuple[int, int], *, beyond: bool) -> Bool:
    """``mask`` moved by whole (rows, columns); what comes from outside the image is ``beyond``."""
    moved = np.full_like(mask, beyond)
    rows, columns = mask.shape
    down, right = offset
    if abs(down) >= rows or abs(right) >= columns:
        return moved
    moved[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)] = mask[
        max(-down, 0) : rows + min(-down, 0), max(-right, 0) : columns + min(-right, 0)
    ]
    return moved
