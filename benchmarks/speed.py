"""Time, memory and growth, against others and against decoding alone: the tables of `docs/performance.md`.

    python -m benchmarks.speed OUT [--quick] [--only GROUP ...]

`make bench` runs it. Every run is a process of its own; cases of a group take turns, so that a machine that is slower
for a while is slower for all of them. OUT gets `results.json`, which grows with every run, and `tables.md`.
Archives are made under OUT once and kept.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import rerun
from benchmarks.cases import MEDIAN, NINE_YEARS, QUICK, RERUN, SMALL, STANDARD, Archive, Case, Group
from benchmarks.tables import page
from benchmarks.usage import FailedRunError, measure

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Parallel work is what the workers do, in every program alike."""
_SAME_DN = 0.5
"""A program may round the mean of two middle values to a whole DN."""


@dataclass(frozen=True)
class Bench:
    """Where everything is: archives, compiled code, and what runs give."""

    out: Path

    def env(self, code: str = "compiled") -> Mapping[str, str]:
        """Give what a run's environment has beside this one's; ``code`` is its folder of compiled code."""
        return ONE_THREAD | {"NUMBA_CACHE_DIR": str(self.out / code)}

    def archive(self, wanted: Archive) -> Path:
        """Folder of an archive; made when it is not there."""
        folder = self.out / "archives" / wanted.name
        if not (folder / "config.yaml").is_file():
            _say(f"making {wanted.name}")
            subprocess.run(
                [sys.executable, "-m", "benchmarks.archive", folder, *wanted.arguments], cwd=ROOT, check=True
            )
        return folder

    def rerun(self, wanted: Archive) -> list[dict[str, Any]]:
        """Measure a first run, one with nothing new and one with a new scene."""
        archive = self.archive(wanted)
        with tempfile.TemporaryDirectory(dir=self.out, prefix="run-") as name:
            return [asdict(cost) for cost in rerun.measure(archive, 1, Path(name), self.env())]

    def run(self, case: Case) -> dict[str, Any]:
        """Measure a case once; what it writes is removed."""
        archive = self.archive(case.archive)
        if case.cold:
            shutil.rmtree(self.out / case.code, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self.out, prefix="run-") as name:
            command = case.command(Path(sys.executable), PEERS, archive, Path(name) / "out")
            used = measure(command, self.env(case.code), ROOT)
            answer = dict(used.answer) or _recorded(Path(name) / "out")
        return asdict(replace(used, answer=answer))


def missing(case: Case) -> str | None:
    """Why a case cannot be run here, or None."""
    if case.kind == "peer" and not PEERS.is_file():
        return f"{PEERS.relative_to(ROOT)} is not there: make setup-peers"
    return None


def run_groups(groups: Sequence[Group], bench: Bench) -> dict[str, Any]:
    """Run all groups, writing what is known after each turn; return everything."""
    found: dict[str, Any] = {"machine": machine(), "groups": []}
    # Small archives do not call all compiled code: what the first group measures is run once before.
    for archive in dict.fromkeys([SMALL, *(group.cases[0].archive for group in groups[:1])]):
        bench.run(Case("warm up", archive, "run"))
    for group in groups:
        entries = [
            {"case": asdict(case), "name": case.name, "runs": [], "skipped": missing(case)} for case in group.cases
        ]
        found["groups"].append({"name": group.name, "cases": entries})
        if group.name == MEDIAN:
            found["agreement"] = agreement(group, entries, bench)
        for turn in range(group.repeats):
            for case, entry in zip(group.cases, entries, strict=True):
                if entry["skipped"] is None:
                    _say(f"{group.name}, {case.name}, {turn + 1} of {group.repeats}")
                    entry["runs"].append(bench.run(case))
            (bench.out / "results.json").write_text(json.dumps(found, indent=1), encoding="utf-8", newline="\n")
    return found


def agreement(group: Group, entries: Sequence[dict[str, Any]], bench: Bench) -> str:
    """Compare the medians of all forms and ours, pixel by pixel; a form that cannot give one is marked as skipped.

    Raises
    ------
    ValueError
        Two of them differ by more than the rounding of a DN, or in where there are values.
    """
    kept: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=bench.out, prefix="agree-") as name:
        for case, entry in zip(group.cases, entries, strict=True):
            if entry["skipped"] is not None or case.kind not in {"peer", "median"}:
                continue
            path = Path(name) / "values.npy"
            command = [*case.command(Path(sys.executable), PEERS, bench.archive(case.archive), path), path]
            try:
                measure(command, bench.env(), ROOT)
            except FailedRunError as error:
                if "NotImplementedError" not in str(error):
                    raise
                entry["skipped"] = str(error).strip().splitlines()[-1]
                continue
            kept[case.name] = np.load(path)
    return compared(kept)


def compared(kept: Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]) -> str:
    """Say in one line how medians agree: name to DN, all of one shape, NaN where no date is usable.

    Raises
    ------
    ValueError
        Two of them differ by more than the rounding of a DN, or in where there are values.
    """
    if len(kept) < 2:  # noqa: PLR2004 - two can be compared
        return "nothing to compare"
    first, *others = kept
    largest = 0.0
    for name in others:
        if not np.array_equal(np.isnan(kept[first]), np.isnan(kept[name])):
            raise ValueError(f"{name} and {first} have values at different pixels")
        differs = float(np.nanmax(np.abs(kept[first] - kept[name]), initial=0.0))
        if differs > _SAME_DN:
            raise ValueError(f"{name} and {first} differ by up to {differs:g} DN")
        largest = max(largest, differs)
    return f"{', '.join(kept)}: {kept[first].size:,} values each, largest difference {largest:g} DN"


def machine() -> dict[str, str]:
    """Say what the figures were measured on, without the name of any host or user."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    commit = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = " with changes" if _git("status", "--porcelain") else ""
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load_before": f"{os.getloadavg()[0]:.1f}",
        "commit": commit + changed,
    }


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    return subprocess.run([git, *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _recorded(out: Path) -> dict[str, Any]:
    """Return the number of tasks from a run's own record, where it is there."""
    for path in out.glob("*/run.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"tasks": record["tasks"]} if "tasks" in record else {}
    return {}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    """Measure what was asked for; print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.speed")
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true", help="tiny archives, once: does it work?")
    parser.add_argument("--only", nargs="*", help="names of groups, and rerun")
    asked = parser.parse_args(arguments)
    out = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    groups = [g for g in (QUICK if asked.quick else STANDARD) if not asked.only or g.name in asked.only]
    bench = Bench(out)
    found = run_groups(groups, bench)
    if not asked.quick and (not asked.only or RERUN in asked.only):
        _say("re-runs")
        found[RERUN] = [{"name": f"{a.scenes} scenes, {a.size_px} px", "costs": bench.rerun(a)} for a in NINE_YEARS]
        (out / "results.json").write_text(json.dumps(found, indent=1), encoding="utf-8", newline="\n")
    text = page(found)
    (out / "tables.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
