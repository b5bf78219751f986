"""How far two reviewers agree: share of objects, and kappa beyond what chance would give (Cohen 1960). Pure."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.compare import Z95
from pipeline.review.decisions import OURS, Decision, who

LEAST_OBJECTS = 20
"""With fewer, the 95 % interval of kappa is wider than 0.3 either way (85 % raw agreement, both answers as common)."""


@dataclass(frozen=True)
class Agreement:
    """Two reviewers on the objects of one kind that both have judged; shares and kappa are plain numbers.

    ``kappa`` is None where both gave one and the same answer throughout; its interval too where objects are few.
    """

    analyst_a: str
    analyst_b: str
    kind: str
    n_objects: int
    n_agreed: int
    agreement: float
    kappa: float | None
    kappa_lo95: float | None
    kappa_hi95: float | None
    note: str | None


def agreements(decisions: Sequence[Decision]) -> list[Agreement]:
    """Compare every two reviewers, by kind of object; an outline drawn anew agrees with an acceptance.

    Parameters
    ----------
    decisions : sequence of Decision
        Those that count. What is decided for all years is held against what is decided for all, of a year against the
        same year.
    """
    names: dict[str, str] = {}
    for decision in decisions:
        names.setdefault(who(decision.analyst), decision.analyst)
    found = []
    for kind in OURS:
        said: dict[str, dict[tuple[str, int | None], bool]] = {name: {} for name in names}
        for d in decisions:
            if d.kind == kind and d.choice != "unclear":
                said[who(d.analyst)][d.object_id, d.year] = d.choice != "reject"
        for a, b in itertools.combinations(sorted(names), 2):
            both = sorted(said[a].keys() & said[b].keys(), key=str)
            if both:
                answers = [(said[a][key], said[b][key]) for key in both]
                found.append(_agreement((names[a], names[b]), kind, answers))
    return found


def _agreement(pair: tuple[str, str], kind: str, answers: Sequence[tuple[bool, bool]]) -> Agreement:
    n, agreed = len(answers), sum(a == b for a, b in answers)
    kappa, half = kappa_of(answers)
    notes = []
    if n < LEAST_OBJECTS:
        notes.append(f"too few objects for a statement ({n} of {LEAST_OBJECTS})")
    if kappa is None:
        notes.append("kappa is not defined: both gave one answer throughout")
    low, high = (None, None) if kappa is None or half is None else (max(kappa - half, -1.0), min(kappa + half, 1.0))
    return Agreement(*pair, kind, n, agreed, agreed / n, kappa, low, high, "; ".join(notes) or None)


def kappa_of(answers: Sequence[tuple[bool, bool]]) -> tuple[float | None, float | None]:
    """Cohen's kappa of two reviewers' answers and half its 95 % interval.

    Parameters
    ----------
    answers : sequence of (bool, bool)
        Of each object what one said and what the other did; True: it is what it is called.

    Returns
    -------
    tuple of (float or None, float or None)
        None where chance alone would agree on all. The half interval is None with fewer than ``LEAST_OBJECTS``, and
        where both agree on all: its large-sample formula gives 0 there, which no sample can show.
    """
    n = len(answers)
    yes_a, yes_b = sum(a for a, _ in answers) / n, sum(b for _, b in answers) / n
    observed = sum(a == b for a, b in answers) / n
    by_chance = yes_a * yes_b + (1 - yes_a) * (1 - yes_b)
    if by_chance >= 1:
        return None, None
    kappa = (observed - by_chance) / (1 - by_chance)
    if n < LEAST_OBJECTS or observed >= 1:
        return kappa, None
    return kappa, Z95 * math.sqrt(observed * (1 - observed) / n) / (1 - by_chance)
