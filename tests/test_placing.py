"""Finished products take the place of the former: in which order, what goes, what stays."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from conftest import hashes
from test_exports import messy_tables
from test_manifest import WHEN, make_inputs, put

from pipeline.errors import ProductError
from pipeline.products import publish
from pipeline.products.custody.verify import verify
from pipeline.products.geopackage import write_geopackage
from pipeline.products.inputs import write_inputs
from pipeline.products.manifest import build_manifest, read_manifest
from pipeline.products.placing import go_on, seal
from pipeline.products.publish import rebuild_report
from pipeline.products.runs import RunFacts

SITE = "hoeryong"


def sealed(base, names, content=b"new"):
    """Products of these names, finished in a folder beside and put into place."""
    stage, inputs = base / "stage", make_inputs(base, SITE)
    shutil.rmtree(stage, ignore_errors=True)
    made = [put(stage / name, content + name.encode()) for name in names]
    made += write_inputs(stage, inputs)
    facts = RunFacts(WHEN, WHEN + dt.timedelta(seconds=1), 1, (), inputs.evidence_root, inputs.archive_root)
    seal(stage, base / "out" / SITE, build_manifest(inputs, stage, made), facts)
    return base / "out" / SITE


def test_manifest_and_record_of_the_run_come_last_whatever_tables_are_called(tmp_path, monkeypatch):
    moved, replace = [], Path.replace

    def noted(path, target):
        if (placing := tmp_path / "out" / SITE / ".placing") in path.parents:
            moved.append(path.relative_to(placing).as_posix())
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    sealed(tmp_path, ["tables/run.json", "tables/zones.csv", "composites/2019.tif", f"{SITE}.gpkg"])
    moved = [name for name in moved if ".part" not in name]
    assert moved[-2:] == ["manifest.json", "run.json"]
    assert "tables/run.json" in moved[:-2]


def test_products_that_are_no_longer_made_go_and_what_others_put_there_stays(tmp_path):
    old = [
        "composites/2018.tif",
        "composites/2018.qml",
        "composites/2019.tif",
        "tables/gone.csv",
        "tables/gone.geojson",
    ]
    folder = sealed(tmp_path, [*old, f"{SITE}.gpkg"])
    put(folder / "composites/2019.tif.aux.xml", b"statistics of the former file")
    kept = {name: put(folder / name, b"theirs") for name in ("review.gpkg", "tables/notes.txt", "composites/my.qgz")}
    folder = sealed(tmp_path, ["composites/2019.tif", "tables/zones.csv", f"{SITE}.gpkg"], b"newer")
    left = set(hashes(folder, without=("runs/",)))
    new = {"composites/2019.tif", "tables/zones.csv", f"{SITE}.gpkg", "manifest.json", "run.json"}
    new.add("inputs/site.geojson")
    assert left == new | set(kept)
    assert (folder / "composites/2019.tif").read_bytes().startswith(b"newer")
    assert {problem.path for problem in verify(folder)} == {"tables/notes.txt", "composites/my.qgz"}


class Killed(BaseException):
    """Stands for the end of a process: nothing after it is carried out that would catch an error."""


@pytest.mark.parametrize("moves", range(8))
def test_whoever_is_killed_while_products_are_moved_has_lost_nothing(moves, tmp_path, monkeypatch):
    names = ["composites/2018.tif", "composites/2019.tif", "tables/zones.csv", f"{SITE}.gpkg"]
    folder = sealed(tmp_path, names, b"old")
    former = hashes(folder)
    done = 0
    rename, replace = Path.rename, Path.replace

    def counted(function):
        def call(path, target):
            nonlocal done
            if ".part" not in path.parent.name:
                if done == moves:
                    raise Killed
                done += 1
            return function(path, target)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(rename))
        patch.setattr(Path, "replace", counted(replace))
        with pytest.raises(Killed):
            sealed(tmp_path, names[1:])
    if moves == 0:
        assert hashes(folder) == former, "nothing was decided"
        assert not go_on(folder)
        assert verify(folder) == []
        return
    assert ".placing" in {problem.path for problem in verify(folder)}
    assert go_on(folder)
    assert verify(folder) == []
    assert not go_on(folder)
    assert (folder / "tables/zones.csv").read_bytes().startswith(b"new")
    assert not (folder / names[0]).exists()
    assert len(list((folder / "runs").glob("*.json"))) == 2


def result(base):
    """Results of a site whose reports can be made again."""
    stage, inputs = base / "stage", make_inputs(base, SITE)
    stage.mkdir()
    package = stage / f"{SITE}.gpkg"
    write_geopackage(package, messy_tables(), 32652, SITE, simulated=False)
    made = [package, put(stage / "report.html", b"as it was"), put(stage / "tables/gone.csv", b"as it was")]
    made += write_inputs(stage, inputs)
    facts = RunFacts(WHEN, WHEN, 1, (), inputs.evidence_root, inputs.archive_root)
    seal(stage, base / "out" / SITE, build_manifest(inputs, stage, made), facts)
    return base / "out" / SITE


@pytest.fixture
def no_report(monkeypatch):
    """Reports need more than the rows of these tests; any text stands for them."""

    def write(folder, _):
        return [put(folder / "report.html", b"as it is now")]

    monkeypatch.setattr(publish, "write_reports", write)


def test_what_is_made_of_a_finished_package_is_made_again_and_named(tmp_path, no_report):
    folder = result(tmp_path)
    rebuild_report(folder)
    assert verify(folder) == []
    named = {output.path for output in read_manifest(folder).outputs}
    assert {f"{SITE}.gpkg", f"{SITE}.kml", "report.html", "tables/schema.json", "tables/zones.geojson"} <= named
    assert "tables/gone.csv" not in named
    assert not (folder / "tables/gone.csv").exists()
    assert len(list((folder / "runs").glob("*.json"))) == 2
    before = hashes(folder)
    rebuild_report(folder)
    assert hashes(folder) == before, "nothing differs, nothing is recorded"
    for name in ("report.html", "tables/zones.csv"):
        (folder / name).write_bytes(b"lost")
    rebuild_report(folder)
    assert hashes(folder) == before, "what was harmed is mended"


def test_a_full_disk_leaves_the_former_reports(tmp_path, no_report, monkeypatch):
    folder = result(tmp_path)
    before = hashes(folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish, "write_kml", full)
    with pytest.raises(ProductError, match="No space left on device"):
        rebuild_report(folder)
    assert hashes(folder) == before
    assert verify(folder) == []
