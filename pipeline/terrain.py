"""Light on a slope and shadows of mountains, from an elevation model. Pure.

Grey ground in grazing light passes for coal, and ground in a mountain's shadow for anything dark (science 1.3):
both are masked, not corrected. Aspect is taken on the grid, whose north is within 2 degrees of true north in a
UTM zone at these latitudes; that changes the cosine by less than 0.02.
"""

import numpy as np

from pipeline.types import PIXEL_M, Bool, Float32

REACH_M = 2000.0
"""How far a shadow is followed: that of a ridge 1400 m above, at the lowest sun accepted (55 degrees)."""
_STEP_PX = 1.0


def cos_incidence(elevation_m: Float32, sun_zenith_deg: float, sun_azimuth_deg: float) -> Float32:
    """Cosine of the angle between the sun and the ground's normal.

    Parameters
    ----------
    elevation_m : Float32
        Shape (rows, columns) on the 10 m grid, north up; NaN is unknown.
    sun_zenith_deg, sun_azimuth_deg : float
        Azimuth clockwise from north.

    Returns
    -------
    Float32
        Same shape, -1 to 1; NaN where the slope is not known.
    """
    south, east = np.gradient(elevation_m.astype(np.float64), PIXEL_M)
    zenith, azimuth = np.radians([sun_zenith_deg, sun_azimuth_deg])
    # Normal of the ground: (-dz/deast, -dz/dnorth, 1); the sun: (sin sin, sin cos, cos).
    towards = -east * np.sin(zenith) * np.sin(azimuth) + south * np.sin(zenith) * np.cos(azimuth) + np.cos(zenith)
    return np.asarray(towards / np.sqrt(1.0 + east**2 + south**2), dtype=np.float32)


def cast_shadow(elevation_m: Float32, sun_zenith_deg: float, sun_azimuth_deg: float) -> Bool:
    """Ground whose sight of the sun's centre is blocked by higher ground within REACH_M.

    Parameters
    ----------
    elevation_m, sun_zenith_deg, sun_azimuth_deg
        As for :func:`cos_incidence`; unknown ground casts no shadow.

    Returns
    -------
    Bool
        Same shape.
    """
    rise_m = PIXEL_M / np.tan(np.radians(max(sun_zenith_deg, 0.1)))
    east, north = np.sin(np.radians(sun_azimuth_deg)), np.cos(np.radians(sun_azimuth_deg))
    ground = elevation_m.astype(np.float64)
    shadow = np.zeros(ground.shape, dtype=bool)
    known = ground[np.isfinite(ground)]
    relief_m = float(np.ptp(known)) if known.size else 0.0
    farthest_px = min(REACH_M / PIXEL_M, relief_m / rise_m, float(np.hypot(*ground.shape)))
    for distance in np.arange(_STEP_PX, farthest_px + _STEP_PX, _STEP_PX):
        seen = _moved(ground, -distance * north, distance * east)
        with np.errstate(invalid="ignore"):
            shadow |= seen - ground > distance * rise_m
    return shadow


def _moved(field: np.ndarray, rows: float, columns: float) -> np.ndarray:
    """Bilinear value of a field so many rows down and columns right of each cell; NaN beyond its edge."""
    height, width = field.shape
    row, column = int(np.floor(rows)), int(np.floor(columns))
    down, right = rows - row, columns - column
    pad = max(abs(row), abs(column)) + 1
    wide = np.pad(field, pad, constant_values=np.nan)

    def at(r: int, c: int) -> np.ndarray:
        return wide[pad + row + r : pad + row + r + height, pad + column + c : pad + column + c + width]

    # A corner of no weight is left out: its NaN would not be.
    weighted = [
        (weight, at(r, c))
        for r, by_row in ((0, 1.0 - down), (1, down))
        for c, by_column in ((0, 1.0 - right), (1, right))
        if (weight := by_row * by_column) > 1e-9  # noqa: PLR2004 - rounding of sine and cosine
    ]
    return np.asarray(sum(weight * values for weight, values in weighted))
