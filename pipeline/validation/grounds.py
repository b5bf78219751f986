"""The ground things are put on: simulated landscapes, and real scenes. Both give any date's view of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject, transform_bounds
from scipy import ndimage

from pipeline.errors import InputError
from pipeline.validation.days import Day
from pipeline.validation.materials import BANDS, ground_spectrum
from pipeline.validation.render import RESOLUTION_M

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_CELL_M = 5.0
_FILES = dict(zip(BANDS, ("B02", "B03", "B04", "B08", "B8A", "B11", "B12"), strict=True))
_WET_SWIR = 0.05
_HAZE_PX = 21
_SEASON = 0.012
"""What seasons change of the darkest blue: winter wood against summer wood."""
_COLOUR = dict(zip(BANDS, (1.0, 0.8, 0.62, 0.36, 0.34, 0.12, 0.08), strict=True))
"""Haze of each band as a share of that in blue; as the simulated sky has it."""
_FOREST_ABOVE, _GRASS_ABOVE = 0.1, 0.4
"""Standard deviations of the fields that decide where forest and grass lie."""
_SHORE_PX = 8
"""Nothing is put nearer than this to real water: piles on a shore are not looked for (``shore_px``)."""


class Ground(Protocol):
    """What a world stands on."""

    @property
    def epsg(self) -> int:
        """UTM zone."""
        ...

    @property
    def left_m(self) -> float:
        """Easting of the left edge."""
        ...

    @property
    def top_m(self) -> float:
        """Northing of the top edge."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of 10 m, even."""
        ...

    @property
    def real(self) -> bool:
        """Whether it is of real scenes."""
        ...

    def view(self, day: Day) -> dict[str, Float32]:
        """Reflectance of every band of BANDS on a date, each at its own resolution; without its haze."""
        ...

    def haze(self, day: Day) -> dict[str, Float32]:
        """Haze of the ground's own scene, which lies over everything on that date; no band where there is none."""
        ...

    def free(self) -> Bool:
        """Where things may stand, on the 10 m pixels."""
        ...


@dataclass(frozen=True)
class SimulatedGround:
    """A landscape of forest, fields, grass, soil, gravel and concrete, drawn on 5 m cells and smeared."""

    name: str
    epsg: int
    left_m: float
    top_m: float
    shape: tuple[int, int]
    layers: Mapping[int, Float32]
    """Resolution to amplitude of each kind of ground, shape (kinds, cells, cells); crop comes three times."""
    kinds: tuple[tuple[str, float], ...]
    """Name and shift of its season in days, in the order of the layers."""
    real: bool = False

    def view(self, day: Day) -> dict[str, Float32]:
        """Reflectance of every band on a date."""
        spectra = np.stack([ground_spectrum(name, day.day_of_year, shift) for name, shift in self.kinds])
        found = {}
        for resolution in (10, 20):
            points = _centres(self.shape, resolution, day)
            cells = [p / _CELL_M - 0.5 for p in points]
            amplitude = [ndimage.map_coordinates(f, cells, order=1, mode="nearest") for f in self.layers[resolution]]
            for number, band in enumerate(BANDS):
                if RESOLUTION_M[band] == resolution:
                    total = np.zeros(amplitude[0].shape, dtype=np.float32)
                    for share, spectrum in zip(amplitude, spectra, strict=True):
                        total += share * np.float32(spectrum[number])
                    found[band] = total
        return found

    def haze(self, day: Day) -> dict[str, Float32]:  # noqa: ARG002 - what every ground offers
        """Nothing: the sky is simulated apart."""
        return {}

    def free(self) -> Bool:
        """Everywhere."""
        return np.ones(self.shape, dtype=bool)


