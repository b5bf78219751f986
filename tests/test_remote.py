"""Manners towards a provider: what it wishes is done, by all workers together, and everything ends and is counted."""

import contextlib
import datetime as dt
import email.utils
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import FileServer, opened_line

from pipeline import ledger, remote
from pipeline.config import SourceConfig
from pipeline.errors import BudgetError, GoneError, RefusedError, SourceError
from pipeline.exchange import Ask, session, wished_s
from pipeline.ledger import Traffic
from pipeline.remote import ask, pause_s

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
DATA = bytes(range(250)) * 40


@pytest.fixture
def server(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.bin").write_bytes(DATA)
    with FileServer(tmp_path / "files") as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_WAIT_S", 0.01)


def line_of(server, tmp_path, **source):
    values = {"url": f"{server.url}/catalog.json", "sign_url": None, "timeout_s": 2.0, **source}
    return opened_line(SourceConfig(**values), tmp_path)


# --- what a server wishes ---


@pytest.mark.parametrize(
    ("value", "milliseconds", "seconds"),
    [
        (None, False, None), ("7", False, 7.0), (" 7 ", False, 7.0), ("1500", True, 1.5), ("0", True, 0.0),
        (email.utils.format_datetime(NOW + dt.timedelta(seconds=90)), False, 90.0),
        (email.utils.format_datetime(NOW + dt.timedelta(seconds=90)), True, 90.0),
        (email.utils.format_datetime(NOW - dt.timedelta(hours=1)), False, 0.0),
        ("soon", False, None), ("", False, None), ("-5", False, None), ("1.5", False, None), ("nan", True, None),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_its_unit(value, milliseconds, seconds):
    assert wished_s(value, NOW, milliseconds=milliseconds) == seconds


@given(st.integers(0, 40), st.floats(0, 1), st.none() | st.floats(0, 1e6))
def test_a_pause_is_never_shorter_than_wished_nor_longer_than_a_minute_of_ours(attempt, chance, wish_s):
    found = pause_s(attempt, wish_s, chance)
    if wish_s is None:
        assert 0 <= found <= 60
    else:
        assert wish_s <= found <= wish_s + 1


def test_pauses_grow_and_differ():
    assert [pause_s(n, None, 1.0) for n in range(4)] == pytest.approx([0.01, 0.02, 0.04, 0.08])
    assert pause_s(3, None, 0.25) == pytest.approx(0.02)


@pytest.mark.parametrize("status", [429, 503])
def test_while_a_server_wishes_quiet_nobody_asks(server, tmp_path, status):
    """One worker was told; the others, asking something else, wait as well."""
    line = line_of(server, tmp_path)
    server.fail("a.bin", status, times=1, retry_after="1")
    started = time.monotonic()
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(ask, line, Ask(f"{server.url}/a.bin"))
        while not server.requests:
            time.sleep(0.005)
        time.sleep(0.1)
        others = [threads.submit(ask, line, Ask(f"{server.url}/a.bin")) for _ in range(2)]
        assert all(job.result().body == DATA for job in (first, *others))
    assert [request[4] for request in server.requests] == [status, 200, 200, 200]
    assert 1.0 <= time.monotonic() - started < 4


def test_a_server_that_wishes_an_hour_is_not_waited_for(server, tmp_path):
    server.fail("a.bin", 429, retry_after="3600")
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"a\.bin: cannot be read now \(429 .*\); run again later"):
        ask(line_of(server, tmp_path, patience_s=5), Ask(f"{server.url}/a.bin"))
    assert time.monotonic() - started < 2
    assert len(server.requests) == 1


def test_trying_ends_after_the_retries(server, tmp_path):
    server.fail("a.bin", 500)
    line = line_of(server, tmp_path, retries=3)
    with pytest.raises(SourceError):
        ask(line, Ask(f"{server.url}/a.bin"))
    assert len(server.requests) == 4
    assert line.ledger.spent().requests == 4


@pytest.mark.parametrize(
    ("status", "error"), [(404, GoneError), (410, GoneError), (400, RefusedError), (403, RefusedError)]
)
def test_what_waiting_does_not_help_is_asked_once(server, tmp_path, status, error):
    server.fail("a.bin", status)
    with pytest.raises(error, match=str(status)):
        ask(line_of(server, tmp_path), Ask(f"{server.url}/a.bin"))
    assert len(server.requests) == 1


# --- counts and limits ---


def test_everything_asked_is_counted_as_the_server_saw_it(server, tmp_path):
    line = line_of(server, tmp_path)
    server.fail("a.bin", 503, times=2)
    found = ask(line, Ask(f"{server.url}/a.bin", pixels=True, part=(10, 110), most_bytes=100))
    assert found.body == DATA[10:110]
    assert found.traffic == line.ledger.spent() == Traffic(3, 3, 2 * len(b"not now") + 100, 0.0)
    ask(line, Ask(f"{server.url}/a.bin"))
    assert line.ledger.spent() == Traffic(4, 3, 2 * len(b"not now") + 100 + len(DATA), 0.0)
    assert len(server.requests) == 4


def test_a_budget_of_bytes_stops_before_it_is_exceeded(server, tmp_path):
    line = line_of(server, tmp_path, max_bytes=250)
    for _ in range(2):
        ask(line, Ask(f"{server.url}/a.bin", pixels=True, part=(0, 100), most_bytes=100))
    with pytest.raises(
        BudgetError, match=r"source\.max_bytes = 250: the next request could bring this run to 300 bytes"
    ):
        ask(line, Ask(f"{server.url}/a.bin", pixels=True, part=(0, 100), most_bytes=100))
    assert len(server.requests) == 2
    assert line.ledger.spent().size_bytes == 200
    # A smaller request still fits, and searching is not counted.
    ask(line, Ask(f"{server.url}/a.bin", pixels=True, part=(0, 50), most_bytes=50))
    ask(line, Ask(f"{server.url}/a.bin"))


def test_no_more_than_the_limit_are_under_way_in_several_processes(server, tmp_path):
    server.fail("a.bin", 200, slow_s=0.05)
    line = line_of(server, tmp_path, max_concurrent=2)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(ask_often, [(line, f"{server.url}/a.bin")] * 2)
    assert len(server.requests) == 24
    assert server.most_under_way == 2
    assert line.ledger.at_once() == 2


def ask_often(line, url):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: ask(line, Ask(url)), range(12)))


