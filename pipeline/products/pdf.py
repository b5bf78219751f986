"""The change report on paper: a view set as PDF by the typesetter, with its fonts and nothing of the machine's.

The document is tagged for readers that speak it (PDF/UA-1). It names no time of making: its bytes depend on the
view alone. PDF/A is not claimed, for it asks for a date.
"""

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import typst

from pipeline.errors import ProductError
from pipeline.products.assets import template
from pipeline.products.fonts import font_path
from pipeline.products.listings import Listing
from pipeline.products.paper import on_paper
from pipeline.products.view import View
from pipeline.products.wording import VERDICTS


def pdf_of(view: View) -> bytes:
    """Set a view as PDF with the fonts embedded.

    Raises
    ------
    ProductError
        The typesetter refused the document.
    """
    with tempfile.TemporaryDirectory(prefix="stockline-report-") as name:
        root = Path(name)
        source = root / "report.typ"
        source.write_text(template("report.typ"), encoding="utf-8")
        (root / "view.json").write_text(json.dumps(_document(view)), encoding="utf-8")
        for drawing in (*view.charts, *view.pictures):
            (root / drawing.name).write_bytes(drawing.content)
        try:
            made = typst.compile(
                str(source),
                root=str(root),
                font_paths=[str(font_path().parent)],
                ignore_system_fonts=True,
                pdf_standards=["ua-1"],
            )
        except (typst.TypstError, RuntimeError) as error:
            first_line = str(error).strip().split("\n", maxsplit=1)[0]
            raise ProductError(f"report.pdf: cannot be set ({first_line}); report it with this line") from error
    if not isinstance(made, bytes):
        raise ProductError(f"report.pdf: the typesetter returned {type(made).__name__}; check the version of typst")
    return made


def _document(view: View) -> dict[str, Any]:
    """Return what is printed as plain values: tables shortened, drawings by name."""
    spoken = [sentence.row for sentence in view.summary]
    paper = dataclasses.replace(
        view,
        results=tuple(on_paper(listing, spoken) for listing in view.results),
        scenes=tuple(on_paper(listing, spoken) for listing in view.scenes),
    )
    printed = {address for listing in (*paper.results, *paper.scenes) for address in _addresses(listing)}
    asked = {address for sentence in view.summary for address in (sentence.row, *(s.anchor for s in sentence.scenes))}
    return dataclasses.asdict(paper, dict_factory=without_content) | {
        "words": VERDICTS,
        # Marks that are pointed at, so that no link leads nowhere and no mark is set in vain.
        "targets": sorted((printed & asked) - {""}),
    }


def _addresses(listing: Listing) -> list[str]:
    """Addresses a table has in the document: its own and those of its rows."""
    return [listing.anchor, *(address for ids in listing.row_ids for address in ids)]


def without_content(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a record as a dict without the bytes of drawings, which go beside it as files."""
    return {key: value for key, value in pairs if not isinstance(value, bytes)}
