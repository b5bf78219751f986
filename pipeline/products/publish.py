"""Findings -> a site's folder: GeoPackage, composites, report, manifest and the record of the run.

Everything is written in the work folder beside and renamed into place at the end, the manifest last: a
folder whose manifest fits its files is finished, anything else is run again.
"""

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import __version__
from pipeline.config import Config
from pipeline.drift import annual, drift_note
from pipeline.evidence import sha256_file
from pipeline.products._documents import COMPOSITES, INPUTS, MASKS, REBUILT, RUN, Run, read_document
from pipeline.products._qgis import write_composite_styles
from pipeline.products.atomic import write_error
from pipeline.products.custody.vouching import expected
from pipeline.products.exports import write_exports
from pipeline.products.finished import Finished
from pipeline.products.geopackage import read_tables, write_geopackage
from pipeline.products.inputs import write_inputs
from pipeline.products.kml import write_kml
from pipeline.products.manifest import ManifestInputs, build_manifest, describe, read_manifest
from pipeline.products.map_images import map_images
from pipeline.products.masks import write_masks
from pipeline.products.numbers import numbers_of
from pipeline.products.placing import go_on, place, seal
from pipeline.products.report import write_report
from pipeline.products.results import Results
from pipeline.products.runs import RunFacts, evidence_records
from pipeline.products.sentences import write_findings
from pipeline.products.site_map import SiteMap, site_map
from pipeline.products.software import code_sha256
from pipeline.products.stretch import read_composites
from pipeline.products.true_colour import true_colour
from pipeline.products.view import ReportFacts, View, build_view
from pipeline.records import LAYERS, MeasurementRow, RunRow, SiteRow
from pipeline.review.outcome import review_note
from pipeline.rules import UNASSESSED_RANKS
from pipeline.tables import Findings, make_tables
from pipeline.threads import hand_back


@dataclass(frozen=True)
class Published:
    """Where a site's results are; ``skipped`` when they were up to date already."""

    folder: Path
    simulated: bool
    skipped: bool = False


@dataclass(frozen=True)
class Draft:
    """A site's GeoPackage in the work folder, and what the record of the run says of the findings in it."""

    site_id: str
    package: Path
    said: str


def write_package(found: Findings, inputs: ManifestInputs, config: Config, work: Path) -> Draft:
    """Write the GeoPackage into the work folder; what was found is in it, and need not be held any longer."""
    tables = make_tables(found, _facts(found, inputs, config), config)
    package = work / "products" / f"{found.site.id}.gpkg"
    with _writing(config.out / found.site.id):
        package.parent.mkdir()
        title = f"SIMULATED {found.site.name.removeprefix('SIMULATED ')}" if inputs.simulated else found.site.name
        composites = read_composites(work / COMPOSITES)
        write_composite_styles(work / COMPOSITES, composites)
        write_geopackage(package, tables, found.grid.epsg, title, inputs.simulated, composites)
        write_masks(package.parent, found.piles, found.site.id, simulated=inputs.simulated)
    used = sum(scene.used for scene in found.scenes)
    return Draft(
        found.site.id, package, f"{len(found.scenes)} scenes read, {used} used, {len(found.piles)} piles or candidates"
    )


def publish(
    draft: Draft, inputs: ManifestInputs, config: Config, run: tuple[dt.datetime, int], work: Path
) -> Published:
    """Write the other products of a site, then its manifest, then the record of this run.

    Parameters
    ----------
    draft : Draft
    inputs : ManifestInputs
    config : Config
    run : tuple of (datetime, int)
        When the run started, and its workers.
    work : Path
        Holds the draft and ``composites/``.
    """
    folder, stage = config.out / draft.site_id, work / "products"
    with _writing(folder):
        composites = (work / COMPOSITES).rename(stage / COMPOSITES)
        masks = sorted((stage / MASKS).glob("*"))
        outputs = [draft.package, *sorted(composites.iterdir()), *masks, *write_readings(stage, draft.package)]
        manifest = build_manifest(inputs, stage, [*outputs, *write_inputs(stage, inputs)])
        facts = RunFacts(
            started=run[0],
            finished=dt.datetime.now(dt.UTC),
            workers=run[1],
            log=(draft.said,),
            evidence_root=inputs.evidence_root,
            archive_root=inputs.archive_root,
            records=evidence_records(manifest.inputs, inputs.evidence_root),
            numbers=numbers_of(draft.package),
            custody=expected(config.custody),
        )
        seal(stage, folder, manifest, facts)
    return Published(folder, inputs.simulated)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Say in one line that a site's folder cannot be written, and what to do."""
    try:
        yield
    except OSError as error:
        raise write_error(folder, error.strerror or str(error)) from error


