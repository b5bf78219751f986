"""A real STAC API: stac-fastapi-pgstac on PostgreSQL with PostGIS, in a folder and on ports of its own, on loopback.

PostgreSQL comes from Debian's packages, the API from ``make setup-servers``. Both end with the tests, also when these
are killed.
"""

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests
from real_files import await_start, child, free_port

ENVIRONMENT = Path(__file__).parents[1] / ".venv-servers" / "bin"
_LIBRARIES, _EXTENSIONS = Path("/usr/lib/postgresql"), Path("/usr/share/postgresql")
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=40")


def database_programs() -> Path | None:
    """Folder of the newest PostgreSQL that has PostGIS; None where there is none."""
    versions = sorted(
        (int(path.name) for path in _LIBRARIES.glob("[0-9]*") if (path / "bin" / "initdb").is_file()), reverse=True
    )
    return next(
        (
            _LIBRARIES / str(version) / "bin"
            for version in versions
            if (_EXTENSIONS / str(version) / "extension" / "postgis.control").is_file()
        ),
        None,
    )


def missing() -> str | None:
    """Say why the API cannot run here; None when it can."""
    if database_programs() is None:
        return "PostgreSQL with PostGIS is not installed (Debian: postgresql, postgresql-15-postgis-3)"
    if not (ENVIRONMENT / "pypgstac").is_file():
        return "the STAC API is not installed (make setup-servers)"
    if shutil.which("setpriv") is None:
        return "setpriv is not installed (Debian: util-linux); without it servers might outlive the tests"
    if os.geteuid() == 0 and _database_user() is None:
        return "there is no user postgres, and the database does not run as root"
    return None


class RealCatalogue:
    """The API at ``url``, and the way to put items behind it."""

    def __init__(self, url: str, folder: Path, environment: dict[str, str]) -> None:
        self.url = url
        self._folder = folder
        self._environment = environment

    def load(self, collection: str, documents: Sequence[dict[str, Any]]) -> None:
        """Load items into a collection, which is made when it is not there; an item of the same id is replaced."""
        head = {
            "type": "Collection", "id": collection, "stac_version": "1.0.0", "description": collection,
            "license": "other", "links": [],
            "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        }  # fmt: skip
        self._load("collections", [head])
        self._load("items", [{**document, "collection": collection} for document in documents])

    def _load(self, kind: str, documents: Sequence[dict[str, Any]]) -> None:
        path = self._folder / f"{kind}.ndjson"
        path.write_text("".join(json.dumps(document) + "\n" for document in documents), encoding="utf-8")
        _run([str(ENVIRONMENT / "pypgstac"), "load", kind, str(path), "--method", "upsert"], self._environment)


@contextlib.contextmanager
def running() -> Iterator[RealCatalogue]:
    """Start database and API; both have stopped and their folder is gone when the context ends."""
    # A folder of its own: the user the database runs as cannot enter those of the tests.
    folder = Path(tempfile.mkdtemp(prefix="catalogue-"))
    try:
        with _database(folder) as environment, _api(folder, environment) as url:
            yield RealCatalogue(url, folder, environment)
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[dict[str, str]]:
    """Run a new database that holds the tables of pgstac; gives the environment its clients need."""
    programs, user = database_programs(), _database_user()
    port, password = free_port(), secrets.token_hex(16)
    (folder / "password").write_text(password, encoding="utf-8")
    if user is not None:
        for path in (folder, folder / "password"):
            shutil.chown(path, user)
    start = [
        str(programs / "initdb"), "-D", str(folder / "data"), "-U", "tests", "--pwfile", str(folder / "password"),
        "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync",
    ]  # fmt: skip
    _run(start, dict(os.environ), user=user, group=user, cwd=folder)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
        "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "tests", "PGPASSWORD": password, "PGDATABASE": "postgres",
    }  # fmt: skip
    serve = [str(programs / "postgres"), "-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", ""]
    for setting in _QUICK:
        serve += ["-c", setting]
    with child(serve, folder / "database.txt", stop=signal.SIGINT, user=user, cwd=folder) as process:

        def ready() -> bool:
            asked = subprocess.run([programs / "pg_isready", "-q"], env=environment, check=False)
            return asked.returncode == 0

        await_start(process, ready, folder / "database.txt")
        _run([str(ENVIRONMENT / "pypgstac"), "migrate"], environment)
        yield environment


@contextlib.contextmanager
def _api(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run the API on a database; gives its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    serve = [
        str(ENVIRONMENT / "uvicorn"), "--factory", "stac_fastapi.pgstac.app:create_app", "--host", "127.0.0.1",
        "--port", str(port), "--log-level", "warning",
    ]  # fmt: skip
    with child(serve, folder / "api.txt", stop=signal.SIGTERM, cwd=folder, env=environment) as process:

        def ready() -> bool:
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(url, timeout=5).ok
            return False

        await_start(process, ready, folder / "api.txt")
        yield url


def _database_user() -> str | None:
    """Whom the database runs as: it refuses root. None: as we are, or there is nobody."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return None


def _run(command: list[str], environment: dict[str, str], **options: Any) -> None:
    """Run a program to its end.

    Raises
    ------
    RuntimeError
        It failed; with what it said.
    """
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}): {(done.stdout + done.stderr)[-2000:]}")
