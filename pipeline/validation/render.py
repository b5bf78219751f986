"""Things put into a view of the ground, through the point spread of each band. Pure arrays.

Written apart from the simulated archive's renderer: things are drawn on cells of 1.25 m in windows of their
own, smeared, and mixed into whatever ground is there, simulated or real.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from pipeline.validation.days import Day
from pipeline.validation.draw import Thing
from pipeline.validation.materials import BANDS, CONFUSERS, ground_spectrum, shows_on

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

RESOLUTION_M: Mapping[str, int] = dict(zip(BANDS, (10, 10, 10, 10, 20, 20, 20), strict=True))
PSF_SIGMA_M = {10: (4.6, 5.6), 20: (9.2, 10.4)}
"""Range the point spread of a world is drawn from, about 5.1 and 9.8 m (science 1.7): the outline assumes 5.1."""
_FINE_M, _KEPT_M = 1.25, 2.5
_REACH_M = 40.0
_YARD_M = 40.0
_HALO_TOP = 0.35
_DUST = (0.5, 1.3)
_SLOPE_LIGHT = 0.35
"""Light on the sunlit and the dark side of a shaded pile: 1.35 and 0.65 of a level one (science 1.7)."""


@dataclass(frozen=True)
class Patch:
    """A thing in one year as one resolution sees it, on cells of 2.5 m.

    Attributes
    ----------
    left_m, top_m : float
        Corner of the first cell in the world, y to the south.
    thing, yard, kept : Float32
        Amplitude of the thing's own spectrum and of its yard's, and the share of ground that stays.
    """

    left_m: float
    top_m: float
    thing: Float32
    yard: Float32
    kept: Float32


def make_patch(thing: Thing, year: int, sigma_m: float, seed: Sequence[int]) -> Patch | None:
    """Draw a thing's patch of one year; None when there is nothing, not even a yard.

    Half of the texture's variance is the same in all years and half is not: yards are worked on, and heaps
    are turned over. Dust differs from year to year.
    """
    shape, extent = thing.outlines[year], thing.extent
    if shape is None and thing.yard is None:
        return None
    yard = extent.buffer(_YARD_M) if thing.yard else None
    left, top, right, bottom = (yard or extent.buffer(thing.halo_m)).buffer(_REACH_M).bounds
    left, top = (np.floor((v + o) / _KEPT_M) * _KEPT_M - o for v, o in ((left, thing.x_m), (top, thing.y_m)))
    columns, rows = (int(np.ceil((b - a) / _KEPT_M)) * 2 for a, b in ((left, right), (top, bottom)))
    transform = Affine(_FINE_M, 0, left, 0, _FINE_M, top)

    def drawn(geometry: BaseGeometry | None) -> Float64:
        if geometry is None:
            return np.zeros((rows, columns))
        drawn_on = rasterize([geometry], out_shape=(rows, columns), transform=transform)
        return np.asarray(drawn_on, dtype=np.float64)

    inside = drawn(shape)
    own, ground = (_texture(seed, year, (rows, columns), spread) for spread in (thing.texture, 0.08))
    light = own * _slope_light(inside) if thing.shaded else own
    halo = _halo(inside, thing.halo_m) * np.random.default_rng([*seed, 8, year]).uniform(*_DUST)
    in_yard = drawn(yard)
    layers = (
        inside * light + halo * (1 - inside),
        in_yard * (1 - inside) * (1 - halo) * ground,
        (1 - in_yard) * (1 - inside) * (1 - halo),
    )
    # Sampling bilinearly from 2.5 m cells smears by about a sixth of a cell squared.
    sigma = np.sqrt(sigma_m**2 - _KEPT_M**2 / 6) / _FINE_M
    seen = [
        ndimage.gaussian_filter(layer, sigma, mode="constant", cval=float(fill), truncate=4.0)
        for layer, fill in zip(layers, (0, 0, 1), strict=True)
    ]
    kept = [layer.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3)).astype(np.float32) for layer in seen]
    return Patch(float(left) + thing.x_m, float(top) + thing.y_m, *kept)


def _texture(seed: Sequence[int], year: int, shape: tuple[int, int], spread: float) -> Float64:
    """Relative brightness, mean 1: half of its variance over 20 m, half over 4 m."""
    field = np.zeros(shape)
    for stream in ((7,), (7, year)):
        rng = np.random.default_rng([*seed, *stream])
        for scale_m in (20.0, 4.0):
            smooth = ndimage.gaussian_filter(rng.standard_normal(shape), scale_m / _FINE_M, mode="wrap")
            field += smooth / smooth.std()
    return np.asarray(1 + np.clip(spread * field / field.std(), -0.4, 0.4))


def _slope_light(inside: Float64) -> Float64:
    """Light on the slopes of a pile with the sun in the south-east, by which way its outline faces."""
    height = np.asarray(ndimage.gaussian_filter(ndimage.distance_transform_edt(inside > 0), 4.0))
    down, right = np.gradient(height)
    steep = np.hypot(down, right)
    towards = np.where(steep > 0.05, -(right + down) / np.sqrt(2) / np.maximum(steep, 1e-9), 0.0)  # noqa: PLR2004
    return np.asarray(1 + _SLOPE_LIGHT * towards)


def _halo(inside: Float64, width_m: float) -> Float64:
    """Share of dust round a pile: a third beside it, nothing from ``width_m`` on."""
    if not width_m or not inside.any():
        return np.zeros_like(inside)
    distance_m = np.asarray(ndimage.distance_transform_edt(inside == 0)) * _FINE_M
    return np.asarray(np.clip(1 - distance_m / width_m, 0, 1) * _HALO_TOP * (inside == 0))


def put(view: dict[str, Float32], thing: Thing, patches: Mapping[int, Patch], day: Day, seed: Sequence[int]) -> None:
    """Mix a thing into one date's view of the ground, in place.

    Parameters
    ----------
    view : dict of str to Float32
        Band to reflectance at its own resolution, row 0 in the north.
    thing : Thing
    patches : Mapping of int to Patch
        Resolution to the thing's patch of the year.
    day : Day
        Content at p is seen at p + shift.
    seed : sequence of int
        Of the thing; dates draw from it what the thing does on them.
    """
    spectrum, strength, shade = _on_day(thing, day, seed)
    yard = ground_spectrum(thing.yard, day.day_of_year) if thing.yard else np.zeros(len(BANDS))
    for resolution, patch in patches.items():
        at, points = _window(patch, resolution, view, day)
        if points is None:
            continue
        own, ground, kept = (
            ndimage.map_coordinates(layer, points, order=1, mode="constant", cval=fill)
            for layer, fill in ((patch.thing, 0.0), (patch.yard, 0.0), (patch.kept, 1.0))
        )
        own, kept = strength * own, 1 - strength * (1 - kept)
        for number, band in enumerate(BANDS):
            if RESOLUTION_M[band] != resolution:
                continue
            here = view[band][at]
            if shade:
                here *= 1 - own * (1 - spectrum[number])
            else:
                here *= kept
                here += own * spectrum[number] + ground * yard[number]


def _on_day(thing: Thing, day: Day, seed: Sequence[int]) -> tuple[Float64, float, bool]:
    """Spectrum of a thing on a date, how much of it shows, and whether it only takes light away."""
    spectrum = np.asarray(thing.spectrum)
    if thing.is_pile:
        # Wetness and light of the date: coal after rain is a tenth darker.
        wobble = np.random.default_rng([*seed, day.year, day.number]).normal(1.0, 0.04)
        return spectrum * wobble, 1.0, False
    behaviour = CONFUSERS[thing.kind].behaviour
    shows = shows_on(behaviour, day.day_of_year, np.random.default_rng([*seed, day.year, day.number]))
    if behaviour == "glint":
        return spectrum - shows, 1.0, False
    if behaviour == "flooded" and shows:
        return np.asarray(CONFUSERS["turbid water"].spectrum), 1.0, False
    return spectrum, 1.0 if behaviour == "flooded" else shows, behaviour == "shaded"


def _window(
    patch: Patch, resolution: int, view: Mapping[str, Float32], day: Day
) -> tuple[tuple[slice, slice], list[Float64] | None]:
    """Pixels of the view a patch reaches, and their centres in the patch's cells."""
    band = next(b for b in BANDS if RESOLUTION_M[b] == resolution)
    height_m, width_m = (size * _KEPT_M for size in patch.thing.shape)
    spans, centres = [], []
    for start_m, length_m, size, shift_m in (
        (patch.top_m, height_m, view[band].shape[0], -day.scene.shift_y_m),
        (patch.left_m, width_m, view[band].shape[1], day.scene.shift_x_m),
    ):
        first = max(int(np.floor((start_m + shift_m) / resolution)), 0)
        last = min(int(np.ceil((start_m + length_m + shift_m) / resolution)), size)
        spans.append(slice(first, max(last, first)))
        centres.append(((np.arange(first, last) + 0.5) * resolution - shift_m - start_m) / _KEPT_M - 0.5)
    if any(c.size == 0 for c in centres):
        return (spans[0], spans[1]), None
    return (spans[0], spans[1]), list(np.meshgrid(*centres, indexing="ij"))


def true_area_m2(thing: Thing, year: int) -> float:
    """Area of a thing's outline in a year; 0 while it is not there."""
    shape = thing.outlines[year]
    return 0.0 if shape is None else float(shape.area)


def south_up(shape: BaseGeometry, left_m: float, top_m: float) -> BaseGeometry:
    """Put a world's geometry (y to the south) into the CRS whose coordinates its top left corner has."""
    return affinity.affine_transform(shape, (1, 0, 0, -1, left_m, top_m))
