"""The rows of the GeoPackage: the product definition as data.

One frozen record per layer; its fields are the columns, in order, their annotations the column types and what a reader
is told of them (:class:`pipeline.told.Told`). The writer, the report, the exports and the tests read the layers from
here (docs/contract.md).
"""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from shapely.geometry.base import BaseGeometry

from pipeline.ground_records import BoundaryChangeRow, FootprintRow
from pipeline.pile_records import ObservationRow, StockpileChangeRow, StockpileRow
from pipeline.review_records import AgreementRow, OutlineRow, ReviewRow
from pipeline.series_records import (
    BreakRow,
    ChangeRow,
    DriftRow,
    MeasurementRow,
    PlatformRow,
    TrendRow,
    YearSceneRow,
)
from pipeline.told import CLAIM_VERDICTS, METRICS, OFFSET_VERDICTS, ROLES, SITE_ROLES, SceneId, Told, ZoneId

__all__ = [
    "LAYERS",
    "BoundaryChangeRow",
    "ChangeRow",
    "ClaimRow",
    "FootprintRow",
    "MeasurementRow",
    "ObservationRow",
    "Row",
    "RunRow",
    "SceneRow",
    "SiteRow",
    "StockpileChangeRow",
    "StockpileRow",
    "Tables",
    "YearSceneRow",
    "ZoneRow",
]


@dataclass(frozen=True)
class SiteRow:
    """The site's own polygons as they were given (AOI, perimeters, zones, controls, exclusions, yards)."""

    geometry: BaseGeometry
    id: Annotated[str, Told("Site", technical=True, meaning="Id of the site file")]
    name: Annotated[str, Told("Name", meaning="Of the site or of the feature")]
    kind: Annotated[str, Told("Kind", meaning="Camp, mine, port, power plant or other")]
    role: Annotated[str, Told("Role", meaning="As the site file gives it", values=SITE_ROLES)]
    source: Annotated[str | None, Told("Source", meaning="Who drew or published the outline")]
    source_date: Annotated[str | None, Told("Date of the source", meaning="As the source states it")]
    uncertainty_m: Annotated[
        float | None, Told("Positional uncertainty", unit="m", meaning="Of the outline, as the source states it")
    ]


@dataclass(frozen=True)
class ZoneRow:
    """A zone that is measured on its own, and what its outline rests on."""

    geometry: BaseGeometry
    zone_id: ZoneId
    role: Annotated[str, Told("Role", meaning="What the zone is to the site", values=ROLES)]
    name: Annotated[str, Told("Name", meaning="Of the zone")]
    reference: Annotated[
        str | None, Told("Rests on", meaning="A sourced perimeter, or the footprint measured in the baseline year")
    ]
    area_m2: Annotated[float, Told("Area", unit="m2", meaning="Of the zone, on the ellipsoid")]


@dataclass(frozen=True)
class SceneRow:
    """Coverage of a scene over the site; ``used`` 0 with the reason when refused."""

    geometry: BaseGeometry | None
    scene_id: SceneId
    datetime: Annotated[dt.datetime, Told("Time (UTC)", meaning="Of the acquisition")]
    platform: Annotated[str | None, Told("Satellite", meaning="As the catalogue names it")]
    processing_baseline: Annotated[str | None, Told("Processing baseline", meaning="As the catalogue states it")]
    relative_orbit: Annotated[int | None, Told("Relative orbit", meaning="As the catalogue states it")]
    used: Annotated[bool, Told("Used", meaning="Whether any number may rest on it")]
    reason: Annotated[str | None, Told("Reason", meaning="Why it was not used, or a remark")]
    clear_fraction: Annotated[float | None, Told("Clear share", unit="1", meaning="Clear share of the site")]
    offset_verdict: Annotated[
        str | None,
        Told("Radiometric offset", meaning="Whether the stated offset agrees with the pixels", values=OFFSET_VERDICTS),
    ]
    shift_x_m: Annotated[float | None, Told("Shift taken off, east", unit="m", meaning="To lie on the reference scene")]
    shift_y_m: Annotated[
        float | None, Told("Shift taken off, north", unit="m", meaning="To lie on the reference scene")
    ]
    sha256: Annotated[
        str | None, Told("SHA-256", technical=True, meaning="Hash of the joined hashes of the scene's files")
    ]
    residual_m: Annotated[
        float | None,
        Told(
            "Residual of the shift",
            unit="m",
            technical=True,
            meaning="Half of what the shifts of the 10 m and the 20 m bands differ by",
        ),
    ] = None
    evidence_version: Annotated[
        int | None,
        Told(
            "Version of the pixels",
            technical=True,
            meaning="Above 1: not the first; the provider has changed them, or an earlier copy is broken",
        ),
    ] = None
    scale: Annotated[
        float | None, Told("Scale", technical=True, meaning="Reflectance is the sum of DN and offset times this")
    ] = None
    offset_dn: Annotated[
        float | None, Told("Offset, DN", technical=True, meaning="As it was applied: added to the DN of every band")
    ] = None
    nodata_dn: Annotated[
        str | None,
        Told(
            "No data, DN", technical=True, meaning="As the catalogue declares it; band by band where bands do not agree"
        ),
    ] = None


