"""The two documents beside the products as checked records, and their one way to and from JSON."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ProductError
from pipeline.printable import plain
from pipeline.products.atomic import atomic_path

MANIFEST = "manifest.json"
RUN = "run.json"
RUNS = "runs"
COMPOSITES = "composites"
TABLES = "tables"
INPUTS = "inputs"
MASKS = "masks"
SITE_COPY, CLAIMS_COPY, REVIEWS_COPY = f"{INPUTS}/site.geojson", f"{INPUTS}/claims.yaml", f"{INPUTS}/reviews.jsonl"
PORTFOLIO = "portfolio.json"
PORTFOLIO_PACKAGE = "portfolio.gpkg"
INDEX = "index.html"
EVIDENCE = "evidence"
REDACTION = "redaction.json"
"""Says what was hidden in an exported copy of a result."""
REVIEW = "review.gpkg"
"""What reviewers work in: not in the manifest."""
WORKING = ("batch.json", "state.sqlite", "summary.json", "digest.md")
"""Records of batches in the folder of all sites: they tell what ran, and no result rests on them."""
LOGS = "logs"
"""Folder of the logs of batches, ``*.jsonl``, beside them."""
PLACING = ".placing"
"""Folder of finished products under way to their place: one that is there belongs to a process that was killed."""
GATHERED, REBUILT = ".stockline-gathered", ".stockline-rebuilt"
"""Folders in which what is gathered, and reports written again, are finished: removed when found."""
HIDDEN = (".lock", ".work", ".memory", GATHERED, REBUILT, PLACING)
"""Locks and folders in which work is under way."""
DATABASE_SIDES = ("-journal", "-wal", "-shm")
"""Endings of what SQLite keeps beside an open file; beside a finished GeoPackage they change what is read of it."""
_LONGEST_NAME = 255
"""Bytes a file system takes."""
_LONGEST_PATH = 1000
"""Bytes of a path; Linux takes 4096 together with the folder, those of the program have below 300."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0)]


class _Document(BaseModel):
    """Something read from JSON: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InputFile(_Document):
    """Pixels of one band of one item; ``path`` is relative to the evidence store (copy) or the archive (reference)."""

    scene_id: str
    item_id: str
    band: str
    href: str
    evidence: Literal["copy", "reference"]
    path: str
    sha256: Sha256
    size_bytes: Size


class RefusedScene(_Document):
    """A scene that was found and not used, and why."""

    scene_id: str
    reason: str


class OutputFile(_Document):
    """One product; ``path`` is relative to the site's folder."""

    path: str
    sha256: Sha256
    size_bytes: Size


class Release(_Document):
    """Which program; ``commit`` and ``dirty`` (sources differ from it) are None outside a checkout."""

    version: str
    commit: str | None
    dirty: bool | None
    sha256: Sha256


class Code(Release):
    """The program, Python, every library it needs, and what their wheels bundle (:mod:`pipeline.products.software`)."""

    python: str
    libraries: dict[str, str]
    bundled: dict[str, str]


class Manifest(_Document):
    """The content of ``manifest.json``; ``key`` is :func:`content_key` of what the outputs were made from.

    Those of format 1 have no ``code``, and beside them lie no copies of inputs.
    """

    format: Literal[1, 2] = 2
    site: str
    simulated: bool
    version: str
    key: Sha256
    code_sha256: Sha256
    code: Code | None = None
    settings: dict[str, Any]
    settings_sha256: Sha256
    site_sha256: Sha256
    claims_sha256: Sha256 | None
    reviews_sha256: Sha256 | None = None
    inputs: tuple[InputFile, ...]
    refused: tuple[RefusedScene, ...]
    outputs: tuple[OutputFile, ...]


class Custody(_Document):
    """What shall lie beside the record of a run: a signature by a key, a stamp of an authority; None: not asked."""

    signed_by: str | None = None
    stamped_by: str | None = None