def simulated_ground(name: str, seed: Sequence[int], size_px: int, psf_m: Mapping[int, float]) -> SimulatedGround:
    """Draw a landscape in open sea, where nobody takes it for a place."""
    rng = np.random.default_rng([*seed, 3])
    cells = round(size_px * 10 / _CELL_M)
    kinds = (("forest", 0.0), ("crop", -8.0), ("crop", 0.0), ("crop", 8.0), ("grass", 0.0), ("soil", 0.0),
             ("gravel", 0.0), ("concrete", 0.0))  # fmt: skip
    height, wet = (_smooth(rng, cells, scale_m) for scale_m in (350.0, 200.0))
    fields = _fields(rng, cells)
    cover = np.where(height > _FOREST_ABOVE, 0, np.where(wet > _GRASS_ABOVE, 4, 1 + fields % 4))
    for kind, share in ((5, 0.05), (6, 0.02), (7, 0.02)):
        patch = _smooth(rng, cells, 35.0)
        cover[patch > np.quantile(patch, 1 - share)] = kind
    texture = 1 + np.clip(0.05 * _smooth(rng, cells, 90) + 0.06 * _smooth(rng, cells, 18)
                          + 0.06 * _smooth(rng, cells, 5), -0.35, 0.35)  # fmt: skip
    layers = {}
    for resolution, sigma_m in psf_m.items():
        sigma = np.sqrt(sigma_m**2 - _CELL_M**2 / 4) / _CELL_M
        layers[resolution] = np.stack(
            [
                ndimage.gaussian_filter((texture * (cover == number)).astype(np.float32), sigma, mode="nearest")
                for number in range(len(kinds))
            ]
        )
    # 131 E, 38.6 N: open sea between Korea and Japan.
    return SimulatedGround(name, 32652, 674_000.0, 4_274_000.0, (size_px, size_px), layers, kinds)


def _smooth(rng: np.random.Generator, cells: int, scale_m: float) -> Float64:
    field = ndimage.gaussian_filter(rng.standard_normal((cells, cells)), scale_m / _CELL_M, mode="wrap", truncate=3.0)
    return np.asarray(field / field.std())


def _fields(rng: np.random.Generator, cells: int) -> NDArray[np.int64]:
    """Tell the number of the field each cell lies in: nearest of points, one for each 1.5 ha."""
    points = rng.uniform(0, cells, (max(int((cells * _CELL_M) ** 2 / 15_000), 1), 2))
    seeds = np.ones((cells, cells), dtype=bool)
    at = points.astype(int)
    seeds[at[:, 0], at[:, 1]] = False
    near = ndimage.distance_transform_edt(seeds, return_distances=False, return_indices=True)
    numbers = np.zeros((cells, cells), dtype=np.int64)
    numbers[at[:, 0], at[:, 1]] = rng.integers(0, 10_000, len(points))
    return np.asarray(numbers[near[0], near[1]])


