"""Object pass: one pile, all its dates, in a small window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from shapely import affinity

from models._delineate import outline
from models._spectrum import Levels, object_levels
from models._uncertainty import median_sigma, pile_sigma_m2
from models.stockpile import SPECTRUM_BANDS, Score, persistence_interval, score
from pipeline.compare import Z95
from pipeline.config import Config, in_windows
from pipeline.findings import Observation, PileSeries, PileYear, PreparedScene
from pipeline.grid import areal_scale, window
from pipeline.passes.label import Family, YearMaps, pile_name, read_maps
from pipeline.passes.mask import DateMask, masks_beside, read_masks
from pipeline.pixels import read_image
from pipeline.types import PIXEL_M, Bool, Grid, Tier

_AROUND_PX = 4
"""How far round a pile a date must be clear to be outlined."""
_MIN_THICKNESS_PX = 2.0
"""Persistent dark ground thinner than this everywhere is a road or an edge before it is a pile."""


def measure_pile(
    family: Family,
    grid: Grid,
    maps: tuple[Mapping[int, Path], Path],
    scenes: Sequence[PreparedScene],
    rank: str,
    config: Config,
) -> PileSeries | None:
    """Outline one pile on every date of every year, and reduce each year to the median of its dates.

    Parameters
    ----------
    family : Family
    grid : Grid
        Of the site.
    maps : tuple of (Mapping[int, Path], Path)
        Year to maps, and the label map.
    scenes : sequence of PreparedScene
        Used scenes of all years.
    rank : str
        Of the site's coal.
    config : Config

    Returns
    -------
    PileSeries or None
        None when what lies there is not coal as far as its reflectance tells.
    """
    part = window(grid, family.rows, family.columns)
    at = (family.rows, family.columns)
    labels = np.load(maps[1], mmap_mode="r")[at]
    own, any_pile = labels == family.label, labels > 0
    years, thickness = [], {}
    for year, path in sorted(maps[0].items()):
        of_year = [s for s in scenes if s.stored.scene.date.year == year]
        masks = read_masks(masks_beside(path), at, len(of_year))
        seen = {s.stored.scene.scene_id: mask for s, mask in zip(of_year, masks, strict=True)}
        ground = _Ground(part, own, any_pile & ~own, read_maps(path, at), seen)
        years.append(_measure_year(year, ground, of_year, rank, config))
        depth = ndimage.distance_transform_edt(np.pad(own & ground.maps.objects, 1))
        thickness[year] = float(depth.max())
    kept = judged(years, thickness, config)
    return PileSeries(family.pile_id, _point(own, part), kept) if kept else None


@dataclass(frozen=True)
class _Ground:
    """A pile's window: where it ever was, where others are, the year's maps, and by scene what can be used of it."""

    grid: Grid
    own: Bool
    others: Bool
    maps: YearMaps
    masks: Mapping[str, DateMask]


def _point(own: Bool, grid: Grid) -> tuple[float, float]:
    depth = ndimage.distance_transform_edt(own)
    row, column = np.unravel_index(int(np.argmax(depth)), own.shape)
    x, y = grid.transform @ (column + 0.5, row + 0.5)
    return float(x), float(y)


def _measure_year(year: int, ground: _Ground, scenes: Sequence[PreparedScene], rank: str, config: Config) -> PileYear:
    dates = [s for s in scenes if in_windows(s.stored.scene.date, config.windows.stockpile)]
    # With its surroundings: of a pile half hidden only the other half is in the masks.
    around = ndimage.binary_dilation(ground.own, iterations=_AROUND_PX)
    seen = float(np.mean(ground.maps.clear[around] >= config.min_dates))
    day = float(np.mean([s.stored.scene.date.timetuple().tm_yday for s in dates])) if dates else None
    n_dates = int(np.median(ground.maps.clear[ground.own]))
    unjudged = PileYear(year, None, None, n_dates, day, None, None, None)
    if seen < config.adequate_fraction:
        return replace(unjudged, reason=f"{seen:.0%} of its ground seen on {config.min_dates} dates or more")
    member = ground.own & ground.maps.objects
    if not member.any():
        return _absent(unjudged, config)
    observations = [o for s in dates if (o := _observe(s, ground, member, rank, config)) is not None]
    if len(observations) < max(2, config.min_dates // 2):
        return replace(unjudged, reason=f"outlined on {len(observations)} of {n_dates} dates")
    return _of_year(unjudged, observations, (rank, heaps(member, ground.grid)), config)


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
    middle = min(observations, key=lambda o: (abs(o.area_m2 - area), o.date, o.scene_id))
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


def _observe(scene: PreparedScene, ground: _Ground, member: Bool, rank: str, config: Config) -> Observation | None:
    """Outline the pile on one date; None when the date does not show it whole."""
    mask = ground.masks[scene.stored.scene.scene_id]
    clear = mask.usable | (mask.suspected & member)
    around = ndimage.binary_dilation(member, iterations=_AROUND_PX)
    clear_share = float(clear[around].mean())
    if clear_share < config.stockpile.min_clear_share:
        return None
    image = read_image(scene.stored, ground.grid, SPECTRUM_BANDS, scene.calibration)
    others = ground.others | ground.maps.water
    drawn = outline(image.bands, clear, member, others, config.stockpile.outline_level)
    if drawn is None or drawn.contrast_sigma < config.stockpile.min_contrast_sigma:
        return None
    a, b, c, d, e, f = ground.grid.transform[:6]
    geometry = affinity.affine_transform(drawn.geometry, (a, b, d, e, c, f))
    scale = areal_scale(ground.grid.epsg, geometry.centroid.x, geometry.centroid.y)
    u = config.uncertainty
    sigma = pile_sigma_m2(geometry.length, PIXEL_M, drawn.contrast_sigma, drawn.halo_px * PIXEL_M, u.c, u.sigma_edge_m)
    levels = object_levels({b: image.bands[b] for b in SPECTRUM_BANDS}, clear, drawn.geometry, others)
    s = config.stockpile
    found = None if levels is None else score(levels.value, levels.sigma, rank, (s.score_slope, s.score_shift))
    return Observation(
        scene.stored.scene.scene_id,
        scene.stored.scene.date,
        geometry,
        geometry.area / scale,
        sigma,
        drawn.pile_level,
        drawn.background_level,
        clear_share,
        levels,
        None if found is None else found.probability,
    )
