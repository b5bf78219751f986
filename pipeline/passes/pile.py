"""Object pass: one pile in one year, all its dates, in a small window; then one pile, all its years."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from models._delineate import place_of
from models._spectrum import Levels
from models._uncertainty import median_sigma
from models.stockpile import SPECTRUM_BANDS, Score, persistence_interval, score
from pipeline.compare import Z95
from pipeline.config import Config, in_windows
from pipeline.findings import Observation, PileSeries, PileYear, PreparedScene
from pipeline.grid import window
from pipeline.maps import read_map
from pipeline.passes.families import Family, deepest, pile_name
from pipeline.passes.mask import masks_beside, read_masks
from pipeline.passes.observe import PileGround, observe
from pipeline.pile_masks import packed
from pipeline.types import PIXEL_M, Bool, Grid, Tier

_PART_PX = 512
"""Edge of the parts of the grid whose piles share a task: a few seconds of work where piles are many."""
_AROUND_PX = 4
"""How far round a pile a date must be clear to be outlined."""
_MIN_THICKNESS_PX = 2.0
"""Persistent dark ground thinner than this everywhere is a road or an edge before it is a pile."""


@dataclass(frozen=True)
class PileJob:
    """Piles near each other in one year, and all that their measurement rests on.

    Attributes
    ----------
    families : tuple of Family
    year : int
    maps : Path
        Of the year.
    scenes : tuple of PreparedScene
        Used scenes of the year, all of them, in order of time.
    """

    families: tuple[Family, ...]
    year: int
    maps: Path
    scenes: tuple[PreparedScene, ...]


@dataclass(frozen=True)
class Measured:
    """One pile in one year, not yet judged, and the thickness of what persists of it, pixels."""

    year: PileYear
    thickness_px: float


def pile_jobs(families: Sequence[Family], maps: Mapping[int, Path], scenes: Sequence[PreparedScene]) -> list[PileJob]:
    """Return the tasks of the object pass: piles of one part of the grid in one year.

    Which piles share a task follows from where they lie, not from how many there are: a pile more or less changes the
    tasks of its own part alone.
    """
    parts: dict[tuple[int, int], list[Family]] = {}
    for family in families:
        parts.setdefault((family.rows.start // _PART_PX, family.columns.start // _PART_PX), []).append(family)
    of_year = {year: tuple(s for s in scenes if s.stored.scene.date.year == year) for year in maps}
    return [
        PileJob(tuple(parts[part]), year, maps[year], of_year[year]) for year in sorted(maps) for part in sorted(parts)
    ]


def measure_piles(job: PileJob, grid: Grid, rank: str, config: Config) -> list[Measured]:
    """Outline each pile on every date of a year, and reduce the year to the median of its dates.

    Parameters
    ----------
    job : PileJob
    grid : Grid
        Of the site.
    rank : str
        Of the site's coal.
    config : Config

    Returns
    -------
    list of Measured
        One for each of the job's families.
    """
    return [_measure_pile(family, job, grid, rank, config) for family in job.families]


def _measure_pile(family: Family, job: PileJob, grid: Grid, rank: str, config: Config) -> Measured:
    at = (family.rows, family.columns)
    masks = read_masks(masks_beside(job.maps), at, len(job.scenes))
    member = family.own & read_map(job.maps, "objects", at)
    ground = PileGround(
        grid=window(grid, *at),
        own=family.own,
        place=place_of(member, family.others | read_map(job.maps, "water", at)),
        around=ndimage.binary_dilation(member, iterations=_AROUND_PX),
        clear=read_map(job.maps, "clear", at),
        masks={s.stored.scene.scene_id: mask for s, mask in zip(job.scenes, masks, strict=True)},
    )
    depth = ndimage.distance_transform_edt(np.pad(member, 1))
    year = _measure_year(job.year, ground, job.scenes, rank, config)
    dates = [(o.scene_id, ground.usable(o.scene_id)) for o in year.observations]
    return Measured(replace(year, masks=packed(member, ground.place.others, dates)), float(depth.max()))


def judge_piles(
    families: Sequence[Family], found: Sequence[tuple[PileJob, Sequence[Measured]]], grid: Grid, config: Config
) -> list[PileSeries]:
    """Put the years of every pile together, and leave out what is not coal as far as its reflectance tells.

    Parameters
    ----------
    families : sequence of Family
        All; the result keeps their order.
    found : sequence of (PileJob, sequence of Measured)
        Of all years and parts of the grid.
    grid : Grid
        Of the site.
    config : Config
    """
    years: dict[str, list[Measured]] = {family.pile_id: [] for family in families}
    for job, measured in found:
        for family, one in zip(job.families, measured, strict=True):
            years[family.pile_id].append(one)
    series = [judge_pile(family, years[family.pile_id], grid, config) for family in families]
    return [one for one in series if one is not None]


def judge_pile(family: Family, years: Sequence[Measured], grid: Grid, config: Config) -> PileSeries | None:
    """Judge one pile by all its years; None when what lies there is not coal as far as its reflectance tells."""
    in_order = sorted(years, key=lambda one: one.year.year)
    thickness = {one.year.year: one.thickness_px for one in in_order}
    kept = judged([one.year for one in in_order], thickness, config)
    if not kept:
        return None
    return PileSeries(family.pile_id, _point(family, grid), kept, window(grid, family.rows, family.columns))


def _point(family: Family, grid: Grid) -> tuple[float, float]:
    row, column = deepest(family.own)
    x, y = window(grid, family.rows, family.columns).transform @ (column + 0.5, row + 0.5)
    return float(x), float(y)


def _measure_year(
    year: int, ground: PileGround, scenes: Sequence[PreparedScene], rank: str, config: Config
) -> PileYear:
    dates = [s for s in scenes if in_windows(s.stored.scene.date, config.windows.stockpile)]
    # With its surroundings: of a pile half hidden only the other half is in the masks.
    around = ndimage.binary_dilation(ground.own, iterations=_AROUND_PX)
    seen = float(np.mean(ground.clear[around] >= config.min_dates))
    day = float(np.mean([s.stored.scene.date.timetuple().tm_yday for s in dates])) if dates else None
    n_dates = int(np.median(ground.clear[ground.own]))
    unjudged = PileYear(year, None, None, n_dates, day, None, None, None)
    if seen < config.adequate_fraction:
        return replace(unjudged, reason=f"{seen:.0%} of its ground seen on {config.min_dates} dates or more")
    if not ground.place.member.any():
        return _absent(unjudged, config)
    observations = observe(dates, ground, rank, config)
    if len(observations) < max(2, config.min_dates // 2):
        return replace(unjudged, reason=f"outlined on {len(observations)} of {n_dates} dates")
    return _of_year(unjudged, observations, (rank, heaps(ground.place.member, ground.grid)), config)


def _absent(year: PileYear, config: Config) -> PileYear:
    """Nothing lies there: an area of 0 with the uncertainty of the smallest pile that would be counted."""
    return replace(year, area_m2=0.0, sigma_m2=config.stockpile.min_measure_px * PIXEL_M**2 / Z95, persistence=0.0)


def _of_year(
    year: PileYear, observations: Sequence[Observation], object_: tuple[str, tuple[str, ...]], config: Config
) -> PileYear:
    """Reduce a year's outlines to their median area, and what they reflect to a probability."""
    rank, parts = object_
    areas = [o.area_m2 for o in observations]
    area = float(np.median(areas))
    # Of an even number the two in the middle are equally far: the earlier, whatever the last bits say.
    middle = min(observations, key=lambda o: (round(abs(o.area_m2 - area), 3), o.date, o.scene_id))
    scored = [o for o in observations if o.score is not None]
    hits = sum((o.score or 0.0) >= config.stockpile.score_listed for o in scored)
    share, low, high = (float(v) for v in persistence_interval(np.array(hits), np.array(len(scored))))
    found = _year_score([o.levels for o in scored if o.levels is not None], rank, config)
    return replace(
        year,
        area_m2=area,
        sigma_m2=median_sigma(areas, float(np.median([o.sigma_m2 for o in observations]))),
        n_dates=len(observations),
        mean_day_of_year=float(np.mean([o.date.timetuple().tm_yday for o in observations])),
        persistence=share if scored else 0.0,
        persistence_95=(low, high) if scored else None,
        geometry=middle.geometry,
        observations=tuple(observations),
        score=None if found is None else found.probability,
        material=None if found is None else found.material,
        area_max_m2=max(areas),
        area_end_m2=max(observations, key=lambda o: (o.date, o.scene_id)).area_m2,
        parts=parts,
    )


