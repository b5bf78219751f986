"""A claim and the results of one site -> a verdict on the claim (docs/contract.md). Pure.

The rules, fixed before any run and the same for every site:

1. A claim is judged at the sites it lists, each on its own; over sites only counts are given ("3 of 11
   sites"), never one pooled p-value.
2. The baseline year is the one of the site's change table. When it is later than the claim's ``baseline``
   the claim is ``not_observable``.
3. A test is one zone of the claim in one of its test years after the baseline year. It counts when its row
   of the change table (baseline year to that year) is not ``insufficient_data``. No such test, or no zone
   of the claim at the site: ``not_observable``.
4. ``supported``: tests of two test years or more count, more than half of them are an ``increase`` (after
   multiplicity) and none is a ``decrease``. One year is one state of a stock that turns over, or ground that no
   other year confirms.
5. ``contradicted``: not supported, two test years or more count, and the 95 % interval of every test ends below
   the margin:
   ``margin_fraction`` of the zone's baseline value, or ``margin_m2``; the smaller when both are given.
   Without a margin a claim is never contradicted.
6. ``not_detectable``: anything else.
7. Presence (``direction: presence``) needs no baseline: ``supported`` when any adequate test year has a count
   of at least 1; ``not_detectable`` when all have less, for smaller piles may exist; ``not_observable`` when
   no year is adequate. It is never contradicted.
8. What the controls show of the same metric in the same years stands beside the verdict and does not enter it.
9. The numbers given are those of the newest year that counts, in the first of the claim's zones.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from pipeline.compare import BASIS_METRIC, Z95, adequate, baseline_year, quantity
from pipeline.types import Change, Claim, ClaimVerdict, Measurement, Zone

_MIN_TEST_YEARS = 2
"""Adequate test years from which a claim is supported or contradicted (rule 4)."""


@dataclass(frozen=True)
class ClaimFinding:
    """Verdict of one claim at one site; value and interval in the metric's unit, None when there is none.

    ``value`` is a difference from the baseline year, or the count itself for presence; ``test`` says in
    words what was tested, ``tested`` by which rows: zone and two years of each change, zone and year of each count.
    """

    claim_id: str
    verdict: ClaimVerdict
    reason: str
    value: float | None
    lo95: float | None
    hi95: float | None
    test: str
    tested: tuple[tuple[str, int] | tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class ClaimShare:
    """In how many of the sites where a claim was judged it has each verdict."""

    claim_id: str
    n_sites: int
    supported: int
    contradicted: int
    not_detectable: int
    not_observable: int

    @property
    def text(self) -> str:
        """The counts as a sentence without a full stop."""
        words = [name.replace("_", " ") for name in get_args(ClaimVerdict)]
        counts = (self.supported, self.contradicted, self.not_detectable, self.not_observable)
        return ", ".join(f"{word} at {n} of {self.n_sites} sites" for word, n in zip(words, counts, strict=True))


def judge(
    claim: Claim,
    site_id: str,
    changes: Sequence[Change],
    measurements: Sequence[Measurement],
    zones: Sequence[Zone],
    *,
    baseline: int | None = None,
) -> ClaimFinding | None:
    """Judge one claim at one site by the rules at the head of this module.

    Parameters
    ----------
    claim : Claim
        The claim; its zones are zone ids or zone roles.
    site_id : str
        The site the other arguments are of.
    changes : Sequence[Change]
        The site's whole change table, as :func:`pipeline.compare.compare` returns it.
    measurements : Sequence[Measurement]
        The measurements it was made from; they settle the baseline year and the margin.
    zones : Sequence[Zone]
        The site's zones.
    baseline : int or None
        Baseline year the changes were made with, if one was set (:class:`pipeline.compare.CompareRules`).

    Returns
    -------
    ClaimFinding or None
        None when the claim does not list the site.
    """
    if site_id not in claim.sites:
        return None
    zone_ids = _zones_of(claim, zones)
    if not zone_ids:
        wanted = " or ".join(claim.zones)
        return _finding(claim, "not_observable", f"The site has no sourced zone or perimeter for {wanted}.")
    if claim.direction == "presence":
        return _judge_presence(claim, zone_ids, measurements)
    of_basis = [row for row in measurements if row.metric == BASIS_METRIC.get(claim.metric, claim.metric)]
    start = baseline_year(of_basis, baseline)
    if start is None or start > claim.baseline:
        found = "none at all" if start is None else f"the baseline year is {start}"
        return _finding(claim, "not_observable", f"There is no adequate year up to {claim.baseline} ({found}).")
    of_claim = [row for row in changes if row.metric == claim.metric and row.year_from == start]
    rows = [row for row in of_claim if row.zone_id in zone_ids and _is_test_year(claim, row.year_to)]
    rows.sort(key=lambda row: (row.year_to, -zone_ids.index(row.zone_id)))
    margins = {row.zone_id: _margin(claim, row) for row in of_basis if row.year == start}
    finding = _judge_changes(claim, rows, margins)
    controls = {zone.zone_id for zone in zones if zone.role == "control"}.difference(zone_ids)
    beside = [row for row in of_claim if row.zone_id in controls and _is_test_year(claim, row.year_to)]
    tested = tuple((row.zone_id, row.year_from, row.year_to) for row in rows)
    return replace(finding, reason=f"{finding.reason}{_controls_in_words(beside)}", tested=tested)


def share(findings: Mapping[str, ClaimFinding]) -> ClaimShare:
    """Count the verdicts of one claim over the sites where it was judged.

    Parameters
    ----------
    findings : Mapping[str, ClaimFinding]
        Site id to finding, all of one claim, at least one.

    Raises
    ------
    ValueError
        No finding, or findings of different claims.
    """
    claim_ids = {finding.claim_id for finding in findings.values()}
    if len(claim_ids) != 1:
        raise ValueError(f"findings of claims {sorted(claim_ids)}; a share is of exactly one claim")
    counts = Counter(finding.verdict for finding in findings.values())
    return ClaimShare(claim_ids.pop(), len(findings), *(counts[verdict] for verdict in get_args(ClaimVerdict)))


def _zones_of(claim: Claim, zones: Sequence[Zone]) -> tuple[str, ...]:
    """Ids of the site's zones a claim is about, in the claim's order."""
    return tuple(zone.zone_id for wanted in claim.zones for zone in zones if wanted in (zone.zone_id, zone.role))


def _is_test_year(claim: Claim, year: int) -> bool:
    return claim.test_years[0] <= year <= claim.test_years[1]


def _margin(claim: Claim, base: Measurement) -> float | None:
    """Change that counts as none in one zone, in the metric's unit; None when it cannot be said."""
    margins = [] if claim.margin_m2 is None else [claim.margin_m2]
    if claim.margin_fraction is not None:
        if not adequate(base) or base.value is None:
            return None
        margins.append(claim.margin_fraction * base.value)
    return min(margins, default=None)


