"""Measurements of two years -> the difference, its interval and its verdict (docs/contract.md). Pure.

A difference is ``value_to - value_from`` with ``sigma = sqrt(s_from^2 + s_to^2 - 2 cov)``: two years are taken
as independent unless their covariance is given (science 3.3). It is called ``increase`` or ``decrease``
only when its 95 % interval excludes 0 and its q-value, by Benjamini and Hochberg over every testable row
of the same call, is at most ``fdr_q``. All rows of one site belong in one call; the piles of a site are a
family, and a call, of their own.

A measurement without a positive standard deviation is never tested: no stated uncertainty is not
certainty, and an exact 0 beside a measured pile would turn the detection limit into an increase. Such a
row is ``insufficient_data`` with its reason, so that one metric without intervals cannot stop a site;
absence has to be measured with the standard deviation of the detection limit.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from pipeline.types import Change, Measurement, PairMeasurement, Verdict

Z95 = 1.96
"""Half width of a 95 % normal interval in standard deviations, as the contract writes it."""

SITE_ZONE = "site"
"""Id of the zone that is the whole AOI; its first adequate year is every zone's baseline."""

BASIS_METRIC = {"boundary_gain_m2": "footprint_area_m2"}
"""Metric that exists per pair of years only -> the annual metric that settles its baseline."""

_ADEQUATE = ("ok", "partial")


Measured: TypeAlias = Measurement | PairMeasurement
Shared: TypeAlias = Mapping[tuple[str, str, int, int], float]
"""Covariance of the errors of two years, by zone, metric, earlier and later year; in the unit squared."""


@dataclass(frozen=True)
class CompareRules:
    """What a verdict of change rests on; the values and their reasons stand in the configuration.

    Attributes
    ----------
    fdr_q : float
        Largest q-value of a change (share of false ones among those reported).
    max_season_shift_days : float
        Largest difference of two years' mean day of year that can be compared, in days.
    baseline : int or None
        Year every other is compared with; None: the first adequate one.
    """

    fdr_q: float
    max_season_shift_days: float
    baseline: int | None = None


@dataclass(frozen=True)
class _Difference:
    """A pair of years before it is judged; ``delta`` and ``sigma`` are None when it cannot be tested."""

    zone_id: str
    metric: str
    year_from: int
    year_to: int
    unit: str
    delta: float | None
    sigma: float | None
    reason: str | None
    gain_only: bool = False

    @property
    def p_value(self) -> float | None:
        """Two-sided normal p; of a gain twice its upper tail: less than chance has p = q = 1, never a decrease."""
        if self.delta is None or self.sigma is None:
            return None
        z = self.delta / self.sigma if self.gain_only else abs(self.delta / self.sigma)
        return min(1.0, math.erfc(z / math.sqrt(2.0)))


def adequate(measurement: Measured) -> bool:
    """Whether a measurement holds a value that may be compared (status ok or partial).

    Raises
    ------
    ValueError
        A number is NaN or infinite (no data is None), or the standard deviation is negative.
    """
    chance = measurement.chance_value if isinstance(measurement, PairMeasurement) else None
    for number in (measurement.value, measurement.sigma, chance):
        if number is not None and not math.isfinite(number):
            raise ValueError(f"{measurement!r}: a value that is not finite must be None")
    if measurement.sigma is not None and measurement.sigma < 0:
        raise ValueError(f"{measurement!r}: sigma must not be negative")
    return measurement.status in _ADEQUATE and measurement.value is not None


