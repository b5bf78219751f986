"""The report's tables on review: machine and reviewed numbers side by side, decisions, outlines, agreement. Pure."""

import re

from pipeline.products.listings import Cell, Column, Listing, cells, number_cell
from pipeline.products.results import SITE_ZONE, Results
from pipeline.products.rounding import ABSENT, show, show_metres, show_percent
from pipeline.products.row_address import address, row_address
from pipeline.products.spelling import span
from pipeline.products.wording import metric_title
from pipeline.records import MeasurementRow
from pipeline.review_records import AgreementRow, OutlineRow, ReviewRow
from pipeline.told import DECISIONS, REVIEW_KINDS

_PREFIX = "reviewed_"
_KINDS = dict(REVIEW_KINDS)
_DECISIONS = dict(DECISIONS)


def review_listings(results: Results) -> tuple[Listing, ...]:
    """Tables of what reviewers decided; where nobody did, one that says so."""
    reviews = results.rows("reviews", ReviewRow)
    if not reviews:
        return (_numbers(results),)
    tables = (_numbers(results), _decisions(results, reviews), _outlines(results), _agreement(results))
    return tables[:2] + tuple(table for table in tables[2:] if table.rows)


def _numbers(results: Results) -> Listing:
    """Machine and reviewed number of every zone, metric and year, side by side."""
    of_review = [r for r in results.measurements.values() if r.metric.startswith(_PREFIX)]
    touched = {(r.zone_id, r.metric) for r in of_review if r.zone_id == SITE_ZONE or _differs(results, r)}
    rows = [r for r in of_review if (r.zone_id, r.metric) in touched]
    rows.sort(key=lambda r: (*results.sort_key(r.zone_id, r.metric), r.year))
    return Listing(
        "Machine and reviewed numbers",
        "Machine: as the program measures, which all verdicts and claims rest on. Reviewed: without piles reviewers "
        "reject, with candidates they accept, outlines they drew in place of ours, and piles they found. A pile they "
        "disagree on stays as the machine has it. Whole site, and zones where review changes a number. "
        f"{ABSENT} : too much of the year is not known, as where a pile that reviewers found is given for another.",
        (
            *(Column("Zone", share=1.6), Column("Metric", share=1.6), Column("Year", share=0.7)),
            *(Column("Machine", number=True), Column("95 % interval", number=True, share=1.7)),
            *(Column("Reviewed", number=True), Column("95 % interval", number=True, share=1.7)),
        ),
        tuple(_side_by_side(results, row) for row in rows),
        "No reviewer has decided on a pile: all numbers are the machine's.",
        anchor="reviewed",
        row_ids=tuple((address("reviewed", r.zone_id, r.metric, r.year),) for r in rows),
    )


def _of_machine(results: Results, row: MeasurementRow) -> MeasurementRow | None:
    """Return the machine's row beside a reviewed one."""
    return results.measurements.get((row.zone_id, row.metric.removeprefix(_PREFIX), row.year))


def _differs(results: Results, row: MeasurementRow) -> bool:
    machine = _of_machine(results, row)
    return machine is None or machine.value != row.value


def _side_by_side(results: Results, row: MeasurementRow) -> tuple[Cell, ...]:
    metric = row.metric.removeprefix(_PREFIX)
    numbers: list[Cell] = []
    for one in (_of_machine(results, row), row):
        if one is None or one.value is None:
            numbers += cells(ABSENT, ABSENT)
            continue
        shown = show(one.value, one.lo95, one.hi95, one.unit)
        numbers += (number_cell(shown.value_with_unit, one.value), number_cell(shown.interval_with_unit, one.lo95))
    return (*cells(results.zone_name(row.zone_id), metric_title(metric)), Cell(str(row.year), key=row.year), *numbers)


def _decisions(results: Results, reviews: list[ReviewRow]) -> Listing:
    """Give all decisions, newest last, with those that no longer count."""
    return Listing(
        "Decisions of reviewers",
        "Every decision as it was taken; one that a later one of the same reviewer replaced, or that withdraws one, "
        "does not count and stays in the history. Applied to: the objects of this result it is for.",
        (
            *(Column("No.", share=0.5), Column("Object", share=2.2), Column("Year", share=0.9)),
            *(Column("Decision", share=1.4), Column("Reviewer", share=1.2), Column("Day", share=1.2)),
            *(Column("Reason", share=2.4), Column("Imagery", share=1.8)),
            *(Column("Counts", share=0.7), Column("Applied to", share=1.7)),
        ),
        tuple(
            (
                Cell(str(r.line), key=r.line),
                *cells(_called(results, r), _years(r)),
                *cells(_DECISIONS.get(r.decision, r.decision), r.analyst, r.reviewed_on.isoformat()),
                *cells(r.reason or ABSENT, r.imagery or r.source or ABSENT, "yes" if r.counts else "no"),
                Cell(r.applied_to or ABSENT),
            )
            for r in reviews
        ),
        "No decision was taken.",
        wide=True,
        anchor="reviews",
        row_ids=tuple((row_address("reviews", r),) for r in reviews),
    )


