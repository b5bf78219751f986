"""The log of a batch: what a line holds, that each is there when it was written, and what a broken end does."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import environment

from pipeline.batches.journal import Journal, log_path, read_log
from pipeline.errors import ProductError
from pipeline.parallel import Progress

KEYS = ["time", "seq", "level", "site", "stage", "event", "text", "numbers"]


def test_each_line_is_one_object_with_the_same_keys(tmp_path):
    with Journal(tmp_path, 7) as journal:
        journal.write("batch_started", "stockline 1", sites=2)
        journal.showed("a", "score block", Progress(0, 4, 4))
        journal.said("a", "one\ntwo\x1b[2J 평양")
        journal.showed("a", "score block", Progress(2, 4, 4))
        journal.showed("a", "score block", Progress(4, 4, 4))
        journal.write("site_failed", "no answer", site="a", level="error", seconds=1.5)
    lines = (tmp_path / "logs" / "0007.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert [list(entry) for entry in entries] == [KEYS] * 5
    assert [entry["seq"] for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry["event"] for entry in entries] == [
        "batch_started", "stage_started", "said", "stage_finished", "site_failed",
    ]  # fmt: skip
    assert [entry["stage"] for entry in entries] == [None, "score block", "score block", "score block", None]
    assert entries[2]["text"] == "one\\ntwo\\x1b[2J 평양"
    assert entries[3]["numbers"] == {"items": 4, "tasks": 4}
    assert entries[4] | {"time": 0} == {
        "time": 0, "seq": 5, "level": "error", "site": "a", "stage": None, "event": "site_failed",
        "text": "no answer", "numbers": {"seconds": 1.5},
    }  # fmt: skip
    assert entries == list(read_log(log_path(tmp_path, 7)))
    assert all(len(entry["time"]) == len("2026-01-01T00:00:00.000Z") for entry in entries)


def test_a_log_is_never_written_over(tmp_path):
    with Journal(tmp_path, 1) as journal:
        journal.write("batch_started")
    before = log_path(tmp_path, 1).read_bytes()
    with pytest.raises(ProductError, match=r"0001.jsonl: cannot be written"):
        Journal(tmp_path, 1)
    assert log_path(tmp_path, 1).read_bytes() == before


KILLED = """
import os, sys
from pathlib import Path
from pipeline.batches.journal import Journal
journal = Journal(Path(sys.argv[1]), 1)
for n in range(500):
    journal.write("said", f"line {n}", site="a")
os.kill(os.getpid(), 9)
"""


def test_a_process_that_is_killed_has_written_all_its_lines(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], env=environment(), check=False, timeout=60)
    assert done.returncode == -9
    assert [entry["text"] for entry in read_log(log_path(tmp_path, 1))] == [f"line {n}" for n in range(500)]


def test_a_last_line_that_is_not_whole_is_left_out_and_one_before_is_an_error(tmp_path):
    with Journal(tmp_path, 1) as journal:
        for n in range(3):
            journal.said("a", f"line {n}")
    path = log_path(tmp_path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert [entry["text"] for entry in read_log(path)] == ["line 0", "line 1"]
    path.write_bytes(b"{" + whole)
    with pytest.raises(ProductError, match="line 1: is not of a log"):
        list(read_log(path))


def test_lines_of_many_threads_stand_one_by_one_and_in_order(tmp_path):
    with Journal(tmp_path, 1) as journal:
        threads = [
            threading.Thread(target=lambda site: [journal.said(site, "x" * 3000) for _ in range(50)], args=(f"s{n}",))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    entries = list(read_log(log_path(tmp_path, 1)))
    assert [entry["seq"] for entry in entries] == list(range(1, 401))
    assert {entry["text"] for entry in entries} == {"x" * 3000}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to write to")
def test_a_full_disk_fails_no_site_and_is_kept_to_be_told(tmp_path):
    journal = Journal(tmp_path, 1)
    journal._file.close()
    journal._file = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115 - the journal closes it
    with journal:
        journal.said("a", "one")
        journal.said("a", "two")
    assert journal.failed.endswith("0001.jsonl: cannot be written (No space left on device); free disk space")
