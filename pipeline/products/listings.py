"""The tables of the report: every row and column as text, the same for both documents. Pure."""

from dataclasses import dataclass

from pipeline.products.results import Results
from pipeline.products.rounding import ABSENT, show, show_metres, show_percent, show_probability
from pipeline.products.wording import ADEQUATE, FOUND_SIGMA, STATUSES, VERDICTS, metric_title
from pipeline.records import BoundaryChangeRow, ChangeRow, StockpileChangeRow, StockpileRow, TrendRow

_Z95 = 1.96


@dataclass(frozen=True)
class Column:
    """Heading of a column, ``number`` for right-aligned figures, and its share of the width."""

    title: str
    number: bool = False
    share: float = 1.0


@dataclass(frozen=True)
class Cell:
    """Text of a cell; ``verdict`` is the word of the contract when the cell is one."""

    text: str
    verdict: str = ""


@dataclass(frozen=True)
class Listing:
    """A table: heading, a note on how to read it, columns, rows; what it says when it has no row."""

    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    wide: bool = False


def cells(*texts: str) -> tuple[Cell, ...]:
    """Make a cell of each text."""
    return tuple(Cell(text) for text in texts)


def _verdict(word: str) -> Cell:
    return Cell(VERDICTS.get(word, word), word)


def found_from(mdc95: float | None) -> float | None:
    """Change that is found 95 times in 100, from the decision limit at 1.96 sigma."""
    return None if mdc95 is None else mdc95 / _Z95 * FOUND_SIGMA


def changes_listing(results: Results, fdr_q: float, *, since_baseline: bool) -> Listing:
    """List changes of zones and metrics, since the baseline year or from one year to the next."""
    rows = [r for r in results.changes.values() if (r.year_from == results.baseline_year) == since_baseline]
    rows.sort(key=lambda r: (*results.sort_key(r.zone_id, r.metric), r.year_to, r.year_from))
    columns = (
        *(Column("Zone", share=1.5), Column("Metric", share=1.5), Column("Years", share=1.2)),
        Column("Verdict", share=1.9),
        *(Column("Difference", number=True, share=1.1), Column("95 % interval", number=True, share=1.7)),
        *(Column("Called from", number=True, share=1.1), Column("Found from", number=True, share=1.1)),
        *(Column("p", number=True, share=0.8), Column("q", number=True, share=0.8)),
        Column("Reason", share=2.3),
    )
    return Listing(
        "Changes since the baseline year" if since_baseline else "Changes from year to year",
        f"{ABSENT} : not assessed. A change is called when its interval excludes 0 and q is at most {fdr_q:g}.",
        columns,
        tuple(_change_cells(results, row, fdr_q) for row in rows),
        "No two years were compared." if since_baseline else "No year was compared with the one before it.",
        wide=True,
    )


def _change_cells(results: Results, row: ChangeRow, fdr_q: float) -> tuple[Cell, ...]:
    delta = show(row.delta, row.lo95, row.hi95, row.unit, signed=True)
    numbers = (
        delta.value_with_unit if row.delta is not None else "not assessed",
        delta.interval_with_unit,
        show(row.mdc95, unit=row.unit).value_with_unit,
        show(found_from(row.mdc95), unit=row.unit).value_with_unit,
        show_probability(row.p_value),
        show_probability(row.q_value, fdr_q),
    )
    place = (results.zone_name(row.zone_id), metric_title(row.metric), f"{row.year_from} to {row.year_to}")
    return (*cells(*place), _verdict(row.verdict), *cells(*numbers, row.reason or ABSENT))


def piles_by_year(results: Results) -> Listing:
    """Area of every pile in every year, one row per pile."""
    area = {(p.pile_id, p.year): p for p in results.piles()}
    adequate = set(results.measured_years("site", "stockpile_area_m2"))
    pile_ids = sorted({pile_id for pile_id, _ in area})
    years = results.years

    def cell(pile_id: str, year: int) -> str:
        row = area.get((pile_id, year))
        if row is None:
            return ABSENT if year in adequate else "not obs."
        shown = show(row.area_m2, row.area_lo95_m2, row.area_hi95_m2)
        return f"{shown.value_with_unit} ({shown.interval})"

    last = {pile_id: max(year for name, year in area if name == pile_id) for pile_id in pile_ids}
    rows = tuple(
        cells(pile_id, area[pile_id, last[pile_id]].tier, *(cell(pile_id, year) for year in years))
        for pile_id in pile_ids
    )
    return Listing(
        "Piles by year",
        f"Area with 95 % interval. {ABSENT} : no outline in a year that could be measured; not obs. : the year "
        "could not be measured. Tier is that of the pile's newest year; candidates are listed and never counted.",
        (Column("Pile"), Column("Tier", share=1.2), *(Column(str(year), number=True, share=1.5) for year in years)),
        rows,
        "No pile of dark bulk material was outlined in any year.",
        wide=True,
    )


def piles_of_year(results: Results, year: int | None) -> Listing:
    """Piles of the newest adequate year with what is known of each."""
    title = f"Piles in {year}" if year is not None else "Piles in the newest year"
    rows = results.piles(year) if year is not None else []
    return Listing(
        title,
        "Persistence: share of usable dates on which the ground was dark bulk material. Volume is a range under stated "
        "assumptions, where it was asked for.",
        (
            *(Column("Pile"), Column("Tier", share=1.1), Column("Zone", share=1.6)),
            *(
                Column("Area", number=True),
                Column("95 % interval", number=True, share=1.6),
                Column("Dates", number=True, share=0.7),
            ),
            *(Column("Persistence", number=True, share=1.1), Column("Volume", number=True, share=1.5)),
        ),
        tuple(_pile_cells(results, row) for row in rows),
        "No pile of dark bulk material was outlined in this year.",
    )


