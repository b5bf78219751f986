"""Occupied ground: what stays without vegetation through the growing season (science 3.4).

A fence is not visible at 10 m; this is the extent of bare, mined and built ground, not a security line.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from models import Model
from models._footprint_kernels import HIGH, LOW, half_way
from models._indices import Bool, Float32
from models._morphology import closed, grown, opened, shrunk
from models._patch_kernels import keep_patches

MODEL = Model(
    name="footprint",
    version="2",
    measures="persistent non-vegetated ground",
    bands=("blue", "green", "red", "nir", "nir08", "swir16"),
)

CLASSES = ("bare_or_built", "dark_ground", "other_cleared")
"""Bare, mined and built ground are not told apart without radar; dark ground is spoil, coal, asphalt or tar, which
ten-metre pixels do not tell apart either; other cleared ground was green in the adequate years before and after."""

CORE, LAND, WATER, SEEN = 1, 2, 4, 8
"""Marks of a pixel: bare all season; no water and seen on enough dates; water; seen on enough dates."""
REACH_PX = 14
"""What a pixel is depends on those so near: 2 of the core's opening, 2 of light beside it, 5 of the window of levels,
4 of the last opening and closing, and one to spare."""
_LEVEL_PX = 11
"""Window the levels beside an edge are averaged over: enough pixels, and still beside it. Pixels two beyond the core
hold no light of it: three standard deviations of the point spread."""
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
    ground = outlined(marks(season, rules), season.dvi_max, season.brightness)
    keep_patches(ground, ground, rules.min_px)
    return ground


def marks(season: SeasonLayers, rules: FootprintRules) -> NDArray[np.uint8]:
    """Say what every pixel is by itself: CORE, LAND, WATER and SEEN, added up."""
    with np.errstate(invalid="ignore"):
        water = season.water_share > rules.water_share_max
        seen = season.clear >= rules.min_dates
        land = ~water & seen
        core = land & (season.ndvi_max < rules.ndvi_max) & (season.bare_share >= rules.bare_share)
    return np.asarray(CORE * core + LAND * land + WATER * water + SEEN * seen, dtype=np.uint8)


def outlined(marked: NDArray[np.uint8], dvi: Float32, brightness: Float32) -> Bool:
    """Occupied ground with its edges placed, patches of any size.

    What a pixel is depends on those within REACH_PX alone, so that large maps may be cut into windows.

    Parameters
    ----------
    marked : NDArray[np.uint8]
        Of :func:`marks`.
    dvi, brightness : Float32
        ``dvi_max`` and ``brightness`` of the season.
    """
    core, land, water, seen = ((marked & kind) > 0 for kind in (CORE, LAND, WATER, SEEN))
    bare = _edges_half_way(core, land, dvi)
    _leave_half_water(bare, core, water, brightness)
    return closed(opened(bare)) & seen


def _edges_half_way(core: Bool, land: Bool, dvi: Float32) -> Bool:
    """Move the rim of a core to where nir - red is half-way between the bare and the green side.

    A mixed pixel falls below the limit of NDVI only when 55 (concrete in forest) to 90 % (coal) of it is
    bare, so that outline lies 1 to 6 m too far inside. nir - red is linear in the bare share: half-way is the
    true edge, whatever lies on either side. Only pixels within one pixel of the core's own outline move.
    """
    core = opened(core)
    near, known = grown(core, corners=True), land & np.isfinite(dvi)
    side = _sides(shrunk(core, outside=True), known & ~grown(near, corners=True))
    half_way(dvi, side, near & ~shrunk(core) & known, _LEVEL_PX // 2, _MIN_CONTRAST, core)
    return core


def _leave_half_water(bare: Bool, core: Bool, water: Bool, brightness: Float32) -> None:
    """Take out pixels by water that are darker than half-way between it and the ground: more than half is water.

    MNDWI calls a mixed pixel water only when four fifths of it are.
    """
    if not water.any():
        return
    near = core & grown(grown(water, corners=True), corners=True)
    known = np.isfinite(brightness)
    side = _sides(shrunk(water, corners=True) & known, core & ~near & known)
    wet = np.zeros_like(bare)
    half_way(brightness, side, near, _LEVEL_PX // 2, _MIN_SHORE_CONTRAST, wet)
    bare &= ~wet


def _sides(low: Bool, high: Bool) -> NDArray[np.uint8]:
    """Say of every pixel on which side of an edge it is."""
    return (LOW * low + HIGH * high).astype(np.uint8)


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
