"""Every sentence of the change report: verdicts into plain, neutral words. Pure.

Said is what is observed, never what it means: a pile is "dark bulk material", a footprint is "occupied
ground"; cause, ownership and working conditions are outside what imagery shows (science 4.5). A missing
change is "no detectable change" beside the smallest change that would have been called, never "no change".
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.breaks import SANCTIONS
from pipeline.products.rounding import show
from pipeline.products.scale import Scale
from pipeline.products.seen import in_part
from pipeline.products.spelling import legible, span
from pipeline.records import ChangeRow, MeasurementRow
from pipeline.series_records import TrendRow

ADEQUATE = ("ok", "partial")
"""Statuses of a measurement that holds a value."""

FOUND_SIGMA = 3.6
"""A change of 3.6 sigma is found 95 times in 100 at a decision limit of 1.96 sigma (1.96 + 1.645)."""

VERDICTS = {
    "increase": "increase",
    "decrease": "decrease",
    "no_detectable_change": "no detectable change",
    "insufficient_data": "insufficient data",
    "supported": "supported",
    "contradicted": "contradicted",
    "not_detectable": "not detectable",
    "not_observable": "not observable",
}
"""Words of the contract, as the GeoPackage holds them, to the words of the report."""

# Not from the calendar module: its names follow the locale.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

STATUSES = {
    "ok": "measured",
    "partial": "measured in part",
    "insufficient_data": "not observable",
    "not_assessed": "not assessed",
}


@dataclass(frozen=True)
class Metric:
    """How a metric is called: heading, in a sentence, and what it is."""

    title: str
    noun: str
    meaning: str


METRICS = {
    "stockpile_area_m2": Metric(
        "Stockpile area",
        "stockpile area",
        "Ground covered by dark bulk material that stayed in place through the dates of a year "
        "(tiers probable and confirmed). Each year's value is the median over its dates. Where a pile of another year "
        "is not found, or none at all, the interval takes in the smallest that is counted, 0.2 ha.",
    ),
    "stockpile_count": Metric(
        "Number of stockpiles",
        "number of stockpiles",
        "Separate piles of dark bulk material of 0.2 ha or more (tiers probable and confirmed).",
    ),
    "footprint_area_m2": Metric(
        "Occupied ground",
        "area of occupied ground",
        "Ground without vegetation through the growing season: built-up, bare, mined or spoil ground.",
    ),
    "boundary_gain_m2": Metric(
        "Ground newly occupied",
        "certain gain of occupied ground",
        "Ground gained since the baseline year beyond positional noise, less what unchanged ground shows by chance.",
    ),
}
"""The headline metrics, in the order of the report."""


@dataclass(frozen=True)
class Sentence:
    """A sentence around its verdict, so that both documents can set the verdict off; ``verdict`` may be empty."""

    lead: str
    verdict: str = ""
    tail: str = ""

    @property
    def words(self) -> str:
        """The verdict in plain words."""
        return VERDICTS.get(self.verdict, self.verdict)

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.lead}{self.words}{self.tail}"


def metric_title(metric: str) -> str:
    """Heading of a metric; one that is not among the headlines is called by its own name."""
    return METRICS[metric].title if metric in METRICS else metric.removesuffix("_m2").replace("_", " ").capitalize()


def metric_noun(metric: str) -> str:
    """Name of a metric inside a sentence."""
    return METRICS[metric].noun if metric in METRICS else metric.removesuffix("_m2").replace("_", " ")


def listed(words: Sequence[str]) -> str:
    """Join words the way a sentence does: ``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:  # noqa: PLR2004 - one word needs no joining
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def day(date: dt.date) -> str:
    """``2 March 2016``, in English whatever the locale."""
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


def dates(n_dates: int) -> str:
    """``1 date``, ``12 dates``."""
    return f"{n_dates} date" if n_dates == 1 else f"{n_dates} dates"


def scale_of(before: MeasurementRow | None, after: MeasurementRow | None, change: ChangeRow | None) -> Scale:
    """Return the one unit of two years' values, their difference and its limit."""
    rows = [row for row in (before, after, change) if row is not None]
    values = [n for row in (before, after) if row is not None for n in (row.value, row.lo95, row.hi95)]
    differences = [change.delta, change.lo95, change.hi95, change.mdc95] if change is not None else []
    return Scale.of(rows[0].unit if rows else "m2", [*values, *differences])


def measured(row: MeasurementRow, scale: Scale) -> str:
    """``2.31 ha in 2023 (95 % interval 2.10 to 2.52 ha, 14 dates)``."""
    shown = scale.show(row.value, row.lo95, row.hi95)
    interval = "no interval" if row.lo95 is None or row.hi95 is None else f"95 % interval {shown.interval_with_unit}"
    part = f", {in_part(row)}" if row.status == "partial" else ""
    return f"{shown.value_with_unit} in {row.year} ({interval}, {dates(row.n_dates)}{part})"


def difference(change: ChangeRow, scale: Scale) -> str:
    """``+1.26 ha (95 % interval +0.98 to +1.54 ha)``."""
    shown = scale.show(change.delta, change.lo95, change.hi95, signed=True)
    return f"{shown.value_with_unit} (95 % interval {shown.interval_with_unit})"


def why(change: ChangeRow, fdr_q: float, scale: Scale) -> str:
    """Say what stands behind a verdict that is not a change: the limit, the q-value, or the reason given."""
    if change.verdict == "insufficient_data":
        return f" ({legible(change.reason)})" if change.reason else ""
    if change.verdict != "no_detectable_change":
        return ""
    limit = scale.show(change.mdc95).value_with_unit
    text = f"; a difference smaller than {limit} would not be called"
    if change.lo95 is not None and change.hi95 is not None and not change.lo95 <= 0 <= change.hi95:
        return f"{text}, and with the number of comparisons allowed for, q is above {fdr_q:g}"
    return text


