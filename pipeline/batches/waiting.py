"""Which sites wait for clear sky, and until when. Pure."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pipeline.batches.seasons import spans
from pipeline.batches.summary import Waiting
from pipeline.config import Config

_KINDS: tuple[Literal["stockpile", "footprint"], ...] = ("stockpile", "footprint")
_METRICS = {"stockpile": "stockpile_area_m2", "footprint": "footprint_area_m2"}
"""A metric that rests on the dates of the windows."""


def season_open(config: Config, today: dt.date) -> bool:
    """Whether a season of this year has begun and is not over, so that a site may wait for clear sky."""
    return today.year in config.years.all and any(_span(config, kind, today) is not None for kind in _KINDS)


def waiting(
    site: str, measurements: Iterable[Mapping[str, Any]], config: Config, today: dt.date, *, simulated: bool
) -> list[Waiting]:
    """Name the seasons of this year that have begun, are not over, and in which a zone is not adequate yet.

    Parameters
    ----------
    site : str
    measurements : iterable of mapping
        Rows of the layer ``measurements`` of its results.
    config : Config
        Years, windows and the dates a year needs.
    today : date
    simulated : bool

    Returns
    -------
    list of Waiting
        At most one for each kind of windows; ``lacking`` is what the zone with the fewest clear dates lacks, and at
        least 1 where its pixels have enough in the middle but too few of them do.
    """
    if today.year not in config.years.all:
        return []
    rows, found = list(measurements), []
    for kind in _KINDS:
        span = _span(config, kind, today)
        zones = {
            row["zone_id"]: int(row["n_dates"])
            for row in rows
            if row["metric"] == _METRICS[kind] and row["year"] == today.year and row["status"] == "insufficient_data"
        }
        if span is None or not zones:
            continue
        fewest = min(zones.values())
        found.append(
            Waiting(
                site=site,
                simulated=simulated,
                year=today.year,
                kind=kind,
                zones=tuple(sorted(zones, key=lambda zone: (zone != "site", zone))),
                clear_dates=fewest,
                needed=config.min_dates,
                lacking=max(config.min_dates - fewest, 1),
                opens=None if span[0] is None else span[0].isoformat(),
                until=span[1].isoformat(),
            )
        )
    return found


def _span(config: Config, kind: str, today: dt.date) -> tuple[dt.date | None, dt.date] | None:
    """First day of the next window, None while one is open, and the last day of all; None before and after them."""
    windows = spans(getattr(config.windows, kind), today.year)
    if not windows[0][0] <= today <= windows[-1][1]:
        return None
    is_open = any(first <= today <= last for first, last in windows)
    return None if is_open else min(first for first, _ in windows if first > today), max(last for _, last in windows)
