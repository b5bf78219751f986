"""What ``stockline status`` tells, from the database and the hashes of the site files: no result is opened."""

import datetime as dt
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline import __version__
from pipeline.batches.due import STATES, Now, Standing, standings
from pipeline.batches.lock import is_locked
from pipeline.batches.past import Past, read_past
from pipeline.batches.seasons import next_open
from pipeline.batches.state_records import Letter
from pipeline.config import Config, content_of, overridden, read_config
from pipeline.errors import InputError
from pipeline.places import check_places
from pipeline.printable import plain

_LONGEST = 400
"""Characters of a reason in the table; all of it is in the JSON."""


@dataclass(frozen=True)
class Status:
    """How a folder of results stands."""

    out: Path
    past: Past
    now: Now
    sites: tuple[Standing, ...]


def status_at(config: Path, out: Path | None, years: tuple[int, int] | None, wanted: Sequence[str]) -> Status:
    """See how a folder stands now: that of a configuration file, or one that is named, for which there need be none."""
    time = dt.datetime.now(dt.UTC)
    if out is not None and not config.exists():
        return status_of(None, out.resolve(), time, wanted)
    read = overridden(read_config(config), out, years)
    check_places(read)
    return status_of(read, read.out, time, wanted)


def status_of(config: Config | None, out: Path, time: dt.datetime, wanted: Sequence[str] = ()) -> Status:
    """See how a folder stands; no site file is parsed and no result opened.

    Parameters
    ----------
    config : Config or None
        None: only what the database knows.
    out : Path
    time : datetime
        Now, with a time zone.
    wanted : sequence of str
        Ids; empty means all.

    Raises
    ------
    InputError
        A site that is wanted is neither known nor has a site file.
    ProductError
        The database cannot be read.
    """
    # Asked before the database: a batch that ends in between is then told as ended.
    running = is_locked(out)
    past = read_past(out)
    files = None if config is None else _files(config.sites)
    now = Now(time, files, config, None if config is None else settings_sha256(config), __version__, running)
    found = standings(past, now)
    lost = sorted(set(wanted) - {one.site for one in found})
    if lost:
        raise InputError(f"site {lost[0]!r} is not known in {out}; stockline status without a site names all")
    return Status(out, past, now, tuple(one for one in found if not wanted or one.site in wanted))


def settings_sha256(config: Config) -> str:
    """Hash of the settings results depend on; of a path on this machine the name counts, so folders may be moved."""
    content = content_of(config)
    url, dem = content["source"]["url"], content["clear"]["dem"]
    content["source"]["url"] = url.split("?", maxsplit=1)[0] if "://" in url else Path(url).name
    content["clear"]["dem"] = dem if dem is None else Path(dem).name
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def lines(status: Status) -> Iterator[str]:
    """Write it for a reader: the batch, a summary, then the sites, those that ask for attention first."""
    yield _batch_line(status)
    counts = Counter(one.state for one in status.sites)
    if not status.sites:
        yield "no site is known"
        return
    told = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    yield f"{_counted(len(status.sites))}: {told}"
    yield from _season_lines(status.now)
    if status.past.letters:
        waiting = len(status.past.letters)
        told = "1 digest waits" if waiting == 1 else f"{waiting} digests wait"
        yield f"{told} to be delivered: {_why_waiting(status.past.letters)}"
    width = max(len(one.site) for one in status.sites)
    for one in status.sites:
        seen = f"finished {one.good.ended}" if one.good is not None else "never finished"
        why = "; ".join(one.reasons)
        yield f"{one.site:<{width}}  {one.state:<11}  {seen:<29}  {_cut(why)}".rstrip()


def _why_waiting(letters: Sequence[Letter]) -> str:
    """Say why the oldest that was tried is still here."""
    return next((letter.error for letter in letters if letter.error), "not tried")


def as_json(status: Status) -> str:
    """Write the same for programs."""
    batch = status.past.batch
    document = {
        "format": 1,
        "out": str(status.out),
        "batch": None if batch is None else asdict(batch),
        "running": status.now.running,
        "next_window": _next(status.now),
        "undelivered": len(status.past.letters),
        "sites": [
            {
                "site": one.site,
                "state": one.state,
                "reasons": list(one.reasons),
                "last": None if one.last is None else asdict(one.last),
                "good": None if one.good is None else asdict(one.good),
            }
            for one in status.sites
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)


def _batch_line(status: Status) -> str:
    batch = status.past.batch
    if batch is None:
        return f"{status.out}: no batch has run here" + (", one is beginning" if status.now.running else "")
    begun = f"batch {batch.number}, begun {batch.started}, {_counted(batch.sites)}"
    if batch.finished is not None:
        return f"{begun}: ended {batch.finished} with exit status {batch.exit_status}"
    if not status.now.running:
        return f"{begun}: interrupted"
    return f"{begun}: running (a batch, or another program, holds the folder)"


def _counted(sites: int) -> str:
    return f"{sites} site" if sites == 1 else f"{sites} sites"


def _season_lines(now: Now) -> Iterator[str]:
    """Say when new scenes count next; that they never will is easily overlooked in a scheduled batch."""
    if now.config is None:
        yield "no configuration: sites never run, changed settings and open windows are not told"
        return
    opens = _next(now)
    if opens is None:
        years = now.config.years
        yield f"no window of {years.first}-{years.last} is open or to come: years.last = {years.last}"
    elif opens != now.time.date().isoformat():
        yield f"no window is open; the next opens {opens}"


def _next(now: Now) -> str | None:
    if now.config is None:
        return None
    day = next_open(now.config.windows, now.config.years, now.time.date())
    return None if day is None else day.isoformat()


def _files(folder: Path) -> dict[str, str]:
    """Site ids and hashes of their files."""
    found = {}
    for path in folder.glob("*.geojson"):
        try:
            found[path.stem] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not found:
        raise InputError(f"{folder}: holds no site file <id>.geojson; set `sites` to the folder of the site files")
    return found


def _cut(text: str) -> str:
    text = plain(" ".join(text.split()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
