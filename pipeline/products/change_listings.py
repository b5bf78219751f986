"""The tables of changes and trends of the report, every number as text. Pure."""

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from pipeline.products.listings import Cell, Column, Listing, cells, number_cell, verdict_cell
from pipeline.products.results import Results
from pipeline.products.reviewed import states_of, years_in_review
from pipeline.products.rounding import ABSENT, show, show_probability
from pipeline.products.row_address import address, row_address
from pipeline.products.spelling import legible, span
from pipeline.products.wording import FOUND_SIGMA, metric_title, yearly
from pipeline.records import (
    ChangeRow,
    StockpileChangeRow,
)
from pipeline.series_records import BreakRow, TrendRow

Compared = TypeVar("Compared", ChangeRow, StockpileChangeRow, BreakRow)

_Z95 = 1.96


def found_from(mdc95: float | None) -> float | None:
    """Change that is found 95 times in 100, from the decision limit at 1.96 sigma."""
    return None if mdc95 is None else mdc95 / _Z95 * FOUND_SIGMA


def changes_listing(results: Results, fdr_q: float, *, since_baseline: bool) -> Listing:
    """List changes of zones and metrics, since the baseline year or from one year to the next."""
    rows = [r for r in results.changes.values() if (r.year_from == results.baseline_year) == since_baseline]
    rows.sort(key=lambda r: (*results.sort_key(r.zone_id, r.metric), r.year_to, r.year_from))
    grouped = gathered(rows, lambda r: (r.zone_id, r.metric))
    columns = (
        *(Column("Zone", share=2.0), Column("Metric", share=1.7), Column("Years", share=1.3)),
        Column("Verdict", share=1.9),
        *(Column("Difference", number=True, share=1.1), Column("95 % interval", number=True, share=1.7)),
        *(Column("Called from", number=True, share=1.1), Column("Found from", number=True, share=1.1)),
        *(Column("p", number=True, share=0.8), Column("q", number=True, share=0.8)),
        Column("Reason", share=3.6),
    )
    return Listing(
        "Changes since the baseline year" if since_baseline else "Changes from year to year",
        f"{ABSENT} : not assessed. A change is called when its interval excludes 0 and q is at most {fdr_q:g}.",
        columns,
        tuple(_change_cells(results, group, fdr_q) for group in grouped),
        "No two years were compared." if since_baseline else "No year was compared with the one before it.",
        wide=True,
        anchor="changes-since-baseline" if since_baseline else "changes-by-year",
        row_ids=tuple(tuple(row_address("changes", r) for r in group) for group in grouped),
    )


def gathered(rows: Sequence[Compared], of: Callable[[Compared], Hashable]) -> list[list[Compared]]:
    """Put the comparisons of one thing that had too little data into one group; every other row stays alone.

    Parameters
    ----------
    rows : sequence of ChangeRow, StockpileChangeRow or BreakRow
        In the order of the report.
    of : callable
        What a row is about: rows with an equal answer may share a line.
    """
    groups: list[list[Compared]] = []
    lacking: dict[Hashable, list[Compared]] = {}
    for row in rows:
        if row.verdict == "insufficient_data" and of(row) in lacking:
            lacking[of(row)].append(row)
            continue
        groups.append([row])
        if row.verdict == "insufficient_data":
            lacking[of(row)] = groups[-1]
    return groups


def _spans(rows: Sequence[ChangeRow] | Sequence[StockpileChangeRow]) -> str:
    """Write ``2016 to 2019, 2020`` when all start in one year, else ``2018 to 2019, 2019 to 2020``."""
    if len({row.year_from for row in rows}) == 1:
        return f"{rows[0].year_from} to {', '.join(str(row.year_to) for row in rows)}"
    return ", ".join(f"{row.year_from} to {row.year_to}" for row in rows)


