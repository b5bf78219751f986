"""The command line: parse, choose sites, print, exit status. No numbers of science here; they are in config.yaml."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from pipeline.arguments import SCHEDULER, make_parser
from pipeline.errors import InputError, StocklineError
from pipeline.printable import plain

if TYPE_CHECKING:
    from pipeline.settings import Settings

# One core per worker: the arrays are small, and linear algebra that starts threads of its own takes the
# other workers' cores. Read by numpy when it is first imported; workers inherit it.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (docs/contract.md)."""
    # On one line as anything else: a warning of a library may repeat what a stranger wrote.
    warnings.showwarning = lambda message, *_, **__: _tell(f"stockline: warning: {message}", sys.stderr)
    # Pipes and logs get UTF-8 whatever the locale says: site names are Korean too.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return _told(command, parsed)
    except StocklineError as error:
        _tell(f"stockline: {error}", sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        _tell("stockline: interrupted; finished sites and fetched pixels are kept, run again to go on", sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # What is still in the buffer has no reader either: without this the interpreter complains when it ends.
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.close()
        return 0


def _tell(line: str, stream: TextIO | None = None) -> None:
    """Print one line; what a stranger wrote moves no cursor and begins no other line."""
    print(plain(line), file=stream or sys.stdout, flush=stream is not None)


def _tell_all(lines: Iterable[str], status: int = 0) -> int:
    """Print lines and return an exit status."""
    for line in lines:
        _tell(line)
    return status


def _tell_aside(line: str) -> None:
    """Print one line beside the results."""
    _tell(line, sys.stderr)


def _told(command: Callable[[argparse.Namespace], int], parsed: argparse.Namespace) -> int:
    """Run a command and bring out what it printed: a reader that has gone is noticed here, not at the very end."""
    status = command(parsed)
    sys.stdout.flush()
    return status


def entry() -> None:
    """Run :func:`main` and exit with its status."""
    status = main()
    if status == _INTERRUPTED:
        # A thread may still wait for a server, for a minute: what it does is kept when it is finished, not before.
        sys.stdout.flush()
        os._exit(status)
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    commands = (
        _run, _plan, _report, _review, _verify, _trace, _compare, _export,
        _sites, _simulate, _validate, _schedule, _status,
    )  # fmt: skip
    return make_parser({command.__name__.removeprefix("_"): command for command in commands})


# What a command needs is imported when it runs, so that --help and a mistyped word answer at once.


def _settings(parsed: argparse.Namespace) -> Settings:
    from pipeline.config import read_config
    from pipeline.settings import Settings

    given = vars(parsed)
    return Settings.make(read_config(parsed.config), given.get("sites", []), given.get("out"), given.get("years"))


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """Look for no garbage while modules are made, and never among them: a fifth of the time of large imports."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run(parsed: argparse.Namespace) -> int:
    with _importing():
        from pipeline.batches.batch import claim_shares, findings_of, run_batch
        from pipeline.parallel import open_pool
        from pipeline.progress import Bar
        from pipeline.run import Batch
        from pipeline.schedule.credentials import take_credentials
        from pipeline.workers import alike

    if parsed.workers < 1:
        raise InputError(f"--workers {parsed.workers}: at least 1 is needed")
    take_credentials(parsed.credentials)
    settings = _settings(parsed)
    address = os.environ.get(SCHEDULER) or None if parsed.scheduler is None else parsed.scheduler
    with (
        open_pool(parsed.workers, address, alike(settings.config)) as pool,
        Bar(_tell_aside, sys.stderr.isatty()) as bar,
    ):
        if address is not None:
            _tell_aside(f"cluster: {pool.workers} workers at {address}")
        batch = Batch(settings.config, settings.claims, settings.claims_sha256, pool, parsed.force, settings.documents)
        outcomes = run_batch(settings.sites, batch, bar.say, bar.show)
    claims = {}
    for outcome in outcomes:
        if outcome.published is None:
            _tell(f"{outcome.site_id}: FAILED after {outcome.seconds:.0f} s: {outcome.error}", sys.stderr)
            continue
        lines, claims[outcome.site_id] = findings_of(outcome.published.folder, outcome.site_id)
        mark = "SIMULATED " if outcome.published.simulated else ""
        did = "up to date" if outcome.published.skipped else f"done in {outcome.seconds:.0f} s"
        _tell(f"{outcome.site_id}: {mark}{did}; see {outcome.published.folder / 'report.html'}")
        for line in lines:
            _tell(f"  {line}")
    return _tell_all(claim_shares(claims), 0 if all(outcome.error is None for outcome in outcomes) else 1)


def _plan(parsed: argparse.Namespace) -> int:
    from pipeline.plan import estimate, open_store, plan_site
    from pipeline.remote import brief_line

    settings = _settings(parsed)
    config, failed = settings.config, 0
    with brief_line(config.source) as line:
        for site in settings.sites:
            try:
                _tell(f"{site.id}: {estimate(plan_site(site, config, line), open_store(config, line), config)}")
            except StocklineError as error:
                failed += 1
                _tell(f"{site.id}: FAILED: {error}", sys.stderr)
    return 1 if failed else 0


def _report(parsed: argparse.Namespace) -> int:
    from pipeline.batches.batch import gather
    from pipeline.batches.lock import locked
    from pipeline.products.publish import rebuild_report

    settings = _settings(parsed)
    finished = [s for s in settings.sites if (settings.config.out / s.id / "manifest.json").is_file()]
    if not finished:
        raise InputError(f"{settings.config.out}: holds no finished result of these sites; stockline run makes one")
    with locked(settings.config.out):
        for site in finished:
            rebuild_report(settings.config.out / site.id)
            _tell(f"{site.id}: {settings.config.out / site.id / 'report.html'}")
        gather(settings.config.out)
    return 0


def _review(parsed: argparse.Namespace) -> int:
    from pipeline.reviewing import review_site

    if parsed.file is not None and len(parsed.sites) != 1:
        raise InputError(f"--file {parsed.file}: is of one site; name one site, not {len(parsed.sites)}")
    settings, failed = _settings(parsed), False
    for site in settings.sites:
        try:
            reading = review_site(site, settings.config, parsed.file)
        except StocklineError as error:
            failed = True
            _tell(f"{site.id}: FAILED: {error}", sys.stderr)
            continue
        for fault in reading.faults:
            failed = True
            _tell(f"{site.id}: not taken: {reading.file}: {fault}", sys.stderr)
        for line in reading.lines:
            _tell(f"{site.id}: {line}")
    return 1 if failed else 0


def _validate(parsed: argparse.Namespace) -> int:
    from pipeline.parallel import open_pool
    from pipeline.progress import Bar
    from pipeline.validation.command import validate

    for name in ("workers", "most"):
        if getattr(parsed, name) is not None and getattr(parsed, name) < 1:
            raise InputError(f"--{name} {getattr(parsed, name)}: at least 1 is needed")
    with open_pool(parsed.workers) as pool, Bar(_tell_aside, sys.stderr.isatty()) as progress:
        text = validate(
            parsed.folder, parsed.seed_set, parsed.data, parsed.most, pool, lambda line: progress.say("validate", line)
        )
    return _tell_all(text.splitlines())


def _verify(parsed: argparse.Namespace) -> int:
    from pipeline.products.custody.proofs import Trust
    from pipeline.products.custody.verify import examine

    found = examine(parsed.folder, Trust.of(parsed.folder, parsed.signers, parsed.tsa_ca))
    return _tell_all(found.json_lines if parsed.json else found.lines, 1 if found.problems else 0)


def _trace(parsed: argparse.Namespace) -> int:
    from pipeline.products.tracing.trace import trace
    from pipeline.products.tracing.trace_words import json_of, lines_of

    chain = trace(parsed.folder, parsed.id)
    said = json_of(chain).splitlines() if parsed.json else lines_of(chain, everything=parsed.all)
    return _tell_all(said, 1 if chain.problems else 0)


def _compare(parsed: argparse.Namespace) -> int:
    from pipeline.products.difference.command import answer

    return _tell_all(answer(parsed.before, parsed.after, as_json=parsed.json, everything=parsed.all))


def _export(parsed: argparse.Namespace) -> int:
    from pipeline.export.command import export

    settings = _settings(parsed)
    made = export(settings.config.out, [site.id for site in settings.sites], parsed.to, parsed.redaction)
    for remark in made.remarks:
        _tell_aside(remark)
    _tell(made.told)
    return 0


def _sites(parsed: argparse.Namespace) -> int:
    if parsed.action == "show" and parsed.site is None:
        raise InputError("sites show: name a site; stockline sites list names them all")
    parsed.sites = [parsed.site] if parsed.site else []
    settings = _settings(parsed)
    if parsed.action == "check":
        _tell(f"{len(settings.sites)} site files and {len(settings.claims)} claims are good")
        return 0
    for site in settings.sites:
        _tell(f"{site.id}: {site.name} ({site.kind}, coal {site.coal_rank}, within {site.uncertainty_m or '?'} m)")
        if parsed.action == "show":
            _tell(f"  status: {site.status or 'not stated'}")
            _tell(f"  source: {site.source}, {site.source_date or 'no date'}")
            _tell(f"  note: {' '.join((site.note or '').split())}")
            for feature in site.features:
                _tell(f"  {feature.role}: {feature.name} ({feature.source or 'no source'})")
    return 0


def _simulate(parsed: argparse.Namespace) -> int:
    from pipeline.parallel import open_pool
    from pipeline.sources.simulated import simulate

    with open_pool(parsed.workers) as pool:
        simulate(parsed.folder, parsed.seed, pool_map=pool.map)
    _tell(f"{parsed.folder}: SIMULATED archive written; stockline run --config {parsed.folder / 'config.yaml'}")
    return 0


def _schedule(parsed: argparse.Namespace) -> int:
    from pipeline.schedule.install import Wish, arrange, present

    return _tell_all(arrange(_settings(parsed).config, parsed.config, Wish.of(vars(parsed)), present()))


def _status(parsed: argparse.Namespace) -> int:
    from pipeline.batches.status import as_json, lines, status_at

    status = status_at(parsed.config, parsed.out, parsed.years, parsed.sites)
    return _tell_all(as_json(status).splitlines() if parsed.json else lines(status))


if __name__ == "__main__":
    entry()