def _judge_changes(claim: Claim, rows: Sequence[Change], margins: Mapping[str, float | None]) -> ClaimFinding:
    """Apply rules 3 to 6 and 9 to the rows of the claim's zones and years, the newest of the first zone last."""
    tests = [row for row in rows if row.delta is not None and row.lo95 is not None and row.hi95 is not None]
    if not rows:
        return _finding(
            claim, "not_observable", f"There is no year of {claim.test_years[0]}-{claim.test_years[1]} to compare."
        )
    if not tests:
        reason = f"No test year up to {rows[-1].year_to} can be compared; the newest: {rows[-1].reason}."
        return _finding(claim, "not_observable", reason)
    verdicts = Counter(row.verdict for row in tests)
    below = [_ends_below(row, margins.get(row.zone_id)) for row in tests]
    enough = len({row.year_to for row in tests}) >= _MIN_TEST_YEARS
    verdict: ClaimVerdict = "not_detectable"
    if enough and 2 * verdicts["increase"] > len(tests) and not verdicts["decrease"]:
        verdict = "supported"
    elif enough and all(below):
        verdict = "contradicted"
    newest = tests[-1]
    several = len({row.zone_id for row in tests}) > 1
    counted = "adequate pairs of zone and test year" if several else "adequate test years"
    what = "gain beyond chance" if claim.metric in BASIS_METRIC else "difference"
    reason = (
        f"Compared with {newest.year_from} there is an increase in {verdicts['increase']} of {len(tests)} {counted} "
        f"and a decrease in {verdicts['decrease']}; in {newest.year_to}{f' in {newest.zone_id}' if several else ''} "
        f"the {what} is {quantity(newest.delta or 0.0, newest.unit)} "
        f"(95 % interval {quantity(newest.lo95 or 0.0, newest.unit)} to {quantity(newest.hi95 or 0.0, newest.unit)})"
    )
    if all(below):
        reason += f", and every interval ends below the margin ({_margin_in_words(claim)})"
    if not enough:
        reason += f"; one adequate test year neither supports nor contradicts, {_MIN_TEST_YEARS} are needed"
    return _finding(claim, verdict, f"{reason}.", newest.delta, newest.lo95, newest.hi95)


