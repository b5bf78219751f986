"""The GeoPackage: every layer of :data:`pipeline.records.LAYERS`, styled for QGIS, the same bytes for the same rows.

GDAL writes the layers, :mod:`sqlite3` adds what QGIS looks for (``layer_styles``, ``qgis_projects``), and
:mod:`sqlite3` reads everything back, so that a lost NULL or a date turned to text shows in the round trip.
"""

import datetime as dt
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from pipeline.errors import ProductError
from pipeline.products import styles
from pipeline.products._columns import GEOMETRY_FIELD, Column, Layer, Value
from pipeline.products._project import ProjectFrame
from pipeline.products._qgis import FIXED_TIME, GEOMETRY_COLUMN, embed_project, embed_styles
from pipeline.products.atomic import atomic_path, write_error
from pipeline.products.stretch import LOOKS, Composites
from pipeline.products.wording import attribution
from pipeline.records import LAYERS, FootprintRow, Row, StockpileRow, Tables

VERSION = "1.3"
"""1.4 makes QGIS 3.22 and GDAL 3.6 warn of partial support."""
GDAL_UTC = 100
"""GDAL's time zone flag for UTC."""
ENVELOPE_BYTES = (0, 32, 48, 48, 64)
"""Size of a geometry's envelope by its indicator (OGC 12-128r17, 2.1.3)."""
SOURCE_NOTE = "Inputs, code and settings are in manifest.json beside this file."
SIMULATED_NOTE = "SIMULATED: made from simulated scenes; nothing in it is an observation. "
NO_COMPOSITES = Composites((), dict.fromkeys(LOOKS, ()))


def write_geopackage(
    path: Path, tables: Tables, epsg: int, title: str, simulated: bool, composites: Composites = NO_COMPOSITES
) -> None:
    """Write all layers, with their styles and a QGIS project, replacing a former file only when whole.

    Rows are written in the order given. In a column that may be None, NaN and the empty string become
    NULL. Polygons become multipolygons, times become UTC to the millisecond. The bytes depend on the
    arguments and on the file's own name alone (the project inside the file refers to it).

    Parameters
    ----------
    path : Path
        File to be made or replaced; ends in ``.gpkg``.
    tables : Tables
        Rows of each layer of LAYERS; geometries in metres of the CRS.
    epsg : int
        Code of the site's UTM zone.
    title : str
        Title of the file and of the project.
    simulated : bool
        True marks the file, every layer and the project as SIMULATED.
    composites : Composites
        Of the folder ``composites`` beside the file, shown by the project.

    Raises
    ------
    ProductError
        A row holds what its column cannot, a layer is missing, or the file could not be written; a former
        file is untouched.
    """
    if set(tables) != set(LAYERS):
        raise ProductError(
            f"{path}: layers {sorted(set(tables) ^ set(LAYERS))} are missing or unknown; nothing is written"
        )
    with package_beside(path) as beside:
        target = Target(path, beside, epsg, title, simulated)
        for name in LAYERS:
            write_layer(target, Layer.of(name), tables[name])
        with closing(connect(beside)) as connection, connection:
            _check_counts(path, connection, tables)
            embed_styles(connection, target.note, simulated=simulated)
            embed_project(connection, _frame(target, tables, composites))


def connect(beside: Path) -> sqlite3.Connection:
    """Open a file of :func:`package_beside`, whose pages need not reach the disk one by one."""
    connection = sqlite3.connect(beside)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


@contextmanager
def package_beside(path: Path) -> Iterator[Path]:
    """Yield where a GeoPackage is written; its bytes depend on its content alone, and it takes its place when whole.

    Raises
    ------
    ProductError
        The file could not be written; a former file is untouched.
    """
    # It brings pandas with it: a third of a second that only who writes a file should wait for.
    import pyogrio  # noqa: PLC0415
    from pyogrio.errors import DataLayerError, DataSourceError  # noqa: PLC0415

    # Never set back: a second writer in another thread may still be at work, and no other time is wanted. Nor is any
    # layer forced to the disk by itself: the file takes the place of the former when all of it is there.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": FIXED_TIME, "OGR_SQLITE_SYNCHRONOUS": "OFF"})
    with atomic_path(path) as beside:
        try:
            yield beside
        except (DataSourceError, DataLayerError, sqlite3.Error) as error:
            raise write_error(path, error) from error


