"""Composites as cloud-optimised GeoTIFF.

Written tile by tile, so that memory does not grow with the site; by this module and not by GDAL, whose errors on a
full disk are of many private kinds, or none. GDAL reads damaged deflate tiles without an error, so a file read here
is only as good as its hash: the manifest holds it and ``stockline verify`` checks it.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from pipeline.errors import ProductError
from pipeline.products._tiff import TILE_PX, Quantity, Raster, head
from pipeline.products.atomic import atomic_path
from pipeline.types import Grid

Pixels: TypeAlias = Callable[[slice, slice], NDArray[Any]]
"""Gives rows and columns, which may step, of all bands: shape (bands, rows, columns)."""
_LEVEL = 1
"""Of deflate: noise leaves the higher ones little to gain, 2 % for three times the time."""
_MEMORY = 9
"""Of deflate, the most there is."""
_AS_STORED = Quantity()


REFLECTANCE = Quantity("reflectance", 0.0001)
"""What the numbers of a composite stand for; QGIS shows them so, rasterio gives them as they are stored."""


def write_cog(
    path: Path,
    names: Sequence[str],
    pixels: Pixels,
    grid: Grid,
    tags: Mapping[str, str],
    quantity: Quantity = _AS_STORED,
) -> None:
    """Write the bands of a grid as one cloud-optimised GeoTIFF, the same bytes for the same input.

    Overviews take one pixel in 2, 4, 8 ... of every row and column.

    Parameters
    ----------
    path : Path
        File to be made or replaced.
    names : sequence of str
        Of the bands, in order; kept as band descriptions.
    pixels : Pixels
        Asked for every tile: unsigned integers, whose no data is the largest value of the dtype.
    grid : Grid
    tags : Mapping[str, str]
        Metadata of the file, e.g. ``{"SIMULATED": "yes"}``.
    quantity : Quantity, optional
        What the numbers of all bands stand for; left out, they stand for themselves.

    Raises
    ------
    ProductError
        The pixels do not fit the grid, or the file could not be written; a former file is untouched.
    """
    first = pixels(slice(0, 1), slice(0, 1))
    if first.dtype.kind != "u" or first.shape != (len(names), 1, 1):
        raise ProductError(f"{path}: pixels are {first.dtype} {first.shape}; {len(names)} unsigned bands are due")
    raster = Raster(tuple(names), first.dtype, grid, dict(tags), quantity)
    empty = {step: [(0, 0)] * (rows * columns) for step in raster.steps for rows, columns in [raster.tiles(step)]}
    tiles: dict[int, list[tuple[int, int]]] = {}
    with atomic_path(path) as beside, beside.open("wb") as file:
        file.write(bytes(len(head(raster, empty))))
        # The coarsest first: who reads the start of the file sees all of the site.
        for step in reversed(raster.steps):
            tiles[step] = []
            for tile in _tiles(path, raster, pixels, step):
                file.write(struct.pack("<I", len(tile)))
                tiles[step].append((file.tell(), len(tile)))
                file.write(tile + tile[-4:])
        file.seek(0)
        file.write(head(raster, tiles))


def _tiles(path: Path, raster: Raster, pixels: Pixels, step: int) -> Iterator[bytes]:
    """Give the tiles of the raster or an overview, compressed, row by row."""
    (height, width), edge = raster.grid.shape, TILE_PX * step
    for top in range(0, height, edge):
        for left in range(0, width, edge):
            rows, columns = slice(top, min(top + edge, height), step), slice(left, min(left + edge, width), step)
            values = pixels(rows, columns)
            shape = (len(raster.names), len(range(height)[rows]), len(range(width)[columns]))
            if values.shape != shape or values.dtype != raster.dtype:
                raise ProductError(f"{path}: a tile is {values.dtype} {values.shape}; {raster.dtype} {shape} is due")
            tile = np.full((TILE_PX, TILE_PX, shape[0]), np.iinfo(raster.dtype).max, dtype=raster.dtype)
            tile[: shape[1], : shape[2]] = values.transpose(1, 2, 0)
            # Differences to the pixel on the left, modulo the dtype.
            tile[:, 1:] -= tile[:, :-1].copy()
            yield _deflated(tile.astype(raster.dtype.newbyteorder("<"), copy=False))


def _deflated(tile: NDArray[Any]) -> bytes:
    """Compress a tile, looking for runs alone: what is not, is noise, in which a search finds nothing for its time."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY, zlib.Z_RLE)
    return deflate.compress(tile.data) + deflate.flush()


def read_cog(
    path: Path,
    at: tuple[slice, slice] | None = None,
    max_px: int | None = None,
    bands: Sequence[str] | None = None,
) -> tuple[dict[str, NDArray[Any]], Affine, int]:
    """Read a composite: all of it, a window, or a coarser view.

    Parameters
    ----------
    path : Path
        A file of :func:`write_cog`.
    at : tuple of slice, optional
        Rows and columns of the window that is read; what lies outside the file is left out.
    max_px : int, optional
        Most pixels on an edge of what is returned: one in 2, 4, 8 ... of every row and column is read, from
        the file's overviews.
    bands : sequence of str, optional
        Those that are read, all when left out.

    Returns
    -------
    dict[str, NDArray]
        Band name to array, in file order; shape (rows, columns), dtype and no data as written.
    Affine
        From (column, row) of the arrays to (x, y) in metres.
    int
        EPSG code of the grid.

    Raises
    ------
    ProductError
        The file is missing or broken, its bands have no names or not those asked for, or its grid no EPSG code.
    """
    try:
        with rasterio.open(path) as source:
            names = source.descriptions
            epsg = source.crs.to_epsg() if source.crs else None
            if epsg is None or None in names or not set(bands or ()) <= set(names):
                raise ProductError(f"{path}: is not a composite of this program; remove it and run the site again")
            rows, columns = at or (slice(0, source.height), slice(0, source.width))
            window = Window.from_slices(rows, columns, height=source.height, width=source.width)
            window = window.intersection(Window(0, 0, source.width, source.height))
            height, width = round(window.height), round(window.width)
            step = 1
            while max_px is not None and max(height, width) > step * max_px:
                step *= 2
            shape = -(-height // step), -(-width // step)
            wanted = [name for name in names if bands is None or name in bands]
            pixels = source.read([names.index(name) + 1 for name in wanted], window=window, out_shape=shape)
            # Not the step: its last row and column may be narrower.
            transform = source.window_transform(window) @ Affine.scale(width / shape[1], height / shape[0])
            return dict(zip(wanted, pixels, strict=True)), transform, int(epsg)
    except RasterioError as error:
        raise ProductError(f"{path}: cannot be read ({error}); run the site again with --force") from error
