"""What the report says, as plain text and drawings: built once, set as HTML and as PDF. Pure."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.products import texts
from pipeline.products.change_listings import changes_listing, pile_changes, trends_listing
from pipeline.products.claim_words import in_names, named
from pipeline.products.drawings import Drawing, chart_drawings, picture_drawings, picture_note
from pipeline.products.gaps import not_assessed
from pipeline.products.listings import (
    Listing,
    boundary_listing,
    piles_by_year,
    piles_of_year,
    values_listing,
)
from pipeline.products.pictures import Picture
from pipeline.products.results import SITE_ZONE, Results
from pipeline.products.review_listings import review_listings
from pipeline.products.rounding import ABSENT, show
from pipeline.products.scene_listings import scenes_listings
from pipeline.products.series_listings import breaks_listing, drift_listings
from pipeline.products.spelling import legible, span
from pipeline.products.statements import Statement, statements
from pipeline.products.wording import (
    METRICS,
    VERDICTS,
    attribution,
    evidence_note,
    listed,
    metric_noun,
    reference_note,
    sanctions_note,
    trend,
    unjudged,
)
from pipeline.records import (
    ClaimRow,
    RunRow,
    SceneRow,
    SiteRow,
    Tables,
)
from pipeline.series_records import TrendRow


@dataclass(frozen=True)
class ReportFacts:
    """What the report says that is not in the tables.

    Attributes
    ----------
    site_id, site_name, kind : str
        As in the site file.
    simulated : bool
        True when any input comes from the simulator: every page says SIMULATED.
    version, code_sha256 : str
        Version of the program and the (shortened) hash of its source.
    settings : tuple of str
        Lines on the settings that decide the numbers.
    evidence : str
        ``copy`` or ``reference``: whether the pixels are kept or referred to.
    epsg : int
        CRS of tables and pictures.
    baseline_year : int or None
        Year every other is compared with; None when no year was adequate.
    reference : str
        ``perimeter`` (sourced) or ``baseline_footprint``: what boundaries are compared with.
    fdr_q : float
        Largest q-value of a change.
    notes : tuple of str
        Further lines the reader must know (substituted bands, missing classes).
    package_sha256 : str
        Hash of the GeoPackage the report is made from, for its citation.
    """

    site_id: str
    site_name: str
    kind: str
    simulated: bool
    version: str
    code_sha256: str
    settings: tuple[str, ...]
    evidence: str
    epsg: int
    baseline_year: int | None
    reference: str
    fdr_q: float
    notes: tuple[str, ...] = ()
    package_sha256: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim in its own words beside what was measured."""

    claim_id: str
    quote: str
    source: str
    test: str
    verdict: str
    words: str
    number: str
    reason: str
    not_observable: str


@dataclass(frozen=True)
class View:
    """The whole report before it is set."""

    title: str
    simulated: bool
    facts: tuple[tuple[str, str], ...]
    summary: tuple[Statement, ...]
    summary_notes: tuple[str, ...]
    claims: tuple[Claim, ...]
    charts: tuple[Drawing, ...]
    chart_note: str
    pictures: tuple[Drawing, ...]
    picture_note: str
    results: tuple[Listing, ...]
    scenes_note: str
    scenes: tuple[Listing, ...]
    reading: tuple[tuple[str, str], ...]
    limits: tuple[str, ...]
    method: tuple[tuple[str, str], ...]
    not_assessed: tuple[str, ...]
    cite: tuple[str, ...]
    tracing: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    attribution: str


def build_view(tables: Tables, pictures: Sequence[Picture], facts: ReportFacts) -> View:
    """Turn finished results into everything the report says.

    Parameters
    ----------
    tables : Tables
        Every layer; geometries in the CRS of ``facts.epsg``.
    pictures : sequence of Picture
        True-colour images, one per year, all with the same stretch; those of the baseline and the newest
        adequate year are shown.
    facts : ReportFacts
        What is not in the tables.
    """
    results = Results(tables, facts.baseline_year)
    scenes = results.rows("scenes", SceneRow)
    credit = attribution([s.datetime.year for s in scenes if s.used], simulated=facts.simulated)
    n_used = sum(s.used for s in scenes)
    charts, not_drawn = chart_drawings(results, simulated=facts.simulated)
    title = f"Change report: {facts.site_name}"
    program = f"{facts.version} (source {facts.code_sha256})"
    return View(
        title=title,
        simulated=facts.simulated,
        facts=_facts(results, facts),
        summary=statements(results, facts.fdr_q),
        summary_notes=_summary_notes(results, facts),
        claims=tuple(_claim(row, results) for row in results.rows("claims", ClaimRow)),
        charts=charts,
        chart_note=f"{sanctions_note(results.years[0], results.years[-1])} {not_drawn}".strip()
        if results.years
        else "",
        pictures=picture_drawings(results, pictures, simulated=facts.simulated),
        picture_note=picture_note(results, pictures, facts.epsg),
        results=(
            *(piles_by_year(results), piles_of_year(results, results.newest_year())),
            *(changes_listing(results, facts.fdr_q, since_baseline=True), trends_listing(results, facts.fdr_q)),
            *(changes_listing(results, facts.fdr_q, since_baseline=False), pile_changes(results)),
            *(boundary_listing(results), values_listing(results)),
            *(breaks_listing(results, facts.fdr_q), *drift_listings(results)),
            *review_listings(results),
        ),
        scenes_note=f"Scenes considered: {len(scenes)}. Used: {n_used}. Refused: {len(scenes) - n_used}.",
        scenes=scenes_listings(results),
        reading=texts.READING,
        limits=texts.limits(results),
        method=texts.method(results),
        not_assessed=not_assessed(results),
        cite=texts.cite(title, program, (f"{facts.site_id}.gpkg", facts.package_sha256), scenes, credit),
        tracing=(*(t.format(site_id=facts.site_id) for t in texts.TRACING), evidence_note(facts.evidence)),
        versions=_versions(results, facts),
        attribution=credit,
    )


