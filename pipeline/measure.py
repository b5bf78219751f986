"""Piles and ground of a site -> one number per zone, year and metric, with its interval or why there is none.

Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from shapely import Point

from pipeline.compare import SITE_ZONE, Z95, adequate, quantity
from pipeline.config import Config
from pipeline.findings import BoundaryPiece, PileSeries, YearDates, ZoneGround
from pipeline.pile_measures import pile_tier
from pipeline.rules import WHOLE_SEEN
from pipeline.types import PIXEL_M, Measurement, PairMeasurement, Status, Zone

_COUNT_SIGMA = 0.5 / 1.96
"""A count is a whole number: half a unit either way at 95 %."""
_MAX_MISSING = 0.10
"""Piles of more than this share of the zone's area unseen in a year leave its sum without meaning."""
_MIN_CONTROL_OUTLINE_M = 500.0
"""Shorter control outlines say nothing about the gain per metre."""
_LEAST_SAID_M2 = PIXEL_M**2
"""Gain left out below one pixel is not worth a word."""


def common_baseline(measurements: Sequence[Measurement], wanted: int | None) -> int | None:
    """Return the one year every metric of a site is compared with.

    ``wanted`` when it is set; else the first year in which every metric of the whole site is adequate, so
    that stock and ground are compared with the same year; else the first in which any is; else None.
    """
    if wanted is not None:
        return wanted
    rows = [m for m in measurements if m.zone_id == SITE_ZONE]
    bad = {m.year for m in rows if not adequate(m)}
    good = {m.year for m in rows if adequate(m)}
    return min(good - bad or good, default=None)


def site_baseline(
    piles: Sequence[PileSeries],
    site: Zone,
    seen: Mapping[int, tuple[float, float]],
    dates: Sequence[YearDates],
    config: Config,
    unassessed: str | None = None,
) -> int | None:
    """Return the year to compare with where none is set, before any ground is measured: zones may rest on it.

    Parameters
    ----------
    piles, dates, config, unassessed
        As of :func:`measure_zones`.
    site : Zone
        The whole site.
    seen : Mapping[int, tuple of (float, float)]
        Of each year that has maps: share of the site seen on enough dates, for ground and for piles.
    """
    ground = {
        year: [replace(_unseen(site), valid_fraction=shares[0], stock_valid_fraction=shares[1])]
        for year, shares in seen.items()
    }
    return common_baseline(measure_zones(piles, [site], ground, dates, config, unassessed), None)


def measure_zones(
    piles: Sequence[PileSeries],
    zones: Sequence[Zone],
    ground: Mapping[int, Sequence[ZoneGround]],
    dates: Sequence[YearDates],
    config: Config,
    unassessed: str | None = None,
) -> list[Measurement]:
    """Every annual metric of every zone and year; ``unassessed`` says why stock is not assessed here, if so."""
    return [
        *stockpile_measurements(piles, zones, ground, dates, config, unassessed),
        *ground_measurements(zones, ground, dates, config),
    ]


def stockpile_measurements(
    piles: Sequence[PileSeries],
    zones: Sequence[Zone],
    ground: Mapping[int, Sequence[ZoneGround]],
    dates: Sequence[YearDates],
    config: Config,
    unassessed: str | None = None,
) -> list[Measurement]:
    """Area and number of counted piles in every zone and year; candidates are never counted."""
    counted = [p for p in piles if pile_tier(p) == "probable"]
    none_limit = config.stockpile.min_measure_px * PIXEL_M**2 / 1.96
    found = []
    for zone in zones:
        members = [p for p in counted if zone.geometry.intersects(Point(p.point))]
        for when in dates:
            seen = _of_zone(ground, when.year, zone) or _unseen(zone)
            status, reason = _adequacy(len(when.stock_days), seen.stock_valid_fraction, config)
            area, count, lost = _sum(members, when.year)
            if status != "insufficient_data" and lost:
                status, reason, area = _with_missing(area, members, lost)
            if unassessed is not None:
                status, reason = "not_assessed", unassessed
            row = _row(zone, when.year, when.stock_days, (status, reason))
            row = replace(row, n_dates=seen.stock_n_dates, valid_fraction=seen.stock_valid_fraction)
            row = replace(row, part_dates=when.stock_parts)
            # Below the smallest pile that is counted nothing is known, also where none was found.
            found.append(_filled(row, "stockpile_area_m2", "m2", (area[0], area[1] or none_limit)))
            found.append(_filled(row, "stockpile_count", "1", count))
    return found


