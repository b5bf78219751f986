"""A provider's STAC item -> :class:`pipeline.imagery.Item`. Pure: dicts in, records out.

Band, scale, offset and tile conventions of Earth Search, Planetary Computer, CDSE, stactools and plain
archives are read here and nowhere else.
"""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from shapely.geometry import shape

from pipeline.errors import SceneRefusedError
from pipeline.imagery import Asset, Item

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
_GEOTIFF_OR_JP2 = re.compile(r"\.(tif|tiff|jp2)(\?|$)", re.IGNORECASE)


def read_item(document: Mapping[str, Any], collection: str | None = None) -> Item:
    """Translate one STAC item; its asset hrefs must already be absolute.

    Raises
    ------
    SceneRefusedError
        The item has no time or no geometry, or is not surface reflectance (level 2A).
    """
    properties = document["properties"]
    item_id = str(document["id"])
    when = properties.get("datetime") or properties.get("start_datetime")
    if when is None or document.get("geometry") is None:
        raise SceneRefusedError(f"item {item_id} has no datetime or no geometry")
    named = " ".join(str(n) for n in (item_id, document.get("collection"), properties.get("s2:product_type"))).upper()
    if "L1C" in named or "MSI1C" in named:
        raise SceneRefusedError(f"item {item_id} is level 1C (top of atmosphere), not surface reflectance")
    platform = properties.get("platform")
    return Item(
        id=item_id,
        collection=str(collection or document.get("collection") or "archive"),
        datetime=_utc(str(when), item_id),
        platform=platform.lower() if platform else None,
        processing_baseline=_baseline(properties, item_id),
        relative_orbit=_relative_orbit(properties, item_id),
        epsg=_epsg(properties, document["assets"]),
        tile=_tile(properties, item_id),
        coverage=shape(document["geometry"]),
        assets=_assets(document["assets"]),
        offset_applied=_first(properties, "earthsearch:boa_offset_applied", "sentinel:boa_offset_applied"),
        cloud_percent=properties.get("eo:cloud_cover"),
        simulated=bool(properties.get("stockline:simulated", False)),
        document=document,
    )


def _utc(text: str, item_id: str) -> dt.datetime:
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise SceneRefusedError(f"item {item_id} has the datetime {text!r}, which is not one") from error
    return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)


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
    said = properties.get("sat:relative_orbit")
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
            return int(digits) if digits.isdigit() else None
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


def _band_list(asset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(asset.get("bands") or asset.get("eo:bands") or [])


def _carries(key: str, asset: Mapping[str, Any], common: str, name: str) -> bool:
    if not _GEOTIFF_OR_JP2.search(str(asset.get("href", ""))):
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
    values = {key: _first({**asset, **band, **raster}, key, f"raster:{key}") for key in ("scale", "offset", "nodata")}
    numbers = {key: None if value is None else float(value) for key, value in values.items()}
    size, checksum = asset.get("file:size"), asset.get("file:checksum")
    return Asset(
        common,
        str(asset["href"]),
        numbers["scale"],
        numbers["offset"],
        numbers["nodata"],
        int(size) if size is not None else None,
        str(checksum) if checksum is not None else None,
    )
