"""Occupied ground: what stays without vegetation through the growing season (science 3.4).

A fence is not visible at 10 m; this is the extent of bare, mined and built ground, not a security line.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import comb

from models import Model
from models._indices import Bool, Float32

MODEL = Model(
    name="footprint",
    version="2",
    measures="persistent non-vegetated ground",
    bands=("blue", "green", "red", "nir", "nir08", "swir16"),
)

CLASSES = ("bare_or_built", "dark_ground", "other_cleared")
"""Bare, mined and built ground are not told apart without radar; dark ground is spoil, coal, asphalt or tar, which
ten-metre pixels do not tell apart either; other cleared ground was green in the adequate years before and after."""

_BLOCK = np.ones((3, 3), dtype=bool)
_FAR_PX = 2
"""Pixels this far beyond the core hold no light of it: three standard deviations of the point spread."""
_LEVEL_PX = 11
"""Window the levels beside an edge are averaged over: enough pixels, and still beside it."""
_MIN_SHORE_CONTRAST = 0.05
"""Least difference of brightness between ground and water: soil and concrete have 0.15 and 0.25, water 0.03; on coal
and tar the edge stays where the tests of water put it."""
_MIN_CONTRAST = 0.10
"""Least difference of nir - red between green and bare ground: crops in leaf have 0.3 against 0 to 0.06 of bare
ground, so that less is no edge of vegetation, and the fixed limit of NDVI stands."""


@dataclass(frozen=True)
class FootprintRules:
    """Limits of the footprint; reflectance 0-1."""

    ndvi_max: float
    bare_share: float
    water_share_max: float
    min_px: int
    min_dates: int


@dataclass(frozen=True)
class SeasonLayers:
    """What one growing season shows of every pixel, shape (rows, columns).

    Attributes
    ----------
    ndvi_max, dvi_max : Float32
        Expected largest NDVI, and nir - red in reflectance, of a fixed number of the clear dates
        (:func:`draw_weights`); NaN unseen.
    bare_share, water_share : Float32
        Share of clear dates below the NDVI limit, and looking like water; NaN unseen.
    brightness : Float32
        Median brightness; NaN unseen.
    clear : NDArray
        Number of clear dates.
    """

    ndvi_max: Float32
    dvi_max: Float32
    bare_share: Float32
    water_share: Float32
    brightness: Float32
    clear: NDArray[np.integer]


def draw_weights(dates: int, k: int) -> NDArray[np.float64]:
    """Probability that the i-th smallest of n values is the largest of ``k`` dates drawn from them.

    The plain largest of a season rises with the number of dates, which a second satellite doubled in 2017. The
    expected largest of a fixed number of dates does not: of n values in rising order the i-th is the largest of a
    draw with the probability ``C(i - 1, k - 1) / C(n, k)``, so that the mean over all draws is exact. A pixel with
    fewer dates has its plain largest.

    Returns
    -------
    NDArray[np.float64]
        Shape (dates + 1, dates): n, and i - 1.
    """
    weights = np.zeros((dates + 1, dates))
    for n in range(1, dates + 1):
        drawn = min(k, n)
        weights[n, :n] = comb(np.arange(n), drawn - 1) / comb(n, drawn)
    return weights


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


def classes(footprint: Bool, cleared: Bool, season_brightness: Float32, dark_brightness: float) -> dict[str, Bool]:
    """Split occupied ground into CLASSES; the first that fits counts, from the last.

    Parameters
    ----------
    footprint : Bool
        Occupied ground of the year.
    cleared : Bool
        Ground seen green in the adequate years before and after.
    season_brightness : Float32
        Median brightness of the season, reflectance; NaN unseen.
    dark_brightness : float
        Ground below is dark.
    """
    with np.errstate(invalid="ignore"):
        dark = footprint & ~cleared & (season_brightness < dark_brightness)
    return {"bare_or_built": footprint & ~cleared & ~dark, "dark_ground": dark, "other_cleared": footprint & cleared}
