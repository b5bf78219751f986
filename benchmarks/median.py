"""The masked annual median with Stockline, and what no program can do without: decoding the files.

python -m benchmarks.median FOLDER WORKERS [KEEP.npy]
python -m benchmarks.median --decode FOLDER WORKERS
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from pipeline.kernels.dates import median_of_dates, sorting_network

FILES = ("B02", "B03", "B04", "B08", "B8A", "B11", "B12")
COARSE = ("B8A", "B11", "B12")
UNUSABLE = (0, 1, 3, 8, 9, 10, 11)
"""Scene classes: no data, saturated, shadow, cloud, cloud, cirrus, snow."""
Seen = tuple[NDArray[np.uint8], NDArray[np.uint8]]
STRIP_PX = 1024
"""Two rows of the archive's tiles: each is decoded once, and a file is opened once for both."""


def annual_median(folder: Path, workers: int) -> tuple[NDArray[np.float32], int]:
    """Median of the usable dates of an archive, band by band.

    Parameters
    ----------
    folder : Path
        Of `benchmarks/archive.py`, one year.
    workers : int

    Returns
    -------
    tuple of (NDArray[np.float32], int)
        DN, shape (7, rows, columns), bands as in `benchmarks/archive.py`, NaN where no date is usable; and how
        many tasks it took.
    """
    scenes = sorted(path for path in folder.glob("S2*") if path.is_dir())
    with rasterio.open(scenes[0] / f"{FILES[0]}.tif") as source:
        height, width = source.shape
    tops, out = range(0, height, STRIP_PX), np.empty((len(FILES), height, width), dtype=np.float32)
    strips = [slice(top, min(top + STRIP_PX, height)) for top in tops]
    with ThreadPoolExecutor(workers) as pool:
        usable = list(pool.map(partial(_usable, scenes), strips))
        jobs = [(rows, seen, place) for rows, seen in zip(strips, usable, strict=True) for place in range(len(FILES))]
        for _ in pool.map(partial(_reduce, scenes, out), jobs):
            pass
    return out, len(strips) + len(jobs)


def _usable(scenes: Sequence[Path], rows: slice) -> Seen:
    """Whether the scene class of every date lets a pixel be used, (dates, rows, columns), of 10 m and of 20 m."""
    good = np.array([code not in UNUSABLE for code in range(256)], dtype=np.uint8)
    coarse = good[_read(scenes, "SCL", slice(rows.start // 2, rows.stop // 2))]
    return coarse.repeat(2, axis=1).repeat(2, axis=2), coarse


def _reduce(scenes: Sequence[Path], out: NDArray[np.float32], job: tuple[slice, Seen, int]) -> None:
    """Write the median of one band over some rows; 20 m bands are reduced at 20 m and then repeated."""
    rows, usable, place = job
    coarse = FILES[place] in COARSE
    step = 2 if coarse else 1
    values = _read(scenes, FILES[place], slice(rows.start // step, rows.stop // step))
    median = np.empty(values.shape[1:], dtype=np.uint16)
    median_of_dates(values, usable[coarse], 0, sorting_network(len(scenes)), median)
    whole = np.where(median == 0, np.float32(np.nan), median.astype(np.float32))
    out[place, rows] = whole.repeat(2, axis=0).repeat(2, axis=1) if coarse else whole


def _read(scenes: Sequence[Path], name: str, rows: slice) -> NDArray[np.uint16]:
    """Read some rows of one band of every scene, shape (dates, rows, columns)."""
    stack: NDArray[np.uint16] | None = None
    for date, scene in enumerate(scenes):
        with rasterio.open(scene / f"{name}.tif") as source:
            if stack is None:
                stack = np.empty((len(scenes), rows.stop - rows.start, source.width), dtype=source.dtypes[0])
            source.read(1, window=Window(0, rows.start, source.width, rows.stop - rows.start), out=stack[date])
    assert stack is not None  # noqa: S101 - an archive has scenes
    return stack


def decode(paths: Sequence[Path], threads: int) -> int:
    """Decode every pixel of the files and drop them; return how many bytes they hold."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(_decode_one, paths))


def _decode_one(path: Path) -> int:
    with rasterio.open(path) as source:
        return int(source.read(1).nbytes)


def main(arguments: Sequence[str]) -> None:
    """Print the time one of both took, imports not counted."""
    if arguments[0] == "--decode":
        paths = sorted(Path(arguments[1]).glob("S2*/*.tif"))
        started = time.monotonic()
        size = decode(paths, int(arguments[2]))
        print(json.dumps({"inside_s": time.monotonic() - started, "tasks": len(paths), "decoded_bytes": size}))
        return
    started = time.monotonic()
    values, tasks = annual_median(Path(arguments[0]), int(arguments[1]))
    inside = time.monotonic() - started
    if arguments[2:]:
        np.save(arguments[2], values)
    print(json.dumps({"inside_s": inside, "tasks": tasks, "shape": values.shape}))


if __name__ == "__main__":
    main(sys.argv[1:])
