"""Charts of the report: one metric over the years, with its intervals and its missing years.

Everything made from simulated data carries the word SIMULATED in the drawing itself, because drawings are
lifted out of reports. The bytes depend on the arguments and the version of matplotlib alone.
"""

import datetime as dt
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.products.fonts import FONT, offer_font
from pipeline.products.rounding import M2_PER_HA, known, show
from pipeline.products.wording import STATUSES, VERDICTS, dates, sanctions_within

INK = "#1d2329"
GREY = "#5c656e"
_BROWN = "#7a4b00"
_MARKS = {
    "increase": ("^", "#8f3d00", "#8f3d00"),
    "decrease": ("v", "#005a8c", "#005a8c"),
    "no_detectable_change": ("o", "#4d565f", "#4d565f"),
    "insufficient_data": ("D", "#4d565f", "#ffffff"),
    "baseline": ("s", INK, "#ffffff"),
}
"""Marker, colour and filling of a verdict: the colours of the verdicts in the report, and a shape for each, so that
they are told apart without any colour."""
_REVIEWED = ("P", "#6a3d7c", "#ffffff")
MARK_WORDS = {**VERDICTS, "insufficient_data": "not compared", "baseline": "baseline year"}
"""What a mark says of a year that has a value."""
_WIDE_IN, _HALF_IN = (7.4, 2.7), (3.6, 2.1)
_LABELS_ON_HALF = 6
_DATED_FROM_IN = 0.75
"""Width of a year from which the days of resolutions fit beside their numbers."""
_STYLE = {
    "font.family": FONT,
    "font.size": 8.0,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e3e6e9",
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.color": "#aab1b8",
    "hatch.linewidth": 0.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "stockline",
}
_DRAWING = threading.Lock()
"""Settings of matplotlib are one for all threads, and sites may be published by several."""


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
class Chart:
    """What one chart shows.

    Attributes
    ----------
    points : tuple of Point
        In order of years; at least one.
    unit : str
        Unit of the values; ``m2`` is shown in ha from 1 ha on.
    reviewed : tuple of Point
        The same years after a person's review, shown beside them; none where nothing was reviewed.
    wide : bool
        Full width of the page, else half.
    """

    points: tuple[Point, ...]
    unit: str
    reviewed: tuple[Point, ...] = ()
    wide: bool = True

    @property
    def shown(self) -> list[float]:
        """Every number the axis must take in."""
        numbers = [n for p in (*self.points, *self.reviewed) for n in (p.value, p.hi95, p.lo95)]
        return [n for n in map(known, numbers) if n is not None]

    @property
    def scale(self) -> tuple[float, str]:
        """Divisor of the values and name of their unit on the axis."""
        if self.unit == "m2":
            return (M2_PER_HA, "ha") if max(map(abs, self.shown), default=0.0) >= M2_PER_HA else (1.0, "m²")
        return 1.0, {"count": "number", "1": "number"}.get(self.unit, self.unit)