def test_no_more_than_the_limit_are_begun_in_a_minute(server, tmp_path, monkeypatch):
    """With a minute of half a second."""
    monkeypatch.setattr(ledger, "_MINUTE_S", 0.5)
    line = line_of(server, tmp_path, max_requests_per_minute=3)
    began = []
    for _ in range(7):
        ask(line, Ask(f"{server.url}/a.bin"))
        began.append(time.monotonic())
    assert all(later - earlier >= 0.45 for earlier, later in zip(began, began[3:], strict=False))


# --- where requests go ---


def test_a_redirect_within_the_host_is_followed_and_counted(server, tmp_path):
    server.fail("/moved", 302, location="/a.bin")
    line = line_of(server, tmp_path)
    assert ask(line, Ask(f"{server.url}/moved")).body == DATA
    assert line.ledger.spent().requests == 2


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/a.bin", "//127.0.0.1:{port}/a.bin", "https://example.com/a.bin", "file:///etc/passwd",
               "ftp://127.0.0.1/a.bin", "http://user:word@127.0.0.1:{own}/a.bin", "http://127.0.0.1@127.0.0.1:{port}/"]
)  # fmt: skip
def test_a_redirect_leads_to_no_other_host(server, tmp_path, target):
    line = line_of(server, tmp_path)
    with FileServer(server.root) as other:
        own, port = (each.url.rpartition(":")[2] for each in (server, other))
        server.fail("a.bin", 302, location=target.format(port=port, own=own))
        with pytest.raises(RefusedError) as caught:
            ask(line, Ask(f"{server.url}/a.bin"))
        assert other.requests == []
    assert "\n" not in str(caught.value)
    assert "word" not in str(caught.value)
    assert line.ledger.spent().requests == len(server.requests) == 1


def test_a_redirect_in_a_circle_ends(server, tmp_path):
    server.fail("a.bin", 302, location="/a.bin")
    line = line_of(server, tmp_path)
    with pytest.raises(RefusedError, match="redirected more than 5 times"):
        ask(line, Ask(f"{server.url}/a.bin"))
    assert line.ledger.spent().requests == len(server.requests) == 6


def test_a_host_that_is_allowed_gets_no_authorization_of_the_first(server, tmp_path):
    with FileServer(server.root) as other:
        server.fail("a.bin", 302, location=f"{other.url}/a.bin")
        line = line_of(server, tmp_path, hosts=(other.url,))
        assert ask(line, Ask(f"{server.url}/a.bin", headers={"Authorization": "Bearer secret"})).body == DATA
        assert server.headers[0]["Authorization"] == "Bearer secret"
        assert "Authorization" not in other.headers[0]


def test_no_password_of_a_netrc_file_is_sent(server, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hush\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ask(line_of(server, tmp_path), Ask(f"{server.url}/a.bin"))
    assert "Authorization" not in server.headers[0]


def test_no_cookie_is_kept(tmp_path):
    class Baking(FileServer):
        def content(self, name, data):  # noqa: ARG002 - what the parent gives
            return data, {"Set-Cookie": "who=me; Path=/"}

    (tmp_path / "a.bin").write_bytes(DATA)
    with Baking(tmp_path) as server:
        line = line_of(server, tmp_path)
        for _ in range(2):
            ask(line, Ask(f"{server.url}/a.bin"))
        assert [headers.get("Cookie") for headers in server.headers] == [None, None]
    assert len(session().cookies) == 0


def test_a_body_larger_than_expected_is_not_read_on(server, tmp_path):
    line = line_of(server, tmp_path)
    with pytest.raises(RefusedError, match=r"a\.bin: sends more than the 100 bytes expected of it"):
        ask(line, Ask(f"{server.url}/a.bin", most_bytes=100))
    assert line.ledger.spent().requests == 1


def test_a_body_that_drips_for_ever_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.exchange._WHOLE_TIMEOUTS", 0)
    with pytest.raises(SourceError, match="is too slow"):
        ask(line_of(server, tmp_path, retries=0), Ask(f"{server.url}/a.bin"))


def test_a_body_goes_into_a_file_when_it_is_asked_to(server, tmp_path):
    found = ask(line_of(server, tmp_path), Ask(f"{server.url}/a.bin", into=tmp_path / "here.bin"))
    assert (found.body, (tmp_path / "here.bin").read_bytes()) == (b"", DATA)
    with contextlib.suppress(SourceError):
        server.fail("a.bin", 503)
        ask(line_of(server, tmp_path, retries=0), Ask(f"{server.url}/a.bin", into=tmp_path / "none.bin"))
    assert not (tmp_path / "none.bin").exists()
