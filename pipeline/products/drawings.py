"""Which charts and images the report holds, with their words. Pure."""

import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shapely import union_all

from pipeline.products.charts import MARK_WORDS, Chart, Point, chart_svgs
from pipeline.products.pictures import Bounds, Outlines, Picture, picture_jpeg
from pipeline.products.results import SITE_ZONE, Results
from pipeline.products.rounding import show
from pipeline.products.wording import METRICS, STATUSES, listed, metric_noun, short_credit
from pipeline.records import FootprintRow, SiteRow, StockpileChangeRow

_REVIEWED = "reviewed_"
"""What the metric of a value after a person's review begins with."""
_WIDE = ("stockpile_area_m2", "footprint_area_m2")
"""Metrics whose chart of the whole site takes the width of the page."""
_CLOSE_VIEW_M = 1_000.0
_CLOSE_WHEN_UNDER = 0.6
_CLOSE = ", close view"


@dataclass(frozen=True)
class Drawing:
    """A chart or image: file name inside the document, bytes, and its words."""

    name: str
    media_type: str
    content: bytes
    title: str
    caption: str
    alt: str
    wide: bool = False

    @property
    def data_uri(self) -> str:
        """The drawing as an address that needs no file."""
        return f"data:{self.media_type};base64,{b64encode(self.content).decode('ascii')}"


def chart_drawings(results: Results, *, simulated: bool) -> tuple[tuple[Drawing, ...], str]:
    """Draw a chart per metric and zone, the areas of the whole site wide, others half.

    Returns
    -------
    tuple
        The charts, and a sentence on zones that have none because a chart would show nothing.
    """
    charts: dict[tuple[str, str], Chart] = {}
    empty: dict[str, list[str]] = {}
    for zone_id in results.zone_ids:
        for metric in (m for m in results.metrics if not m.startswith(_REVIEWED)):
            points = results.points(zone_id, metric)
            if not points:
                continue
            chart = Chart(
                points=tuple(points),
                unit=_unit(results, zone_id, metric),
                reviewed=tuple(results.points(zone_id, f"{_REVIEWED}{metric}")),
                wide=zone_id == SITE_ZONE and metric in _WIDE,
            )
            if zone_id == SITE_ZONE or _tells(chart):
                charts[zone_id, metric] = chart
            else:
                empty.setdefault(metric, []).append(results.zone_name(zone_id))
    pictures = chart_svgs(list(charts.values()), simulated=simulated)
    drawings = tuple(
        _chart_drawing(results, key, chart, content)
        for (key, chart), content in zip(charts.items(), pictures, strict=True)
    )
    named = "; ".join(f"{metric_noun(metric)} in {listed(names)}" for metric, names in empty.items())
    note = (
        "Not drawn, since every year is 0 or without a value, no interval leaves out 0, or the number of piles says "
        f"less than their area: {named}. The table of values has them."
    )
    return tuple(replace(d, name=f"chart-{n}.svg") for n, d in enumerate(drawings, start=1)), note if named else ""


def _unit(results: Results, zone_id: str, metric: str) -> str:
    """Return the unit of a metric that has rows for a zone."""
    both = (results.measurements.values(), results.changes.values())
    return next(r.unit for rows in both for r in rows if (r.zone_id, r.metric) == (zone_id, metric))


def _tells(chart: Chart) -> bool:
    """Whether a chart of a zone shows more than a sentence would; a number of piles says less than their area."""
    if chart.unit in ("1", "count"):
        return False
    return any(map(_differs_from_0, (*chart.points, *chart.reviewed)))


def _differs_from_0(point: Point) -> bool:
    """Whether a year has a value other than 0 whose interval, where one is known, leaves out 0."""
    if not point.value or point.lo95 is None or point.hi95 is None:
        return bool(point.value)
    return not point.lo95 <= 0.0 <= point.hi95


def _chart_drawing(results: Results, key: tuple[str, str], chart: Chart, content: bytes) -> Drawing:
    """Put a chart together with its words."""
    heading = results.heading(*key)
    told = "; ".join(_told(point, chart.unit) for point in chart.points)
    reviewed = "; ".join(_told(point, chart.unit) for point in chart.reviewed)
    review = f" After review: {reviewed}." if reviewed else ""
    return Drawing(
        name="",
        media_type="image/svg+xml",
        content=content,
        title=heading,
        caption=METRICS[key[1]].meaning if key[1] in METRICS and chart.wide else "",
        alt=f"Chart of {heading} with 95 % intervals. {told}.{review}",
        wide=chart.wide,
    )


def _told(point: Point, unit: str) -> str:
    """``2018: 2.78 ha (2.57 to 2.99), increase``, or why there is no value."""
    if point.value is None:
        return f"{point.year}: {STATUSES.get(point.status, point.status)}"
    shown = show(point.value, point.lo95, point.hi95, unit)
    verdict = MARK_WORDS.get(point.mark, "")
    return f"{point.year}: {shown.value_with_unit} ({shown.interval}){f', {verdict}' if verdict else ''}"


def _pair(results: Results, pictures: Sequence[Picture]) -> list[Picture]:
    """Images of the baseline and the newest adequate year, those that there are."""
    wanted = sorted({y for y in (results.baseline_year, results.newest_year()) if y is not None})
    by_year = {picture.year: picture for picture in pictures}
    return [by_year[year] for year in wanted if year in by_year]


