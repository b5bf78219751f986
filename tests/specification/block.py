"""The layers of a block's dates, in plain numpy on reflectance: what `pipeline/passes/block.py` must give."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models._indices import brightness, ndvi
from models.stockpile import ScoreRules, looks_like_water, may_be_coal
from pipeline.passes.block import DISPLAY_BANDS, HALVES, YearLayers
from pipeline.types import Bool, Float32, Grid
from specification.footprint import expected_largest


@dataclass(frozen=True)
class SeenDate:
    """One date of a block; ``ok`` are the pixels that may be used."""

    bands: Mapping[str, Float32]
    ok: Bool
    in_stockpile: bool
    in_footprint: bool


def layers_of(
    dates: Sequence[SeenDate], grid: Grid, rules: ScoreRules, ndvi_max_bare: float, min_pixel_dates: int
) -> YearLayers:
    layers = YearLayers.empty(grid)
    if not dates:
        return layers
    for date in dates:
        if date.in_stockpile:
            layers.clear[date.ok] += 1
            layers.hits[date.ok & may_be_coal(date.bands, rules)] += 1
            layers.water[date.ok & looks_like_water(date.bands)] += 1
    ground = [date for date in dates if date.in_footprint]
    if ground:
        _fill_ground(layers, ground, ndvi_max_bare, min_pixel_dates)
        layers.brightness[:] = median([brightness(d.bands) for d in ground], [d.ok for d in ground])
    for place, band in enumerate(DISPLAY_BANDS):
        # Whole numbers, so that the half between two is one.
        middle = median([np.rint(d.bands[band] * 1e4) for d in dates], [d.ok for d in dates])
        layers.composite[place] = np.nan_to_num(np.clip(np.round(middle), 1, 65535), nan=0.0).astype(np.uint16)
    return layers


def _fill_ground(layers: YearLayers, dates: Sequence[SeenDate], ndvi_max_bare: float, min_pixel_dates: int) -> None:
    green = _stack([ndvi(date.bands) for date in dates], [date.ok for date in dates])
    seen = np.isfinite(green)
    with np.errstate(invalid="ignore"):
        bare = green < ndvi_max_bare
    water = seen & np.stack([looks_like_water(date.bands) for date in dates])
    difference = _stack([date.bands["nir"] - date.bands["red"] for date in dates], list(seen))
    for place in range(HALVES + 1):
        # Place 0 holds all dates, the others every other one from the first or the second.
        of = slice(None) if place == 0 else slice(place - 1, None, HALVES)
        layers.ground_clear[place] = seen[of].sum(axis=0)
        layers.ground_bare[place] = bare[of].sum(axis=0)
        layers.ground_water[place] = water[of].sum(axis=0)
        if len(green[of]):
            layers.ndvi_max[place] = expected_largest(green[of], min_pixel_dates)
            layers.dvi_max[place] = expected_largest(difference[of], min_pixel_dates)


def _stack(values: Sequence[Float32], good: Sequence[Bool]) -> Float32:
    return np.stack([np.where(ok, value, np.float32(np.nan)) for value, ok in zip(values, good, strict=True)])


def median(values: Sequence[Float32], good: Sequence[Bool]) -> Float32:
    """Median over the usable dates; NaN where there is none."""
    stack = np.sort(_stack(values, good), axis=0)
    count = np.isfinite(stack).sum(axis=0)
    low, high = (
        np.take_along_axis(stack, p[np.newaxis], axis=0)[0]
        for p in (np.maximum(count - 1, 0) // 2, count // 2 % len(stack))
    )
    return np.where(count > 0, (low + high) / np.float32(2), np.float32(np.nan)).astype(np.float32)
