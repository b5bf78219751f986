"""Runs as they were kept: found by folder and number, and held against the records that vouch for them."""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import InputError, ProductError
from pipeline.evidence import sha256_file
from pipeline.products._documents import (
    MANIFEST,
    RUNS,
    Manifest,
    Run,
    json_text,
    own_sha256,
    read_document,
    sha256_bytes,
    sha256_text,
)
from pipeline.products.difference.inputs import KeptRun
from pipeline.products.numbers import MOST_BYTES, numbers_of, read_numbers
from pipeline.products.runs import MANIFEST_KEPT, NUMBERS_KEPT, number_of, run_records

_NAMED = re.compile(r"(?P<folder>.*)@(?P<number>\d{1,9})", re.DOTALL)


def named_run(text: str) -> tuple[Path, int | None]:
    """Part ``FOLDER@3`` into folder and number; a folder whose own name ends so is taken as it is."""
    found = _NAMED.fullmatch(text)
    if found is None or Path(text).is_dir():
        return Path(text), None
    return Path(found["folder"]), int(found["number"])


def pairs(before: str, after: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Give the sites that are to be compared, each with both its runs as :func:`named_run` reads them.

    Parameters
    ----------
    before, after : str
        Each a site's folder, its run ``FOLDER@3``, or both the folder of all sites.

    Raises
    ------
    InputError
        A folder is not there or holds no result, or the one is of a site and the other of all sites.
    """
    sites = [_sites(text) for text in (before, after)]
    if None not in sites:
        old, new = (of or {} for of in sites)
        shared = sorted(old.keys() & new.keys())
        if not shared:
            raise InputError(f"{before} and {after}: have no site in common; name folders of results of the same sites")
        yield from ((name, (str(old[name]), str(new[name]))) for name in shared)
        return
    for text, of, other in ((before, *sites), (after, *reversed(sites))):
        if of is not None and other is None:
            raise InputError(f"{text}: is a folder of several sites, the other is of one; name two of a kind")
    yield Path(named_run(after)[0]).name, (before, after)


def lone_sites(before: str, after: str) -> tuple[list[str], list[str]]:
    """Names of sites that only the former folder of all sites has, and only the latter."""
    old, new = (set(_sites(text) or {}) for text in (before, after))
    return sorted(old - new), sorted(new - old)


def _sites(text: str) -> dict[str, Path] | None:
    """Folders of the sites in a folder of all sites, by name; None for the folder of one site."""
    folder, number = named_run(text)
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name a site's folder, FOLDER@3 for its third run, or all results")
    if _is_site(folder):
        return None
    found = {path.name: path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and _is_site(path)}
    if not found:
        raise InputError(f"{folder}: holds no result; name a site's folder or the folder of all sites")
    if number is not None:
        raise InputError(f"{text}: runs are counted site by site; name one site's folder before the @")
    return found


def _is_site(folder: Path) -> bool:
    return (folder / RUNS).is_dir() or (folder / MANIFEST).is_file()


def read_run(text: str) -> KeptRun:
    """Read a run and check that what was kept of it is what its record says.

    Parameters
    ----------
    text : str
        A site's folder, for its newest run, or ``FOLDER@3``.

    Raises
    ------
    InputError
        There is no such run.
    ProductError
        What was kept of it is missing, or is not as recorded; names the file.
    """
    folder, number = named_run(text)
    records = {number_of(path): path for path in run_records(folder)}
    if not records:
        raise InputError(f"{folder}: holds no record of a run in {RUNS}/; run the site first")
    newest = max(records)
    if number is not None and number not in records:
        raise InputError(f"{text}: there is no run {number}; the newest of {folder} is {newest}")
    number = newest if number is None else number
    record = _record(records, number)
    manifest = _manifest(folder, number, record, newest=newest)
    return KeptRun(number, record, manifest, _numbers(folder, number, record, manifest, newest=newest))


def _record(records: dict[int, Path], number: int) -> Run:
    """Read the record of a run; it must be what it says of itself, and what the record after it says."""
    path = records[number]
    record = read_document(path, Run)
    said = f"{path}: is not as it was written; restore it from a copy, stockline verify says what else differs"
    if record.own_sha256 is not None and own_sha256(record.model_dump(mode="json")) != record.own_sha256:
        raise ProductError(said)
    following = records.get(number + 1)
    if following is not None and read_document(following, Run).previous_run_sha256 != sha256_file(path):
        raise ProductError(said)
    return record


def _kept(folder: Path, number: int, record: Run, name: str) -> Path | None:
    """Return a file kept beside a record, whose hash is as recorded; None where the record names none."""
    path = folder / RUNS / f"{number:04d}.{name}"
    recorded = record.archives.get(f"{RUNS}/{path.name}")
    if recorded is None:
        return None
    if not path.is_file():
        raise ProductError(f"{path}: is missing; restore it from a copy of the folder")
    if sha256_file(path) != recorded:
        raise ProductError(f"{path}: differs from the hash in its record; restore it from a copy of the folder")
    return path


def _manifest(folder: Path, number: int, record: Run, *, newest: int) -> Manifest:
    path = _kept(folder, number, record, MANIFEST_KEPT)
    if path is None:
        # Runs of earlier versions kept nothing: the newest has its manifest in the folder.
        path = folder / MANIFEST
        if number != newest or not path.is_file() or sha256_file(path) != record.manifest_sha256:
            raise InputError(f"{folder}: run {number} was made by a version that kept no manifest of it; name a later")
        return read_document(path, Manifest)
    try:
        with gzip.open(path) as file:
            content = file.read(MOST_BYTES + 1)
        if sha256_bytes(content) != record.manifest_sha256:
            raise ProductError(f"{path}: is not the manifest its record names; restore it from a copy of the folder")
        return Manifest.model_validate_json(content)
    except (OSError, EOFError, zlib.error, ValidationError) as error:
        raise ProductError(f"{path}: cannot be read; restore it from a copy of the folder") from error


def _numbers(folder: Path, number: int, record: Run, manifest: Manifest, *, newest: int) -> dict[str, object]:
    path = _kept(folder, number, record, NUMBERS_KEPT)
    if path is not None:
        numbers = read_numbers(path)
        if sha256_text(json_text(numbers)) != record.numbers_sha256:
            raise ProductError(f"{path}: holds other numbers than its record names; restore it from a copy")
        return numbers
    package = folder / f"{manifest.site}.gpkg"
    recorded = {output.path: output.sha256 for output in manifest.outputs}.get(package.name)
    if number != newest or not package.is_file() or sha256_file(package) != recorded:
        raise InputError(f"{folder}: run {number} was made by a version that kept no numbers of it; name a later run")
    return numbers_of(package)
