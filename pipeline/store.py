"""The evidence store: pixels as delivered, hashed, with the request beside them.

``copy`` keeps the AOI's window of every band in its native grid and type (:mod:`pipeline.evidence` has the folders);
what is there and whole is never fetched again, what is broken always. ``reference`` keeps hash and path of the files
of a local archive. Pixels are read back from here only, after their hash was checked: GDAL reads corrupted deflate
without an error.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.addresses import checked, is_remote, unsigned
from pipeline.config import SourceConfig
from pipeline.delivery import Delivered
from pipeline.errors import EvidenceError, ProductError, SceneRefusedError, SourceError
from pipeline.evidence import (
    Fetching,
    Version,
    describe,
    described,
    identity,
    is_as_declared,
    locked,
    other_windows,
    read_version,
    set_aside,
    sha256_file,
    version_folders,
)
from pipeline.imagery import Asset, Item, Refusal, Scene, StoredBand, StoredScene
from pipeline.ledger import NOTHING, Traffic
from pipeline.pixels import read_part
from pipeline.readable import unreadable
from pipeline.remote import Line
from pipeline.types import Grid

_FOLDER_NAME = re.compile(r"[^\W_][\w.:+@=~ -]{0,199}", re.ASCII)
"""What an item or collection may be called: its name becomes a folder."""


@dataclass(frozen=True)
class Store:
    """Where evidence is kept and how it is fetched; cheap to send to a worker.

    ``licence`` is that of the archive as a whole; None where each item says its own.
    """

    root: Path
    line: Line
    deliver: Callable[[Item, Sequence[str], Grid, Line], Iterator[Delivered]]
    licence: str | None = None


@dataclass(frozen=True)
class _Found:
    """Bands of one item, which version of its pixels they are, how many came now and how, and what to tell."""

    bands: tuple[StoredBand, ...]
    version: int = 1
    fetched: int = 0
    traffic: Traffic = NOTHING
    notes: tuple[str, ...] = ()


def copying(source: SourceConfig) -> bool:
    """Return True when pixels are copied, False when a local archive is referenced."""
    return source.evidence == "copy" if source.evidence else is_remote(source.url)


def fetch(store: Store, scene: Scene, grid: Grid, bands: Sequence[str]) -> StoredScene | Refusal:
    """Bring every band of a scene into the store, or find it there, and try to read it; raises as :func:`bring`.

    Returns
    -------
    StoredScene or Refusal
        A refusal when the provider's item is unusable for good (missing band, broken file).
    """
    stored = bring(store, scene, grid, bands)
    wrong = None if isinstance(stored, Refusal) else unreadable(stored, grid)
    return stored if wrong is None else refusal(scene, wrong)


def bring(store: Store, scene: Scene, grid: Grid, bands: Sequence[str]) -> StoredScene | Refusal:
    """Bring every band of a scene into the store, or find it there: :func:`fetch` without trying to read it.

    Returns
    -------
    StoredScene or Refusal
        A refusal when the provider's item lacks a band or a file, or a file is not the one announced.

    Raises
    ------
    SourceError
        The pixels cannot be had now.
    ProductError
        The store cannot be written.
    """
    try:
        found = [_fetch_item(store, item, grid, bands) for item in scene.items]
    except SceneRefusedError as refused:
        return refusal(scene, str(refused))
    traffic = sum((item.traffic for item in found), NOTHING)
    return StoredScene(
        scene,
        tuple(item.bands for item in found),
        max(item.version for item in found),
        sum(item.fetched for item in found),
        traffic.requests,
        traffic.size_bytes,
        tuple(note for item in found for note in item.notes),
    )


def held(store: Store, item: Item, grid: Grid, bands: Sequence[str]) -> bool:
    """Whether a version of an item's pixels is kept under its present description; its files are not read."""
    try:
        kept = replace(item, assets=_assets(item, bands, store.line.source))
        folder = _folder(store, kept, grid)
        known = [read_version(path) for path in version_folders(folder)]
        return bool(described(folder, identity(kept, list(kept.assets)), known))
    except (SceneRefusedError, EvidenceError):
        return False


