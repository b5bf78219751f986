"""The command ``schedule``: units written and started, or what to type where that is not possible."""

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.errors import InputError, ProductError
from pipeline.evidence import write_beside
from pipeline.schedule.credentials import read_credentials
from pipeline.schedule.crontab import line, times
from pipeline.schedule.plan import FLOCK, Plan
from pipeline.schedule.units import MARK, SERVICE, TIMER, service, timer

NIGHTLY = "*-*-* 03:00"
"""Every night: what is up to date costs a search, and a batch that was cut short goes on a day later."""
_WAIT_S = 30.0
_NEVER = re.compile(r"^\s*Next elapse: never\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Wish:
    """What the command line asks for; ``to`` is the folder of the units, None: that of the user's own services."""

    at: str = NIGHTLY
    workers: int = 1
    to: Path | None = None
    crontab: bool = False
    system: bool = False
    remove: bool = False
    credentials: Path | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Wish":
        """Take what the command line was given."""
        return cls(**{field.name: given[field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Systemd:
    """What of systemd is there; :func:`present` looks, tests say.

    ``present`` is True where it runs the machine, ``manager`` where the user's own services can be started now.
    """

    present: bool
    manager: bool
    call: Callable[[Sequence[str]], str]


def present() -> Systemd:
    """Look whether systemd runs this machine, and answers the user who asks."""
    there = Path("/run/systemd/system").is_dir() and shutil.which("systemctl") is not None
    manager = False
    if there:
        try:
            _called(["systemctl", "--user", "show-environment"])
            manager = True
        except ProductError:
            manager = False
    return Systemd(there, manager, _called)


def arrange(config: Config, path: Path, wish: Wish, systemd: Systemd) -> list[str]:
    """Write, start or remove what starts batches by itself; return what to tell.

    Parameters
    ----------
    config : Config
    path : Path
        Of the configuration file.
    wish : Wish
    systemd : Systemd

    Raises
    ------
    InputError
        A wish that cannot be met: a time that is none, credentials others can read, no lock on this machine.
    ProductError
        A unit could not be written, or systemd refused it.
    """
    folder = wish.to or _own_units()
    if wish.remove:
        return _removed(folder, wish, systemd)
    plan = _plan(config, path, wish)
    if wish.crontab or not (systemd.present or wish.to or wish.system):
        why = "" if wish.crontab else "systemd does not run this machine; "
        return [
            f"# {why}add this line to the table that crontab -e opens; it does not catch up on nights off",
            line(plan),
        ]
    _check_time(wish.at, systemd)
    units = {SERVICE: service(plan), TIMER: timer(plan)}
    if wish.system and wish.to is None:
        texts = [f"# /etc/systemd/system/{name}\n{text}" for name, text in units.items()]
        return [*"\n".join(texts).splitlines(), f"# then: systemctl daemon-reload && systemctl enable --now {TIMER}"]
    told = [_written(folder / name, text) for name, text in units.items()]
    return [*told, *_started(wish, systemd)]


def _plan(config: Config, path: Path, wish: Wish) -> Plan:
    """Resolve everything to where it is now; folders of results are made, since a service cannot be given others."""
    store = config.store or config.out / "evidence"
    written = tuple(dict.fromkeys([config.out, store]))
    for folder in (*written, config.reviews):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made ({error.strerror}); a batch could not write there") from error
    if not Path(FLOCK).is_file():
        raise InputError(f"{FLOCK}: is not there; install util-linux, which holds batches apart")
    source = Path(config.source.url)
    read = [config.sites, *([config.claims] if config.claims else []), *([source] if source.is_absolute() else [])]
    if wish.credentials is not None:
        _check_secret(wish.credentials, _user() if wish.system else None)
    return Plan(
        program=_program(),
        config=path.absolute(),
        written=(*written, config.reviews),
        read=tuple(entry.absolute() for entry in read),
        workers=wish.workers,
        at=" ".join(wish.at.split()),
        credentials=wish.credentials.absolute() if wish.credentials else None,
        user=_user() if wish.system else None,
    )


def _program() -> tuple[str, ...]:
    """Return how this very program is called: from the environment it runs in now."""
    beside = Path(sys.executable).with_name("stockline")
    return (str(beside),) if beside.is_file() else (sys.executable, "-m", "pipeline.cli")


def _user() -> str:
    """Return who owns the results: root runs no batch because it installed one."""
    return os.environ.get("SUDO_USER") or Path.home().owner()


def _own_units() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "systemd" / "user"


def _check_secret(path: Path, user: str | None) -> None:
    """Refuse a file of credentials a batch would refuse, or that a service run as ``user`` could not read."""
    read_credentials(path)
    if user is not None and path.stat().st_uid != pwd.getpwnam(user).pw_uid:
        raise InputError(f"--credentials {path}: the batch runs as {user}, who cannot read it; chown {user} {path}")


def _check_time(at: str, systemd: Systemd) -> None:
    """Refuse a calendar expression systemd does not know; where it cannot be asked, one that a crontab does not."""
    if shutil.which("systemd-analyze") is None:
        times(at)
        return
    try:
        said = systemd.call(["systemd-analyze", "calendar", at])
    except ProductError as error:
        raise InputError(
            f"--at {at!r}: is no calendar expression (man systemd.time); e.g. 'Mon *-*-* 03:00'"
        ) from error
    if _NEVER.search(said):
        raise InputError(f"--at {at!r}: is a time that never comes, or is over; e.g. 'Mon *-*-* 03:00'")


def _written(path: Path, text: str) -> str:
    try:
        former = path.read_text(encoding="utf-8") if path.exists() else None
        if former == text:
            return f"{path}: unchanged"
        if former is not None and not former.startswith(MARK):
            raise InputError(f"{path}: was not written by this command; move it away or choose a folder with --to")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, text.encode())
    except OSError as error:
        raise ProductError(f"{path}: cannot be written ({error.strerror}); choose a folder with --to") from error
    return f"{path}: {'written' if former is None else 'written anew'}"


def _started(wish: Wish, systemd: Systemd) -> list[str]:
    """Start the timer of a user's own services, or say what to type."""
    lasting = "loginctl enable-linger lets it start while you are not logged in"
    own = wish.to is None or wish.to == _own_units()
    if wish.system:
        return [f"as root: systemctl daemon-reload && systemctl enable --now {TIMER}"]
    if not own:
        return [f"then: systemctl --user daemon-reload && systemctl --user enable --now {TIMER}; {lasting}"]
    if not systemd.manager:
        said = "no service manager of yours answers now; when you are logged in"
        return [f"{said}: systemctl --user daemon-reload && systemctl --user enable --now {TIMER}; {lasting}"]
    systemd.call(["systemctl", "--user", "daemon-reload"])
    systemd.call(["systemctl", "--user", "enable", "--now", TIMER])
    return [f"{TIMER}: enabled; systemctl --user list-timers shows when; {lasting}"]


def _removed(folder: Path, wish: Wish, systemd: Systemd) -> list[str]:
    """Stop the timer and remove the units this command wrote, and no others."""
    told = []
    ours = [path for name in (TIMER, SERVICE) if (path := folder / name).is_file()]
    for path in ours:
        if not path.read_text(encoding="utf-8").startswith(MARK):
            raise InputError(f"{path}: was not written by this command; nothing was removed")
    managed = wish.to is None and systemd.manager
    if ours and managed:
        systemd.call(["systemctl", "--user", "disable", "--now", TIMER])
    for path in ours:
        path.unlink()
        told.append(f"{path}: removed")
    if ours and managed:
        systemd.call(["systemctl", "--user", "daemon-reload"])
    elif ours:
        told.append(
            "a timer that was enabled: systemctl [--user] daemon-reload, after systemctl [--user] disable --now"
        )
    else:
        told.append(f"{folder}: holds no unit of this command")
    return [*told, "a line of a crontab is removed with crontab -e"]


def _called(words: Sequence[str]) -> str:
    """Call a tool of the system and return what it printed; :class:`ProductError` when it refuses."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_WAIT_S, check=False)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProductError(f"{' '.join(words)}: {error}") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise ProductError(f"{' '.join(words)}: {said or f'ended with {done.returncode}'}")
    return done.stdout
