"""What the verdicts of a site are, and which of them changed between two runs, for the summary of a batch. Pure."""

from collections.abc import Mapping
from typing import Any

from pipeline.batches.summary import Headline, Verdict, VerdictChange
from pipeline.products.difference.inputs import KeptRun
from pipeline.products.difference.lines import Comparison
from pipeline.products.difference.words import difference_name, number_name

_HEADLINES = ("stockpile_area_m2", "footprint_area_m2", "boundary_gain_m2")
_VALUES = {
    "changes": "delta",
    "trends": "slope_per_year",
    "breaks": "delta",
    "claims": "value",
    "stockpile_changes": "delta_m2",
}
"""Layers whose rows have a verdict, and the column of its number."""
_NOTHING = Verdict(
    verdict="insufficient_data", value=None, lo95=None, hi95=None, unit=None, reason="no two years can be compared"
)
_UNITS = {"stockpile_changes": "m2"}


def verdict_changes(comparison: Comparison) -> list[VerdictChange]:
    """Return the verdicts that differ between two runs, with what can have moved each, in the order of the layers."""
    site, simulated = comparison.after.manifest.site, comparison.after.manifest.simulated
    found = []
    for move, why in zip(comparison.compared.moves, comparison.why, strict=True):
        if move.verdict is None or move.layer not in _VALUES:
            continue
        row = move.row
        found.append(
            VerdictChange(
                site=site,
                simulated=simulated,
                address=move.address,
                layer=move.layer,
                name=number_name(move, comparison.names),
                zone=row.get("zone_id"),
                metric=row.get("metric"),
                year_from=row.get("year_from", row.get("year_first")),
                year_to=row.get("year_to", row.get("year_last")),
                before=None if move.before is None else _verdict(move.layer, move.before),
                after=None if move.after is None else _verdict(move.layer, move.after),
                causes=tuple(difference_name(comparison.roots[place]) for place in why.causes or why.less),
                certain=why.certain,
            )
        )
    return found


def headlines_of(run: KeptRun) -> tuple[Headline, ...]:
    """Return what the headline metrics say of the whole site: the newest year that can be judged, from the first."""
    found = []
    base = int(run.numbers["facts"].get("baseline_year") or 0)
    for metric in _HEADLINES:
        of_site = [r for r in run.rows("changes").values() if r["metric"] == metric and r["zone_id"] == "site"]
        rows = sorted(of_site, key=lambda row: (row["year_to"], row["year_from"]))
        judged = [row for row in rows if row["delta"] is not None]
        if not rows:
            continue
        newest = next((row for row in judged if row["year_to"] == judged[-1]["year_to"]), None)
        unjudged = {row["year_to"] for row in rows} - {row["year_to"] for row in judged} - {base}
        found.append(
            Headline(
                metric=metric,
                year_from=None if newest is None else newest["year_from"],
                year_to=None if newest is None else newest["year_to"],
                said=_verdict("changes", newest) if newest is not None else _NOTHING,
                unjudged=tuple(sorted(unjudged)),
            )
        )
    return tuple(found)


def _verdict(layer: str, row: Mapping[str, Any]) -> Verdict:
    return Verdict(
        verdict=row["verdict"],
        value=row[_VALUES[layer]],
        lo95=row.get("lo95", row.get("lo95_m2")),
        hi95=row.get("hi95", row.get("hi95_m2")),
        unit=_UNITS.get(layer, row.get("unit")),
        reason=row.get("reason"),
    )
