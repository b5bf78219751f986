"""``stockline export``: finished results, checked, into one archive."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.export.archive import write_archive
from pipeline.export.contents import SitePart, joined, read_part, refuse_unsound
from pipeline.export.crate import CRATE, crate_of
from pipeline.export.documents import method_documents
from pipeline.export.entries import Entry, of_bytes, of_text
from pipeline.export.facts import LICENCE, facts_of
from pipeline.export.provenance import PROV_JSON, PROV_N, provenance_of
from pipeline.export.readme import README, SUMS, licence, readme, sums
from pipeline.products._documents import MANIFEST

_SHORT = 12
"""Digits of the manifest's hash in the name of an archive: enough to tell two results of a site apart."""


@dataclass(frozen=True)
class Exported:
    """An archive that was written, and what to say of it."""

    path: Path
    n_files: int
    size_bytes: int
    simulated: bool


def export(out: Path, sites: Sequence[str], to: Path | None) -> Exported:
    """Write finished sites into one archive; their results stay as they are.

    Parameters
    ----------
    out : Path
        Folder of all results.
    sites : sequence of str
        Ids of the sites.
    to : Path, optional
        The archive; in the present folder, named by site and manifest, when left out.

    Raises
    ------
    InputError
        A site has no result, or there is a file of that name already.
    ProductError
        Results are not as recorded, or the archive cannot be written; there is none then.
    """
    for site in sites:
        if not (out / site / MANIFEST).is_file():
            raise InputError(f"{out / site}: holds no finished result; stockline run {site} makes one")
    if to is not None:
        _refuse_present(to)
    for site in sites:
        refuse_unsound(out / site)
    parts = tuple(read_part(out / site) for site in sites)
    path = to or Path(f"{'-'.join(['stockline', *sites])}-{parts[0].manifest_sha256[:_SHORT]}.zip")
    _refuse_present(path)
    entries = entries_of(parts)
    write_archive(path, entries)
    return Exported(path, len(entries), path.stat().st_size, any(part.finished.simulated for part in parts))


def _refuse_present(path: Path) -> None:
    if path.exists():
        raise InputError(f"--to {path}: is there already; an archive is never written over: name another file")


def entries_of(parts: Sequence[SitePart]) -> list[Entry]:
    """List all files of an archive, those that tell of it first, in the order they are written."""
    facts = facts_of(parts)
    files = [*joined(tuple(parts)), *method_documents()]
    told = [
        of_text(
            README, "document", "What this archive is, what was found, how to check it", readme(facts, parts, files)
        ),
        of_text(LICENCE, "document", "Whose data these are, and on what terms", licence(facts)),
    ]
    in_json, in_words = provenance_of(facts, parts, [*told, *(entry for entry in files if entry.role == "document")])
    told += [
        of_bytes(PROV_JSON, "document", "What was made from what (W3C PROV, PROV-JSON)", in_json),
        of_bytes(PROV_N, "document", "The same as PROV-N, for reading", in_words),
    ]
    listed = Entry(SUMS, "document", "SHA-256 of every other file, as sha256sum reads it", b"", "", 0)
    crate = of_bytes(CRATE, "document", "This list for programs", crate_of(facts, parts, [*told, listed, *files]))
    checked = [told[0], crate, *told[1:], *files]
    return [told[0], of_text(SUMS, "document", listed.about, sums(checked)), *checked[1:]]
