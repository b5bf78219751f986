"""Composites as the pictures of the report: read no finer than they are shown, all years with one stretch."""

from collections.abc import Collection
from functools import partial
from math import ceil, floor
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from pipeline.products.cog import read_cog
from pipeline.products.pictures import PICTURE_PX, Bounds, Picture
from pipeline.types import PIXEL_M

_NODATA = 65535
_NO_DATA_GREY = 190
_STRETCH_PERCENT = (1.0, 99.0)
_RGB = ("red", "green", "blue")
_COARSE_PX = 1024
"""Most pixels on an edge of a picture that is held for every year; the stretch is taken from these."""
_FINE_PX = 2 * PICTURE_PX


def true_colour(composites: Path, years: Collection[int], epsg: int) -> list[Picture]:
    """Give the true-colour pictures of a site, all with one stretch, no larger than they are shown.

    Parameters
    ----------
    composites : Path
        Folder of one file a year.
    years : collection of int
        Years that are shown; all that there are when none of these has a file.
    epsg : int
        CRS of the files.
    """
    found = {int(path.stem): path for path in sorted(composites.glob("*.tif"))}
    shown = {year: path for year, path in found.items() if year in years} or found
    coarse = {year: _read(path, _COARSE_PX) for year, path in shown.items()}
    values = np.concatenate([rgb[rgb != _NODATA] for rgb, _ in coarse.values()]) if coarse else np.zeros(0)
    if values.size == 0:
        return []
    low, high = (float(limit) for limit in np.percentile(values, _STRETCH_PERCENT))
    tones = _tones(low, high)

    def close(path: Path, bounds: Bounds) -> Picture:
        rgb, transform = _read(path, _FINE_PX, bounds)
        return Picture(int(path.stem), tones[rgb], transform, epsg)

    return [
        Picture(year, tones[rgb], transform, epsg, partial(close, shown[year]) if transform.a > PIXEL_M else None)
        for year, (rgb, transform) in coarse.items()
    ]


def _read(path: Path, max_px: int, at: Bounds | None = None) -> tuple[NDArray[np.uint16], Affine]:
    """Red, green and blue of a composite, shape (rows, columns, 3): all of it, or what touches bounds in metres."""
    window = None
    if at is not None:
        _, transform, _ = read_cog(path, (slice(0, 1), slice(0, 1)), bands=_RGB[:1])
        (left, top), (right, bottom) = ~transform @ (at[0], at[3]), ~transform @ (at[2], at[1])
        window = slice(max(floor(top), 0), ceil(bottom)), slice(max(floor(left), 0), ceil(right))
    bands, transform, _ = read_cog(path, window, max_px, _RGB)
    return np.stack([bands[name] for name in _RGB], axis=-1), transform


def _tones(low: float, high: float) -> NDArray[np.uint8]:
    """Tone of every value a pixel may have, shape (65536,): brighter between two values, grey where no data are."""
    values = np.arange(_NODATA + 1, dtype=np.float64)
    tones = np.clip((values - low) / max(high - low, 1.0), 0.0, 1.0) ** 0.8 * 255
    tones[_NODATA] = _NO_DATA_GREY
    return tones.astype(np.uint8)