def fetch_facts(stored: Sequence[StoredScene]) -> list[str]:
    """Say what was fetched for a site, what it took a scene, and what is noted of the versions that are used."""
    new = [scene for scene in stored if scene.fetched]
    lines = [f"{sum(s.fetched for s in stored)} files fetched, {sum(len(s.sha256s) for s in stored)} in use"]
    if any(scene.requests for scene in new):
        asked, megabytes = sum(s.requests for s in new), sum(s.received_bytes for s in new) / 1e6
        lines[0] += (
            f"; {asked} requests, {megabytes:.1f} MB ({asked / len(new):.1f} requests, {megabytes / len(new):.2f} MB "
            "a scene)"
        )
    return lines + [note for scene in stored for note in scene.notes]


def refusal(scene: Scene, reason: str) -> Refusal:
    """Record that a scene is not used, and why."""
    return Refusal(
        scene.scene_id, scene.datetime, scene.platform, scene.processing_baseline, scene.relative_orbit, reason
    )


def _fetch_item(store: Store, item: Item, grid: Grid, bands: Sequence[str]) -> _Found:
    source = store.line.source
    wanted = replace(item, assets=_assets(item, bands, source))
    if not copying(source):
        return _Found(tuple(_referenced(asset, source) for asset in wanted.assets.values()))
    folder = _folder(store, item, grid)
    try:
        with locked(folder):
            return _kept(store, wanted, grid, folder)
    except OSError as error:
        remedy = "free disk space, make it writable or choose another --out"
        raise ProductError(f"{folder}: cannot be written ({error.strerror or error}); {remedy}") from error


def _kept(store: Store, item: Item, grid: Grid, folder: Path) -> _Found:
    """Find an item's pixels in the store, or bring them there; what is broken is fetched again and told."""
    bands = list(item.assets)
    broken: list[str] = []
    known_as = identity(item, bands)
    known, aside = _known(folder)
    same = described(folder, known_as, known)
    for version in same:
        wrong = version.broken(bands)
        if wrong is None:
            notes = [*aside, *(f"{w}; version {version.number} of the same description is used" for w in broken)]
            return _Found(_bands(version, item), version.number, notes=(*notes, *_later(item, version, known, same)))
        broken.append(wrong)
    notes = [
        *(f"{note} and the scene fetched again" for note in aside),
        *(f"{w}; it was fetched again" for w in broken),
    ]
    fetching = Fetching(folder, known_as)
    came = fetching.came(bands)
    for delivered in _from_other_window(item, grid, folder, [band for band in bands if band not in came]):
        fetching.keep(delivered, item.assets[delivered.band].href)
    came, fetched, traffic = fetching.came(bands), 0, NOTHING
    for delivered in store.deliver(item, [band for band in bands if band not in came], grid, store.line):
        fetching.keep(delivered, item.assets[delivered.band].href)
        fetched, traffic = fetched + 1, traffic + delivered.traffic
    version = fetching.finish(item, grid, item.licence or store.licence, known)
    if version.identity != known_as:
        describe(folder, known_as, version.number, item)
    return _Found(
        _bands(version, item), version.number, fetched, traffic, (*notes, *_later(item, version, known, same))
    )


def _known(folder: Path) -> tuple[list[Version], list[str]]:
    """Read the versions of a window, oldest first; one whose record cannot be read is set aside and told."""
    known, notes = [], []
    for path in version_folders(folder):
        try:
            known.append(read_version(path))
        except EvidenceError as error:
            notes.append(f"{error}; it was set aside")
            set_aside(path)
    return known, notes


