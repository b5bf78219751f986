"""The command line: help, arguments, what each command says, and progress."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PROJECT, call, command_line, environment, hashes, products
from servers import FileServer

from pipeline import __version__, cli
from pipeline.parallel import Progress
from pipeline.progress import Bar

COMMANDS = ("run", "plan", "report", "verify", "sites", "simulate", "status")


def test_help_answers_at_once_without_numpy():
    times = []
    for _ in range(3):  # the best of three: another process may have the core
        start = time.perf_counter()
        done = call("--help")
        times.append(time.perf_counter() - start)
        assert done.returncode == 0
    assert min(times) < 0.6
    assert all(command in done.stdout for command in COMMANDS)
    script = "import sys, pipeline.cli as c\ntry:\n c.main(['run', '--help'])\nexcept SystemExit: pass\n"
    heavy = "print([m for m in ('numpy', 'rasterio', 'pydantic', 'dask', 'shapely') if m in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", script + heavy], env=environment(), capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert "usage: stockline " + command in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "COMMAND"),
        (["mesure"], "mesure"),
        (["run", "--wrokers", "2"], "--wrokers"),
        (["run", "--workers", "two"], "two"),
        (["run", "--years", "2017..2025"], "2017..2025"),
        (["verify"], "DIR"),
        (["sites", "chekc"], "chekc"),
        (["simulate", "there", "--seed", "one"], "one"),
    ],
)
def test_bad_arguments_end_with_2_before_any_work(arguments, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--workers", "0"], ["--workers 0", "at least 1"]),
        (["--workers", "-3"], ["--workers -3"]),
        (["--years", "2025-2017"], ["--years 2025-2017", "before"]),
        (["--years", "1999"], ["1999"]),
        (["sim-prot"], ["sim-prot", "sim-port"]),
        (["--scheduler", "nonsense"], ["--scheduler", "nonsense"]),
    ],
)
def test_values_that_cannot_be_end_with_2_and_one_line(more, told, port, tmp_path, capsys):
    status = cli.main(["run", "--config", str(port / "config.yaml"), "--out", str(tmp_path / "out"), *more])
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert len(said.err.splitlines()) == 1
    assert all(word in said.err for word in told)
    assert not (tmp_path / "out").exists()


def test_a_missing_configuration_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run"]) == 2
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "stockline: config.yaml: cannot be read (No such file or directory); name a file with --config"
    ]


@pytest.fixture
def out(port_results, tmp_path):
    """A copy of the port's finished results."""
    return Path(shutil.copytree(port_results, tmp_path / "out"))


