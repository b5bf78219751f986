"""Composites as cloud-optimised GeoTIFF.

GDAL reads damaged deflate tiles without an error, so a file read here is only as good as its hash:
the manifest holds it and ``stockline verify`` checks it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

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


def read_cog(path: Path) -> tuple[dict[str, NDArray[np.generic]], Affine, int]:
    """Read all bands of a composite.

    Parameters
    ----------
    path : Path
        A file of :func:`write_cog`.

    Returns
    -------
    dict[str, NDArray]
        Band name to array, in file order; shape (rows, columns), dtype and no data as written.
    Affine
        From (column, row) to (x, y) in metres.
    int
        EPSG code of the grid.

    Raises
    ------
    ProductError
        The file is missing or broken, or its bands have no names or its grid no EPSG code.
    """
    try:
        with rasterio.open(path) as source:
            names = source.descriptions
            epsg = source.crs.to_epsg() if source.crs else None
            if epsg is None or None in names:
                raise ProductError(f"{path}: is not a composite of this program; remove it and run the site again")
            bands = {name: source.read(index) for index, name in enumerate(names, start=1)}
            return bands, source.transform, int(epsg)
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
