"""What QGIS looks for in a GeoPackage beside the layers: their default styles and a project.

The tables are those QGIS 3.22 makes; ``layer_styles`` is registered as an attributes table, ``qgis_projects`` is not.
"""

import io
import json
import sqlite3
import zipfile
from pathlib import Path

from pipeline.products import styles
from pipeline.products._columns import Layer
from pipeline.products._project import ProjectFrame, project
from pipeline.products.atomic import atomic_path
from pipeline.products.stretch import Composites
from pipeline.records import LAYERS

FIXED_TIME = "1980-01-01T00:00:00.000Z"
"""Stands wherever a format wants the time of writing (the first day a zip can hold); run.json has the real one."""
PROJECT_NAME = "stockline"
GEOMETRY_COLUMN = "geom"

LAYER_STYLES = """
CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
 f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
 styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
 update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))
"""
_QGIS_PROJECTS = "CREATE TABLE qgis_projects (name TEXT PRIMARY KEY, metadata BLOB, content BLOB)"


def embed_styles(connection: sqlite3.Connection, note: str, *, simulated: bool, gathered: bool = False) -> None:
    """Add the table from which QGIS takes the style of a layer that is opened on its own.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open GeoPackage with all layers of :data:`pipeline.records.LAYERS`.
    note : str
        What every description begins with.
    simulated : bool
        True marks the table as SIMULATED.
    gathered : bool
        True of the file of all sites, whose rows name their site.
    """
    connection.execute(LAYER_STYLES)
    connection.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id)"
        " VALUES ('layer_styles', 'attributes', ?, ?, ?, 0)",
        (styles.prefix(simulated=simulated) + "layer_styles", note + "How QGIS draws the layers.", FIXED_TIME),
    )
    connection.executemany(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,"
        " styleQML, styleSLD, useAsDefault, description, owner, ui, update_time)"
        " VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '', NULL, ?)",
        [
            (
                name,
                _geometry_column(name),
                name,
                styles.qml(name, simulated=simulated, gathered=gathered),
                note + "Default style",
                FIXED_TIME,
            )
            for name in LAYERS
        ],
    )


def _geometry_column(layer: str) -> str:
    """Return what ``layer_styles`` says of a layer; QGIS asks for the style of a table without geometry by ''."""
    return GEOMETRY_COLUMN if Layer.of(layer).spatial else ""


def embed_project(connection: sqlite3.Connection, frame: ProjectFrame) -> None:
    """Add a QGIS project: a zip of one .qgs, stored as lower-case hexadecimal text as QGIS does.

    Parameters
    ----------
    connection : sqlite3.Connection
        An open GeoPackage.
    frame : ProjectFrame
        Title, CRS, extent, years and composites of the project.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        # Stored, not deflated: the bytes then do not depend on the machine's zlib.
        entry = zipfile.ZipInfo(f"{PROJECT_NAME}.qgs", date_time=(1980, 1, 1, 0, 0, 0))
        entry.create_system = 3
        file.writestr(entry, project(frame))
    metadata = {"last_modified_time": FIXED_TIME[:19], "last_modified_user": PROJECT_NAME}
    connection.execute(_QGIS_PROJECTS)
    connection.execute(
        "INSERT INTO qgis_projects (name, metadata, content) VALUES (?, ?, ?)",
        (PROJECT_NAME, json.dumps(metadata), archive.getvalue().hex()),
    )


def write_composite_styles(folder: Path, composites: Composites) -> None:
    """Write beside each composite the style QGIS takes for it when it is opened on its own: true colour."""
    for year in composites.years:
        with atomic_path(folder / f"{year}.qml") as beside:
            text = styles.composite_qml(year, composites.looks["true"])
            beside.write_text(text, encoding="utf-8", newline="\n")
