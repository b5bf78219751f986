"""A provider's STAC item -> :class:`pipeline.imagery.Item`. Pure: dicts in, records out.

Band, scale, offset and tile conventions of Earth Search, Planetary Computer, CDSE, stactools and plain
archives are read here and nowhere else.
"""

import datetime as dt
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from pipeline.errors import SceneRefusedError
from pipeline.imagery import Asset, Item
from pipeline.printable import plain

BANDS = {
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "nir": "B08",
    "nir08": "B8A",
    "swir16": "B11",
    "swir22": "B12",
    "scl": "SCL",
}
"""Common name -> Sentinel-2 band name."""

_NATIVE_10_M = {"blue", "green", "red", "nir"}
_BASELINE = re.compile(r"0?(\d{1,2})\.(\d{1,2})")
_BASELINE_IN_NAME = re.compile(r"_N(\d{2})\.?(\d{2})(?:_|$)")
_ORBIT_IN_NAME = re.compile(r"_R(\d{3})_")
_TILE_IN_NAME = re.compile(r"_T(\d{2}[A-Z]{3})_")
_MOST_CORNERS = 2_000
"""Of an outline; a tile's has 5 to 50. Crossing lines can meet as often as their number squared."""
_MOST_NAME = 300
_READABLE = ("https://", "http://")
_GEOTIFF_OR_JP2 = re.compile(r"\.(tif|tiff|jp2)(\?|$)", re.IGNORECASE)


def read_item(document: Mapping[str, Any], collection: str | None = None) -> Item:
    """Translate one STAC item; its asset hrefs must already be absolute.

    Raises
    ------
    SceneRefusedError
        The item is not surface reflectance (level 2A).
    ValueError
        The item is malformed: it has no time or no place, or says something that cannot be read. Others of the kind
        (KeyError, TypeError, AttributeError, shapely's) come of parts that are not there or of another type.
    """
    properties = document["properties"]
    item_id = _word("id", str(document["id"]))
    kinds = (properties.get("s2:product_type"), properties.get("product:type"))
    named = " ".join(str(n) for n in (item_id, document.get("collection"), *kinds)).upper()
    if "L1C" in named or "MSI1C" in named:
        raise SceneRefusedError(f"item {item_id} is level 1C (top of atmosphere), not surface reflectance")
    when = properties.get("datetime") or properties.get("start_datetime")
    if when is None or document.get("geometry") is None:
        raise ValueError(f"it has no {'datetime' if when is None else 'geometry'}")
    platform = properties.get("platform")
    return Item(
        id=item_id,
        collection=_word("collection", str(collection or document.get("collection") or "archive")),
        datetime=_utc(str(when)),
        platform=_word("platform", platform.lower()) if platform else None,
        processing_baseline=_baseline(properties, item_id),
        relative_orbit=_relative_orbit(properties, item_id),
        epsg=_epsg(properties, document["assets"]),
        tile=_tile(properties, item_id),
        coverage=_coverage(document["geometry"]),
        assets=_assets(document["assets"]),
        offset_applied=_offset_applied(properties),
        cloud_percent=_number("eo:cloud_cover", properties.get("eo:cloud_cover")),
        licence=_licence(document),
        simulated=bool(properties.get("stockline:simulated", False)),
        document=document,
    )


def _coverage(geometry: Mapping[str, Any]) -> BaseGeometry:
    """Outline of an item; one that crosses itself is taken apart, for it is only asked what it meets."""
    with np.errstate(invalid="ignore"):  # a corner that is no number is told below
        outline = shape(geometry)
    if shapely.get_num_coordinates(outline) > _MOST_CORNERS:
        raise ValueError(f"its geometry has more than {_MOST_CORNERS:,} corners")
    if np.isfinite(shapely.get_coordinates(outline)).all():
        outline = outline if outline.is_valid else shapely.make_valid(outline)
        if outline.area > 0:
            return outline
    raise ValueError("its geometry covers no ground")


def _word(name: str, text: str) -> str:
    """Give a name as it may stand in a table: one that moves a cursor or turns the direction of reading may not."""
    if len(text) > _MOST_NAME or plain(text) != text:
        raise ValueError(f"its {name} is longer than {_MOST_NAME} characters, or holds some that are never shown")
    return text


def _utc(text: str) -> dt.datetime:
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"its datetime {text!r} is not one") from error
    return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)


