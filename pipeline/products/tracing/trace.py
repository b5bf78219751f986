"""From one number, or one sentence of the report, to the pixels it rests on: read from the result folder, offline."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from shapely.geometry.base import BaseGeometry

from pipeline.errors import InputError, ProductError
from pipeline.products._documents import (
    INPUTS,
    MANIFEST,
    MASKS,
    RUN,
    InputFile,
    Manifest,
    Run,
    read_document,
    stays_inside,
)
from pipeline.products.geopackage import read_tables
from pipeline.products.manifest import read_manifest
from pipeline.products.numbers import rows_of
from pipeline.products.results import Results
from pipeline.products.row_address import has_address, row_address
from pipeline.products.statements import Statement, statements
from pipeline.products.tracing.chain import STOCK, Columns, Rows
from pipeline.products.tracing.evidence_files import Evidence, bands_of
from pipeline.products.tracing.links import (
    Chain,
    MadeLink,
    MaskLink,
    OutlineLink,
    PlacedFile,
    RowLink,
    SceneLink,
    SentenceLink,
    Vouched,
)
from pipeline.records import ObservationRow, RunRow, Tables, ZoneRow

FORMAT = 1
SITE = "site"
"""Key of the site's folder among the roots."""
_NEAREST = 5
_NEEDS = {
    "footprints": "occupied ground: all pixels of the year's scenes in the windows of the footprint, and of the years "
    "beside it (docs/method.md)",
    "boundary_changes": "changed ground: the occupied ground of all years, made from all pixels of their scenes",
    "stockpile_observations": "which ground is a pile (the masks): all pixels of the year's scenes in the windows of "
    "the stockpile",
}
"""What making a row of a layer again needs beyond what is in the chain."""


def trace(folder: Path, asked: str) -> Chain:
    """Follow a number or a sentence to the files of the provider, and check the hash of each file on the way.

    Parameters
    ----------
    folder : Path
        Of a site's result.
    asked : str
        Address of a row (docs/contract.md, Addresses) or of a sentence of the report; what stands before ``#`` in an
        address of the page is left out.

    Raises
    ------
    InputError
        The folder holds no result, or nothing in it has this address; the nearest ones are named.
    ProductError
        The GeoPackage or the manifest cannot be read.
    """
    return _Tracing.of(folder).chain(unquote(asked.rpartition("#")[2]).strip())


