"""What can be read, maps of a site's years, and what rests on all of them; each result is made once and remembered."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.stockpile import ScoreRules
from pipeline.config import Config
from pipeline.drift import SceneDeparture, enough_years
from pipeline.findings import BoundaryPiece, PreparedScene, ZoneGround
from pipeline.grid import Block, blocks, burn
from pipeline.imagery import Refusal, StoredScene
from pipeline.maps import read_map, write_map
from pipeline.memory import Memory
from pipeline.parallel import Pool
from pipeline.passes.block import BlockJob, score_block
from pipeline.passes.boundary import measure_boundary
from pipeline.passes.ground import measure_year
from pipeline.passes.history import Years, remember
from pipeline.passes.join import YearBlocks, compose_year, join_year
from pipeline.passes.scene import HALO_PX
from pipeline.passes.steady import Shown, around, choose_steady, covers, read_clear, scene_departure
from pipeline.products.atomic import atomic_path
from pipeline.products.composite_tags import composite_tags
from pipeline.readable import unreadable
from pipeline.rules import SiteRules, score_rules, site_rules
from pipeline.store import refusal
from pipeline.types import Bool, Grid, Site, Zone
from pipeline.zones import measured_ground

_COMPOSITES = Path("composites")


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


def part_readable(
    stored: Sequence[StoredScene], grid: Grid, pool: Pool, memory: Memory
) -> tuple[list[StoredScene], list[Refusal]]:
    """Part scenes whose files can be read from those whose cannot; a file that could not is tried again every time."""
    known = memory.map(pool, unreadable, stored, grid)
    doubtful = [scene for scene, wrong in zip(stored, known, strict=True) if wrong is not None]
    reasons = dict(zip(map(id, doubtful), pool.map(unreadable, doubtful, grid) if doubtful else [], strict=True))
    broken = {key: reason for key, reason in reasons.items() if reason is not None}
    return (
        [scene for scene in stored if id(scene) not in broken],
        [refusal(scene.scene, broken[id(scene)]) for scene in stored if id(scene) in broken],
    )


def map_years(
    site: Site, grid: Grid, used: Sequence[PreparedScene], config: Config, pool: Pool, place: Place
) -> tuple[dict[int, Path], dict[int, Path]]:
    """Score every block of every year that has scenes, and join each year; year to its maps, and to its composite.

    A year is remembered joined, without the layers of its blocks. Composites are put into the run's own folder too,
    for the products.
    """
    of_years: dict[int, list[PreparedScene]] = {}
    for scene in used:
        of_years.setdefault(scene.stored.scene.date.year, []).append(scene)
    years = [
        _Year(year, of_years[year], composite_tags(site, year, of_years[year], grid, config))
        for year in sorted(of_years)
    ]
    rules, parts = (score_rules(site, config), site_rules(config)), list(blocks(grid, config.limits.block_px, HALO_PX))

    def scored(lacking: Sequence[_Part]) -> list[_Joined]:
        of_year = {part.of.year: part.of for part in lacking}
        jobs = [BlockJob(block, one.year, one.scenes) for one in of_year.values() for block in parts]
        paths = place.memory.map(pool, score_block, jobs, rules[0], config, files=True, passing=True)
        layers: dict[int, list[tuple[Block, Path]]] = {}
        for job, path in zip(jobs, paths, strict=True):
            layers.setdefault(job.year, []).append((job.block, path))
        return [_Joined(part, YearBlocks(layers[part.of.year], grid)) for part in lacking]

    # The composite of a year beside its maps: two tasks.
    asked = [_Part(one, what) for one in years for what in ("maps", "composite")]
    made = place.memory.map(pool, join, asked, grid, rules, config, files=True, prepare=scored)
    maps, composites = ({one.year: path for one, path in zip(years, made[n::2], strict=True)} for n in range(2))
    (place.work / _COMPOSITES).mkdir()
    for year, path in composites.items():
        # It goes into the products as it is: a disk that runs full late must be noticed here.
        with atomic_path(place.work / _COMPOSITES / f"{year}.tif") as written:
            shutil.copyfile(path, written)
    return maps, composites


@dataclass(frozen=True)
class _Part:
    """What is made of a year: its maps or its composite."""

    of: _Year
    what: str


@dataclass(frozen=True)
class _Joined:
    """The same, with the layers of the year's blocks."""

    part: _Part
    blocks: YearBlocks


