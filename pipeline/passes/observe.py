"""One pile on the dates of a year: its outline on each, what it measures and what it reflects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely import affinity

from models._delineate import OUTLINE_BANDS, Outline, Place, outlines
from models._spectrum import object_levels
from models._uncertainty import pile_sigma_m2
from models.stockpile import SPECTRUM_BANDS, score
from pipeline.config import Config
from pipeline.findings import Observation, PreparedScene
from pipeline.grid import areal_scale
from pipeline.passes.mask import DateMask
from pipeline.pixels import read_image
from pipeline.types import PIXEL_M, Bool, Float32, Grid

_AT_ONCE_PX = 1 << 15
"""Pixels of all dates that are outlined at once, with some 10 MB; one date of a larger window."""
_OF_OUTLINE = [SPECTRUM_BANDS.index(band) for band in OUTLINE_BANDS]


@dataclass(frozen=True)
class PileGround:
    """A pile's window in a year.

    Where it lies in any year and this year, how often the ground was clear, and by scene what can be used of it.
    ``around`` is this year's pile with what must be clear round it.
    """

    grid: Grid
    own: Bool
    place: Place
    around: Bool
    clear: NDArray[np.uint8]
    masks: Mapping[str, DateMask]

    def usable(self, scene_id: str) -> Bool:
        """Return what of the window can be used on a date; a suspicion of shadow does not hide a pile."""
        mask = self.masks[scene_id]
        return mask.usable | (mask.suspected & self.place.member)


@dataclass(frozen=True)
class _Date:
    """What can be used of a pile's window on one date, and the share of the pile and what lies round it."""

    scene: PreparedScene
    clear: Bool
    clear_share: float


def observe(dates: Sequence[PreparedScene], ground: PileGround, rank: str, config: Config) -> list[Observation]:
    """Outline the pile on every date that shows it whole."""
    shown = []
    for scene in dates:
        clear = ground.usable(scene.stored.scene.scene_id)
        share = float(clear[ground.around].mean())
        if share >= config.stockpile.min_clear_share:
            shown.append(_Date(scene, clear, share))
    at_once = max(_AT_ONCE_PX // ground.own.size, 1)
    parts = (shown[first : first + at_once] for first in range(0, len(shown), at_once))
    return [found for part in parts for found in _outlined(part, ground, rank, config)]


def _outlined(dates: Sequence[_Date], ground: PileGround, rank: str, config: Config) -> list[Observation]:
    """Outline the pile on some dates at once."""
    images = (read_image(d.scene.stored, ground.grid, SPECTRUM_BANDS, d.scene.calibration) for d in dates)
    pixels = np.array([[image.bands[band] for band in SPECTRUM_BANDS] for image in images], dtype=np.float32)
    clear = np.array([d.clear for d in dates])
    drawn = outlines(pixels[:, _OF_OUTLINE], clear, ground.place, config.stockpile.outline_level)
    return [
        _observation(date, one, bands, ground, (rank, config))
        for date, one, bands in zip(dates, drawn, pixels, strict=True)
        if one is not None and one.contrast_sigma >= config.stockpile.min_contrast_sigma
    ]


def _observation(
    date: _Date, drawn: Outline, pixels: Float32, ground: PileGround, rules: tuple[str, Config]
) -> Observation:
    """Say what an outline measures, and what lies in it reflects; ``pixels`` of SPECTRUM_BANDS."""
    rank, config = rules
    a, b, c, d, e, f = ground.grid.transform[:6]
    geometry = affinity.affine_transform(drawn.geometry, (a, b, d, e, c, f))
    scale = areal_scale(ground.grid.epsg, geometry.centroid.x, geometry.centroid.y)
    u, s = config.uncertainty, config.stockpile
    sigma = pile_sigma_m2(geometry.length, PIXEL_M, drawn.contrast_sigma, drawn.halo_px * PIXEL_M, u.c, u.sigma_edge_m)
    bands = dict(zip(SPECTRUM_BANDS, pixels, strict=True))
    levels = object_levels(bands, date.clear, drawn.geometry, ground.place.others)
    found = None if levels is None else score(levels.value, levels.sigma, rank, (s.score_slope, s.score_shift))
    return Observation(
        date.scene.stored.scene.scene_id,
        date.scene.stored.scene.date,
        geometry,
        geometry.area / scale,
        sigma,
        drawn.pile_level,
        drawn.background_level,
        date.clear_share,
        levels,
        None if found is None else found.probability,
    )
