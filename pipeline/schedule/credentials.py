"""Credentials in a file: ``NAME=value`` lines, each value taken to the letter; no shell and no unit reads them."""

import os
import re
import stat
from pathlib import Path

from pipeline.config import bounded_bytes
from pipeline.errors import InputError
from pipeline.printable import is_plain

_OTHERS = 0o077
_MOST = 65536
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def take_credentials(path: Path | None) -> None:
    """Put what a file holds into the environment of this process; None: nothing."""
    if path is not None:
        os.environ.update(read_credentials(path))


def read_credentials(path: Path) -> dict[str, str]:
    """Read a file of credentials.

    Raises
    ------
    InputError
        It is not there, others can read it, or a line cannot be taken to the letter; no value is shown.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"--credentials {path}: cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"--credentials {path}: is no plain file")
    if found.st_mode & _OTHERS:
        raise InputError(f"--credentials {path}: others can read it (mode {found.st_mode & 0o777:o}); chmod 600 {path}")
    try:
        text = bounded_bytes(path, "it holds NAME=value lines", _MOST).decode("utf-8")
    except UnicodeDecodeError:
        # Not chained: the error holds the bytes.
        raise InputError(f"--credentials {path}: is not UTF-8 text") from None
    try:
        return credentials_of(text)
    except InputError as error:
        raise InputError(f"--credentials {path}: {error}") from error


def credentials_of(text: str) -> dict[str, str]:
    """Return names and values of ``NAME=value`` lines; empty lines and those that begin with ``#`` say nothing.

    Blanks, quotes, ``$``, ``&`` or ``#`` within a value are part of it. What a shell or systemd would take off
    (quotes around a value, blanks at its ends) is refused, since whoever wrote it may not have meant it as part.

    Raises
    ------
    InputError
        Names the line, never what stands in it.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not sign or not _NAME.fullmatch(name):
            raise InputError(f"line {number}: is not NAME=value; write no export, and no blank before the =")
        if name in values:
            raise InputError(f"line {number}: gives a name a second time; remove one of the lines")
        if not is_plain(value) or value != value.strip():
            raise InputError(f"line {number}: its value begins or ends with a blank, or holds a control character")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            raise InputError(f"line {number}: its value stands in quotes; write it as it is, without them")
        values[name] = value
    return values
