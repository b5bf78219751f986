"""Pictures of single cases: the pile as it is, what was reported, and the composite of the year under both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.windows import from_bounds
from shapely.geometry.base import BaseGeometry

_HALF_M = 220.0
_BRIGHTEST = 0.3


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes
    ----------
    kind : str
        ``error``, ``miss`` or ``false``.
    badness : float
        Cases of a kind are ordered by it, worst first.
    text : str
    image : NDArray[np.uint8]
        Shape (rows, columns, 3), true colour of the year's composite.
    true, reported : tuple of NDArray
        Outlines in (column, row) of the image.
    """

    kind: str
    badness: float
    text: str
    image: NDArray[np.uint8]
    true: tuple[NDArray[np.float64], ...]
    reported: tuple[NDArray[np.float64], ...]


def make_case(
    composite: Path, what: tuple[str, float, str], at: tuple[float, float], true: BaseGeometry, reported: BaseGeometry
) -> Case:
    """Cut a case out of a year's composite; ``what`` is kind, badness and text, ``at`` its middle in the grid's CRS."""
    x, y = at
    with rasterio.open(composite) as source:
        window = from_bounds(x - _HALF_M, y - _HALF_M, x + _HALF_M, y + _HALF_M, source.transform)
        window = window.round_offsets().round_lengths()
        bands = source.read([3, 2, 1], window=window, boundless=True, fill_value=0).astype(np.float64) / 1e4
        inverse = ~source.window_transform(window)
    image = (np.clip(np.moveaxis(bands, 0, -1) / _BRIGHTEST, 0, 1) ** 0.7 * 255).astype(np.uint8)

    def lines(geometry: BaseGeometry) -> tuple[NDArray[np.float64], ...]:
        parts = [p for p in shapely.get_parts(geometry) if p.geom_type == "Polygon"]
        return tuple(np.column_stack(inverse * tuple(np.asarray(part.exterior.coords)[:, :2].T)) for part in parts)

    return Case(*what, image, lines(true), lines(reported))


def worst(cases: Sequence[Case], kind: str, count: int) -> list[Case]:
    """Return the worst cases of a kind."""
    return sorted((c for c in cases if c.kind == kind), key=lambda c: -c.badness)[:count]
