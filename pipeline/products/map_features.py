"""Outlines of the map of the report, each with what its pop-up says. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from shapely.geometry.base import BaseGeometry

from pipeline.products.results import SITE_ZONE, Results
from pipeline.products.reviewed import tier_words
from pipeline.products.rounding import show, show_metres, show_percent
from pipeline.products.row_address import address, pair, row_address
from pipeline.products.wording import VERDICTS, dates, day
from pipeline.records import BoundaryChangeRow, FootprintRow, SiteRow, StockpileChangeRow, StockpileRow, ZoneRow

_ROLES = {
    "inside": "Measured reference, not a perimeter",
    "adjacent": "Ring around the reference",
    "outside": "Outside the reference",
    "control": "Control zone",
    "named": "Named zone",
}
_GROUND = {"bare_or_built": "Bare or built", "dark_ground": "Dark ground", "other_cleared": "Green in other years"}
_DRAWN_ROLES = {"aoi": "Area measured", "perimeter": "Perimeter from a source", "yard": "Yard", "exclude": "Left out"}
_COUNTED_TIERS = ("probable", "confirmed")


@dataclass(frozen=True)
class Feature:
    """One outline of the map.

    Attributes
    ----------
    key : str
        By which links of the document find it.
    layer : str
        ``pile``, ``ground``, ``change``, ``zone``: what is switched on and off together.
    kind : str
        Tier, class, change or role: how it is drawn.
    geometry : BaseGeometry
        Polygons in metres.
    years : list of int or None
        The year it is of, or the two years it is a change between; None when it is of all years.
    title : str
    rows : list of [str, str]
        Names and numbers of its pop-up.
    links : list of [str, str]
        Words and addresses in the document.
    counted : bool
        Whether a headline metric counts it.
    """

    key: str
    layer: str
    kind: str
    geometry: BaseGeometry
    years: list[int] | None
    title: str
    rows: list[list[str]] = field(default_factory=list)
    links: list[list[str]] = field(default_factory=list)
    counted: bool = True


def features_of(results: Results) -> list[Feature]:
    """Return all outlines, what is drawn first first: zones, ground, changes since the baseline year, piles."""
    return [*_zones(results), *_grounds(results), *_changes(results), *_piles(results)]


def _zones(results: Results) -> Iterator[Feature]:
    for row in sorted(results.rows("sites", SiteRow), key=lambda r: (r.role, r.id, r.name)):
        if row.role not in _DRAWN_ROLES:
            continue
        title = _DRAWN_ROLES[row.role]
        said = [["Name", row.name], ["Source", f"{row.source or 'not stated'}, {row.source_date or 'undated'}"]]
        said += [["Uncertainty", f"{show_metres(row.uncertainty_m)} m"]] if row.uncertainty_m is not None else []
        yield Feature(address("drawn", row.role, row.name), "zone", row.role, row.geometry, None, title, said)
    for zone in results.zones.values():
        if zone.zone_id != SITE_ZONE:
            yield _zone(results, zone)


def _zone(results: Results, zone: ZoneRow) -> Feature:
    title = _ROLES.get(zone.role, zone.role)
    if zone.role == "inside" and zone.reference == "perimeter":
        title = "Inside the perimeter from a source"
    rows = [["Name", zone.name], ["Area", show(zone.area_m2).value_with_unit]]
    if zone.reference == "baseline_footprint" and results.baseline_year is not None:
        rows.append(["Rests on", f"ground measured as occupied in {results.baseline_year}"])
    return Feature(address("zone", zone.zone_id), "zone", zone.role, zone.geometry, None, title, rows)


def _grounds(results: Results) -> Iterator[Feature]:
    rows = results.rows("footprints", FootprintRow)
    of_site = [row for row in rows if row.zone_id == SITE_ZONE] or rows
    for row in sorted(of_site, key=lambda r: (r.year, r.zone_id, r.class_)):
        said = [[_GROUND.get(row.class_, row.class_), show(row.area_m2).value_with_unit]]
        whole = results.measurements.get((row.zone_id, "footprint_area_m2", row.year))
        if whole is not None and whole.value is not None:
            shown = results.shown(whole)
            said.append(["All occupied ground", f"{shown.value_with_unit} ({shown.interval}), {dates(whole.n_dates)}"])
        said.append(["Season", f"{day(row.year_start)} to {day(row.year_end)}"])
        links = [["Numbers", address("measurements", row.zone_id, "footprint_area_m2", row.year)], _scenes(row.year)]
        key = address("ground", row.zone_id, row.class_, row.year)
        title = f"Occupied ground, {row.year}"
        yield Feature(key, "ground", row.class_, row.geometry, [row.year], title, said, links)


def _changes(results: Results) -> Iterator[Feature]:
    """Return the changes since the baseline year; those from year to year are in the tables."""
    rows = [r for r in results.rows("boundary_changes", BoundaryChangeRow) if r.year_from == results.baseline_year]
    of_site = [row for row in rows if row.zone_id == SITE_ZONE] or rows
    for row in sorted(of_site, key=lambda r: (r.year_to, r.zone_id, r.change), reverse=True):
        said = [["Area", show(row.area_m2).value_with_unit]]
        if row.advance_p50_m is not None:
            said.append(
                ["Advance", f"{show_metres(row.advance_p50_m)} m median, {show_metres(row.advance_max_m)} m most"]
            )
        change = results.changes.get((row.zone_id, "boundary_gain_m2", row.year_from, row.year_to))
        if row.change == "certain_gain" and change is not None:
            said.append(["Gain beyond chance", VERDICTS.get(change.verdict, change.verdict)])
        span = pair(row.year_from, row.year_to)
        links = [["Numbers", row_address("boundary_changes", row)]]
        links += [_scenes(row.year_from), _scenes(row.year_to)]
        key = address("change", row.zone_id, row.change, span)
        title = f"{row.change.replace('_', ' ').capitalize()}, {row.year_from} to {row.year_to}"
        years = [row.year_from, row.year_to]
        yield Feature(
            key, "change", row.change, row.geometry, years, title, said, links, counted=row.change.startswith("certain")
        )


def _piles(results: Results) -> Iterator[Feature]:
    changes = {
        (r.pile_id, r.year_to): r
        for r in results.rows("stockpile_changes", StockpileChangeRow)
        if r.year_from == results.baseline_year
    }
    # Small ones last, so that they are not below large ones.
    for row in sorted(results.piles(), key=lambda r: (-r.area_m2, r.pile_id, r.year)):
        yield _pile(results, row, changes.get((row.pile_id, row.year)))


def _pile(results: Results, row: StockpileRow, change: StockpileChangeRow | None) -> Feature:
    area = show(row.area_m2, row.area_lo95_m2, row.area_hi95_m2)
    said = [
        ["Area", f"{area.value_with_unit} (95 % interval {area.interval_with_unit})"],
        ["Dates", f"{row.n_dates}, {day(row.year_start)} to {day(row.year_end)}"],
        ["Tier", tier_words(row)],
    ]
    if row.score is not None:
        said.append(["Probability of coal", show_percent(row.score)])
    if change is not None:
        shown = show(change.delta_m2, change.lo95_m2, change.hi95_m2, signed=True)
        number = f"{shown.value_with_unit} ({shown.interval}): " if change.delta_m2 is not None else ""
        said.append([f"Since {change.year_from}", f"{number}{VERDICTS.get(change.verdict, change.verdict)}"])
    if row.zone_id is not None:
        said.append(["Zone", results.zone_name(row.zone_id)])
    links = [["Numbers of all years", address("stockpiles", row.pile_id)], _scenes(row.year)]
    key = address("pile", row.pile_id, row.year)
    counted = row.tier in _COUNTED_TIERS
    return Feature(
        key, "pile", row.tier, row.geometry, [row.year], f"Pile {row.pile_id}, {row.year}", said, links, counted
    )


def _scenes(year: int) -> list[str]:
    return [f"Scenes of {year}", address("scenes", year)]