def _facts(results: Results, facts: ReportFacts) -> tuple[tuple[str, str], ...]:
    """Head of the report: what was looked at and against what."""
    years = span(results.years[0], results.years[-1]) if results.years else "none"
    aoi = [row for row in results.rows("sites", SiteRow) if row.role == "aoi"]
    source = [("Source of the outline", f"{r.source or 'not stated'}, {r.source_date or 'undated'}") for r in aoi]
    area = results.zones[SITE_ZONE].area_m2 if SITE_ZONE in results.zones else None
    return (
        ("Site", f"{facts.site_name} ({facts.site_id}), {facts.kind.replace('_', ' ')}"),
        *([("Area measured", show(area).value_with_unit)] if area is not None else []),
        *source,
        ("Years", years),
        ("Baseline year", str(facts.baseline_year) if facts.baseline_year is not None else "none: no adequate year"),
        ("Reference of boundaries", reference_note(facts.reference, facts.baseline_year)),
    )


def _summary_notes(results: Results, facts: ReportFacts) -> tuple[str, ...]:
    """Years and metrics without a verdict, trends, and what the reader must know besides."""
    of_site = [row for row in results.rows("trends", TrendRow) if row.zone_id == SITE_ZONE and row.metric in METRICS]
    missing = results.not_assessed()
    spoken = any(results.is_headline(key[0]) for rows in (results.measurements, results.changes) for key in rows)
    return (
        *([] if spoken else ["Nothing could be judged: insufficient data (no measurement of any year)."]),
        *([unjudged(results.unjudged())] if results.years else []),
        *([f"Not assessed: {listed([metric_noun(m) for m in missing])}."] if missing else []),
        *(trend(row, results.place(row.zone_id)).text for row in of_site),
        *(note if note.startswith("Site: ") else legible(note) for note in facts.notes),
    )


def _claim(row: ClaimRow, results: Results) -> Claim:
    """Return one claim as text; its number is in the unit of the metric its test names."""
    # In square metres as its reason is, so that both can be compared at sight.
    shown = show(row.value, row.lo95, row.hi95, "m²" if "_m2" in row.test else "count", signed="_m2" in row.test)
    number = "not assessed" if shown.value == ABSENT else shown.value_with_unit
    if shown.interval != ABSENT:
        number = f"{number} (95 % interval {shown.interval_with_unit})"
    words = VERDICTS.get(row.verdict, row.verdict)
    test, reason = in_names(row.test, results), named(legible(row.reason), results)
    return Claim(row.claim_id, row.quote, row.source, test, row.verdict, words, number, reason, row.not_observable)


def _versions(results: Results, facts: ReportFacts) -> tuple[tuple[str, str], ...]:
    """Program, settings and whatever the run recorded of itself."""
    settings = [_split(line) for line in facts.settings]
    # The run layer holds the facts too; what is said above is not said twice.
    said = {field.name for field in dataclasses.fields(facts)}
    run = [
        (row.key.replace("_", " "), row.value)
        for row in results.rows("run", RunRow)
        if row.key not in said
        and row.key.replace("_", " ") not in dict(settings)
        and not row.key.startswith(("setting_", "note_"))
    ]
    program = ("Stockline", f"{facts.version}, source {facts.code_sha256}")
    return (program, ("Coordinate system", f"EPSG:{facts.epsg}; areas geodesic"), *settings, *run)


def _split(line: str) -> tuple[str, str]:
    """Split ``key: value`` or ``key = value``; a line without either is a value of its own."""
    match = re.match(r"([^:=]{1,60})\s*[:=]\s*(.*)", line, flags=re.DOTALL)
    return (match[1].strip(), match[2]) if match else ("Setting", line)