def join(job: _Joined, _: Grid, rules: tuple[ScoreRules, SiteRules], __: Config, folder: Path) -> Path:
    """Join a year in a folder of its own; the settings its layers were made with are named for the memory alone."""
    year = job.part.of
    if job.part.what == "maps":
        return join_year(job.blocks, folder / f"{year.year}_maps", rules[1])
    return compose_year(job.blocks, folder / f"{year.year}.tif", year.tags)


def look_back(maps: Mapping[int, Path], adequate: Sequence[int], config: Config, pool: Pool, memory: Memory) -> Years:
    """Say what all years show together (:func:`pipeline.passes.history.remember`)."""
    ever, shore = memory.one(pool, all_years, maps, list(adequate), config.boundary.shore_m, files=True)
    return Years(maps, sorted(adequate), ever, shore)


def all_years(maps: Mapping[int, Path], adequate: Sequence[int], shore_m: float, folder: Path) -> tuple[Path, Path]:
    """Write what all years show together into a folder of its own: ground occupied in any of them, and shore."""
    years = remember(maps, adequate, folder, shore_m)
    return years.ever, years.shore


def measure_ground(
    years: Years, zones: Sequence[Zone], grid: Grid, config: Config, pool: Pool, memory: Memory
) -> dict[int, list[ZoneGround]]:
    """Measure occupied ground of every year and zone, in their order but those with a reference last.

    A year rests on those beside it, not on all.
    """
    listed, near = list(years.maps), config.boundary.lasting_years
    if not listed:
        return {}
    shore, *hidden = memory.map(
        pool, copied, [(years.shore, None), *((years.ever, years.maps[y]) for y in listed)], files=True
    )
    # Zones that rest on no reference stay as they are when it moves, and are found in the memory.
    groups = [[z for z in zones if z.reference is None], [z for z in zones if z.reference is not None]]
    jobs = [
        YearsOf(year, replace(beside(years, year, near), shore=shore, ever=ever), group)
        for year, ever in zip(listed, hidden, strict=True)
        for group in groups
        if group
    ]
    found: dict[int, list[ZoneGround]] = {year: [] for year in listed}
    for job, measured in zip(jobs, memory.map(pool, ground_of, jobs, grid, config), strict=True):
        found[job.of] += measured
    return found


def measure_pairs(
    pairs: Sequence[tuple[int, int]],
    land: tuple[Years, Sequence[Zone]],
    grid: Grid,
    config: Config,
    pool: Pool,
    memory: Memory,
) -> dict[tuple[int, int], list[BoundaryPiece]]:
    """Measure what certainly changed between pairs of years; a pair rests on the years its ground is judged by."""
    years, zones = land
    if not pairs:
        return {}
    (shore,) = memory.map(pool, copied, [(years.shore, None)], files=True)
    needed = [replace(judges(years, pair, config.boundary.lasting_years), shore=shore, ever=shore) for pair in pairs]
    jobs = [YearsOf(pair, of) for pair, of in zip(pairs, needed, strict=True)]
    return dict(zip(pairs, memory.map(pool, boundary_of, jobs, zones, grid, config), strict=True))


@dataclass(frozen=True)
class YearsOf:
    """A year or a pair of years, the years it rests on, and the zones that are measured where not all are."""

    of: Any
    years: Years
    zones: Sequence[Zone] = ()


