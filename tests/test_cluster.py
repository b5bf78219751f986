"""A cluster of processes: the bytes of one worker whoever is lost, and one clear line where it cannot be had."""

import os
import signal
import subprocess
import threading
import time
import types

import dask
import dask_cluster
import distributed  # noqa: F401 - its settings are changed
import pytest
from conftest import PROJECT, call, command_line, environment, products
from dask_cluster import wait
from hypothesis import given
from hypothesis import strategies as st

from pipeline import parallel
from pipeline.config import read_config
from pipeline.errors import InputError, WorkersError
from pipeline.parallel import open_pool
from pipeline.progress import WatchedPool
from pipeline.tasks import ask_all, wave
from pipeline.workers import alike

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
TESTS = f"{PROJECT}{os.pathsep}{PROJECT / 'tests'}"
"""Where a worker finds the program, and functions of these tests."""


def run(cluster, config, out, *, env=None, address=None):
    return call("run", "--config", config, "--out", out, "--scheduler", address or cluster.address, env=env)


# --- whole runs ---


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_no_byte(port, port_results, tmp_path):
    """Scheduler and two workers with TLS; one is killed with SIGKILL while it works."""
    tls = dask_cluster.certificate(tmp_path)
    with dask_cluster.running(tmp_path / "cluster", 2, tls) as cluster:
        assert cluster.address.startswith("tls://")
        process = subprocess.Popen(
            command_line("run", "--config", port / "config.yaml", "--out", tmp_path / "out"),
            env=environment(DASK_SCHEDULER_ADDRESS=cluster.address, **tls), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        told = []
        for line in process.stderr:
            told.append(line)
            if "scenes used" in line:
                cluster.kill(cluster.processes[-1])
                assert process.poll() is None
        assert process.wait(timeout=300) == 0, told
        process.stdout.close()
        process.stderr.close()
        assert told[0] == f"cluster: 2 workers at {cluster.address}\n"
        assert all(line.startswith(("cluster: ", "sim-port: ")) for line in told), told
        assert cluster.logs().count("Registered to:") == 2, "nobody came in the place of the worker"
    assert products(tmp_path / "out" / "sim-port") == products(port_results / "sim-port")
    assert not list((tmp_path / "out" / ".work").glob("*"))


@pytest.mark.slow
def test_who_comes_without_certificates_is_refused_within_seconds(small, tmp_path):
    tls = dask_cluster.certificate(tmp_path)
    with dask_cluster.running(tmp_path / "cluster", 1, tls) as cluster:
        plain = cluster.address.replace("tls://", "tcp://")
        for address, env, said in (
            (plain, {}, "no Dask scheduler answers there"),
            (cluster.address, {}, "no certificates are configured"),
            (plain, tls, "Dask is configured to use encryption alone"),
        ):
            start = time.monotonic()
            done = run(cluster, small / "config.yaml", tmp_path / "out", env=env, address=address)
            assert (done.returncode, done.stdout) == (2, "")
            assert len(done.stderr.splitlines()) == 1
            assert f"--scheduler {address}: " in done.stderr
            assert said in done.stderr
            assert time.monotonic() - start < 30
    assert not (tmp_path / "out").exists()


ELSEWHERE = {
    "the results folder": (
        ("import pathlib\nread = pathlib.Path.read_text\n"
        "pathlib.Path.read_text = "
        "lambda p, *a, **k: '' if p.name.startswith('stockline-shared-') else read(p, *a, **k)\n"),
        "out is not the folder that it is here; results need a folder all see",
    ),
    "the archive": (
        ("import pathlib\nthere = pathlib.Path.exists\n"
        "pathlib.Path.exists = lambda p, **k: p.name != 'catalog.json' and there(p, **k)\n"),
        "catalog.json is not there; the archive must be where all workers see it",
    ),
    "a library": (
        ("import importlib.metadata as m\nimport types\nof = m.distribution\n"
        "other = lambda d: types.SimpleNamespace(version='1.0', requires=d.requires)\n"
        "m.distribution = lambda name: other(of(name)) if name == 'rasterio' else of(name)\n"),
        "rasterio is 1.0 there, ",
    ),
    "the code": (
        ("import pathlib\n"
        "import pipeline\npipeline.__path__.append(str(pathlib.Path(__file__).parent))\n"),
        "its stockline is another (code ",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_worker_that_differs_is_named_before_any_work(what, small, tmp_path):
    code, said = ELSEWHERE[what]
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(code)
    path = f"{tmp_path / 'site'}{os.pathsep}{PROJECT}"
    with dask_cluster.running(tmp_path / "cluster", 1, path=path) as cluster:
        done = run(cluster, small / "config.yaml", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "stockline: worker tcp://127.0.0.1:" in done.stderr
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_without_a_worker_or_a_scheduler_there_is_one_line(small, tmp_path):
    with dask_cluster.running(tmp_path / "cluster", 0) as cluster:
        done = run(cluster, small / "config.yaml", tmp_path / "out")
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            f"stockline: --scheduler {cluster.address}: it has no workers; start one with dask worker {cluster.address}"
        ]
    gone = run(cluster, small / "config.yaml", tmp_path / "out")
    assert gone.returncode == 2
    assert len(gone.stderr.splitlines()) == 1
    assert f"{cluster.address}: no Dask scheduler answers there" in gone.stderr
    assert not (tmp_path / "out").exists()


# --- the pool ---


@pytest.fixture
def one(tmp_path):
    """A cluster of one worker, which finds this folder's modules, and gives a task up when it was lost with one."""
    with dask_cluster.running(
        tmp_path / "cluster", 1, path=TESTS, more={"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    ) as cluster:
        yield cluster


@pytest.mark.slow
def test_every_module_is_imported_on_a_worker_from_this_tree(one):
    """``models`` and ``pipeline`` are plain names: a worker must find these and no others."""
    names = sorted(
        ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        for package in ("models", "pipeline")
        for path in (PROJECT / package).rglob("*.py")
        if path.name != "__init__.py"
    )
    with open_pool(1, one.address) as pool:
        files = pool.map(dask_cluster.file_of, names)
        workers = pool.map(dask_cluster.process_of, range(4))
    assert files == [str(PROJECT / f"{name.replace('.', '/')}.py") for name in names]
    assert os.getpid() not in workers


@pytest.mark.slow
def test_order_errors_and_few_tasks(one, tmp_path):
    seen = []
    with open_pool(1, one.address) as pool:
        watched = WatchedPool(pool, lambda stage, progress: seen.append((stage, progress)))
        assert watched.map(abs, range(-500, 0)) == list(range(500, 0, -1))
        stage, last = seen[-1]
        assert (stage, last.done, last.total) == ("abs", 500, 500)
        assert last.tasks < 20
        assert watched.map(abs, []) == []
        counted = tmp_path / "calls"
        with pytest.raises(InputError, match="not this one"):
            watched.map(dask_cluster.fail_and_count, [counted])
        assert counted.read_text() == "called\n", "an error is told, not tried again"
        assert pool.map(pow, [2, 3], 2) == [4, 9]


@pytest.mark.slow
def test_a_task_that_costs_its_workers_is_named_and_the_others_go_on(one):
    with open_pool(1, one.address) as pool:
        with pytest.raises(WorkersError, match=r"stage end the process: 1 workers were lost .* same task; give each"):
            pool.map(dask_cluster.end_the_process, [1])
        assert pool.map(abs, [-1]) == [1], "its nanny has started it again"


@pytest.mark.slow
def test_stop_ends_a_map_and_a_lost_scheduler_is_no_interrupt(one, monkeypatch):
    ended = []

    def wait_for(pool):
        try:
            pool.map(time.sleep, [60])
        except (KeyboardInterrupt, WorkersError) as error:
            ended.append(error)

    monkeypatch.setitem(dask.config.config["distributed"]["comm"]["timeouts"], "connect", "2s")
    for end, kind in ((lambda pool: pool.stop(), KeyboardInterrupt), (lambda _: lose(one), WorkersError)):
        with open_pool(1, one.address) as pool:
            thread = threading.Thread(target=wait_for, args=(pool,))
            thread.start()
            time.sleep(1.0)
            end(pool)
            thread.join(timeout=60)
            assert isinstance(ended.pop(), kind)
            if kind is KeyboardInterrupt:
                start = time.monotonic()
                with pytest.raises(KeyboardInterrupt):
                    pool.map(abs, [1])
                assert time.monotonic() - start < 10, "the worker still sleeps; nobody waits for it"


def lose(cluster):
    cluster.kill(cluster.processes[0])


@pytest.mark.slow
def test_a_worker_that_comes_later_is_asked_too(one, small, tmp_path):
    config = read_config(small / "config.yaml")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(ELSEWHERE["a library"][0])
    with open_pool(1, one.address, alike(config)) as pool:
        assert pool.map(abs, [-1]) == [1]
        one.kill(one.processes[-1])
        # Else the task may be given to the one that is gone, and its loss be counted.
        wait(lambda: not pool._client.scheduler_info()["workers"], "the worker to be missed")
        one.work(path=f"{tmp_path / 'site'}{os.pathsep}{PROJECT}")
        with pytest.raises(InputError, match=r"worker on .*: rasterio is 1\.0 there"):
            pool.map(abs, [-1])


@pytest.mark.slow
def test_a_cluster_that_stays_without_workers_is_given_up(one, monkeypatch):
    monkeypatch.setattr(parallel, "_LOOK_S", 0.2)
    monkeypatch.setattr(parallel, "_ALONE_S", 1.0)
    with open_pool(1, one.address) as pool:
        one.kill(one.processes[-1], signal.SIGTERM)
        wait(lambda: not pool._client.scheduler_info()["workers"], "the worker to be missed")
        with pytest.raises(WorkersError, match="stage abs: the cluster has had no worker for 1 s"):
            pool.map(abs, [-1])


# --- decisions ---


@pytest.mark.parametrize(
    ("left", "workers", "each_s", "expected"),
    [
        (24, 2, None, (1, 2)),  # none seen: one for each worker
        (7, 2, None, (1, 7)),  # too few to be put together anyway
        (1170, 2, 0.03, (33, 1170)),
        (1170, 2, 0.001, (146, 1170)),  # four tasks a worker
        (36, 2, 9.0, (1, 36)),
        (1170, 400, 0.03, (1, 1170)),
        (5, 2, 0.0, (1, 5)),
    ],
)
def test_items_are_put_together_to_tasks_of_a_second(left, workers, each_s, expected):
    assert wave(left, workers, each_s) == expected


@given(st.integers(1, 10**6), st.integers(1, 1000), st.none() | st.floats(0, 1e4))
def test_a_wave_hands_out_something_and_leaves_no_worker_idle(left, workers, each_s):
    size, count = wave(left, workers, each_s)
    assert 1 <= size <= count <= left
    assert each_s is None or count == left
    if left >= workers * 4:
        assert count / size >= workers


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"tcp://a:1": None, "tcp://b:2": "no"}, "worker tcp://b:2: no"),
        ({"tcp://a:1": ModuleNotFoundError("No module named 'pipeline'")}, "cannot be imported there"),
        ({"tcp://a:1": OSError("away")}, "cannot be asked (OSError: away)"),
    ],
)
def test_what_workers_answer_is_told_in_one_line(answers, said):
    client = types.SimpleNamespace(run=lambda _, on_error: answers)  # noqa: ARG005
    with pytest.raises(InputError) as told:
        ask_all(client, lambda: None)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


def test_workers_that_are_alike_are_let_in(small, tmp_path):
    config = read_config(small / "config.yaml").model_copy(update={"out": tmp_path / "out"})
    with alike(config) as check:
        assert check() is None
        assert hash(check) == hash(check)
        mark = next((tmp_path / "out" / ".work").iterdir())
        mark.write_text("of another run")
        assert "is not the folder that it is here" in check()
    assert not (tmp_path / "out").exists(), "a run that is refused leaves nothing"
