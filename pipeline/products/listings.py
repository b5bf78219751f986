"""The tables of the report: every row and column as text, the same for both documents. Pure."""

from dataclasses import dataclass

from pipeline.products.results import Results
from pipeline.products.reviewed import in_review, tier_words
from pipeline.products.rounding import ABSENT, known, show, show_metres, show_percent
from pipeline.products.row_address import address, row_address
from pipeline.products.seen import seen_whole
from pipeline.products.wording import ADEQUATE, STATUSES, VERDICTS, metric_title
from pipeline.records import BoundaryChangeRow, StockpileRow


@dataclass(frozen=True)
class Column:
    """Heading of a column; ``number`` is right-aligned; ``share`` of the width, 0: as wide as it needs."""

    title: str
    number: bool = False
    share: float = 1.0


@dataclass(frozen=True)
class Cell:
    """Text of a cell.

    Attributes
    ----------
    text : str
        What is read.
    verdict : str
        The word of the contract when the cell is a verdict.
    key : float or None
        What a table is sorted by where the text alone would not do: numbers in one unit.
    at : str
        Key of what the cell names on the map; empty when it names nothing there.
    """

    text: str
    verdict: str = ""
    key: float | None = None
    at: str = ""


@dataclass(frozen=True)
class Listing:
    """A table: heading, a note on how to read it, columns, rows; what it says when it has no row.

    ``anchor`` is the address of the table in the document; ``row_ids`` those of each row, one for every row of the
    GeoPackage that stands in it.
    """

    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    wide: bool = False
    anchor: str = ""
    row_ids: tuple[tuple[str, ...], ...] = ()


def cells(*texts: str) -> tuple[Cell, ...]:
    """Make a cell of each text."""
    return tuple(Cell(text) for text in texts)


def number_cell(text: str, key: float | None) -> Cell:
    """Make a cell of a number as text, sorted by the number."""
    return Cell(text, key=known(key))


def verdict_cell(word: str) -> Cell:
    """Make a cell of a verdict."""
    return Cell(VERDICTS.get(word, word), word)


def piles_by_year(results: Results) -> Listing:
    """Area of every pile in every year, one row per pile."""
    area = {(p.pile_id, p.year): p for p in results.piles()}
    adequate = set(results.measured_years("site", "stockpile_area_m2"))
    pile_ids = sorted({pile_id for pile_id, _ in area})
    years = results.years

    def cell(pile_id: str, year: int) -> Cell:
        row = area.get((pile_id, year))
        if row is None:
            return Cell(ABSENT if year in adequate else "not obs.")
        shown = show(row.area_m2, row.area_lo95_m2, row.area_hi95_m2)
        # Both keep their tier: without a word they would look as if nobody had objected.
        said = f", {in_review(row.review)}" if row.review in ("rejected", "contested") else ""
        return number_cell(f"{shown.value_with_unit} ({shown.interval}){said}", row.area_m2)

    last = {pile_id: max(year for name, year in area if name == pile_id) for pile_id in pile_ids}
    rows = tuple(
        (
            Cell(pile_id, at=address("pile", pile_id, last[pile_id])),
            Cell(tier_words(area[pile_id, last[pile_id]])),
            *(cell(pile_id, year) for year in years),
        )
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
        anchor="stockpiles",
        row_ids=tuple((address("stockpiles", pile_id),) for pile_id in pile_ids),
    )


def piles_of_year(results: Results, year: int | None) -> Listing:
    """Piles of the newest adequate year with what is known of each."""
    title = f"Piles in {year}" if year is not None else "Piles in the newest year"
    rows = results.piles(year) if year is not None else []
    return Listing(
        title,
        "Probability: of coal against asphalt, roofs, spoil, water and other dark ground taken as equally common, by "
        "a model of their colours and not by measured coal; magnetite has the colour of anthracite. Persistence: share "
        "of its dates on which it reflects as coal does. Areas: median, largest and last of the year's dates. Volume "
        "is a range under stated assumptions, where it was asked for.",
        (
            *(Column("Pile"), Column("Tier", share=1.1), Column("Zone", share=1.6)),
            *(
                Column("Area", number=True),
                Column("95 % interval", number=True, share=1.6),
                Column("Dates", number=True, share=0.7),
            ),
            *(Column("Largest; last", number=True, share=1.6), Column("Probability", number=True, share=1.1)),
            *(Column("Persistence", number=True, share=1.1), Column("Volume", number=True, share=1.5)),
        ),
        tuple(_pile_cells(results, row) for row in rows),
        "No pile of dark bulk material was outlined in this year.",
        anchor="stockpiles-newest",
        row_ids=tuple((row_address("stockpiles", row),) for row in rows),
    )