def _called(results: Results, row: ReviewRow | OutlineRow) -> str:
    """Name an object; a gain of ground by its years and its zone, as :func:`pipeline.review.outcome.gain_id` has it."""
    kind = row.object.replace("_", " ").capitalize()
    gain = re.fullmatch(r"(\d{4})-(\d{4}) (.+)", row.object_id) if row.object == "ground" else None
    if gain is None:
        return f"{kind}: {row.object_id}"
    return f"{kind}: {span(int(gain[1]), int(gain[2]))}, {results.zone_name(gain[3])}"


def _years(row: ReviewRow) -> str:
    if row.year is not None:
        return str(row.year)
    return "all years" if row.object == "pile" else ABSENT


def _outlines(results: Results) -> Listing:
    """Outlines reviewers drew, beside ours."""
    rows = results.rows("analyst_outlines", OutlineRow)
    return Listing(
        "Outlines drawn by reviewers",
        "Interval: perimeter times the uncertainty the reviewer states. Overlap: area in both outlines over area in "
        "either. Ours inside: share of our area inside theirs. Distance: from their edge to ours.",
        (
            *(Column("Object", share=1.8), Column("Year", share=0.7), Column("Reviewer", share=1.1)),
            *(Column("Source", share=1.8), Column("Edge within, m", number=True, share=0.8)),
            *(Column("Area", number=True), Column("95 % interval", number=True, share=1.6)),
            *(Column("Ours", share=1.4), Column("Our area", number=True), Column("Overlap", number=True, share=0.8)),
            *(
                Column("Ours inside", number=True, share=0.8),
                Column("Distance, m: median; 90 %", number=True, share=1.3),
            ),
        ),
        tuple(_outline_cells(results, row) for row in rows),
        "No outline was drawn.",
        wide=True,
        anchor="analyst_outlines",
        row_ids=tuple((row_address("analyst_outlines", r),) for r in rows),
    )


def _outline_cells(results: Results, row: OutlineRow) -> tuple[Cell, ...]:
    area = show(row.area_m2, row.area_lo95_m2, row.area_hi95_m2)
    source = " ".join(str(part) for part in (row.source, row.source_date) if part is not None)
    away = ABSENT
    if row.distance_p50_m is not None:
        away = f"{show_metres(row.distance_p50_m)}; {show_metres(row.distance_p90_m)}"
    return (
        *cells(_called(results, row), str(row.year), row.analyst, source or ABSENT),
        number_cell(show_metres(row.uncertainty_m), row.uncertainty_m),
        number_cell(area.value_with_unit, row.area_m2),
        number_cell(area.interval_with_unit, row.area_lo95_m2),
        Cell(row.compared_with or ABSENT),
        number_cell(ABSENT if row.our_area_m2 is None else show(row.our_area_m2).value_with_unit, row.our_area_m2),
        number_cell(ABSENT if row.overlap is None else show_percent(row.overlap), row.overlap),
        number_cell(
            ABSENT if row.share_of_ours_inside is None else show_percent(row.share_of_ours_inside),
            row.share_of_ours_inside,
        ),
        number_cell(away, row.distance_p50_m),
    )


def _agreement(results: Results) -> Listing:
    """How far every two reviewers agree."""
    rows = results.rows("agreement", AgreementRow)
    return Listing(
        "Agreement of reviewers",
        "On objects both have judged, for the same year or both for all. Kappa: agreement beyond chance (Cohen); 0 is "
        "what chance gives, 1 full agreement.",
        (
            *(Column("Reviewers", share=2.0), Column("Objects", share=1.4), Column("Judged by both", number=True)),
            *(Column("Agreed", number=True), Column("Share", number=True, share=0.8)),
            *(Column("Kappa", number=True), Column("95 % interval", number=True, share=1.3), Column("Note", share=3.0)),
        ),
        tuple(
            (
                *cells(f"{r.analyst_a}, {r.analyst_b}", _KINDS.get(r.object, r.object)),
                *(number_cell(str(r.n_objects), r.n_objects), number_cell(str(r.n_agreed), r.n_agreed)),
                *(number_cell(show_percent(r.agreement), r.agreement), number_cell(_two(r.kappa), r.kappa)),
                Cell(ABSENT if r.kappa_lo95 is None else f"{_two(r.kappa_lo95)} to {_two(r.kappa_hi95)}"),
                Cell(r.note or ABSENT),
            )
            for r in rows
        ),
        "No two reviewers judged the same object.",
        anchor="agreement",
        row_ids=tuple((row_address("agreement", r),) for r in rows),
    )


def _two(number: float | None) -> str:
    return ABSENT if number is None else f"{number:.2f}".replace("-", "−")
