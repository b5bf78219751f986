"""Charts of the report: one metric over the years, with its intervals and its missing years.

Drawn with matplotlib without its global figure list and without the user's own settings; the bytes depend
on the arguments alone (no date, fixed salt for ids, one font that comes with a package). Everything made
from simulated data carries the word SIMULATED in the drawing itself, because drawings are lifted out of reports.
"""

import datetime as dt
import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pylopdf_fonts_ko
from matplotlib import font_manager, patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.products.rounding import M2_PER_HA, known
from pipeline.products.wording import STATUSES, sanctions_within

FONT = "Noto Sans KR"
INK = "#1d2329"
GREY = "#5c656e"
BLUE = "#0b5394"
_MARKERS = {"increase": "^", "decrease": "v", "no_detectable_change": "o", "insufficient_data": "D", "baseline": "s"}

# rcParams are global to the process; sites may be published by several threads of one worker.
_MATPLOTLIB = threading.Lock()
_STYLE: Any = {
    "svg.hashsalt": "stockline",
    "svg.fonttype": "path",
    "font.family": FONT,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
}


@contextmanager
def plain_style(font_size: float) -> Iterator[None]:
    """Draw with this module's settings and font only, whatever the user's or the process's settings are."""
    with _MATPLOTLIB, mpl.rc_context():
        mpl.rcdefaults()
        path = str(pylopdf_fonts_ko.sans_path())
        if all(entry.fname != path for entry in font_manager.fontManager.ttflist):
            font_manager.fontManager.addfont(path)
        mpl.rcParams.update({**_STYLE, "font.size": font_size})
        yield


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
    tops = [n for p in points for n in (known(p.value), known(p.hi95), known(p.lo95)) if n is not None]
    in_ha = unit == "m2" and max(map(abs, tops), default=0.0) >= M2_PER_HA
    divisor = M2_PER_HA if in_ha else 1.0
    label = ("ha" if in_ha else "m²") if unit == "m2" else {"count": "number", "1": "number"}.get(unit, unit)
    with plain_style(font_size=9.0):
        figure = Figure(figsize=(7.4, 2.7) if wide else (3.6, 2.2), layout="constrained")
        axes = figure.add_subplot()
        _draw_years(axes, points, divisor)
        _draw_frame(axes, points, label, wide=wide)
        if simulated:
            _stamp(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    return text.getvalue()


def _draw_years(axes: Axes, points: Sequence[Point], divisor: float) -> None:
    """Draw marks with bars, the baseline's level, and hatched columns for missing years."""
    for point in points:
        value, lo95, hi95 = known(point.value), known(point.lo95), known(point.hi95)
        if value is None:
            axes.axvspan(
                point.year - 0.5, point.year + 0.5, facecolor="#eceef0", edgecolor="#aab1b8", hatch="////", linewidth=0
            )
            halo = [patheffects.withStroke(linewidth=3.5, foreground="#eceef0")]
            words = STATUSES.get(point.status, point.status)
            at: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "center"}
            axes.text(point.year, 0.5, words, rotation=90, color=INK, fontsize=8, path_effects=halo, **at)
            continue
        if point.mark == "baseline":
            axes.axhline(value / divisor, color=GREY, linewidth=0.8, dashes=(5, 3), zorder=1)
        if lo95 is not None and hi95 is not None:
            axes.vlines(point.year, lo95 / divisor, hi95 / divisor, color=BLUE, linewidth=1.6)
            axes.hlines(
                [lo95 / divisor, hi95 / divisor], point.year - 0.09, point.year + 0.09, color=BLUE, linewidth=1.6
            )
        marker = _MARKERS.get(point.mark, "D")
        fill = "white" if marker in "Ds" else BLUE
        axes.plot(point.year, value / divisor, marker, color=BLUE, markerfacecolor=fill, markersize=6.5, zorder=3)


def _draw_frame(axes: Axes, points: Sequence[Point], label: str, *, wide: bool) -> None:
    """Axes, number of dates under each year, and the sanctions dates within the axis."""
    first, last = points[0].year, points[-1].year
    axes.set_xlim(first - 0.5, last + 0.5)
    low, high = axes.get_ylim() if any(known(p.value) is not None for p in points) else (0.0, 1.0)
    # From 0 up: a cut axis makes a small difference look large.
    axes.set_ylim(min(low, 0.0), max(high, 0.0) * 1.04 or 1.0)
    if all(known(p.value) is None for p in points):
        axes.set_yticks([])
    if low < 0:
        axes.axhline(0.0, color=INK, linewidth=0.8)
    marked = [(number, _position(date)) for number, date in sanctions_within(first, last)]
    for number, position in marked:
        axes.axvline(position, color="#7a4b00", linewidth=0.9, dashes=(1, 2), zorder=1)
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        axes.text(position, 1.01, number, rotation=90, fontsize=7, color="#7a4b00", **place)
    every = 1 if wide or len(points) <= 6 else 2  # noqa: PLR2004 - six labels fit half a page
    axes.set_xticks(
        [p.year for p in points],
        [
            (f"{p.year}" + ("" if p.n_dates is None else f"\nn = {p.n_dates}")) if i % every == 0 else ""
            for i, p in enumerate(points)
        ],
        fontsize=8.5 if wide else 7.5,
    )
    axes.set_ylabel(label)
    if label == "number":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.grid(visible=True, color="#e3e6e9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _position(date: dt.date) -> float:
    """Place of a day on an axis where each year is a column centred on its number."""
    days = (dt.date(date.year + 1, 1, 1) - dt.date(date.year, 1, 1)).days
    return date.year - 0.5 + (date.timetuple().tm_yday - 1) / days


def _stamp(axes: Axes) -> None:
    """Write SIMULATED across the drawing, light enough to read through."""
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, "SIMULATED", fontsize=26, color="#b0005a", alpha=0.2, zorder=4, **place)
