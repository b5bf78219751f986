"""The nouns of the pipeline: small frozen records that refuse bad values and show the value refused.

Knows nobody but :mod:`pipeline.errors`. Axis order is (row, column) for arrays and (x, y) for
coordinates; lengths are metres. Scenes and pixels are in :mod:`pipeline.imagery`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.errors import InputError

Float32: TypeAlias = NDArray[np.float32]
Bool: TypeAlias = NDArray[np.bool_]

Verdict = Literal["increase", "decrease", "no_detectable_change", "insufficient_data"]
ClaimVerdict = Literal["supported", "contradicted", "not_detectable", "not_observable"]
OffsetVerdict = Literal["consistent", "corrected", "quarantined", "undecidable"]
Status = Literal["ok", "partial", "insufficient_data", "not_assessed"]
Tier = Literal["candidate", "probable", "confirmed"]
SiteKind = Literal["camp", "mine", "port", "power_plant", "other"]
CoalRank = Literal["hard", "lignite", "unknown", "none"]
ZoneRole = Literal["site", "inside", "adjacent", "outside", "control", "named"]
Observable = Literal["stock", "ground", "presence"]
Direction = Literal["increase", "presence"]

PIXEL_M = 10.0
"""Edge of a grid cell: the native pixel of the bands outlines are drawn on."""


def check_choice(what: str, value: str, allowed: object) -> None:
    """Refuse ``value`` unless it is one of the strings of the Literal ``allowed``."""
    if value not in get_args(allowed):
        raise InputError(f"{what} is {value!r}; it must be one of {', '.join(get_args(allowed))}")


@dataclass(frozen=True)
class Feature:
    """One polygon of a site file that is not its AOI, in longitude and latitude (EPSG:4326)."""

    role: Literal["perimeter", "zone", "control", "exclude", "yard"]
    name: str
    geometry: BaseGeometry
    source: str | None = None
    source_date: str | None = None
    uncertainty_m: float | None = None
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None


@dataclass(frozen=True)
class Site:
    """A place that is measured; ``aoi`` is a polygon in longitude and latitude (EPSG:4326)."""

    id: str
    name: str
    kind: SiteKind
    coal_rank: CoalRank
    aoi: BaseGeometry
    status: str | None = None
    source: str | None = None
    source_date: str | None = None
    uncertainty_m: float | None = None
    note: str | None = None
    features: tuple[Feature, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        """Refuse a kind or rank outside the contract."""
        check_choice(f"kind of site {self.id}", self.kind, SiteKind)
        check_choice(f"coal_rank of site {self.id}", self.coal_rank, CoalRank)

    def with_role(self, role: str) -> tuple[Feature, ...]:
        """Features of one role, in file order."""
        return tuple(feature for feature in self.features if feature.role == role)


@dataclass(frozen=True)
class Zone:
    """A part of a site that is measured on its own; ``geometry`` is in the site's grid CRS (metres)."""

    zone_id: str
    role: ZoneRole
    name: str
    geometry: BaseGeometry
    area_m2: float
    reference: Literal["perimeter", "baseline_footprint"] | None = None


@dataclass(frozen=True)
class Grid:
    """North-up grid of 10 m cells in one UTM zone; all arrays of a site have its ``shape``."""

    epsg: int
    left_m: float
    top_m: float
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse an empty grid and one that is not on whole 20 m cells."""
        if self.width < 1 or self.height < 1:
            raise InputError(f"grid of {self.width} x {self.height} cells is empty")
        if self.left_m % (2 * PIXEL_M) or self.top_m % (2 * PIXEL_M):
            raise InputError(f"grid corner ({self.left_m}, {self.top_m}) is not on whole 20 m cells")

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.height, self.width

    @property
    def transform(self) -> Affine:
        """Affine from (column, row) to (x, y) in metres."""
        return Affine(PIXEL_M, 0.0, self.left_m, 0.0, -PIXEL_M, self.top_m)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in metres."""
        return (
            self.left_m,
            self.top_m - self.height * PIXEL_M,
            self.left_m + self.width * PIXEL_M,
            self.top_m,
        )


@dataclass(frozen=True)
class Measurement:
    """A number with its interval: value and one standard deviation in ``unit``, or why there is none.

    ``part_dates`` are the usable dates in each part of the windows; empty where they are not counted.
    """

    zone_id: str
    year: int
    metric: str
    value: float | None
    sigma: float | None
    unit: str
    n_dates: int
    valid_fraction: float
    status: Status
    mean_day_of_year: float | None = None
    reason: str | None = None
    part_dates: tuple[int, ...] = ()


@dataclass(frozen=True)
class PairMeasurement:
    """A number that exists only between two years, beside what unchanged ground shows by chance.

    Attributes
    ----------
    value, sigma : float or None
        The gain between the years and the standard deviation of ``value - chance_value``, in ``unit``.
    chance_value : float or None
        Expected value where nothing changed, in ``unit``.
    note : str or None
        What else the reader of the number must know.
    """

    zone_id: str
    metric: str
    year_from: int
    year_to: int
    value: float | None
    sigma: float | None
    chance_value: float | None
    unit: str
    status: Status
    reason: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        """Refuse years that are not in order of time and a status outside the contract."""
        check_choice(f"status of {self.metric} of zone {self.zone_id}", self.status, Status)
        if self.year_to <= self.year_from:
            raise ValueError(f"{self!r}: year_to must be after year_from")


@dataclass(frozen=True)
class Change:
    """Difference of one metric of one zone between two years, judged by the rule of the contract."""

    zone_id: str
    metric: str
    year_from: int
    year_to: int
    delta: float | None
    lo95: float | None
    hi95: float | None
    mdc95: float | None
    unit: str
    p_value: float | None
    q_value: float | None
    verdict: Verdict
    reason: str | None = None


@dataclass(frozen=True)
class Claim:
    """A claim under test, in its own words, and how it is tested (claims.yaml); fixed before any run.

    Attributes
    ----------
    zones : tuple[str, ...]
        Zone ids, or zone roles, the metric is read in.
    baseline : int
        Last year that may serve as baseline.
    test_years : tuple[int, int]
        First and last year tested.
    aggregate : str
        How sites are put side by side; never one pooled p-value alone.
    margin_fraction, margin_m2 : float or None
        Equivalence margin below which a change counts as none, as a share of the baseline value or as
        an area; None: not given that way.
    not_observable : str
        What the imagery cannot show of the claim.
    counter_evidence : str
        What speaks against the claim elsewhere and stands beside its verdict; may be empty.
    """

    id: str
    quote: str
    source: str
    observable: Observable
    sites: tuple[str, ...]
    zones: tuple[str, ...]
    metric: str
    baseline: int
    test_years: tuple[int, int]
    direction: Direction
    aggregate: str
    margin_fraction: float | None
    margin_m2: float | None
    not_observable: str
    counter_evidence: str = ""

    def __post_init__(self) -> None:
        """Refuse an observable or direction outside the contract, and test years out of order."""
        check_choice(f"observable of claim {self.id}", self.observable, Observable)
        check_choice(f"direction of claim {self.id}", self.direction, Direction)
        if self.test_years[1] < self.test_years[0]:
            raise InputError(f"test_years of claim {self.id} are {self.test_years}; write the first year first")
