"""Directories of a cloud-optimised GeoTIFF: everything of the file but its tiles.

TIFF 6.0, BigTIFF where offsets need it, GeoTIFF 1.1 (OGC 19-008r4), and GDAL's description of the layout, by which
readers know that all directories lie before the tiles and each tile between its size and its last bytes repeated.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from pipeline.types import PIXEL_M, Grid

TILE_PX = 512
_LAYOUT = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
_SHORT, _LONG, _DOUBLE, _ASCII, _LONG8 = 3, 4, 12, 2, 16
_CODES = {_SHORT: "H", _LONG: "I", _DOUBLE: "d", _LONG8: "Q"}
_CLASSIC_BYTES = 2**32 - 2**20
"""Above this a file might need offsets of eight bytes."""

_COLOURS = ("red", "green", "blue")
"""Bands that readers show in true colour when they are told which these are."""

_TEXT_TAGS = {"TIFFTAG_IMAGEDESCRIPTION": 270, "TIFFTAG_COPYRIGHT": 33432}
"""Metadata that TIFF has a tag for, which readers show that know nothing of GDAL."""

Entry = tuple[int, int, bytes | Sequence[int] | Sequence[float]]
"""Tag, type and values."""


@dataclass(frozen=True)
class Quantity:
    """What the whole numbers of a band stand for: ``scale`` times the number, in ``unit`` (empty: as they are)."""

    unit: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class Raster:
    """What the directories say of a raster: its bands in order, their unsigned dtype, place and metadata."""

    names: tuple[str, ...]
    dtype: np.dtype[np.unsignedinteger]
    grid: Grid
    tags: Mapping[str, str]
    quantity: Quantity

    @property
    def steps(self) -> list[int]:
        """1 for the raster itself, then 2, 4 ... for its overviews, until one tile holds it."""
        steps = [1]
        while max(self.grid.shape) > TILE_PX * steps[-1]:
            steps.append(2 * steps[-1])
        return steps

    @property
    def big(self) -> bool:
        """Whether offsets might not fit four bytes: were the tiles not compressed at all."""
        tiles = sum(rows * columns for rows, columns in (self.tiles(step) for step in self.steps))
        return tiles * (TILE_PX**2 * len(self.names) * self.dtype.itemsize + 64) > _CLASSIC_BYTES

    def size(self, step: int) -> tuple[int, int]:
        """(rows, columns) of the raster or an overview."""
        rows, columns = self.grid.shape
        return ceil(rows / step), ceil(columns / step)

    def tiles(self, step: int) -> tuple[int, int]:
        """Rows and columns of tiles of the raster or an overview."""
        rows, columns = self.size(step)
        return ceil(rows / TILE_PX), ceil(columns / TILE_PX)


def head(raster: Raster, tiles: Mapping[int, Sequence[tuple[int, int]]]) -> bytes:
    """Return all bytes before the tiles; their number depends on the raster alone.

    Parameters
    ----------
    raster : Raster
    tiles : Mapping of int to sequence of (int, int)
        Step to offset and size of every tile, row by row.
    """
    layout = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_LAYOUT) + _LAYOUT
    start = (16 if raster.big else 8) + len(layout)
    start += start % 2
    found = [struct.pack("<2sHHHQ", b"II", 43, 8, 0, start) if raster.big else struct.pack("<2sHI", b"II", 42, start)]
    found.append(layout.ljust(start - len(found[0]), b"\0"))
    for step in raster.steps:
        part = _directory(_entries(raster, step, tiles[step]), start, big=raster.big, last=step == raster.steps[-1])
        found.append(part)
        start += len(part)
    return b"".join(found)


def _entries(raster: Raster, step: int, tiles: Sequence[tuple[int, int]]) -> list[Entry]:
    bands, (rows, columns) = len(raster.names), raster.size(step)
    offset_type = _LONG8 if raster.big else _LONG
    entries: list[Entry] = [
        (254, _LONG, [int(step > 1)]),  # a coarser view of another image
        (256, _LONG, [columns]),
        (257, _LONG, [rows]),
        (258, _SHORT, [8 * raster.dtype.itemsize] * bands),
        (259, _SHORT, [8]),  # deflate
        (262, _SHORT, [1]),  # low is black
        (277, _SHORT, [bands]),
        (284, _SHORT, [1]),  # bands interleaved by pixel
        (317, _SHORT, [2]),  # differences along rows
        (322, _SHORT, [TILE_PX]),
        (323, _SHORT, [TILE_PX]),
        (324, offset_type, [offset for offset, _ in tiles]),
        (325, _LONG, [size for _, size in tiles]),
        *([(338, _SHORT, [0] * (bands - 1))] if bands > 1 else []),
        (339, _SHORT, [1] * bands),  # unsigned
        (42113, _ASCII, str(np.iinfo(raster.dtype).max).encode()),
    ]
    if step == 1:
        left, _, _, top = raster.grid.bounds
        # Projected, cells are areas, and the code of the CRS.
        keys = [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, raster.grid.epsg]
        entries += [
            (33550, _DOUBLE, [PIXEL_M, PIXEL_M, 0.0]),
            (33922, _DOUBLE, [0.0, 0.0, 0.0, left, top, 0.0]),
            (34735, _SHORT, keys),
            (42112, _ASCII, _metadata(raster)),
            *((tag, _ASCII, raster.tags[name].encode()) for name, tag in _TEXT_TAGS.items() if name in raster.tags),
        ]
    return sorted(entries, key=lambda entry: entry[0])


def _metadata(raster: Raster) -> bytes:
    """Return GDAL's document of what TIFF has no tag for: the tags, and of every band its name, scale and unit."""
    # GDAL takes values out of their escapes twice.
    items = [
        f"<Item name={quoteattr(name)}>{escape(escape(value))}</Item>"
        for name, value in sorted(raster.tags.items())
        if name not in _TEXT_TAGS
    ]
    quantity = raster.quantity
    for place, name in enumerate(raster.names):
        about = {"DESCRIPTION": name}
        if name in _COLOURS:
            about["COLORINTERP"] = name.capitalize()
        if quantity != Quantity():
            about |= {"OFFSET": "0", "SCALE": repr(quantity.scale), "UNITTYPE": quantity.unit}
        items += [
            f'<Item name="{key}" sample="{place}" role="{key.lower()}">{escape(escape(value))}</Item>'
            for key, value in about.items()
        ]
    return "\n".join(["<GDALMetadata>", *(f"  {item}" for item in items), "</GDALMetadata>"]).encode()


def _directory(entries: Sequence[Entry], start: int, *, big: bool, last: bool) -> bytes:
    """Return one directory and the values that do not fit into its entries; the next one follows at once."""
    word = 8 if big else 4
    count_code, offset_code = ("Q", "Q") if big else ("H", "I")
    fixed = struct.calcsize(f"<{count_code}") + len(entries) * (12 if not big else 20) + word
    table, beyond = [struct.pack(f"<{count_code}", len(entries))], b""
    for tag, kind, values in entries:
        raw = values + b"\0" if isinstance(values, bytes) else struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
        count = len(raw) if isinstance(values, bytes) else len(values)
        if len(raw) > word:
            at = start + fixed + len(beyond)
            beyond += raw + b"\0" * (len(raw) % 2)
            raw = struct.pack(f"<{offset_code}", at)
        table.append(struct.pack(f"<HH{offset_code}", tag, kind, count) + raw.ljust(word, b"\0"))
    end = start + fixed + len(beyond)
    table.append(struct.pack(f"<{offset_code}", 0 if last else end))
    return b"".join(table) + beyond
