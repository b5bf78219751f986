"""One request and what comes back: redirects only to hosts that are allowed, bodies bounded in size and time."""

import contextlib
import datetime as dt
import email.utils
import functools
import http.cookiejar
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from pipeline.addresses import not_allowed, one_line, unsigned
from pipeline.config import SourceConfig
from pipeline.errors import RefusedError
from pipeline.ledger import Traffic
from pipeline.tiff import Range

BUSY = (429, 500, 502, 503, 504)
"""Asked again later, these may answer."""
FIRST_ERROR = 400
WHOLE = 200
_PARTIAL = 206
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_ERROR_BYTES = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_WHOLE_TIMEOUTS = 20
"""A body may take as many times ``source.timeout_s``: one that drips for ever is no answer."""
_CHUNK_BYTES = 1 << 18
_LONGEST_WISH_S = 1e9
"""Longer than anybody waits."""
DOCUMENT_BYTES = 64 << 20
"""Largest page of a catalogue; a hundred items have 5 MB."""
_UNITS_SPENT = "x-processingunits-spent"
_NO_HEADERS: Mapping[str, str] = {}
_MOST_CONNECTIONS = 64
"""Of ``source.max_concurrent``."""


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
    part : Range or None
        Only these bytes of a file. A server that gives no ranges answers 200 and an empty body.
    into : Path or None
        File that takes the body, which is then not in the answer.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    pixels: bool = False
    most_bytes: int = DOCUMENT_BYTES
    units: float = 0.0
    milliseconds: bool = False
    part: Range | None = None
    into: Path | None = None


@dataclass(frozen=True)
class Answer:
    """What came back: header names in lower case, the address it came from, and what it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    traffic: Traffic


@dataclass(frozen=True)
class Tried:
    """One try: an answer, or why there is none yet and how long the server wished to be left alone."""

    traffic: Traffic
    answer: Answer | None = None
    reason: str = ""
    wish_s: float | None = None
    error: RefusedError | None = None


def try_once(source: SourceConfig, wanted: Ask) -> Tried:
    """Ask, and follow redirects as far as they are allowed."""
    url, headers = wanted.url, dict(wanted.headers)
    if wanted.part is not None:
        headers["Range"] = f"bytes={wanted.part[0]}-{wanted.part[1] - 1}"
    own = [address for address in (source.url, source.sign_url) if address is not None]
    for made in range(1, _MOST_REDIRECTS + 2):
        why = not_allowed(url, own, source.hosts)
        if why is not None:
            refused = RefusedError(f"{unsigned(wanted.url)}: {why}; source.hosts names further hosts")
            return Tried(_traffic(made - 1, wanted, 0), error=refused)
        try:
            with session().request(
                wanted.method, url, headers=headers, data=wanted.body,
                timeout=source.timeout_s, stream=True, allow_redirects=False,
            ) as reply:  # fmt: skip
                if reply.status_code not in _REDIRECTS or "location" not in reply.headers:
                    return _received(reply, source, wanted, made)
                target = urljoin(url, reply.headers["location"])
        except (requests.RequestException, ValueError, TypeError) as error:
            # urllib3 says with a ValueError that an address or a header is none, requests with a TypeError of a proxy.
            return Tried(_traffic(made, wanted, 0), reason=reason(error))
        if urlsplit(target).netloc != urlsplit(url).netloc:
            headers.pop("Authorization", None)
        url = target
    refused = RefusedError(f"{unsigned(wanted.url)}: is redirected more than {_MOST_REDIRECTS} times")
    return Tried(_traffic(_MOST_REDIRECTS + 1, wanted, 0), error=refused)


def _received(reply: requests.Response, source: SourceConfig, wanted: Ask, made: int) -> Tried:
    """Read the body of a reply, no more of it than was expected and no longer than a body may take."""
    status = reply.status_code
    headers = {name.lower(): value for name, value in reply.headers.items()}
    if wanted.part is not None and status == WHOLE:
        traffic = _traffic(made, wanted, 0, headers)
        return Tried(traffic, Answer(status, headers, b"", reply.url, traffic))
    body, size, problem = _body(reply, source, wanted)
    traffic = _traffic(made, wanted, size, headers, paid=status < FIRST_ERROR)
    if status in BUSY:
        wish = wished_s(headers.get("retry-after"), dt.datetime.now(dt.UTC), milliseconds=wanted.milliseconds)
        return Tried(traffic, reason=f"{status} {reply.reason}", wish_s=wish)
    if status == _PARTIAL and not problem:
        problem = _wrong_part(wanted, headers, size)
    if status < FIRST_ERROR and size > wanted.most_bytes:
        return Tried(traffic, error=RefusedError(f"{unsigned(wanted.url)}: {problem}"))
    if problem and status < FIRST_ERROR:
        return Tried(traffic, reason=problem)
    return Tried(traffic, Answer(status, headers, body, reply.url, traffic))


def _body(reply: requests.Response, source: SourceConfig, wanted: Ask) -> tuple[bytes, int, str]:
    """Body (empty when it goes into a file), its size, and what is wrong with it."""
    accepted = reply.status_code < FIRST_ERROR
    most = wanted.most_bytes if accepted else _ERROR_BYTES
    deadline = time.monotonic() + _WHOLE_TIMEOUTS * source.timeout_s
    kept, size = bytearray(), 0
    target = wanted.into.open("wb") if wanted.into is not None and accepted else contextlib.nullcontext()
    try:
        with target as file:
            for chunk in reply.iter_content(_CHUNK_BYTES):
                size += len(chunk)
                if size > most:
                    return b"", size, f"sends more than the {most:,} bytes expected of it"
                if time.monotonic() > deadline:
                    return b"", size, "is too slow"
                if file is None:
                    kept += chunk
                else:
                    file.write(chunk)
    except requests.RequestException as error:
        return b"", size, reason(error)
    return bytes(kept), size, ""


def _wrong_part(wanted: Ask, headers: Mapping[str, str], size: int) -> str:
    """Say how a partial answer differs from what was asked; nothing when it does not."""
    said = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if wanted.part is None or said is None:
        return "answers a part of a file that was not asked for"
    first, last, total = map(int, said.groups())
    if first != wanted.part[0] or last + 1 != min(wanted.part[1], total) or size != last + 1 - first:
        return "answers another part of the file than was asked for"
    return ""


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
        wish_s = float(value) / (1000.0 if milliseconds else 1.0)
        return min(wish_s, _LONGEST_WISH_S)
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max((email.utils.parsedate_to_datetime(value) - now).total_seconds(), 0.0)
    return None


def reason(error: Exception) -> str:
    """Say in a few words why an address gave no answer."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "timed out"
    if isinstance(error, requests.exceptions.InvalidURL) or not isinstance(error, requests.RequestException):
        # Not in its own words: they may hold the password of a proxy.
        return "an address or a header is none; is that of the proxy in the environment one?"
    if isinstance(error, requests.exceptions.SSLError):
        return one_line(error)
    if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        return "no connection, or one that broke off"
    return one_line(error)


@functools.cache
def session() -> requests.Session:
    """Give this process's connections: kept open between requests, with no credentials from files or cookies."""
    made = requests.Session()
    # Else a password of the user's netrc file would be sent.
    made.auth = lambda request: request
    made.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        made.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=_MOST_CONNECTIONS))
    return made
