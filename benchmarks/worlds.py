"""Worlds of known truth for ground through the years: camp, villages, fields, woods and a reservoir.

``growing``: clearings that stay, beside fields that rotate, logged patches and a reservoir that falls and rises;
``restless``: the same without a clearing; ``still``: nothing changes. Every year has fresh noise, clouds, shifts
and season. Written apart from the simulated archive, so that one does not inherit the other's errors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage
from shapely import Polygon, affinity, box
from shapely.geometry.base import BaseGeometry

from pipeline.types import Grid


@dataclass(frozen=True)
class Day:
    """One date of a season: reflectance by band, and what of it is clear."""

    bands: Mapping[str, NDArray[np.float32]]
    clear: NDArray[np.bool_]


Season = Sequence[Day]
"""Dates, and where each is clear."""
SIZE_PX, FINE = 200, 4
"""Pixels of 10 m on an edge, and cells on a pixel's edge."""
YEARS = tuple(range(2018, 2024))
GRID = Grid(32652, 300_000.0, 4_400_000.0, SIZE_PX, SIZE_PX)
EDGE_M = 10.0 * SIZE_PX
PSF_SIGMA_M = {"blue": 5.1, "green": 5.1, "red": 5.1, "nir": 5.1, "nir08": 9.8, "swir16": 9.8}
SPECTRA = {
    # Reflectance in the order of PSF_SIGMA_M: science 1.1; grass and crops as rounded field spectra.
    "forest": (0.028, 0.052, 0.030, 0.340, 0.360, 0.170),
    "crop": (0.040, 0.075, 0.042, 0.360, 0.380, 0.200),
    "grass": (0.050, 0.080, 0.070, 0.240, 0.260, 0.230),
    "soil": (0.100, 0.140, 0.190, 0.245, 0.260, 0.330),
    "spoil": (0.066, 0.081, 0.098, 0.124, 0.130, 0.186),
    "concrete": (0.218, 0.248, 0.292, 0.315, 0.313, 0.338),
    "coal": (0.040, 0.041, 0.042, 0.045, 0.046, 0.052),
    "water": (0.033, 0.038, 0.025, 0.020, 0.019, 0.014),
}
STUBBLE = (0.085, 0.115, 0.145, 0.215, 0.235, 0.300)
"""A field out of leaf."""
STUBBLE_SHARE, CLOUDLESS_SHARE = 0.25, 0.4
"""Of the dates."""
BARE_SHARE = 0.4
"""Of the years of a field that rotates."""
NOISE, GAIN, PATH = 0.004, 0.02, 0.004
SHIFT_M = 2.0
"""What registration leaves per axis (science 2.4)."""


@dataclass(frozen=True)
class Patch:
    """Ground of one material in some years."""

    material: str
    shape: BaseGeometry
    years: frozenset[int]


@dataclass(frozen=True)
class World:
    """Patches painted in order over forest, and which of them are clearings that stay."""

    patches: tuple[Patch, ...]
    clearings: tuple[Patch, ...]
    seed: int

    def gained(self, earlier: int, later: int) -> list[BaseGeometry]:
        """Give the true gain between two years, in the grid's CRS."""
        return [to_grid(p.shape) for p in self.clearings if later in p.years and earlier not in p.years]


def to_grid(shape: BaseGeometry) -> BaseGeometry:
    """Metres from the corner, y to the south, to the grid's CRS."""
    return affinity.affine_transform(shape, (1, 0, 0, -1, GRID.left_m, GRID.top_m))