def rebuild_report(folder: Path) -> None:
    """Write again what is made of a finished site's GeoPackage and composites, and the hashes of it in the manifest.

    Raises
    ------
    ProductError
        The folder holds no finished result, or a file could not be written; the former ones are then untouched.
    """
    started = dt.datetime.now(dt.UTC)
    with _writing(folder):
        go_on(folder)
    manifest = read_manifest(folder)
    stage = folder / REBUILT
    with _writing(folder):
        shutil.rmtree(stage, ignore_errors=True)
        try:
            stage.mkdir()
            made = describe(stage, write_readings(stage, folder / f"{manifest.site}.gpkg"))
            kept = (".gpkg", ".tif", ".qml")
            measured = [o for o in manifest.outputs if o.path.endswith(kept) or o.path.startswith(f"{INPUTS}/")]
            outputs = tuple(sorted([*measured, *made], key=lambda output: output.path))
            renewed = manifest.model_copy(update={"outputs": outputs})
            if renewed == manifest:
                place(stage, folder, manifest)
                return
            # Another version of the program words its reports otherwise: the manifest is renewed, the run recorded.
            former = read_document(folder / RUN, Run)
            roots = Path(former.evidence_root), Path(former.archive_root) if former.archive_root else None
            said = (f"reports by version {__version__}",)
            numbers = numbers_of(folder / f"{manifest.site}.gpkg")
            facts = RunFacts(started, dt.datetime.now(dt.UTC), 1, said, *roots, former.records, numbers, former.custody)
            seal(stage, folder, renewed, facts)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def write_readings(folder: Path, package: Path) -> list[Path]:
    """Write what is made of a finished GeoPackage and the composites beside it: reports, tables, outlines as KML."""
    source = Finished.at(package)
    return [*write_reports(folder, package), *write_exports(folder, source), write_kml(folder, source)]


def write_reports(folder: Path, package: Path) -> Sequence[Path]:
    """Write both reports from the finished GeoPackage and composites, and their sentences as data."""
    view, on_map = _view(package)
    # Outlines and pictures are drawn: what they took is free for the typesetter, which takes as much.
    hand_back()
    return [*write_report(folder, view, on_map), write_findings(folder, view, package.stem)]


def _view(package: Path) -> tuple[View, SiteMap | None]:
    """Say all that the reports say and show; the outlines of single dates are not in it."""
    tables = read_tables(package, [name for name in LAYERS if name != "stockpile_observations"])
    facts = {row.key: row.value for row in tables["run"] if isinstance(row, RunRow)}
    measured = {m.year for m in tables["measurements"] if isinstance(m, MeasurementRow) and m.value is not None}
    composites = package.parent / COMPOSITES
    pictures = true_colour(composites, measured, int(facts["epsg"]))
    said = replace(_report_facts(facts), package_sha256=sha256_file(package))
    view = build_view(tables, pictures, said)
    results = Results(tables, said.baseline_year)
    if any(site.geometry.is_empty for site in results.rows("sites", SiteRow)):
        return view, None  # a redacted copy that does not say where it is has no map
    return view, site_map(results, view.summary, map_images(composites), simulated=said.simulated)


