"""Threads of one process: calls that are under way, that fail, that are given up; and a process that works.

Dask's threaded scheduler decides what is called when (:mod:`pipeline.parallel`); here is what it calls with.
"""

import ctypes
import os
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

_WAIT_S = 10.0
"""For calls under way when their map is given up; they write into folders that are removed next."""
_GDAL_CACHE_MB = "64"
"""GDAL's own choice is a twentieth of the machine's memory; a block's tiles are read once and not asked for again."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_TRIM_BYTES, _MMAP_BYTES = 1 << 26, 1 << 23
"""Dask's workers are told to hand freed memory back at once; the next array then pays for it in page faults (measured
on 8 scenes of 1024 x 1024 px: 10.7 s of system time, 2.6 s with these; glibc's own choice 2.3 s)."""


def settle() -> None:
    """Bound the caches of this process and keep freed memory for the next array; called before pixels are read."""
    from rasterio.errors import NotGeoreferencedWarning  # noqa: PLC0415 - --help imports this module, not rasterio

    # Rasters that lie nowhere are refused in words of ours. For good: filters are the process's, and a thread that
    # puts back those it found would have the warning come out in another.
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    os.environ.setdefault("GDAL_CACHEMAX", _GDAL_CACHE_MB)
    _keep_memory()


@lru_cache(maxsize=1)
def _keep_memory() -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # only glibc has it
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)


def hand_back() -> None:
    """Give free memory back to the system: outlines leave it in small pieces that the next stage has no use for."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # only glibc has it
        trim(0)


class Hands:
    """The threads, as Dask takes them; what it waits for can be given up while a thread is still at it."""

    def __init__(self, workers: int) -> None:
        self._max_workers = workers  # asked for by Dask
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="stockline")
        self._guard = threading.Lock()
        self._awaited: set[Future[Any]] = set()
        self._stopped = False

    def check(self) -> None:
        """Raise KeyboardInterrupt when stopped."""
        if self._stopped:
            raise KeyboardInterrupt

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Begin a call, which raises nothing (Dask packs errors), and promise its result."""
        promise: Future[Any] = Future()
        with self._guard:
            self.check()
            self._awaited.add(promise)
        self._threads.submit(lambda: self._keep(promise, function(*arguments)))
        return promise

    def _keep(self, promise: Future[Any], found: object) -> None:
        with self._guard:
            awaited = promise in self._awaited
            self._awaited.discard(promise)
        if awaited:
            promise.set_result(found)

    def stop(self) -> None:
        """Have all that is waited for fail, now and from now on."""
        with self._guard:
            self._stopped = True
            given_up, self._awaited = self._awaited, set()
        for promise in given_up:
            promise.set_exception(KeyboardInterrupt())

    def close(self) -> None:
        """Let the threads end when they have nothing left to do."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class NotBegunError(Exception):
    """The map of a call is over."""


class Calls:
    """The calls of one map: their results, which are under way, and how they failed.

    Parameters
    ----------
    function : callable
    items : list
    tell : callable
        Takes the number of items done; one call at a time.
    """

    def __init__(self, function: Callable[[Any], Any], items: list[Any], tell: Callable[[int], None]) -> None:
        self.found: list[Any] = [None] * len(items)
        self._function = function
        self._items = items
        self._tell = tell
        self._change = threading.Condition()
        self._begun = self._busy = self._done = 0
        self._over = False
        self._failed: dict[int, Exception] = {}

    def one(self) -> None:
        """Call the function for the next item, in their order; for none when the map is over or a call has failed."""
        with self._change:
            if self._over or self._failed:
                raise NotBegunError
            index = self._begun
            self._begun += 1
            self._busy += 1
        try:
            self.found[index] = self._function(self._items[index])
            with self._change:
                self._done += 1
                self._tell(self._done)
        except Exception as error:
            self._failed[index] = error
            raise
        finally:
            with self._change:
                self._busy -= 1
                self._change.notify_all()

    def end(self) -> Exception | None:
        """Begin no more, wait a while for what is under way, and return the error of the first item that failed."""
        with self._change:
            self._over = True
            self._change.wait_for(lambda: self._busy == 0, timeout=_WAIT_S)
            return self._failed[min(self._failed)] if self._failed else None
