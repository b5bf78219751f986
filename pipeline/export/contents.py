"""Which files of finished results go into an archive: products, records of runs, and the pixels they rest on."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import ProductError
from pipeline.evidence import RECORD
from pipeline.export.entries import Entry, about_product, of_file
from pipeline.export.redaction import Redacted
from pipeline.products._documents import EVIDENCE, MANIFEST, RUN, RUNS, InputFile, Manifest, Run, read_document
from pipeline.products.custody.evidence_check import ARCHIVE, evidence_roots
from pipeline.products.custody.problems import make_hasher
from pipeline.products.custody.run_chain import Link, read_chain
from pipeline.products.custody.verify import verify
from pipeline.products.finished import Finished
from pipeline.products.manifest import read_manifest

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
    """One site of an archive; ``kept`` is empty where ``redacted`` says that the pixels are left out.

    ``beside`` are the records the pixels came with, and copies that only former runs rest on.
    """

    folder: Path
    manifest: Manifest
    run: Run
    finished: Finished
    entries: tuple[Entry, ...]
    kept: tuple[Kept, ...]
    beside: tuple[Entry, ...] = ()
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


def read_part(folder: Path, pixels: "SitePart | None" = None) -> SitePart:
    """List the files of a site's folder that go into an archive; raises :class:`ProductError` as its readers do.

    Parameters
    ----------
    folder : Path
    pixels : SitePart, optional
        Whose evidence is taken; looked for where the run had it when left out.
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
    chain = read_chain(folder, make_hasher())
    return SitePart(
        folder,
        manifest,
        run,
        Finished.at(folder / f"{manifest.site}.gpkg"),
        (*products, *_records(folder, manifest.site)),
        tuple(_kept(folder, manifest, run)) if pixels is None else pixels.kept,
        tuple(_beside(folder, manifest, chain.links)) if pixels is None else pixels.beside,
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
        found = _found(folder, file, run)
        if found.parent not in records:
            records[found.parent] = _record(found.parent) if file.evidence == "copy" else None
        about = f"Band {file.band} of scene {file.scene_id}, pixels as delivered"
        entry = Entry(f"{_ROOTS[file.evidence]}/{file.path}", "evidence", about, found, file.sha256, file.size_bytes)
        yield Kept(entry, file, records[found.parent])


def _found(folder: Path, file: InputFile, run: Run) -> Path:
    roots = evidence_roots(folder, file, run)
    found = next((root / file.path for root in roots if (root / file.path).is_file()), None)
    if found is None:
        raise ProductError(f"{folder}: {file.path} of scene {file.scene_id} is not here; nothing is exported")
    return found


def _record(folder: Path) -> Mapping[str, Any]:
    try:
        record: Mapping[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProductError(f"{folder / RECORD}: cannot be read; nothing is exported") from error
    return record


def _beside(folder: Path, manifest: Manifest, links: Sequence[Link]) -> Iterator[Entry]:
    """Give what tells how pixels came, and copies that former runs rest on: the chain of runs names all of it."""
    present = {file.path for file in manifest.inputs}
    for link in links:
        copies = [file for file in link.manifest.inputs if file.evidence == "copy"] if link.manifest else []
        for file in copies:
            if file.path not in present:
                present.add(file.path)
                about = f"Band {file.band} of scene {file.scene_id}, which a former run rests on"
                found = _found(folder, file, link.run)
                yield Entry(f"{EVIDENCE}/{file.path}", "evidence", about, found, file.sha256, file.size_bytes)
                yield from _told(folder, link.run, [str(PurePosixPath(file.path).with_name(RECORD))])
        yield from _told(folder, link.run, sorted(link.run.records))
    copies = [file for file in manifest.inputs if file.evidence == "copy"]
    records = sorted({str(PurePosixPath(file.path).with_name(RECORD)) for file in copies})
    yield from _told(folder, links[-1].run, records)


def _told(folder: Path, run: Run, names: Iterable[str]) -> Iterator[Entry]:
    """Give records of how pixels came, by their path below the evidence."""
    for name in names:
        roots = (folder / EVIDENCE, folder.parent / EVIDENCE, Path(run.evidence_root))
        found = next((root / name for root in roots if (root / name).is_file()), None)
        if found is None:
            raise ProductError(f"{folder}: {name} is not here; nothing is exported")
        yield of_file(f"{EVIDENCE}/{name}", "record", "How pixels were asked for, when they came, on what terms", found)


def joined(parts: tuple[SitePart, ...]) -> list[Entry]:
    """Join the files of all sites, each once, by path.

    Raises
    ------
    ProductError
        Two sites have different files under one path: their archives are not the same.
    """
    found: dict[str, Entry] = {}
    for part in parts:
        for entry in (*part.entries, *(kept.entry for kept in part.kept), *part.beside):
            former = found.setdefault(entry.path, entry)
            if former.sha256 != entry.sha256:
                raise ProductError(f"{entry.path}: is not the same file for all sites; export them one by one")
    return [found[path] for path in sorted(found)]