def _centres(shape: tuple[int, int], resolution: int, day: Day) -> list[Float64]:
    """Ground seen by the pixel centres, metres south and east of the corner."""
    rows, columns = (size * 10 // resolution for size in shape)
    down = (np.arange(rows) + 0.5) * resolution + day.scene.shift_y_m
    right = (np.arange(columns) + 0.5) * resolution - day.scene.shift_x_m
    return list(np.meshgrid(down, right, indexing="ij"))


@dataclass(frozen=True)
class RealGround:
    """Real scenes of one place; each date shows one of them, moved a little, with noise of its own."""

    name: str
    epsg: int
    left_m: float
    top_m: float
    shape: tuple[int, int]
    scenes: tuple[Mapping[str, Float32], ...]
    """Band to reflectance on the 10 m pixels, one for each date of a year; without haze."""
    hazes: tuple[Mapping[str, Float32], ...]
    """The haze of each scene, likewise."""
    real: bool = True

    def view(self, day: Day) -> dict[str, Float32]:
        """Reflectance of every band on a date; a year's n-th date shows the n-th scene, in turn."""
        return self._sampled(self.scenes[day.number % len(self.scenes)], day)

    def haze(self, day: Day) -> dict[str, Float32]:
        """Haze of the date's scene."""
        return self._sampled(self.hazes[day.number % len(self.hazes)], day)

    def _sampled(self, fields: Mapping[str, Float32], day: Day) -> dict[str, Float32]:
        found = {}
        for band in BANDS:
            cells = [p / 10 - 0.5 for p in _centres(self.shape, RESOLUTION_M[band], day)]
            found[band] = ndimage.map_coordinates(fields[band], cells, order=3, mode="nearest").astype(np.float32)
        return found

    def free(self) -> Bool:
        """Where no scene shows water near."""
        wet = np.any([(s["swir16"] < _WET_SWIR) & (s["green"] > s["swir16"]) for s in self.scenes], axis=0)
        wet = ndimage.binary_opening(wet)
        return np.asarray(~ndimage.binary_dilation(wet, iterations=_SHORE_PX))


def read_real_ground(folder: Path, scenes: Sequence[str], epsg: int, stand_ins: Mapping[str, str]) -> RealGround:
    """Read real scenes onto 10 m pixels of a UTM zone.

    Parameters
    ----------
    folder : Path
        STAC archive; a scene is a folder of one file per band.
    scenes : sequence of str
        Their names, in the order they are shown.
    epsg : int
    stand_ins : Mapping of str to str
        Band the archive lacks to the band read in its place.

    Raises
    ------
    InputError
        The folder or a file of it is missing.
    """
    first = folder / scenes[0] / "B02.tif"
    if not first.is_file():
        raise InputError(f"{first}: missing; name the folder that holds {folder.name} with --data")
    with rasterio.open(first) as source:
        west, south, east, north = transform_bounds(source.crs, CRS.from_epsg(epsg), *source.bounds)
    files = {band: _FILES[stand_ins.get(band, band)] for band in BANDS}
    # Whole 20 m cells, one inside what the scene covers.
    left, top = np.ceil(west / 20) * 20 + 40, np.floor(north / 20) * 20 - 40
    rows, columns = (int((b - a - 40) // 20) * 2 for a, b in ((south, top), (left, east)))
    read = tuple(
        {b: _warped(folder / name / f"{file}.tif", epsg, (left, top), (rows, columns)) for b, file in files.items()}
        for name in scenes
    )
    hazes = _hazes([scene["blue"] for scene in read])
    clean = tuple({b: scene[b] - haze[b] for b in BANDS} for scene, haze in zip(read, hazes, strict=True))
    return RealGround(folder.name, epsg, float(left), float(top), (rows, columns), clean, hazes)


def _hazes(blue: Sequence[Float32]) -> tuple[Mapping[str, Float32], ...]:
    """Haze of each scene in every band: what is put into a hazy scene must lie under its haze.

    In blue it is how much brighter the darkest pixels within 100 m are than in the scene where they are
    darkest, less what seasons change of them; the other bands follow by the colour of haze.
    """
    darkest = [ndimage.gaussian_filter(ndimage.minimum_filter(scene, _HAZE_PX), _HAZE_PX) for scene in blue]
    least = np.min(darkest, axis=0) + _SEASON
    return tuple(
        {band: np.asarray(share * np.maximum(dark - least, 0.0), dtype=np.float32) for band, share in _COLOUR.items()}
        for dark in darkest
    )


def _warped(path: Path, epsg: int, corner: tuple[float, float], shape: tuple[int, int]) -> Float32:
    target = np.zeros(shape, dtype=np.float32)
    with rasterio.open(path) as source:
        reproject(
            source.read(1).astype(np.float32), target, src_transform=source.transform, src_crs=source.crs,
            dst_transform=from_origin(*corner, 10, 10), dst_crs=CRS.from_epsg(epsg), resampling=Resampling.cubic,
        )  # fmt: skip
    return np.asarray(target / np.float32(1e4))
