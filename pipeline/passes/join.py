"""Join pass: a year's blocks joined to maps of the whole site and its composite.

Nothing is cut or counted twice at a seam: the blocks are read in strips of whole rows that overlap as far as a pixel's
neighbours count, and patches are those of the joined maps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import footprint, stockpile
from models._patch_kernels import keep_patches
from models.footprint import FootprintRules, SeasonLayers
from pipeline.grid import Block
from pipeline.maps import MapFile, create_map, read_map, remove_map, write_map
from pipeline.passes.block import DISPLAY_BANDS, HALVES
from pipeline.passes.mask import MASKS, masks_beside
from pipeline.products.cog import REFLECTANCE, write_cog
from pipeline.rules import SiteRules
from pipeline.types import Float32, Grid

_STRIP_PIXELS = 2**20
"""Pixels that are worked on at once: a site of 60 km then needs a few megabytes a layer."""
_SCRATCH = {"marks": (HALVES + 1, np.uint8), "stock": (0, np.uint8)}
"""Layers that are needed here alone: how many planes, and their dtype."""
_KEPT = {
    "clear": (0, np.uint8),
    "ground": (HALVES + 1, np.bool_),
    "ground_clear": (0, np.uint8),
    "ground_seen": (0, np.bool_),
    "wet": (0, np.bool_),
    "brightness": (0, np.float32),
}


@dataclass(frozen=True)
class YearBlocks:
    """The blocks of one year and the folders of their layers, read as layers of the whole site."""

    parts: Sequence[tuple[Block, Path]]
    grid: Grid

    def read(self, name: str, rows: slice, columns: slice, plane: int | None = None) -> NDArray[Any]:
        """Return a window of a layer, or of one of its planes, shape (..., rows, columns); slices may step."""
        found: NDArray[Any] | None = None
        shape = len(range(self.grid.height)[rows]), len(range(self.grid.width)[columns])
        for block, folder in self.parts:
            down, right = (_overlap(*spans) for spans in zip((rows, columns), block.target, strict=True))
            if down is None or right is None:
                continue
            at = (down[0], right[0])
            values = read_map(folder, name, at if plane is None else (plane, *at))
            if found is None:
                found = np.empty((*values.shape[:-2], *shape), dtype=values.dtype)
            found[..., down[1], right[1]] = values
        if found is None:
            raise ValueError(f"no block has rows {rows} and columns {columns}")
        return found


def _overlap(asked: slice, kept: slice) -> tuple[slice, slice] | None:
    """Where what is asked for lies in a block, and where in the answer; None where the block keeps none of it."""
    step = asked.step or 1
    first, end = max(asked.start, kept.start), min(asked.stop, kept.stop)
    first += (asked.start - first) % step
    if first >= end:
        return None
    place = (first - asked.start) // step
    return slice(first - kept.start, end - kept.start, step), slice(place, place + len(range(first, end, step)))


def join_year(blocks: YearBlocks, folder: Path, rules: SiteRules) -> Path:
    """Join a year's blocks, find objects and occupied ground, and write its maps and its masks."""
    grid = blocks.grid
    files = create_layers(folder, grid)
    beside = masks_beside(folder)
    masks = create_map(beside.parent, beside.stem, (*_planes(blocks, MASKS), *grid.shape), np.uint8)
    for rows in _strips(grid):
        at = rows, slice(0, grid.width)
        masks.put(at, blocks.read(MASKS, *at))
        _join_rows(blocks, files, rows, rules)
    _keep_patches(folder, files["ground"], rules)
    return folder


def compose_year(blocks: YearBlocks, path: Path, tags: Mapping[str, str]) -> Path:
    """Write the composite of a year's blocks."""

    def pixels(rows: slice, columns: slice) -> NDArray[np.uint16]:
        found = blocks.read("composite", rows, columns)
        # 0 is no data in the layers; the file's own no data is the largest value.
        return np.where(found == 0, np.uint16(65535), found)

    write_cog(path, DISPLAY_BANDS, pixels, blocks.grid, tags, REFLECTANCE)
    return path


def create_layers(folder: Path, grid: Grid) -> dict[str, MapFile]:
    """Make the files that are written strip by strip."""
    return {
        name: create_map(folder, name, (planes, *grid.shape) if planes else grid.shape, dtype)
        for name, (planes, dtype) in (_KEPT | _SCRATCH).items()
    }


def _planes(blocks: YearBlocks, name: str) -> tuple[int, ...]:
    return blocks.read(name, slice(0, 1), slice(0, 1)).shape[:-2]


def _strips(grid: Grid) -> Iterator[slice]:
    step = max(_STRIP_PIXELS // grid.width, 1)
    for start in range(0, grid.height, step):
        yield slice(start, min(start + step, grid.height))


def _join_rows(blocks: YearBlocks, files: Mapping[str, MapFile], rows: slice, rules: SiteRules) -> None:
    """Write what the pixels of some rows are by themselves, and their occupied ground in patches of any size."""
    reach, grid = footprint.REACH_PX, blocks.grid
    wide = slice(max(rows.start - reach, 0), min(rows.stop + reach, grid.height))
    columns = slice(0, grid.width)
    kept = slice(rows.start - wide.start, rows.stop - wide.start)

    def put(name: str, values: NDArray[Any], plane: int | None = None) -> None:
        files[name].put((rows, columns) if plane is None else (plane, rows, columns), values)

    brightness = blocks.read("brightness", wide, columns)
    put("brightness", brightness[kept])
    for half in range(HALVES + 1):
        season = _season(blocks, (wide, columns), half, brightness)
        marks = footprint.marks(season, _rules_of(half, rules.ground))
        put("marks", marks[kept], half)
        put("ground", footprint.outlined(marks, season.dvi_max, brightness)[kept], half)
        if half == 0:
            put("ground_clear", season.clear[kept])
            put("ground_seen", season.clear[kept] >= rules.ground.min_dates)
            with np.errstate(invalid="ignore"):
                put("wet", season.water_share[kept] > rules.ground.water_share_max)
    hits, water, clear = (blocks.read(name, rows, columns) for name in ("hits", "water", "clear"))
    put("clear", clear)
    put("stock", stockpile.marks(_share(hits, clear), clear, _share(water, clear), rules.objects))


def _keep_patches(folder: Path, ground: MapFile, rules: SiteRules) -> None:
    """Leave out patches of occupied ground that are too small, find objects and water, and remove what is scratch."""
    height, width = ground.shape[-2:]
    whole = slice(0, height), slice(0, width)
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


def _rules_of(half: int, rules: FootprintRules) -> FootprintRules:
    """Limits of all dates, or of every other one: half of the dates cannot show ground as often as all of them."""
    return replace(rules, min_dates=max(1, rules.min_dates // HALVES)) if half else rules


def _season(blocks: YearBlocks, at: tuple[slice, slice], half: int, brightness: Float32) -> SeasonLayers:
    clear, bare, water = (blocks.read(f"ground_{name}", *at, half) for name in ("clear", "bare", "water"))
    ndvi_max, dvi_max = (blocks.read(name, *at, half) for name in ("ndvi_max", "dvi_max"))
    return SeasonLayers(ndvi_max, dvi_max, _share(bare, clear), _share(water, clear), brightness, clear)


def _share(count: NDArray[np.uint8], of: NDArray[np.uint8]) -> Float32:
    """Share of the dates; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(of > 0, np.divide(count, of, dtype=np.float32), np.float32(np.nan))
