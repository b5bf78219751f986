"""The masked annual median with Stockline, and what no program can do without: decoding the files.

python -m benchmarks.median FOLDER WORKERS [KEEP.npy]
python -m benchmarks.median --decode FOLDER WORKERS
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray


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
    raise NotImplementedError("annual_median: not built yet")


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
