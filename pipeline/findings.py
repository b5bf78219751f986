"""What the passes find: usable scenes, piles through the years, occupied ground by zone, and what changed of it.

Records only; geometry is in the site's grid CRS (metres), areas are geodesic.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from shapely.geometry.base import BaseGeometry

from models._spectrum import Levels
from pipeline.imagery import Calibration, StoredScene
from pipeline.types import Grid, OffsetVerdict, Tier


@dataclass(frozen=True)
class PreparedScene:
    """A scene after the scene pass; pixels are only read when ``used``."""

    stored: StoredScene
    calibration: Calibration
    sun_azimuth_deg: float
    used: bool
    reason: str | None = None
    clear_fraction: float | None = None
    offset_verdict: OffsetVerdict | None = None
    registered: bool = False
    residual_m: float | None = None

    @property
    def sha256(self) -> str:
        """Hash of the hashes of the scene's files, in order."""
        return hashlib.sha256("".join(self.stored.sha256s).encode()).hexdigest()

    def refuse(self, reason: str) -> "PreparedScene":
        """Return the same scene, not used."""
        return replace(self, used=False, reason=reason)


@dataclass(frozen=True)
class Observation:
    """One pile on one date; geometry in the grid's CRS.

    ``levels`` is what the object itself reflects and ``score`` the probability of coal from it; None where
    its surroundings do not tell.
    """

    scene_id: str
    date: dt.date
    geometry: BaseGeometry
    area_m2: float
    sigma_m2: float
    pile_level: float
    background_level: float
    clear_fraction: float
    levels: Levels | None = None
    score: float | None = None


@dataclass(frozen=True)
class YearMasks:
    """What each pixel of a pile's window was in one year, as compressed bits (:mod:`pipeline.pile_masks`).

    Attributes
    ----------
    scene_ids : tuple of str
        Dates the pile was outlined on, in order.
    shape : tuple of (int, int)
        Rows and columns of the window.
    bits : bytes
        Planes of that shape: the pile by persistence; other dark things and water; of each date what can be used.
    """

    scene_ids: tuple[str, ...]
    shape: tuple[int, int]
    bits: bytes


@dataclass(frozen=True)
class PileYear:
    """One pile in one year.

    ``area_m2`` is None when the year cannot be judged (``reason`` says why) and 0 when the ground was
    seen and no pile was on it; ``sigma_m2`` is then that of the smallest pile that would be counted.
    ``persistence`` is the share of outlined dates on which the object reflects as coal does, with its 95 %
    interval; ``score`` the probability of coal from the year's median reflectance, ``material`` what explains
    it best.
    ``area_max_m2`` and ``area_end_m2`` are of the date with the largest outline and of the last.
    ``parts`` are the separate heaps of the year, by name: a family that merges or splits keeps one name.
    ``masks`` say which pixels its outlines rest on.
    """

    year: int
    area_m2: float | None
    sigma_m2: float | None
    n_dates: int
    mean_day_of_year: float | None
    persistence: float | None
    tier: Tier | None
    geometry: BaseGeometry | None
    observations: tuple[Observation, ...] = ()
    reason: str | None = None
    persistence_95: tuple[float, float] | None = None
    score: float | None = None
    material: str | None = None
    area_max_m2: float | None = None
    area_end_m2: float | None = None
    parts: tuple[str, ...] = ()
    masks: YearMasks | None = None


@dataclass(frozen=True)
class PileSeries:
    """One pile through the years; ``point`` lies inside it (grid CRS), ``window`` is where its years' masks lie."""

    pile_id: str
    point: tuple[float, float]
    years: tuple[PileYear, ...]
    window: Grid | None = None


@dataclass(frozen=True)
class ZoneGround:
    """Occupied ground of one zone in one year, and how well its ground was seen.

    ``n_dates`` and ``valid_fraction`` are of the footprint windows, those with ``stock_`` of the stockpile
    windows: median number of clear dates, and share of the zone seen on enough of them. ``chance_m2`` are the
    certain gains between the two halves of the year's dates, in both directions: nothing can have changed
    between them.
    """

    zone_id: str
    area_m2: float
    sigma_m2: float
    outline_m: float
    valid_fraction: float
    stock_valid_fraction: float
    n_dates: int
    stock_n_dates: int
    by_class: Mapping[str, BaseGeometry]
    chance_m2: tuple[float, ...]


@dataclass(frozen=True)
class Advance:
    """How far an outline moved: median, 90th percentile and maximum, and the length that moved, in metres."""

    p50_m: float
    p90_m: float
    max_m: float
    length_m: float


@dataclass(frozen=True)
class BoundaryPiece:
    """Change of one kind in one zone between two years; geometry in the grid's CRS.

    A certain gain says besides how much more ground lies beyond the positional noise and is left out: what no
    other year confirms yet (``waiting_m2``), what was green again later (``passing_m2``), what is by water
    (``shore_m2``).
    """

    zone_id: str
    change: str
    geometry: BaseGeometry
    area_m2: float
    sigma_m2: float
    advance: Advance | None
    waiting_m2: float = 0.0
    passing_m2: float = 0.0
    shore_m2: float = 0.0


@dataclass(frozen=True)
class YearDates:
    """Dates used in one year: how many and when, by window; their numbers in each part of the windows."""

    year: int
    stock_days: tuple[int, ...]
    ground_days: tuple[int, ...]
    stock_parts: tuple[int, ...] = ()
    ground_parts: tuple[int, ...] = ()
