"""Where the program keeps what it makes for itself below a folder of results, and that nothing else is kept there.

What lies at these places goes without being asked for. So each has a name nobody else gives, what is removed is told by
its name, and a configuration that keeps evidence or decisions at such a place is refused.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.config import Config
from pipeline.errors import InputError

WORK, MEMORY = ".work", ".memory"
MADE = "stockline-"
"""How what is made in :data:`WORK` begins."""
_TOP = (WORK, MEMORY, "logs")
"""Of a folder of results: folders the program removes files of."""
_PASSING = re.compile(r"\.(work|memory|gathered|rebuilt|placing|stockline-.*|part-.*|.*\.part)")
"""Names, at any depth, of what is removed or was by an older version."""
_KEY = re.compile(r"[0-9a-f]{64}(\.result)?|\.part-[0-9a-f]{32}(\.record)?")
"""What :mod:`pipeline.memory` writes in the folder of a function."""


def work_folder(out: Path, site: str) -> Path:
    """Where intermediate maps of a site are while it runs."""
    return out / WORK / f"{MADE}site-{site}"


def traffic_folder(out: Path) -> Path:
    """Where the requests of a run are counted."""
    return out / WORK / f"{MADE}traffic"


def shared_mark(out: Path, token: str) -> Path:
    """Return the file by which workers know the folder of results."""
    return out / WORK / f"{MADE}shared-{token}"


def is_shared_mark(path: Path) -> bool:
    """Whether a file is one of :func:`shared_mark`."""
    return path.name.startswith(f"{MADE}shared-")


def forget_shared_marks(out: Path) -> None:
    """Remove all such files, also those of runs that were killed; to be called when no task is left."""
    for path in _inside(out / WORK):
        if is_shared_mark(path):
            path.unlink(missing_ok=True)


def remembered(folder: Path) -> list[Path]:
    """Return what :mod:`pipeline.memory` wrote into the folder of a site; links are neither followed nor named."""
    functions = [path for path in _inside(folder) if path.name.isidentifier()]
    return [path for function in functions for path in _inside(function) if _KEY.fullmatch(path.name)]


def forget(folder: Path) -> None:
    """Remove what a site remembers, and folders that are empty then; :class:`OSError` when that fails."""
    for path in remembered(folder):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in (*_inside(folder), folder):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def _inside(folder: Path) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if not path.is_symlink()]


def check_places(config: Config) -> None:
    """Refuse a configuration that keeps anything where working copies are removed; links are followed.

    Raises
    ------
    InputError
        Names the key, its path and the folder it may not lie in.
    """
    out = config.out.resolve()
    for key, path in _kept(config):
        at = path.resolve()
        within = _top(at, out) or _named(at, out) or (_named(at, config.store.resolve()) if config.store else None)
        if within is not None:
            raise InputError(
                f"{key} = {path}: lies in {within}, which is for working copies and removed by batches; move it, and "
                f"name another place with {key}"
            )


def _kept(config: Config) -> Iterator[tuple[str, Path]]:
    """Keys of a configuration that name what must stay, and their paths."""
    url = config.source.url
    named = {
        "store": config.store,
        "reviews": config.reviews,
        "sites": config.sites,
        "claims": config.claims,
        "source.url": url if url is not None and "://" not in url else None,
        "source.root": config.source.root,
        "clear.dem": config.clear.dem,
        "custody.sign_key": config.custody.sign_key,
        "custody.timestamp_ca": config.custody.timestamp_ca,
    }
    for key, path in named.items():
        if path is not None:
            yield key, Path(path)


def _top(path: Path, out: Path) -> Path | None:
    """Return the folder of working copies a path lies in, which may be a link to elsewhere; None: in none."""
    for name in _TOP:
        folder = (out / name).resolve()
        # A link may also lead to the middle of what is kept.
        if path.is_relative_to(folder) or (folder != out / name and folder.is_relative_to(path)):
            return out / name
    return None


def _named(path: Path, base: Path) -> Path | None:
    """Return the part of a path below a folder that has the name of working copies; None: it has none."""
    steps = path.relative_to(base).parts if path.is_relative_to(base) else ()
    last = next((n for n, step in enumerate(steps, start=1) if _PASSING.fullmatch(step)), None)
    return None if last is None else base.joinpath(*steps[:last])
