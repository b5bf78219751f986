"""Occupied ground, plainly: scipy's filters over whole maps."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models._indices import Bool, Float32
from models.footprint import _MIN_CONTRAST, _MIN_SHORE_CONTRAST, FootprintRules, SeasonLayers

_BLOCK = np.ones((3, 3), dtype=bool)
_FAR_PX = 2
_LEVEL_PX = 11


def measure(season: SeasonLayers, rules: FootprintRules) -> Bool:
    """Pixels of occupied ground; True needs ``min_dates`` clear dates.

    Crops are green at some time of the season, permanent bare ground never is: the largest NDVI stays
    below ``ndvi_max`` and the ground is bare on ``bare_share`` of the dates. The edge is then placed half-way
    between the levels on both sides of it. Opened and closed by one pixel, patches below ``min_px`` left out.
    """
    with np.errstate(invalid="ignore"):
        water = season.water_share > rules.water_share_max
        ground = ~water & (season.clear >= rules.min_dates)
        core = ground & (season.ndvi_max < rules.ndvi_max) & (season.bare_share >= rules.bare_share)
    bare = _edges_half_way(core, ground, season.dvi_max) & ~_half_water(core, water, season.brightness)
    smooth = ndimage.binary_closing(ndimage.binary_opening(bare)) & (season.clear >= rules.min_dates)
    labels, count = ndimage.label(smooth, structure=_BLOCK)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes >= rules.min_px
    keep[0] = False
    return np.asarray(keep[labels])


def _edges_half_way(core: Bool, ground: Bool, dvi: Float32) -> Bool:
    """Move the rim of a core to where nir - red is half-way between the bare and the green side.

    A mixed pixel falls below the limit of NDVI only when 55 (concrete in forest) to 90 % (coal) of it is
    bare, so that outline lies 1 to 6 m too far inside. nir - red is linear in the bare share: half-way is the
    true edge, whatever lies on either side. Only pixels within one pixel of the core's own outline move.
    """
    core = np.asarray(ndimage.binary_opening(core))
    rim = ndimage.binary_dilation(core, _BLOCK) & ~ndimage.binary_erosion(core) & ground & np.isfinite(dvi)
    bare = _local_mean(dvi, ndimage.binary_erosion(core, border_value=1))
    green = _local_mean(dvi, ground & ~ndimage.binary_dilation(core, _BLOCK, iterations=_FAR_PX) & np.isfinite(dvi))
    with np.errstate(invalid="ignore"):
        placed = rim & (green - bare >= _MIN_CONTRAST)
        return np.asarray(np.where(placed, dvi < (green + bare) / 2, core))


def _half_water(core: Bool, water: Bool, brightness: Float32) -> Bool:
    """Pixels by water that are darker than half-way between it and the ground: more than half is water.

    MNDWI calls a mixed pixel water only when four fifths of it are.
    """
    near = core & ndimage.binary_dilation(water, _BLOCK, iterations=_FAR_PX)
    ground = _local_mean(brightness, core & ~near & np.isfinite(brightness))
    wet = _local_mean(brightness, ndimage.binary_erosion(water, _BLOCK) & np.isfinite(brightness))
    with np.errstate(invalid="ignore"):
        return np.asarray(near & (ground - wet >= _MIN_SHORE_CONTRAST) & (brightness < (ground + wet) / 2))


def _local_mean(values: Float32, where: Bool) -> NDArray[np.float64]:
    """Mean over a window of the values of some pixels; NaN where the window holds none."""
    total = ndimage.uniform_filter(np.where(where, values, 0.0), _LEVEL_PX, mode="constant")
    share = ndimage.uniform_filter(where.astype(np.float64), _LEVEL_PX, mode="constant")
    # A running mean leaves rounding where a window is empty; one pixel is 1 / 121.
    filled = share > 0.5 / _LEVEL_PX**2
    return np.where(filled, total / np.where(filled, share, 1.0), np.nan)