def _number(name: str, value: object) -> float | None:
    """Give a number that is stated; words, NaN and infinity would fail or deceive later, where nobody knows why."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"its {name} is {value!r}, not a number")
    return value


def _offset_applied(properties: Mapping[str, Any]) -> bool | None:
    said = _first(properties, "earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
    if said is not None and not isinstance(said, bool):
        raise ValueError(f"its boa_offset_applied is {said!r}, neither true nor false")
    return said


def _licence(document: Mapping[str, Any]) -> str | None:
    """Address of the terms of the data, else the licence the item names."""
    linked = (link.get("href") for link in document.get("links") or () if link.get("rel") == "license")
    said = next(linked, None) or document["properties"].get("license")
    return None if said is None else str(said)


def _first(properties: Mapping[str, Any], *keys: str) -> Any:
    return next((properties[key] for key in keys if properties.get(key) is not None), None)


def _baseline(properties: Mapping[str, Any], item_id: str) -> str | None:
    """Return the processing baseline as ``05.11``; from the properties, else from the product name."""
    # Other software versions stand in processing:version too, and 5.1 would sort after 04.00 only by its digits.
    said = _BASELINE.fullmatch(str(_first(properties, "s2:processing_baseline", "processing:version")))
    if said:
        return f"{said[1]:0>2}.{said[2]:0<2}"
    datatake = str(properties.get("s2:datatake_id", ""))
    found = _BASELINE_IN_NAME.search(item_id) or _BASELINE_IN_NAME.search(datatake)
    return f"{found[1]}.{found[2]}" if found else None


def _relative_orbit(properties: Mapping[str, Any], item_id: str) -> int | None:
    said = _number("sat:relative_orbit", properties.get("sat:relative_orbit"))
    if said is not None:
        return int(said)
    found = _ORBIT_IN_NAME.search(item_id) or _ORBIT_IN_NAME.search(str(properties.get("s2:product_uri", "")))
    return int(found[1]) if found else None


def _tile(properties: Mapping[str, Any], item_id: str) -> str | None:
    said = _first(properties, "s2:mgrs_tile", "grid:code")
    if said is not None:
        return str(said).removeprefix("MGRS-")
    found = _TILE_IN_NAME.search(item_id)
    return found[1] if found else None


def _epsg(properties: Mapping[str, Any], assets: Mapping[str, Any]) -> int | None:
    for holder in (properties, *assets.values()):
        code = _first(holder, "proj:epsg", "proj:code")
        if code is not None:
            digits = str(code).removeprefix("EPSG:")
            return int(digits) if re.fullmatch(r"[0-9]{1,9}", digits) else None
    return None


def _assets(assets: Mapping[str, Any]) -> dict[str, Asset]:
    """Band files by common name; of several for one band the native resolution and a GeoTIFF come first."""
    found = {}
    for common, name in BANDS.items():
        candidates = [(key, asset) for key, asset in assets.items() if _carries(key, asset, common, name)]
        if candidates:
            ranked = sorted((_preference(key, asset, common), key) for key, asset in candidates)
            found[common] = _asset(common, assets[ranked[0][1]])
    return found


def _href(asset: Mapping[str, Any]) -> str:
    """Address a file is read from: its own, or the http(s) one beside it where its own needs another protocol.

    The Copernicus Data Space names files on S3 and the same by https in ``alternate`` (alternate-assets extension).
    """
    own = str(asset.get("href", ""))
    if "://" not in own or own.startswith(_READABLE):
        return own
    others = asset.get("alternate") or {}
    # The one that is called so first: of several, it is the plain file.
    named = (others[key] for key in sorted(others, key=lambda key: (key != "https", key)))
    return next((str(other["href"]) for other in named if str(other.get("href", "")).startswith(_READABLE)), own)


def _band_list(asset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(asset.get("bands") or asset.get("eo:bands") or [])


def _carries(key: str, asset: Mapping[str, Any], common: str, name: str) -> bool:
    if not any(_GEOTIFF_OR_JP2.search(str(href)) for href in (asset.get("href", ""), _href(asset))):
        return False
    if key.split("_", maxsplit=1)[0].lower() in {common, name.lower()}:
        return True
    bands = _band_list(asset)
    if len(bands) != 1:
        return False
    named = {str(bands[0].get(k, "")).lower() for k in ("name", "common_name", "eo:common_name")}
    return name.lower() in named or (common in named and common != "nir")


def _preference(key: str, asset: Mapping[str, Any], common: str) -> tuple[float, bool, bool]:
    """Rank of one file of a band, best first: nearest to the native pixel, GeoTIFF, the plain key."""
    native = 10.0 if common in _NATIVE_10_M else 20.0
    suffix = re.search(r"_(\d+)m", key)
    pixel_m = float(suffix[1] if suffix else asset.get("gsd") or native)
    jp2 = "jp2" in str(asset.get("type", "")) or ".jp2" in str(asset["href"]).lower()
    return abs(pixel_m - native), jp2, key.lower() not in {common, BANDS[common].lower()}


def _asset(common: str, asset: Mapping[str, Any]) -> Asset:
    raster = (asset.get("raster:bands") or [{}])[0]
    band = (_band_list(asset) or [{}])[0]
    # STAC 1.1 keeps these in bands[] or on the asset with a prefix; earlier items in raster:bands.
    said = {key: _first({**asset, **band, **raster}, key, f"raster:{key}") for key in ("scale", "offset", "nodata")}
    scale, offset = (_number(f"{key} of {common}", said[key]) for key in ("scale", "offset"))
    if scale == 0:
        raise ValueError(f"its scale of {common} is 0")
    # No data may be "nan" in words (raster extension).
    nodata = None if said["nodata"] is None else float(said["nodata"])
    size, checksum = _number(f"file:size of {common}", asset.get("file:size")), asset.get("file:checksum")
    return Asset(
        common,
        _href(asset),
        scale,
        offset,
        nodata,
        None if size is None else int(size),
        None if checksum is None else str(checksum),
    )
