"""``review.gpkg`` of a site: what a run puts before reviewers, and the rows they hand back.

It is a working file, not a product: a run makes it when it is not there and later only adds rows for objects it does
not hold yet, through SQLite and in one transaction, so that QGIS may have it open with edits under way. Nothing in it
is ever changed, removed or replaced. It has no spatial index, whose triggers call functions that only GDAL has.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from pipeline.errors import ReviewError
from pipeline.evidence import sha256_file
from pipeline.grid import reproject
from pipeline.outlines import polygons_only
from pipeline.printable import shown
from pipeline.products._documents import MANIFEST, REVIEW
from pipeline.products._qgis import GEOMETRY_COLUMN
from pipeline.products._review_layer import COLUMNS, LAYER, MADE_FOR, OFFERED, add_functions, create, from_blob, to_blob
from pipeline.products.atomic import atomic_path
from pipeline.products.geopackage import read_rows, read_tables
from pipeline.products.results import HEADLINE_ROLES
from pipeline.records import BoundaryChangeRow, Row, RunRow, SiteRow, StockpileRow, ZoneRow
from pipeline.review.checks import RawRow, ReviewFile
from pipeline.review.decisions import Machine
from pipeline.review.outcome import gain_id

_LONLAT = 4326
_BUSY_S = 5.0
"""How long to wait for a save under way in QGIS."""
_ANEW = "move it away, and the next run makes a new one"
_MOST_ROWS = 100_000
_MOST_BLOB = 8 << 20
_MOST_FILE = 1 << 30


@dataclass(frozen=True)
class Offer:
    """One object to be reviewed, its outline in the site's CRS; ``low`` and ``high`` bound its area at 95 %."""

    kind: str
    object_id: str
    year: int
    area_m2: float
    low: float | None
    high: float | None
    tier: str | None
    outline: BaseGeometry


def offer(folder: Path, site: str) -> str | None:
    """Put what a finished site found before its reviewers: make the review file, or add what it does not hold.

    Parameters
    ----------
    folder : Path
        The site's folder, finished.
    site : str

    Returns
    -------
    str or None
        One line on what was done; None when there was nothing to do. A file that is busy, damaged, of another site or
        not ours is left as it is, and the line says so and what to do: a run does not fail by it.
    """
    path, package = folder / REVIEW, folder / f"{site}.gpkg"
    tables = read_tables(package, ("sites", "zones", "run"))
    facts = {row.key: row.value for row in tables["run"] if isinstance(row, RunRow)}
    epsg, manifest = int(facts["epsg"]), sha256_file(folder / MANIFEST)
    outlines = [row.geometry for row in tables["sites"] if isinstance(row, SiteRow)]
    zones = {z.zone_id for z in tables["zones"] if isinstance(z, ZoneRow) and z.role in HEADLINE_ROLES}
    # Row by row: of a large site the changes of ground between all years are more than a run may hold.
    piles = piles_to_review(read_rows(package, "stockpiles"))
    offers = [*piles, *gains_to_review(read_rows(package, "boundary_changes"), zones, facts["baseline_year"])]
    try:
        if not path.exists():
            with atomic_path(path) as beside:
                bounds = tuple(map(float, shapely.total_bounds(outlines)))
                create(beside, site, bounds, epsg, simulated=facts["simulated"] == "yes")
                _add(beside, site, offers, epsg, manifest)
            taken = sum(1 for _ in read_rows(package, "reviews"))
            former = f"; it does not show the {taken} decisions the ledger holds" if taken else ""
            return f"{REVIEW}: {len(offers)} objects to review{former}"
        added = _add(path, site, offers, epsg, manifest)
    except ReviewError as error:
        return f"{REVIEW}: nothing was added ({str(error).removeprefix(f'{path}: ')})"
    except sqlite3.Error as error:
        return f"{REVIEW}: nothing was added ({error}); {_remedy(error)}"
    return f"{REVIEW}: {added} objects added" if added else None


