"""Metadata of a Sentinel-2 product as ESA delivers it (SAFE) -> the STAC item they describe. Pure: text in, dict out.

Read from ``MTD_MSIL2A.xml``, ``MTD_TL.xml`` and ``manifest.safe`` as ESA's Product Specification Document (PSD) 14 has
them; up to baseline 02.06 some elements have other names.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLParser

import numpy as np
import shapely
from shapely.affinity import translate
from shapely.geometry import Polygon, box, mapping
from shapely.geometry.base import BaseGeometry

from pipeline.addresses import one_line
from pipeline.presets import SENTINEL_TERMS
from pipeline.sources._items import BANDS

MOST_BYTES = 4 << 20
"""The largest real tile description has 0.6 million."""
COLLECTION = "sentinel-2-l2a"
_NAME = re.compile(r"(S2[A-D]_MSIL2A_\d{8}T\d{6}_N\d{4}_R\d{3}_T(\d{2}[A-Z]{3})_\d{8}T\d{6})(?:\.SAFE)?")
_IMAGE = re.compile(r"GRANULE/(\w+)/IMG_DATA/R\d0m/\w+_(B\w\w|SCL)_(\d0)m")
_NATIVE_M = {"B02": "10", "B03": "10", "B04": "10", "B08": "10", "B8A": "20", "B11": "20", "B12": "20", "SCL": "20"}
"""Band files that are read; the same bands also come averaged onto coarser pixels."""
_BAND_IDS = {"B02": "1", "B03": "2", "B04": "3", "B08": "7", "B8A": "8", "B11": "11", "B12": "12"}
"""Where a band stands in the list of offsets (PSD 14: B1 is 0, B8A stands behind B8)."""
_FIRST_WITH_OFFSETS = "04.00"
_OLD_NAMES = {  # of PSD 14.2, baselines 02.04 to 02.06
    "PRODUCT_URI": "PRODUCT_URI_2A",
    "IMAGE_FILE": "IMAGE_FILE_2A",
    "BOA_QUANTIFICATION_VALUE": "L2A_BOA_QUANTIFICATION_VALUE",
}
_MULTIHASHES = {"MD5": "d50110", "SHA3-256": "1620"}
"""First bytes of a multihash (kind and length) of the kinds of checksum that products have."""
_HALF_TURN = 180.0


@dataclass(frozen=True)
class Product:
    """What ``MTD_MSIL2A.xml`` says.

    Attributes
    ----------
    name : str
        Without ``.SAFE``.
    properties : Mapping
        As a STAC item has them.
    outline : BaseGeometry
        Of the pixels, in longitude and latitude; of two parts where it crosses the 180th meridian.
    quantification : float
        DN of reflectance 1.
    offsets_dn : Mapping[str, float]
        Band to what is added to its DN; empty where the product does not say.
    nodata : float
        DN of pixels without data.
    granule : str
        Folder of the tile.
    files : Mapping[str, str]
        Band to its file at native resolution, relative to the product's folder.
    """

    name: str
    properties: Mapping[str, Any]
    outline: BaseGeometry
    quantification: float
    offsets_dn: Mapping[str, float]
    nodata: float
    granule: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class TileFacts:
    """What ``MTD_TL.xml`` says: when the tile was sensed (UTC, ISO 8601) and in which system it lies."""

    sensed: str
    epsg: int


def read_product(text: str) -> Product:
    """Read ``MTD_MSIL2A.xml``.

    Raises
    ------
    ValueError
        It is no such file, or lacks something.
    """
    root = _parsed(text)
    named = _matched(_NAME, "PRODUCT_URI", _one(root, "PRODUCT_URI"))
    baseline = _matched(re.compile(r"\d{2}\.\d{2}"), "PROCESSING_BASELINE", _one(root, "PROCESSING_BASELINE"))[0]
    granule, files = _files(root)
    properties = {
        "platform": _one(root, "SPACECRAFT_NAME").lower(),
        "eo:cloud_cover": _number(root, "Cloud_Coverage_Assessment"),
        "sat:relative_orbit": int(_number(root, "SENSING_ORBIT_NUMBER")),
        "s2:product_uri": f"{named[1]}.SAFE",
        "s2:product_type": _one(root, "PRODUCT_TYPE"),
        "s2:processing_baseline": baseline,
        "s2:generation_time": _one(root, "GENERATION_TIME"),
        "s2:mgrs_tile": named[2],
    }
    quantification = _number(root, "BOA_QUANTIFICATION_VALUE")
    if quantification <= 0:
        raise ValueError(f"BOA_QUANTIFICATION_VALUE is {quantification:g}")
    return Product(
        named[1], properties, _outline(root), quantification, _offsets_dn(root, baseline), _nodata(root), granule, files
    )


def read_tile(text: str) -> TileFacts:
    """Read ``MTD_TL.xml``; :class:`ValueError` when it is no such file, or lacks something."""
    root = _parsed(text)
    code = _matched(re.compile(r"EPSG:(32[67]\d\d)"), "HORIZONTAL_CS_CODE", _one(root, "HORIZONTAL_CS_CODE"))
    return TileFacts(_one(root, "SENSING_TIME"), int(code[1]))


def read_checksums(text: str) -> dict[str, str]:
    """Read ``manifest.safe``: a multihash by file, relative to the product's folder; ValueError when it is no XML."""
    found = {}
    for stream in _parsed(text).iter("byteStream"):
        location, told = stream.find("fileLocation"), stream.find("checksum")
        if location is not None and told is not None:
            kind = _MULTIHASHES.get(str(told.get("checksumName")))
            if kind is not None:
                found[str(location.get("href")).removeprefix("./")] = kind + (told.text or "").strip().lower()
    return found


