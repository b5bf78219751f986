"""Units of systemd as text: a service that runs one batch and ends, and the timer that starts it. Pure."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from pipeline.schedule.plan import BUSY, FLOCK, Plan

SERVICE = "stockline.service"
TIMER = "stockline.timer"
MARK = "# Made by stockline schedule; made anew by it, removed by stockline schedule --remove."
_INTERRUPTED = 130
_SIMPLE = re.compile(r"[\w@+=:,./-]+", re.ASCII)
_OWN_TMP = ("/tmp", "/var/tmp")  # noqa: S108 - compared with, not written to

_MANNERS = """\
Nice=10
IOSchedulingClass=idle
MemoryHigh=60%
MemoryMax=75%
TasksMax=512
# A batch that hangs ends some day; the next one goes on from what it fetched.
TimeoutStartSec=2d
# As Ctrl-C: what is under way ends, what is finished or fetched is kept.
KillSignal=SIGINT
TimeoutStopSec=90s
OOMPolicy=stop
"""

_HARDENING = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateDevices=yes
PrivateMounts=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
KeyringMode=private
RemoveIPC=yes
UMask=0027
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
"""
"""Without MemoryDenyWriteExecute: loops are compiled when they are first needed."""


def quoted(text: str) -> str:
    """Write one word of a list or command so that systemd reads it as it is: with blanks, quotes and ``%``."""
    if _SIMPLE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def service(plan: Plan) -> str:
    """Text of the service: one batch, and whatever else it must not touch."""
    # Of the words of a command alone, $ begins the name of a variable.
    command = " ".join([FLOCK, *(quoted(word).replace("$", "$$") for word in _locked(plan))])
    lines = [
        MARK,
        "[Unit]",
        "Description=Stockline: measure what is new at all sites",
        f"RequiresMountsFor={_words([plan.config, *plan.written])}",
        *(["Wants=network-online.target", "After=network-online.target"] if plan.user else []),
        "",
        "[Service]",
        "Type=oneshot",
        *([f"User={plan.user}"] if plan.user else []),
        f"WorkingDirectory={_path(plan.config.parent)}",
        f"ExecStart={command}",
        "# Another batch at work, or one that was asked to stop, is no failure.",
        f"SuccessExitStatus={BUSY} {_INTERRUPTED}",
        _MANNERS.rstrip(),
        "# The program's own folder is read only: what is compiled or drawn for later is kept here.",
        "CacheDirectory=stockline",
        "Environment=XDG_CACHE_HOME=%C/stockline MPLCONFIGDIR=%C/stockline/matplotlib",
        "Environment=NUMBA_CACHE_DIR=%C/stockline/numba PYTHONDONTWRITEBYTECODE=1",
        f"ReadWritePaths={_words(plan.written)}",
        *_temporary(plan),
        _HARDENING.rstrip(),
    ]
    return "\n".join(lines) + "\n"


def timer(plan: Plan) -> str:
    """Text of the timer; a machine that was off or asleep catches up."""
    lines = [
        MARK,
        "[Unit]",
        "Description=Stockline: when to measure what is new",
        "",
        "[Timer]",
        f"OnCalendar={plan.at.replace('%', '%%')}",
        "Persistent=true",
        "# Not all machines ask a provider in the same second.",
        "RandomizedDelaySec=15min",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return "\n".join(lines) + "\n"


def _locked(plan: Plan) -> tuple[str, ...]:
    """Words after ``flock``: a second start ends before it loads anything, whoever starts it."""
    return ("--nonblock", "--no-fork", "--conflict-exit-code", str(BUSY), str(plan.config), *plan.command)


def _temporary(plan: Plan) -> list[str]:
    """Give a folder for temporary files of its own, unless that would hide something a batch needs."""
    inside = [tmp for tmp in _OWN_TMP if any(path.is_relative_to(tmp) for path in (*plan.paths, _program(plan)))]
    return [f"ReadWritePaths={' '.join(_OWN_TMP)}"] if inside else ["PrivateTmp=yes"]


def _program(plan: Plan) -> PurePosixPath:
    return PurePosixPath(plan.program[0])


def _words(paths: Iterable[Path]) -> str:
    return " ".join(quoted(str(path)) for path in paths)


def _path(path: Path) -> str:
    """Write a path that is the whole value: blanks need no quotes there."""
    return str(path).replace("%", "%%")
