"""Decisions read from a file against those the ledger holds: which are new. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.review.decisions import Decision


@dataclass(frozen=True)
class Sorted:
    """Decisions of a file: ``new`` in its order, ``changed`` those of them that replace one, the others by reason.

    ``older`` are of a day before the reviewer's newest decision in the ledger: of an old copy of the file.
    """

    new: tuple[Decision, ...]
    changed: tuple[Decision, ...]
    same: tuple[Decision, ...]
    older: tuple[Decision, ...]


def sort_out(held: Sequence[Decision], read: Sequence[Decision]) -> Sorted:
    """Compare decisions with the newest of the same reviewer, object and year.

    Parameters
    ----------
    held : sequence of Decision
        Of the ledger, in order.
    read : sequence of Decision
        Of a file, one for each reviewer, object and year. One that withdraws what was never decided is old.
    """
    newest = {decision.key: decision for decision in held}
    new: list[Decision] = []
    changed: list[Decision] = []
    same: list[Decision] = []
    older: list[Decision] = []
    for decision in read:
        former = newest.get(decision.key)
        if former is not None and former.said == decision.said:
            same.append(decision)
        elif (former is None and decision.choice == "withdraw") or (
            former is not None and decision.reviewed_on < former.reviewed_on
        ):
            older.append(decision)
        else:
            new.append(decision)
            changed += [decision] if former is not None else []
    return Sorted(tuple(new), tuple(changed), tuple(same), tuple(older))
