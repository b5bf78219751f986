"""The three simulated sites as data: materials, their spectra and their outlines in every year.

Every outline is an analytic polygon in metres east and north of the site's origin, along the axes of the
UTM zone of its first tile, so that the true area of everything is known before a pixel is drawn. All
sites lie in open sea, so that nobody takes them for a place.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import shapely
from pyproj import Transformer
from shapely import affinity
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

FIRST_YEAR = 2018
"""Year of the first outline of every patch; before it the first holds, after the last year the last."""
N_YEARS = 6
AOI_HALF_M = 1200.0
"""Half the edge of every AOI."""

BANDS = ("B02", "B03", "B04", "B08", "B8A", "B11", "B12")
"""Order of every spectrum."""

Material = Literal[
    "forest", "crop", "bare", "concrete", "asphalt", "roof", "spoil", "coal", "river", "deep_water"
]  # fmt: skip

SPECTRA: dict[Material, tuple[float, ...]] = {
    # Surface reflectance. coal: anthracite prior; asphalt, felt roof, waters, concrete: measured (science 1.1);
    # spoil: brighter, redder, steeper than coal; bare: field-moist soil, 0.65 of the lab-dry median. In leaf.
    "forest": (0.028, 0.052, 0.030, 0.340, 0.360, 0.170, 0.080),
    "crop": (0.040, 0.075, 0.042, 0.360, 0.380, 0.200, 0.100),
    "bare": (0.100, 0.140, 0.190, 0.245, 0.260, 0.330, 0.290),
    "concrete": (0.218, 0.248, 0.292, 0.315, 0.313, 0.338, 0.338),
    "asphalt": (0.079, 0.084, 0.090, 0.098, 0.101, 0.131, 0.127),
    "roof": (0.038, 0.039, 0.042, 0.052, 0.053, 0.121, 0.126),
    "spoil": (0.066, 0.081, 0.098, 0.124, 0.130, 0.186, 0.192),
    "coal": (0.040, 0.041, 0.042, 0.045, 0.046, 0.052, 0.055),
    "river": (0.060, 0.064, 0.052, 0.030, 0.027, 0.008, 0.006),
    "deep_water": (0.033, 0.038, 0.025, 0.020, 0.019, 0.014, 0.011),
}
DORMANT: dict[Material, tuple[float, ...]] = {
    "forest": (0.048, 0.066, 0.082, 0.165, 0.185, 0.225, 0.150),
    "crop": (0.085, 0.115, 0.145, 0.215, 0.235, 0.300, 0.240),
}
"""Vegetation out of leaf: brown in April, NDVI 0.2 to 0.33."""

GROUND: frozenset[Material] = frozenset({"bare", "concrete", "asphalt", "roof", "spoil", "coal"})
"""Materials that count as occupied ground: not vegetated, not water."""


@dataclass(frozen=True)
class Patch:
    """One thing on the ground; ``outlines`` holds one polygon a year, None while it is not there."""

    material: Material
    outlines: tuple[BaseGeometry | None, ...]
    pile_id: str | None = None

    def outline(self, year: int) -> BaseGeometry | None:
        """Polygon of a year in metres from the site's origin."""
        return self.outlines[min(max(year - FIRST_YEAR, 0), len(self.outlines) - 1)]


@dataclass(frozen=True)
class Tile:
    """A tile family that delivers the site: its UTM zone and MGRS square."""

    epsg: int
    mgrs: str


@dataclass(frozen=True)
class SimSite:
    """A simulated site.

    Attributes
    ----------
    longitude, latitude : float
        Centre, degrees.
    tiles : tuple of Tile
        The first delivers every acquisition and defines the metric frame.
    patches : tuple of Patch
        Painted in order over forest.
    places : Sequence of (role, name, polygon)
        Features of the site file beside the AOI.
    relative_orbit : int
        Of the one orbit that sees the site.
    slots : tuple of (first day, last day, dates, cloudy dates)
        When a year is observed, month-day; how many dates a slot has and how many of them are spoilt.
    clear_years : tuple of int or None
        Years observed as ``slots`` say; all others are clouded but for two dates. None: every year.
    """

    id: str
    name: str
    kind: Literal["camp", "mine", "port"]
    longitude: float
    latitude: float
    tiles: tuple[Tile, ...]
    relative_orbit: int
    patches: tuple[Patch, ...]
    places: Sequence[tuple[Literal["zone", "control"], str, Polygon]]
    slots: tuple[tuple[str, str, int, int], ...]
    clear_years: tuple[int, ...] | None = None

    @property
    def origin_m(self) -> tuple[float, float]:
        """Easting and northing of the origin in the first tile's zone, on a whole 20 m cell."""
        return _origin(self.longitude, self.latitude, self.tiles[0].epsg)

    @property
    def index(self) -> int:
        """Place among the sites; part of every seed."""
        return list(SITES).index(self.id)


