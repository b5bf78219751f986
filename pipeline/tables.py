"""Findings of a site -> the rows of its GeoPackage, in a fixed order. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shapely.geometry.base import BaseGeometry

from pipeline.breaks import BreakResult
from pipeline.claims import ClaimFinding
from pipeline.compare import Z95
from pipeline.config import Config, in_windows
from pipeline.drift import Departure, SceneDeparture, annual, by_platform, drifts
from pipeline.findings import Advance, BoundaryPiece, PileSeries, PreparedScene, ZoneGround
from pipeline.grid import reproject
from pipeline.imagery import Refusal, StoredScene
from pipeline.pile_tables import observation_rows, pile_change_rows, pile_rows, year_span
from pipeline.records import (
    LAYERS,
    BoundaryChangeRow,
    ChangeRow,
    ClaimRow,
    FootprintRow,
    MeasurementRow,
    RunRow,
    SceneRow,
    SiteRow,
    Tables,
    YearSceneRow,
    ZoneRow,
)
from pipeline.review.outcome import Reviewed, gain_id
from pipeline.review.rows import agreement_rows, outline_rows, review_rows
from pipeline.series_records import BreakRow, DriftRow, PlatformRow, TrendRow
from pipeline.trend import TrendResult
from pipeline.types import Change, Claim, Grid, Measurement, Site, Zone

_LONLAT = 4326


@dataclass(frozen=True)
class Findings:
    """Everything a site's run found, before it is written."""

    site: Site
    grid: Grid
    zones: Sequence[Zone]
    scenes: Sequence[PreparedScene]
    refused: Sequence[Refusal]
    piles: Sequence[PileSeries]
    ground: Mapping[int, Sequence[ZoneGround]]
    boundary: Mapping[tuple[int, int], Sequence[BoundaryPiece]]
    measurements: Sequence[Measurement]
    changes: Sequence[Change]
    pile_changes: Sequence[Change]
    trends: Sequence[TrendResult]
    breaks: Sequence[BreakResult]
    claims: Sequence[tuple[Claim, ClaimFinding]]
    baseline_year: int | None
    reference_scene: str | None
    departures: Sequence[SceneDeparture] = ()
    reviewed: Reviewed = field(default_factory=Reviewed)


def make_tables(found: Findings, facts: Mapping[str, str], config: Config) -> Tables:
    """Make the rows of every layer; a value that was not computed is None, never a stand-in.

    ``facts`` are the keys and values of the layer ``run``.
    """
    tables: Tables = {name: [] for name in LAYERS}
    tables["sites"] = list(_site_rows(found.site, found.grid.epsg))
    tables["zones"] = [ZoneRow(**vars(zone)) for zone in found.zones]
    tables["scenes"] = list(_scene_rows(found))
    tables["stockpiles"] = [row for pile in found.piles for row in pile_rows(pile, found.zones, config, found.reviewed)]
    tables["stockpile_observations"] = [row for pile in found.piles for row in observation_rows(pile)]
    tables["stockpile_changes"] = list(pile_change_rows(found.piles, found.pile_changes))
    tables["footprints"] = list(_footprint_rows(found, config))
    tables["boundary_changes"] = list(_boundary_rows(found))
    site_id, reviewed = found.site.id, found.reviewed
    tables["measurements"] = [_measurement_row(site_id, m) for m in (*found.measurements, *reviewed.measurements)]
    # These records have the columns' names but for the site: what is judged is what is written.
    tables["changes"] = [ChangeRow(site_id, **vars(change)) for change in (*found.changes, *reviewed.changes)]
    tables["year_scenes"] = list(_year_scene_rows(found, config))
    tables["trends"] = [TrendRow(site_id, **vars(trend)) for trend in found.trends]
    tables["breaks"] = [BreakRow(site_id, **vars(found_break)) for found_break in found.breaks]
    tables["claims"] = [
        ClaimRow(
            f.claim_id,
            c.quote,
            c.source,
            f.test,
            f.verdict,
            _with_counter(f.reason, c.counter_evidence),
            f.value,
            f.lo95,
            f.hi95,
            c.not_observable,
            c.metric,
            "; ".join(f"{zone_id} {'-'.join(map(str, years))}" for zone_id, *years in f.tested),
        )
        for c, f in found.claims
    ]
    limit = config.radiometry.max_drift
    tables["drift"] = [DriftRow(int(d.group), *_departed(d), drifts(d, limit)) for d in annual(found.departures)]
    tables["platforms"] = [PlatformRow(d.group, *_departed(d)) for d in by_platform(found.departures)]
    tables["reviews"] = list(review_rows(reviewed, found.grid.epsg))
    tables["analyst_outlines"] = list(outline_rows(reviewed))
    tables["agreement"] = list(agreement_rows(reviewed))
    tables["run"] = [RunRow(key, value) for key, value in sorted(facts.items())]
    return tables


def _departed(d: Departure) -> tuple[str, int, int, float, float | None, float | None]:
    return d.band, d.n_pixels, d.n_scenes, d.median, d.lo95, d.hi95


def _with_counter(reason: str, counter_evidence: str) -> str:
    """Counter-evidence stands beside every verdict, whatever it is."""
    return f"{reason} Counter-evidence: {counter_evidence}" if counter_evidence else reason


