"""Piles of exactly known area as a satellite sees them, for benchmarks and tests. Pure arrays, seeded.

Ground and pile are drawn on cells of 1 m with a texture of three scales, smeared by the point spread of the
10 m bands (sigma 5.1 m, science 1.7), sampled at pixel centres, and given noise. Written apart from the
simulated archive, so that one does not inherit the other's errors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely import Point, Polygon, affinity, box

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

BANDS = ("blue", "green", "red", "nir")
SPECTRA: Mapping[str, tuple[float, float, float, float]] = {
    # Surface reflectance. Coal and water: science 1.1; the others are rounded from splib07 and field-moist soil.
    "anthracite": (0.040, 0.041, 0.042, 0.045),
    "bituminous": (0.045, 0.048, 0.052, 0.060),
    "soil": (0.100, 0.140, 0.190, 0.245),
    "gravel": (0.120, 0.140, 0.160, 0.180),
    "dry_grass": (0.070, 0.100, 0.130, 0.240),
    "forest": (0.028, 0.052, 0.030, 0.340),
    "concrete": (0.218, 0.248, 0.292, 0.315),
    "asphalt": (0.079, 0.084, 0.090, 0.101),
    "water": (0.033, 0.038, 0.025, 0.020),
}
PIXEL_M = 10
PSF_SIGMA_M = 5.1
HALF_M = 300
"""Half the edge of the window; its middle is (HALF_M, HALF_M)."""
_TEXTURE = ((90.0, 15, 0.45), (18.0, 3, 0.54), (3.3, 1, 0.72))
"""Scale and step in metres, and weight, of the ground's brightness variation."""
_COAL_TEXTURE = 0.6
"""Coal varies less than ground."""
_PERSISTENT = 0.7
"""Fraction of coal above which a pixel is dark enough to be persistent: the mask ends inside the pile (science 1.5)."""

Where = Callable[[Float64, Float64, Polygon], Bool]
"""Whether a kind of ground lies at points east and south of the corner, given the pile."""


@dataclass(frozen=True)
class Implant:
    """One pile on one date.

    Attributes
    ----------
    bands : Mapping[str, Float32]
        Reflectance, shape (rows, columns), row 0 in the north.
    member : Bool
        What persistence would mark of the pile.
    fraction : Float64
        Share of each pixel's light that comes from the pile.
    shape : Polygon
        True outline in (column, row), pixel edges at whole numbers.
    area_m2 : float
    """

    bands: Mapping[str, Float32]
    member: Bool
    fraction: Float64
    shape: Polygon
    area_m2: float


def anywhere(x: Float64, _y: Float64, _pile: Polygon) -> Bool:
    """Ground without end."""
    return np.ones(x.shape, dtype=bool)


def east_of_pile(x: Float64, _y: Float64, pile: Polygon) -> Bool:
    """Ground that begins 15 m east of the pile."""
    return np.asarray(x > pile.bounds[2] + 15.0)


def east_half(x: Float64, _y: Float64, pile: Polygon) -> Bool:
    """Ground whose edge runs under the pile's middle."""
    return np.asarray(x > pile.centroid.x)


def beyond_yard(x: Float64, y: Float64, pile: Polygon) -> Bool:
    """Ground round a yard of 35 m about the pile."""
    return ~np.asarray(shapely.contains_xy(pile.convex_hull.buffer(35.0), x, y))


GROUNDS: Mapping[str, tuple[tuple[str, Where], ...]] = {
    "soil": (("soil", anywhere),),
    "gravel": (("gravel", anywhere),),
    "dry grass": (("dry_grass", anywhere),),
    "forest edge": (("soil", anywhere), ("forest", east_of_pile)),
    "half concrete, half forest": (("concrete", anywhere), ("forest", east_half)),
    "yard in forest": (("soil", anywhere), ("forest", beyond_yard)),
}
"""Kinds of ground, each painted over the one before."""


