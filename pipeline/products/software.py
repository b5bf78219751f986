"""The software a result is made with: this program's sources and commit, and every library below it.

What numbers may depend on (:func:`made_with`) is part of the keys by which results are recognised; the commit is told
beside it, since the same sources have many.
"""

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyogrio
import pyproj
import rasterio
import shapely
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline import __version__
from pipeline.errors import ProductError
from pipeline.evidence import sha256_file
from pipeline.products._documents import Release, json_text, sha256_text

PACKAGES = ("pipeline", "models")
_DISTRIBUTION = "stockline"
_ABSENT = "absent"
_GIT_S = 20.0
"""A checkout on a slow disk answers in a second; one that does not answer has no commit to tell."""


def code_sha256(packages: Sequence[str] = PACKAGES) -> str:
    """Hash of the sources (and templates) of packages: of the sorted list of file hashes and paths."""
    lines = []
    for package in packages:
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            for path in Path(root).rglob("*"):
                parts = path.relative_to(root).parts
                if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in parts):
                    lines.append(f"{package}/{'/'.join(parts)} {sha256_file(path)}\n")
    return sha256_text("".join(sorted(lines)))


def libraries(distribution: str = _DISTRIBUTION) -> dict[str, str]:
    """Return name and version of every distribution that one needs to run, and that those need, sorted.

    Parameters
    ----------
    distribution : str
        Its own extras are left out; extras that it, or a library, asks of another are followed.

    Returns
    -------
    dict of str to str
        Normalised name to version; ``absent`` where something needed is not installed.

    Raises
    ------
    ProductError
        The distribution itself is not installed.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(distribution), "")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            installed = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError as error:
            if name == canonicalize_name(distribution):
                said = f"{distribution}: is not installed, so what it runs on cannot be told; run make setup"
                raise ProductError(said) from error
            found[name] = _ABSENT
            continue
        found[name] = installed.version
        for line in installed.requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                needed = canonicalize_name(wanted.name)
                waiting += [(needed, each) for each in ("", *sorted(wanted.extras))]
    del found[canonicalize_name(distribution)]
    return dict(sorted(found.items()))


def bundled() -> dict[str, str]:
    """Return versions of GDAL, PROJ and GEOS as each wheel brings its own: ``rasterio gdal`` and so on."""
    return {
        "pyogrio gdal": ".".join(map(str, pyogrio.__gdal_version__)),
        "pyogrio geos": ".".join(map(str, pyogrio.__gdal_geos_version__ or ())) or _ABSENT,
        "pyproj proj": pyproj.proj_version_str,
        "rasterio gdal": rasterio.__gdal_version__,
        "rasterio geos": rasterio.__geos_version__,
        "rasterio proj": rasterio.__proj_version__,
        "shapely geos": shapely.geos_version_string,
    }


def commit() -> tuple[str | None, bool | None]:
    """Return the commit these sources are of, and whether they differ from it; None and None outside a checkout."""
    root = Path(__file__).parents[2]
    head = _git(root, "rev-parse", "--verify", "HEAD")
    # A package installed inside somebody's repository is not of it.
    tracked = _git(root, "ls-files", "--error-unmatch", "--", "pipeline/__init__.py")
    changed = _git(root, "status", "--porcelain", "--", *PACKAGES)
    if head is None or tracked is None or changed is None:
        return None, None
    return head.strip(), bool(changed.strip())


def rests_on() -> dict[str, Any]:
    """Return the software that numbers may depend on, as JSON: all but the commit."""
    return {
        "version": __version__,
        "sha256": code_sha256(),
        "python": platform.python_version(),
        "libraries": libraries(),
        "bundled": bundled(),
    }


def made_with() -> str:
    """Name the code and the libraries that results rest on."""
    return json_text(rests_on())


def release() -> Release:
    """Describe this program alone."""
    at, dirty = commit()
    return Release(version=__version__, commit=at, dirty=dirty, sha256=code_sha256())


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git says of a folder; None when it is not installed, or says that there is nothing to say."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, in the folder of these sources
            ("git", "--no-optional-locks", *arguments),  # noqa: S607 - that of the user
            cwd=root, env=own, capture_output=True, text=True, timeout=_GIT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