@dataclass(frozen=True)
class ClaimRow:
    """Verdict of one claim at this site, with the number it rests on."""

    claim_id: Annotated[str, Told("Claim", meaning="Id in the claims file")]
    quote: Annotated[str, Told("Quote", meaning="The claim in its own words")]
    source: Annotated[str, Told("Source", meaning="Who makes it")]
    test: Annotated[str, Told("Test", meaning="What was tested, fixed before the run")]
    verdict: Annotated[str, Told("Verdict", meaning="Of the test; it says nothing of causes", values=CLAIM_VERDICTS)]
    reason: Annotated[str, Told("Reason", meaning="What decided, and any counter-evidence")]
    value: Annotated[
        float | None, Told("Value", meaning="Newest year that counts: difference from the baseline year, or the count")
    ]
    lo95: Annotated[float | None, Told("Lower bound", meaning="Of the 95 % interval")]
    hi95: Annotated[float | None, Told("Upper bound", meaning="Of the 95 % interval")]
    not_observable: Annotated[str, Told("Not observable", meaning="What imagery cannot show of the claim")]
    metric: Annotated[str, Told("Metric", meaning="What is measured for the test", values=METRICS)]
    tested: Annotated[
        str | None,
        Told("Tested by", technical=True, meaning="Zone and years of each change, or zone and year of each count"),
    ] = None


@dataclass(frozen=True)
class RunRow:
    """A key and a value that do not differ between two runs of the same inputs."""

    key: Annotated[str, Told("Key", meaning="Name of a fact or setting")]
    value: Annotated[str, Told("Value", meaning="What it is in this result")]


Row: TypeAlias = (
    SiteRow
    | ZoneRow
    | SceneRow
    | StockpileRow
    | ObservationRow
    | StockpileChangeRow
    | FootprintRow
    | BoundaryChangeRow
    | MeasurementRow
    | ChangeRow
    | YearSceneRow
    | TrendRow
    | BreakRow
    | ClaimRow
    | DriftRow
    | PlatformRow
    | ReviewRow
    | OutlineRow
    | AgreementRow
    | RunRow
)

LAYERS: dict[str, type[Row]] = {
    "sites": SiteRow,
    "zones": ZoneRow,
    "scenes": SceneRow,
    "stockpiles": StockpileRow,
    "stockpile_observations": ObservationRow,
    "stockpile_changes": StockpileChangeRow,
    "footprints": FootprintRow,
    "boundary_changes": BoundaryChangeRow,
    "measurements": MeasurementRow,
    "changes": ChangeRow,
    "year_scenes": YearSceneRow,
    "trends": TrendRow,
    "breaks": BreakRow,
    "claims": ClaimRow,
    "drift": DriftRow,
    "platforms": PlatformRow,
    "reviews": ReviewRow,
    "analyst_outlines": OutlineRow,
    "agreement": AgreementRow,
    "run": RunRow,
}
"""Layer name to record, in the order the GeoPackage lists them. A trailing ``_`` is not in the column name."""

Tables: TypeAlias = dict[str, list[Row]]
"""Layer name to its rows; every name of LAYERS is present, possibly with no row."""
