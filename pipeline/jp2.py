"""What a JPEG 2000 file says of its size, before anything decodes it. Pure: bytes in, numbers out.

A decoder sets memory aside for every tile a file claims, and for all of a tile of which it needs a corner: 40 kB of
file can take 4 GB. Source of the layout: ISO/IEC 15444-1, annexes A.5.1 (SIZ) and I.4 (boxes).
"""

import struct
from collections.abc import Callable

Get = Callable[[int, int], bytes]
"""Bytes of a range of the file, fewer where it ends."""
MOST_TILE_PX = 11_000 * 11_000
"""A scene of 110 x 110 km at 10 m in one tile."""
MOST_TILES = 10_000
"""A scene in tiles of 110 px; as delivered it has 121."""
_MOST_BOXES = 100
_START = b"\xff\x4f\xff\x51"
"""Markers SOC and SIZ, which begin every stream."""


def wrong_size(get: Get) -> str | None:
    """Say why a file is no band of a scene; None when it may be one, or is no JPEG 2000 (for its reader to say)."""
    at = _stream(get)
    head = get(at, at + 40)
    if not head.startswith(_START) or len(head) < struct.calcsize(">4sHH8I"):
        return "has no stream of JPEG 2000 where one begins"
    _, _, _, *said = struct.unpack_from(">4sHH8I", head)
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top = said
    width, height = right - left, bottom - top
    if min(width, height, tile_width, tile_height) <= 0 or tile_left > left or tile_top > top:
        return "gives a size that is none"
    rows, columns = min(tile_height, height), min(tile_width, width)
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if rows * columns > MOST_TILE_PX:
        return f"is cut into tiles of {rows} x {columns} pixels"
    return f"is cut into {tiles:,} tiles" if tiles > MOST_TILES else None


def _stream(get: Get) -> int:
    """Find where the stream begins: at once, or in the first box that is one."""
    at = 0
    for _ in range(_MOST_BOXES):
        head = get(at, at + 16)
        if head.startswith(_START) or len(head) < 8:  # noqa: PLR2004 - a box begins with its length and its name
            break
        size, name = struct.unpack_from(">I4s", head)
        long = size == 1 and len(head) == 16  # noqa: PLR2004 - and a length of 64 bits, where 32 are too few
        if name == b"jp2c":
            return at + (16 if long else 8)
        if long:
            (size,) = struct.unpack_from(">Q", head, 8)
        if size < 8:  # noqa: PLR2004 - shorter than its own beginning, or to the end of the file
            break
        at += size
    return at
