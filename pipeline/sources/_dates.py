"""Which days of a year a search asks for, and which of the items it finds are wanted. Pure."""

import datetime as dt

from pipeline.config import Config, in_windows
from pipeline.imagery import Item

_LEAP_DAY = "02-29"
"""A window may name it in any year; the day itself is clipped by the windows test afterwards."""


def span(config: Config, year: int) -> tuple[dt.datetime, dt.datetime]:
    """First and last second (UTC) that any window of a year covers."""
    windows = config.windows.stockpile + config.windows.footprint
    first, last = min(start for start, _ in windows), max(end for _, end in windows)
    begin = dt.date.fromisoformat(f"{year}-{'03-01' if first == _LEAP_DAY else first}")
    end = dt.date(year, 3, 1) if last == _LEAP_DAY else dt.date.fromisoformat(f"{year}-{last}")
    return (
        dt.datetime.combine(begin, dt.time(), tzinfo=dt.UTC),
        dt.datetime.combine(end, dt.time(23, 59, 59), tzinfo=dt.UTC),
    )


def is_wanted(item: Item, config: Config) -> bool:
    """Whether an item lies in the configured years and windows and is not cloudier than is fetched."""
    day = item.datetime.date()
    windows = config.windows.stockpile + config.windows.footprint
    clear = item.cloud_percent is None or item.cloud_percent <= config.source.max_cloud_percent
    return day.year in config.years.all and in_windows(day, windows) and clear
