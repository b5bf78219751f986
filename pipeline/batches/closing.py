"""The end of a batch: what it came to is gathered, written as ``summary.json`` and ``digest.md``, and sent."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.batches.basis import basis_of
from pipeline.batches.books import Books, Outcome
from pipeline.batches.bulletin import LOCAL_REMEDY, OTHER_REMEDY, REMEDIES, digest_of, is_news, subject_of
from pipeline.batches.notify import Channel, channels, send
from pipeline.batches.seasons import next_open
from pipeline.batches.state import utc_text
from pipeline.batches.state_records import Letter, SiteKnown
from pipeline.batches.summary import Delivery, Disk, Failure, SiteSummary, Summary, VerdictChange, Waiting
from pipeline.batches.verdicts import headlines_of, verdict_changes
from pipeline.batches.waiting import season_open, waiting
from pipeline.batches.working_copies import disk_use, store_of
from pipeline.config import Config
from pipeline.errors import InputError, ProductError
from pipeline.evidence import sha256_file
from pipeline.printable import unplaced
from pipeline.products._documents import MANIFEST, Manifest, Run, json_text, read_document
from pipeline.products.atomic import atomic_path
from pipeline.products.difference.command import compare_runs
from pipeline.products.difference.kept import read_run
from pipeline.products.runs import run_records

SUMMARY = "summary.json"
DIGEST = "digest.md"
_MOST_LETTERS = 20
"""Digests of one way that wait: who hears nothing for so long has other news."""


@dataclass(frozen=True)
class _Site:
    """What is told of one site, and the manifest whose verdicts that tells; None where that is not known to be told."""

    summary: SiteSummary
    changes: Sequence[VerdictChange] = ()
    waits: Sequence[Waiting] = ()
    told: str | None = None


def close_batch(outcomes: Sequence[Outcome], config: Config, books: Books) -> list[Outcome]:
    """Write summary and digest of a batch, end it in the books, and send the digest.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of the sites, and of what failed beside them.
    config : Config
    books : Books

    Returns
    -------
    list of Outcome
        What failed here; a digest that could not be delivered is told and waits for the next batch, and is no failure.
    """
    failed = _journal_failed(books)
    past = books.past()
    known = past.sites
    # A site has an entry in the books; what is not one of them is the portfolio.
    sites = [
        _gathered(outcome, known[outcome.site_id], config, books, past.since)
        for outcome in outcomes
        if outcome.site_id in known
    ]
    others = [*(outcome for outcome in outcomes if outcome.site_id not in known), *failed]
    summary = _summed(sites, others, config, books)
    told = {site.summary.site: site.told for site in sites if site.told is not None}
    letters = _letters(summary, config, books)
    try:
        _write(config.out, summary)
    except ProductError as error:
        # Nothing was told: the next digest tells of these verdicts too.
        failed, told, letters = [*failed, Outcome("summary", None, str(error), 0.0, "ProductError")], {}, []
    books.end(1 if failed else summary.exit_status, told, letters)
    _send(summary, config, books)
    return failed


def _journal_failed(books: Books) -> list[Outcome]:
    reason = books.journal.failed
    return [] if reason is None else [Outcome("log", None, reason, 0.0, "ProductError")]


def _gathered(outcome: Outcome, known: SiteKnown, config: Config, books: Books, since: str | None) -> _Site:
    """Say how a site ended, which of its verdicts changed since a digest last told them, and what it waits for."""
    if outcome.published is None:
        return _Site(_site_summary(outcome, config))
    folder, site = outcome.published.folder, outcome.site_id
    manifest = sha256_file(folder / MANIFEST)
    is_open = season_open(config, books.started.date())
    if known.told == manifest and not is_open and outcome.published.skipped:
        return _Site(_site_summary(outcome, config, manifest))
    try:
        now = read_run(str(folder))
        rows = now.rows("measurements").values()
        waits = waiting(site, rows, config, books.started.date(), simulated=outcome.published.simulated)
    except (ProductError, InputError) as error:
        return _Site(_site_summary(outcome, config, manifest, note=f"its numbers cannot be read ({error})"))
    said: dict[str, Any] = {"run": now.number, "headlines": headlines_of(now)}
    if known.told == manifest:
        return _Site(_site_summary(outcome, config, manifest, **said), (), waits, manifest)
    changes, told = [], None
    try:
        basis = basis_of(folder, known.told, since)
        said |= {"first": basis.first, "told_known": basis.known}
        if basis.run is not None:
            comparison = compare_runs(read_run(f"{folder}@{basis.run}"), now)
            changes = verdict_changes(comparison)
            said |= {"compared_run": basis.run, "moved": len(comparison.compared.moves)}
            said |= {"told_run": basis.run} if basis.known else {}
        told = manifest
    except ProductError as error:
        # It may be restored: what is told now is not taken for told.
        said["note"] = f"the run to compare it with cannot be read ({error})"
    except InputError as error:
        told = manifest  # no later batch could compare with a run of which nothing was kept
        said["note"] = f"the run to compare it with was not kept ({error})"
    return _Site(_site_summary(outcome, config, manifest, **said), changes, waits, told)


def _site_summary(outcome: Outcome, config: Config, manifest: str | None = None, **said: Any) -> SiteSummary:
    """Say how a site ended; others read it, so paths are as below the folder of results."""
    done, out = outcome.published, str(config.out)
    told = {name: unplaced(text, out) for name, text in said.items() if name == "note"}
    return SiteSummary(
        site=outcome.site_id,
        outcome="failed" if done is None else "up_to_date" if done.skipped else "finished",
        simulated=_simulated(config.out / outcome.site_id, config) if done is None else done.simulated,
        seconds=outcome.seconds,
        manifest_sha256=manifest,
        error=None if outcome.error is None else unplaced(outcome.error, out),
        remedy=None if outcome.error is None else _remedy(outcome, config),
        **{**said, **told},
    )


def _simulated(folder: Path, config: Config) -> bool | None:
    """Whether a site that failed is simulated, by its source or its former results; None where neither says so."""
    if config.source.kind == "simulated":
        return True
    try:
        return read_document(folder / MANIFEST, Manifest).simulated
    except ProductError:
        return None  # it has no results; verify says what is wrong with any that are there


def _remedy(outcome: Outcome, config: Config) -> str:
    """Say what helps; an archive on this machine is not mended by waiting."""
    if outcome.kind == "SourceError" and not config.source.url.startswith(("http://", "https://")):
        return LOCAL_REMEDY
    return REMEDIES.get(outcome.kind or "", OTHER_REMEDY)


def _summed(sites: Sequence[_Site], others: Sequence[Outcome], config: Config, books: Books) -> Summary:
    failed = bool(others) or any(site.summary.error is not None for site in sites)
    use = disk_use(config.out, store_of(config))
    lacking = {site.summary.site: _lacking(config.out / site.summary.site) for site in sites}
    opens = next_open(config.windows, config.years, books.started.date())
    return Summary(
        batch=books.number,
        version=__version__,
        simulated=config.source.kind == "simulated" or any(site.summary.simulated for site in sites),
        started=utc_text(books.started),
        finished=utc_text(dt.datetime.now(dt.UTC)),
        exit_status=int(failed),
        sites=tuple(site.summary for site in sites),
        failures=tuple(
            Failure(
                what=o.site_id,
                error=unplaced(o.error or "", str(config.out)),
                remedy=_remedy(o, config),
            )
            for o in others
        ),
        verdict_changes=tuple(change for site in sites for change in site.changes),
        waiting=tuple(wait for site in sites for wait in site.waits),
        next_window=None if opens is None else opens.isoformat(),
        disk=Disk(
            free_bytes=use.free,
            evidence_bytes=use.evidence,
            results_bytes=use.results,
            working_bytes=use.working,
            logs_bytes=use.logs,
        ),
        unsigned=tuple(name for name, lacks in lacking.items() if "sig" in lacks),
        unstamped=tuple(name for name, lacks in lacking.items() if "tsr" in lacks),
        earlier=tuple(sorted({letter.batch for letter in books.past().letters})),
    )


def _lacking(folder: Path) -> list[str]:
    """Return the endings of what shall vouch for the newest run by its record, and does not lie beside it."""
    records = run_records(folder)
    try:
        wanted = read_document(records[-1], Run).custody if records else None
    except ProductError:
        return []  # verify says what is wrong with it
    asked = [] if wanted is None else [("sig", wanted.signed_by), ("tsr", wanted.stamped_by)]
    return [
        end for end, by in asked if by is not None and not records[-1].with_name(f"{records[-1].name}.{end}").exists()
    ]


def _letters(summary: Summary, config: Config, books: Books) -> list[Letter]:
    """Return what goes out of this batch, by the ways that are configured, when it is one to be told of."""
    failed = summary.exit_status != 0
    tell = {"always": True, "changes": failed or is_news(summary), "failures": failed}[config.notify.when]
    if not tell:
        return []
    subject, found = subject_of(summary), []
    if config.notify.mail is not None:
        found.append(Letter(0, books.number, "mail", subject, digest_of(summary), None))
    if config.notify.webhook is not None:
        found.append(Letter(0, books.number, "webhook", subject, json_text(summary), None))
    return found


def _write(out: Path, summary: Summary) -> None:
    """Write both files; :class:`ProductError` when that fails."""
    for name, text in ((SUMMARY, json_text(summary)), (DIGEST, digest_of(summary))):
        with atomic_path(out / name) as path:
            path.write_text(text, encoding="utf-8", newline="\n")


def _send(summary: Summary, config: Config, books: Books) -> None:
    """Send what waits, that of earlier batches too, and say in both files what became of it."""
    ready, sent = channels(config.notify), []
    waiting_letters = books.past().letters
    for way in sorted({letter.way for letter in waiting_letters}):
        letters = [letter for letter in waiting_letters if letter.way == way]
        if way not in ready:
            books.say(
                "batch", f"{len(letters)} digests by {way} are dropped: notify.{way} is not configured any longer"
            )
            books.delivered([letter.number for letter in letters])
            continue
        sent += _sent(ready[way], letters, books)
    if sent:
        _write(config.out, summary.model_copy(update={"deliveries": tuple(sent)}))


def _sent(channel: Channel, letters: Sequence[Letter], books: Books) -> list[Delivery]:
    """Send the digests of one way: by mail as one, newest first; by webhook one by one, in their order."""
    for old in letters[:-_MOST_LETTERS]:
        books.say("batch", f"the digest of batch {old.batch} by {old.way} is dropped: {_MOST_LETTERS} newer ones wait")
        books.delivered([old.number])
    letters = letters[-_MOST_LETTERS:]
    bundles = [tuple(letters)] if channel.way == "mail" else [(letter,) for letter in letters]
    found = []
    for bundle in bundles:
        error = send(channel, bundle[-1].subject, _joined(bundle))
        numbers = [letter.number for letter in bundle]
        if error is None:
            books.delivered(numbers)
        else:
            books.not_delivered(numbers, error)
            books.say("batch", f"digest not delivered by {channel.way}: {error}; it goes with the next one")
        found += [Delivery(way=letter.way, batch=letter.batch, error=error) for letter in bundle]
        if error is not None:
            break
    return found


def _joined(letters: Sequence[Letter]) -> str:
    """Return the newest digest and below it those that were not delivered before, newest first."""
    newest, *earlier = reversed(letters)
    return newest.body + "".join(
        f"\n\n---\n\nEarlier digest, not delivered ({letter.error or 'not tried'}):\n\n{letter.body}"
        for letter in earlier
    )
