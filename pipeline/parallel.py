"""The only module that imports dask. Serial and parallel run the same functions in the same order.

A pool maps a function over items and gives results in order. With one worker it is a plain call. More workers of one
machine are threads: kernels and GDAL leave the interpreter to others while they work, and imports, compiled code and
memory are paid once. The workers of a cluster at a scheduler's address are processes that see the same folders.
Tasks take and return records and small arrays; pixels stay on disk.
"""

import logging
import pickle
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from pipeline.errors import InputError, WorkersError
from pipeline.tasks import Check, ask_all, call, same, stage_of, wave
from pipeline.threads import Calls, Hands, hand_back, settle

Out = TypeVar("Out")
_CONNECT_S = "10s"
_LOOK_S, _ALONE_S = 15.0, 300.0
"""How often to look whether there are workers, and how long to wait for the first to come back."""


@dataclass(frozen=True)
class Progress:
    """How far a map is: items done, all items, and the tasks they were handed out in so far."""

    done: int
    total: int
    tasks: int


Tell = Callable[[Progress], None]


def _silent(_: Progress) -> None:
    pass


class Pool(Protocol):
    """What the flow asks of parallel execution."""

    workers: int

    def map(self, function: Callable[..., Out], items: Iterable[Any], *shared: Any, tell: Tell = _silent) -> list[Out]:
        """Results of ``function(item, *shared)`` for every item, in order; the first error is raised."""

    def stop(self) -> None:
        """Have every map of other threads end with KeyboardInterrupt: those under way and those to come."""


class SerialPool:
    """One worker: plain calls in the caller."""

    workers = 1

    def map(self, function: Callable[..., Out], items: Iterable[Any], *shared: Any, tell: Tell = _silent) -> list[Out]:
        """Call the function for each item, in order."""
        todo = list(items)
        found = []
        for item in todo:
            found.append(function(item, *shared))
            tell(Progress(len(found), len(todo), len(found)))
        hand_back()
        return found

    def stop(self) -> None:
        """Do nothing: the only thread is the caller's."""


