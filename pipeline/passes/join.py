"""Join pass: a year's blocks joined to maps of the whole site and its composite.

Nothing is cut or counted twice at a seam: what a pixel is by itself is asked block by block, what its neighbours make
of it on strips that overlap as far as they reach, and patches are those of the joined maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import footprint, stockpile
from models._patch_kernels import keep_patches
from models.footprint import FootprintRules, SeasonLayers
from pipeline.grid import Block
from pipeline.maps import MapFile, create_map, read_map, remove_map, write_map
from pipeline.passes.block import DISPLAY_BANDS, HALVES, YearLayers, read_layers
from pipeline.passes.mask import join_masks, masks_beside
from pipeline.products.cog import write_cog
from pipeline.rules import SiteRules
from pipeline.types import Float32, Grid

_STRIP_PX = 256
"""Rows that are worked on at once: a site of 60 km then needs a few megabytes a layer."""
_SCRATCH = {"marks": (3, np.uint8), "dvi": (3, np.float32), "stock": (0, np.uint8), "composite": (6, np.uint16)}
"""Layers that are needed here alone: how many, and their dtype."""
_KEPT = {
    "clear": np.uint8,
    "ground_clear": np.uint8,
    "ground_seen": np.bool_,
    "wet": np.bool_,
    "brightness": np.float32,
}


@dataclass(frozen=True)
class YearJob:
    """The blocks of one year, and where its maps and its composite go."""

    parts: Sequence[tuple[Block, Path]]
    maps: Path
    composite: Path
    tags: Mapping[str, str]


def join_year(job: YearJob, grid: Grid, rules: SiteRules) -> Path:
    """Join a year's blocks, find objects and occupied ground, and write maps and composite."""
    files = create_layers(job.maps, grid)
    for block, path in job.parts:
        put_layers(files, read_layers(path), block.target, rules)
    join_masks([(block, masks_beside(path)) for block, path in job.parts], grid, masks_beside(job.maps))
    write_cog(
        job.composite,
        DISPLAY_BANDS,
        lambda rows, columns: read_map(job.maps, "composite", (rows, columns)),
        grid,
        job.tags,
    )
    find_ground(job.maps, grid, rules)
    return job.maps


def create_layers(folder: Path, grid: Grid) -> dict[str, MapFile]:
    """Make the files every block's layers go into."""
    kept = {name: create_map(folder, name, grid.shape, dtype) for name, dtype in _KEPT.items()}
    return kept | {
        name: create_map(folder, name, (number, *grid.shape) if number else grid.shape, dtype)
        for name, (number, dtype) in _SCRATCH.items()
    }


def put_layers(files: Mapping[str, MapFile], layers: YearLayers, at: tuple[slice, slice], rules: SiteRules) -> None:
    """Write what a block's pixels are by themselves."""
    seasons = [_season(layers, half) for half in range(HALVES + 1)]
    seen = layers.ground_clear[0] >= rules.ground.min_dates
    with np.errstate(invalid="ignore"):
        wet = seasons[0].water_share > rules.ground.water_share_max
    share, water_share = _share(layers.hits, layers.clear), _share(layers.water, layers.clear)
    found = {
        "clear": layers.clear,
        "ground_clear": layers.ground_clear[0],
        "ground_seen": seen,
        "wet": wet,
        "brightness": layers.brightness,
        "marks": np.stack(
            [footprint.marks(season, _rules_of(half, rules.ground)) for half, season in enumerate(seasons)]
        ),
        "dvi": layers.dvi_max,
        "stock": stockpile.marks(share, layers.clear, water_share, rules.objects),
        # 0 is no data in the layers; the file's own no data is the largest value.
        "composite": np.where(layers.composite == 0, np.uint16(65535), layers.composite),
    }
    for name, values in found.items():
        files[name].put(at, values)


def find_ground(folder: Path, grid: Grid, rules: SiteRules) -> None:
    """Find occupied ground, objects and water on the joined layers, and remove those that nobody else needs."""
    ground = create_map(folder, "ground", (HALVES + 1, *grid.shape), np.bool_)
    for start in range(0, grid.height, _STRIP_PX):
        _outline_strip(folder, grid, slice(start, min(start + _STRIP_PX, grid.height)), ground)
    whole = slice(0, grid.height), slice(0, grid.width)
    for half in range(HALVES + 1):
        found = read_map(folder, "ground", (half, *whole))
        keep_patches(found, found, rules.ground.min_px)
        # A half is compared with the other where both saw the ground.
        for other in range(1, HALVES + 1) if half else ():
            found &= (read_map(folder, "marks", (other, *whole)) & footprint.SEEN) > 0
        ground.put((half, *whole), found)
    objects, water = stockpile.objects_and_water(read_map(folder, "stock"), rules.objects)
    write_map(folder, "objects", objects)
    write_map(folder, "water", water)
    for name in _SCRATCH:
        remove_map(folder, name)


def _outline_strip(folder: Path, grid: Grid, rows: slice, ground: MapFile) -> None:
    """Outline the occupied ground of some rows, patches of any size."""
    start, stop = max(rows.start - footprint.REACH_PX, 0), min(rows.stop + footprint.REACH_PX, grid.height)
    at, kept = (slice(start, stop), slice(0, grid.width)), slice(rows.start - start, rows.stop - start)
    brightness = read_map(folder, "brightness", at)
    found = [
        footprint.outlined(read_map(folder, "marks", (half, *at)), read_map(folder, "dvi", (half, *at)), brightness)
        for half in range(HALVES + 1)
    ]
    ground.put((rows, at[1]), np.stack([mask[kept] for mask in found]))


def _rules_of(half: int, rules: FootprintRules) -> FootprintRules:
    """Limits of all dates, or of every other one: half of the dates cannot show ground as often as all of them."""
    return replace(rules, min_dates=max(1, rules.min_dates // HALVES)) if half else rules


def _season(layers: YearLayers, half: int) -> SeasonLayers:
    clear = layers.ground_clear[half]
    return SeasonLayers(
        layers.ndvi_max[half],
        layers.dvi_max[half],
        _share(layers.ground_bare[half], clear),
        _share(layers.ground_water[half], clear),
        layers.brightness,
        clear,
    )


def _share(count: NDArray[np.uint8], of: NDArray[np.uint8]) -> Float32:
    """Share of the dates; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(of > 0, np.divide(count, of, dtype=np.float32), np.float32(np.nan))
