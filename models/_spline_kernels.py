"""Cubic splines between pixels, compiled.

They give what ``scipy.ndimage.zoom`` gives in grid mode with nearest edges, the specification.
"""

import numpy as np
from numpy.typing import NDArray

from models._compiled import compiled

Float64 = NDArray[np.float64]

FINE = 3
"""Points per pixel and axis; odd, so that one is the pixel's centre."""
_POLE = np.sqrt(3.0) - 2.0
"""Pole of the cubic spline's filter (Unser, Aldroubi and Eden 1993)."""


@compiled
def _splines(values: Float64) -> Float64:
    """Coefficients of cubic splines along the first axis, two more at either end (Unser, Aldroubi and Eden 1993)."""
    size, lines = values.shape
    gain = (1 - _POLE) * (1 - 1 / _POLE)
    out = np.empty((size + 4, lines))
    for line in range(lines):
        out[0, line] = gain * values[0, line] / (1 - _POLE)
    for place in range(1, size + 4):
        at = min(max(place - 2, 0), size - 1)
        for line in range(lines):
            out[place, line] = gain * values[at, line] + _POLE * out[place - 1, line]
    for line in range(lines):
        steady = gain * values[size - 1, line] / (1 - _POLE)
        rest = (out[size + 3, line] - steady) / (1 - _POLE**2)
        out[size + 3, line] = -_POLE * (steady / (1 - _POLE) + rest)
    for place in range(size + 2, -1, -1):
        for line in range(lines):
            out[place, line] = _POLE * (out[place + 1, line] - out[place, line])
    return out


@compiled
def _finer(values: Float64) -> Float64:
    """Cubic splines along the first axis on FINE points a pixel, which the result has along its second axis."""
    size, lines = values.shape
    spline = _splines(values)
    out = np.empty((lines, size * FINE))
    for point in range(size * FINE):
        # Of three points a pixel the first lies before its centre, the second in it.
        first = point // FINE + 2 - (point % FINE == 0)
        y = ((point % FINE + 2) % FINE) / FINE
        z = 1 - y
        before, here, after = z * z * z / 6, (y * y * (y - 2) * 3 + 4) / 6, (z * z * (z - 2) * 3 + 4) / 6
        last = 1 - before - here - after
        for line in range(lines):
            out[line, point] = (
                before * spline[first - 1, line]
                + here * spline[first, line]
                + after * spline[first + 1, line]
                + last * spline[min(first + 2, size + 3), line]
            )
    return out


@compiled
def magnified(values: Float64) -> Float64:
    """Interpolate the pixels of some images onto FINE times as many points along each axis.

    Beyond the edges the values go on for ever as they are there.

    Parameters
    ----------
    values : Float64
        Shape (images, rows, columns), finite.

    Returns
    -------
    Float64
        Shape (images, FINE x rows, FINE x columns); point i lies at (i + 0.5) / FINE pixels from the edge.
    """
    images, rows, columns = values.shape
    out = np.empty((images, rows * FINE, columns * FINE))
    for image in range(images):
        out[image] = _finer(_finer(values[image]))
    return out
