"""One batch at a time in a folder of results; a lock left by a dead process is free."""

import errno
import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.errors import BusyError, ProductError

LOCK = ".lock"
_TRIES, _PAUSE_S = 5, 0.05
"""Who asks whether the lock is held takes it for a moment: that is not a batch."""


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold a folder of results, which is made when missing.

    Raises
    ------
    BusyError
        Another batch holds it.
    ProductError
        The folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise ProductError(f"{out}: {error.strerror}; choose a folder that can be written with --out") from error
    with file:
        for _ in range(_TRIES):
            if _taken(file, fcntl.LOCK_EX):
                break
            time.sleep(_PAUSE_S)
        else:
            raise BusyError(f"{out}: another batch is running there; wait for it or choose another --out")
        yield


def is_locked(out: Path) -> bool:
    """Whether a batch is running in a folder; False also where there is no such folder."""
    try:
        file = (out / LOCK).open("r", encoding="utf-8")
    except OSError:
        return False
    with file:
        return not _taken(file, fcntl.LOCK_SH)


def _taken(file: TextIO, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise ProductError(f"{file.name}: {error.strerror}; choose an --out on a disk that knows locks") from error
        return False
    return True
