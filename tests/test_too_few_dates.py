"""A year with fewer dates than the contract wants draws no boundary, whatever of it was seen."""

import sqlite3

import pytest
import yaml
from conftest import call

pytestmark = pytest.mark.slow


def test_four_dates_of_a_season_draw_no_boundary(port, settings, tmp_path):
    """Every pixel is seen often enough to be mapped, but the year is not: its change is insufficient data."""
    local = yaml.safe_load((port / "config.yaml").read_text())
    config = settings(
        source={"kind": "simulated", "url": str(port / "catalog.json")},
        sites=str(port / local["sites"]), years=local["years"],
        windows={"footprint": [["06-01", "07-20"]]},
    )  # fmt: skip
    done = call("run", "--config", config)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "results" / "sim-port" / "sim-port.gpkg") as database:
        verdicts = {row[0] for row in database.execute("SELECT verdict FROM changes WHERE metric = 'boundary_gain_m2'")}
        drawn = database.execute("SELECT count(*) FROM boundary_changes").fetchone()[0]
        dates = {row[0] for row in database.execute("SELECT n_dates FROM measurements WHERE metric LIKE 'footprint%'")}
    assert all(2 < n < 6 for n in dates)
    assert verdicts == {"insufficient_data"}
    assert drawn == 0