def _facts(found: Findings, inputs: ManifestInputs, config: Config) -> dict[str, str]:
    """Return what the report says that is in no other table; nothing that differs between two runs."""
    perimeter = any(zone.reference == "perimeter" for zone in found.zones)
    facts = {
        "baseline_year": "" if found.baseline_year is None else str(found.baseline_year),
        "reference_scene": found.reference_scene or "none",
        "site_id": found.site.id,
        "site_name": found.site.name,
        "kind": found.site.kind,
        "coal_rank": found.site.coal_rank,
        "simulated": "yes" if inputs.simulated else "no",
        "version": __version__,
        "code_sha256": code_sha256(),
        "epsg": str(found.grid.epsg),
        "reference": "perimeter" if perimeter else "baseline_footprint",
        "fdr_q": f"{config.stats.fdr_q:g}",
        "evidence": _evidence(inputs),
        "illumination_gate": illumination_gate(config),
        "setting_years": f"{config.years.first}-{config.years.last}",
        "setting_stockpile_windows": _windows(config.windows.stockpile),
        "setting_footprint_windows": _windows(config.windows.footprint),
        "setting_min_dates": str(config.min_dates),
        "setting_source": config.source.kind,
    }
    return facts | {f"note_{number}": note for number, note in enumerate(_notes(found, config), start=1)}


def _evidence(inputs: ManifestInputs) -> str:
    kinds = {band.evidence for scene in inputs.scenes for item in scene.bands for band in item}
    return "reference" if "reference" in kinds else "copy"


def _windows(windows: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{start} to {end}" for start, end in windows)


def _notes(found: Findings, config: Config) -> list[str]:
    """Lines a reader must know about this site's numbers."""
    notes = []
    if found.site.note:
        notes.append(f"Site: {found.site.note}")
    if any("scl" not in item.assets for s in found.scenes for item in s.stored.scene.items):
        way = "a trained mask (ukis-csmask)" if config.clear.without_scl == "csmask" else "colour"
        notes.append(f"The archive has no scene classification: cloud and cloud shadow are found by {way}.")
    notes.append(f"Illumination gate: {illumination_gate(config)}.")
    for band, substitute in sorted(config.source.band_substitutes.items()):
        notes.append(f"Band {band} is missing from the archive where band {substitute} was read in its place.")
    if found.site.coal_rank in UNASSESSED_RANKS:
        notes.append(f"Stockpiles are listed as candidates and not assessed: {UNASSESSED_RANKS[found.site.coal_rank]}.")
    if found.site.coal_rank == "none":
        notes.append("No coal role is known of this site: what is found here is looked for as hard coal.")
    review = review_note(found.reviewed)
    notes += [review] if review is not None else []
    notes.append(drift_note(annual(found.departures), config.radiometry.max_drift))
    if not any(f.role == "control" for f in found.site.features):
        notes.append("The site has no control zone: chance gain is judged from halves of each year's dates only.")
    return notes


def illumination_gate(config: Config) -> str:
    """Say whether ground in poor light was left out, and by what."""
    if config.clear.dem is None:
        return "off, no elevation model"
    least = config.clear.min_cos_incidence
    return f"on, {Path(config.clear.dem).name}: cosine of incidence at least {least:g}, no cast shadow"


def _report_facts(facts: Mapping[str, str]) -> ReportFacts:
    def lines(prefix: str) -> tuple[str, ...]:
        return tuple(
            f"{key.removeprefix(prefix).replace('_', ' ')}: {facts[key]}"
            for key in sorted(facts)
            if key.startswith(prefix)
        )

    return ReportFacts(
        site_id=facts["site_id"],
        site_name=facts["site_name"],
        kind=facts["kind"],
        simulated=facts["simulated"] == "yes",
        version=facts["version"],
        code_sha256=facts["code_sha256"][:12],
        settings=(
            f"coal rank: {facts['coal_rank']}",
            f"reference scene: {facts['reference_scene']}",
            *lines("setting_"),
        ),
        evidence=facts["evidence"],
        epsg=int(facts["epsg"]),
        baseline_year=int(facts["baseline_year"]) if facts["baseline_year"] else None,
        reference=facts["reference"],
        fdr_q=float(facts["fdr_q"]),
        notes=tuple(facts[key] for key in sorted(facts) if key.startswith("note_")),
    )
