"""Folders on disk without a catalogue: SAFE products as ESA delivers them, and STAC items beside their files.

An item that was downloaded with its files may still name them where they came from; they are read beside it.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.addresses import file_name, is_remote, one_line
from pipeline.config import Config, SourceConfig
from pipeline.delivery import Delivered
from pipeline.documents import MOST_CHARACTERS, parsed
from pipeline.errors import InputError, SceneRefusedError, SourceError
from pipeline.imagery import Item
from pipeline.remote import Line
from pipeline.sources import _files
from pipeline.sources._dates import is_wanted
from pipeline.sources._files import price
from pipeline.sources._items import read_item
from pipeline.sources._safe import MOST_BYTES, describe, read_checksums, read_product, read_tile
from pipeline.types import Grid

__all__ = ["deliver", "price", "search"]

MOST_DEEP = 10
"""Folders below each other; archives by tile and day have eight."""
_PRODUCT_FILE = "MTD_MSIL2A.xml"
_TILE_OF_BUCKET = "tileInfo.json"
"""Stands in a tile of the open bucket sentinel-s2-l2a, which lacks the product's file with scale and offset."""
_LEVEL_2A = re.compile(r"S2[A-D]_MSIL2A_")
_REMEDY = "download the product again or move it out of the archive"
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError)
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class _Archive:
    """A folder of products; ``fence`` is the folder that links may not lead out of."""

    root: Path
    fence: Path

    def check(self, path: Path) -> None:
        """Refuse a path that leads out of the archive."""
        if not path.resolve().is_relative_to(self.fence):
            raise InputError(f"{path}: leads out of {self.fence}; source.root can name a folder above both")

    def read(self, path: Path, most_bytes: int, reader: Callable[[str], _Read]) -> _Read:
        """Give what a reader makes of a file's text; an error names the file."""
        self.check(path)
        try:
            with path.open("rb") as file:
                return reader(file.read(most_bytes + 1).decode("utf-8-sig"))
        except OSError as error:
            raise SourceError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
        except ValueError as error:
            raise SourceError(f"{path}: {one_line(error)}; {_REMEDY}") from error


def search(aoi: BaseGeometry, config: Config, line: Line) -> list[Item]:  # noqa: ARG001 - nobody is asked
    """Items over an AOI in the configured years and windows, sorted by time and id.

    Raises
    ------
    InputError
        The address is no folder, or a link in it leads elsewhere.
    SourceError
        A product is broken, lies there twice, or none lies over the AOI.
    """
    archive = _opened(config.source)
    items: dict[tuple[str, str], tuple[Item, Path]] = {}
    for place in _places(archive, archive.root):
        item = _item(archive, place, aoi, config)
        if item is None or not item.coverage.intersects(aoi) or not is_wanted(item, config):
            continue
        _, other = items.setdefault((item.collection, item.id), (item, place))
        if other != place:
            raise SourceError(f"{place}: holds {item.id} as {other} does; move one of them out of the archive")
    if not items:
        years = f"{config.years.first}-{config.years.last}"
        raise SourceError(
            f"{archive.root}: no scene over the AOI in {years} within the windows; check source.url and years"
        )
    return sorted((item for item, _ in items.values()), key=lambda item: (item.datetime, item.id))


def deliver(item: Item, bands: Sequence[str], grid: Grid, line: Line) -> Iterator[Delivered]:
    """Pixels of a grid and its margin, band by band as they come.

    JPEG 2000 files do not say which number is no data; their product does.

    Raises
    ------
    SceneRefusedError
        A file is broken, gone or elsewhere.
    """
    for delivered in _files.deliver(item, bands, grid, line):
        part = delivered.part
        nodata = item.assets[delivered.band].nodata if part.nodata is None else part.nodata
        yield replace(delivered, part=replace(part, nodata=nodata))


