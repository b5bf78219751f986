"""Block pass: one block of one site and year, all its dates, down to the layers the later passes read."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models._indices import brightness, ndvi
from models.footprint import expected_largest
from models.stockpile import ScoreRules, looks_like_water, may_be_coal
from pipeline.config import Config, in_windows
from pipeline.findings import PreparedScene
from pipeline.grid import Block
from pipeline.imagery import Image
from pipeline.passes.mask import masks_beside, read_dates, write_masks
from pipeline.types import Bool, Float32, Grid

DISPLAY_BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
HALVES = 2


@dataclass(frozen=True)
class YearLayers:
    """What one year shows of every pixel; arrays of shape (rows, columns) unless said.

    Attributes
    ----------
    hits, water, clear : NDArray[np.uint8]
        Dates of the stockpile windows that may be coal, that look like water, and that were clear.
    composite : NDArray[np.uint16]
        Shape (bands, rows, columns): median reflectance x 10000 of all clear dates, 0 is no data.
    ground_clear, ground_bare, ground_water : NDArray[np.uint8]
        Shape (halves + 1, rows, columns): clear dates of the footprint windows, those below the NDVI
        limit, and those like water; index 0 is all dates, then every other date from the first, the second.
    ndvi_max, dvi_max : Float32
        Shape (halves + 1, rows, columns): expected largest NDVI and nir - red of ``footprint.min_pixel_dates``
        of those dates; NaN unseen.
    brightness : Float32
        Median over the clear dates of the footprint windows; NaN unseen.
    """

    hits: NDArray[np.uint8]
    water: NDArray[np.uint8]
    clear: NDArray[np.uint8]
    composite: NDArray[np.uint16]
    ground_clear: NDArray[np.uint8]
    ground_bare: NDArray[np.uint8]
    ground_water: NDArray[np.uint8]
    ndvi_max: Float32
    dvi_max: Float32
    brightness: Float32

    @classmethod
    def empty(cls, grid: Grid) -> "YearLayers":
        """Layers of a grid nothing was seen of."""
        rows, columns = grid.shape
        counts = np.zeros((rows, columns), dtype=np.uint8)
        thirds = np.zeros((HALVES + 1, rows, columns), dtype=np.uint8)
        unseen = np.full((HALVES + 1, rows, columns), np.nan, dtype=np.float32)
        composite = np.zeros((len(DISPLAY_BANDS), rows, columns), dtype=np.uint16)
        return cls(
            counts,
            counts.copy(),
            counts.copy(),
            composite,
            thirds,
            thirds.copy(),
            thirds.copy(),
            unseen,
            unseen.copy(),
            unseen[0].copy(),
        )

    def put(self, part: "YearLayers", block: Block) -> None:
        """Copy a block's layers, without halo, to their place in these."""
        rows, columns = block.target
        for field in fields(self):
            getattr(self, field.name)[..., rows, columns] = getattr(part, field.name)


@dataclass(frozen=True)
class _Date:
    """One scene on a block; ``ok`` are the pixels that may be used."""

    image: Image
    ok: Bool
    in_stockpile: bool
    in_footprint: bool


@dataclass(frozen=True)
class BlockJob:
    """One block and the used scenes of one year."""

    block: Block
    year: int
    scenes: Sequence[PreparedScene]


def score_block(job: BlockJob, rules: ScoreRules, config: Config, folder: Path) -> Path:
    """Score, count and composite one block of one year, and write its layers.

    Parameters
    ----------
    job : BlockJob
    rules : ScoreRules
    config : Config
    folder : Path
        Where the layers go; the name tells year and block.

    Returns
    -------
    Path
        Of the written layers, for :func:`read_layers`.
    """
    block = job.block
    dates = read_dates(block.grid, job.scenes, config.clear)
    seen = [_date(image, mask.usable, s, config) for (image, mask), s in zip(dates, job.scenes, strict=True)]
    layers = _layers(seen, block.grid, rules, config)
    path = folder / f"{job.year}_{block.row}_{block.column}.npz"
    rows, columns = block.inner
    np.savez(path, **{f.name: getattr(layers, f.name)[..., rows, columns] for f in fields(layers)})
    write_masks(masks_beside(path), [mask for _, mask in dates], block.inner)
    return path


def read_layers(path: Path) -> YearLayers:
    """Return layers written by :func:`score_block`."""
    with np.load(path) as arrays:
        return YearLayers(**{f.name: arrays[f.name] for f in fields(YearLayers)})


def _date(image: Image, ok: Bool, scene: PreparedScene, config: Config) -> _Date:
    day, windows = scene.stored.scene.date, config.windows
    return _Date(image, ok, in_windows(day, windows.stockpile), in_windows(day, windows.footprint))


def _layers(dates: Sequence[_Date], grid: Grid, rules: ScoreRules, config: Config) -> YearLayers:
    layers = YearLayers.empty(grid)
    if not dates:
        return layers
    for date in dates:
        if date.in_stockpile:
            layers.clear[date.ok] += 1
            layers.hits[date.ok & may_be_coal(date.image.bands, rules)] += 1
            layers.water[date.ok & looks_like_water(date.image.bands)] += 1
    ground = [date for date in dates if date.in_footprint]
    if ground:
        _fill_ground(layers, ground, config)
        layers.brightness[:] = _median([brightness(d.image.bands) for d in ground], [d.ok for d in ground])
    for place, band in enumerate(DISPLAY_BANDS):
        median = _median([d.image.bands[band] for d in dates], [d.ok for d in dates])
        layers.composite[place] = np.nan_to_num(np.clip(np.round(median * 1e4), 1, 65535), nan=0.0).astype(np.uint16)
    return layers


def _fill_ground(layers: YearLayers, dates: Sequence[_Date], config: Config) -> None:
    """Count the dates of the footprint windows, and take their largest greenness, of all and of each half."""
    green = _stack([ndvi(date.image.bands) for date in dates], [date.ok for date in dates])
    seen = np.isfinite(green)
    with np.errstate(invalid="ignore"):
        bare = green < config.footprint.ndvi_max_bare
    water = seen & np.stack([looks_like_water(date.image.bands) for date in dates])
    difference = _stack([date.image.bands["nir"] - date.image.bands["red"] for date in dates], list(seen))
    for place in range(HALVES + 1):
        # Place 0 holds all dates, the others every other one from the first or the second.
        of = slice(None) if place == 0 else slice(place - 1, None, HALVES)
        layers.ground_clear[place] = seen[of].sum(axis=0)
        layers.ground_bare[place] = bare[of].sum(axis=0)
        layers.ground_water[place] = water[of].sum(axis=0)
        if len(green[of]):
            layers.ndvi_max[place] = expected_largest(green[of], config.footprint.min_pixel_dates)
            layers.dvi_max[place] = expected_largest(difference[of], config.footprint.min_pixel_dates)


def _stack(values: Sequence[Float32], good: Sequence[Bool]) -> Float32:
    """Dates on one axis; NaN where a date is not usable."""
    return np.stack([np.where(ok, value, np.float32(np.nan)) for value, ok in zip(values, good, strict=True)])


def _median(values: Sequence[Float32], good: Sequence[Bool]) -> Float32:
    """Median over the usable dates; NaN where there is none."""
    stack = _stack(values, good)
    unseen = ~np.isfinite(stack).any(axis=0)
    stack[:, unseen] = 0.0
    median: Float32 = np.nanmedian(stack, axis=0).astype(np.float32)
    median[unseen] = np.nan
    return median
