"""Hashes over what is hidden, closed: a guess at what was hidden finds nothing in an archive to be held against.

In the place of such a hash stands a commitment: SHA-256 of a random salt followed by the hash, both as text. Salt and
hashes lie in a receipt beside the archive and never in it; with it anybody opens a commitment with ``sha256sum``.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import InputError, ProductError
from pipeline.products._documents import json_text, sha256_text

_SALT_BYTES = 32
"""As many as SHA-256 gives: the salt is no easier to guess than what it closes."""
_OWNER_ONLY = 0o600
RECEIPT = ".receipt.json"
"""Ending of the receipt's name, after that of the archive."""
_ABOUT = (
    "Keep this apart from the archive: with the salt whoever has the archive can try guesses at all that is hidden in "
    "it. Show it to a court to open the commitments: printf '%s%s' SALT SHA256 | sha256sum gives the commitment."
)


@dataclass(frozen=True)
class Closed:
    """A salt, and the hashes that were closed with it: commitment to what it is of and its hash."""

    salt: str
    opened: dict[str, tuple[str, str]] = field(default_factory=dict)

    def close(self, about: str, digest: str) -> str:
        """Return the commitment to a hash, and note it for the receipt; the first ``about`` of a hash is kept."""
        made = commitment(self.salt, digest)
        self.opened.setdefault(made, (about, digest))
        return made

    @property
    def digests(self) -> frozenset[str]:
        """The hashes that must stand nowhere in the archive."""
        return frozenset(digest for _, digest in self.opened.values())


def new_salt() -> str:
    """Return a salt nobody can guess, hexadecimal."""
    return secrets.token_hex(_SALT_BYTES)


def commitment(salt: str, digest: str) -> str:
    """Return SHA-256 of salt and hash, both as hexadecimal text, one after the other."""
    return sha256_text(salt + digest)


def receipt_of(archive: Path) -> Path:
    """Return where the receipt of an archive lies."""
    return archive.with_name(archive.name + RECEIPT)


@contextlib.contextmanager
def receipt(archive: Path, closed: Closed) -> Iterator[Path]:
    """Write the receipt beside an archive that is about to be written; it goes again where the archive fails.

    Raises
    ------
    InputError
        There is one already: of another archive, whose commitments could not be opened any more.
    ProductError
        It cannot be written.
    """
    path = receipt_of(archive)
    said = [{"of": about, "sha256": digest, "commitment": c} for c, (about, digest) in sorted(closed.opened.items())]
    text = json_text({"format": 1, "about": _ABOUT, "archive": archive.name, "salt": closed.salt, "commitments": said})
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    except FileExistsError as error:
        raise InputError(
            f"{path}: is there already; a receipt is never written over: name another with --to"
        ) from error
    except OSError as error:
        raise ProductError(f"{path}: cannot be written ({error.strerror}); name another folder with --to") from error
    written = False
    try:
        _write(path, handle, text)
        yield path
        written = True
    finally:
        if not written:
            path.unlink(missing_ok=True)


def _write(path: Path, handle: int, text: str) -> None:
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ProductError(f"{path}: cannot be written ({error.strerror}); free disk space") from error
