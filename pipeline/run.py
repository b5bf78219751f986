"""THE FLOW of one site: search -> fetch -> calibrate -> align -> mask -> score -> measure -> compare -> publish.

Calls only. A stage is declared by the line that calls it; what it needs stands in its arguments.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.breaks import breaks
from pipeline.claims import judge
from pipeline.compare import CompareRules, compare
from pipeline.config import Config
from pipeline.confounding import Archive
from pipeline.controls import minus_control
from pipeline.drift import SceneDeparture
from pipeline.errors import ProductError, SourceError
from pipeline.findings import BoundaryPiece, PileSeries, PreparedScene, YearDates, ZoneGround
from pipeline.grid import blocks, burn, make_zones, measured_ground, perimeter_of, reproject
from pipeline.imagery import Refusal, StoredScene
from pipeline.measure import boundary_measurements, common_baseline, measure_zones
from pipeline.parallel import Pool
from pipeline.passes.block import BlockJob, score_block
from pipeline.passes.boundary import measure_boundary
from pipeline.passes.ground import ground_outline, measure_year, year_pairs
from pipeline.passes.history import Years, invariant_levels, remember
from pipeline.passes.label import YearJob, join_year, label_families
from pipeline.passes.pile import measure_pile
from pipeline.passes.scene import BANDS, HALO_PX, calibrate, choose_reference, draw, inspect, register, survey
from pipeline.passes.steady import choose_steady, scene_departure
from pipeline.pile_measures import as_candidates, pile_measurements, stock_covariance
from pipeline.plan import open_store, plan_site
from pipeline.products.manifest import ManifestInputs, archive_root, content_key, is_current
from pipeline.products.publish import Published, publish
from pipeline.remote import Line, line_to
from pipeline.rules import UNASSESSED_RANKS, scene_facts, score_rank, score_rules, site_rules, year_dates
from pipeline.store import fetch, fetch_facts
from pipeline.tables import Findings
from pipeline.trend import TrendRules, trends
from pipeline.types import Claim, Grid, Site, Zone

Log = Callable[[str], None]


@dataclass(frozen=True)
class Batch:
    """What all sites of a run share."""

    config: Config
    claims: Sequence[Claim]
    claims_sha256: str | None
    pool: Pool
    force: bool = False

    @property
    def line(self) -> Line:
        """How the source is asked; all sites and workers of a run share its counts."""
        return line_to(self.config.source, self.config.out / ".work" / "traffic")


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
    batch.line.ledger.opened()
    planned = plan_site(site, config, batch.line)
    log(f"{len(planned.scenes)} scenes, {len(planned.refused)} refused by the search")
    # 2 fetch
    store = open_store(config, batch.line)
    fetched = pool.map(partial(fetch, store), planned.scenes, planned.grid, BANDS)
    stored = [s for s in fetched if isinstance(s, StoredScene)]
    refused = [*planned.refused, *(s for s in fetched if isinstance(s, Refusal))]
    _need_scenes(site, stored, refused)
    for line in fetch_facts(stored):
        log(line)
    inputs = ManifestInputs(
        site=site.id,
        simulated=any(s.scene.simulated for s in stored),
        config=config,
        site_sha256=site.sha256,
        claims_sha256=batch.claims_sha256,
        scenes=stored,
        refused=refused,
        evidence_root=store.root,
        archive_root=archive_root(config.source.url, stored),
    )
    if not batch.force and is_current(out / site.id, content_key(inputs)):
        log("up to date: same scenes, settings and code")
        return Published(out / site.id, inputs.simulated, skipped=True)
    with _work_folder(out, site) as work:
        found = measure_site(site, planned.grid, (stored, refused), batch, work, log)
        # 10 publish
        return publish(found, inputs, config, (started, pool.workers), work)


def measure_site(
    site: Site, grid: Grid, fetched: tuple[Sequence[StoredScene], Sequence[Refusal]], batch: Batch, work: Path, log: Log
) -> Findings:
    """Measure a site from fetched pixels to verdicts.

    Parameters
    ----------
    site : Site
    grid : Grid
    fetched : tuple of (sequence of StoredScene, sequence of Refusal)
        Scenes with pixels, and what was refused before.
    batch : Batch
    work : Path
        Folder for intermediate maps, which all workers see.
    log : Log
    """
    config, pool = batch.config, batch.pool
    stored, refused = fetched
    # 3 calibrate, mask, align
    known = pool.map(inspect, stored, grid, config)
    scenes = pool.map(survey, calibrate(stored, known, site, config), site, grid, config)
    reference_scene = choose_reference(scenes)
    (reference,) = pool.map(draw, [reference_scene], grid, config, work / "reference.npy")
    scenes = pool.map(register, scenes, reference, grid, config)
    used = [s for s in scenes if s.used]
    log(f"{len(used)} scenes used, {len(scenes) - len(used)} refused by their pixels")
    # 4 score
    maps = _map_years(site, grid, used, batch, work)
    # 5 outline
    piles = _find_piles(site, grid, (maps, used), batch, work, log)
    unassessed = UNASSESSED_RANKS.get(site.coal_rank)
    # 6 zones and ground
    dates = [year_dates(year, used, config) for year in config.years.all]
    land = _find_ground(site, grid, (piles, dates, maps, unassessed), batch, work)
    zones, base = land.zones, land.baseline
    # 7 measure
    annual = measure_zones(piles, zones, land.ground, dates, config, unassessed)
    # 8 compare
    rules = CompareRules(config.stats.fdr_q, config.max_season_shift_days, base)
    shared = stock_covariance(piles, zones, config)
    changes = compare([*annual, *boundary_measurements(zones, land.ground, land.boundary, config)], rules, shared)
    stats = config.stats
    trend_rules = TrendRules(
        stats.fdr_q, stats.min_trend_years, config.max_season_shift_days, stats.max_invariant_drift
    )
    archive = Archive(scene_facts(used), invariant_levels(land.years, config.footprint.dark_brightness))
    # 9 claims
    judged = [(c, judge(c, site.id, changes, annual, zones, baseline=base)) for c in batch.claims]
    return Findings(
        site=site,
        grid=grid,
        zones=zones,
        scenes=scenes,
        refused=refused,
        piles=piles,
        ground=land.ground,
        boundary=land.boundary,
        measurements=annual,
        changes=changes,
        pile_changes=compare(pile_measurements(piles), rules, shared),
        trends=trends([*annual, *minus_control(annual, zones)], trend_rules, archive),
        breaks=breaks(annual, stats.fdr_q),
        claims=[(claim, finding) for claim, finding in judged if finding is not None],
        baseline_year=base,
        reference_scene=reference_scene.stored.scene.scene_id if reference_scene else None,
        departures=_departures(site, grid, maps, used, batch, work),
    )


def _find_piles(
    site: Site,
    grid: Grid,
    seen: tuple[Mapping[int, Path], Sequence[PreparedScene]],
    batch: Batch,
    work: Path,
    log: Log,
) -> list[PileSeries]:
    """Outline every dark object of a site, and keep what may be coal; ``seen`` are the maps and the scenes."""
    (maps, used), labels = seen, work / "labels.npy"
    families = label_families(grid, maps, burn(measured_ground(site, grid), grid), labels)
    outlined = batch.pool.map(measure_pile, families, grid, (maps, labels), used, score_rank(site), batch.config)
    piles = [pile for pile in outlined if pile is not None]
    log(f"{len(piles)} piles or candidates among {len(families)} dark objects")
    return as_candidates(piles) if site.coal_rank in UNASSESSED_RANKS else piles


@dataclass(frozen=True)
class _Land:
    """Zones of a site, their ground year by year, and what changed of it."""

    zones: Sequence[Zone]
    years: Years
    ground: Mapping[int, Sequence[ZoneGround]]
    boundary: Mapping[tuple[int, int], Sequence[BoundaryPiece]]
    baseline: int | None


def _find_ground(
    site: Site,
    grid: Grid,
    found: tuple[Sequence[PileSeries], Sequence[YearDates], Mapping[int, Path], str | None],
    batch: Batch,
    work: Path,
) -> _Land:
    """Zones, occupied ground and its change; the baseline year, which the zones rest on, needs the ground first."""
    config, pool = batch.config, batch.pool
    piles, dates, maps, unassessed = found
    # A year with too few dates draws no boundary and confirms none, whatever of it was seen.
    enough = [d.year for d in dates if d.year in maps and len(d.ground_days) >= config.min_dates]
    years = remember(maps, enough, work, config.boundary.shore_m)
    zones = make_zones(site, grid, None, config.boundary.rings_m)
    ground = dict(zip(maps, pool.map(measure_year, list(maps), years, zones, grid, config), strict=True))
    base = common_baseline(measure_zones(piles, zones, ground, dates, config, unassessed), config.years.baseline)
    perimeter = perimeter_of(site)
    if perimeter is not None or base in maps:
        sourced = reproject(perimeter.geometry, 4326, grid.epsg) if perimeter is not None else None
        reference = sourced if base is None or sourced is not None else ground_outline(base, years, grid)
        zones = make_zones(site, grid, reference, config.boundary.rings_m)
        ground = dict(zip(maps, pool.map(measure_year, list(maps), years, zones, grid, config), strict=True))
    pairs = year_pairs(list(config.years.all), base)
    drawn = [pair for pair in pairs if set(enough).issuperset(pair)]
    pieces = pool.map(measure_boundary, drawn, years, zones, grid, config)
    boundary = dict.fromkeys(pairs, ()) | dict(zip(drawn, pieces, strict=True))
    return _Land(zones, years, ground, boundary, base)


def _map_years(site: Site, grid: Grid, used: Sequence[PreparedScene], batch: Batch, work: Path) -> dict[int, Path]:
    """Score every block of every year that has scenes, and join each year; year to its maps."""
    config, pool = batch.config, batch.pool
    years = sorted({s.stored.scene.date.year for s in used})
    jobs = [
        BlockJob(block, year, [s for s in used if s.stored.scene.date.year == year])
        for year in years
        for block in blocks(grid, config.limits.block_px, HALO_PX)
    ]
    paths = pool.map(score_block, jobs, score_rules(site, config), config, work)
    composites = work / "composites"
    composites.mkdir()
    simulated = {"SIMULATED": "yes"} if any(s.stored.scene.simulated for s in used) else {}
    joins = [
        YearJob(
            parts=[(job.block, path) for job, path in zip(jobs, paths, strict=True) if job.year == year],
            maps=work / f"{year}_maps.npz",
            composite=composites / f"{year}.tif",
            tags={**simulated, "year": str(year)},
        )
        for year in years
    ]
    return dict(zip(years, pool.map(join_year, joins, grid, site_rules(config)), strict=True))


def _departures(
    site: Site, grid: Grid, maps: dict[int, Path], used: Sequence[PreparedScene], batch: Batch, work: Path
) -> list[SceneDeparture]:
    """Choose the steady ground of a site and measure how far each scene reads it from its level."""
    ground = burn(measured_ground(site, grid), grid)
    steady = choose_steady(maps, ground, grid, batch.config, work / "steady.npz")
    found = batch.pool.map(scene_departure, used, steady, grid, batch.config)
    return [departure for departure in found if departure is not None]


def _need_scenes(site: Site, stored: Sequence[StoredScene], refused: Sequence[Refusal]) -> None:
    """Fail a site none of whose scenes could be read, with the reason most of them share."""
    if not stored:
        reasons = [r.reason for r in refused]
        common = max(sorted(set(reasons)), key=reasons.count)
        raise SourceError(f"site {site.id}: none of {len(refused)} scenes can be used; most often: {common}")


@contextmanager
def _work_folder(out: Path, site: Site) -> Iterator[Path]:
    """Give a folder for intermediate maps beside the results, where all workers see it; removed at the end."""
    work = out / ".work" / site.id
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        yield work
    except OSError as error:
        raise ProductError(f"{work}: {error.strerror or error}; free disk space or choose another --out") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
