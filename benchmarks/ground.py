"""Occupied ground through the years on worlds of known truth: what is found, what is taken for it, what is missed.

python -m benchmarks.ground [worlds] [dates a year]
"""

import datetime as dt
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import shapely
from scipy import stats
from shapely import box

from benchmarks.worlds import EDGE_M, GRID, YEARS, Season, World, make_world, render_year, to_grid
from models.stockpile import ScoreRules
from pipeline.compare import CompareRules, compare
from pipeline.config import Config
from pipeline.findings import BoundaryPiece, YearDates
from pipeline.grid import blocks
from pipeline.kernels.dates import BANDS
from pipeline.maps import write_map
from pipeline.measure import boundary_measurements, ground_measurements
from pipeline.passes.block import YearLayers, reduce_dates
from pipeline.passes.boundary import measure_boundary
from pipeline.passes.ground import measure_year, year_pairs
from pipeline.passes.history import remember
from pipeline.passes.join import YearBlocks, join_year
from pipeline.passes.label import YearMaps, read_maps
from pipeline.passes.mask import BlockDates, DateMask, packed, write_masks
from pipeline.passes.stack import DateStack
from pipeline.rules import site_rules
from pipeline.types import Change, Zone

LEAST_M2 = 5e3
"""Clearings from here on must be found."""


def year_layers(season: Season, config: Config) -> YearLayers:
    """Reduce a season as the block pass does."""
    values = DateStack(len(season), GRID.shape, Path(tempfile.gettempdir()))
    for number, date in enumerate(season):
        values.put(number, {band: date.bands.get(band, date.bands["swir16"]) for band in BANDS})
    dates = BlockDates(values, packed([DateMask(date.clear, np.zeros_like(date.clear)) for date in season]))
    # In the footprint windows, and outside those of the stockpiles.
    days = [dt.date(2020, 8, 1)] * len(season)
    return reduce_dates(dates, days, GRID, ScoreRules(0.0, 0.0, 0.0, 0.0, 0.0), config)


ZONES = (
    Zone("site", "site", "Site", to_grid(box(0, 0, EDGE_M, EDGE_M).difference(box(1400, 1300, 1840, 1700))), 4e6),
    Zone("camp", "named", "Camp", to_grid(box(350, 350, 1050, 1050)), 49e4),
    Zone("fields", "named", "Fields", to_grid(box(950, 0, 2000, 1050)), 11e5),
    Zone("lake", "named", "Lake", to_grid(box(0, 1400, 650, 2000)), 39e4),
    Zone("woods", "named", "Woods", to_grid(box(650, 1050, 1350, 2000)), 66e4),
    Zone("control", "control", "Village", to_grid(box(1400, 1300, 1840, 1700)), 17e4),
)


def write_year(layers: YearLayers, config: Config, folder: Path) -> None:
    """Write the maps of a year as the join pass does."""
    (block,) = blocks(GRID, max(GRID.shape), 0)
    parts = folder.with_name(f"{folder.name}_block")
    for field in fields(layers):
        write_map(parts, field.name, getattr(layers, field.name))
    unseen = np.zeros(GRID.shape, dtype=bool)
    write_masks(parts, packed([DateMask(unseen, unseen)]), block.target)
    join_year(YearBlocks([(block, parts)], GRID), folder, site_rules(config))


def year_maps(layers: YearLayers, config: Config) -> YearMaps:
    """Return the maps of a year."""
    with tempfile.TemporaryDirectory() as folder:
        maps = Path(folder) / "maps"
        write_year(layers, config, maps)
        return read_maps(maps)


@dataclass(frozen=True)
class Outcome:
    """What was found of one world."""

    world: World
    pieces: dict[tuple[int, int], list[BoundaryPiece]]
    changes: tuple[Change, ...]


def measure_world(world: World, dates: int, config: Config) -> Outcome:
    """Run the ground passes and the comparison over all years of a world."""
    with tempfile.TemporaryDirectory() as folder:
        work, maps = Path(folder), {}
        for year in YEARS:
            maps[year] = work / str(year)
            write_year(year_layers(render_year(world, year, dates), config), config, maps[year])
        years = remember(maps, YEARS, work, config.boundary.shore_m)
        ground = {year: measure_year(year, years, ZONES, GRID, config) for year in YEARS}
        pairs = year_pairs(YEARS, YEARS[0])
        pieces = {pair: measure_boundary(pair, years, ZONES, GRID, config) for pair in pairs}
    days = tuple(range(160, 160 + dates))
    annual = ground_measurements(ZONES, ground, [YearDates(year, (), days) for year in YEARS], config)
    gains = boundary_measurements(ZONES, ground, pieces, config)
    rules = CompareRules(config.stats.fdr_q, config.max_season_shift_days, YEARS[0])
    return Outcome(world, pieces, compare([*annual, *gains], rules))


def upper95(k: int, n: int) -> float:
    """Upper end of the two-sided 95 % interval of a share, exact (Clopper and Pearson)."""
    return 1.0 if k == n else float(stats.beta.ppf(0.975, k + 1, n - k))


