"""THE FLOW of one site: search -> fetch -> calibrate -> align -> mask -> score -> measure -> compare -> publish.

Calls only. A stage is declared by the line that calls it; what it needs stands in its arguments.
"""

import datetime as dt
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import shapely

from pipeline import sources
from pipeline.claims import judge
from pipeline.compare import CompareRules, baseline_year, compare
from pipeline.config import Config
from pipeline.errors import ProductError, SourceError
from pipeline.findings import PreparedScene
from pipeline.grid import blocks, burn, choose_epsg, make_grid, make_zones, perimeter_of, reproject
from pipeline.measure import (
    boundary_measurements,
    ground_measurements,
    pile_measurements,
    stockpile_measurements,
)
from pipeline.parallel import Pool
from pipeline.passes.block import score_block
from pipeline.passes.ground import ground_outline, measure_boundary, measure_year
from pipeline.passes.label import MapTargets, ever_occupied, join_year, label_families
from pipeline.passes.pile import measure_pile
from pipeline.passes.scene import BANDS, calibrate, choose_reference, inspect, register, survey
from pipeline.products.manifest import ManifestInputs, archive_root, content_key, is_current
from pipeline.products.publish import Published, publish
from pipeline.rules import score_rules, site_rules, year_dates
from pipeline.scenes import select_scenes
from pipeline.store import Store, fetch
from pipeline.tables import Findings
from pipeline.trend import TrendRules, trends
from pipeline.types import Claim, Grid, Refusal, Scene, Site, StoredScene, Zone

Log = Callable[[str], None]


@dataclass(frozen=True)
class Batch:
    """What all sites of a run share."""

    config: Config
    claims: Sequence[Claim]
    claims_sha256: str | None
    pool: Pool
    force: bool = False


@dataclass(frozen=True)
class Planned:
    """Scenes of a site and the grid it is measured on, before any pixel is fetched."""

    grid: Grid
    scenes: Sequence[Scene]
    refused: Sequence[Refusal]


def plan_site(site: Site, config: Config) -> Planned:
    """Search a site's scenes and choose its tile family; reads no pixel."""
    items = sources.load(config.source.kind).search(site.aoi, config)
    epsg = choose_epsg(site.aoi, items)
    scenes, refused = select_scenes(items, epsg, site.aoi)
    return Planned(make_grid(site.aoi, epsg), scenes, refused)


def run_site(site: Site, batch: Batch, log: Log) -> Published:
    """Measure one site and publish it; a site that is up to date is left as it is.

    Raises
    ------
    StocklineError
        The site failed; what was finished before is untouched, and fetched evidence is kept.
    """
    started = dt.datetime.now(dt.UTC)
    config, pool, out = batch.config, batch.pool, batch.config.out
    # 1 search
    planned = plan_site(site, config)
    log(f"{len(planned.scenes)} scenes, {len(planned.refused)} refused by the search")
    # 2 fetch
    store = Store(out / "evidence", config, sources.load(config.source.kind).sign)
    fetched = pool.map(fetch, repeat_for(planned.scenes, store), planned.scenes, *_same(planned.scenes, planned.grid, BANDS))
    stored = [s for s in fetched if isinstance(s, StoredScene)]
    refused = [*planned.refused, *(s for s in fetched if isinstance(s, Refusal))]
    _need_scenes(site, stored, refused)
    log(f"{sum(s.fetched for s in stored)} files fetched, {sum(len(s.sha256s) for s in stored)} in use")
    inputs = ManifestInputs(
        site.id, any(s.scene.simulated for s in stored), config, site.sha256, batch.claims_sha256, stored, refused,
        store.root, archive_root(config.source.url, stored),
    )  # fmt: skip
    if not batch.force and is_current(out / site.id, content_key(inputs)):
        log("up to date: same scenes, settings and code")
        return Published(out / site.id, inputs.simulated, skipped=True)
    with _work_folder(out, site) as work:
        found = _measure(site, planned.grid, (stored, refused), batch, work, log)
        return publish(found, inputs, config, (started, pool.workers), work)


