"""One worker or several, another clock, another locale: the same bytes; workers that come and go."""

import functools
import os
import shutil
import subprocess
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import yaml
from conftest import call, command_line, environment, hashes, products
from rasterio.errors import NotGeoreferencedWarning

from pipeline import threads
from pipeline.errors import InputError
from pipeline.parallel import Progress, SerialPool, ThreadPool, open_pool
from pipeline.products.custody.verify import examine
from pipeline.progress import WatchedPool
from pipeline.tasks import stage_of


def of_session(session):
    """Processes that still live of a session started by a test."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_two_workers_elsewhere_give_the_bytes_of_one_worker_here(port, port_results, tmp_path):
    elsewhere = {
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "tr_TR.UTF-8",
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "77",
        "HOME": str(tmp_path),
    }
    config = os.path.relpath(port / "config.yaml", tmp_path)
    process = subprocess.Popen(
        command_line("run", "--config", config, "--out", tmp_path / "out", "--workers", "2"),
        env=environment(**elsewhere), cwd=tmp_path, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert all(line.startswith("sim-port: ") for line in told.splitlines()), told
    # The helper of multiprocessing that tracks what is shared ends when it sees this process gone: a moment later.
    _, left = psutil.wait_procs(of_session(process.pid), timeout=5)
    assert [each.cmdline() for each in left] == []
    expected = products(port_results / "sim-port")
    assert {"sim-port.gpkg", "manifest.json", "report.html", "report.pdf", "composites/2018.tif"} <= expected.keys()
    assert products(tmp_path / "out" / "sim-port") == expected


def test_the_archive_may_be_anywhere(port, port_results, settings, tmp_path):
    """What a result holds does not depend on the folder the archive or the results lie in."""
    archive = shutil.copytree(port, tmp_path / "moved" / "archive", copy_function=os.link)
    done = call("run", "--config", archive / "config.yaml", "--force")
    assert done.returncode == 0, done.stderr
    assert products(archive / "results" / "sim-port") == products(port_results / "sim-port")


def test_copies_fetched_twice_elsewhere_give_the_same_bytes(port, tmp_path):
    """Only what tells of a run differs: its record, and the records of when the pixels came."""
    document = yaml.safe_load((port / "config.yaml").read_text())
    document["source"] |= {"evidence": "copy", "url": str(port / "catalog.json")}
    document |= {"sites": str(port / "aoi"), "claims": str(port / "claims.yaml"), "out": "results"}
    folders = tmp_path / "one", tmp_path / "another/deeper"
    clocks = {"TZ": "UTC", "LC_ALL": "C"}, {"TZ": "Asia/Pyongyang", "LC_ALL": "ko_KR.UTF-8", "PYTHONHASHSEED": "7"}
    for number, (folder, clock) in enumerate(zip(folders, clocks, strict=True), start=1):
        folder.mkdir(parents=True)
        store = {} if number == 1 else {"store": "kept/elsewhere"}
        (folder / "config.yaml").write_text(yaml.safe_dump(document | store))
        done = call("run", "--config", folder / "config.yaml", "--workers", str(number), env=clock)
        assert done.returncode == 0, done.stderr
        assert examine(folder / "results").problems == ()
    first, second = (hashes(folder / "results/sim-port") for folder in folders)
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == {"run.json", "runs/0001.json"}
    assert {"inputs/site.geojson", "inputs/claims.yaml", "runs/0001.numbers.json.gz", "manifest.json"} <= first.keys()
    assert any(name.startswith("masks/") for name in first)
    stores = folders[0] / "results/evidence", folders[1] / "kept/elsewhere"
    first, second = (hashes(store) for store in stores)
    differing = {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}
    assert differing
    assert {name.rsplit("/", 1)[1] for name in differing} == {"record.json"}


def add(item, more):
    return item + more


def fail_at_two(item):
    if item == 2:
        raise InputError("item 2")
    return item


def test_one_worker_is_a_plain_call():
    with open_pool(1) as pool:
        assert isinstance(pool, SerialPool)
        assert pool.map(add, [1, 2, 3], 10) == [11, 12, 13]
        with pytest.raises(InputError, match="item 2"):
            pool.map(fail_at_two, [1, 2, 3])


def test_several_workers_keep_order_pass_errors_on_and_can_be_stopped():
    with open_pool(2) as pool:
        assert isinstance(pool, ThreadPool)
        assert pool.workers == 2
        assert pool.map(add, range(20), 10) == list(range(10, 30))
        assert pool.map(add, [], 10) == []
        with pytest.raises(InputError, match="item 2"):
            pool.map(fail_at_two, [1, 2, 3])
        assert pool.map(add, [1], 1) == [2], "an error does not spoil the pool"
        ended, begun, go_on = [], [], threading.Event()

        def slow(item):
            begun.append(item)
            go_on.wait(5)
            return item

        def wait():
            try:
                pool.map(slow, [1, 2, 3, 4])
            except KeyboardInterrupt:
                ended.append(len(begun))

        thread = threading.Thread(target=wait)
        thread.start()
        while len(begun) < 2:
            time.sleep(0.01)
        pool.stop()
        time.sleep(0.1)
        assert not ended, "what is under way is waited for: it writes into folders that are removed next"
        go_on.set()
        thread.join(timeout=20)
        assert ended == [2], "nothing is begun after stop"
        with pytest.raises(KeyboardInterrupt):
            pool.map(add, [1], 1)


def test_the_wait_for_what_is_under_way_has_an_end(monkeypatch):
    monkeypatch.setattr(threads, "_WAIT_S", 0.2)
    release, seen = threading.Event(), []
    with open_pool(2) as pool:

        def wait():
            with pytest.raises(KeyboardInterrupt):
                pool.map(lambda _: seen.append(1) or release.wait(20), [1, 2])
            seen.append("ended")

        thread = threading.Thread(target=wait)
        thread.start()
        while len(seen) < 2:
            time.sleep(0.01)
        pool.stop()
        thread.join(timeout=5)
        assert seen[-1] == "ended"
        release.set()


def test_of_several_errors_that_of_the_first_item_is_raised():
    """As one worker would: what is told of a failure does not depend on who was faster."""
    later = threading.Event()

    def fail(item):
        if item == 1:
            later.wait(10)
        elif item == 2:
            later.set()
        if item >= 1:
            raise InputError(f"item {item}")
        return item

    with open_pool(2) as pool:
        for _ in range(100):
            later.clear()
            with pytest.raises(InputError, match="item 1"):
                pool.map(fail, range(10))


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_every_item_and_names_the_stage(workers):
    seen = []
    with open_pool(workers) as pool:
        watched = WatchedPool(pool, lambda stage, progress: seen.append((stage, progress)))
        assert watched.workers == workers
        assert watched.map(functools.partial(add, more=1), range(5)) == [1, 2, 3, 4, 5]
    assert seen == [("add", Progress(done, 5, seen[-1][1].tasks if workers > 1 else done)) for done in range(1, 6)]
    assert stage_of(fail_at_two) == "fail at two"
    assert watched.summary(7.4) == "5 tasks; the rest 7 s"


def test_maps_of_several_threads_share_the_threads():
    with open_pool(2) as pool, ThreadPoolExecutor(4) as sites:
        found = list(sites.map(lambda site: pool.map(add, range(50), site), range(4)))
    assert found == [[item + site for item in range(50)] for site in range(4)]


def test_a_library_that_swaps_warning_filters_lets_no_warning_of_ours_out():
    """Filters are the process's: a thread puts back those it found before another set its own."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        threads.settle()
        warnings.warn("lies nowhere", NotGeoreferencedWarning, stacklevel=1)
    assert told == []
