"""Pixels a pile's outlines rest on as compressed bits: the pile, other dark ground, what could be used. Pure.

They travel with the findings of a run, where a window of bits is small beside the outlines drawn in it.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from pipeline.findings import YearMasks
from pipeline.types import Bool


def packed(member: Bool, others: Bool, usable: Sequence[tuple[str, Bool]]) -> YearMasks:
    """Return the masks of one pile and year as bits.

    Parameters
    ----------
    member : Bool
        Shape (rows, columns): pixels of the pile by persistence.
    others : Bool
        Of the same shape: pixels of other dark things and of water.
    usable : sequence of (str, Bool)
        Scene, and what of the window could be used on its date.
    """
    planes = np.packbits(np.array([member, others, *(mask for _, mask in usable)]).ravel())
    rows, columns = member.shape
    return YearMasks(tuple(scene_id for scene_id, _ in usable), (rows, columns), zlib.compress(planes.tobytes(), 1))


def unpacked(masks: YearMasks) -> tuple[Bool, Bool, dict[str, Bool]]:
    """Return the pile, other dark ground, and by scene what could be used; arrays of the window's shape."""
    planes = 2 + len(masks.scene_ids)
    bits = np.frombuffer(zlib.decompress(masks.bits), dtype=np.uint8)
    whole = np.unpackbits(bits, count=planes * masks.shape[0] * masks.shape[1]).view(bool)
    member, others, *usable = whole.reshape(planes, *masks.shape)
    return member, others, dict(zip(masks.scene_ids, usable, strict=True))
