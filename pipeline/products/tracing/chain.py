"""Which rows a row of a result rests on, down to scenes: a change on two numbers, a number on piles, a pile on dates.

Pure: made from rows as the numbers of a run hold them (:mod:`pipeline.products.numbers`), found by their address.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from shapely import Point
from shapely.geometry.base import BaseGeometry

from pipeline.products.row_address import address, pair
from pipeline.products.seen import REVIEWED
from pipeline.types import PIXEL_M

Columns: TypeAlias = Mapping[str, Any]
STOCK, COUNT, GROUND, GAIN = "stockpile_area_m2", "stockpile_count", "footprint_area_m2", "boundary_gain_m2"
EFFECT = "footprint_area_minus_control_m2"
_COUNTED = "probable"
"""Tier from which a pile is part of a zone's number, before review."""
_ASKED_BY = {
    "stockpiles": ("year",),
    "stockpile_observations": ("pile_id", "year"),
    "footprints": ("zone_id", "year"),
    "year_scenes": ("metric", "year"),
}
"""Layers of which rows are looked for by some columns."""


@dataclass(frozen=True)
class Rows:
    """Rows of a result by layer and address, and the outlines of its zones."""

    layers: Mapping[str, Mapping[str, Columns]]
    zones: Mapping[str, BaseGeometry]

    @cached_property
    def layer_of(self) -> dict[str, str]:
        """Layer of every address."""
        return {at: layer for layer, rows in self.layers.items() for at in rows}

    @cached_property
    def _found_by(self) -> dict[tuple[Any, ...], list[str]]:
        """Addresses of the rows of a layer by the columns they are asked by."""
        found: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for layer, names in _ASKED_BY.items():
            for at, row in self.layers[layer].items():
                found[(layer, *(row[name] for name in names))].append(at)
        return found

    def _by(self, layer: str, *values: object) -> list[str]:
        return self._found_by.get((layer, *values), [])

    def columns(self, at: str) -> Columns:
        """Columns of a row; :class:`KeyError` when there is none of that address."""
        return self.layers[self.layer_of[at]][at]

    def below(self, at: str) -> tuple[str, ...]:
        """Addresses of the rows a row rests on at once, those that are there, in order; of scenes the last."""
        row, layer = self.columns(at), self.layer_of[at]
        asked = {
            "claims": self._of_claim,
            "changes": self._of_change,
            "trends": self._of_trend,
            "breaks": self._of_break,
            "measurements": self._of_measurement,
            "stockpile_changes": self._of_pile_change,
            "stockpiles": self._of_pile,
            "stockpile_observations": self._of_date,
            "boundary_changes": self._of_boundary,
            "footprints": self._of_ground,
        }.get(layer)
        wanted = asked(row) if asked is not None else []
        return tuple(dict.fromkeys(one for one in wanted if one in self.layer_of and one != at))

    def all_below(self, at: Sequence[str]) -> list[str]:
        """Addresses of rows and of all that they rest on, each once: what is above stands before what is below."""
        found: dict[str, None] = {}
        waiting = list(at)
        while waiting:
            one = waiting.pop(0)
            if one not in found:
                found[one] = None
                waiting += self.below(one)
        return list(found)

    def _of_claim(self, row: Columns) -> list[str]:
        found = []
        for test in (row["tested"] or "").split("; ") if row["tested"] else []:
            zone_id, years = test.rsplit(" ", 1)
            layer = "changes" if "-" in years else "measurements"
            found.append(address(layer, zone_id, row["metric"], years))
        return found

    def _of_change(self, row: Columns) -> list[str]:
        zone_id, years = row["zone_id"], (row["year_from"], row["year_to"])
        if row["metric"] != GAIN:
            return [address("measurements", zone_id, row["metric"], year) for year in years]
        gain = address("boundary_changes", zone_id, "certain_gain", pair(*years))
        return [gain, *(address("measurements", zone_id, GROUND, year) for year in years)]

    def _of_trend(self, row: Columns) -> list[str]:
        years = range(row["year_first"], row["year_last"] + 1)
        if row["metric"] != EFFECT:
            return self._measured(row["zone_id"], row["metric"], years)
        controls = [zone["zone_id"] for zone in self.layers["zones"].values() if zone["role"] == "control"]
        return [at for zone_id in (row["zone_id"], *controls) for at in self._measured(zone_id, GROUND, years)]

    def _of_break(self, row: Columns) -> list[str]:
        years = sorted({r["year"] for r in self.layers["measurements"].values()})
        return self._measured(row["zone_id"], row["metric"], years)

    def _measured(self, zone_id: str, metric: str, years: Sequence[int]) -> list[str]:
        """Numbers of some years that have one."""
        rows = self.layers["measurements"]
        named = [address("measurements", zone_id, metric, year) for year in years]
        return [at for at in named if at in rows and rows[at]["value"] is not None]

    def _of_measurement(self, row: Columns) -> list[str]:
        zone_id, metric, year = row["zone_id"], row["metric"], row["year"]
        if metric.startswith(REVIEWED):
            decided = [at for at, r in self.layers["reviews"].items() if r["counts"] and r["year"] in {None, year}]
            return [address("measurements", zone_id, metric.removeprefix(REVIEWED), year), *decided]
        if metric in {STOCK, COUNT}:
            return [*self.counted(zone_id, year), *self._scenes(metric, year)]
        # Classes of ground rest on the scenes; where none was occupied there is no class.
        return self._by("footprints", zone_id, year) or self._scenes(metric, year)

    def counted(self, zone_id: str, year: int) -> list[str]:
        """Piles of a year that a zone's stock is the sum of: counted before review, their deepest pixel in the zone."""
        zone, rows = self.zones.get(zone_id), self.layers["stockpiles"]
        of_year = [at for at in self._by("stockpiles", year) if rows[at]["machine_tier"] == _COUNTED]
        # A redacted copy has neither outlines nor places of piles.
        return [at for at in of_year if zone is not None and not zone.is_empty and zone.intersects(_point(rows[at]))]

    def _of_pile(self, row: Columns) -> list[str]:
        return self._by("stockpile_observations", row["pile_id"], row["year"])

    def _of_date(self, row: Columns) -> list[str]:
        return [address("scene", row["scene_id"])]

    def _of_ground(self, row: Columns) -> list[str]:
        return self._scenes(GROUND, row["year"])

    def _of_pile_change(self, row: Columns) -> list[str]:
        return [address("stockpiles", row["pile_id"], year) for year in (row["year_from"], row["year_to"])]

    def _of_boundary(self, row: Columns) -> list[str]:
        return [
            at for year in (row["year_from"], row["year_to"]) for at in self._by("footprints", row["zone_id"], year)
        ]

    def _scenes(self, metric: str, year: int) -> list[str]:
        rows = self.layers["year_scenes"]
        return [address("scene", rows[at]["scene_id"]) for at in self._by("year_scenes", metric, year)]


def _point(row: Columns) -> Point:
    """Middle of the 10 m cell a pile is named after, by which it lies in a zone."""
    east, north = row["pile_id"].removeprefix("p").split("-")
    return Point((int(east) + 0.5) * PIXEL_M, (int(north) + 0.5) * PIXEL_M)
