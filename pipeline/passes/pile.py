"""Object pass: one pile, all its dates, in a small window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from shapely import affinity

from models._delineate import OUTLINE_BANDS, outline
from models._uncertainty import median_sigma, outline_sigma_m2
from models.stockpile import persistence_interval
from pipeline.config import Config, in_windows
from pipeline.findings import Observation, PileSeries, PileYear, PreparedScene
from pipeline.grid import areal_scale, window
from pipeline.passes.label import Family, YearMaps, read_maps
from pipeline.passes.mask import DateMask, masks_beside, read_masks
from pipeline.pixels import read_image
from pipeline.types import PIXEL_M, Bool, Grid, Tier

_AROUND_PX = 4
"""How far round a pile a date must be clear to be outlined."""
_MIN_THICKNESS_PX = 2.0
"""Persistent dark ground thinner than this everywhere is a road or an edge before it is a pile."""


def measure_pile(
    family: Family, grid: Grid, maps: tuple[Mapping[int, Path], Path], scenes: Sequence[PreparedScene], config: Config
) -> PileSeries:
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
    config : Config
    """
    part = window(grid, family.rows, family.columns)
    at = (family.rows, family.columns)
    labels = np.load(maps[1], mmap_mode="r")[at]
    own, any_pile = labels == family.label, labels > 0
    years = []
    for year, path in sorted(maps[0].items()):
        year_maps = _cut(read_maps(path), at)
        of_year = [s for s in scenes if s.stored.scene.date.year == year]
        masks = read_masks(masks_beside(path), at, len(of_year))
        seen = {s.stored.scene.scene_id: mask for s, mask in zip(of_year, masks, strict=True)}
        years.append(_measure_year(year, _Ground(part, own, any_pile & ~own, year_maps, seen), of_year, config))
    return PileSeries(family.pile_id, _point(own, part), tuple(years))


@dataclass(frozen=True)
class _Ground:
    """A pile's window: where it ever was, where others are, the year's maps, and by scene what can be used of it."""

    grid: Grid
    own: Bool
    others: Bool
    maps: YearMaps
    masks: Mapping[str, DateMask]


def _cut(maps: YearMaps, at: tuple[slice, slice]) -> YearMaps:
    return YearMaps(**{name: array[(..., *at)] for name, array in vars(maps).items()})


def _point(own: Bool, grid: Grid) -> tuple[float, float]:
    depth = ndimage.distance_transform_edt(own)
    row, column = np.unravel_index(int(np.argmax(depth)), own.shape)
    x, y = grid.transform @ (column + 0.5, row + 0.5)
    return float(x), float(y)


def _measure_year(year: int, ground: _Ground, scenes: Sequence[PreparedScene], config: Config) -> PileYear:
    rules = config.stockpile
    dates = [s for s in scenes if in_windows(s.stored.scene.date, config.windows.stockpile)]
    seen = float(np.mean(ground.maps.clear[ground.own] >= config.min_dates))
    day = float(np.mean([s.stored.scene.date.timetuple().tm_yday for s in dates])) if dates else None
    n_dates = int(np.median(ground.maps.clear[ground.own]))

    def unjudged(reason: str) -> PileYear:
        return PileYear(year, None, None, n_dates, day, None, None, None, (), reason)

    if seen < config.adequate_fraction:
        return unjudged(f"seen on {n_dates} dates, {config.min_dates} are needed")
    member = ground.own & ground.maps.objects
    if not member.any():
        detection_limit = rules.min_measure_px * PIXEL_M**2 / 1.96
        return PileYear(year, 0.0, detection_limit, n_dates, day, 0.0, None, None)
    observations = [o for s in dates if (o := _observe(s, ground, member, config)) is not None]
    if len(observations) < max(2, config.min_dates // 2):
        return unjudged(f"outlined on {len(observations)} of {n_dates} dates")
    areas = [o.area_m2 for o in observations]
    area = float(np.median(areas))
    middle = min(observations, key=lambda o: (abs(o.area_m2 - area), o.date, o.scene_id))
    sigma = median_sigma(areas, float(np.median([o.sigma_m2 for o in observations])))
    share = float(np.mean(ground.maps.share[member]))
    tier: Tier = "probable" if _is_probable(member, area, (share, n_dates), config) else "candidate"
    observed_day = float(np.mean([o.date.timetuple().tm_yday for o in observations]))
    return PileYear(
        year, area, sigma, len(observations), observed_day, share, tier, middle.geometry, tuple(observations)
    )


def _is_probable(member: Bool, area_m2: float, persistence: tuple[float, int], config: Config) -> bool:
    """Whether a pile counts: large enough to be measured, surely persistent, and not a thin strip.

    ``persistence`` is the share of dates that look like coal and the number of dates: the lower end of its
    interval must lie above what an object may grow into, so that few dates need to agree better than many.
    ``confirmed`` needs a person's review and is never given here.
    """
    share, n_dates = persistence
    hits = np.array(round(share * n_dates))
    _, low, _ = persistence_interval(hits, np.array(n_dates))
    thick = float(ndimage.distance_transform_edt(np.pad(member, 1)).max())
    return (
        area_m2 >= config.stockpile.min_measure_px * PIXEL_M**2
        and float(low) > config.stockpile.persistence_grow
        and thick >= _MIN_THICKNESS_PX
    )


def _observe(scene: PreparedScene, ground: _Ground, member: Bool, config: Config) -> Observation | None:
    """Outline the pile on one date; None when the date does not show it whole."""
    mask = ground.masks[scene.stored.scene.scene_id]
    clear = mask.usable | (mask.suspected & member)
    around = ndimage.binary_dilation(member, iterations=_AROUND_PX)
    clear_share = float(clear[around].mean())
    if clear_share < config.stockpile.min_clear_share:
        return None
    image = read_image(scene.stored, ground.grid, OUTLINE_BANDS, scene.calibration)
    drawn = outline(image.bands, clear, member, ground.others | ground.maps.water, config.stockpile.outline_level)
    if drawn is None or drawn.contrast_sigma < config.stockpile.min_contrast_sigma:
        return None
    a, b, c, d, e, f = ground.grid.transform[:6]
    geometry = affinity.affine_transform(drawn.geometry, (a, b, d, e, c, f))
    scale = areal_scale(ground.grid.epsg, geometry.centroid.x, geometry.centroid.y)
    sigma = outline_sigma_m2(geometry.length, PIXEL_M, config.uncertainty.c, config.uncertainty.sigma_edge_m)
    return Observation(
        scene.stored.scene.scene_id,
        scene.stored.scene.date,
        geometry,
        geometry.area / scale,
        sigma,
        drawn.pile_level,
        drawn.background_level,
        clear_share,
    )
