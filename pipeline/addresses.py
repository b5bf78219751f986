"""Addresses of files: which may be opened; :mod:`pipeline.printable` says how much of one may be shown."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, urlsplit

from pipeline.errors import SceneRefusedError
from pipeline.printable import one_line, plain, shown, unsigned

__all__ = ["checked", "file_name", "is_remote", "not_allowed", "one_line", "shown", "unsigned"]

_PORTS = {"https": 443, "http": 80}
_LONGEST_NAME = 255
"""Bytes a file system takes."""


def is_remote(address: str) -> bool:
    """Whether an address names something on a network rather than a path."""
    return "://" in address


def checked(href: str, catalogue: str, root: str | None = None) -> str:
    """Return the address of an asset when it names one file and the catalogue may name it.

    GDAL takes many strings for more than a file: parts of archives, databases, descriptions of other files.
    A catalogue on the network has no say over the files of this machine.

    Parameters
    ----------
    href : str
        An http(s) address, or an absolute path.
    catalogue : str
        Path or URL of the catalogue that names it.
    root : str or None
        Folder a local catalogue's files must lie below, links followed; None: :func:`home` of the catalogue.

    Raises
    ------
    SceneRefusedError
        The address is anything else.
    """
    try:
        parts = urlsplit(href)
    except ValueError as error:
        raise SceneRefusedError(f"address {shown(href)} is none") from error
    if parts.scheme in {"http", "https"} and parts.hostname and not re.search(r"[\s<>\"\\]", href):
        return href
    too_long = any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in href.split("/"))
    if is_remote(href) or not href.startswith("/") or href.startswith("/vsi") or plain(href) != href or too_long:
        raise SceneRefusedError(f"address {shown(href)} is neither http(s) nor a path")
    if is_remote(catalogue):
        raise SceneRefusedError(f"address {shown(href)} is a local path, which a remote catalogue may not name")
    folder = Path(root).resolve() if root else home(catalogue)
    if not Path(href).resolve().is_relative_to(folder):
        raise SceneRefusedError(f"file {shown(href)} lies outside {folder}; source.root can name a folder above both")
    return href


def home(catalogue: str) -> Path:
    """Folder of a local catalogue, links followed; an archive without one is a folder itself."""
    path = Path(catalogue).resolve()
    return path if path.is_dir() else path.parent


def not_allowed(url: str, own: Sequence[str], hosts: Sequence[str]) -> str | None:
    """Say why an address may not be asked; None when it may.

    Parameters
    ----------
    url : str
    own : sequence of str
        Addresses the configuration names (``source.url``, ``source.sign_url``): their hosts and ports may be asked,
        over http only if they are themselves.
    hosts : sequence of str
        Further hosts (``source.hosts``): ``name``, ``name:port``, or ``*.domain`` for every host below a domain, all
        over https; ``http://name:port`` for one that has nothing else.
    """
    try:
        asked, known = urlsplit(url), [urlsplit(address) for address in own]
        port = asked.port
    except ValueError:
        return f"address {shown(url)} is none"
    if asked.username is not None or asked.password is not None:
        return f"address of {asked.hostname} holds a user name"
    known += [urlsplit(host) for host in hosts if is_remote(host)]
    if asked.hostname and any(_place(asked) == _place(address) for address in known):
        return None
    if asked.scheme != "https" or not asked.hostname:
        return f"address {shown(url)} is not https"
    name = asked.hostname if port in {None, 443} else f"{asked.hostname}:{port}"
    if any(name == host.lower() or (host.startswith("*.") and name.endswith(host[1:].lower())) for host in hosts):
        return None
    return f"host {name} is not among those of source.url and source.hosts"


def _place(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host in lower case, and port, the usual one when none is said."""
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def file_name(address: str) -> str:
    """Last part of a path or address."""
    return PurePosixPath(unsigned(address)).name
