"""Rows of the layers that look at a series of years as a whole: trends, breaks, drift, platforms."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class TrendRow:
    """Slope of one metric of one zone over all adequate years (five at least)."""

    site_id: str
    zone_id: str
    metric: str
    year_first: int
    year_last: int
    n_years: int
    slope_per_year: float | None
    lo95: float | None
    hi95: float | None
    unit: str
    p_value: float | None
    q_value: float | None
    verdict: str
    reason: str | None


@dataclass(frozen=True)
class BreakRow:
    """Level of one metric of one zone before and after a resolution, with an exact test."""

    site_id: str
    zone_id: str
    metric: str
    resolution: str
    adopted: dt.date
    n_before: int
    n_after: int
    delta: float | None
    unit: str
    p_value: float | None
    smallest_p: float | None
    q_value: float | None
    verdict: str
    reason: str | None


@dataclass(frozen=True)
class DriftRow:
    """Departure of steady ground from its level through the years, of one year and band; ``flag`` beyond the limit."""

    year: int
    band: str
    n_pixels: int
    n_scenes: int
    median: float
    lo95: float | None
    hi95: float | None
    flag: bool | None


@dataclass(frozen=True)
class PlatformRow:
    """Departure of steady ground in the scenes of one platform from the years they lie in, by band."""

    platform: str
    band: str
    n_pixels: int
    n_scenes: int
    median: float
    lo95: float | None
    hi95: float | None
