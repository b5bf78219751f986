"""The database of batches, ``<out>/state.sqlite``, as its one writer has it: the batch that holds the lock.

A working record, not a result. Each write is one short transaction that is on the disk when it returns: a killed batch
or a full disk loses at most the step under way, and readers (:mod:`pipeline.batches.past`) wait for milliseconds.
Batches are in the order of their numbers, because a clock may be set back.
"""

import contextlib
import datetime as dt
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.batches.state_records import (
    APPLICATION,
    BATCH,
    FORMAT,
    GOOD,
    LOGS,
    STATE,
    Letter,
    held_elsewhere,
    other_format,
)
from pipeline.errors import ProductError

_WAIT_S = 30.0
_BROKEN = {"SQLITE_NOTADB", "SQLITE_CORRUPT"}
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE batches(
  number INTEGER PRIMARY KEY, started TEXT NOT NULL, finished TEXT, exit_status INTEGER, version TEXT NOT NULL,
  sites INTEGER NOT NULL) STRICT;
CREATE TABLE site_runs(
  id INTEGER PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batches, site TEXT NOT NULL, started TEXT NOT NULL,
  ended TEXT, outcome TEXT CHECK (outcome IN ('finished', 'up_to_date', 'failed', 'interrupted')), error TEXT,
  kind TEXT, seconds REAL, manifest_sha256 TEXT, site_sha256 TEXT NOT NULL, settings_sha256 TEXT NOT NULL) STRICT;
CREATE INDEX site_runs_under_way ON site_runs(id) WHERE outcome IS NULL;
CREATE TABLE sites(
  site TEXT PRIMARY KEY, last INTEGER NOT NULL REFERENCES site_runs, ended INTEGER REFERENCES site_runs,
  good INTEGER REFERENCES site_runs, told TEXT) STRICT;
CREATE TABLE letters(
  number INTEGER PRIMARY KEY, batch INTEGER NOT NULL REFERENCES batches, way TEXT NOT NULL, subject TEXT NOT NULL,
  body TEXT NOT NULL, error TEXT) STRICT;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
"""


def utc_text(time: dt.datetime) -> str:
    """Time in UTC, to the second."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextlib.contextmanager
def open_state(out: Path, tell: Callable[[str], None]) -> "Iterator[State]":
    """Open the database of a folder whose lock is held; made when missing.

    Parameters
    ----------
    out : Path
    tell : callable
        Takes the line that says that a file was no database of ours and lies aside now.

    Raises
    ------
    ProductError
        It cannot be written, or a newer version of this program wrote it.
    """
    path = out / STATE
    with _told(path):
        connection = _usable(path)
        if connection is None:
            tell(f"{path}: cannot be read as a record of batches; kept as {_put_aside(path).name}, a new one is begun")
            connection = _usable(path)
        if connection is None:
            raise ProductError(f"{path}: cannot be made; choose another --out")
    with contextlib.closing(connection):
        yield State(out, connection)


