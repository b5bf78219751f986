"""Budgets, places and pauses that several processes share; one of them may be killed."""

import contextlib
import multiprocessing
import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BudgetError
from pipeline.ledger import Ledger, Limits, Traffic

SPAWNING = multiprocessing.get_context("spawn")


def opened(folder, concurrent=2, **limits):
    return Ledger(folder / "ledger", Limits(concurrent, **limits)).opened()


def hold(ledger, times, seconds, log):
    """Take turns; note when each began and ended."""
    for _ in range(times):
        with ledger.turn(time.time() + 60), log.open("a") as file:
            start = time.time()
            time.sleep(seconds)
            file.write(f"{start} {time.time()}\n")


def spend(ledger, times, refused):
    for _ in range(times):
        try:
            with ledger.spending(Traffic(size_bytes=10)) as came:
                came.append(Traffic(1, 1, 7))
        except BudgetError:
            with refused.open("a") as file:
                file.write("x")


def workers(target, count, *arguments):
    started = [SPAWNING.Process(target=target, args=arguments) for _ in range(count)]
    for process in started:
        process.start()
    return started


def ended(processes):
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0


def test_no_more_requests_are_under_way_than_allowed(tmp_path):
    ended(workers(hold, 4, opened(tmp_path), 5, 0.05, tmp_path / "log"))
    spans = [tuple(map(float, line.split())) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(spans) == 20
    at_once = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(at_once) == 2


def test_a_killed_worker_gives_its_place_back(tmp_path):
    ledger = opened(tmp_path, concurrent=1)
    (process,) = workers(hold, 1, ledger, 1, 30, tmp_path / "log")
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    with pytest.raises(TimeoutError, match="1 requests are under way"), ledger.turn(time.time() + 0.1):
        pass
    os.kill(process.pid, signal.SIGKILL)
    with ledger.turn(time.time() + 5):
        pass
    process.join()


def test_a_budget_is_never_exceeded_whoever_spends(tmp_path):
    ledger = opened(tmp_path, size_bytes=103)
    ended(workers(spend, 3, ledger, 10, tmp_path / "refused"))
    spent = ledger.spent()
    # The last request that was let through left fewer than the ten bytes one may need.
    assert 93 < spent.size_bytes <= 103
    assert spent == Traffic(spent.requests, spent.requests, 7 * spent.requests)
    assert spent.requests + len((tmp_path / "refused").read_text()) == 30


def test_what_is_under_way_counts_against_the_budget(tmp_path):
    ledger = opened(tmp_path, processing_units=1.0)
    said = r"source.max_processing_units = 1.*1.2 processing units.*raise the limit"
    with ledger.spending(Traffic(processing_units=0.6)):
        second = ledger.spending(Traffic(processing_units=0.6))
        with pytest.raises(BudgetError, match=said):
            second.__enter__()
    with ledger.spending(Traffic(processing_units=0.6)) as came:
        came.append(Traffic(processing_units=0.2))
    assert ledger.spent().processing_units == pytest.approx(0.2)


def test_a_request_that_failed_counts_what_came(tmp_path):
    ledger = opened(tmp_path, size_bytes=100)
    with contextlib.suppress(OSError), ledger.spending(Traffic(size_bytes=90)) as came:
        came.append(Traffic(1, 1, 40))
        raise OSError("cut")
    with ledger.spending(Traffic(size_bytes=60)):
        assert ledger.spent() == Traffic(1, 1, 40)


def test_a_pause_is_heeded_by_all_and_has_an_end(tmp_path):
    ledger = opened(tmp_path)
    start = time.time()
    ledger.pause(0.4)
    ledger.pause(0.1)
    with pytest.raises(TimeoutError, match="of quiet"), ledger.turn(start + 0.2):
        pass
    ended(workers(hold, 2, ledger, 1, 0.01, tmp_path / "log"))
    assert min(float(line.split()[0]) for line in (tmp_path / "log").read_text().splitlines()) >= start + 0.4


def test_requests_keep_the_pace(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.ledger._MINUTE_S", 0.5)
    ledger = opened(tmp_path, requests_per_minute=3)
    started = []
    for _ in range(7):
        with ledger.turn(time.time() + 10):
            started.append(time.time())
    within = [sum(first <= other < first + 0.45 for other in started) for first in started]
    assert max(within) == 3
    assert started[-1] - started[0] >= 0.9


@given(st.lists(st.tuples(*[st.integers(0, 1000)] * 3), min_size=1))
def test_traffic_adds_up(counts):
    total = sum((Traffic(*each) for each in counts), Traffic())
    assert (total.requests, total.pixel_requests, total.size_bytes) == tuple(map(sum, zip(*counts, strict=True)))
    assert total - total == Traffic()
