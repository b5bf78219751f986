"""A batch: what is skipped, what is done again, the lock, a site that fails, an interruption."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import yaml
from conftest import aoi_alone, call, command_line, environment, hashes, products

from pipeline import cli
from pipeline.batches import batch
from pipeline.batches.journal import read_log

pytestmark = pytest.mark.slow

YEARS = {"first": 2018, "last": 2018}


@pytest.fixture
def mine(small, tmp_path):
    """Copy of a small finished run: its folder, with config.yaml, aoi and results."""
    return Path(shutil.copytree(small, tmp_path / "mine"))


@pytest.fixture
def three(port, settings, tmp_path):
    """Configuration of three sites that are one place."""
    for site_id in ("site-a", "site-b", "site-c"):
        aoi_alone(port, site_id, tmp_path / "aoi")
    return settings(source={"kind": "simulated", "url": str(port / "catalog.json")}, sites="aoi", years=YEARS)


def times(folder):
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*") if path.is_file()}


def run(folder, *more):
    return cli.main(["run", "--config", str(folder / "config.yaml"), *more])


def products_of(before):
    """What a run writes anew: not its record, nor the file reviewers work in."""
    return {
        name: digest for name, digest in before.items() if not name.startswith(("run.json", "runs/", "review.gpkg"))
    }


def test_a_second_run_does_nothing_and_force_does_all_to_the_same_bytes(mine, capsys):
    site = mine / "results" / "sim-port"
    before, when = hashes(site), times(site)
    assert run(mine) == 0
    assert "up to date" in capsys.readouterr().out
    assert hashes(site) == before
    assert times(site) == when
    assert run(mine, "--force") == 0
    assert "done in" in capsys.readouterr().out
    assert products(site) == products_of(before)
    assert len(list((site / "runs").glob("????.json"))) == 2
    assert cli.main(["verify", str(mine / "results")]) == 0


@pytest.mark.parametrize(
    ("section", "key", "value", "again"),
    [
        ("clear", "cloud_dilate_m", 140, True),
        ("source", "timeout_s", 11, False),  # how patiently a network is asked is in no result
    ],
)
def test_a_changed_setting_is_measured_again(section, key, value, again, mine, capsys):
    config = yaml.safe_load((mine / "config.yaml").read_text())
    config.setdefault(section, {})[key] = value
    (mine / "config.yaml").write_text(yaml.safe_dump(config))
    manifest = mine / "results" / "sim-port" / "manifest.json"
    before = json.loads(manifest.read_text())["key"]
    assert run(mine) == 0
    assert ("up to date" not in capsys.readouterr().out) == again
    assert (json.loads(manifest.read_text())["key"] != before) == again


@pytest.mark.parametrize("name", ["sim-port.gpkg", "composites/2018.tif", "run.json"])
def test_a_product_that_was_deleted_is_made_again(name, mine, capsys):
    site = mine / "results" / "sim-port"
    before = products(site)
    (site / name).unlink()
    assert run(mine) == 0
    assert "done in" in capsys.readouterr().out
    assert products(site) == before
    assert cli.main(["verify", str(mine / "results")]) == 0


def test_a_changed_site_file_is_measured_again(mine, capsys):
    path = mine / "aoi" / "sim-port.geojson"
    path.write_text(path.read_text().replace("SIMULATED port", "SIMULATED harbour"))
    assert run(mine) == 0
    assert "done in" in capsys.readouterr().out
    assert "SIMULATED harbour" in (mine / "results" / "sim-port" / "report.html").read_text(encoding="utf-8")


def test_a_lock_that_is_held_ends_with_75_and_touches_nothing(mine, capsys):
    out = mine / "results"
    when = times(out)
    with (out / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["report", "--config", str(mine / "config.yaml")]) == 75, "it writes where a batch writes"
        assert "another batch" in capsys.readouterr().err
        assert run(mine, "--force") == 75
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert str(out) in said.err
    assert "another batch" in said.err
    assert times(out) == when
    assert run(mine) == 0  # the lock died with its holder


def broken_beside_good(port, tmp_path, settings):
    """A site that lies where the archive has nothing, between two that can be measured."""
    for site_id in ("site-a", "site-b", "site-c"):
        aoi_alone(port, site_id, tmp_path / "aoi")
    path = tmp_path / "aoi" / "site-b.geojson"
    document = json.loads(path.read_text())
    for feature in document["features"]:
        rings = feature["geometry"]["coordinates"]
        feature["geometry"]["coordinates"] = [[[x - 3.0, y] for x, y in ring] for ring in rings]
    path.write_text(json.dumps(document))
    return settings(source={"kind": "simulated", "url": str(port / "catalog.json")}, sites="aoi", years=YEARS)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_site_that_fails_does_not_stop_the_others(workers, port, settings, tmp_path):
    config = broken_beside_good(port, tmp_path, settings)
    done = call("run", "--config", config, "--workers", workers)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stdout.splitlines() if line.startswith("site-")] == ["site-a", "site-c"]
    last = done.stderr.splitlines()[-1]
    assert re.match(r"site-b: FAILED after \d+ s: .*catalog\.json: no scene over the AOI", last)
    assert "Traceback" not in done.stderr
    for site_id, there in (("site-a", True), ("site-b", False), ("site-c", True)):
        assert (tmp_path / "results" / site_id / f"{site_id}.gpkg").exists() == there
    status = call("status", "--config", config).stdout.splitlines()[-3:]
    assert [line.split()[:2] for line in status] == [["site-b", "failed"], ["site-a", "current"], ["site-c", "current"]]
    assert "FAILED" in status[0]
    if workers == "2":
        speakers = [line.split(":")[0] for line in done.stderr.splitlines()]
        turns = [name for name, former in zip(speakers, [None, *speakers], strict=False) if name != former]
        assert len(turns) > 3, "sites run at once: their lines alternate"


def test_a_defect_in_one_site_does_not_stop_the_others(three, tmp_path, capsys, monkeypatch):
    run_site = batch.run_site

    def with_defect(site, *rest):
        if site.id == "site-b":
            raise ZeroDivisionError("division by zero\nsecond line")
        return run_site(site, *rest)

    monkeypatch.setattr(batch, "run_site", with_defect)
    assert cli.main(["run", "site-b", "site-c", "--config", str(three), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert (tmp_path / "out" / "site-c" / "manifest.json").exists()
    last = said.err.splitlines()[-1]
    assert last.startswith("site-b: FAILED")
    assert "ZeroDivisionError" in last


def started(config, out, *more):
    """Start a run in a session of its own, as a shell does."""
    return subprocess.Popen(
        command_line("run", "--config", config, "--out", out, *more),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for(process, word):
    """Read standard error up to a line that holds a word."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if word in line:
            return lines
    pytest.fail("ended before it said " + word + ":\n" + "".join(lines))