def headline(
    metric: str,
    place: str,
    before: MeasurementRow | None,
    after: MeasurementRow | None,
    change: ChangeRow | None,
    fdr_q: float,
) -> Sentence:
    """Sentence on one metric: the newest adequate year against the baseline year.

    Parameters
    ----------
    metric, place : str
        Metric of the contract, and where: ``over the whole site``.
    before, after : MeasurementRow or None
        Measurements of the baseline and the newest adequate year; None for a metric that exists between
        two years only, or when there is no such year.
    change : ChangeRow or None
        The change between the two years.
    fdr_q : float
        Largest q-value of a change.
    """
    noun, scale = metric_noun(metric), scale_of(before, after, change)
    if change is None:
        if after is None:
            return Sentence(
                f"The {noun} {place} could not be judged: ", "insufficient_data", " (no two adequate years)."
            )
        other = (
            "no second adequate year to compare with"
            if before is None
            else f"no comparison with {measured(before, scale)}"
        )
        return Sentence(f"The {noun} {place} was {measured(after, scale)}; there is {other}.")
    if before is not None and after is not None:
        values = f"The {noun} {place} was {measured(after, scale)} and {measured(before, scale)}; the difference is "
    else:
        values = f"The {noun} {place} from {change.year_from} to {change.year_to}, less what chance shows, is "
    if change.delta is None:
        years = f"between {change.year_from} and {change.year_to}"
        return Sentence(
            f"The {noun} {place} could not be compared {years}: ", change.verdict, f"{why(change, fdr_q, scale)}."
        )
    return Sentence(f"{values}{difference(change, scale)}: ", change.verdict, f"{why(change, fdr_q, scale)}.")


def unjudged(by_years: dict[tuple[int, ...], list[str]]) -> str:
    """Name the years that could not be judged: ``{(2020, 2021): [metric, ...]}``."""
    if not by_years:
        return "Every year had enough usable dates."
    parts = [
        f"{listed([str(y) for y in years])} ({listed([metric_noun(m) for m in metrics])})"
        for years, metrics in by_years.items()
    ]
    return f"Years that could not be judged: {'; '.join(parts)}."


def yearly(unit: str) -> str:
    """Return the unit of a slope per year: ``m2/year``, of a count ``per year``."""
    if unit in ("1", "count"):
        return "per year"
    return unit if "/" in unit or "per" in unit else f"{unit}/year"


def trend(row: TrendRow, place: str) -> Sentence:
    """Sentence on the trend over all adequate years."""
    years = f"{span(row.year_first, row.year_last)} ({legible(f'{row.n_years} adequate years')})"
    lead = f"Trend of the {metric_noun(row.metric)} {place}, {years}"
    reason = f" ({legible(row.reason)})" if row.reason else ""
    if row.slope_per_year is None:
        return Sentence(f"{lead}: ", row.verdict, f"{reason}.")
    shown = show(row.slope_per_year, row.lo95, row.hi95, yearly(row.unit), signed=True)
    return Sentence(
        f"{lead}: {shown.value_with_unit} (95 % interval {shown.interval_with_unit}): ", row.verdict, f"{reason}."
    )


def sanctions_within(first_year: int, last_year: int) -> list[tuple[str, dt.date]]:
    """Return the resolutions whose day lies within the years of an axis, both included."""
    return [(number, date) for number, date in SANCTIONS if first_year <= date.year <= last_year]


def sanctions_note(first_year: int, last_year: int) -> str:
    """Legend of the vertical lines of the charts; says so when none falls within the axis."""
    marks = sanctions_within(first_year, last_year)
    if not marks:
        return "No UN Security Council resolution on coal falls within these years."
    named = listed([f"{number} ({day(date)})" for number, date in marks])
    return f"Dotted vertical lines: UN Security Council resolutions {named}."


def reference_note(reference: str, baseline_year: int | None) -> str:
    """Say what boundaries are compared with; the program draws no perimeter of its own."""
    if reference == "perimeter":
        return "Boundaries are compared with a perimeter from a named source (layer sites of the GeoPackage)."
    year = f" of {baseline_year}" if baseline_year is not None else ""
    return (
        "No sourced perimeter is known for this site. Boundaries are compared with the ground measured as occupied "
        f"in the baseline year{year}; this program draws no security perimeter."
    )


def evidence_note(mode: str) -> str:
    """Say where the pixels are that every number rests on."""
    if mode == "copy":
        return "The pixels of every scene used are kept unaltered as delivered, each file under its SHA-256 hash."
    return (
        "The pixels of the scenes used are referred to by path and SHA-256 hash, not copied; a check is complete only "
        "where that archive is at hand."
    )


def attribution(years: Sequence[int], *, simulated: bool) -> str:
    """Give the data credit: the Copernicus notice, or that no satellite took these images."""
    if simulated:
        return (
            "SIMULATED data: made by this program for tests. No satellite took these images; nothing here describes "
            "a real place."
        )
    if not years:
        return "Contains modified Copernicus Sentinel data."
    span = f"{min(years)}" if min(years) == max(years) else f"{min(years)}–{max(years)}"
    return f"Contains modified Copernicus Sentinel data {span}."


def short_credit(year: int, *, simulated: bool) -> str:
    """Credit inside an image, which may be seen without the report around it."""
    return "SIMULATED data" if simulated else attribution([year], simulated=False)
