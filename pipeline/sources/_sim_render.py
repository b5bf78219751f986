"""One simulated scene in one tile as the provider would deliver it: DN of every band, and SCL. Pure arrays."""

import functools
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import affinity
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from pipeline.sources._scene_model import Ground, amplitudes, mix, spectra
from pipeline.sources._sim_scenes import SimScene
from pipeline.sources._sim_sites import AOI_HALF_M, BANDS, SITES, SimSite, Tile
from pipeline.sources._sim_sky import Sky, classify, make_sky, seen_through, sky_at

RESOLUTION_M = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B8A": 20, "B11": 20, "B12": 20, "SCL": 20}
"""Band files of a scene and their pixel."""
MARGIN_M = 300.0
"""How far a tile image reaches beyond the AOI."""
OFFSET_DN = 1000
"""Added to every band since baseline 04.00 (science 2.1)."""

_NOISE = {"B02": 0.0025, "B03": 0.0025, "B04": 0.0025, "B08": 0.003, "B8A": 0.003, "B11": 0.004, "B12": 0.004}
_GAIN_COMMON, _GAIN_BAND, _PATH = 0.015, 0.012, 0.003
_PLATFORM_GAIN = {("sentinel-2b", "B12"): 0.99}  # band pass of B12 differs on bright soil (science 2.6)
_GRID_M = 20.0
_SWATH = box(-5000.0, -5000.0, 250.0, 5000.0)
_SWATH_TILT_DEG = -12.0


@dataclass(frozen=True)
class TileImage:
    """Where the image of a site lies in one of its tiles; corners on whole 20 m cells."""

    epsg: int
    left_m: float
    top_m: float
    width_m: float
    height_m: float

    def shape(self, resolution_m: int) -> tuple[int, int]:
        """(rows, columns) at 10 or 20 m."""
        return round(self.height_m / resolution_m), round(self.width_m / resolution_m)

    def transform(self, resolution_m: int) -> Affine:
        """(column, row) to easting and northing."""
        return Affine(resolution_m, 0.0, self.left_m, 0.0, -resolution_m, self.top_m)

    @property
    def outline(self) -> Polygon:
        """Rectangle in the tile's CRS."""
        return box(self.left_m, self.top_m - self.height_m, self.left_m + self.width_m, self.top_m)


def to_crs(site: SimSite, geometry: BaseGeometry, epsg: int) -> BaseGeometry:
    """Geometry in metres from the site's origin -> coordinates of a CRS (4326: longitude, latitude)."""
    placed = affinity.translate(geometry, *site.origin_m)
    return between_crs(placed, site.tiles[0].epsg, epsg)


def between_crs(geometry: BaseGeometry, epsg_from: int, epsg_to: int) -> BaseGeometry:
    """Geometry in another CRS, vertex by vertex; x is easting or longitude."""
    transformer = Transformer.from_crs(epsg_from, epsg_to, always_xy=True)
    return shapely.transform(geometry, transformer.transform, interleaved=False)


def aoi_square() -> Polygon:
    """AOI of every site in metres from its origin."""
    return box(-AOI_HALF_M, -AOI_HALF_M, AOI_HALF_M, AOI_HALF_M)


def tile_image(site: SimSite, tile: Tile) -> TileImage:
    """Image around the AOI in a tile, with MARGIN_M on every side."""
    west, south, east, north = to_crs(site, aoi_square(), tile.epsg).bounds
    left, top = np.floor((west - MARGIN_M) / _GRID_M) * _GRID_M, np.ceil((north + MARGIN_M) / _GRID_M) * _GRID_M
    width = np.ceil((east + MARGIN_M - left) / _GRID_M) * _GRID_M
    height = np.ceil((top - south + MARGIN_M) / _GRID_M) * _GRID_M
    return TileImage(tile.epsg, float(left), float(top), float(width), float(height))


