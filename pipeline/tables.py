"""Findings of a site -> the rows of its GeoPackage, in a fixed order. Pure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rasterio.features import rasterize
from shapely.geometry.base import BaseGeometry

from models import footprint, stockpile
from models.volume import volume_m3
from pipeline.claims import ClaimFinding
from pipeline.compare import Z95
from pipeline.config import Config, VolumeConfig, Window
from pipeline.findings import BoundaryPiece, PileSeries, PileYear, PreparedScene, ZoneGround
from pipeline.grid import reproject
from pipeline.measure import pile_tier, zone_of
from pipeline.records import (
    LAYERS,
    BoundaryChangeRow,
    ChangeRow,
    ClaimRow,
    FootprintRow,
    MeasurementRow,
    ObservationRow,
    RunRow,
    SceneRow,
    SiteRow,
    StockpileChangeRow,
    StockpileRow,
    Tables,
    TrendRow,
    ZoneRow,
)
from pipeline.trend import TrendResult
from pipeline.types import Change, Claim, Grid, Measurement, Refusal, Site, Zone

_LONLAT = 4326
_VOLUME_STEP_M = 2.0


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
    claims: Sequence[tuple[Claim, ClaimFinding]]
    facts: Mapping[str, str]


def make_tables(found: Findings, config: Config) -> Tables:
    """Rows of every layer; a value that was not computed is None, never a stand-in."""
    tables: Tables = {name: [] for name in LAYERS}
    tables["sites"] = list(_site_rows(found.site, found.grid.epsg))
    tables["zones"] = [ZoneRow(z.geometry, z.zone_id, z.role, z.name, z.reference, z.area_m2) for z in found.zones]
    tables["scenes"] = _scene_rows(found)
    tables["stockpiles"] = [row for pile in found.piles for row in _pile_rows(pile, found, config)]
    tables["stockpile_observations"] = [row for pile in found.piles for row in _observation_rows(pile)]
    tables["stockpile_changes"] = _pile_change_rows(found)
    tables["footprints"] = _footprint_rows(found, config)
    tables["boundary_changes"] = _boundary_rows(found)
    site_id = found.site.id
    tables["measurements"] = [_measurement_row(site_id, m) for m in found.measurements]
    tables["changes"] = [
        ChangeRow(
            site_id, c.zone_id, c.metric, c.year_from, c.year_to, c.delta, c.lo95, c.hi95, c.mdc95, c.unit,
            c.p_value, c.q_value, c.verdict, c.reason,
        )
        for c in found.changes
    ]  # fmt: skip
    tables["trends"] = [
        TrendRow(
            site_id, t.zone_id, t.metric, t.year_first, t.year_last, t.n_years, t.slope_per_year, t.lo95, t.hi95,
            t.unit, t.p_value, t.q_value, t.verdict, t.reason,
        )
        for t in found.trends
    ]  # fmt: skip
    tables["claims"] = [
        ClaimRow(
            f.claim_id, c.quote, c.source, f.test, f.verdict, _with_counter(f.reason, c.counter_evidence),
            f.value, f.lo95, f.hi95, c.not_observable,
        )
        for c, f in found.claims
    ]  # fmt: skip
    tables["run"] = [RunRow(key, value) for key, value in sorted(found.facts.items())]
    return tables


def _with_counter(reason: str, counter_evidence: str) -> str:
    """Counter-evidence stands beside every verdict, whatever it is."""
    return f"{reason} Counter-evidence: {counter_evidence}" if counter_evidence else reason


def _site_rows(site: Site, epsg: int) -> list[SiteRow]:
    rows = [
        SiteRow(
            reproject(site.aoi, _LONLAT, epsg), site.id, site.name, site.kind, "aoi", site.source, site.source_date,
            site.uncertainty_m,
        )
    ]  # fmt: skip
    rows += [
        SiteRow(
            reproject(f.geometry, _LONLAT, epsg), site.id, f.name, site.kind, f.role, f.source, f.source_date,
            f.uncertainty_m,
        )
        for f in site.features
    ]  # fmt: skip
    return rows


def _scene_rows(found: Findings) -> list[SceneRow]:
    rows = []
    for scene in found.scenes:
        s, c = scene.stored.scene, scene.calibration
        rows.append(
            SceneRow(
                _coverage(scene, found), s.scene_id, s.datetime, s.platform, s.processing_baseline, s.relative_orbit,
                scene.used, scene.reason, scene.clear_fraction, scene.offset_verdict,
                c.shift_x_m if scene.registered else None, c.shift_y_m if scene.registered else None,
                # One hash for the scene: that of its files' hashes, which the manifest lists one by one.
                scene.sha256,
            )
        )  # fmt: skip
    rows += [
        SceneRow(
            None, r.scene_id, r.datetime, r.platform, r.processing_baseline, r.relative_orbit, False, r.reason,
            None, None, None, None, None,
        )
        for r in found.refused
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row.datetime, row.scene_id))


def _coverage(scene: PreparedScene, found: Findings) -> BaseGeometry:
    """The part of the AOI the scene's tiles reach, in the grid's CRS."""
    covered = found.site.aoi.intersection(scene.stored.scene.items[0].coverage)
    for item in scene.stored.scene.items[1:]:
        covered = covered.union(found.site.aoi.intersection(item.coverage))
    return reproject(covered, _LONLAT, found.grid.epsg)


def _span(year: int, windows: tuple[Window, ...]) -> tuple[dt.date, dt.date]:
    """First and last day of a year's windows."""
    first, last = min(start for start, _ in windows), max(end for _, end in windows)
    return dt.date.fromisoformat(f"{year}-{first}"), dt.date.fromisoformat(f"{year}-{last}")


