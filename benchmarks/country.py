"""What a whole country takes: measured cost of a block times its blocks, and what runs out first.

    python -m benchmarks.country RESULTS.json [WORKERS ...]

Time and memory come from the results of `benchmarks/speed.py`, bytes, requests and processing units from what
`stockline plan` would say of each site. Quotas change; they stand here with the month they were read in.
"""

import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from shapely.geometry import box

from benchmarks.cases import ONE_WORKER, WORKERS
from benchmarks.tables import markdown
from pipeline import sources
from pipeline.imagery import Asset, Item
from pipeline.ledger import Traffic
from pipeline.passes.scene import BANDS
from pipeline.types import Grid

BLOCK_PX = 1024
_PIXELS_PER_KM2 = 10_000
_DECODED_BYTES_PER_PIXEL = 4 * 2 + (3 * 2 + 1) / 4
"""Four bands of 16 bit at 10 m, three and the classes (8 bit) at 20 m."""
_DAYS_OF_MONTH = 30
_DAY_S = 86_400


@dataclass(frozen=True)
class Work:
    """What is to be measured: a country cut into square sites, each seen so many times in each of so many years."""

    area_km2: float = 120_000.0
    site_km: float = 50.0
    dates: int = 24
    years: int = 1

    def __post_init__(self) -> None:
        """Refuse work that is none."""
        if min(self.area_km2, self.site_km, self.dates, self.years) <= 0:
            raise ValueError(f"nothing to measure: {self}")

    @property
    def sites(self) -> int:
        """Number of sites."""
        return ceil(self.area_km2 / self.site_km**2)

    @property
    def site_px(self) -> int:
        """Edge of a site in pixels, whole cells of 20 m."""
        return round(self.site_km * 50) * 2

    @property
    def block_dates(self) -> int:
        """Blocks times dates times years times sites."""
        return self.sites * ceil(self.site_px / BLOCK_PX) ** 2 * self.dates * self.years


@dataclass(frozen=True)
class Measured:
    """What was measured on one machine.

    Attributes
    ----------
    block_date_s : float
        CPU seconds of the whole run per block of 1,024 x 1,024 pixels and date, everything else included.
    worker_bytes : int
        Peak memory of a run with one worker.
    """

    block_date_s: float
    worker_bytes: int


@dataclass(frozen=True)
class Quota:
    """How much of something there is in a time: ``amount`` of ``what`` in ``days``."""

    name: str
    what: str
    amount: float
    days: float


QUOTAS = (
    # Free limits of the Copernicus Data Space as read in 2026-06 (documentation.dataspace.copernicus.eu/Quotas.html).
    Quota("processing units of a free account", "processing_units", 10_000, _DAYS_OF_MONTH),
    Quota("requests of a free account to the Process API", "process_requests", 10_000, _DAYS_OF_MONTH),
    Quota("one connection of 5 MB/s", "bytes", 5e6 * _DAY_S, 1),
    Quota("one machine's network of 1 Gbit/s", "bytes", 125e6 * _DAY_S, 1),
)


@dataclass(frozen=True)
class Plan:
    """What a country takes; traffic is an upper bound, as in ``stockline plan``.

    Attributes
    ----------
    cpu_hours : float
    files : Traffic
        From an archive of cloud-optimised GeoTIFFs.
    process : Traffic
        From the Process API instead.
    scratch_bytes : float
        Decoded pixels of one site while it is measured.
    worker_bytes : int
    """

    cpu_hours: float
    files: Traffic
    process: Traffic
    scratch_bytes: float
    worker_bytes: int

    def hours(self, workers: int) -> float:
        """Wall time on so many workers of one core each, none of which ever waits."""
        return self.cpu_hours / workers

    def demand(self, what: str) -> float:
        """How much of a quota's ``what`` is asked for."""
        return {
            "processing_units": self.process.processing_units,
            "process_requests": float(self.process.requests),
            "bytes": float(self.files.size_bytes),
        }[what]