def picture_drawings(results: Results, pictures: Sequence[Picture], *, simulated: bool) -> tuple[Drawing, ...]:
    """Draw the two years whole, close where the largest change of a pile is, and there in short-wave infrared."""
    pair = _pair(results, pictures)
    if not pair:
        return ()
    whole = pair[0].bounds
    views = [("Whole site", whole)]
    close = _close_view(results, whole, [p.year for p in pair])
    if close is not None:
        views.append(close)
    shown = [(title, "True-colour", bounds, picture) for title, bounds in views for picture in pair]
    title, bounds = views[-1]
    # Of the closest view also what the eye does not see.
    shown += [
        (f"{title.removesuffix(_CLOSE)}, short-wave infrared", "Short-wave infrared", bounds, picture.infrared(bounds))
        for picture in pair
        if picture.infrared is not None
    ]
    return tuple(
        replace(_picture_drawing(results, *one, simulated=simulated), name=f"picture-{number}.jpg")
        for number, one in enumerate(shown, start=1)
    )


def _picture_drawing(
    results: Results, title: str, look: str, bounds: Bounds, picture: Picture, *, simulated: bool
) -> Drawing:
    """Put one image together with its words."""
    outlines = _outlines(results, picture.year)
    count = f"{len(outlines.piles)} pile outlines" if len(outlines.piles) != 1 else "1 pile outline"
    heading = f"{title}, {picture.year}"
    credit = short_credit(picture.year, simulated=simulated)
    return Drawing(
        name="",
        media_type="image/jpeg",
        content=picture_jpeg(picture, outlines, bounds, credit, simulated=simulated),
        title=heading,
        caption="",
        alt=f"{look} image, {heading}, with {count} in yellow and the footprint outline in blue.",
    )


def _close_view(results: Results, whole: Bounds, years: list[int]) -> tuple[str, Bounds] | None:
    """Window around the pile whose area differs most between the two years; None when it would show no more."""
    rows = [
        row
        for row in results.rows("stockpile_changes", StockpileChangeRow)
        if row.delta_m2 is not None and row.geometry is not None and [row.year_from, row.year_to] == years
    ]
    row = max(rows, key=lambda r: (abs(r.delta_m2 or 0.0), r.pile_id), default=None)
    if row is None:
        return None
    outlines = [pile.geometry for pile in results.piles() if pile.pile_id == row.pile_id and pile.year in years]
    window = window_around(union_all([*outlines, row.geometry]).bounds, whole, _CLOSE_VIEW_M)
    smaller = (window[2] - window[0]) < _CLOSE_WHEN_UNDER * min(whole[2] - whole[0], whole[3] - whole[1])
    return (f"Pile {row.pile_id}{_CLOSE}", window) if smaller else None


def window_around(bounds: Bounds, within: Bounds, smallest_m: float) -> Bounds:
    """Square window centred on ``bounds`` with a margin of its half, at least ``smallest_m``, inside ``within``."""
    side = max(smallest_m, 2.0 * max(bounds[2] - bounds[0], bounds[3] - bounds[1]))
    side = math.floor(min(side, within[2] - within[0], within[3] - within[1]) / 10.0) * 10.0
    x = min(max((bounds[0] + bounds[2] - side) / 2.0, within[0]), within[2] - side)
    y = min(max((bounds[1] + bounds[3] - side) / 2.0, within[1]), within[3] - side)
    return x, y, x + side, y + side


def _outlines(results: Results, year: int) -> Outlines:
    """Outlines of a year; footprints of the whole site when there are any, else of the zones."""
    footprints = [row for row in results.rows("footprints", FootprintRow) if row.year == year]
    of_site = [row for row in footprints if row.zone_id == SITE_ZONE]
    zones = [row.geometry for row in results.zones.values() if row.role in ("named", "inside")]
    perimeters = [row.geometry for row in results.rows("sites", SiteRow) if row.role == "perimeter"]
    return Outlines(
        piles=tuple((row.pile_id, row.geometry) for row in results.piles(year)),
        footprints=tuple(row.geometry for row in of_site or footprints),
        zones=(*zones, *perimeters),
    )


def picture_note(results: Results, pictures: Sequence[Picture], epsg: int) -> str:
    """Legend of the images, and which year has none."""
    wanted = sorted({y for y in (results.baseline_year, results.newest_year()) if y is not None})
    have = {picture.year for picture in pictures}
    missing = [str(year) for year in wanted if year not in have]
    lack = f" No image is at hand for {listed(missing)}." if missing else ""
    if not wanted:
        return "No year was adequate, so no images are compared."
    infrared = (
        "Short-wave infrared: bands swir22, nir and red as red, green and blue; plants are green, bare ground is "
        "reddish, dark bulk material is black. "
        if any(picture.infrared is not None for picture in pictures)
        else ""
    )
    return (
        "True-colour composites of the baseline and the newest adequate year, same stretch and same extent, grid north "
        f"up (EPSG:{epsg}). Yellow: outlines of dark bulk material. Blue: occupied ground. White, dashed: zones and "
        f"perimeters as given. {infrared}The images illustrate; no number is read from them.{lack}"
    )
