"""Numbers, inputs and results on the way by the names a reader knows them by. Pure."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.products.difference.inputs import Difference, KeptRun
from pipeline.products.difference.moves import Move
from pipeline.products.difference.shown import NumberRow
from pipeline.products.difference.steps import Step
from pipeline.products.results import HEADLINE_ROLES, SITE_ZONE
from pipeline.products.rounding import ABSENT, show
from pipeline.products.spelling import span
from pipeline.products.wording import day, listed, metric_noun, metric_title
from pipeline.told import CLASSES

ARROW = "→"
_CLASSES = dict(CLASSES)
_HASH_SHOWN = 12
_SAID_OF_SCENES = {
    "datetime": "time",
    "platform": "satellite",
    "processing_baseline": "processing baseline",
    "relative_orbit": "relative orbit",
    "scale": "scale",
    "nodata_dn": "number for no data",
}
_SAID_OF_SITES = {"site_name": "name", "kind": "kind", "coal_rank": "rank of coal", "reference": "zones rest on"}
_FACTS = {
    "baseline_year": "baseline year",
    "reference_scene": "scene the others are laid on",
    "reference": "zones rest on",
}


@dataclass(frozen=True)
class Names:
    """Zones of a site by id: what they are called, and of which the summary speaks."""

    zones: Mapping[str, str]
    headline: frozenset[str]
    order: tuple[str, ...]

    @classmethod
    def of(cls, *runs: KeptRun) -> "Names":
        """Take the names off runs; those of the last count."""
        rows = {row["zone_id"]: row for run in runs for row in run.rows("zones").values()}
        spoken = {zone_id for zone_id, row in rows.items() if row["role"] in HEADLINE_ROLES} | {SITE_ZONE}
        order = sorted(rows, key=lambda zone_id: (zone_id != SITE_ZONE, zone_id not in spoken, zone_id))
        called = {zone_id: row["name"] for zone_id, row in rows.items()} | {SITE_ZONE: "whole site"}
        return cls(called, frozenset(spoken), tuple(order))

    def zone(self, zone_id: str) -> str:
        """Name of a zone; its id where it has none."""
        return self.zones.get(zone_id, zone_id)

    def place(self, zone_id: str | None) -> int:
        """Return where a zone is told: the site first, then named zones; last what is of no zone."""
        return self.order.index(zone_id) if zone_id in self.order else len(self.order)


def number_name(move: Move, names: Names) -> str:
    """Name a number: ``Stockpile area, whole site, 2018 to 2020``."""
    return _NUMBERS[move.layer](move.row, names)


def _years(row: NumberRow) -> str:
    return span(row["year_from"], row["year_to"])


_NUMBERS: dict[str, Callable[[NumberRow, Names], str]] = {
    "measurements": lambda r, n: f"{metric_title(r['metric'])}, {n.zone(r['zone_id'])}, {r['year']}",
    "changes": lambda r, n: f"{metric_title(r['metric'])}, {n.zone(r['zone_id'])}, {_years(r)}",
    "trends": lambda r, n: f"Trend of {metric_noun(r['metric'])}, {n.zone(r['zone_id'])}",
    "breaks": lambda r, n: (
        f"{metric_title(r['metric'])}, {n.zone(r['zone_id'])}, before and after resolution {r['resolution']}"
    ),
    "claims": lambda r, _: f"Claim {r['claim_id']}",
    "stockpiles": lambda r, _: f"Pile {r['pile_id']}, {r['year']}",
    "stockpile_changes": lambda r, _: f"Pile {r['pile_id']}, {_years(r)}",
    "footprints": lambda r, n: f"{_CLASSES.get(r['class'], r['class'])}, {n.zone(r['zone_id'])}, {r['year']}",
    "boundary_changes": lambda r, n: (
        f"{r['change'].replace('_', ' ').capitalize()} of ground, {n.zone(r['zone_id'])}, {_years(r)}"
    ),
}


def difference_name(difference: Difference) -> str:
    """Say in one line, without a full stop, what two runs differ in."""
    return _DIFFERENCES[difference.kind](difference)


def _scene(difference: Difference) -> str:
    old, new = difference.before, difference.after
    what = f"scene {difference.name} of {_day(new or old)}"
    if difference.how == "new":
        return f"new {what}{_unused(new)}"
    if difference.how == "gone":
        return f"{what} is no longer there{'' if old['used'] else '; it was not used'}"
    if difference.how == "read":
        return f"{what}: {_had(old)} {ARROW} {_had(new)}"
    if difference.how == "pixels":
        versions = [scene["evidence_version"] for scene in (old, new)]
        known = f", version {versions[0]} {ARROW} {versions[1]}" if versions[0] != versions[1] else ""
        return f"{what}: other pixels{known}{_turned(old, new)}"
    said = [
        f"{name} {_value(old[key])} {ARROW} {_value(new[key])}"
        for key, name in _SAID_OF_SCENES.items()
        if old[key] != new[key]
    ]
    return f"{what}: the provider describes it anew: {'; '.join(said)}{_turned(old, new)}"


def _day(scene: Mapping[str, Any]) -> str:
    return day(dt.date.fromisoformat(scene["datetime"][:10]))


def _unused(scene: Mapping[str, Any]) -> str:
    return "" if scene["used"] else f"; not used: {scene['reason'] or 'no reason recorded'}"


def _had(scene: Mapping[str, Any]) -> str:
    if scene["used"]:
        return "used"
    return f"not used ({scene['reason'] or 'no reason recorded'})"


def _turned(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return "" if old["used"] == new["used"] else f"; {_had(old)} {ARROW} {_had(new)}"


def _setting(difference: Difference) -> str:
    return f"setting {difference.name}: {_value(difference.before)} {ARROW} {_value(difference.after)}"


def _code(difference: Difference) -> str:
    commits = [code.get("commit") for code in (difference.before, difference.after)]
    told = [_release(code, by_commit=commits[0] != commits[1]) for code in (difference.before, difference.after)]
    return f"code: {told[0]} {ARROW} {told[1]}"


def _release(code: Mapping[str, Any], *, by_commit: bool) -> str:
    commit = code.get("commit")
    known = f"commit {commit[:_HASH_SHOWN]}" if by_commit and commit else f"sources {code['sha256'][:_HASH_SHOWN]}"
    return f"version {code['version']}, {known}{' and changes since' if code.get('dirty') else ''}"


def _libraries(difference: Difference) -> str:
    moved = [
        f"{name} {version or 'none'} {ARROW} {difference.after[name] or 'none'}"
        for name, version in difference.before.items()
    ]
    return f"libraries: {', '.join(moved)}"


def _site(difference: Difference) -> str:
    old, new = difference.before, difference.after
    said = [
        f"{name} {_value(old[key])} {ARROW} {_value(new[key])}"
        for key, name in _SAID_OF_SITES.items()
        if old[key] != new[key]
    ]
    said += [f"zone {zone} is new" for zone in sorted(new["zones"].keys() - old["zones"].keys())]
    said += [f"zone {zone} is gone" for zone in sorted(old["zones"].keys() - new["zones"].keys())]
    shared = sorted(old["zones"].keys() & new["zones"].keys())
    said += [
        f"zone {zone} {_areas(old['zones'][zone], new['zones'][zone])}"
        for zone in shared
        if old["zones"][zone] != new["zones"][zone]
    ]
    return f"site file: {'; '.join(said) or 'no zone, kind or rank of coal differs'}"


def _claims(difference: Difference) -> str:
    old, new = difference.before, difference.after
    said = [f"{name} is new" for name in sorted(new.keys() - old.keys())]
    said += [f"{name} is gone" for name in sorted(old.keys() - new.keys())]
    said += [f"{name} is tested otherwise" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
    return f"claims file: {'; '.join(said) or 'no test of this site differs'}"


def _reviews(difference: Difference) -> str:
    old, new = difference.before, difference.after
    added = sorted(int(line) for line in new if old.get(line) != new[line])
    gone = sorted(int(line) for line in old if line not in new)
    said = [f"line {line}: {_decision(new[str(line)])}" for line in added]
    said += [f"line {line} is no longer there" for line in gone]
    return f"reviews: {'; '.join(said) or 'no decision differs'}"


def _decision(line: Mapping[str, Any]) -> str:
    year = f" in {line['year']}" if line["year"] is not None else ", all years"
    return f"{line['decision']} {line['object'].replace('_', ' ')} {line['object_id']}{year}"


_DIFFERENCES: dict[str, Callable[[Difference], str]] = {
    "scene": _scene,
    "setting": _setting,
    "code": _code,
    "libraries": _libraries,
    "site": _site,
    "claims": _claims,
    "reviews": _reviews,
}


def step_name(step: Step, names: Names) -> str:
    """Say in one line, without a full stop, which result on the way differs."""
    if step.kind == "fact":
        return f"{_FACTS[step.name]}: {_value(step.before or None)} {ARROW} {_value(step.after or None)}"
    if step.kind == "zone":
        return f"zone {names.zone(step.name)}: {_areas(step.before, step.after)}"
    told = [
        f"{name} {step.before.get(name, ABSENT)} {ARROW} {step.after.get(name, ABSENT)}"
        for name in {**step.before, **step.after}
    ]
    return f"scene {step.name}: {listed(told)}"


def _areas(before_m2: float | None, after_m2: float | None) -> str:
    """Write two areas with the digits in which they differ."""
    half = abs(after_m2 - before_m2) if before_m2 is not None and after_m2 is not None else None
    told = [
        "none" if area is None else show(area, *(() if half is None else (area - half, area + half))).value_with_unit
        for area in (before_m2, after_m2)
    ]
    return f"{told[0]} {ARROW} {told[1]}"


def _value(value: Any) -> str:
    """Write a value of a setting as its file would."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
