"""Drift of steady ground: does a year or a platform read it brighter or darker than the others? Pure.

Ground that should not change (bare or built, no water, no vegetation, away from every pile) is chosen from the
years' composites; each scene's departure from it is one draw of a year and of a platform (science 2.6).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.types import PIXEL_M, Bool, Float32

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
"""Bands of a composite, in its order."""
_MIN_YEARS = 3
"""Of two years nobody can say which one moved."""
MIN_PIXELS = 50
"""Fewer are one roof; 50 are half a hectare."""
_MIN_SCENES = 3
"""Fewer departures have no spread an interval could rest on."""
_GUARD_M = 100.0
"""Dust, loading and traffic reach this far round a pile."""
_WATER_NIR = 0.08
"""Steady ground reflects more in nir; water, wet ground and shadow do not (science 1.1)."""
_MAX_SPREAD = 0.015
"""Standard deviation of a pixel's years, after what all pixels share is taken off: that of unchanged bare ground."""
_STRIP_PX = 64
"""Rows of all years that are looked at together, so that memory does not grow with the years."""
_Z95 = 1.96
_MEDIAN_TO_MEAN = 1.2533
"""Standard error of a median over that of a mean, for a normal spread."""


@dataclass(frozen=True)
class SceneDeparture:
    """Median departure of one scene's steady pixels from their level through the years, reflectance by band."""

    scene_id: str
    year: int
    platform: str | None
    n_pixels: int
    departure: Mapping[str, float]


@dataclass(frozen=True)
class Departure:
    """Median departure of a group of scenes in one band; the bounds are None below three scenes."""

    group: str
    band: str
    n_pixels: int
    n_scenes: int
    median: float
    lo95: float | None
    hi95: float | None


def steady_ground(composites: Iterable[Float32], piles: Bool, ndvi_max: float, dark_max: float) -> tuple[Bool, Float32]:
    """Choose the pixels drift is watched on.

    Parameters
    ----------
    composites : iterable of Float32
        Gone through again and again, for a few rows each time: median reflectance of each year, shape (bands, rows,
        columns), bands as in BANDS; NaN unseen.
    piles : Bool
        True where a pile lies in any year, shape (rows, columns).
    ndvi_max : float
        Greener ground of any year is vegetation.
    dark_max : float
        Mean of blue, green, red and nir below which ground may be coal or spoil.

    Returns
    -------
    Bool
        Steady pixels, shape (rows, columns); none with fewer than three years.
    Float32
        Their level: median of the years, shape (bands, rows, columns); NaN where ground is not bare in every year.
    """
    level = np.full((len(BANDS), *piles.shape), np.nan, dtype=np.float32)
    bare, years = ~_near(piles), 0
    for start in range(0, len(piles), _STRIP_PX):
        rows = slice(start, start + _STRIP_PX)
        seen = [np.array(composite[:, rows]) for composite in composites]
        years = len(seen)
        if not enough_years(years):
            return np.zeros(piles.shape, dtype=bool), level
        bare[rows] &= np.all([_bare(one, ndvi_max, dark_max) for one in seen], axis=0)
        if bare[rows].any():
            level[:, rows][:, bare[rows]] = np.median([one[:, bare[rows]] for one in seen], axis=0)
    if not bare.any():
        return bare, level
    of_bare = level[:, bare]
    squares = np.zeros_like(of_bare)
    for composite in composites:
        for band, usual in enumerate(of_bare):
            off = composite[band][bare] - usual
            # What all bare pixels of a year share is drift, and no reason to leave a pixel out.
            squares[band] += (off - np.median(off)) ** 2
    steady = bare.copy()
    steady[bare] = np.sqrt(squares / np.float32(years)).max(axis=0) <= _MAX_SPREAD
    return steady, level


def _bare(composite: Float32, ndvi_max: float, dark_max: float) -> Bool:
    """Ground of a year that is seen, bare, dry and not dark."""
    red, nir = composite[BANDS.index("red")], composite[BANDS.index("nir")]
    with np.errstate(invalid="ignore"):
        bare = (nir - red <= ndvi_max * (nir + red)) & (nir > _WATER_NIR) & (composite[:4].mean(axis=0) > dark_max)
    return np.asarray(bare & np.isfinite(composite).all(axis=0))


def _near(piles: Bool) -> Bool:
    if not piles.any():
        return piles
    return np.asarray(ndimage.distance_transform_edt(~piles) * PIXEL_M <= _GUARD_M, dtype=bool)


def enough_years(number: int) -> bool:
    """Whether steady ground can be told from so many years."""
    return number >= _MIN_YEARS


def annual(scenes: Sequence[SceneDeparture]) -> list[Departure]:
    """Departure of every year and band."""
    return _grouped(scenes, lambda scene: str(scene.year), {})


def by_platform(scenes: Sequence[SceneDeparture]) -> list[Departure]:
    """Departure of every platform and band from the years its scenes lie in; scenes of no platform are left out."""
    years = {(row.group, row.band): row.median for row in annual(scenes)}
    return _grouped([s for s in scenes if s.platform], lambda scene: scene.platform or "", years)


def _grouped(
    scenes: Sequence[SceneDeparture], group: Callable[[SceneDeparture], str], taken_off: Mapping[tuple[str, str], float]
) -> list[Departure]:
    rows = []
    for name in sorted({group(scene) for scene in scenes}):
        members = [scene for scene in scenes if group(scene) == name]
        pixels = int(np.median([scene.n_pixels for scene in members]))
        for band in BANDS:
            values = np.array([s.departure[band] - taken_off.get((str(s.year), band), 0.0) for s in members])
            middle = float(np.median(values))
            half = _half_width(values)
            low, high = (None, None) if half is None else (middle - half, middle + half)
            rows.append(Departure(name, band, pixels, len(members), middle, low, high))
    return rows


def _half_width(values: NDArray[np.float64]) -> float | None:
    """Half of the 95 % interval of a median, from the spread of its values."""
    if len(values) < _MIN_SCENES:
        return None
    return float(_Z95 * _MEDIAN_TO_MEAN * np.std(values, ddof=1) / np.sqrt(len(values)))


def drifts(row: Departure, limit: float) -> bool | None:
    """Whether steady ground of a year departs by more than the limit; None where too few scenes show it."""
    return abs(row.median) > limit if row.n_scenes >= _MIN_SCENES else None


def drift_note(rows: Sequence[Departure], limit: float) -> str:
    """Say what steady ground shows of the years, for the report."""
    judged = [row for row in rows if drifts(row, limit) is not None]
    if not judged:
        return f"Drift between years is not watched: no steady ground was seen in at least {_MIN_YEARS} years."
    beyond = [row for row in judged if drifts(row, limit)]
    if not beyond:
        worst = max(judged, key=lambda row: abs(row.median))
        return (
            f"Steady ground departs by at most {worst.median:+.3f} ({worst.band}, {worst.group}) from its level "
            f"through the years; {limit:g} would be flagged."
        )
    named = ", ".join(f"{row.group} {row.band} {row.median:+.3f}" for row in beyond)
    return (
        f"Steady ground departs by more than {limit:g} from its level: {named}. What differs in those years may be the "
        "calibration or the air, not the ground; nothing was corrected."
    )
