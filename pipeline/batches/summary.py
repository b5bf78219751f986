"""What a batch came to, as ``summary.json``: checked records, from which its schema is made too.

Keys are added, never changed in meaning; ``format`` is raised when one is.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.batches.state_records import SiteOutcome

Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Verdict(_Part):
    """What a row says: its verdict, and the number with its 95 % interval in ``unit``; null where there is none."""

    verdict: str
    value: float | None
    lo95: float | None
    hi95: float | None
    unit: str | None
    reason: str | None


class VerdictChange(_Part):
    """A verdict that is not what the digest before told; null on a side where the row is not there."""

    site: str
    simulated: bool
    address: str = Field(description="of the row, as in docs/contract.md")
    layer: str
    name: str = Field(description="of the number, for a reader")
    zone: str | None = Field(description="its id; null for a claim and for a single pile")
    metric: str | None
    year_from: int | None
    year_to: int | None
    before: Verdict | None
    after: Verdict | None
    causes: tuple[str, ...] = Field(description="what the runs differ in that can have moved it")
    certain: bool = Field(description="it can be but one thing")


class Headline(_Part):
    """What the newest comparison of a metric says of the whole site, and years of which nothing can be said."""

    metric: str
    year_from: int | None = Field(description="null, as year_to, where no two years can be compared")
    year_to: int | None
    said: Verdict
    unjudged: tuple[int, ...]


class Waiting(_Part):
    """A season of this year that is not over, and of which a site has too few clear dates yet."""

    site: str
    simulated: bool
    year: int
    kind: Literal["stockpile", "footprint"] = Field(description="whose windows they are")
    zones: tuple[str, ...] = Field(description="ids of the zones that are not adequate yet")
    clear_dates: Count = Field(description="of the zone with the fewest; median of its pixels")
    needed: Count
    lacking: Count = Field(description="at least")
    opens: str | None = Field(description="first day of the next window; null while one is open")
    until: str = Field(description="last day of the last window")


class SiteSummary(_Part):
    """How a site ended."""

    site: str
    outcome: SiteOutcome
    simulated: bool | None = Field(description="null where neither source nor results say so")
    run: Count | None = Field(None, description="number of the run its results are of")
    told_run: Count | None = Field(None, description="run whose verdicts the digest before told")
    told_known: bool = Field(
        True, description="false where the database of batches cannot say which run was told last, or that run is gone"
    )
    compared_run: Count | None = Field(
        None, description="run its results are compared with: told_run, or the run before the newest"
    )
    moved: Count = Field(0, description="numbers that differ from those of compared_run")
    first: bool = Field(False, description="no digest has told of its results before")
    seconds: float
    manifest_sha256: str | None
    headlines: tuple[Headline, ...] = Field((), description="on the whole site; empty where nothing new is told of it")
    error: str | None
    remedy: str | None
    note: str | None = Field(None, description="why its verdicts could not be compared, if so")


class Failure(_Part):
    """Something that failed and is no site: the portfolio, the log, this summary."""

    what: str
    error: str
    remedy: str


class Disk(_Part):
    """Room: what is left on the disk, and what takes it; bytes."""

    free_bytes: Count
    evidence_bytes: Count
    results_bytes: Count
    working_bytes: Count
    logs_bytes: Count


class Delivery(_Part):
    """A digest on its way to somebody: ``error`` is null when it arrived."""

    way: Literal["mail", "webhook"]
    batch: Count
    error: str | None


class Summary(_Part):
    """One batch."""

    format: Literal[1] = 1
    batch: Count = Field(description="counts the batches of this folder; their order, whatever the clock says")
    version: str
    simulated: bool = Field(description="at least one site is simulated")
    started: str
    finished: str
    exit_status: Count
    sites: tuple[SiteSummary, ...]
    failures: tuple[Failure, ...] = ()
    verdict_changes: tuple[VerdictChange, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    next_window: str | None = Field(None, description="first day from now on which new scenes can count")
    disk: Disk | None = None
    unsigned: tuple[str, ...] = Field((), description="sites whose newest run lacks the signature asked for")
    unstamped: tuple[str, ...] = Field((), description="sites whose newest run lacks the time stamp asked for")
    earlier: tuple[Count, ...] = Field((), description="batches whose digests were not delivered before")
    deliveries: tuple[Delivery, ...] = Field((), description="empty until this one was sent")
