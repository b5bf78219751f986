"""STAC: an API through pystac-client, or a static catalogue by path or URL."""

import datetime as dt
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pystac
import pystac_client
import requests
from pystac.stac_io import DefaultStacIO, StacIO
from pystac_client.exceptions import APIError
from shapely.geometry import box, mapping
from shapely.geometry.base import BaseGeometry

from pipeline.config import Config, SourceConfig, in_windows
from pipeline.errors import InputError, SceneRefusedError, SourceError
from pipeline.imagery import Item
from pipeline.sources._items import read_item

_PAGE = 100
"""Items per page of a search; the largest every public API answers."""


def search(aoi: BaseGeometry, config: Config) -> list[Item]:
    """Items over an AOI in the configured years and windows, sorted by time and id.

    Raises
    ------
    InputError
        The address is no STAC catalogue or API.
    SourceError
        The catalogue does not answer, or answers without a single item over the AOI.
    """
    source = config.source
    documents = _static_items(source.url) if _is_static(source.url) else _api_items(aoi, config)
    items = []
    for document in documents:
        try:
            item = read_item(document, source.collection)
        except SceneRefusedError:
            continue
        if item.coverage.intersects(aoi) and _wanted(item, config):
            items.append(item)
    if not items:
        years = f"{config.years.first}-{config.years.last}"
        raise SourceError(
            f"{source.url}: no scene over the AOI in {years} within the windows; check source.url, source.collection and years"
        )
    return sorted(items, key=lambda item: (item.datetime, item.id))


def _wanted(item: Item, config: Config) -> bool:
    day = item.datetime.date()
    windows = config.windows.stockpile + config.windows.footprint
    clear = item.cloud_percent is None or item.cloud_percent <= config.source.max_cloud_percent
    return day.year in config.years.all and in_windows(day, windows) and clear


def _is_static(url: str) -> bool:
    return "://" not in url or url.split("?", maxsplit=1)[0].endswith(".json")


def _static_items(url: str) -> Iterator[dict[str, Any]]:
    """Every item of a static catalogue as a dict with absolute hrefs."""
    if "://" not in url and not Path(url).is_file():
        raise InputError(f"source.url = {url}: no such file; name a catalog.json or a STAC API address")
    try:
        stac_io = _TimedStacIO()
        catalog = pystac.read_file(url, stac_io=stac_io)
        if not isinstance(catalog, pystac.Catalog):
            raise InputError(f"source.url = {url}: holds a STAC {type(catalog).__name__}, not a catalog")
        for item in catalog.get_items(recursive=True):
            document = item.to_dict(include_self_link=False, transform_hrefs=False)
            for key, asset in item.assets.items():
                document["assets"][key]["href"] = asset.get_absolute_href() or asset.href
            yield document
    except (pystac.STACError, pystac.STACTypeError, ValueError, KeyError) as error:
        raise InputError(f"source.url = {url}: is not a STAC catalog ({_one_line(error)})") from error
    except OSError as error:
        raise SourceError(f"{url}: cannot be read ({_one_line(error)}); run again later") from error


class _TimedStacIO(DefaultStacIO):
    """Reads catalogue files; an address that does not answer is an error in time, not for ever."""

    def read_text_from_href(self, href: str) -> str:
        if "://" not in href:
            return Path(href).read_text(encoding="utf-8")
        answer = requests.get(href, timeout=60)
        answer.raise_for_status()
        return answer.text


def _api_items(aoi: BaseGeometry, config: Config) -> Iterator[dict[str, Any]]:
    """Every item of an API search, year by year so that no single answer is huge."""
    source = config.source
    try:
        client = pystac_client.Client.open(source.url, stac_io=_api_io(source))
        for year in config.years.all:
            found = client.search(
                collections=[source.collection] if source.collection else None,
                intersects=mapping(aoi if aoi.geom_type == "Polygon" else box(*aoi.bounds)),
                datetime=_span(config, year),
                limit=_PAGE,
            )
            yield from found.items_as_dicts()
    except (APIError, requests.RequestException) as error:
        raise SourceError(f"{source.url}: search failed ({_one_line(error)}); run again later") from error
    except (pystac.STACError, pystac.STACTypeError, KeyError, ValueError) as error:
        raise InputError(f"source.url = {source.url}: is not a STAC API ({_one_line(error)})") from error


def _api_io(source: SourceConfig) -> StacIO:
    retry = pystac_client.stac_api_io.Retry(
        total=source.retries,
        backoff_factor=0.5,
        status_forcelist=[429, 500, 502, 503, 504],
        allowed_methods=None,
        respect_retry_after_header=True,
    )
    return pystac_client.stac_api_io.StacApiIO(max_retries=retry, timeout=source.timeout_s)


def _span(config: Config, year: int) -> str:
    """First to last day any window of a year covers."""
    windows = config.windows.stockpile + config.windows.footprint
    first, last = min(start for start, _ in windows), max(end for _, end in windows)
    # A window may name 02-29; the day is clipped by the windows test afterwards.
    end = dt.date.fromisoformat(f"{year}-{last}") if last != "02-29" else dt.date(year, 3, 1)
    return f"{year}-{'03-01' if first == '02-29' else first}T00:00:00Z/{end.isoformat()}T23:59:59Z"


def sign(href: str, collection: str, config: Config) -> str:
    """Add the read token of a collection to an href, where the provider issues tokens (``source.sign_url``)."""
    if config.source.sign_url is None or "://" not in href:
        return href
    # Tokens live about an hour; half of that is always still good.
    token = _token(config.source.sign_url, collection, int(time.time() // 1800), config.source.timeout_s)
    return f"{href}{'&' if '?' in href else '?'}{token}"


@functools.lru_cache(maxsize=8)
def _token(sign_url: str, collection: str, half_hour: int, timeout_s: float) -> str:  # noqa: ARG001 - half_hour ages the cache
    try:
        answer = requests.get(f"{sign_url}/{collection}", timeout=timeout_s)
        answer.raise_for_status()
        return str(answer.json()["token"])
    except (requests.RequestException, KeyError, ValueError) as error:
        raise SourceError(f"{sign_url}/{collection}: no read token ({_one_line(error)}); run again later") from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
