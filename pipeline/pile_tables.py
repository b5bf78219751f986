"""Piles through the years -> rows of the stockpile layers. Pure."""

import datetime as dt
from collections.abc import Sequence

import numpy as np
from rasterio.features import rasterize

from models import stockpile
from models.volume import volume_m3
from pipeline.compare import Z95
from pipeline.config import Config, VolumeConfig, Window
from pipeline.findings import PileSeries, PileYear
from pipeline.pile_measures import pile_tier, zone_of
from pipeline.records import ObservationRow, StockpileChangeRow, StockpileRow
from pipeline.review.outcome import Reviewed
from pipeline.types import Change, Zone

_VOLUME_STEP_M = 2.0


def year_span(year: int, windows: tuple[Window, ...]) -> tuple[dt.date, dt.date]:
    """Return first and last day of a year's windows."""
    first, last = min(start for start, _ in windows), max(end for _, end in windows)
    return dt.date.fromisoformat(f"{year}-{first}"), dt.date.fromisoformat(f"{year}-{last}")


def pile_rows(
    pile: PileSeries, zones: Sequence[Zone], config: Config, reviewed: Reviewed | None = None
) -> list[StockpileRow]:
    """Return a pile's row for every year it was there; all years share the machine's tier, a review is of a year."""
    rows = []
    tier, zone_id = pile_tier(pile), zone_of(pile, zones)
    said = (reviewed or Reviewed()).judged.of_pile(pile)
    for year in pile.years:
        if not year.area_m2 or year.geometry is None or year.sigma_m2 is None:
            continue
        half = Z95 * year.sigma_m2
        volume = _volume(year, config.volume)
        standing = said.get(year.year)
        confirmed = standing is not None and standing.state in {"accepted", "edited"}
        rows.append(
            StockpileRow(
                year.geometry,
                pile.pile_id,
                year.year,
                *year_span(year.year, config.windows.stockpile),
                year.area_m2,
                max(year.area_m2 - half, 0.0),
                year.area_m2 + half,
                year.n_dates,
                year.persistence or 0.0,
                "confirmed" if confirmed else tier,
                zone_id,
                *volume,
                stockpile.MODEL.method,
                year.score,
                year.material,
                None if year.persistence_95 is None else year.persistence_95[0],
                None if year.persistence_95 is None else year.persistence_95[1],
                year.area_max_m2,
                year.area_end_m2,
                " ".join(year.parts),
                tier,
                *((None, None) if standing is None else (standing.state, standing.reviewed_as)),
            )
        )
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


def observation_rows(pile: PileSeries) -> list[ObservationRow]:
    """Return a row for every date the pile was outlined on."""
    return [
        ObservationRow(
            o.geometry,
            pile.pile_id,
            o.scene_id,
            o.date,
            o.area_m2,
            max(o.area_m2 - Z95 * o.sigma_m2, 0.0),
            o.area_m2 + Z95 * o.sigma_m2,
            o.pile_level,
            o.background_level,
            o.clear_fraction,
            o.score,
            year.year,
        )
        for year in pile.years
        for o in year.observations
    ]


def pile_change_rows(piles: Sequence[PileSeries], changes: Sequence[Change]) -> list[StockpileChangeRow]:
    """Return the judged pairs of years of every pile, drawn with the later outline where there is one."""
    outlines = {(p.pile_id, y.year): y.geometry for p in piles for y in p.years if y.geometry is not None}
    return [
        StockpileChangeRow(
            outlines.get((c.zone_id, c.year_to), outlines.get((c.zone_id, c.year_from))),
            c.zone_id,
            c.year_from,
            c.year_to,
            c.delta,
            c.lo95,
            c.hi95,
            c.mdc95,
            c.verdict,
        )
        for c in changes
    ]