@functools.lru_cache
def _origin(longitude: float, latitude: float, epsg: int) -> tuple[float, float]:
    easting, northing = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, latitude)
    return round(easting / 20.0) * 20.0, round(northing / 20.0) * 20.0


def piles(site: SimSite, year: int) -> dict[str, BaseGeometry]:
    """Give the true outline of every pile that exists in a year, by pile id."""
    found = ((patch.pile_id, patch.outline(year)) for patch in site.patches)
    return {pile_id: outline for pile_id, outline in found if pile_id is not None and outline is not None}


def footprint(site: SimSite, year: int) -> BaseGeometry:
    """Give the true occupied ground of a year inside the AOI: union of all patches of GROUND materials."""
    ground = [p.outline(year) for p in site.patches if p.material in GROUND]
    aoi = box(-AOI_HALF_M, -AOI_HALF_M, AOI_HALF_M, AOI_HALF_M)
    return shapely.unary_union([g for g in ground if g is not None]).intersection(aoi)


def _always(material: Material, *outlines: BaseGeometry) -> tuple[Patch, ...]:
    return tuple(Patch(material, (outline,)) for outline in outlines)


def _pile(pile_id: str, shape: BaseGeometry, hectares: Sequence[float]) -> Patch:
    """Pile of the given shape with exactly these areas; 0 is no pile. One number holds for all years."""
    scaled = []
    for area in hectares:
        factor = (area * 1e4 / shape.area) ** 0.5
        scaled.append(affinity.scale(shape, factor, factor, origin=shape.centroid) if area > 0 else None)
    return Patch("coal", tuple(scaled), pile_id)


def _heap(x: float, y: float, aspect: float, angle_deg: float, *, lobed: bool = False) -> BaseGeometry:
    """Draw a rounded rectangle about (x, y), with a lobe on one long side when asked."""
    shape = box(-aspect, -1.0, aspect, 1.0).buffer(0.35, quad_segs=8)
    if lobed:
        shape = shape.union(Point(0.45 * aspect, 1.1).buffer(0.7, quad_segs=12))
    return affinity.rotate(affinity.translate(shape, x, y), angle_deg, origin=(x, y))


def _rows(x: float, y: float, count: int, step: float) -> list[BaseGeometry]:
    """Row of buildings, 50 x 16 m each."""
    return [box(x + i * step, y, x + i * step + 50.0, y + 16.0) for i in range(count)]


def _village(x: float, y: float) -> tuple[Patch, ...]:
    """Stable village of 4.8 ha with two rows of houses; (x, y) is its lower left corner."""
    yard = box(x, y, x + 240.0, y + 200.0)
    houses = [*_rows(x + 15.0, y + 40.0, 3, 75.0), *_rows(x + 15.0, y + 130.0, 3, 75.0)]
    return (*_always("bare", yard), *_always("concrete", *houses))


def _around(x: float, y: float) -> Polygon:
    """Zone of 500 x 460 m around a village at (x, y)."""
    return box(x - 130.0, y - 130.0, x + 370.0, y + 330.0)


def _camp() -> SimSite:
    ground = Polygon([(-650, -350), (-100, -420), (250, -300), (250, 200), (60, 330), (-500, 350), (-680, 100)])
    front = tuple(box(250, -300, 250 + 12.0 * i, 200) if i else None for i in range(N_YEARS))
    satellite = box(570, -20, 730, 130)
    return SimSite(
        id="sim-camp",
        name="SIMULATED camp",
        kind="camp",
        longitude=126.0,
        latitude=32.6,
        tiles=(Tile(32651, "51SYS"), Tile(32652, "52SBB")),
        relative_orbit=3,
        patches=(
            *_always(
                "crop", Polygon([(-700, -640), (300, -560), (900, -620), (1700, -500), (1700, -1700), (-600, -1700)])
            ),
            *_always("crop", Polygon([(420, 180), (1000, 120), (1150, 500), (700, 620)])),
            *_always("river", LineString([(-1050, 1700), (-860, 600), (-960, -300), (-800, -1700)]).buffer(45)),
            *_always("bare", ground),
            Patch("bare", front),
            Patch("bare", (None, None, satellite)),
            *_always("asphalt", box(-640, 150, 60, 170)),
            *_always("concrete", *_rows(-450, 205, 6, 75), *_rows(-450, 265, 6, 75)),
            *_always("roof", box(-100, 60, -40, 90)),
            *_village(760, -1000),
            _pile("A", _heap(-350, -150, 1.5, 10, lobed=True), (1.0, 1.2, 1.45, 1.7, 1.95, 2.2)),
            _pile("B", _heap(-50, -230, 1.3, -8), (0.6, 0.7, 0.82, 0.95, 1.08, 1.2)),
            _pile("C", _heap(-590, 40, 1.2, 85), (0.8,)),
            _pile("D", _heap(650, 55, 1.3, 0), (0.0, 0.0, 0.5, 0.55, 0.6, 0.6)),
            _pile("E", _heap(130, 90, 1.1, 20), (0.4, 0.4, 0.4, 0.0)),
        ),
        places=(
            ("zone", "SIMULATED settlement", box(250, -500, 1000, 400)),
            ("control", "SIMULATED control village", _around(760, -1000)),
        ),
        slots=_SLOTS,
    )