def _pile_cells(results: Results, row: StockpileRow) -> tuple[Cell, ...]:
    area = show(row.area_m2, row.area_lo95_m2, row.area_hi95_m2)
    volume = "not assessed"
    if row.volume_lo_m3 is not None and row.volume_hi_m3 is not None:
        volume = show(None, row.volume_lo_m3, row.volume_hi_m3, "m³").interval_with_unit
    zone = ABSENT if row.zone_id is None else results.zone_name(row.zone_id)
    extremes = f"{show(row.area_max_m2).value_with_unit}; {show(row.area_end_m2).value_with_unit}"
    return (
        Cell(row.pile_id, at=address("pile", row.pile_id, row.year)),
        *cells(tier_words(row), zone),
        number_cell(area.value_with_unit, row.area_m2),
        number_cell(area.interval_with_unit, row.area_lo95_m2),
        number_cell(str(row.n_dates), row.n_dates),
        number_cell(extremes, row.area_max_m2),
        number_cell(show_percent(row.score), row.score),
        number_cell(show_percent(row.persistence), row.persistence),
        number_cell(volume, row.volume_lo_m3),
    )


def boundary_listing(results: Results) -> Listing:
    """Ground gained and lost, certain and possible, with how far the outline advanced."""
    rows = results.rows("boundary_changes", BoundaryChangeRow)
    rows.sort(key=lambda r: (r.zone_id, r.year_to, r.year_from, r.change))
    lines = tuple(
        (
            *cells(results.zone_name(r.zone_id), f"{r.year_from} to {r.year_to}", r.change.replace("_", " ")),
            number_cell(show(r.area_m2).value_with_unit, r.area_m2),
            *(
                number_cell(show_metres(n), n)
                for n in (r.advance_p50_m, r.advance_p90_m, r.advance_max_m, r.advance_length_m)
            ),
        )
        for r in rows
    )
    return Listing(
        "Ground gained and lost",
        "Certain: beyond the positional noise of both years; possible: within it. Advance: distance of the later "
        f"outline outside the earlier one; length: of the outline that moved. {ABSENT} : not assessed.",
        (
            *(
                Column("Zone", share=1.6),
                Column("Years", share=1.3),
                Column("Change", share=1.3),
                Column("Area", number=True),
            ),
            *(Column(f"Advance {part}, m", number=True) for part in ("median", "90 %", "maximum", "length")),
        ),
        lines,
        "No footprints of two years were compared.",
        anchor="boundary_changes",
        row_ids=tuple((row_address("boundary_changes", r),) for r in rows),
    )


def values_listing(results: Results) -> Listing:
    """Value of every zone, metric and year, so that the charts can be read as numbers."""
    rows = sorted(results.measurements.values(), key=lambda r: (*results.sort_key(r.zone_id, r.metric), r.year))
    lines = []
    for row in rows:
        adequate = row.status in ADEQUATE and row.value is not None
        shown = show(row.value, row.lo95, row.hi95, row.unit) if adequate else show(None, unit=row.unit)
        status = STATUSES.get(row.status, row.status)
        if row.status == "insufficient_data" and seen_whole(row):
            # The ground was seen; something else is missing, and nothing false is said of the images.
            status = VERDICTS[row.status]
        lines.append(
            (
                *cells(results.zone_name(row.zone_id), metric_title(row.metric), str(row.year)),
                number_cell(shown.value_with_unit, row.value if adequate else None),
                number_cell(shown.interval_with_unit, row.lo95 if adequate else None),
                number_cell(str(row.n_dates), row.n_dates),
                number_cell(show_percent(row.valid_fraction), row.valid_fraction),
                Cell(status),
            )
        )
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
        anchor="measurements",
        row_ids=tuple((row_address("measurements", r),) for r in rows),
    )
