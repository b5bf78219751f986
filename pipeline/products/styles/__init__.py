"""How the layers look in QGIS: one symbol per tier, verdict, class or change, as QML and as a project.

The colours are those of Okabe and Ito (Color Universal Design, 2008), told apart by readers with any
common colour blindness; what must not be confused also differs in pattern. Element and attribute names
are those QGIS 3.22 reads: a project takes no style from ``layer_styles``, so it carries the renderers
again, and only a project switches the temporal controller on.
"""

from dataclasses import dataclass
from xml.etree import ElementTree as ET

DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
BLACK = "0,0,0,255"
GREY = "153,153,153,255"
ORANGE = "230,159,0,255"
SKY_BLUE = "86,180,233,255"
YELLOW = "240,228,66,255"
BLUE = "0,114,178,255"
VERMILLION = "213,94,0,255"
PURPLE = "204,121,167,255"

SINGLE_YEAR = 'make_date("year",{month},{day})'
LATER_YEAR = 'make_date("year_to",{month},{day})'


@dataclass(frozen=True)
class Symbol:
    """How polygons with one value are drawn: ``fill`` and ``line`` are "r,g,b,a", patterns are QGIS's names."""

    value: str
    label: str
    fill: str
    line: str = BLACK
    pattern: str = "solid"
    line_style: str = "solid"
    line_width_mm: float = 0.3


@dataclass(frozen=True)
class LayerStyle:
    """A layer's look: symbols by the values of ``attribute`` (one symbol for all when None).

    ``period`` is an expression with ``{month}`` and ``{day}`` that gives the first and last day on which a
    polygon is shown by the temporal controller; None shows it always.
    """

    label: str
    attribute: str | None
    symbols: tuple[Symbol, ...]
    period: str | None = None
    visible: bool = True


STYLES: dict[str, LayerStyle] = {
    "sites": LayerStyle("Site polygons as given", None, (Symbol("", "", "0,0,0,0", BLACK, "no", "dash", 0.5),)),
    "zones": LayerStyle("Zones", None, (Symbol("", "", "0,0,0,0", BLUE, "no", "solid", 0.4),)),
    "stockpile_changes": LayerStyle(
        "Stockpile changes",
        "verdict",
        (
            Symbol("increase", "Increase", VERMILLION),
            Symbol("decrease", "Decrease", BLUE),
            Symbol("no_detectable_change", "No detectable change", GREY),
            Symbol("insufficient_data", "Insufficient data", GREY, GREY, "b_diagonal", "dash"),
        ),
        LATER_YEAR,
        visible=False,
    ),
    "stockpiles": LayerStyle(
        "Stockpiles",
        "tier",
        (
            Symbol("confirmed", "Confirmed", VERMILLION),
            Symbol("probable", "Probable", ORANGE),
            Symbol("candidate", "Candidate (not counted)", YELLOW, BLACK, "b_diagonal", "dash"),
        ),
        SINGLE_YEAR,
    ),
    "stockpile_observations": LayerStyle(
        "Stockpile outlines by date",
        None,
        (Symbol("", "", "0,0,0,0", PURPLE, "no", "solid", 0.2),),
        SINGLE_YEAR,
        visible=False,
    ),
    "boundary_changes": LayerStyle(
        "Boundary changes",
        "change",
        (
            Symbol("certain_gain", "Certain gain", VERMILLION),
            Symbol("possible_gain", "Possible gain", ORANGE, ORANGE, "b_diagonal"),
            Symbol("certain_loss", "Certain loss", BLUE),
            Symbol("possible_loss", "Possible loss", SKY_BLUE, SKY_BLUE, "f_diagonal"),
        ),
        LATER_YEAR,
        visible=False,
    ),
    "footprints": LayerStyle(
        "Occupied ground",
        "class",
        (
            Symbol("bare_or_built", "Bare or built ground", PURPLE, PURPLE),
            Symbol("dark_ground", "Dark ground (coal, spoil, tar)", "68,68,68,255"),
            Symbol("other_cleared", "Cleared for a short time", ORANGE, ORANGE, "b_diagonal"),
        ),
        SINGLE_YEAR,
    ),
}
"""Layer name to style, topmost first."""


@dataclass(frozen=True)
class ProjectFrame:
    """What a project needs beside the styles.

    ``bounds`` is (left, bottom, right, top) in metres and ``years`` (first, last); None when nothing was
    measured.
    """

    file_name: str
    title: str
    epsg: int
    simulated: bool
    bounds: tuple[float, float, float, float] | None
    years: tuple[int, int] | None


def prefix(*, simulated: bool) -> str:
    """Return what every name shown to a reader begins with."""
    return "SIMULATED " if simulated else ""


def qml(layer: str) -> str:
    """Return the QML document of one layer of :data:`STYLES`."""
    root = ET.Element("qgis", version="3.22.0", styleCategories="AllStyleCategories")
    root.extend(_look(STYLES[layer]))
    return DOCTYPE + ET.tostring(root, encoding="unicode")


