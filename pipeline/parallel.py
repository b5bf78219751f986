"""The only module that imports dask. Serial and parallel run the same functions in the same order.

A pool maps a function over items and gives results in order. With one worker it is a plain call; with
more, tasks run in processes of a local cluster, or on the cluster at a scheduler's address (which must see
the same file system). Tasks take and return records and small arrays; pixels stay on disk.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

Out = TypeVar("Out")


class Pool(Protocol):
    """What the flow asks of parallel execution."""

    workers: int

    def map(self, function: Callable[..., Out], *items: Iterable[Any]) -> list[Out]:
        """Results of ``function`` over ``items``, in order; the first error is raised."""


class SerialPool:
    """One worker: plain calls in the caller."""

    workers = 1

    def map(self, function: Callable[..., Out], *items: Iterable[Any]) -> list[Out]:
        """Call the function for each item, in order."""
        return [function(*arguments) for arguments in zip(*items, strict=True)]


class DaskPool:
    """Tasks on a Dask cluster; may be shared by threads."""

    def __init__(self, client: Any, workers: int) -> None:
        self._client = client
        self.workers = workers

    def map(self, function: Callable[..., Out], *items: Iterable[Any]) -> list[Out]:
        """Submit all items, gather in order. On an error the rest is cancelled."""
        futures = self._client.map(function, *[list(i) for i in items], pure=False)
        try:
            return list(self._client.gather(futures))
        finally:
            self._client.cancel(futures)


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
        "distributed.worker.memory.terminate": False,
    }
    with dask.config.set(quiet), tempfile.TemporaryDirectory(prefix="stockline-") as scratch:
        if scheduler is not None:
            with distributed.Client(scheduler, set_as_default=False) as client:
                yield DaskPool(client, len(client.scheduler_info()["workers"]))
            return
        with (
            distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=50,
                local_directory=scratch,
            ) as cluster,
            distributed.Client(cluster, set_as_default=False) as client,
        ):
            yield DaskPool(client, workers)
