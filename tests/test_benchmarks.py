"""The tools that measure speed: processes of known cost, tables of known figures, a country counted by hand."""

import datetime as dt
import json
import subprocess
import sys

import numpy as np
import pytest
from shapely import box
from shapely.ops import unary_union

from benchmarks import country, speed, tables
from benchmarks.archive import EPSG, LEFT_M, TOP_M, days, originals_of, write_archive
from benchmarks.cases import QUICK, STANDARD, Archive, Case
from benchmarks.usage import FailedRunError, measure, shared_out
from pipeline.config import LimitsConfig
from pipeline.grid import reproject
from pipeline.sites import read_site

MEGABYTE = 1_000_000


def python(code, tmp_path):
    return measure([sys.executable, "-c", code], {}, tmp_path)


def test_time_memory_and_bytes_of_a_process_are_its_own(tmp_path):
    (tmp_path / "file").write_bytes(bytes(30 * MEGABYTE))
    code = (
        "import time, json; held = bytearray(150_000_000); open('file', 'rb').read(); time.sleep(0.5);"
        " print('words'); print(json.dumps({'tasks': 3}))"
    )
    idle, used = python("pass", tmp_path), python(code, tmp_path)
    assert 0.5 < used.wall_s < 5
    assert used.cpu_s < used.wall_s
    for peak in ("largest_bytes", "peak_bytes", "own_bytes"):
        assert 140 * MEGABYTE < getattr(used, peak) < 250 * MEGABYTE
    assert 29 * MEGABYTE < used.read_bytes - idle.read_bytes < 31 * MEGABYTE
    assert used.answer == {"tasks": 3}
    assert idle.answer == {}


def test_memory_of_children_is_added(tmp_path):
    hold = "import time; held = bytearray(100_000_000); time.sleep(1)"
    start = f"subprocess.Popen([sys.executable, '-c', {hold!r}])"
    code = f"import subprocess, sys; [child.wait() for child in [{start}, {start}]]"
    used = python(code, tmp_path)
    assert used.largest_bytes < 150 * MEGABYTE
    assert used.peak_bytes > 200 * MEGABYTE


def test_a_file_that_is_only_mapped_is_not_memory_of_its_own():
    rollup = "55-7f ---p 00000000 [rollup]\nRss:  900 kB\nPss:  700 kB\nPss_Anon:  100 kB\nPss_File:  600 kB\n"
    assert shared_out(rollup) == (700 * 1024, 100 * 1024)


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(FailedRunError, match="exit 3: no disk"):
        python("import sys; print('no disk', file=sys.stderr); sys.exit(3)", tmp_path)


def test_time_that_grows_as_a_power_gives_that_power():
    sizes = [1e6, 3e6, 16e6]
    assert tables.exponent(sizes, [2e-5 * size**0.97 for size in sizes]) == pytest.approx(0.97)
    with pytest.raises(ValueError, match="no slope"):
        tables.exponent([5, 5], [1, 2])


def usage(wall_s, inside_s=None, peak=1e9, **more):
    answer = {} if inside_s is None else {"inside_s": inside_s, "tasks": 1234}
    return {"wall_s": wall_s, "cpu_s": 2 * wall_s, "largest_bytes": peak / 2, "peak_bytes": peak, "own_bytes": peak / 4,
            "read_bytes": 5e8, "answer": answer, **more}  # fmt: skip


def entry(name, *runs, archive=None, skipped=None):
    return {"name": name, "runs": list(runs), "skipped": skipped, "case": {"archive": archive}}


FOUND = {
    "machine": {"processor": "P", "memory": "M", "system": "S", "commit": "C", "load_before": "0.0"},
    "groups": [
        {"name": "median", "cases": [
            entry("decoding alone", usage(2, 1.5)),
            entry("annual median", usage(4, 3.0), usage(4, 2.0), usage(4, 2.4)),
            entry("whole run", usage(8, peak=0.8e9)),
            entry("odc-plain", usage(30, 24.0)),
            entry("stackstac-plain", skipped="not there"),
        ]},
        {"name": "growth", "cases": [
            entry("a", usage(2), archive={"size_px": 1024, "scenes": 6}),
            entry("b", usage(32), archive={"size_px": 2048, "scenes": 24}),
        ]},
        {"name": "memory", "cases": [entry("240 scenes", usage(80, peak=0.84e9))]},
        {"name": "workers", "cases": [entry("1 worker", usage(9, peak=0.5e9)), entry("2 workers", usage(5))]},
    ],
    "rerun": [
        {"name": "nine years", "costs": [
            {"name": "first run", "cpu_s": 50.0, "wall_s": 40.0},
            {"name": "nothing new", "cpu_s": 2.0, "wall_s": 2.5},
            {"name": "one new scene", "cpu_s": 5.0, "wall_s": 3.0},
        ]},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "| annual median | 2.40 (2.00-3.00) | 4.00 | 8.00 | 0.50 | 1.00 | 0.25 | 1,234 | 0.50 |",
        "stackstac-plain: left out, not there.",
        "| annual median: odc-plain against ours | at least 8 times | 10.0 times |",
        "| odc-plain against our whole run | at least 3 times | 3.0 times |",
        "| annual median against decoding alone | at most 2 times | 1.6 times |",
        "| peak memory of the whole run | at most 1.0 GB | 0.80 GB |",
        "| the same, 240 scenes | within 15 % | +5 % |",
        "| exponent over a 16-fold range | 0.95 to 1.05 | 1.00 |",
        "| two workers against one | at least 1.7 times | 1.80 times |",
        "| one new scene | 3.00 | 5.00 | 7.5% |",
        "| a run with nothing new, nine years | at most 5 s | 2.50 s |",
        "| a run with one new scene, nine years | at most 10 % of the first | 7.5 % |",
    ],
)
def test_the_page_says_what_the_figures_say(line):
    assert line in tables.page(FOUND).splitlines()


