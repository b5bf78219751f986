"""Pictures of the report: one year's true-colour image with outlines, scale bar, north arrow, legend and credit.

Drawn under the same rules as the charts: the bytes depend on the arguments alone. With Pillow, since pixels are to
lie where they are and lines where they run: a figure of matplotlib would add its own grid and ten times the time.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from shapely.geometry.base import BaseGeometry

from pipeline.products.fonts import font_path

Bounds = tuple[float, float, float, float]
_Ring = NDArray[np.float64]

# Okabe and Ito's set, told apart with every kind of colour vision.
PILE_COLOUR = "#f0e442"
FOOTPRINT_COLOUR = "#56b4e9"
ZONE_COLOUR = "#ffffff"

PICTURE_PX = 1100
_FINER = 2
"""Lines are drawn on so many pixels to one, so that their edges are smooth."""
_BLACK, _INK, _NO_RIM = (0, 0, 0, 255), (29, 35, 41, 255), (0, 0, 0, 0)
_LETTER_RIM_PX = 3
_JPEG_QUALITY = 90
_LEGEND_PX = 84
"""Height of the strip below the image."""
_LABELS_AT_MOST = 12
_DASH_PX, _GAP_PX = 15.0, 12.0
_BEND_PX = 0.5
_THIN_PX = 5.0
"""Round joints of thinner lines are not seen, and take longer than the lines."""
_RIM_PX = 8.0
"""The widest line: what lies so far outside the picture may reach into it."""


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
    close : callable, optional
        Gives the picture of what lies within bounds as fine as it is shown, where ``rgb`` is coarser.
    infrared : callable, optional
        Gives what lies within bounds in short-wave infrared.
    """

    year: int
    rgb: NDArray[np.uint8]
    transform: Affine
    epsg: int
    close: "Callable[[Bounds], Picture] | None" = None
    infrared: "Callable[[Bounds], Picture] | None" = None

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


@dataclass(frozen=True)
class _View:
    """What part of the ground is shown, and how many pixels high; the width is always the same."""

    bounds: Bounds
    height_px: int

    @property
    def scale(self) -> float:
        """Pixels to a metre."""
        return PICTURE_PX / (self.bounds[2] - self.bounds[0])

    @property
    def frame(self) -> BaseGeometry:
        """What is shown, and as far around it as a line is wide."""
        (left, bottom, right, top), rim = self.bounds, _RIM_PX / self.scale
        return shapely.box(left - rim, bottom - rim, right + rim, top + rim)

    def placed(self, coordinates: _Ring) -> _Ring:
        """Metres to pixels, y downward; shape (n, 2)."""
        left, top = self.bounds[0], self.bounds[3]
        return np.column_stack([coordinates[:, 0] - left, top - coordinates[:, 1]]) * self.scale


def picture_jpeg(picture: Picture, outlines: Outlines, bounds: Bounds, credit: str, *, simulated: bool) -> bytes:
    """Draw a true-colour image with outlines, scale bar, north arrow and year as JPEG, legend and credit below it.

    Parameters
    ----------
    picture : Picture
        The year's image.
    outlines : Outlines
        In the picture's CRS.
    bounds : tuple of float
        (left, bottom, right, top) in metres: the part shown, the same for images to be compared.
    credit : str
        Data credit written below the image.
    simulated : bool
        Writes SIMULATED across the image.
    """
    left, bottom, right, top = bounds
    view = _View(bounds, round(PICTURE_PX * (top - bottom) / (right - left)))
    if picture.close is not None and picture.transform.a * view.scale > 1.0:
        picture = picture.close(bounds)
    canvas = _ground(picture, view)
    canvas.alpha_composite(_lines(outlines, view))
    # Letters have layers of their own: what is drawn on an image of RGBA replaces what is there.
    letters = Image.new("RGBA", canvas.size)
    draw = ImageDraw.Draw(letters)
    _label_piles(draw, outlines, view)
    _draw_margin(draw, picture.year, view)
    canvas.alpha_composite(letters)
    if simulated:
        # Below the middle, where a close view has its pile.
        across = Image.new("RGBA", canvas.size)
        stamp = _Letters(111, "mm", (255, 255, 255, 128), (0, 0, 0, 102))
        stamp.write(ImageDraw.Draw(across), (PICTURE_PX / 2, 0.78 * view.height_px), "SIMULATED")
        canvas.alpha_composite(across)
    out = io.BytesIO()
    whole = Image.new("RGB", (PICTURE_PX, view.height_px + _LEGEND_PX), "#ffffff")
    whole.paste(canvas.convert("RGB"))
    _draw_legend(ImageDraw.Draw(whole), outlines, view.height_px, credit)
    whole.save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return out.getvalue()


