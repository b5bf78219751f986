"""Ground to reflectance: exact coverage, point spread, seasons, sampling on any tile. Pure arrays.

The ground of a site and year is drawn once on a fine grid, each material's exact share of every cell,
and smeared by the point spread of each resolution; a scene only samples and mixes it.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage
from shapely.geometry.base import BaseGeometry

from pipeline.sources._sim_sites import BANDS, DORMANT, SPECTRA, Material, SimSite

Array = NDArray[np.float32]

CELL_M = 10.0 / 3.0
"""Cell of the fine grid: a third of a pixel, well below both point spreads."""
HALF_M = 1700.0
"""Half the edge of the fine grid: AOI, margin, and the corners of a tile rotated against it."""
SIZE = round(2 * HALF_M / CELL_M)
PSF_SIGMA_M = {10: 5.1, 20: 9.8}
"""Point spread of the 10 and 20 m bands, pixel aperture included (science 1.7)."""

_PHENOLOGY: dict[Material, tuple[float, float]] = {"forest": (124.0, 296.0), "crop": (163.0, 268.0)}
_PHENOLOGY_SCALE_DAYS = 7.0
_SNOW_SPECTRUM = np.array([0.83, 0.83, 0.82, 0.76, 0.75, 0.10, 0.08], dtype=np.float32)
_SNOW_SHARE: dict[Material, float] = {"forest": 0.35, "coal": 0.5, "river": 0.0, "deep_water": 0.0}
_TEXTURE_WEIGHT: dict[Material, float] = {"coal": 0.6, "river": 0.3, "deep_water": 0.3, "concrete": 0.7}


@dataclass(frozen=True)
class Ground:
    """What lies on a site in one year.

    Attributes
    ----------
    materials : tuple of Material
        Those present, in the order of the first axis below.
    blurred : dict of int to Array
        Resolution in metres to amplitude of each material, shape (materials, SIZE, SIZE): its share of
        the cell times texture and brightness, smeared by the point spread.
    """

    materials: tuple[Material, ...]
    blurred: dict[int, Array]


def fine_transform() -> Affine:
    """(column, row) of the fine grid to metres east and north of the origin."""
    return Affine(CELL_M, 0.0, -HALF_M, 0.0, -CELL_M, HALF_M)


def coverage(outline: BaseGeometry) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Exact share of each fine cell that an outline covers, in the window that holds it.

    Returns
    -------
    window : (rows, columns)
        Slices of the fine grid.
    share : NDArray[np.float64]
        0-1; its sum times CELL_M ** 2 is the area of the outline within the grid.
    """
    west, south, east, north = outline.bounds
    first_column, last_column = _span(west + HALF_M, east + HALF_M)
    first_row, last_row = _span(HALF_M - north, HALF_M - south)
    window = slice(first_row, last_row), slice(first_column, last_column)
    shape = (last_row - first_row, last_column - first_column)
    transform = fine_transform() @ Affine.translation(first_column, first_row)
    share = rasterize([outline], out_shape=shape, transform=transform, dtype="uint8").astype(np.float64)
    touched = rasterize([outline.boundary], out_shape=shape, transform=transform, all_touched=True, dtype="uint8")
    edge = ndimage.binary_dilation(touched.astype(bool), np.ones((3, 3)))
    rows, columns = np.nonzero(edge)
    left = -HALF_M + (columns + first_column) * CELL_M
    top = HALF_M - (rows + first_row) * CELL_M
    shapely.prepare(outline)
    cells = shapely.box(left, top - CELL_M, left + CELL_M, top)
    share[rows, columns] = shapely.area(shapely.intersection(cells, outline)) / CELL_M**2
    return window, share


