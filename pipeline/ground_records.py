"""Rows of the layers of occupied ground: its extent in a year, and what changed of it between two."""

from dataclasses import dataclass
from typing import Annotated

from shapely.geometry.base import BaseGeometry

from pipeline.told import (
    CLASSES,
    GROUND_CHANGES,
    REVIEW_STATES,
    Told,
    Year,
    YearEnd,
    YearFrom,
    YearStart,
    YearTo,
    ZoneId,
)


@dataclass(frozen=True)
class FootprintRow:
    """Measured extent of occupied ground of one class in one zone and year."""

    geometry: BaseGeometry
    year: Year
    year_start: YearStart
    year_end: YearEnd
    class_: Annotated[
        str,
        Told("Class", meaning="Short-lived ground is green in the adequate years before and after", values=CLASSES),
    ]
    zone_id: ZoneId
    area_m2: Annotated[float, Told("Area", unit="m2", meaning="Of the class in the zone")]
    area_lo95_m2: Annotated[
        float | None, Told("Area, lower bound", unit="m2", technical=True, meaning="A class has no interval of its own")
    ]
    area_hi95_m2: Annotated[
        float | None, Told("Area, upper bound", unit="m2", technical=True, meaning="A class has no interval of its own")
    ]


@dataclass(frozen=True)
class BoundaryChangeRow:
    """Ground gained or lost between two years' footprints, certain (beyond positional noise) or possible."""

    geometry: BaseGeometry
    year_from: YearFrom
    year_to: YearTo
    change: Annotated[
        str,
        Told(
            "Change",
            meaning="Certain: beyond positional noise, and a gain also shown by a second year",
            values=GROUND_CHANGES,
        ),
    ]
    zone_id: ZoneId
    area_m2: Annotated[float, Told("Area", unit="m2", meaning="Of the changed ground")]
    advance_p50_m: Annotated[
        float | None, Told("Advance, median", unit="m", meaning="Distance beyond the earlier outline")
    ]
    advance_p90_m: Annotated[
        float | None, Told("Advance, 90th percentile", unit="m", meaning="Distance beyond the earlier outline")
    ]
    advance_max_m: Annotated[
        float | None, Told("Advance, largest", unit="m", meaning="Distance beyond the earlier outline")
    ]
    advance_length_m: Annotated[
        float | None, Told("Length that moved", unit="m", meaning="Of the outline beyond the earlier one")
    ]
    review: Annotated[
        str | None, Told("Review", meaning="What reviewers say of a certain gain", values=REVIEW_STATES)
    ] = None