def describe(product: Product, tile: TileFacts, checksums: Mapping[str, str], folder: str) -> dict[str, Any]:
    """STAC item of a product that lies in a folder (an absolute path); files may be without a checksum."""
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": product.name,
        "collection": COLLECTION,
        "geometry": mapping(product.outline),
        "bbox": list(product.outline.bounds),
        "properties": {**product.properties, "datetime": tile.sensed, "proj:epsg": tile.epsg},
        "links": [{"rel": "license", "href": SENTINEL_TERMS}],
        "assets": {
            band: {
                "href": f"{folder}/{path}",
                "type": "image/jp2",
                "raster:bands": [_radiometry(product, band)],
                "file:checksum": checksums.get(path),
            }
            for band, path in product.files.items()
        },
    }


def _radiometry(product: Product, band: str) -> dict[str, float]:
    if band == "SCL":
        return {"nodata": product.nodata}
    said = {"nodata": product.nodata, "scale": 1.0 / product.quantification}
    if band in product.offsets_dn:
        said["offset"] = product.offsets_dn[band] / product.quantification
    return said


def _parsed(text: str) -> Element:
    """Root of an XML document of bounded size, without the declarations that let it grow or name other files."""
    if len(text) > MOST_BYTES:
        raise ValueError(f"has more than {MOST_BYTES:,} characters")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("declares a document type or an entity, which no product does")
    parser = XMLParser()  # noqa: S314 - what it could be led astray by is refused above
    try:
        parser.feed(text)
        root: Element = parser.close()
    except ParseError as error:
        raise ValueError(f"is no XML ({one_line(error)})") from error
    return root


def _every(root: Element, name: str) -> list[Element]:
    return [*root.iter(name), *(root.iter(_OLD_NAMES[name]) if name in _OLD_NAMES else ())]


def _one(root: Element, name: str) -> str:
    """Text of an element that stands there once."""
    texts = [(element.text or "").strip() for element in _every(root, name)]
    if len(texts) != 1 or not texts[0]:
        raise ValueError(f"holds {len(texts) if any(texts) else 'no'} {name}, not one")
    return texts[0]