def _year_score(dates: Sequence[Levels], rank: str, config: Config) -> Score | None:
    """Probability of coal from the median reflectance of a year's dates; None when no date tells.

    Of the standard error the part that changes from date to date shrinks with their number, down to half:
    the ground beside the object is the same on all.
    """
    if not dates:
        return None
    shrink = max(1 / np.sqrt(len(dates)), 0.5)
    value = {band: float(np.median([d.value[band] for d in dates])) for band in SPECTRUM_BANDS}
    sigma = {band: float(np.median([d.sigma[band] for d in dates])) * shrink for band in SPECTRUM_BANDS}
    s = config.stockpile
    return score(value, sigma, rank, (s.score_slope, s.score_shift))


def judged(years: Sequence[PileYear], member_thickness_px: Mapping[int, float], config: Config) -> tuple[PileYear, ...]:
    """Give every year its tier, by all years together: what an object is made of does not change from year to year.

    An object whose mean score over its years is below ``score_listed`` is not listed at all. ``probable`` is
    one that is as surely coal as ``score_counted`` asks, large enough to be measured, persistent at the lower
    end of its interval, and no thin strip. ``confirmed`` needs a person's review and is never given here.
    """
    scores = [y.score for y in years if y.area_m2 and y.score is not None]
    whole = float(np.mean(scores)) if scores else 0.0
    if whole < config.stockpile.score_listed:
        return ()

    def tier(year: PileYear) -> Tier:
        low = year.persistence_95[0] if year.persistence_95 else 0.0
        counted = (
            whole >= config.stockpile.score_counted
            and (year.area_m2 or 0.0) >= config.stockpile.min_measure_px * PIXEL_M**2
            and low > config.stockpile.persistence_grow
            and member_thickness_px.get(year.year, 0.0) >= _MIN_THICKNESS_PX
        )
        return "probable" if counted else "candidate"

    return tuple(replace(y, tier=tier(y)) if y.area_m2 else y for y in years)


def heaps(member: Bool, grid: Grid) -> tuple[str, ...]:
    """Names of the separate heaps of a pile in one year, each after its deepest pixel."""
    labels, count = ndimage.label(member, structure=np.ones((3, 3)))
    depth = ndimage.distance_transform_edt(np.pad(member, 1))[1:-1, 1:-1]
    deepest = ndimage.maximum_position(depth, labels, range(1, count + 1)) if count else []
    return tuple(sorted(pile_name(grid, int(row), int(column)) for row, column in deepest))
