"""What status tells: pure decisions as tables, a thousand sites in a process of its own, a batch that is running."""

import datetime as dt
import fcntl
import hashlib
import json
import resource
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from conftest import call
from hypothesis import given
from hypothesis import strategies as st

from pipeline import __version__, cli
from pipeline.batches.due import Now, standings
from pipeline.batches.lock import is_locked, locked
from pipeline.batches.past import Past
from pipeline.batches.seasons import next_open, open_days
from pipeline.batches.state import open_state
from pipeline.batches.state_records import BatchRun, Letter, SiteKnown, SiteRun
from pipeline.batches.status import Status, lines, settings_sha256
from pipeline.config import Config, WindowsConfig, YearsConfig, in_windows, read_config
from pipeline.errors import BusyError

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
YEARS = YearsConfig(first=2018, last=2026)
CONFIG = Config(years=YEARS)


def site_run(**more):
    values = {
        "batch": 3, "site": "a", "started": "2026-11-20T03:00:00Z", "ended": "2026-11-20T03:01:00Z",
        "outcome": "finished", "error": None, "kind": None, "seconds": 60.0, "manifest_sha256": "m",
        "site_sha256": "f", "settings_sha256": "s", "version": "1",
    }  # fmt: skip
    return SiteRun(**values | more)


def now(**more):
    values = {
        "time": NOON, "files": {"a": "f"}, "config": CONFIG, "settings_sha256": "s", "version": "1", "running": False,
    }  # fmt: skip
    return Now(**values | more)


GOOD = site_run()
FAILED = site_run(outcome="failed", error="no answer", batch=4)
LEFT = site_run(outcome="interrupted", ended=None, batch=4)
UNDER_WAY = site_run(outcome=None, ended=None, batch=4)
BEFORE_WINDOW = site_run(ended="2026-10-10T00:00:00Z")


@pytest.mark.parametrize(
    ("last", "ended", "good", "state", "words"),
    [
        (GOOD, GOOD, GOOD, "current", ""),
        (FAILED, FAILED, GOOD, "failed", "FAILED 2026-11-20T03:01:00Z: no answer"),
        (FAILED, FAILED, None, "failed", "no answer"),
        (LEFT, GOOD, GOOD, "interrupted", "interrupted in batch 4"),
        (LEFT, FAILED, None, "failed", "interrupted in batch 4"),
        (LEFT, None, None, "interrupted", "interrupted in batch 4"),
        (UNDER_WAY, GOOD, GOOD, "interrupted", "interrupted in batch 4"),  # nobody holds the folder
        (BEFORE_WINDOW, BEFORE_WINDOW, BEFORE_WINDOW, "due", "10 days of the windows have passed since"),
        (site_run(ended="2026-10-17T00:00:00Z"),) * 3 + ("stale", "not looked at for 36 days"),
        (site_run(ended="2026-10-18T00:00:00Z"),) * 3 + ("current", ""),
        (site_run(ended="2031-01-01T00:00:00Z"),) * 3 + ("stale", "ahead of this machine's clock"),
    ],
)
def test_how_a_site_stands(last, ended, good, state, words):
    (found,) = standings(Past(None, {"a": SiteKnown("a", last, ended, good, None)}), now())
    assert found.state == state
    assert words in "; ".join(found.reasons)


@pytest.mark.parametrize(
    ("more", "state", "words"),
    [
        ({"files": {"a": "other"}}, "due", "its site file has changed"),
        ({"files": {}}, "gone", "its site file is no longer there"),
        ({"files": {}, "settings_sha256": "other", "version": "2"}, "gone", "settings have changed"),
        ({"files": None}, "current", ""),
        ({"settings_sha256": "other"}, "due", "settings have changed"),
        ({"settings_sha256": None}, "current", ""),
        ({"version": "2"}, "due", "made by version 1 of the program, this is 2"),
    ],
)
def test_what_has_changed_since(more, state, words):
    (found,) = standings(Past(None, {"a": SiteKnown("a", GOOD, GOOD, GOOD, None)}), now(**more))
    assert found.state == state
    assert words in "; ".join(found.reasons)