def _site_rows(site: Site, epsg: int) -> list[SiteRow]:
    rows = [
        SiteRow(
            reproject(site.aoi, _LONLAT, epsg),
            site.id,
            site.name,
            site.kind,
            "aoi",
            site.source,
            site.source_date,
            site.uncertainty_m,
        )
    ]
    rows += [
        SiteRow(
            reproject(f.geometry, _LONLAT, epsg),
            site.id,
            f.name,
            site.kind,
            f.role,
            f.source,
            f.source_date,
            f.uncertainty_m,
        )
        for f in site.features
    ]
    return rows


def _scene_rows(found: Findings) -> list[SceneRow]:
    rows = []
    for scene in found.scenes:
        s, c = scene.stored.scene, scene.calibration
        rows.append(
            SceneRow(
                _coverage(scene, found),
                s.scene_id,
                s.datetime,
                s.platform,
                s.processing_baseline,
                s.relative_orbit,
                scene.used,
                scene.reason,
                scene.clear_fraction,
                scene.offset_verdict,
                c.shift_x_m if scene.registered else None,
                c.shift_y_m if scene.registered else None,
                # One hash for the scene: that of its files' hashes, which the manifest lists one by one.
                scene.sha256,
                scene.residual_m,
                scene.stored.version,
                c.scale if scene.used else None,
                c.offset_dn if scene.used else None,
                _nodata(scene.stored),
            )
        )
    rows += [
        SceneRow(
            None,
            r.scene_id,
            r.datetime,
            r.platform,
            r.processing_baseline,
            r.relative_orbit,
            False,
            r.reason,
            None,
            None,
            None,
            None,
            None,
        )
        for r in found.refused
    ]
    return sorted(rows, key=lambda row: (row.datetime, row.scene_id))


def _nodata(stored: StoredScene) -> str | None:
    """Return the DN that the catalogue says are no data: one number, or ``band=number`` where bands do not agree."""
    told = {band.band: band.nodata for item in stored.bands for band in item if band.band != "scl"}
    if len(set(told.values())) == 1:
        (number,) = set(told.values())
        return None if number is None else f"{number:g}"
    return " ".join(f"{band}={number:g}" for band, number in sorted(told.items()) if number is not None)


def _coverage(scene: PreparedScene, found: Findings) -> BaseGeometry:
    """Return the part of the AOI the scene's tiles reach, in the grid's CRS."""
    covered = found.site.aoi.intersection(scene.stored.scene.items[0].coverage)
    for item in scene.stored.scene.items[1:]:
        covered = covered.union(found.site.aoi.intersection(item.coverage))
    return reproject(covered, _LONLAT, found.grid.epsg)


def _footprint_rows(found: Findings, config: Config) -> list[FootprintRow]:
    """Outlines by class; the interval stands at the zone's total, of which a class is a part without its own."""
    of_ground = [m for m in found.measurements if m.metric == "footprint_area_m2"]
    measured = {(m.zone_id, m.year) for m in of_ground if m.value is not None}
    rows = []
    for year in sorted(found.ground):
        span = year_span(year, config.windows.footprint)
        for zone in found.ground[year]:
            if (zone.zone_id, year) not in measured:
                continue
            total = sum(g.area for g in zone.by_class.values())
            for name, geometry in zone.by_class.items():
                if not geometry.is_empty:
                    area = zone.area_m2 * geometry.area / total
                    rows.append(FootprintRow(geometry, year, *span, name, zone.zone_id, area, None, None))
    return rows


def _boundary_rows(found: Findings) -> list[BoundaryChangeRow]:
    return [
        BoundaryChangeRow(
            p.geometry,
            earlier,
            later,
            p.change,
            p.zone_id,
            p.area_m2,
            *_advance(p.advance),
            _gain_review(found.reviewed, (earlier, later), p),
        )
        for (earlier, later), pieces in sorted(found.boundary.items())
        for p in pieces
        if not p.geometry.is_empty
    ]


def _advance(advance: Advance | None) -> tuple[float | None, float | None, float | None, float | None]:
    if advance is None:
        return None, None, None, None
    return advance.p50_m, advance.p90_m, advance.max_m, advance.length_m


def _gain_review(reviewed: Reviewed, years: tuple[int, int], piece: BoundaryPiece) -> str | None:
    standing = reviewed.ground.get(gain_id(*years, piece.zone_id)) if piece.change == "certain_gain" else None
    return None if standing is None else standing.state


def _year_scene_rows(found: Findings, config: Config) -> list[YearSceneRow]:
    """Scenes a year's number of a metric rests on: those used whose day lies in the windows of the metric."""
    used = sorted((s for s in found.scenes if s.used), key=lambda s: (s.stored.scene.datetime, s.stored.scene.scene_id))
    rows = []
    measured = (*found.measurements, *found.reviewed.measurements)
    metrics = {m.metric for m in measured} | {c.metric for c in found.changes}
    for metric in sorted(metrics | {t.metric for t in found.trends}):
        windows = config.windows.stockpile if "stockpile" in metric else config.windows.footprint
        rows += [
            YearSceneRow(metric, s.date.year, s.scene_id, s.date, prepared.clear_fraction)
            for prepared in used
            for s in [prepared.stored.scene]
            if in_windows(s.date, windows)
        ]
    return rows


def _measurement_row(site_id: str, m: Measurement) -> MeasurementRow:
    half = None if m.sigma is None else Z95 * m.sigma
    low = None if m.value is None or half is None else max(m.value - half, 0.0)
    high = None if m.value is None or half is None else m.value + half
    return MeasurementRow(
        site_id, m.zone_id, m.year, m.metric, m.value, low, high, m.unit, m.n_dates, m.valid_fraction, m.status
    )
