"""A run that goes on from an earlier one gives the bytes of a first run, and computes only what it must."""

import json
import shutil
from collections import Counter
from contextlib import contextmanager

import pytest
import rasterio
import yaml
from conftest import call, products

from pipeline import cli, parallel, readable
from pipeline.parallel import SerialPool

pytestmark = pytest.mark.slow

SITE = "sim-port"
ADDED = "S2B_MSIL2A_20190911T020000_R103_T52SEH_20190911T060000"
"""A scene of the last year that is not the reference of the others."""
CHANGED = "S2B_MSIL2A_20180827T020007_R103_T52SEH_20180827T060007"


class Counting(SerialPool):
    """A pool that counts the tasks of every stage."""

    def __init__(self) -> None:
        self.tasks = Counter()

    def map(self, function, items, *shared, **told):
        listed = list(items)
        # A partial has no name of its own; the flow uses one, to bring scenes from a store.
        self.tasks[getattr(function, "__name__", "bring")] += len(listed)
        return super().map(function, listed, *shared, **told)


@pytest.fixture
def archive(port, tmp_path):
    folder = tmp_path / "archive"
    shutil.copytree(port, folder, ignore=shutil.ignore_patterns("results"))
    return folder


def without(archive, scene):
    """Take a scene out of the catalogue; return what the catalogue was."""
    path = archive / "catalog.json"
    before = path.read_text()
    catalogue = json.loads(before)
    kept = [link for link in catalogue["links"] if scene not in link["href"]]
    assert len(kept) == len(catalogue["links"]) - 1
    path.write_text(json.dumps(catalogue | {"links": kept}))
    return before


def brighten(archive, scene):
    """Deliver other pixels of one band of a scene, as a provider does that processes it anew."""
    item_path = archive / scene / f"{scene}.json"
    item = json.loads(item_path.read_text())
    asset = item["assets"]["B04"]
    path = archive / scene / asset["href"]
    with rasterio.open(path) as band:
        profile, tags, pixels = band.profile, band.tags(), band.read(1)
    path.unlink()
    with rasterio.open(path, "w", **profile) as band:
        band.update_tags(**tags)
        band.write(pixels + 40, 1)
    for said in ("file:checksum", "file:size"):
        asset.pop(said, None)
    item_path.write_text(json.dumps(item))


def setting(archive, **sections):
    path = archive / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))


@pytest.fixture
def run(archive, tmp_path, monkeypatch):
    """Run the archive as it is in an output folder; the number of tasks by stage."""

    def run_in(name, *options):
        pool = Counting()

        @contextmanager
        def opened(*_):
            yield pool

        monkeypatch.setattr(parallel, "open_pool", opened)
        assert cli.main(["run", "--config", str(archive / "config.yaml"), "--out", str(tmp_path / name), *options]) == 0
        return pool.tasks

    return run_in


def as_first(archive, tmp_path, name):
    """Products of a first run of the archive as it is, in a process of its own."""
    done = call("run", "--config", archive / "config.yaml", "--out", tmp_path / name)
    assert done.returncode == 0, done.stderr
    return products(tmp_path / name / SITE)


def test_scenes_come_and_go_and_change_and_settings_too(archive, tmp_path, run):
    out = tmp_path / "out"
    whole = without(archive, ADDED)
    first = run("out")
    one_less = products(out / SITE)
    assert first["inspect"] == 21
    # Two years, of each its maps and its composite.
    assert first["join"] == 4

    (archive / "catalog.json").write_text(whole)
    tasks = run("out")
    assert products(out / SITE) == as_first(archive, tmp_path, "with it"), "a scene was added"
    assert tasks["inspect"] == tasks["survey"] == tasks["register"] == 1
    assert tasks["join"] == 2
    assert tasks["score_block"] == first["score_block"] // 2
    # Its new pixels change where a pile lies in any year, and so what is measured in the others.
    assert 1 <= tasks["measure_piles"] <= first["measure_piles"]

    without(archive, ADDED)
    run("out")
    assert products(out / SITE) == one_less, "it was taken away"

    brighten(archive, CHANGED)
    tasks = run("out")
    changed = as_first(archive, tmp_path, "changed")
    assert products(out / SITE) == changed != one_less, "pixels of a scene changed"
    assert tasks["inspect"] == 1
    assert tasks["join"] == 2

    setting(archive, boundary={"shore_m": 45.0}, min_dates=5)
    run("out")
    assert products(out / SITE) == as_first(archive, tmp_path, "set otherwise") != changed, "settings changed"
    assert not list((out / ".work").glob("*"))


def test_nothing_new_reads_no_pixel(archive, tmp_path, run, monkeypatch):
    run("out")
    before = products(tmp_path / "out" / SITE)

    def read(*_):
        raise AssertionError("a pixel was read")

    monkeypatch.setattr(readable, "read_part", read)
    assert set(run("out")) == {"bring"}
    # Products that were lost are made again from what is remembered.
    shutil.rmtree(tmp_path / "out" / SITE)
    tasks = run("out")
    assert products(tmp_path / "out" / SITE) == before
    assert not {
        "inspect",
        "survey",
        "register",
        "score_block",
        "join",
        "ground_of",
        "boundary_of",
        "measure_piles",
    } & set(tasks)


def test_force_and_an_empty_memory_compute_all_again(archive, tmp_path, run):
    first = run("out")
    before = products(tmp_path / "out" / SITE)
    assert run("out", "--force") == first
    assert products(tmp_path / "out" / SITE) == before
    shutil.rmtree(tmp_path / "out" / ".memory")
    shutil.rmtree(tmp_path / "out" / SITE)
    assert run("out") == first
    assert products(tmp_path / "out" / SITE) == before


def test_the_memory_does_not_grow(archive, tmp_path, run):
    run("out")
    names = sorted(p.relative_to(tmp_path) for p in (tmp_path / "out" / ".memory").rglob("*"))
    whole = without(archive, ADDED)
    run("out")
    (archive / "catalog.json").write_text(whole)
    run("out")
    assert sorted(p.relative_to(tmp_path) for p in (tmp_path / "out" / ".memory").rglob("*")) == names
