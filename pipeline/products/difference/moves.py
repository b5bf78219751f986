"""Which numbers of two runs differ in what a reader is shown. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.products.dependence import NUMBER_LAYERS, basis_of
from pipeline.products.difference.shown import NumberRow, Said, said

CALLED = ("increase", "decrease", "supported", "contradicted")
"""Verdicts that say something of the ground; of a row that is new or gone the others are no news."""
_TEST_ONLY = {"q_value", "verdict", "reason"}
"""What moves with the family of tests alone."""


@dataclass(frozen=True)
class Move:
    """A number that is not the same in both runs.

    Attributes
    ----------
    layer, address : str
        Where it stands (docs/contract.md, Addresses).
    before, after : mapping or None
        Its row; None where the run has none.
    said : tuple of Said
        What it says that differs; of a new or vanished row all it says.
    """

    layer: str
    address: str
    before: NumberRow | None
    after: NumberRow | None
    said: tuple[Said, ...]

    @property
    def kind(self) -> Literal["new", "gone", "moved"]:
        """Whether the row is in one run alone."""
        if self.before is None:
            return "new"
        return "gone" if self.after is None else "moved"

    @property
    def row(self) -> NumberRow:
        """The newer of its rows."""
        return self.after or self.before or {}

    @property
    def metric(self) -> str:
        """What is measured."""
        return basis_of(self.layer, self.row).metric

    def is_of(self, year: int) -> bool:
        """Whether the number is of a year, in either run."""
        return any(basis_of(self.layer, row).has(year) for row in (self.before, self.after) if row is not None)

    @property
    def columns(self) -> frozenset[str]:
        """Columns of what differs."""
        return frozenset(name for one in self.said for name in one.field.columns)

    @property
    def verdict(self) -> tuple[str | None, str | None] | None:
        """Both verdicts in words of the contract, where they differ; None in it for a row that is not there."""
        if "verdict" not in self.columns:
            return None
        before, after = (None if row is None else str(row["verdict"]) for row in (self.before, self.after))
        news = self.kind == "moved" or before in CALLED or after in CALLED
        return (before, after) if news and before != after else None

    @property
    def by_tests_alone(self) -> bool:
        """Whether the number itself stands, and what moved is its place among all tests of its family."""
        exact = {name for name in self.row if (self.before or {}).get(name) != (self.after or {}).get(name)}
        return self.kind == "moved" and "q_value" in exact and exact <= _TEST_ONLY


@dataclass(frozen=True)
class Compared:
    """All numbers of two runs: those that moved, and how many did not.

    Attributes
    ----------
    moves : tuple of Move
        In the order of the layers, by address.
    same : int
        Numbers that read the same.
    finer : tuple of Move
        Those of them that differ in digits nobody is shown; what they say is empty.
    """

    moves: tuple[Move, ...]
    same: int
    finer: tuple[Move, ...]


def moves_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> Compared:
    """Hold all numbers of one run against those of another.

    Parameters
    ----------
    before, after : mapping
        Documents of :func:`pipeline.products.numbers.numbers_of`, of one site.
    """
    moves, finer, same = [], [], 0
    # One limit for both: a q that stands shall read the same.
    limit = min(limit_of(document) for document in (before, after))
    for layer in NUMBER_LAYERS:
        rows = [document["rows"].get(layer, {}) for document in (before, after)]
        for address in sorted(rows[0].keys() | rows[1].keys()):
            pair = rows[0].get(address), rows[1].get(address)
            if pair[0] == pair[1]:
                same += 1
                continue
            found = said(layer, pair, limit)
            told = found if None in pair else tuple(one for one in found if one.moved)
            if told:
                moves.append(Move(layer, address, *pair, told))
            else:
                same += 1
                finer.append(Move(layer, address, *pair, ()))
    return Compared(tuple(moves), same, tuple(finer))


def limit_of(numbers: Mapping[str, Any]) -> float:
    """Largest q-value of a change in a run."""
    return float(numbers["facts"]["fdr_q"])


def verdict_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Move, ...]:
    """Return the numbers whose verdict differs between two runs of a site, and those called in one of them alone.

    Parameters
    ----------
    before, after : mapping
        As of :func:`moves_of`.
    """
    return tuple(move for move in moves_of(before, after).moves if move.verdict is not None)
