"""A finished GeoPackage as exports are made of it: who it is about, its rows one by one, its outlines on the globe."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from pipeline.errors import ProductError
from pipeline.grid import reproject
from pipeline.products._columns import GEOMETRY_FIELD
from pipeline.products.geopackage import read_rows, read_tables
from pipeline.records import Row, RunRow

_LONLAT = 4326
_DECIMALS = 7
"""Of a degree: 1 cm, far below what is measured, and the same digits whatever the library that reprojects."""


@dataclass(frozen=True)
class Finished:
    """A site's GeoPackage and the facts of its layer ``run`` that all exports need."""

    path: Path
    site_id: str
    site_name: str
    epsg: int
    simulated: bool

    @classmethod
    def at(cls, path: Path) -> "Finished":
        """Read the facts of a file of :func:`pipeline.products.geopackage.write_geopackage`.

        Raises
        ------
        ProductError
            The file is missing or broken, or lacks a fact.
        """
        facts = {row.key: row.value for row in read_tables(path, ["run"])["run"] if isinstance(row, RunRow)}
        try:
            simulated = facts["simulated"] == "yes"
            return cls(path, facts["site_id"], facts["site_name"], int(facts["epsg"]), simulated)
        except (KeyError, ValueError) as error:
            raise ProductError(f"{path}: layer run lacks {error}; run the site again with --force") from error

    def marked(self, name: str) -> str:
        """Return a name as a reader is shown it: of simulated results it begins with SIMULATED."""
        return name if not self.simulated or name.startswith("SIMULATED") else f"SIMULATED {name}"

    def rows(self, layer: str) -> Iterator[Row]:
        """Rows of a layer in file order, read as they are asked for."""
        return read_rows(self.path, layer)

    def outline(self, row: Row) -> BaseGeometry | None:
        """Outline of a row in longitude and latitude, outer rings counter-clockwise; None where it has none."""
        shape: BaseGeometry | None = getattr(row, GEOMETRY_FIELD)
        if shape is None or shape.is_empty:
            return None
        on_globe = shapely.transform(reproject(shape, self.epsg, _LONLAT), _rounded)
        # Vertices closer to each other than the digits tell apart have become one.
        turned: BaseGeometry = shapely.orient_polygons(shapely.remove_repeated_points(on_globe))
        return turned


def rounded(degrees: float) -> float:
    """Longitude or latitude with the digits that are written."""
    return round(degrees, _DECIMALS)


def _rounded(coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(coordinates, _DECIMALS)
