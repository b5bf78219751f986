"""Band arithmetic shared by the models. Names are the project's own: NDCI and BCI mean other things elsewhere."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32: TypeAlias = NDArray[np.float32]
Bool: TypeAlias = NDArray[np.bool_]
Bands: TypeAlias = Mapping[str, Float32]


def difference_ratio(a: Float32, b: Float32) -> Float32:
    """Return ``(a - b) / (a + b)`` of reflectances, NaN where the sum is not above zero."""
    total = a + b
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, (a - b) / total, np.float32(np.nan)).astype(np.float32)


def brightness(bands: Bands) -> Float32:
    """Mean of blue, green, red and nir08: how dark the surface is (V of science 1.4)."""
    return ((bands["blue"] + bands["green"] + bands["red"] + bands["nir08"]) / 4).astype(np.float32)


def ndvi(bands: Bands) -> Float32:
    """Normalised difference vegetation index of nir and red."""
    return difference_ratio(bands["nir"], bands["red"])
