"""Which scenes a simulated year has, and everything about each that is drawn by lot. No pixels.

A scene depends on the seed, its site and its year alone, so years can be made in any order and any
number of processes.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipeline.sources._sim_sites import SimSite

OFFSET_SINCE = dt.date(2022, 1, 25)
"""First sensing day of baseline 04.00 (science 2.1)."""
REPROCESSED_YEAR = 2020
"""Two scenes a site of this year were reprocessed as 05.00 and carry the offset."""
FAULTS: dict[int, Literal["declared_but_absent", "present_but_not_declared"]] = {
    2019: "declared_but_absent",
    2022: "present_but_not_declared",
}
"""One scene a site of these years has metadata that do not fit its pixels."""
SWATH_EDGE_YEAR = 2020
"""One scene a site of this year covers the AOI only in part."""

_CYCLE_DAYS = 5  # two satellites on one relative orbit of ten days
_EARLY_YEAR = 2018  # before refinement on the reference image: larger shifts (science 2.4)
_SHIFT_M, _EARLY_SHIFT_M = 3.0, 8.0
_SNOW_MONTHS = (12, 1, 2)
_SPOILT, _THIN, _OVERCAST = (0.70, 0.98), (0.02, 0.10), (0.85, 1.0)  # cover of spoilt dates, others, and overcast years
_N_THIN, _N_SPARED = 2, 2  # dates a year with little cloud, and dates an overcast year is spared
_HAZE_SHARE, _EARLY_SHARE = 0.2, 0.3  # of all dates: with haze; of the first year's: badly registered
_EVERY_NTH_IN_BOTH_TILES = 4


@dataclass(frozen=True)
class SimScene:
    """One acquisition of a site.

    Attributes
    ----------
    seed : tuple of int
        Root of every random stream of the scene.
    cloud_cover : float
        Share of the AOI under cloud, 0-1, as asked for.
    shift_x_m, shift_y_m : float
        How far the content is displaced east and north, along the axes of the site's first tile.
    sun_zenith_deg, sun_azimuth_deg : float
        Azimuth clockwise from north.
    offset_in_dn, offset_declared : bool
        Whether +1000 is in the pixels, and whether the metadata say so.
    haze : float
        Mean path reflectance in blue; 0 is none.
    tiles : int
        How many of the site's tiles deliver it.
    """

    site_id: str
    datetime: dt.datetime
    platform: Literal["sentinel-2a", "sentinel-2b"]
    seed: tuple[int, ...]
    cloud_cover: float
    haze: float
    snow: bool
    shift_x_m: float
    shift_y_m: float
    sun_zenith_deg: float
    sun_azimuth_deg: float
    processing_baseline: str
    offset_in_dn: bool
    offset_declared: bool
    swath_edge: bool = False
    tiles: int = 1

    @property
    def fault(self) -> bool:
        """Whether the metadata lie about the offset."""
        return self.offset_in_dn != self.offset_declared

    def rng(self, purpose: int) -> np.random.Generator:
        """Random stream of one purpose, the same whatever else was drawn before."""
        return np.random.default_rng(np.random.SeedSequence([*self.seed, purpose]))


def plan_year(site: SimSite, year: int, seed: int) -> list[SimScene]:
    """Every scene of a site and year, by date.

    Parameters
    ----------
    site : SimSite
    year : int
    seed : int
        Not negative.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, site.index, year]))
    dates = _dates(site, year, rng)
    covers = _cloud_covers(site, year, [len(slot) for slot in dates], rng)
    days = [day for slot in dates for day in slot]
    scenes = [
        _scene(site, day, cover, (seed, site.index, year, number))
        for number, (day, cover) in enumerate(zip(days, covers, strict=True))
    ]
    scenes = _with_second_tile(site, scenes)
    return sorted(_with_troubles(year, scenes), key=lambda scene: scene.datetime)


def sun_position(when: dt.datetime, longitude: float, latitude: float) -> tuple[float, float]:
    """Sun zenith and azimuth in degrees (azimuth clockwise from north), Spencer 1971; good to half a degree.

    On purpose not the formula the pipeline measures with: the truth must not share its errors.
    """
    hours = when.hour + when.minute / 60 + when.second / 3600
    g = 2 * np.pi / 365 * (when.timetuple().tm_yday - 1 + (hours - 12) / 24)
    equation_min = 229.18 * (
        0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g) - 0.040849 * np.sin(2 * g)
    )
    declination = (
        0.006918 - 0.399912 * np.cos(g) + 0.070257 * np.sin(g) - 0.006758 * np.cos(2 * g)
        + 0.000907 * np.sin(2 * g) - 0.002697 * np.cos(3 * g) + 0.00148 * np.sin(3 * g)
    )  # fmt: skip
    hour_angle = np.radians((hours * 60 + equation_min + 4 * longitude) / 4 - 180)
    phi = np.radians(latitude)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    east = -np.cos(declination) * np.sin(hour_angle)
    north = np.sin(declination) * np.cos(phi) - np.cos(declination) * np.sin(phi) * np.cos(hour_angle)
    return float(np.degrees(np.arccos(up))), float(np.degrees(np.arctan2(east, north)) % 360)


