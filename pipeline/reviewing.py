"""The command ``review``: a site's review file -> its ledger of decisions, and what to tell the reviewer.

Whoever reads or extends a ledger holds it to the present result of the site first.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.decision_ledger import Ledger, append, ledger_path, read_ledger
from pipeline.errors import ProductError, ReviewError
from pipeline.printable import shown
from pipeline.products._documents import MANIFEST, REVIEW
from pipeline.products.manifest import read_manifest
from pipeline.products.review_file import read_review
from pipeline.review.agreement import Agreement, agreements
from pipeline.review.checks import Fault, Place, ReviewFile, check_rows
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


def ledger_of(site: Site, config: Config, say: Callable[[str], None]) -> Ledger:
    """Read the decisions on a site, which must begin with those its present result was made with.

    A manifest that cannot be read names no ledger; the run that replaces it says so.

    Raises
    ------
    ReviewError
        As of :func:`pipeline.decision_ledger.read_ledger`.
    """
    try:
        named = _named(config.out / site.id)
    except ProductError as error:
        named = None
        say(f"decisions cannot be held to the former result: {str(error).split('; ', maxsplit=1)[0]}")
    return read_ledger(config.reviews, site.id, named)


def _named(folder: Path) -> str | None:
    """Hash of the ledger that the result in a folder was made with; None without a result, or without decisions."""
    return read_manifest(folder).reviews_sha256 if (folder / MANIFEST).exists() else None


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
        The file or the ledger cannot be used, or is of another site; nothing is taken.
    ProductError
        The manifest of the present result, which vouches for the ledger, cannot be read.
    """
    path = file or config.out / site.id / REVIEW
    reviewed = read_review(path)
    _of_site(reviewed, path, site)
    # A day later than here it may already be where the reviewer is.
    latest = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    decisions, faults = check_rows(reviewed, Place(site.aoi, latest))
    done: list[Sorted] = []
    held: list[Decision] = []

    def choose(former: Sequence[Decision]) -> Sequence[Decision]:
        held.extend(former)
        done.append(sort_out(former, decisions))
        return done[0].new

    added = append(config.reviews, site.id, choose, _named(config.out / site.id))
    current = counting([*held, *added])
    decided = {(d.kind, d.object_id) for d in current}
    waiting = [f"{kind} {object_id}" for kind, object_id in reviewed.offered if (kind, object_id) not in decided]
    return Reading(path, ledger_path(config.reviews, site.id), done[0], faults, waiting, agreements(current))


def _of_site(reviewed: ReviewFile, path: Path, site: Site) -> None:
    """Refuse the file of another site: by its name, or where it names none by what lies outside the AOI."""
    remedy = "read it with its own site; nothing is taken"
    if reviewed.site is not None and reviewed.site != site.id:
        raise ReviewError(f"{path}: is of site {shown(repr(reviewed.site))}, not of {site.id}; {remedy}")
    if reviewed.site is None and not all(m.outline.intersects(site.aoi) for m in reviewed.offered.values()):
        raise ReviewError(f"{path}: names no site and holds objects outside site {site.id}; {remedy}")


def _said(d: Decision) -> str:
    every = {"ground": "its two years", "pile": "all years", "own_pile": "all years"}
    whole = every.get(d.kind, f"source of {d.source_date}")
    when = whole if d.of_year is None else str(d.of_year)
    why = f": {d.reason}" if d.reason else ""
    return f"{d.choice} {d.kind} {d.object_id}, {when}, by {d.analyst} on {d.reviewed_on}{why}"


def _agreed(a: Agreement) -> str:
    kappa = "" if a.kappa is None else f", kappa {a.kappa:.2f}"
    note = f" ({a.note})" if a.note else ""
    return f"{a.analyst_a} and {a.analyst_b} agree on {a.n_agreed} of {a.n_objects} objects ({a.kind}){kappa}{note}"
