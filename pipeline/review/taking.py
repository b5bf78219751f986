"""Which decisions of a history count, and which of a file are new to it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.review.decisions import Decision, Key


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
        Of a file, one for each reviewer, object and year. One that withdraws what was never decided is old. Those that
        withdraw for all years come first, so that of one day what names its year stands, wherever the rows lie.
    """
    newest = newest_of(held)
    new: list[Decision] = []
    changed: list[Decision] = []
    same: list[Decision] = []
    older: list[Decision] = []
    for decision in sorted(read, key=lambda d: not d.takes_back_all):
        replaced = said_before(newest, decision)
        taken_back = newest.get((decision.kind, decision.object_id, None, decision.key[3]))
        formers = [newest[key] for key in replaced]
        if taken_back is not None and taken_back.takes_back_all and taken_back not in formers:
            formers.append(taken_back)
        latest = max((former.reviewed_on for former in formers), default=None)
        if decision.key in newest and newest[decision.key].said == decision.said:
            same.append(decision)
        elif (not replaced and decision.choice == "withdraw") or (latest is not None and decision.reviewed_on < latest):
            older.append(decision)
        else:
            new.append(decision)
            changed += [decision] if replaced else []
            newest = newest_of([*newest.values(), decision])
    return Sorted(tuple(new), tuple(changed), tuple(same), tuple(older))


def counting(decisions: Iterable[Decision]) -> list[Decision]:
    """Give the decisions that count, in order: of each reviewer the newest of an object and year, unless withdrawn."""
    return [decision for decision in newest_of(decisions).values() if decision.choice != "withdraw"]


def newest_of(decisions: Iterable[Decision]) -> dict[Key, Decision]:
    """Give what each reviewer said last of an object and year; one that takes all back leaves itself alone."""
    newest: dict[Key, Decision] = {}
    for decision in decisions:
        for key in said_before(newest, decision):
            del newest[key]
        newest[decision.key] = decision
    return newest


def said_before(newest: Mapping[Key, Decision], decision: Decision) -> list[Key]:
    """Give the keys of what a decision takes the place of."""
    if not decision.takes_back_all:
        return [decision.key] if decision.key in newest else []
    kind, object_id, _, analyst = decision.key
    return [key for key in newest if (key[0], key[1], key[3]) == (kind, object_id, analyst)]
