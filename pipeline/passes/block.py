"""Block pass: one block of one site and year, all its dates, down to the layers the later passes read."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.footprint import draw_weights
from models.stockpile import ScoreRules
from pipeline.config import Config, in_windows
from pipeline.findings import PreparedScene
from pipeline.grid import Block
from pipeline.kernels.dates import BANDS, NO_DATA, median_of_dates, sorting_network
from pipeline.kernels.season import count_coal, measure_season
from pipeline.maps import write_map
from pipeline.passes.mask import BlockDates, read_dates, write_masks
from pipeline.types import Float32, Grid

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
        Folder of the written layers, one map each, and of the masks.
    """
    block = job.block
    dates = read_dates(block.grid, job.scenes, config.clear, folder)
    layers = reduce_dates(dates, [scene.stored.scene.date for scene in job.scenes], block.grid, rules, config)
    path = folder / f"{job.year}_{block.row}_{block.column}"
    for field in fields(layers):
        write_map(path, field.name, getattr(layers, field.name)[(..., *block.inner)])
    write_masks(path, dates.bits, block.inner)
    return path


def reduce_dates(
    dates: BlockDates, days: Sequence[dt.date], grid: Grid, rules: ScoreRules, config: Config
) -> YearLayers:
    """Reduce the dates of a block to the layers of a year; ``days`` are theirs, in order."""
    layers = YearLayers.empty(grid)
    if not days:
        return layers
    windows = config.windows
    in_stockpile, in_footprint = (
        np.array([place for place, day in enumerate(days) if in_windows(day, spans)], dtype=np.int64)
        for spans in (windows.stockpile, windows.footprint)
    )
    for rows, _, values in dates.values.strips(0):
        part = YearLayers(*(getattr(layers, field.name)[..., rows, :] for field in fields(layers)))
        _fill(part, values, dates.usable(rows), (in_stockpile, in_footprint), (rules, config))
    return layers


def _fill(
    layers: YearLayers,
    values: NDArray[np.int16],
    ok: NDArray[np.uint8],
    which: tuple[NDArray[np.int64], NDArray[np.int64]],
    by: tuple[ScoreRules, Config],
) -> None:
    """Fill the layers of some rows; ``which`` are the dates of the stockpile and of the footprint windows."""
    (in_stockpile, in_footprint), (rules, config) = which, by
    limits = (rules.brightness_max, rules.swir16_min, rules.swir16_max, rules.mndwi_max, rules.ndvi_max)
    shape = ok.shape[1:]
    counts = np.zeros((3, *shape), dtype=np.uint8)
    count_coal(values, ok, in_stockpile, np.array(limits, dtype=np.float32), (counts[0], counts[1], counts[2]))
    layers.hits[:], layers.water[:], layers.clear[:] = counts
    if in_footprint.size:
        # Place 0 holds all dates, the others every other one from the first or the second.
        parts = np.array([(0, 1), *((half, HALVES) for half in range(HALVES))])
        season = np.zeros((3, HALVES + 1, *shape), dtype=np.uint8)
        largest = np.zeros((2, HALVES + 1, *shape), dtype=np.float32)
        bright = np.zeros(shape, dtype=np.float32)
        measure_season(
            values, ok, in_footprint, config.footprint.ndvi_max_bare, sorting_network(in_footprint.size), parts,
            draw_weights(in_footprint.size, config.footprint.min_pixel_dates), season, largest, bright,
        )  # fmt: skip
        layers.ground_clear[:], layers.ground_bare[:], layers.ground_water[:] = season
        layers.ndvi_max[:], layers.dvi_max[:] = largest
        layers.brightness[:] = bright
    network = sorting_network(len(ok))
    for place, band in enumerate(DISPLAY_BANDS):
        median = np.zeros(shape, dtype=np.uint16)
        median_of_dates(values[BANDS.index(band)], ok, NO_DATA, network, median)
        layers.composite[place] = median
