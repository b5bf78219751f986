"""Label pass: a year's blocks joined to maps of the whole site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import footprint
from models.stockpile import detect, lasting_water
from pipeline.grid import Block
from pipeline.maps import At, read_map, write_map
from pipeline.passes.block import DISPLAY_BANDS, HALVES, YearLayers, read_layers
from pipeline.passes.mask import join_masks, masks_beside
from pipeline.products.cog import write_cog
from pipeline.rules import SiteRules
from pipeline.types import Bool, Float32, Grid


@dataclass(frozen=True)
class YearMaps:
    """Maps of one site and year, shape (rows, columns) unless said.

    Attributes
    ----------
    objects : Bool
        Pixels of piles by persistence.
    water : Bool
        Water by persistence.
    clear, ground_clear : NDArray[np.uint8]
        Clear dates of the stockpile and of the footprint windows.
    ground : Bool
        Shape (halves + 1, rows, columns): occupied ground from all dates and from every other date; the two
        halves only where both saw the ground.
    ground_seen : Bool
        Ground seen on enough dates for the footprint.
    wet : Bool
        Water on more of the clear dates of the footprint windows than ground may be.
    brightness : Float32
        Median over the clear dates of the footprint windows; NaN unseen.
    """

    objects: Bool
    water: Bool
    clear: NDArray[np.uint8]
    ground_clear: NDArray[np.uint8]
    ground: Bool
    ground_seen: Bool
    wet: Bool
    brightness: Float32


@dataclass(frozen=True)
class YearJob:
    """The blocks of one year, and where its maps and its composite go."""

    parts: Sequence[tuple[Block, Path]]
    maps: Path
    composite: Path
    tags: Mapping[str, str]


def join_year(job: YearJob, grid: Grid, rules: SiteRules) -> Path:
    """Join a year's blocks, find objects and occupied ground, and write maps and composite.

    Nothing is cut or counted twice at a seam: objects are found on the joined layers.
    """
    layers = YearLayers.empty(grid)
    for block, path in job.parts:
        layers.put(read_layers(path), block)
    maps = _maps(layers, rules)
    write_maps(job.maps, maps)
    join_masks([(block, masks_beside(path)) for block, path in job.parts], grid, masks_beside(job.maps))
    bands = dict(zip(DISPLAY_BANDS, layers.composite, strict=True))
    # 0 is no data in the layers; the file's own no data is the largest value.
    write_cog(
        job.composite,
        {name: np.where(band == 0, np.uint16(65535), band) for name, band in bands.items()},
        grid,
        job.tags,
    )
    return job.maps


def write_maps(folder: Path, maps: YearMaps) -> None:
    """Write a year's maps, a file per layer."""
    for field in fields(YearMaps):
        write_map(folder, field.name, getattr(maps, field.name))


def read_maps(folder: Path, at: At | None = None) -> YearMaps:
    """Return the maps of :func:`join_year`, or a window of them; :func:`pipeline.maps.read_map` reads one layer."""
    return YearMaps(**{field.name: read_map(folder, field.name, at) for field in fields(YearMaps)})


def _share(count: NDArray[np.uint8], of: NDArray[np.uint8]) -> Float32:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(of > 0, count / np.maximum(of, 1), np.nan).astype(np.float32)


def _maps(layers: YearLayers, rules: SiteRules) -> YearMaps:
    share = _share(layers.hits, layers.clear)
    water_share = _share(layers.water, layers.clear)
    seasons = [
        footprint.SeasonLayers(
            layers.ndvi_max[half],
            layers.dvi_max[half],
            _share(layers.ground_bare[half], layers.ground_clear[half]),
            _share(layers.ground_water[half], layers.ground_clear[half]),
            layers.brightness,
            layers.ground_clear[half],
        )
        for half in range(HALVES + 1)
    ]
    # Half of the dates cannot show ground as often as all of them.
    few = max(1, rules.ground.min_dates // HALVES)
    half_rules = replace(rules.ground, min_dates=few)
    ground = np.stack([footprint.measure(s, half_rules if half else rules.ground) for half, s in enumerate(seasons)])
    ground[1:] &= np.all(layers.ground_clear[1:] >= few, axis=0)
    with np.errstate(invalid="ignore"):
        wet = seasons[0].water_share > rules.ground.water_share_max
    return YearMaps(
        objects=detect(share, layers.clear, water_share, rules.objects),
        water=lasting_water(water_share, rules.objects),
        clear=layers.clear,
        ground_clear=layers.ground_clear[0],
        ground=ground,
        ground_seen=layers.ground_clear[0] >= rules.ground.min_dates,
        wet=wet,
        brightness=layers.brightness,
    )