def project(frame: ProjectFrame) -> str:
    """Return a QGIS project document (.qgs) of the layers of :data:`STYLES`, with year as the step of time.

    Parameters
    ----------
    frame : ProjectFrame
        The GeoPackage's own file name (the project lies inside it), title, CRS, extent and years.
    """
    start = prefix(simulated=frame.simulated)
    title = start + frame.title.removeprefix(start)
    root = ET.Element("qgis", version="3.22.0", projectname=title)
    ET.SubElement(root, "title").text = title
    _crs(ET.SubElement(root, "projectCrs"), frame.epsg)
    tree = ET.SubElement(root, "layer-tree-group")
    root.append(_canvas(frame))
    layers = ET.SubElement(root, "projectlayers")
    for name, style in STYLES.items():
        # An id shorter than ten characters is replaced silently and the map stays blank.
        layer_id = f"{name}_layer_0001"
        source = f"./{frame.file_name}|layername={name}"
        label = start + style.label
        state = "Qt::Checked" if style.visible else "Qt::Unchecked"
        ET.SubElement(
            tree,
            "layer-tree-layer",
            id=layer_id,
            name=label,
            providerKey="ogr",
            source=source,
            checked=state,
            expanded="1",
        )
        layer = ET.SubElement(layers, "maplayer", type="vector", geometry="Polygon")
        for tag, text in (("id", layer_id), ("datasource", source), ("layername", label)):
            ET.SubElement(layer, tag).text = text
        _crs(ET.SubElement(layer, "srs"), frame.epsg)
        ET.SubElement(layer, "provider", encoding="UTF-8").text = "ogr"
        layer.extend(_look(style))
    root.extend(_settings(frame))
    return DOCTYPE + ET.tostring(root, encoding="unicode")


def _look(style: LayerStyle) -> list[ET.Element]:
    """Return the temporal settings and the renderer of a layer."""
    elements = []
    if style.period is not None:
        elements.append(
            ET.Element(
                "temporal",
                mode="4",  # start and end from expressions
                enabled="1",
                startExpression=style.period.format(month=1, day=1),
                endExpression=style.period.format(month=12, day=31),
                limitMode="0",
                accumulate="0",
            )
        )
    if style.attribute is None:
        renderer = ET.Element("renderer-v2", type="singleSymbol")
    else:
        renderer = ET.Element("renderer-v2", type="categorizedSymbol", attr=style.attribute)
        categories = ET.SubElement(renderer, "categories")
        for index, symbol in enumerate(style.symbols):
            ET.SubElement(
                categories, "category", value=symbol.value, label=symbol.label, symbol=str(index), render="true"
            )
    symbols = ET.SubElement(renderer, "symbols")
    for index, symbol in enumerate(style.symbols):
        symbols.append(_symbol(symbol, str(index)))
    return [*elements, renderer]


def _symbol(symbol: Symbol, name: str) -> ET.Element:
    """Return a fill symbol."""
    element = ET.Element("symbol", name=name, type="fill", alpha="1")
    layer = ET.SubElement(element, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0"})
    options = ET.SubElement(layer, "Option", type="Map")
    values = {
        "color": symbol.fill,
        "style": symbol.pattern,
        "outline_color": symbol.line,
        "outline_style": symbol.line_style,
        "outline_width": str(symbol.line_width_mm),
        "outline_width_unit": "MM",
    }
    for key, value in values.items():
        ET.SubElement(options, "Option", name=key, type="QString", value=value)
    return element


def _crs(parent: ET.Element, epsg: int) -> None:
    """Name the CRS; QGIS ignores ``authid`` without some ``srsid`` between 1 and 99999 beside it."""
    system = ET.SubElement(parent, "spatialrefsys")
    ET.SubElement(system, "srsid").text = "1"
    ET.SubElement(system, "authid").text = f"EPSG:{epsg}"


def _canvas(frame: ProjectFrame) -> ET.Element:
    """Return the map canvas: units, extent and CRS."""
    canvas = ET.Element("mapcanvas", name="theMapCanvas")
    ET.SubElement(canvas, "units").text = "meters"
    if frame.bounds is not None:
        extent = ET.SubElement(canvas, "extent")
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), frame.bounds, strict=True):
            ET.SubElement(extent, tag).text = repr(float(value))
    _crs(ET.SubElement(canvas, "destinationsrs"), frame.epsg)
    return canvas


def _settings(frame: ProjectFrame) -> list[ET.Element]:
    """Return the range of years, and the switches without which CRS and relative paths are ignored."""
    elements = []
    if frame.years is not None:
        time = ET.Element(
            "ProjectTimeSettings", timeStepUnit="y", timeStep="1", frameRate="1", cumulativeTemporalRange="0"
        )
        period = ET.SubElement(time, "TemporalRange")
        ET.SubElement(period, "start").text = f"{frame.years[0]}-01-01T00:00:00Z"
        ET.SubElement(period, "end").text = f"{frame.years[1]}-12-31T00:00:00Z"
        elements.append(time)
    properties = ET.Element("properties")
    reference = ET.SubElement(properties, "SpatialRefSys")
    ET.SubElement(reference, "ProjectionsEnabled", type="int").text = "1"
    paths = ET.SubElement(properties, "Paths")
    ET.SubElement(paths, "Absolute", type="bool").text = "false"
    return [*elements, properties]
