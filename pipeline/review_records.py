"""Rows of the layers that hold what reviewers decided and drew, and how far they agree."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from shapely.geometry.base import BaseGeometry

from pipeline.told import DECISIONS, REVIEW_KINDS, TIERS, Told

Object: TypeAlias = Annotated[str, Told("Object", meaning="What it is", values=REVIEW_KINDS)]
ObjectId: TypeAlias = Annotated[
    str, Told("Name", meaning="Of a pile its id, of a gain its years and zone, else as the reviewer calls it")
]
Analyst: TypeAlias = Annotated[str, Told("Reviewer", meaning="As the reviewer signs")]
Source: TypeAlias = Annotated[str | None, Told("Drawn on", meaning="Source of the outline")]
SourceDate: TypeAlias = Annotated[dt.date | None, Told("Day of the source", meaning="Day the source shows")]


@dataclass(frozen=True)
class ReviewRow:
    """One decision of a reviewer, as the ledger holds it; older decisions of the same reviewer stay."""

    geometry: BaseGeometry | None
    line: Annotated[int, Told("Line", meaning="Place in the ledger: the order in which decisions were taken")]
    object: Object
    object_id: ObjectId
    year: Annotated[int | None, Told("Year", meaning="Year the decision is for")]
    decision: Annotated[str, Told("Decision", meaning="What the reviewer decided", values=DECISIONS)]
    reason: Annotated[str | None, Told("Reason", meaning="In the reviewer's words")]
    analyst: Analyst
    reviewed_on: Annotated[dt.date, Told("Day of the decision", meaning="As the reviewer states it")]
    imagery: Annotated[str | None, Told("Imagery looked at", meaning="As the reviewer states it")]
    source: Source
    source_date: SourceDate
    uncertainty_m: Annotated[
        float | None, Told("Edge known within", unit="m", meaning="Distance within which the true edge lies, at 95 %")
    ]
    counts: Annotated[bool, Told("Counts", meaning="No later decision takes its place, and it withdraws none")]
    applied_to: Annotated[
        str | None, Told("Applied to", meaning="Objects of this run the decision is for, also under another name")
    ]
    machine_year: Annotated[int | None, Told("Year shown", meaning="Year of the outline put before the reviewer")]
    machine_area_m2: Annotated[
        float | None, Told("Area shown", unit="m2", meaning="Area put before the reviewer, of that year")
    ]
    machine_tier: Annotated[
        str | None, Told("Tier shown", meaning="Tier put before the reviewer, of the program alone", values=TIERS)
    ]
    manifest_sha256: Annotated[
        str | None,
        Told("Manifest shown", technical=True, meaning="Hash of the manifest of the result that was reviewed"),
    ]


@dataclass(frozen=True)
class OutlineRow:
    """One outline a reviewer drew, beside what was measured there in the nearest year."""

    geometry: BaseGeometry
    object: Object
    object_id: ObjectId
    year: Annotated[int, Told("Year", meaning="Year the outline is for; of a perimeter or yard that of its source")]
    analyst: Analyst
    source: Source
    source_date: SourceDate
    uncertainty_m: Annotated[
        float, Told("Edge known within", unit="m", meaning="Distance within which the true edge lies, at 95 %")
    ]
    area_m2: Annotated[float, Told("Area", unit="m2", meaning="Inside the reviewer's outline")]
    area_lo95_m2: Annotated[float, Told("Area, lower bound", unit="m2", meaning="Less perimeter times uncertainty")]
    area_hi95_m2: Annotated[float, Told("Area, upper bound", unit="m2", meaning="Plus perimeter times uncertainty")]
    compared_with: Annotated[str | None, Told("Compared with", meaning="What was measured there, in the nearest year")]
    our_area_m2: Annotated[float | None, Told("Our area", unit="m2", meaning="Of what it is compared with")]
    overlap: Annotated[float | None, Told("Overlap", unit="1", meaning="Area in both outlines over area in either")]
    share_of_ours_inside: Annotated[
        float | None, Told("Ours inside", unit="1", meaning="Share of our area inside the reviewer's outline")
    ]
    distance_p50_m: Annotated[
        float | None, Told("Distance, median", unit="m", meaning="From the reviewer's edge to ours")
    ]
    distance_p90_m: Annotated[
        float | None, Told("Distance, 90th percentile", unit="m", meaning="From the reviewer's edge to ours")
    ]


@dataclass(frozen=True)
class AgreementRow:
    """How far two reviewers agree on the objects both have judged."""

    analyst_a: Annotated[str, Told("Reviewer", meaning="One of the two")]
    analyst_b: Annotated[str, Told("Other reviewer", meaning="The other of the two")]
    object: Object
    n_objects: Annotated[int, Told("Objects", meaning="Judged by both, for the same year or both for all")]
    n_agreed: Annotated[int, Told("Agreed", meaning="Both keep it, or both reject it")]
    agreement: Annotated[float, Told("Agreement", unit="1", meaning="Share of the objects")]
    kappa: Annotated[float | None, Told("Kappa", unit="1", meaning="Agreement beyond chance (Cohen)")]
    kappa_lo95: Annotated[float | None, Told("Kappa, lower bound", unit="1", meaning="Of the 95 % interval")]
    kappa_hi95: Annotated[float | None, Told("Kappa, upper bound", unit="1", meaning="Of the 95 % interval")]
    note: Annotated[str | None, Told("Note", meaning="What limits the statement")]
