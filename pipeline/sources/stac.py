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
from pystac.stac_io import DefaultStacIO
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from shapely.geometry import box, mapping
from shapely.geometry.base import BaseGeometry

from pipeline.addresses import is_remote, one_line, shown
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
    """Every item of a static catalogue as a dict with absolute hrefs."""
    url = line.source.url
    if not is_remote(url) and not Path(url).is_file():
        raise InputError(f"source.url = {url}: no such file; name a catalog.json or a STAC API address")
    try:
        catalog = pystac.read_file(url, stac_io=_FileIO(line))
        if not isinstance(catalog, pystac.Catalog):
            raise InputError(f"source.url = {url}: holds a STAC {type(catalog).__name__}, not a catalog")
        for item in catalog.get_items(recursive=True):
            document = item.to_dict(include_self_link=False, transform_hrefs=False)
            for key, asset in item.assets.items():
                document["assets"][key]["href"] = _path(asset.get_absolute_href() or asset.href)
            yield document
    except GoneError as error:
        raise _nothing_there(error) from error
    except (*_NO_STAC, OSError) as error:
        # pystac says of an item that could not be read what it says of one that is none.
        cause = error.__cause__ if isinstance(error.__cause__, (OSError, SourceError)) else error
        if isinstance(cause, SourceError):
            raise (_nothing_there(cause) if isinstance(cause, GoneError) else cause) from error
        if isinstance(cause, OSError):
            raise SourceError(f"{cause.filename or url}: cannot be read ({cause.strerror}); {_REMEDY}") from error
        raise InputError(f"source.url = {url}: is not a STAC catalog ({one_line(error)})") from error


def _nothing_there(error: GoneError) -> SourceError:
    return SourceError(f"{error}; {_REMEDY}")


def _path(href: str) -> str:
    return unquote(urlsplit(href).path) if href.startswith("file://") else href


class _FileIO(DefaultStacIO):
    """Reads the files of a static catalogue."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def read_text_from_href(self, href: str) -> str:
        if is_remote(href):
            return _text(self._line, Ask(href))
        if is_remote(self._line.source.url):
            raise SourceError(f"{self._line.source.url}: leads to a path of this machine; tell its provider")
        with Path(href).open("rb") as file:
            return file.read(DOCUMENT_BYTES + 1).decode("utf-8")

    def json_loads(self, txt: str, *_: Any, **__: Any) -> dict[str, Any]:
        return dict(parsed(txt))


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
    received, matched = 0, 0
    for page in found.pages_as_dicts():
        matched = page.get("numberMatched") or (page.get("context") or {}).get("matched") or matched
        received += len(page["features"])
        for document in page["features"]:
            own = next((link["href"] for link in document.get("links", ()) if link.get("rel") == "self"), "")
            for asset in (document.get("assets") or {}).values():
                asset["href"] = urljoin(urljoin(url, own), asset["href"])
            yield document
    if received < matched:
        raise SourceError(f"{url}: answered {received} of {matched} items; run again later")
