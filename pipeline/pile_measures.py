"""Piles through the years -> their tier, their zone, and the measurements they are compared by. Pure."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from shapely import Point

from pipeline.config import Config
from pipeline.findings import PileSeries
from pipeline.types import Measurement, Tier, Zone


def pile_tier(series: PileSeries) -> Tier:
    """One tier for a pile through the years: probable when it is in at least half of the years it is present.

    A tier that changed with every year would turn a pile at the limit into an increase and a decrease.
    """
    tiers = [year.tier for year in series.years if year.tier is not None]
    return "probable" if tiers and tiers.count("probable") * 2 >= len(tiers) else "candidate"


def as_candidates(piles: Sequence[PileSeries]) -> list[PileSeries]:
    """Return the piles with every tier lowered to candidate: listed, never counted."""
    return [
        replace(pile, years=tuple(replace(y, tier="candidate") if y.tier else y for y in pile.years)) for pile in piles
    ]


def zone_of(series: PileSeries, zones: Sequence[Zone]) -> str:
    """Return the smallest zone a pile's point lies in; ``site`` when no other."""
    point = Point(series.point)
    inside = [zone for zone in zones if zone.geometry.intersects(point)]
    return min(inside, key=lambda zone: (zone.area_m2, zone.zone_id)).zone_id if inside else "site"


def pile_measurements(piles: Sequence[PileSeries]) -> list[Measurement]:
    """Area of every pile and year, for the comparison of piles (a family of its own); the zone is the pile."""
    return [
        Measurement(
            zone_id=pile.pile_id,
            year=year.year,
            metric="area_m2",
            value=year.area_m2,
            sigma=year.sigma_m2,
            unit="m2",
            n_dates=year.n_dates,
            valid_fraction=0.0 if year.area_m2 is None else 1.0,
            status="insufficient_data" if year.area_m2 is None else "ok",
            mean_day_of_year=year.mean_day_of_year,
            reason=year.reason,
        )
        for pile in piles
        for year in pile.years
    ]


def stock_covariance(
    piles: Sequence[PileSeries], zones: Sequence[Zone], config: Config
) -> dict[tuple[str, str, int, int], float]:
    """Covariance of the errors of every pile's area in two years, and of their sums by zone (science 3.3).

    The ground beside a pile that stays is the same in both years, and so is most of the error it makes: the
    correlation is ``uncertainty.year_correlation`` times the overlap of the two outlines.
    """
    found: dict[tuple[str, str, int, int], float] = {}
    for pile in piles:
        zone_ids = [zone.zone_id for zone in zones if zone.geometry.intersects(Point(pile.point))]
        present = [(y, y.geometry, y.sigma_m2) for y in pile.years if y.geometry is not None and y.sigma_m2]
        for (before, old, sigma_old), (after, new, sigma_new) in itertools.combinations(present, 2):
            overlap = old.intersection(new).area / old.union(new).area
            shared = config.uncertainty.year_correlation * overlap * sigma_old * sigma_new
            years = before.year, after.year
            found[pile.pile_id, "area_m2", *years] = shared
            for zone_id in zone_ids if pile_tier(pile) == "probable" else ():
                key = (zone_id, "stockpile_area_m2", *years)
                found[key] = found.get(key, 0.0) + shared
    return found
