"""The outline alone, on one date of a real town: bolzano has no short-wave infrared, so coal cannot be told there.

Dark roofs, a rail yard, rivers and vineyards lie round the piles. What is measured is the area of one date,
given that the pile is known to be one.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy import ndimage
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from models._delineate import OUTLINE_BANDS, outline, place_of
from models._uncertainty import pile_sigma_m2
from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.validation.days import draw_days
from pipeline.validation.draw import Order, draw_things
from pipeline.validation.outcomes import PileResult, WorldResult
from pipeline.validation.render import make_patch, put, true_area_m2

Float32 = NDArray[np.float32]

_FILE = "S2_L2A_20220612_B04_B03_B02_B08_SCL.tif"
_BANDS = ("red", "green", "blue", "nir")
_UNFIT = (0, 1, 3, 6, 8, 9, 10, 11)
_EDGE_PX, _SHORE_PX, _WINDOW_PX = 20, 6, 32
_PSF_SIGMA_M = 5.1


def measure_bolzano(number: int, root: int, folder: Path, piles: int) -> WorldResult:
    """Put piles into the town and outline each.

    Parameters
    ----------
    number, root : int
        Of the seed: which world, which set.
    folder : Path
        Of the real archives.
    piles : int

    Raises
    ------
    InputError
        The scene is missing.
    """
    path = folder / "bolzano" / _FILE
    if not path.is_file():
        raise InputError(f"{path}: missing; name the folder that holds bolzano with --data")
    with rasterio.open(path) as source:
        pixels = source.read()
    view = {band: (pixels[n] / np.float32(1e4)).astype(np.float32) for n, band in enumerate(_BANDS)}
    rows, columns = (size // 2 * 2 for size in view["red"].shape)
    view = {band: values[:rows, :columns] for band, values in view.items()}
    free = ~ndimage.binary_dilation(np.isin(pixels[4, :rows, :columns], _UNFIT), iterations=_SHORE_PX)
    free[:_EDGE_PX], free[-_EDGE_PX:], free[:, :_EDGE_PX], free[:, -_EDGE_PX:] = False, False, False, False
    seed = (root, 90, number)
    order = Order(piles=piles, confusers=0, years=1, still=True)
    things = draw_things(np.random.default_rng(seed), order, columns * 10.0, rows * 10.0, free)
    day = draw_days(seed, "bolzano", 11.35, 46.5, sky=False, years=1)[4]
    name = f"bolzano-{root}-{number}"
    for n, thing in enumerate(things):
        patch = make_patch(thing, 0, _PSF_SIGMA_M, (*seed, n))
        if patch is not None:
            put(view, thing, {10: patch}, day, (*seed, n))
    noise = np.random.default_rng((*seed, 999))
    view = {b: (v + noise.normal(0, 0.001, v.shape)).astype(np.float32) for b, v in view.items()}
    results = []
    for n, thing in enumerate(things):
        shift = affinity.translate(thing.extent, thing.x_m + day.scene.shift_x_m, thing.y_m - day.scene.shift_y_m)
        measured = _outlined(view, shift)
        results.append(
            PileResult(
                world=name, ground="bolzano", thing=n, year=0, true_m2=true_area_m2(thing, 0), adequate=True,
                area_m2=None if measured is None else measured[0], sigma_m2=None if measured is None else measured[1],
                tier=None, form=str(thing.form), course="stable", rank=float(thing.rank or 0.0),
                brightness=float(sum(thing.spectrum[:3]) / 3), halo=thing.halo_m > 0, shaded=thing.shaded,
                yard=thing.yard is not None,
            )
        )  # fmt: skip
    return WorldResult(name, "bolzano", True, False, 0.0, tuple(results), (), (), {}, (), 1, 1)


def _outlined(view: Mapping[str, Float32], near: BaseGeometry) -> tuple[float, float] | None:
    """Area and its standard deviation of the dark object where a pile is, m2; None when it is not outlined."""
    config = Config()
    left, top, right, bottom = (value / 10 for value in near.bounds)
    row, column = (int((a + b) / 2) - _WINDOW_PX for a, b in ((top, bottom), (left, right)))
    at = (slice(max(row, 0), row + 2 * _WINDOW_PX), slice(max(column, 0), column + 2 * _WINDOW_PX))
    bands = {band: view[band][at] for band in OUTLINE_BANDS}
    bright = np.mean([bands[band] for band in OUTLINE_BANDS], axis=0)
    green = (bands["nir"] - bands["red"]) / np.maximum(bands["nir"] + bands["red"], 1e-3)
    dark = (bright < config.stockpile.brightness_max_hard) & (green < config.stockpile.ndvi_max_hard)
    labels, _ = ndimage.label(dark, np.ones((3, 3)))
    centre = (int((top + bottom) / 2) - at[0].start, int((left + right) / 2) - at[1].start)
    member = (labels == labels[centre]) & (labels > 0)
    if not labels[centre] or member.sum() < config.stockpile.min_detect_px:
        return None
    others = dark & ~member
    drawn = outline(bands, np.ones_like(member), place_of(member, others), config.stockpile.outline_level)
    if drawn is None or drawn.contrast_sigma < config.stockpile.min_contrast_sigma:
        return None
    u = config.uncertainty
    sigma = pile_sigma_m2(drawn.geometry.length * 10, 10, drawn.contrast_sigma, drawn.halo_px * 10, u.c, u.sigma_edge_m)
    return drawn.geometry.area * 100, sigma