def test_run_says_where_to_look_and_what_was_found(out, port, capsys):
    assert cli.main(["run", "--config", str(port / "config.yaml"), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert f"sim-port: SIMULATED up to date; see {out / 'sim-port' / 'report.html'}" in said.out
    headlines = [line for line in said.out.splitlines() if line.startswith("  ")]
    assert [line.split(":")[0].strip() for line in headlines] == [
        "stockpile_area_m2",
        "footprint_area_m2",
        "boundary_gain_m2",
    ]
    assert all("2018 to 2019" in line and "95 % interval" in line for line in headlines)
    assert "claim sim-stock:" in said.out
    assert re.search(r"^sim-port: 2\d scenes", said.err)
    assert "\x1b" not in said.err


def test_plan_reads_no_pixel(port, tmp_path, capsys):
    archive = tmp_path / "archive"
    shutil.copytree(port, archive, ignore=shutil.ignore_patterns("*.tif", "results"))
    assert cli.main(["plan", "--config", str(archive / "config.yaml")]) == 0
    said = capsys.readouterr()
    assert re.fullmatch(
        r"sim-port: 2\d scenes \(0 refused\), EPSG:32652, .* nothing to fetch .* on one worker\n", said.out
    )
    assert not (archive / "results").exists()


def test_plan_counts_what_would_be_fetched(port, settings, capsys):
    with FileServer(port) as server:
        source = {"kind": "stac", "url": f"{server.url}/catalog.json"}
        config = settings(source=source, sites=str(port / "aoi"), years={"first": 2018, "last": 2018})
        assert cli.main(["plan", "--config", str(config)]) == 0
        assert server.asked(".tif") == []
    said = capsys.readouterr().out
    scenes, requests = int(re.search(r"(\d+) scenes", said)[1]), int(re.search(r"in ([\d,]+) requests", said)[1])
    assert requests >= scenes * 8  # eight files a scene
    assert float(re.search(r"([\d,]+) MB", said)[1].replace(",", "")) > 0


def test_plan_tells_of_a_site_without_scenes(port, settings, capsys):
    config = settings(
        source={"kind": "stac", "url": str(port / "catalog.json")},
        sites=str(port / "aoi"),
        years={"first": 2030, "last": 2031},
    )
    assert cli.main(["plan", "--config", str(config)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "no scene over the AOI in 2030-2031" in said.err


def test_report_is_rebuilt_to_the_same_bytes(port, out, capsys):
    before = hashes(out)
    for name in ("report.html", "report.pdf"):
        (out / "sim-port" / name).write_bytes(b"lost")
    arguments = ["--config", str(port / "config.yaml"), "--out", str(out)]
    assert cli.main(["report", *arguments]) == 0
    assert str(out / "sim-port" / "report.html") in capsys.readouterr().out
    assert hashes(out) == before
    assert cli.main(["verify", str(out)]) == 0
    assert cli.main(["run", *arguments]) == 0
    assert "up to date" in capsys.readouterr().out


def test_report_without_results_says_so(port, tmp_path, capsys):
    status = cli.main(["report", "--config", str(port / "config.yaml"), "--out", str(tmp_path / "none")])
    assert status == 2
    assert "holds no finished result" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["sim-port.gpkg", "composites/2018.tif", "report.html", "report.pdf", "manifest.json"])
def test_verify_names_the_file_in_which_one_byte_was_flipped(name, out, capsys):
    assert cli.main(["verify", str(out)]) == 0
    assert "every hash agrees" in capsys.readouterr().out
    path = out / "sim-port" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for folder, prefix in ((out, "sim-port/"), (out / "sim-port", "")):
        assert cli.main(["verify", str(folder)]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert any(line.startswith(f"{prefix}{name}: ") for line in lines)
        assert lines[-1].endswith("1 problems") or name == "manifest.json"


def test_verify_names_copied_evidence(port, small, settings, tmp_path, capsys):
    config = settings(
        source={"kind": "simulated", "url": str(port / "catalog.json"), "evidence": "copy"},
        sites=str(small / "aoi"),
        years={"first": 2018, "last": 2018},
    )
    assert cli.main(["run", "--config", str(config)]) == 0
    assert cli.main(["verify", str(tmp_path / "results")]) == 0
    path = next((tmp_path / "results" / "evidence").rglob("swir16.tif"))
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    assert cli.main(["verify", str(tmp_path / "results")]) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert path.relative_to(tmp_path / "results").as_posix() in first
    assert "differs" in first
    # Pixels that are not what was fetched are never measured: they are fetched again, and it is told.
    assert cli.main(["run", "--config", str(config), "--force"]) == 0
    assert (
        f"{path}: differs from the hash recorded when it was fetched; it was fetched again" in capsys.readouterr().err
    )
    assert cli.main(["verify", str(tmp_path / "results")]) == 0


def test_verify_wants_a_result(tmp_path, capsys):
    assert cli.main(["verify", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_sites_of_the_project_are_listed_checked_and_shown(capsys):
    config = ["--config", str(PROJECT / "config.yaml")]
    assert cli.main(["sites", "check", *config]) == 0
    checked = capsys.readouterr().out
    files = sorted(path.stem for path in (PROJECT / "aoi").glob("*.geojson"))
    assert checked.startswith(f"{len(files)} site files")
    assert cli.main(["sites", "list", *config]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in listed] == files
    assert cli.main(["sites", "show", files[0], *config]) == 0
    shown = capsys.readouterr().out
    assert "source: " in shown
    assert "note: " in shown


def test_sites_show_wants_a_known_site(capsys):
    config = ["--config", str(PROJECT / "config.yaml")]
    assert cli.main(["sites", "show", *config]) == 2
    assert "name a site" in capsys.readouterr().err
    assert cli.main(["sites", "show", "camp-41", *config]) == 2
    assert "camp-41" in capsys.readouterr().err


def test_status_says_what_is_due_what_finished_and_what_failed(port, small, settings, tmp_path, capsys):
    common = {"kind": "simulated", "url": str(port / "catalog.json")}
    config = settings(source=common, sites=str(small / "aoi"), years={"first": 2018, "last": 2018})
    assert cli.main(["status", "--config", str(config)]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"sim-port  never +never finished +never run", last)
    assert not (tmp_path / "results").exists()
    assert cli.main(["run", "--config", str(config), "--years", "2030"]) == 1
    capsys.readouterr()
    assert cli.main(["status", "--config", str(config)]) == 0
    first, second, *_, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"batch 1, begun \S+Z, 1 site: ended \S+Z with exit status 1", first)
    assert second == "1 site: 1 failed"
    failed = r"sim-port  failed +never finished +FAILED \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: .*no scene over the AOI.*"
    assert re.fullmatch(failed, last)
    assert cli.main(["run", "--config", str(config)]) == 0
    capsys.readouterr()
    assert cli.main(["status", "--config", str(config)]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"sim-port  current +finished \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", last)


def test_simulate_twice_gives_the_same_bytes_and_spares_other_folders(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert cli.main(["simulate", str(tmp_path / "mine")]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert hashes(tmp_path).keys() == {"mine/thesis.txt"}


def on_a_terminal(arguments):
    """Run with a terminal for standard error; exit status, output, and what the terminal got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command_line(*arguments),
        env=environment(TERM="xterm", COLUMNS="100"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    seen = b""
    while process.poll() is None or select.select([ours], [], [], 0)[0]:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                got = os.read(ours, 65536)
            except OSError:  # Linux says EIO when the last writer has gone
                break
            seen += got
    os.close(ours)
    output = process.stdout.read().decode()
    process.stdout.close()
    return process.wait(), output, seen.decode(errors="replace")


def test_a_bar_shows_a_stage_however_short(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Bar(print, terminal=True) as bar:
        for number in range(20):
            bar.show("port", f"stage {number:02d}", Progress(1, 2, 1))
    assert set(re.findall(r"port: stage (\d\d)", capsys.readouterr().err)) == {f"{n:02d}" for n in range(20)}


def test_a_terminal_gets_a_bar_and_a_file_gets_plain_lines(port, small, settings):
    config = settings(
        source={"kind": "simulated", "url": str(port / "catalog.json")},
        sites=str(small / "aoi"),
        years={"first": 2018, "last": 2018},
    )
    status, output, seen = on_a_terminal(["run", "--config", config])
    assert status == 0
    assert "sim-port" in output
    assert "\x1b[" not in output
    assert "\x1b[" in seen
    assert "━" in seen
    assert re.search(r"sim-port: score block .*\d+/\d+", seen), "the stage and how far it is"
    assert "sim-port: " in seen
    again = call("run", "--config", config)
    assert again.returncode == 0
    assert "\x1b" not in again.stdout + again.stderr
    assert again.stderr.splitlines()[-1] == "sim-port: up to date: same scenes, settings and code"
    assert all(line.startswith("sim-port: ") for line in again.stderr.splitlines())


def test_a_run_says_where_its_time_went_and_status_needs_little_of_it(port, small, settings, tmp_path):
    config = settings(
        source={"kind": "simulated", "url": str(port / "catalog.json")},
        sites=str(small / "aoi"),
        years={"first": 2018, "last": 2018},
    )
    done = call("run", "--config", config, "--workers", "2")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if " tasks; " in line]
    assert len(told) == 1
    assert re.fullmatch(r"sim-port: \d+ tasks; (.+ \d+ s, )*the rest \d+ s", told[0])
    assert products(tmp_path / "results" / "sim-port") == products(small / "results" / "sim-port")
    script = (
        f"import sys, pipeline.cli as c\nc.main(['status', '--config', {str(config)!r}])\n"
        "print([m for m in ('matplotlib', 'pyogrio', 'typst', 'dask') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_no_error(out, port):
    command = command_line("run", "--config", port / "config.yaml", "--out", out)
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    told = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 0
    assert "Traceback" not in told
    assert "BrokenPipe" not in told


def test_output_is_utf8_whatever_the_locale():
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = call("sites", "list", "--config", PROJECT / "config.yaml", env=plain, encoding="utf-8")
    assert done.returncode == 0
    assert re.search("[\uac00-\ud7a3]{3}", done.stdout), "the project's sites have Korean names"


def test_batches_that_name_the_same_store_fetch_once(port, small, settings, tmp_path, capsys):
    source = {"kind": "simulated", "url": str(port / "catalog.json"), "evidence": "copy"}
    shared = {"source": source, "sites": str(small / "aoi"), "years": {"first": 2018, "last": 2018}, "store": "kept"}
    fetched = []
    for name in ("one", "two"):
        config = settings(f"{name}.yaml", **shared, out=name)
        assert cli.main(["run", "--config", str(config)]) == 0
        fetched.append(int(re.search(r"(\d+) files fetched", capsys.readouterr().err)[1]))
        assert cli.main(["verify", str(tmp_path / name)]) == 0
    assert fetched[0] > 0
    assert fetched[1] == 0
    assert list(tmp_path.glob("*/evidence")) == []
    assert products(tmp_path / "one" / "sim-port") == products(tmp_path / "two" / "sim-port")