def test_medians_that_differ_are_not_compared_for_speed():
    a = np.array([[100, 200.5, np.nan]], dtype=np.float32)
    alike = speed.compared({"a": a, "b": np.array([[100, 201, np.nan]], dtype=np.float32)})
    assert alike == "a, b: 3 values each, largest difference 0.5 DN"
    with pytest.raises(ValueError, match=r"up to 1\.5 DN"):
        speed.compared({"a": a, "b": np.array([[100, 202, np.nan]], dtype=np.float32)})
    with pytest.raises(ValueError, match="different pixels"):
        speed.compared({"a": a, "b": np.array([[100, 200, 300]], dtype=np.float32)})


def test_linked_scenes_share_pixels_only_where_their_offset_is_the_same():
    dates = days(12, (2021, 2022, 2023))
    found = originals_of(dates, 2)
    assert found == [0, 1, 0, 1, 4, 5, 4, 5, 4, 5, 4, 5]
    since = dt.date(2022, 1, 25)
    assert all((dates[n] >= since) == (dates[original] >= since) for n, original in enumerate(found))


def test_groups_and_cases_have_names_of_their_own():
    for groups in (STANDARD, QUICK):
        assert len({group.name for group in groups}) == len(groups)
        for group in groups:
            assert len({case.name for case in group.cases}) == len(group.cases)
    grown = [case.archive for group in STANDARD if group.name == "growth" for case in group.cases]
    assert {a.size_px**2 * a.scenes for a in grown} == {24 * 2**20, 24 * 2**22, 24 * 2**24}


def test_a_country_is_blocks_times_cost():
    work = country.Work(area_km2=5_000, site_km=50, dates=10, years=2)
    # Two sites of 5,000 px: 5 x 5 blocks each; 10 dates, 2 years.
    assert (work.sites, work.block_dates) == (2, 2 * 25 * 20)
    plan = country.plan_country(work, country.Measured(block_date_s=3.6, worker_bytes=7))
    assert plan.cpu_hours == pytest.approx(1.0)
    assert plan.hours(4) == pytest.approx(0.25)
    assert plan.scratch_bytes == pytest.approx(5_000**2 * 9.75 * 20)
    # One unit is 512 x 512 pixels and three bands; four at 10 m, three and the classes at 20 m; windows have a margin.
    units = (5_000 / 512) ** 2 * 4 / 3 + (2_500 / 512) ** 2 * 4 / 3
    assert units * 40 < plan.process.processing_units < 1.05 * units * 40
    assert plan.files.size_bytes > 5_000**2 * 40 * 4


def test_what_runs_out_first_comes_first():
    plan = country.plan_country(country.Work(), country.Measured(0.1, 10**9))
    quotas = [country.Quota("units", "processing_units", plan.process.processing_units / 2, 30)]
    assert country.first_to_break(plan, 1, quotas)[0] == ("units", pytest.approx(60))
    slow = country.plan_country(country.Work(), country.Measured(1e4, 10**9))
    assert country.first_to_break(slow, 1, quotas)[0][0] == "1 workers"


def test_costs_come_from_the_largest_run_and_memory_from_one_worker():
    assert country.measured_from(FOUND) == country.Measured(64 / (4 * 24), int(0.5e9))
    with pytest.raises(ValueError, match="without --only"):
        country.measured_from({"groups": []})


def test_a_batch_covers_the_archive_once(tmp_path):
    write_archive(tmp_path, 256, 2, sites_per_edge=2)
    sites = [read_site(path, LimitsConfig()) for path in sorted((tmp_path / "aoi").iterdir())]
    assert [site.id for site in sites] == ["bench-1", "bench-2", "bench-3", "bench-4"]
    areas = [reproject(site.aoi, 4326, EPSG) for site in sites]
    whole = box(LEFT_M, TOP_M - 2560, LEFT_M + 2560, TOP_M)
    # Each is 1,280 m less 100 m on every side.
    assert sum(area.area for area in areas) == pytest.approx(4 * 1080**2, rel=1e-3)
    assert unary_union(areas).area == pytest.approx(4 * 1080**2, rel=1e-3)
    assert all(area.within(whole) for area in areas)


@pytest.mark.slow
def test_the_whole_tool_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", tmp_path, "--quick"],
        cwd=speed.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    for group in found["groups"]:
        for case in group["cases"]:
            assert bool(case["runs"]) != bool(case["skipped"])
    assert (tmp_path / "tables.md").read_text() == tables.page(found)
    assert str(tmp_path) not in (tmp_path / "tables.md").read_text()
    assert not list(tmp_path.glob("run-*"))


def test_peers_are_left_out_with_a_reason_where_they_are_not_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "PEERS", speed.ROOT / ".venv-nowhere" / "python")
    assert speed.missing(Case("odc", Archive(256, 8), "peer", "odc-plain")) == (
        ".venv-nowhere/python is not there: make setup-peers"
    )
    assert speed.missing(Case("run", Archive(256, 8), "run")) is None
