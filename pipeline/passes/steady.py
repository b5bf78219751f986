"""Steady pass: the ground drift is watched on, and each scene's departure from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from pipeline.clear import CLEAR, classify
from pipeline.config import Config
from pipeline.drift import BANDS, MIN_PIXELS, SceneDeparture, steady_ground
from pipeline.findings import PreparedScene
from pipeline.maps import read_map, remove_map, write_map
from pipeline.passes.scene import middle
from pipeline.pixels import read_image
from pipeline.products.cog import read_cog
from pipeline.types import Bool, Float32, Grid

_MARGIN_PX = 2
"""A new scene makes some pixels beside steady ground steady too; ground farther away is read from the scenes again."""
_NO_DATA = 65535
_TO_REFLECTANCE = np.float32(1e-4)


@dataclass(frozen=True)
class _Windows:
    """A window of the years' composites, mapped one after the other: reflectance, NaN unseen."""

    paths: Sequence[Path]

    def __iter__(self) -> Iterator[Float32]:
        for path in self.paths:
            yield np.load(path, mmap_mode="r")


def _unpack(composite: Path, at: tuple[slice, slice], folder: Path) -> Path:
    """Write a window of a composite so that a few rows of it can be read, many times."""
    bands, _, _ = read_cog(composite, at, bands=BANDS)
    pixels = np.stack([bands[name] for name in BANDS])
    write_map(folder, composite.stem, np.where(pixels == _NO_DATA, np.float32(np.nan), pixels * _TO_REFLECTANCE))
    return folder / f"{composite.stem}.npy"


def choose_steady(years: Sequence[tuple[Path, Path]], measured: Bool, grid: Grid, config: Config, path: Path) -> Path:
    """Choose steady ground in the middle of the site and write it (``steady``) with its level (``level``).

    ``level`` has the shape (bands, steady pixels): every scene reads it, and most ground is not steady.

    Parameters
    ----------
    years : sequence of (Path, Path)
        Maps and composite of each year, in order.
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
    for folder, _ in years:
        piles |= read_map(folder, "objects", at)
    windows = _Windows([_unpack(composite, at, path.parent) for _, composite in years])
    steady, level = steady_ground(windows, piles, config.footprint.ndvi_max_bare, config.footprint.dark_brightness)
    for one in windows.paths:
        remove_map(one.parent, one.stem)
    steady &= measured[rows, columns]
    np.savez(path, steady=steady, level=level[:, steady])
    return path


def around(steady: Path, path: Path) -> Path:
    """Write steady ground with a margin: scenes are kept there, so that they need not be read again when it changes."""
    with np.load(steady) as arrays:
        np.save(path, ndimage.binary_dilation(arrays["steady"], np.ones((3, 3)), iterations=_MARGIN_PX))
    return path


def covers(margin: Path, steady: Path) -> bool:
    """Whether ground of :func:`around` holds all steady ground, perhaps chosen later."""
    with np.load(steady) as arrays:
        chosen, wide = arrays["steady"], np.load(margin)
    return chosen.shape == wide.shape and not np.any(chosen & ~wide)


@dataclass(frozen=True)
class Shown:
    """What one scene shows of the ground of :func:`around`, and which scene it is."""

    path: Path
    scene_id: str
    year: int
    platform: str | None


def read_clear(scene: PreparedScene, margin: Path, grid: Grid, config: Config, path: Path) -> Path:
    """Write what a scene shows of the ground of :func:`around`: where it is clear, and the reflectance there.

    ``clear`` has a value for each pixel of that ground, ``values`` the shape (bands, clear pixels), bands as in BANDS.
    """
    wide = np.load(margin)
    if wide.sum() < MIN_PIXELS:
        np.savez(path, clear=np.zeros(wide.sum(), dtype=bool), values=np.zeros((len(BANDS), 0), dtype=np.float32))
        return path
    image = read_image(scene.stored, middle(grid)[2], (*BANDS, "scl"), scene.calibration)
    seen = wide & (classify(image, scene.sun_azimuth_deg, config.clear) == CLEAR)
    np.savez(path, clear=seen[wide], values=np.stack([image.bands[band][seen] for band in BANDS]))
    return path


def scene_departure(shown: Shown, margin: Path, steady: Path) -> SceneDeparture | None:
    """Measure how far one scene's steady ground lies from its level; None where it shows too little of it."""
    with np.load(steady) as arrays:
        chosen, level = arrays["steady"][np.load(margin)], arrays["level"]
    with np.load(shown.path) as arrays:
        clear, values = arrays["clear"], arrays["values"]
    of_shown = chosen[clear]
    count = int(of_shown.sum())
    if count < MIN_PIXELS:
        return None
    off = values.take(np.flatnonzero(of_shown), axis=1) - level.take(np.flatnonzero(clear[chosen]), axis=1)
    departure = {band: _median(one) for band, one in zip(BANDS, off, strict=True)}
    return SceneDeparture(shown.scene_id, shown.year, shown.platform, count, departure)


def _median(values: Float32) -> float:
    """Median as numpy has it, in a tenth of the time: NaN where any value is."""
    half = values.size // 2
    ranked = np.partition(values, half)
    if np.isnan(ranked[half:]).any():
        return float("nan")
    return float(ranked[half] if values.size % 2 else (ranked[:half].max() + ranked[half]) / np.float32(2))
