"""Which pixels the outlines of a pile rest on: ``masks/<pile_id>.tif``, a window of the site's grid.

A band for each year says what each pixel was, a band for each outlined date which pixels could be used on it. With the
pixels of the scenes they are all an outline is computed from (docs/recompute.py does it again).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from pipeline.findings import PileSeries
from pipeline.pile_masks import unpacked
from pipeline.products import styles
from pipeline.products._documents import MASKS
from pipeline.products.atomic import atomic_path
from pipeline.products.wording import attribution
from pipeline.types import Grid

MEMBER, OTHER = 1, 2
"""Bits of the band of a year."""
_OBJECT, _USABLE = "object", "usable"
_MEANING = {
    "object_bands": "bits of a pixel in a year: 1 the pile, dark on most clear dates; 2 another dark thing, or water",
    "scene_bands": "named by scene: 1 where its date could be used, 0 where it was hidden or has no data",
}


def write_masks(folder: Path, piles: Sequence[PileSeries], site_id: str, *, simulated: bool) -> list[Path]:
    """Write the masks of all piles that have any, each with a style that shows its newest year in QGIS.

    The same masks give the same bytes.

    Parameters
    ----------
    folder : Path
        Of the site's products; the files go into its folder ``masks``.
    piles : sequence of PileSeries
    site_id : str
    simulated : bool

    Returns
    -------
    list of Path
        Every file written.

    Raises
    ------
    ProductError
        A file could not be written.
    """
    written = []
    for pile in piles:
        if pile.window is None:
            continue
        tags = _MEANING | {"site": site_id, "pile_id": pile.pile_id, "crs": f"EPSG:{pile.window.epsg}"}
        tags["TIFFTAG_COPYRIGHT"] = attribution([year.year for year in pile.years], simulated=simulated)
        tags |= {"SIMULATED": "yes"} if simulated else {}
        path = folder / MASKS / f"{pile.pile_id}.tif"
        bands = list(_bands(pile))
        newest = max(n for n, (_, _, about) in enumerate(bands) if about["kind"] == _OBJECT)
        style = styles.masks_qml(newest + 1, int(bands[newest][2]["year"]))
        for file, data in ((path, _geotiff(pile.window, bands, tags)), (path.with_suffix(".qml"), style.encode())):
            with atomic_path(file) as beside:
                beside.write_bytes(data)
            written.append(file)
    return written


def _bands(pile: PileSeries) -> Iterator[tuple[str, NDArray[np.uint8], dict[str, str]]]:
    """Give name, pixels and tags of every band: years first, then dates in order of time."""
    known = [(year, unpacked(year.masks)) for year in pile.years if year.masks is not None]
    for year, (member, others, _) in known:
        about = {"kind": _OBJECT, "year": str(year.year)}
        yield f"object {year.year}", MEMBER * member.view(np.uint8) + OTHER * others.view(np.uint8), about
    for year, (_, _, usable) in known:
        for scene_id, mask in usable.items():
            about = {"kind": _USABLE, "year": str(year.year)}
            yield scene_id, mask.view(np.uint8), about


def _geotiff(
    window: Grid, bands: Sequence[tuple[str, NDArray[np.uint8], dict[str, str]]], tags: dict[str, str]
) -> bytes:
    """Encode the bands, one after the other: most are the same pixel over and over."""
    profile = {
        "driver": "GTiff", "width": window.width, "height": window.height, "count": len(bands), "dtype": "uint8",
        "crs": f"EPSG:{window.epsg}", "transform": window.transform, "compress": "deflate", "interleave": "band",
        "photometric": "minisblack",
    }  # fmt: skip
    # Encoded in memory: GDAL tells of a full disk only when it closes a file, and rasterio drops that.
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.update_tags(**tags)
            dataset.write(np.array([pixels for _, pixels, _ in bands]))
            for number, (name, _, about) in enumerate(bands, start=1):
                dataset.set_band_description(number, name)
                dataset.update_tags(number, **about)
        return bytes(memory.getbuffer())
