"""Results of worlds -> the figures accuracy is judged by, with 95 % intervals of every rate. Pure."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.compare import Z95
from pipeline.validation.outcomes import ChangeResult, FalseResult, PileResult, WorldResult
from pipeline.validation.shapes import SIZE_CLASSES_HA, size_class

_CHANGED = ("increase", "decrease")
_COUNTED_M2 = 2000.0
"""False objects below 0.2 ha are presence at most and are not counted."""
_JUDGED_M2 = 5000.0
"""Verdicts and years of appearance are judged from 0.5 ha on."""


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval (Clopper and Pearson 1934)."""

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        """Share, 0-1; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends, 0-1."""
        low = float(stats.beta.ppf(0.025, self.hits, self.of - self.hits + 1)) if self.hits else 0.0
        high = float(stats.beta.ppf(0.975, self.hits + 1, self.of - self.hits)) if self.hits < self.of else 1.0
        return low, high


def rate(of: Iterable[bool]) -> Rate:
    """Count what is True."""
    values = list(of)
    return Rate(sum(values), len(values))


@dataclass(frozen=True)
class SizeFigures:
    """Figures of one class of size.

    Attributes
    ----------
    piles : int
        Independent piles that were of this size in any year.
    found, counted : Rate
        Of pile-years in years judged: listed at all, and of the tier probable.
    bias, error : float or None
        Median and mean absolute relative error of the area.
    half_width : float or None
        Median half width of the 95 % interval, relative to the area.
    area_covered, change_covered : Rate
        Intervals of area, and of change from year to year, that hold the truth.
    """

    class_ha: tuple[float, float]
    piles: int
    found: Rate
    counted: Rate
    bias: float | None
    error: float | None
    half_width: float | None
    area_covered: Rate
    change_covered: Rate


@dataclass(frozen=True)
class Figures:
    """Figures of some worlds together.

    Attributes
    ----------
    right : Rate
        Verdicts on changes beyond twice the detectable one, piles of 0.5 ha and more.
    false_change : Rate
        Unchanged piles of that size called changed, by pair of years.
    appeared : Rate
        Piles of that size that appear, dated to the right year.
    still_sites : Rate
        Parts of worlds in which nothing changes, with a verdict of change of stock in any pair of years.
    false_listed, false_counted : int
        Objects of 0.2 ha and more that are no pile, by year: all tiers, and the tier probable.
    by_cause : tuple of (str, int, int, int)
        Confuser, how many stood there, pile-years listed and counted at them.
    area_km2_years : float
    """

    worlds: int
    sizes: tuple[SizeFigures, ...]
    right: Rate
    false_change: Rate
    appeared: Rate
    still_sites: Rate
    false_listed: int
    false_counted: int
    by_cause: tuple[tuple[str, int, int, int], ...]
    area_km2_years: float

    def per_100_km2_year(self, count: int) -> tuple[float, float]:
        """Rate of a count of false objects and its upper 95 % bound (Poisson)."""
        unit = self.area_km2_years / 100
        return count / unit, float(stats.chi2.ppf(0.95, 2 * count + 2) / 2) / unit


def figures(results: Sequence[WorldResult]) -> Figures:
    """Compute the figures of some worlds."""
    piles = [p for r in results for p in r.piles]
    changes = [c for r in results for c in r.changes]
    false = [f for r in results for f in r.false if f.area_m2 >= _COUNTED_M2]
    large = [c for c in changes if max(c.true_from_m2, c.true_to_m2) >= _JUDGED_M2 and c.sigma_m2 is not None]
    moved = [c for c in large if abs(_true_change(c)) > 2 * Z95 * (c.sigma_m2 or 0.0)]
    return Figures(
        worlds=len(results),
        sizes=tuple(_of_size(i, piles, changes) for i in range(len(SIZE_CLASSES_HA))),
        right=rate(c.verdict == ("increase" if _true_change(c) > 0 else "decrease") for c in moved),
        false_change=rate(c.verdict in _CHANGED for c in large if _true_change(c) == 0),
        appeared=rate(_appearances(piles)),
        still_sites=rate(changed for r in results if r.still for changed in r.parts_changed),
        false_listed=len(false),
        false_counted=sum(f.tier == "probable" for f in false),
        by_cause=_causes(results, false),
        area_km2_years=sum(r.area_km2_years for r in results),
    )


