"""Findings of a site and the decisions on it -> the same findings with what reviewers make of them beside. Pure.

The machine's numbers, verdicts and claims stay as they are. What follows from decisions has names of its own and is
judged as a family of its own, so that no review can move a headline.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.compare import CompareRules, compare
from pipeline.config import Config
from pipeline.findings import PileSeries
from pipeline.measure import stockpile_measurements
from pipeline.pile_measures import stock_covariance
from pipeline.review.agreement import agreements
from pipeline.review.comparison import compare_outlines
from pipeline.review.decisions import Decision, counting
from pipeline.review.numbers import NOT_GIVEN, PREFIX, as_measured, reviewed_piles
from pipeline.review.outcome import Reviewed, gain_id
from pipeline.review.standing import Judged, Standing, stand, together
from pipeline.rules import UNASSESSED_RANKS, year_dates
from pipeline.tables import Findings
from pipeline.types import Change, Measurement


def apply_reviews(found: Findings, decisions: Sequence[Decision], config: Config) -> Findings:
    """Return the findings with reviewers' decisions beside them.

    Parameters
    ----------
    found : Findings
    decisions : sequence of Decision
        The whole history, in order; none leave the findings as they are.
    config : Config
    """
    if not decisions:
        return found
    epsg, current = found.grid.epsg, counting(decisions)
    judged = stand(current, found.piles, epsg)
    measurements, changes = _numbers(found, judged, current, config)
    return replace(
        found,
        reviewed=Reviewed(
            decisions=tuple(decisions),
            judged=judged,
            ground=_ground(found, current),
            measurements=measurements,
            changes=changes,
            outlines=compare_outlines(current, found.piles, found.ground, epsg),
            agreements=agreements(current),
        ),
    )


def _numbers(
    found: Findings, judged: Judged, decisions: Sequence[Decision], config: Config
) -> tuple[list[Measurement], list[Change]]:
    """Stock of every zone and year by what reviewers leave, and its changes; nothing where no pile was decided on."""
    if not judged.by_year and not any(d.kind == "own_pile" for d in decisions):
        return [], []
    piles = reviewed_piles(found.piles, judged, decisions, found.grid.epsg, config)
    used = [scene for scene in found.scenes if scene.used]
    dates = [year_dates(year, used, config) for year in config.years.all]
    unassessed = UNASSESSED_RANKS.get(found.site.coal_rank)
    measured = [
        _told(m, piles) for m in stockpile_measurements(piles, found.zones, found.ground, dates, config, unassessed)
    ]
    rules = CompareRules(config.stats.fdr_q, config.max_season_shift_days, found.baseline_year)
    changes = compare(measured, rules, stock_covariance(as_measured(piles, found.piles), found.zones, config))
    return (
        [replace(m, metric=PREFIX + m.metric) for m in measured],
        [replace(c, metric=PREFIX + c.metric) for c in changes],
    )


def _told(measured: Measurement, piles: Sequence[PileSeries]) -> Measurement:
    """Say of a year that it lacks an own pile, where it does: the reason speaks of outlines."""
    lacking = any(y.reason == NOT_GIVEN for pile in piles for y in pile.years if y.year == measured.year)
    if measured.reason is None or not lacking:
        return measured
    return replace(measured, reason=f"{measured.reason}; {NOT_GIVEN}")


def _ground(found: Findings, decisions: Sequence[Decision]) -> dict[str, Standing]:
    """Put together what is said of each gain of ground; a gain is of one pair of years, so only its name counts."""
    said: dict[str, list[Decision]] = {}
    for decision in decisions:
        if decision.kind == "ground":
            said.setdefault(decision.object_id, []).append(decision)
    gains = {
        gain_id(*years, piece.zone_id)
        for years, pieces in found.boundary.items()
        for piece in pieces
        if piece.change == "certain_gain"
    }
    standings = {name: together(of_gain) for name, of_gain in said.items() if name in gains}
    return {name: standing for name, standing in standings.items() if standing is not None}