def _remedy(error: sqlite3.Error) -> str:
    """Say what to do about a file SQLite could not add to; the low byte of an extended code is the plain one."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "the next run adds what is new"
    if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}:
        return "check its permissions and the space on disk"
    return "it is damaged: move the file away, and the next run makes a new one"


def piles_to_review(rows: Iterable[Row]) -> list[Offer]:
    """Piles with the outline of their newest year; one rejected under another name is not put in again."""
    newest: dict[str, StockpileRow] = {}
    for row in rows:
        if isinstance(row, StockpileRow) and (row.pile_id not in newest or row.year > newest[row.pile_id].year):
            newest[row.pile_id] = row
    return [
        Offer("pile", r.pile_id, r.year, r.area_m2, r.area_lo95_m2, r.area_hi95_m2, r.machine_tier, r.geometry)
        for _, r in sorted(newest.items())
        if r.review != "rejected" or r.reviewed_as == r.pile_id
    ]


def gains_to_review(rows: Iterable[Row], zones: Collection[str], baseline_year: str) -> list[Offer]:
    """Certain gain of ground of some zones, from the baseline year to the newest."""
    newest: dict[str, BoundaryChangeRow] = {}
    for row in rows:
        if isinstance(row, BoundaryChangeRow) and row.change == "certain_gain" and row.zone_id in zones:
            former = newest.get(row.zone_id)
            if str(row.year_from) == baseline_year and (former is None or row.year_to > former.year_to):
                newest[row.zone_id] = row
    last = max((row.year_to for row in newest.values()), default=None)
    return [
        Offer("ground", gain_id(r.year_from, r.year_to, zone_id), r.year_to, r.area_m2, None, None, None, r.geometry)
        for zone_id, r in sorted(newest.items())
        if r.year_to == last
    ]


def read_review(path: Path) -> ReviewFile:
    """Read a review file as it was handed back, without changing it: QGIS may have it open.

    Raises
    ------
    ReviewError
        It is not there, is no review file, is too large, or is busy.
    """
    if not path.exists():
        raise ReviewError(f"{path}: is not there; stockline run makes it")
    _check_plain(path)
    if path.stat().st_size > _MOST_FILE:
        raise ReviewError(f"{path}: has more than {_MOST_FILE:,} bytes; it is no review file of this program")
    try:
        with _connected(path, "ro") as connection:
            _check_tables(path, connection)
            (epsg,) = connection.execute(
                "SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = ?", (LAYER,)
            ).fetchone()
            names = ", ".join(COLUMNS)
            query = (
                f"SELECT fid, CASE WHEN length({GEOMETRY_COLUMN}) <= {_MOST_BLOB} THEN {GEOMETRY_COLUMN} END,"  # noqa: S608 - names of ours
                f" {GEOMETRY_COLUMN} IS NULL, {names} FROM {LAYER} ORDER BY fid LIMIT {_MOST_ROWS + 1}"
            )
            rows = [_raw(*row) for row in connection.execute(query)]
            if len(rows) > _MOST_ROWS:
                raise ReviewError(f"{path}: has more than {_MOST_ROWS:,} rows; it is no review file of this program")
            offered = list(_read_offered(connection, int(epsg)))
            return ReviewFile(
                int(epsg),
                tuple(rows),
                {key: m for key, m, _ in offered},
                {key: shape for key, _, shape in offered},
                _site_of(path, connection),
            )
    except (sqlite3.Error, UnicodeDecodeError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        raise ReviewError(
            f"{path}: cannot be read as a review file ({error}); close other programs or restore it"
        ) from error


def _check_plain(path: Path) -> None:
    if not path.is_file():
        raise ReviewError(f"{path}: is no plain file; {_ANEW}")


def _site_of(path: Path, connection: sqlite3.Connection) -> str | None:
    """Site a file was made for; None where a file of an earlier version does not tell."""
    kind = connection.execute("SELECT type FROM sqlite_master WHERE name = ?", (MADE_FOR,)).fetchone()
    if kind is None:
        return None
    named = connection.execute(f"SELECT site FROM {MADE_FOR} LIMIT 2").fetchall() if kind == ("table",) else []  # noqa: S608 - a name of ours
    if len(named) != 1 or not isinstance(named[0][0], str):
        raise ReviewError(f"{path}: {MADE_FOR} does not name one site; {_ANEW}")
    return str(named[0][0])


def _check_tables(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a file that lacks what is read, by name."""
    for table, needed in ((LAYER, {"fid", GEOMETRY_COLUMN, *COLUMNS}), (OFFERED, {"object", "object_id", "outline"})):
        kind = connection.execute("SELECT type FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        there = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        lacking = sorted(needed - there)
        if kind != ("table",) or lacking:
            what = ", ".join(lacking) if kind == ("table",) else f"the table {table}"
            raise ReviewError(f"{path}: lacks {what}; move the file away, and the next run makes a new one")


def _raw(fid: int, blob: bytes | None, empty: int, *values: Any) -> RawRow:
    """Make a row of what SQLite gives; an outline that cannot be read says why."""
    row = dict(zip(COLUMNS, values, strict=True))
    if blob is None:
        return RawRow(fid, row, None, None if empty else "larger than 8 MB")
    try:
        return RawRow(fid, row, from_blob(blob))
    except (TypeError, ValueError, IndexError, shapely.errors.ShapelyError) as error:
        return RawRow(fid, row, None, f"unreadable ({error})")


def _read_offered(connection: sqlite3.Connection, epsg: int) -> Iterator[tuple[tuple[str, str], Machine, BaseGeometry]]:
    names = "object, object_id, year, area_m2, area_lo95_m2, area_hi95_m2, tier, outline, manifest_sha256"
    query = f"SELECT {names} FROM {OFFERED} LIMIT {_MOST_ROWS}"  # noqa: S608 - names of ours
    for kind, object_id, year, area, lo95, hi95, tier, outline, manifest in connection.execute(query):
        low, high = (None if bound is None else float(bound) for bound in (lo95, hi95))
        drawn = from_blob(outline)
        shape = polygons_only(reproject(drawn, epsg, _LONLAT))
        machine = Machine(int(year), float(area), low, high, tier, shape, str(manifest))
        yield (str(kind), str(object_id)), machine, drawn


@contextmanager
def _connected(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open a file that others may have open, and may have tampered with: reading runs nothing that stands in it."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_S)) as connection:
        if mode == "ro":
            connection.execute("PRAGMA trusted_schema = OFF")
        yield connection


def _add(path: Path, site: str, offers: Sequence[Offer], epsg: int, manifest: str) -> int:
    """Add the objects the file does not hold, all or none; :class:`ReviewError` when it is not this site's."""
    _check_plain(path)
    with _connected(path, "rw") as connection:
        connection.isolation_level = None
        add_functions(connection)
        connection.execute("BEGIN IMMEDIATE")
        _check_tables(path, connection)
        named = _site_of(path, connection)
        if named not in {None, site}:
            raise ReviewError(f"{path}: is of site {shown(repr(named))}, not of {site}; {_ANEW}")
        held = set(connection.execute(f"SELECT object, object_id FROM {OFFERED}"))  # noqa: S608 - a name of ours
        fresh = [o for o in offers if (o.kind, o.object_id) not in held]
        for o in fresh:
            _insert(connection, o, epsg, manifest)
        connection.execute("COMMIT")
    return len(fresh)


def _insert(connection: sqlite3.Connection, o: Offer, epsg: int, manifest: str) -> None:
    outline = to_blob(o.outline, epsg)
    connection.execute(
        f"INSERT INTO {OFFERED} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a name of ours
        (o.kind, o.object_id, o.year, o.area_m2, o.low, o.high, o.tier, outline, manifest),
    )
    connection.execute(
        f"INSERT INTO {LAYER} ({GEOMETRY_COLUMN}, review_id, object, object_id, machine_year, machine_area_m2,"  # noqa: S608 - names of ours
        " machine_area_lo95_m2, machine_area_hi95_m2, machine_tier) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            outline,
            f"{o.kind} {o.object_id}",
            o.kind,
            o.object_id,
            # To be read, not to be reckoned with: whole square metres.
            *(o.year, *(None if area is None else round(area) for area in (o.area_m2, o.low, o.high)), o.tier),
        ),
    )
