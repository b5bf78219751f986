"""Rows of the layers of piles: a pile in a year, on a date, and between two years."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated

from shapely.geometry.base import BaseGeometry

from pipeline.told import (
    REVIEW_STATES,
    TIERS,
    ChangeVerdict,
    PileId,
    SceneId,
    Told,
    Year,
    YearEnd,
    YearFrom,
    YearStart,
    YearTo,
)


@dataclass(frozen=True)
class StockpileRow:
    """Outline of one pile in one year; its area is the median over the year's dates."""

    geometry: BaseGeometry
    pile_id: PileId
    year: Year
    year_start: YearStart
    year_end: YearEnd
    area_m2: Annotated[float, Told("Area", unit="m2", meaning="Median of the outlines of the year's dates")]
    area_lo95_m2: Annotated[float, Told("Area, lower bound", unit="m2", meaning="Of the 95 % interval")]
    area_hi95_m2: Annotated[float, Told("Area, upper bound", unit="m2", meaning="Of the 95 % interval")]
    n_dates: Annotated[int, Told("Dates", meaning="Dates on which the pile was outlined")]
    persistence: Annotated[
        float, Told("Persistence", unit="1", meaning="Share of the dates on which it reflects as coal does")
    ]
    tier: Annotated[
        str, Told("Tier", meaning="How sure it is a pile of coal-like material; confirmed only by review", values=TIERS)
    ]
    zone_id: Annotated[str | None, Told("Zone", meaning="Smallest zone the pile lies in")]
    volume_lo_m3: Annotated[
        float | None, Told("Volume, low scenario", unit="m3", meaning="Order of magnitude, where it is asked for")
    ]
    volume_hi_m3: Annotated[
        float | None, Told("Volume, high scenario", unit="m3", meaning="Order of magnitude, where it is asked for")
    ]
    method: Annotated[str, Told("Method", technical=True, meaning="Model and version")]
    score: Annotated[
        float | None,
        Told("Probability of coal", unit="1", meaning="Probability of coal from the year's median reflectance"),
    ]
    material: Annotated[str | None, Told("Material", meaning="The material that explains the reflectance best")]
    persistence_lo95: Annotated[
        float | None,
        Told("Persistence, lower bound", unit="1", technical=True, meaning="Of the 95 % interval (Jeffreys)"),
    ]
    persistence_hi95: Annotated[
        float | None,
        Told("Persistence, upper bound", unit="1", technical=True, meaning="Of the 95 % interval (Jeffreys)"),
    ]
    area_max_m2: Annotated[
        float | None, Told("Largest area of a date", unit="m2", meaning="Of the date with the largest outline")
    ]
    area_end_m2: Annotated[float | None, Told("Area on the last date", unit="m2", meaning="Of the year's last date")]
    parts: Annotated[
        str, Told("Parts", technical=True, meaning="Names of the separate heaps of the year, made as the pile's id is")
    ]
    machine_tier: Annotated[
        str, Told("Tier before review", meaning="What the program alone says; its numbers count probable", values=TIERS)
    ] = ""
    review: Annotated[str | None, Told("Review", meaning="What reviewers say of the year", values=REVIEW_STATES)] = None
    reviewed_as: Annotated[
        str | None, Told("Reviewed as", technical=True, meaning="Name of the pile the decision was made on")
    ] = None


@dataclass(frozen=True)
class ObservationRow:
    """Outline of one pile on one date: what the annual value is the median of."""

    geometry: BaseGeometry | None
    pile_id: PileId
    scene_id: SceneId
    date: Annotated[dt.date, Told("Date", meaning="Day of the acquisition")]
    area_m2: Annotated[float, Told("Area", unit="m2", meaning="Of the outline on this date")]
    area_lo95_m2: Annotated[float, Told("Area, lower bound", unit="m2", meaning="Of the 95 % interval")]
    area_hi95_m2: Annotated[float, Told("Area, upper bound", unit="m2", meaning="Of the 95 % interval")]
    pile_level: Annotated[
        float | None, Told("Reflectance of the pile", unit="1", technical=True, meaning="Mean of the 10 m bands")
    ]
    background_level: Annotated[
        float | None,
        Told("Reflectance of the surroundings", unit="1", technical=True, meaning="Mean of the 10 m bands"),
    ]
    clear_fraction: Annotated[
        float, Told("Clear share", unit="1", meaning="Usable share of the pile and its surroundings")
    ]
    score: Annotated[
        float | None, Told("Probability of coal", unit="1", meaning="Probability of coal from this date's reflectance")
    ]
    year: Year


@dataclass(frozen=True)
class StockpileChangeRow:
    """Change of one pile between two years; geometry is the later outline, else the earlier one."""

    geometry: BaseGeometry | None
    pile_id: PileId
    year_from: YearFrom
    year_to: YearTo
    delta_m2: Annotated[
        float | None, Told("Change", unit="m2", meaning="Later minus earlier area; a year without the pile counts as 0")
    ]
    lo95_m2: Annotated[float | None, Told("Change, lower bound", unit="m2", meaning="Of the 95 % interval")]
    hi95_m2: Annotated[float | None, Told("Change, upper bound", unit="m2", meaning="Of the 95 % interval")]
    mdc95_m2: Annotated[
        float | None,
        Told("Least change that would be called", unit="m2", meaning="1.96 standard deviations of the difference"),
    ]
    verdict: ChangeVerdict
