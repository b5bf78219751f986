"""Findings of a site and the decisions on it -> the same findings with what reviewers make of them beside. Pure.

The machine's numbers, verdicts and claims stay as they are. What follows from decisions has names of its own and is
judged as a family of its own, so that no review can move a headline.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.config import Config
from pipeline.review.agreement import agreements
from pipeline.review.comparison import compare_outlines
from pipeline.review.decisions import Decision
from pipeline.review.outcome import Reviewed, gain_id
from pipeline.review.standing import Judged, Standing, stand, together
from pipeline.review.stock import Seen, reviewed_stock
from pipeline.review.taking import counting
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
    used = [scene for scene in found.scenes if scene.used]
    seen = Seen(
        piles=found.piles,
        zones=found.zones,
        ground=found.ground,
        dates=[year_dates(year, used, config) for year in config.years.all],
        epsg=found.grid.epsg,
        baseline_year=found.baseline_year,
        unassessed=UNASSESSED_RANKS.get(found.site.coal_rank),
    )
    return reviewed_stock(seen, judged, decisions, config)


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
