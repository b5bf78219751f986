"""Maps of a site between its passes: a folder with one file per layer, written by rows, read by window.

A map of a whole country does not fit into memory, so no pass asks for more than the window it works on. Files are
numpy's own, uncompressed. They are written with plain writes: where a disk is full these fail, a memory map kills.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

At: TypeAlias = tuple[int | slice, ...]
"""Window of a map: a slice of rows and one of columns, after an index into each axis before them that is asked for."""


@dataclass(frozen=True)
class MapFile:
    """A layer that is being written.

    Attributes
    ----------
    path : Path
    shape : tuple of int
        The last two are rows and columns.
    dtype : numpy.dtype
    start : int
        Bytes before the first pixel.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int

    def put(self, row: int, values: NDArray[Any]) -> None:
        """Write whole rows, shape (..., rows, columns), from a row of the map on.

        Raises
        ------
        ValueError
            They do not fit the map.
        OSError
            The disk refused.
        """
        rows, columns = self.shape[-2:]
        fits = values.shape[:-2] == self.shape[:-2] and values.shape[-1] == columns
        if not fits or values.dtype != self.dtype or row + values.shape[-2] > rows:
            raise ValueError(f"{values.dtype} {values.shape} from row {row} on is no part of {self.dtype} {self.shape}")
        planes = np.ascontiguousarray(values).reshape(-1, *values.shape[-2:])
        with self.path.open("r+b") as file:
            for place, plane in enumerate(planes):
                file.seek(self.start + (place * rows + row) * columns * self.dtype.itemsize)
                file.write(plane.data)


def create_map(folder: Path, name: str, shape: Sequence[int], dtype: DTypeLike) -> MapFile:
    """Make the file of a layer, and its folder; every row must then be put into it.

    Parameters
    ----------
    folder : Path
    name : str
        Of the layer.
    shape : sequence of int
        The last two are rows and columns.
    dtype : DTypeLike
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind = np.dtype(dtype)
    path = folder / f"{name}.npy"
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": tuple(shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        file.truncate(start + prod(shape) * kind.itemsize)
    return MapFile(path, tuple(shape), kind, start)


def write_map(folder: Path, name: str, values: NDArray[Any]) -> None:
    """Write a whole layer, shape (..., rows, columns)."""
    create_map(folder, name, values.shape, values.dtype).put(0, values)


def read_map(folder: Path, name: str, at: At | None = None) -> NDArray[Any]:
    """Return a layer, or the window of it that is asked for, in memory.

    Parameters
    ----------
    folder : Path
    name : str
        Of the layer.
    at : At, optional
        E.g. ``(rows, columns)``, or ``(0, rows, columns)`` of a layer with three axes.
    """
    path = folder / f"{name}.npy"
    if at is None:
        return np.asarray(np.load(path))
    return np.array(np.load(path, mmap_mode="r")[(..., *at)])
