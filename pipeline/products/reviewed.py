"""What reviewers say of a pile, in words beside its tier, and their numbers beside the program's. Pure."""

from collections.abc import Iterable, Mapping

from pipeline.products.results import Results
from pipeline.products.scale import Scale
from pipeline.products.seen import REVIEWED
from pipeline.products.wording import ADEQUATE, VERDICTS, listed
from pipeline.records import MeasurementRow, StockpileRow

_IN_REVIEW = {
    "accepted": "accepted in review",
    "rejected": "rejected in review",
    "edited": "outline drawn anew in review",
    "contested": "contested in review",
}


def in_review(state: str | None) -> str:
    """``rejected in review``; empty where no reviewer decided."""
    return "" if state is None else _IN_REVIEW.get(state, f"{state} in review")


def tier_words(row: StockpileRow) -> str:
    """Tier of a pile, and what reviewers say of it: ``probable, rejected in review``."""
    return ", ".join(filter(None, (row.tier, in_review(row.review))))


def states_of(piles: Iterable[StockpileRow]) -> dict[tuple[str, int], str]:
    """Name of a pile and year to what reviewers say of it; without those nobody decided on."""
    return {(pile.pile_id, pile.year): pile.review for pile in piles if pile.review is not None}


def years_in_review(states: Mapping[tuple[str, int], str], pile_id: str, years: Iterable[int]) -> str:
    """``rejected in review (2018 and 2023)``, of the years of a comparison; empty where no reviewer decided."""
    by_state: dict[str, list[str]] = {}
    for year in sorted(set(years)):
        if (pile_id, year) in states:
            by_state.setdefault(states[pile_id, year], []).append(str(year))
    return "; ".join(f"{in_review(state)} ({listed(named)})" for state, named in by_state.items())


def reviewed_figures(
    results: Results, zone_id: str, metric: str, years: tuple[int, ...], scale: Scale
) -> tuple[tuple[str, str], ...]:
    """Name the reviewed numbers of a statement's years and their difference; none where review changes none of them.

    Parameters
    ----------
    results : Results
    zone_id, metric : str
        Of the statement: the metric of the program.
    years : tuple of int
        The years it speaks of.
    scale : Scale
        Unit of its numbers.
    """
    pairs = [
        (results.measurements.get((zone_id, metric, y)), results.measurements.get((zone_id, REVIEWED + metric, y)))
        for y in years
    ]
    if all(ours is None or theirs is None or _numbers(ours) == _numbers(theirs) for ours, theirs in pairs):
        return ()
    figures = []
    for _, theirs in pairs:
        if theirs is not None:
            shown = scale.show(*_numbers(theirs))
            text = (
                VERDICTS["insufficient_data"] if theirs.value is None else f"{shown.value_with_unit} ({shown.interval})"
            )
            figures.append((f"{theirs.year}, reviewed", text))
    change = results.changes.get((zone_id, REVIEWED + metric, years[0], years[-1]))
    if change is not None:
        shown = scale.show(change.delta, change.lo95, change.hi95, signed=True)
        number = "" if change.delta is None else f"{shown.value_with_unit} ({shown.interval}): "
        figures.append(("Difference, reviewed", f"{number}{VERDICTS.get(change.verdict, change.verdict)}"))
    return tuple(figures)


def _numbers(row: MeasurementRow) -> tuple[float | None, float | None, float | None]:
    """Value and interval of a year that has one."""
    return (row.value, row.lo95, row.hi95) if row.status in ADEQUATE else (None, None, None)