class ThreadPool:
    """Threads of this process, driven by Dask's threaded scheduler; may be used from several threads."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._hands = Hands(workers)

    def map(self, function: Callable[..., Out], items: Iterable[Any], *shared: Any, tell: Tell = _silent) -> list[Out]:
        """Call the function for each item in the threads; of several errors the one of the first item is raised."""
        from dask import threaded  # noqa: PLC0415 - imported late: one worker needs none of it

        todo = list(items)
        calls = Calls(
            lambda item: function(item, *shared), todo, lambda done: tell(Progress(done, len(todo), len(todo)))
        )
        # Dask has an order of its own for calls that need nothing of each other: each takes the next item.
        graph = {f"call-{number}": (calls.one,) for number in range(len(todo))}
        try:
            self._hands.check()
            threaded.get(graph, list(graph), pool=self._hands)
        except BaseException as error:
            first = calls.end()
            # Of a map that fails Dask may tell of a call that was not begun; an interrupt stays one.
            if isinstance(error, Exception) and first is not None:
                raise first from None
            raise
        finally:
            hand_back()
        return calls.found

    def stop(self) -> None:
        """Have every map of other threads end with KeyboardInterrupt: those under way and those to come."""
        self._hands.stop()

    def close(self) -> None:
        """Let the threads end."""
        self._hands.close()


class DaskPool:
    """Tasks on a Dask cluster; may be used from several threads.

    A worker that is killed loses its tasks to others; a task that fails is not tried again. All that a task needs
    travels with it, so that nothing is lost with a worker.

    Parameters
    ----------
    client : distributed.Client
    check : callable
        Asked once by every process that works; a line from it ends the run.
    """

    def __init__(self, client: Any, check: Check) -> None:
        self.workers = sum(client.nthreads().values())
        self._client = client
        self._check = check
        self._stopped = False
        self._under_way: set[SimpleQueue[Any]] = set()
        self._each_s: dict[str, float] = {}

    def map(self, function: Callable[..., Out], items: Iterable[Any], *shared: Any, tell: Tell = _silent) -> list[Out]:
        """Hand the items out in tasks of about a second and gather the results in order."""
        todo, stage = list(items), stage_of(function)
        tasks = _Tasks(self._client, stage, self._client.submit(same, pickle.dumps((function, shared)), pure=False))
        self._under_way.add(tasks.ended)
        found: list[Any] = [None] * len(todo)
        given = done = 0
        try:
            while done < len(todo):
                if self._stopped:
                    raise KeyboardInterrupt
                each_s = self._each_s.get(stage)
                if given == 0 or each_s is not None:
                    size, count = wave(len(todo) - given, self.workers, each_s)
                    tasks.begin(todo, range(given, given + count, size), size, self._check)
                    given += count
                start, results, seconds = tasks.result()
                self._each_s.setdefault(stage, seconds / len(results))
                found[start : start + len(results)] = results
                done += len(results)
                tell(Progress(done, len(todo), len(tasks.futures)))
            return found
        finally:
            self._under_way.discard(tasks.ended)
            tasks.cancel()

    def stop(self) -> None:
        """Have every map of other threads end with KeyboardInterrupt: those under way and those to come."""
        self._stopped = True
        for ended in list(self._under_way):
            ended.put(None)


class _Tasks:
    """The tasks of one map on a cluster."""

    def __init__(self, client: Any, stage: str, shared: Any) -> None:
        self.futures: dict[str, tuple[int, Any]] = {}
        self.ended: SimpleQueue[Any] = SimpleQueue()
        self._client = client
        self._stage = stage
        self._shared = shared

    def begin(self, todo: Sequence[Any], starts: range, size: int, check: Check) -> None:
        """Hand out items from each start on."""
        for start in starts:
            items = pickle.dumps(todo[start : min(start + size, starts.stop)])
            name = f"{self._stage}-{uuid.uuid4().hex}"
            future = self._client.submit(call, self._shared, items, check, key=name, pure=False)
            self.futures[future.key] = start, future
            future.add_done_callback(self.ended.put)

    def result(self) -> tuple[int, list[Any], float]:
        """Wait for the next task to end: its first item, its results, and the seconds it took.

        Raises
        ------
        WorkersError
            It cost every worker that took it, there are no workers any more, or the scheduler has gone.
        KeyboardInterrupt
            The pool is stopped.
        """
        from distributed.scheduler import KilledWorker, NoWorkerError  # noqa: PLC0415

        future = self._next()
        if future is None:
            raise KeyboardInterrupt
        try:
            results, seconds = future.result()
        except KilledWorker as error:
            raise WorkersError(
                f"stage {self._stage}: {error.allowed_failures + 1} workers were lost one after the other with the "
                "same task; give each worker more memory (docs/cluster.md) and run again"
            ) from None
        except (NoWorkerError, CancelledError) as error:
            raise WorkersError(
                f"stage {self._stage}: the cluster took no more work ({type(error).__name__}); run again"
            ) from None
        return self.futures[future.key][0], results, seconds

    def _next(self) -> Any:
        alone_s = 0.0
        while True:
            try:
                return self.ended.get(timeout=_LOOK_S)
            except Empty:
                alone_s = 0.0 if self._client.scheduler_info()["workers"] else alone_s + _LOOK_S
            if alone_s >= _ALONE_S:
                raise WorkersError(
                    f"stage {self._stage}: the cluster has had no worker for {alone_s:.0f} s; start some, run again"
                )

    def cancel(self) -> None:
        """Have the cluster forget all of it."""
        self._client.cancel([future for _, future in self.futures.values()], force=True)


@contextmanager
def open_pool(
    workers: int, scheduler: str | None = None, alike: AbstractContextManager[Check] | None = None
) -> Iterator[Pool]:
    """Give a pool: plain calls for one worker, else threads, or the cluster at ``scheduler``.

    Parameters
    ----------
    workers : int
        Threads; without meaning when there is a scheduler.
    scheduler : str or None
        Address of a running Dask scheduler.
    alike : context manager or None
        Entered when a scheduler has answered; what it gives is asked of every worker before its first task.

    Raises
    ------
    InputError
        No scheduler answers, it has no workers, or one of them differs; nothing has been done.
    """
    settle()
    if scheduler is not None:
        with _connected(scheduler) as client, alike or nullcontext(_no_difference) as check:
            ask_all(client, check)
            yield DaskPool(client, check)
    elif workers == 1:
        yield SerialPool()
    else:
        threads = ThreadPool(workers)
        try:
            yield threads
        finally:
            threads.close()


def _no_difference() -> None:
    return None


@contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    """Give a client of a running scheduler that has workers, or say that none answers at the address."""
    import distributed  # noqa: PLC0415 - half a second, which only a cluster needs
    from distributed.comm.addressing import get_address_host_port  # noqa: PLC0415

    remedy = "give e.g. tcp://host:8786, or tls://host:8786 and name the certificates to Dask (docs/cluster.md)"
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)  # what is lost is told by who needed it
    security, encrypted = distributed.Security(), scheduler.startswith(("tls://", "wss://"))
    # Told apart before a client is made: one that fails on them takes long to go.
    try:
        get_address_host_port(scheduler)
    except ValueError as error:
        raise InputError(f"--scheduler {scheduler}: is no address of a Dask scheduler ({error}); {remedy}") from error
    if encrypted and security.get_connection_args("client")["ssl_context"] is None:
        raise InputError(f"--scheduler {scheduler}: no certificates are configured; {remedy}")
    if security.require_encryption and not encrypted:
        raise InputError(f"--scheduler {scheduler}: Dask is configured to use encryption alone; {remedy}")
    try:
        client = distributed.Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except OSError as error:
        said = " ".join(str(error).split())
        raise InputError(f"--scheduler {scheduler}: no Dask scheduler answers there ({said}); {remedy}") from error
    with client:
        if not client.nthreads():
            raise InputError(f"--scheduler {scheduler}: it has no workers; start one with dask worker {scheduler}")
        yield client
