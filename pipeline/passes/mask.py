"""Mask of a block: which pixels of each date of a year may be used, for the block pass and for the outline.

Made once where all dates are in memory, since a pixel's own history needs them, and kept as bits on disk: the
outline of a pile looks through the same mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import Point

from models._indices import brightness
from pipeline.clear import CLEAR, CLOUD, DIM, NO_DATA, SHADOW, SNOW, can_be_shaded, sun_position, usable
from pipeline.config import ClearConfig
from pipeline.findings import PreparedScene
from pipeline.grid import Block, reproject
from pipeline.history import HistoryRules, sky_departures
from pipeline.imagery import Image
from pipeline.passes.scene import BANDS, scene_codes
from pipeline.pixels import read_elevation, read_image
from pipeline.terrain import REACH_M, cast_shadow, cos_incidence
from pipeline.types import PIXEL_M, Bool, Float32, Grid

_DARK_V = 0.08
"""Brightness below which ground counts as dark for the protection against shadow (science 2.3)."""
_LONLAT = 4326


@dataclass(frozen=True)
class DateMask:
    """What one date shows of a window; arrays of its shape.

    Attributes
    ----------
    usable : Bool
    suspected : Bool
        Hidden by nothing but a suspicion of shadow, which a pile that is dark on most dates overrules.
    """

    usable: Bool
    suspected: Bool


def read_dates(grid: Grid, scenes: Sequence[PreparedScene], config: ClearConfig) -> list[tuple[Image, DateMask]]:
    """Read every date of a year on a block, with its mask.

    Parameters
    ----------
    grid : Grid
        Of the block.
    scenes : sequence of PreparedScene
        Of one year, in order of time.
    config : ClearConfig
    """
    images = [read_image(scene.stored, grid, BANDS, scene.calibration) for scene in scenes]
    codes = [scene_codes(i, s.sun_azimuth_deg, config) for i, s in zip(images, scenes, strict=True)]
    if config.dem is not None and scenes:
        for code, dim in zip(codes, _dim(grid, scenes, config, config.dem), strict=True):
            code[dim & np.isin(code, (CLEAR, SHADOW))] = DIM
    return list(zip(images, _masks(images, codes, scenes, config), strict=True))


def _masks(
    images: Sequence[Image], codes: Sequence[NDArray[np.uint8]], scenes: Sequence[PreparedScene], config: ClearConfig
) -> list[DateMask]:
    if not images:
        return []
    protected = _protected(images, codes, config.dark_protect_share)
    seen = np.stack([usable(code, protected) for code in codes])
    shadable = np.stack(
        [
            can_be_shaded(code == CLOUD, scene.sun_azimuth_deg, config.shadow_reach_m) & ~protected
            for code, scene in zip(codes, scenes, strict=True)
        ]
    )
    rules = HistoryRules(config.history_min_dates, config.history_veil, config.history_shade)
    veiled, shaded = sky_departures([image.bands for image in images], seen, shadable, rules)
    return [
        DateMask(ok & ~v & ~s, (((code == SHADOW) & ~ok) | s) & ~v)
        for ok, v, s, code in zip(seen, veiled, shaded, codes, strict=True)
    ]


def _protected(images: Sequence[Image], codes: Sequence[NDArray[np.uint8]], share: float) -> Bool:
    """Ground dark on most of the dates nothing hides: a shadow there is not believed (science 2.3)."""
    with np.errstate(invalid="ignore"):
        dark = [brightness(image.bands) < _DARK_V for image in images]
    seen = np.sum([~np.isin(code, (NO_DATA, CLOUD, SNOW, DIM)) for code in codes], axis=0)
    often = np.sum([d & np.isin(c, (CLEAR, SHADOW)) for d, c in zip(dark, codes, strict=True)], axis=0)
    return np.asarray((seen > 0) & (often >= share * seen))


def _dim(grid: Grid, scenes: Sequence[PreparedScene], config: ClearConfig, dem: str) -> list[Bool]:
    """Ground with too little light on each date: turned from the sun, or in the shadow of higher ground."""
    reach_px = round(REACH_M / PIXEL_M)
    wide = Grid(
        grid.epsg, grid.left_m - REACH_M, grid.top_m + REACH_M, grid.width + 2 * reach_px, grid.height + 2 * reach_px
    )
    elevation_m: Float32 = read_elevation(dem, wide)
    inner = slice(reach_px, reach_px + grid.height), slice(reach_px, reach_px + grid.width)
    left, bottom, right, top = grid.bounds
    middle = reproject(Point((left + right) / 2, (bottom + top) / 2), grid.epsg, _LONLAT)
    dim = []
    for scene in scenes:
        sun = sun_position(scene.stored.scene.datetime, middle.x, middle.y)
        with np.errstate(invalid="ignore"):
            turned = cos_incidence(elevation_m, *sun) < config.min_cos_incidence
        dim.append((turned | cast_shadow(elevation_m, *sun))[inner])
    return dim


def write_masks(path: Path, masks: Sequence[DateMask], inner: tuple[slice, slice]) -> None:
    """Write the kept part of a block's masks as bits, shape (usable or suspected, dates / 8, rows, columns)."""
    planes = [np.stack([getattr(m, kind)[inner] for m in masks]) for kind in ("usable", "suspected")]
    np.save(path, np.packbits(np.stack(planes), axis=1))


def join_masks(parts: Sequence[tuple[Block, Path]], grid: Grid, path: Path) -> None:
    """Join the masks of a year's blocks to those of the whole site."""
    first = np.load(parts[0][1], mmap_mode="r")
    whole = np.zeros((*first.shape[:2], *grid.shape), dtype=np.uint8)
    for block, part in parts:
        whole[(..., *block.target)] = np.load(part)
    np.save(path, whole)


def read_masks(path: Path, at: tuple[slice, slice], dates: int) -> list[DateMask]:
    """Return the masks of a window, one for each of a year's dates, in their order."""
    bits = np.load(path, mmap_mode="r")[(..., *at)]
    seen, suspected = np.unpackbits(np.ascontiguousarray(bits), axis=1, count=dates).astype(bool)
    return [DateMask(s, p) for s, p in zip(seen, suspected, strict=True)]


def masks_beside(path: Path) -> Path:
    """Where the masks that belong to a block's layers or a year's maps are."""
    return path.with_name(f"{path.stem}_sky.npy")
