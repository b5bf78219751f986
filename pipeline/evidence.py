"""What the store keeps of one item and window: a folder per version, each with its record.

    <window>/v1/{blue.tif, ..., record.json}    pixels as delivered; the record says how they came, with their hashes
    <window>/v2/...                             when the provider delivers other pixels for the same scene later
    <window>/described/<identity>.json          a later description of the provider, and which version it stands for
    <window>/.part-<identity>/                  a fetch under way: bands that came, each with its own record

A version is never changed. A fetch that is interrupted goes on with the bands it lacks.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from pipeline.addresses import one_line, unsigned
from pipeline.delivery import Delivered
from pipeline.documents import parsed
from pipeline.errors import EvidenceError
from pipeline.imagery import Item
from pipeline.pixels import MARGIN_M
from pipeline.rasters import Part
from pipeline.types import Grid

RECORD = "record.json"
_FILE = re.compile(r"[a-z0-9]+\.tif", re.ASCII)
_VERSION = re.compile(r"v[1-9]\d*", re.ASCII)
_STALE_S = 7 * 86_400.0
"""A fetch that nobody went on with for a week is given up."""


@dataclass(frozen=True)
class KeptFile:
    """One band of a version, as its record says."""

    path: Path
    href: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Version:
    """One version of an item's pixels over a window: its number, what it was known by, and its files by band."""

    number: int
    identity: str
    folder: Path
    files: Mapping[str, KeptFile]
    bounds_m: tuple[float, ...]

    def broken(self, bands: Sequence[str]) -> str | None:
        """Say which file of some bands is not what was recorded; None when all are."""
        for band in bands:
            kept = self.files.get(band)
            if kept is None:
                return f"{self.folder / RECORD}: has no {band}"
            try:
                same = sha256_file(kept.path) == kept.sha256
            except OSError as error:
                return f"{kept.path}: cannot be read ({error.strerror})"
            if not same:
                return f"{kept.path}: differs from the hash recorded when it was fetched"
        return None


def identity(item: Item, bands: Sequence[str]) -> str:
    """Short hash of all a provider says that tells one making of the pixels from another.

    Scale, offset and flags are no part of it: they are read from the item of the day, not from the store.
    """
    properties = item.document.get("properties")
    said = properties if isinstance(properties, dict) else {}
    assets = {band: item.assets[band] for band in bands}
    telling = {
        "made": {key: said.get(key) for key in ("s2:generation_time", "created", "updated", "s2:product_uri")},
        "baseline": item.processing_baseline,
        "files": {band: [unsigned(a.href), a.size_bytes, a.checksum] for band, a in assets.items()},
    }
    return hashlib.sha256(json.dumps(telling, sort_keys=True).encode()).hexdigest()[:16]


def sha256_file(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_MULTIHASHES = {"1220": "sha256", "1620": "sha3_256", "d50110": "md5"}
"""First bytes of a multihash (kind and length) to the kind's name in hashlib."""


def is_as_declared(path: Path, checksum: str | None) -> bool:
    """Whether a file has the bytes its provider's multihash tells; True too where none, or of another kind, is told.

    Needed beside what a reader finds: JPEG 2000 and deflate are decoded into other pixels, without an error, when
    bytes in their middle are wrong.
    """
    told = (checksum or "").lower()
    kind = next((kind for kind in _MULTIHASHES if told.startswith(kind)), None)
    if kind is None:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, _MULTIHASHES[kind]).hexdigest() == told.removeprefix(kind)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a window's folder against every other worker; given back when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def other_windows(folder: Path, epsg: int) -> list[Path]:
    """Folders of other windows of the same item in a coordinate system."""
    return sorted(path for path in folder.parent.glob(f"{epsg}_*") if path != folder)


def version_folders(folder: Path) -> list[Path]:
    """Folders of the versions of a window, oldest first."""
    return sorted((p for p in folder.glob("v*") if _VERSION.fullmatch(p.name)), key=lambda path: int(path.name[1:]))


