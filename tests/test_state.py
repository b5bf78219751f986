"""The database of batches: what is kept, in which order, and what a file does that is none of ours."""

import contextlib
import datetime as dt
import json
import os
import sqlite3
import subprocess
import sys
import threading

import pytest
from conftest import environment

from pipeline.batches import past as past_module
from pipeline.batches import state as state_module
from pipeline.batches.past import how_ended, past_of, read_past, write_ended
from pipeline.batches.state import open_state
from pipeline.batches.state_records import BATCH, STATE, Letter
from pipeline.errors import ProductError

NOON = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
SHA = "a" * 64


def unheard(line):
    pytest.fail(f"nothing was to be told, but: {line}")


def ended(out, *outcomes, at=NOON, told=None, letters=()):
    """Run a batch whose sites end as given: site to outcome; None leaves it under way."""
    with open_state(out, unheard) as state:
        left = state.begin(at, "1.0", len(outcomes))
        for site, outcome in outcomes:
            run = state.site_begins(site, at, SHA, "s" * 64)
            if outcome is not None:
                error = "it failed" if outcome == "failed" else None
                state.site_ends(run, at, outcome, error=error, seconds=1.5, manifest_sha256=None if error else SHA)
        if all(outcome is not None for _, outcome in outcomes):
            state.end(at, 0, told or {}, letters)
    return left


def test_what_is_written_is_read(tmp_path):
    ended(tmp_path, ("a", "finished"), ("b", "failed"), told={"a": SHA})
    past = read_past(tmp_path)
    assert (past.batch.number, past.batch.exit_status, past.batch.sites) == (1, 0, 2)
    assert past.batch.finished == "2026-06-01T12:00:00Z"
    a, b = past.sites["a"], past.sites["b"]
    assert (a.last.outcome, a.good, a.ended, a.told) == ("finished", a.last, a.last, SHA)
    assert (b.last.outcome, b.last.error, b.good, b.told) == ("failed", "it failed", None, None)
    assert a.last.version == "1.0"
    assert how_ended(past)["b"] == {
        "finished": "2026-06-01T12:00:00Z", "ok": False, "error": "it failed", "seconds": 1.5,
    }  # fmt: skip


def test_a_site_that_fails_keeps_its_last_good_run_and_what_was_told(tmp_path):
    ended(tmp_path, ("a", "finished"), told={"a": SHA})
    ended(tmp_path, ("a", "up_to_date"))
    ended(tmp_path, ("a", "failed"))
    a = read_past(tmp_path).sites["a"]
    assert (a.last.batch, a.ended.batch, a.good.batch, a.told) == (3, 3, 2, SHA)


def test_a_batch_that_was_killed_leaves_its_sites_interrupted(tmp_path):
    ended(tmp_path, ("a", "finished"), ("b", "finished"))
    assert ended(tmp_path, ("a", "finished"), ("b", None)) == []
    killed = read_past(tmp_path)
    assert killed.batch.finished is None
    assert killed.sites["b"].last.outcome is None
    with open_state(tmp_path, unheard) as state:
        assert state.begin(NOON, "1.0", 2) == ["b"]
    assert read_past(tmp_path).sites["b"].last.outcome == "interrupted"
    assert ended(tmp_path, ("a", "finished")) == []
    b = read_past(tmp_path).sites["b"]
    assert (b.last.outcome, b.ended.batch, b.good.batch) == ("interrupted", 1, 1)
    assert how_ended(read_past(tmp_path))["b"]["ok"] is True


def test_a_clock_set_back_reorders_nothing(tmp_path):
    ended(tmp_path, ("a", "failed"), at=NOON + dt.timedelta(days=1800))
    ended(tmp_path, ("a", "finished"), at=NOON)
    past = read_past(tmp_path)
    assert past.batch.number == 2
    assert past.batch.started == "2026-06-01T12:00:00Z"
    assert past.sites["a"].last.outcome == "finished"


def test_numbers_of_batches_go_on_from_the_logs_when_the_database_is_lost(tmp_path):
    ended(tmp_path, ("a", "finished"))
    (tmp_path / STATE).unlink()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "0041.jsonl").touch()
    ended(tmp_path, ("a", "finished"))
    assert read_past(tmp_path).batch.number == 42


def test_without_a_database_how_sites_ended_is_taken_from_batch_json(tmp_path):
    ended(tmp_path, ("a", "finished"), ("b", "failed"))
    write_ended(tmp_path, read_past(tmp_path))
    before = json.loads((tmp_path / BATCH).read_text())
    (tmp_path / STATE).unlink()
    ended(tmp_path, ("c", "finished"))
    past = read_past(tmp_path)
    assert past.batch.number == 1
    assert {site: how for site, how in how_ended(past).items() if site != "c"} == before
    assert past.sites["a"].good is not None
    assert past.sites["b"].good is None


@pytest.mark.parametrize("content", [b"not a database, " * 99, None], ids=["text", "another program's"])
def test_a_file_that_is_none_of_ours_is_kept_aside_and_told(content, tmp_path):
    if content is None:
        with sqlite3.connect(tmp_path / STATE) as other:
            other.execute("CREATE TABLE theirs(x)")
        other.close()
        content = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(content)
    (tmp_path / f"{STATE}.aside-7").write_bytes(b"an earlier one")
    told = []
    with open_state(tmp_path, told.append) as state:
        state.begin(NOON, "1.0", 0)
    assert (tmp_path / f"{STATE}.aside-8").read_bytes() == content
    assert (tmp_path / f"{STATE}.aside-7").read_bytes() == b"an earlier one"
    assert len(told) == 1
    assert "kept as state.sqlite.aside-8" in told[0]


