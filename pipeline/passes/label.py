"""Label pass: maps of a year."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.maps import At, read_map, write_map
from pipeline.types import Bool, Float32


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


def write_maps(folder: Path, maps: YearMaps) -> None:
    """Write a year's maps, a file per layer."""
    for field in fields(YearMaps):
        write_map(folder, field.name, getattr(maps, field.name))


def read_maps(folder: Path, at: At | None = None) -> YearMaps:
    """Return the maps of a year, or a window of them; :func:`pipeline.maps.read_map` reads one layer."""
    return YearMaps(**{field.name: read_map(folder, field.name, at) for field in fields(YearMaps)})
