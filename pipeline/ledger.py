"""What all workers of a run have asked of a provider, and may still ask.

A folder that every worker sees holds one file of counts, one file per request that may be under way at a time, and
one that says until when nobody asks. Each is held with a lock of the operating system, which a process that is killed
gives back. Budgets are counted before a request is made: what might exceed one is not asked.
"""

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import IO, Any

from pipeline.errors import BudgetError

_POLL_S = 0.02
_LONGEST_SLEEP_S = 5.0
"""So that an interrupt is heard."""
_MINUTE_S = 60.0


@dataclass(frozen=True)
class Traffic:
    """What was asked of a provider and came back.

    Attributes
    ----------
    requests : int
        All of them, also those that were refused or tried again.
    pixel_requests : int
        Those that asked for pixels.
    size_bytes : int
        Bodies received, also those thrown away.
    processing_units : float
        As the provider counted them.
    """

    requests: int = 0
    pixel_requests: int = 0
    size_bytes: int = 0
    processing_units: float = 0.0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Traffic") -> "Traffic":
        return Traffic(*(mine - its for mine, its in zip(astuple(self), astuple(other), strict=True)))


NOTHING = Traffic()


@dataclass(frozen=True)
class Limits:
    """How much a run may ask; None: no limit of ours."""

    concurrent: int
    requests_per_minute: int | None = None
    size_bytes: int | None = None
    processing_units: float | None = None


@dataclass(frozen=True)
class Ledger:
    """Shared counts of one run; cheap to send to a worker."""

    folder: Path
    limits: Limits

    def opened(self) -> "Ledger":
        """Make the folder when it is not there; counts go on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def spent(self) -> Traffic:
        """Return what was asked so far."""
        with _locked(self.folder / "counts.json") as held:
            return _Counts.of(held).spent

    @contextmanager
    def spending(self, atmost: Traffic) -> Iterator[list[Traffic]]:
        """Set aside what a request may cost at most; what the caller appends to the list is what it came to.

        Raises
        ------
        BudgetError
            With it the run could exceed a limit; nothing is set aside.
        """
        self._count(aside=atmost)
        came: list[Traffic] = []
        try:
            yield came
        finally:
            self._count(spent=sum(came, NOTHING), aside=NOTHING - atmost)

    def _count(self, spent: Traffic = NOTHING, aside: Traffic = NOTHING) -> None:
        with _locked(self.folder / "counts.json") as held:
            counts = _Counts.of(held)
            after = _Counts(counts.spent + spent, counts.aside + aside)
            if aside.size_bytes > 0 or aside.processing_units > 0:
                self._refuse_more(after.spent + after.aside)
            _replace(held, asdict(after))

    def _refuse_more(self, total: Traffic) -> None:
        for key, may, would, unit in (
            ("max_bytes", self.limits.size_bytes, total.size_bytes, "bytes"),
            ("max_processing_units", self.limits.processing_units, total.processing_units, "processing units"),
        ):
            if may is not None and would > may:
                raise BudgetError(
                    f"source.{key} = {may:,}: the next request could bring this run to {would:,.6g} {unit}; "
                    "what was fetched is kept; raise the limit and run again to go on"
                )

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        """Hold one of the places for requests under way, at a moment when the provider may be asked.

        Parameters
        ----------
        deadline : float
            Of ``time.time()``, which all workers share.

        Raises
        ------
        TimeoutError
            No turn came until then.
        """
        with self._place(deadline):
            while (wait_s := self._wait_s()) > 0:
                if time.time() + wait_s > deadline:
                    raise TimeoutError(f"the provider asks for {wait_s:.0f} s of quiet")
                time.sleep(min(wait_s, _LONGEST_SLEEP_S))
            yield

    def pause(self, seconds: float) -> None:
        """Have nobody ask for a while: the provider said that it is too much."""
        with _locked(self.folder / "pace.json") as held:
            pace = _Pace.of(held)
            _replace(held, asdict(replace(pace, quiet_until=max(pace.quiet_until, time.time() + seconds))))

    def _wait_s(self) -> float:
        """Seconds until a request may start; 0 when it may now, and then it is counted as started."""
        with _locked(self.folder / "pace.json") as held:
            pace, now = _Pace.of(held), time.time()
            if pace.quiet_until > now:
                return pace.quiet_until - now
            most = self.limits.requests_per_minute
            if most is not None:
                recent = [start for start in pace.starts if start > now - _MINUTE_S]
                if len(recent) >= most:
                    return recent[-most] + _MINUTE_S - now
                _replace(held, asdict(replace(pace, starts=[*recent, now])))
            return 0.0

    @contextmanager
    def _place(self, deadline: float) -> Iterator[None]:
        """Hold one of the files that stand for requests under way."""
        files = [(self.folder / f"place-{number}").open("a") for number in range(self.limits.concurrent)]
        try:
            while not any(_try_lock(file) for file in files):
                if time.time() > deadline:
                    raise TimeoutError(f"{self.limits.concurrent} requests are under way and none ends")
                time.sleep(_POLL_S)
            yield
        finally:
            for file in files:
                file.close()


@dataclass(frozen=True)
class _Counts:
    spent: Traffic
    aside: Traffic

    @staticmethod
    def of(held: IO[str]) -> "_Counts":
        said = _content(held) or {"spent": {}, "aside": {}}
        return _Counts(Traffic(**said["spent"]), Traffic(**said["aside"]))


@dataclass(frozen=True)
class _Pace:
    quiet_until: float = 0.0
    starts: Sequence[float] = ()

    @staticmethod
    def of(held: IO[str]) -> "_Pace":
        return _Pace(**_content(held))


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    """Open a file that no other process or thread holds meanwhile."""
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _content(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    text = file.read()
    return dict(json.loads(text)) if text else {}


def _replace(file: IO[str], content: object) -> None:
    file.seek(0)
    file.truncate()
    json.dump(content, file)
    file.flush()
