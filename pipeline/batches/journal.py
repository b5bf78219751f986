"""The log of a batch, ``<out>/logs/<batch>.jsonl``: one JSON object a line, written as it happens.

Each line has ``time`` (UTC, ms), ``seq`` (counts, also where the clock jumps), ``level`` (info, warning, error),
``site``, ``stage``, ``event``, ``text`` and ``numbers``; what does not apply is null. A batch that is killed leaves at
most its last line unfinished.
"""

import datetime as dt
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, TextIO

from pipeline.batches.state_records import LOGS
from pipeline.errors import ProductError
from pipeline.parallel import Progress
from pipeline.printable import plain

Level = Literal["info", "warning", "error"]


def log_path(out: Path, batch: int) -> Path:
    """Where the log of a batch is."""
    return out / LOGS / f"{batch:04d}.jsonl"


class Journal:
    """A log that is being written, from whatever thread; a context manager.

    A line that cannot be written fails no site: the first reason is kept in ``failed``, and nothing more is written.

    Parameters
    ----------
    out : Path
    batch : int

    Raises
    ------
    ProductError
        The log cannot be made.
    """

    def __init__(self, out: Path, batch: int) -> None:
        self.path = log_path(out, batch)
        self.failed: str | None = None
        self._lock = threading.Lock()
        self._seq = 0
        self._stages: dict[str, str] = {}
        try:
            self.path.parent.mkdir(exist_ok=True)
            self._file: TextIO = self.path.open("x", encoding="utf-8", buffering=1, newline="\n")
        except OSError as error:
            raise ProductError(f"{self.path}: {_remedy(self.path.parent, error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for step in (self._file.flush, lambda: os.fsync(self._file.fileno()), self._file.close):
                try:
                    step()
                except (OSError, ValueError) as error:  # a disk that is full says so at each of them
                    self.failed = self.failed or _why(self.path, error)

    def write(
        self, event: str, text: str | None = None, *, site: str | None = None, level: Level = "info", **numbers: float
    ) -> None:
        """Write one line; ``numbers`` are what the text counts, for programs."""
        with self._lock:
            self._seq += 1
            entry = {
                "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "seq": self._seq,
                "level": level,
                "site": site,
                "stage": self._stages.get(site) if site is not None else None,
                "event": event,
                "text": None if text is None else plain(text),
                "numbers": numbers or None,
            }
            if self.failed is not None:
                return
            try:
                self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            except OSError as error:
                self.failed = _why(self.path, error)

    def said(self, site: str, line: str) -> None:
        """Write what was said of a site."""
        self.write("said", line, site=site)

    def showed(self, site: str, stage: str, progress: Progress) -> None:
        """Write that a stage of a site began, and that it is done; steps between are not worth a line."""
        if self._stages.get(site) != stage:
            self._stages[site] = stage
            self.write("stage_started", site=site, items=progress.total)
        if progress.done == progress.total:
            self.write("stage_finished", site=site, items=progress.total, tasks=progress.tasks)
            self._stages.pop(site, None)


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Read the entries of a log; a last line that is not whole is left out.

    Raises
    ------
    ProductError
        The log cannot be read, or a line that is not the last is none of a log.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ProductError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line) if line else None
        except ValueError as error:
            if number == len(lines):
                return
            raise ProductError(f"{path}: line {number}: is not of a log ({error})") from error
        if isinstance(entry, dict):
            yield entry


def _remedy(folder: Path, error: OSError) -> str:
    """Say why a log cannot be made, and what to do."""
    if folder.exists() and not folder.is_dir():
        return f"cannot be written: {folder} is no folder; move it away, then run again"
    if isinstance(error, PermissionError):
        return f"cannot be written ({error.strerror}); allow writing in {folder}, then run again"
    return f"cannot be written ({error.strerror}); free disk space, then run again"


def _why(path: Path, error: Exception) -> str:
    return f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); free disk space"
