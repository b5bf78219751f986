"""Tables of what is asked of a whole series: levels before and after a resolution, steady ground. Pure."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

from pipeline.products.change_listings import gathered
from pipeline.products.listings import Cell, Column, Listing, cells, number_cell, verdict_cell
from pipeline.products.results import Results
from pipeline.products.rounding import ABSENT, show, show_probability
from pipeline.products.row_address import address, row_address
from pipeline.products.spelling import legible
from pipeline.products.wording import day, metric_title
from pipeline.series_records import BreakRow, DriftRow, PlatformRow

_Row = TypeVar("_Row", DriftRow, PlatformRow)


def breaks_listing(results: Results, fdr_q: float) -> Listing:
    """List the level before and after each resolution, of the whole site and of its named zones."""
    rows = [row for row in results.rows("breaks", BreakRow) if results.is_headline(row.zone_id)]
    rows.sort(key=lambda r: (*results.sort_key(r.zone_id, r.metric), r.adopted, r.resolution))
    grouped = gathered(rows, lambda r: (r.zone_id, r.metric, r.reason))
    lines = [
        (
            *cells(results.zone_name(row.zone_id), metric_title(row.metric)),
            number_cell("; ".join(f"{r.resolution}, {day(r.adopted)}" for r in group), row.adopted.toordinal()),
            Cell(f"{row.n_before}; {row.n_after}" if len(group) == 1 else ABSENT),
            number_cell(show(row.delta, unit=row.unit, signed=True).value_with_unit, row.delta),
            number_cell(show_probability(row.p_value), row.p_value),
            number_cell(show_probability(row.q_value, fdr_q), row.q_value),
            verdict_cell(row.verdict),
            Cell(legible(row.reason or ABSENT)),
        )
        for group in grouped
        for row in group[:1]
    ]
    return Listing(
        "Before and after UN Security Council resolutions",
        "Mean of the adequate years after the day minus mean of those before it, with an exact test. A step at a "
        "resolution does not show its cause. Other zones are in the layer breaks of the GeoPackage.",
        (
            *(Column("Zone", share=1.3), Column("Metric", share=1.4), Column("Resolution", share=1.6)),
            *(Column("Years before; after", number=True), Column("Difference", number=True, share=1.2)),
            *(Column("p", number=True, share=0.8), Column("q", number=True, share=0.8)),
            *(Column("Verdict", share=1.6), Column("Reason", share=2.4)),
        ),
        tuple(lines),
        "No resolution was tested.",
        wide=True,
        anchor="breaks",
        row_ids=tuple(tuple(row_address("breaks", r) for r in group) for group in grouped),
    )


def drift_listings(results: Results) -> tuple[Listing, Listing]:
    """List the departure of steady ground, of years and of platforms, one row for each with all bands."""
    years = _by_group(results.rows("drift", DriftRow), "year")
    platforms = _by_group(results.rows("platforms", PlatformRow), "platform")
    flagged = [row for rows in years for row in rows if isinstance(row, DriftRow) and row.flag]
    note = (
        "Median departure of ground that should not change, from its level through the years, in thousandths of "
        f"reflectance, with its 95 % interval. {ABSENT} : no interval from fewer than three scenes."
    )
    told = f" Beyond the limit: {', '.join(f'{r.year} {r.band}' for r in flagged)}." if flagged else ""
    return (
        _departures("Steady ground by year", note + told, "Year", years, "drift"),
        _departures("Steady ground by platform", note, "Platform", platforms, "platforms"),
    )


def _by_group(rows: Sequence[_Row], name: str) -> list[list[_Row]]:
    """Put the bands of a year or a platform together, in their order."""
    groups: dict[Hashable, list[_Row]] = {}
    for row in sorted(rows, key=lambda r: str(getattr(r, name))):
        groups.setdefault(getattr(row, name), []).append(row)
    return list(groups.values())


def _departures(
    title: str, note: str, head: str, groups: Sequence[Sequence[DriftRow | PlatformRow]], layer: str
) -> Listing:
    bands = list(dict.fromkeys(row.band for rows in groups for row in rows))
    lines, ids = [], []
    for rows in groups:
        of_band = {row.band: row for row in rows}
        name = str(rows[0].year) if isinstance(rows[0], DriftRow) else rows[0].platform
        ids.append((address(layer, name),))
        lines.append(
            (
                *(Cell(name), number_cell(str(rows[0].n_scenes), rows[0].n_scenes)),
                number_cell(str(rows[0].n_pixels), rows[0].n_pixels),
                *(_departure(of_band[band]) if band in of_band else Cell(ABSENT) for band in bands),
            )
        )
    return Listing(
        title,
        note,
        (
            *(Column(head, share=1.2), Column("Scenes", number=True, share=0.7), Column("Pixels", number=True)),
            *(Column(band, number=True, share=1.7) for band in bands),
        ),
        tuple(lines),
        "Steady ground was not looked at: fewer than three years, or too little of it.",
        wide=True,
        anchor=layer,
        row_ids=tuple(ids),
    )


def _departure(row: DriftRow | PlatformRow) -> Cell:
    """Departure with its interval, in thousandths of reflectance."""
    bounds = f"{_signed(row.lo95)} to {_signed(row.hi95)}" if row.lo95 is not None and row.hi95 is not None else ABSENT
    return number_cell(f"{_signed(row.median)} ({bounds})", row.median)


def _signed(reflectance: float) -> str:
    return f"{reflectance * 1000:+.1f}".replace("-", "−")
