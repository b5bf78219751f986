"""The chain of a site's runs, checked: each record by itself, against its neighbours, and what lies beside it."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from pipeline.products._documents import (
    RUN,
    RUNS,
    Manifest,
    Portfolio,
    Proofs,
    Run,
    json_text,
    own_sha256,
    sha256_bytes,
    stays_inside,
)
from pipeline.products.custody.problems import Hasher, Problem, compared, outside_of
from pipeline.products.runs import MANIFEST_KEPT, NUMBERS_KEPT, PROOFS, number_of, run_records

_D = TypeVar("_D", Run, Proofs, Portfolio)
_MOST_LOST = 1000
"""Records that may be lacking before ``run.json``: one that is numbered further on is none."""
_MOST_BYTES = 1 << 28
"""Of a manifest or of numbers unpacked; those of a site with a thousand scenes have a fiftieth."""


@dataclass(frozen=True)
class Link:
    """One run as its record tells it, with the manifest that was kept beside it; None where that is not as recorded.

    ``content`` are the bytes of the record.
    """

    number: int
    run: Run
    manifest: Manifest | None
    content: bytes

    @property
    def name(self) -> str:
        """Path of the record in the site's folder."""
        return f"{RUNS}/{self.number:04d}.json"


@dataclass
class Chain:
    """Runs whose records can be trusted as far as they can be held to themselves, and what is wrong with the rest.

    ``known`` are the paths in the site's folder that records name, their own among them.
    """

    links: list[Link] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    @property
    def newest(self) -> Link | None:
        """The run the result is of."""
        return self.links[-1] if self.links else None


def read_chain(folder: Path, hasher: Hasher) -> Chain:
    """Read and check ``runs/`` and ``run.json`` of a site's folder; paths of problems are absolute."""
    chain = Chain()
    records = {number_of(path): path for path in run_records(folder)}
    last, wrong = read_record(folder / RUN)
    chain.known |= {RUN, *(f"{RUNS}/{path.name}" for path in records.values())}
    if wrong is not None:
        chain.problems.append(_problem(folder / RUN, wrong))
    if last is not None and not records:
        chain.problems.append(Problem(str(folder / RUNS), "missing", "is missing; earlier runs cannot be checked"))
    newest = max(records, default=0)
    if last is not None and last.number is not None and last.number <= newest + _MOST_LOST:
        newest = max(newest, last.number)
    runs: dict[int, Run] = {}
    contents: dict[int, bytes] = {}
    for number in sorted({*records, *range(1, min(newest, len(records) + _MOST_LOST) + 1)}):
        path = folder / RUNS / f"{number:04d}.json"
        if number not in records:
            chain.problems.append(Problem(str(path), "missing", "is missing from the chain of runs"))
            run = None
        else:
            run, wrong = read_record(path)
            contents[number] = path.read_bytes() if run is not None else b""
            chain.problems += [] if wrong is None else [_problem(path, wrong)]
        if run is None and last is not None and last.number == number:
            run, contents[number] = last, (folder / RUN).read_bytes()  # the same record, where it was not touched
        if run is not None:
            runs[number] = run
        else:  # what lies beside it cannot be held to it, and is not too much for that
            kept = (f".{MANIFEST_KEPT}", f".{NUMBERS_KEPT}", *(f".json.{ending}" for ending in PROOFS))
            chain.known |= {f"{RUNS}/{number:04d}{ending}" for ending in kept}
    chain.problems += _last(folder, last, records, runs, hasher)
    chain.problems += _joined(folder, records, runs, hasher)
    manifests: dict[str, Manifest | None] = {}
    for number, run in runs.items():
        chain.problems += _beside(folder, number, run, hasher)
        chain.known |= {*run.archives, *run.proofs}
        if manifests.get(run.manifest_sha256) is None:
            manifests[run.manifest_sha256] = _kept_manifest(folder, number, run)
        chain.links.append(Link(number, run, manifests[run.manifest_sha256], contents[number]))
    return chain


def read_record(path: Path) -> tuple[Run | None, str | None]:
    """Return a record of a run that agrees with its own hash, or None and what is wrong with it."""
    run, wrong = read_own(path, Run)
    if run is not None and wrong is not None and run.number is None and run.own_sha256 is None:
        return run, None  # written before records held a hash of themselves
    return (run, None) if wrong is None else (None, wrong)


