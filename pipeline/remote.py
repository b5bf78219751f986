"""The only way to the network: one request at a time, with manners, to hosts that are allowed.

Every request keeps a place among those that may be under way, a pace and a budget, which all workers of a run share;
is tried again with growing, random pauses while the server is busy, and ends; follows a redirect only to a host the
configuration allows; and is counted. GDAL never asks a server: it would follow any redirect, forget what a server
wished and remember that it failed (it answers from memory that a file does not exist when the server has recovered).
"""

import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.addresses import shown, unsigned
from pipeline.config import SourceConfig
from pipeline.documents import parsed
from pipeline.errors import GoneError, RefusedError, SourceError, UnauthorizedError
from pipeline.exchange import FIRST_ERROR, Answer, Ask, Tried, try_once
from pipeline.ledger import NOTHING, Ledger, Limits, Traffic

_GONE = (404, 410)
_SHORTEST_SECRET = 6
"""Characters; shorter words are dates and versions."""
_UNAUTHORIZED, _UNSATISFIABLE = 401, 416
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
_JITTER = random.SystemRandom()


@dataclass(frozen=True)
class Line:
    """How a run talks to a provider; cheap to send to a worker, and holds no secret.

    ``ledger.folder`` is also where files lie while they come.
    """

    source: SourceConfig
    ledger: Ledger


def line_to(source: SourceConfig, folder: Path) -> Line:
    """Return how a source is asked, counted in a folder that all workers see; to be opened by ``ledger.opened``."""
    limits = Limits(
        source.max_concurrent, source.max_requests_per_minute, source.max_bytes, source.max_processing_units
    )
    return Line(source, Ledger(folder, limits))


@contextmanager
def brief_line(source: SourceConfig) -> Iterator[Line]:
    """Give a line whose counts nobody asks for afterwards."""
    with tempfile.TemporaryDirectory(prefix="stockline-") as folder:
        yield line_to(source, Path(folder))


def ask(line: Line, wanted: Ask) -> Answer:
    """Make a request, again while it fails for now; ``Answer.traffic`` counts every try.

    Raises
    ------
    GoneError
        The server says that there is no such thing.
    RefusedError
        The server refuses: wrong request, or no right to it.
    SourceError
        No answer came in time.
    BudgetError
        The request might exceed the budget of the run.
    """
    at_most = Traffic(1, int(wanted.pixels), wanted.most_bytes if wanted.pixels else 0, wanted.units)
    answer = insist(line, at_most, unsigned(wanted.url), lambda: try_once(line.source, wanted))
    return _accepted(answer, wanted)


def insist(line: Line, at_most: Traffic, name: str, attempt: Callable[[], Tried]) -> Answer:
    """Try a request until there is an answer; ``Answer.traffic`` counts every try.

    Parameters
    ----------
    line : Line
    at_most : Traffic
        What one try may cost.
    name : str
        Of what is asked, for an error.
    attempt : callable
        Makes one try.

    Raises
    ------
    SourceError
        No answer came in time.
    BudgetError
        The request might exceed the budget of the run.
    """
    deadline = time.time() + line.source.patience_s
    taken = NOTHING
    for tries in range(line.source.retries + 1):
        tried = _in_turn(line, at_most, deadline, attempt)
        taken += tried.traffic
        if tried.error is not None:
            raise tried.error
        if tried.answer is not None:
            return replace(tried.answer, traffic=taken)
        wait_s = pause_s(tries, tried.wish_s, _JITTER.random())
        if tries == line.source.retries or time.time() + wait_s > deadline:
            break
        if tried.wish_s is None:
            time.sleep(wait_s)
        else:
            line.ledger.pause(wait_s)
    raise SourceError(f"{name}: cannot be read now ({tried.reason}); run again later")


def pause_s(attempt: int, wish_s: float | None, chance: float) -> float:
    """Seconds before the next try: what the server wished, else a random part of a doubling wait.

    Parameters
    ----------
    attempt : int
        Tries so far, from 0.
    wish_s : float or None
    chance : float
        Random, 0 to 1: workers that failed together do not come back together.
    """
    if wish_s is not None:
        return wish_s + chance
    return chance * min(_FIRST_WAIT_S * 2.0**attempt, _LONGEST_WAIT_S)


def _in_turn(line: Line, at_most: Traffic, deadline: float, attempt: Callable[[], Tried]) -> Tried:
    """One try, when it is this worker's turn; what it took is counted whatever becomes of it."""
    try:
        with line.ledger.turn(deadline), line.ledger.spending(at_most) as came:
            tried = attempt()
            came.append(tried.traffic)
            return tried
    except TimeoutError as error:
        return Tried(NOTHING, reason=str(error))


def _accepted(answer: Answer, wanted: Ask) -> Answer:
    name = unsigned(wanted.url)
    if answer.status in _GONE:
        raise GoneError(f"{name}: is not there ({answer.status})", answer.status)
    if answer.status == _UNSATISFIABLE and wanted.part is not None:
        return answer
    if answer.status == _UNAUTHORIZED:
        raise UnauthorizedError(f"{name}: is refused ({answer.status}{_said(answer.body, wanted)})")
    if answer.status >= FIRST_ERROR:
        raise RefusedError(f"{name}: is refused ({answer.status}{_said(answer.body, wanted)}); run again later")
    return answer


def _said(body: bytes, wanted: Ask) -> str:
    """Give what a server says is wrong, on one line, without what it was asked with."""
    try:
        said = parsed(body.decode())
        inner = said["error"] if isinstance(said.get("error"), dict) else said
        text = next(
            str(inner[key]) for key in ("message", "description", "detail", "error_description") if key in inner
        )
    except (ValueError, AttributeError, TypeError, StopIteration):
        return ""
    for secret in sorted(_secrets(wanted), key=len, reverse=True):
        text = text.replace(secret, "...")
    return f": {shown(text)}"


def _secrets(wanted: Ask) -> set[str]:
    """Words of a request that may open something: of its query and of its credentials."""
    words = re.split(r"[&=\s]", f"{urlsplit(wanted.url).query} {wanted.headers.get('Authorization', '')}")
    return {form for word in words if len(word) >= _SHORTEST_SECRET for form in (word, unquote(word))}
