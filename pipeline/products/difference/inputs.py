"""What two runs of a site were made from that differs: scenes, settings, code, libraries, documents. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.products._documents import Manifest, Run
from pipeline.products.dependence import scene_year

Kind = Literal["scene", "setting", "code", "libraries", "site", "claims", "reviews"]
_OF_CATALOGUE = ("datetime", "platform", "processing_baseline", "relative_orbit", "scale", "nodata_dn")
"""What a provider says of a scene beside its pixels."""
_OF_PIXELS = ("used", "reason", "offset_verdict", "offset_dn", "shift_x_m", "shift_y_m", "clear_fraction", "residual_m")
"""What this program found of a scene."""


@dataclass(frozen=True)
class KeptRun:
    """One run of a site as it was kept: its place in the chain, its record, its manifest and its numbers."""

    number: int
    record: Run
    manifest: Manifest
    numbers: Mapping[str, Any]

    def rows(self, layer: str) -> Mapping[str, Mapping[str, Any]]:
        """Rows of a layer by address."""
        return self.numbers["rows"].get(layer, {})  # type: ignore[no-any-return]  # of a checked document


@dataclass(frozen=True)
class Difference:
    """One thing that two runs differ in.

    Attributes
    ----------
    kind : str
        Of the input.
    name : str
        Scene id, key of a setting; else the kind.
    how : str
        Of a scene: ``new``, ``gone``, ``pixels``, ``catalogue``, ``read`` (in one run alone). Else ``other``.
    before, after : object
        JSON: what it was and is; None for nothing.
    year : int or None
        Of a scene.
    used : bool
        Of a scene: whether one of the runs used it.
    """

    kind: Kind
    name: str
    how: str
    before: Any
    after: Any
    year: int | None = None
    used: bool = True


def differences(before: KeptRun, after: KeptRun) -> tuple[Difference, ...]:
    """Name everything that could make the numbers of two runs differ, scenes first; empty for the same inputs."""
    return (
        *_scenes(before, after),
        *_settings(before.manifest.settings, after.manifest.settings),
        *_software(before, after),
        *_documents(before, after),
    )


def _scenes(before: KeptRun, after: KeptRun) -> Iterator[Difference]:
    known, now = before.rows("scenes"), after.rows("scenes")
    for address in sorted(known.keys() | now.keys()):
        old, new = known.get(address), now.get(address)
        how = _how(old, new)
        if how is not None:
            row = new or old or {}
            used = any(one is not None and bool(one["used"]) for one in (old, new))
            yield Difference("scene", row["scene_id"], how, _told(old), _told(new), scene_year(row), used)


def _how(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str | None:
    """Say in which way a scene differs in what it is made from; None where it does not."""
    if old is None or new is None:
        return "new" if old is None else "gone"
    if (old["sha256"] is None) != (new["sha256"] is None):
        return "read"
    if old["sha256"] != new["sha256"]:
        return "pixels"
    return "catalogue" if any(old[name] != new[name] for name in _OF_CATALOGUE) else None


def _told(scene: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Leave of a scene what a reader is told of it."""
    if scene is None:
        return None
    return {name: scene[name] for name in ("evidence_version", "sha256", *_OF_CATALOGUE, *_OF_PIXELS)}


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    old, new = dict(_leaves(before)), dict(_leaves(after))
    for key in sorted(old.keys() | new.keys()):
        # Through JSON: a setting that is not there is not one that is null.
        if _plain(old, key) != _plain(new, key):
            yield Difference("setting", key, "other", old.get(key), new.get(key))


def _leaves(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _plain(settings: Mapping[str, Any], key: str) -> str:
    return json.dumps(settings[key], sort_keys=True) if key in settings else ""


def _software(before: KeptRun, after: KeptRun) -> Iterator[Difference]:
    old, new = (_code(run) for run in (before, after))
    if old["sha256"] != new["sha256"]:
        yield Difference("code", "code", "other", old, new)
    libraries = [_libraries(run) for run in (before, after)]
    # Of older runs fewer libraries are known: what only one of them names is no difference.
    whole = all(run.manifest.code is not None for run in (before, after))
    names = libraries[0].keys() | libraries[1].keys() if whole else libraries[0].keys() & libraries[1].keys()
    moved = sorted(name for name in names if libraries[0].get(name) != libraries[1].get(name))
    if moved:
        versions = [{name: of.get(name) for name in moved} for of in libraries]
        yield Difference("libraries", "libraries", "other", versions[0], versions[1])


def _code(run: KeptRun) -> dict[str, Any]:
    code = run.manifest.code
    known = {"version": run.manifest.version, "sha256": run.manifest.code_sha256}
    return known if code is None else {**known, "commit": code.commit, "dirty": code.dirty}


def _libraries(run: KeptRun) -> dict[str, str]:
    code = run.manifest.code
    if code is None:
        return dict(run.record.libraries)
    return {**code.libraries, **code.bundled, "python": code.python}


def _documents(before: KeptRun, after: KeptRun) -> Iterator[Difference]:
    old, new = before.manifest, after.manifest
    if old.site_sha256 != new.site_sha256:
        yield Difference("site", "site file", "other", _site(before), _site(after))
    if old.claims_sha256 != new.claims_sha256:
        yield Difference("claims", "claims file", "other", _claims(before), _claims(after))
    if old.reviews_sha256 != new.reviews_sha256:
        yield Difference("reviews", "reviews", "other", _decisions(before), _decisions(after))


def _site(run: KeptRun) -> dict[str, Any]:
    """Return what a site file settles, as far as the numbers tell it."""
    facts = run.numbers["facts"]
    areas = {row["zone_id"]: row["area_m2"] for row in run.rows("zones").values()}
    return {name: facts.get(name) for name in ("site_name", "kind", "coal_rank", "reference")} | {"zones": areas}


def _claims(run: KeptRun) -> dict[str, Any]:
    """Return the claims that were judged at the site, each with its test."""
    return {row["claim_id"]: row["test"] for row in run.rows("claims").values()}


def _decisions(run: KeptRun) -> dict[str, Any]:
    """Return the lines of the ledger: what was decided on what."""
    names = ("decision", "object", "object_id", "year")
    return {str(row["line"]): {name: row[name] for name in names} for row in run.rows("reviews").values()}
