"""Dates of a block as whole numbers of 0.0001 reflectance: in memory, or on disk where there are many."""

import errno
import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.dates import BANDS, quantise
from pipeline.types import Float32

MOST_BYTES = 100_000_000
"""Held in memory at most, by one task: 24 dates of a block of 544 x 544 pixels."""
_STRIP_BYTES = 48_000_000


class DateStack:
    """Reflectance of all dates of a block, shape (bands, dates, rows, columns), in the order of ``BANDS``.

    Parameters
    ----------
    dates : int
    shape : tuple of int
        Rows and columns.
    folder : Path
        Where a large stack is put, in a file that goes with it.
    most_bytes : int
        Larger stacks are kept on disk and read strip by strip; what comes out is the same.
    """

    def __init__(self, dates: int, shape: tuple[int, int], folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.shape = (len(BANDS), dates, *shape)
        self._bytes = 2 * int(np.prod(self.shape))
        self._values: NDArray[np.int16] | None = None
        if self._bytes <= most_bytes:
            self._values = np.empty(self.shape, dtype=np.int16)
            return
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(self._bytes)
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor)

    def put(self, date: int, bands: Mapping[str, Float32]) -> None:
        """Keep one date; NaN becomes ``NO_DATA``.

        Raises
        ------
        OSError
            The disk is full.
        """
        for place, band in enumerate(BANDS):
            if self._values is not None:
                quantise(bands[band], self._values[place, date])
                continue
            plane = np.empty(self.shape[2:], dtype=np.int16)
            quantise(bands[band], plane)
            if os.pwrite(self._descriptor, plane.data, self._start(place, date)) < plane.nbytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def strips(self, halo_px: int) -> Iterator[tuple[slice, slice, NDArray[np.int16]]]:
        """Give rows of the stack, as many as fit, with a halo.

        Yields
        ------
        rows, kept : slice
            Rows of the block that are given, and which of these are no halo.
        values : NDArray[np.int16]
            Shape (bands, dates, rows given, columns).
        """
        bands, dates, height, columns = self.shape
        if self._values is not None:
            yield slice(0, height), slice(0, height), self._values
            return
        step = max(_STRIP_BYTES // (2 * bands * dates * columns) - 2 * halo_px, 8)
        for top in range(0, height, step):
            bottom = min(top + step, height)
            rows = slice(max(top - halo_px, 0), min(bottom + halo_px, height))
            yield rows, slice(top - rows.start, bottom - rows.start), self._read(rows)

    def _read(self, rows: slice) -> NDArray[np.int16]:
        """Read some rows of all dates; what is mapped instead would count as memory of the process."""
        bands, dates, _, columns = self.shape
        values = np.empty((bands, dates, rows.stop - rows.start, columns), dtype=np.int16)
        for place in range(bands):
            for date in range(dates):
                piece = values[place, date]
                if os.preadv(self._descriptor, [piece.data], self._start(place, date, rows.start)) < piece.nbytes:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
        return values

    def _start(self, place: int, date: int, row: int = 0) -> int:
        """Byte at which a row of a band and date begins."""
        _, dates, height, columns = self.shape
        return 2 * columns * ((place * dates + date) * height + row)
