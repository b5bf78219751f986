"""The program with a fault before it changes a file below a folder the Nth time.

    python faults.py FAULT N FOLDER COMMAND ...

A fault is ``none`` (every change is printed to standard error at the end), ``kill`` (the process gets SIGKILL before
the change), ``fill`` (the disk is filled before the change) or ``clock=TIME`` (FAKETIME_TIMESTAMP_FILE says TIME).
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

BALLAST = "ballast"
_CHANGES = {
    "os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.mkdir": 0, "os.truncate": 0, "shutil.rmtree": 0,
    "sqlite3.connect": 0,
}  # fmt: skip
"""Events of the interpreter that change a file, and which of their arguments is its name."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def fill(folder):
    """Leave no byte free on the disk of a folder."""
    with (folder / BALLAST).open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)


class Faults:
    """Counts changes below a folder, and does what is to be done before one of them."""

    def __init__(self, fault: str, number: int, folder: Path) -> None:
        self.fault, self.number, self.folder = fault, number, folder
        self.changes: list[str] = []
        self.acting = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            name = arguments[0] if isinstance(arguments[2], int) and arguments[2] & _WRITING else None
        else:
            name = arguments[_CHANGES[event]] if event in _CHANGES else None
        if self.acting or not isinstance(name, str | bytes | os.PathLike):
            return
        path = os.fsdecode(name)
        if path.startswith(f"{self.folder}/"):
            self.changes.append(f"{event.rpartition('.')[2]} {path.removeprefix(f'{self.folder}/')}")
            if len(self.changes) == self.number:
                self.acting = True
                self.act()
                self.acting = False

    def act(self) -> None:
        """Do it."""
        if self.fault == "kill":
            os.write(2, f"killed before: {self.changes[-1]}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.fault == "fill":
            os.write(2, f"disk filled before: {self.changes[-1]}\n".encode())
            fill(self.folder.parent)
        elif self.fault.startswith("clock="):
            Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(self.fault.removeprefix("clock="))


def main():
    """Run one command of the program."""
    fault, number, folder, *command = sys.argv[1:]
    faults = Faults(fault, int(number), Path(folder))
    sys.addaudithook(faults)
    from pipeline import cli  # noqa: PLC0415 - nothing is imported before the hook listens

    sys.argv = ["stockline", *command]
    try:
        cli.entry()
    finally:
        if fault == "none":
            sys.stderr.write("".join(f"change: {change}\n" for change in faults.changes))


if __name__ == "__main__":
    main()