@dataclass(frozen=True)
class _Tracing:
    """A result whose numbers are traced: its tables, its documents, and what is found on the way."""

    folder: Path
    manifest: Manifest
    run: Run
    tables: Tables
    rows: Rows
    facts: Mapping[str, str]
    files: Evidence
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "_Tracing":
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{folder}: holds no {MANIFEST}; name the folder of one site's result")
        manifest, run = read_manifest(folder), read_document(folder / RUN, Run)
        if not stays_inside(manifest.site):
            raise ProductError(f"{folder / MANIFEST}: site {manifest.site!r} is no name of a file; run the site again")
        tables = read_tables(folder / f"{manifest.site}.gpkg")
        layers = {layer: rows_of(layer, found) for layer, found in tables.items() if has_address(layer)}
        zones = {row.zone_id: row.geometry for row in tables["zones"] if isinstance(row, ZoneRow)}
        facts = {row.key: row.value for row in tables["run"] if isinstance(row, RunRow)}
        return cls(folder, manifest, run, tables, Rows(layers, zones), facts, Evidence(folder, run))

    def chain(self, asked: str) -> Chain:
        said = {one.anchor: one for one in self.sentences()}
        sentence = _sentence(said[asked]) if asked in said else None
        start = sentence.rests_on if sentence is not None else self._start(asked, said)
        reached = self.rows.all_below(start)
        scenes = {s.address.partition("/")[2]: s for s in map(self._scene, self._in(reached, "scenes"))}
        outlines = tuple(map(self._outline, self._in(reached, "stockpile_observations")))
        made = tuple(self._made(reached))
        vouched = self._vouched()
        stated = {at: self._stated(at) for at in [*(o.address for o in outlines), *(m.address for m in made)]}
        return Chain(
            FORMAT,
            asked,
            self.manifest.site,
            self.manifest.simulated,
            int(self.facts["epsg"]),
            sentence,
            tuple(start),
            {at: RowLink(self.rows.layer_of[at], self.rows.columns(at), self.rows.below(at)) for at in reached},
            outlines,
            made,
            stated,
            scenes,
            {SITE: str(self.folder), **self.files.roots},
            vouched,
            tuple(need for layer, need in _NEEDS.items() if self._in(reached, layer)),
            tuple(dict.fromkeys([*self.problems, *self.files.problems])),
        )

    @cached_property
    def outlines(self) -> dict[str, BaseGeometry]:
        """Outlines of piles on single dates, by address."""
        rows = [row for row in self.tables["stockpile_observations"] if isinstance(row, ObservationRow)]
        return {row_address("stockpile_observations", row): row.geometry for row in rows if row.geometry is not None}

    def sentences(self) -> tuple[Statement, ...]:
        base = self.facts["baseline_year"]
        return statements(Results(self.tables, int(base) if base else None), float(self.facts["fdr_q"]))

    def _start(self, asked: str, said: Mapping[str, Statement]) -> list[str]:
        if asked in self.rows.layer_of:
            return [asked]
        known = [*said, *self.rows.layer_of]
        near = difflib.get_close_matches(asked, known, _NEAREST, cutoff=0.3)
        hint = f"the nearest: {', '.join(near)}" if near else "they stand in report.html, after # in its links"
        raise InputError(f"{asked!r}: no row and no sentence of {self.manifest.site} has this address; {hint}")

    def _in(self, reached: Sequence[str], layer: str) -> list[str]:
        return [at for at in reached if self.rows.layer_of[at] == layer]

    def _stated(self, at: str) -> dict[str, float]:
        """Return what a recomputation is held against."""
        row = self.rows.columns(at)
        told = {"area_m2": row["value"] if "value" in row else row["area_m2"]}
        if at in self.outlines:
            centre = self.outlines[at].centroid
            told |= {"east_m": centre.x, "north_m": centre.y}
            told |= {name: row[name] for name in ("pile_level", "background_level")}
        return {name: float(value) for name, value in told.items() if value is not None}

    def _made(self, reached: Sequence[str]) -> Iterator[MadeLink]:
        for at in self._in(reached, "stockpiles"):
            yield MadeLink(at, "median", self.rows.below(at))
        for at in self._in(reached, "measurements"):
            row = self.rows.columns(at)
            if row["metric"] == STOCK and row["value"] is not None:
                yield MadeLink(at, "sum", tuple(self.rows.counted(row["zone_id"], row["year"])))

    def _outline(self, at: str) -> OutlineLink:
        row = self.rows.columns(at)
        level = float(self.manifest.settings["stockpile"]["outline_level"])
        return OutlineLink(at, row["pile_id"], row["year"], row["scene_id"], level, self._masks(row))

    def _masks(self, row: Columns) -> MaskLink | None:
        path = f"{MASKS}/{row['pile_id']}.tif"
        placed = self._product(path)
        if placed is None or placed.state == "missing":
            return None
        bands = bands_of(self.folder / path)
        try:
            objects, usable = bands.index(f"object {row['year']}") + 1, bands.index(row["scene_id"]) + 1
        except ValueError:
            self.problems.append(f"{path}: has no band of {row['year']} or of {row['scene_id']}")
            return None
        return MaskLink(**vars(placed), object_band=objects, usable_band=usable)

    def _product(self, path: str) -> PlacedFile | None:
        """Return a product as it is here; None where the manifest does not know it."""
        known = next((output for output in self.manifest.outputs if output.path == path), None)
        if known is None:
            self.problems.append(f"{path}: is not in {MANIFEST}; the result was made before there were such files")
            return None
        return self.files.placed(self.folder, SITE, path, known.sha256)

    def _scene(self, at: str) -> SceneLink:
        row = self.rows.columns(at)
        of_scene = [file for file in self.manifest.inputs if file.scene_id == row["scene_id"]]
        # The item a scene is named after is read first, the others by name.
        of_scene.sort(key=lambda file: (file.item_id != row["scene_id"], file.item_id, file.band))
        links = tuple(self.files.link(file, _declared(row["nodata_dn"], file)) for file in of_scene)
        shift = (row["shift_x_m"] or 0.0, row["shift_y_m"] or 0.0)
        return SceneLink(at, row["scale"], row["offset_dn"], shift, links)

    def _vouched(self) -> Vouched:
        package = self._product(f"{self.manifest.site}.gpkg")
        manifest = self.files.placed(self.folder, SITE, MANIFEST, self.run.manifest_sha256)
        if package is None:
            raise ProductError(f"{self.folder / MANIFEST}: does not name the GeoPackage; run the site again")
        of = self.manifest
        copies = (output for output in of.outputs if output.path.startswith(f"{INPUTS}/"))
        return Vouched(
            package,
            tuple(self.files.placed(self.folder, SITE, copy.path, copy.sha256) for copy in copies),
            manifest,
            self.files.newest_run(),
            of.key,
            of.version,
            of.code_sha256,
            self.run.started,
            self.run.finished,
            self.run.previous_run_sha256,
        )


def _sentence(said: Statement) -> SentenceLink:
    title = f"{said.title}, {said.place}"
    return SentenceLink(said.anchor, title, said.text, said.verdict, said.figures, said.rests_on)


def _declared(nodata: str | None, file: InputFile) -> float | None:
    """Return the DN of no data the catalogue declares for a file, of the column ``nodata_dn``."""
    told = dict(part.split("=") for part in (nodata or "").split()) if "=" in (nodata or "") else {}
    number = told.get(file.band) if told else nodata
    return None if number is None else float(number)