@functools.lru_cache(maxsize=8)
def _points(site_id: str, tile_number: int, resolution: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel centres of a tile image in metres from the site's origin, each of the image's shape."""
    site = SITES[site_id]
    image = tile_image(site, site.tiles[tile_number])
    rows, columns = image.shape(resolution)
    x, y = np.meshgrid(
        image.left_m + (np.arange(columns) + 0.5) * resolution, image.top_m - (np.arange(rows) + 0.5) * resolution
    )
    if image.epsg != site.tiles[0].epsg:
        x, y = Transformer.from_crs(image.epsg, site.tiles[0].epsg, always_xy=True).transform(x, y)
    return x - site.origin_m[0], y - site.origin_m[1]


def swath() -> Polygon:
    """Outline of what a scene at the swath's edge covers, in metres from the site's origin."""
    return affinity.rotate(_SWATH, _SWATH_TILT_DEG, origin=(250.0, 0.0))


def _covered(east: NDArray[np.float64], north: NDArray[np.float64]) -> NDArray[np.bool_]:
    tilt = np.radians(_SWATH_TILT_DEG)
    return np.asarray((east - 250.0) * np.cos(tilt) + north * np.sin(tilt) <= 0)


def render_scene(
    site: SimSite, scene: SimScene, ground: Ground, tile_number: int = 0
) -> dict[str, NDArray[np.generic]]:
    """Render one scene in one tile as delivered.

    Content is displaced by the scene's shift: what lies at p is delivered at p + shift.

    Parameters
    ----------
    site : SimSite
    scene : SimScene
    ground : Ground
        Of the scene's year.
    tile_number : int
        Which of the site's tiles.

    Returns
    -------
    dict
        Band name to uint16 DN (0 only outside coverage), and ``SCL`` to uint8 classes; shapes as
        :meth:`TileImage.shape` at RESOLUTION_M.
    """
    noise, fields, sensor = scene.rng(10 + tile_number), make_sky(scene), _draw_sensor(scene)
    spectrum = spectra(ground.materials, scene.datetime.timetuple().tm_yday, snow=scene.snow)
    delivered: dict[str, NDArray[np.generic]] = {}
    for resolution in (10, 20):
        east, north = _points(site.id, tile_number, resolution)
        amplitude = amplitudes(ground, resolution, east - scene.shift_x_m, north - scene.shift_y_m)
        sky = sky_at(fields, east, north)
        covered = _covered(east, north) if scene.swath_edge else np.ones(east.shape, dtype=bool)
        bands = [band for band in BANDS if RESOLUTION_M[band] == resolution]
        for band, reflectance in mix(amplitude, spectrum, bands).items():
            seen = seen_through(sky, band, np.float32(sensor.gain[band]) * reflectance + np.float32(sensor.path))
            seen = seen + noise.standard_normal(east.shape, dtype=np.float32) * np.float32(_NOISE[band])
            delivered[band] = np.where(covered, to_dn(seen, offset=scene.offset_in_dn), np.uint16(0))
        if resolution == RESOLUTION_M["SCL"]:
            delivered["SCL"] = np.where(covered, classify(scene, ground.materials, amplitude, sky), np.uint8(0))
    return delivered


def to_dn(reflectance: NDArray[np.float32], *, offset: bool) -> NDArray[np.uint16]:
    """Digital numbers of a product with or without the offset of baseline 04.00; never 0, which is no data."""
    dn = np.rint(reflectance * 10000.0 + (OFFSET_DN if offset else 0))
    return np.asarray(np.clip(dn, 1, 65535), dtype=np.uint16)


@dataclass(frozen=True)
class _Sensor:
    """What a scene's calibration and atmospheric correction leave: path reflectance, and gain by band."""

    path: float
    gain: dict[str, float]


def _draw_sensor(scene: SimScene) -> _Sensor:
    rng = scene.rng(3)
    path, common = rng.normal(0.0, _PATH), rng.normal(1.0, _GAIN_COMMON)
    own = {band: common * rng.normal(1.0, _GAIN_BAND) for band in BANDS}
    return _Sensor(path, {band: gain * _PLATFORM_GAIN.get((scene.platform, band), 1.0) for band, gain in own.items()})


def true_sky(scene: SimScene) -> tuple[Sky, NDArray[np.bool_]]:
    """Sky over the AOI at 20 m in the site's own frame, and where the scene shows the ground as it is."""
    axis = np.arange(-AOI_HALF_M + 10.0, AOI_HALF_M, 20.0)
    east, north = np.meshgrid(axis, -axis)
    sky = sky_at(make_sky(scene), east, north)
    usable = sky.clear & (not scene.snow)
    return sky, usable & _covered(east, north) if scene.swath_edge else usable
