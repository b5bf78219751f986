"""Charts of the report: one metric over the years, with its intervals and its missing years.

Drawn as SVG by this program itself: the bytes depend on the arguments alone. Everything made from simulated data
carries the word SIMULATED in the drawing itself, because drawings are lifted out of reports.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.products.lettering import CAPITAL, width
from pipeline.products.rounding import M2_PER_HA, known
from pipeline.products.svg import Drawing, Ink, Letters
from pipeline.products.wording import STATUSES, sanctions_within

INK = "#1d2329"
GREY = "#5c656e"
BLUE = "#0b5394"
_BROWN = "#7a4b00"
_MARKERS = {"increase": "^", "decrease": "v", "no_detectable_change": "o", "insufficient_data": "D", "baseline": "s"}
_WIDE, _HALF = (532.8, 194.4), (259.2, 158.4)
"""Points: 7.4 x 2.7 and 3.6 x 2.2 inches."""
_MARK = 3.25
_HATCH_STEP = 6.0
_LABELS_ON_HALF = 6


@dataclass(frozen=True)
class Point:
    """One year of a chart; ``value`` None is a missing year. ``mark`` is a verdict or ``baseline``."""

    year: int
    value: float | None
    lo95: float | None
    hi95: float | None
    n_dates: int | None
    status: str
    mark: str


@dataclass(frozen=True)
class _Frame:
    """Where years and values lie on the drawing."""

    first: int
    last: int
    low: float
    high: float
    left: float
    right: float
    top: float
    bottom: float

    def x(self, year: float) -> float:
        return self.left + (year - self.first + 0.5) / (self.last - self.first + 1) * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - self.top)


def chart_svg(points: Sequence[Point], unit: str, *, wide: bool, simulated: bool) -> str:
    """Draw one metric over the years as SVG, text as paths.

    Each adequate year is a mark with its 95 % bar; a year without a value is a hatched grey column that
    says why, never a 0; points are not joined, since nothing is known between them.

    Parameters
    ----------
    points : sequence of Point
        In order of years; at least one.
    unit : str
        Unit of the values; ``m2`` is shown in ha from 1 ha on.
    wide : bool
        Full width of the page, else half.
    simulated : bool
        Writes SIMULATED across the chart.
    """
    shown = [n for p in points for n in (known(p.value), known(p.hi95), known(p.lo95)) if n is not None]
    in_ha = unit == "m2" and max(map(abs, shown), default=0.0) >= M2_PER_HA
    divisor = M2_PER_HA if in_ha else 1.0
    label = ("ha" if in_ha else "m²") if unit == "m2" else {"count": "number", "1": "number"}.get(unit, unit)
    low, high = _span([n / divisor for n in shown])
    ticks = ticks_of(low, high, whole=label == "number") if shown else []
    drawing = Drawing(*(_WIDE if wide else _HALF))
    room = max((width(text, 9.0) for _, text in ticks), default=0.0)
    marked = sanctions_within(points[0].year, points[-1].year)
    above = max((width(number, 7.0) for number, _ in marked), default=0.0)
    frame = _Frame(
        points[0].year, points[-1].year, low, high,
        left=room + 24.0, right=drawing.width - 4.0, top=above + 7.0, bottom=drawing.height - 29.0,
    )  # fmt: skip
    _draw_ground(drawing, frame, ticks)
    _draw_missing(drawing, frame, points, divisor)
    _draw_years(drawing, frame, points, divisor)
    for number, date in marked:
        x = frame.x(_position(date))
        drawing.line([(x, frame.top), (x, frame.bottom)], Ink(_BROWN, 0.9, dashes="0.9 1.8"))
        drawing.text(x + 7.0 * CAPITAL / 2, frame.top - 2.0, number, Letters(7.0, _BROWN, "start", 90.0))
    _draw_axes(drawing, frame, points, label, wide=wide)
    if simulated:
        x, y = (frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2 + 26.0 * CAPITAL / 2
        drawing.text(x, y, "SIMULATED", Letters(26.0, "#b0005a", opacity=0.2))
    return drawing.finished()


def ticks_of(low: float, high: float, *, whole: bool) -> list[tuple[float, str]]:
    """Values of an axis that are marked, with their text: four to nine round ones, all alike in digits.

    Parameters
    ----------
    low, high : float
        Ends of the axis, ``low < high``.
    whole : bool
        Only whole numbers.
    """
    rough = (high - low) / 7
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1.0, 2.0, 2.5, 5.0, 10.0) if power * nice >= rough * (1 - 1e-9))
    if whole:
        step = max(math.ceil(step), 1.0)
    digits = next((d for d in range(9) if math.isclose(step, round(step, d), rel_tol=1e-6)), 9)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [number * step for number in range(first, last + 1)]
    return [(value, f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")) for value in values]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Give the ends of the axis: from 0 or below up, for a cut axis makes a small difference look large."""
    if not values:
        return 0.0, 1.0
    margin = 0.05 * (max(values) - min(values))
    low, high = min(min(values) - margin, 0.0), max(max(values) + margin, 0.0) * 1.04
    return low if min(values) < 0.0 else 0.0, high if high > 0.0 else 1.0