def read_own(path: Path, kind: type[_D]) -> tuple[_D | None, str | None]:
    """Return a document (None: it is none), and what is wrong with it: it must be as written, and fit its own hash."""
    if path.is_symlink() or not path.is_file():
        return None, "is missing"
    try:
        content = path.read_bytes()
        document = kind.model_validate_json(content)
    except OSError as error:
        return None, f"cannot be read ({error.strerror})"
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "content"
        return None, f"is none of this program: {where}: {problem['msg']}"
    plain = json.loads(content)
    if own_sha256(plain) != document.own_sha256 or json_text(plain).encode() != content:
        return document, "differs from the hash it holds of itself"
    return document, None


def _problem(path: Path, wrong: str) -> Problem:
    return Problem(str(path), "missing" if wrong == "is missing" else "differs", wrong)


def _last(
    folder: Path, last: Run | None, records: dict[int, Path], runs: dict[int, Run], hasher: Hasher
) -> Iterator[Problem]:
    """Hold ``run.json``, where it is a record, to the newest one: they are one."""
    if last is None or not records:
        return
    path = records[max(records)]
    if hasher(folder / RUN) == hasher(path) or (last.number or max(records)) > max(records):
        return  # the same, or the newest is lacking and named
    if runs.get(max(records)) not in (None, last):
        yield Problem(str(folder / RUN), "differs", f"differs from the newest run, {RUNS}/{path.name}")
        if last.own_sha256 is None:
            yield Problem(str(path), "differs", f"differs from {RUN}, which is to be the same")


def _joined(folder: Path, records: dict[int, Path], runs: dict[int, Run], hasher: Hasher) -> Iterator[Problem]:
    """Hold each run to the one before."""
    for number, run in runs.items():
        name = f"{RUNS}/{number:04d}.json"
        if run.number not in (None, number):
            yield Problem(str(folder / name), "differs", f"is the record of run {run.number}")
        before, former = records.get(number - 1), runs.get(number - 1)
        if number == 1:
            if run.previous_run_sha256 is not None:
                yield Problem(str(folder / name), "differs", "names a run before the first")
        elif before is None or former is None:
            continue  # named already
        elif hasher(before) != run.previous_run_sha256:
            yield Problem(str(before), "differs", f"differs from the hash in {name}")
        elif run.previous_manifest_sha256 not in (None, former.manifest_sha256):
            yield Problem(str(folder / name), "differs", f"names another manifest than {RUNS}/{before.name}")


def _beside(folder: Path, number: int, run: Run, hasher: Hasher) -> Iterator[Problem]:
    """Check what a record names beside itself: what was kept of its run, and what vouched for those before."""
    name = f"{RUNS}/{number:04d}.json"
    for path, digest in (*run.archives.items(), *run.proofs.items()):
        if not stays_inside(path) or not path.startswith(f"{RUNS}/"):
            yield outside_of(str(folder / name), path, f"{RUNS}/")
        else:
            yield from compared(folder / path, digest, None, hasher, name)
    for ending, told in ((MANIFEST_KEPT, run.manifest_sha256), (NUMBERS_KEPT, run.numbers_sha256)):
        path = f"{RUNS}/{number:04d}.{ending}"
        if path in run.archives and hasher(folder / path) == run.archives[path]:
            content = unpacked(folder / path)
            if content is None or sha256_bytes(content) != told:
                yield Problem(str(folder / path), "differs", f"holds another document than {name} names")


def _kept_manifest(folder: Path, number: int, run: Run) -> Manifest | None:
    """Return the manifest that was kept beside a record; None where it is not the one of that run."""
    content = unpacked(folder / RUNS / f"{number:04d}.{MANIFEST_KEPT}")
    if content is None or sha256_bytes(content) != run.manifest_sha256:
        return None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError:
        return None


def unpacked(path: Path) -> bytes | None:
    """Return what a compressed file holds; None where it is missing, broken or endless."""
    try:
        with gzip.open(path) as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        return None
    return content if len(content) <= _MOST_BYTES else None


def kept_numbers(folder: Path, links: Sequence[Link], hasher: Hasher) -> Path | None:
    """Return the file with the numbers of the newest run that left some, as recorded; None where there are none."""
    for link in reversed(links):
        name = f"{RUNS}/{link.number:04d}.{NUMBERS_KEPT}"
        if name in link.run.archives and hasher(folder / name) == link.run.archives[name]:
            return folder / name
    return None
