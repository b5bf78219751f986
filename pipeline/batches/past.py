"""What ran, read from ``<out>/state.sqlite``; waits for a batch that is writing, and changes nothing."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.batches.state_records import (
    APPLICATION,
    BATCH,
    FORMAT,
    STATE,
    BatchRun,
    Letter,
    SiteKnown,
    SiteRun,
    held_elsewhere,
    other_format,
)
from pipeline.errors import ProductError
from pipeline.products.atomic import atomic_path

_WAIT_S = 5.0
_BATCH = "SELECT number, started, finished, exit_status, version, sites FROM batches"
_RUNS = """
SELECT r.id, r.batch, r.site, r.started, r.ended, r.outcome, r.error, r.kind, r.seconds, r.manifest_sha256,
  r.site_sha256, r.settings_sha256, b.version
FROM site_runs r JOIN batches b ON b.number = r.batch
WHERE r.id IN (SELECT last FROM sites UNION SELECT ended FROM sites UNION SELECT good FROM sites)
"""
_LETTERS = "SELECT number, batch, way, subject, body, error FROM letters ORDER BY number"


class Rows(Protocol):
    """Something that can be asked: the database as its writer has it, or as a reader."""

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query."""


@dataclass(frozen=True)
class Past:
    """All that is known of a folder: its newest batch, sites by id, digests not delivered, begin of the first batch."""

    batch: BatchRun | None = None
    sites: Mapping[str, SiteKnown] = field(default_factory=dict)
    letters: tuple[Letter, ...] = ()
    since: str | None = None


def read_past(out: Path) -> Past:
    """Read what ran in a folder; nothing where no batch ran.

    Raises
    ------
    ProductError
        The file is no record of batches, or cannot be read.
    """
    path = out / STATE
    if not path.exists():
        return Past()
    try:
        # Not read-only: a batch that was killed while it wrote left a journal, which the first reader plays back.
        address = f"{path.absolute().as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(address, timeout=_WAIT_S, uri=True)) as connection:
            connection.execute("BEGIN")  # all of it as it was at one moment
            return past_of(_checked(path, _Reader(connection)))
    except sqlite3.Error as error:
        raise ProductError(
            held_elsewhere(path, error)
            or f"{path}: cannot be read ({error}); the next run keeps it aside and begins a new one"
        ) from error


def _checked(path: Path, database: Rows) -> Rows:
    """Return a database of this program and version; :class:`ProductError` for any other."""
    ((application,),), ((written,),) = (database.rows(f"PRAGMA {key}") for key in ("application_id", "user_version"))
    if application != APPLICATION:
        raise ProductError(f"{path}: is no record of batches; the next run keeps it aside and begins a new one")
    if written != FORMAT:
        raise ProductError(other_format(path, written))
    return database


def past_of(database: Rows) -> Past:
    """Read the same from an open database."""
    batches = [BatchRun(*row) for row in database.rows(f"{_BATCH} WHERE number > 0 ORDER BY number DESC LIMIT 1")]
    runs = {row[0]: SiteRun(*row[1:]) for row in database.rows(_RUNS)}
    sites = {
        site: SiteKnown(site, runs[last], runs.get(ended), runs.get(good), told)
        for site, last, ended, good, told in database.rows("SELECT site, last, ended, good, told FROM sites")
    }
    letters = [Letter(*row) for row in database.rows(_LETTERS)]
    begins = database.rows("SELECT started FROM batches WHERE number > 0 ORDER BY number LIMIT 1")
    return Past(batches[0] if batches else None, sites, tuple(letters), begins[0][0] if begins else None)


def how_ended(past: Past) -> dict[str, dict[str, object]]:
    """How each site ended last, as ``batch.json`` has it; one that was only ever interrupted is not in it."""
    return {
        site: {"finished": run.ended, "ok": run.outcome != "failed", "error": run.error, "seconds": run.seconds}
        for site, known in past.sites.items()
        if (run := known.ended) is not None
    }


def write_ended(out: Path, past: Past) -> None:
    """Write ``batch.json``; :class:`ProductError` when that fails, a former one is then untouched."""
    with atomic_path(out / BATCH) as path:
        path.write_text(json.dumps(how_ended(past), indent=1, sort_keys=True) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Reader:
    connection: sqlite3.Connection

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, values).fetchall()
