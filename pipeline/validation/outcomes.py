"""What worlds showed, as records: piles, changes and false objects beside what is true."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PileResult:
    """One implanted pile in one year, and what was reported of it.

    ``adequate`` is False where the pile was not seen on enough dates, which the pipeline says; ``area_m2`` is
    None there and where nothing was found, ``tier`` likewise. ``true_m2`` is 0 while the pile is not there.
    """

    world: str
    ground: str
    thing: int
    year: int
    true_m2: float
    adequate: bool
    area_m2: float | None
    sigma_m2: float | None
    tier: str | None
    form: str
    course: str
    rank: float
    brightness: float
    halo: bool
    shaded: bool
    yard: bool
    score: float | None = None


@dataclass(frozen=True)
class ChangeResult:
    """One implanted pile between two years, and the verdict on it."""

    world: str
    ground: str
    thing: int
    year_from: int
    year_to: int
    true_from_m2: float
    true_to_m2: float
    delta_m2: float | None
    sigma_m2: float | None
    verdict: str
    tier: str | None


@dataclass(frozen=True)
class FalseResult:
    """Something reported in one year where no pile is; ``cause`` is the confuser there, else ``ground``."""

    world: str
    ground: str
    cause: str
    year: int
    area_m2: float
    tier: str
    x_m: float
    y_m: float
    score: float | None = None


@dataclass(frozen=True)
class WorldResult:
    """Everything a world showed.

    ``confusers`` counts those that stood there; ``area_km2_years`` is the AOI's area times the years judged.
    ``parts_changed`` says of each part of the AOI (a zone of its own) whether any pair of years has a verdict of
    change of its stock.
    """

    world: str
    ground: str
    still: bool
    lignite: bool
    area_km2_years: float
    piles: tuple[PileResult, ...]
    changes: tuple[ChangeResult, ...]
    false: tuple[FalseResult, ...]
    confusers: Mapping[str, int]
    parts_changed: tuple[bool, ...]
    scenes_used: int
    scenes: int