def _ground(picture: Picture, view: _View) -> Image.Image:
    """Return the part of a picture that is shown, at the size it is shown; outside of it is white."""
    (left, bottom, right, top), own = view.bounds, picture.bounds
    pixel_m = picture.transform.a
    box = (left - own[0]) / pixel_m, (own[3] - top) / pixel_m, (right - own[0]) / pixel_m, (own[3] - bottom) / pixel_m
    rows, columns = picture.rgb.shape[:2]
    # Pixels that are larger than those of the picture stay what they are: squares.
    way = Image.Resampling.NEAREST if view.scale * pixel_m >= 1.0 else Image.Resampling.BOX
    size = PICTURE_PX, view.height_px
    image = Image.fromarray(np.ascontiguousarray(picture.rgb))
    if box[0] >= 0 and box[1] >= 0 and box[2] <= columns and box[3] <= rows:
        return image.resize(size, way, box=box).convert("RGBA")
    white = (255, 255, 255, 255)
    whole = image.convert("RGBA")
    return whole.transform(size, Image.Transform.EXTENT, box, Image.Resampling.NEAREST, fillcolor=white)


def _lines(outlines: Outlines, view: _View) -> Image.Image:
    """Draw zones dashed, footprints thin, piles last and strongest, each with a dark rim to stand on any ground."""
    layer = Image.new("RGBA", (PICTURE_PX * _FINER, view.height_px * _FINER))
    draw = ImageDraw.Draw(layer)
    zones = [ring for zone in outlines.zones for ring in _rings(zone, view)]
    grounds = [ring for ground in outlines.footprints for ring in _rings(ground, view)]
    piles = [ring for _, pile in outlines.piles for ring in _rings(pile, view)]
    _stroke(draw, zones, (0, 0, 0, 140), 5.5)
    _stroke(draw, [dash for ring in zones for dash in dashes(ring, _DASH_PX, _GAP_PX)], ZONE_COLOUR, 3.0)
    _stroke(draw, grounds, (0, 0, 0, 128), 4.5)
    _stroke(draw, grounds, FOOTPRINT_COLOUR, 2.5)
    _stroke(draw, piles, _BLACK, 8.0)
    _stroke(draw, piles, PILE_COLOUR, 4.0)
    return layer.reduce(_FINER)


def _stroke(
    draw: ImageDraw.ImageDraw, rings: Sequence[_Ring], colour: str | tuple[int, int, int, int], width_px: float
) -> None:
    for ring in rings:
        flat = (ring * _FINER).ravel().tolist()
        draw.line(flat, fill=colour, width=round(width_px * _FINER), joint="curve" if width_px > _THIN_PX else None)


