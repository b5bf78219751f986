"""Reviews for tests: decisions, piles of known outline, and a reviewer's hand in a review file through SQLite alone."""

import contextlib
import dataclasses
import datetime as dt
import sqlite3
import struct
from pathlib import Path

import shapely
import yaml
from shapely.geometry import MultiPolygon, box

from pipeline.findings import PileSeries, PileYear
from pipeline.grid import reproject
from pipeline.review.decisions import Decision, Machine, rounded

EPSG = 32652
CORNER = (400_000.0, 4_400_000.0)
DAY = dt.date(2024, 3, 1)
MANIFEST = "ab" * 32


def square(x_m: float, y_m: float, edge_m: float = 100.0, height_m: float | None = None) -> MultiPolygon:
    """Give a rectangle with a corner at metres from the test corner, in UTM."""
    left, bottom = CORNER[0] + x_m, CORNER[1] + y_m
    return MultiPolygon([box(left, bottom, left + edge_m, bottom + (height_m or edge_m))])


def lonlat(outline):
    return rounded(reproject(outline, EPSG, 4326))


def machine(outline=None, year=2022):
    shape = square(0, 0) if outline is None else outline
    return Machine(year, 1e4, 9e3, 1.1e4, "probable", lonlat(shape), MANIFEST)


def decided(choice="accept", object_id="p1", analyst="Kim", **more):
    """Make a decision on a pile, sound unless told otherwise; ``line`` grows by itself where it matters."""
    base = Decision("pile", object_id, None, choice, analyst, DAY, "because", "composites", machine=machine(), line=1)
    return dataclasses.replace(base, **more)


def drew(outline, object_id="p1", year=2022, analyst="Kim", uncertainty_m=2.0, **more):
    """Make an edit of a pile's outline."""
    given = {"year": year, "outline": lonlat(outline), "uncertainty_m": uncertainty_m}
    return decided("edit", object_id, analyst, **(given | more))


def own(outline, object_id="own-1", year=2022, choice="own", **more):
    """Make an outline of the reviewer's own, of a pile unless told otherwise."""
    given = {
        "kind": "own_pile", "year": year, "outline": None if outline is None else lonlat(outline), "uncertainty_m": 2.0,
        "source": "aerial", "source_date": dt.date(2022, 6, 1), "machine": None,
    }  # fmt: skip
    return decided(choice, object_id, **(given | more))


def pile(pile_id, outlines, tier="probable", sigma_m2=100.0):
    """Make a pile whose outline is known; 0 is a year seen without it, None a year that cannot be judged."""
    years = []
    for year, outline in outlines.items():
        if outline is None or outline == 0:
            area, sigma, shape, of_year = (None, None, None, None) if outline is None else (0.0, 50.0, None, None)
        else:
            area, sigma, shape, of_year = outline.area, sigma_m2, outline, tier
        years.append(PileYear(year, area, sigma, 8, 150.0, 1.0, of_year, shape))
    first = next(o for o in outlines.values() if isinstance(o, MultiPolygon))
    return PileSeries(pile_id, (first.centroid.x, first.centroid.y), tuple(years))


# --- a reviewer's hand ---

SIGNED = {"analyst": "A. Kim", "reviewed_on": "2024-03-01", "imagery": "composites 2018-2019"}
OWN = {"decision": "own", "source": "aerial survey", "source_date": "2019-06-01", "uncertainty_m": 2.0, **SIGNED}


@contextlib.contextmanager
def opened(path: Path):
    connection = sqlite3.connect(path)
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def rows_of(path):
    """Rows of a review file as dictionaries, the outline as a shape."""
    with opened(path) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) | {"geom": shape_of(row["geom"])} for row in connection.execute("SELECT * FROM review")]


def shape_of(blob):
    return None if blob is None else shapely.from_wkb(blob[8 + (0, 32, 48, 48, 64)[blob[3] >> 1 & 7] :])


def blob_of(shape, epsg):
    left, bottom, right, top = shape.bounds
    return struct.pack("<2sBBi4d", b"GP", 0, 3, epsg, left, right, bottom, top) + shapely.to_wkb(shape, byte_order=1)


def put(path, fid, **values):
    """Fill in a row as a form would."""
    listed = ", ".join(f"{name} = ?" for name in values)
    query = f"UPDATE review SET {listed} WHERE fid = ?"  # noqa: S608 - names of columns
    with opened(path) as connection:
        done = connection.execute(query, (*values.values(), fid))
        assert done.rowcount == 1


def draw(path, shape, **values):
    """Digitise a feature."""
    with opened(path) as connection:
        (epsg,) = connection.execute("SELECT srs_id FROM gpkg_geometry_columns").fetchone()
        names = ", ".join(("geom", *values))
        marks = ", ".join("?" * (len(values) + 1))
        query = f"INSERT INTO review ({names}) VALUES ({marks})"  # noqa: S608 - names of columns
        connection.execute(query, (blob_of(shape, epsg), *values.values()))


def copy_row(path, fid, **values):
    """Copy and paste a feature, and sign the copy."""
    with opened(path) as connection:
        table = connection.execute("SELECT name FROM pragma_table_info('review')").fetchall()
        names = [name for (name,) in table if name != "fid"]
        listed = ", ".join(names)
        query = f"INSERT INTO review ({listed}) SELECT {listed} FROM review WHERE fid = ?"  # noqa: S608 - as above
        connection.execute(query, (fid,))
        (fresh,) = connection.execute("SELECT max(fid) FROM review").fetchone()
    if values:
        put(path, fresh, **values)
    return fresh


def without(path, *object_ids):
    """Leave a review file as an earlier run made it, before these objects were found; none named: any."""
    with opened(path) as connection:
        for table in ("review", "offered"):
            every = f"DELETE FROM {table}"  # noqa: S608 - two names of ours
            for name in object_ids:
                connection.execute(f"{every} WHERE object_id = ?", (name,))
            if not object_ids:
                connection.execute(every)


def write_config(folder, archive):
    """Write a configuration beside which reviews lie, for the archive of another folder."""
    settings = yaml.safe_load((archive / "config.yaml").read_text("utf-8"))
    for key in ("sites", "claims"):
        settings[key] = str(archive / settings[key])
    settings["source"]["url"] = str(archive / settings["source"]["url"])
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings | {"out": "results", "reviews": "decided"}), encoding="utf-8")
    return path
