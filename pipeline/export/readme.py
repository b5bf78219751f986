"""The texts an archive begins with, for a reader who has neither this program nor its terms."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from pipeline.export.contents import SitePart
from pipeline.export.entries import Entry
from pipeline.export.facts import Facts
from pipeline.printable import plain
from pipeline.products.texts import LIMITS

README = "README.md"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")
_FOLDERS = (
    ("composites/", "image of each year: median of its clear dates; QGIS"),
    ("masks/", "which pixels counted as a pile on which date; QGIS"),
    ("inputs/", "site file, claims and decisions of reviewers the results were made with"),
)
_SHARED = (
    ("index.html", "all sites on one page"),
    ("portfolio.gpkg", "all sites in one GeoPackage; `portfolio.json` has its hash"),
    ("evidence/", "images as the provider delivered them; `record.json` beside them says how and when"),
    ("archive/", "images of an archive on disk, as the run read them"),
    ("recompute/", "numbers followed to the pixels, for `method/recompute.py`"),
)


def readme(facts: Facts, parts: Sequence[SitePart], entries: Iterable[Entry]) -> str:
    """Say in plain words what an archive is, what was found, how to open it and how to check it.

    Parameters
    ----------
    facts : Facts
    parts : sequence of SitePart
    entries : iterable of Entry
        All files of the archive but the ones that tell of it.
    """
    paths = [entry.path for entry in entries]
    return _set(
        f"{README}.j2",
        facts=facts,
        parts=parts,
        paths=paths,
        limits=LIMITS[:4],
        folders=_FOLDERS,
        shared=_SHARED,
        signed=_newest(paths, parts[0].site, ".sig"),
        stamped=_newest(paths, parts[0].site, ".tsr"),
    )


def licence(facts: Facts) -> str:
    """Say whose data an archive is made of, on what terms, and what is not settled by it."""
    return _set("LICENCE.md.j2", facts=facts)


def sums(entries: Iterable[Entry]) -> str:
    """List hashes as ``sha256sum -c`` reads them."""
    return "".join(f"{entry.sha256}  {entry.path}\n" for entry in entries)


def _set(name: str, **said: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 - Markdown; what users wrote goes through `said`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "said": _said,
        "sentence": lambda text: f"{text.rstrip('. ')}." if text else "not stated.",
        "under": lambda paths, start: any(path.startswith(start) for path in paths),
    }
    return environment.get_template(name).render(**said)


def _newest(paths: Sequence[str], site: str, ending: str) -> str | None:
    """Record of a site's newest run, where it has a file of such an ending beside it."""
    newest = max((path for path in paths if re.fullmatch(rf"{re.escape(site)}/runs/\d+\.json", path)), default="")
    return newest if f"{newest}{ending}" in paths else None


def _said(text: str) -> str:
    """Text of others on one line of Markdown, whose signs are only shown."""
    return _SPECIAL.sub(r"\\\1", plain(" ".join(text.split())))
