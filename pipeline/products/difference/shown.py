"""A row of the numbers as a reader is shown it, before and after, in one unit and to the digits of the report. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.products.rounding import ABSENT, show_metres, show_percent, show_probability
from pipeline.products.scale import Scale
from pipeline.products.spelling import legible
from pipeline.products.wording import STATUSES, VERDICTS, yearly

NumberRow: TypeAlias = Mapping[str, Any]
Pair: TypeAlias = tuple[NumberRow | None, NumberRow | None]


@dataclass(frozen=True)
class Field:
    """One thing a row says: the columns it is made from, what it is called, and how it is shown.

    ``called`` is empty for the number itself, which stands without a name. ``kind`` is a key of the table below.
    """

    called: str
    kind: str
    columns: tuple[str, ...]


def _number(kind: str, *columns: str) -> Field:
    return Field("", kind, columns)


_TESTED = (
    Field("verdict", "verdict", ("verdict",)),
    Field("p", "probability", ("p_value",)),
    Field("q", "q", ("q_value",)),
    Field("reason", "reason", ("reason",)),
)
FIELDS: dict[str, tuple[Field, ...]] = {
    "measurements": (
        _number("interval", "value", "lo95", "hi95"),
        Field("status", "status", ("status",)),
        Field("dates", "plain", ("n_dates",)),
        Field("share seen", "percent", ("valid_fraction",)),
    ),
    "changes": (
        _number("difference", "delta", "lo95", "hi95"),
        Field("called from", "amount", ("mdc95",)),
        *_TESTED,
    ),
    "trends": (
        _number("slope", "slope_per_year", "lo95", "hi95"),
        Field("years used", "plain", ("n_years",)),
        *_TESTED,
    ),
    "breaks": (
        _number("difference", "delta"),
        Field("years before", "plain", ("n_before",)),
        Field("years after", "plain", ("n_after",)),
        *_TESTED,
    ),
    "claims": (
        _number("interval", "value", "lo95", "hi95"),
        Field("verdict", "verdict", ("verdict",)),
        Field("reason", "reason", ("reason",)),
        Field("test", "plain", ("test",)),
        Field("quote", "plain", ("quote",)),
    ),
    "stockpiles": (
        _number("interval", "area_m2", "area_lo95_m2", "area_hi95_m2"),
        Field("tier", "plain", ("tier",)),
        Field("tier without review", "plain", ("machine_tier",)),
        Field("review", "plain", ("review",)),
        Field("dates", "plain", ("n_dates",)),
        Field("probability", "percent", ("score",)),
        Field("persistence", "percent", ("persistence",)),
        Field("largest", "amount", ("area_max_m2",)),
        Field("last", "amount", ("area_end_m2",)),
        Field("volume", "volume", ("volume_lo_m3", "volume_hi_m3")),
    ),
    "stockpile_changes": (
        _number("difference", "delta_m2", "lo95_m2", "hi95_m2"),
        Field("called from", "amount", ("mdc95_m2",)),
        Field("verdict", "verdict", ("verdict",)),
    ),
    "footprints": (_number("amount", "area_m2"),),
    "boundary_changes": (
        _number("amount", "area_m2"),
        Field("median advance", "metres", ("advance_p50_m",)),
        Field("advance of nine tenths", "metres", ("advance_p90_m",)),
        Field("largest advance", "metres", ("advance_max_m",)),
        Field("length that moved", "metres", ("advance_length_m",)),
        Field("review", "plain", ("review",)),
    ),
}
"""What a row of each layer of numbers says, in the order it is told."""
_LEAST_TOLD = 0.1
"""Share of half an interval below which a difference is less than the last digit that is shown."""


@dataclass(frozen=True)
class Said:
    """One thing a row says, before and after; the dash where there is no such row or number."""

    field: Field
    before: str
    after: str

    @property
    def moved(self) -> bool:
        """Whether a reader sees a difference."""
        return self.before != self.after


def said(layer: str, pair: Pair, fdr_q: float) -> tuple[Said, ...]:
    """Return everything a row says in both runs.

    Parameters
    ----------
    layer : str
        One of FIELDS.
    pair : (mapping or None, mapping or None)
        The row before and after; None where it is not there.
    fdr_q : float
        Largest q-value of a change; a q is shown with the digits that keep it on its side.
    """
    scales = _scales(layer, pair)
    return tuple(
        Said(field, *(ABSENT if row is None else _text(field, row, scales[n], fdr_q) for n, row in enumerate(pair)))
        for field in FIELDS[layer]
    )


def number_of(layer: str, row: NumberRow) -> str:
    """Return the number of a row with its interval."""
    return _text(FIELDS[layer][0], row, _scales(layer, (row, row))[0], 0.0)


def difference_of(layer: str, pair: Pair) -> str:
    """Return the number after minus that before, ``+0.31 ha``; empty where one of them is not there.

    Also where it is below a tenth of half the interval's width: less than the digits that are shown.
    """
    field, (before, after) = FIELDS[layer][0], pair
    if before is None or after is None:
        return ""
    values = [row[field.columns[0]] for row in (before, after)]
    if None in values or before.get("unit") != after.get("unit"):
        return ""
    scale = _scales(layer, pair)[0]
    # The digits of the wider interval: a difference has no more of them than the numbers.
    half = max(_half(row, field) for row in (before, after))
    moved = values[1] - values[0]
    if abs(moved) <= half * _LEAST_TOLD:
        return ""
    bounds = (moved - half, moved + half) if half else (None, None)
    return scale.show(moved, *bounds, signed=True).value_with_unit


def _half(row: NumberRow, field: Field) -> float:
    """Half the width of an interval; 0 without one."""
    bounds = [row[name] for name in field.columns[1:]]
    return 0.0 if not bounds or None in bounds else float(bounds[-1] - bounds[0]) / 2.0


def _scales(layer: str, pair: Pair) -> tuple[Scale, Scale]:
    """Return the unit both rows are shown in; each its own where they do not have the same."""
    units = [_unit(layer, row) for row in pair if row is not None]
    if len(set(units)) == 1:
        shared = Scale.of(units[0], [n for row in pair if row is not None for n in _amounts(layer, row)])
        return shared, shared
    before, after = (Scale.of(_unit(layer, row or {}), _amounts(layer, row or {})) for row in pair)
    return before, after


def _unit(layer: str, row: NumberRow) -> str:
    if layer == "claims":
        return "1" if str(row["metric"]).endswith("count") else "m2"
    unit = str(row.get("unit", "m2"))
    return yearly(unit) if layer == "trends" else unit


_IN_UNIT = {"interval", "difference", "slope", "amount"}


def _amounts(layer: str, row: NumberRow) -> list[float | None]:
    return [row.get(name) for field in FIELDS[layer] if field.kind in _IN_UNIT for name in field.columns]


def _text(field: Field, row: NumberRow, scale: Scale, fdr_q: float) -> str:
    values = [row[name] for name in field.columns]
    if field.kind in _IN_UNIT:
        return _amount(values, scale, signed=field.kind in {"difference", "slope"})
    return _TEXTS[field.kind](values, fdr_q)


def _amount(values: list[float | None], scale: Scale, *, signed: bool) -> str:
    """``2.31 ha (95 % interval 2.10 to 2.52 ha)``; without an interval the value alone."""
    shown = scale.show(*values, signed=signed)
    if ABSENT in {shown.interval, shown.value}:
        return shown.value_with_unit
    return f"{shown.value_with_unit} (95 % interval {shown.interval_with_unit})"


def _volume(values: list[float | None]) -> str:
    return Scale.of("m³", values).show(None, *values).interval_with_unit


_TEXTS: dict[str, Callable[[list[Any], float], str]] = {
    "plain": lambda values, _: ABSENT if values[0] is None else str(values[0]),
    "reason": lambda values, _: ABSENT if values[0] is None else legible(values[0]),
    "verdict": lambda values, _: VERDICTS.get(values[0], values[0]),
    "status": lambda values, _: STATUSES.get(values[0], values[0]),
    "percent": lambda values, _: show_percent(values[0]),
    "metres": lambda values, _: show_metres(values[0]),
    "probability": lambda values, _: show_probability(values[0]),
    "q": lambda values, fdr_q: show_probability(values[0], fdr_q),
    "volume": lambda values, _: _volume(values),
}
