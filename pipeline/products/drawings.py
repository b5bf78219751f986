"""Which charts and images the report holds, with their words. Pure."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from shapely import union_all

from pipeline.products.charts import chart_svg
from pipeline.products.pictures import Bounds, Outlines, Picture, picture_jpeg, window_around
from pipeline.products.results import SITE_ZONE, Results
from pipeline.products.rounding import show
from pipeline.products.wording import METRICS, STATUSES, listed, short_credit
from pipeline.records import FootprintRow, SiteRow, StockpileChangeRow

_CLOSE_VIEW_M = 1_000.0
_CLOSE_WHEN_UNDER = 0.6


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


def chart_drawings(results: Results, *, simulated: bool) -> tuple[Drawing, ...]:
    """Draw a chart per metric and zone: the whole site wide, others half; none for a zone without any value."""
    drawings: list[Drawing] = []
    for zone_id in results.zone_ids:
        for metric in results.metrics:
            points = results.points(zone_id, metric)
            wide = zone_id == SITE_ZONE
            if not points or (not wide and all(p.value is None for p in points)):
                continue
            unit = next(
                r.unit
                for rows in (results.measurements.values(), results.changes.values())
                for r in rows
                if (r.zone_id, r.metric) == (zone_id, metric)
            )
            told = []
            for p in points:
                shown = show(p.value, p.lo95, p.hi95, unit)
                value = (
                    f"{shown.value_with_unit} ({shown.interval})"
                    if p.value is not None
                    else STATUSES.get(p.status, p.status)
                )
                told.append(f"{p.year}: {value}")
            heading = results.heading(zone_id, metric)
            drawings.append(
                Drawing(
                    name=f"chart-{len(drawings) + 1}.svg",
                    media_type="image/svg+xml",
                    content=chart_svg(points, unit, wide=wide, simulated=simulated).encode("utf-8"),
                    title=heading,
                    caption=METRICS[metric].meaning if metric in METRICS and wide else "",
                    alt=f"Chart of {heading} with 95 % intervals. {'; '.join(told)}.",
                    wide=wide,
                )
            )
    return tuple(drawings)


def _pair(results: Results, pictures: Sequence[Picture]) -> list[Picture]:
    """Images of the baseline and the newest adequate year, those that there are."""
    wanted = sorted({y for y in (results.baseline_year, results.newest_year()) if y is not None})
    by_year = {picture.year: picture for picture in pictures}
    return [by_year[year] for year in wanted if year in by_year]


def picture_drawings(results: Results, pictures: Sequence[Picture], *, simulated: bool) -> tuple[Drawing, ...]:
    """Draw the two years whole, and close where the largest change of a pile is."""
    pair = _pair(results, pictures)
    if not pair:
        return ()
    whole = pair[0].bounds
    views = [("Whole site", whole)]
    close = _close_view(results, whole, [p.year for p in pair])
    if close is not None:
        views.append(close)
    drawings: list[Drawing] = []
    for title, bounds in views:
        for picture in pair:
            credit = short_credit(picture.year, simulated=simulated)
            outlines = _outlines(results, picture.year)
            count = f"{len(outlines.piles)} pile outlines" if len(outlines.piles) != 1 else "1 pile outline"
            heading = f"{title}, {picture.year}"
            drawings.append(
                Drawing(
                    name=f"picture-{len(drawings) + 1}.jpg",
                    media_type="image/jpeg",
                    content=picture_jpeg(picture, outlines, bounds, credit, simulated=simulated),
                    title=heading,
                    caption="",
                    alt=f"True-colour image, {heading}, with {count} in yellow and the footprint outline in blue.",
                )
            )
    return tuple(drawings)


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
    return (f"Pile {row.pile_id}, close view", window) if smaller else None


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
    return (
        "True-colour composites of the baseline and the newest adequate year, same stretch and same extent, grid north "
        f"up (EPSG:{epsg}). Yellow: outlines of dark bulk material. Blue: occupied ground. White, dashed: zones and "
        f"perimeters as given. The images illustrate; no number is read from them.{lack}"
    )