def _later(item: Item, used: Version, known: Sequence[Version], same: Sequence[Version]) -> list[str]:
    """Say that a later version is used; the provider changed them only where an earlier one is not among ``same``."""
    if used.number == 1:
        return []
    changed = any(version not in same for version in known if version.number < used.number)
    why = "the provider has changed them" if changed else "an earlier one is broken, set aside or gone"
    return [f"{item.id}: version {used.number} of its pixels is used; {why}"]


def _bands(version: Version, item: Item) -> tuple[StoredBand, ...]:
    return tuple(
        _band(asset, kept.path, kept.sha256, kept.size_bytes, "copy")
        for asset in item.assets.values()
        for kept in (version.files[asset.band],)
    )


def _from_other_window(item: Item, grid: Grid, folder: Path, bands: Sequence[str]) -> Iterator[Delivered]:
    """Cut pixels from a larger window of the item that is in the store: they are not fetched a second time."""
    known_as = identity(item, list(item.assets))
    for other in other_windows(folder, grid.epsg) if bands else ():
        with contextlib.suppress(EvidenceError):
            same = described(other, known_as, [read_version(path) for path in version_folders(other)])
            whole = (v for v in same if _contains(v.bounds_m, grid.bounds) and not v.broken(bands))
            version = next(whole, None)
            if version is None:
                continue
            for band in bands:
                kept = version.files[band]
                request = {"cut_from": f"{other.name}/{version.folder.name}/{kept.path.name}", "sha256": kept.sha256}
                yield Delivered(band, read_part(str(kept.path), grid), request, {})
            return


def _contains(outer: Sequence[float], inner: Sequence[float]) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _folder(store: Store, item: Item, grid: Grid) -> Path:
    for name in (item.id, item.collection):
        if not _FOLDER_NAME.fullmatch(name):
            raise SceneRefusedError(f"name {name!r} cannot be that of a folder")
    return store.root / item.collection / item.id / _window_key(grid, store.line.source)


def _assets(item: Item, bands: Sequence[str], source: SourceConfig) -> dict[str, Asset]:
    """Return the assets of some bands; classes alone may be missing."""
    return {band: _asset(item, band, source) for band in bands if band != "scl" or "scl" in item.assets}


def _asset(item: Item, band: str, source: SourceConfig) -> Asset:
    """Return the asset of a band, or the substitute the configuration allows for it."""
    substitute = source.band_substitutes.get(band)
    if band in item.assets:
        return item.assets[band]
    if substitute is not None and substitute in item.assets:
        return replace(item.assets[substitute], band=band)
    raise SceneRefusedError(f"band {band} is missing (source.band_substitutes can name a band to read in its place)")


def _referenced(asset: Asset, source: SourceConfig) -> StoredBand:
    """Hash a file of a local archive where it lies."""
    checked(asset.href, source.url, source.root)
    if is_remote(asset.href):
        raise SceneRefusedError(f"{unsigned(asset.href)} is remote and cannot be referenced; set source.evidence: copy")
    path = Path(asset.href)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise SceneRefusedError(f"file {path.name} is no plain file")
    try:
        if not is_as_declared(path, asset.checksum):
            raise SceneRefusedError(f"file {path.name} is broken (differs from the checksum its provider gave)")
        return _band(asset, path, sha256_file(path), path.stat().st_size, "reference")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise SceneRefusedError(f"file {path.name} is not there ({error.strerror})") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read now ({error.strerror}); run again later") from error


def _band(asset: Asset, path: Path, digest: str, size: int, evidence: str) -> StoredBand:
    return StoredBand(
        asset.band, str(path), digest, size, unsigned(asset.href), evidence, asset.scale, asset.offset, asset.nodata
    )


def _window_key(grid: Grid, source: SourceConfig) -> str:
    """Name of a window's folder; with the bands read in the place of others, so that none is taken for another."""
    left, bottom, right, top = (int(edge) for edge in grid.bounds)
    instead = "".join(f"_{band}={other}" for band, other in sorted(source.band_substitutes.items()))
    return f"{grid.epsg}_{left}_{bottom}_{right}_{top}{instead}"
