"""Steady pass: the ground drift is watched on, and each scene's departure from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models._rank_kernels import quantile
from pipeline.clear import CLEAR, classify
from pipeline.config import Config
from pipeline.drift import BANDS, MIN_PIXELS, SceneDeparture, steady_ground
from pipeline.findings import PreparedScene
from pipeline.maps import read_map
from pipeline.passes.scene import middle
from pipeline.pixels import read_image
from pipeline.products.cog import read_cog
from pipeline.types import Bool, Float32, Grid

_NO_DATA = 65535
_TO_REFLECTANCE = np.float32(1e-4)


@dataclass(frozen=True)
class _Composites:
    """A window of the years' composites, read one after the other: reflectance, NaN unseen."""

    paths: Sequence[Path]
    at: tuple[slice, slice]

    def __iter__(self) -> Iterator[Float32]:
        for path in self.paths:
            bands, _, _ = read_cog(path, self.at, bands=BANDS)
            pixels = np.stack([bands[name] for name in BANDS])
            yield np.where(pixels == _NO_DATA, np.float32(np.nan), pixels * _TO_REFLECTANCE)


def choose_steady(maps: Mapping[int, Path], measured: Bool, grid: Grid, config: Config, path: Path) -> Path:
    """Choose steady ground in the middle of the site and write it with its level.

    Parameters
    ----------
    maps : Mapping[int, Path]
        Year to maps; the composites lie beside them.
    measured : Bool
        True inside the AOI and outside excluded ground.
    grid : Grid
    config : Config
    path : Path
        Where pixels and level go.
    """
    rows, columns, _ = middle(grid)
    at = rows, columns
    piles = np.zeros((rows.stop - rows.start, columns.stop - columns.start), dtype=bool)
    for folder in maps.values():
        piles |= read_map(folder, "objects", at)
    years = _Composites([maps[year].parent / "composites" / f"{year}.tif" for year in sorted(maps)], at)
    steady, level = steady_ground(years, piles, config.footprint.ndvi_max_bare, config.footprint.dark_brightness)
    np.savez(path, steady=steady & measured[rows, columns], level=level)
    return path


def scene_departure(scene: PreparedScene, path: Path, grid: Grid, config: Config) -> SceneDeparture | None:
    """Measure how far one scene's steady ground lies from its level; None where it shows too little of it."""
    with np.load(path) as arrays:
        steady, level = arrays["steady"], arrays["level"]
    if steady.sum() < MIN_PIXELS:
        return None
    image = read_image(scene.stored, middle(grid)[2], (*BANDS, "scl"), scene.calibration)
    seen = steady & (classify(image, scene.sun_azimuth_deg, config.clear) == CLEAR)
    if seen.sum() < MIN_PIXELS:
        return None
    departure = {b: quantile(image.bands[b] - level[n], seen, 0.5) for n, b in enumerate(BANDS)}
    about = scene.stored.scene
    return SceneDeparture(about.scene_id, about.date.year, about.platform, int(seen.sum()), departure)
