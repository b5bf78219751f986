"""The only way to the network: one request at a time, with manners, to hosts that are allowed.

Every request keeps a place among those that may be under way, a pace and a budget, which all workers of a run share;
is tried again with growing, random pauses while the server is busy, and ends; follows a redirect only to a host the
configuration allows; and is counted. GDAL never asks a server: it would follow any redirect, forget what a server
wished and remember that it failed (it answers from memory that a file does not exist when the server has recovered).
"""

import contextlib
import datetime as dt
import email.utils
import json
import math
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin, urlsplit

import requests

from pipeline.addresses import not_allowed, one_line, shown, unsigned
from pipeline.config import SourceConfig
from pipeline.errors import GoneError, RefusedError, SourceError, UnauthorizedError
from pipeline.ledger import NOTHING, Ledger, Traffic

BUSY = (429, 500, 502, 503, 504)
"""Asked again later, these may answer."""
_GONE = (404, 410)
_UNAUTHORIZED = 401
_REDIRECTS = (301, 302, 303, 307, 308)
_FIRST_ERROR = 400
_MOST_REDIRECTS = 5
_ERROR_BYTES = 1 << 16
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
_WHOLE_TIMEOUTS = 20
"""A body may take as many times ``source.timeout_s``: one that drips for ever is no answer."""
_CHUNK_BYTES = 1 << 18
DOCUMENT_BYTES = 64 << 20
"""Largest page of a catalogue; a hundred items have 5 MB."""
_UNITS_SPENT = "x-processingunits-spent"
_NO_HEADERS: Mapping[str, str] = {}
_THREAD = threading.local()
_JITTER = random.SystemRandom()


@dataclass(frozen=True)
class Line:
    """How a run talks to a provider; cheap to send to a worker."""

    source: SourceConfig
    ledger: Ledger


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes
    ----------
    url : str
    method : str
    headers : Mapping
    body : bytes or None
    pixels : bool
        It asks for pixels: counted against the budget.
    most_bytes : int
        A longer body is an error; of a request for pixels set aside before it is made.
    units : float
        Processing units it will cost at most, set aside before it is made; counted as spent when the answer does
        not say what it cost.
    milliseconds : bool
        ``Retry-After`` of this server counts milliseconds.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    pixels: bool = False
    most_bytes: int = DOCUMENT_BYTES
    units: float = 0.0
    milliseconds: bool = False


@dataclass(frozen=True)
class Answer:
    """What came back: header names in lower case, the address it came from, and what it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    traffic: Traffic


@dataclass(frozen=True)
class _Tried:
    """One try: an answer, or why there is none yet and how long the server wished to be left alone."""

    traffic: Traffic
    answer: Answer | None = None
    reason: str = ""
    wish_s: float | None = None


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
    deadline = time.time() + line.source.patience_s
    taken = NOTHING
    for attempt in range(line.source.retries + 1):
        tried = _in_turn(line, wanted, deadline)
        taken += tried.traffic
        if tried.answer is not None:
            return _accepted(replace(tried.answer, traffic=taken), wanted)
        wait_s = pause_s(attempt, tried.wish_s, _JITTER.random())
        if attempt == line.source.retries or time.time() + wait_s > deadline:
            break
        if tried.wish_s is None:
            time.sleep(wait_s)
        else:
            line.ledger.pause(wait_s)
    raise SourceError(f"{unsigned(wanted.url)}: cannot be read now ({tried.reason}); run again later")


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


def wished_s(value: str | None, now: dt.datetime, *, milliseconds: bool = False) -> float | None:
    """Read a ``Retry-After`` header: seconds or a date (RFC 9110 10.2.3); Sentinel Hub gives milliseconds.

    Returns
    -------
    float or None
        Seconds, not negative; None when the header is absent or says neither.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return int(value) / (1000.0 if milliseconds else 1.0)
    with contextlib.suppress(ValueError, TypeError):
        return max((email.utils.parsedate_to_datetime(value) - now).total_seconds(), 0.0)
    return None


def _in_turn(line: Line, wanted: Ask, deadline: float) -> _Tried:
    """One try, when it is this worker's turn; what it took is counted whatever becomes of it."""
    at_most = Traffic(1, int(wanted.pixels), wanted.most_bytes if wanted.pixels else 0, wanted.units)
    try:
        with line.ledger.turn(deadline), line.ledger.spending(at_most) as came:
            tried = _once(line, wanted)
            came.append(tried.traffic)
            return tried
    except TimeoutError as error:
        return _Tried(NOTHING, reason=str(error))


