"""How far a run is: a pool that tells what goes through it, and a bar for a terminal."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pipeline.parallel import Pool, Progress, Tell
from pipeline.printable import plain
from pipeline.tasks import stage_of

if TYPE_CHECKING:
    import rich.progress

Out = TypeVar("Out")
Show = Callable[[str, Progress], None]
"""Takes the name of a stage and how far it is."""
_WORTH_TELLING_S = 1.0


class WatchedPool:
    """A pool as one site uses it: what it asks for is told, and where its time went.

    Parameters
    ----------
    pool : Pool
        Does the work.
    show : callable
        Told of each step of each stage, from whatever thread.
    """

    def __init__(self, pool: Pool, show: Show) -> None:
        self.workers = pool.workers
        self._pool = pool
        self._show = show
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._tasks: Counter[str] = Counter()

    def map(
        self, function: Callable[..., Out], items: Iterable[Any], *shared: Any, tell: Tell | None = None
    ) -> list[Out]:
        """Have the pool do it; see there."""
        stage, start = stage_of(function), time.monotonic()
        tasks = 0

        def told(progress: Progress) -> None:
            nonlocal tasks
            tasks = progress.tasks
            self._show(stage, progress)
            if tell is not None:
                tell(progress)

        try:
            return self._pool.map(function, items, *shared, tell=told)
        finally:
            self._seconds[stage] += time.monotonic() - start
            self._tasks[stage] += tasks

    def stop(self) -> None:
        """Stop the pool."""
        self._pool.stop()

    def summary(self, seconds: float) -> str:
        """Say where the time of a site went: seconds by stage, in the order of the stages.

        Parameters
        ----------
        seconds : float
            All of it; what no stage took is "the rest": search, joins over a whole site, products.
        """
        rest = seconds - sum(self._seconds.values())
        spent = [(name, took) for name, took in self._seconds.items() if took >= _WORTH_TELLING_S]
        text = ", ".join(f"{name} {took:.0f} s" for name, took in [*spent, ("the rest", max(rest, 0.0))])
        return f"{sum(self._tasks.values())} tasks; {text}"


class Bar:
    """A bar per site on a terminal, plain lines otherwise.

    Parameters
    ----------
    tell : callable
        Takes a line for who has no terminal.
    terminal : bool
        Whether what is told beside the results goes to a terminal.
    """

    def __init__(self, tell: Callable[[str], None], terminal: bool) -> None:
        self._tell = tell
        self._bar: rich.progress.Progress | None = None
        self._rows: dict[str, rich.progress.TaskID] = {}
        self._stages: dict[str, str] = {}
        if not terminal:
            return
        from rich.console import Console  # noqa: PLC0415 - a tenth of a second that logs and --help need not wait
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        console = Console(stderr=True)
        if console.is_terminal:
            # No markup: a name may hold brackets.
            text = TextColumn("{task.description}", markup=False)
            columns = text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
            self._bar = Progress(*columns, console=console, transient=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, site_id: str, line: str) -> None:
        """Tell one step of one site."""
        if self._bar is None:
            self._tell(f"{site_id}: {line}")
        else:
            self._bar.update(self._row(site_id), description=plain(f"{site_id}: {line}"), total=None)

    def show(self, site_id: str, stage: str, progress: Progress) -> None:
        """Tell how far a stage of a site is, where that can be seen."""
        if self._bar is not None:
            row, done = self._row(site_id), progress.done
            # Drawn at once when it is new: a short stage would else be over before the bar is drawn again.
            new = self._stages.get(site_id) != stage
            self._stages[site_id] = stage
            self._bar.update(row, description=f"{site_id}: {stage}", completed=done, total=progress.total, refresh=new)

    def _row(self, site_id: str) -> "rich.progress.TaskID":
        if self._bar is not None and site_id not in self._rows:
            self._rows[site_id] = self._bar.add_task(site_id, total=None)
        return self._rows[site_id]
