"""Mask of a block: which pixels of each date of a year may be used, for the block pass and for the outline.

Made once where all dates are in memory, since a pixel's own history needs them, and kept as bits on disk: the
outline of a pile looks through the same mask.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import Point

from models._indices import brightness
from pipeline.clear import CLEAR, CLOUD, DIM, SHADOW, can_be_shaded, sun_position, usable
from pipeline.config import ClearConfig
from pipeline.findings import PreparedScene
from pipeline.grid import reproject
from pipeline.history import BANDS as HISTORY_BANDS
from pipeline.history import REACH_PX, HistoryRules, sky_departures
from pipeline.kernels.dates import BANDS as ORDER
from pipeline.maps import write_map
from pipeline.passes.scene import BANDS, scene_codes
from pipeline.passes.stack import DateStack
from pipeline.pixels import read_elevation, read_image
from pipeline.terrain import REACH_M, cast_shadow, cos_incidence
from pipeline.types import PIXEL_M, Bool, Float32, Grid

_SHOWS = np.array([code in {CLEAR, SHADOW} for code in range(6)])
"""By code: nothing but a suspicion of shadow hides the ground."""
_DARK_V = 0.08
"""Brightness below which ground counts as dark for the protection against shadow (science 2.3)."""
_LONLAT = 4326
_CODE, _SHADABLE = np.uint8(7), np.uint8(3)
"""Bits of a pixel's code, and the place of the one that says that it may lie in a cloud's shadow."""
MASKS = "sky"
"""Layer of a block's masks."""


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


@dataclass(frozen=True)
class BlockDates:
    """Every date of a year on a block: reflectance, and what can be used of it, as bits (:func:`packed`)."""

    values: DateStack
    bits: NDArray[np.uint8]

    def usable(self, rows: slice) -> NDArray[np.uint8]:
        """Return 1 for the pixels of some rows that may be used, 0 for others, shape (dates, rows, columns)."""
        return np.unpackbits(self.bits[0, :, rows], axis=0, count=self.values.shape[1])


def read_dates(grid: Grid, scenes: Sequence[PreparedScene], config: ClearConfig, folder: Path) -> BlockDates:
    """Read every date of a year on a block, with its mask.

    Parameters
    ----------
    grid : Grid
        Of the block.
    scenes : sequence of PreparedScene
        Of one year, in order of time.
    config : ClearConfig
    folder : Path
        For reflectance that is too much for memory.
    """
    values = DateStack(len(scenes), grid.shape, folder)
    codes = np.zeros((len(scenes), *grid.shape), dtype=np.uint8)
    seen, dark = (np.zeros(grid.shape, dtype=np.uint16) for _ in range(2))
    dim = _dim(grid, scenes, config, config.dem) if config.dem is not None and scenes else None
    for date, scene in enumerate(scenes):
        image = read_image(scene.stored, grid, BANDS, scene.calibration)
        codes[date] = scene_codes(image, scene.sun_azimuth_deg, config)
        if dim is not None:
            codes[date][dim[date] & np.isin(codes[date], (CLEAR, SHADOW))] = DIM
        count_dark(image.bands, codes[date], seen, dark)
        values.put(date, image.bands)
    # Ground dark on most of the dates nothing hides: a shadow there is not believed (science 2.3).
    protected = (seen > 0) & (dark >= config.dark_protect_share * seen)
    for code, scene in zip(codes, scenes, strict=True):
        shadable = can_be_shaded(code == CLOUD, scene.sun_azimuth_deg, config.shadow_reach_m) & ~protected
        np.bitwise_or(code, shadable.view(np.uint8) << _SHADABLE, out=code)
    return BlockDates(values, _sky_bits(values, codes, protected, config))


def count_dark(
    bands: Mapping[str, Float32], codes: NDArray[np.uint8], seen: NDArray[np.uint16], dark: NDArray[np.uint16]
) -> None:
    """Count in place the dates nothing hides, and those of them on which the ground is dark."""
    with np.errstate(invalid="ignore"):
        black = brightness(bands) < _DARK_V
    shows = _SHOWS[codes]
    seen += shows
    dark += black & shows


def _sky_bits(values: DateStack, codes: NDArray[np.uint8], protected: Bool, config: ClearConfig) -> NDArray[np.uint8]:
    """Say what can be used, strip by strip: of many dates no more is held for the whole block than codes and bits."""
    rules = HistoryRules(config.history_min_dates, config.history_veil, config.history_shade)
    blue, nir, swir16 = (ORDER.index(band) for band in HISTORY_BANDS)
    bits = np.empty((2, -(-len(codes) // 8), *protected.shape), dtype=np.uint8)
    for rows, kept, strip in values.strips(REACH_PX):
        code, shadable = codes[:, rows] & _CODE, (codes[:, rows] >> _SHADABLE).view(bool)
        ok = usable(code, protected[rows])
        veiled, shaded = sky_departures(strip, (blue, nir, swir16), ok, shadable, rules)
        suspected = (((code == SHADOW) & ~ok) | shaded) & ~veiled
        ok &= ~veiled & ~shaded
        inner = slice(rows.start + kept.start, rows.start + kept.stop)
        for plane, mask in zip(bits, (ok, suspected), strict=True):
            plane[:, inner] = np.packbits(mask[:, kept], axis=0)
    return bits


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


def packed(masks: Sequence[DateMask]) -> NDArray[np.uint8]:
    """Masks as bits, shape (usable or suspected, dates / 8, rows, columns)."""
    return np.packbits([[mask.usable for mask in masks], [mask.suspected for mask in masks]], axis=1)


def write_masks(folder: Path, bits: NDArray[np.uint8], inner: tuple[slice, slice]) -> None:
    """Write the kept part of a block's masks."""
    write_map(folder, MASKS, bits[(..., *inner)])


def read_masks(path: Path, at: tuple[slice, slice], dates: int) -> list[DateMask]:
    """Return the masks of a window, one for each of a year's dates, in their order."""
    return unpacked(np.array(np.load(path, mmap_mode="r")[(..., *at)]), dates)


def unpacked(bits: NDArray[np.uint8], dates: int) -> list[DateMask]:
    """Masks from bits of :func:`packed`."""
    seen, suspected = np.unpackbits(bits, axis=1, count=dates).view(bool)
    return [DateMask(s, p) for s, p in zip(seen, suspected, strict=True)]


def masks_beside(path: Path) -> Path:
    """Where the masks that belong to a year's maps are."""
    return path.with_name(f"{path.stem}_sky.npy")
