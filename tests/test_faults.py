"""A batch that is killed, that finds its disk full or its clock wrong: nothing is lost, and the next batch completes.

STOCKLINE_KILLS sets how many moments a batch is killed at, STOCKLINE_FAULT_SEED which, STOCKLINE_TOGETHER how often two
are started at once; --log-cli-level=INFO lists what was found.
"""

import contextlib
import json
import logging
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import faults
import pytest
import yaml
from conftest import aoi_alone, call, command_line, environment, hashes, products
from faults import BALLAST
from test_rerun import ADDED, CHANGED, without

from pipeline.products._documents import WORKING
from pipeline.products.custody.verify import verify

pytestmark = pytest.mark.slow

SITE = "site-a"
KILLS = int(os.environ.get("STOCKLINE_KILLS", "4"))
TOGETHER = int(os.environ.get("STOCKLINE_TOGETHER", "2"))
SEED = int(os.environ.get("STOCKLINE_FAULT_SEED", "7"))
PHASES = {
    "fetching": r"evidence/",
    "publishing": r"\.work/[^/]+/products/",
    "measuring": r"\.work/|\.memory/",
    "sealing": rf"{SITE}/",
    "gathering": r"\.stockline-gathered|\.placing|portfolio|index\.html",
    "closing": r"state|batch|logs|summary|digest|\.state|\.batch|\.summary|\.digest",
}
"""What a batch is doing while it changes files of these names."""
TIGHT = {
    "a version is there, records of its fetch too": r"rmtree evidence/.*\.records",
    "records of a fetch are put aside, it is no version yet": r"rename evidence/.*/v\d+$",
    "the manifest is not yet in its place": rf"rename {SITE}/manifest\.json$",
    "new products are decided on": rf"rename {SITE}/\.placing$",
    "what gathers all sites is not yet in its place": r"rename portfolio\.json$",
}
"""Moments between two steps that belong together."""
LIST = logging.getLogger("faults")
_FAULTS = str(Path(faults.__file__))


@dataclass(frozen=True)
class World:
    """An archive, what an earlier batch made of most of it, and what an undisturbed batch makes of all of it."""

    config: Path
    former: Path
    products: dict[str, str]
    changes: list[str]


def batch(world, out, *fault, env=None, timeout=300):
    """Run a batch in a process of its own, with a fault."""
    words = command_line("run", "--config", world.config, "--out", out)
    if fault:
        words = [sys.executable, _FAULTS, *map(str, fault), str(out), *words[3:]]
    return subprocess.run(
        words, env=environment(**(env or {})), capture_output=True, text=True, timeout=timeout, check=False
    )


def phase_of(change):
    path = change.split(" ", 1)[1]
    return next((phase for phase, pattern in PHASES.items() if re.match(pattern, path)), "other")


@pytest.fixture(scope="module")
def world(port, tmp_path_factory):
    base = tmp_path_factory.mktemp("faults")
    archive = base / "archive"
    shutil.copytree(port, archive, ignore=shutil.ignore_patterns("results"))
    aoi_alone(port, SITE, base / "aoi")
    config = base / "config.yaml"
    source = {"kind": "simulated", "url": str(archive / "catalog.json"), "evidence": "copy"}
    sections = {
        "source": source, "sites": "aoi", "years": {"first": 2018, "last": 2018}, "retention": {"min_free_gb": 0}
    }  # fmt: skip
    config.write_text(yaml.safe_dump({"out": "former", **sections}))
    whole = without(archive, CHANGED)
    assert ADDED in whole
    done = call("run", "--config", config)
    assert done.returncode == 0, done.stderr
    (archive / "catalog.json").write_text(whole)
    shutil.copytree(base / "former", base / "undisturbed")
    made = World(config, base / "former", {}, [])
    done = batch(made, base / "undisturbed", "none", 0)
    assert done.returncode == 0, done.stderr
    assert verify(base / "undisturbed") == []
    assert not strangers(base / "undisturbed")
    changes = [line.removeprefix("change: ") for line in done.stderr.splitlines() if line.startswith("change: ")]
    return World(config, base / "former", results(base / "undisturbed"), changes)


def results(out):
    """Hashes of all that must be the same whatever happened on the way."""
    found = {f"{SITE}/{name}": digest for name, digest in products(out / SITE).items()}
    return found | {name: hashes(out)[name] for name in ("index.html", "portfolio.gpkg")}


