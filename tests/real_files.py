"""A web server of another maker (nginx) that serves a folder with byte ranges, one kind of bad weather for each path.

``plain`` has none; what the others do stands in :data:`FAULTS`. A small server of our own stands behind nginx for what
nginx does not do by itself: to announce more than it sends. Everything listens on loopback and ends with the tests,
also when these are killed.
"""

import collections
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FAULTS = {
    "plain": "byte ranges as asked",
    "busy": "503 for one request in five, at random",
    "limited": "429 with Retry-After of one second beyond 10 requests a second",
    "limited-silent": "the same without Retry-After",
    "slow": "100 kB a second",
    "cut": "the connection breaks off in the middle of every body",
    "unranged": "the whole file, whatever range is asked",
    "changed": "as plain; for tests that change the file",
    "changing": "another version of the file after some requests, see RealFiles.change_after",
    "short": "a complete answer that holds fewer bytes than the range it names",
    "total": "a range of a file said to be longer than it is",
    "moved": "302 to another host",
    "halting": "half the body, a pause of RealFiles.halt_s, the other half",
    "weather": "503 20 %, 429 10 % (half with Retry-After), halting 10 %, cut 10 %, at random",
}
OTHER_HOST = "127.0.0.2"
"""Where ``moved`` leads; on loopback too, but no host the tests allow."""
_START_S = 20.0
_MARK = "/mark-"
"""What only :class:`RealFiles` asks for: when it is in the log, so is all that was asked before."""
_WEATHER = "20% busy; 5% limited; 5% silent; 10% slow; 10% cut; * fine;"
_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log error.log warn;
events { worker_connections 512; }
http {
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
  types { image/tiff tif; application/json json; } default_type application/octet-stream;
  log_format asked escape=json '{"method":"$request_method","path":"$request_uri","range":"$http_range",'
    '"status":$status,"size_bytes":$body_bytes_sent,"fault":"$fault","host":"$server_addr"}';
  access_log @LOG@ asked;
  split_clients "$request_id" $busy { 20% busy; * ""; }
  split_clients "$request_id" $weather { 20% busy; 5% limited; 5% silent; 10% slow; 10% cut; * fine; }
  map "$fault:$status" $retry_after { "limited:429" 1; default ""; }
  limit_req_zone $server_name zone=limited:1m rate=10r/s;
  limit_req_zone $server_name zone=silent:1m rate=10r/s;
  limit_req_status 429;
  add_header Retry-After $retry_after always;
  server {
    listen 127.0.0.1:@PORT@; listen @OTHER@:@PORT@; server_name files;
    set $fault "";
    location /plain/ { alias @ROOT@/; }
    location /changed/ { alias @ROOT@/; }
    location /busy/ { if ($busy) { set $fault busy; return 503; } alias @ROOT@/; }
    location /limited/ { set $fault limited; limit_req zone=limited burst=2 nodelay; alias @ROOT@/; }
    location /limited-silent/ { set $fault silent; limit_req zone=silent burst=2 nodelay; alias @ROOT@/; }
    location /slow/ { set $fault slow; limit_rate 100k; alias @ROOT@/; }
    location /unranged/ { max_ranges 0; alias @ROOT@/; }
    location /moved/ { rewrite ^/moved/(.*)$ http://@OTHER@:@PORT@/plain/$1 redirect; }
    location /cut/ { set $fault cut; proxy_buffering off; proxy_pass http://127.0.0.1:@BEHIND@; }
    location /halting/ { set $fault slow; proxy_buffering off; proxy_pass http://127.0.0.1:@BEHIND@; }
    location ~ ^/(short|total|changing)/ { proxy_buffering off; proxy_pass http://127.0.0.1:@BEHIND@; }
    location /weather/ {
      set $fault $weather;
      if ($weather = busy) { return 503; }
      if ($weather = limited) { return 429; }
      if ($weather = silent) { return 429; }
      rewrite ^/weather/(.*)$ /sky-$weather/$1 last;
    }
    location /sky-fine/ { internal; alias @ROOT@/; }
    location /sky-slow/ { internal; rewrite ^/sky-slow/(.*)$ /halting/$1 last; }
    location /sky-cut/ { internal; rewrite ^/sky-cut/(.*)$ /cut/$1 last; }
  }
}
"""


@dataclass(frozen=True)
class Asked:
    """One request as nginx saw it; ``size_bytes`` of body were sent, and ``fault`` is what was done to it."""

    method: str
    path: str
    range: str
    status: int
    size_bytes: int
    fault: str
    host: str


def read_access_log(access_log: Path) -> list[Asked]:
    """Read what was asked, in the order the answers ended."""
    lines = access_log.read_text(encoding="utf-8").splitlines()
    return [asked for asked in (Asked(**json.loads(line)) for line in lines) if not asked.path.startswith(_MARK)]


def weather_counts(access_log: Path) -> dict[str, int]:
    """Count the faults injected so far below every path, ``503``, ``429``, ``slow`` and ``cut``, and all ``requests``.

    Slow and cut count answers that began, 503 and 429 are answers themselves: no request is counted twice.
    """
    counts = collections.Counter(
        str(asked.status) if asked.status in {429, 503} else asked.fault for asked in read_access_log(access_log)
    )
    return {"requests": counts.total(), **{kind: counts[kind] for kind in ("503", "429", "slow", "cut")}}


class RealFiles:
    """The folder ``root`` behind nginx; what is put there is served below every path of :data:`FAULTS`."""

    def __init__(self, folder: Path, port: int | None = None, *, calm: bool = False) -> None:
        """Serve on a port; ``calm``: the path ``weather`` has none, so that addresses are the same without faults."""
        self.root = folder / "files"
        self.access_log = folder / "access.log"
        self.port = port or free_port()
        self.calm = calm
        self.halt_s = 0.5
        self._folder = folder
        self._changes: dict[str, tuple[int, bytes]] = {}
        self._seen: collections.Counter[str] = collections.Counter()
        for name in ("files", "tmp"):
            (folder / name).mkdir(parents=True)

    def at(self, fault: str) -> str:
        """Address of the folder below the path of a fault."""
        if fault not in FAULTS:
            raise KeyError(fault)
        return f"http://127.0.0.1:{self.port}/{fault}"

    def asked(self, part: str = "") -> list[Asked]:
        """Give what was asked of paths that hold a text, whole even when the last answer has just been read."""
        mark = f"{_MARK}{time.monotonic_ns()}"
        self._ask(mark)
        for _ in range(500):
            if mark in self.access_log.read_text(encoding="utf-8"):
                break
            time.sleep(0.01)
        return [asked for asked in read_access_log(self.access_log) if part in asked.path]

    def forget(self) -> None:
        """Begin the access log anew."""
        self.asked()
        os.truncate(self.access_log, 0)

    def change(self, name: str, data: bytes) -> None:
        """Replace a file at one stroke, as an archive that is processed again does."""
        beside = self._folder / "new"
        beside.write_bytes(data)
        beside.replace(self.root / name)

    def change_after(self, name: str, requests: int, data: bytes) -> None:
        """Serve a file below ``changing`` as it is for some requests, and ``data`` from then on."""
        self._seen[name] = 0
        self._changes[name] = (requests, data)

    def version(self, fault: str, name: str) -> tuple[bytes, str] | None:
        """Bytes and entity tag of a file as they are now, the tag as nginx makes it; None where there is no file."""
        path = self.root / name
        if not path.is_file():
            return None
        if fault == "changing":
            self._seen[name] += 1
            if name in self._changes and self._seen[name] > self._changes[name][0]:
                return self._changes[name][1], '"changed"'
        data = path.read_bytes()
        return data, f'"{int(path.stat().st_mtime):x}-{len(data):x}"'

    def _ask(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    @contextlib.contextmanager
    def running(self) -> Iterator["RealFiles"]:
        """Serve the folder; everything has stopped when the context ends."""
        behind = _Behind(("127.0.0.1", 0), type("Handler", (_BehindHandler,), {"owner": self}))
        thread = threading.Thread(target=behind.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        configuration = _CONFIGURATION.replace(_WEATHER, "* fine;") if self.calm else _CONFIGURATION
        for name, value in {
            "@ROOT@": self.root, "@LOG@": self.access_log, "@PORT@": self.port, "@OTHER@": OTHER_HOST,
            "@BEHIND@": behind.server_port,
        }.items():  # fmt: skip
            configuration = configuration.replace(name, str(value))
        (self._folder / "nginx.conf").write_text(configuration, encoding="utf-8")
        command = [str(program()), "-p", str(self._folder), "-e", "error.log", "-c", "nginx.conf"]
        try:
            with child(command, self._folder / "said.txt", stop=signal.SIGTERM) as process:
                await_start(process, self._answers, self._folder / "said.txt")
                yield self
        finally:
            behind.shutdown()
            behind.server_close()
            thread.join()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self._ask(f"{_MARK}start") == 404
        return False


class _Behind(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *arguments):
        """Say nothing of clients that hang up."""


class _BehindHandler(BaseHTTPRequestHandler):
    """What stands behind ``cut``, ``halting``, ``short``, ``total`` and ``changing``."""

    owner: RealFiles

    def log_message(self, *arguments):
        """Say nothing: nginx keeps the log."""

    def do_GET(self):
        _, fault, name = self.path.split("?", maxsplit=1)[0].split("/", maxsplit=2)
        found = self.owner.version(fault, name)
        if found is None:
            self.send_error(404)
            return
        data, tag = found
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        first, last = (int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)) if asked else (0, len(data) - 1)
        body = data[first : last + 1]
        if fault == "short":
            body = body[: len(body) // 2]
        self.send_response(206 if asked else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body)))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data) + 1000 * (fault == 'total')}")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            middle = len(body) // 2
            self.wfile.write(body[:middle])
            if fault != "cut":
                time.sleep(self.owner.halt_s if fault == "halting" else 0.0)
                self.wfile.write(body[middle:])


# --- processes that end with the tests ---------------------------------------------------------------------------


def program() -> Path | None:
    """Where nginx is; Debian has it where only root looks."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def missing() -> str | None:
    """Say why the server cannot run here; None when it can."""
    if program() is None:
        return "nginx is not installed (Debian: nginx-light)"
    if shutil.which("setpriv") is None:
        return "setpriv is not installed (Debian: util-linux); without it servers might outlive the tests"
    return None


def free_port() -> int:
    """Port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def child(
    command: list[str], said: Path, *, stop: signal.Signals, user: str | None = None, **options
) -> Iterator[subprocess.Popen]:
    """Run a server; the kernel sends it ``stop`` when this process dies, in whatever way.

    Parameters
    ----------
    command : list of str
    said : Path
        File of its output.
    stop : str
        Signal at which it ends at once, with its own children.
    user : str or None
        Whom to run it as; None: as we are.
    """
    guard = ["setpriv", "--pdeathsig", stop.name.removeprefix("SIG")]
    if user is not None:
        guard += ["--reuid", user, "--regid", user, "--init-groups"]
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*guard, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options
        )
        try:
            yield process
        finally:
            process.send_signal(stop)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def await_start(process: subprocess.Popen, ready, said: Path) -> None:
    """Wait until a server answers.

    Raises
    ------
    RuntimeError
        It ended, or does not answer; with what it said.
    """
    deadline = time.monotonic() + _START_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args}: does not start: {said.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
