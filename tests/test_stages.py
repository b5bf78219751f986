"""A year or a pair of years is measured from the years it rests on as from all of them."""

import numpy as np
import pytest
from shapely import box

from pipeline.config import BoundaryConfig, Config
from pipeline.maps import read_map
from pipeline.memory import Memory
from pipeline.parallel import SerialPool
from pipeline.passes.boundary import measure_boundary
from pipeline.passes.ground import measure_year, year_pairs
from pipeline.passes.history import remember
from pipeline.passes.label import YearMaps, write_maps
from pipeline.stages import look_back, measure_ground, measure_pairs
from pipeline.types import Grid, Zone

SIDE = 40
GRID = Grid(32652, 300_000.0, 4_400_000.0, SIDE, SIDE)
LEFT, BOTTOM, RIGHT, TOP = GRID.bounds
ZONES = (
    Zone("site", "site", "Site", box(LEFT, BOTTOM, RIGHT, TOP), 16e4),
    Zone("east", "named", "East", box(LEFT + 200, BOTTOM, RIGHT, TOP), 8e4),
)
YEARS = range(2017, 2025)


def blobs(rng, share):
    """Patches of 5 x 5 pixels."""
    return np.kron(rng.random((SIDE // 5, SIDE // 5)) < share, np.ones((5, 5), dtype=bool))


def written(path, rng, steady):
    ground = (steady | blobs(rng, 0.2)) & ~blobs(rng, 0.1)
    maps = YearMaps(
        objects=blobs(rng, 0.1), water=blobs(rng, 0.1),
        clear=np.full(GRID.shape, 8, np.uint8), ground_clear=np.full(GRID.shape, 8, np.uint8),
        ground=np.stack([ground, ground & ~blobs(rng, 0.1), ground]), ground_seen=~blobs(rng, 0.1),
        wet=blobs(rng, 0.04), brightness=rng.random(GRID.shape, dtype=np.float32) / 4,
    )  # fmt: skip
    write_maps(path, maps)
    return path


def make(number, folder):
    """Write a year's maps; the last two digits are the year, the others tell one making from another."""
    rng = np.random.default_rng(number)
    return written(folder / "maps", rng, blobs(np.random.default_rng(1), 0.4))


@pytest.mark.parametrize("near", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_years_beside_are_enough(seed, near, tmp_path):
    config = Config(boundary=BoundaryConfig(lasting_years=near))
    rng = np.random.default_rng(seed)
    memory, pool = Memory(tmp_path / "memory", "code"), SerialPool()
    paths = memory.map(pool, make, [seed * 10_000 + year for year in YEARS], files=True)
    maps = dict(zip(YEARS, paths, strict=True))
    adequate = [year for year in YEARS if rng.random() < 0.75]
    plain = remember(maps, adequate, tmp_path, config.boundary.shore_m)
    years = look_back(maps, adequate, config, pool, memory)
    found = measure_ground(years, ZONES, GRID, config, pool, memory)
    assert found == {year: measure_year(year, plain, ZONES, GRID, config) for year in YEARS}
    assert any(zone.sigma_m2 for zones in found.values() for zone in zones)
    base = adequate[0] if adequate else None
    pairs = [pair for pair in year_pairs(YEARS, base) if set(pair) <= set(adequate)]
    pieces = measure_pairs(pairs, (years, ZONES), GRID, config, pool, memory)
    assert pieces == {pair: measure_boundary(pair, plain, ZONES, GRID, config) for pair in pairs}


class Counting(SerialPool):
    def __init__(self) -> None:
        self.done = []

    def map(self, function, items, *shared):
        listed = list(items)
        self.done += [(function.__name__, item[1]) for item in listed]
        return super().map(function, listed, *shared)


def test_a_change_of_the_last_year_touches_what_rests_on_it(tmp_path):
    config = Config(boundary=BoundaryConfig(lasting_years=2))

    def measured(last):
        memory, pool = Memory(tmp_path / "memory", "code"), Counting()
        paths = memory.map(SerialPool(), make, [*YEARS[:-1], last], files=True)
        maps = dict(zip(YEARS, paths, strict=True))
        years = look_back(maps, list(YEARS), config, pool, memory)
        measure_ground(years, ZONES, GRID, config, pool, memory)
        measure_pairs(year_pairs(YEARS, YEARS[0]), (years, ZONES), GRID, config, pool, memory)
        shore = read_map(years.shore.parent, "shore")
        return shore, {name: [item.of for n, item in pool.done if n == name] for name in ("ground_of", "boundary_of")}

    shore, first = measured(YEARS[-1])
    assert first == {"ground_of": list(YEARS), "boundary_of": year_pairs(YEARS, YEARS[0])}
    assert measured(YEARS[-1])[1] == {"ground_of": [], "boundary_of": []}
    other = next(n for n in range(90_000, 99_000) if touches(tmp_path / f"try{n}", n, shore, config))
    after, second = measured(other)
    assert np.array_equal(after, shore), "else all of it rests on the change"
    assert 2024 in second["ground_of"]
    assert (2023, 2024) in second["boundary_of"]
    assert (2017, 2024) in second["boundary_of"]
    assert (2018, 2019) not in second["boundary_of"]
    assert (2017, 2020) not in second["boundary_of"]


def touches(folder, number, shore, config):
    """Whether another last year leaves the shore as it was."""
    folder.mkdir()
    paths = [make(year, folder / str(year)) for year in YEARS[:-1]]
    maps = dict(zip(YEARS, [*paths, make(number, folder / "other")], strict=True))
    return np.array_equal(np.load(remember(maps, list(YEARS), folder, config.boundary.shore_m).shore), shore)
