"""Stock of every zone and year by what reviewers leave of the piles, and its changes. Pure.

A hand and the program see an edge differently, by more than either states: a pile outlined by a reviewer in one year
and measured by the program in another has not changed by the difference, so such a pair of years is not tested.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shapely import Point

from pipeline.compare import CompareRules, compare
from pipeline.config import Config
from pipeline.findings import PileSeries, PileYear, YearDates, ZoneGround
from pipeline.measure import stockpile_measurements
from pipeline.pile_measures import stock_covariance
from pipeline.review.decisions import Decision
from pipeline.review.numbers import NOT_GIVEN, PREFIX, UNCLEAR, as_measured, reviewed_piles
from pipeline.review.standing import Judged
from pipeline.types import Change, Measurement, Zone

_AREA, _COUNT = "stockpile_area_m2", "stockpile_count"


@dataclass(frozen=True)
class Seen:
    """What a run measured of a site, before review; ``unassessed`` says why stock is not assessed here, if so."""

    piles: Sequence[PileSeries]
    zones: Sequence[Zone]
    ground: Mapping[int, Sequence[ZoneGround]]
    dates: Sequence[YearDates]
    epsg: int
    baseline_year: int | None = None
    unassessed: str | None = None


def reviewed_stock(
    seen: Seen, judged: Judged, decisions: Sequence[Decision], config: Config
) -> tuple[list[Measurement], list[Change]]:
    """Measure and compare the stock after review; the metrics have the prefix ``reviewed_``.

    Parameters
    ----------
    seen : Seen
    judged : Judged
    decisions : sequence of Decision
        Those that count.
    config : Config
    """
    piles = reviewed_piles(seen.piles, judged, decisions, seen.epsg, config)
    measured = [
        _told(m, piles)
        for m in stockpile_measurements(piles, seen.zones, seen.ground, seen.dates, config, seen.unassessed)
    ]
    rules = CompareRules(config.stats.fdr_q, config.max_season_shift_days, seen.baseline_year)
    shared = stock_covariance(as_measured(piles, seen.piles), seen.zones, config)
    changes = compare(measured, rules, shared, apart(piles, seen.piles, judged, seen.zones))
    return (
        [replace(m, metric=PREFIX + m.metric) for m in measured],
        [replace(c, metric=PREFIX + c.metric) for c in changes],
    )


def _told(measured: Measurement, piles: Sequence[PileSeries]) -> Measurement:
    """Say of a year that reviewers left a pile open, where they did: the reason speaks of outlines."""
    reasons = {y.reason for pile in piles for y in pile.years if y.year == measured.year}
    open_by = [reason for reason in (NOT_GIVEN, UNCLEAR) if reason in reasons]
    if measured.reason is None or not open_by:
        return measured
    return replace(measured, reason="; ".join((measured.reason, *open_by)))


def apart(
    reviewed: Sequence[PileSeries], measured: Sequence[PileSeries], judged: Judged, zones: Sequence[Zone]
) -> dict[tuple[str, str, int, int], str]:
    """Give the pairs of years that cannot be compared, by zone, metric and the two years, each with its reason.

    An absence that a reviewer states goes with both: it has no edge. The number of piles is only affected where a pile
    is there by a hand alone.

    Parameters
    ----------
    reviewed, measured : sequence of PileSeries
        After review, and as the program has them.
    judged : Judged
    zones : sequence of Zone
    """
    ours = {(pile.pile_id, year.year): year for pile in measured for year in pile.years}
    many: dict[tuple[str, str, int, int], int] = {}
    for pile in reviewed:
        inside = [zone.zone_id for zone in zones if zone.geometry.intersects(Point(pile.point))]
        by_hand = {y.year: _by_hand(pile.pile_id, y, ours, judged) for y in pile.years}
        for metric in (_AREA, _COUNT):
            origins = {year: metric in hand for year, hand in by_hand.items() if hand is not None}
            for earlier, later in itertools.combinations(sorted(origins), 2):
                for zone_id in inside if origins[earlier] != origins[later] else ():
                    key = (zone_id, metric, earlier, later)
                    many[key] = many.get(key, 0) + 1
    how = "outlined by a reviewer in one of the years and measured by the program in the other"
    return {key: f"{'1 pile is' if n == 1 else f'{n} piles are'} {how}" for key, n in many.items()}


def _by_hand(
    pile_id: str, year: PileYear, ours: Mapping[tuple[str, int], PileYear], judged: Judged
) -> tuple[str, ...] | None:
    """Metrics that rest on a reviewer's outline in a year; None where nothing is measured or an absence is stated."""
    standing = judged.by_year.get((pile_id, year.year))
    if year.area_m2 is None or (standing is not None and standing.state == "rejected"):
        return None
    known = ours.get((pile_id, year.year))
    if year.geometry is not None and (known is None or year.geometry is not known.geometry):
        return (_AREA,) if known is not None and known.area_m2 else (_AREA, _COUNT)
    # An own pile that is one of ours in this year adds nothing and has no error; one stated absent has.
    return None if known is None and year.sigma_m2 else ()