def _mine() -> SimSite:
    ground = Polygon([(-330, -420), (250, -520), (620, -560), (680, -150), (520, 220), (80, 300), (-350, 240)])
    lake = Polygon([(-780, 480), (-520, 420), (-380, 560), (-420, 760), (-600, 820), (-820, 700)]).buffer(
        30, quad_segs=8
    )
    return SimSite(
        id="sim-mine",
        name="SIMULATED mine",
        kind="mine",
        longitude=124.0,
        latitude=33.0,
        tiles=(Tile(32651, "51SWS"),),
        relative_orbit=46,
        patches=(
            *_always("crop", Polygon([(-300, 900), (1700, 480), (1700, 1700), (-500, 1700)])),
            *_always("deep_water", lake),
            *_always("bare", ground),
            *_always("asphalt", box(-280, 90, -150, 170)),
            *_always("spoil", affinity.scale(_heap(450, -360, 1.4, 20, lobed=True), 56, 56)),
            *_always("concrete", *_rows(-320, 195, 4, 70)),
            *_always("roof", box(-40, 170, 20, 200)),
            *_village(-980, -330),
            *_village(760, 800),
            _pile("A", _heap(-130, -190, 1.6, 15, lobed=True), (2.0,)),
            _pile("B", _heap(170, -250, 1.3, -20), (1.0,)),
            _pile("C", _heap(390, 20, 1.8, 40), (0.6,)),
            _pile("D", _heap(140, 60, 1.2, 0), (0.35,)),
        ),
        places=(
            ("zone", "SIMULATED settlement", _around(-980, -330)),
            ("control", "SIMULATED control village", _around(760, 800)),
        ),
        slots=_SLOTS,
    )


def _port() -> SimSite:
    sea = Polygon([(320, -1700), (320, 560), (480, 900), (700, 1700), (1700, 1700), (1700, -1700)])
    return SimSite(
        id="sim-port",
        name="SIMULATED port",
        kind="port",
        longitude=130.0,
        latitude=38.5,
        tiles=(Tile(32652, "52SEH"),),
        relative_orbit=103,
        patches=(
            *_always("crop", Polygon([(-1700, 350), (-300, 600), (200, 900), (450, 1700), (-1700, 1700)])),
            *_always("deep_water", sea),
            *_always("bare", box(-250, -560, 120, 520)),
            *_always("concrete", box(110, -560, 320, 520), *_rows(-230, 380, 3, 80)),
            *_always("asphalt", box(-10, -560, 10, 520)),
            *_always("roof", box(-160, -320, -100, -285)),
            *_village(-760, -250),
            *_village(-1000, 740),
            _pile("A", _heap(205, -300, 2.0, 90), (1.0, 1.15, 1.3, 1.45, 1.6, 1.8)),
            _pile("B", _heap(205, 30, 1.6, 90), (0.9,)),
            _pile("C", _heap(215, 320, 1.4, 90, lobed=True), (0.6,)),
        ),
        places=(
            ("zone", "SIMULATED settlement", _around(-760, -250)),
            ("control", "SIMULATED control village", _around(-1000, 740)),
        ),
        slots=_PORT_SLOTS,
        clear_years=(2018, 2021),
    )


_SLOTS = (
    ("04-01", "05-31", 4, 1),
    ("06-01", "06-15", 2, 0),
    ("06-16", "08-31", 3, 1),
    ("09-01", "09-25", 3, 0),
    ("09-26", "10-20", 1, 0),
    ("01-05", "02-05", 1, 0),
)
"""Ten dates in the stockpile windows, eight in the footprint window, one in the snow (science 2.7)."""

_PORT_SLOTS = (("04-01", "05-31", 3, 0), ("06-01", "06-15", 2, 0), ("06-16", "08-31", 3, 0), ("09-01", "09-30", 3, 0))
"""Eight dates in the stockpile windows, eight in the footprint window."""

SITES: dict[str, SimSite] = {site.id: site for site in (_camp(), _mine(), _port())}
