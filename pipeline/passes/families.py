"""Piles get one identity through the years: a name, a window, and what of it is theirs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from models.stockpile import families
from pipeline.maps import read_map
from pipeline.types import PIXEL_M, Bool, Grid

_WINDOW_PX = 16
"""Margin of a pile's window: the ring its background is taken from, and the outline's reach."""


@dataclass(frozen=True, eq=False)
class Family:
    """One pile through the years, and all that other piles and other years say of its window.

    Attributes
    ----------
    pile_id : str
        Its name.
    rows, columns : slice
        Its window of the grid.
    own, others : Bool
        Shape of the window: where it lies in any year, and where other piles do.
    """

    pile_id: str
    rows: slice
    columns: slice
    own: Bool
    others: Bool


def label_families(grid: Grid, maps: Mapping[int, Path], measured: Bool) -> list[Family]:
    """Find the piles of all years, by name; no year, no pile.

    A pile is named after the 10 m cell of its deepest pixel (easting and northing in tens of metres), so
    its name can be found on the ground and does not depend on what else was found. The years are read one by one.

    Parameters
    ----------
    grid : Grid
    maps : Mapping[int, Path]
        Year to maps.
    measured : Bool
        True inside the AOI and outside excluded ground.
    """
    if not maps:
        return []
    labels, count = families(read_map(maps[year], "objects") & measured for year in sorted(maps))
    found = []
    for label, box in enumerate(ndimage.find_objects(labels, max_label=count), start=1):
        row, column = deepest(labels[box] == label)
        name = pile_name(grid, box[0].start + row, box[1].start + column)
        rows, columns = (_wide(s, size) for s, size in zip(box, grid.shape, strict=True))
        own = labels[rows, columns] == label
        found.append(Family(name, rows, columns, own, (labels[rows, columns] > 0) & ~own))
    return sorted(found, key=lambda family: family.pile_id)


def deepest(member: Bool) -> tuple[int, int]:
    """Row and column of the pixel farthest inside a pile; beyond the window there is no pile."""
    depth = ndimage.distance_transform_edt(np.pad(member, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(row), int(column)


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