def interrupt(process, everyone):
    """Send what Ctrl-C sends: to the process, or to its whole group as a terminal does."""
    family = psutil.Process(process.pid).children(recursive=True)
    if everyone:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    output, told = process.communicate(timeout=60)
    _, alive = psutil.wait_procs(family, timeout=10)
    return output, told, alive


@pytest.mark.parametrize(("workers", "everyone"), [("1", False), ("2", True)], ids=["process", "terminal"])
def test_ctrl_c_ends_with_130_keeps_what_is_finished_and_the_next_run_completes(
    workers, everyone, three, tmp_path, capsys
):
    out = tmp_path / "out"
    if workers == "2":  # with one, the run that is interrupted finishes it
        assert call("run", "site-a", "--config", three, "--out", out).returncode == 0
    process = started(three, out, "--workers", workers)
    wait_for(process, "site-b: ")
    wait_for(process, "scenes used")
    before = hashes(out / "site-a")
    start = time.monotonic()
    output, told, alive = interrupt(process, everyone)
    assert process.returncode == 130, told
    assert time.monotonic() - start < 20
    assert not alive, alive
    assert "Traceback" not in told
    assert told.splitlines()[-1] == (
        "stockline: interrupted; finished sites and fetched pixels are kept, run again to go on"
    )
    assert output == ""
    assert "site-a.gpkg" in before
    assert hashes(out / "site-a") == before
    assert not list((out / ".work").glob("*"))
    assert cli.main(["status", "--config", str(three), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("exit status 130")
    standing = [line.split()[:2] for line in lines[-3:]]
    # Two threads: the third site is under way when the first was up to date.
    third = "interrupted" if workers == "2" else "never"
    assert standing == [["site-b", "interrupted"], ["site-c", third], ["site-a", "current"]]
    assert workers == "2" or lines[-2].endswith("never run"), "nothing is begun after Ctrl-C"
    again = call("run", "site-a", "site-b", "--config", three, "--out", out, "--workers", workers)
    assert again.returncode == 0
    assert "site-a: SIMULATED up to date" in again.stdout
    assert "site-b: SIMULATED done" in again.stdout
    assert cli.main(["verify", str(out)]) == 0


def test_a_run_that_was_killed_leaves_nothing_in_the_way(three, tmp_path):
    out = tmp_path / "out"
    process = started(three, out)
    wait_for(process, "scenes used")
    process.kill()
    process.communicate()
    entries = list(read_log(out / "logs" / "0001.jsonl"))
    assert "scenes used" in entries[-1]["text"] or entries[-1]["event"].startswith("stage")
    status = call("status", "--config", three, "--out", out).stdout.splitlines()
    assert status[0].endswith(": interrupted")
    assert [line.split()[:2] for line in status[-3:]] == [
        ["site-a", "interrupted"], ["site-b", "never"], ["site-c", "never"],
    ]  # fmt: skip
    again = call("run", "site-a", "--config", three, "--out", out)
    assert again.returncode == 0
    assert "batch: a batch before was interrupted with site-a under way" in again.stderr
    assert json.loads((out / "summary.json").read_text())["batch"] == 2
    assert cli.main(["verify", str(out)]) == 0
    assert not list((out / ".work").glob("*site-a"))