def _number(root: Element, name: str) -> float:
    return _finite(name, _one(root, name))


def _finite(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} is {text[:20]!r}, not a number")
    return value


def _matched(pattern: re.Pattern[str], name: str, text: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"{name} is {text[:80]!r}, not what a level 2A product has there")
    return found


def _files(root: Element) -> tuple[str, dict[str, str]]:
    """Folder of the tile, and band to its file; what has no such name is no band that is read."""
    found = [match for e in _every(root, "IMAGE_FILE") if (match := _IMAGE.fullmatch((e.text or "").strip()))]
    granules = sorted({match[1] for match in found})
    if len(granules) != 1:
        raise ValueError(f"names band files of {len(granules)} tiles, not of one")
    native = {match[2]: f"{match[0]}.jp2" for match in found if _NATIVE_M.get(match[2]) == match[3]}
    return granules[0], {band: native[band] for band in BANDS.values() if band in native}


def _offsets_dn(root: Element, baseline: str) -> dict[str, float]:
    """Band to its offset; 0 before baseline 04.00, which knew none; empty where a later product names none."""
    said = {str(e.get("band_id")): (e.text or "").strip() for e in root.iter("BOA_ADD_OFFSET")}
    if not said:
        return dict.fromkeys(_BAND_IDS, 0.0) if baseline < _FIRST_WITH_OFFSETS else {}
    lacking = [band for band, number in _BAND_IDS.items() if number not in said]
    if lacking:
        raise ValueError(f"names no BOA_ADD_OFFSET of {', '.join(lacking)}")
    return {band: _finite("BOA_ADD_OFFSET", said[number]) for band, number in _BAND_IDS.items()}


def _nodata(root: Element) -> float:
    said = [e.findtext("SPECIAL_VALUE_INDEX") for e in root.iter("Special_Values") if _names_nodata(e)]
    if len(said) != 1:
        raise ValueError(f"holds {len(said) or 'no'} Special_Values of NODATA, not one")
    return _finite("SPECIAL_VALUE_INDEX", (said[0] or "").strip())


def _names_nodata(special: Element) -> bool:
    return (special.findtext("SPECIAL_VALUE_TEXT") or "").strip() == "NODATA"


def _outline(root: Element) -> BaseGeometry:
    """Outline of the pixels; the file gives latitude before longitude."""
    numbers = [_finite("EXT_POS_LIST", word) for word in _one(root, "EXT_POS_LIST").split()]
    latitudes, longitudes = numbers[::2], numbers[1::2]
    inside = all(abs(y) <= _HALF_TURN / 2 for y in latitudes) and all(abs(x) <= _HALF_TURN for x in longitudes)
    if len(latitudes) != len(longitudes) or len(latitudes) < 4 or not inside:  # noqa: PLR2004 - corners of a closed ring
        raise ValueError("EXT_POS_LIST is no outline in latitude and longitude")
    return _unfolded(longitudes, latitudes)


def _unfolded(longitudes: Sequence[float], latitudes: Sequence[float]) -> BaseGeometry:
    """Polygon of corners; one that steps over the 180th meridian is cut there."""
    crossing = any(abs(b - a) > _HALF_TURN for a, b in pairwise(longitudes))
    x = np.asarray(longitudes)
    x = np.where(x < 0, x + 2 * _HALF_TURN, x) if crossing else x
    whole = Polygon(np.column_stack((x, latitudes)))
    whole = whole if whole.is_valid else shapely.make_valid(whole)
    if not crossing:
        return whole
    east = whole.intersection(box(0, -90, _HALF_TURN, 90))
    west = whole.intersection(box(_HALF_TURN, -90, 2 * _HALF_TURN, 90))
    return shapely.union_all([east, translate(west, xoff=-2 * _HALF_TURN)])
