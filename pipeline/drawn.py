"""A feature as somebody drew it: its role, attributes and polygon, checked on their own. Pure.

A site file is drawn by hand, so everything a hand can get wrong is refused with one line that names the
file, the feature, the value and the remedy. Nothing is repaired silently.
"""

import datetime as dt
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry
from shapely.validation import explain_validity

from pipeline.errors import InputError
from pipeline.printable import is_plain, plain, shown
from pipeline.types import Feature, Site

_NORTH_DEG, _SOUTH_DEG = 84.0, -80.0
"""Limits of UTM, and so of the Sentinel-2 tiles."""
_MAX_LONGITUDE_DEG, _MAX_LATITUDE_DEG, _TURN_DEG = 180.0, 90.0, 360.0

_MOST_METRES = 1e7
"""A quarter of the way round the Earth."""
_MOST_VERTICES = 100_000
"""Of a feature; the largest of the project has 70. More would keep every later step busy for minutes."""
_SHOWN = 60

_SHAPE_ERRORS = (
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
    shapely.errors.ShapelyError,
)
"""What shapely raises on a geometry that is not GeoJSON."""

_REQUIRED: dict[str, tuple[str, ...]] = {
    "aoi": ("id", "name", "kind", "coal_rank"),
    "perimeter": ("source", "valid_from"),
    "zone": ("name", "source"),
    "control": ("name",),
    "exclude": (),
    "yard": (),
}
"""Attributes a feature of each role must have; a perimeter or zone without a source is only an assertion."""

# QGIS writes every column of a layer on every feature, so any known name may stand on any role;
# it adds ``fid`` to layers that come from a GeoPackage.
_NOT_ATTRIBUTES = {"aoi", "geometry", "features", "sha256"}
_KNOWN = sorted({field.name for record in (Site, Feature) for field in fields(record)} - _NOT_ATTRIBUTES | {"fid"})


@dataclass(frozen=True)
class Drawn:
    """A feature as it stands in a file, with a valid polygon in longitude and latitude.

    Attributes
    ----------
    where : str
        File, number of the feature and role, to begin a message with.
    role : str
        ``aoi`` or a role of :class:`Feature`; the attributes the role needs are there and are text.
    """

    where: str
    role: str
    properties: Mapping[str, Any]
    geometry: BaseGeometry

    def text(self, key: str) -> str | None:
        """Attribute as text; None when absent, null or blank, as QGIS writes an unfilled field."""
        value = self.properties.get(key)
        if value is not None and not isinstance(value, str):
            raise InputError(f"{self.where}: {key} is {shown(repr(value))}; write it as text")
        if value is not None and not is_plain(value):
            raise InputError(f"{self.where}: {key} holds control characters: {plain(value[:_SHOWN])}; type it again")
        return value if value and value.strip() else None

    def needed(self, key: str) -> str:
        """Attribute as text; InputError when it is missing."""
        value = self.text(key)
        if value is None:
            raise InputError(
                f"{self.where}: attribute {key} is missing; role {self.role} needs {', '.join(_REQUIRED[self.role])}"
            )
        return value

    def metres(self, key: str) -> float | None:
        """Attribute as a length of 0 m or more; None when absent."""
        value = self.properties.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST_METRES:
            raise InputError(f"{self.where}: {key} is {shown(repr(value))}; write a number of metres, 0 or more")
        return float(value)

    def day(self, key: str) -> dt.date | None:
        """Attribute as a day; None when absent."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return dt.date.fromisoformat(text)
        except ValueError as error:
            raise InputError(f"{self.where}: {key} is {text!r}; write a day as YYYY-MM-DD") from error


def nearest(word: str, known: Sequence[str]) -> str:
    """Remedy for a word that is not known: the one it resembles, else all of them."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def read_drawn(where: str, document: object) -> Drawn:
    """Check one feature of a FeatureCollection.

    Parameters
    ----------
    where : str
        File and number of the feature, to begin a message with.
    document : object
        The feature as the json module gives it.

    Raises
    ------
    InputError
        Unknown role or attribute, a missing attribute, or a geometry that is no valid polygon in
        longitude and latitude that one UTM zone can hold.
    """
    properties = document.get("properties") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(properties, dict):
        raise InputError(f"{where}: has no properties; give it at least a role")
    role = properties.get("role")
    if not isinstance(role, str) or role not in _REQUIRED:
        raise InputError(f"{where}: role is {shown(repr(role))}; it must be one of {', '.join(_REQUIRED)}")
    where = f"{where} ({role})"
    for key in properties:
        if key not in _KNOWN:
            raise InputError(
                f"{where}: unknown attribute {shown(repr(key))}; {nearest(key, _KNOWN)}; remarks go into note"
            )
    drawn = Drawn(where, role, properties, _polygon(where, document.get("geometry")))
    for key in _REQUIRED[role]:
        drawn.needed(key)
    return drawn


def _polygon(where: str, document: object) -> BaseGeometry:
    """Read a valid two-dimensional polygon in longitude and latitude."""
    if document is None:
        raise InputError(f"{where}: geometry is empty; draw a polygon or delete the feature")
    try:
        geometry = shapely.force_2d(shape(document))
    except _SHAPE_ERRORS as error:
        raise InputError(f"{where}: geometry cannot be read ({' '.join(str(error).split())}); draw it again") from error
    if geometry.is_empty:
        raise InputError(f"{where}: geometry is empty; draw a polygon or delete the feature")
    if geometry.geom_type not in ("Polygon", "MultiPolygon"):
        raise InputError(f"{where}: geometry is a {geometry.geom_type}; draw a polygon")
    vertices = shapely.get_num_coordinates(geometry)
    if vertices > _MOST_VERTICES:
        raise InputError(f"{where}: polygon has {vertices:,} vertices, more than {_MOST_VERTICES:,}; simplify it")
    _check_lonlat(where, geometry)
    if not geometry.is_valid:
        raise InputError(
            f"{where}: polygon is not valid: {explain_validity(geometry)}; move the vertices so that no edges cross"
        )
    return geometry


def _check_lonlat(where: str, geometry: BaseGeometry) -> None:
    """Refuse what is not longitude and latitude, and what no single UTM grid can hold."""
    if not all(math.isfinite(value) for value in shapely.get_coordinates(geometry).flat):
        raise InputError(f"{where}: a coordinate is not a finite number; draw the polygon again")
    west, south, east, north = geometry.bounds
    if max(-south, north) > _MAX_LATITUDE_DEG or max(-west, east) > _TURN_DEG:
        corners = f"({west:.10g}, {south:.10g}) to ({east:.10g}, {north:.10g})"
        raise InputError(f"{where}: coordinates {corners} are not longitude, latitude in degrees; export in EPSG:4326")
    if max(-west, east) > _MAX_LONGITUDE_DEG or east - west > _MAX_LONGITUDE_DEG:
        raise InputError(
            f"{where}: longitudes {west:.10g} to {east:.10g} cross the antimeridian; make one site on each side"
        )
    if north > _NORTH_DEG or south < _SOUTH_DEG:
        limits = f"{_SOUTH_DEG:g} to {_NORTH_DEG:g}"
        raise InputError(
            f"{where}: latitudes {south:.10g} to {north:.10g} leave {limits}, where UTM ends; draw it inside"
        )
