"""STAC: an API through pystac-client, or a static catalogue by path or URL."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pystac
import pystac_client
import requests
import shapely
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry import box, mapping
from shapely.geometry.base import BaseGeometry

from pipeline.addresses import checked, is_remote, one_line, shown
from pipeline.config import Config, SourceConfig
from pipeline.documents import parsed
from pipeline.errors import GoneError, InputError, SceneRefusedError, SourceError
from pipeline.exchange import DOCUMENT_BYTES, Ask
from pipeline.imagery import Item
from pipeline.remote import Line, ask
from pipeline.sources._dates import is_wanted, span
from pipeline.sources._files import deliver, price
from pipeline.sources._items import read_item

__all__ = ["deliver", "price", "search"]

PAGE = 100
"""Items per page of a search; the largest every public API answers."""
_NO_STAC = (pystac.STACError, pystac.STACTypeError, ValueError, KeyError, TypeError, AttributeError)
"""What pystac and its client raise when they are given something else."""
_MOST_LEVELS = 16
"""Of catalogues in each other; collection, zone, band, square, year, month and day are seven."""
_MOST_DOCUMENTS = 100_000
"""Of a static catalogue; a tile has 150 a year."""
_MOST_FOUND = 50_000
"""Items of one year; a tile has 150."""
_MOST_IDLE = 3
"""Pages that bring nothing new."""
_REMEDY = "check source.url and source.collection"


def search(aoi: BaseGeometry, config: Config, line: Line) -> list[Item]:
    """Items over an AOI in the configured years and windows, sorted by time and id.

    Raises
    ------
    InputError
        The address is no STAC catalogue or API.
    SourceError
        The catalogue does not answer, not completely, or without a single item over the AOI.
    """
    source = config.source
    documents = _static_items(line) if _is_static(source.url) else _api_items(aoi, config, line)
    items: dict[tuple[str, str], Item] = {}
    for document in documents:
        item = _read(document, source)
        # A catalogue that changes between two pages repeats what it has moved.
        if item is not None and item.coverage.intersects(aoi) and is_wanted(item, config):
            items.setdefault((item.collection, item.id), item)
    if not items:
        years = f"{config.years.first}-{config.years.last}"
        raise SourceError(
            f"{source.url}: no scene over the AOI in {years} within the windows; "
            "check source.url, source.collection and years"
        )
    return sorted(items.values(), key=lambda item: (item.datetime, item.id))


def _read(document: dict[str, Any], source: SourceConfig) -> Item | None:
    """Translate an item; None for one of another product, which is no surface reflectance."""
    try:
        return read_item(document, source.collection)
    except SceneRefusedError:
        return None
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        # Left out, it would be missing without a word.
        name = shown(str(document.get("id")))
        raise SourceError(f"{source.url}: item {name} is malformed ({one_line(error)}); tell its provider") from error


def _is_static(url: str) -> bool:
    return not is_remote(url) or url.split("?", maxsplit=1)[0].endswith(".json")


def _static_items(line: Line) -> Iterator[dict[str, Any]]:
    """Every item of a static catalogue as a dict with absolute hrefs; each document is read once."""
    url = line.source.url
    if not is_remote(url) and not Path(url).is_file():
        raise InputError(f"source.url = {url}: no such file; name a catalog.json or a STAC API address")
    try:
        todo, seen = [(url, 0)], {url}
        while todo:
            href, depth = todo.pop()
            made = pystac.read_dict(dict(parsed(_read_link(line, href))), href=href)
            if isinstance(made, pystac.Item) and href != url:
                yield _absolute(made)
                continue
            if not isinstance(made, pystac.Catalog):
                raise InputError(f"source.url = {url}: holds a STAC {type(made).__name__}, not a catalog")
            links = {
                _path(str(link.get_absolute_href())) for link in made.links if link.rel in {"child", "item"}
            } - seen
            if depth == _MOST_LEVELS or len(seen) + len(links) > _MOST_DOCUMENTS:
                deep = (
                    f"lies more than {_MOST_LEVELS} catalogues deep"
                    if depth == _MOST_LEVELS
                    else (f"has more than {_MOST_DOCUMENTS:,} documents")
                )
                raise SourceError(f"{url}: {deep}; name a smaller catalogue in source.url")
            seen |= links
            todo += [(link, depth + 1) for link in sorted(links, reverse=True)]
    except GoneError as error:
        raise _nothing_there(error) from error
    except OSError as error:
        raise SourceError(f"{error.filename or url}: cannot be read ({error.strerror}); {_REMEDY}") from error
    except _NO_STAC as error:
        raise InputError(f"source.url = {url}: is not a STAC catalog ({one_line(error)})") from error


def _absolute(item: pystac.Item) -> dict[str, Any]:
    document = item.to_dict(include_self_link=False, transform_hrefs=False)
    for key, asset in item.assets.items():
        document["assets"][key]["href"] = _path(asset.get_absolute_href() or asset.href)
    return document


def _read_link(line: Line, href: str) -> str:
    """Text of a document of a static catalogue, which may lead nowhere else."""
    url, root = line.source.url, line.source.root
    if is_remote(href):
        return _text(line, Ask(href))
    if href != url:
        try:
            checked(href, url, root)
        except SceneRefusedError as refused:
            raise SourceError(f"{url}: {refused}") from refused
    with Path(href).open("rb") as file:
        return file.read(DOCUMENT_BYTES + 1).decode("utf-8")


def _nothing_there(error: GoneError) -> SourceError:
    return SourceError(f"{error}; {_REMEDY}")


def _path(href: str) -> str:
    return unquote(urlsplit(href).path) if href.startswith("file://") else href


class _ApiIO(StacApiIO):
    """Asks a STAC API, with manners."""

    def __init__(self, line: Line) -> None:
        super().__init__(max_retries=None)
        self._line = line

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        if (method or "GET").upper() == "POST":
            asked = {**(headers or {}), "Content-Type": "application/json"}
            return _text(self._line, Ask(href, "POST", asked, json.dumps(parameters or {}).encode()))
        query = requests.Request("GET", href, params=parameters).prepare().url
        return _text(self._line, Ask(str(query), headers=headers or {}))

    def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
        # The parent would open a path that a page of the API names.
        href = source.href if isinstance(source, pystac.Link) else str(source)
        if not is_remote(href):
            raise SourceError(f"{self._line.source.url}: leads to a path of this machine; tell its provider")
        return super().read_text(source, *args, **kwargs)

    def json_loads(self, txt: str, *_: Any, **__: Any) -> dict[str, Any]:
        return dict(parsed(txt))


def _text(line: Line, wanted: Ask) -> str:
    return ask(line, wanted).body.decode("utf-8")


def _api_items(aoi: BaseGeometry, config: Config, line: Line) -> Iterator[dict[str, Any]]:
    """Every item of an API search, year by year so that no single answer is huge."""
    source = config.source
    try:
        client = pystac_client.Client.open(source.url, stac_io=_ApiIO(line))
        for year in config.years.all:
            first, last = span(config, year)
            found = client.search(
                collections=[source.collection] if source.collection else None,
                intersects=mapping(aoi if aoi.geom_type == "Polygon" else box(*aoi.bounds)),
                datetime=f"{first:%Y-%m-%dT%H:%M:%SZ}/{last:%Y-%m-%dT%H:%M:%SZ}",
                limit=PAGE,
            )
            yield from _paged(found, source.url)
    except GoneError as error:
        raise _nothing_there(error) from error
    except (APIError, *_NO_STAC) as error:
        raise InputError(f"source.url = {source.url}: is not a STAC API ({one_line(error)})") from error


def _paged(found: pystac_client.ItemSearch, url: str) -> Iterator[dict[str, Any]]:
    """Items of all pages with absolute hrefs; fewer than the API says there are is an error, not a result."""
    received, matched, idle = 0, 0, 0
    seen: set[str] = set()
    for page in found.pages_as_dicts():
        matched = page.get("numberMatched") or (page.get("context") or {}).get("matched") or matched
        names = {str(document.get("id")) for document in page["features"]}
        received, idle = received + len(page["features"]), 0 if names - seen else idle + 1
        seen |= names
        if idle > _MOST_IDLE or received > _MOST_FOUND:
            what = "pages with nothing new" if idle > _MOST_IDLE else f"more than {_MOST_FOUND:,} items a year"
            raise SourceError(f"{url}: answers {what} and does not end; tell its provider")
        for document in page["features"]:
            own = next((link["href"] for link in document.get("links", ()) if link.get("rel") == "self"), "")
            for asset in (document.get("assets") or {}).values():
                asset["href"] = urljoin(urljoin(url, own), asset["href"])
            yield document
    if received < matched:
        raise SourceError(f"{url}: answered {received} of {matched} items; run again later")