def read_version(folder: Path) -> Version:
    """Read a version's record; :class:`EvidenceError` when it is missing or something else."""
    try:
        record = parsed((folder / RECORD).read_text(encoding="utf-8"))
        files = {
            name.removesuffix(".tif"): KeptFile(
                folder / _name(name), str(kept["href"]), str(kept["sha256"]), int(kept["size_bytes"])
            )
            for name, kept in record["files"].items()
        }
        known_as, bounds_m = str(record["identity"]), tuple(map(float, record["window"]["bounds_m"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            f"{folder / RECORD}: cannot be read ({one_line(error)}); remove the folder {folder} to fetch it again"
        ) from error
    return Version(int(folder.name[1:]), known_as, folder, files, bounds_m)


def _name(text: str) -> str:
    """Give the name of a file of a version; one that leads elsewhere is none."""
    if not _FILE.fullmatch(text):
        raise ValueError(f"{text!r} is no file of it")
    return text


def described(folder: Path, known_as: str, known: Sequence[Version]) -> list[Version]:
    """Return the versions a description stands for, in the order of ``known``; none when it has not been seen."""
    number = 0
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        number = int(parsed((folder / "described" / f"{known_as}.json").read_text(encoding="utf-8"))["version"])
    return [v for v in known if v.identity == known_as or v.number == number]


def describe(folder: Path, known_as: str, number: int, item: Item) -> None:
    """Note that a description of the provider stands for a version."""
    note = {"version": number, "seen": now(), "item": without_queries(dict(item.document))}
    (folder / "described").mkdir(exist_ok=True)
    write_beside(folder / "described" / f"{known_as}.json", json_bytes(note))


class Fetching:
    """A fetch under way, which an interruption does not undo."""

    def __init__(self, folder: Path, known_as: str) -> None:
        self.folder = folder
        self.known_as = known_as
        self.part = folder / f".part-{known_as}"
        self.aside = folder / f".part-{known_as}.records"
        for left in folder.glob(".part-*"):
            if left != self.part and time.time() - left.stat().st_mtime > _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
        if self.part.is_dir() and self.aside.is_dir() and not (self.part / "records").exists():
            self.aside.rename(self.part / "records")  # killed in the midst of finish
        (self.part / "records").mkdir(parents=True, exist_ok=True)

    def came(self, bands: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the records of the bands that came whole, not of one that is half or differs from its hash."""
        found = {}
        for band in bands:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                record = parsed((self.part / "records" / f"{band}.json").read_text(encoding="utf-8"))
                if sha256_file(self.part / f"{band}.tif") == record["sha256"]:
                    found[band] = record
        return found

    def keep(self, delivered: Delivered, href: str) -> None:
        """Write a band and, last, its record."""
        data = geotiff(delivered.part)
        record = {
            "href": unsigned(href),
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "request": dict(delivered.request),
            "response": dict(delivered.response),
            "fetched": now(),
            "bytes_received": delivered.traffic.size_bytes,
            "requests": delivered.traffic.requests,
        }
        write_beside(self.part / f"{delivered.band}.tif", data)
        write_beside(self.part / "records" / f"{delivered.band}.json", json_bytes(record))

    def finish(self, item: Item, grid: Grid, licence: str | None, known: Sequence[Version]) -> Version:
        """Make what came a version, or find that it is one that is kept already; mends that one's files."""
        files = self.came([path.stem for path in sorted((self.part / "records").glob("*.json"))])
        hashes = {band: record["sha256"] for band, record in files.items()}
        for version in known:
            if hashes == {band: kept.sha256 for band, kept in version.files.items()}:
                for band in files:
                    (self.part / f"{band}.tif").replace(version.folder / f"{band}.tif")
                shutil.rmtree(self.part)
                return version
        number = max([0, *(int(path.name[1:].split(".")[0]) for path in self.folder.glob("v[0-9]*"))]) + 1
        record = {
            "version": number,
            "identity": self.known_as,
            "item": without_queries(dict(item.document)),
            "files": {f"{band}.tif": record for band, record in files.items()},
            "window": {"epsg": grid.epsg, "bounds_m": list(grid.bounds), "margin_m": MARGIN_M},
            "licence": licence,
        }
        write_beside(self.part / RECORD, json_bytes(record))
        made = self.folder / f"v{number}"
        # Out of the way first: a version that is there holds nothing but what its record names.
        shutil.rmtree(self.aside, ignore_errors=True)
        (self.part / "records").rename(self.aside)
        self.part.rename(made)
        shutil.rmtree(self.aside)
        return read_version(made)


def set_aside(version: Path) -> None:
    """Take a version out of use whose record cannot be read; its bytes stay, under another name."""
    version.rename(version.with_name(f"{version.name}.unreadable-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"))


def geotiff(part: Part) -> bytes:
    """Encode pixels without loss; the same pixels give the same bytes."""
    profile = {
        "driver": "GTiff", "width": part.pixels.shape[1], "height": part.pixels.shape[0], "count": 1,
        "dtype": part.pixels.dtype, "crs": part.crs, "transform": part.transform, "nodata": part.nodata,
        "compress": "deflate", "predictor": 3 if part.pixels.dtype.kind == "f" else 2,
    }  # fmt: skip
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(part.pixels, 1)
        return bytes(memory.getbuffer())


def write_beside(path: Path, data: bytes) -> None:
    """Write a file under another name, force it to the disk, and rename it: it is there whole or not at all.

    Written as bytes, since GDAL reports a full disk only when it closes a file, and rasterio drops that.
    """
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def json_bytes(document: object) -> bytes:
    """Encode a record."""
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def now() -> str:
    """Return the time, UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def without_queries(value: Any) -> Any:
    """Return a document of a catalogue, its addresses unsigned."""
    if isinstance(value, dict):
        return {k: unsigned(v) if k == "href" and isinstance(v, str) else without_queries(v) for k, v in value.items()}
    return [without_queries(v) for v in value] if isinstance(value, list) else value