def _pile_cells(results: Results, row: StockpileRow) -> tuple[Cell, ...]:
    area = show(row.area_m2, row.area_lo95_m2, row.area_hi95_m2)
    volume = "not assessed"
    if row.volume_lo_m3 is not None and row.volume_hi_m3 is not None:
        volume = show(None, row.volume_lo_m3, row.volume_hi_m3, "m³").interval_with_unit
    zone = ABSENT if row.zone_id is None else results.zone_name(row.zone_id)
    return cells(
        *(row.pile_id, row.tier, zone, area.value_with_unit, area.interval_with_unit),
        *(str(row.n_dates), show_percent(row.persistence), volume),
    )


def pile_changes(results: Results) -> Listing:
    """List changes of single piles."""
    rows = results.rows("stockpile_changes", StockpileChangeRow)
    rows.sort(key=lambda r: (r.pile_id, r.year_to, r.year_from))
    lines = []
    for row in rows:
        delta = show(row.delta_m2, row.lo95_m2, row.hi95_m2, signed=True)
        limits = (show(row.mdc95_m2).value_with_unit, show(found_from(row.mdc95_m2)).value_with_unit)
        value = delta.value_with_unit if row.delta_m2 is not None else "not assessed"
        years = f"{row.year_from} to {row.year_to}"
        lines.append((*cells(row.pile_id, years, value, delta.interval_with_unit, *limits), _verdict(row.verdict)))
    return Listing(
        "Changes of single piles",
        "A pile outlined in one year and observably absent in the other counts with area 0 there.",
        (
            *(Column("Pile"), Column("Years", share=1.3), Column("Difference", number=True, share=1.2)),
            *(Column("95 % interval", number=True, share=1.7), Column("Called from", number=True, share=1.1)),
            *(Column("Found from", number=True, share=1.1), Column("Verdict", share=1.6)),
        ),
        tuple(lines),
        "No pile was compared between two years.",
    )


def boundary_listing(results: Results) -> Listing:
    """Ground gained and lost, certain and possible, with how far the outline advanced."""
    rows = results.rows("boundary_changes", BoundaryChangeRow)
    rows.sort(key=lambda r: (r.zone_id, r.year_to, r.year_from, r.change))
    lines = tuple(
        cells(
            *(results.zone_name(r.zone_id), f"{r.year_from} to {r.year_to}", r.change.replace("_", " ")),
            show(r.area_m2).value_with_unit,
            *(show_metres(n) for n in (r.advance_p50_m, r.advance_p90_m, r.advance_max_m)),
        )
        for r in rows
    )
    return Listing(
        "Ground gained and lost",
        "Certain: beyond the positional noise of both years; possible: within it. Advance: distance of the later "
        f"outline outside the earlier one. {ABSENT} : not assessed.",
        (
            *(
                Column("Zone", share=1.6),
                Column("Years", share=1.3),
                Column("Change", share=1.3),
                Column("Area", number=True),
            ),
            *(Column(f"Advance {part}, m", number=True) for part in ("median", "90 %", "maximum")),
        ),
        lines,
        "No footprints of two years were compared.",
    )


def trends_listing(results: Results, fdr_q: float) -> Listing:
    """Slopes over all adequate years."""
    rows = results.rows("trends", TrendRow)
    rows.sort(key=lambda r: (r.zone_id, r.metric))
    lines = []
    for row in rows:
        unit = row.unit if "year" in row.unit or "/yr" in row.unit else f"{row.unit}/year"
        slope = show(row.slope_per_year, row.lo95, row.hi95, unit, signed=True)
        years = f"{row.year_first} to {row.year_last} ({row.n_years} adequate)"
        numbers = (slope.value_with_unit, slope.interval_with_unit, show_probability(row.p_value))
        texts = (
            results.zone_name(row.zone_id),
            metric_title(row.metric),
            years,
            *numbers,
            show_probability(row.q_value, fdr_q),
        )
        lines.append((*cells(*texts), _verdict(row.verdict), Cell(row.reason or ABSENT)))
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
    )


def values_listing(results: Results) -> Listing:
    """Value of every zone, metric and year, so that the charts can be read as numbers."""
    rows = sorted(results.measurements.values(), key=lambda r: (*results.sort_key(r.zone_id, r.metric), r.year))
    lines = []
    for row in rows:
        adequate = row.status in ADEQUATE and row.value is not None
        shown = show(row.value, row.lo95, row.hi95, row.unit) if adequate else show(None, unit=row.unit)
        status = STATUSES.get(row.status, row.status)
        texts = (results.zone_name(row.zone_id), metric_title(row.metric), str(row.year))
        rest = (
            shown.value_with_unit,
            shown.interval_with_unit,
            str(row.n_dates),
            show_percent(row.valid_fraction),
            status,
        )
        lines.append(cells(*texts, *rest))
    return Listing(
        "Values by year",
        "The numbers of the charts. Seen: share of the zone seen often enough.",
        (
            *(Column("Zone", share=1.6), Column("Metric", share=1.6), Column("Year", share=0.7)),
            *(Column("Value", number=True), Column("95 % interval", number=True, share=1.7)),
            *(
                Column("Dates", number=True, share=0.7),
                Column("Seen", number=True, share=0.7),
                Column("Status", share=1.3),
            ),
        ),
        tuple(lines),
        "Nothing was measured.",
    )
