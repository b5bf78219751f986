"""Which pixels of one scene can be used: cloud, shadow, snow, light and no data. Pure.

Sen2Cor calls coal "dark area", "cloud shadow" or "water", so classes 2 and 6 stay, class 3 is only
suspected when a cloud can have cast it, and a pixel that is dark on most dates is never dropped for a
shadow flag alone (science 1.3, 2.2, 2.3). What other dates of the same ground say is in :mod:`pipeline.history`.
"""

import datetime as dt
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models._disk_kernels import within, within_steps
from models._rank_kernels import quantile
from pipeline.config import ClearConfig
from pipeline.imagery import Image
from pipeline.kernels.clear import count_shaded, drop_unknown, find_white, hide, shade_along, sort_classes
from pipeline.types import PIXEL_M, Bool, Float32

NO_DATA, CLEAR, SHADOW, CLOUD, SNOW, DIM = 0, 1, 2, 3, 4, 5
"""Codes of a date's pixels. SHADOW is a suspicion that dark ground overrules; DIM is a slope with too little light."""

_SCL_MEANS = np.full(256, CLEAR, dtype=np.uint8)
_SCL_MEANS[[0, 1]], _SCL_MEANS[3], _SCL_MEANS[[8, 9, 10]], _SCL_MEANS[11] = NO_DATA, SHADOW, CLOUD, SNOW
_HIDE = np.array([CLOUD, SNOW, SHADOW], dtype=np.uint8)
"""What hides a pixel, in order: the first that does gives it its code."""
VEIL_BANDS = ("blue", "green", "red", "swir16")
"""What a veil is measured in."""
_BANDS = ("blue", "green", "red", "nir", "swir16")
_STEP_PX = 5
"""Steps in which shadows are looked for; clouds are wider."""
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


def sun_position(when: dt.datetime, longitude: float, latitude: float) -> tuple[float, float]:
    """Sun zenith and azimuth in degrees (azimuth clockwise from north) at a UTC time and place.

    Low-precision formulae of the Astronomical Almanac (Michalsky 1988), good to about 0.01 degree.
    """
    days = (when - dt.datetime(2000, 1, 1, 12, tzinfo=dt.UTC)).total_seconds() / 86400.0
    mean_longitude = np.radians((280.460 + 0.9856474 * days) % 360.0)
    anomaly = np.radians((357.528 + 0.9856003 * days) % 360.0)
    ecliptic = mean_longitude + np.radians(1.915) * np.sin(anomaly) + np.radians(0.020) * np.sin(2 * anomaly)
    tilt = np.radians(23.439 - 4e-7 * days)
    declination = np.arcsin(np.sin(tilt) * np.sin(ecliptic))
    ascension = np.arctan2(np.cos(tilt) * np.sin(ecliptic), np.cos(ecliptic))
    sidereal = np.radians((18.697374558 + 24.06570982441908 * days) % 24.0 * 15.0 + longitude)
    hour_angle, phi = sidereal - ascension, np.radians(latitude)
    height = np.arcsin(np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle))
    azimuth = np.arctan2(-np.sin(hour_angle), np.tan(declination) * np.cos(phi) - np.sin(phi) * np.cos(hour_angle))
    return float(90.0 - np.degrees(height)), float(np.degrees(azimuth) % 360.0)


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
    codes = np.full(image.grid.shape, CLEAR, dtype=np.uint8)
    for band in image.bands.values():
        drop_unknown(band, codes)
    cloud, snow = _white(image.bands)
    shadow = np.zeros(codes.shape, dtype=bool)
    if image.scl is not None:
        # Thin snow is often class 5 or 7; by colour nothing on the ground is taken for it.
        sort_classes(image.scl, _SCL_MEANS, codes, (cloud, shadow, snow))
    elif found is not None:
        cloud, shadow = found
    else:
        cloud = _opened(cloud)
        ground = (codes == CLEAR) & ~cloud & ~snow
        shadow = spectral_shadow(image.bands, cloud, ground, sun_azimuth_deg, config.shadow_reach_m)
    if shadow.any():
        shadow = shadow & can_be_shaded(cloud, sun_azimuth_deg, config.shadow_reach_m)
    near_shadow, near_cloud = (
        within(mask, reach_m / PIXEL_M)
        for mask, reach_m in ((shadow, config.shadow_dilate_m), (cloud, config.cloud_dilate_m))
    )
    hide((near_cloud, snow, near_shadow), _HIDE, codes)
    return codes


def spectral_cloud_and_snow(bands: Mapping[str, Float32]) -> tuple[Bool, Bool]:
    """Cloud and snow without a scene classification.

    Cloud: the haze-optimised transform of Zhu and Woodcock (2012), or bright ground without vegetation;
    snow: NDSI above 0.4 with dark swir16 (science 6.5). An archive with SCL is preferred.
    """
    white, snow = _white(bands)
    return _opened(white), snow


