"""Bounded volume of a pile from its outline: a model of the order of magnitude, never a measurement.

The height a pile may reach dominates (science 1.8), so only the interval between two heights is given.
"""

import numpy as np
from scipy import ndimage

from models import Model
from models._indices import Bool

MODEL = Model(name="volume", version="1", measures="volume scenario from an outline and an angle of repose", bands=())


def volume_m3(inside: Bool, pixel_m: float, repose_deg: float, height_max_m: float) -> float:
    """Volume under ``h = min(d tan(repose), height_max)``, ``d`` the distance to the outline.

    Parameters
    ----------
    inside : Bool
        Footprint of the pile on a grid of ``pixel_m`` (fine: a metre or two), with a margin outside it.
    pixel_m : float
    repose_deg : float
        Angle of repose, degrees; loose coal lies at 35-40.
    height_max_m : float
        Largest height, metres.
    """
    # The distance transform measures to the next outside pixel's centre; the outline is half a pixel nearer.
    distance_m = np.maximum(ndimage.distance_transform_edt(inside) - 0.5, 0.0) * pixel_m
    height_m = np.minimum(distance_m * np.tan(np.radians(repose_deg)), height_max_m)
    return float(height_m[inside].sum() * pixel_m**2)
