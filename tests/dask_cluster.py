"""A Dask cluster for tests: scheduler and workers as processes of their own, on loopback, with or without TLS."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from conftest import PROJECT

from pipeline.errors import InputError

TLS = "DASK_DISTRIBUTED__COMM__TLS__"
_READY_S = 60.0


def certificate(folder):
    """Write a self-signed certificate; the environment of who is to use and to trust it."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    env = {f"{TLS}CA_FILE": str(cert), "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        env |= {f"{TLS}{role}__CERT": str(cert), f"{TLS}{role}__KEY": str(key)}
    return env


@dataclass
class Cluster:
    """A scheduler, and workers that come and go."""

    folder: Path
    env: dict = field(default_factory=dict)
    processes: list = field(default_factory=list)
    address: str = ""

    def begin(self, module, *arguments, path=PROJECT, **env):
        """Start one of Dask's processes in a session of its own."""
        words = [sys.executable, "-m", f"distributed.cli.{module}", *map(str, arguments)]
        mine = {k: v for k, v in os.environ.items() if not k.startswith("DASK_")}
        mine |= {"PYTHONPATH": str(path), "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__GIL__ENABLED": "false"}
        log = (self.folder / f"{module}-{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            words, env=mine | self.env | env, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
        )
        log.close()
        self.processes.append(process)
        return process

    def schedule(self):
        file = self.folder / "scheduler.json"
        self.begin(
            "dask_scheduler", "--scheduler-file", file, "--protocol", "tls" if f"{TLS}CA_FILE" in self.env else "tcp",
            "--port", 0, "--host", "127.0.0.1", "--no-dashboard", "--no-show",
        )  # fmt: skip
        wait(lambda: file.is_file() and file.read_text().strip(), "the scheduler to listen")
        self.address = json.loads(file.read_text())["address"]

    def work(self, *more, path=PROJECT, **env):
        """Start a worker with one thread; what it was given to find by a user's shell is in ``env``."""
        return self.begin(
            "dask_worker", self.address, "--nthreads", 1, "--no-dashboard", "--host", "127.0.0.1", "--memory-limit", 0,
            "--local-directory", self.folder / "scratch", *more, path=path, **env,
        )  # fmt: skip

    def kill(self, process, by=signal.SIGKILL):
        """Kill a process and those it started, as a machine that goes down does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, by)
        process.wait(timeout=30)

    def close(self):
        for process in reversed(self.processes):
            self.kill(process)

    def logs(self):
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@contextlib.contextmanager
def running(folder, workers, tls=None, more=None, **options):
    """Give a cluster whose workers have come."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, (tls or {}) | (more or {}))
    try:
        cluster.schedule()
        for _ in range(workers):
            cluster.work(**options)
        wait(lambda: cluster.logs().count("Registered to:") >= workers, f"{workers} workers")
        yield cluster
    finally:
        cluster.close()


def wait(there, what, seconds=_READY_S):
    """Wait until something is there."""
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


# --- what workers are asked to do ---


def file_of(name):
    return importlib.import_module(name).__file__


def process_of(_):
    return os.getpid()


def fail_and_count(path):
    with path.open("a") as file:
        file.write("called\n")
    raise InputError("not this one")


def end_the_process(_):
    os.kill(os.getpid(), signal.SIGKILL)
