"""The books of a batch: its database and its log, kept together while sites run."""

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline import __version__
from pipeline.batches.journal import Journal
from pipeline.batches.past import Past, past_of, write_ended
from pipeline.batches.state import State, open_state
from pipeline.batches.state_records import Letter
from pipeline.errors import ProductError, StocklineError
from pipeline.evidence import sha256_file
from pipeline.parallel import Progress
from pipeline.products._documents import MANIFEST
from pipeline.products.publish import Published
from pipeline.types import Site

Say = Callable[[str, str], None]
Show = Callable[[str, str, Progress], None]
_INTERRUPTED = 130
_ABOUT = "batch"
"""What lines are about that are about no site."""


@dataclass(frozen=True)
class Outcome:
    """How one site of a batch ended: its results, or the one line that says why there are none, and its class."""

    site_id: str
    published: Published | None
    error: str | None
    seconds: float
    kind: str | None = None


class Books:
    """Database and log of the batch under way; every line said goes to the screen too.

    Attributes
    ----------
    number : int
        Of the batch.
    started : datetime
    journal : Journal
    ended : bool
        Whether the end of the batch is written.
    """

    def __init__(self, state: State, journal: Journal, started: dt.datetime, tell: tuple[Say, Show]) -> None:
        self.number = state.number
        self.started = started
        self.journal = journal
        self.ended = False
        self._state = state
        self._say, self._show = tell
        self._one_by_one = threading.Lock()

    def say(self, site: str, line: str) -> None:
        """Tell a line of a site, and keep it."""
        self.journal.said(site, line)
        self._say(site, line)

    def show(self, site: str, stage: str, progress: Progress) -> None:
        """Show how far a stage is, and keep its begin and end."""
        self.journal.showed(site, stage, progress)
        self._show(site, stage, progress)

    @contextlib.contextmanager
    def site(self, site: Site, settings_sha256: str) -> Iterator[list[Outcome]]:
        """Keep that a site is under way, and how it ended: the block puts its outcome into the list it is given.

        A block that ends without one was interrupted.
        """
        with self._one_by_one:
            run = self._state.site_begins(site.id, dt.datetime.now(dt.UTC), site.sha256, settings_sha256)
        self.journal.write("site_started", site=site.id)
        found: list[Outcome] = []
        yield found
        for outcome in found:
            self._site_ended(run, outcome)

    def _site_ended(self, run: int, outcome: Outcome) -> None:
        done = outcome.published
        how = "failed" if done is None else "up_to_date" if done.skipped else "finished"
        manifest = None if done is None else sha256_file(done.folder / MANIFEST)
        with self._one_by_one:
            self._state.site_ends(
                run, dt.datetime.now(dt.UTC), how,
                error=outcome.error, kind=outcome.kind, seconds=outcome.seconds, manifest_sha256=manifest,
            )  # fmt: skip
        self.journal.write(
            f"site_{how}",
            outcome.error,
            site=outcome.site_id,
            level="error" if done is None else "info",
            seconds=outcome.seconds,
        )

    def past(self) -> Past:
        """All that is known by now, this batch included."""
        with self._one_by_one:
            return past_of(self._state)

    def end(self, exit_status: int, told: Mapping[str, str] | None = None, letters: Sequence[Letter] = ()) -> None:
        """Write the end of the batch; see :meth:`State.end`."""
        self._state.end(dt.datetime.now(dt.UTC), exit_status, told or {}, letters)
        self.ended = True
        self.journal.write("batch_ended", level="info" if exit_status == 0 else "error", exit_status=exit_status)

    def delivered(self, numbers: Sequence[int]) -> None:
        """See :meth:`State.delivered`."""
        self._state.delivered(numbers)

    def not_delivered(self, numbers: Sequence[int], error: str) -> None:
        """See :meth:`State.not_delivered`."""
        self._state.not_delivered(numbers, error)


@contextlib.contextmanager
def open_books(out: Path, sites: Sequence[Site], say: Say, show: Show) -> Iterator[Books]:
    """Open the books of a new batch in a folder whose lock is held.

    A block that ends with an error ends the batch with its exit status; one that is killed leaves the batch without an
    end, which the next one marks.

    Raises
    ------
    ProductError
        Database or log cannot be written.
    """
    started = dt.datetime.now(dt.UTC)
    with open_state(out, partial(say, _ABOUT)) as state:
        left = state.begin(started, __version__, len(sites))
        with _opened(out, state) as journal:
            books = Books(state, journal, started, (say, show))
            journal.write("batch_started", f"stockline {__version__}", sites=len(sites))
            if left:
                books.say(_ABOUT, f"a batch before was interrupted with {', '.join(left)} under way")
            try:
                yield books
            except BaseException as error:
                journal.write("batch_failed", str(error) or type(error).__name__, level="error")
                with contextlib.suppress(ProductError):  # what ended the batch is told, not that it cannot be noted
                    if not books.ended:
                        books.end(_exit_status(error))
                    write_ended(out, past_of(state))
                raise
            if not books.ended:
                books.end(0)
            write_ended(out, past_of(state))


def _opened(out: Path, state: State) -> Journal:
    """Open the log of a batch that has begun; without one the batch ends at once."""
    try:
        write_ended(out, past_of(state))
        return Journal(out, state.number)
    except ProductError as error:
        with contextlib.suppress(ProductError):  # what ended the batch is told, not that it cannot be noted
            state.end(dt.datetime.now(dt.UTC), error.exit_status, {})
        raise


def _exit_status(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    return error.exit_status if isinstance(error, StocklineError) else 1
