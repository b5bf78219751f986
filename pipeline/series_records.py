"""Rows of the layers without an outline: numbers of a zone by year, what is concluded from a series, drift."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated

from pipeline.told import (
    STATUSES,
    AnyMetric,
    Band,
    ChangeVerdict,
    Pixels,
    PValue,
    QValue,
    Reason,
    SceneId,
    Scenes,
    SiteId,
    Told,
    Unit,
    Year,
    YearFrom,
    YearTo,
    ZoneId,
)


@dataclass(frozen=True)
class MeasurementRow:
    """One metric of one zone and year."""

    site_id: SiteId
    zone_id: ZoneId
    year: Year
    metric: AnyMetric
    value: Annotated[float | None, Told("Value", meaning="In the unit beside it; none where the year cannot be judged")]
    lo95: Annotated[float | None, Told("Lower bound", meaning="Of the 95 % interval, in the unit")]
    hi95: Annotated[float | None, Told("Upper bound", meaning="Of the 95 % interval, in the unit")]
    unit: Unit
    n_dates: Annotated[int, Told("Dates", meaning="Median number of clear dates of a pixel")]
    valid_fraction: Annotated[
        float, Told("Share seen", unit="1", meaning="Share of the zone seen on enough clear dates")
    ]
    status: Annotated[str, Told("Status", meaning="Whether the year could be measured", values=STATUSES)]


@dataclass(frozen=True)
class ChangeRow:
    """Change of one metric of one zone between two years, with its verdict."""

    site_id: SiteId
    zone_id: ZoneId
    metric: AnyMetric
    year_from: YearFrom
    year_to: YearTo
    delta: Annotated[
        float | None, Told("Change", meaning="Later minus earlier value; of a gain what is beyond chance; in the unit")
    ]
    lo95: Annotated[float | None, Told("Change, lower bound", meaning="Of the 95 % interval, in the unit")]
    hi95: Annotated[float | None, Told("Change, upper bound", meaning="Of the 95 % interval, in the unit")]
    mdc95: Annotated[
        float | None, Told("Least change that would be called", meaning="Decision limit at 95 %, in the unit")
    ]
    unit: Unit
    p_value: PValue
    q_value: QValue
    verdict: ChangeVerdict
    reason: Reason


@dataclass(frozen=True)
class YearSceneRow:
    """One scene that was used for a metric in a year: what that year's number rests on."""

    metric: AnyMetric
    year: Year
    scene_id: SceneId
    date: Annotated[dt.date, Told("Date", meaning="Day of the acquisition")]
    clear_fraction: Annotated[float | None, Told("Clear share", unit="1", meaning="Clear share of the site")]


@dataclass(frozen=True)
class TrendRow:
    """Slope of one metric of one zone over all adequate years (five at least)."""

    site_id: SiteId
    zone_id: ZoneId
    metric: AnyMetric
    year_first: Annotated[int, Told("First year", meaning="First adequate year")]
    year_last: Annotated[int, Told("Last year", meaning="Last adequate year")]
    n_years: Annotated[int, Told("Years", meaning="Adequate years used")]
    slope_per_year: Annotated[float | None, Told("Change per year", meaning="Theil-Sen slope, in the unit per year")]
    lo95: Annotated[float | None, Told("Change per year, lower bound", meaning="Of the 95 % interval")]
    hi95: Annotated[float | None, Told("Change per year, upper bound", meaning="Of the 95 % interval")]
    unit: Unit
    p_value: PValue
    q_value: QValue
    verdict: ChangeVerdict
    reason: Reason


@dataclass(frozen=True)
class BreakRow:
    """Level of one metric of one zone before and after a resolution, with an exact test."""

    site_id: SiteId
    zone_id: ZoneId
    metric: AnyMetric
    resolution: Annotated[str, Told("Resolution", meaning="Of the United Nations Security Council")]
    adopted: Annotated[dt.date, Told("Adopted", meaning="Day of the resolution")]
    n_before: Annotated[int, Told("Years before", meaning="Adequate years before it")]
    n_after: Annotated[int, Told("Years after", meaning="Adequate years after it")]
    delta: Annotated[float | None, Told("Difference", meaning="Mean of the years after minus that of the years before")]
    unit: Unit
    p_value: PValue
    smallest_p: Annotated[
        float | None,
        Told("Smallest p possible", unit="1", technical=True, meaning="Least that any order of the values could have"),
    ]
    q_value: QValue
    verdict: ChangeVerdict
    reason: Reason


@dataclass(frozen=True)
class DriftRow:
    """Departure of steady ground from its level through the years, of one year and band; ``flag`` beyond the limit."""

    year: Year
    band: Band
    n_pixels: Pixels
    n_scenes: Scenes
    median: Annotated[float, Told("Departure", unit="1", meaning="Reflectance above the level through the years")]
    lo95: Annotated[float | None, Told("Departure, lower bound", unit="1", meaning="Of the 95 % interval")]
    hi95: Annotated[float | None, Told("Departure, upper bound", unit="1", meaning="Of the 95 % interval")]
    flag: Annotated[bool | None, Told("Beyond the limit", meaning="Whether the departure is larger than is allowed")]


@dataclass(frozen=True)
class PlatformRow:
    """Departure of steady ground in the scenes of one platform from the years they lie in, by band."""

    platform: Annotated[str, Told("Satellite", meaning="As the catalogue names it")]
    band: Band
    n_pixels: Pixels
    n_scenes: Scenes
    median: Annotated[float, Told("Departure", unit="1", meaning="Reflectance above that of the years of its scenes")]
    lo95: Annotated[float | None, Told("Departure, lower bound", unit="1", meaning="Of the 95 % interval")]
    hi95: Annotated[float | None, Told("Departure, upper bound", unit="1", meaning="Of the 95 % interval")]