def read_tables(path: Path, names: Iterable[str] = tuple(LAYERS)) -> Tables:
    """Read layers back into the records they were written from.

    Parameters
    ----------
    path : Path
        A file of :func:`write_geopackage`.
    names : iterable of str
        Of the layers that are read; all of LAYERS when left out.

    Returns
    -------
    Tables
        Every layer asked for with its rows in file order; NULL is None, geometries are multipolygons,
        times are in UTC.

    Raises
    ------
    ProductError
        The file is missing or broken, or lacks a layer or a column, or a value does not fit its column.
    """
    return {name: list(read_rows(path, name)) for name in names}


def read_rows(path: Path, name: str) -> Iterator[Row]:
    """Give the rows of one layer one after the other, as :func:`read_tables` reads them."""
    if not path.is_file():
        raise ProductError(f"{path}: is not there; run the site first")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield from _read_layer(path, connection, Layer.of(name))
    except sqlite3.Error as error:
        raise ProductError(
            f"{path}: cannot be read as a GeoPackage ({error}); run the site again with --force"
        ) from error


@dataclass(frozen=True)
class Target:
    """The file being written and what all its layers share."""

    path: Path
    beside: Path
    epsg: int
    title: str
    simulated: bool
    rests_on: str = SOURCE_NOTE

    @property
    def note(self) -> str:
        """What every description begins with."""
        return SIMULATED_NOTE if self.simulated else ""


def write_layer(target: Target, layer: Layer, rows: Sequence[Any]) -> None:
    """Add one layer, whose table is made also when there is no row, or more rows to a layer that is there."""
    from pyogrio.raw import write  # noqa: PLC0415 - as above

    cells = [_clean(target.path, layer, column, rows) for column in layer.columns]
    times = [column.name for column in layer.columns if column.type is dt.datetime]
    first = not target.beside.exists()
    write(
        str(target.beside),
        _geometries(target.path, layer, rows) if layer.spatial else None,
        field_data=[column.array(values) for column, values in zip(layer.columns, cells, strict=True)],
        fields=[column.name for column in layer.columns],
        field_mask=[np.array([value is None for value in values], dtype=bool) for values in cells],
        layer=layer.name,
        driver="GPKG",
        geometry_type="MultiPolygon" if layer.spatial else None,
        crs=f"EPSG:{target.epsg}" if layer.spatial else None,
        encoding="UTF-8",
        append=not first,
        dataset_options={"VERSION": VERSION} if first else None,
        dataset_metadata={"TITLE": target.title, "NOTE": target.note + target.rests_on} if first else None,
        layer_options={
            "IDENTIFIER": styles.prefix(simulated=target.simulated) + layer.name,
            "DESCRIPTION": target.note + layer.summary,
            **({"GEOMETRY_NAME": GEOMETRY_COLUMN, "SPATIAL_INDEX": "YES"} if layer.spatial else {}),
        },
        gdal_tz_offsets={name: np.full(len(rows), GDAL_UTC) for name in times},
    )


def _clean(path: Path, layer: Layer, column: Column, rows: Sequence[Any]) -> list[Value]:
    """Return what one column stores for each row."""
    values: list[Value] = []
    for index, row in enumerate(rows):
        value = getattr(row, column.field)
        try:
            values.append(column.clean(value))
        except (TypeError, ValueError) as error:
            where = f"layer {layer.name}, row {index}, column {column.name}"
            raise ProductError(f"{path}: {where} = {value!r}: {error}; nothing is written") from error
    return values


