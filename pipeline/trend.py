"""Annual values of all adequate years -> a slope, its interval and its verdict. Pure.

The slope is the median of the slopes of all pairs of years (Theil 1950, Sen 1968); its 95 % interval holds
every slope the Mann-Kendall test at 5 % does not refuse (Sen 1968; Hollander and Wolfe 1999, section 9.3).
The test is exact below ten years, also with ties; from ten on it is the normal approximation with tie
correction and continuity correction (Kendall 1975). Four values can never reach p < 0.05 (the smallest
two-sided p is 2/24), so fewer than five years are refused (science 3.5). Years are taken as
independent: nine of them are too few to estimate an autocorrelation, which would make p larger.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from pipeline.compare import Z95, adequate, benjamini_hochberg, quantity, verdict_of
from pipeline.confounding import Archive, Shift, shifts
from pipeline.types import Measurement, Verdict

EXACT_BELOW = 10
"""Number of years from which the normal approximation is used (science 3.5)."""

_ALPHA = 0.05


@dataclass(frozen=True)
class Trend:
    """Slope of a series, in the unit of its values per year; the interval is infinite when n is too small."""

    n_years: int
    slope_per_year: float
    lo95: float
    hi95: float
    p_value: float


@dataclass(frozen=True)
class TrendRules:
    """What a verdict of trend rests on; the values and their reasons stand in the configuration.

    Attributes
    ----------
    fdr_q : float
        Largest q-value of a trend.
    min_trend_years : int
        Fewest adequate years.
    max_season_shift_days : float
        A year whose mean day of year is farther than this from the median of the years is left out, in days.
    max_invariant_drift : float
        Largest difference in reflectance of ground that stays, across a change of the instrument.
    """

    fdr_q: float
    min_trend_years: int
    max_season_shift_days: float
    max_invariant_drift: float = math.inf


@dataclass(frozen=True)
class TrendResult:
    """Trend of one metric of one zone; without verdict the numbers are None and the reason says why.

    ``year_first`` and ``year_last`` bound the years used or, when none is, the years handed over;
    ``unit`` is that of the metric, the slope is in it per year.
    """

    zone_id: str
    metric: str
    year_first: int
    year_last: int
    n_years: int
    slope_per_year: float | None
    lo95: float | None
    hi95: float | None
    unit: str
    p_value: float | None
    q_value: float | None
    verdict: Verdict
    reason: str | None = None


def trend(years: Sequence[int], values: Sequence[float]) -> Trend:
    """Theil-Sen slope with Sen's 95 % interval and the two-sided Mann-Kendall p-value.

    Parameters
    ----------
    years : Sequence[int]
        At least two different years, in any order; gaps are allowed.
    values : Sequence[float]
        One value per year, finite.

    Returns
    -------
    Trend
        With fewer than five years the interval is infinite: no slope can be refused at 5 %.

    Raises
    ------
    ValueError
        Fewer than two years, a year twice, or a value that is not finite.
    """
    series = sorted(zip(years, values, strict=True))
    n = len(series)
    if n < 2 or len(set(years)) < n or not all(math.isfinite(value) for value in values):  # noqa: PLR2004 (a pair)
        raise ValueError(f"no slope of {series}; it needs two or more different years with finite values")
    slopes = sorted((v2 - v1) / (y2 - y1) for (y1, v1), (y2, v2) in combinations(series, 2))
    score = sum((v2 > v1) - (v2 < v1) for (_, v1), (_, v2) in combinations(series, 2))
    ties = tuple(sorted(values.count(value) for value in set(values))) if len(set(values)) < n else (1,) * n
    # A slope with k pair slopes below it has the score N - 2k; it stays while |N - 2k| is below the critical score.
    critical = next(
        (s for s in range(len(slopes) % 2, len(slopes) + 1, 2) if s and _p_value(s, (1,) * n) <= _ALPHA), None
    )
    rank = None if critical is None else (len(slopes) - critical) // 2
    lo95, hi95 = (-math.inf, math.inf) if rank is None else (slopes[rank], slopes[-1 - rank])
    return Trend(n, statistics.median(slopes), lo95, hi95, _p_value(score, ties))


def _p_value(score: int, ties: tuple[int, ...]) -> float:
    """Two-sided p of a Mann-Kendall score; ``ties`` are the sizes of the groups of equal values."""
    n = sum(ties)
    if n < EXACT_BELOW:
        counts = _score_counts(ties)
        pairs = len(counts) - 1
        extreme = sum(count for k, count in enumerate(counts) if abs(pairs - 2 * k) >= abs(score))
        return extreme / sum(counts)
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if variance == 0:
        return 1.0
    return math.erfc(max(abs(score) - 1, 0) / math.sqrt(2 * variance))


@lru_cache
def _score_counts(ties: tuple[int, ...]) -> tuple[int, ...]:
    """Count the orders of a multiset with k inversions, k = 0..M; such an order has the score M - 2k.

    The generating function is the Gaussian multinomial: the product of ``1 + q + ... + q^(j-1)`` over
    j = 1..n, divided by the same product over each group of ties (MacMahon 1916).
    """
    counts = [1]
    for j in range(2, sum(ties) + 1):
        counts = [sum(counts[max(0, k - j + 1) : k + 1]) for k in range(len(counts) + j - 1)]
    for size in ties:
        for j in range(2, size + 1):
            quotient: list[int] = []
            for k in range(len(counts) - j + 1):
                quotient.append(counts[k] - sum(quotient[max(0, k - j + 1) : k]))
            counts = quotient
    return tuple(counts)


def trends(
    measurements: Sequence[Measurement], rules: TrendRules, archive: Archive | None = None
) -> tuple[TrendResult, ...]:
    """Judge the trend of every zone and metric over its adequate years, as one family.

    Parameters
    ----------
    measurements : Sequence[Measurement]
        All zones, metrics and years of a site.
    rules : TrendRules
        Limits of the verdict.
    archive : Archive or None
        What the series were made from; None: not known, and nothing is said of it.

    Returns
    -------
    tuple[TrendResult, ...]
        One per zone and metric, sorted by them. ``increase`` or ``decrease`` when the 95 % interval of the
        slope excludes 0, q (Benjamini-Hochberg over the rows tested) is at most ``fdr_q``, and the slope over
        all years is more than the half width of a year's own 95 % interval.

    Raises
    ------
    ValueError
        A year twice in one zone and metric, or a number that is not finite.
    """
    groups: defaultdict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for row in measurements:
        group = groups[row.zone_id, row.metric]
        if any(row.year == other.year for other in group):
            raise ValueError(f"two measurements of {row.metric} of zone {row.zone_id} in {row.year}")
        group.append(row)
    used = {key: _usable(groups[key], rules) for key in sorted(groups)}
    changed = {key: shifts([row.year for row in rows], archive or Archive()) for key, rows in used.items()}
    fits = {
        key: trend([row.year for row in rows], [float(row.value or 0.0) for row in rows])
        for key, rows in used.items()
        if len(rows) >= rules.min_trend_years and not _drifted(changed[key], rules)
    }
    q_values = dict(zip(fits, benjamini_hochberg([fit.p_value for fit in fits.values()]), strict=True))
    return tuple(
        _tested(used[key], fits[key], q_values[key], rules.fdr_q, changed[key])
        if key in fits
        else _refused(groups[key], used[key], rules, changed[key])
        for key in used
    )


def _usable(rows: Sequence[Measurement], rules: TrendRules) -> list[Measurement]:
    """Adequate years of the usual season, in order of time."""
    days = {row.year: row.mean_day_of_year for row in rows if adequate(row) and row.mean_day_of_year is not None}
    if not days:
        return []
    usual = statistics.median(days.values())
    near = [row for row in rows if row.year in days and abs(days[row.year] - usual) <= rules.max_season_shift_days]
    # A year without a date in a part of the season that most years saw shows another season.
    parts = [
        statistics.median(counts) > 0 for counts in zip(*(r.part_dates for r in near if r.part_dates), strict=True)
    ]
    whole = [r for r in near if all(n > 0 or not seen for n, seen in zip(r.part_dates, parts, strict=False))]
    return sorted(whole, key=lambda row: row.year)


def _drifted(changed: Sequence[Shift], rules: TrendRules) -> bool:
    """Whether ground that stays differs across a change of the instrument by more than a trend may rest on."""
    return any(shift.drift is not None and shift.drift > rules.max_invariant_drift for shift in changed)


def _tested(
    rows: Sequence[Measurement], fit: Trend, q_value: float, fdr_q: float, changed: Sequence[Shift]
) -> TrendResult:
    """Judge a series that is long enough."""
    first, last = rows[0], rows[-1]
    verdict = verdict_of(fit.lo95, fit.hi95, q_value, fdr_q)
    found = fit.lo95 > 0 or fit.hi95 < 0
    reasons = [f"q {q_value:.2g} is above {fdr_q:g}"] if found and verdict == "no_detectable_change" else []
    # What is wrong alike in all years does not show in their scatter: a drift of it would be a perfect trend.
    half = Z95 * statistics.median(row.sigma or 0.0 for row in rows)
    change = abs(fit.slope_per_year) * (last.year - first.year)
    if verdict != "no_detectable_change" and change <= half:
        verdict = "no_detectable_change"
        ends = f"{quantity(change, first.unit)} from {first.year} to {last.year}"
        reasons = [f"{ends} lie within one year's interval of {quantity(half, first.unit)} either way"]
    reason = "; ".join([*reasons, *(shift.text for shift in changed)]) or None
    return TrendResult(
        first.zone_id,
        first.metric,
        first.year,
        last.year,
        len(rows),
        fit.slope_per_year,
        fit.lo95,
        fit.hi95,
        first.unit,
        fit.p_value,
        q_value,
        verdict,
        reason,
    )


def _refused(
    rows: Sequence[Measurement], used: Sequence[Measurement], rules: TrendRules, changed: Sequence[Shift]
) -> TrendResult:
    """Say why a series is too short, or made by two instruments that do not agree."""
    years = [row.year for row in used or rows]
    left_out = ", ".join(str(year) for year in sorted({row.year for row in rows} - {row.year for row in used}))
    reason = f"{len(used)} comparable adequate years, {rules.min_trend_years} are needed"
    if len(used) >= rules.min_trend_years:
        limit = f"more than {rules.max_invariant_drift:g}"
        reason = f"{'; '.join(shift.text for shift in changed)}, {limit}"
    if left_out:
        reason += f"; not used: {left_out}"
    return TrendResult(
        rows[0].zone_id,
        rows[0].metric,
        min(years),
        max(years),
        len(used),
        None,
        None,
        None,
        rows[0].unit,
        None,
        None,
        "insufficient_data",
        reason,
    )
