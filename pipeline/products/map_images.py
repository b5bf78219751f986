"""Composites as the ground of a map: every year in two looks, one stretch for all, within a number of bytes."""

import io
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from PIL import Image

from pipeline.products.cog import read_cog

LOOKS = {"true": ("red", "green", "blue"), "swir": ("swir22", "nir", "red")}
"""Bands shown as red, green and blue: as the eye would see it, and with the short-wave infrared as red."""
MOST_BYTES = 2_500_000
"""Of all images together; they are a third larger as text, which leaves room for all else in a page of 8 MB."""
_READ_PX = 1400
"""Most pixels on an edge of what is read of a composite; each look of it is averaged down from that."""
_STEPS = (
    (1400, 88),
    (1400, 75),
    (1000, 80),
    (1000, 60),
    (800, 65),
    (640, 65),
    (512, 60),
    (400, 50),
    (256, 30),
    (128, 10),
)
"""Longest edge in pixels and quality of WebP, from the finest; the first at which all images fit is taken."""
_STRETCH_PX = 256
"""Longest edge of what the stretch is taken from."""
_STRETCH_PERCENT = (1.0, 99.0)
_GAMMA = 0.8
_NODATA = 65535
_NO_DATA_GREY = 190
_EFFORT = 2
"""Of WebP, 0 to 6: more saves 3 % of the bytes for twice the time."""


@dataclass(frozen=True)
class MapImages:
    """Images of the map.

    Attributes
    ----------
    bounds : tuple of float or None
        (left, bottom, right, top) in metres, the same for all; None when there is no image.
    images : Mapping
        Look (a key of LOOKS) to year to the image as a ``data:`` address.
    """

    bounds: tuple[float, float, float, float] | None
    images: Mapping[str, Mapping[int, str]]


def map_images(composites: Path, most_bytes: int = MOST_BYTES) -> MapImages:
    """Make the images of every composite of a folder, as fine as all of them fit into a number of bytes.

    Parameters
    ----------
    composites : Path
        Folder of one file a year, named by the year, all on one grid.
    most_bytes : int
        Of all images together; when even the coarsest are larger, those are given.

    Raises
    ------
    ProductError
        A composite cannot be read.
    """
    paths = {int(path.stem): path for path in sorted(composites.glob("*.tif"))}
    if not paths:
        return MapImages(None, {look: {} for look in LOOKS})
    tones = _tones(paths)
    first = _looks(next(iter(paths.values())), tones)
    made: dict[tuple[str, int], bytes] = {}
    for edge_px, quality in _STEPS:
        # One year tells what all will be, so that hopeless ones are not made.
        tried = sum(len(_encoded(image, edge_px, quality)) for image in first.values()) * len(paths)
        if tried > most_bytes and (edge_px, quality) != _STEPS[-1]:
            continue
        made = {
            (look, year): _encoded(image, edge_px, quality)
            for year, path in paths.items()
            for look, image in _looks(path, tones).items()
        }
        if sum(map(len, made.values())) <= most_bytes:
            break
    bands, transform, _ = read_cog(next(iter(paths.values())), max_px=_STRETCH_PX, bands=("red",))
    return MapImages(
        _bounds(transform, bands["red"].shape),
        {look: {year: _address(made[look, year]) for year in paths} for look in LOOKS},
    )


def _looks(path: Path, tones: Mapping[str, NDArray[np.uint8]]) -> dict[str, Image.Image]:
    """Return a year's image in each look, as fine as any is shown."""
    bands, _, _ = read_cog(path, max_px=_READ_PX, bands=tuple(tones))
    return {
        look: Image.fromarray(np.stack([tones[name][bands[name]] for name in names], axis=-1))
        for look, names in LOOKS.items()
    }


def _encoded(image: Image.Image, edge_px: int, quality: int) -> bytes:
    """Return an image as WebP, its longest edge averaged down to so many pixels."""
    shrink = max(image.size) / edge_px
    if shrink > 1:
        image = image.resize(
            (round(image.width / shrink) or 1, round(image.height / shrink) or 1), Image.Resampling.BOX
        )
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality, method=_EFFORT)
    return out.getvalue()


def _tones(paths: Mapping[int, Path]) -> dict[str, NDArray[np.uint8]]:
    """Tone of every value of each band, shape (65536,), the same for all years.

    The bands seen by the eye share one stretch, so that grey stays grey; the others have each their own.
    """
    names = tuple(dict.fromkeys(name for bands in LOOKS.values() for name in bands))
    seen: dict[str, list[NDArray[np.uint16]]] = {name: [] for name in names}
    for path in paths.values():
        bands, _, _ = read_cog(path, max_px=_STRETCH_PX, bands=names)
        for name in names:
            seen[name].append(bands[name][bands[name] != _NODATA])
    values = {name: np.concatenate(parts) for name, parts in seen.items()}
    visible = np.concatenate([values[name] for name in LOOKS["true"]])
    return {name: _ramp(visible if name in LOOKS["true"] else values[name]) for name in names}


def _ramp(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    low, high = np.percentile(values, _STRETCH_PERCENT) if values.size else (0.0, 1.0)
    steps = np.clip((np.arange(_NODATA + 1, dtype=np.float64) - low) / max(high - low, 1.0), 0.0, 1.0)
    tones = (steps**_GAMMA * 255).astype(np.uint8)
    tones[_NODATA] = _NO_DATA_GREY
    return tones


def _bounds(transform: Affine, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    right, bottom = transform @ (shape[1], shape[0])
    return float(transform.c), float(bottom), float(right), float(transform.f)


def _address(content: bytes) -> str:
    return f"data:image/webp;base64,{b64encode(content).decode('ascii')}"
