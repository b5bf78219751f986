"""Which files of finished results go into an archive: products, records of runs, and the pixels they rest on."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import ProductError
from pipeline.evidence import RECORD
from pipeline.export.entries import Entry, about_product, of_file
from pipeline.export.redaction import Redacted
from pipeline.products._documents import EVIDENCE, MANIFEST, RUN, RUNS, InputFile, Manifest, Run, read_document
from pipeline.products._evidence_check import ARCHIVE, evidence_roots
from pipeline.products.finished import Finished
from pipeline.products.manifest import read_manifest
from pipeline.products.verify import verify

_ROOTS = {"copy": EVIDENCE, "reference": ARCHIVE}
"""Folder of the archive by the kind of evidence: copies lie as in a store, referenced files as in their archive."""


MEASURED = (".gpkg", ".tif", ".qml")
"""How products of the measurement itself end; everything else is made from them."""


@dataclass(frozen=True)
class Kept:
    """A file of evidence in the archive, what the manifest says of it, and the record it was fetched with, if any."""

    entry: Entry
    file: InputFile
    record: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class SitePart:
    """One site of an archive; ``kept`` is empty where ``redacted`` says that the pixels are left out."""

    folder: Path
    manifest: Manifest
    run: Run
    finished: Finished
    entries: tuple[Entry, ...]
    kept: tuple[Kept, ...]
    redacted: Redacted | None = None

    @property
    def site(self) -> str:
        """Id of the site, and its folder in the archive."""
        return self.manifest.site

    @property
    def manifest_sha256(self) -> str:
        """Hash of the manifest, which fixes everything else."""
        return self.run.manifest_sha256


def refuse_unsound(folder: Path) -> None:
    """Refuse results that are not as recorded; a file that is no part of them is no part of the archive either.

    Raises
    ------
    ProductError
        On one line: the first file, and how many more.
    """
    problems = [problem for problem in verify(folder) if problem.kind != "extra"]
    if problems:
        more = f", and {len(problems) - 1} more problems" if problems[1:] else ""
        raise ProductError(
            f"{folder}: {problems[0]}{more}; nothing is exported: stockline verify {folder} names all, "
            "then restore the files or run the site again"
        )


def read_part(folder: Path, kept: tuple[Kept, ...] | None = None) -> SitePart:
    """List the files of a site's folder that go into an archive; raises :class:`ProductError` as its readers do.

    Parameters
    ----------
    folder : Path
    kept : tuple of Kept, optional
        Its evidence; looked for where the run had it when left out.
    """
    manifest, run = read_manifest(folder), read_document(folder / RUN, Run)
    products = [
        Entry(
            f"{manifest.site}/{output.path}",
            "input" if output.path.startswith("inputs/") else "product",
            about_product(output.path),
            folder / output.path,
            output.sha256,
            output.size_bytes,
        )
        for output in manifest.outputs
    ]
    return SitePart(
        folder,
        manifest,
        run,
        Finished.at(folder / f"{manifest.site}.gpkg"),
        (*products, *_records(folder, manifest.site)),
        tuple(_kept(folder, manifest, run)) if kept is None else kept,
    )


def _records(folder: Path, site: str) -> Iterator[Entry]:
    runs = (path for path in sorted((folder / RUNS).iterdir()) if path.is_file() and not path.name.startswith("."))
    for path in (folder / MANIFEST, folder / RUN, *runs):
        name = path.relative_to(folder).as_posix()
        yield of_file(f"{site}/{name}", "record", about_product(name), path)


def _kept(folder: Path, manifest: Manifest, run: Run) -> Iterator[Kept]:
    """Find every file of evidence the manifest names; :class:`ProductError` where one is not there."""
    records: dict[Path, Mapping[str, Any] | None] = {}
    for file in manifest.inputs:
        roots = evidence_roots(folder, file, run)
        found = next((root / file.path for root in roots if (root / file.path).is_file()), None)
        if found is None:
            raise ProductError(f"{folder}: {file.path} of scene {file.scene_id} is not here; nothing is exported")
        if found.parent not in records:
            records[found.parent] = _record(found.parent) if file.evidence == "copy" else None
        about = f"Band {file.band} of scene {file.scene_id}, pixels as delivered"
        entry = Entry(f"{_ROOTS[file.evidence]}/{file.path}", "evidence", about, found, file.sha256, file.size_bytes)
        yield Kept(entry, file, records[found.parent])


def _record(folder: Path) -> Mapping[str, Any]:
    try:
        record: Mapping[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProductError(f"{folder / RECORD}: cannot be read; nothing is exported") from error
    return record


def evidence_entries(part: SitePart) -> Iterator[Entry]:
    """Give files of evidence and, once for each folder of copies, the record of how they came."""
    told = set()
    for kept in part.kept:
        yield kept.entry
        beside = PurePosixPath(kept.entry.path).parent
        if kept.record is None or beside in told or not isinstance(kept.entry.content, Path):
            continue
        told.add(beside)
        version = kept.entry.content.parent
        about = f"How the pixels of scene {kept.file.scene_id} were asked for, and when they came"
        yield of_file(f"{beside}/{RECORD}", "record", about, version / RECORD)
        about = f"How the provider described the pixels of scene {kept.file.scene_id} later"
        for note in sorted((version.parent / "described").glob("*.json")):
            name = f"{beside.parent}/described/{note.name}"
            # Descriptions of a later run are of that run; this one knows only those its record names.
            if not part.run.records or name.removeprefix(f"{EVIDENCE}/") in part.run.records:
                yield of_file(name, "record", about, note)


def joined(parts: tuple[SitePart, ...]) -> list[Entry]:
    """Join the files of all sites, each once, by path.

    Raises
    ------
    ProductError
        Two sites have different files under one path: their archives are not the same.
    """
    found: dict[str, Entry] = {}
    for part in parts:
        for entry in (*part.entries, *evidence_entries(part)):
            former = found.setdefault(entry.path, entry)
            if former.sha256 != entry.sha256:
                raise ProductError(f"{entry.path}: is not the same file for all sites; export them one by one")
    return [found[path] for path in sorted(found)]
