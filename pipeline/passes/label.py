"""Label pass: maps of a year, and piles given one identity through the years."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.stockpile import families
from pipeline.maps import At, read_map, write_map
from pipeline.types import PIXEL_M, Bool, Float32, Grid

_WINDOW_PX = 16
"""Margin of a pile's window: the ring its background is taken from, and the outline's reach."""


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


@dataclass(frozen=True)
class Family:
    """One pile through the years: its name, its label in the label map, and its window of the grid."""

    pile_id: str
    label: int
    rows: slice
    columns: slice


def label_families(grid: Grid, maps: Mapping[int, Path], measured: Bool, path: Path) -> list[Family]:
    """Label the piles of all years and write the label map; no year, no pile.

    A pile is named after the 10 m cell of its deepest pixel (easting and northing in tens of metres), so
    its name can be found on the ground and does not depend on what else was found.

    Parameters
    ----------
    grid : Grid
    maps : Mapping[int, Path]
        Year to maps.
    measured : Bool
        True inside the AOI and outside excluded ground.
    path : Path
        Where the label map goes (numpy file).
    """
    if not maps:
        return []
    masks = np.stack([read_maps(maps[year]).objects & measured for year in sorted(maps)])
    labels, count = families(masks)
    np.save(path, labels)
    found = []
    for label, box in enumerate(ndimage.find_objects(labels, max_label=count), start=1):
        member = labels[box] == label
        depth = ndimage.distance_transform_edt(np.pad(member, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
        name = pile_name(grid, box[0].start + int(row), box[1].start + int(column))
        rows, columns = (_wide(s, size) for s, size in zip(box, grid.shape, strict=True))
        found.append(Family(name, label, rows, columns))
    return sorted(found, key=lambda family: family.pile_id)


def pile_name(grid: Grid, row: int, column: int) -> str:
    """Name of a pile whose deepest pixel this is: easting and northing of its cell in tens of metres."""
    east = int((grid.left_m + (column + 0.5) * PIXEL_M) // PIXEL_M)
    north = int((grid.top_m - (row + 0.5) * PIXEL_M) // PIXEL_M)
    return f"p{east:05d}-{north:06d}"


def _wide(span: slice, size: int) -> slice:
    """Grow a slice by the window's margin to even bounds within the grid."""
    start = max(span.start - _WINDOW_PX, 0)
    stop = min(span.stop + _WINDOW_PX, size)
    return slice(start - start % 2, stop + stop % 2)
