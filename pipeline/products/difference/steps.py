"""What lies between the inputs of two runs and their numbers: a scene refused, another baseline year. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.products.dependence import scene_year
from pipeline.products.difference.inputs import Difference, KeptRun
from pipeline.products.difference.moves import Move
from pipeline.products.rounding import show_metres, show_percent

_FACTS = {"baseline_year": "year", "reference_scene": "scene", "reference": "zones"}
"""Facts of a run that other numbers follow from, and what they are."""


@dataclass(frozen=True)
class Step:
    """One result on the way that differs, with no input of its own that does.

    Attributes
    ----------
    kind : str
        ``scene``, ``fact`` or ``zone``.
    name : str
        Scene id, name of the fact, id of the zone.
    before, after : object
        JSON: what it was and is, where a reader sees it differ; None for nothing.
    year : int or None
        Of a scene.
    """

    kind: Literal["scene", "fact", "zone"]
    name: str
    before: Any
    after: Any
    year: int | None = None

    def touches(self, move: Move) -> bool:
        """Whether a number that moved follows from it directly."""
        if self.kind == "scene":
            return self.year is not None and move.is_of(self.year)
        if self.kind == "zone":
            return move.row.get("zone_id") == self.name
        return self.name != "reference" or "zone_id" in move.row


def steps(before: KeptRun, after: KeptRun, roots: tuple[Difference, ...]) -> tuple[Step, ...]:
    """Name the results on the way that differ; scenes among the ``roots`` are told there."""
    facts = [run.numbers["facts"] for run in (before, after)]
    found = [Step("fact", name, *(of.get(name) for of in facts)) for name in _FACTS]
    told = {root.name for root in roots if root.kind == "scene"}
    return (
        *(step for step in found if step.before != step.after),
        *_zones(before, after),
        *(step for step in _scenes(before, after) if step.name not in told),
    )


def _zones(before: KeptRun, after: KeptRun) -> Iterator[Step]:
    areas = [{row["zone_id"]: row["area_m2"] for row in run.rows("zones").values()} for run in (before, after)]
    for zone_id in sorted(areas[0].keys() | areas[1].keys()):
        old, new = (of.get(zone_id) for of in areas)
        if old != new:
            yield Step("zone", zone_id, old, new)


def _scenes(before: KeptRun, after: KeptRun) -> Iterator[Step]:
    known, now = before.rows("scenes"), after.rows("scenes")
    for address in sorted(known.keys() & now.keys()):
        old, new = state(known[address]), state(now[address])
        if old != new:
            old, new = ({name: of[name] for name in of if old.get(name) != new.get(name)} for of in (old, new))
            yield Step("scene", now[address]["scene_id"], old, new, scene_year(now[address]))


def state(scene: Any) -> dict[str, str]:
    """Return what this program found of a scene, as a reader is shown it; of one that is not used only why."""
    if not scene["used"]:
        return {"used": "no", "reason": scene["reason"] or "no reason recorded"}
    shift = f"{show_metres(scene['shift_x_m'])}, {show_metres(scene['shift_y_m'])}"
    return {
        "used": "yes",
        "offset": f"{scene['offset_verdict']} ({scene['offset_dn'] or 0:g})",
        "shift in metres": shift,
        "clear": show_percent(scene["clear_fraction"]),
    }