def _blob(rng: np.random.Generator, x: float, y: float, area_m2: float) -> Polygon:
    """Irregular patch of an area about a point."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radius = rng.uniform(0.7, 1.3, angles.size) * np.where(np.arange(angles.size) % 2, 1.0, rng.uniform(0.8, 1.4))
    shape = Polygon(zip(radius * np.cos(angles), radius * np.sin(angles), strict=True)).buffer(0.1)
    factor = float(np.sqrt(area_m2 / shape.area))
    placed = affinity.scale(shape, factor, factor, origin=shape.centroid)
    return affinity.translate(placed, x - placed.centroid.x, y - placed.centroid.y)


def make_world(kind: str, seed: int) -> World:
    """Draw a world; every kind of one seed has the same ground that stays."""
    rng = np.random.default_rng([seed, 1])
    always = frozenset(YEARS)
    camp = _blob(rng, 700, 700, 15e4)
    villages = [box(1500, 1400, 1740, 1600), box(1450, 250, 1650, 480)]
    patches = [
        Patch("crop", box(950, 0, 2000, 1050), always),
        Patch("soil", camp, always),
        *(Patch("concrete", box(600 + 70 * i, 640, 650 + 70 * i, 660), always) for i in range(4)),
        Patch("coal", _blob(rng, 640, 760, 8e3), always),
        Patch("spoil", _blob(rng, 780, 800, 12e3), always),
        *(Patch("soil", village, always) for village in villages),
    ]
    taken: list[BaseGeometry] = [camp.buffer(30), *(v.buffer(40) for v in villages), box(0, 1450, 600, 2000)]
    moves = np.random.default_rng([seed, 2])
    clearings = []
    for _ in range(9):
        shape = _place(moves, taken, moves.uniform(3e3, 2e4))
        first = int(moves.integers(YEARS[1], YEARS[-1]))
        material = ("soil", "soil", "concrete", "spoil")[int(moves.integers(4))]
        clearings.append(Patch(material, shape, frozenset(range(first, YEARS[-1] + 1))))
    # One clearing grows out of the camp's own edge.
    clearings.append(
        Patch("soil", box(camp.bounds[2] - 60, 640, camp.bounds[2] + 60, 780).difference(camp), _since(2020))
    )
    restless = [*_rotating(moves, taken), *_logged(moves, taken), *_reservoir(moves)]
    if kind == "growing":
        return World((*patches, *restless, *clearings), tuple(clearings), seed)
    return World((*patches, *(restless if kind == "restless" else _reservoir(None))), (), seed)


def _since(year: int) -> frozenset[int]:
    return frozenset(range(year, YEARS[-1] + 1))


def _place(
    rng: np.random.Generator, taken: list[BaseGeometry], area_m2: float, within: Polygon | None = None
) -> Polygon:
    """Put a patch where none is within 40 m."""
    where = within or box(100, 100, EDGE_M - 100, EDGE_M - 100)
    while True:
        x, y = rng.uniform(where.bounds[0], where.bounds[2]), rng.uniform(where.bounds[1], where.bounds[3])
        shape = _blob(rng, x, y, area_m2)
        if where.covers(shape) and not any(shape.intersects(other) for other in taken):
            taken.append(shape.buffer(40))
            return shape


def _rotating(rng: np.random.Generator, taken: list[BaseGeometry]) -> Iterator[Patch]:
    """Fields bare through a whole season now and then, never two years running."""
    for _ in range(6):
        bare = [year for year in YEARS if rng.random() < BARE_SHARE]
        single = frozenset(y for n, y in enumerate(bare) if y - 1 not in bare[:n])
        yield Patch("soil", _place(rng, taken, rng.uniform(5e3, 2e4), box(1000, 30, 1970, 1020)), single)


def _logged(rng: np.random.Generator, taken: list[BaseGeometry]) -> Iterator[Patch]:
    """Patches bare for one or two seasons, then under grass."""
    for _ in range(4):
        shape, first, bare = (
            _place(rng, taken, rng.uniform(5e3, 2e4)),
            int(rng.integers(2019, 2022)),
            int(rng.integers(1, 3)),
        )
        yield Patch("soil", shape, frozenset(range(first, first + bare)))
        yield Patch("grass", shape, _since(first + bare))


def _reservoir(rng: np.random.Generator | None) -> Iterator[Patch]:
    """Water in a bare basin; its level is another every year, or the same without a generator."""
    basin = box(60, 1500, 540, 1940).buffer(-80).buffer(80)
    yield Patch("soil", basin, frozenset(YEARS))
    for year in YEARS:
        yield Patch("water", basin.buffer(-60.0 if rng is None else -rng.uniform(0, 110)), frozenset({year}))


def _layers(world: World, year: int) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Amplitude of every material at both resolutions on the fine cells."""
    size = SIZE_PX * FINE
    cell_m = 10.0 / FINE
    rng = np.random.default_rng([world.seed, 3])
    relief = np.zeros((size, size))
    for scale_m, weight in ((60.0, 0.06), (15.0, 0.06), (0.0, 0.06)):
        white = rng.standard_normal((size, size))
        smooth = ndimage.gaussian_filter(white, scale_m / cell_m, mode="wrap") if scale_m else white
        relief += weight * smooth / smooth.std()
    relief = np.clip(relief, -0.3, 0.3)
    owner = np.zeros((size, size), dtype=np.int16)
    names = list(SPECTRA)
    for patch in world.patches:
        if year in patch.years and not patch.shape.is_empty:
            inside = rasterize([patch.shape], out_shape=(size, size), transform=Affine(cell_m, 0, 0, 0, cell_m, 0))
            owner[inside == 1] = names.index(patch.material)
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    for number, name in enumerate(names):
        mine = (owner == number) * (1 + relief)
        found[name] = {
            str(sigma): ndimage.gaussian_filter(mine, np.sqrt((sigma / cell_m) ** 2 - 1 / 4), mode="nearest").astype(
                np.float32
            )
            for sigma in set(PSF_SIGMA_M.values())
        }
    return found