def strangers(out):
    """Files that no finished batch leaves: halves, leftovers, names nobody knows."""
    known = {*WORKING, ".lock", "index.html", "portfolio.gpkg", "portfolio.json"}
    listed = json.loads((out / SITE / "manifest.json").read_text())["outputs"]
    known |= {f"{SITE}/{name}" for name in ("manifest.json", "run.json", "review.gpkg", *(o["path"] for o in listed))}
    patterns = (
        r"logs/\d{4}\.jsonl", rf"{SITE}/runs/\d{{4}}\.(json|manifest\.json\.gz|numbers\.json\.gz)",
        r"\.memory/[\w-]+/\w+/[0-9a-f]{64}(\.result|/.*)",
        r"evidence/[^/]+/[^/]+/[^/]+/(\.lock|v\d+/(\w+\.tif|record\.json))",
    )  # fmt: skip
    return [
        name
        for name in hashes(out)
        if name not in known and not any(re.fullmatch(pattern, name) for pattern in patterns)
    ]


def lost(out, former):
    """What is wrong with the finished results of a folder that the next batch will not simply go on with."""
    problems = [str(problem) for problem in verify(out / SITE)]
    if (out / SITE / ".placing").is_dir():
        # All of the new result is there, in its place or under way to it.
        found = out / SITE / ".placing" / "manifest.json"
        manifest = json.loads((found if found.exists() else out / SITE / "manifest.json").read_text())
        here = hashes(out / SITE)
        return [
            f"{o['path']} is lost"
            for o in manifest["outputs"]
            if o["sha256"] not in {here.get(o["path"]), here.get(f".placing/{o['path']}")}
        ]
    kept = {folder: (hashes(former / folder), hashes(out / folder)) for folder in (f"{SITE}/runs", "evidence")}
    return [
        *problems,
        *(
            f"{folder}/{name} is lost"
            for folder, (then, now) in kept.items()
            for name, digest in then.items()
            if now.get(name) != digest
        ),
    ]


def completes(world, out):
    """Say what the next batch leaves wrong."""
    done = batch(world, out)
    assert done.returncode == 0, done.stderr
    assert verify(out) == []
    assert results(out) == world.products
    assert strangers(out) == []
    assert not list((out / ".work").iterdir())
    return done


def moments(changes, count, seed):
    """Choose changes at random, of every phase about as many."""
    drawn = random.Random(seed)  # noqa: S311 - which moments, not secrets
    by_phase = {phase: [n for n, c in enumerate(changes, 1) if phase_of(c) == phase] for phase in PHASES}
    chosen = []
    while len(chosen) < count:
        for numbers in by_phase.values():
            if numbers and len(chosen) < count:
                chosen.append(numbers.pop(drawn.randrange(len(numbers))))
    return sorted(chosen)


def test_all_phases_are_seen(world):
    seen = Counter(phase_of(change) for change in world.changes)
    assert set(PHASES) <= set(seen)
    assert set(seen) - set(PHASES) <= {"other"}
    # The lock, and folders.
    assert {c for c in world.changes if phase_of(c) == "other"} <= {"open .lock", f"mkdir {SITE}", "mkdir evidence"}


@pytest.mark.parametrize("nth", range(KILLS))
def test_killed_at_a_random_moment(nth, world, tmp_path):
    survives(world, tmp_path / "results", moments(world.changes, KILLS, SEED)[nth])


@pytest.mark.parametrize("between", TIGHT)
def test_killed_between_two_steps(between, world, tmp_path):
    numbers = [number for number, change in enumerate(world.changes, 1) if re.match(TIGHT[between], change)]
    survives(world, tmp_path / "results", numbers[-1])


def survives(world, out, number):
    """Kill a batch before a change, see that nothing is lost, and let the next one complete."""
    shutil.copytree(world.former, out)
    killed = batch(world, out, "kill", number)
    assert killed.returncode == -9, killed.stderr
    (said,) = [line for line in killed.stderr.splitlines() if line.startswith("killed before")]
    assert lost(out, world.former) == []
    after = [str(problem) for problem in verify(out)]
    done = completes(world, out)
    LIST.info(
        "change %s of %s, %s, %s; verify then: %s; next batch: %s",
        number, len(world.changes), phase_of(said.removeprefix("killed before: ")), said,
        "; ".join(after) or "every hash agrees", "made anew" if "done in" in done.stdout else "up to date",
    )  # fmt: skip


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a disk of a test's own needs the rights of root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m", "none", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "sealing"])
def test_a_full_disk(phase, world, disk):
    out = disk / "results"
    shutil.copytree(world.former, out)
    before = products(out / SITE)
    numbers = [number for number, change in enumerate(world.changes, 1) if phase_of(change) == phase]
    done = batch(world, out, "fill", random.Random(SEED).choice(numbers))  # noqa: S311 - which moment
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if "No space left" in line or "full" in line]
    assert [line for line in told if not line.startswith("disk filled")], done.stderr
    if phase in {"fetching", "measuring", "publishing"}:
        assert products(out / SITE) == before
    assert lost(out, world.former) == []
    after = [str(problem) for problem in verify(out)]
    (disk / BALLAST).unlink()
    completes(world, out)
    LIST.info("%s: %s; verify then: %s", phase, "; ".join(told), "; ".join(after) or "every hash agrees")