def _pile_rows(pile: PileSeries, found: Findings, config: Config) -> list[StockpileRow]:
    rows = []
    tier, zone_id = pile_tier(pile), zone_of(pile, found.zones)
    for year in pile.years:
        if not year.area_m2 or year.geometry is None or year.sigma_m2 is None:
            continue
        half = Z95 * year.sigma_m2
        volume = _volume(year, config.volume)
        rows.append(
            StockpileRow(
                year.geometry, pile.pile_id, year.year, *_span(year.year, config.windows.stockpile), year.area_m2,
                max(year.area_m2 - half, 0.0), year.area_m2 + half, year.n_dates, year.persistence or 0.0, tier, zone_id,
                *volume, stockpile.MODEL.method,
            )
        )  # fmt: skip
    return rows


def _volume(year: PileYear, config: VolumeConfig) -> tuple[float | None, float | None]:
    """Volume between the two heights the configuration allows; None when it is not asked for."""
    if not config.enabled or year.geometry is None:
        return None, None
    left, bottom, right, top = year.geometry.buffer(2 * _VOLUME_STEP_M).bounds
    grid_shape = (int(np.ceil((top - bottom) / _VOLUME_STEP_M)), int(np.ceil((right - left) / _VOLUME_STEP_M)))
    transform = (_VOLUME_STEP_M, 0.0, left, 0.0, -_VOLUME_STEP_M, top)
    inside = rasterize([(year.geometry, 1)], out_shape=grid_shape, transform=transform, dtype="uint8").astype(bool)
    low, high = (volume_m3(inside, _VOLUME_STEP_M, config.repose_deg, h) for h in config.height_max_m)
    return low, high


def _observation_rows(pile: PileSeries) -> list[ObservationRow]:
    return [
        ObservationRow(
            o.geometry, pile.pile_id, o.scene_id, o.date, o.area_m2, max(o.area_m2 - Z95 * o.sigma_m2, 0.0),
            o.area_m2 + Z95 * o.sigma_m2, o.pile_level, o.background_level, o.clear_fraction,
        )
        for year in pile.years
        for o in year.observations
    ]  # fmt: skip


def _pile_change_rows(found: Findings) -> list[StockpileChangeRow]:
    outlines = {(p.pile_id, y.year): y.geometry for p in found.piles for y in p.years if y.geometry is not None}
    return [
        StockpileChangeRow(
            outlines.get((c.zone_id, c.year_to), outlines.get((c.zone_id, c.year_from))), c.zone_id, c.year_from,
            c.year_to, c.delta, c.lo95, c.hi95, c.mdc95, c.verdict,
        )
        for c in found.pile_changes
    ]  # fmt: skip


def _footprint_rows(found: Findings, config: Config) -> list[FootprintRow]:
    """Outlines by class; the interval stands at the zone's total, of which a class is a part without its own."""
    measured = {(m.zone_id, m.year) for m in found.measurements if m.metric == "footprint_area_m2" and m.value is not None}
    areas = {z.zone_id: z for z in found.zones}
    rows = []
    for year in sorted(found.ground):
        for zone in found.ground[year]:
            if (zone.zone_id, year) not in measured or zone.zone_id not in areas:
                continue
            total = sum(g.area for g in zone.by_class.values())
            for name in footprint.CLASSES:
                geometry = zone.by_class[name]
                if not geometry.is_empty:
                    area = zone.area_m2 * geometry.area / total
                    rows.append(
                        FootprintRow(
                            geometry, year, *_span(year, config.windows.footprint), name, zone.zone_id, area, None, None
                        )
                    )
    return rows


def _boundary_rows(found: Findings) -> list[BoundaryChangeRow]:
    return [
        BoundaryChangeRow(p.geometry, earlier, later, p.change, p.zone_id, p.area_m2, *(p.advance_m or (None, None, None)))
        for (earlier, later), pieces in sorted(found.boundary.items())
        for p in pieces
        if not p.geometry.is_empty
    ]


def _measurement_row(site_id: str, m: Measurement) -> MeasurementRow:
    half = None if m.sigma is None else Z95 * m.sigma
    low = None if m.value is None or half is None else max(m.value - half, 0.0)
    high = None if m.value is None or half is None else m.value + half
    return MeasurementRow(
        site_id, m.zone_id, m.year, m.metric, m.value, low, high, m.unit, m.n_dates, m.valid_fraction, m.status
    )
