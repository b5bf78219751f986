"""Pictures of the report: one year's true-colour image with outlines, scale bar, north arrow and credit.

Drawn under the same rules as the charts: the bytes depend on the arguments alone.
"""

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry.base import BaseGeometry

from pipeline.products.charts import plain_style

Bounds = tuple[float, float, float, float]

# Okabe and Ito's set, told apart with every kind of colour vision.
PILE_COLOUR = "#f0e442"
FOOTPRINT_COLOUR = "#56b4e9"
ZONE_COLOUR = "#ffffff"

PICTURE_PX = 1100
_DPI = 100
_JPEG_QUALITY = 90
_LABELS_AT_MOST = 12


@dataclass(frozen=True)
class Picture:
    """A true-colour image of one year.

    Attributes
    ----------
    year : int
        Year of the composite.
    rgb : NDArray[np.uint8]
        Shape (rows, columns, 3), already stretched; the same stretch for all years of a site.
    transform : Affine
        From (column, row) to (x, y) in metres, north up.
    epsg : int
        CRS of the transform; that of the outlines too.
    """

    year: int
    rgb: NDArray[np.uint8]
    transform: Affine
    epsg: int

    @property
    def bounds(self) -> Bounds:
        """(left, bottom, right, top) in metres."""
        rows, columns = self.rgb.shape[:2]
        right, bottom = self.transform @ (columns, rows)
        return float(self.transform.c), float(bottom), float(right), float(self.transform.f)


@dataclass(frozen=True)
class Outlines:
    """What is drawn on a picture, in its CRS: labelled piles, footprints, and zones or perimeters."""

    piles: tuple[tuple[str, BaseGeometry], ...]
    footprints: tuple[BaseGeometry, ...]
    zones: tuple[BaseGeometry, ...]


def picture_jpeg(picture: Picture, outlines: Outlines, bounds: Bounds, credit: str, *, simulated: bool) -> bytes:
    """Draw a true-colour image with outlines, scale bar, north arrow, year and data credit as JPEG.

    Parameters
    ----------
    picture : Picture
        The year's image.
    outlines : Outlines
        In the picture's CRS.
    bounds : tuple of float
        (left, bottom, right, top) in metres: the part shown, the same for images to be compared.
    credit : str
        Data credit written into the image.
    simulated : bool
        Writes SIMULATED across the image.
    """
    left, bottom, right, top = bounds
    width_m, height_m = right - left, top - bottom
    height_px = round(PICTURE_PX * height_m / width_m)
    own = picture.bounds
    with plain_style(font_size=22.0):
        figure = Figure(figsize=(PICTURE_PX / _DPI, height_px / _DPI), dpi=_DPI)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.imshow(picture.rgb, extent=(own[0], own[2], own[1], own[3]))
        _draw_outlines(axes, outlines)
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        _draw_margin(axes, picture.year, bounds, credit)
        if simulated:
            halo = [patheffects.withStroke(linewidth=1.5, foreground="#000000", alpha=0.4)]
            place: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center", "path_effects": halo}
            # Below the middle, where a close view has its pile.
            axes.text(0.5, 0.22, "SIMULATED", fontsize=80, color="#ffffff", alpha=0.5, **place)
        raw = io.BytesIO()
        figure.savefig(raw, format="rgba", dpi=_DPI)
    pixels = np.frombuffer(raw.getvalue(), dtype=np.uint8).reshape(height_px, PICTURE_PX, 4)
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., :3])).save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return out.getvalue()


