"""The only module that imports dask. Serial and parallel run the same functions in the same order.

A pool maps a function over items and gives results in order. With one worker it is a plain call; with
more, tasks run in processes of a local cluster, or on the cluster at a scheduler's address (which must see
the same file system). Tasks take and return records and small arrays; pixels stay on disk.
"""

import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from pipeline.errors import InputError

Out = TypeVar("Out")


class Pool(Protocol):
    """What the flow asks of parallel execution."""

    workers: int

    def map(self, function: Callable[..., Out], items: Iterable[Any], *shared: Any) -> list[Out]:
        """Results of ``function(item, *shared)`` for every item, in order; the first error is raised."""

    def stop(self) -> None:
        """Have every map of other threads end with KeyboardInterrupt: those under way and those to come."""


class SerialPool:
    """One worker: plain calls in the caller."""

    workers = 1

    def map(self, function: Callable[..., Out], items: Iterable[Any], *shared: Any) -> list[Out]:
        """Call the function for each item, in order."""
        return [function(item, *shared) for item in items]

    def stop(self) -> None:
        """Do nothing: the only thread is the caller's."""


class DaskPool:
    """Tasks on a Dask cluster; may be used from several threads."""

    def __init__(self, client: Any, workers: int) -> None:
        self._client = client
        self.workers = workers
        self._stopped = threading.Event()
        self._under_way: dict[int, list[Any]] = {}

    def map(self, function: Callable[..., Out], items: Iterable[Any], *shared: Any) -> list[Out]:
        """Submit a task for every item and gather in order; what is shared travels once to each worker."""
        (common,) = self._client.scatter([shared], broadcast=True, hash=False)
        futures = self._client.map(_call, list(items), function=function, shared=common, pure=False)
        self._under_way[id(futures)] = futures
        try:
            if self._stopped.is_set():
                raise KeyboardInterrupt
            return list(self._client.gather(futures))
        except CancelledError as error:
            raise KeyboardInterrupt from error
        finally:
            del self._under_way[id(futures)]
            self._client.cancel(futures)

    def stop(self) -> None:
        """Have every map of other threads end with KeyboardInterrupt: those under way and those to come."""
        self._stopped.set()
        for futures in list(self._under_way.values()):
            self._client.cancel(futures, force=True)


def _call(item: Any, function: Callable[..., Out], shared: tuple[Any, ...]) -> Out:
    return function(item, *shared)


@contextmanager
def open_pool(workers: int, scheduler: str | None = None) -> Iterator[Pool]:
    """Give a pool: plain calls for one worker, else a local cluster or the one at ``scheduler``."""
    if scheduler is None and workers == 1:
        yield SerialPool()
        return
    import dask  # noqa: PLC0415 - imported late: one worker needs none of it
    import distributed  # noqa: PLC0415

    quiet = {
        "distributed.worker.daemon": True,
        "distributed.comm.timeouts.connect": "30s",
        "distributed.admin.system-monitor.gil.enabled": False,
        # The default hands freed memory back at once; block after block of arrays then spends a third of the
        # time in page faults (measured on the demo camp: 22 s of system time, 1.4 s with this).
        "distributed.nanny.pre-spawn-environ": {
            "MALLOC_TRIM_THRESHOLD_": "1073741824",
            "MALLOC_MMAP_THRESHOLD_": "268435456",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
        # A worker over its memory is slow, not wrong; killing it would lose a site.
        "distributed.worker.memory.terminate": False,
    }
    with dask.config.set(quiet), tempfile.TemporaryDirectory(prefix="stockline-") as scratch:
        if scheduler is not None:
            with _connected(scheduler) as client:
                yield DaskPool(client, _count_workers(client, scheduler))
            return
        with _local_cluster(workers, scratch) as cluster, distributed.Client(cluster, set_as_default=False) as client:
            yield DaskPool(client, workers)


def _local_cluster(workers: int, scratch: str) -> Any:
    """Start worker processes that leave Ctrl-C to this one.

    A terminal interrupts every process it started; workers that died of it would print where they were. What
    a process ignores when it starts another is ignored there too; only a main thread may set it.
    """
    import distributed  # noqa: PLC0415

    ours = threading.current_thread() is threading.main_thread()
    former = signal.signal(signal.SIGINT, signal.SIG_IGN) if ours else None
    try:
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=50,
            local_directory=scratch,
        )
    finally:
        if ours:
            signal.signal(signal.SIGINT, former)


def _connected(scheduler: str) -> Any:
    """Return a client of a running scheduler, or say that none answers at the address."""
    import distributed  # noqa: PLC0415

    try:
        return distributed.Client(scheduler, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--scheduler {scheduler}: no Dask scheduler answers there ({error}); give e.g. tcp://host:8786"
        ) from error


def _count_workers(client: Any, scheduler: str) -> int:
    """Return how many workers a scheduler has; without any nothing would ever be done."""
    workers = len(client.nthreads())
    if workers == 0:
        raise InputError(f"--scheduler {scheduler}: it has no workers; start one with dask worker {scheduler}")
    return workers
