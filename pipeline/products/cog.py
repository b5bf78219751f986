"""Composites as cloud-optimised GeoTIFF.

GDAL reads damaged deflate tiles without an error, so a file read here is only as good as its hash:
the manifest holds it and ``stockline verify`` checks it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from pipeline.errors import ProductError
from pipeline.products.atomic import atomic_path
from pipeline.types import Grid


def write_cog(path: Path, bands: Mapping[str, NDArray[np.generic]], grid: Grid, tags: Mapping[str, str]) -> None:
    """Write arrays of one grid as the bands of one cloud-optimised GeoTIFF, the same bytes for the same input.

    Parameters
    ----------
    path : Path
        File to be made or replaced.
    bands : Mapping[str, NDArray]
        Name (kept as band description) to array of shape ``grid.shape``, all of one dtype: a float, whose
        no data is NaN, or an unsigned integer, whose no data is the largest value of the dtype.
    grid : Grid
        Where the arrays lie.
    tags : Mapping[str, str]
        Metadata of the file, e.g. ``{"SIMULATED": "yes"}``.

    Raises
    ------
    ProductError
        An array does not fit the grid or the other bands, or the file could not be written; a former file
        is untouched.
    """
    dtype = _common_dtype(path, bands, grid)
    floating = dtype.kind == "f"
    profile = {
        "driver": "COG",
        "dtype": dtype.name,
        "count": len(bands),
        "width": grid.width,
        "height": grid.height,
        "crs": f"EPSG:{grid.epsg}",
        "transform": grid.transform,
        "nodata": np.nan if floating else 256**dtype.itemsize - 1,
        "compress": "DEFLATE",
        "predictor": "YES",
        "blocksize": 512,
        # Classes and counts have no mean; reflectance has one, and NaN is left out of it.
        "overview_resampling": "AVERAGE" if floating else "NEAREST",
    }
    # Made in memory and written by Python: on a full disk the driver's own errors are of many private kinds.
    with MemoryFile(ext=".tif") as memory:
        # Tags go in before the file is laid out: it cannot be opened for change afterwards.
        with memory.open(**profile) as target:
            target.update_tags(**tags)
            for index, (name, values) in enumerate(bands.items(), start=1):
                target.write(values, index)
                target.set_band_description(index, name)
        with atomic_path(path) as beside:
            beside.write_bytes(memory.getbuffer())


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
        Rows and columns of the window that is read.
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
            height, width = round(window.height), round(window.width)
            step = 1
            while max_px is not None and max(height, width) > step * max_px:
                step *= 2
            shape = -(-height // step), -(-width // step)
            wanted = [name for name in names if bands is None or name in bands]
            pixels = source.read([names.index(name) + 1 for name in wanted], window=window, out_shape=shape)
            transform = source.window_transform(window) @ Affine.scale(step)
            return dict(zip(wanted, pixels, strict=True)), transform, int(epsg)
    except RasterioError as error:
        raise ProductError(f"{path}: cannot be read ({error}); run the site again with --force") from error


def _common_dtype(path: Path, bands: Mapping[str, NDArray[np.generic]], grid: Grid) -> np.dtype[np.generic]:
    """Return the dtype of all bands, after refusing what one file cannot hold."""
    for name, values in bands.items():
        if values.shape != grid.shape:
            raise ProductError(f"{path}: band {name!r} has shape {values.shape}; its grid has {grid.shape}")
    dtypes = {values.dtype for values in bands.values()}
    if len(dtypes) != 1 or next(iter(dtypes)).kind not in "fu":
        kinds = ", ".join(sorted(str(dtype) for dtype in dtypes)) or "none"
        raise ProductError(f"{path}: bands are of {kinds}; they must be all of one float or one unsigned integer type")
    return dtypes.pop()
