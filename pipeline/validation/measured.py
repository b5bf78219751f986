"""A world through the pipeline, and what it found held against what is true."""

import itertools
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry
from shapely.strtree import STRtree

from pipeline.compare import Z95
from pipeline.config import Config, LimitsConfig, SourceConfig, YearsConfig
from pipeline.decoded import with_scratch
from pipeline.findings import PileSeries, PileYear
from pipeline.grid import areal_scale
from pipeline.imagery import Refusal, StoredScene
from pipeline.memory import Memory
from pipeline.parallel import SerialPool
from pipeline.passes.scene import BANDS
from pipeline.pile_measures import pile_tier
from pipeline.plan import open_store, plan_site
from pipeline.products.software import made_with
from pipeline.run import Batch, measure_site
from pipeline.sites import read_site
from pipeline.stages import Place
from pipeline.store import fetch
from pipeline.tables import Findings
from pipeline.types import Change
from pipeline.validation.archive import Made, World
from pipeline.validation.cases import Case, make_case
from pipeline.validation.days import YEARS
from pipeline.validation.draw import Thing, counts
from pipeline.validation.outcomes import ChangeResult, FalseResult, PileResult, WorldResult
from pipeline.validation.render import south_up, true_area_m2
from pipeline.validation.worlds import make_world

_CASES = 4
_SHOWN_M2 = 2000.0
_NEAR_M = 250.0
_HIT = 0.3
"""A pile is found when this share of its outline lies in one that is reported."""


def measure_world(world: World, folder: Path, data: Path | None) -> tuple[WorldResult, tuple[Case, ...]]:
    """Make a world, measure it as any site is measured, and compare; its archive is removed again.

    Parameters
    ----------
    world : World
    folder : Path
        Where its archive lies while it is needed.
    data : Path or None
        Folder of the real archives.

    Returns
    -------
    WorldResult
    tuple of Case
        The worst errors, misses and false objects of this world.
    """
    made = make_world(world, folder / world.id, data)
    found = findings_of(made)
    result = compare_with_truth(made, found)
    cases = _cases(made, found, result)
    shutil.rmtree(made.folder)
    return result, cases


def findings_of(made: Made) -> Findings:
    """Measure a world's archive with the pipeline as it is, without writing products."""
    config = Config(
        source=SourceConfig(
            kind="simulated", url=str(made.folder / "catalog.json"), evidence="reference", sign_url=None
        ),
        years=YearsConfig(first=YEARS[0], last=YEARS[made.world.order.years - 1]),
        out=made.folder / "out",
    )
    site = read_site(made.folder / "aoi" / f"{made.world.id}.geojson", LimitsConfig())
    batch = Batch(config, (), None, SerialPool())
    batch.line.ledger.opened()
    planned = plan_site(site, config, batch.line)
    store = open_store(config, batch.line)
    fetched = [fetch(store, scene, planned.grid, BANDS) for scene in planned.scenes]
    stored = [s for s in fetched if isinstance(s, StoredScene)]
    refused = [*planned.refused, *(s for s in fetched if isinstance(s, Refusal))]
    work = config.out / "work"
    work.mkdir(parents=True)
    stored = with_scratch(stored, work / "decoded", planned.grid, config.limits.max_scratch_gb)
    return measure_site(
        site, planned.grid, (stored, refused), batch, Place(Memory(work / "memory", made_with()), work), _quiet
    )