def _unseen(zone: Zone) -> ZoneGround:
    """Ground of a zone in a year without a usable scene."""
    return ZoneGround(zone.zone_id, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0, {}, ())


def _row(zone: Zone, year: int, days: Sequence[int], verdict: tuple[Status, str | None]) -> Measurement:
    """Make a measurement without its number yet."""
    return Measurement(
        zone_id=zone.zone_id,
        year=year,
        metric="",
        value=None,
        sigma=None,
        unit="",
        n_dates=0,
        valid_fraction=0.0,
        status=verdict[0],
        mean_day_of_year=float(np.mean(days)) if days else None,
        reason=verdict[1],
    )


def _filled(row: Measurement, metric: str, unit: str, number: tuple[float, float]) -> Measurement:
    """Give a row its number, which an inadequate year does not get."""
    value, sigma = number if row.status in {"ok", "partial"} else (None, None)
    return replace(row, metric=metric, unit=unit, value=value, sigma=sigma)


def _sum(members: Sequence[PileSeries], year: int) -> tuple[tuple[float, float], tuple[float, float], list[PileSeries]]:
    """Area and count of one year with their standard deviations, and the piles that cannot be judged."""
    of_year = [(p, y) for p in members for y in p.years if y.year == year]
    judged = [y for _, y in of_year if y.area_m2 is not None]
    area = float(sum(y.area_m2 or 0.0 for y in judged))
    # The outline's common bias is the same in every year and leaves the difference; what differs adds up
    # like independent errors.
    sigma = float(np.sqrt(sum((y.sigma_m2 or 0.0) ** 2 for y in judged)))
    present = [y for y in judged if y.area_m2]
    doubtful = sum(1 for y in present if (y.area_m2 or 0.0) < 1.96 * (y.sigma_m2 or 0.0))
    lost = [p for p, y in of_year if y.area_m2 is None]
    # Each pile that could not be judged may be there: as with the area, the whole of it is added to the error.
    count = float(len(present)), float(np.linalg.norm([_COUNT_SIGMA, 0.5 * np.sqrt(doubtful), len(lost)]))
    return (area, sigma), count, lost


def _with_missing(
    area: tuple[float, float], members: Sequence[PileSeries], lost: Sequence[PileSeries]
) -> tuple[Status, str, tuple[float, float]]:
    """Widen a year's sum by the piles that could not be judged, or give it up when they are many."""
    # A year that reviewers left open still says how large the pile would be.
    sizes = {p.pile_id: [y.area_max_m2 if y.area_m2 is None else y.area_m2 for y in p.years] for p in members}
    largest = {name: max(size or 0.0 for size in of_pile) for name, of_pile in sizes.items()}
    missing = sum(largest[p.pile_id] for p in lost)
    if missing > _MAX_MISSING * sum(largest.values()):
        return "insufficient_data", f"{len(lost)} of {len(members)} piles could not be outlined", area
    return "partial", f"{len(lost)} small piles could not be outlined", (area[0], float(np.hypot(area[1], missing)))


def ground_measurements(
    zones: Sequence[Zone], ground: Mapping[int, Sequence[ZoneGround]], dates: Sequence[YearDates], config: Config
) -> list[Measurement]:
    """Occupied ground of every zone and year."""
    found = []
    for zone in zones:
        for when in dates:
            seen = _of_zone(ground, when.year, zone) or _unseen(zone)
            row = _row(zone, when.year, when.ground_days, _adequacy(len(when.ground_days), seen.valid_fraction, config))
            row = replace(row, n_dates=seen.n_dates, valid_fraction=seen.valid_fraction, part_dates=when.ground_parts)
            found.append(_filled(row, "footprint_area_m2", "m2", (seen.area_m2, seen.sigma_m2)))
    return found