def _draw_ground(drawing: Drawing, frame: _Frame, ticks: Sequence[tuple[float, str]]) -> None:
    """Draw the lines of marked values, behind everything, with their text."""
    for value, text in ticks:
        y = frame.y(value)
        drawing.line([(frame.left, y), (frame.right, y)], Ink("#e3e6e9", 0.6))
        drawing.line([(frame.left - 3.0, y), (frame.left, y)], Ink(INK, 0.7))
        drawing.text(frame.left - 5.0, y + 9.0 * CAPITAL / 2, text, Letters(9.0, INK, "end"))
    if frame.low < 0:
        drawing.line([(frame.left, frame.y(0.0)), (frame.right, frame.y(0.0))], Ink(INK, 0.8))


def _draw_missing(drawing: Drawing, frame: _Frame, points: Sequence[Point], divisor: float) -> None:
    """Draw missing years as hatched columns, the baseline's level across them, and what is known of them."""
    missing = [point for point in points if known(point.value) is None]
    for point in missing:
        left, right = frame.x(point.year - 0.5), frame.x(point.year + 0.5)
        corners = [(left, frame.top), (right, frame.top), (right, frame.bottom), (left, frame.bottom)]
        drawing.area(corners, Ink(fill="#eceef0"), "missing")
        for start, end in _hatches(left, right, frame.top, frame.bottom):
            drawing.line([start, end], Ink("#aab1b8", 0.6))
    for point in points:
        value = known(point.value)
        if point.mark == "baseline" and value is not None:
            y = frame.y(value / divisor)
            drawing.line([(frame.left, y), (frame.right, y)], Ink(GREY, 0.8, dashes="4 2.4"), "baseline")
    for point in missing:
        words = STATUSES.get(point.status, point.status)
        x, y = frame.x(point.year) + 8.0 * CAPITAL / 2, (frame.top + frame.bottom) / 2
        drawing.text(x, y, words, Letters(8.0, INK, turned=90.0, rim="#eceef0"))


def _hatches(
    left: float, right: float, top: float, bottom: float
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Slanting lines that fill a column."""
    found = []
    for number in range(1, math.ceil((right - left + bottom - top) / _HATCH_STEP)):
        reach = number * _HATCH_STEP
        down, across = min(reach, bottom - top), min(reach, right - left)
        found.append(((left + reach - down, top + down), (left + across, top + reach - across)))
    return found


def _draw_years(drawing: Drawing, frame: _Frame, points: Sequence[Point], divisor: float) -> None:
    """Draw marks with their bars."""
    blue = Ink(BLUE, 1.6)
    for point in points:
        value, lo95, hi95 = known(point.value), known(point.lo95), known(point.hi95)
        if value is None:
            continue
        x, y = frame.x(point.year), frame.y(value / divisor)
        if lo95 is not None and hi95 is not None:
            low, high = frame.y(lo95 / divisor), frame.y(hi95 / divisor)
            drawing.line([(x, low), (x, high)], blue, "interval")
            for end in (low, high):
                drawing.line([(frame.x(point.year - 0.09), end), (frame.x(point.year + 0.09), end)], blue, "cap")
        _draw_mark(drawing, x, y, _MARKERS.get(point.mark, "D"))


def _draw_mark(drawing: Drawing, x: float, y: float, marker: str) -> None:
    ink = Ink(BLUE, 1.0, fill="#ffffff" if marker in "Ds" else BLUE)
    r, corners = _MARK, {
        "^": ((0, -1), (1, 1), (-1, 1)),
        "v": ((0, 1), (-1, -1), (1, -1)),
        "s": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "D": ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    }  # fmt: skip
    if marker == "o":
        drawing.disc(x, y, r, ink, "value")
    else:
        drawing.area([(x + r * across, y + r * down) for across, down in corners[marker]], ink, "value")


def _draw_axes(drawing: Drawing, frame: _Frame, points: Sequence[Point], label: str, *, wide: bool) -> None:
    """Draw axes, years, the number of dates under each, and the unit."""
    corner = (frame.left, frame.bottom)
    drawing.line([(frame.left, frame.top), corner, (frame.right, frame.bottom)], Ink(GREY, 0.7))
    size = 8.5 if wide else 7.5
    every = 1 if wide or len(points) <= _LABELS_ON_HALF else 2
    for place, point in enumerate(points):
        x = frame.x(point.year)
        drawing.line([(x, frame.bottom), (x, frame.bottom + 3.0)], Ink(INK, 0.7))
        if place % every == 0:
            drawing.text(x, frame.bottom + 5.0 + size * CAPITAL, str(point.year), Letters(size, INK))
            if point.n_dates is not None:
                drawing.text(x, frame.bottom + 16.0 + size * CAPITAL, f"n = {point.n_dates}", Letters(size, INK))
    drawing.text(9.0, (frame.top + frame.bottom) / 2, label, Letters(9.0, INK, turned=90.0))


def _position(date: dt.date) -> float:
    """Place of a day on an axis where each year is a column centred on its number."""
    days = (dt.date(date.year + 1, 1, 1) - dt.date(date.year, 1, 1)).days
    return date.year - 0.5 + (date.timetuple().tm_yday - 1) / days
