"""What one command costs, run as a process of its own: time, memory, bytes read. Linux only."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_PERIOD_S = 0.1
"""Between two looks at memory: a look at a large process takes some milliseconds of one core."""
_TAIL = 2_000


class FailedRunError(Exception):
    """A measured command did not end well."""


@dataclass(frozen=True)
class Usage:
    """What one run of a command took.

    Attributes
    ----------
    wall_s : float
        From its start to its end.
    cpu_s : float
        User and system time of the process and all it started and waited for.
    largest_bytes : int
        Peak resident memory of its largest process: the kernel's own high-water mark, read ten times a second. (What
        it tells at the end of a process begins with what its parent held.)
    peak_bytes : int
        Peak of the memory of all its processes together, pages they share counted once; looked at ten times a
        second. Pages of mapped files are in it, which the kernel takes back when it must.
    own_bytes : int
        The same without pages of files: what cannot be taken back.
    read_bytes : int
        What was asked of files and pipes, libraries included; not what is read through mapped files.
    answer : Mapping[str, Any]
        The last line it printed, where that is a JSON object; else empty.
    """

    wall_s: float
    cpu_s: float
    largest_bytes: int
    peak_bytes: int
    own_bytes: int
    read_bytes: int
    answer: Mapping[str, Any]


def measure(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path) -> Usage:
    """Run a command to its end and return what it took.

    Parameters
    ----------
    command : sequence of str or Path
    env : Mapping[str, str]
        Added to this process's environment.
    cwd : Path

    Raises
    ------
    FailedRunError
        The command's exit status is not 0; holds the end of what it said.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said, tempfile.TemporaryFile("w+", encoding="utf-8") as told:
        started = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command], env={**os.environ, **env}, cwd=cwd, stdout=said, stderr=told
        )
        watch = _Watch(process.pid)
        watch.start()
        # Left as it is for a moment: what it read is known as long as nobody has waited for it.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        wall = time.monotonic() - started
        watch.end()
        read = bytes_read(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        told.seek(0)
        out, errors = said.read(), told.read()
    if process.returncode != 0:
        raise FailedRunError(f"{' '.join(map(str, command))}: exit {process.returncode}: {(errors or out)[-_TAIL:]}")
    return Usage(
        wall_s=wall,
        cpu_s=usage.ru_utime + usage.ru_stime,
        largest_bytes=watch.largest_bytes,
        peak_bytes=watch.peak_bytes,
        own_bytes=watch.own_bytes,
        read_bytes=read,
        answer=_last_object(out),
    )


def bytes_read(pid: int) -> int:
    """Bytes a process asked of files and pipes, with those of children it has waited for."""
    lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar:"))


def shared_out(rollup: str) -> tuple[int, int]:
    """Bytes of a process by its ``smaps_rollup``: all, and without pages of files; of shared pages its part."""
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines() if line.endswith("kB")}
    whole = kilobytes.get("Pss", 0)
    return whole * 1024, (whole - kilobytes.get("Pss_File", 0)) * 1024


def _last_object(text: str) -> dict[str, Any]:
    lines = text.strip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


class _Watch(threading.Thread):
    """Looks at the memory of a process and all below it until it is told to end."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._over = threading.Event()
        self.largest_bytes = 0
        self.peak_bytes = 0
        self.own_bytes = 0

    def run(self) -> None:
        while not self._over.wait(_PERIOD_S):
            parts = [_memory(pid) for pid in self._tree()]
            self.largest_bytes = max(self.largest_bytes, *(mark for mark, _, _ in parts), 0)
            self.peak_bytes = max(self.peak_bytes, sum(whole for _, whole, _ in parts))
            self.own_bytes = max(self.own_bytes, sum(own for _, _, own in parts))

    def end(self) -> None:
        self._over.set()
        self.join()

    def _tree(self) -> list[int]:
        try:
            return [self._pid, *(child.pid for child in psutil.Process(self._pid).children(recursive=True))]
        except psutil.NoSuchProcess:
            return []


def _memory(pid: int) -> tuple[int, int, int]:
    """Give high-water mark, memory, and memory without files; 0 for a process that has ended since it was listed."""
    place = Path(f"/proc/{pid}")
    try:
        status = (place / "status").read_text(encoding="utf-8")
        whole, own = shared_out((place / "smaps_rollup").read_text(encoding="ascii"))
    except OSError:
        return 0, 0, 0
    mark = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return mark * 1024, whole, own