def _change_cells(results: Results, group: Sequence[ChangeRow], fdr_q: float) -> tuple[Cell, ...]:
    row = group[0]
    # One reason often stands in several rows: said once.
    reasons = dict.fromkeys(part for r in group if r.reason for part in r.reason.split("; "))
    delta = show(row.delta, row.lo95, row.hi95, row.unit, signed=True)
    numbers = (
        number_cell(delta.value_with_unit if row.delta is not None else "not assessed", row.delta),
        number_cell(delta.interval_with_unit, row.lo95),
        number_cell(show(row.mdc95, unit=row.unit).value_with_unit, row.mdc95),
        number_cell(show(found_from(row.mdc95), unit=row.unit).value_with_unit, row.mdc95),
        number_cell(show_probability(row.p_value), row.p_value),
        number_cell(show_probability(row.q_value, fdr_q), row.q_value),
    )
    place = (results.zone_name(row.zone_id), metric_title(row.metric), _spans(group))
    return (*cells(*place), verdict_cell(row.verdict), *numbers, Cell(legible("; ".join(reasons)) or ABSENT))


def pile_changes(results: Results) -> Listing:
    """List changes of single piles."""
    rows = results.rows("stockpile_changes", StockpileChangeRow)
    rows.sort(key=lambda r: (r.pile_id, r.year_to, r.year_from))
    grouped = gathered(rows, lambda r: r.pile_id)
    newest = {pile.pile_id: pile.year for pile in results.piles()}
    states = states_of(results.piles())
    lines = []
    for group in grouped:
        row = group[0]
        delta = show(row.delta_m2, row.lo95_m2, row.hi95_m2, signed=True)
        at = address("pile", row.pile_id, newest[row.pile_id]) if row.pile_id in newest else ""
        lines.append(
            (
                *(Cell(row.pile_id, at=at), Cell(_spans(group))),
                Cell(
                    years_in_review(states, row.pile_id, (y for r in group for y in (r.year_from, r.year_to))) or ABSENT
                ),
                number_cell(delta.value_with_unit if row.delta_m2 is not None else "not assessed", row.delta_m2),
                number_cell(delta.interval_with_unit, row.lo95_m2),
                number_cell(show(row.mdc95_m2).value_with_unit, row.mdc95_m2),
                number_cell(show(found_from(row.mdc95_m2)).value_with_unit, row.mdc95_m2),
                verdict_cell(row.verdict),
            )
        )
    return Listing(
        "Changes of single piles",
        "A pile outlined in one year and observably absent in the other counts with area 0 there. The numbers are the "
        f"program's. Review: what reviewers say of the pile in these years; {ABSENT} : they did not decide on it.",
        (
            *(Column("Pile"), Column("Years", share=1.3), Column("Review", share=1.5)),
            Column("Difference", number=True, share=1.2),
            *(Column("95 % interval", number=True, share=1.7), Column("Called from", number=True, share=1.1)),
            *(Column("Found from", number=True, share=1.1), Column("Verdict", share=1.6)),
        ),
        tuple(lines),
        "No pile was compared between two years.",
        anchor="stockpile_changes",
        row_ids=tuple(tuple(row_address("stockpile_changes", r) for r in group) for group in grouped),
    )


def trends_listing(results: Results, fdr_q: float) -> Listing:
    """Slopes over all adequate years."""
    rows = results.rows("trends", TrendRow)
    rows.sort(key=lambda r: (r.zone_id, r.metric))
    lines = []
    for row in rows:
        slope = show(row.slope_per_year, row.lo95, row.hi95, yearly(row.unit), signed=True)
        years = f"{span(row.year_first, row.year_last)} ({row.n_years} adequate)"
        lines.append(
            (
                *cells(results.zone_name(row.zone_id), metric_title(row.metric), years),
                number_cell(slope.value_with_unit, row.slope_per_year),
                number_cell(slope.interval_with_unit, row.lo95),
                number_cell(show_probability(row.p_value), row.p_value),
                number_cell(show_probability(row.q_value, fdr_q), row.q_value),
                verdict_cell(row.verdict),
                Cell(legible(row.reason or ABSENT)),
            )
        )
    return Listing(
        "Trends",
        "Slope over all adequate years; five at least, since with four no trend can be told from chance.",
        (
            *(Column("Zone", share=1.3), Column("Metric", share=1.3), Column("Years", share=1.4)),
            *(Column("Slope", number=True, share=1.4), Column("95 % interval", number=True, share=1.9)),
            *(Column("p", number=True, share=0.8), Column("q", number=True, share=0.8)),
            *(Column("Verdict", share=1.4), Column("Reason", share=1.9)),
        ),
        tuple(lines),
        "No trend was assessed.",
        wide=True,
        anchor="trends",
        row_ids=tuple((row_address("trends", r),) for r in rows),
    )
