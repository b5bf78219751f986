"""What a later run of a site costs beside its first: nothing new, and one new scene.

    python -m benchmarks.rerun ARCHIVE [WORKERS]

ARCHIVE is a folder of benchmarks/archive.py. Its newest scene is taken out of the catalogue for the first run and put
back for the last. Each run is a process of its own; seconds of CPU are its own and those of processes it started.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What one run took, in seconds."""

    name: str
    cpu_s: float
    wall_s: float


def measure(archive: Path, workers: int, out: Path, env: Mapping[str, str]) -> list[Cost]:
    """First run without the newest scene, a run with nothing new, a run with the scene.

    ``env`` is added to the environment: where compiled code is, so that the first run need not make it.
    """
    with _without_newest(archive):
        costs = [_run(name, archive, workers, out, env) for name in ("first run", "nothing new")]
    return [*costs, _run("one new scene", archive, workers, out, env)]


@contextmanager
def _without_newest(archive: Path) -> Iterator[None]:
    path = archive / "catalog.json"
    whole = path.read_text(encoding="utf-8")
    catalogue = json.loads(whole)
    items = sorted((link for link in catalogue["links"] if link["rel"] == "item"), key=lambda link: link["href"])
    kept = [link for link in catalogue["links"] if link != items[-1]]
    path.write_text(json.dumps(catalogue | {"links": kept}), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(whole, encoding="utf-8")


def _run(name: str, archive: Path, workers: int, out: Path, env: Mapping[str, str]) -> Cost:
    before, start = _cpu_s(), time.monotonic()
    command = ["run", "--config", str(archive / "config.yaml"), "--out", str(out), "--workers", str(workers)]
    subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *command],
        env={**os.environ, "OMP_NUM_THREADS": "1", **env}, check=True, capture_output=True,
    )  # fmt: skip
    return Cost(name, _cpu_s() - before, time.monotonic() - start)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(costs: list[Cost]) -> str:
    """Costs as a table, each beside the first."""
    first = costs[0]
    lines = ["| run | CPU s | s | of the first, CPU | of the first |", "|---|---|---|---|---|"]
    lines += [
        f"| {c.name} | {c.cpu_s:.1f} | {c.wall_s:.1f} | {c.cpu_s / first.cpu_s:.1%} | {c.wall_s / first.wall_s:.1%} |"
        for c in costs
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="stockline-rerun-") as folder:
        print(table(measure(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1, Path(folder), {})))  # noqa: PLR2004