@pytest.mark.parametrize("last", [FAILED, LEFT, UNDER_WAY])
def test_a_site_without_a_file_is_gone_however_it_ended(last):
    (found,) = standings(Past(None, {"a": SiteKnown("a", last, None, None, None)}), now(files={}))
    assert found.state == "gone"
    assert found.reasons[0].startswith("its site file is no longer there")


def test_a_folder_that_moved_has_the_same_settings(tmp_path):
    hashes = {}
    for folder, more in (("a", {}), ("b/c", {}), ("other", {"min_dates": 7}), ("archive", {"archive": "theirs"})):
        path = tmp_path / folder / "config.yaml"
        path.parent.mkdir(parents=True)
        archive = more.pop("archive", "ours")
        settings = {"source": {"url": f"data/{archive}"}, "clear": {"dem": "data/dem.tif"}, **more}
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        hashes[folder] = settings_sha256(read_config(path))
    assert hashes["a"] == hashes["b/c"]
    assert len(set(hashes.values())) == 3


def test_why_the_oldest_digest_waits_is_told():
    letters = tuple(Letter(n, n, "mail", "s", "b", error) for n, error in ((1, "refused"), (2, "busy"), (3, None)))
    status = Status(Path("out"), Past(None, {"a": SiteKnown("a", GOOD, GOOD, GOOD, None)}, letters), now(), ())
    status = replace(status, sites=tuple(standings(status.past, status.now)))
    assert "3 digests wait to be delivered: refused" in list(lines(status))


def test_a_site_under_way_is_told_as_such_and_all_stand_in_the_order_of_attention():
    batch = BatchRun(4, "2026-11-22T11:00:00Z", None, None, "1", 3)
    known = {
        "a": SiteKnown("a", GOOD, GOOD, GOOD, None),
        "b": SiteKnown("b", UNDER_WAY, FAILED, None, None),
        "c": SiteKnown("c", FAILED, FAILED, GOOD, None),
        "d": SiteKnown("d", LEFT, None, None, None),
    }
    files = dict.fromkeys("abcde", "f")
    found = standings(Past(batch, known), now(files=files, running=True))
    assert [(one.site, one.state) for one in found] == [
        ("c", "failed"), ("d", "interrupted"), ("e", "never"), ("b", "running"), ("a", "current"),
    ]  # fmt: skip


WINDOWS = WindowsConfig(stockpile=(("04-01", "06-15"), ("09-01", "10-20")), footprint=(("06-01", "09-30"),))


@pytest.mark.parametrize(
    ("after", "until", "days"),
    [
        ("2026-01-01", "2026-03-31", 0),
        ("2026-03-31", "2026-04-01", 1),
        ("2026-01-01", "2026-12-31", 203),  # 1 April to 20 October, the windows overlap
        ("2026-10-20", "2027-12-31", 0),  # 2027 is not measured
        ("2025-12-31", "2024-01-01", 0),
    ],
)
def test_days_of_the_windows(after, until, days):
    assert open_days(WINDOWS, YEARS, dt.date.fromisoformat(after), dt.date.fromisoformat(until)) == days


@given(
    st.dates(dt.date(2016, 1, 1), dt.date(2028, 12, 31)),
    st.integers(0, 800),
    st.sampled_from([WINDOWS, WindowsConfig(stockpile=(("02-29", "03-10"),)), WindowsConfig()]),
)
def test_days_of_the_windows_are_those_counted_one_by_one(after, count, windows):
    until = after + dt.timedelta(days=count)
    days = [after + dt.timedelta(days=n + 1) for n in range(count)]
    # Of windows that begin on 29 February the day before 1 March counts in other years.
    early = {
        d
        for d in days
        if (d + dt.timedelta(days=1)).strftime("%m-%d") == "03-01" and windows.stockpile[0][0] == "02-29"
    }
    one_by_one = {
        d
        for d in days
        if d.year in YEARS.all and (in_windows(d, windows.stockpile) or in_windows(d, windows.footprint))
    } | {d for d in early if d.year in YEARS.all}
    assert open_days(windows, YEARS, after, until) == len(one_by_one)
    opens = next_open(windows, YEARS, after + dt.timedelta(days=1))
    if one_by_one:
        assert opens == min(one_by_one)
    else:
        assert opens is None or opens > until