def baseline_year(measurements: Sequence[Measurement], wanted: int | None) -> int | None:
    """Year every other year of one metric is compared with, in all zones alike.

    Parameters
    ----------
    measurements : Sequence[Measurement]
        All zones and years of one metric.
    wanted : int or None
        The year asked for; taken as it is, adequate or not.

    Returns
    -------
    int or None
        ``wanted``; else the first adequate year of the zone ``site``, or, where no row is of that zone
        (piles), the first year that is adequate in any; None when there is none.
    """
    if wanted is not None:
        return wanted
    of_site = [row for row in measurements if row.zone_id == SITE_ZONE]
    return min((row.year for row in of_site or measurements if adequate(row)), default=None)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """q-values of one family of p-values, in the order given (Benjamini and Hochberg 1995, step-up)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * (p.size / np.arange(1, p.size + 1))
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return tuple(float(value) for value in q)


def verdict_of(lo95: float, hi95: float, q_value: float, fdr_q: float) -> Verdict:
    """Verdict of a tested difference or slope; an interval that ends at 0 includes it."""
    if q_value <= fdr_q and lo95 > 0:
        return "increase"
    if q_value <= fdr_q and hi95 < 0:
        return "decrease"
    return "no_detectable_change"


def quantity(value: float, unit: str) -> str:
    """Write a number and its unit for a sentence: whole from 100 on, else three digits, in any locale."""
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 (said above)
    return f"{number} {unit}"


def compare(
    measurements: Sequence[Measured],
    rules: CompareRules,
    shared: Shared | None = None,
    apart: Mapping[tuple[str, str, int, int], str] | None = None,
) -> tuple[Change, ...]:
    """Judge every year of every zone and metric against the year before and the baseline year.

    Parameters
    ----------
    measurements : Sequence[Measurement | PairMeasurement]
        One family: all zones, metrics and years of a site, or all its piles (``zone_id`` is then the
        pile's id). Annual rows are paired here; pair rows are judged as they are, against their chance
        value, and are never a ``decrease``.
    rules : CompareRules
    shared : Shared, optional
        Covariance of two years' errors; what is not there is taken as 0, the conservative choice.
    apart : Mapping, optional
        Why two years are not of one origin, by zone, metric and the two years: such a pair is not tested.

    Returns
    -------
    tuple[Change, ...]
        Sorted by zone, metric, year_to, year_from. Years run without gap from the first to the last of
        a zone and metric; a pair with a year that was not measured is there as ``insufficient_data``,
        whose numbers are all None. Pairs are in order of time, also with a later baseline year.

    Raises
    ------
    ValueError
        Two rows for one zone, metric and year(s), two units in one zone and metric, or a number that
        is not finite.
    """
    annual = [row for row in measurements if isinstance(row, Measurement)]
    differences = _annual_differences(annual, rules, shared or {})
    differences += [_pair_difference(row) for row in measurements if isinstance(row, PairMeasurement)]
    why = apart or {}
    differences = [_untested(row, why[_key(row)]) if _key(row) in why else row for row in differences]
    differences.sort(key=lambda row: (row.zone_id, row.metric, row.year_to, row.year_from))
    for first, second in itertools.pairwise(differences):
        if _key(first) == _key(second):
            raise ValueError(f"two differences of {_key(first)}; each zone, metric and pair of years comes once")
    p_values = [row.p_value for row in differences if row.p_value is not None]
    q_values = iter(benjamini_hochberg(p_values))
    return tuple(_judge(row, None if row.p_value is None else next(q_values), rules.fdr_q) for row in differences)


def _untested(row: _Difference, reason: str) -> _Difference:
    """Leave a difference out of the tests, with one more reason."""
    return replace(row, delta=None, sigma=None, reason="; ".join(filter(None, (row.reason, reason))))


def _key(row: _Difference) -> tuple[str, str, int, int]:
    return row.zone_id, row.metric, row.year_from, row.year_to


def _annual_differences(rows: Sequence[Measurement], rules: CompareRules, shared: Shared) -> list[_Difference]:
    """All pairs of years of all zones and metrics, each metric with one baseline year."""
    metrics: defaultdict[str, list[Measurement]] = defaultdict(list)
    groups: defaultdict[tuple[str, str], dict[int, Measurement]] = defaultdict(dict)
    for row in rows:
        group = groups[row.metric, row.zone_id]
        if row.year in group:
            raise ValueError(f"two measurements of {row.metric} of zone {row.zone_id} in {row.year}")
        if any(row.unit != other.unit for other in group.values()):
            raise ValueError(f"{row!r}: the unit differs from that of another year")
        group[row.year] = row
        metrics[row.metric].append(row)
    baselines = {metric: baseline_year(of_metric, rules.baseline) for metric, of_metric in metrics.items()}
    return [
        _difference(group, years, rules.max_season_shift_days, shared)
        for (metric, _), group in groups.items()
        for years in _year_pairs(group, baselines[metric])
    ]


def _year_pairs(years: Collection[int], baseline: int | None) -> list[tuple[int, int]]:
    """Pairs (earlier, later): each year with the one before and with the baseline, none twice."""
    span = range(min(years), max(years) + 1)
    pairs = {(year - 1, year) for year in span[1:]}
    if baseline is not None:
        pairs |= {(min(baseline, year), max(baseline, year)) for year in span if year != baseline}
    return sorted(pairs)


def _difference(
    group: Mapping[int, Measurement], years: tuple[int, int], max_shift_days: float, shared: Shared
) -> _Difference:
    """Subtract two years of one zone and metric, or say why they cannot be."""
    some = next(iter(group.values()))
    key = (some.zone_id, some.metric, *years, some.unit)
    before, after = (_reading(group.get(year), year) for year in years)
    if isinstance(before, str) or isinstance(after, str):
        reason = "; ".join(text for text in (before, after) if isinstance(text, str))
        return _Difference(*key, None, None, reason)
    if abs(after[2] - before[2]) > max_shift_days:
        days = f"{before[2]:.0f} in {years[0]} and {after[2]:.0f} in {years[1]}"
        reason = f"seasons differ: mean day of year is {days}, more than {max_shift_days:g} days apart"
        return _Difference(*key, None, None, reason)
    parts = [group[year].part_dates for year in years]
    if all(parts) and any((one == 0) != (other == 0) for one, other in zip(*parts, strict=True)):
        counts = [f"{' and '.join(map(str, part))} in {year}" for year, part in zip(years, parts, strict=True)]
        return _Difference(
            *key, None, None, f"seasons differ: dates in the parts of the season are {', '.join(counts)}"
        )
    variance = before[1] ** 2 + after[1] ** 2 - 2 * shared.get((some.zone_id, some.metric, *years), 0.0)
    return _Difference(*key, after[0] - before[0], math.sqrt(variance), None)


def _reading(row: Measurement | None, year: int) -> tuple[float, float, float] | str:
    """Value, standard deviation and mean day of a year that can be compared, else the reason why not."""
    if row is None:
        return f"{year}: not measured"
    if not adequate(row) or row.value is None:
        return f"{year}: {row.reason or row.status}"
    if not row.sigma:
        return f"{year}: no uncertainty is stated"
    if row.mean_day_of_year is None:
        return f"{year}: mean day of year is not known"
    return row.value, row.sigma, row.mean_day_of_year


def _pair_difference(row: PairMeasurement) -> _Difference:
    """Subtract the chance level, which the reason then says."""
    key = (row.zone_id, row.metric, row.year_from, row.year_to, row.unit)
    reason = row.reason or row.status
    if adequate(row) and row.value is not None and row.chance_value is not None:
        if row.sigma:
            chance = f"unchanged ground shows {quantity(row.chance_value, row.unit)} by chance"
            reason = "; ".join(filter(None, (f"measured {quantity(row.value, row.unit)}", chance, row.note)))
            return _Difference(*key, row.value - row.chance_value, row.sigma, reason, gain_only=True)
        reason = "no uncertainty is stated"
    return _Difference(*key, None, None, f"{row.year_from} to {row.year_to}: {reason}", gain_only=True)


def _judge(row: _Difference, q_value: float | None, fdr_q: float) -> Change:
    """One difference with its interval and verdict; the reason says what a missing change lacks."""
    if row.delta is None or row.sigma is None or q_value is None:
        return Change(*_key(row), None, None, None, None, row.unit, None, None, "insufficient_data", row.reason)
    mdc95 = Z95 * row.sigma
    lo95, hi95 = row.delta - mdc95, row.delta + mdc95
    verdict = verdict_of(lo95, hi95, q_value, fdr_q)
    reasons = [row.reason] if row.reason else []
    if q_value > fdr_q and (lo95 > 0 or (hi95 < 0 and not row.gain_only)):
        reasons.append(f"q {q_value:.2g} is above {fdr_q:g}")
    return Change(
        *_key(row), row.delta, lo95, hi95, mdc95, row.unit, row.p_value, q_value, verdict, "; ".join(reasons) or None
    )
