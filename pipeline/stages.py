"""Maps of a site's years and what rests on all of them; each year and each result is made once and remembered."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.stockpile import ScoreRules
from pipeline.config import Config
from pipeline.drift import SceneDeparture
from pipeline.findings import PreparedScene
from pipeline.grid import blocks, burn, measured_ground
from pipeline.memory import Memory
from pipeline.parallel import Pool
from pipeline.passes.block import BlockJob, score_block
from pipeline.passes.history import Years, remember
from pipeline.passes.label import YearJob, join_year
from pipeline.passes.steady import choose_steady, scene_departure
from pipeline.rules import SiteRules, score_rules, site_rules
from pipeline.types import Bool, Grid, Site

_HALO_PX = 16
"""Blocks overlap by more than any neighbourhood a date's mask looks at (cloud dilation, 10 px)."""


@dataclass(frozen=True)
class Place:
    """Where a site's intermediate results are: those that are remembered, and a folder of this run alone."""

    memory: Memory
    work: Path


@dataclass(frozen=True)
class _Year:
    """What the maps of a year are made from: its scenes, and what its composite is marked with."""

    year: int
    scenes: Sequence[PreparedScene]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class _Seen:
    """What years with enough dates there are, and the maps of all."""

    maps: Mapping[int, Path]
    adequate: Sequence[int]


def map_years(
    site: Site, grid: Grid, used: Sequence[PreparedScene], config: Config, pool: Pool, place: Place
) -> dict[int, Path]:
    """Score every block of every year that has scenes, and join each year; year to its maps.

    A year is remembered joined, without the layers of its blocks. Composites are put into the run's own folder too,
    for the products.
    """
    simulated = {"SIMULATED": "yes"} if any(s.stored.scene.simulated for s in used) else {}
    years = [
        _Year(year, [s for s in used if s.stored.scene.date.year == year], {**simulated, "year": str(year)})
        for year in sorted({s.stored.scene.date.year for s in used})
    ]
    rules, parts = (score_rules(site, config), site_rules(config)), list(blocks(grid, config.limits.block_px, _HALO_PX))

    def scored(lacking: Sequence[_Year]) -> list[YearJob]:
        jobs = [BlockJob(block, one.year, one.scenes) for one in lacking for block in parts]
        paths = place.memory.map(pool, score_block, jobs, rules[0], config, files=True, passing=True)
        layers = [(job.block, path) for job, path in zip(jobs, paths, strict=True)]
        return [
            YearJob(
                layers[n * len(parts) : (n + 1) * len(parts)],
                Path(f"{one.year}_maps"),
                _composite(one.year),
                one.tags,
            )
            for n, one in enumerate(lacking)
        ]

    maps = place.memory.map(pool, _join, years, grid, rules, config, files=True, prepare=scored)
    for path, one in zip(maps, years, strict=True):
        target = place.work / _composite(one.year)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path.parent / _composite(one.year), target)
    return {one.year: path for path, one in zip(maps, years, strict=True)}


def _composite(year: int) -> Path:
    return Path("composites") / f"{year}.tif"


def _join(job: YearJob, grid: Grid, rules: tuple[ScoreRules, SiteRules], _: Config, folder: Path) -> Path:
    """Join a year in a folder of its own; the settings its layers were made with are named for the memory alone."""
    return join_year(replace(job, maps=folder / job.maps, composite=folder / job.composite), grid, rules[1])


def look_back(maps: Mapping[int, Path], adequate: Sequence[int], config: Config, pool: Pool, place: Place) -> Years:
    """Say what all years show together (:func:`pipeline.passes.history.remember`)."""
    return place.memory.one(pool, _look_back, _Seen(maps, adequate), config.boundary.shore_m, files=True)


def _look_back(seen: _Seen, shore_m: float, folder: Path) -> Years:
    return remember(seen.maps, seen.adequate, folder, shore_m)


def departures(
    site: Site,
    grid: Grid,
    seen: tuple[Mapping[int, Path], Sequence[PreparedScene]],
    batch: tuple[Config, Pool],
    place: Place,
) -> list[SceneDeparture]:
    """Choose the steady ground of a site and measure how far each scene reads it from its level."""
    (maps, used), (config, pool) = seen, batch
    ground = burn(measured_ground(site, grid), grid)
    steady = place.memory.one(pool, _steady, maps, ground, grid, config, files=True)
    found = place.memory.map(pool, scene_departure, used, steady, grid, config)
    return [departure for departure in found if departure is not None]


def _steady(maps: Mapping[int, Path], measured: Bool, grid: Grid, config: Config, folder: Path) -> Path:
    return choose_steady(maps, measured, grid, config, folder / "steady.npz")
