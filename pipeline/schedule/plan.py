"""What is started by itself, when and with what it may touch: one record, made from the configuration."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.printable import is_plain

FLOCK = "/usr/bin/flock"
BUSY = 75
"""Another batch is at work: what the program and the lock before it end with."""


@dataclass(frozen=True)
class Plan:
    """One batch that starts by itself; all paths are absolute.

    Attributes
    ----------
    program : tuple of str
        How the program is called, up to its command.
    config : Path
        The configuration; also the file the lock before the program is taken on, since it is there in any case.
    written : tuple of Path
        Folders a batch writes into.
    read : tuple of Path
        What it reads beside.
    workers : int
    at : str
        When, as a calendar expression of systemd or the five fields of a crontab.
    credentials : Path or None
        File of ``NAME=value`` lines for the environment; the program reads it itself.
    user : str or None
        Whom a service of the whole machine runs as; None: a service of the user's own.
    """

    program: tuple[str, ...]
    config: Path
    written: tuple[Path, ...]
    read: tuple[Path, ...]
    workers: int
    at: str
    credentials: Path | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        for text in (*self.program, *map(str, self.paths), self.at, self.user or ""):
            if "\n" in text or "\r" in text or not is_plain(text):
                raise InputError(f"{text!r}: holds a character that no unit and no crontab can hold; rename it")
        for path in self.paths:
            if not path.is_absolute():
                raise InputError(f"{path}: is not an absolute path")
        if self.workers < 1:
            raise InputError(f"--workers {self.workers}: at least 1 is needed")

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files and folders it names."""
        return (self.config, *self.written, *self.read, *([self.credentials] if self.credentials else []))

    @property
    def command(self) -> tuple[str, ...]:
        """The program and all it is given."""
        secret = ("--credentials", str(self.credentials)) if self.credentials else ()
        return (*self.program, "run", "--config", str(self.config), "--workers", str(self.workers), *secret)
