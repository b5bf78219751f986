"""A site's results with something hidden, made anew beside the original, which stays as it is.

The GeoPackage is written from the original's rows with marks in the place of what is hidden; report, tables and
outlines are made of it by the code that makes them of any GeoPackage; a manifest of its own lists them, and
``redaction.json`` says what was hidden, why and by whom, with commitments to the hash of the original manifest and of
each file that was replaced or left out: who holds the original and the receipt can show that both belong together.
"""

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, ProductError
from pipeline.export.chains import lend_evidence
from pipeline.export.commitments import Closed
from pipeline.export.contents import SitePart, read_part
from pipeline.export.hiding import Hidden, hidden_values, hide, holds_nothing, without_hashes
from pipeline.export.redaction import LOCATION, Redacted, Step
from pipeline.products._documents import (
    CLAIMS_COPY,
    COMPOSITES,
    EVIDENCE,
    REDACTION,
    REVIEWS_COPY,
    RUN,
    SITE_COPY,
    InputFile,
    Manifest,
    OutputFile,
    json_text,
)
from pipeline.products.geopackage import read_tables, write_geopackage
from pipeline.products.manifest import describe
from pipeline.products.numbers import numbers_of
from pipeline.products.placing import seal
from pipeline.products.publish import write_readings
from pipeline.products.runs import RunFacts
from pipeline.products.stretch import read_composites
from pipeline.records import RunRow, Tables

_INPUTS = "inputs/"
_SHOW_PLACE = (COMPOSITES, "masks/", f"{_INPUTS}site.geojson", f"{_INPUTS}reviews.jsonl")
"""Products that show where a site is whatever is hidden in them."""


def redact(
    part: SitePart, steps: Sequence[Step], left: Mapping[str, str], root: Path, closed: Closed
) -> tuple[SitePart, tuple[Hidden, ...]]:
    """Make a site's results anew with something hidden.

    Parameters
    ----------
    part : SitePart
        The original.
    steps : sequence of Step
    left : mapping
        Id and name of each site that is left out of the archive.
    root : Path
        Folder in which the site's folder is made.
    closed : Closed
        Takes every hash over something hidden.

    Returns
    -------
    tuple of (SitePart, tuple of Hidden)
        What goes into the archive, and the values that must stand nowhere in it.

    Raises
    ------
    InputError
        A step names a column that holds nothing here.
    ProductError
        A file cannot be read or written.
    """
    tables = read_tables(part.finished.path)
    hidden = hidden_values(tables, steps, left)
    if void := next((step for step in steps if holds_nothing(tables, step)), None):
        raise InputError(f"{void.what}: holds nothing in the results of {part.site}; take it out of the redactions")
    location = any(step.what == LOCATION for step in steps)
    tables, counts = hide(tables, hidden, location=location)
    folder, stage = root / part.site, root / f".{part.site}.stage"
    stage.mkdir(parents=True)
    kept = _without_ledger(part, list(_kept_products(part, hidden, location=location)))
    has_ledger = any(output.path == REVIEWS_COPY for output in kept)
    tables = without_hashes(tables, None if has_ledger else closed, location=location)
    _copy(part.folder, stage, kept)
    original = closed.close(f"{part.site}/manifest.json of the original", part.manifest_sha256)
    package = _write_package(part, tables, steps, stage, original)
    made = [package, *write_readings(stage, package), *(stage / output.path for output in kept)]
    files = describe(stage, made)
    told = _told(part, steps, files, part.manifest.inputs if location else (), closed)
    record = stage / REDACTION
    record.write_text(json_text(_document(part, told, counts, closed)), encoding="utf-8")
    listed = tuple(sorted([*files, *describe(stage, [record])], key=lambda output: output.path))
    inputs = () if location else part.manifest.inputs
    manifest = _closed_manifest(part.manifest, {output.path for output in kept}, closed)
    manifest = manifest.model_copy(update={"outputs": listed, "inputs": inputs})
    seal(stage, folder, manifest, _facts(part, original, numbers_of(package), {} if location else part.run.records))
    made_anew = replace(read_part(folder, _lent(part, location=location)), redacted=told)
    lend_evidence(made_anew, folder)
    return made_anew, hidden


def _closed_manifest(manifest: Manifest, kept: AbstractSet[str], closed: Closed) -> Manifest:
    """Close the hashes of inputs whose copies are not in the archive, and the key, which was made of them too."""
    copies = {"site_sha256": SITE_COPY, "claims_sha256": CLAIMS_COPY, "reviews_sha256": REVIEWS_COPY}
    named = {name: getattr(manifest, name) for name, path in copies.items() if path not in kept}
    named["key"] = manifest.key
    update = {
        name: closed.close(f"{manifest.site}/manifest.json of the original: {name}", digest)
        for name, digest in named.items()
        if digest is not None
    }
    return manifest.model_copy(update=update)


