"""What is remembered of batches and of the sites in them, as records."""

from dataclasses import dataclass
from typing import Literal

SiteOutcome = Literal["finished", "up_to_date", "failed", "interrupted"]
STATE = "state.sqlite"
BATCH = "batch.json"
LOGS = "logs"
"""Working records in a folder of results."""
APPLICATION = 0x53746B6C
"""Says in the head of the database that it is ours ("Stkl")."""
FORMAT = 1
GOOD = ("finished", "up_to_date")


@dataclass(frozen=True)
class BatchRun:
    """One batch; times are UTC, ``finished`` and ``exit_status`` None while it runs or where it was interrupted.

    ``number`` counts batches of a folder: it is their order, also where the clock was set back.
    """

    number: int
    started: str
    finished: str | None
    exit_status: int | None
    version: str
    sites: int


@dataclass(frozen=True)
class SiteRun:
    """One site in one batch.

    Attributes
    ----------
    batch : int
        Number of the batch.
    site : str
    started : str
        UTC.
    ended : str or None
        UTC; None while it is under way and where it was interrupted.
    outcome : str or None
        ``finished`` (results written), ``up_to_date``, ``failed``, ``interrupted``; None while it is under way.
    error : str or None
        The line that says why it failed.
    kind : str or None
        Class of that error.
    seconds : float or None
    manifest_sha256 : str or None
        Of its results.
    site_sha256, settings_sha256 : str
        What the results were, or would have been, made with: the site file, and the settings that count.
    version : str
        Of the program.
    """

    batch: int
    site: str
    started: str
    ended: str | None
    outcome: SiteOutcome | None
    error: str | None
    kind: str | None
    seconds: float | None
    manifest_sha256: str | None
    site_sha256: str
    settings_sha256: str
    version: str


@dataclass(frozen=True)
class SiteKnown:
    """All that is known of a site.

    Attributes
    ----------
    site : str
    last : SiteRun
        Newest, however it ended.
    ended : SiteRun or None
        Newest that was not interrupted.
    good : SiteRun or None
        Newest that finished or was up to date.
    told : str or None
        Hash of the manifest whose verdicts the last digest told; None where none did.
    """

    site: str
    last: SiteRun
    ended: SiteRun | None
    good: SiteRun | None
    told: str | None


@dataclass(frozen=True)
class Letter:
    """A digest on its way: which batch it is of, ``mail`` or ``webhook``, what it says, and why it is still here."""

    number: int
    batch: int
    way: Literal["mail", "webhook"]
    subject: str
    body: str
    error: str | None


def held_elsewhere(path: object, error: Exception) -> str | None:
    """Say that another program holds a database; None when an error is of another kind."""
    if getattr(error, "sqlite_errorname", "").split("_")[:2] not in (["SQLITE", "BUSY"], ["SQLITE", "LOCKED"]):
        return None
    return f"{path}: another program holds it; close that program, then try again"


def other_format(path: object, written: int) -> str:
    """Say that a database is of another version of this program."""
    return (
        f"{path}: has format {written}, this version of the program knows {FORMAT}; use the version that wrote it, or "
        "another --out"
    )
