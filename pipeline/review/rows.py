"""Reviewers' decisions, outlines and agreement -> rows of their layers. Pure."""

from pipeline.compare import Z95
from pipeline.grid import reproject
from pipeline.outlines import polygons_only
from pipeline.review.decisions import Decision
from pipeline.review.numbers import outline_sigma_m2
from pipeline.review.outcome import Reviewed
from pipeline.review.taking import counting
from pipeline.review_records import AgreementRow, OutlineRow, ReviewRow

_LONLAT = 4326


def review_rows(reviewed: Reviewed, epsg: int) -> list[ReviewRow]:
    """Give the whole history in the order of the ledger; ``counts`` marks what no later decision replaced."""
    current = {decision.line for decision in counting(reviewed.decisions)}
    return [_review_row(d, reviewed, d.line in current, epsg) for d in reviewed.decisions]


def _review_row(d: Decision, reviewed: Reviewed, counts: bool, epsg: int) -> ReviewRow:
    m = d.machine
    outline = d.outline if d.outline is not None else m.outline if m is not None else None
    applied = " ".join(reviewed.judged.applied.get(d.line, ()))
    if d.kind == "ground" and counts and d.object_id in reviewed.ground:
        applied = d.object_id
    return ReviewRow(
        None if outline is None else polygons_only(reproject(outline, _LONLAT, epsg)),
        d.line,
        d.kind,
        d.object_id,
        d.of_year,
        d.choice,
        d.reason,
        d.analyst,
        d.reviewed_on,
        d.imagery,
        d.source,
        d.source_date,
        d.uncertainty_m,
        counts,
        applied or None,
        *((None,) * 4 if m is None else (m.year, m.area_m2, m.tier, m.manifest_sha256)),
    )


def outline_rows(reviewed: Reviewed) -> list[OutlineRow]:
    """Give the outlines that count, each beside ours."""
    rows = []
    for c in reviewed.outlines:
        d, uncertainty = c.decision, c.decision.uncertainty_m or 0.0
        half = Z95 * outline_sigma_m2(c.outline, uncertainty)
        rows.append(
            OutlineRow(
                c.outline,
                d.kind,
                d.object_id,
                c.year,
                d.analyst,
                d.source,
                d.source_date,
                uncertainty,
                c.area_m2,
                max(c.area_m2 - half, 0.0),
                c.area_m2 + half,
                c.compared_with,
                c.our_area_m2,
                c.overlap,
                c.share_of_ours_inside,
                c.distance_p50_m,
                c.distance_p90_m,
            )
        )
    return rows


def agreement_rows(reviewed: Reviewed) -> list[AgreementRow]:
    """Give how far every two reviewers agree."""
    return [AgreementRow(*vars(agreement).values()) for agreement in reviewed.agreements]
