"""Maps of a site between its passes: a folder with one file per layer, written and read by window.

A map of a whole country does not fit into memory, so no pass asks for more than the window it works on. Files are
numpy's own, uncompressed. They are written with plain writes: where a disk is full these fail, a memory map kills.
"""

import errno
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

At: TypeAlias = tuple[slice, slice] | tuple[int, slice, slice]
"""Window of a map: a slice of rows and one of columns; before them the number of a plane, where one is asked for."""


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

    def put(self, at: At, values: NDArray[Any]) -> None:
        """Write a window, shape (..., rows, columns), or of one plane of the map, shape (rows, columns).

        Raises
        ------
        ValueError
            It does not fit the map.
        OSError
            The disk refused.
        """
        *plane, rows, columns = at
        (height, width), size = self.shape[-2:], self.dtype.itemsize
        outer = () if plane else self.shape[:-2]
        fits = values.shape[:-2] == outer and values.dtype == self.dtype
        if not fits or values.shape[-2:] != np.empty((height, width), dtype=bool)[rows, columns].shape:
            raise ValueError(f"{values.dtype} {values.shape} at {at} is no part of {self.dtype} {self.shape}")
        planes = np.ascontiguousarray(values).reshape(-1, *values.shape[-2:])
        # Whole rows lie in one piece.
        whole = values.shape[-1] == width
        with self.path.open("r+b", buffering=0) as file:
            for place, pixels in enumerate(planes, start=plane[0] if plane else 0):
                for row, piece in enumerate([pixels] if whole else pixels, start=rows.start):
                    at_byte = self.start + ((place * height + row) * width + columns.start) * size
                    if os.pwrite(file.fileno(), piece.data, at_byte) < piece.nbytes:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


def create_map(folder: Path, name: str, shape: Sequence[int], dtype: DTypeLike) -> MapFile:
    """Make the file of a layer, and its folder; all of it must then be put.

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
    rows, columns = values.shape[-2:]
    create_map(folder, name, values.shape, values.dtype).put((slice(0, rows), slice(0, columns)), values)


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
    # What numpy maps takes as long to look up as a window of a block to copy.
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        start, mapped = file.tell(), mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dtype, offset=start).reshape(shape)[(..., *at)].copy()


def remove_map(folder: Path, name: str) -> None:
    """Remove a layer nobody needs any more."""
    (folder / f"{name}.npy").unlink()