def _dates(site: SimSite, year: int, rng: np.random.Generator) -> list[list[dt.date]]:
    """Days of each slot: overpasses of the five-day cycle, spread over the slot with jitter."""
    found = []
    for first, last, count, _ in site.slots:
        start, end = dt.date.fromisoformat(f"{year}-{first}"), dt.date.fromisoformat(f"{year}-{last}")
        passes = [
            day
            for day in (start + dt.timedelta(days=n) for n in range((end - start).days + 1))
            if day.toordinal() % _CYCLE_DAYS == site.relative_orbit % _CYCLE_DAYS
        ]
        parts = np.array_split(np.arange(len(passes)), count)
        found.append([passes[int(rng.choice(part))] for part in parts])
    return found


def _cloud_covers(site: SimSite, year: int, counts: list[int], rng: np.random.Generator) -> list[float]:
    """Cloud cover of each date, slot by slot: the slots' share of spoilt dates, two with little, else none.

    So few that a year of any seed can be judged, as the sites mean it.
    """
    covers = np.zeros(sum(counts))
    for start, count, slot in zip(np.cumsum([0, *counts]), counts, site.slots, strict=False):
        covers[start + rng.permutation(count)[: slot[-1]]] = rng.uniform(*_SPOILT, slot[-1])
    covers[rng.permutation(np.flatnonzero(covers == 0))[:_N_THIN]] = rng.uniform(*_THIN, _N_THIN)
    if site.clear_years is not None and year not in site.clear_years:
        clouded = rng.permutation(covers.size)[_N_SPARED:]
        covers[clouded] = rng.uniform(*_OVERCAST, clouded.size)
    return [float(cover) for cover in covers]


def _scene(site: SimSite, day: dt.date, cover: float, seed: tuple[int, ...]) -> SimScene:
    rng = np.random.default_rng(np.random.SeedSequence([*seed, 0]))
    # 10:30 local mean solar time at the descending node; seconds tell scenes apart as in real names.
    minutes = 630.0 - site.longitude * 4.0 + 10.0
    when = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(
        seconds=int(minutes * 60) + int(rng.integers(0, 9))
    )
    zenith, azimuth = sun_position(when, site.longitude, site.latitude)
    early = day.year == _EARLY_YEAR and rng.random() < _EARLY_SHARE
    shift = rng.normal(0.0, _EARLY_SHIFT_M if early else _SHIFT_M, 2)
    new = day >= OFFSET_SINCE
    return SimScene(
        site_id=site.id,
        datetime=when,
        platform="sentinel-2a" if day.toordinal() // _CYCLE_DAYS % 2 else "sentinel-2b",
        seed=seed,
        cloud_cover=cover,
        haze=float(rng.uniform(0.01, 0.035)) if rng.random() < _HAZE_SHARE else 0.0,
        snow=day.month in _SNOW_MONTHS,
        shift_x_m=round(float(shift[0]), 3),
        shift_y_m=round(float(shift[1]), 3),
        sun_zenith_deg=round(zenith, 4),
        sun_azimuth_deg=round(azimuth, 4),
        processing_baseline=_baseline(day),
        offset_in_dn=new,
        offset_declared=new,
    )


def _baseline(day: dt.date) -> str:
    """Tell the processing baseline a scene had when it was new (rounded to a few of many)."""
    steps = (
        ("02.07", dt.date.min),
        ("02.14", dt.date(2020, 1, 1)),
        ("04.00", OFFSET_SINCE),
        ("05.09", dt.date(2023, 1, 1)),
    )
    return [baseline for baseline, since in steps if day >= since][-1]


def _with_second_tile(site: SimSite, scenes: list[SimScene]) -> list[SimScene]:
    if len(site.tiles) == 1:
        return scenes
    return [replace(s, tiles=len(site.tiles)) if n % _EVERY_NTH_IN_BOTH_TILES == 0 else s for n, s in enumerate(scenes)]


def _with_troubles(year: int, scenes: list[SimScene]) -> list[SimScene]:
    """Reprocess, mislabel or cut scenes of the years that have such; always the clearest without snow."""
    order = sorted((n for n, s in enumerate(scenes) if not s.snow), key=lambda n: (scenes[n].cloud_cover, n))
    changed = list(scenes)
    if year == REPROCESSED_YEAR:
        for n in order[:2]:
            changed[n] = replace(changed[n], processing_baseline="05.00", offset_in_dn=True, offset_declared=True)
    if FAULTS.get(year) == "declared_but_absent":
        changed[order[0]] = replace(changed[order[0]], processing_baseline="05.00", offset_declared=True)
    if FAULTS.get(year) == "present_but_not_declared":
        changed[order[0]] = replace(changed[order[0]], offset_declared=False)
    if year == SWATH_EDGE_YEAR:
        changed[order[-1]] = replace(changed[order[-1]], swath_edge=True)
    return changed