def measured_from(results: Mapping[str, Any]) -> Measured:
    """Take the cost of a block from the largest run of the growth group, memory from the run with one worker.

    Raises
    ------
    ValueError
        The results hold neither.
    """
    cases = {(g["name"], e["name"]): e for g in results["groups"] for e in g["cases"] if e["runs"]}
    growth = [entry for (group, _), entry in cases.items() if group == "growth"]
    if not growth or (WORKERS, ONE_WORKER) not in cases:
        raise ValueError("the results hold no growth or no run with one worker: benchmarks.speed without --only")
    largest = max(growth, key=lambda entry: _block_dates(entry["case"]["archive"]))
    cpu = sorted(run["cpu_s"] for run in largest["runs"])[len(largest["runs"]) // 2]
    memory = max(run["peak_bytes"] for run in cases[WORKERS, ONE_WORKER]["runs"])
    return Measured(cpu / _block_dates(largest["case"]["archive"]), memory)


def _block_dates(archive: Mapping[str, Any]) -> float:
    return float(archive["size_px"] ** 2 / BLOCK_PX**2 * archive["scenes"])


def plan_country(work: Work, measured: Measured) -> Plan:
    """Multiply: cost of a block by blocks, a site's traffic by sites, dates and years."""
    visits = work.sites * work.dates * work.years
    return Plan(
        cpu_hours=work.block_dates * measured.block_date_s / 3600,
        files=_times(_traffic("stac", work.site_px), visits),
        process=_times(_traffic("sentinelhub", work.site_px), visits),
        scratch_bytes=work.site_px**2 * _DECODED_BYTES_PER_PIXEL * work.dates * work.years,
        worker_bytes=measured.worker_bytes,
    )


def first_to_break(plan: Plan, workers: int, quotas: Sequence[Quota] = QUOTAS) -> list[tuple[str, float]]:
    """Give what the work has to wait for and how many days that takes, the longest first."""
    waits = [(quota.name, plan.demand(quota.what) / quota.amount * quota.days) for quota in quotas]
    waits.append((f"{workers} workers", plan.hours(workers) / 24))
    return sorted(waits, key=lambda wait: -wait[1])


def _traffic(source: str, site_px: int) -> Traffic:
    """One date of one site, as the plan of a source counts it."""
    grid = Grid(epsg=32652, left_m=399_960.0, top_m=4_400_040.0, width=site_px, height=site_px)
    left, bottom, right, top = grid.bounds
    item = Item(
        id="country", collection="sentinel-2-l2a", datetime=dt.datetime(2024, 5, 1, tzinfo=dt.UTC), platform=None,
        processing_baseline="05.10", relative_orbit=None, epsg=grid.epsg, tile=None,
        coverage=box(left, bottom, right, top),
        assets={band: Asset(band, f"https://archive.invalid/{band}.tif") for band in BANDS},
    )  # fmt: skip
    priced: Traffic = sources.load(source).price(item, BANDS, grid)
    return priced


def _times(traffic: Traffic, count: int) -> Traffic:
    return Traffic(
        traffic.requests * count, traffic.pixel_requests * count, traffic.size_bytes * count,
        traffic.processing_units * count,
    )  # fmt: skip


def page(work: Work, plan: Plan, workers: Sequence[int]) -> str:
    """Give the plan as Markdown."""
    units, asked = plan.process.processing_units, plan.process.requests
    rows = [
        ("sites", f"{work.sites:,} of {work.site_km:g} x {work.site_km:g} km"),
        ("blocks times dates", f"{work.block_dates:,}"),
        ("CPU", f"{plan.cpu_hours:,.1f} hours"),
        *((f"on {n} workers", f"{plan.hours(n):,.1f} hours") for n in workers),
        ("memory per worker", f"{plan.worker_bytes / 1e9:.2f} GB"),
        ("decoded pixels of a site under way", f"{plan.scratch_bytes / 1e9:,.0f} GB"),
        ("from GeoTIFFs, at most", f"{plan.files.size_bytes / 1e12:.2f} TB in {plan.files.requests:,} requests"),
        ("from the Process API instead, at most", f"{units:,.0f} processing units in {asked:,} requests"),
    ]
    waits = [(name, f"{days:,.1f} days") for name, days in first_to_break(plan, max(workers))]
    about = f"{work.area_km2:,.0f} km2, {work.dates} dates a year, {work.years} year(s)"
    return "\n".join([*markdown((about, ""), rows), "", *markdown(("what the work waits for", "alone"), waits), ""])


def main(arguments: Sequence[str]) -> None:
    """Print the plan for one year and for nine."""
    measured = measured_from(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    workers = [int(text) for text in arguments[1:]] or [2, 16, 64]
    for years in (1, 9):
        work = Work(years=years)
        print(page(work, plan_country(work, measured), workers))


if __name__ == "__main__":
    main(sys.argv[1:])
