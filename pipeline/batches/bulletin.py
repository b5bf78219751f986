"""What a batch came to, in words for people: ``digest.md`` and the subject it is sent under. Pure.

What stands first is what a reader may have to act on: verdicts that changed, then what failed and what to do, then what
waits. What is observed is said, never what it means.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

from pipeline.batches.state_records import GOOD
from pipeline.batches.summary import Headline, SiteSummary, Summary, Verdict, VerdictChange, Waiting
from pipeline.printable import plain
from pipeline.products.results import SITE_ZONE
from pipeline.products.rounding import ABSENT
from pipeline.products.scale import Scale
from pipeline.products.spelling import legible
from pipeline.products.wording import VERDICTS, day, listed, metric_noun, yearly

_MOST_LINES = 200
"""Of one section; all of it is in summary.json."""
_MARK = "SIMULATED "
_MOST_CAUSES = 3
_OF_PILES = {"stockpile_changes"}
_KINDS = {"stockpile": "stockpiles", "footprint": "occupied ground"}
REMEDIES = {
    "SourceError": "nothing now: the next batch tries again; if it lasts, check the network and the provider's notices",
    "GoneError": "check source.url and source.collection: the provider no longer has what was asked for",
    "RefusedError": "check source.hosts and the account at the provider; waiting does not help",
    "UnauthorizedError": "renew the credentials in the environment; waiting does not help",
    "BudgetError": "run again later, or raise the limit under `source` that is used up; what was fetched is kept",
    "EvidenceError": "run stockline verify, and restore the file it names from a copy",
    "ProductError": "free disk space or mend the file named, then run again; former results are as they were",
    "ReviewError": "mend the review file or the ledger named; nothing of it was taken",
    "WorkersError": "see that the workers of the cluster are up and have memory; the next batch tries again",
    "Exception": "this is a defect of the program: report it with the log of the batch; other sites are not touched",
}
"""Class of an error to what helps."""
LOCAL_REMEDY = (
    "see that the files it names, or else those below source.url, are there, whole and can be read; the next batch "
    "tries again"
)
"""What helps where pixels could not be had from an archive on this machine."""
OTHER_REMEDY = "do what the line says, then run the site again"


def subject_of(summary: Summary) -> str:
    """One line to send it under, in plain letters."""
    changed, failed = len(summary.verdict_changes), _failed(summary)
    first, apart = sum(site.first for site in summary.sites), sum(map(_uncompared, summary.sites))
    parts = [
        _counted(changed, "verdict") + " changed" if changed else "",
        _counted(first, "first result") if first else "",
        f"{apart} not compared" if apart else "",
        f"{failed} failed" if failed else "",
    ]
    still = "no verdict changed" if any(site.moved for site in summary.sites) else "nothing changed"
    said = ", ".join(filter(None, parts)) or (still if summary.sites else "no site finished")
    return f"{_MARK if summary.simulated else ''}stockline batch {summary.batch}: {said}"


def is_news(summary: Summary) -> bool:
    """Whether a verdict changed, or results are told that are compared with none, or not with what was told."""
    apart = (site.first or _uncompared(site) or not site.told_known for site in summary.sites)
    return bool(summary.verdict_changes) or any(apart)


def digest_of(summary: Summary) -> str:
    """Write the digest as Markdown that reads well as plain text."""
    blocks = [
        [f"# {_MARK if summary.simulated else ''}Batch {summary.batch}, {_day(summary.started)}", "", _first(summary)],
        _section("Verdicts that changed", _verdict_lines(summary.verdict_changes)) or [_unchanged(summary)],
        _more(summary),
        _section("Failed, and what to do", list(_failures(summary))),
        _section("Waiting for clear sky", [_waits(w) for w in summary.waiting]),
        _section("Finished", [_finished(site) for site in summary.sites if _is_listed(site)]),
        _section("Not compared", [f"{_named(s)}: {s.note}" for s in summary.sites if s.note is not None]),
        _section(
            "What was told before is not known",
            [_unknown(s) for s in summary.sites if not s.told_known and s.note is None],
        ),
        _section("Not signed or stamped", list(_custody(summary))),
        _section("Room", list(_room(summary))),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _first(summary: Summary) -> str:
    counts = {
        "finished": "finished", "up_to_date": "up to date", "failed": "failed", "interrupted": "interrupted",
    }  # fmt: skip
    outcomes = [site.outcome for site in summary.sites]
    told = ", ".join(f"{outcomes.count(o)} {words}" for o, words in counts.items() if o in outcomes)
    seconds = (dt.datetime.fromisoformat(summary.finished) - dt.datetime.fromisoformat(summary.started)).total_seconds()
    took = f", in {_duration(seconds)}" if seconds >= 0 else ""  # a clock was set back
    said = f"{_counted(len(outcomes), 'site')}: {told or 'none'}{took}."
    if summary.next_window is not None:
        is_open = summary.next_window <= summary.started[:10]
        return f"{said} {'A window is open.' if is_open else f'The next window opens {_day(summary.next_window)}.'}"
    return f"{said} No window of the configured years is open or to come (years.last)."


def _unchanged(summary: Summary) -> str:
    """Say what there is where no verdict changed: nothing is said of a site that was compared with nothing."""
    done = [site for site in summary.sites if site.outcome in GOOD]
    if not done:
        return "No site was finished."
    first, apart = sum(site.first for site in done), sum(map(_uncompared, done))
    if first == len(done):
        return "These are the first results; there is nothing to compare them with."
    rest, moved = len(done) - first - apart, sum(site.moved for site in done)
    parts = [
        f"{_counted(first, 'first result')}, compared with nothing." if first else "",
        f"{_counted(apart, 'site')} could not be compared." if apart else "",
    ]
    still = f"No verdict changed; {_counted(moved, 'number')} moved." if moved else "Nothing changed."
    if 0 < rest < len(summary.sites):
        still = f"At {_counted(rest, 'site')}: {still[0].lower()}{still[1:]}"
    return " ".join(filter(None, [*parts, still if rest else ""]))


def _uncompared(site: SiteSummary) -> bool:
    """Whether a site has results that could be compared with none, and are no first ones."""
    return site.note is not None or (not site.told_known and site.compared_run is None)


def _is_listed(site: SiteSummary) -> bool:
    """Whether verdicts of a site are told: new ones, and those of a former batch that may never have been told."""
    return site.outcome == "finished" or site.first or not site.told_known


def _unknown(site: SiteSummary) -> str:
    if site.compared_run is None:
        return f"{_named(site)}: it has no other run to compare with"
    return f"{_named(site)}: compared with run {site.compared_run}, the one before its newest"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    shown = [f"- {plain(' '.join(line.split()))}" for line in lines[:_MOST_LINES]]
    more = len(lines) - _MOST_LINES
    return [f"## {title}", "", *shown, *([f"- and {more} more, in summary.json"] if more > 0 else [])]


def _verdict_lines(changes: Sequence[VerdictChange]) -> list[str]:
    """Give those on the whole site first, and on single piles last: there may be hundreds."""
    order = sorted(changes, key=lambda c: (c.layer in _OF_PILES, c.zone != SITE_ZONE and c.layer != "claims"))
    return [_changed(change) for change in order]


def _changed(change: VerdictChange) -> str:
    values = [n for side in (change.before, change.after) if side for n in (side.value, side.lo95, side.hi95)]
    side = change.after or change.before
    of_metric = "1" if (change.metric or "").endswith("count") else "m2"
    unit = (side.unit if side is not None else None) or of_metric
    scale = Scale.of(yearly(unit) if change.layer == "trends" else unit, values)
    now, before = (_verdict(change, side, scale) for side in (change.after, change.before))
    site = f"{_MARK if change.simulated else ''}{change.site}"
    return f"{site}, {change.name}: now {now}; before {before}. {_because(change)}."


def _because(change: VerdictChange) -> str:
    if not change.causes:
        return "Nothing recorded explains it"
    shown = list(change.causes[:_MOST_CAUSES])
    more = len(change.causes) - len(shown)
    shown += [f"{more} more things the runs differ in"] if more else []
    return f"{'Because of' if change.certain else 'One or more of'}: {'; '.join(shown)}"


def _verdict(change: VerdictChange, side: Verdict | None, scale: Scale) -> str:
    if side is None:
        return "not there"
    # The reason of a claim is a paragraph; the report has it.
    short = side.model_copy(update={"reason": None}) if change.layer == "claims" else side
    return _said(short, scale, signed=change.layer != "claims")


def _said(side: Verdict, scale: Scale, *, signed: bool) -> str:
    words = VERDICTS.get(side.verdict, side.verdict)
    shown = scale.show(side.value, side.lo95, side.hi95, signed=signed)
    if shown.value == ABSENT:
        return f"{words} ({legible(side.reason)})" if side.reason else words
    interval = "" if shown.interval == ABSENT else f" (95 % interval {shown.interval_with_unit})"
    return f"{words}, {shown.value_with_unit}{interval}"


def _failures(summary: Summary) -> Iterator[str]:
    for site in summary.sites:
        if site.error is not None:
            yield f"{_named(site)}: {site.error}. What to do: {site.remedy}."
    for failure in summary.failures:
        yield f"{failure.what}: {failure.error}. What to do: {failure.remedy}."
    for delivery in summary.deliveries:
        if delivery.error is not None:
            yield f"digest of batch {delivery.batch} by {delivery.way}: {delivery.error}. It goes with the next digest."


def _waits(wait: Waiting) -> str:
    where = "whole site" if "site" in wait.zones else _counted(len(wait.zones), "zone")
    opens = f", the next window opens {_day(wait.opens)}" if wait.opens is not None else ""
    return (
        f"{_MARK if wait.simulated else ''}{wait.site}, {_KINDS[wait.kind]} {wait.year} ({where}): "
        f"{wait.clear_dates} of {wait.needed} clear dates, at least {wait.lacking} lacking; "
        f"until {_day(wait.until)}{opens}"
    )


def _finished(site: SiteSummary) -> str:
    first = " (first result)" if site.first else ""
    headlines = "; ".join(_headline(headline) for headline in site.headlines) or "no verdict on the whole site"
    return f"{_named(site)}{first}, {_duration(site.seconds)}: {headlines}"


def _headline(headline: Headline) -> str:
    said = headline.said
    scale = Scale.of(said.unit or "m2", [said.value, said.lo95, said.hi95])
    years = f" {headline.year_from} to {headline.year_to}" if headline.year_from is not None else ""
    rest = f", insufficient data in {listed([str(year) for year in headline.unjudged])}" if headline.unjudged else ""
    return f"{metric_noun(headline.metric)}{years}: {_said(said, scale, signed=True)}{rest}"


def _custody(summary: Summary) -> Iterator[str]:
    if summary.unsigned:
        yield f"not signed: {', '.join(summary.unsigned)}"
    if summary.unstamped:
        yield f"without a time stamp: {', '.join(summary.unstamped)}; the next batch asks again"


def _room(summary: Summary) -> Iterator[str]:
    disk = summary.disk
    if disk is not None:
        yield (
            f"{_gb(disk.free_bytes)} free; evidence {_gb(disk.evidence_bytes)}, results {_gb(disk.results_bytes)}, "
            f"working copies {_gb(disk.working_bytes)}"
        )


def _more(summary: Summary) -> list[str]:
    """Name the runs to compare, for who wants to know which numbers moved."""
    changed = {change.site for change in summary.verdict_changes}
    runs = [f"{s.site}@{s.compared_run} {s.site}@{s.run}" for s in summary.sites if s.moved or s.site in changed]
    if not runs:
        return []
    more = f" and {len(runs) - _MOST_LINES} more sites" if len(runs) > _MOST_LINES else ""
    commands = ", ".join(f"stockline compare {pair}" for pair in runs[:_MOST_LINES])
    return [f"Which numbers moved, asked in the folder of results: {commands}{more}."]


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:,.2f} GB"


def _named(site: SiteSummary) -> str:
    return f"{_MARK if site.simulated else ''}{site.site}"


def _failed(summary: Summary) -> int:
    return sum(site.outcome == "failed" for site in summary.sites) + len(summary.failures)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _day(text: str) -> str:
    return day(dt.date.fromisoformat(text[:10]))


def _duration(seconds: float) -> str:
    if seconds < 100:  # noqa: PLR2004 - two digits of seconds, then minutes
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - the same of minutes
