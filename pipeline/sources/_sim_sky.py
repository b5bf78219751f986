"""What stands between ground and sensor on a simulated date, and what Sen2Cor makes of it. Pure arrays."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.sources._scene_model import Array, leaf_share, sample
from pipeline.sources._sim_scenes import SimScene
from pipeline.sources._sim_sites import AOI_HALF_M, Material

_CELL_M, _HALF_M = 40.0, 3400.0
"""Sky fields reach beyond the ground by more than the longest shadow."""
_N = round(2 * _HALF_M / _CELL_M)
_CLOUD_SCALES_M = ((320.0, 1.0), (90.0, 0.25))
_SOFT = 0.5  # standard deviations of the cloud field from clear to opaque
_COVER_OPACITY = 0.3  # what counts as cover
_HEIGHT_M = (700.0, 1600.0)
_REACH_M = (300.0, 1500.0)  # shadows stay near enough to be seen with their clouds in a small AOI
_HAZE = {"B02": 1.0, "B03": 0.8, "B04": 0.62, "B08": 0.36, "B8A": 0.34, "B11": 0.12, "B12": 0.08}
_CLOUD = {"B02": 0.47, "B03": 0.47, "B04": 0.48, "B08": 0.52, "B8A": 0.52, "B11": 0.38, "B12": 0.29}
_SHADOW = {"B02": 0.50, "B03": 0.45, "B04": 0.41, "B08": 0.35, "B8A": 0.34, "B11": 0.31, "B12": 0.30}
"""Light left in full shadow: skylight, blue."""
_CLEAR = 0.05  # opacity and depth that leave a pixel as it is


@dataclass(frozen=True)
class SkyFields:
    """Cloud opacity (0-1) and haze (path reflectance in blue) on the sky grid; where shadows fall, in metres."""

    cloud: Array
    haze: Array
    shadow_east_m: float
    shadow_north_m: float


@dataclass(frozen=True)
class Sky:
    """The same at points: cloud opacity, shadow depth (0-1) and haze."""

    cloud: Array
    shadow: Array
    haze: Array

    @property
    def clear(self) -> NDArray[np.bool_]:
        """True where neither cloud nor shadow changes a pixel."""
        return (self.cloud < _CLEAR) & (self.shadow < _CLEAR)


def _field(rng: np.random.Generator, scales: Sequence[tuple[float, float]]) -> Array:
    """Smooth random field of mean 0 and standard deviation 1."""
    field = np.zeros((_N, _N), dtype=np.float64)
    for scale_m, weight in scales:
        smooth = ndimage.gaussian_filter(rng.standard_normal((_N, _N)), scale_m / _CELL_M, mode="wrap")
        field += weight * smooth / smooth.std()
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


@functools.lru_cache(maxsize=4)
def make_sky(scene: SimScene) -> SkyFields:
    """Draw clouds of the scene's cover over the AOI, its haze, and the fall of its shadows."""
    rng = scene.rng(1)
    field = _field(rng, _CLOUD_SCALES_M)
    inner = slice(round((_HALF_M - AOI_HALF_M) / _CELL_M), round((_HALF_M + AOI_HALF_M) / _CELL_M))
    if scene.cloud_cover > 0:
        level = np.quantile(field[inner, inner], 1 - scene.cloud_cover)
        cloud = np.clip((field - level) / _SOFT + _COVER_OPACITY, 0, 1).astype(np.float32)
    else:
        cloud = np.zeros_like(field)
    haze = (scene.haze * np.clip(1 + 0.5 * _field(rng, ((700.0, 1.0),)), 0, None)).astype(np.float32)
    reach = np.clip(rng.uniform(*_HEIGHT_M) * np.tan(np.radians(scene.sun_zenith_deg)), *_REACH_M)
    away = np.radians(scene.sun_azimuth_deg + 180.0)
    return SkyFields(cloud, haze, float(reach * np.sin(away)), float(reach * np.cos(away)))


def sky_at(fields: SkyFields, east: NDArray[np.float64], north: NDArray[np.float64]) -> Sky:
    """Sky over points in metres from the site's origin."""
    cloud = sample(fields.cloud, _CELL_M, _HALF_M, east, north)
    caster = sample(fields.cloud, _CELL_M, _HALF_M, east - fields.shadow_east_m, north - fields.shadow_north_m)
    return Sky(cloud, caster * (1 - cloud), sample(fields.haze, _CELL_M, _HALF_M, east, north))


def seen_through(sky: Sky, band: str, reflectance: Array) -> Array:
    """Reflectance of a band after shadow, haze and cloud."""
    lit = reflectance * (1 - sky.shadow * np.float32(1 - _SHADOW[band])) + np.float32(_HAZE[band]) * sky.haze
    return np.asarray(lit * (1 - sky.cloud) + np.float32(_CLOUD[band]) * sky.cloud, dtype=np.float32)


def classify(scene: SimScene, materials: Sequence[Material], amplitude: Array, sky: Sky) -> NDArray[np.uint8]:
    """Scene classification as Sen2Cor would give it, with its errors over coal and thin cloud.

    Coal is called dark area, bare, water or unclassified, each patch and date by lot; on one date in four
    part of one pile is called cloud shadow; the thin rim of clouds is missed (science 1.3, 2.2, 2.3).

    Parameters
    ----------
    materials, amplitude
        What :func:`pipeline.sources._scene_model.amplitudes` gives at 20 m, shape (materials, rows, columns).
    sky : Sky
        At the same points.
    """
    rng = scene.rng(2)
    day = scene.datetime.timetuple().tm_yday
    codes = np.array([_usual_class(material, day) for material in materials], dtype=np.uint8)
    dominant = amplitude.argmax(axis=0)
    scl: NDArray[np.uint8] = codes[dominant]
    if "coal" in materials:
        _misread_coal(scl, dominant == materials.index("coal"), rng)
    if scene.snow:
        scl[~np.isin(scl, (4, 6)) & (dominant != _index(materials, "forest"))] = 11
    scl[sky.shadow > 0.3] = 3  # noqa: PLR2004 - shallower shadow is missed
    for code, opacity in ((10, 0.22), (8, 0.35), (9, 0.75)):
        scl[sky.cloud > opacity] = code
    return scl


def _index(materials: Sequence[Material], material: Material) -> int:
    return materials.index(material) if material in materials else -1


def _usual_class(material: Material, day_of_year: int) -> int:
    if material in ("forest", "crop"):
        return 4 if leaf_share(material, day_of_year) > 0.45 else 5  # noqa: PLR2004 - NDVI about 0.5
    return {"river": 6, "deep_water": 6, "roof": 2, "coal": 2}.get(material, 5)


def _misread_coal(scl: NDArray[np.uint8], coal: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Give each patch of coal a class by lot, in place; now and then half of one a shadow that is none."""
    patches, count = ndimage.label(coal)
    for number in range(1, count + 1):
        scl[patches == number] = rng.choice([2, 5, 6, 7], p=[0.5, 0.2, 0.15, 0.15])
    if count and rng.random() < 0.25:  # noqa: PLR2004 - one date in four
        rows, columns = np.nonzero(patches == rng.integers(1, count + 1))
        part = rows + columns >= np.median(rows + columns)
        scl[rows[part], columns[part]] = 3
