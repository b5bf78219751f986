"""What the tests are put through is really there: nginx does to requests what each path says, and the log counts it."""

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import real_catalogue
import real_files
import requests
from real_files import FAULTS, OTHER_HOST, Asked, weather_counts

DATA = bytes(range(256)) * 800
NAME = "self/a.tif"
PART = {"Range": "bytes=1000-50999"}


@pytest.fixture
def files(nginx):
    """One file in a folder of these tests, and an empty log."""
    (nginx.root / "self").mkdir(exist_ok=True)
    nginx.change(NAME, DATA)
    nginx.forget()
    return nginx


def get(files, fault, **options):
    return requests.get(f"{files.at(fault)}/{NAME}", headers=PART, timeout=10, allow_redirects=False, **options)


@pytest.mark.parametrize("fault", ["plain", "changed", "changing", "halting", "slow"])
def test_ranges_are_served_whole(files, fault):
    answer = get(files, fault)
    assert (answer.status_code, answer.content) == (206, DATA[1000:51000])
    assert answer.headers["Content-Range"] == f"bytes 1000-50999/{len(DATA)}"
    assert answer.headers["ETag"] == get(files, "plain").headers["ETag"]


def test_every_path_says_what_it_is(files):
    for fault in FAULTS:
        files.at(fault)
    with pytest.raises(KeyError):
        files.at("sunny")
    assert requests.get(f"{files.at('plain')}/self/none.tif", timeout=10).status_code == 404
    assert requests.get(f"{files.at('cut')}/self/none.tif", timeout=10).status_code == 404


def test_one_request_in_five_is_turned_away(files):
    with requests.Session() as session:
        statuses = [session.get(f"{files.at('busy')}/{NAME}", headers=PART, timeout=10).status_code for _ in range(500)]
    assert set(statuses) == {206, 503}
    # 100 of 500, five standard deviations (9) to either side.
    assert 55 <= statuses.count(503) <= 145


@pytest.mark.parametrize(("fault", "wish"), [("limited", "1"), ("limited-silent", None)])
def test_too_many_requests_are_told_to_wait(files, fault, wish):
    with requests.Session() as session:
        answers = [session.get(f"{files.at(fault)}/{NAME}", headers=PART, timeout=10) for _ in range(30)]
    assert {a.status_code for a in answers} == {206, 429}
    assert {a.headers.get("Retry-After") for a in answers if a.status_code == 429} == {wish}
    assert {a.headers.get("Retry-After") for a in answers if a.status_code == 206} == {None}
    time.sleep(1.1)
    assert get(files, fault).status_code == 206


def test_a_slow_answer_takes_its_time(files):
    started = time.monotonic()
    assert len(requests.get(f"{files.at('slow')}/{NAME}", timeout=10).content) == len(DATA)
    assert time.monotonic() - started > 0.8
    started = time.monotonic()
    get(files, "halting")
    assert time.monotonic() - started >= files.halt_s


def test_a_cut_answer_announces_more_than_it_sends(files):
    connection = http.client.HTTPConnection("127.0.0.1", files.port, timeout=10)
    connection.request("GET", f"/cut/{NAME}", headers=PART)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Length"]) == (206, "50000")
    with pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()
    assert broken.value.partial == DATA[1000:26000]
    connection.close()


def test_lengths_that_are_wrong(files):
    short = get(files, "short")
    assert (short.status_code, len(short.content)) == (206, 25000)
    assert short.headers["Content-Range"] == f"bytes 1000-50999/{len(DATA)}"
    total = get(files, "total")
    assert (total.status_code, total.content) == (206, DATA[1000:51000])
    assert total.headers["Content-Range"] == f"bytes 1000-50999/{len(DATA) + 1000}"


def test_a_range_is_refused_by_sending_the_whole(files):
    answer = get(files, "unranged")
    assert (answer.status_code, answer.content) == (200, DATA)


def test_a_file_changes_when_a_test_says_so(files):
    tag = get(files, "changed").headers["ETag"]
    files.change(NAME, DATA[::-1] + b"more")
    answer = get(files, "changed")
    assert answer.content == DATA[::-1][1000:51000]
    assert answer.headers["ETag"] != tag


