"""Reading over HTTP: patience that ends, and the difference between later and never."""

import time
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from pipeline.addresses import file_name, one_line, unsigned
from pipeline.config import SourceConfig
from pipeline.errors import SceneRefusedError, SourceError

_FIRST_WAIT_S = 0.5
"""Before the second try; doubled each time."""
_GONE = (404, 410)
"""Not there: waiting does not help."""
_BUSY = (429, 500, 502, 503, 504)
_CHUNK_BYTES = 1 << 20
_MAX_BYTES = 4 << 30
"""No band file is that large; a server that never stops sending does not fill the disk."""
_WHOLE_FILE_TIMEOUTS = 20
"""A whole file may take as many times ``source.timeout_s``."""


def retries(source: SourceConfig) -> Retry:
    """How often, and after what pauses, a busy server is asked again; its own wish is heeded up to the timeout."""
    return Retry(
        total=source.retries,
        backoff_factor=_FIRST_WAIT_S,
        status_forcelist=_BUSY,
        allowed_methods=None,
        raise_on_status=False,
        retry_after_max=max(int(source.timeout_s), 1),
    )


def session(source: SourceConfig) -> requests.Session:
    """Return a session whose requests are tried again while the server is busy."""
    asking = requests.Session()
    for scheme in ("http://", "https://"):
        asking.mount(scheme, HTTPAdapter(max_retries=retries(source)))
    return asking


def get(url: str, source: SourceConfig) -> requests.Response:
    """Answer of an address; raises :class:`requests.RequestException` when there is none or it is an error."""
    with session(source) as asking:
        answer = asking.get(url, timeout=source.timeout_s)
    answer.raise_for_status()
    return answer


def gdal_options(source: SourceConfig) -> dict[str, object]:
    """GDAL over HTTP: tries again while the server is busy, and remembers nothing after a failure.

    Without the last, GDAL answers from memory that a file does not exist when the server has long recovered.
    """
    return {
        "GDAL_HTTP_MAX_RETRY": source.retries,
        "GDAL_HTTP_RETRY_DELAY": _FIRST_WAIT_S,
        "GDAL_HTTP_TIMEOUT": source.timeout_s,
        "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/",
        "GDAL_INGESTED_BYTES_AT_OPEN": 65536,
    }


def download(address: str, path: Path, source: SourceConfig) -> None:
    """Write a whole remote file.

    Raises
    ------
    SceneRefusedError
        The server says that there is no such file.
    SourceError
        The file cannot be had now.
    OSError
        It cannot be written.
    """
    deadline = time.monotonic() + _WHOLE_FILE_TIMEOUTS * source.timeout_s
    shown = unsigned(address)
    try:
        with session(source) as asking, asking.get(address, timeout=source.timeout_s, stream=True) as answer:
            if answer.status_code in _GONE:
                raise SceneRefusedError(f"file {file_name(address)} is not there ({answer.status_code}: {shown})")
            answer.raise_for_status()
            with path.open("wb") as file:
                for chunk in answer.iter_content(_CHUNK_BYTES):
                    file.write(chunk)
                    if time.monotonic() > deadline or file.tell() > _MAX_BYTES:
                        raise SourceError(f"{shown}: is too slow or too large to be read; run again later")
    except requests.RequestException as error:
        raise SourceError(f"{shown}: cannot be read now ({reason(error)}); run again later") from error


def reason(error: Exception) -> str:
    """Say in a few words why an address gave no answer."""
    answer = getattr(error, "response", None)
    if answer is not None:
        return f"{answer.status_code} {answer.reason}"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "timed out"
    if isinstance(error, requests.ConnectionError) and not isinstance(error, requests.exceptions.SSLError):
        return "no connection, or one that broke off"
    return one_line(error)
