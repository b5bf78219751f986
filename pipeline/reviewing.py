"""The command ``review``: a site's review file -> its ledger of decisions, and what to tell the reviewer."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.decision_ledger import append, ledger_path
from pipeline.products.review_file import REVIEW, read_review
from pipeline.review.agreement import Agreement, agreements
from pipeline.review.checks import Fault, Place, check_rows
from pipeline.review.decisions import Decision
from pipeline.review.taking import Sorted, counting, sort_out
from pipeline.types import Site

_SHOWN = 5
"""Objects named of those that wait."""


@dataclass(frozen=True)
class Reading:
    """What came of one review file: decisions by what became of them, faults, and the objects that wait."""

    file: Path
    ledger: Path
    sorted_out: Sorted
    faults: Sequence[Fault]
    waiting: Sequence[str]
    agreements: Sequence[Agreement]

    @property
    def lines(self) -> list[str]:
        """What to tell the reviewer, without the faults."""
        s = self.sorted_out
        taken = f"{len(s.new)} taken ({len(s.changed)} of them change an earlier one), {len(s.same)} known"
        older = f", {len(s.older)} older than what the ledger holds" if s.older else ""
        lines = [f"decisions: {taken}{older}; {len(self.faults)} rows not taken; ledger {self.ledger}"]
        lines += [f"  {_said(decision)}" for decision in s.new]
        if self.waiting:
            some = ", ".join((*self.waiting[:_SHOWN], *(["..."] if len(self.waiting) > _SHOWN else [])))
            lines.append(f"objects that wait for a decision: {len(self.waiting)} ({some})")
        return lines + [_agreed(a) for a in self.agreements]


def review_site(site: Site, config: Config, file: Path | None = None) -> Reading:
    """Read a site's review file and append what is new in it to the site's ledger; sound rows are taken, others named.

    Parameters
    ----------
    site : Site
    config : Config
        ``out`` holds the site's folder, ``reviews`` the ledger.
    file : Path, optional
        Another copy of the site's review file: what a second reviewer sent back.

    Raises
    ------
    ReviewError
        The file or the ledger cannot be used; nothing is taken.
    """
    path = file or config.out / site.id / REVIEW
    reviewed = read_review(path)
    # A day later than here it may already be where the reviewer is.
    latest = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    decisions, faults = check_rows(reviewed, Place(site.aoi, latest))
    done: list[Sorted] = []
    held: list[Decision] = []

    def choose(former: Sequence[Decision]) -> Sequence[Decision]:
        held.extend(former)
        done.append(sort_out(former, decisions))
        return done[0].new

    added = append(config.reviews, site.id, choose)
    current = counting([*held, *added])
    decided = {(d.kind, d.object_id) for d in current}
    waiting = [f"{kind} {object_id}" for kind, object_id in reviewed.offered if (kind, object_id) not in decided]
    return Reading(path, ledger_path(config.reviews, site.id), done[0], faults, waiting, agreements(current))


def _said(d: Decision) -> str:
    whole = {"ground": "its two years", "pile": "all years", "own_pile": "all years"}.get(d.kind, f"source of {d.source_date}")
    when = whole if d.of_year is None else str(d.of_year)
    why = f": {d.reason}" if d.reason else ""
    return f"{d.choice} {d.kind} {d.object_id}, {when}, by {d.analyst} on {d.reviewed_on}{why}"


def _agreed(a: Agreement) -> str:
    kappa = "" if a.kappa is None else f", kappa {a.kappa:.2f}"
    note = f" ({a.note})" if a.note else ""
    return f"{a.analyst_a} and {a.analyst_b} agree on {a.n_agreed} of {a.n_objects} objects ({a.kind}){kappa}{note}"