def test_a_file_changes_between_two_requests(files):
    files.change_after(NAME, 2, DATA[::-1])
    answers = [get(files, "changing") for _ in range(4)]
    old, new = DATA[1000:51000], DATA[::-1][1000:51000]
    assert [a.content for a in answers] == [old, old, new, new]
    assert answers[1].headers["ETag"] != answers[2].headers["ETag"]


def test_the_way_leads_to_another_host(files):
    answer = get(files, "moved")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"http://{OTHER_HOST}:{files.port}/plain/{NAME}"
    assert {asked.host for asked in files.asked()} == {"127.0.0.1"}
    assert requests.get(answer.headers["Location"], headers=PART, timeout=10).content == DATA[1000:51000]
    assert [asked.host for asked in files.asked("/plain/")] == [OTHER_HOST]


def test_the_log_counts_requests_and_bytes(files):
    get(files, "plain")
    requests.get(f"{files.at('plain')}/{NAME}?sig=1", timeout=10)
    assert files.asked(NAME) == [
        Asked("GET", f"/plain/{NAME}", "bytes=1000-50999", 206, 50000, "", "127.0.0.1"),
        Asked("GET", f"/plain/{NAME}?sig=1", "", 200, len(DATA), "", "127.0.0.1"),
    ]
    assert files.asked("other.tif") == []
    files.forget()
    assert files.asked() == []


def test_the_weather_is_as_announced_and_counted(files, monkeypatch):
    """What a client saw is what the log says was done to it."""
    monkeypatch.setattr(files, "halt_s", 0.02)
    seen = {"requests": 400, "503": 0, "429": 0, "slow": 0, "cut": 0}
    wishes = []
    with requests.Session() as session:
        for _ in range(seen["requests"]):
            started = time.monotonic()
            try:
                answer = session.get(f"{files.at('weather')}/{NAME}", headers=PART, timeout=10)
            except requests.exceptions.ChunkedEncodingError:
                seen["cut"] += 1
                continue
            if answer.status_code in {429, 503}:
                seen[str(answer.status_code)] += 1
                wishes.append(answer.headers.get("Retry-After"))
                continue
            assert (answer.status_code, answer.content) == (206, DATA[1000:51000])
            seen["slow"] += time.monotonic() - started >= files.halt_s
    files.asked()
    counts = weather_counts(files.access_log)
    assert {**counts, "slow": 0} == {**seen, "slow": 0}
    # On a busy machine a fine answer may take as long as a slow one.
    assert counts["slow"] <= seen["slow"]
    # Five standard deviations to either side.
    assert 40 <= counts["503"] <= 120
    assert all(10 <= counts[kind] <= 70 for kind in ("429", "slow", "cut"))
    assert set(wishes) == {None, "1"}


# --- nothing is left ----------------------------------------------------------------------------------------------

KILLED = """
import os, pathlib, psutil, signal, sys
sys.path.insert(0, {tests!r})
import real_catalogue, real_files
with {context} as running:
    print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
    os.kill(os.getpid(), signal.{signal})
    signal.pause()
"""


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", ["files", "catalogue"])
def test_no_server_outlives_the_tests(what, ended_by, tmp_path):
    why = real_files.missing() if what == "files" else real_catalogue.missing()
    if why is not None:
        pytest.skip(why)
    context = {
        "files": f"real_files.RealFiles(pathlib.Path({str(tmp_path / 'run')!r})).running()",
        "catalogue": "real_catalogue.running()",
    }[what]
    code = KILLED.format(tests=str(Path(__file__).parent), context=context, signal=ended_by.name)
    # The user the database runs as must get in, and what a killed process leaves must go.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "TMPDIR": folder},
        )  # fmt: skip
        children = [int(pid) for pid in done.stdout.split()]
        await_end(children)
    assert len(children) >= (1 if what == "files" else 2)
    assert done.returncode != 0


def await_end(children):
    deadline = time.monotonic() + 10
    while left := [pid for pid in children if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def alive(pid):
    """Whether a process runs; one that has ended and waits to be noticed does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(real_files.shutil, "which", lambda *_, **__: None)
    assert "nginx-light" in real_files.missing()
    monkeypatch.setattr(real_catalogue, "_LIBRARIES", tmp_path)
    assert "PostGIS" in real_catalogue.missing()
    monkeypatch.undo()
    if real_catalogue.database_programs() is not None:
        monkeypatch.setattr(real_catalogue, "ENVIRONMENT", tmp_path)
        assert "make setup-servers" in real_catalogue.missing()