@pytest.fixture(scope="module")
def thousand(tmp_path_factory):
    """A folder of 1,000 sites, of which the first two failed and the last has no run."""
    folder = tmp_path_factory.mktemp("thousand")
    (folder / "aoi").mkdir()
    (folder / "results").mkdir()
    for n in range(1000):
        (folder / "aoi" / f"site-{n:04d}.geojson").write_bytes(b"%06d" % n * 4000)
    (folder / "config.yaml").write_text(yaml.safe_dump({"years": {"last": 2025}, "out": "results"}))
    settings, at = settings_sha256(read_config(folder / "config.yaml")), dt.datetime.now(dt.UTC)
    with open_state(folder / "results", pytest.fail) as state:
        state._connection.execute("PRAGMA synchronous = OFF")
        for _ in range(3):
            state.begin(at, __version__, 999)
            for n in range(999):
                content = hashlib.sha256(b"%06d" % n * 4000).hexdigest()
                run = state.site_begins(f"site-{n:04d}", at, content, settings)
                failed = {"error": "no answer", "kind": "SourceError"} if n < 2 else {}
                state.site_ends(run, at, "failed" if failed else "up_to_date", seconds=1.0, **failed)
            state.end(at, 1, {})
    return folder


def test_a_thousand_sites_are_told_within_a_second(thousand):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = call("status", "--config", thousand / "config.yaml")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor, not of the clock: other tests run beside this one.
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1] == "1000 sites: 2 failed, 1 never, 997 current"
    assert [line.split()[0] for line in lines[3:7]] == ["site-0000", "site-0001", "site-0999", "site-0002"]
    assert len(lines) == 1003
    assert took <= 1.0


def test_json_says_the_same(thousand, capsys):
    arguments = ["status", "--config", str(thousand / "config.yaml"), "--json"]
    assert cli.main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert [site["state"] for site in told["sites"]].count("failed") == 2
    assert told["batch"]["number"] == 3
    assert told["running"] is False
    assert cli.main([*arguments, "site-0001"]) == 0
    (site,) = json.loads(capsys.readouterr().out)["sites"]
    assert site["last"]["error"] == "no answer"
    assert cli.main([*arguments, "site-1001"]) == 2
    assert "site 'site-1001' is not known" in capsys.readouterr().err


def test_without_a_configuration_the_database_alone_is_asked(thousand, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["status", "--out", str(thousand / "results")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "999 sites: 2 failed, 997 current"
    assert lines[2].startswith("no configuration")
    assert cli.main(["status"]) == 2
    assert cli.main(["status", "--out", str(tmp_path / "nothing")]) == 0
    assert "no batch has run here" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_runs_is_told_and_not_disturbed(tmp_path, capsys):
    with open_state(tmp_path, pytest.fail) as state:
        state.begin(NOON, __version__, 1)
        state.site_begins("a", NOON, "f", "s")
    arguments = ["status", "--out", str(tmp_path), "--config", str(tmp_path / "none.yaml")]
    with (tmp_path / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(arguments) == 0
        running = capsys.readouterr().out.splitlines()
    # A lock says that somebody holds it, not who: the batch may have been killed and a backup hold the folder.
    assert running[0].endswith(": running (a batch, or another program, holds the folder)")
    assert running[-1].split()[:2] == ["a", "running"]
    assert cli.main(arguments) == 0
    left = capsys.readouterr().out.splitlines()
    assert left[0].endswith(": interrupted")
    assert left[-1].split()[:2] == ["a", "interrupted"]


def test_who_asks_whether_a_batch_runs_keeps_none_from_beginning(tmp_path):
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(BusyError, match="another batch is running there"), locked(tmp_path):
            pytest.fail("two batches hold one folder")
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "nothing")
    with (tmp_path / ".lock").open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        timer = threading.Timer(0.1, fcntl.flock, (asking, fcntl.LOCK_UN))
        timer.start()
        with locked(tmp_path):
            assert is_locked(tmp_path)
        timer.join()
