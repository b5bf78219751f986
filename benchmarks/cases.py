"""What is measured: commands, and the archives they work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MEDIAN = "median"
"""The group of the masked annual median: peers, ours, decoding alone, and the whole run beside them."""
WORKERS = "workers"
"""Groups of one worker against two begin with this."""
ONE_WORKER, TWO_WORKERS = "1 worker", "2 workers"


@dataclass(frozen=True)
class Archive:
    """A simulated archive: edge in pixels, number of scenes, years, how many scenes have pixels of their own, sites."""

    size_px: int
    scenes: int
    years: int = 1
    different: int | None = None
    sites_per_edge: int = 1

    @property
    def name(self) -> str:
        """Folder of the archive."""
        alone = "" if self.different is None else f"-{self.different}"
        sites = "" if self.sites_per_edge == 1 else f"-{self.sites_per_edge**2}sites"
        return f"{self.size_px}px-{self.scenes}x{self.years}y{alone}{sites}"

    @property
    def arguments(self) -> Sequence[str]:
        """What `benchmarks/archive.py` is asked for after the folder."""
        more = [] if self.different is None else ["--different", str(self.different)]
        edge = ["--sites-per-edge", str(self.sites_per_edge)]
        return [str(self.size_px), str(self.scenes), "--years", str(self.years), *more, *edge]


@dataclass(frozen=True)
class Case:
    """One command on one archive.

    Attributes
    ----------
    name : str
        Unique within its group.
    archive : Archive
    kind : {'peer', 'decode', 'median', 'run', 'processes'}
    form : str
        The form of a peer (`benchmarks/peers.py`).
    workers : int
    code : str
        Folder of compiled code.
    cold : bool
        That is empty.
    """

    name: str
    archive: Archive
    kind: str
    form: str = ""
    workers: int = 2
    code: str = "compiled"
    cold: bool = False

    def command(self, python: Path, peers: Path, archive: Path, out: Path) -> Sequence[str | Path]:
        """Command line; ``archive`` is the archive's folder, ``out`` one that may be filled."""
        if self.kind == "peer":
            return [peers, "-P", "benchmarks/peers.py", self.form, archive, str(self.workers)]
        if self.kind == "decode":
            return [python, "-m", "benchmarks.median", "--decode", archive, str(self.workers)]
        if self.kind == "median":
            return [python, "-m", "benchmarks.median", archive, str(self.workers)]
        run = ["run", "--config", archive / "config.yaml", "--out", out]
        if self.kind == "processes":
            return [python, "-m", "benchmarks.processes", str(self.workers), *run]
        return [python, "-m", "pipeline.cli", *run, "--workers", str(self.workers)]


@dataclass(frozen=True)
class Group:
    """Cases compared with each other: run in turn, ``repeats`` times."""

    name: str
    cases: Sequence[Case]
    repeats: int


def _runs(name: str, repeats: int, archives: Sequence[Archive]) -> Group:
    return Group(name, [Case(f"{a.scenes} scenes, {a.size_px} px", a, "run") for a in archives], repeats)


def _median(archive: Archive, forms: Sequence[str], repeats: int) -> Group:
    return Group(
        MEDIAN,
        [
            Case("decoding alone", archive, "decode"),
            Case("annual median", archive, "median"),
            Case("whole run", archive, "run"),
            *(Case(form, archive, "peer", form) for form in forms),
        ],
        repeats,
    )


def _workers(name: str, archive: Archive, repeats: int) -> Group:
    """One worker, two threads, two local processes."""
    cases = [
        Case(ONE_WORKER, archive, "run", workers=1),
        Case(TWO_WORKERS, archive, "run", workers=2),
        Case("2 processes", archive, "processes", workers=2),
    ]
    return Group(name, cases, repeats)


def _compiled(archive: Archive, repeats: int) -> Group:
    own = "compiled-anew"
    cases = [Case("cold", archive, "run", code=own, cold=True), Case("warm", archive, "run", code=own)]
    return Group("compiled code", cases, repeats)


YEAR = Archive(2048, 24)
SMALL = Archive(256, 8)
NINE_YEARS = Archive(512, 90, 9), Archive(2048, 90, 9)
"""What re-runs are measured on (`benchmarks/rerun.py`)."""
RERUN = "rerun"
PEER_FORMS = (
    "odc-plain", "odc-chunked", "odc-bottleneck", "stackstac-plain", "stackstac-chunked", "stackstac-bottleneck",
)  # fmt: skip
STANDARD = (
    _median(YEAR, PEER_FORMS, 2),
    _workers(WORKERS, YEAR, 2),
    _workers(f"{WORKERS}, four sites", Archive(2048, 24, sites_per_edge=2), 2),
    _runs("growth", 1, [Archive(1024, 24), YEAR, Archive(1024, 96), Archive(2048, 96), Archive(4096, 24)]),
    _runs("memory", 1, [Archive(2048, 240, 10, 24), Archive(6144, 24, 1, 4)]),
    _compiled(SMALL, 2),
)
QUICK = (
    _median(SMALL, ("odc-chunked", "stackstac-chunked"), 1),
    _workers(WORKERS, SMALL, 1),
    _runs("growth", 1, [SMALL, Archive(256, 16)]),
)
"""Enough to see that the tool works."""
