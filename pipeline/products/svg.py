"""A drawing as SVG, put together mark by mark; the same calls give the same bytes. Lengths in points, y downward."""

from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

from pipeline.products.lettering import UNITS, glyph, width

_ANCHORS = {"start": 0.0, "middle": 0.5, "end": 1.0}


@dataclass(frozen=True)
class Ink:
    """How a line or area is painted; colours as ``#rrggbb`` or ``none``."""

    stroke: str = "none"
    width: float = 0.0
    fill: str = "none"
    dashes: str = ""
    opacity: float = 1.0

    @property
    def attributes(self) -> str:
        """As attributes of an element."""
        said = [("fill", self.fill), ("stroke", self.stroke)]
        if self.stroke != "none":
            said.append(("stroke-width", number(self.width)))
        if self.dashes:
            said.append(("stroke-dasharray", self.dashes))
        if self.opacity < 1.0:
            said.append(("opacity", number(self.opacity)))
        return " ".join(f"{name}={quoteattr(value)}" for name, value in said)


@dataclass(frozen=True)
class Letters:
    """How a text is set: size, colour, anchor (start, middle, end), turn in degrees, and the colour of a rim."""

    size: float
    colour: str
    anchor: str = "middle"
    turned: float = 0.0
    rim: str = ""
    opacity: float = 1.0


@dataclass
class Drawing:
    """A drawing under way."""

    width: float
    height: float
    _marks: list[str] = field(default_factory=list)
    _characters: dict[str, str] = field(default_factory=dict)

    def line(self, points: list[tuple[float, float]], ink: Ink, kind: str = "") -> None:
        """Draw a line through points; ``kind`` is its class."""
        path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
        self._marks.append(f'<path{_class(kind)} d="{path}" {ink.attributes}/>')

    def area(self, points: list[tuple[float, float]], ink: Ink, kind: str = "") -> None:
        """Draw a closed area."""
        path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "Z"
        self._marks.append(f'<path{_class(kind)} d="{path}" {ink.attributes}/>')

    def disc(self, x: float, y: float, radius: float, ink: Ink, kind: str = "") -> None:
        """Draw a disc."""
        at = f'cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
        self._marks.append(f"<circle{_class(kind)} {at} {ink.attributes}/>")

    def text(self, x: float, y: float, words: str, letters: Letters) -> None:
        """Set a text on its base line at a point."""
        scale = letters.size / UNITS
        along = -_ANCHORS[letters.anchor] * width(words, letters.size) / scale
        uses = []
        for character in words:
            shape = glyph(character)
            if shape.path:
                name = self._characters.setdefault(character, f"c{len(self._characters)}")
                uses.append(f'<use xlink:href="#{name}" x="{number(along)}"/>')
            along += shape.advance
        turn = f" rotate({number(-letters.turned)})" if letters.turned else ""
        place = f"translate({number(x)} {number(y)}){turn} scale({number(scale, 5)} {number(-scale, 5)})"
        faded = f' opacity="{number(letters.opacity)}"' if letters.opacity < 1.0 else ""
        drawn = "".join(uses)
        if letters.rim:
            rim = f'fill="{letters.rim}" stroke="{letters.rim}" stroke-width="{number(3.5 / scale)}"'
            self._marks.append(f'<g transform="{place}" {rim}>{drawn}</g>')
        self._marks.append(f'<g transform="{place}" fill="{letters.colour}"{faded}>{drawn}</g>')

    def finished(self) -> str:
        """Give the whole drawing on white."""
        shapes = "".join(f'<path id="{name}" d="{glyph(c).path}"/>' for c, name in self._characters.items())
        size = f'width="{number(self.width)}pt" height="{number(self.height)}pt"'
        view = f'viewBox="0 0 {number(self.width)} {number(self.height)}"'
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f"{size} {view}>\n<defs>{shapes}</defs>\n"
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(self._marks) + "\n</svg>\n"
        )


def number(value: float, digits: int = 2) -> str:
    """Write a number without needless zeros."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
    return "0" if text in {"-0", ""} else text


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
