"""Which numbers of the composites of a site are shown dark and which bright: the same in every year."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.products.cog import REFLECTANCE, read_cog

LOOKS = {"true": ("red", "green", "blue"), "swir": ("swir22", "nir", "red")}
"""Bands shown as red, green and blue: as the eye would see it, and with the short-wave infrared as red."""
_STRETCH_PX = 256
"""Longest edge of what the stretch is taken from."""
_STRETCH_PERCENT = (1.0, 99.0)


@dataclass(frozen=True)
class CompositeBand:
    """A band of every composite: its number in the files, and the reflectance shown darkest and brightest."""

    number: int
    low: float
    high: float


@dataclass(frozen=True)
class Composites:
    """The composites of a site: their years, and each look's three bands."""

    years: tuple[int, ...]
    looks: Mapping[str, tuple[CompositeBand, ...]]


def read_composites(folder: Path) -> Composites:
    """Read from the composites of a site how all of them are shown.

    The bands seen by the eye share one stretch, so that grey stays grey; each other band has its own.

    Parameters
    ----------
    folder : Path
        Of one file a year, named by the year; may hold none.

    Raises
    ------
    ProductError
        A composite cannot be read.
    """
    paths = sorted(folder.glob("*.tif"))
    seen: dict[str, list[NDArray[np.uint16]]] = {}
    for path in paths:
        bands, _, _ = read_cog(path, max_px=_STRETCH_PX)
        for name, values in bands.items():
            seen.setdefault(name, []).append(values[values != np.iinfo(values.dtype).max])
    names = list(seen)
    visible = [part for name in LOOKS["true"] for part in seen.get(name, ())]
    limits = {name: _limits(visible if name in LOOKS["true"] else parts) for name, parts in seen.items()}
    looks = {
        look: tuple(CompositeBand(names.index(name) + 1, *limits[name]) for name in bands) if paths else ()
        for look, bands in LOOKS.items()
    }
    return Composites(tuple(int(path.stem) for path in paths), looks)


def _limits(parts: list[NDArray[np.uint16]]) -> tuple[float, float]:
    """Return the reflectances between which tones rise, at least one stored number apart; QGIS applies the scale."""
    values = np.concatenate(parts)
    if values.size == 0:
        return 0.0, 1.0
    low, high = (round(float(limit)) for limit in np.percentile(values, _STRETCH_PERCENT))
    return round(low * REFLECTANCE.scale, 4), round(max(high, low + 1) * REFLECTANCE.scale, 4)