def _told(
    part: SitePart,
    steps: Sequence[Step],
    files: Sequence[OutputFile],
    withheld: tuple[InputFile, ...],
    closed: Closed,
) -> Redacted:
    """Compare what was made with the original, file by file; hashes of the original are closed."""
    made = {file.path: file.sha256 for file in files}
    former = {output.path: output.sha256 for output in part.manifest.outputs}
    at = f"{part.site}/"
    return Redacted(
        tuple(steps),
        closed.close(f"{at}manifest.json of the original", part.manifest_sha256),
        tuple(sorted(closed.close(at + path, digest) for path, digest in former.items() if path not in made)),
        tuple((f.scene_id, f.band, closed.close(f"{f.evidence} {f.path}", f.sha256)) for f in withheld),
        {path: closed.close(at + path, one) for path, one in former.items() if made.get(path, one) != one},
    )


def _lent(part: SitePart, *, location: bool) -> SitePart:
    """Return a site with the pixels its redacted copy rests on, and what came with them: there are no former runs."""
    if location:
        return replace(part, kept=(), beside=())
    named = {f"{EVIDENCE}/{name}" for name in part.run.records}
    return replace(part, beside=tuple(entry for entry in part.beside if entry.path in named))


def _kept_products(part: SitePart, hidden: Sequence[Hidden], *, location: bool) -> Iterator[OutputFile]:
    """Give products of the original that go into the archive as they are: images, masks, inputs that hide nothing."""
    for output in part.manifest.outputs:
        is_image = output.path.endswith((".tif", ".qml"))
        if (location and output.path.startswith(_SHOW_PLACE)) or not (is_image or output.path.startswith(_INPUTS)):
            continue
        if is_image or not _holds(part.folder / output.path, hidden):
            yield output


def _without_ledger(part: SitePart, kept: list[OutputFile]) -> list[OutputFile]:
    """Leave out the decisions of reviewers where another input is: they name manifests made over it."""
    paths = {output.path for output in kept}
    gone = any(output.path.startswith(_INPUTS) and output.path not in paths for output in part.manifest.outputs)
    return [output for output in kept if not (gone and output.path == REVIEWS_COPY)]


def _holds(path: Path, hidden: Sequence[Hidden]) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(one.pattern.search(text) for one in hidden)


def _copy(folder: Path, stage: Path, outputs: Sequence[OutputFile]) -> None:
    for output in outputs:
        target = stage / output.path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(folder / output.path, target)
        except OSError as error:
            raise ProductError(f"{target}: cannot be written ({error.strerror}); free disk space") from error


def _write_package(part: SitePart, tables: Tables, steps: Sequence[Step], stage: Path, original: str) -> Path:
    """Write the GeoPackage; a note in it says that something is hidden, so that every reading says it too."""
    notes = sum(isinstance(row, RunRow) and row.key.startswith("note_") for row in tables["run"])
    said = "; ".join(f"{step.told} ({step.why.rstrip('.')}; {step.by})" for step in steps)
    note = f"Redacted copy. Hidden: {said}. Commitment to the SHA-256 of the original's manifest: {original}."
    facts = {row.key: row.value for row in tables["run"] if isinstance(row, RunRow)}
    facts[f"note_{notes + 1}"] = note
    tables = {**tables, "run": [RunRow(key, facts[key]) for key in sorted(facts)]}
    package = stage / part.finished.path.name
    name = facts["site_name"].removeprefix("SIMULATED ")
    title = f"SIMULATED {name}" if part.finished.simulated else name
    composites = read_composites(stage / COMPOSITES)
    write_geopackage(package, tables, part.finished.epsg, title, part.finished.simulated, composites)
    return package


def _facts(part: SitePart, original: str, numbers: Mapping[str, Any], records: Mapping[str, str]) -> RunFacts:
    """Return the facts of the run that stays: its times, not the folders of the computer it ran on."""
    started, finished = (dt.datetime.fromisoformat(time) for time in (part.run.started, part.run.finished))
    said = (f"redacted copy; commitment to the SHA-256 of the original's manifest: {original}",)
    roots = Path("evidence"), Path("archive")
    return RunFacts(started, finished, part.run.workers, said, *roots, records, numbers)


def _document(part: SitePart, told: Redacted, counts: Mapping[str, int], closed: Closed) -> dict[str, Any]:
    return {
        "format": 2,
        "site": part.site,
        "simulated": part.finished.simulated,
        "commitments": "SHA-256 of a salt followed by the hash, both as text; the salt is in the receipt",
        "original": {
            "manifest": told.manifest,
            "run": closed.close(f"{part.site}/{RUN} of the original", _newest_run(part)),
        },
        "steps": [step.document() for step in told.steps],
        "cells": dict(sorted(counts.items())),
        "replaced": dict(sorted(told.replaced.items())),
        "left_out": list(told.left_out),
        "withheld_evidence": [{"scene_id": s, "band": band, "commitment": c} for s, band, c in told.withheld],
    }


def _newest_run(part: SitePart) -> str:
    return next(entry.sha256 for entry in part.entries if entry.path == f"{part.site}/{RUN}")