def _cases(made: Made, found: Findings, result: WorldResult) -> tuple[Case, ...]:
    """Cut out the worst of a world."""
    places = {}
    for pile in result.piles:
        if not pile.adequate or pile.true_m2 < _SHOWN_M2:
            continue
        if not pile.area_m2:
            key, badness, text = "miss", pile.true_m2, f"{pile.true_m2 / 1e4:.2f} ha"
        else:
            badness = abs(pile.area_m2 - pile.true_m2) / (pile.sigma_m2 or 1.0)
            key = "error"
            text = f"true {pile.true_m2 / 1e4:.2f} ha, reported {pile.area_m2 / 1e4:.2f}, {badness:.1f} sigma"
        shape = made.things[pile.thing].placed(pile.year)
        if shape is not None:
            described = f"{made.world.id} {YEARS[pile.year]}\n{text}"
            true = south_up(shape, made.left_m, made.top_m)
            places[key, pile.thing, pile.year] = (badness, described, true, (true.centroid.x, true.centroid.y))
    chosen = []
    for kind in ("error", "miss"):
        of_kind = sorted((v for k, v in places.items() if k[0] == kind), key=lambda v: -v[0])
        chosen += [(kind, *v) for v in of_kind[:_CASES]]
    nothing = shapely.MultiPolygon()
    for false in sorted(result.false, key=lambda f: -f.area_m2)[:_CASES]:
        text = f"{made.world.id} {YEARS[false.year]}\n{false.cause}: {false.area_m2 / 1e4:.2f} ha, {false.tier}"
        chosen.append(("false", false.area_m2, text, nothing, (false.x_m, false.y_m)))
    cases = []
    for kind, badness, text, true, at in chosen:
        year = int(text.split("\n")[0].split()[-1])
        reported = [y.geometry for p in found.piles for y in p.years if y.year == year and y.geometry is not None]
        near = [g for g in reported if g.distance(shapely.Point(at)) < _NEAR_M]
        composite = made.folder / "out" / "work" / "composites" / f"{year}.tif"
        cases.append(make_case(composite, (kind, badness, text), at, true, shapely.union_all(near)))
    return tuple(cases)


def _quiet(_line: str) -> None:
    pass


def compare_with_truth(made: Made, found: Findings) -> WorldResult:
    """Hold every reported pile against every true one."""
    truth = {
        (number, year): south_up(shape, made.left_m, made.top_m)
        for number, thing in enumerate(made.things)
        for year in range(made.world.order.years)
        if (shape := thing.placed(year)) is not None
    }
    judged = {m.year for m in found.measurements if m.metric == "stockpile_area_m2" and m.value is not None}
    years = [n for n in range(made.world.order.years) if YEARS[n] in judged]
    series = _by_thing(made, truth, found.piles)
    changes = {(c.zone_id, c.year_from, c.year_to): c for c in found.pile_changes}
    piles = [(n, t) for n, t in enumerate(made.things) if t.is_pile]
    return WorldResult(
        world=made.world.id,
        ground=made.world.ground,
        still=made.world.order.still,
        lignite=made.world.order.lignite,
        area_km2_years=made.area_km2 * len(years),
        piles=tuple(_pile_result(made, n, t, y, series.get(n), adequate=y in years) for n, t in piles
                    for y in range(made.world.order.years)),
        changes=tuple(_change_result(made, n, t, pair, series.get(n), changes) for n, t in piles
                      for pair in itertools.pairwise(years) if pair[1] == pair[0] + 1),
        false=tuple(_false_results(made, truth, found.piles)),
        confusers=counts([thing for thing in made.things if not thing.is_pile]),
        parts_changed=_parts_changed(found.changes),
        scenes_used=sum(s.used for s in found.scenes),
        scenes=len(found.scenes) + len(found.refused),
    )  # fmt: skip


def _parts_changed(changes: Sequence[Change]) -> tuple[bool, ...]:
    """Whether each named zone has a verdict of change of its stock; zones never judged are left out."""
    verdicts: dict[str, set[str]] = {}
    for change in changes:
        if change.zone_id.startswith("named:") and change.metric.startswith("stockpile"):
            verdicts.setdefault(change.zone_id, set()).add(change.verdict)
    judged = [v for _, v in sorted(verdicts.items()) if v != {"insufficient_data"}]
    return tuple(bool(v & {"increase", "decrease"}) for v in judged)


def _by_thing(
    made: Made, truth: Mapping[tuple[int, int], BaseGeometry], piles: Sequence[PileSeries]
) -> dict[int, PileSeries]:
    """Give each true pile the reported one that covers most of it in any year."""
    hulls = [shapely.union_all([y.geometry for y in p.years if y.geometry is not None]) for p in piles]
    tree = STRtree(hulls)
    found = {}
    for number, thing in enumerate(made.things):
        if not thing.is_pile:
            continue
        whole = shapely.union_all([truth[key] for key in truth if key[0] == number])
        shares = {int(i): shapely.intersection(hulls[i], whole).area / whole.area for i in tree.query(whole)}
        best = max(shares, key=lambda i: shares[i], default=None)
        if best is not None and shares[best] > 0:
            found[number] = piles[best]
    return found


