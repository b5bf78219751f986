"""Where in a TIFF file the pixels of a window lie. Pure: bytes in, ranges out.

A remote file is read in two or three requests: its directory, then the compressed blocks that meet the window. GDAL
decodes them from a local file that holds only these bytes, so that no request of ours is made by GDAL.
Source of the layout: TIFF 6.0 (Adobe, 1992), sections 2 and 15; BigTIFF design note (AWare Systems).
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

Range = tuple[int, int]
"""First byte and the byte after the last."""
Get = Callable[[int, int], bytes]
"""Bytes of a range of the file; exactly as many as asked for, or it raises."""

_HEADER_BYTES = 16
_CLASSIC, _BIG = 42, 43
_WIDTH, _HEIGHT, _STRIP_OFFSETS, _STRIP_ROWS, _STRIP_SIZES = 256, 257, 273, 278, 279
_BLOCK_WIDTH, _BLOCK_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 322, 323, 324, 325
_SYSTEM_WORDS = 34737
"""GeoAsciiParamsTag (OGC GeoTIFF 1.1, 7.1.3)."""
_NEEDED = {
    _WIDTH, _HEIGHT, _STRIP_OFFSETS, _STRIP_ROWS, _STRIP_SIZES, _BLOCK_WIDTH, _BLOCK_HEIGHT, _TILE_OFFSETS, _TILE_SIZES,
}  # fmt: skip
_INTEGERS = {3: "H", 4: "I", 16: "Q"}
"""Types a size or an offset may have: SHORT, LONG, LONG8."""
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each type."""
MAX_ENTRIES = 200
"""A band file has 15 to 30 tags."""
MAX_VALUE_BYTES = 8_000_000
"""A million blocks; a Sentinel-2 band has 121 of them."""


class TiffError(ValueError):
    """The bytes are no TIFF directory of a single image."""


@dataclass(frozen=True)
class Directory:
    """The first image of a file.

    Attributes
    ----------
    width, height : int
        Pixels.
    block_width, block_height : int
        Pixels of a tile, or of a strip.
    blocks : tuple of Range
        Row by row; an empty range is a block that is not stored.
    next_pointer : Range
        Where the file says at which byte the next image's directory begins; zeros there end the list.
    system_words : bytes
        What it says in words of its coordinate system.
    """

    width: int
    height: int
    block_width: int
    block_height: int
    blocks: tuple[Range, ...]
    next_pointer: Range
    system_words: bytes = b""


def read_directory(get: Get) -> Directory:
    """Read the first directory of a TIFF or BigTIFF file.

    Parameters
    ----------
    get : callable
        Gives bytes of the file; asked first for its start.

    Raises
    ------
    TiffError
        The file is something else, or larger in any number than a band of a scene can be.
    """
    form, start = _header(get(0, _HEADER_BYTES))
    (count,) = struct.unpack(form.count, get(start, start + struct.calcsize(form.count)))
    if not 0 < count <= MAX_ENTRIES:
        raise TiffError(f"has {count} tags")
    first = start + struct.calcsize(form.count)
    width = struct.calcsize(form.entry)
    entries = get(first, first + count * width)
    tags: dict[int, tuple[int, ...]] = {}
    words = b""
    for at in range(0, len(entries), width):
        tag, kind, length, inline = struct.unpack_from(form.entry, entries, at)
        # Asked for whatever the tag: what decodes the file later needs them all.
        data = _value(get, form, kind, length, inline)
        if tag == _SYSTEM_WORDS:
            words += data
        if tag in _NEEDED:
            if kind not in _INTEGERS:
                raise TiffError(f"gives tag {tag} as type {kind}, not as integers")
            tags[tag] = struct.unpack(f"{form.order}{length}{_INTEGERS[kind]}", data)
    end = first + count * width
    return replace(_directory(tags, (end, end + struct.calcsize(form.pointer))), system_words=words)


def blocks_of(directory: Directory, rows: tuple[int, int], columns: tuple[int, int]) -> list[Range]:
    """Ranges of the stored blocks that meet a window of pixels, in file order; both ends are first and after last."""
    across = -(-directory.width // directory.block_width)
    met = (
        directory.blocks[row * across + column]
        for row in range(rows[0] // directory.block_height, -(-rows[1] // directory.block_height))
        for column in range(columns[0] // directory.block_width, -(-columns[1] // directory.block_width))
    )
    return sorted({block for block in met if block[1] > block[0]})


def merge(ranges: Iterable[Range], gap: int) -> list[Range]:
    """Join ranges that overlap or lie at most ``gap`` bytes apart: one request is cheaper than two."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if merged and start - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


@dataclass(frozen=True)
class _Form:
    """How numbers are laid out: struct formats, with the byte order in each."""

    order: str
    count: str
    entry: str
    pointer: str


def _header(head: bytes) -> tuple[_Form, int]:
    """Byte order and word size of a file, and where its first directory begins."""
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise TiffError("does not begin as a TIFF file does")
    (magic,) = struct.unpack_from(f"{order}H", head, 2)
    if magic == _CLASSIC:
        return _Form(order, f"{order}H", f"{order}HHI4s", f"{order}I"), struct.unpack_from(f"{order}I", head, 4)[0]
    if magic == _BIG and struct.unpack_from(f"{order}HH", head, 4) == (8, 0):
        return _Form(order, f"{order}Q", f"{order}HHQ8s", f"{order}Q"), struct.unpack_from(f"{order}Q", head, 8)[0]
    raise TiffError("does not begin as a TIFF file does")


def _value(get: Get, form: _Form, kind: int, length: int, inline: bytes) -> bytes:
    """Bytes of a tag's value, in the entry itself when they fit there."""
    size = length * _WIDTHS.get(kind, 0)
    if size > MAX_VALUE_BYTES:
        raise TiffError(f"has a tag of {size} bytes")
    if size <= len(inline):
        return inline[:size]
    (start,) = struct.unpack(form.pointer, inline)
    return get(start, start + size)


def _directory(tags: dict[int, tuple[int, ...]], next_pointer: Range) -> Directory:
    """Check what the tags say against each other."""
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    tiled = _TILE_OFFSETS in tags
    block_width = _one(tags, _BLOCK_WIDTH) if tiled else width
    block_height = _one(tags, _BLOCK_HEIGHT) if tiled else min(_one(tags, _STRIP_ROWS, height), height)
    offsets = tags.get(_TILE_OFFSETS if tiled else _STRIP_OFFSETS, ())
    sizes = tags.get(_TILE_SIZES if tiled else _STRIP_SIZES, ())
    expected = -(-width // block_width) * -(-height // block_height)
    if len(offsets) != expected or len(sizes) != expected:
        raise TiffError(f"lists {len(offsets)} blocks and {len(sizes)} sizes, {expected} are needed")
    blocks = tuple((start, start + size) for start, size in zip(offsets, sizes, strict=True))
    return Directory(width, height, block_width, block_height, blocks, next_pointer)


def _one(tags: dict[int, tuple[int, ...]], tag: int, otherwise: int | None = None) -> int:
    values = tags.get(tag, () if otherwise is None else (otherwise,))
    if len(values) != 1 or values[0] <= 0:
        raise TiffError(f"has no valid tag {tag}")
    return values[0]
