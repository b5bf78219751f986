"""Which working copies and logs go when disk space is short: decisions only.

:mod:`pipeline.batches.working_copies` obeys them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

KEPT_LOGS = 30
"""Logs that stay whatever their age: a clock that was wrong for a day makes no log old."""
Kind = Literal["leftover", "memory", "fetch"]
_DAY_S = 86_400.0
_ORDER = ("memory", "fetch")
"""What is computed again goes before what would be fetched again, which may be paid for."""


@dataclass(frozen=True)
class Copy:
    """Something that no result rests on.

    Attributes
    ----------
    path : str
    kind : {"leftover", "memory", "fetch"}
        Left by a process that was killed, or given up; what a site remembers; a fetch that can go on.
    size_bytes : int
    used : float
        When it was used last, seconds since 1970.
    """

    path: str
    kind: Kind
    size_bytes: int
    used: float


def going(copies: Sequence[Copy], most_bytes: int | None, lacking_bytes: int = 0) -> list[Copy]:
    """Return what is to be removed, in this order: leftovers, then what was used longest ago, as far as is needed.

    Parameters
    ----------
    copies : sequence of Copy
    most_bytes : int or None
        What may stay in all; None: no limit.
    lacking_bytes : int
        What must become free in any case.
    """
    gone = sorted((c for c in copies if c.kind == "leftover"), key=lambda c: c.path)
    rest = [c for c in copies if c.kind != "leftover"]
    held = sum(c.size_bytes for c in rest)
    freed = sum(c.size_bytes for c in gone)
    for copy in sorted(rest, key=lambda c: (_ORDER.index(c.kind), c.used, c.path)):
        if freed >= lacking_bytes and (most_bytes is None or held <= most_bytes):
            break
        gone.append(copy)
        held, freed = held - copy.size_bytes, freed + copy.size_bytes
    return gone


def old_logs(written: Sequence[tuple[int, float]], keep_days: int) -> list[int]:
    """Return numbers of the logs that go.

    A log is old by the middle of the newest logs, not by the clock of this batch: a clock that is wrong now, or was
    once, removes nothing.

    Parameters
    ----------
    written : sequence of (int, float)
        Number of the batch, which is their order, and when the log was written last, seconds since 1970.
    keep_days : int
    """
    ordered = sorted(written)
    if len(ordered) <= KEPT_LOGS:
        return []
    times = sorted(when for _, when in ordered[-KEPT_LOGS:])
    since = times[len(times) // 2] - keep_days * _DAY_S
    return [number for number, when in ordered[:-KEPT_LOGS] if when < since]
