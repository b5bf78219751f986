"""Rows of the layers that hold what reviewers decided and drew, and how far they agree."""

import datetime as dt
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class ReviewRow:
    """One decision of a reviewer, as the ledger holds it; older decisions of the same reviewer stay."""

    geometry: BaseGeometry | None
    line: int
    object: str
    object_id: str
    year: int | None
    decision: str
    reason: str | None
    analyst: str
    reviewed_on: dt.date
    imagery: str | None
    source: str | None
    source_date: dt.date | None
    uncertainty_m: float | None
    counts: bool
    applied_to: str | None
    machine_year: int | None
    machine_area_m2: float | None
    machine_tier: str | None
    manifest_sha256: str | None


@dataclass(frozen=True)
class OutlineRow:
    """One outline a reviewer drew, beside what was measured there in the nearest year."""

    geometry: BaseGeometry
    object: str
    object_id: str
    year: int
    analyst: str
    source: str | None
    source_date: dt.date | None
    uncertainty_m: float
    area_m2: float
    area_lo95_m2: float
    area_hi95_m2: float
    compared_with: str | None
    our_area_m2: float | None
    overlap: float | None
    share_of_ours_inside: float | None
    distance_p50_m: float | None
    distance_p90_m: float | None


@dataclass(frozen=True)
class AgreementRow:
    """How far two reviewers agree on the objects both have judged."""

    analyst_a: str
    analyst_b: str
    object: str
    n_objects: int
    n_agreed: int
    agreement: float
    kappa: float | None
    kappa_lo95: float | None
    kappa_hi95: float | None
    note: str | None
