"""Steady ground with all years in memory: what `pipeline/drift.py` must choose."""

from collections.abc import Sequence

import numpy as np

from pipeline.drift import _MAX_SPREAD, _MIN_YEARS, BANDS, _bare, _near
from pipeline.types import Bool, Float32


def steady_ground(composites: Sequence[Float32], piles: Bool, ndvi_max: float, dark_max: float) -> tuple[Bool, Float32]:
    level = np.full((len(BANDS), *piles.shape), np.nan, dtype=np.float32)
    bare = ~_near(piles)
    for composite in composites:
        bare &= _bare(composite, ndvi_max, dark_max)
    if len(composites) < _MIN_YEARS or not bare.any():
        return np.zeros(piles.shape, dtype=bool), level
    seen = np.stack([composite[:, bare] for composite in composites])
    level[:, bare] = np.median(seen, axis=0)
    off = seen - level[:, bare]
    own = off - np.median(off, axis=2)[:, :, None]
    steady = bare.copy()
    steady[bare] = np.sqrt(np.mean(own**2, axis=0)).max(axis=0) <= _MAX_SPREAD
    return steady, level