def test_a_page_that_is_damaged_is_noticed_before_it_is_built_on(tmp_path):
    for _ in range(20):
        ended(tmp_path, *((f"site-{n}", "failed") for n in range(20)))
    path = tmp_path / STATE
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = os.urandom(4096)
    path.write_bytes(data)
    told = []
    with open_state(tmp_path, told.append):
        pass
    assert len(told) == 1
    assert (tmp_path / f"{STATE}.aside-1").read_bytes() == bytes(data)


def test_a_newer_format_is_refused_and_left(tmp_path):
    ended(tmp_path, ("a", "finished"))
    with sqlite3.connect(tmp_path / STATE) as newer:
        newer.execute("PRAGMA user_version = 9")
    newer.close()
    before = (tmp_path / STATE).read_bytes()
    with pytest.raises(ProductError, match=r"format 9, this version of the program knows 1; use the version"):
        ended(tmp_path, ("a", "finished"))
    with pytest.raises(ProductError, match="format 9"):
        read_past(tmp_path)
    assert (tmp_path / STATE).read_bytes() == before


def test_a_reader_of_something_else_says_so_in_one_line(tmp_path):
    (tmp_path / STATE).write_bytes(b"not a database, " * 99)
    with pytest.raises(ProductError, match=r"state.sqlite: cannot be read \(file is not a database\)"):
        read_past(tmp_path)
    assert read_past(tmp_path / "nothing").sites == {}
    assert not (tmp_path / "nothing").exists()


def test_a_database_another_program_holds_is_told_as_such(tmp_path, monkeypatch):
    ended(tmp_path, ("a", "finished"))
    monkeypatch.setattr(past_module, "_WAIT_S", 0.01)
    monkeypatch.setattr(state_module, "_WAIT_S", 0.01)
    with contextlib.closing(sqlite3.connect(tmp_path / STATE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ProductError, match=r"state.sqlite: another program holds it; close") as told:
            read_past(tmp_path)
        assert "aside" not in str(told.value)
        with pytest.raises(ProductError, match=r"state.sqlite: another program holds it; close") as told:
            ended(tmp_path, ("a", "finished"))
        assert "disk space" not in str(told.value)
        assert not list(tmp_path.glob("*aside*"))


def fill(state):
    for n in range(2000):
        state.site_begins(f"site-{n}", NOON, SHA, SHA)


def test_a_full_disk_loses_nothing_that_was_there(tmp_path):
    """A write that does not fit is told in one line; the database is what it was before."""
    ended(tmp_path, ("a", "finished"))
    before = read_past(tmp_path)
    with open_state(tmp_path, unheard) as state:
        state.begin(NOON, "1.0", 1)
        pages = state.rows("PRAGMA page_count")[0][0]
        state.rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ProductError, match=r"state.sqlite: cannot be written \(database or disk is full\)"):
            fill(state)
        state.rows("PRAGMA max_page_count = 100000")
        state.begin(NOON, "1.0", 1)  # it goes on when there is room
    after = read_past(tmp_path)
    assert after.sites["a"] == before.sites["a"]
    assert after.batch.number == 3


KILLED_WHILE_WRITING = """
import os, sys, datetime as dt
from pathlib import Path
from pipeline.batches.state import open_state
with open_state(Path(sys.argv[1]), print) as state:
    state.begin(dt.datetime.now(dt.UTC), "1.0", 1)
    with state._writing() as cursor:
        for n in range(5000):
            cursor.execute("INSERT INTO letters(batch, way, subject, body) VALUES (1, 'mail', 's', ?)", ("x" * 4000,))
        os.kill(os.getpid(), 9)
"""


def test_a_kill_in_the_middle_of_a_write_leaves_what_was_before(tmp_path):
    ended(tmp_path, ("a", "finished"))
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path)], env=environment(), check=False, timeout=60
    )
    assert done.returncode == -9
    assert (tmp_path / f"{STATE}-journal").exists(), "the kill came too late to show anything"
    past = read_past(tmp_path)  # a reader plays the journal back
    assert past.sites["a"].good.batch == 1
    assert past.letters == ()
    assert past.batch.number == 2
    assert ended(tmp_path, ("a", "finished")) == []


def test_readers_and_the_writer_do_not_wait_for_long(tmp_path):
    ended(tmp_path, *((f"site-{n}", "finished") for n in range(50)))
    stop, seen = threading.Event(), []

    def reading():
        while not stop.is_set():
            seen.append(len(read_past(tmp_path).sites))

    readers = [threading.Thread(target=reading) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(5):
            ended(tmp_path, *((f"site-{n}", "up_to_date") for n in range(10)))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert len(seen) > 3
    assert set(seen) == {50}


def test_digests_wait_until_they_are_delivered(tmp_path):
    mail = Letter(0, 1, "mail", "subject", "body", None)
    ended(tmp_path, ("a", "finished"), letters=[mail, mail])
    first, second = read_past(tmp_path).letters
    with open_state(tmp_path, unheard) as state:
        state.delivered([first.number])
        state.not_delivered([second.number], "busy")
        assert past_of(state).letters == read_past(tmp_path).letters
    (left,) = read_past(tmp_path).letters
    assert (left.number, left.body, left.error) == (second.number, "body", "busy")
