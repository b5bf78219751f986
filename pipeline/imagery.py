"""The nouns of imagery: items, scenes, where their pixels are kept, and pixels on a grid.

Frozen records; knows only :mod:`pipeline.types`. Reflectance is a fraction of one, NaN is no data; DN is
the integer a provider delivers.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.types import Float32, Grid


@dataclass(frozen=True)
class Asset:
    """One band file of an item; numbers are as declared (None: not declared), ``checksum`` a multihash."""

    band: str
    href: str
    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None
    size_bytes: int | None = None
    checksum: str | None = None


@dataclass(frozen=True)
class Item:
    """One STAC item as the provider describes it, its band names already translated to common names.

    ``licence`` is the address of the terms of its data or the name of a licence, None where the item says none.
    """

    id: str
    collection: str
    datetime: dt.datetime
    platform: str | None
    processing_baseline: str | None
    relative_orbit: int | None
    epsg: int | None
    tile: str | None
    coverage: BaseGeometry
    assets: Mapping[str, Asset]
    offset_applied: bool | None = None
    cloud_percent: float | None = None
    simulated: bool = False
    licence: str | None = None
    document: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Scene:
    """One acquisition in one tile family; several items when the AOI straddles tiles of a UTM zone."""

    scene_id: str
    datetime: dt.datetime
    platform: str | None
    processing_baseline: str | None
    relative_orbit: int | None
    items: tuple[Item, ...]

    @property
    def date(self) -> dt.date:
        """UTC day of the acquisition."""
        return self.datetime.date()

    @property
    def simulated(self) -> bool:
        """True when any item comes from the simulator."""
        return any(item.simulated for item in self.items)


@dataclass(frozen=True)
class Refusal:
    """A scene or item that is not used, and why."""

    scene_id: str
    datetime: dt.datetime
    platform: str | None
    processing_baseline: str | None
    relative_orbit: int | None
    reason: str


@dataclass(frozen=True)
class StoredBand:
    """Pixels of one band of one item, copied or referenced; ``path`` opens them, ``sha256`` proves them."""

    band: str
    path: str
    sha256: str
    size_bytes: int
    href: str
    evidence: str
    scale: float | None
    offset: float | None
    nodata: float | None


@dataclass(frozen=True)
class Scratch:
    """Folder for decoded pixels of a run, and the grid of the site they cover."""

    folder: str
    grid: Grid


@dataclass(frozen=True)
class StoredScene:
    """A scene whose pixels are in the evidence store: one tuple of bands per item.

    Attributes
    ----------
    scene : Scene
    bands : tuple of tuple of StoredBand
    version : int
        Of the pixels, as the store counts: above 1 the provider has changed them, or an earlier copy is broken.
    fetched : int
        Files that came from the provider now, in ``requests`` and ``received_bytes``.
    notes : tuple of str
        What was wrong in the store and was mended, and why a later version is used.
    scratch : Scratch or None
        Where decoded pixels are kept through the run; None: every read decodes.
    """

    scene: Scene
    bands: tuple[tuple[StoredBand, ...], ...]
    version: int = 1
    fetched: int = 0
    requests: int = 0
    received_bytes: int = 0
    notes: tuple[str, ...] = ()
    scratch: Scratch | None = field(default=None, compare=False)

    @property
    def sha256s(self) -> tuple[str, ...]:
        """Hashes of all files, in order."""
        return tuple(band.sha256 for item in self.bands for band in item)


@dataclass(frozen=True)
class Calibration:
    """How DN of one scene become reflectance, ``(DN + offset_dn) * scale``, and where they belong."""

    scale: float = 1e-4
    offset_dn: float = 0.0
    shift_x_m: float = 0.0
    shift_y_m: float = 0.0


@dataclass(frozen=True)
class Image:
    """Aligned reflectance of one scene on (a window of) the grid.

    Attributes
    ----------
    grid : Grid
        The window.
    bands : Mapping[str, Float32]
        Common name to float32 reflectance, shape ``grid.shape``; NaN is no data.
    scl : NDArray[np.uint8] or None
        Scene classification, 0 is no data; None when the archive has none.
    """

    grid: Grid
    bands: Mapping[str, Float32]
    scl: NDArray[np.uint8] | None = None