def _span(first_m: float, last_m: float) -> tuple[int, int]:
    """Cells of an axis that an interval touches, one spare on each side, clipped to the grid."""
    return max(int(first_m // CELL_M) - 1, 0), min(int(last_m // CELL_M) + 2, SIZE)


def shares(site: SimSite, year: int) -> dict[Material, Array]:
    """Share of every fine cell that each material covers; they add up to 1 everywhere."""
    found: dict[Material, Array] = {"forest": np.ones((SIZE, SIZE), dtype=np.float32)}
    for patch in site.patches:
        outline = patch.outline(year)
        if outline is None:
            continue
        window, share = coverage(outline)
        for layer in found.values():
            layer[window] *= (1.0 - share).astype(np.float32)
        found.setdefault(patch.material, np.zeros((SIZE, SIZE), dtype=np.float32))[window] += share.astype(np.float32)
    return found


def make_ground(site: SimSite, year: int, seed: int) -> Ground:
    """Draw a site in one year, with the texture that stays through the years."""
    texture = _texture(site, seed)
    brightness = _pile_brightness(site, year, seed)
    layers = {}
    for material, share in shares(site, year).items():
        layers[material] = share * (1 + np.float32(_TEXTURE_WEIGHT.get(material, 1.0)) * texture)
        if material == "coal":
            layers[material] *= brightness
    blurred = {}
    for resolution, sigma_m in PSF_SIGMA_M.items():
        # Cells and bilinear sampling smear too: a twelfth and on average a sixth of a cell squared.
        sigma = np.sqrt((sigma_m / CELL_M) ** 2 - 1 / 4)
        blurred[resolution] = np.stack(
            [ndimage.gaussian_filter(layer, sigma, mode="nearest", truncate=3.5) for layer in layers.values()]
        )
    return Ground(tuple(layers), blurred)


@functools.lru_cache(maxsize=1)
def _texture(site: SimSite, seed: int) -> Array:
    """Relative brightness of the ground, smooth and white, standard deviation about 0.1; clipped at 0.3."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, site.index, 1]))
    field = np.zeros((SIZE, SIZE), dtype=np.float32)
    for sigma_m, weight in ((90.0, 0.05), (18.0, 0.06), (0.0, 0.08)):
        white = rng.standard_normal((SIZE, SIZE), dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, sigma_m / CELL_M, mode="wrap") if sigma_m else white
        field += np.float32(weight / smooth.std()) * smooth
    return np.clip(field, -0.3, 0.3).astype(np.float32)


def _pile_brightness(site: SimSite, year: int, seed: int) -> Array:
    """Factor of each pile on the coal spectrum (one a pile, kept through the years); 1 elsewhere."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, site.index, 2]))
    factor = np.ones((SIZE, SIZE), dtype=np.float32)
    for patch in site.patches:
        if patch.pile_id is None:
            continue
        level = np.float32(rng.uniform(0.85, 1.2))
        outline = patch.outline(year)
        if outline is not None:
            window, share = coverage(outline)
            factor[window][share > 0] = level
    return factor


def spectra(materials: Sequence[Material], day_of_year: int, *, snow: bool) -> Array:
    """Reflectance of materials on a day, shape (materials, 7 bands in the order of BANDS)."""
    rows = []
    for material in materials:
        row = np.array(SPECTRA[material], dtype=np.float32)
        if material in DORMANT:
            leaf = np.float32(leaf_share(material, day_of_year))
            row = leaf * row + (1 - leaf) * np.array(DORMANT[material], dtype=np.float32)
        if snow:
            share = np.float32(_SNOW_SHARE.get(material, 0.85))
            row = share * _SNOW_SPECTRUM + (1 - share) * row
        rows.append(row)
    return np.stack(rows)


def leaf_share(material: Material, day_of_year: int) -> float:
    """How far a plant cover is in leaf, 0-1: two logistic steps; 0 for what has no leaves."""
    if material not in _PHENOLOGY:
        return 0.0
    up, down = _PHENOLOGY[material]
    rise = 1 / (1 + np.exp(-(day_of_year - up) / _PHENOLOGY_SCALE_DAYS))
    fall = 1 / (1 + np.exp((day_of_year - down) / _PHENOLOGY_SCALE_DAYS))
    return float(rise * fall)


def sample(field: Array, cell_m: float, half_m: float, east: NDArray[np.float64], north: NDArray[np.float64]) -> Array:
    """Bilinear value of a centred square field at points in metres from the origin; edges are held.

    Parameters
    ----------
    field : Array
        Shape (n, n), row 0 in the north; ``half_m`` is half its edge and ``cell_m`` its cell.
    east, north : NDArray[np.float64]
        Points, of one shape.
    """
    rows, columns = (half_m - north) / cell_m - 0.5, (east + half_m) / cell_m - 0.5
    return np.asarray(ndimage.map_coordinates(field, [rows, columns], order=1, mode="nearest", prefilter=False))


def amplitudes(ground: Ground, resolution: int, east: NDArray[np.float64], north: NDArray[np.float64]) -> Array:
    """Amplitude of every material at points, shape (materials, *east.shape)."""
    return np.stack([sample(layer, CELL_M, HALF_M, east, north) for layer in ground.blurred[resolution]])


def mix(amplitude: Array, spectrum: Array, bands: Sequence[str]) -> dict[str, Array]:
    """Reflectance of bands from amplitudes (materials, rows, columns) and spectra (materials, 7)."""
    columns = [BANDS.index(band) for band in bands]
    mixed = np.zeros((len(columns), *amplitude.shape[1:]), dtype=np.float32)
    # Summed in a fixed order: a matrix product may round differently with another number of threads.
    for share, row in zip(amplitude, spectrum[:, columns], strict=True):
        mixed += row[:, np.newaxis, np.newaxis] * share
    return dict(zip(bands, mixed, strict=True))
