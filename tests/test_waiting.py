"""Which sites wait for clear sky: a table of days, and what holds on any."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batches.waiting import season_open, waiting
from pipeline.config import Config, WindowsConfig, YearsConfig

CONFIG = Config(
    years=YearsConfig(first=2018, last=2026),
    windows=WindowsConfig(stockpile=(("04-01", "06-15"), ("09-01", "10-20")), footprint=(("06-01", "09-30"),)),
    min_dates=6,
)


def row(metric="stockpile_area_m2", zone="site", n_dates=2, status="insufficient_data", year=2026):
    return {"metric": metric, "zone_id": zone, "n_dates": n_dates, "status": status, "year": year}


def found(day, *rows, config=CONFIG):
    waits = waiting("a", rows, config, dt.date.fromisoformat(day), simulated=False)
    return [(w.kind, w.clear_dates, w.lacking, w.opens, w.until) for w in waits]


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        ("2026-04-01", None),
        ("2026-06-15", None),
        ("2026-06-16", "2026-09-01"),
        ("2026-09-01", None),
        ("2026-10-20", None),
    ],
)
def test_stock_waits_from_the_first_day_of_its_windows_to_the_last(day, opens):
    assert found(day, row()) == [("stockpile", 2, 4, opens, "2026-10-20")]


@pytest.mark.parametrize("day", ["2026-03-31", "2026-10-21", "2025-05-01", "2027-05-01"])
def test_nothing_waits_outside_or_in_another_year(day):
    assert found(day, row()) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], []),
        ([row(status="ok", n_dates=8)], []),
        ([row(status="partial", n_dates=7)], []),
        ([row(status="not_assessed", n_dates=0)], []),
        ([row(year=2025)], []),
        ([row(metric="stockpile_count")], []),
        ([row(n_dates=0)], [("stockpile", 0, 6, None, "2026-10-20")]),
        # The middle pixel has enough, but too small a share of the zone does.
        ([row(n_dates=7)], [("stockpile", 7, 1, None, "2026-10-20")]),
        ([row(n_dates=5), row(zone="inside", n_dates=3)], [("stockpile", 3, 3, None, "2026-10-20")]),
        (
            [row(), row(metric="footprint_area_m2", n_dates=4)],
            [("stockpile", 2, 4, None, "2026-10-20"), ("footprint", 4, 2, None, "2026-09-30")],
        ),
    ],
)
def test_what_lacks_is_that_of_the_zone_with_the_fewest_dates(rows, said):
    assert found("2026-06-05", *rows) == said


def test_zones_are_named_the_whole_site_first():
    rows = [row(zone=zone) for zone in ("outside", "inside", "site")]
    (wait,) = waiting("a", rows, CONFIG, dt.date(2026, 5, 1), simulated=True)
    assert wait.zones == ("site", "inside", "outside")
    assert (wait.needed, wait.simulated, wait.year) == (6, True, 2026)


@given(st.dates(dt.date(2017, 1, 1), dt.date(2028, 1, 1)), st.integers(0, 20))
def test_who_waits_waits_in_a_season_that_is_open_and_for_a_day_to_come(today, n_dates):
    rows = [row(m, n_dates=n_dates, year=today.year) for m in ("stockpile_area_m2", "footprint_area_m2")]
    waits = waiting("a", rows, CONFIG, today, simulated=False)
    assert bool(waits) == season_open(CONFIG, today)
    for wait in waits:
        assert dt.date.fromisoformat(wait.until) >= today
        assert wait.opens is None or today < dt.date.fromisoformat(wait.opens) <= dt.date.fromisoformat(wait.until)
        assert wait.lacking == max(6 - n_dates, 1)
