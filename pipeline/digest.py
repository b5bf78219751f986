"""What a value is, as one hash: equal values have equal hashes in every process and on every machine.

Only values whose content can be told are hashed: records, numbers, texts, days, geometries, arrays and collections of
them. Any other is refused, so that nothing that changes unseen becomes part of a key.
"""

import datetime as dt
import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import shapely
from pydantic import BaseModel
from shapely.geometry.base import BaseGeometry

from pipeline.imagery import Asset, StoredBand, StoredScene

_NOT_CONTENT: Mapping[type, frozenset[str]] = {
    Asset: frozenset({"href", "size_bytes", "checksum"}),
    StoredBand: frozenset({"path", "href", "size_bytes"}),
    StoredScene: frozenset({"version", "fetched", "requests", "received_bytes", "notes"}),
}
"""Where pixels lie and how they came: what they are is told by their SHA-256, and an address may be signed anew."""

Known = Callable[[Any], bytes | None]


def _unknown(_: Any) -> None:
    return None


def digest(value: Any, known: Known = _unknown) -> bytes:
    """Hash the content of a value.

    Parameters
    ----------
    value : any
        A dataclass or pydantic record, number, text, day, slice, shapely geometry, numpy array, or a sequence, mapping
        or set of such. A list equals the tuple of the same values; a mapping has no order. Fields that take no part
        in the comparison of a record (``compare=False``) take none in its hash.
    known : callable
        Gives the hash of a value that it knows otherwise, at any depth; None for all others.

    Returns
    -------
    bytes
        32 bytes.

    Raises
    ------
    TypeError
        The value, or one inside it, is of a type whose content cannot be told.
    """
    told = known(value)
    if told is not None:
        return told
    whole = hashlib.sha256()
    for part in _parts(value, known):
        whole.update(struct.pack(">Q", len(part)))
        whole.update(part)
    return whole.digest()


def _parts(value: Any, known: Known) -> Iterator[bytes]:
    """Give what tells a value from every other: its kind, then its content."""
    kind = type(value)
    if kind in _PLAIN:
        yield kind.__name__.encode()
        yield _PLAIN[kind](value)
    elif kind in {tuple, list}:
        yield b"sequence"
        yield from (digest(one, known) for one in value)
    elif isinstance(value, Mapping):
        yield b"mapping"
        yield from sorted(digest(key, known) + digest(one, known) for key, one in value.items())
    elif kind in {set, frozenset}:
        yield b"set"
        yield from sorted(digest(one, known) for one in value)
    elif kind is slice:
        yield b"slice"
        yield from (digest(edge, known) for edge in (value.start, value.stop, value.step))
    elif isinstance(value, BaseGeometry):
        # A ring's WKB is that of a line.
        yield f"geometry {value.geom_type}".encode()
        yield shapely.to_wkb(value, include_srid=True)
    elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        yield f"array {value.dtype.str} {value.shape}".encode()
        yield np.asarray(value).tobytes()
    else:
        yield f"{kind.__module__}.{kind.__qualname__}".encode()
        for name, one in _fields(value):
            yield name.encode()
            yield digest(one, known)


def _fields(record: Any) -> Iterator[tuple[str, Any]]:
    """Give name and value of the fields that are a record's content."""
    kind = type(record)
    if is_dataclass(record) and not isinstance(record, type):
        left_out = _NOT_CONTENT.get(kind, frozenset())
        names = [field.name for field in fields(record) if field.compare and field.name not in left_out]
    elif isinstance(record, BaseModel):
        names = list(kind.model_fields)
    else:
        raise TypeError(f"{kind.__module__}.{kind.__qualname__} cannot be part of a key: its content cannot be told")
    yield from ((name, getattr(record, name)) for name in names)


_PLAIN: Mapping[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"",
    bool: lambda value: b"1" if value else b"0",
    int: lambda value: str(value).encode(),
    # Every NaN is the same no data.
    float: lambda value: struct.pack(">d", value) if value == value else b"nan",  # noqa: PLR0124
    str: str.encode,
    bytes: bytes,
    dt.date: lambda value: value.isoformat().encode(),
    dt.datetime: lambda value: value.isoformat().encode(),
}
