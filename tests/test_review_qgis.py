"""The review file in real QGIS: its form, and edits under way while runs write into it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import call, environment
from review_fixture import opened, rows_of, without, write_config

pytestmark = pytest.mark.desktop

SYSTEM_PYTHON = "/usr/bin/python3"
HERE = Path(__file__).parent


def _missing():
    if not Path(SYSTEM_PYTHON).exists() or shutil.which("qgis") is None:
        return "QGIS is not installed"
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import qgis.core"], capture_output=True, check=False, env={"PATH": os.environ["PATH"]}
    )
    return None if done.returncode == 0 else "the system's Python has no QGIS"


@pytest.fixture(scope="module", autouse=True)
def qgis():
    why = _missing()
    if why:
        pytest.skip(why)


OFFER = (
    "from pathlib import Path; from pipeline.products.review_file import offer; print(offer(Path({!r}), 'sim-port'))"
)


def test_edits_in_qgis_and_a_run_that_ends_meanwhile_lose_nothing(port, port_results, tmp_path):
    folder = tmp_path / "sim-port"
    shutil.copytree(port_results / "sim-port", folder)
    path = folder / "review.gpkg"
    names = sorted(r["object_id"] for r in rows_of(path) if r["object"] == "pile")
    without(path, names[2])
    run = ["env", f"PYTHONPATH={environment()['PYTHONPATH']}", sys.executable, "-c", OFFER.format(str(folder))]
    bare = {
        "PATH": os.environ["PATH"],
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [SYSTEM_PYTHON, HERE / "qgis_review.py", path, *run],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=bare,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["said"] == ["review.gpkg: 1 objects added\n", "None\n"]
    assert told["saved"] == [True, []]
    assert told["saved again"] is True
    rows = rows_of(path)
    assert told["features"] == len(rows)
    assert {r["object_id"] for r in rows if r["object"] == "pile"} == set(names)
    said = [(r["object"], r["decision"], r["analyst"], r["reason"]) for r in rows if r["decision"]]
    assert sorted(said, key=str) == [
        ("own_yard", "own", "A. Kim", None),
        ("pile", "accept", "A. Kim", "looked twice"),
        ("pile", "reject", "A. Kim", "dark roof"),
        ("pile", "reject", "B. Lee", "no"),
    ]
    with opened(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    taken = call("review", "sim-port", "--config", write_config(tmp_path, port), "--out", tmp_path)
    assert taken.stderr == ""
    assert "4 taken" in taken.stdout
    assert len((tmp_path / "decided" / "sim-port.jsonl").read_text("utf-8").splitlines()) == 4

    # The form, as QGIS has read it.
    assert told["renderer"] == "categorizedSymbol"
    assert all(told["aliases"])
    assert told["widgets"]["decision"] == told["widgets"]["object"] == "ValueMap"
    assert told["widgets"]["reviewed_on"] == told["widgets"]["source_date"] == "DateTime"
    assert set(told["read_only"]) == {
        "review_id", "machine_year", "machine_area_m2", "machine_area_lo95_m2", "machine_area_hi95_m2", "machine_tier",
    }  # fmt: skip
    assert told["constraints"] == 10
    assert told["defaults"] == ["own-", "own", True]
    assert told["pasted"] == [True, False], "a pasted copy waits for its own decision"
