"""The rows of the GeoPackage: the product definition as data.

One frozen record per layer; its fields are the columns, in order, and their annotations the column
types. The writer, the report and the tests all read the layers from here (docs/contract.md).
"""

import datetime as dt
from dataclasses import dataclass
from typing import TypeAlias

from shapely.geometry.base import BaseGeometry

from pipeline.review_records import AgreementRow, OutlineRow, ReviewRow
from pipeline.series_records import BreakRow, DriftRow, PlatformRow, TrendRow


@dataclass(frozen=True)
class SiteRow:
    """The site's own polygons as they were given (AOI, perimeters, zones, controls, exclusions, yards)."""

    geometry: BaseGeometry
    id: str
    name: str
    kind: str
    role: str
    source: str | None
    source_date: str | None
    uncertainty_m: float | None


@dataclass(frozen=True)
class ZoneRow:
    """A zone that is measured on its own, and what its outline rests on."""

    geometry: BaseGeometry
    zone_id: str
    role: str
    name: str
    reference: str | None
    area_m2: float


@dataclass(frozen=True)
class SceneRow:
    """Coverage of a scene over the site; ``used`` 0 with the reason when refused."""

    geometry: BaseGeometry | None
    scene_id: str
    datetime: dt.datetime
    platform: str | None
    processing_baseline: str | None
    relative_orbit: int | None
    used: bool
    reason: str | None
    clear_fraction: float | None
    offset_verdict: str | None
    shift_x_m: float | None
    shift_y_m: float | None
    sha256: str | None
    residual_m: float | None = None
    evidence_version: int | None = None


@dataclass(frozen=True)
class StockpileRow:
    """Outline of one pile in one year; its area is the median over the year's dates."""

    geometry: BaseGeometry
    pile_id: str
    year: int
    year_start: dt.date
    year_end: dt.date
    area_m2: float
    area_lo95_m2: float
    area_hi95_m2: float
    n_dates: int
    persistence: float
    tier: str
    zone_id: str | None
    volume_lo_m3: float | None
    volume_hi_m3: float | None
    method: str
    score: float | None
    material: str | None
    persistence_lo95: float | None
    persistence_hi95: float | None
    area_max_m2: float | None
    area_end_m2: float | None
    parts: str
    machine_tier: str = ""
    review: str | None = None
    reviewed_as: str | None = None


@dataclass(frozen=True)
class ObservationRow:
    """Outline of one pile on one date: what the annual value is the median of."""

    geometry: BaseGeometry | None
    pile_id: str
    scene_id: str
    date: dt.date
    area_m2: float
    area_lo95_m2: float
    area_hi95_m2: float
    pile_level: float | None
    background_level: float | None
    clear_fraction: float
    score: float | None


@dataclass(frozen=True)
class StockpileChangeRow:
    """Change of one pile between two years; geometry is the later outline, else the earlier one."""

    geometry: BaseGeometry | None
    pile_id: str
    year_from: int
    year_to: int
    delta_m2: float | None
    lo95_m2: float | None
    hi95_m2: float | None
    mdc95_m2: float | None
    verdict: str


@dataclass(frozen=True)
class FootprintRow:
    """Measured extent of occupied ground of one class in one zone and year."""

    geometry: BaseGeometry
    year: int
    year_start: dt.date
    year_end: dt.date
    class_: str
    zone_id: str
    area_m2: float
    area_lo95_m2: float | None
    area_hi95_m2: float | None


@dataclass(frozen=True)
class BoundaryChangeRow:
    """Ground gained or lost between two years' footprints, certain (beyond positional noise) or possible."""

    geometry: BaseGeometry
    year_from: int
    year_to: int
    change: str
    zone_id: str
    area_m2: float
    advance_p50_m: float | None
    advance_p90_m: float | None
    advance_max_m: float | None
    advance_length_m: float | None
    review: str | None = None


@dataclass(frozen=True)
class MeasurementRow:
    """One metric of one zone and year."""

    site_id: str
    zone_id: str
    year: int
    metric: str
    value: float | None
    lo95: float | None
    hi95: float | None
    unit: str
    n_dates: int
    valid_fraction: float
    status: str


@dataclass(frozen=True)
class ChangeRow:
    """Change of one metric of one zone between two years, with its verdict."""

    site_id: str
    zone_id: str
    metric: str
    year_from: int
    year_to: int
    delta: float | None
    lo95: float | None
    hi95: float | None
    mdc95: float | None
    unit: str
    p_value: float | None
    q_value: float | None
    verdict: str
    reason: str | None


@dataclass(frozen=True)
class ClaimRow:
    """Verdict of one claim at this site, with the number it rests on."""

    claim_id: str
    quote: str
    source: str
    test: str
    verdict: str
    reason: str
    value: float | None
    lo95: float | None
    hi95: float | None
    not_observable: str


@dataclass(frozen=True)
class RunRow:
    """A key and a value that do not differ between two runs of the same inputs."""

    key: str
    value: str


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