libfaketime = pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")


def at(when, stamp=None):
    """Environment of a process whose clock goes on from a time; that of files is not changed by it."""
    found = subprocess.run(
        ["faketime", when, "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True, env=environment()
    )
    clock = (
        {"FAKETIME": f"@{when}"} if stamp is None else {"FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1"}
    )
    return {"LD_PRELOAD": found.stdout.strip(), "NO_FAKE_STAT": "1", "TZ": "UTC", **clock}


def started(out):
    """When each run of the site began, in the order of the chain, and each batch, in the order of its number."""
    with contextlib.closing(sqlite3.connect(out / "state.sqlite")) as state:
        batches = [row[0][:4] for row in state.execute("SELECT started FROM batches ORDER BY number")]
    return [
        json.loads(path.read_text())["started"][:4] for path in sorted((out / SITE / "runs").glob("*.json"))
    ], batches


@libfaketime
def test_a_clock_that_is_set_back_between_batches(world, tmp_path):
    out = tmp_path / "results"
    shutil.copytree(world.former, out)
    before = started(out)
    done = batch(world, out, env=at("2031-06-01 12:00:00"))
    assert done.returncode == 0, done.stderr
    assert verify(out) == []
    in_2031 = time.mktime((2031, 6, 1, 12, 0, 0, 0, 0, 0))
    for path in [out, *out.rglob("*")]:
        os.utime(path, (in_2031, in_2031))
    assert call("status", "--config", world.config, "--out", out).returncode == 0
    done = batch(world, out, "none", 0)
    assert done.returncode == 0, done.stderr
    assert "up to date" in done.stdout
    assert results(out) == world.products
    done = subprocess.run(
        command_line("run", "--config", world.config, "--out", out, "--force"), env=environment(), check=False
    )
    assert done.returncode == 0
    runs, batches = started(out)
    assert runs == [*before[0], "2031", before[0][0]]
    assert batches == [*before[1], "2031", *before[1], *before[1]]
    assert completes(world, out).returncode == 0
    assert sorted(path.name for path in (out / "logs").iterdir()) == [f"{n:04d}.jsonl" for n in range(1, 6)]


@libfaketime
def test_a_clock_that_jumps_back_while_a_batch_runs(world, tmp_path):
    out, stamp = tmp_path / "results", tmp_path / "clock"
    shutil.copytree(world.former, out)
    stamp.write_text("@2031-06-01 12:00:00")
    (number,) = moments(world.changes, 1, SEED)
    done = batch(world, out, "clock=@2020-01-01 00:00:00", number, env=at("2031-06-01 12:00:00", stamp))
    assert done.returncode == 0, done.stderr
    assert stamp.read_text().startswith("@2020")
    assert results(out) == world.products
    assert verify(out) == []
    assert call("status", "--config", world.config, "--out", out).returncode == 0
    completes(world, out)


def test_two_batches_started_together(world, tmp_path):
    out = tmp_path / "results"
    shutil.copytree(world.former, out)
    words = command_line("run", "--config", world.config, "--out", out, "--force")
    for _ in range(TOGETHER):
        both = [
            subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=300) for process in both]
        assert sorted(process.returncode for process in both) == [0, 75], said
        (refused,) = [told for process, told in zip(both, said, strict=True) if process.returncode == 75]
        assert refused[0] == ""
        assert refused[1].splitlines() == [
            f"stockline: {out}: another batch is running there; wait for it or choose another --out"
        ]
        assert verify(out) == []
    assert results(out) == world.products


def test_a_machine_that_restarts(world, tmp_path):
    """All processes end at once; a lock and halves of all kinds are left, also of files of an older version."""
    out = tmp_path / "results"
    shutil.copytree(world.former, out)
    process = subprocess.Popen(
        command_line("run", "--config", world.config, "--out", out), env=environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    for line in process.stderr:
        if "scenes used" in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (window,) = [path.parents[1] for path in (out / "evidence").rglob("record.json") if CHANGED in str(path)]
    for half in (
        out / ".stockline-gathered/portfolio.gpkg", out / ".batch.json.part/batch.json",
        out / f"{SITE}/.stockline-rebuilt/report.html",
        out / f"{SITE}/.review.gpkg.part/review.gpkg", out / ".work/stockline-site-gone/decoded/0.npy",
        window / ".part-00/blue.tif",
    ):  # fmt: skip
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")
    (out / ".lock").write_text("999999\n")
    assert lost(out, world.former) == []
    done = batch(world, out)
    assert done.returncode == 0, done.stderr
    assert results(out) == world.products
    shutil.rmtree(window / ".part-00")  # a fetch that can go on is kept until space is short
    assert strangers(out) == []
