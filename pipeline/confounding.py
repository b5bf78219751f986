"""Did the instrument change inside a series, so that a trend may be its? Pure.

A processing baseline, platform or orbit that occurs only before some year, and none of whose kind after it,
cannot be told from a change on the ground by the series itself. What tells is ground that does not change.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

_SHARE = 0.25
"""Values of fewer of a year's scenes do not carry that year."""


@dataclass(frozen=True)
class SceneFacts:
    """What the catalogue says of one used scene."""

    platform: str | None
    processing_baseline: str | None
    relative_orbit: int | None


@dataclass(frozen=True)
class Archive:
    """What a site's series were made from.

    Attributes
    ----------
    scenes : Mapping[int, Sequence[SceneFacts]]
        Used scenes of every year.
    invariant_level : Mapping[int, float]
        Mean reflectance of ground occupied in every year; years in which it was not seen are missing.
    """

    scenes: Mapping[int, Sequence[SceneFacts]] = field(default_factory=dict)
    invariant_level: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Shift:
    """A change of the instrument inside a series: the first year after it, what changed, and the drift there.

    ``drift`` is how far ground occupied in every year differs in mean reflectance, median of the years after
    against median of those before; None where it is not known.
    """

    year: int
    what: str
    drift: float | None

    @property
    def text(self) -> str:
        """Words for the reason of a row."""
        known = "not known" if self.drift is None else f"{self.drift:.3f}"
        return f"confounded with {self.what} in {self.year}: ground that stays differs by {known} in reflectance"


def shifts(years: Sequence[int], archive: Archive) -> tuple[Shift, ...]:
    """Every change of processing baseline, platform or orbit that parts the years of a series.

    Parameters
    ----------
    years : Sequence[int]
        Years of the series, in order.
    archive : Archive
        Scenes and levels of these years and others; a year without scenes tells nothing.
    """
    kinds: Mapping[str, Callable[[SceneFacts], str | None]] = {
        "processing baseline": lambda s: s.processing_baseline and f"{s.processing_baseline.split('.')[0]}.x",
        "platform": lambda s: s.platform,
        "relative orbit": lambda s: None if s.relative_orbit is None else str(s.relative_orbit),
    }
    found = []
    for name, value_of in kinds.items():
        carried = [_carriers([value_of(s) for s in archive.scenes.get(year, ())]) for year in years]
        for number, year in enumerate(years[1:], 1):
            before, after = _union(carried[:number]), _union(carried[number:])
            # Only the first parting is named: those after it part the same ground again.
            if before and after and not before & after:
                what = f"{name} {' and '.join(sorted(before))} -> {' and '.join(sorted(after))}"
                found.append(Shift(year, what, _drift(years[:number], years[number:], archive.invariant_level)))
                break
    return tuple(found)


def _union(sets: Sequence[set[str]]) -> set[str]:
    return set().union(*sets)


def _carriers(values: Sequence[str | None]) -> set[str]:
    """Values of at least a quarter of a year's scenes."""
    counts = Counter(value for value in values if value is not None)
    return {value for value, n in counts.items() if n >= _SHARE * len(values)}


def _drift(before: Sequence[int], after: Sequence[int], level: Mapping[int, float]) -> float | None:
    sides = [[level[y] for y in side if y in level] for side in (before, after)]
    if not all(sides):
        return None
    return abs(statistics.median(sides[1]) - statistics.median(sides[0]))
