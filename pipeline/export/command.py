"""``stockline export``: finished results, checked, into one archive."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, ProductError
from pipeline.export.archive import write_archive
from pipeline.export.chains import chain_entries
from pipeline.export.commitments import Closed, new_salt, receipt
from pipeline.export.contents import SitePart, joined, read_part, refuse_unsound
from pipeline.export.crate import CRATE, crate_of
from pipeline.export.documents import METHOD, method_documents
from pipeline.export.entries import Entry, of_bytes, of_file, of_text
from pipeline.export.facts import LICENCE, facts_of
from pipeline.export.hiding import Hidden
from pipeline.export.leaks import leaks, refuse_hashes, refuse_leaks, told_apart
from pipeline.export.provenance import PROV_JSON, PROV_N, provenance_of
from pipeline.export.readme import README, licence, readme, sums
from pipeline.export.redacted import redact
from pipeline.export.redaction import read_steps
from pipeline.products._documents import INDEX, MANIFEST, PORTFOLIO, PORTFOLIO_PACKAGE
from pipeline.products.custody.export_check import SUMS
from pipeline.products.finished import Finished
from pipeline.products.index_page import write_index
from pipeline.products.portfolio import publish_portfolio

_SHORT = 12
"""Digits of the manifest's hash in the name of an archive: enough to tell two results of a site apart."""


@dataclass(frozen=True)
class Exported:
    """An archive that was written, and what to say of it."""

    path: Path
    n_files: int
    size_bytes: int
    simulated: bool
    remarks: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """One line for the user."""
        mark = "SIMULATED " if self.simulated else ""
        return (
            f"{self.path}: {mark}archive of {self.n_files} files, {self.size_bytes / 1e6:,.1f} MB; begin with README.md"
        )


def export(out: Path, sites: Sequence[str], to: Path | None = None, redaction: Path | None = None) -> Exported:
    """Write finished sites into one archive; their results stay as they are.

    Parameters
    ----------
    out : Path
        Folder of all results.
    sites : sequence of str
        Ids of the sites.
    to : Path, optional
        The archive; in the present folder, named by site and manifest, when left out.
    redaction : Path, optional
        File that says what is hidden (:mod:`pipeline.export.redaction`).

    Raises
    ------
    InputError
        A site has no result, there is a file of that name already, or the redaction file names what is not there.
    ProductError
        Results are not as recorded, something hidden still stands somewhere, or the archive cannot be written; there
        is none then.
    """
    steps = read_steps(redaction, sites) if redaction is not None else ()
    for site in sites:
        if not (out / site / MANIFEST).is_file():
            raise InputError(f"{out / site}: holds no finished result; stockline run {site} makes one")
    if to is not None:
        _refuse_present(to)
    left = {s: Finished.at(out / s / f"{s}.gpkg").site_name for step in steps if (s := step.left_out)}
    wanted = [site for site in sites if site not in left]
    for site in wanted:
        refuse_unsound(out / site)
    with _workshop(Path.cwd() if to is None else to.parent) as root:
        parts: list[SitePart] = []
        hidden: list[Hidden] = []
        closed = Closed(new_salt())
        for site in wanted:
            part = read_part(out / site)
            if steps:
                part, values = redact(part, steps, left, root, closed)
                hidden += values
            else:
                (root / site).symlink_to((out / site).resolve())
            parts.append(part)
        path = to or Path(f"{'-'.join(['stockline', *wanted])}-{parts[0].manifest_sha256[:_SHORT]}.zip")
        _refuse_present(path)
        entries = entries_of(parts, list(_gathered(root)) if parts[1:] else ())
        sought, remarks = told_apart((entry for entry in entries if entry.path.startswith(METHOD)), hidden)
        remarks += refuse_leaks(leaks(entries, sought))
        refuse_hashes(entries, closed.digests)
        if steps:
            with receipt(path, closed) as kept:
                write_archive(path, entries)
            remarks.append(f"{kept}: keep it, apart from the archive; shown to a court it opens the commitments")
        else:
            write_archive(path, entries)
    simulated = any(part.finished.simulated for part in parts)
    return Exported(path, len(entries), path.stat().st_size, simulated, tuple(remarks))


@contextmanager
def _workshop(folder: Path) -> Iterator[Path]:
    """Give a folder for what is made on the way, removed at the end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix=".stockline-export-", dir=folder)
    except OSError as error:
        raise ProductError(f"{folder}: {error.strerror}; name a file in a folder you may write to with --to") from error
    with made as name:
        yield Path(name)


def _gathered(root: Path) -> Iterator[Entry]:
    """Write what gathers the sites of the archive, and no other."""
    publish_portfolio(root, (), lambda folder: [write_index(root, {}, folder)])
    about = {
        INDEX: "Verdicts of all sites of the archive on one page",
        PORTFOLIO_PACKAGE: "All layers of all sites of the archive in one GeoPackage",
        PORTFOLIO: "SHA-256 of both, and of the manifests they were made of",
    }
    for name, what in about.items():
        yield of_file(name, "product", what, root / name)


def _refuse_present(path: Path) -> None:
    if path.exists():
        raise InputError(f"--to {path}: is there already; an archive is never written over: name another file")


def entries_of(parts: Sequence[SitePart], gathered: Sequence[Entry] = ()) -> list[Entry]:
    """List all files of an archive, those that tell of it first, in the order they are written.

    Parameters
    ----------
    parts : sequence of SitePart
    gathered : sequence of Entry
        What is made of several sites.
    """
    facts = facts_of(parts)
    chains = [entry for part in parts for entry in chain_entries(part)]
    files = [*joined(tuple(parts)), *gathered, *chains, *method_documents()]
    told = [
        of_text(
            README, "document", "What this archive is, what was found, how to check it", readme(facts, parts, files)
        ),
        of_text(LICENCE, "document", "Whose data these are, and on what terms", licence(facts)),
    ]
    in_json, in_words = provenance_of(facts, parts, [*told, *gathered, *(e for e in files if e.role == "document")])
    told += [
        of_bytes(PROV_JSON, "document", "What was made from what (W3C PROV, PROV-JSON)", in_json),
        of_bytes(PROV_N, "document", "The same as PROV-N, for reading", in_words),
    ]
    listed = Entry(SUMS, "document", "SHA-256 of every other file, as sha256sum reads it", b"", "", 0)
    crate = of_bytes(CRATE, "document", "This list for programs", crate_of(facts, parts, [*told, listed, *files]))
    checked = [told[0], crate, *told[1:], *files]
    return [told[0], of_text(SUMS, "document", listed.about, sums(checked)), *checked[1:]]
