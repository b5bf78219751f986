"""Days on which new scenes can count: when a window was open, is, or will be. Pure."""

import datetime as dt
from collections.abc import Sequence

from pipeline.config import Window, WindowsConfig, YearsConfig

_DAY = dt.timedelta(days=1)


def spans(windows: Sequence[Window], year: int) -> list[tuple[dt.date, dt.date]]:
    """First and last day of each window in a year, in order of time."""
    return sorted((_day(year, first), _day(year, last)) for first, last in windows)


def open_days(windows: WindowsConfig, years: YearsConfig, after: dt.date, until: dt.date) -> int:
    """Days after one day, up to another, on which a window of a measured year was open.

    Parameters
    ----------
    windows : WindowsConfig
    years : YearsConfig
    after, until : date
        The first is not counted, the second is.
    """
    return sum(max((min(last, until) - max(first - _DAY, after)).days, 0) for first, last in _joined(windows, years))


def next_open(windows: WindowsConfig, years: YearsConfig, today: dt.date) -> dt.date | None:
    """Return the first day from today on which a window of a measured year is open; None when there is none."""
    return min((max(first, today) for first, last in _joined(windows, years) if last >= today), default=None)


def _joined(windows: WindowsConfig, years: YearsConfig) -> list[tuple[dt.date, dt.date]]:
    """Spans of both kinds of windows in all years, overlapping ones as one."""
    joined: list[tuple[dt.date, dt.date]] = []
    for first, last in sorted(s for year in years.all for s in spans((*windows.stockpile, *windows.footprint), year)):
        if joined and first <= joined[-1][1] + _DAY:
            joined[-1] = joined[-1][0], max(joined[-1][1], last)
        else:
            joined.append((first, last))
    return joined


def _day(year: int, month_day: str) -> dt.date:
    """Day of a year; 29 February is the last of the month in every year."""
    if month_day == "02-29":
        return dt.date(year, 3, 1) - _DAY
    return dt.date.fromisoformat(f"{year}-{month_day}")
