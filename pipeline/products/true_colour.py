"""Composites as the pictures of the report: read no finer than they are shown, all years with one stretch."""

from collections.abc import Collection, Sequence
from functools import cache, partial
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
_INFRARED = ("swir22", "nir", "red")
"""Shown as red, green and blue: plants are green, bare ground is reddish, what is dark in all bands is black."""
_COARSE_PX = 1024
"""Most pixels on an edge of a picture that is held for every year; the stretch is taken from these."""
_STRETCH_PX = 256
"""Most pixels on an edge of what the stretch of the infrared is taken from."""
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
    seen = _stretch([rgb for rgb, _ in coarse.values()])
    if seen is None:
        return []
    tones = _tones(*seen)

    def close(path: Path, bounds: Bounds) -> Picture:
        rgb, transform = _read(path, _FINE_PX, bounds)
        return Picture(int(path.stem), tones[rgb], transform, epsg)

    @cache
    def ramps() -> list[NDArray[np.uint8]]:
        """Tones of each band of the infrared, one stretch for all years; asked for when one is drawn."""
        pixels = [_read(path, _STRETCH_PX, bands=_INFRARED)[0] for path in shown.values()]
        stretches = [_stretch([one[..., n] for one in pixels]) for n in range(len(_INFRARED))]
        return [_tones(*(stretch or (0.0, 1.0))) for stretch in stretches]

    def infrared(path: Path, bounds: Bounds) -> Picture:
        bands, transform = _read(path, _FINE_PX, bounds, _INFRARED)
        rgb = np.stack([ramp[bands[..., n]] for n, ramp in enumerate(ramps())], axis=-1)
        return Picture(int(path.stem), rgb, transform, epsg)

    return [
        Picture(
            *(year, tones[rgb], transform, epsg),
            close=partial(close, shown[year]) if transform.a > PIXEL_M else None,
            infrared=partial(infrared, shown[year]),
        )
        for year, (rgb, transform) in coarse.items()
    ]


def _stretch(pixels: Sequence[NDArray[np.uint16]]) -> tuple[float, float] | None:
    """Values that are shown darkest and brightest; None where there are no data."""
    values = np.concatenate([one[one != _NODATA] for one in pixels]) if pixels else np.zeros(0)
    if values.size == 0:
        return None
    low, high = np.percentile(values, _STRETCH_PERCENT)
    return float(low), float(high)


def _read(
    path: Path, max_px: int, at: Bounds | None = None, bands: tuple[str, ...] = _RGB
) -> tuple[NDArray[np.uint16], Affine]:
    """Return three bands of a composite, shape (rows, columns, 3): all of it, or what touches bounds in metres."""
    window = None
    if at is not None:
        _, transform, _ = read_cog(path, (slice(0, 1), slice(0, 1)), bands=bands[:1])
        (left, top), (right, bottom) = ~transform @ (at[0], at[3]), ~transform @ (at[2], at[1])
        window = slice(max(floor(top), 0), ceil(bottom)), slice(max(floor(left), 0), ceil(right))
    found, transform, _ = read_cog(path, window, max_px, bands)
    return np.stack([found[name] for name in bands], axis=-1), transform


def _tones(low: float, high: float) -> NDArray[np.uint8]:
    """Tone of every value a pixel may have, shape (65536,): brighter between two values, grey where no data are."""
    values = np.arange(_NODATA + 1, dtype=np.float64)
    tones = np.clip((values - low) / max(high - low, 1.0), 0.0, 1.0) ** 0.8 * 255
    tones[_NODATA] = _NO_DATA_GREY
    return tones.astype(np.uint8)
