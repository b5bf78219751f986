"""Was the level of a series another after a resolution of the Security Council than before? Pure.

The dates were fixed before any run. The test is exact: of all ways to choose as many of the years as lie
before the date, how many differ as far from the rest as the years before do. With few years on one side no
order of the values reaches 5 %, and the row says so instead of a verdict. A steady trend moves the level at
every date alike, so a break counts only where no other year splits the series as far.
"""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.compare import adequate, benjamini_hochberg
from pipeline.types import Measurement, Verdict

SANCTIONS = (
    ("2270", dt.date(2016, 3, 2)),
    ("2321", dt.date(2016, 11, 30)),
    ("2371", dt.date(2017, 8, 5)),
    ("2397", dt.date(2017, 12, 22)),
)
"""UN Security Council resolutions on coal and the day each was adopted."""

_ALPHA = 0.05


@dataclass(frozen=True)
class BreakResult:
    """Change of level at one date; without verdict the numbers are None and the reason says why.

    ``delta`` is the mean of the years after minus that of the years before, in ``unit``. ``smallest_p`` is the
    smallest p-value that any order of the values could have.
    """

    zone_id: str
    metric: str
    resolution: str
    adopted: dt.date
    n_before: int
    n_after: int
    delta: float | None
    unit: str
    p_value: float | None
    smallest_p: float | None
    q_value: float | None
    verdict: Verdict
    reason: str | None = None


@dataclass(frozen=True)
class _Tested:
    """A series split at a date, before it is judged; ``p_value`` is None when nothing can be tested."""

    rows: Sequence[Measurement]
    split: int
    p_value: float | None

    @property
    def smallest_p(self) -> float | None:
        """Two of all choices are the farthest, one on either side; None when one side has no year."""
        return None if self.p_value is None else min(1.0, 2 / math.comb(len(self.rows), self.split))


def permutation_p(values: Sequence[float], split: int) -> float:
    """Exact two-sided p of the first ``split`` values against the rest: twice the smaller tail, at most 1.

    Parameters
    ----------
    values : Sequence[float]
        In order of time.
    split : int
        How many lie before the date; at least one on either side.

    Raises
    ------
    ValueError
        A side is empty.
    """
    if not 0 < split < len(values):
        raise ValueError(f"split {split} of {len(values)} values leaves a side empty")
    # Sums that differ by rounding alone are equal.
    spread = max(values) - min(values)
    tolerance = 1e-9 * (spread or 1.0)
    observed = sum(values[:split])
    sums = [sum(chosen) for chosen in combinations(values, split)]
    below = sum(s <= observed + tolerance for s in sums)
    above = sum(s >= observed - tolerance for s in sums)
    return min(1.0, 2 * min(below, above) / len(sums))


def breaks(measurements: Sequence[Measurement], fdr_q: float) -> tuple[BreakResult, ...]:
    """Judge every zone and metric at every date of SANCTIONS, as one family.

    Parameters
    ----------
    measurements : Sequence[Measurement]
        All zones, metrics and years of a site. A year lies after a date when its mean day of year does.
    fdr_q : float
        Largest q-value of a break.

    Returns
    -------
    tuple[BreakResult, ...]
        Sorted by zone, metric and date. ``increase`` or ``decrease`` when p is at most 5 %, q at most
        ``fdr_q``, and no other year splits the series as far; ``insufficient_data`` when a side has no year
        or the number of years cannot reach 5 %.
    """
    groups: defaultdict[tuple[str, str], list[Measurement]] = defaultdict(list)
    for row in measurements:
        groups[row.zone_id, row.metric].append(row)
    tested = {
        (*key, resolution, adopted): _split(groups[key], adopted)
        for key in sorted(groups)
        for resolution, adopted in SANCTIONS
    }
    reach = [key for key, one in tested.items() if one.smallest_p is not None and one.smallest_p <= _ALPHA]
    q_values = dict(zip(reach, benjamini_hochberg([tested[key].p_value or 0.0 for key in reach]), strict=True))
    return tuple(
        _judge(key, groups[key[0], key[1]][0].unit, one, q_values.get(key), fdr_q) for key, one in tested.items()
    )


def _split(group: Sequence[Measurement], adopted: dt.date) -> _Tested:
    """Put the adequate years in order and test those before the date against the others."""
    rows = sorted((r for r in group if adequate(r) and r.mean_day_of_year is not None), key=lambda r: r.year)
    day = adopted.timetuple().tm_yday
    split = sum((r.year, r.mean_day_of_year or 0.0) <= (adopted.year, day) for r in rows)
    values = [r.value or 0.0 for r in rows]
    return _Tested(rows, split, permutation_p(values, split) if 0 < split < len(rows) else None)


def _delta(values: Sequence[float], split: int) -> float:
    return sum(values[split:]) / (len(values) - split) - sum(values[:split]) / split


def _judge(
    key: tuple[str, str, str, dt.date], unit: str, one: _Tested, q_value: float | None, fdr_q: float
) -> BreakResult:
    """Give a verdict, or say why there is none."""
    n_before, n_after = one.split, len(one.rows) - one.split
    none = BreakResult(*key, n_before, n_after, None, unit, None, one.smallest_p, None, "insufficient_data")
    if one.p_value is None or one.smallest_p is None:
        side = "before" if n_before == 0 else "after"
        return _because(none, f"no adequate year {side} the date")
    if q_value is None:
        return _because(
            none,
            f"{n_before} years before and {n_after} after cannot reach p = {_ALPHA:g}: at best {one.smallest_p:.2g}",
        )
    values = [r.value or 0.0 for r in one.rows]
    delta = _delta(values, one.split)
    others = {r.year: abs(_delta(values, n)) for n, r in enumerate(one.rows) if n not in {0, one.split}}
    rivals = [str(year) for year, other in others.items() if other >= abs(delta)]
    verdict: Verdict = "no_detectable_change"
    reason = None
    if one.p_value <= _ALPHA and q_value > fdr_q:
        reason = f"q {q_value:.2g} is above {fdr_q:g}"
    elif one.p_value <= _ALPHA and rivals:
        reason = (
            f"the level differs as far when the series is split at {', '.join(rivals)}: a trend, or a break elsewhere"
        )
    elif one.p_value <= _ALPHA:
        verdict = "increase" if delta > 0 else "decrease"
    return BreakResult(*key, n_before, n_after, delta, unit, one.p_value, one.smallest_p, q_value, verdict, reason)


def _because(row: BreakResult, reason: str) -> BreakResult:
    return BreakResult(**{**vars(row), "reason": reason})
