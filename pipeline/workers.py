"""What the workers of a cluster have in common with the process that gives them tasks, asked before any work.

The same code and libraries, or numbers would depend on who worked; the same folders, since pixels and maps are
passed on as files.
"""

import contextlib
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.errors import ProductError
from pipeline.places import shared_mark
from pipeline.products.software import code_sha256, libraries

_LOOKS, _BETWEEN_S = 4, 0.5
"""A file made on one machine may be seen on another a moment later."""


@dataclass(frozen=True)
class Agreement:
    """What a worker must find; called there, it says what differs.

    Attributes
    ----------
    code_sha256 : str
        Of the sources of this program.
    versions : tuple of (str, str)
        Libraries that results rest on, and Python.
    paths : tuple of str
        Files and folders that tasks read.
    mark : str
        A file in the results folder.
    token : str
        What it holds.
    """

    code_sha256: str
    versions: tuple[tuple[str, str], ...]
    paths: tuple[str, ...]
    mark: str
    token: str

    def __call__(self) -> str | None:
        """Return one line on what is different in this process, None when nothing is."""
        code = code_sha256()
        if code != self.code_sha256:
            return f"its stockline is another (code {code[:12]}, here {self.code_sha256[:12]}); install the same"
        versions = dict(_versions())
        for name, here in self.versions:
            if (there := versions.get(name, "not needed")) != here:
                return f"{name} is {there} there, {here} here; install the same (constraints.txt)"
        if not _holds(Path(self.mark), self.token):
            return f"{Path(self.mark).parents[1]} is not the folder that it is here; results need a folder all see"
        lost = next((path for path in self.paths if not Path(path).exists()), None)
        return None if lost is None else f"{lost} is not there; the archive must be where all workers see it"


@contextmanager
def alike(config: Config) -> Iterator[Agreement]:
    """Give what the workers of a run must find, while it lasts.

    Raises
    ------
    ProductError
        The results folder cannot be written.
    """
    token = secrets.token_hex(8)
    mark = shared_mark(config.out, token)
    url = config.source.url
    local = [url if "://" not in url else None, config.source.root, config.store, config.clear.dem]
    paths = tuple(str(path) for path in local if path is not None and Path(path).exists())
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(token, encoding="utf-8")
    except OSError as error:
        raise ProductError(f"{mark}: {error.strerror or error}; choose another --out") from error
    try:
        yield Agreement(code_sha256(), _versions(), paths, str(mark), token)
    finally:
        mark.unlink(missing_ok=True)
        for folder in (mark.parent, config.out):
            with contextlib.suppress(OSError):  # of a run that was refused nothing is left
                folder.rmdir()


def _versions() -> tuple[tuple[str, str], ...]:
    return (*libraries().items(), ("python", platform.python_version()))


def _holds(path: Path, token: str) -> bool:
    for look in range(_LOOKS):
        if look:
            time.sleep(_BETWEEN_S)
        try:
            if path.read_text(encoding="utf-8") == token:
                return True
        except OSError:
            continue
    return False