class Run(_Document):
    """The content of ``run.json`` and of each file in ``runs/``; times are UTC, roots are of the machine it ran on.

    What stands after ``previous_run_sha256`` is None or empty in records beside manifests of format 1. ``archives`` are
    the files beside the record (its manifest and its numbers, compressed), ``records`` those that came with the pixels
    (paths below the evidence), ``proofs`` the signatures and time stamps of former runs, each with its SHA-256.
    """

    started: str
    finished: str
    seconds: float
    workers: int
    log: tuple[str, ...]
    libraries: dict[str, str]
    archive_root: str | None
    evidence_root: str
    manifest_sha256: Sha256
    previous_run_sha256: Sha256 | None
    number: int | None = None
    code: Release | None = None
    previous_manifest_sha256: Sha256 | None = None
    numbers_sha256: Sha256 | None = None
    archives: dict[str, Sha256] = {}
    records: dict[str, Sha256] = {}
    proofs: dict[str, Sha256] = {}
    custody: Custody | None = None
    own_sha256: Sha256 | None = None
    """Hash of :func:`json_text` of all the rest, so that a record which was changed is known by itself."""


class Proofs(_Document):
    """The content of ``runs/NNNN.proofs``: signature and time stamp of a run's record, each with its SHA-256."""

    format: Literal[1] = 1
    files: dict[str, Sha256]
    own_sha256: Sha256 | None = None
    """As of a run."""


class GatheredSite(_Document):
    """A site of a portfolio; one without a hash is not in it: it never finished, or its files are not as recorded."""

    site: str
    state: Literal["finished", "failed_since", "failed", "unusable"]
    manifest_sha256: Sha256 | None = None


class Portfolio(_Document):
    """The content of ``portfolio.json``; ``outputs`` are relative to the folder of all sites."""

    format: Literal[1] = 1
    version: str
    code_sha256: Sha256
    simulated: bool
    sites: tuple[GatheredSite, ...]
    outputs: tuple[OutputFile, ...]
    own_sha256: Sha256 | None = None
    """As of a run; None in those of before."""


_D = TypeVar("_D", Manifest, Run, Portfolio, Proofs)


def read_document(path: Path, kind: type[_D]) -> _D:
    """Read a manifest or a run; :class:`ProductError` when it is missing, not JSON, or lacks or misnames a key."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ProductError(f"{path}: cannot be read ({error.strerror}); run the site first") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise ProductError(f"{path}: {key or 'content'}: {problem['msg']}; run the site again with --force") from error


def stays_inside(path: str) -> bool:
    """Whether a relative path, read as of any system, cannot leave the folder it is joined to, and can be a file's."""
    parsed = PureWindowsPath(path)  # knows both separators, and drives
    plain_parts = all(plain(part) == part and len(part.encode()) <= _LONGEST_NAME for part in parsed.parts)
    fits = plain_parts and len(path.encode()) <= _LONGEST_PATH
    return bool(parsed.parts) and not parsed.anchor and ".." not in parsed.parts and fits


def json_text(value: Any) -> str:
    """Return the one text of a JSON value: sorted keys, one space of indent, a newline at the end."""
    plain = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, default=_plain)
    return plain + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")


def sha256_text(text: str) -> str:
    """Hash of a text in UTF-8, hexadecimal."""
    return sha256_bytes(text.encode("utf-8"))


def sha256_bytes(content: bytes) -> str:
    """Hash of bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def own_sha256(document: Mapping[str, Any]) -> str:
    """Hash of all of a document but its key ``own_sha256``."""
    return sha256_text(json_text({key: value for key, value in document.items() if key != "own_sha256"}))


def write_document(path: Path, document: Manifest | Run | Portfolio | Proofs) -> None:
    """Write a document as :func:`json_text`; :class:`ProductError` when that fails, a former one is then untouched."""
    with atomic_path(path) as beside:
        beside.write_bytes(json_text(document).encode("utf-8"))