def _geometries(path: Path, layer: Layer, rows: Sequence[Any]) -> NDArray[np.object_]:
    """Return the rows' polygons as WKB of multipolygons, None for NULL."""
    shapes: list[BaseGeometry | None] = []
    for index, row in enumerate(rows):
        shape = getattr(row, GEOMETRY_FIELD)
        if shape is None and layer.geometry_nullable:
            shapes.append(None)
        elif isinstance(shape, Polygon | MultiPolygon) and np.isfinite(shapely.get_coordinates(shape)).all():
            shapes.append(shape if isinstance(shape, MultiPolygon) else MultiPolygon([shape]))
        else:
            kind = "missing" if shape is None else f"a {shape.geom_type} or has coordinates that are not numbers"
            raise ProductError(f"{path}: layer {layer.name}, row {index}: geometry is {kind}; nothing is written")
    wkb = np.empty(len(shapes), dtype=object)
    wkb[:] = shapely.to_wkb(np.array(shapes, dtype=object), output_dimension=2, byte_order=1, flavor="iso")
    return wkb


def _check_counts(path: Path, connection: sqlite3.Connection, tables: Tables) -> None:
    """Refuse a file that lost rows: a full disk can pass the driver without an exception."""
    for name, rows in tables.items():
        (count,) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608 - a name of LAYERS
        if count != len(rows):
            raise write_error(path, f"layer {name} holds {count} of {len(rows)} rows")


def _frame(target: Target, tables: Tables, composites: Composites) -> ProjectFrame:
    """Return extent and years of what the tables hold."""
    # Outlines that were taken out are empty, and bound nothing.
    shapes = [shape for row in tables["sites"] if not (shape := getattr(row, GEOMETRY_FIELD)).is_empty]
    outlined = {row.year for rows in tables.values() for row in rows if isinstance(row, StockpileRow | FootprintRow)}
    years = sorted(outlined | set(composites.years))
    return ProjectFrame(
        file_name=target.path.name,
        title=target.title,
        epsg=target.epsg,
        simulated=target.simulated,
        bounds=tuple(shapely.total_bounds(shapes)) if shapes else None,
        years=(years[0], years[-1]) if years else None,
        composites=composites,
        credit=attribution(years, simulated=target.simulated),
    )


def _read_layer(path: Path, connection: sqlite3.Connection, layer: Layer) -> Iterator[Row]:
    """Give the rows of one layer in the order they were written."""
    present = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (layer.name,))}
    if not present:
        raise ProductError(f"{path}: layer {layer.name} is missing; run the site again with --force")
    names = [column.name for column in layer.columns] + ([GEOMETRY_COLUMN] if layer.spatial else [])
    # Asked first: SQLite reads a quoted name it does not know as a text.
    if missing := [name for name in names if name not in present]:
        raise ProductError(f"{path}: layer {layer.name} lacks {', '.join(missing)}; run the site again with --force")
    listed = ", ".join(f'"{name}"' for name in names)
    query = f'SELECT {listed} FROM "{layer.name}" ORDER BY fid'  # noqa: S608 - names of LAYERS
    for index, stored in enumerate(connection.execute(query)):
        try:
            values: dict[str, Any] = {
                column.field: column.parse(value) for column, value in zip(layer.columns, stored, strict=False)
            }
            if layer.spatial:
                values[GEOMETRY_FIELD] = _parse_geometry(layer, stored[-1])
        except (TypeError, ValueError, shapely.errors.ShapelyError) as error:
            raise ProductError(
                f"{path}: layer {layer.name}, row {index}: {error}; run the site again with --force"
            ) from error
        yield layer.record(**values)


def _parse_geometry(layer: Layer, blob: bytes | None) -> BaseGeometry | None:
    """Return the geometry behind a GeoPackage header (OGC 12-128r17, 2.1.3)."""
    if blob is None:
        if layer.geometry_nullable:
            return None
        raise ValueError("geometry is missing")
    if blob[:2] != b"GP":
        raise ValueError("geometry is not in GeoPackage form")
    envelope_bytes = ENVELOPE_BYTES[(blob[3] >> 1) & 0b111]
    geometry: BaseGeometry = shapely.from_wkb(blob[8 + envelope_bytes :])
    return geometry
