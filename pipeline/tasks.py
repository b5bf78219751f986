"""Tasks of a cluster: how many items each has, how they are packed, and what a worker does with one."""

import pickle
import platform
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from pipeline.errors import InputError
from pipeline.threads import settle

Out = TypeVar("Out")
Check = Callable[[], str | None]
"""Run by a worker: one line on what is different there, None when it may work."""
_TASK_S, _TASKS_PER_WORKER = 1.0, 4


def wave(left: int, workers: int, each_s: float | None) -> tuple[int, int]:
    """Items per task, and how many items to hand out now.

    Tasks of about a second lose little with a worker that is killed and cost the scheduler little; each worker gets
    several, so that one slow task keeps no other waiting.

    Parameters
    ----------
    left : int
        Items not handed out.
    workers : int
        Threads of the cluster.
    each_s : float or None
        Seconds an item takes; None when none has been seen: then a few go first, one by one.
    """
    share = max(1, left // (workers * _TASKS_PER_WORKER))
    if each_s is None:
        return 1, left if share == 1 else min(workers, left)
    return min(share, max(1, int(_TASK_S / max(each_s, 1e-6)))), left


def same(value: Out) -> Out:
    """Give what was given: how a cluster keeps one copy of something for many tasks."""
    return value


def call(shared: bytes, items: bytes, check: Check) -> tuple[list[Any], float]:
    """Run by a worker: the results of one task, and the seconds it took."""
    settle()
    _agree(check)
    function, more = _unpacked(shared)
    start = time.perf_counter()
    found = [function(item, *more) for item in pickle.loads(items)]  # noqa: S301 - from our own client
    return found, time.perf_counter() - start


@lru_cache(maxsize=4)
def _unpacked(shared: bytes) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Give what the tasks of a map share; unpacked once, not for every task."""
    function, more = pickle.loads(shared)  # noqa: S301 - from our own client
    return function, more


@lru_cache(maxsize=4)
def _agree(check: Check) -> None:
    """Ask once whether this process may work: workers may join a cluster while it works."""
    difference = check()
    if difference is not None:
        raise InputError(f"worker on {platform.node()}: {difference}")


def ask_all(client: Any, check: Check) -> None:
    """Ask every worker what is different there; :class:`InputError` names the first that says something."""
    for worker, said in sorted(client.run(check, on_error="return").items()):
        if isinstance(said, ImportError):
            raise InputError(f"worker {worker}: stockline cannot be imported there ({said}); install it as here")
        if isinstance(said, BaseException):
            raise InputError(f"worker {worker}: cannot be asked ({type(said).__name__}: {said})")
        if said is not None:
            raise InputError(f"worker {worker}: {said}")
