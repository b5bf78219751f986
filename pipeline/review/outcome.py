"""What reviewers' decisions come to in one run, before it is written. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.review.agreement import Agreement
from pipeline.review.comparison import Comparison
from pipeline.review.decisions import Decision, who
from pipeline.review.standing import Judged, Standing
from pipeline.types import Change, Measurement


@dataclass(frozen=True)
class Reviewed:
    """Decisions and what follows from them; ``ground`` is by the id of a gain (:func:`gain_id`).

    ``measurements`` and ``changes`` are the machine's metrics with the prefix ``reviewed_``, empty where no pile was
    decided on.
    """

    decisions: Sequence[Decision] = ()
    judged: Judged = field(default_factory=lambda: Judged({}, {}))
    ground: Mapping[str, Standing] = field(default_factory=dict)
    measurements: Sequence[Measurement] = ()
    changes: Sequence[Change] = ()
    outlines: Sequence[Comparison] = ()
    agreements: Sequence[Agreement] = ()


def review_note(reviewed: Reviewed) -> str | None:
    """Say in a sentence that people have looked, and that the headline numbers do not rest on it."""
    if not reviewed.decisions:
        return None
    names = {who(decision.analyst) for decision in reviewed.decisions}
    many = "1 reviewer" if len(names) == 1 else f"{len(names)} reviewers"
    taken = "1 decision" if len(reviewed.decisions) == 1 else f"{len(reviewed.decisions)} decisions"
    return f"Review: {taken} by {many}. The verdicts rest on the machine's numbers; reviewed numbers stand beside them."


def gain_id(year_from: int, year_to: int, zone_id: str) -> str:
    """Name of the certain gain of a zone between two years, as reviewers decide on it."""
    return f"{year_from}-{year_to} {zone_id}"
