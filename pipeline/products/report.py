"""The change report: finished results -> report.html and report.pdf, nothing else read, nothing else needed.

Both documents are set from one :class:`~pipeline.products.view.View`, so they cannot differ in a number.
Text of users reaches HTML through autoescape and the PDF as JSON data, never as markup. The bytes depend
on the arguments alone: no time, no random id, no system font.
"""

import dataclasses
import json
from pathlib import Path

from pipeline.products.assets import Assets, json_element, leaflet, template
from pipeline.products.atomic import atomic_path
from pipeline.products.fonts import embedded_face
from pipeline.products.pages import page_of
from pipeline.products.pdf import pdf_of, without_content
from pipeline.products.site_map import SiteMap
from pipeline.products.view import View

_EVERY_SHEET = '@page { @top-center { content: "SIMULATED data"; color: #8a0046; font: 700 9pt sans-serif; } }\n'
_CONTENTS = (
    *(("summary", "Findings"), ("about", "What was looked at"), ("claims", "Claims"), ("map", "Map")),
    ("images", "Before and after"),
    *(("charts", "Year by year"), ("results", "Results"), ("scenes", "Scenes")),
    *(("not-assessed", "What was not assessed"), ("method", "Method")),
    *(("limits", "What 10 m imagery cannot show"), ("reading", "How to read the verdicts")),
    *(("tracing", "How to trace a number"), ("cite", "How to cite")),
)
"""Sections of the page, in their order."""


def write_report(folder: Path, view: View, on_map: SiteMap | None = None) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.pdf`` of a site into its folder.

    Parameters
    ----------
    folder : Path
        Folder of the site's products.
    view : View
        What both say.
    on_map : SiteMap, optional
        What the map of the HTML page shows; without it the page has no map.

    Returns
    -------
    tuple of Path
        The HTML file and the PDF file.

    Raises
    ------
    ProductError
        A file could not be written, or the PDF could not be set.
    """
    html, pdf = folder / "report.html", folder / "report.pdf"
    # The typesetter takes most memory: the page is made of what it leaves.
    with atomic_path(pdf) as beside:
        beside.write_bytes(pdf_of(view))
    with atomic_path(html) as beside:
        beside.write_text(html_of(view, on_map), encoding="utf-8", newline="\n")
    return html, pdf


def html_of(view: View, on_map: SiteMap | None = None) -> str:
    """Set a view as one HTML page that loads nothing: styles, scripts, drawings and images are inside it.

    Raises
    ------
    ProductError
        The library of the map is not installed.
    """
    said = json.dumps(dataclasses.asdict(view, dict_factory=without_content), ensure_ascii=False)
    sheets = _EVERY_SHEET if view.simulated else ""
    styles: tuple[str, ...] = (embedded_face(said) + "\n" + template("report.css") + sheets,)
    scripts: tuple[str, ...] = (template("page.js"),)
    if on_map is not None:
        library_style, library = leaflet()
        styles, scripts = (library_style, *styles), (library, *scripts, template("map.js"))
    return page_of(
        "report.html.j2",
        Assets(styles, scripts),
        view=view,
        contents=[entry for entry in _CONTENTS if entry[0] != "map" or on_map is not None],
        site_map=on_map,
        keys=on_map.keys if on_map is not None else frozenset(),
        map_json=json_element(on_map.data) if on_map is not None else "",
    )
