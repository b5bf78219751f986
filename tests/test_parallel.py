"""One worker or several, another clock, another locale: the same bytes; workers that come and go."""

import os
import shutil
import subprocess
import threading
import time

import distributed
import psutil
import pytest
from conftest import call, command_line, environment, products

from pipeline import cli
from pipeline.errors import InputError
from pipeline.parallel import DaskPool, SerialPool, open_pool

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


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


def test_a_running_scheduler_is_used(port, port_results, tmp_path):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50, local_directory=str(tmp_path)
    ) as cluster:
        arguments = ["run", "--config", port / "config.yaml", "--out", tmp_path / "out"]
        assert cli.main([*map(str, arguments), "--scheduler", cluster.scheduler_address]) == 0
        assert products(tmp_path / "out" / "sim-port") == products(port_results / "sim-port")
        assert len(cluster.workers) == 1, "the cluster is its owner's and goes on"


def test_a_scheduler_without_workers_is_refused(port, tmp_path, capsys):
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as cluster:
        address = cluster.scheduler_address
        status = cli.main(
            ["run", "--config", str(port / "config.yaml"), "--out", str(tmp_path / "out"), "--scheduler", address]
        )
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1
    assert address in said.err
    assert "no workers" in said.err


def add(item, more):
    return item + more


def fail_at_two(item):
    if item == 2:
        raise InputError("item 2")
    return item


def slow(item):
    time.sleep(60)
    return item


def test_one_worker_is_a_plain_call():
    with open_pool(1) as pool:
        assert isinstance(pool, SerialPool)
        assert pool.map(add, [1, 2, 3], 10) == [11, 12, 13]
        with pytest.raises(InputError, match="item 2"):
            pool.map(fail_at_two, [1, 2, 3])


def test_several_workers_keep_order_pass_errors_on_and_can_be_stopped():
    with open_pool(2) as pool:
        assert isinstance(pool, DaskPool)
        assert pool.workers == 2
        assert pool.map(add, range(20), 10) == list(range(10, 30))
        assert pool.map(add, [], 10) == []
        with pytest.raises(InputError, match="item 2"):
            pool.map(fail_at_two, [1, 2, 3])
        assert pool.map(add, [1], 1) == [2], "an error does not spoil the pool"
        ended = []

        def wait():
            try:
                pool.map(slow, [1, 2, 3, 4])
            except KeyboardInterrupt:
                ended.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(1.0)
        start = time.monotonic()
        pool.stop()
        thread.join(timeout=20)
        assert ended
        assert ended[0] - start < 5
        with pytest.raises(KeyboardInterrupt):
            pool.map(add, [1], 1)
