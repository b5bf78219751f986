"""The layer ``review`` as an empty file with its form, and geometries the way a GeoPackage holds them."""

import sqlite3
import struct
from contextlib import closing
from importlib import resources
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from pipeline.products import styles
from pipeline.products._qgis import FIXED_TIME, GEOMETRY_COLUMN, LAYER_STYLES
from pipeline.products.atomic import write_error
from pipeline.products.geopackage import ENVELOPE_BYTES, SIMULATED_NOTE, VERSION

LAYER = "review"
OFFERED = "offered"
"""Table of what each object was when it was put in; no form shows it, so that no slip changes it."""
MADE_FOR = "made_for"
"""Table of one row: the site."""

COLUMNS: dict[str, str] = {
    "review_id": "TEXT", "object": "TEXT", "object_id": "TEXT", "year": "INTEGER", "decision": "TEXT", "reason": "TEXT",
    "analyst": "TEXT", "reviewed_on": "DATE", "imagery": "TEXT", "source": "TEXT", "source_date": "DATE",
    "uncertainty_m": "REAL", "machine_year": "INTEGER", "machine_area_m2": "REAL", "machine_area_lo95_m2": "REAL",
    "machine_area_hi95_m2": "REAL", "machine_tier": "TEXT",
}  # fmt: skip
"""Columns of the layer beside its geometry, and their types."""


def create(path: Path, site: str, bounds: tuple[float, ...], epsg: int, *, simulated: bool) -> None:
    """Make a review file without rows.

    Parameters
    ----------
    path : Path
        Nothing is there yet.
    site : str
        Id of the site.
    bounds : tuple of float
        Left, bottom, right, top of the site, metres.
    epsg : int
        Of the site's UTM zone.
    simulated : bool
        True marks the layer as SIMULATED.
    """
    note = SIMULATED_NOTE if simulated else ""
    _write_empty(path, epsg, styles.prefix(simulated=simulated), note)
    form = resources.files("pipeline.products.styles").joinpath("review.qml").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            f"CREATE TABLE {OFFERED} (object TEXT NOT NULL, object_id TEXT NOT NULL, year INTEGER NOT NULL,"
            " area_m2 REAL NOT NULL, area_lo95_m2 REAL, area_hi95_m2 REAL, tier TEXT, outline BLOB NOT NULL,"
            " manifest_sha256 TEXT NOT NULL, PRIMARY KEY (object, object_id))"
        )
        connection.execute(f"CREATE TABLE {MADE_FOR} (site TEXT NOT NULL)")
        connection.execute(f"INSERT INTO {MADE_FOR} VALUES (?)", (site,))  # noqa: S608 - a name of ours
        connection.execute(
            "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? WHERE table_name = ?",
            (*bounds, LAYER),
        )
        connection.execute(LAYER_STYLES)
        connection.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id)"
            " VALUES ('layer_styles', 'attributes', ?, ?, ?, 0)",
            (styles.prefix(simulated=simulated) + "layer_styles", note + "How QGIS shows the layer.", FIXED_TIME),
        )
        connection.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,"
            " styleQML, styleSLD, useAsDefault, description, owner, ui, update_time)"
            " VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '', NULL, ?)",
            (LAYER, GEOMETRY_COLUMN, LAYER, form, note + "Form and look of the review", FIXED_TIME),
        )


def _write_empty(path: Path, epsg: int, prefix: str, note: str) -> None:
    """Have GDAL make the file and its one layer."""
    import pyogrio  # noqa: PLC0415 - it brings pandas with it
    from pyogrio.errors import DataLayerError, DataSourceError  # noqa: PLC0415

    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_TIME})
    kinds = {"TEXT": "object", "INTEGER": "int64", "REAL": "float64", "DATE": "datetime64[D]"}
    try:
        pyogrio.raw.write(
            str(path),
            np.array([], dtype=object),
            field_data=[np.array([], dtype=kinds[kind]) for kind in COLUMNS.values()],
            fields=list(COLUMNS),
            layer=LAYER,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=f"EPSG:{epsg}",
            encoding="UTF-8",
            # Without the count of rows GDAL keeps aside: it would overwrite ours with what it had counted before.
            dataset_options={"VERSION": VERSION, "ADD_GPKG_OGR_CONTENTS": "NO"},
            layer_options={
                "IDENTIFIER": prefix + LAYER,
                "DESCRIPTION": note + "Objects to review: a working file, read by stockline review.",
                "GEOMETRY_NAME": GEOMETRY_COLUMN,
                "SPATIAL_INDEX": "NO",
            },
        )
    except (DataLayerError, DataSourceError) as error:
        raise write_error(path, error) from error


def to_blob(outline: BaseGeometry, epsg: int) -> bytes:
    """Write a geometry with the header of a GeoPackage (OGC 12-128r17, 2.1.3): little-endian, envelope of x and y."""
    whole = outline if isinstance(outline, MultiPolygon) else MultiPolygon([outline])
    left, bottom, right, top = whole.bounds
    header = struct.pack("<2sBBi4d", b"GP", 0, 0b011, epsg, left, right, bottom, top)
    return header + bytes(shapely.to_wkb(whole, output_dimension=2, byte_order=1, flavor="iso"))


def from_blob(blob: bytes) -> BaseGeometry:
    """Read a geometry of a GeoPackage; ValueError or a ShapelyError when it is none."""
    if not isinstance(blob, bytes) or blob[:2] != b"GP":
        raise ValueError("geometry is not in GeoPackage form")
    geometry: BaseGeometry = shapely.from_wkb(blob[8 + ENVELOPE_BYTES[(blob[3] >> 1) & 0b111] :])
    return geometry


def add_functions(connection: sqlite3.Connection) -> None:
    """Give SQLite what the triggers of a spatial index call, which a reviewer may have added to the layer in QGIS."""
    for place, name in enumerate(("ST_MinX", "ST_MinY", "ST_MaxX", "ST_MaxY")):
        connection.create_function(name, 1, lambda blob, place=place: from_blob(blob).bounds[place], deterministic=True)
    connection.create_function("ST_IsEmpty", 1, lambda blob: int(from_blob(blob).is_empty), deterministic=True)