def _opened(source: SourceConfig) -> _Archive:
    if is_remote(source.url) or not Path(source.url).is_dir():
        raise InputError(f"source.url = {source.url}: no such folder; source.kind archive reads one of this machine")
    root = Path(source.url).resolve()
    return _Archive(root, Path(source.root).resolve() if source.root else root)


def _places(archive: _Archive, folder: Path, depth: int = 0) -> Iterator[Path]:
    """Folders of SAFE products of level 2A, and JSON files, in the order of their names."""
    if depth > MOST_DEEP:
        raise InputError(f"{folder}: lies more than {MOST_DEEP} folders below {archive.root}; name one nearer to it")
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder}: cannot be read ({error.strerror}); make it readable or move it out") from error
    names = {path.name for path in paths}
    found = depth == 0 or not _LEVEL_2A.match(folder.name)
    for path in paths:
        if path.is_symlink() and (path.is_dir() or path.suffix == ".json"):
            archive.check(path)
            if path.resolve().is_relative_to(archive.root):
                continue  # what it leads to is found where it lies
        for place in _below(archive, path, names, depth):
            found = found or place.name != _TILE_OF_BUCKET
            yield place
    if not found:
        raise SourceError(f"{folder}: holds neither {_PRODUCT_FILE} nor a STAC item; {_REMEDY}")


def _below(archive: _Archive, path: Path, names: set[str], depth: int) -> Iterator[Path]:
    """Give what one entry of a folder holds; ``names`` are those of all its entries."""
    if path.is_dir():
        if (path / _PRODUCT_FILE).exists() or (_LEVEL_2A.match(path.name) and path.suffix == ".SAFE"):
            yield path
        else:
            yield from _places(archive, path, depth + 1)
    elif path.suffix == ".json":
        yield path
    elif path.suffix == ".zip" and _LEVEL_2A.match(path.name) and not {path.stem, f"{path.stem}.SAFE"} & names:
        raise InputError(f"{path}: is packed; unpack it or move it out of the archive")


def _item(archive: _Archive, place: Path, aoi: BaseGeometry, config: Config) -> Item | None:
    """Item of a product or STAC file; None for what is none, no surface reflectance, or elsewhere."""
    product = place.is_dir()
    document = _of_product(archive, place, aoi) if product else archive.read(place, MOST_CHARACTERS, parsed)
    if not isinstance(document, dict) or document.get("type") != "Feature" or "stac_version" not in document:
        return None
    try:
        return read_item(document if product else _with_files_beside(document, place.parent), config.source.collection)
    except SceneRefusedError:
        return None
    except _MALFORMED as error:
        # Left out, it would be missing without a word.
        raise SourceError(f"{place}: is malformed ({one_line(error)}); {_REMEDY}") from error


def _of_product(archive: _Archive, folder: Path, aoi: BaseGeometry) -> dict[str, Any] | None:
    """STAC item of a SAFE product; None where it does not meet the AOI, whose large tile file is not read."""
    product = archive.read(folder / _PRODUCT_FILE, MOST_BYTES, read_product)
    if not product.outline.intersects(aoi):
        return None
    tile = archive.read(folder / "GRANULE" / product.granule / "MTD_TL.xml", MOST_BYTES, read_tile)
    manifest = folder / "manifest.safe"
    checksums = archive.read(manifest, MOST_BYTES, read_checksums) if manifest.exists() else {}
    return describe(product, tile, checksums, str(folder))


def _with_files_beside(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Copy of an item whose files are paths; those on a network are read under their names beside the item."""
    assets = {key: {**asset, "href": _path(str(asset["href"]), folder)} for key, asset in document["assets"].items()}
    return {**document, "assets": assets}


def _path(href: str, folder: Path) -> str:
    if "\0" in href:
        raise ValueError(f"its address {href!r} is none")
    if href.startswith("file://"):
        href = unquote(urlsplit(href).path)
    elif is_remote(href):
        href = unquote(file_name(href))
    return os.path.normpath(folder / href)