def _pile_result(
    made: Made, number: int, thing: Thing, year: int, series: PileSeries | None, *, adequate: bool
) -> PileResult:
    of_year = None if series is None else next((y for y in series.years if y.year == YEARS[year]), None)
    area = None if of_year is None else of_year.area_m2
    shape = thing.placed(year)
    if of_year is not None and of_year.geometry is not None and shape is not None:
        placed = south_up(shape, made.left_m, made.top_m)
        if placed.intersection(of_year.geometry).area < _HIT * placed.area:
            area = None
    return PileResult(
        world=made.world.id,
        ground=made.world.ground,
        thing=number,
        year=year,
        true_m2=true_area_m2(thing, year) * _scale(made),
        adequate=adequate and not _unseen(of_year),
        area_m2=area,
        sigma_m2=None if of_year is None else of_year.sigma_m2,
        tier=pile_tier(series) if series is not None and area else None,
        form=str(thing.form),
        course=str(thing.course),
        rank=float(thing.rank or 0.0),
        brightness=float(sum(thing.spectrum[:3]) / 3),
        halo=thing.halo_m > 0,
        shaded=thing.shaded,
        yard=thing.yard is not None,
        score=None if of_year is None else of_year.score,
    )


def _unseen(year: PileYear | None) -> bool:
    """Whether a year of a pile was left open because the pile was hidden on too many dates."""
    return year is not None and year.area_m2 is None and str(year.reason).endswith("dates or more")


def _scale(made: Made) -> float:
    """Geodesic area per planar area in the middle of a world."""
    return 1 / areal_scale(made.epsg, made.left_m + made.shape[1] * 5, made.top_m - made.shape[0] * 5)


def _change_result(
    made: Made,
    number: int,
    thing: Thing,
    years: tuple[int, int],
    series: PileSeries | None,
    changes: Mapping[tuple[str, int, int], Change],
) -> ChangeResult:
    before, after = years
    change = None if series is None else changes.get((series.pile_id, YEARS[before], YEARS[after]))
    sigma = None if change is None or change.mdc95 is None else change.mdc95 / Z95
    return ChangeResult(
        world=made.world.id,
        ground=made.world.ground,
        thing=number,
        year_from=before,
        year_to=after,
        true_from_m2=true_area_m2(thing, before) * _scale(made),
        true_to_m2=true_area_m2(thing, after) * _scale(made),
        delta_m2=None if change is None else change.delta,
        sigma_m2=sigma,
        verdict="not_found" if change is None else change.verdict,
        tier=None if series is None else pile_tier(series),
    )


def _false_results(
    made: Made, truth: Mapping[tuple[int, int], BaseGeometry], piles: Sequence[PileSeries]
) -> list[FalseResult]:
    """Find the reported outlines that touch no pile of any year."""
    true = shapely.union_all([shape for (number, _), shape in truth.items() if made.things[number].is_pile])
    confusers = [
        (made.things[n].kind, s.buffer(15.0)) for (n, y), s in truth.items() if not made.things[n].is_pile and y == 0
    ]
    found = []
    for pile in piles:
        for year in pile.years:
            if not year.area_m2 or year.geometry is None or year.geometry.intersects(true):
                continue
            touched = {kind: shape.intersection(year.geometry).area for kind, shape in confusers
                       if shape.intersects(year.geometry)}  # fmt: skip
            cause = max(touched, key=lambda kind: touched[kind]) if touched else "ground"
            x, y = pile.point
            found.append(
                FalseResult(
                    made.world.id,
                    made.world.ground,
                    cause,
                    year.year - YEARS[0],
                    year.area_m2,
                    pile_tier(pile),
                    x,
                    y,
                    year.score,
                )
            )
    return found
