"""The index of a folder of results: every site with its verdicts, the claims over all sites, and where the sites lie.

Made from the sites' finished GeoPackages and from how each site ended last; the same results and states give the
same bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, cos, floor, radians
from pathlib import Path

from pyproj import Transformer
from shapely import union_all

from pipeline.errors import ProductError
from pipeline.printable import unplaced
from pipeline.products._documents import INDEX, MANIFEST
from pipeline.products.assets import Assets, template
from pipeline.products.atomic import atomic_path
from pipeline.products.fonts import embedded_face
from pipeline.products.geopackage import read_tables
from pipeline.products.pages import page_of
from pipeline.products.results import SITE_ZONE, Results
from pipeline.products.software import code_sha256
from pipeline.products.statements import Statement, statements
from pipeline.products.wording import METRICS, VERDICTS
from pipeline.records import ClaimRow, RunRow, SiteRow

_LAYERS = ("sites", "measurements", "changes", "claims", "run")
_CHANGE_VERDICTS = ("increase", "decrease", "no_detectable_change", "insufficient_data")
_CLAIM_VERDICTS = ("supported", "contradicted", "not_detectable", "not_observable")
_WIDE, _HIGH = 640.0, 400.0
"""Most of the drawing of the sites, in its own units."""
_ROOM = 0.6
"""Degrees around the outermost sites."""
_LINES = 8
_EVERY_SHEET = '@page { @top-center { content: "SIMULATED data"; color: #8a0046; font: 700 9pt sans-serif; } }\n'


@dataclass(frozen=True)
class Entry:
    """A site in the index.

    Attributes
    ----------
    site_id, name, kind : str
        As in the site file; the name is the id where no result tells it.
    simulated : bool
    years : str
        First and last year measured.
    verdicts : mapping
        Metric to its statement on the whole site.
    claims : mapping
        Claim to its verdict here.
    at : tuple of float or None
        Longitude and latitude of the middle of the site, degrees.
    notes : tuple of str
        That the last run failed, that the result is of another version of the program, or cannot be read.
    finished : bool
        Whether there is a report.
    """

    site_id: str
    name: str
    kind: str = ""
    simulated: bool = False
    years: str = ""
    verdicts: Mapping[str, Statement] | None = None
    claims: Mapping[str, ClaimRow] | None = None
    at: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    finished: bool = True


@dataclass(frozen=True)
class ClaimCount:
    """A claim over all sites: at which sites it has which verdict; never one pooled number."""

    claim_id: str
    quote: str
    source: str
    verdicts: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Dot:
    """A site on the small map: number, place in the drawing, name."""

    number: int
    site_id: str
    name: str
    x: float
    y: float


def write_index(out: Path, states: Mapping[str, Mapping[str, object]], folder: Path | None = None) -> Path:
    """Write ``index.html`` of a folder of results.

    Parameters
    ----------
    out : Path
        Folder of the sites' folders.
    states : mapping
        How each site ended last: ``ok`` and ``error`` by site.
    folder : Path, optional
        Where it is written; in ``out`` when left out.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ProductError
        It could not be written. A site whose result cannot be read is listed as such.
    """
    finished = {path.parent.name for path in sorted(out.glob(f"*/{MANIFEST}"))}
    known = sorted({*states, *finished})
    entries = [_entry(out, site_id, states.get(site_id), site_id in finished) for site_id in known]
    path = (folder or out) / INDEX
    with atomic_path(path) as beside:
        beside.write_text(index_of(entries), encoding="utf-8", newline="\n")
    return path


def index_of(entries: Sequence[Entry]) -> str:
    """Set the index as one page that loads nothing."""
    simulated = any(entry.simulated for entry in entries)
    names = "".join(entry.name for entry in entries)
    quotes = "".join(claim.quote + claim.source for entry in entries for claim in (entry.claims or {}).values())
    style = embedded_face(names + quotes) + "\n" + template("report.css") + (_EVERY_SHEET if simulated else "")
    dots, lines = _plot(entries)
    return page_of(
        "index.html.j2",
        Assets((style,), (template("page.js"),)),
        entries=entries,
        simulated=simulated,
        metrics=[(name, METRICS[name].title) for name in METRICS],
        verdicts=[(word, VERDICTS[word]) for word in _CHANGE_VERDICTS],
        claims=_claims(entries),
        claim_verdicts=[(word, VERDICTS[word]) for word in _CLAIM_VERDICTS],
        dots=dots,
        lines=lines,
    )


def _entry(out: Path, site_id: str, state: Mapping[str, object] | None, finished: bool) -> Entry:
    failed = ""
    if state is not None and not state.get("ok"):
        failed = f"The last run failed: {unplaced(str(state.get('error')), str(out))}"
    if not finished:
        return Entry(site_id, site_id, notes=(failed or "No finished result.",), finished=False)
    try:
        tables = read_tables(out / site_id / f"{site_id}.gpkg", _LAYERS)
    except ProductError as error:
        return Entry(
            site_id, site_id, notes=(*([failed] if failed else []), f"Cannot be read: {unplaced(str(error), str(out))}")
        )
    said = {row.key: row.value for row in tables["run"] if isinstance(row, RunRow)}
    results = Results(tables, int(said["baseline_year"]) if said.get("baseline_year") else None)
    of_site = [s for s in statements(results, float(said["fdr_q"])) if s.zone_id == SITE_ZONE]
    notes = [f"{failed}. What stands here is of an earlier run." if failed else ""]
    if said["code_sha256"] != code_sha256():
        notes.append("Made by another version of this program; the next run renews it.")
    return Entry(
        site_id,
        said["site_name"],
        said["kind"].replace("_", " "),
        said["simulated"] == "yes",
        f"{results.years[0]} to {results.years[-1]}" if results.years else "none",
        {s.metric: s for s in of_site},
        {row.claim_id: row for row in results.rows("claims", ClaimRow)},
        _middle(results, int(said["epsg"])),
        tuple(filter(None, notes)),
    )


def _middle(results: Results, epsg: int) -> tuple[float, float] | None:
    """Longitude and latitude of the middle of the area measured, to a thousandth of a degree."""
    outlines = [row.geometry for row in results.rows("sites", SiteRow) if row.role == "aoi"]
    if not outlines:
        return None
    middle = union_all(outlines).centroid
    longitude, latitude = Transformer.from_crs(epsg, 4326, always_xy=True).transform(middle.x, middle.y)
    return round(longitude, 3), round(latitude, 3)


def _claims(entries: Sequence[Entry]) -> list[ClaimCount]:
    """Return each claim with the sites of each verdict."""
    known = {claim_id: row for entry in entries for claim_id, row in sorted((entry.claims or {}).items())}
    return [ClaimCount(name, row.quote, row.source, _by_verdict(entries, name)) for name, row in sorted(known.items())]


def _by_verdict(entries: Sequence[Entry], claim_id: str) -> tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]:
    """Return each verdict with its words, and id and name of the sites at which a claim has it."""
    judged = [(entry, (entry.claims or {}).get(claim_id)) for entry in entries]
    return tuple(
        (
            word,
            VERDICTS[word],
            tuple((e.site_id, e.name) for e, row in judged if row is not None and row.verdict == word),
        )
        for word in _CLAIM_VERDICTS
    )


def _plot(entries: Sequence[Entry]) -> tuple[list[Dot], list[tuple[str, float, float, float, float]]]:
    """Place the sites by longitude and latitude on a drawing, with lines of whole degrees.

    Returns
    -------
    list of Dot
        Numbered as the rows of the table; sites without a known place are left out.
    list of (str, float, float, float, float)
        Name and both ends of each line.
    """
    placed = [(number, entry, entry.at) for number, entry in enumerate(entries, start=1) if entry.at is not None]
    if not placed:
        return [], []
    west, east = _span([at[0] for _, _, at in placed])
    south, north = _span([at[1] for _, _, at in placed])
    shrink = cos(radians((south + north) / 2))
    scale = min(_WIDE / ((east - west) * shrink), _HIGH / (north - south))
    left = (_WIDE - (east - west) * shrink * scale) / 2

    def place(longitude: float, latitude: float) -> tuple[float, float]:
        return round(left + (longitude - west) * shrink * scale, 1), round((north - latitude) * scale, 1)

    dots = [Dot(number, entry.site_id, entry.name, *place(*at)) for number, entry, at in placed]
    step = next((s for s in (1, 2, 5, 10, 20) if (north - south) / s <= _LINES), 45)
    lines = [(f"{x}° E", *place(x, north), *place(x, south)) for x in _whole(west, east, step)]
    lines += [(f"{y}° N", *place(west, y), *place(east, y)) for y in _whole(south, north, step)]
    return dots, lines


def _span(degrees: Sequence[float]) -> tuple[float, float]:
    """Least and most with room around them."""
    room = max(_ROOM, 0.1 * (max(degrees) - min(degrees)))
    return min(degrees) - room, max(degrees) + room


def _whole(first: float, last: float, step: int) -> Iterator[int]:
    return (degree for degree in range(ceil(first), floor(last) + 1) if degree % step == 0)
