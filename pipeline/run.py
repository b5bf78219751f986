"""THE FLOW of one site: search -> fetch -> calibrate -> align -> mask -> score -> measure -> compare -> publish.

Calls only. A stage is declared by the line that calls it; what it needs stands in its arguments.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipeline.breaks import breaks
from pipeline.claims import judge
from pipeline.compare import SITE_ZONE, CompareRules, compare
from pipeline.config import Config
from pipeline.confounding import Archive
from pipeline.controls import minus_control
from pipeline.decoded import with_scratch
from pipeline.errors import ProductError, SourceError
from pipeline.findings import BoundaryPiece, PileSeries, PreparedScene, YearDates, ZoneGround
from pipeline.grid import burn, reproject
from pipeline.imagery import Refusal, StoredScene
from pipeline.measure import boundary_measurements, measure_zones, site_baseline
from pipeline.memory import Memory
from pipeline.parallel import Pool
from pipeline.passes.families import label_families
from pipeline.passes.ground import ground_outline, year_pairs
from pipeline.passes.history import Years, invariant_levels
from pipeline.passes.pile import judge_piles, measure_piles, pile_jobs
from pipeline.passes.scene import BANDS, calibrate, choose_reference, draw, inspect, register, survey
from pipeline.passes.seen import seen_shares
from pipeline.pile_measures import as_candidates, pile_measurements, stock_covariance
from pipeline.places import MEMORY, traffic_folder, work_folder
from pipeline.plan import open_store, plan_site
from pipeline.products.inputs import input_copies
from pipeline.products.manifest import ManifestInputs, archive_root, is_current
from pipeline.products.publish import Published, publish, write_package
from pipeline.products.software import made_with
from pipeline.remote import Line, line_to
from pipeline.review.apply import apply_reviews
from pipeline.reviewing import ledger_of
from pipeline.rules import UNASSESSED_RANKS, scene_facts, score_rank, year_dates
from pipeline.stages import Place, departures, look_back, map_years, measure_ground, measure_pairs, part_readable
from pipeline.store import bring, fetch_facts
from pipeline.tables import Findings
from pipeline.threads import hand_back
from pipeline.trend import TrendRules, trends
from pipeline.types import Claim, Grid, Site, Zone
from pipeline.zones import make_zones, measured_ground, perimeter_of

Log = Callable[[str], None]


@dataclass(frozen=True)
class Batch:
    """What all sites of a run share; ``documents`` as of :class:`pipeline.settings.Settings`."""

    config: Config
    claims: Sequence[Claim]
    claims_sha256: str | None
    pool: Pool
    force: bool = False
    documents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def line(self) -> Line:
        """How the source is asked; all sites and workers of a run share its counts."""
        return line_to(self.config.source, traffic_folder(self.config.out))


def run_site(site: Site, batch: Batch, log: Log) -> Published:
    """Measure one site and publish it; a site that is up to date is left as it is.

    Raises
    ------
    StocklineError
        The site failed; what was finished before is untouched, and fetched evidence is kept.
    """
    started = dt.datetime.now(dt.UTC)
    config, pool, out = batch.config, batch.pool, batch.config.out
    memory = Memory(out / MEMORY / site.id, made_with())
    if batch.force:
        memory.forget()
    ledger = ledger_of(site, config, log)
    # 1 search
    batch.line.ledger.opened()
    planned = plan_site(site, config, batch.line)
    log(f"{len(planned.scenes)} scenes, {len(planned.refused)} refused by the search")
    # 2 fetch
    store = open_store(config, batch.line)
    fetched = pool.map(partial(bring, store), planned.scenes, planned.grid, BANDS)
    stored = [s for s in fetched if isinstance(s, StoredScene)]
    refused = [*planned.refused, *(s for s in fetched if isinstance(s, Refusal))]
    with _work_folder(out, site) as work:
        kept = with_scratch(stored, work / "decoded", planned.grid, config.limits.max_scratch_gb)
        stored, broken = part_readable(kept, planned.grid, pool, memory)
        refused += broken
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
            reviews_sha256=ledger.sha256,
            documents=input_copies(site.id, batch.documents, ledger.content),
        )
        if not batch.force and is_current(out / site.id, inputs):
            log("up to date: same scenes, settings and code")
            return Published(out / site.id, inputs.simulated, skipped=True)
        # Nothing here holds what was found once it is written.
        found = measure_site(site, planned.grid, (stored, refused), batch, Place(memory, work), log)
        draft = write_package(apply_reviews(found, ledger.decisions, config), inputs, config, work)
        del found
        # 10 publish
        published = publish(draft, inputs, config, (started, pool.workers), work)
        memory.prune()
        return published


def measure_site(
    site: Site,
    grid: Grid,
    fetched: tuple[Sequence[StoredScene], Sequence[Refusal]],
    batch: Batch,
    place: Place,
    log: Log,
) -> Findings:
    """Measure a site from fetched pixels to verdicts.

    Parameters
    ----------
    site : Site
    grid : Grid
    fetched : tuple of (sequence of StoredScene, sequence of Refusal)
        Scenes with pixels, and what was refused before.
    batch : Batch
    place : Place
        What earlier runs left, and the folder of this one; all workers see both.
    log : Log
    """
    config, pool, memory = batch.config, batch.pool, place.memory
    stored, refused = fetched
    # 3 calibrate, mask, align
    known = memory.map(pool, inspect, stored, grid, config)
    scenes = memory.map(pool, survey, calibrate(stored, known, site, config), site, grid, config)
    reference_scene = choose_reference(scenes)
    reference = memory.one(pool, draw, reference_scene, grid, config, files=True)
    scenes = memory.map(pool, register, scenes, reference, grid, config)
    used = [s for s in scenes if s.used]
    log(f"{len(used)} scenes used, {len(scenes) - len(used)} refused by their pixels")
    # 4 score
    maps, composites = map_years(site, grid, used, config, pool, place)
    # 5 outline
    piles = _find_piles(site, grid, (maps, used), batch, memory, log)
    unassessed = UNASSESSED_RANKS.get(site.coal_rank)
    # 6 zones and ground
    dates = [year_dates(year, used, config) for year in config.years.all]
    land = _find_ground(site, grid, (piles, dates, maps, unassessed), batch, memory)
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
        departures=departures(site, grid, (maps, composites, used), config, pool, memory),
    )


def _find_piles(
    site: Site,
    grid: Grid,
    seen: tuple[Mapping[int, Path], Sequence[PreparedScene]],
    batch: Batch,
    memory: Memory,
    log: Log,
) -> list[PileSeries]:
    """Outline every dark object of a site, and keep what may be coal; ``seen`` are the maps and the scenes."""
    maps, used = seen
    families = label_families(grid, maps, burn(measured_ground(site, grid), grid))
    jobs = pile_jobs(families, maps, used)
    outlined = memory.map(batch.pool, measure_piles, jobs, grid, score_rank(site), batch.config)
    piles = judge_piles(families, list(zip(jobs, outlined, strict=True)), grid, batch.config)
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
    memory: Memory,
) -> _Land:
    """Zones, which rest on the ground of the baseline year; occupied ground and its change."""
    config, pool, (_, dates, maps, _) = batch.config, batch.pool, found
    # A year with too few dates draws no boundary and confirms none, whatever of it was seen.
    enough = [d.year for d in dates if d.year in maps and len(d.ground_days) >= config.min_dates]
    years = look_back(maps, enough, config, pool, memory)
    zones = make_zones(site, grid, None, config.boundary.rings_m)
    base = _baseline(zones, found, grid, batch, memory)
    perimeter = perimeter_of(site)
    if perimeter is not None or base in maps:
        sourced = reproject(perimeter.geometry, 4326, grid.epsg) if perimeter is not None else None
        # Not named: of a large site an outline is large, and its zones are all that is needed of it.
        zones = make_zones(
            site,
            grid,
            sourced if sourced is not None or base is None else ground_outline(base, years, grid),
            config.boundary.rings_m,
        )
    hand_back()
    ground = measure_ground(years, zones, grid, config, pool, memory)
    pairs = year_pairs(list(config.years.all), base)
    drawn = [pair for pair in pairs if set(enough).issuperset(pair)]
    boundary = dict.fromkeys(pairs, ()) | measure_pairs(drawn, (years, zones), grid, config, pool, memory)
    return _Land(zones, years, ground, boundary, base)


def _baseline(
    zones: Sequence[Zone],
    found: tuple[Sequence[PileSeries], Sequence[YearDates], Mapping[int, Path], str | None],
    grid: Grid,
    batch: Batch,
    memory: Memory,
) -> int | None:
    """Return the year that is compared with: the one that is set, else the first that shows enough of the site."""
    config = batch.config
    piles, dates, maps, unassessed = found
    site = next((zone for zone in zones if zone.zone_id == SITE_ZONE), None)
    if site is None or config.years.baseline is not None:
        return config.years.baseline
    shares = memory.map(batch.pool, seen_shares, list(maps.values()), site, grid, config.min_dates)
    return site_baseline(piles, site, dict(zip(maps, shares, strict=True)), dates, config, unassessed)


def _need_scenes(site: Site, stored: Sequence[StoredScene], refused: Sequence[Refusal]) -> None:
    """Fail a site none of whose scenes could be read, with the reason most of them share."""
    if not stored:
        reasons = [r.reason for r in refused]
        common = max(sorted(set(reasons)), key=reasons.count)
        raise SourceError(f"site {site.id}: none of {len(refused)} scenes can be used; most often: {common}")


@contextmanager
def _work_folder(out: Path, site: Site) -> Iterator[Path]:
    """Give a folder for intermediate maps beside the results, where all workers see it; removed at the end."""
    work = work_folder(out, site.id)
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        yield work
    except OSError as error:
        raise ProductError(f"{work}: {error.strerror or error}; free disk space or choose another --out") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
