"""Finished results as the report asks for them: which zones, which years, which change belongs to which. Pure."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from pipeline.products.charts import Point
from pipeline.products.rounding import Shown, show
from pipeline.products.wording import ADEQUATE, METRICS, metric_title
from pipeline.records import ChangeRow, MeasurementRow, Row, StockpileRow, Tables, ZoneRow

SITE_ZONE = "site"
HEADLINE_ROLES = ("site", "named")
"""Zones the summary speaks of: the whole site and those with a sourced name."""

_ROLES = ("site", "named", "inside", "adjacent", "outside", "control")

AnyRow = TypeVar("AnyRow", bound=Row)


@dataclass(frozen=True)
class Results:
    """The tables of one site with the year everything is compared with (None: no adequate year)."""

    tables: Tables
    baseline_year: int | None

    def rows(self, layer: str, kind: type[AnyRow]) -> list[AnyRow]:
        """Rows of a layer; a layer that is not there has none."""
        return [row for row in self.tables.get(layer, []) if isinstance(row, kind)]

    @cached_property
    def measurements(self) -> dict[tuple[str, str, int], MeasurementRow]:
        """Measurement of a zone, metric and year."""
        return {(r.zone_id, r.metric, r.year): r for r in self.rows("measurements", MeasurementRow)}

    @cached_property
    def changes(self) -> dict[tuple[str, str, int, int], ChangeRow]:
        """Change of a zone and metric between two years."""
        return {(r.zone_id, r.metric, r.year_from, r.year_to): r for r in self.rows("changes", ChangeRow)}

    @cached_property
    def years(self) -> tuple[int, ...]:
        """Every year from the first to the last that was asked for, whether it could be measured or not."""
        named = [key[2] for key in self.measurements] + [year for key in self.changes for year in key[2:]]
        return tuple(range(min(named), max(named) + 1)) if named else ()

    @cached_property
    def zones(self) -> dict[str, ZoneRow]:
        """Zone of an id, the site first, then by role and id."""
        rows = self.rows("zones", ZoneRow)
        place = {role: i for i, role in enumerate(_ROLES)}
        rows.sort(key=lambda r: (r.zone_id != SITE_ZONE, place.get(r.role, len(place)), r.zone_id))
        return {row.zone_id: row for row in rows}

    @cached_property
    def zone_ids(self) -> tuple[str, ...]:
        """Zones in the order of the report; those with numbers but no outline come last."""
        with_numbers = {key[0] for key in self.measurements} | {key[0] for key in self.changes}
        bare = sorted(with_numbers - set(self.zones))
        first = [SITE_ZONE] if SITE_ZONE in bare else []
        return (*first, *self.zones, *(zone_id for zone_id in bare if zone_id != SITE_ZONE))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The headline metrics that have rows, in their order, then the others by name."""
        present = {key[1] for key in self.measurements} | {key[1] for key in self.changes}
        return (*(m for m in METRICS if m in present), *sorted(present - set(METRICS)))

    def is_headline(self, zone_id: str) -> bool:
        """Whether the summary speaks of a zone."""
        return zone_id == SITE_ZONE or (zone_id in self.zones and self.zones[zone_id].role in HEADLINE_ROLES)

    def zone_name(self, zone_id: str) -> str:
        """Name of a zone in tables and headings."""
        if zone_id == SITE_ZONE:
            return "whole site"
        return self.zones[zone_id].name if zone_id in self.zones else zone_id

    def place(self, zone_id: str) -> str:
        """Where, inside a sentence."""
        return "over the whole site" if zone_id == SITE_ZONE else f"in the zone {self.zone_name(zone_id)}"

    def sort_key(self, zone_id: str, metric: str) -> tuple[int, int]:
        """Order of a zone and metric in the report."""
        return self.zone_ids.index(zone_id), self.metrics.index(metric)

    def heading(self, zone_id: str, metric: str) -> str:
        """``Stockpile area, whole site``."""
        return f"{metric_title(metric)}, {self.zone_name(zone_id)}"

    def measured_years(self, zone_id: str, metric: str) -> list[int]:
        """Years of a zone and metric that hold a value, in order."""
        return sorted(
            year
            for (zone, name, year), row in self.measurements.items()
            if (zone, name) == (zone_id, metric) and row.status in ADEQUATE and row.value is not None
        )

    def newest_change(self, zone_id: str, metric: str) -> ChangeRow | None:
        """Change from the baseline year to the newest adequate year; without one, to the newest year asked for."""
        of_pair = [
            row
            for (zone, name, year_from, _), row in self.changes.items()
            if (zone, name, year_from) == (zone_id, metric, self.baseline_year)
        ]
        years = self.measured_years(zone_id, metric)
        if years:
            return next((row for row in of_pair if row.year_to == years[-1]), None)
        judged = [row for row in of_pair if row.delta is not None]
        return max(judged or of_pair, key=lambda row: row.year_to, default=None)

    def newest_year(self) -> int | None:
        """Newest year in which the site has stockpile or footprint values; None when no year has."""
        years = [year for metric in self.metrics for year in self.measured_years(SITE_ZONE, metric)]
        return max(years, default=None)

    def unjudged(self) -> dict[tuple[int, ...], list[str]]:
        """Years of the whole site that hold no value, with the metrics they lack."""
        found: dict[tuple[int, ...], list[str]] = defaultdict(list)
        for metric in self.metrics:
            points = self.points(SITE_ZONE, metric)
            years = tuple(p.year for p in points if p.value is None and p.status != "not_assessed")
            if years:
                found[years].append(metric)
        return dict(found)

    def not_assessed(self) -> list[str]:
        """Headline metrics without any row or value that was asked for."""
        return [
            metric
            for metric in METRICS
            if metric not in self.metrics or all(p.status == "not_assessed" for p in self.points(SITE_ZONE, metric))
        ]

    def points(self, zone_id: str, metric: str) -> list[Point]:
        """One point per year of the site; of a metric between two years, the change since the baseline year."""
        if any(key[:2] == (zone_id, metric) for key in self.measurements):
            return [self._measured_point(zone_id, metric, year) for year in self.years]
        if not any(key[:2] == (zone_id, metric) for key in self.changes) or self.baseline_year is None:
            return []
        return [self._changed_point(zone_id, metric, year) for year in self.years if year != self.baseline_year]

    def _measured_point(self, zone_id: str, metric: str, year: int) -> Point:
        row = self.measurements.get((zone_id, metric, year))
        if row is None:
            return Point(year, None, None, None, None, "not_assessed", "")
        adequate = row.status in ADEQUATE and row.value is not None
        change = self.changes.get((zone_id, metric, self.baseline_year or 0, year))
        mark = (
            "baseline" if year == self.baseline_year else change.verdict if change is not None else "insufficient_data"
        )
        numbers = (row.value, row.lo95, row.hi95) if adequate else (None, None, None)
        return Point(year, *numbers, row.n_dates, row.status, mark)

    def _changed_point(self, zone_id: str, metric: str, year: int) -> Point:
        row = self.changes.get((zone_id, metric, self.baseline_year or 0, year))
        if row is None:
            return Point(year, None, None, None, None, "not_assessed", "")
        status = "insufficient_data" if row.delta is None else "ok"
        return Point(year, row.delta, row.lo95, row.hi95, None, status, row.verdict)

    def shown(self, row: MeasurementRow) -> Shown:
        """Value and interval of a measurement as text."""
        return show(row.value, row.lo95, row.hi95, row.unit)

    def piles(self, year: int | None = None) -> list[StockpileRow]:
        """Piles of a year, or of all, by id and year."""
        rows = [r for r in self.rows("stockpiles", StockpileRow) if year is None or r.year == year]
        return sorted(rows, key=lambda r: (r.pile_id, r.year))
