"""A batch of sites: each on its own, so that one that fails never stops the others."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.batches.books import Books, Outcome, Say, Show, open_books
from pipeline.batches.closing import close_batch
from pipeline.batches.lock import locked
from pipeline.batches.notify import channels
from pipeline.batches.past import how_ended, read_past
from pipeline.batches.status import settings_sha256
from pipeline.batches.working_copies import make_room, tidy
from pipeline.claims import ClaimFinding, share
from pipeline.errors import InputError, ProductError, StocklineError
from pipeline.products.custody.vouching import Voucher, ready, vouch
from pipeline.products.geopackage import read_tables
from pipeline.products.index_page import write_index
from pipeline.products.portfolio import publish_portfolio
from pipeline.products.review_file import offer
from pipeline.progress import WatchedPool
from pipeline.records import ChangeRow, ClaimRow, RunRow
from pipeline.run import Batch, run_site
from pipeline.types import Site

_SITES_AT_ONCE = 8
"""Each joins maps and writes products in this process, whatever the number of workers elsewhere."""
_HEADLINES = ("stockpile_area_m2", "footprint_area_m2", "boundary_gain_m2")


def _unseen(*_: object) -> None:
    pass


def run_batch(sites: Sequence[Site], batch: Batch, say: Say, show: Show = _unseen) -> list[Outcome]:
    """Run every site; with several workers some run at once, sharing the pool.

    Parameters
    ----------
    sites : sequence of Site
    batch : Batch
    say : callable
        Takes a site's id and a line of progress.
    show : callable
        Takes a site's id, the name of a stage and how far it is.

    Raises
    ------
    BusyError
        Another batch holds the lock of the output folder.
    InputError
        The configuration names something that is no catalogue; no site can be run with it.
    """
    channels(batch.config.notify)  # what they lack is told before any work
    out, settings = batch.config.out, settings_sha256(batch.config)
    voucher = ready(batch.config.custody)
    with locked(out), nullcontext(make_room(batch.config)) as room, open_books(out, sites, say, show) as books:
        for line in room.lines:
            books.say("disk", line)
        room.needed()

        def run_one(site: Site) -> Outcome:
            with books.site(site, settings) as ended:
                ended.append(_run_one(site, batch, books))
            return ended[0]

        with _counted(batch, books.say):
            outcomes = _run_all(sites, batch, run_one)
        outcomes += _gathered(out)
        outcomes += _vouched([out / site.id for site in sites], voucher, books.say)
        for line in tidy(batch.config, [site.id for site in sites]):
            books.say("disk", line)
        return outcomes + _closed(outcomes, batch, books)


def _run_all(sites: Sequence[Site], batch: Batch, run_one: Callable[[Site], Outcome]) -> list[Outcome]:
    """Run sites one by one, or some at once."""
    if batch.pool.workers == 1:
        return [run_one(site) for site in sites]
    # These threads mostly wait: pixels are read and measured by the pool's workers.
    with ThreadPoolExecutor(max_workers=min(batch.pool.workers, _SITES_AT_ONCE)) as threads:
        try:
            return list(threads.map(run_one, sites))
        except BaseException:
            # Leaving the block waits for the threads: on Ctrl-C nothing more is begun, and what is under way ends.
            threads.shutdown(wait=False, cancel_futures=True)
            batch.pool.stop()
            raise


def gather(out: Path) -> None:
    """Gather all finished sites of a folder; :class:`ProductError` when that cannot be written."""
    states = how_ended(read_past(out))
    failed = {name for name, last in states.items() if not last["ok"]}
    publish_portfolio(out, failed, lambda folder: [write_index(out, states, folder)])


def _gathered(out: Path) -> list[Outcome]:
    """Gather all finished sites after a batch; an outcome only where that failed."""
    started = dt.datetime.now(dt.UTC)
    try:
        gather(out)
    except StocklineError as error:
        took = round((dt.datetime.now(dt.UTC) - started).total_seconds(), 1)
        return [Outcome("portfolio", None, str(error), took, type(error).__name__)]
    return []


def _vouched(folders: Sequence[Path], voucher: Voucher, say: Say) -> list[Outcome]:
    """Have signed and stamped what the batch finished, and what former ones left; an outcome for what cannot be."""
    failed = vouch(folders, voucher, say)
    return [Outcome("custody", None, "; ".join(failed), 0.0, ProductError.__name__)] if failed else []


def _closed(outcomes: Sequence[Outcome], batch: Batch, books: Books) -> list[Outcome]:
    """Write and send what the batch came to; an outcome only where that failed."""
    try:
        return close_batch(outcomes, batch.config, books)
    except Exception as error:  # noqa: BLE001 - the batch boundary: the sites are finished, whatever is told of them
        line = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        books.say("digest", line)
        if not books.ended:
            books.end(1)
        return [Outcome("digest", None, line, 0.0, "Exception")]


@contextmanager
def _counted(batch: Batch, say: Say) -> Iterator[None]:
    """Count what all sites ask of the source, and tell it at the end."""
    ledger = batch.line.ledger
    try:
        ledger.cleared()
    except OSError as error:
        said = error.strerror or error
        raise ProductError(f"{ledger.folder}: {said}; free disk space or choose another --out") from error
    try:
        yield
        spent = ledger.spent()
        if spent.pixel_requests:
            units = f", {spent.processing_units:.2f} processing units" if spent.processing_units else ""
            asked = f"{spent.requests} requests, {spent.pixel_requests} of them for pixels"
            say("source", f"{asked}, at most {ledger.at_once()} at a time, {spent.size_bytes / 1e6:.1f} MB{units}")
    finally:
        ledger.close()


def _run_one(site: Site, batch: Batch, books: Books) -> Outcome:
    started, say = dt.datetime.now(dt.UTC), books.say
    watched = WatchedPool(batch.pool, partial(books.show, site.id))

    def seconds() -> float:
        return round((dt.datetime.now(dt.UTC) - started).total_seconds(), 1)

    try:
        published = run_site(site, replace(batch, pool=watched), partial(say, site.id))
        offered = offer(published.folder, site.id)
    except InputError:
        raise
    except StocklineError as error:
        return Outcome(site.id, None, str(error), seconds(), type(error).__name__)
    except Exception as error:  # noqa: BLE001 - the batch boundary: a defect in one site must not lose the others
        said = " ".join(str(error).split())
        line = f"site {site.id}: unexpected {type(error).__name__}: {said}"
        return Outcome(site.id, None, line, seconds(), "Exception")
    if offered is not None:
        say(site.id, offered)
    if not published.skipped:
        say(site.id, watched.summary(seconds()))
    return Outcome(site.id, published, None, seconds())


def findings_of(folder: Path, site_id: str) -> tuple[list[str], dict[str, ClaimFinding]]:
    """Headline verdicts of a finished site in words, and its claims' verdicts by id."""
    tables = read_tables(folder / f"{site_id}.gpkg", ("run", "changes", "claims"))
    base = next((r.value for r in tables["run"] if isinstance(r, RunRow) and r.key == "baseline_year"), "")
    changes = [c for c in tables["changes"] if isinstance(c, ChangeRow) and c.zone_id == "site"]
    lines = [line for metric in _HEADLINES if (line := _headline(metric, changes, base))]
    claims = {
        c.claim_id: ClaimFinding(c.claim_id, c.verdict, c.reason, c.value, c.lo95, c.hi95, c.test)  # type: ignore[arg-type]
        for c in tables["claims"]
        if isinstance(c, ClaimRow)
    }
    return lines, claims


