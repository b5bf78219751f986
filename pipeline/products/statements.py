"""What the report says first: a statement per headline metric and zone, its numbers and where they lead. Pure."""

from dataclasses import dataclass

from pipeline.products.change_listings import found_from
from pipeline.products.results import SITE_ZONE, Results
from pipeline.products.reviewed import reviewed_figures
from pipeline.products.rounding import ABSENT
from pipeline.products.row_address import address, pair, row_address
from pipeline.products.scale import Scale
from pipeline.products.scene_listings import scenes_of
from pipeline.products.seen import in_part
from pipeline.products.spelling import legible
from pipeline.products.wording import METRICS, Sentence, dates, headline, metric_noun, metric_title, scale_of
from pipeline.records import ChangeRow, MeasurementRow

_DIFFERENCES = ("Difference", "Beyond chance")
"""Name of a difference of two years' values, and of a metric that exists between two years only."""


@dataclass(frozen=True)
class SceneLink:
    """Way to the list of a year's scenes, with how many of them the number may rest on."""

    year: int
    n_scenes: int
    anchor: str


@dataclass(frozen=True, kw_only=True)
class Statement(Sentence):
    """A sentence with its verdict, and beside it the same in short.

    Attributes
    ----------
    anchor : str
        Address in the document, ``zone/metric/2018-2023``; ``zone/metric`` where no two years were compared.
    zone_id, metric : str
        What it is about.
    years : tuple of int
        The years whose values it gives.
    place, title : str
        Name of the zone, and of the metric.
    brief : str
        One line that says the verdict in words.
    figures : tuple of (str, str)
        What stands in the sentence, each number with its name.
    scenes : tuple of SceneLink
        Lists of the scenes of its years.
    row : str
        Address of its row in the table of changes, of measurements where nothing was compared; or empty.
    delta : float or None
        Difference of the two years in the unit of the metric; None where nothing was compared.
    number : str
        The difference with its interval, else the only value with its own; or empty.
    rests_on : tuple of str
        Addresses of the rows its numbers are of.
    """

    anchor: str
    zone_id: str
    metric: str
    years: tuple[int, ...]
    place: str
    title: str
    brief: str
    figures: tuple[tuple[str, str], ...] = ()
    scenes: tuple[SceneLink, ...] = ()
    row: str = ""
    delta: float | None = None
    number: str = ""
    rests_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Compared:
    """The newest adequate year of a metric and zone beside the baseline year, in one unit."""

    zone_id: str
    metric: str
    before: MeasurementRow | None
    after: MeasurementRow | None
    change: ChangeRow | None

    @property
    def scale(self) -> Scale:
        """Unit of all its numbers."""
        return scale_of(self.before, self.after, self.change)

    @property
    def years(self) -> tuple[int, ...]:
        """Years it speaks of, in order."""
        if self.change is not None:
            return self.change.year_from, self.change.year_to
        return tuple(sorted(row.year for row in (self.before, self.after) if row is not None))


def statements(results: Results, fdr_q: float) -> tuple[Statement, ...]:
    """Make one statement per headline metric and zone: the newest adequate year against the baseline year.

    Parameters
    ----------
    results : Results
    fdr_q : float
        Largest q-value of a change.

    Returns
    -------
    tuple of Statement
        In the order of the report; empty when there is no measurement of any year.
    """
    found = []
    for zone_id in filter(results.is_headline, results.zone_ids):
        for metric in (m for m in METRICS if m in results.metrics):
            compared = newest_compared(results, zone_id, metric)
            if compared is not None:
                found.append(_statement(results, compared, fdr_q))
    return tuple(found)


def newest_compared(results: Results, zone_id: str, metric: str) -> _Compared | None:
    """Return what is known of a metric in a zone; None when it was neither measured nor compared."""
    change = results.newest_change(zone_id, metric)
    if change is None and not any(key[:2] == (zone_id, metric) for key in results.measurements):
        return None
    years = [y for y in results.measured_years(zone_id, metric) if y != results.baseline_year]
    before = results.measurements.get((zone_id, metric, results.baseline_year or 0))
    after = results.measurements.get((zone_id, metric, years[-1])) if years else None
    return _Compared(zone_id, metric, before, after, change)


def _statement(results: Results, compared: _Compared, fdr_q: float) -> Statement:
    zone_id, metric, change, years = compared.zone_id, compared.metric, compared.change, compared.years
    said = headline(metric, results.place(zone_id), compared.before, compared.after, change, fdr_q)
    span = (pair(*years),) if change is not None else ()
    row = address("changes", zone_id, metric, *span) if change is not None else ""
    if not row and compared.after is not None:
        row = address("measurements", zone_id, metric, compared.after.year)
    measured = [row_address("measurements", r) for r in (compared.before, compared.after) if r is not None]
    figures = _figures(compared)
    return Statement(
        **vars(said),
        anchor=address(zone_id, metric, *span),
        zone_id=zone_id,
        metric=metric,
        years=years,
        place="Whole site" if zone_id == SITE_ZONE else results.zone_name(zone_id),
        title=metric_title(metric),
        brief=_brief(compared, said),
        figures=(*figures, *reviewed_figures(results, zone_id, metric, years, compared.scale)),
        scenes=tuple(SceneLink(y, scenes_of(results, metric, y), address("scenes", y)) for y in years),
        row=row,
        delta=change.delta if change is not None else None,
        rests_on=tuple(dict.fromkeys([*([row] if row else []), *measured])),
        number=next((text for name, text in figures if name in _DIFFERENCES), figures[-1][1] if figures else ""),
    )


def _brief(compared: _Compared, said: Sentence) -> str:
    """Say the verdict in one line, whose numbers follow it."""
    noun, change = metric_noun(compared.metric), compared.change
    noun = noun[0].upper() + noun[1:]
    if change is None:
        return "There are no two adequate years to compare." if said.verdict else "Measured in one adequate year only."
    span = f"{change.year_from} and {change.year_to}"
    if change.delta is None:
        return f"{noun}: {span} could not be compared{f' ({legible(change.reason)})' if change.reason else ''}."
    delta = compared.scale.show(abs(change.delta), change.lo95, change.hi95).value_with_unit
    if change.verdict in ("increase", "decrease"):
        if compared.after is None:
            return f"{noun} from {change.year_from} to {change.year_to} is {delta} beyond what chance shows."
        way = "larger" if change.verdict == "increase" else "smaller"
        return f"{noun} in {change.year_to} is {delta} {way} than in {change.year_from}."
    return f"{noun}: a change between {span}, if any, is too small to tell from error and chance."


def _figures(compared: _Compared) -> tuple[tuple[str, str], ...]:
    """Name every number of the statement, all in one unit."""
    scale, change = compared.scale, compared.change
    figures = []
    for row in (compared.before, compared.after):
        if row is not None and row.value is not None:
            shown = scale.show(row.value, row.lo95, row.hi95)
            part = f", {in_part(row)}" if row.status == "partial" else ""
            figures.append((f"{row.year}", f"{shown.value_with_unit} ({shown.interval}), {dates(row.n_dates)}{part}"))
    if change is not None and change.delta is not None:
        delta = scale.show(change.delta, change.lo95, change.hi95, signed=True)
        name = _DIFFERENCES[compared.after is None]
        figures += [
            (name, f"{delta.value_with_unit} ({delta.interval})"),
            ("Called from (MDC)", scale.show(change.mdc95).value_with_unit),
            ("Found from", scale.show(found_from(change.mdc95)).value_with_unit),
        ]
    return tuple(figure for figure in figures if figure[1] != ABSENT)
