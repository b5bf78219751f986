"""A file of an archive: where it lies in it, what it is, its bytes and their hash."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from pipeline.errors import ProductError
from pipeline.evidence import sha256_file

Role: TypeAlias = Literal["product", "input", "evidence", "record", "document"]
"""What a file is to the results: made by the run, read by it, pixels it read, told of it, or about all of it."""

_MEDIA = {
    ".csv": "text/csv",
    ".geojson": "application/geo+json",
    ".gpkg": "application/geopackage+sqlite3",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".jp2": "image/jp2",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".kml": "application/vnd.google-earth.kml+xml",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".provn": "text/provenance-notation",
    ".py": "text/x-python",
    ".qml": "application/xml",
    ".sig": "text/plain",
    ".tif": "image/tiff",
    ".tsr": "application/timestamp-reply",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}
_ABOUT = (
    (r"report\.html", "Report of the site, one page that loads nothing"),
    (r"report\.pdf", "The same report for paper"),
    (r"manifest\.json", "SHA-256 of all inputs, settings, code and products of the site"),
    (r"redaction\.json", "What was hidden, why and by whom, and the hashes of the original"),
    (r"run\.json", "Record of the newest run: times, log, hash of the manifest and of the run before"),
    (r"runs/\d+\.json", "Record of one run; each holds the hash of the one before"),
    (r"runs/\d+\.json\.sig", "Signature of the record of a run (SSH signature format)"),
    (r"runs/\d+\.json\.tsr", "Time stamp of the record of a run (RFC 3161)"),
    (r"runs/\d+\.manifest\.json\.gz", "The manifest as that run left it"),
    (r"runs/\d+\.numbers\.json\.gz", "Every number as that run left it"),
    (r"inputs/site\.geojson", "Site file the results were made with, byte for byte"),
    (r"inputs/claims\.yaml", "Claims the results were tested against, byte for byte"),
    (r"inputs/reviews\.jsonl", "Decisions of reviewers the results rest on, byte for byte"),
    (r"masks/[^/]+\.tif", "Which pixels counted as a pile, as another dark thing and as usable, date by date"),
    (r"composites/\d+\.tif", "Median of the clear dates of a year, reflectance"),
    (r"composites/\d+\.qml", "How QGIS draws the composite beside it"),
    (r"tables/schema\.json", "What every column of the tables is"),
    (r"tables/findings\.json", "Sentences of the report, and the rows each rests on"),
    (r"tables/[^/]+", "One layer of the GeoPackage as a table"),
    (r"[^/]+\.gpkg", "Every number, outline and scene of the site; opens styled in QGIS"),
    (r"[^/]+\.kml", "Outlines and changes for a globe viewer"),
)
"""Files of a site's folder: pattern of the path in it, and what the file is."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    Attributes
    ----------
    path : str
        In the archive, with forward slashes.
    role : str
    about : str
        One line: what it is.
    content : Path or bytes
        Where its bytes are.
    sha256 : str
        Of its bytes, which are held against it once more when they are copied.
    size_bytes : int
    """

    path: str
    role: Role
    about: str
    content: Path | bytes
    sha256: str
    size_bytes: int

    @property
    def media(self) -> str:
        """Media type, by how the name ends; what has no ending is a text."""
        ending = PurePosixPath(self.path).suffix.lower()
        return _MEDIA.get(ending, "application/octet-stream") if ending else "text/plain"


def of_bytes(path: str, role: Role, about: str, content: bytes) -> Entry:
    """Make an entry of what is written for the archive."""
    return Entry(path, role, about, content, hashlib.sha256(content).hexdigest(), len(content))


def of_text(path: str, role: Role, about: str, text: str) -> Entry:
    """Make an entry of a text, in UTF-8."""
    return of_bytes(path, role, about, text.encode("utf-8"))


def of_file(path: str, role: Role, about: str, source: Path) -> Entry:
    """Make an entry of a file no manifest names; :class:`ProductError` when it cannot be read."""
    try:
        return Entry(path, role, about, source, sha256_file(source), source.stat().st_size)
    except OSError as error:
        raise ProductError(f"{source}: cannot be read ({error.strerror}); nothing is exported") from error


def about_product(path: str) -> str:
    """Say in one line what a file of a site's folder is; ``path`` is relative to that folder."""
    return next((about for pattern, about in _ABOUT if re.fullmatch(pattern, path)), "Product of the run")
