"""The record of each run: ``runs/NNNN.json``, appended and never changed, with the hash of the one before.

``run.json`` is the newest, and vouches for the manifest. Beside a record lie the manifest of its run and its numbers,
compressed, so that runs can be compared later. Records follow each other by number: no clock is asked for their order.
"""

import datetime as dt
import gzip
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import ProductError
from pipeline.evidence import RECORD, sha256_file
from pipeline.products._documents import (
    MANIFEST,
    RUN,
    RUNS,
    Custody,
    InputFile,
    Run,
    json_text,
    own_sha256,
    read_document,
    sha256_text,
    write_document,
)
from pipeline.products.atomic import atomic_path
from pipeline.products.software import libraries, release

MANIFEST_KEPT, NUMBERS_KEPT = "manifest.json.gz", "numbers.json.gz"
PROOFS = ("sig", "tsr")
"""Endings of what vouches for a record: a signature, a time stamp."""
PROOFS_KEPT = "proofs"
"""Ending of the file with the hashes of both, in place of ``json``."""
_RECORD = re.compile(r"(\d{4,})\.json", re.ASCII)
_PROOF = re.compile(rf"\d{{4,}}\.json\.({'|'.join(PROOFS)})", re.ASCII)


@dataclass(frozen=True)
class RunFacts:
    """What is told of one run; times carry a time zone, ``log`` names no machine.

    ``records`` are hashes by path of what came with the evidence (:func:`evidence_records`), ``numbers`` what is kept
    to be compared with later runs (None: nothing), ``custody`` what shall vouch for the record (None: nothing).
    """

    started: dt.datetime
    finished: dt.datetime
    workers: int
    log: Sequence[str]
    evidence_root: Path
    archive_root: Path | None
    records: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, Any] | None = None
    custody: Custody | None = None


def run_records(folder: Path) -> list[Path]:
    """Return the records in a site's folder by number."""
    found = [(int(name[1]), path) for path in (folder / RUNS).glob("*.json") if (name := _RECORD.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def number_of(record: Path) -> int:
    """Return the number of a run by the name of its record."""
    return int(record.name.removesuffix(".json"))


def evidence_records(files: Iterable[InputFile], evidence_root: Path) -> dict[str, str]:
    """Hash what was noted when the copied pixels of a result came: path below the evidence to SHA-256, sorted.

    These are the record of each version in use, and later descriptions of the same pixels by their provider. They
    hold times of fetching, so they are of a run, not of the manifest. One that is not there is left out.
    """
    versions = {PurePosixPath(file.path).parent for file in files if file.evidence == "copy"}
    found: dict[str, str] = {}
    for version in sorted(versions):
        notes = sorted((evidence_root / version.parent / "described").glob("*.json"))
        for path in (evidence_root / version / RECORD, *notes):
            if path.is_file():
                found[path.relative_to(evidence_root).as_posix()] = sha256_file(path)
    return dict(sorted(found.items()))


def write_run(folder: Path, facts: RunFacts, chain: Path | None = None) -> Run:
    """Append a run to ``runs/`` and make it ``run.json``; to be called after the manifest was written.

    Parameters
    ----------
    folder : Path
        Holds the manifest, and takes the new files.
    facts : RunFacts
    chain : Path, optional
        The folder with the records of former runs; ``folder`` unless given.

    Returns
    -------
    Run
        As written, with the hashes of the manifest and of the run before.

    Raises
    ------
    ProductError
        The manifest is missing or a file could not be written.
    """
    if not (folder / MANIFEST).is_file():
        raise ProductError(f"{folder / MANIFEST}: is not there; a run is recorded after its manifest")
    chain = chain or folder
    former = run_records(chain)
    # One more than the last, not than their number: no record is ever written over, also where one was taken away.
    number = number_of(former[-1]) + 1 if former else 1
    before, log = _before(former, facts)
    archives, numbers_sha256 = _kept(folder, number, facts.numbers)
    run = Run(
        number=number,
        started=_utc(facts.started),
        finished=_utc(facts.finished),
        seconds=round((facts.finished - facts.started).total_seconds(), 3),
        workers=facts.workers,
        log=log,
        code=release(),
        libraries=libraries() | {"python": platform.python_version()},
        archive_root=None if facts.archive_root is None else str(facts.archive_root),
        evidence_root=str(facts.evidence_root),
        manifest_sha256=sha256_file(folder / MANIFEST),
        numbers_sha256=numbers_sha256,
        archives=archives,
        records=dict(facts.records),
        previous_run_sha256=sha256_file(former[-1]) if former else None,
        previous_manifest_sha256=None if before is None else before.manifest_sha256,
        proofs=_proofs(chain),
        custody=facts.custody,
    )
    run = run.model_copy(update={"own_sha256": own_sha256(run.model_dump(mode="json"))})
    write_document(folder / RUNS / f"{number:04d}.json", run)
    write_document(folder / RUN, run)
    return run


def _before(former: Sequence[Path], facts: RunFacts) -> tuple[Run | None, tuple[str, ...]]:
    """Return the record of the run before, and the log with what that record lets be said."""
    log = tuple(facts.log)
    if not former:
        return None, log
    try:
        before = read_document(former[-1], Run)
    except ProductError:
        return None, (*log, f"the record of the run before, {RUNS}/{former[-1].name}, cannot be read")
    if _utc(facts.started) < before.finished:
        log = (*log, f"the clock stands before the end of the former run, {before.finished}")
    return before, log


def _kept(folder: Path, number: int, numbers: Mapping[str, Any] | None) -> tuple[dict[str, str], str | None]:
    """Keep the manifest and the numbers of a run; hash of each file by its path, and of the numbers themselves."""
    contents = {MANIFEST_KEPT: (folder / MANIFEST).read_bytes()}
    if numbers is not None:
        contents[NUMBERS_KEPT] = json_text(numbers).encode()
    archives = {}
    for name, content in contents.items():
        path = folder / RUNS / f"{number:04d}.{name}"
        with atomic_path(path) as beside:
            beside.write_bytes(gzip.compress(content, mtime=0))
        archives[f"{RUNS}/{path.name}"] = sha256_file(path)
    return archives, None if numbers is None else sha256_text(contents[NUMBERS_KEPT].decode())


def _proofs(chain: Path) -> dict[str, str]:
    """Hash the signatures and time stamps of former runs."""
    found = sorted(path for path in (chain / RUNS).glob("*.json.*") if _PROOF.fullmatch(path.name))
    return {f"{RUNS}/{path.name}": sha256_file(path) for path in found}


def _utc(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
