"""What several tests share: the command line as a user calls it, and archives that are made once for all workers."""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
import real_catalogue
import real_files
import yaml

from pipeline.sources import simulated

# Timing is for benchmarks: on a busy machine a slow example is no defect.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

PROJECT = Path(__file__).parents[1]
DATA = PROJECT.parent / "shared" / "data"
PORT_YEARS = (2018, 2019)


def environment(**more):
    """Environment of a user's shell in which the checkout can be imported; warnings of ours are seen."""
    return {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **more}


def command_line(*arguments):
    return [sys.executable, "-m", "pipeline.cli", *map(str, arguments)]


def call(*arguments, env=None, timeout=300, **options):
    """Run the program in a process of its own; output as text."""
    return subprocess.run(
        command_line(*arguments),
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


def hashes(folder, *, without=()):
    """Relative path to SHA-256 of every file below a folder; ``without`` are leading parts of paths left out."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith(tuple(without)):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def products(folder):
    """Hashes of what two runs of the same inputs must share: all but the records of the runs, and a reviewer's file."""
    return hashes(folder, without=("run.json", "runs/", "review.gpkg"))


def aoi_alone(archive, site_id, folder):
    """Write a site file that holds the AOI of the simulated port and nothing else."""
    document = json.loads((archive / "aoi" / "sim-port.geojson").read_text())
    document["features"] = [f for f in document["features"] if f["properties"]["role"] == "aoi"]
    document["features"][0]["properties"]["id"] = site_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{site_id}.geojson").write_text(json.dumps(document))


@contextlib.contextmanager
def made_once(tmp_path_factory, name):
    """Give a folder that all workers of a test run share, and whether it is still to be made."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = shared / f"{name}.done"
        yield folder, not done.exists()
        done.touch()


@pytest.fixture(scope="session")
def port(tmp_path_factory):
    """Archive of the simulated port alone, two years seen well; do not write into it."""
    with made_once(tmp_path_factory, "port") as (folder, missing):
        if missing:
            seen = dataclasses.replace(simulated.SITES["sim-port"], clear_years=PORT_YEARS)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(simulated, "SITES", {"sim-port": seen})
                simulated.simulate(folder, seed=1, years=PORT_YEARS)
    return folder


@pytest.fixture(scope="session")
def port_results(port, tmp_path_factory):
    """Finished results of the port with one worker; do not write into them."""
    with made_once(tmp_path_factory, "port-results") as (folder, missing):
        if missing:
            done = call("run", "--config", port / "config.yaml", "--out", folder)
            if done.returncode != 0:
                pytest.fail(done.stderr)
    return folder


@pytest.fixture(scope="session")
def small(port, tmp_path_factory):
    """Configuration, site files and finished results of the least that is a run: one year, no zones; copy it."""
    with made_once(tmp_path_factory, "small") as (folder, missing):
        if missing:
            aoi_alone(port, "sim-port", folder / "aoi")
            config = {
                "source": {"kind": "simulated", "url": str(port / "catalog.json")},
                "years": {"first": PORT_YEARS[0], "last": PORT_YEARS[0]},
                "out": "results",
            }
            (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
            done = call("run", "--config", folder / "config.yaml")
            if done.returncode != 0:
                pytest.fail(done.stderr)
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Archive of all three simulated sites as ``make demo`` makes it, measured; do not write into it."""
    with made_once(tmp_path_factory, "demo") as (folder, missing):
        if missing:
            made = call("simulate", folder, "--workers", "2")
            done = call("run", "--config", folder / "config.yaml", "--workers", "2", timeout=900)
            (folder / "said.txt").write_text(done.stdout, encoding="utf-8")
            if made.returncode or done.returncode:
                pytest.fail(made.stderr + done.stderr)
    return folder


@pytest.fixture(scope="session")
def demo_results(demo):
    """Folder of the results of all three simulated sites."""
    return demo / "results"


@pytest.fixture(scope="session")
def pgstac():
    """A STAC API with a database behind it; give each test file's items a collection of their own."""
    why = real_catalogue.missing()
    if why is not None:
        pytest.skip(why)
    with real_catalogue.running() as catalogue:
        yield catalogue


@pytest.fixture(scope="session")
def nginx(tmp_path_factory):
    """A web server with every kind of bad weather; give each test file's files a folder of their own."""
    why = real_files.missing()
    if why is not None:
        pytest.skip(why)
    with real_files.RealFiles(tmp_path_factory.mktemp("nginx") / "run").running() as files:
        yield files


@pytest.fixture
def settings(tmp_path):
    """Writer of a configuration file in the test's own folder; keyword arguments are its sections."""

    def write(name="config.yaml", **sections):
        path = tmp_path / name
        path.write_text(yaml.safe_dump({"out": "results", **sections}), encoding="utf-8")
        return path

    return write
