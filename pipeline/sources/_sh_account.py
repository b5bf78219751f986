"""Who asks Sentinel Hub: credentials, the token they buy, and requests that carry it.

Credentials come from the environment or from the profile of the ``sentinelhub`` package, are read where they are used
and go to the address that issues tokens alone. The token lives in the memory of a process, until it ends or is
refused. The package's own session would follow a redirect to any host and try again by rules of its own, so the
requests are made by :mod:`pipeline.remote` like all others.
"""

import copy
import json
import os
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote_plus, urlencode, urlsplit

from pipeline.config import SourceConfig
from pipeline.errors import InputError, RefusedError, SourceError, UnauthorizedError
from pipeline.exchange import Answer, Ask
from pipeline.remote import Line, ask

DEPLOYMENTS = {
    "sh.dataspace.copernicus.eu": (
        "https://identity.dataspace.copernicus.eu/auth/realms/CDSE/protocol/openid-connect/token"
    ),
    "services.sentinel-hub.com": "https://services.sentinel-hub.com/auth/realms/main/protocol/openid-connect/token",
}
"""Host of a deployment -> address of its tokens (documentation of both, "Authentication")."""
VARIABLES = ("SH_CLIENT_ID", "SH_CLIENT_SECRET")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_EARLY_S = 120.0
"""A token is renewed this long before it ends, or after four fifths of a shorter life."""
_LONGEST_LIFE_S = 86_400.0
_TOKEN_BYTES = 1 << 16
_SHORTEST_SECRET = 8
"""Characters; fewer of a secret tell nothing."""


@dataclass(frozen=True)
class _Credentials:
    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    good_until: float


_TOKENS: dict[tuple[str, str], _Token] = {}
"""Of this process, by address and client; a worker buys its own."""
_BUYING = threading.Lock()


def token_address(source: SourceConfig) -> str:
    """Return the address that issues tokens.

    Raises
    ------
    InputError
        None is configured and the deployment is not known, or a secret would travel unencrypted.
    """
    found = source.token_url or DEPLOYMENTS.get(urlsplit(source.url).hostname or "")
    if found is None:
        known = " or ".join(f"https://{host}" for host in DEPLOYMENTS)
        raise InputError(f"source.url = {source.url}: is no known deployment; name {known}, or set source.token_url")
    for key, url in (("url", source.url), ("token_url", found)):
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise InputError(f"source.{key} = {url}: is not https; credentials are sent encrypted or not at all")
    return found


def ask_as_user(line: Line, wanted: Ask) -> Answer:
    """Make a request with a token; one that is refused is renewed once. Raises what :func:`pipeline.remote.ask` does.

    Raises
    ------
    InputError
        There are no credentials, or the deployment is not known; nothing has been asked.
    UnauthorizedError
        The renewed token is refused too.
    """
    token = _token(line)
    try:
        return _ask(line, wanted, token)
    except UnauthorizedError:
        # Revoked early, or it ended while the request waited for its turn.
        token = _token(line, refused=token)
    return _ask(line, wanted, token)


def _ask(line: Line, wanted: Ask, token: str) -> Answer:
    headers = {**wanted.headers, "Authorization": f"Bearer {token}"}
    return _without(line, replace(wanted, headers=headers), (token,), "")


def _token(line: Line, refused: str | None = None) -> str:
    """Give a token that is good now and is not the one refused."""
    address, credentials = token_address(line.source), _credentials()
    key = (address, credentials.client_id)
    with _BUYING:
        held = _TOKENS.get(key)
        if held is None or held.text == refused or time.time() >= held.good_until:
            held = _TOKENS[key] = _bought(line, address, credentials)
    return held.text


def _bought(line: Line, address: str, credentials: _Credentials) -> _Token:
    form = {
        "grant_type": "client_credentials", "client_id": credentials.client_id, "client_secret": credentials.secret,
    }  # fmt: skip
    # No host but that of the address itself may be asked: no redirect carries the secret away.
    there = Line(line.source.model_copy(update={"url": address, "sign_url": None, "hosts": ()}), line.ledger)
    wanted = Ask(
        address, "POST", {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        urlencode(form).encode(), most_bytes=_TOKEN_BYTES,
        milliseconds=urlsplit(address).netloc == urlsplit(line.source.url).netloc,
    )  # fmt: skip
    remedy = f"; check {' and '.join(VARIABLES)}, or the profile"
    hidden = (credentials.secret, quote_plus(credentials.secret), credentials.client_id)
    answer = _without(there, wanted, hidden, remedy)
    try:
        said = json.loads(answer.body)
        text, life_s = said["access_token"], min(float(said["expires_in"]), _LONGEST_LIFE_S)
        good = isinstance(text, str) and text.isascii() and text.isprintable() and " " not in text and life_s > 0
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise SourceError(f"{address}: answers no token; run again later")
    return _Token(text, time.time() + life_s - min(_EARLY_S, life_s / 5))


def _without(line: Line, wanted: Ask, secrets: tuple[str, ...], remedy: str) -> Answer:
    """Ask; an error holds none of some secrets, not even where the server repeats them."""
    try:
        return ask(line, wanted)
    except SourceError as error:
        text = str(error)
        for secret in secrets:
            # A server's text is cut: what is left of a secret at its end is one too.
            starts = (secret[:length] for length in range(len(secret), _SHORTEST_SECRET - 1, -1))
            text = text.replace(next((start for start in starts if start in text), secret), "***")
        cleaned = copy.copy(error)
        cleaned.args = (f"{text}{remedy if isinstance(error, RefusedError) else ''}", *error.args[1:])
    raise cleaned


def _credentials() -> _Credentials:
    """Read them from the environment, or else from the package's profile (``SH_PROFILE``).

    Raises
    ------
    InputError
        There are none.
    """
    client_id, secret = (os.environ.get(name, "") for name in VARIABLES)
    if not (client_id and secret):
        client_id, secret = _of_profile()
    if not (client_id and secret):
        raise InputError(
            f"{' and '.join(VARIABLES)} are not set; set them in the environment, or keep them in a profile of the "
            "sentinelhub package (sentinelhub.config --sh_client_id ... --sh_client_secret ...)"
        )
    return _Credentials(client_id, secret)


def _of_profile() -> tuple[str, str]:
    from sentinelhub import SHConfig  # noqa: PLC0415 - half a second, which other sources need not wait

    path = SHConfig.get_config_location()
    # The package writes a file of its own where there is none.
    if not Path(path).is_file():
        return "", ""
    try:
        config = SHConfig()
    except (KeyError, ValueError, TypeError, OSError):
        profile = os.environ.get("SH_PROFILE")
        # Without the package's words, which may quote the file.
        said = f"profile {profile}" if profile else "default profile"
        raise InputError(f"{path}: its {said} cannot be read; correct it or set {' and '.join(VARIABLES)}") from None
    return config.sh_client_id, config.sh_client_secret