def _measure(
    site: Site, grid: Grid, fetched: tuple[Sequence[StoredScene], Sequence[Refusal]], batch: Batch, work: Path, log: Log
) -> Findings:
    """Everything from fetched pixels to verdicts."""
    config, pool = batch.config, batch.pool
    stored, refused = fetched
    # 3 calibrate, 4 mask, 5 align
    scenes = calibrate(stored, pool.map(inspect, stored, *_same(stored, grid, config)), site, config)
    scenes = pool.map(survey, scenes, *_same(scenes, site, grid, config))
    scenes = pool.map(register, scenes, *_same(scenes, choose_reference(scenes), grid, config))
    used = [s for s in scenes if s.used]
    log(f"{len(used)} scenes used, {len(scenes) - len(used)} refused by their pixels")
    # 6 score, 7 objects
    maps = _map_years(site, grid, used, batch, work)
    measured = burn(measured_ground(site, grid), grid)
    families = label_families(grid, maps, measured, work / "labels.npy") if maps else []
    piles = pool.map(measure_pile, families, *_same(families, grid, (maps, work / "labels.npy"), used, config))
    log(f"{len(piles)} piles or candidates outlined")
    # 8 zones and ground
    dates = [year_dates(year, used, config) for year in config.years.all]
    zones = make_zones(site, grid, None, config.boundary.rings_m)
    ever = ever_occupied(maps, work / "ever.npy") if maps else work
    ground = dict(zip(maps, pool.map(measure_year, maps.values(), *_same(maps, ever, zones, grid, config)), strict=True))
    base = baseline_year(ground_measurements(zones, ground, dates, config), config.years.baseline)
    reference = _reference(site, grid, maps.get(base) if base else None)
    if reference is not None:
        zones = make_zones(site, grid, reference, config.boundary.rings_m)
        ground = dict(zip(maps, pool.map(measure_year, maps.values(), *_same(maps, ever, zones, grid, config)), strict=True))
    pairs = _pairs(sorted(maps), base)
    boundary_found = pool.map(
        measure_boundary, [(maps[a], maps[b]) for a, b in pairs], *_same(pairs, zones, grid, config)
    )
    boundary = dict(zip(pairs, boundary_found, strict=True))
    # 9 measure, 10 compare, 11 claims
    annual = [
        *stockpile_measurements(piles, zones, ground, dates, config),
        *ground_measurements(zones, ground, dates, config),
    ]
    rules = CompareRules(config.stats.fdr_q, config.max_season_shift_days, config.years.baseline)
    changes = compare([*annual, *boundary_measurements(zones, ground, boundary, config)], rules)
    findings = [(c, judge(c, site.id, changes, annual, zones, baseline=config.years.baseline)) for c in batch.claims]
    return Findings(
        site, grid, zones, scenes, refused, piles, ground, boundary, annual, changes,
        compare(pile_measurements(piles), rules),
        trends(annual, TrendRules(config.stats.fdr_q, config.stats.min_trend_years, config.max_season_shift_days)),
        [(claim, finding) for claim, finding in findings if finding is not None],
        {"baseline_year": "" if base is None else str(base), "reference_scene": _scene_id(choose_reference(scenes))},
    )  # fmt: skip


def _map_years(site: Site, grid: Grid, used: Sequence[PreparedScene], batch: Batch, work: Path) -> dict[int, Path]:
    """Score every block of every year that has scenes, and join the years."""
    config, pool = batch.config, batch.pool
    by_year: dict[int, list[PreparedScene]] = defaultdict(list)
    for scene in used:
        by_year[scene.stored.scene.date.year].append(scene)
    parts = [(block, year) for year in sorted(by_year) for block in blocks(grid, config.limits.block_px, 16)]
    rules = score_rules(site, config)
    paths = pool.map(
        score_block, [b for b, _ in parts], [by_year[y] for _, y in parts], *_same(parts, rules, config, work)
    )
    years = sorted(by_year)
    joined = [[(b, p) for (b, y), p in zip(parts, paths, strict=True) if y == year] for year in years]
    tags = {"SIMULATED": "yes"} if any(s.stored.scene.simulated for s in used) else {}
    (work / "composites").mkdir()
    targets = [MapTargets(work / f"{y}_maps.npz", work / "composites" / f"{y}.tif", {**tags, "year": str(y)}) for y in years]
    return dict(
        zip(years, pool.map(join_year, repeat_for(years, grid), joined, *_same(years, site_rules(config)), targets), strict=True)
    )


def measured_ground(site: Site, grid: Grid) -> shapely.Geometry:
    """Return the AOI without excluded ground, in the grid's CRS."""
    excluded = [reproject(f.geometry, 4326, grid.epsg) for f in site.with_role("exclude")]
    return reproject(site.aoi, 4326, grid.epsg).difference(shapely.union_all(excluded))


def _reference(site: Site, grid: Grid, baseline_maps: Path | None) -> shapely.Geometry | None:
    """Return the sourced perimeter, else the baseline year's measured footprint, else None."""
    perimeter = perimeter_of(site)
    if perimeter is not None:
        return reproject(perimeter.geometry, 4326, grid.epsg)
    return ground_outline(baseline_maps, grid) if baseline_maps else None


def _pairs(years: Sequence[int], base: int | None) -> list[tuple[int, int]]:
    """Each year with the one before, and with the baseline."""
    pairs = {(y - 1, y) for y in years if y - 1 in years}
    if base in years:
        pairs |= {(min(base, y), max(base, y)) for y in years if y != base}
    return sorted(pairs)


def _need_scenes(site: Site, stored: Sequence[StoredScene], refused: Sequence[Refusal]) -> None:
    """Fail a site none of whose scenes could be read, with the reason most of them share."""
    if not stored:
        reasons = [r.reason for r in refused]
        common = max(sorted(set(reasons)), key=reasons.count)
        raise SourceError(f"site {site.id}: none of {len(refused)} scenes can be used; most often: {common}")


def _scene_id(scene: PreparedScene | None) -> str:
    return scene.stored.scene.scene_id if scene else ""


def repeat_for(items: Sequence[object], value: object) -> list[object]:
    """Return ``value`` once for each item."""
    return [value] * len(items)


def _same(items: Sequence[object], *values: object) -> Iterator[list[object]]:
    """Arguments that are the same for every item of a map."""
    return (repeat_for(items, value) for value in values)


@contextmanager
def _work_folder(out: Path, site: Site) -> Iterator[Path]:
    """Give a folder for intermediate maps, on the disk of the results so that workers share it; removed at the end."""
    work = out / ".work" / site.id
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        yield work
    except OSError as error:
        raise ProductError(f"{work}: {error.strerror or error}; free disk space or choose another --out") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