def chart_svgs(charts: Sequence[Chart], *, simulated: bool) -> list[bytes]:
    """Draw charts as SVG, text as paths.

    Each adequate year is a mark with its 95 % bar; a year without a value is a hatched column that says why, never
    a 0; points are not joined, since nothing is known between them. Parts have names: ``interval-2020``,
    ``value-2020``, ``missing-2020``, ``baseline``.

    Parameters
    ----------
    charts : sequence of Chart
    simulated : bool
        Writes SIMULATED across each.
    """
    if not charts:
        return []
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only reports need it
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    drawn = []
    # Whatever a reader's own matplotlibrc says, charts look alike; the backend is no part of how they look.
    plain: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if key != "backend"}
    with _DRAWING, mpl.rc_context(plain | _STYLE):
        offer_font()
        figure = Figure()
        FigureCanvasSVG(figure)
        for chart in charts:
            figure.clear()
            figure.set_size_inches(*(_WIDE_IN if chart.wide else _HALF_IN))
            _draw(figure, chart, simulated=simulated)
            out = io.BytesIO()
            figure.savefig(out, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
            drawn.append(out.getvalue())
    return drawn


def _draw(figure: Any, chart: Chart, *, simulated: bool) -> None:
    """Draw one chart into an empty figure."""
    width, height = figure.get_size_inches()
    first, last = chart.points[0].year, chart.points[-1].year
    marked = sanctions_within(first, last)
    above = 0.08 if not marked else 0.33
    left, below = 0.58, 0.65 if chart.wide else 0.42
    axes = figure.add_axes((left / width, below / height, 1 - (left + 0.08) / width, 1 - (below + above) / height))
    divisor, label = chart.scale
    axes.set_xlim(first - 0.5, last + 0.5)
    axes.set_ylim(*_span([n / divisor for n in chart.shown]))
    if chart.shown:
        axes.set_ylabel(label, labelpad=5)
        axes.yaxis.get_major_locator().set_params(nbins=6, integer=label == "number", steps=[1, 2, 2.5, 5, 10])
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    else:
        axes.set_yticks([])
    axes.tick_params(length=3, width=0.7)
    if simulated:
        across: dict[str, Any] = {"ha": "center", "va": "center", "color": "#b0005a", "alpha": 0.2, "zorder": 1.5}
        axes.text(0.5, 0.5, "SIMULATED", transform=axes.transAxes, size=26, **across)
    _draw_baseline(axes, chart, divisor)
    year_in = (width - left) / len(chart.points)
    for point in chart.points:
        if known(point.value) is None:
            _draw_missing(axes, point)
        else:
            _draw_year(axes, point, chart, divisor)
    for point in chart.reviewed:
        if known(point.value) is not None:
            _draw_mark(axes, point, divisor, _REVIEWED, 0.2)
    for row, (number, date) in enumerate(marked):
        _draw_sanction(axes, number, date, row if year_in >= _DATED_FROM_IN else None)
    if chart.wide:
        _draw_legend(figure, chart)
    every = 1 if chart.wide or len(chart.points) <= _LABELS_ON_HALF else 2
    named = chart.points[::every]
    n_dates = [f"\nn = {p.n_dates}" if p.n_dates is not None else "" for p in named]
    axes.set_xticks([p.year for p in named], [f"{p.year}{n}" for p, n in zip(named, n_dates, strict=True)])
    axes.tick_params(axis="x", labelsize=8 if chart.wide else 7)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Give the ends of the axis: from 0 or below up, for a cut axis makes a small difference look large."""
    if not values:
        return 0.0, 1.0
    low, high = min(*values, 0.0), max(*values, 0.0)
    # Room for a value above its bar.
    return low - 0.05 * (high - low) if low < 0 else 0.0, high + 0.12 * (high - low) or 1.0


def _draw_baseline(axes: Any, chart: Chart, divisor: float) -> None:
    """Draw the baseline year's level through all years, and 0 where values lie on both sides of it."""
    if axes.get_ylim()[0] < 0:
        axes.axhline(0.0, color=INK, linewidth=0.8)
    for point in chart.points:
        value = known(point.value)
        if point.mark == "baseline" and value is not None:
            axes.axhline(value / divisor, color=GREY, linewidth=0.8, dashes=(5, 3), gid="baseline")


def _draw_missing(axes: Any, point: Point) -> None:
    """Draw a year without a value as a hatched column that says why."""
    column = {"facecolor": "#f1f3f4", "edgecolor": "#aab1b8", "linewidth": 0.0, "hatch": "///"}
    axes.axvspan(point.year - 0.5, point.year + 0.5, gid=f"missing-{point.year}", **column)
    words = STATUSES.get(point.status, point.status)
    if point.status == "insufficient_data" and point.n_dates is not None:
        words = f"{words}: {dates(point.n_dates)}"
    box = {"facecolor": "#f1f3f4", "edgecolor": "none", "pad": 1.5}
    where = axes.get_xaxis_transform()
    axes.text(point.year, 0.5, words, transform=where, rotation=90, ha="center", va="center", size=7, bbox=box)


def _draw_year(axes: Any, point: Point, chart: Chart, divisor: float) -> None:
    """Draw a year's mark with its bar; on a wide chart its value beside it."""
    _draw_mark(axes, point, divisor, _MARKS[_mark(point)], 0.0)
    if chart.wide:
        said = show(point.value, point.lo95, point.hi95, chart.unit)
        top = point.value if known(point.hi95) is None else point.hi95
        where: dict[str, Any] = {"xytext": (0, 3), "textcoords": "offset points", "ha": "center", "va": "bottom"}
        axes.annotate(said.value, (point.year, (top or 0.0) / divisor), size=7, **where)


def _draw_legend(figure: Any, chart: Chart) -> None:
    """Name the marks the chart has."""
    from matplotlib.lines import Line2D  # noqa: PLC0415 - slow to import

    there = {_mark(point) for point in chart.points if known(point.value) is not None}
    looks = [(MARK_WORDS[mark], look) for mark, look in _MARKS.items() if mark in there]
    if any(known(point.value) is not None for point in chart.reviewed):
        looks.append(("after review", _REVIEWED))
    handles = [
        Line2D(
            [], [], label=words, marker=marker, color=colour, markerfacecolor=filling, linestyle="none", markersize=5
        )
        for words, (marker, colour, filling) in looks
    ]
    where: dict[str, Any] = {"loc": "lower center", "ncols": 6, "frameon": False, "borderaxespad": 0.2}
    if handles:
        figure.legend(handles=handles, handletextpad=0.1, columnspacing=1.6, fontsize=7.5, **where)


def _mark(point: Point) -> str:
    """Mark of a point; what is no verdict was not compared."""
    return point.mark if point.mark in _MARKS else "insufficient_data"


def _draw_mark(axes: Any, point: Point, divisor: float, look: tuple[str, str, str], aside: float) -> None:
    """Draw a value and its interval."""
    marker, colour, filling = look
    x, value = point.year + aside, (point.value or 0.0) / divisor
    lo95, hi95 = known(point.lo95), known(point.hi95)
    kind = "reviewed-" if aside else ""
    if lo95 is not None and hi95 is not None:
        low, high = lo95 / divisor, hi95 / divisor
        axes.plot([x, x], [low, high], color=colour, linewidth=1.5, gid=f"{kind}interval-{point.year}")
        axes.plot([x, x], [low, high], color=colour, linestyle="none", marker="_", markersize=6)
    style: dict[str, Any] = {"color": colour, "markerfacecolor": filling, "markersize": 6, "linestyle": "none"}
    # A mark at 0 stands on the axis, whole.
    style |= {"clip_on": False, "zorder": 3}
    axes.plot([x], [value], marker=marker, gid=f"{kind}value-{point.year}", **style)


def _draw_sanction(axes: Any, number: str, date: dt.date, row: int | None) -> None:
    """Draw the day of a resolution; ``row`` None where there is room for its number only."""
    days = (dt.date(date.year + 1, 1, 1) - dt.date(date.year, 1, 1)).days
    x = date.year - 0.5 + (date.timetuple().tm_yday - 1) / days
    axes.axvline(x, color=_BROWN, linewidth=0.9, linestyle=(0, (1, 2)), gid=f"resolution-{number}")
    style: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "size": 6.5, "color": _BROWN}
    if row is None:
        axes.text(x, 1.02, number, rotation=90, ha="center", va="bottom", **style)
    else:
        axes.text(x - 0.02, 1.02 + 0.075 * (row % 2), f"{number}, {date}", ha="left", va="bottom", **style)
