"""Write beside, then rename: a reader sees the former file or the new one, never half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ProductError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends well, what is there takes the place of ``path``.

    The yielded path has the same name and lies in a hidden folder beside ``path``, so that drivers that
    look at the ending, or that write side files, are content. The folder is removed however the block
    ends; one left behind by a killed process is removed by the next writer. One writer per path.

    Parameters
    ----------
    path : Path
        File to be made or replaced; its folder is made when missing.

    Yields
    ------
    Path
        Where the block writes. Nothing is there yet.

    Raises
    ------
    ProductError
        The operating system refused (full disk, no permission); ``path`` is as it was.
    """
    folder = path.parent / f".{path.name}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        try:
            beside = folder / path.name
            yield beside
            flush(beside)
            beside.replace(path)
            flush(path.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise write_error(path, error.strerror or str(error)) from error


def write_error(path: Path, reason: object) -> ProductError:
    """Return the error of a product that could not be written, with what to do about it.

    Parameters
    ----------
    path : Path
        The product.
    reason : object
        What the operating system or the driver said; only its first line is kept.
    """
    first_line = str(reason).strip().split("\n", maxsplit=1)[0] or type(reason).__name__
    return ProductError(
        f"{path}: cannot be written ({first_line}); free disk space, or choose a folder you may write to with --out, "
        "then run the site again"
    )


def flush(path: Path) -> None:
    """Have a file or folder on the disk before its name is trusted (a rename may overtake the data)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
