"""Figures of `benchmarks/speed.py` as tables. Pure."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.cases import ONE_WORKER, TWO_WORKERS, WORKERS

Group = Mapping[str, Any]
"""``name`` and ``cases``; each has ``name``, ``case`` (its Case), ``runs`` (Usages) and ``skipped`` (why, or None)."""

_FINE, _HOURS = 10, 60


def page(found: Mapping[str, Any]) -> str:
    """Give every table of one call as Markdown: the machine, the groups, and the figures aimed at."""
    about = found["machine"]
    place = f"{about['processor']}; {about['memory']}; {about['system']}"
    lines = [f"{place}; commit {about['commit']}; load before the first run {about['load_before']}.", ""]
    for group in found["groups"]:
        lines += [f"### {group['name']}", "", *_group_table(group), ""]
    if "agreement" in found:
        lines += [f"Values compared: {found['agreement']}.", ""]
    again = found.get("rerun", [])
    for archive in again:
        first = archive["costs"][0]["wall_s"]
        rows = [
            (cost["name"], _figure(cost["wall_s"]), _figure(cost["cpu_s"]), f"{cost['wall_s'] / first:.1%}")
            for cost in archive["costs"]
        ]
        head = ("", "whole s", "CPU s", "of the first run")
        lines += [f"### rerun: {archive['name']}", "", *markdown(head, rows), ""]
    return "\n".join([*lines, "### Against the aims", "", *_aims(found["groups"], again), ""])


def _group_table(group: Group) -> list[str]:
    rows = [_row(entry) for entry in group["cases"]]
    head = ("", "task s", "whole s", "CPU s", "largest process GB", "all processes GB", "without files GB", "tasks",
            "read GB")  # fmt: skip
    skipped = [f"{e['name']}: left out, {e['skipped']}." for e in group["cases"] if e["skipped"] is not None]
    table = markdown(head, [row for row in rows if row])
    return [*table, *([""] if skipped else []), *skipped]


def _row(entry: Mapping[str, Any]) -> Sequence[str]:
    runs = entry["runs"]
    if not runs:
        return ()
    inside = [run["answer"]["inside_s"] for run in runs if "inside_s" in run["answer"]]
    tasks = [run["answer"]["tasks"] for run in runs if "tasks" in run["answer"]]
    return (
        entry["name"],
        spread(inside),
        spread([run["wall_s"] for run in runs]),
        spread([run["cpu_s"] for run in runs]),
        *(f"{max(run[key] for run in runs) / 1e9:.2f}" for key in ("largest_bytes", "peak_bytes", "own_bytes")),
        f"{tasks[0]:,}" if tasks else "",
        f"{statistics.median(run['read_bytes'] for run in runs) / 1e9:.2f}",
    )


def spread(values: Sequence[float]) -> str:
    """Give the median, and the smallest and largest in brackets where they differ."""
    if not values:
        return ""
    middle = _figure(statistics.median(values))
    return middle if min(values) == max(values) else f"{middle} ({_figure(min(values))}-{_figure(max(values))})"


def _figure(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds < _FINE else f"{seconds:.1f}" if seconds < _HOURS else f"{seconds:.0f}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows of cells as a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log time on log size by least squares: 1 when time grows as size does.

    Raises
    ------
    ValueError
        Fewer than two different sizes.
    """
    x = [math.log(size) for size in sizes]
    y = [math.log(value) for value in seconds]
    across = sum((value - statistics.fmean(x)) ** 2 for value in x)
    if across == 0.0:
        raise ValueError(f"no slope through sizes {list(sizes)}")
    return sum((a - statistics.fmean(x)) * (b - statistics.fmean(y)) for a, b in zip(x, y, strict=True)) / across


def _aims(groups: Sequence[Group], again: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give every figure aimed at for which there are runs, with what was measured."""
    known = {(g["name"], e["name"]): e["runs"] for g in groups for e in g["cases"] if e["runs"]}
    rows = [*_median_aims(known), *_run_aims(known, groups)]
    for archive in again:
        first, nothing, one = (cost["wall_s"] for cost in archive["costs"])
        name, share = archive["name"], f"{100 * one / first:.1f} %"
        rows.append((f"a run with nothing new, {name}", "at most 5 s", f"{_figure(nothing)} s"))
        rows.append((f"a run with one new scene, {name}", "at most 10 % of the first", share))
    return markdown(("figure", "aim", "measured"), rows)


def _median_aims(known: Mapping[tuple[str, str], Any]) -> list[tuple[str, str, str]]:
    rows = []
    ours = known.get(("median", "annual median"))
    run = known.get(("median", "whole run"))
    forms = [name for group, name in known if group == "median" and name.startswith(("odc-", "stackstac-"))]
    aims = {"odc": "at least 8 times", "stackstac": "at least 12 times"}
    for form in forms:
        peer = known["median", form]
        if ours is not None:
            rows.append(
                (f"annual median: {form} against ours", aims[form.split("-")[0]], _times(_task(peer), _task(ours)))
            )
        if run is not None and form.startswith("odc-"):
            rows.append((f"{form} against our whole run", "at least 3 times", _times(_task(peer), _whole(run))))
    floor = known.get(("median", "decoding alone"))
    if ours is not None and floor is not None:
        rows.append(("annual median against decoding alone", "at most 2 times", _times(_task(ours), _task(floor))))
    return rows


def _run_aims(known: Mapping[tuple[str, str], Any], groups: Sequence[Group]) -> list[tuple[str, str, str]]:
    rows = []
    run = known.get(("median", "whole run"))
    if run is not None:
        rows.append(("peak memory of the whole run", "at most 1.0 GB", f"{_peak(run) / 1e9:.2f} GB"))
        rows += [
            (f"the same, {name}", "within 15 %", f"{100 * (_peak(runs) / _peak(run) - 1):+.0f} %")
            for (group, name), runs in known.items()
            if group == "memory"
        ]
    grown = [
        (e["case"]["archive"], e["runs"]) for g in groups if g["name"] == "growth" for e in g["cases"] if e["runs"]
    ]
    sizes = [a["size_px"] ** 2 * a["scenes"] for a, _ in grown]
    if len(set(sizes)) > 1:
        slope = exponent(sizes, [_whole(runs) for _, runs in grown])
        rows.append((f"exponent over a {max(sizes) / min(sizes):.0f}-fold range", "0.95 to 1.05", f"{slope:.2f}"))
    for group in [g["name"] for g in groups if g["name"].startswith(WORKERS)]:
        one, two = known.get((group, ONE_WORKER)), known.get((group, TWO_WORKERS))
        if one is not None and two is not None:
            rows.append((f"two {group} against one", "at least 1.7 times", _times(_whole(one), _whole(two), 2)))
    return rows


def _times(slow: float, fast: float, digits: int = 1) -> str:
    return f"{slow / fast:.{digits}f} times"


def _task(runs: Sequence[Mapping[str, Any]]) -> float:
    return statistics.median(run["answer"]["inside_s"] for run in runs)


def _whole(runs: Sequence[Mapping[str, Any]]) -> float:
    return statistics.median(run["wall_s"] for run in runs)


def _peak(runs: Sequence[Mapping[str, Any]]) -> int:
    return max(run["peak_bytes"] for run in runs)
