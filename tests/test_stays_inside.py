"""Paths that a result names: what is told of one that no file system takes."""

import json

import pytest
from test_manifest import make_result

from pipeline.products._documents import json_text, own_sha256, stays_inside
from pipeline.products.custody.verify import examine

LONG = "a/" * 3000 + "b"


def test_a_path_has_at_most_a_thousand_bytes():
    assert stays_inside("a/" * 499 + "bb")
    assert not stays_inside("a/" * 500 + "b")
    assert not stays_inside("\u00e9/" * 334)


def rewrite_run(folder, **more):
    document = json.loads((folder / "run.json").read_text()) | more
    text = json_text(document | {"own_sha256": own_sha256(document)})
    for name in ("run.json", "runs/0001.json"):
        (folder / name).write_text(text)


def in_sums(folder):
    (folder.parent / "SHA256SUMS").write_text(f"{'0' * 64}  {LONG}\n")
    return folder.parent


def in_outputs(folder):
    document = json.loads((folder / "manifest.json").read_text())
    document["outputs"].append({"path": LONG, "sha256": "0" * 64, "size_bytes": 1})
    (folder / "manifest.json").write_text(json_text(document))
    for path in folder.glob("run*"):
        path.rename(folder.parent.parent / path.name)
    return folder


def in_records(folder):
    rewrite_run(folder, records={LONG: "0" * 64})
    return folder


def in_archives(folder):
    rewrite_run(folder, archives={f"runs/{LONG}": "0" * 64})
    return folder


@pytest.mark.parametrize("place", [in_sums, in_outputs, in_records, in_archives])
def test_a_path_that_no_file_system_takes_is_unsafe(tmp_path, place):
    folder, _ = make_result(tmp_path)
    found = examine(place(folder))
    unsafe = [problem for problem in found.problems if problem.kind == "unsafe"]
    assert len(unsafe) == 1
    assert "or is too long" in unsafe[0].detail
    assert all(len(line) < 1000 for line in found.lines)


def test_the_geopackage_bears_the_name_of_its_site(tmp_path):
    folder, _ = make_result(tmp_path)
    document = json.loads((folder / "manifest.json").read_text())
    assert examine(folder).problems == ()
    for path in folder.glob("run*"):
        path.rename(tmp_path / path.name)
    (folder / "manifest.json").write_text(json_text(document | {"site": "other"}))
    told = [(problem.path, problem.detail) for problem in examine(folder).problems]
    assert ("hoeryong.gpkg", "is not of site other, which the manifest is of") in told
    assert ("manifest.json", "names no other.gpkg") in told
