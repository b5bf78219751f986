"""Files of a result and of its evidence as they are here: where each lies, whether its hash agrees, how it came."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import rasterio
from rasterio.errors import RasterioError

from pipeline.documents import parsed
from pipeline.evidence import RECORD, sha256_file
from pipeline.pixels import resampled_by
from pipeline.products._documents import RUN, InputFile, Run, stays_inside
from pipeline.products.custody.evidence_check import evidence_roots
from pipeline.products.runs import run_records
from pipeline.products.tracing.links import FileLink, PlacedFile, State

_CUTS = 5
"""A window is cut from a larger one, which was cut from another: followed this often."""


@dataclass(frozen=True)
class Evidence:
    """The files of one site's result, looked for as ``verify`` does, each read once.

    Attributes
    ----------
    folder : Path
        Of the site.
    run : Run
        Says where evidence and archive were.
    roots : dict of str to str
        Filled on the way: name to folder.
    problems : list of str
        Filled on the way: files that are missing or do not agree.
    """

    folder: Path
    run: Run
    roots: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _seen: dict[Path, State] = field(default_factory=dict)

    def placed(self, folder: Path, root: str, path: str, sha256: str) -> PlacedFile:
        """Return a file below a root, its hash checked."""
        return PlacedFile(root, path, sha256, self._state(folder / path, path, sha256))

    def _state(self, file: Path, name: str, sha256: str) -> State:
        if file not in self._seen:
            found: State = "missing"
            if stays_inside(name):
                with contextlib.suppress(OSError):
                    found = "agrees" if sha256_file(file) == sha256 else "differs"
            self._seen[file] = found
            if found != "agrees":
                self.problems.append(f"{name}: {'is not here' if found == 'missing' else 'differs from its hash'}")
        return self._seen[file]

    def link(self, file: InputFile, nodata_dn: float | None) -> FileLink:
        """Return a file of evidence with what was noted when it came.

        Parameters
        ----------
        file : InputFile
        nodata_dn : float or None
            As the catalogue declares it; None: as the file does, else 0.
        """
        roots = evidence_roots(self.folder, file, self.run)
        root = next((root for root in roots if (root / file.path).is_file()), roots[-1])
        placed = self.placed(root, self._name(root, file.evidence), file.path, file.sha256)
        here = root / file.path
        record = None
        if file.evidence == "copy" and placed.state != "missing":
            record = self._noted(root, file)
        own_nodata, resampling = _read_as(here) if placed.state != "missing" else (None, None)
        return FileLink(
            **vars(placed),
            band=file.band,
            item_id=file.item_id,
            evidence=file.evidence,
            nodata_dn=own_nodata if nodata_dn is None else nodata_dn,
            resampling=resampling,
            href=file.href,
            size_bytes=file.size_bytes,
            record=record,
        )

    def _noted(self, root: Path, file: InputFile) -> Mapping[str, Any] | None:
        """Return what was noted when a copy came, held against the record of the run."""
        told = _record(root / file.path, file.band)
        if told is None:
            self.problems.append(f"{file.path}: has no record beside it that tells how it came")
            return None
        note = (PurePosixPath(file.path).parent / RECORD).as_posix()
        known = self.run.records.get(note)
        if known is None:
            self.problems.append(f"{note}: is not in the record of the run; nothing vouches for it")
        return {**told, "record_state": None if known is None else self._state(root / note, note, known)}

    def newest_run(self) -> PlacedFile:
        """Return the newest record of a run, which ``run.json`` must be a copy of."""
        kept = run_records(self.folder)
        name = kept[-1].relative_to(self.folder).as_posix() if kept else RUN
        return self.placed(self.folder, "site", name, sha256_file(self.folder / RUN))

    def _name(self, root: Path, kind: str) -> str:
        """Give a root a name: ``evidence``, ``archive``; a further one of a kind has a number."""
        name, number = {"copy": "evidence", "reference": "archive"}[kind], 1
        while self.roots.setdefault(label := name if number == 1 else f"{name}_{number}", str(root)) != str(root):
            number += 1
        return label


def _record(file: Path, band: str, cuts: int = _CUTS) -> Mapping[str, Any] | None:
    """Return what the record beside a copy says of it, with licence and version; None where there is none to read.

    Of pixels cut from a larger window it holds, as ``cut_from_record``, what is said of that one.
    """
    try:
        whole = parsed((file.parent / RECORD).read_text(encoding="utf-8"))
        told = {
            **whole["files"][f"{band}.tif"],
            "licence": whole["licence"],
            "version": whole["version"],
        }
        cut_from = told["request"].get("cut_from")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if cut_from is not None and cuts and stays_inside(str(cut_from)):
        told["cut_from_record"] = _record(file.parent.parent.parent / str(cut_from), band, cuts - 1)
    return told


def _read_as(file: Path) -> tuple[float | None, str | None]:
    """Return the DN of no data a file declares, 0 where none, and how it is resampled; None where it cannot be read."""
    try:
        with rasterio.open(file) as source:
            nodata = 0.0 if source.nodata is None else float(source.nodata)
            return nodata, resampled_by(source.transform, source.crs)
    except RasterioError:
        return None, None


def bands_of(file: Path) -> list[str]:
    """Return the names of a raster's bands; none where it cannot be read."""
    try:
        with rasterio.open(file) as source:
            return [name or "" for name in source.descriptions]
    except RasterioError:
        return []