def ground_of(job: YearsOf, grid: Grid, config: Config) -> list[ZoneGround]:
    """Measure occupied ground of one year in some zones."""
    return measure_year(job.of, job.years, job.zones, grid, config)


def boundary_of(job: YearsOf, zones: Sequence[Zone], grid: Grid, config: Config) -> list[BoundaryPiece]:
    """Measure what certainly changed between two years."""
    return measure_boundary(job.of, job.years, zones, grid, config)


def beside(years: Years, year: int, near: int) -> Years:
    """Leave of the years those that say whether ground of one of them lasts: ``near`` adequate ones on either side."""
    if year not in years.adequate:
        return _left(years, [], [year])
    here = list(years.adequate).index(year)
    return _left(years, years.adequate[max(here - near, 0) : here + near + 1], [year])


def judges(years: Years, pair: tuple[int, int], near: int) -> Years:
    """Leave of the years those that judge a change: all to the earlier one, the last between, ``near`` that follow."""
    earlier, later = pair
    before = [y for y in years.adequate if y <= earlier]
    between = [y for y in years.adequate if earlier < y < later][-1:]
    return _left(years, [*before, *between, *[y for y in years.adequate if y >= later][: near + 1]], pair)


def _left(years: Years, adequate: Sequence[int], own: Sequence[int]) -> Years:
    maps = {year: path for year, path in years.maps.items() if year in adequate or year in own}
    return replace(years, maps=maps, adequate=list(adequate))


def copied(site_map: tuple[Path, Path | None], folder: Path) -> Path:
    """Copy a map of all years on its own, of one year only where that did not see the ground.

    What rests on the copy stays as it is when the new scenes of another year leave this part of the map as it was.
    """
    path, maps = site_map
    values = read_map(path.parent, path.stem)
    write_map(folder, path.stem, values if maps is None else values & ~read_map(maps, "ground_seen"))
    return folder / path.name


def departures(
    site: Site,
    grid: Grid,
    seen: tuple[Mapping[int, Path], Mapping[int, Path], Sequence[PreparedScene]],
    config: Config,
    pool: Pool,
    memory: Memory,
) -> list[SceneDeparture]:
    """Choose the steady ground of a site and measure how far each scene reads it from its level; few years have none.

    ``seen`` are maps and composites of the years, and the scenes.

    Every new scene moves that level, of all years: what scenes show there is kept, so that they are not read again.
    """
    maps, composites, used = seen
    if not enough_years(len(maps)):
        return []
    ground = burn(measured_ground(site, grid), grid)
    steady = memory.one(pool, steady_of, maps, composites, ground, grid, config, files=True)
    margin = memory.earlier(around_of, lambda known: covers(known, steady))
    if margin is None:
        margin = memory.one(pool, around_of, steady, files=True)
    paths = memory.map(pool, clear_of, used, margin, grid, config, files=True)
    about = [(path, scene.stored.scene) for path, scene in zip(paths, used, strict=True)]
    shown = [Shown(path, scene.scene_id, scene.date.year, scene.platform) for path, scene in about]
    found = memory.map(pool, scene_departure, shown, margin, steady)
    return [departure for departure in found if departure is not None]


def around_of(steady: Path, folder: Path) -> Path:
    """Widen steady ground, in a folder of its own."""
    return around(steady, folder / "around.npy")


def clear_of(scene: PreparedScene, margin: Path, grid: Grid, config: Config, folder: Path) -> Path:
    """Keep what a scene shows of steady ground and its margin, in a folder of its own."""
    return read_clear(scene, margin, grid, config, folder / "clear.npz")


def steady_of(
    maps: Mapping[int, Path], composites: Mapping[int, Path], measured: Bool, grid: Grid, config: Config, folder: Path
) -> Path:
    """Choose steady ground in a folder of its own."""
    years = [(maps[year], composites[year]) for year in sorted(maps)]
    return choose_steady(years, measured, grid, config, folder / "steady.npz")
