"""Cloud and shadow by a trained mask, for archives without scene classes. Needs the extra ``cloudmask``.

ukis-csmask (Wieland, Fichtner and Martinis 2022): a network trained on Sentinel-2 and Landsat at 30 m, with a
model for surface reflectance. It is large, so it is an extra and imported when it is asked for (science 2.3).
"""

import importlib.util
import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.types import Bool, Float32

BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
"""What the network looks at, in its order."""

_COARSER = 3
"""30 m, which the network was trained at, in pixels of 10 m."""
_CLOUD, _SHADOW = 1, 2


def check_installed() -> None:
    """Refuse a configuration that asks for a mask that is not there.

    Raises
    ------
    InputError
        The package or its runtime is not installed.
    """
    missing = [name for name in ("ukis_csmask", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"clear.without_scl = 'csmask': {' and '.join(missing)} not installed; "
            "pip install 'stockline[cloudmask]', or set clear.without_scl to spectral"
        )


def cloud_and_shadow(bands: Mapping[str, Float32]) -> tuple[Bool, Bool]:
    """Find cloud and cloud shadow in surface reflectance.

    Parameters
    ----------
    bands : Mapping[str, Float32]
        At least ``BANDS``, 10 m, of one shape; NaN is no data.

    Returns
    -------
    cloud, shadow : Bool
        Of the bands' shape; False where any band is NaN.
    """
    check_installed()
    from ukis_csmask.mask import CSmask  # noqa: PLC0415 - an extra of 145 MB

    image = np.stack([bands[band] for band in BANDS], axis=-1)
    known: Bool = np.all(np.isfinite(image), axis=-1)
    if not known.any():
        return known, known.copy()
    # The network knows no gaps: ground as bright as the rest is neither cloud nor shadow to it.
    image = np.where(known[..., np.newaxis], image, np.median(image[known], axis=0))
    with warnings.catch_warnings():
        # It says of every image below 256 pixels that a larger one would be better.
        warnings.simplefilter("ignore", UserWarning)
        found = CSmask(
            img=_coarser(image), band_order=list(BANDS), product_level="l2a", intra_op_num_threads=1,
            inter_op_num_threads=1, providers=["CPUExecutionProvider"],
        ).csm[..., 0]  # fmt: skip
    fine = np.repeat(np.repeat(found, _COARSER, axis=0), _COARSER, axis=1)[: known.shape[0], : known.shape[1]]
    return (fine == _CLOUD) & known, (fine == _SHADOW) & known


def _coarser(image: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean of squares of pixels; the last row and column are repeated to whole squares."""
    rows, columns = (-size % _COARSER for size in image.shape[:2])
    whole = np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge")
    height, width = whole.shape[0] // _COARSER, whole.shape[1] // _COARSER
    squares = whole.reshape(height, _COARSER, width, _COARSER, -1)
    return np.asarray(squares.mean(axis=(1, 3)), dtype=np.float32)