def _controls_in_words(rows: Sequence[Change]) -> str:
    """Say what the controls show in the same years; an increase there speaks against any cause at the site."""
    tests = [row for row in rows if row.verdict != "insufficient_data"]
    if not tests:
        return ""
    rising = sum(row.verdict == "increase" for row in tests)
    return f" The controls show an increase in {rising} of {len(tests)} such tests."


def _ends_below(row: Change, margin: float | None) -> bool:
    return margin is not None and row.hi95 is not None and row.hi95 < margin


def _judge_presence(claim: Claim, zone_ids: tuple[str, ...], measurements: Sequence[Measurement]) -> ClaimFinding:
    """Apply rules 7 and 9."""
    of_claim = [row for row in measurements if row.metric == claim.metric and row.zone_id in zone_ids]
    rows = [row for row in of_claim if adequate(row) and _is_test_year(claim, row.year)]
    if not rows:
        return _finding(claim, "not_observable", f"No year of {claim.test_years[0]}-{claim.test_years[1]} is adequate.")
    newest = max(rows, key=lambda row: (row.year, -zone_ids.index(row.zone_id)))
    value, half = newest.value or 0.0, Z95 * newest.sigma if newest.sigma else None
    seen = sorted({row.year for row in rows if (row.value or 0.0) >= 1})
    which = f" ({', '.join(map(str, seen))})" if seen else ""
    n_years = len({row.year for row in rows})
    reason = (
        f"At least 1 is seen in {len(seen)} of {n_years} adequate years{which}; in {newest.year} there are {value:g}"
    )
    verdict: ClaimVerdict = "supported" if seen else "not_detectable"
    lo95, hi95 = (None, None) if half is None else (max(0.0, value - half), value + half)
    finding = _finding(claim, verdict, f"{reason}.", value, lo95, hi95)
    return replace(finding, tested=tuple((row.zone_id, row.year) for row in rows))


def _margin_in_words(claim: Claim) -> str:
    """Say the margin of a claim as it was written."""
    parts = [] if claim.margin_fraction is None else [f"{100 * claim.margin_fraction:g} % of the baseline value"]
    parts += [] if claim.margin_m2 is None else [quantity(claim.margin_m2, "m2")]
    return " or ".join(parts) or "none, so that it cannot be contradicted"


def _test_in_words(claim: Claim) -> str:
    """Say what is tested."""
    where = f"{claim.metric} in {', '.join(claim.zones)}, {claim.test_years[0]}-{claim.test_years[1]}"
    if claim.direction == "presence":
        return f"{where}: at least 1 in any adequate year."
    return (
        f"{where} against a baseline year up to {claim.baseline}: an increase in more than half of the adequate "
        f"test years, at least {_MIN_TEST_YEARS}, and a decrease in none; margin: {_margin_in_words(claim)}."
    )


def _finding(  # the three numbers come together or not at all
    claim: Claim,
    verdict: ClaimVerdict,
    reason: str,
    value: float | None = None,
    lo95: float | None = None,
    hi95: float | None = None,
) -> ClaimFinding:
    return ClaimFinding(claim.id, verdict, reason, value, lo95, hi95, _test_in_words(claim))
