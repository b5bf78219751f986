"""The masked annual median with odc-stac and with stackstac, each as its users write it. Runs in `.venv-peers`.

    .venv-peers/bin/python -P benchmarks/peers.py FORM FOLDER THREADS [KEEP.npy]

Every form gives the same numbers: the median over all dates of seven bands at 10 m, in DN, of the pixels that are not
0 and whose scene class is clear; NaN where none is. 20 m bands and classes are repeated. The forms differ in how much
is known about the library: `plain` is what the documentation shows, with its default chunks; `chunked` asks for all
dates of a window in one chunk, which both projects advise for a median; `bottleneck` also replaces xarray's median by
a compiled one, which no page of either project shows.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BANDS = ("B02", "B03", "B04", "B08", "B8A", "B11", "B12")
UNUSABLE = (0, 1, 3, 8, 9, 10, 11)
"""Scene classes: no data, saturated, shadow, cloud, cloud, cirrus, snow."""


@dataclass(frozen=True)
class Form:
    """One way to write the median.

    Attributes
    ----------
    peer : {'odc', 'stackstac'}
    edge_px : int or None
        Edge of a chunk, None for the library's own choice.
    together : bool
        All dates of a window are read by one task; else one date by one task, and chunks are joined afterwards.
    compiled : bool
        The median is bottleneck's, not xarray's.
    """

    peer: str
    edge_px: int | None
    together: bool
    compiled: bool


FORMS = {
    "odc-plain": Form("odc", None, together=False, compiled=False),
    "odc-chunked": Form("odc", 1024, together=True, compiled=False),
    "odc-bottleneck": Form("odc", 1024, together=True, compiled=True),
    "stackstac-plain": Form("stackstac", None, together=False, compiled=False),
    "stackstac-chunked": Form("stackstac", 512, together=True, compiled=False),
    "stackstac-bottleneck": Form("stackstac", 512, together=True, compiled=True),
}
"""Edges are the fastest of 512, 1024 and 2048."""


def read_items(folder: Path) -> list[Any]:
    """Items of an archive of `benchmarks/archive.py`, by date, with whole addresses."""
    import pystac

    items = []
    for path in sorted(folder.glob("S2*/*.json")):
        item = pystac.Item.from_file(str(path))
        item.make_asset_hrefs_absolute()
        items.append(item)
    return items


def odc_bands(items: list[Any], form: Form) -> Any:
    """Masked bands as variables of time, y and x, with odc-stac."""
    import odc.stac

    chunks: dict[str, Any] = {} if form.edge_px is None else {"x": form.edge_px, "y": form.edge_px}
    if form.together:
        chunks["time"] = -1
    seen = odc.stac.load(
        items, bands=[*BANDS, "SCL"], crs="EPSG:32652", resolution=10, chunks=chunks, groupby="solar_day"
    )
    bands = seen[list(BANDS)]
    return bands.where(~seen["SCL"].isin(UNUSABLE) & (bands != 0))


def stackstac_bands(items: list[Any], form: Form) -> Any:
    """Masked bands as one array of time, band, y and x, with stackstac; no data become NaN as it reads."""
    import numpy as np
    import stackstac

    options: dict[str, Any] = {}
    if form.edge_px is not None:
        options["chunksize"] = (-1 if form.together else 1, 1, form.edge_px, form.edge_px)
        options |= {"dtype": "float32", "fill_value": np.float32("nan")}
    # Bounds are given: those it finds itself come from the outline in degrees, and lie some pixels outside.
    rows, columns = items[0].assets["B02"].extra_fields["proj:shape"]
    step, _, left, _, _, top = items[0].assets["B02"].extra_fields["proj:transform"]
    seen = stackstac.stack(
        items,
        assets=[*BANDS, "SCL"],
        epsg=32652,
        resolution=10,
        bounds=(left, top - rows * step, left + columns * step, top),
        rescale=False,
        **options,
    )
    return seen.sel(band=list(BANDS)).where(~seen.sel(band="SCL").isin(UNUSABLE))


def median(bands: Any, form: Form) -> Any:
    """Median over time, not yet computed."""
    if not form.together:
        bands = bands.chunk({"time": -1})
    if not form.compiled:
        return bands.median("time", skipna=True)
    import bottleneck
    import xarray

    return xarray.apply_ufunc(
        lambda values: bottleneck.nanmedian(values, axis=-1),
        bands,
        input_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=["float32"],
    )


def main(name: str, folder: Path, threads: int, keep: Path | None) -> None:
    """Compute the median in one form; print its time and number of tasks, imports not counted."""
    import dask
    import numpy as np
    import xarray as xr

    form = FORMS[name]
    if form.peer == "odc":
        import odc.stac  # noqa: F401 - its import is not part of the time
    else:
        import stackstac  # noqa: F401
    dask.config.set(scheduler="threads", num_workers=threads)
    started = time.monotonic()
    lazy = median((odc_bands if form.peer == "odc" else stackstac_bands)(read_items(folder), form), form)
    (lazy,) = dask.optimize(lazy)
    tasks = len(lazy.__dask_graph__())
    done = lazy.compute()
    values = np.stack([done[band].values for band in BANDS]) if isinstance(done, xr.Dataset) else done.values
    inside = time.monotonic() - started
    if keep is not None:
        np.save(keep, values.astype(np.float32))
    print(json.dumps({"inside_s": inside, "tasks": tasks, "shape": values.shape}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]) if sys.argv[4:] else None)