def render_year(world: World, year: int, dates: int, tag: int = 0) -> list[Day]:
    """Render the dates of a season with where each is clear; ``tag`` draws another season of the same ground."""
    layers = _layers(world, year)
    rng = np.random.default_rng([world.seed, year, dates, tag, 4])
    centres = (np.arange(SIZE_PX) + 0.5) * FINE - 0.5
    found = []
    for _ in range(dates):
        off = rng.normal(0, SHIFT_M * FINE / 10, 2)
        rows, columns = np.meshgrid(centres + off[0], centres + off[1], indexing="ij")
        clear, veil = _sky(rng)
        leaf = 0.15 if rng.random() < STUBBLE_SHARE else rng.uniform(0.7, 1.0)
        common, path = rng.normal(1, GAIN), rng.normal(0, PATH)
        bands = {}
        for number, (band, sigma) in enumerate(PSF_SIGMA_M.items()):
            total = np.zeros((SIZE_PX, SIZE_PX))
            for name, spectrum in SPECTRA.items():
                level = spectrum[number]
                level = leaf * level + (1 - leaf) * STUBBLE[number] if name == "crop" else level
                total += level * ndimage.map_coordinates(
                    layers[name][str(sigma)], [rows, columns], order=1, mode="nearest"
                )
            gain = common * rng.normal(1, 0.01)
            bands[band] = (gain * total + path + veil + rng.normal(0, NOISE, total.shape)).astype(np.float32)
        found.append(Day(bands, clear))
    return found


def _sky(rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Where a date is called clear, and the haze that is left there: the rim of clouds is missed."""
    if rng.random() < CLOUDLESS_SHARE:
        return np.ones((SIZE_PX, SIZE_PX), dtype=bool), np.zeros((SIZE_PX, SIZE_PX))
    smooth = ndimage.gaussian_filter(rng.standard_normal((SIZE_PX, SIZE_PX)), 12, mode="wrap")
    cover = rng.uniform(0.05, 0.5)
    level = np.quantile(smooth, 1 - cover)
    veil = np.clip((smooth - level) / smooth.std() + 0.3, 0, 1) * 0.1
    return smooth < level, veil