def heap(area_m2: float, aspect: float, angle_deg: float, *, lobed: bool = False) -> Polygon:
    """Rectangle, or rounded rectangle with a lobe, of this area about the origin, metres."""
    shape = box(-aspect, -1.0, aspect, 1.0)
    if lobed:
        shape = shape.buffer(0.35, quad_segs=8).union(Point(0.45 * aspect, 1.1).buffer(0.7, quad_segs=12))
    factor = (area_m2 / shape.area) ** 0.5
    return affinity.rotate(affinity.scale(shape, factor, factor, origin=(0, 0)), angle_deg, origin=(0, 0))


def texture(rng: np.random.Generator, spread: float) -> Float64:
    """Relative brightness of the ground on 1 m cells, mean 0, standard deviation ``spread``, clipped at 0.4."""
    size = 2 * HALF_M
    field = np.zeros((size, size))
    for scale_m, step_m, weight in _TEXTURE:
        white = rng.standard_normal((size // step_m, size // step_m))
        smooth = ndimage.gaussian_filter(white, scale_m / step_m, mode="wrap", truncate=3.0)
        field += weight * ndimage.zoom(smooth / smooth.std(), step_m, order=1, mode="grid-wrap", grid_mode=True)
    return np.asarray(np.clip(field * spread / field.std(), -0.4, 0.4))


def seen(cells: Float64) -> Float64:
    """Cells of 1 m as pixels of 10 m see them."""
    blurred = ndimage.gaussian_filter(cells, PSF_SIGMA_M, mode="nearest", truncate=4.0)
    # Cell 5 of ten is centred 0.5 m beside the pixel's middle: shapes are placed that much off as well.
    return np.asarray(blurred[PIXEL_M // 2 :: PIXEL_M, PIXEL_M // 2 :: PIXEL_M])


def implant(
    shape: Polygon,
    ground: Sequence[tuple[str, Where]],
    rng: np.random.Generator,
    *,
    coal: str = "anthracite",
    spread: float = 0.12,
    noise: float = 0.004,
) -> Implant:
    """Render a pile.

    Parameters
    ----------
    shape : Polygon
        In metres about the window's middle, y to the south.
    ground : sequence of (material, where)
        Painted in order.
    rng : np.random.Generator
        Draws place within a pixel, texture, the pile's level (its spectrum x 0.75-1.35, science 1.1) and noise.
    coal : str
        Spectrum of the pile.
    spread : float
        Standard deviation of the ground's relative brightness.
    noise : float
        Standard deviation of a pixel's noise, reflectance.
    """
    placed = affinity.translate(shape, *(HALF_M + rng.uniform(-5.0, 5.0, 2)))
    centres = np.arange(2 * HALF_M) + 0.5
    x, y = np.meshgrid(centres, centres)
    inside = np.asarray(shapely.contains_xy(placed, x, y))
    relief = texture(rng, spread) if spread else np.zeros(inside.shape)
    level = rng.uniform(0.75, 1.35)
    layers = [(coal, level * inside * (1 + _COAL_TEXTURE * relief))]
    bare = ~inside
    for material, where in reversed(ground):
        here = bare & where(x, y, placed)
        layers.append((material, here * (1 + relief)))
        bare = bare & ~here
    amplitudes = [(SPECTRA[material], seen(cells)) for material, cells in layers]
    bands = {}
    for number, band in enumerate(BANDS):
        clean = np.sum([spectrum[number] * amplitude for spectrum, amplitude in amplitudes], axis=0)
        bands[band] = (clean + rng.normal(0.0, noise, clean.shape)).astype(np.float32)
    fraction = seen(inside.astype(np.float64))
    outline = affinity.scale(affinity.translate(placed, -0.5, -0.5), 1 / PIXEL_M, 1 / PIXEL_M, origin=(0, 0))
    return Implant(bands, fraction > _PERSISTENT, fraction, outline, placed.area)