def dashes(ring: _Ring, dash: float, gap: float) -> Iterator[_Ring]:
    """Cut a line of shape (n, 2) into dashes, the first at its start."""
    steps = np.hypot(*np.diff(ring, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    for start in np.arange(0.0, along[-1], dash + gap):
        end = min(start + dash, along[-1])
        inside = (along > start) & (along < end)
        ends = [[np.interp(at, along, ring[:, 0]), np.interp(at, along, ring[:, 1])] for at in (start, end)]
        yield np.vstack([ends[0], ring[inside], ends[1]])


@dataclass(frozen=True)
class _Letters:
    """How a text is set: pixels, what of it is placed (Pillow's anchor), its colour and that of its rim."""

    size_px: int
    anchor: str
    colour: str | tuple[int, int, int, int] = "#ffffff"
    rim: tuple[int, int, int, int] = _BLACK

    @property
    def font(self) -> ImageFont.FreeTypeFont:
        """The font at this size."""
        return ImageFont.truetype(str(font_path()), self.size_px, layout_engine=ImageFont.Layout.BASIC)

    def write(self, draw: ImageDraw.ImageDraw, at: tuple[float, float], words: str) -> None:
        """Set a text at a point."""
        rim_px = _LETTER_RIM_PX if self.rim[3] else 0
        draw.text(at, words, self.colour, self.font, self.anchor, stroke_width=rim_px, stroke_fill=self.rim)


def _label_piles(draw: ImageDraw.ImageDraw, outlines: Outlines, view: _View) -> None:
    """Name the piles when they are few, each name inside the image and clear of those before it."""
    if len(outlines.piles) > _LABELS_AT_MOST:
        return
    letters = _Letters(32, "ls", PILE_COLOUR)
    written: list[Bounds] = []
    for label, pile in outlines.piles:
        (left, low), (right, top) = view.placed(np.array([pile.bounds[:2], pile.bounds[2:]]))
        if right < 0 or left >= PICTURE_PX or low < 0 or top >= view.height_px:
            continue
        width, height = letters.font.getlength(label), float(letters.size_px)
        x = min(right + 5, PICTURE_PX - width - 6)
        boxes = [(x, max(y - height, 0.0), x + width, max(y, height)) for y in (top - 4, low + height, top - height)]
        # Where every place is taken, a name stands over another: it is never left out.
        box = next((one for one in boxes if not any(_overlap(one, other) for other in written)), boxes[0])
        written.append(box)
        letters.write(draw, (x, box[3]), label)


def _overlap(one: Bounds, other: Bounds) -> bool:
    """Whether two boxes have ground in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _draw_legend(draw: ImageDraw.ImageDraw, outlines: Outlines, top: int, credit: str) -> None:
    """Say below the image what its lines are, and whose data it is made from."""
    x, middle = 16.0, top + 24
    drawn = (
        (outlines.piles, PILE_COLOUR, (5, 39), "dark bulk material"),
        (outlines.footprints, FOOTPRINT_COLOUR, (5, 39), "occupied ground"),
        (outlines.zones, ZONE_COLOUR, (5, 18, 26, 39), "zone or perimeter"),
    )
    for _, colour, ends, words in (line for line in drawn if line[0]):
        draw.rectangle((x, middle - 8, x + 44, middle + 8), fill=_INK)
        for start, end in zip(ends[::2], ends[1::2], strict=True):
            draw.line((x + start, middle, x + end, middle), fill=colour, width=5)
        letters = _Letters(27, "lm", _INK, _NO_RIM)
        letters.write(draw, (x + 54, middle), words)
        x += 54 + letters.font.getlength(words) + 32
    _Letters(22, "lm", _INK, _NO_RIM).write(draw, (16.0, middle + 38), credit)


def _draw_margin(draw: ImageDraw.ImageDraw, year: int, view: _View) -> None:
    """Year, scale bar and north arrow, inside the image."""
    unit, height = PICTURE_PX / 100.0, float(view.height_px)
    _Letters(58, "la").write(draw, (2 * unit, 2 * unit), str(year))
    bar_m = scale_bar_m(view.bounds[2] - view.bounds[0])
    label = f"{bar_m:.0f} m" if bar_m < 1000 else f"{bar_m / 1000:.0f} km"  # noqa: PLR2004 - metres to kilometres
    y = height - min(5 * unit, height / 8)
    bar = (2 * unit, y - 5, 2 * unit + bar_m * view.scale, y + 5)
    draw.rectangle(bar, fill="#ffffff", outline=_BLACK, width=2)
    _Letters(31, "lb").write(draw, (2 * unit, y - unit), label)
    x, foot, tip = PICTURE_PX - 4 * unit, min(12 * unit, height / 3), 2 * unit
    shaft = [(x + 3, tip + 30), (x + 3, foot), (x - 3, foot), (x - 3, tip + 30)]
    draw.polygon([(x, tip), (x + 10, tip + 30), *shaft, (x - 10, tip + 30)], fill="#ffffff", outline=_BLACK)
    _Letters(39, "ma").write(draw, (x, foot + unit / 2), "N")


def scale_bar_m(width_m: float) -> float:
    """Length of the scale bar: 500 m, but 100 m in a close view and 2 km where 500 m would be a speck."""
    return 100.0 if width_m < 1_000.0 else 500.0 if width_m < 15_000.0 else 2_000.0  # noqa: PLR2004


def _rings(geometry: BaseGeometry, view: _View) -> list[_Ring]:
    """Pixels, of shape (n, 2), of every ring of the polygons of a geometry that comes into view.

    Bends of less than half a pixel are left out: they cost time and show nothing.
    """
    parts = np.asarray(shapely.get_parts(geometry))
    seen = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & shapely.intersects(parts, view.frame)]
    rings = shapely.simplify(shapely.get_rings(seen), _BEND_PX / view.scale, preserve_topology=False)
    return [view.placed(shapely.get_coordinates(ring)) for ring in rings if shapely.intersects(ring, view.frame)]