def _white(bands: Mapping[str, Float32]) -> tuple[Bool, Bool]:
    """Find what is white as cloud, single pixels too, and as snow."""
    blue, green, red, nir, swir16 = (np.ascontiguousarray(bands[b], np.float32) for b in _BANDS)
    cloud, snow = np.empty((2, *blue.shape), dtype=bool)
    find_white((blue, green, red, nir, swir16), cloud, snow)
    return cloud, snow


def _opened(mask: Bool) -> Bool:
    """Mask without single pixels and lines: what a cross of five pixels fits into; at the border nothing does."""
    core = mask & ~within_steps(~mask, 1)
    core[[0, -1]] = False
    core[:, [0, -1]] = False
    return within_steps(core, 1)


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
    offsets = _shadow_offsets(cloud.shape, sun_azimuth_deg, reach_m)
    if not (cloud.any() and ground.any() and offsets.size):
        return nowhere
    with np.errstate(invalid="ignore"):
        dark = [bands[band] < _SHADE_LEFT * np.median(bands[band][ground]) for band in ("nir", "swir16")]
    dark_ground = _opened(dark[0] & dark[1] & ground)
    counts = np.zeros(offsets.shape, dtype=np.int64)
    count_shaded(cloud, ground, dark_ground, offsets, counts)
    covered, matched = counts.T
    fit = np.where(covered >= _SHADOW_MIN_PX, matched / np.maximum(covered, 1), 0.0)
    best = int(np.argmax(fit))
    if fit[best] <= _SHADOW_FIT:
        return nowhere
    at = _shifted(cloud, offsets[best]) & ground
    return dark_ground & within(at, _SHADOW_SPREAD_M / PIXEL_M)


def veil(bands: Mapping[str, Float32], clear: Bool) -> float:
    """Haze of one date: the median of ``blue - 0.5 red`` over the darkest quarter of its clear ground.

    The haze-optimised transform of Zhu and Woodcock (2012): 0.003 to 0.021 over dark land under clear sky
    (science 2.3), more by 0.7 of what haze adds to blue. Water is left out: silt is as blue as haze.

    Returns
    -------
    float
        Reflectance; NaN where there is not enough clear ground.
    """
    blue, green, red, swir16 = (bands[band] for band in VEIL_BANDS)
    with np.errstate(invalid="ignore"):
        # Water has a normalized difference above 0; where the sum is not above zero it has none.
        land = clear & (green + swir16 > 0) & (green < swir16)
        if np.count_nonzero(land) < _VEIL_MIN_PX:
            return float("nan")
        dark = land & (red <= quantile(red, land, _VEIL_DARKEST))
    return quantile(blue - 0.5 * red, dark, 0.5)


def usable(codes: NDArray[np.uint8], protected: Bool) -> Bool:
    """Pixels that may be used: clear ones, and suspected shadow over ground that is dark on most dates."""
    may: Bool = (codes == CLEAR) | ((codes == SHADOW) & protected)
    return may


def can_be_shaded(cloud: Bool, sun_azimuth_deg: float, reach_m: float) -> Bool:
    """Pixels that have a cloud, or the unseen ground beyond the image's edge, between them and the sun.

    Without any cloud in view nothing is shaded: an unseen cloud is then improbable, and the price of a
    wrong guess is the target itself.
    """
    if not cloud.any():
        return cloud
    shaded = np.zeros(cloud.shape, dtype=bool)
    offsets = _shadow_offsets(cloud.shape, sun_azimuth_deg, reach_m)
    if offsets.size:
        shade_along(within_steps(cloud, _STEP_PX), offsets, shaded)
    return shaded


def _shadow_offsets(shape: tuple[int, ...], sun_azimuth_deg: float, reach_m: float) -> NDArray[np.int64]:
    """Whole (rows, columns) from a cloud to its shadow, for clouds of growing height; shape (heights, 2)."""
    east, north = np.sin(np.radians(sun_azimuth_deg)), np.cos(np.radians(sun_azimuth_deg))
    longest = min(reach_m / PIXEL_M, float(np.hypot(shape[0], shape[1])))
    distance = np.arange(_STEP_PX, longest + _STEP_PX, _STEP_PX)
    # Away from the sun: row increases to the south, column decreases to the west.
    return np.asarray(np.rint(np.stack([distance * north, -distance * east], axis=1)), dtype=np.int64)


def _shifted(mask: Bool, offset: NDArray[np.int64]) -> Bool:
    """``mask`` moved by whole (rows, columns), not beyond its size; from outside the image comes nothing."""
    moved = np.zeros_like(mask)
    rows, columns = mask.shape
    down, right = offset
    moved[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)] = mask[
        max(-down, 0) : rows + min(-down, 0), max(-right, 0) : columns + min(-right, 0)
    ]
    return moved