class State:
    """The database of a batch; calls must not overlap.

    Attributes
    ----------
    number : int
        Of the batch under way; 0 before :meth:`begin`.
    """

    def __init__(self, out: Path, connection: sqlite3.Connection) -> None:
        self.number = 0
        self._path = out / STATE
        self._connection = connection

    def begin(self, started: dt.datetime, version: str, sites: int) -> list[str]:
        """Begin a batch; sites an earlier one left under way are marked interrupted, and returned."""
        with self._writing() as cursor:
            left = cursor.execute("SELECT DISTINCT site FROM site_runs WHERE outcome IS NULL ORDER BY site").fetchall()
            cursor.execute("UPDATE site_runs SET outcome = 'interrupted' WHERE outcome IS NULL")
            former = cursor.execute("SELECT coalesce(max(number), 0) FROM batches").fetchone()[0]
            # A log that is there is of a batch, also where the database was lost.
            number = max([former, *_logged(self._path.parent)]) + 1
            cursor.execute(
                "INSERT INTO batches VALUES (?, ?, NULL, NULL, ?, ?)", (number, utc_text(started), version, sites)
            )
        self.number = number
        return [site for (site,) in left]

    def site_begins(self, site: str, started: dt.datetime, site_sha256: str, settings_sha256: str) -> int:
        """Note that a site is under way; the number it gives names it to :meth:`site_ends`."""
        with self._writing() as cursor:
            cursor.execute(
                "INSERT INTO site_runs(batch, site, started, site_sha256, settings_sha256) VALUES (?, ?, ?, ?, ?)",
                (self.number, site, utc_text(started), site_sha256, settings_sha256),
            )
            run = int(cursor.lastrowid or 0)
            cursor.execute(
                "INSERT INTO sites(site, last) VALUES (?, ?) ON CONFLICT(site) DO UPDATE SET last = excluded.last",
                (site, run),
            )
        return run

    def site_ends(self, run: int, ended: dt.datetime, outcome: str, **said: Any) -> None:
        """Note how a site ended; ``said`` are error, kind, seconds and manifest_sha256, as far as there are any."""
        values = {"error": None, "kind": None, "seconds": None, "manifest_sha256": None, **said}
        with self._writing() as cursor:
            cursor.execute(
                "UPDATE site_runs SET ended = :ended, outcome = :outcome, error = :error, kind = :kind, "
                "seconds = :seconds, manifest_sha256 = :manifest_sha256 WHERE id = :run",
                {**values, "ended": utc_text(ended), "outcome": outcome, "run": run},
            )
            good = "ended = last, good = last" if outcome in GOOD else "ended = last"
            cursor.execute(f"UPDATE sites SET {good} WHERE last = ?", (run,))  # noqa: S608 - one of two texts above

    def end(
        self, finished: dt.datetime, exit_status: int, told: Mapping[str, str], letters: Sequence[Letter] = ()
    ) -> None:
        """End the batch; ``told``: of each site the manifest whose verdicts its digest told; ``letters`` go out."""
        with self._writing() as cursor:
            cursor.execute("UPDATE site_runs SET outcome = 'interrupted' WHERE outcome IS NULL")
            cursor.execute(
                "UPDATE batches SET finished = ?, exit_status = ? WHERE number = ?",
                (utc_text(finished), exit_status, self.number),
            )
            cursor.executemany("UPDATE sites SET told = ? WHERE site = ?", [(sha, site) for site, sha in told.items()])
            cursor.executemany(
                "INSERT INTO letters(batch, way, subject, body) VALUES (?, ?, ?, ?)",
                [(letter.batch, letter.way, letter.subject, letter.body) for letter in letters],
            )

    def delivered(self, numbers: Sequence[int]) -> None:
        """Forget digests that have arrived, or that nobody waits for any longer."""
        with self._writing() as cursor:
            cursor.executemany("DELETE FROM letters WHERE number = ?", [(number,) for number in numbers])

    def not_delivered(self, numbers: Sequence[int], error: str) -> None:
        """Keep digests for the next batch, with the reason they are still here."""
        with self._writing() as cursor:
            cursor.executemany("UPDATE letters SET error = ? WHERE number = ?", [(error, n) for n in numbers])

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Read; :mod:`pipeline.batches.past` says what there is."""
        with _told(self._path):
            return self._connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Cursor]:
        """One transaction: all of it, or nothing where it fails."""
        with _told(self._path):
            cursor = self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK")
                raise


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in one line that the database cannot be used."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ProductError(
            held_elsewhere(path, error)
            or f"{path}: cannot be written ({error}); free disk space, check its permissions, then run again"
        ) from error


def _usable(path: Path) -> sqlite3.Connection | None:
    """Open the database, made when it is empty; None when it is another's or broken."""
    connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    ours = False
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        ours = _is_ours(path, connection)
    except sqlite3.DatabaseError as error:
        # The first two words: SQLITE_CORRUPT has kinds.
        if "_".join(error.sqlite_errorname.split("_")[:2]) not in _BROKEN:
            raise
    finally:
        if not ours:
            connection.close()
    return connection if ours else None


def _is_ours(path: Path, connection: sqlite3.Connection) -> bool:
    """Whether a database is whole and of this program; an empty one becomes so."""
    application, written = (
        connection.execute(f"PRAGMA {key}").fetchone()[0] for key in ("application_id", "user_version")
    )
    if application == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        connection.executescript(_SCHEMA)
        _adopt(path.with_name(BATCH), connection)
        connection.execute("COMMIT")
        return True
    if application != APPLICATION:
        return False
    if written != FORMAT:
        raise ProductError(other_format(path, written))
    return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")


def _adopt(path: Path, connection: sqlite3.Connection) -> None:
    """Take over how sites ended before there was a database, or before it was lost, from ``batch.json``."""
    try:
        former = json.loads(path.read_bytes())
        rows = [
            (site, last["finished"], "finished" if last["ok"] else "failed", last["error"], last["seconds"])
            for site, last in sorted(former.items())
        ]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProductError(f"{path}: cannot be read ({error!r}); remove it, the next run writes it anew") from error
    connection.execute("INSERT INTO batches VALUES (0, '', '', NULL, '', ?)", (len(rows),))
    for site, ended, outcome, why, seconds in rows:
        run = connection.execute(
            "INSERT INTO site_runs(batch, site, started, ended, outcome, error, seconds, site_sha256, "
            "settings_sha256) VALUES (0, ?, ?, ?, ?, ?, ?, '', '')",
            (site, ended, ended, outcome, why, seconds),
        ).lastrowid
        good = run if outcome == "finished" else None
        connection.execute("INSERT INTO sites(site, last, ended, good) VALUES (?, ?, ?, ?)", (site, run, run, good))


def _put_aside(path: Path) -> Path:
    """Rename a file that is no database of ours; a journal beside it is gone since it was opened."""
    taken = {
        int(found[1])
        for other in path.parent.iterdir()
        if (found := re.fullmatch(rf"{STATE}\.aside-(\d+)", other.name))
    }
    aside = path.with_name(f"{STATE}.aside-{max(taken, default=0) + 1}")
    path.rename(aside)
    return aside


def _logged(out: Path) -> list[int]:
    """Numbers of the batches that have a log."""
    return [int(path.stem) for path in (out / LOGS).glob("*.jsonl") if path.stem.isdecimal()]
