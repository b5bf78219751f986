"""The end of a batch: what it came to is gathered, written as ``summary.json`` and ``digest.md``, and sent."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.batches.books import Books, Outcome
from pipeline.batches.bulletin import OTHER_REMEDY, REMEDIES, digest_of, subject_of
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
from pipeline.products._documents import MANIFEST, RUNS, Run, json_text, read_document
from pipeline.products.atomic import atomic_path
from pipeline.products.difference.command import compare_runs
from pipeline.products.difference.kept import read_run
from pipeline.products.runs import number_of, run_records

SUMMARY = "summary.json"
DIGEST = "digest.md"
_MOST_LETTERS = 20
"""Digests of one way that wait: who hears nothing for so long has other news."""


@dataclass(frozen=True)
class _Site:
    """What is told of one site, and the manifest whose verdicts that tells; None where there are no results."""

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
    known = books.past().sites
    # A site has an entry in the books; what is not one of them is the portfolio.
    sites = [
        _gathered(outcome, known[outcome.site_id], config, books) for outcome in outcomes if outcome.site_id in known
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


def _gathered(outcome: Outcome, known: SiteKnown, config: Config, books: Books) -> _Site:
    """Say how a site ended, which of its verdicts changed since a digest last told them, and what it waits for."""
    if outcome.published is None:
        return _Site(_site_summary(outcome, config.out))
    folder, site = outcome.published.folder, outcome.site_id
    manifest = sha256_file(folder / MANIFEST)
    is_open = season_open(config, books.started.date())
    if known.told == manifest and not is_open and outcome.published.skipped:
        return _Site(_site_summary(outcome, config.out, manifest))
    try:
        now = read_run(str(folder))
        rows = now.rows("measurements").values()
        waits = waiting(site, rows, config, books.started.date(), simulated=outcome.published.simulated)
    except (ProductError, InputError) as error:
        return _Site(_site_summary(outcome, config.out, manifest, note=f"its numbers cannot be read ({error})"))
    said: dict[str, Any] = {"run": now.number, "first": known.told is None, "headlines": headlines_of(now)}
    changes: list[VerdictChange] = []
    if known.told not in {None, manifest}:
        try:
            before = read_run(f"{folder}@{_run_of(folder, known.told)}")
            comparison = compare_runs(before, now)
            changes = verdict_changes(comparison)
            said |= {"told_run": before.number, "moved": len(comparison.compared.moves)}
        except (ProductError, InputError) as error:
            said["note"] = f"the verdicts told before are no longer there to compare with ({error})"
    return _Site(_site_summary(outcome, config.out, manifest, **said), changes, waits, manifest)


def _run_of(folder: Path, manifest: str | None) -> int:
    """Return the newest run that made a manifest; :class:`ProductError` when none of its records names it."""
    for path in reversed(run_records(folder)):
        if read_document(path, Run).manifest_sha256 == manifest:
            return number_of(path)
    raise ProductError(f"{folder / RUNS}: no run is recorded that made manifest {str(manifest)[:12]}...")


def _site_summary(outcome: Outcome, out: Path, manifest: str | None = None, **said: Any) -> SiteSummary:
    """Say how a site ended; others read it, so paths are as below the folder of results."""
    done, told = outcome.published, {name: unplaced(text, str(out)) for name, text in said.items() if name == "note"}
    return SiteSummary(
        site=outcome.site_id,
        outcome="failed" if done is None else "up_to_date" if done.skipped else "finished",
        simulated=None if done is None else done.simulated,
        seconds=outcome.seconds,
        manifest_sha256=manifest,
        error=None if outcome.error is None else unplaced(outcome.error, str(out)),
        remedy=None if outcome.error is None else REMEDIES.get(outcome.kind or "", OTHER_REMEDY),
        **{**said, **told},
    )


def _summed(sites: Sequence[_Site], others: Sequence[Outcome], config: Config, books: Books) -> Summary:
    failed = bool(others) or any(site.summary.error is not None for site in sites)
    use = disk_use(config.out, store_of(config))
    lacking = {site.summary.site: _lacking(config.out / site.summary.site) for site in sites}
    opens = next_open(config.windows, config.years, books.started.date())
    return Summary(
        batch=books.number,
        version=__version__,
        simulated=any(site.summary.simulated for site in sites),
        started=utc_text(books.started),
        finished=utc_text(dt.datetime.now(dt.UTC)),
        exit_status=int(failed),
        sites=tuple(site.summary for site in sites),
        failures=tuple(
            Failure(
                what=o.site_id,
                error=unplaced(o.error or "", str(config.out)),
                remedy=REMEDIES.get(o.kind or "", OTHER_REMEDY),
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
    tell = {"always": True, "changes": failed or bool(summary.verdict_changes), "failures": failed}[config.notify.when]
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