def _once(line: Line, wanted: Ask) -> _Tried:
    """Ask, and follow redirects as far as they are allowed."""
    url, headers, requests_made = wanted.url, dict(wanted.headers), 0
    for _ in range(_MOST_REDIRECTS + 1):
        why = not_allowed(url, line.source.url, line.source.hosts)
        if why is not None:
            raise RefusedError(f"{unsigned(wanted.url)}: {why}")
        requests_made += 1
        try:
            with _session().request(
                wanted.method, url, headers=headers, data=wanted.body,
                timeout=line.source.timeout_s, stream=True, allow_redirects=False,
            ) as reply:  # fmt: skip
                if reply.status_code not in _REDIRECTS or "location" not in reply.headers:
                    return _received(reply, line, wanted, requests_made)
                target = urljoin(url, reply.headers["location"])
        except requests.RequestException as error:
            return _Tried(_traffic(requests_made, wanted, 0), reason=reason(error))
        if urlsplit(target).netloc != urlsplit(url).netloc:
            headers.pop("Authorization", None)
        url = target
    raise RefusedError(f"{unsigned(wanted.url)}: is redirected more than {_MOST_REDIRECTS} times")


def _received(reply: requests.Response, line: Line, wanted: Ask, requests_made: int) -> _Tried:
    """Read the body of a reply, no more of it than was expected and no longer than a body may take."""
    status = reply.status_code
    headers = {name.lower(): value for name, value in reply.headers.items()}
    most = wanted.most_bytes if status < _FIRST_ERROR else _ERROR_BYTES
    deadline = time.monotonic() + _WHOLE_TIMEOUTS * line.source.timeout_s
    body = bytearray()
    problem = ""
    try:
        for chunk in reply.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > most:
                problem = f"sends more than the {most:,} bytes expected"
            elif time.monotonic() > deadline:
                problem = "is too slow"
            if problem:
                break
    except requests.RequestException as error:
        problem = reason(error)
    traffic = _traffic(requests_made, wanted, len(body), headers, paid=status < _FIRST_ERROR)
    if problem and status < _FIRST_ERROR:
        return _Tried(traffic, reason=problem)
    if status in BUSY:
        wish = wished_s(headers.get("retry-after"), dt.datetime.now(dt.UTC), milliseconds=wanted.milliseconds)
        return _Tried(traffic, reason=f"{status} {reply.reason}", wish_s=wish)
    return _Tried(traffic, Answer(status, headers, bytes(body), reply.url, traffic))


def _accepted(answer: Answer, wanted: Ask) -> Answer:
    shown = unsigned(wanted.url)
    if answer.status in _GONE:
        raise GoneError(f"{shown}: is not there ({answer.status})")
    if answer.status == _UNAUTHORIZED:
        raise UnauthorizedError(f"{shown}: is refused ({answer.status}{_said(answer.body)})")
    if answer.status >= _FIRST_ERROR:
        raise RefusedError(f"{shown}: is refused ({answer.status}{_said(answer.body)})")
    return answer


def _traffic(
    requests_made: int, wanted: Ask, size_bytes: int, headers: Mapping[str, str] = _NO_HEADERS, *, paid: bool = False
) -> Traffic:
    """Count a try; ``paid`` is True for an answer that costs what its header says, or else what was set aside."""
    units = wanted.units if paid else 0.0
    with contextlib.suppress(ValueError, KeyError):
        said = float(headers[_UNITS_SPENT])
        # A NaN would end the budget, a negative number would add to it.
        units = said if math.isfinite(said) and said >= 0 else units
    return Traffic(requests_made, requests_made * wanted.pixels, size_bytes, units)


def _said(body: bytes) -> str:
    """Give what a server says is wrong, on one line."""
    try:
        said = json.loads(body)
        inner = said["error"] if isinstance(said.get("error"), dict) else said
        text = next(
            str(inner[key]) for key in ("message", "description", "detail", "error_description") if key in inner
        )
    except (ValueError, AttributeError, TypeError, StopIteration):
        return ""
    return f": {shown(text)}"


def reason(error: Exception) -> str:
    """Say in a few words why an address gave no answer."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "timed out"
    if isinstance(error, requests.exceptions.SSLError):
        return one_line(error)
    if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        return "no connection, or one that broke off"
    return one_line(error)


def _session() -> requests.Session:
    """Give this thread's connections: kept open between requests, with no credentials from files or cookies."""
    session: requests.Session | None = getattr(_THREAD, "session", None)
    if session is None:
        session = _THREAD.session = requests.Session()
        # Else a password of the user's netrc file would be sent.
        session.auth = lambda request: request
    return session
