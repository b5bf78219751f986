"""Entries into one ZIP file: the same bytes for the same entries, whole or not there."""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from pipeline.errors import ProductError
from pipeline.export.entries import Entry
from pipeline.products.atomic import atomic_path

_OLDEST = (1980, 1, 1, 0, 0, 0)
"""The first time a ZIP file can state: the archive says nowhere when it was written."""
_FILE = 0o100644 << 16
"""A plain file all may read, as Unix writes it into a ZIP file."""
_UNIX = 3
_CHUNK = 1 << 20


def write_archive(path: Path, entries: Iterable[Entry]) -> None:
    """Write an archive; evidence is copied piece by piece, so its size takes no memory.

    Files are stored, not compressed: pixels are compressed already, what a compressor makes of the rest differs by its
    version, and of a damaged archive the files that are whole can still be cut out.

    Parameters
    ----------
    path : Path
        File to be made.
    entries : iterable of Entry
        In the order they are written.

    Raises
    ------
    ProductError
        A file has other bytes than its entry says, cannot be read, or the archive cannot be written; then there is
        none.
    """
    with atomic_path(path) as beside:
        try:
            with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                for entry in entries:
                    _add(archive, entry)
        except OSError as error:
            said = error.strerror or error
            raise ProductError(
                f"{path}: cannot be written ({said}); free disk space, or name another with --to"
            ) from error


def _add(archive: zipfile.ZipFile, entry: Entry) -> None:
    info = zipfile.ZipInfo(entry.path, _OLDEST)
    info.create_system, info.external_attr, info.file_size = _UNIX, _FILE, entry.size_bytes
    digest = hashlib.sha256()
    with archive.open(info, "w") as target:
        for chunk in _chunks(entry):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise ProductError(f"{entry.path}: has changed while it was copied; no archive is written")


def _chunks(entry: Entry) -> Iterator[bytes]:
    if isinstance(entry.content, bytes):
        yield entry.content
        return
    try:
        with entry.content.open("rb") as file:
            while chunk := _read(file):
                yield chunk
    except FileNotFoundError as error:
        raise ProductError(f"{entry.content}: is gone since it was checked; no archive is written") from error


def _read(file: IO[bytes]) -> bytes:
    return file.read(_CHUNK)