def _draw_outlines(axes: Axes, outlines: Outlines) -> None:
    """Draw zones dashed, footprints thin, piles last and strongest, each with a dark rim to stand on any ground."""
    zones = [ring for zone in outlines.zones for ring in _rings(zone)]
    grounds = [ring for footprint in outlines.footprints for ring in _rings(footprint)]
    piles = [ring for _, pile in outlines.piles for ring in _rings(pile)]
    axes.add_collection(LineCollection(zones, colors="#000000", linewidths=4.0, alpha=0.55), autolim=False)
    axes.add_collection(
        LineCollection(zones, colors=ZONE_COLOUR, linewidths=2.2, linestyles=(0, (5, 4))), autolim=False
    )
    axes.add_collection(LineCollection(grounds, colors="#000000", linewidths=3.4, alpha=0.5), autolim=False)
    axes.add_collection(LineCollection(grounds, colors=FOOTPRINT_COLOUR, linewidths=1.9), autolim=False)
    axes.add_collection(LineCollection(piles, colors="#000000", linewidths=5.6), autolim=False)
    axes.add_collection(LineCollection(piles, colors=PILE_COLOUR, linewidths=3.0), autolim=False)
    halo = [patheffects.withStroke(linewidth=3.0, foreground="#000000")]
    if len(outlines.piles) <= _LABELS_AT_MOST:
        for label, pile in outlines.piles:
            at = (pile.bounds[2], pile.bounds[3])
            text = axes.annotate(
                label, at, xytext=(4, 3), textcoords="offset points", color=PILE_COLOUR, path_effects=halo, fontsize=20
            )
            text.set_clip_on(True)


def _draw_margin(axes: Axes, year: int, bounds: Bounds, credit: str) -> None:
    """Year, scale bar, north arrow and credit, inside the image."""
    left, bottom, right, top = bounds
    width_m, height_m = right - left, top - bottom
    unit = width_m / 100.0
    halo = [patheffects.withStroke(linewidth=3.5, foreground="#000000")]
    ink: dict[str, Any] = {"color": "#ffffff", "path_effects": halo}
    axes.text(left + 2 * unit, top - 2 * unit, str(year), va="top", fontsize=42, **ink)
    bar_m = scale_bar_m(width_m)
    label = f"{bar_m:.0f} m" if bar_m < 1000 else f"{bar_m / 1000:.0f} km"  # noqa: PLR2004 - metres to kilometres
    y = bottom + min(5 * unit, height_m / 8)
    axes.plot([left + 2 * unit, left + 2 * unit + bar_m], [y, y], linewidth=7, solid_capstyle="butt", **ink)
    axes.text(left + 2 * unit, y + unit, label, va="bottom", **ink)
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": "#ffffff", "linewidth": 4.0, "mutation_scale": 26.0}
    x, foot = right - 4 * unit, top - min(12 * unit, height_m / 3)
    axes.annotate("", (x, top - 2 * unit), (x, foot), arrowprops=arrow)
    axes.text(x, foot - unit / 2, "N", ha="center", va="top", fontsize=28, **ink)
    axes.text(right - 1.5 * unit, bottom + unit, credit, ha="right", va="bottom", fontsize=17, **ink)


def scale_bar_m(width_m: float) -> float:
    """Length of the scale bar: 500 m, but 100 m in a close view and 2 km where 500 m would be a speck."""
    return 100.0 if width_m < 1_000.0 else 500.0 if width_m < 15_000.0 else 2_000.0  # noqa: PLR2004


def _rings(geometry: BaseGeometry) -> list[NDArray[np.float64]]:
    """Coordinates of every ring of the polygons of a geometry, each of shape (n, 2)."""
    polygons = [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon" and not part.is_empty]
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(polygons)]


def window_around(bounds: Bounds, within: Bounds, smallest_m: float) -> Bounds:
    """Square window centred on ``bounds`` with a margin of its half, at least ``smallest_m``, inside ``within``."""
    side = max(smallest_m, 2.0 * max(bounds[2] - bounds[0], bounds[3] - bounds[1]))
    side = math.floor(min(side, within[2] - within[0], within[3] - within[1]) / 10.0) * 10.0
    x = min(max((bounds[0] + bounds[2] - side) / 2.0, within[0]), within[2] - side)
    y = min(max((bounds[1] + bounds[3] - side) / 2.0, within[1]), within[3] - side)
    return x, y, x + side, y + side