def boundary_measurements(
    zones: Sequence[Zone],
    ground: Mapping[int, Sequence[ZoneGround]],
    pairs: Mapping[tuple[int, int], Sequence[BoundaryPiece]],
    config: Config,
) -> list[PairMeasurement]:
    """Certain gain of every zone and pair of years beside what unchanged ground shows by chance.

    The chance level is the larger of two: the mean certain gain between halves of a year's dates in the
    zone, and the controls' gain per metre of outline in the same pair of years times the zone's outline.
    """
    found = []
    for (earlier, later), pieces in sorted(pairs.items()):
        gain = {piece.zone_id: piece for piece in pieces if piece.change == "certain_gain"}
        rate = _control_rate(zones, (ground.get(earlier, ()), ground.get(later, ())), gain, config)
        found += [_boundary(zone, (earlier, later), gain, ground, (rate, config)) for zone in zones]
    return found


def _boundary(
    zone: Zone,
    years: tuple[int, int],
    gain: Mapping[str, BoundaryPiece],
    ground: Mapping[int, Sequence[ZoneGround]],
    by: tuple[float, Config],
) -> PairMeasurement:
    """Certain gain of one zone; ``by`` is the controls' gain per metre, and the configuration."""
    rate, config = by
    before, after = (_of_zone(ground, year, zone) for year in years)
    piece = gain.get(zone.zone_id)
    nothing = PairMeasurement(
        zone.zone_id, "boundary_gain_m2", *years, None, None, None, "m2", "insufficient_data", "a year is not adequate"
    )
    if piece is None or before is None or after is None:
        return nothing
    if min(before.valid_fraction, after.valid_fraction) < config.adequate_fraction:
        return nothing
    halves = [c for year in sorted(ground) for g in ground[year] if g.zone_id == zone.zone_id for c in g.chance_m2]
    chance = max(float(np.mean(halves)), 0.0 if zone.role == "control" else rate * before.outline_m)
    spread = float(np.std(halves, ddof=1))
    smallest = config.footprint.min_px * PIXEL_M**2 / 1.96
    sigma = float(np.sqrt(piece.sigma_m2**2 + spread**2 + smallest**2))
    waiting = quantity(piece.waiting_m2, "m2")
    if piece.area_m2 - chance <= Z95 * sigma < piece.area_m2 + piece.waiting_m2 - chance:
        # Neither a gain nor none: what is new may still be a field that rotates.
        return replace(nothing, reason=f"{waiting} of new ground wait for another adequate year to confirm them")
    parts = (
        (piece.waiting_m2, "not confirmed by another year"),
        (piece.passing_m2, "green again later"),
        (piece.shore_m2, "by water"),
    )
    left_out = ", ".join(f"{quantity(area, 'm2')} {why}" for area, why in parts if area >= _LEAST_SAID_M2)
    note = f"not counted: {left_out}" if left_out else None
    return replace(nothing, value=piece.area_m2, sigma=sigma, chance_value=chance, status="ok", reason=None, note=note)


def _control_rate(
    zones: Sequence[Zone],
    years: tuple[Sequence[ZoneGround], Sequence[ZoneGround]],
    gain: Mapping[str, BoundaryPiece],
    config: Config,
) -> float:
    """Certain gain per metre of outline in the controls seen in both years; 0 where that is too short to say.

    A control that was not seen shows no gain: its outline would only thin the rate out.
    """
    earlier, later = ({g.zone_id: g for g in year if g.valid_fraction >= config.adequate_fraction} for year in years)
    seen = [z.zone_id for z in zones if z.role == "control" and z.zone_id in earlier and z.zone_id in later]
    outline_m = sum(earlier[zone_id].outline_m for zone_id in seen)
    if outline_m < _MIN_CONTROL_OUTLINE_M:
        return 0.0
    return sum(gain[zone_id].area_m2 for zone_id in seen if zone_id in gain) / outline_m


def _of_zone(ground: Mapping[int, Sequence[ZoneGround]], year: int, zone: Zone) -> ZoneGround | None:
    return next((g for g in ground.get(year, ()) if g.zone_id == zone.zone_id), None)


def _adequacy(n_scenes: int, valid_fraction: float, config: Config) -> tuple[Status, str | None]:
    """Status of a year by its dates and by how much of the zone they show."""
    if n_scenes < config.min_dates:
        return "insufficient_data", f"{n_scenes} usable dates, {config.min_dates} are needed"
    if valid_fraction < config.adequate_fraction:
        return "insufficient_data", f"{valid_fraction:.0%} of the zone seen on {config.min_dates} dates or more"
    if valid_fraction < WHOLE_SEEN:
        return "partial", f"{valid_fraction:.0%} of the zone seen on {config.min_dates} dates or more"
    return "ok", None