def scores(outcome: Outcome) -> tuple[float, float, float, int, int]:
    """Certain gain since the first year: area, area outside the truth, the same beyond 10 m; patches, found ones."""
    area = false = far = 0.0
    patches = hit = 0
    for (earlier, later), pieces in outcome.pieces.items():
        if earlier != YEARS[0]:
            continue
        gain = next(p.geometry for p in pieces if (p.zone_id, p.change) == ("site", "certain_gain"))
        true = shapely.union_all(outcome.world.gained(earlier, later))
        area, false = area + gain.area, false + gain.difference(true).area
        far += gain.difference(true.buffer(10.0)).area
        for shape in outcome.world.gained(earlier, later) if later == YEARS[-1] else ():
            if shape.area >= LEAST_M2:
                patches, hit = patches + 1, hit + (gain.intersection(shape).area >= shape.area / 2)
    return area, false, far, patches, int(hit)


def report_growing(worlds: int, dates: int, config: Config) -> None:
    """Print commission and omission of certain gain."""
    rows = np.array([scores(measure_world(make_world("growing", seed), dates, config)) for seed in range(worlds)])
    area, false, far, patches, hit = rows.sum(axis=0)
    draws = np.random.default_rng(0).integers(0, worlds, (2000, worlds))
    for name, column in (("outside the truth", 1), ("more than 10 m outside", 2)):
        share = np.quantile(rows[draws, column].sum(axis=1) / rows[draws, 0].sum(axis=1), 0.975)
        value = (false if column == 1 else far) / area
        print(f"certain gain {name}: {100 * value:.1f} % of {area / 1e4:.0f} ha, upper 95 % {100 * share:.1f} %")
    missed = int(patches - hit)
    bound = 100 * upper95(missed, int(patches))
    print(f"clearings of 0.5 ha and more missed: {missed} of {patches:.0f}, upper 95 % {bound:.1f} %")


def report_unchanged(kind: str, worlds: int, dates: int, config: Config) -> None:
    """Print in how many zones and worlds anything is called a change."""
    tested = called = zones_called = zones = sites = 0
    for seed in range(worlds):
        changes = measure_world(make_world(kind, seed), dates, config).changes
        wrong = [c for c in changes if c.verdict in {"increase", "decrease"}]
        tested, called = tested + len(changes), called + len(wrong)
        zones, zones_called = zones + len(ZONES), zones_called + len({c.zone_id for c in wrong})
        sites += bool(wrong)
        for c in wrong:
            print(f"  {kind} {seed}: {c.metric} {c.zone_id} {c.year_from}-{c.year_to} {c.delta:+.0f} m2")
    print(
        f"{kind}: called {called} of {tested} changes, {zones_called} of {zones} zones "
        f"(upper 95 % {100 * upper95(zones_called, zones):.1f} %), {sites} of {worlds} worlds"
    )


def report_thinning(worlds: int, config: Config) -> None:
    """Print the area found of the same seasons thinned from 24 to 12 and 6 dates, in per cent of that of 24."""
    drift: dict[tuple[int, Callable[..., YearMaps]], list[float]] = {
        (n, way): [] for n in (12, 6) for way in (_matched, _plain)
    }
    for seed in range(worlds):
        season = render_year(make_world("still", seed), YEARS[0], 24)
        whole = {way: way(season, config) for way in (_matched, _plain)}
        for (kept, way), shares in drift.items():
            chosen = sorted(np.random.default_rng([seed, kept]).permutation(24)[:kept])
            found, both = way([season[n] for n in chosen], config), whole[way]
            # Ground that the few dates do not show is no drift.
            seen = both.ground_seen & found.ground_seen
            shares.append(100 * ((found.ground[0] & seen).sum() / (both.ground[0] & seen).sum() - 1))
    for (kept, way), values in drift.items():
        half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
        name = "expected largest of three" if way is _matched else "plain largest"
        print(f"24 -> {kept} dates, {name}: {np.mean(values):+.2f} % of the area (95 % interval +-{half:.2f})")


def _matched(season: Season, config: Config) -> YearMaps:
    return year_maps(year_layers(season, config), config)


def _plain(season: Season, config: Config) -> YearMaps:
    """Show what the largest of all dates would."""
    layers = year_layers(season, config)
    for field, bands in (
        ("ndvi_max", lambda b: (b["nir"] - b["red"]) / (b["nir"] + b["red"])),
        ("dvi_max", lambda b: b["nir"] - b["red"]),
    ):
        stack = np.stack([np.where(d.clear, bands(d.bands), -9.0) for d in season])
        getattr(layers, field)[0] = np.where(stack.max(axis=0) > -9.0, stack.max(axis=0), np.nan)  # noqa: PLR2004 - below any
    return year_maps(layers, config)


def main(worlds: int = 12, dates: int = 8) -> None:
    """Print every figure."""
    config = Config()
    report_thinning(worlds, config)
    report_growing(worlds, dates, config)
    for kind in ("restless", "still"):
        report_unchanged(kind, worlds, dates, config)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
