"""Sentinel Hub, of Copernicus Data Space or its own: items from the Catalog API, pixels from the Process API.

Every pixel is asked for as raw DN on its native lattice, of one tile of one acquisition, with the mask that says
whether it is one; see :mod:`pipeline.sources._sh_request` for what the service does with that.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from pipeline.addresses import one_line
from pipeline.config import Config
from pipeline.delivery import Delivered, telling
from pipeline.documents import parsed
from pipeline.errors import GoneError, InputError, SceneRefusedError, SourceError
from pipeline.exchange import Answer, Ask
from pipeline.imagery import Asset, Item
from pipeline.ledger import NOTHING, Traffic
from pipeline.radiometry import SCALE
from pipeline.rasters import Part
from pipeline.remote import Line
from pipeline.sources._dates import is_wanted, span
from pipeline.sources._items import BANDS, read_item
from pipeline.sources._sh_account import ask_as_user
from pipeline.sources._sh_reply import Reply, most_bytes, named, read_reply
from pipeline.sources._sh_request import GROUPS, Patch, is_covered, patches, payload, process_units, search_units
from pipeline.types import Grid

PAGE = 100
"""Items per page of a search; the most the service gives."""
COLLECTION = "sentinel-2-l2a"
_SEARCH, _PROCESS = "api/v1/catalog/1.0.0/search", "api/v1/process"
_UNITS_SPENT = "x-processingunits-spent"
_KM_PER_DEGREE = 111.3
_JSON = {"Content-Type": "application/json"}


def search(aoi: BaseGeometry, config: Config, line: Line) -> list[Item]:
    """Items over an AOI in the configured years and windows, sorted by time and id.

    Raises
    ------
    InputError
        There are no credentials, or the address is no deployment of Sentinel Hub.
    SourceError
        The catalogue does not answer, not completely, or without a single item over the AOI.
    """
    items: dict[str, Item] = {}
    for year in config.years.all:
        for document in _documents(aoi, span(config, year), line):
            item = _read(document, line)
            # A catalogue that changes between two pages repeats what it has moved.
            if item is not None and item.coverage.intersects(aoi) and is_wanted(item, config):
                items.setdefault(item.id, item)
    if not items:
        years = f"{config.years.first}-{config.years.last}"
        raise SourceError(
            f"{line.source.url}: no scene over the AOI in {years} within the windows; "
            "check source.url, source.collection and years"
        )
    return sorted(items.values(), key=lambda item: (item.datetime, item.id))


def deliver(item: Item, bands: Sequence[str], grid: Grid, line: Line) -> Iterator[Delivered]:
    """Pixels of a grid and its margin, as far as the tile reaches, band by band as they come.

    Raises
    ------
    SceneRefusedError
        The item does not reach the grid, or has no such band.
    SourceError
        Nothing came in time, or what came is not what was asked for.
    """
    for pixel_m, chosen in _grouped(item, bands).items():
        windows = patches(item, grid, pixel_m)
        rows = [[_fetched(item, chosen, patch, line) for patch in row] for row in windows]
        came = [one for row in rows for one in row]
        _check_complete(item, came)
        traffic = sum((one.answer.traffic for one in came), NOTHING)
        for band in chosen:
            yield _delivered(band, rows, line, traffic if band == chosen[0] else NOTHING)


def price(item: Item, bands: Sequence[str], grid: Grid) -> Traffic:
    """Say what delivering would take at most; pure.

    Requests that have to be repeated, and one for a token per worker, come on top. Raises as :func:`deliver` does.
    """
    total = NOTHING
    for pixel_m, chosen in _grouped(item, bands).items():
        names = [BANDS[band] for band in chosen]
        for patch in (patch for row in patches(item, grid, pixel_m) for patch in row):
            total += Traffic(1, 1, most_bytes(patch, names), process_units(patch, len(names)))
    return total


@dataclass(frozen=True)
class _Fetched:
    """One window: what was asked, what came, and what it says."""

    patch: Patch
    payload: Mapping[str, Any]
    answer: Answer
    reply: Reply


def _grouped(item: Item, bands: Sequence[str]) -> dict[int, list[str]]:
    """Bands asked for, by their native pixel; each group is one request per window."""
    unknown = [band for band in bands if band not in item.assets]
    if unknown:
        raise SceneRefusedError(f"item {item.id} has no band {', '.join(unknown)}")
    groups = {pixel_m: [band for band in members if band in bands] for pixel_m, members in GROUPS.items()}
    return {pixel_m: chosen for pixel_m, chosen in groups.items() if chosen}


def _fetched(item: Item, bands: Sequence[str], patch: Patch, line: Line) -> _Fetched:
    names = [BANDS[band] for band in bands]
    asked = payload(item, bands, patch)
    answer = ask_as_user(
        line,
        Ask(
            _address(line, _PROCESS), "POST", {**_JSON, "Accept": "application/tar"}, json.dumps(asked).encode(),
            pixels=True, most_bytes=most_bytes(patch, names), units=process_units(patch, len(names)),
            milliseconds=True,
        ),
    )  # fmt: skip
    return _Fetched(patch, asked, answer, read_reply(answer.body, item, names, patch))


def _check_complete(item: Item, came: Sequence[_Fetched]) -> None:
    """Refuse windows that are empty though the tile has data there: a tile that was not found is no empty ground."""
    without = [one for one in came if not one.reply.tiles]
    if any(is_covered(item, one.patch) for one in without):
        offered = named(without[0].reply.offered) or "none"
        raise SourceError(f"{item.id}: the Process API has no such tile (it has {offered}); run again later")
    if len(without) == len(came):
        raise SceneRefusedError(f"item {item.id} has no data over the AOI")


def _delivered(band: str, rows: Sequence[Sequence[_Fetched]], line: Line, traffic: Traffic) -> Delivered:
    """One band of all windows, joined; they share no pixel, so nothing is decided here."""
    name = BANDS[band]
    came = [one for row in rows for one in row]
    pixels = np.block([[one.reply.pixels[name] for one in row] for row in rows])
    first = came[0].patch
    part = Part(pixels, first.transform, CRS.from_epsg(first.epsg), 0.0)
    request = {
        "method": "POST",
        "url": _address(line, _PROCESS),
        "output": f"{name}.tif",
        "payloads": [one.payload for one in came],
    }
    tiles = {json.dumps(tile, sort_keys=True) for one in came for tile in one.reply.tiles}
    response = _joined_headers([one.answer for one in came]) | {
        "tiles": f"[{', '.join(sorted(tiles))}]",
        "body-sha256": ", ".join(hashlib.sha256(one.answer.body).hexdigest() for one in came),
        "zero-pixels-with-data": str(sum(one.reply.zeros[name] for one in came)),
    }
    return Delivered(band, part, request, response, traffic)


def _joined_headers(answers: Sequence[Answer]) -> dict[str, str]:
    """Headers that tell what came, of several replies in their order."""
    told = [
        telling(answer.headers) | {name: answer.headers[name] for name in (_UNITS_SPENT,) if name in answer.headers}
        for answer in answers
    ]
    names = sorted({name for headers in told for name in headers})
    return {name: ", ".join(headers.get(name, "-") for headers in told) for name in names}


def _documents(aoi: BaseGeometry, when: tuple[dt.datetime, dt.datetime], line: Line) -> Iterator[dict[str, Any]]:
    """Every item of a search, page by page."""
    body = _query(aoi, when, line)
    left, bottom, right, top = aoi.bounds
    units = search_units((when[1] - when[0]).days + 1, (right - left) * (top - bottom) * _KM_PER_DEGREE**2)
    url, reached = _address(line, _SEARCH), -1
    while True:
        asked = Ask(url, "POST", _JSON, json.dumps(body).encode(), units=units, milliseconds=True)
        try:
            page = parsed(ask_as_user(line, asked).body.decode())
            documents, after = list(page["features"]), _next(page, reached)
        except GoneError as error:
            raise InputError(f"source.url = {line.source.url}: is no deployment of Sentinel Hub ({error})") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{url}: answers no page of items ({one_line(error)}); run again later") from error
        yield from documents
        if after is None:
            return
        reached = body["next"] = after


def _next(page: Mapping[str, Any], reached: int) -> int | None:
    """Where the next page begins; None after the last one."""
    after = (page.get("context") or {}).get("next")
    if after is not None and (not isinstance(after, int) or after <= reached):
        raise ValueError(f"after {reached} comes {after!r}")
    return after


def _query(aoi: BaseGeometry, when: tuple[dt.datetime, dt.datetime], line: Line) -> dict[str, Any]:
    """Body of a search, as the package writes it."""
    import sentinelhub as sh  # noqa: PLC0415 - half a second, which other sources need not wait

    catalog = sh.SentinelHubCatalog(sh.SHConfig(use_defaults=True, sh_base_url=line.source.url))
    area = aoi if aoi.geom_type == "Polygon" else box(*aoi.bounds)
    found = catalog.search(
        line.source.collection or COLLECTION,
        time=when,
        geometry=sh.Geometry(area, sh.CRS.WGS84),
        filter=f"eo:cloud_cover <= {line.source.max_cloud_percent:g}",
        limit=PAGE,
    )
    return dict(found.params)


def _read(document: Any, line: Line) -> Item | None:
    """Translate an item of the catalogue; None for one that is no surface reflectance, or has no time or place."""
    try:
        item = read_item(document, line.source.collection or COLLECTION)
    except SceneRefusedError:
        return None
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        name = document.get("id") if isinstance(document, dict) else type(document).__name__
        # Left out, it would be missing without a word.
        raise SourceError(
            f"{line.source.url}: item {name} is malformed ({one_line(error)}); tell its provider"
        ) from error
    url = _address(line, _PROCESS)
    assets = {
        band: Asset(band, f"{url}#{name}", None if band == "scl" else SCALE, None, 0.0) for band, name in BANDS.items()
    }
    return replace(item, assets=assets)


def _address(line: Line, endpoint: str) -> str:
    return f"{line.source.url.rstrip('/')}/{endpoint}"