def _true_change(change: ChangeResult) -> float:
    return change.true_to_m2 - change.true_from_m2


def _of_size(number: int, piles: Sequence[PileResult], changes: Sequence[ChangeResult]) -> SizeFigures:
    mine = [p for p in piles if p.adequate and p.true_m2 and size_class(p.true_m2) == number]
    measured = [p for p in mine if p.area_m2 and p.sigma_m2]
    errors = np.array([(p.area_m2 or 0.0) / p.true_m2 - 1 for p in measured])
    between = [c for c in changes if c.delta_m2 is not None and size_class(max(c.true_from_m2, c.true_to_m2)) == number]

    def of_errors(reduce: Callable[[np.ndarray], float]) -> float | None:
        return float(reduce(errors)) if errors.size else None

    return SizeFigures(
        class_ha=SIZE_CLASSES_HA[number],
        piles=len({(p.world, p.thing) for p in mine}),
        found=rate(bool(p.area_m2) for p in mine),
        counted=rate(p.tier == "probable" for p in mine),
        bias=of_errors(np.median),
        error=of_errors(lambda e: float(np.mean(np.abs(e)))),
        half_width=float(np.median([Z95 * (p.sigma_m2 or 0.0) / (p.area_m2 or 1.0) for p in measured]))
        if measured
        else None,
        area_covered=rate(abs((p.area_m2 or 0.0) - p.true_m2) <= Z95 * (p.sigma_m2 or 0.0) for p in measured),
        change_covered=rate(abs((c.delta_m2 or 0.0) - _true_change(c)) <= Z95 * (c.sigma_m2 or 0.0) for c in between),
    )


def _appearances(piles: Sequence[PileResult]) -> Iterable[bool]:
    """Whether each pile that appears is first reported in the year it came, of those that are found at all."""
    by_pile: dict[tuple[str, int], list[PileResult]] = {}
    for pile in piles:
        if pile.course == "appearing":
            by_pile.setdefault((pile.world, pile.thing), []).append(pile)
    for years in by_pile.values():
        there = [p.year for p in years if p.true_m2 >= _JUDGED_M2]
        seen = [p.year for p in years if p.area_m2]
        if there and all(p.adequate for p in years):
            yield bool(seen) and min(seen) == min(there)


def _causes(results: Sequence[WorldResult], false: Sequence[FalseResult]) -> tuple[tuple[str, int, int, int], ...]:
    stood: dict[str, int] = {}
    for result in results:
        for kind, count in result.confusers.items():
            stood[kind] = stood.get(kind, 0) + count
    names = sorted({*stood, *(f.cause for f in false)})
    return tuple(
        (
            name,
            stood.get(name, 0),
            sum(f.cause == name for f in false),
            sum(f.cause == name and f.tier == "probable" for f in false),
        )
        for name in names
    )


def reliability(results: Sequence[WorldResult], edges: Sequence[float]) -> list[tuple[float, float, int, int]]:
    """How often what was given a probability of coal is a pile: lower and upper edge, objects, piles among them."""
    scored = [(p.score, True) for r in results for p in r.piles if p.score is not None and p.true_m2 and p.area_m2]
    scored += [(f.score, False) for r in results for f in r.false if f.score is not None]
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = [
            true for value, true in scored if low <= (value or 0.0) < high or (high == edges[-1] and value == high)
        ]
        rows.append((low, high, len(inside), sum(inside)))
    return rows
