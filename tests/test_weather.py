"""Whole runs through bad weather, and runs that are killed: the same product as on a calm day."""

import collections
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import time
from urllib.parse import urlsplit

import pytest
import real_files
from conftest import call, command_line, environment, products
from real_files import RealFiles, weather_counts

pytestmark = pytest.mark.slow
LOG = logging.getLogger(__name__)
SITE = "sim-port"
KILLS, KILLS_WHILE_FETCHING = 10, 7
LONGEST_RUN_S = 300


@pytest.fixture(scope="module")
def calm(port, tmp_path_factory):
    """Products of a run on a calm day, the port they were fetched from, and what was asked."""
    why = real_files.missing()
    if why is not None:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("calm")
    files = RealFiles(folder / "nginx", calm=True)
    with served(files, port):
        done = call("run", "--config", config_in(folder, files, port))
        asked = files.asked(".tif")
    assert done.returncode == 0, done.stderr
    return products(folder / "results" / SITE), files.port, asked


def served(files, archive):
    (files.root / "archive").symlink_to(archive)
    return files.running()


def config_in(folder, files, archive):
    """Write a configuration of one year whose pixels come from the archive as it is served."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(
        f"source: {{kind: stac, url: '{files.at('weather')}/archive/catalog.json', timeout_s: 3, retries: 20}}\n"
        f"sites: {archive / 'aoi'}\nyears: {{first: 2018, last: 2018}}\nout: results\n"
    )
    return folder / "config.yaml"


def pixels_of(asked):
    """How often each range of each file was asked and came whole."""
    return collections.Counter((a.path, a.range) for a in asked if a.status == 206 and a.fault != "cut")


def await_requests(files, count):
    """Wait until so many requests for pixels have been answered."""
    deadline = time.monotonic() + LONGEST_RUN_S
    while files.access_log.read_text().count(".tif") < count and time.monotonic() < deadline:
        time.sleep(0.002)


def scene_of(path):
    return urlsplit(path).path.split("/")[-2]


def test_a_run_through_bad_weather_ends_with_the_same_product(calm, port, tmp_path):
    """20 % 503, 10 % 429, slow answers and such as break off, for the catalogue as for the pixels."""
    before, place, asked = calm
    files = RealFiles(tmp_path / "nginx", place)
    files.halt_s = 0.2
    with served(files, port):
        done = call("run", "--config", config_in(tmp_path, files, port))
        counts = weather_counts(files.access_log)
    assert done.returncode == 0, done.stderr
    assert products(tmp_path / "results" / SITE) == before
    LOG.info("injected: %s", counts)
    assert counts["503"] > 20
    assert min(counts["429"], counts["slow"], counts["cut"]) > 5
    # What broke off is asked again from where nothing was kept; the pixels themselves come once.
    assert counts["requests"] > 1.2 * len(asked)


def test_a_second_run_asks_for_no_pixel(calm, port, tmp_path):
    _, place, _ = calm
    files = RealFiles(tmp_path / "nginx", place, calm=True)
    with served(files, port):
        config = config_in(tmp_path, files, port)
        assert call("run", "--config", config).returncode == 0
        files.forget()
        again = call("run", "--config", config, "--force")
        assert files.asked(".tif") == []
        assert files.asked("catalog.json") != []
    assert again.returncode == 0
    assert "0 files fetched" in again.stderr


def test_runs_killed_at_any_moment_lose_nothing(calm, port, tmp_path):
    """Ten runs killed with SIGKILL while they fetch or measure; each is run again and ends as if nothing had been."""
    before, place, plain = calm
    scenes = {scene_of(a.path) for a in plain}
    chance = random.Random(4)  # noqa: S311 - moments of a test
    files = RealFiles(tmp_path / "nginx", place, calm=True)
    twice = []
    with served(files, port):
        config = config_in(tmp_path, files, port)
        took = -time.monotonic()
        assert call("run", "--config", config).returncode == 0
        took += time.monotonic()
        for number in range(KILLS):
            shutil.rmtree(tmp_path / "results")
            files.forget()
            first = subprocess.Popen(
                command_line("run", "--config", config), env=environment(), start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            if number < KILLS_WHILE_FETCHING:
                await_requests(files, chance.randrange(1, len(plain)))
            else:
                time.sleep(chance.uniform(0.3, 0.95) * took)
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
            done = call("run", "--config", config)
            assert done.returncode == 0, done.stderr
            assert products(tmp_path / "results" / SITE) == before
            often = pixels_of(files.asked(".tif"))
            twice.append({scene_of(path) for (path, _), times in often.items() if times > 1})
            assert {scene_of(path) for path, _ in often} == scenes
            assert re.search(r"\d+ files fetched", done.stderr)
    LOG.info("scenes fetched twice after each kill: %s", [len(each) for each in twice])
    assert max(len(each) for each in twice) <= 1