def _headline(metric: str, changes: Sequence[ChangeRow], base: str) -> str | None:
    """Return the newest judged change since the first year compared, and the years that could not be judged."""
    rows = sorted((c for c in changes if c.metric == metric), key=lambda c: (c.year_to, c.year_from))
    judged = [c for c in rows if c.delta is not None]
    unjudged = sorted({c.year_to for c in rows if c.delta is None} - {c.year_to for c in judged} - {int(base or 0)})
    open_years = f"; insufficient_data in {', '.join(map(str, unjudged))}" if unjudged else ""
    if not judged:
        return f"{metric}: insufficient_data, no two years can be compared" if rows else None
    newest = next((c for c in judged if c.year_to == judged[-1].year_to), judged[-1])
    return (
        f"{metric}: {newest.verdict} {newest.year_from} to {newest.year_to}, {newest.delta:+,.0f} {newest.unit} "
        f"(95 % interval {newest.lo95:+,.0f} to {newest.hi95:+,.0f}){open_years}"
    )


def claim_shares(findings: dict[str, dict[str, ClaimFinding]]) -> list[str]:
    """One line per claim: at how many sites it has each verdict; never one pooled p-value."""
    ids = sorted({claim_id for by_claim in findings.values() for claim_id in by_claim})
    lines = []
    for claim_id in ids:
        by_site = {site: by_claim[claim_id] for site, by_claim in findings.items() if claim_id in by_claim}
        lines.append(f"claim {claim_id}: {share(by_site).text}")
    return lines
