"""What ``recompute.py`` reads: numbers of a site followed to the pixels, as files of the archive itself."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline.errors import ProductError
from pipeline.export.contents import SitePart
from pipeline.export.entries import Entry, of_text
from pipeline.products._documents import MASKS
from pipeline.products.geopackage import read_tables
from pipeline.products.results import SITE_ZONE
from pipeline.products.row_address import address
from pipeline.products.tracing.chain import STOCK
from pipeline.products.tracing.trace import SITE, trace
from pipeline.products.tracing.trace_words import json_of
from pipeline.records import MeasurementRow

RECOMPUTE = "recompute"
"""Folder of the archive."""


def chain_entries(part: SitePart) -> Iterator[Entry]:
    """Follow the stock of a site to the pixels, in its first and its last measured year.

    Paths in the files are relative to the folder of the unpacked archive. Nothing is given where the pixels are left
    out, and for results made before there were masks of piles.

    Raises
    ------
    ProductError
        A file on the way is missing or not as recorded.
    """
    if not part.kept or all(not output.path.startswith(f"{MASKS}/") for output in part.manifest.outputs):
        return
    rows = read_tables(part.finished.path, ("measurements",))["measurements"]
    years = sorted(
        row.year
        for row in rows
        if isinstance(row, MeasurementRow) and (row.zone_id, row.metric) == (SITE_ZONE, STOCK) and row.value is not None
    )
    for year in dict.fromkeys([*years[:1], *years[-1:]]):
        chain = trace(part.folder, address("measurements", SITE_ZONE, STOCK, year))
        if chain.problems:
            raise ProductError(f"{part.folder}: {chain.problems[0]}; nothing is exported: run the site again")
        # A chain names folders by kind; where several of a kind are in use their files have come together here.
        roots = {name: part.site if name == SITE else name.split("_")[0] for name in chain.roots}
        yield of_text(
            f"{RECOMPUTE}/{part.site}-{STOCK}-{year}.json",
            "document",
            f"Stockpile area of {year}, followed to the pixels: input of method/recompute.py",
            json_of(replace(chain, roots=roots)) + "\n",
        )


def lend_evidence(part: SitePart, folder: Path) -> None:
    """Let the pixels of a site be found from another folder, where what is made of it is checked."""
    for kept in part.kept[:1]:
        if isinstance(kept.entry.content, Path):
            root = kept.entry.content.parents[len(Path(kept.file.path).parts) - 1]
            (folder / kept.entry.path.split("/", 1)[0]).symlink_to(root.resolve())
