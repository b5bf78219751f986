"""How each site stands: what is due, what is stale, and why. Pure."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.batches.past import Past
from pipeline.batches.seasons import open_days
from pipeline.batches.state_records import SiteKnown, SiteRun
from pipeline.config import Config

STATES = {
    "failed": "the last batch could not finish it",
    "interrupted": "the last batch was ended while it was under way",
    "never": "no batch has finished it",
    "due": "a batch would find something to do, or to look for",
    "stale": "no batch has looked at it for long",
    "gone": "its site file is no longer there",
    "running": "it is under way",
    "current": "nothing to do",
}
"""States of a site, in the order of the attention they ask for."""
_REVISIT_DAYS = 5
"""Two satellites see a place every five days: after fewer there need not be a new scene."""
_CLOCK = dt.timedelta(days=1)
"""By which a time may lie ahead before it is told."""


@dataclass(frozen=True)
class Now:
    """What is so at the moment.

    Attributes
    ----------
    time : datetime
    files : mapping of str to str, or None
        Site id to hash of its site file; None where no configuration says which sites there are.
    config : Config or None
    settings_sha256, version : str or None
        Of the settings that count, and of the program.
    running : bool
        A batch holds the folder.
    """

    time: dt.datetime
    files: Mapping[str, str] | None
    config: Config | None
    settings_sha256: str | None
    version: str
    running: bool


@dataclass(frozen=True)
class Standing:
    """How a site stands: the state that asks for most attention, all reasons, and its newest run and good run."""

    site: str
    state: str
    reasons: tuple[str, ...]
    last: SiteRun | None = None
    good: SiteRun | None = None


def standings(past: Past, now: Now) -> list[Standing]:
    """Judge all sites that are known or have a site file, those that ask for attention first."""
    names = {*past.sites, *(now.files if now.files is not None else ())}
    newest = past.batch.number if past.batch is not None and past.batch.finished is None else None
    found = [_standing(name, past.sites.get(name), newest, now) for name in names]
    order = list(STATES)
    return sorted(found, key=lambda one: (order.index(one.state), one.site))


def _standing(site: str, known: SiteKnown | None, newest: int | None, now: Now) -> Standing:
    if known is None:
        return Standing(site, "never", ("never run",))
    last, good = known.last, known.good
    reasons: list[tuple[str, str]] = []
    if last.outcome is None and now.running and last.batch == newest:
        reasons.append(("running", f"under way since {last.started}"))
    elif last.outcome in {None, "interrupted"}:
        reasons.append(("interrupted", f"interrupted in batch {last.batch}, begun {last.started}"))
    ended = known.ended
    if ended is not None and ended.outcome == "failed":
        reasons.append(("failed", f"FAILED {ended.ended}: {ended.error}"))
    if good is None and not reasons:
        reasons.append(("never", "never finished"))
    if good is not None:
        reasons += [("due", text) for text in _due(good, now)]
        reasons += [("stale", text) for text in _stale(good, now)]
    order = list(STATES)
    reasons.sort(key=lambda reason: order.index(reason[0]))
    if now.files is not None and site not in now.files:
        reasons.insert(0, ("gone", "its site file is no longer there; its results are kept"))
    states = {state for state, _ in reasons}
    # A batch does not come to a site without a file, whatever else is so; in the list those that failed go before.
    overriding = next((state for state in ("running", "gone") if state in states), None)
    state = overriding or (reasons[0][0] if reasons else "current")
    return Standing(site, state, tuple(text for _, text in reasons), last, good)


def _due(good: SiteRun, now: Now) -> list[str]:
    """Say what has changed since a site was last found good."""
    texts = []
    # Of runs before this record was kept the hashes are not known.
    if now.files is not None and good.site_sha256 and now.files.get(good.site, good.site_sha256) != good.site_sha256:
        texts.append("its site file has changed")
    if good.settings_sha256 and now.settings_sha256 not in {None, good.settings_sha256}:
        texts.append("settings have changed")
    if good.version and good.version != now.version:
        texts.append(f"made by version {good.version} of the program, this is {now.version}")
    seen = _time(good.ended)
    if now.config is not None and seen is not None:
        days = open_days(now.config.windows, now.config.years, min(seen, now.time).date(), now.time.date())
        if days >= _REVISIT_DAYS:
            texts.append(f"{days} days of the windows have passed since")
    return texts


def _stale(good: SiteRun, now: Now) -> list[str]:
    seen = _time(good.ended)
    if seen is None:
        return []
    if seen > now.time + _CLOCK:
        return [f"last looked at {good.ended}, which is ahead of this machine's clock"]
    days = (now.time - seen).days
    if now.config is None or days <= now.config.batch.stale_days:
        return []
    return [f"not looked at for {days} days"]


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
