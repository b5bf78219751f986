"""What a source hands over: pixels of one band as they came, and how they came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.ledger import NOTHING, Traffic
from pipeline.rasters import Part


@dataclass(frozen=True)
class Delivered:
    """One band of one item over a window.

    Attributes
    ----------
    band : str
        Common name.
    part : Part
        Native grid and type.
    request : Mapping
        What was asked, as JSON: method, address without its query, ranges or payload. No secret.
    response : Mapping
        Headers that tell which bytes these are and when they were given, names in lower case.
    traffic : Traffic
        What it took; of a request that gives several bands, at the first of them.
    """

    band: str
    part: Part
    request: Mapping[str, Any]
    response: Mapping[str, str]
    traffic: Traffic = NOTHING


_TELLING = (
    "etag", "last-modified", "date", "content-type", "content-length", "content-range", "server", "x-amz-version-id",
    "x-amz-request-id", "x-ms-request-id", "x-ms-creation-time", "content-md5", "x-ms-blob-content-md5",
)  # fmt: skip


def telling(headers: Mapping[str, str]) -> dict[str, str]:
    """Of the headers of a response, those that say which bytes were given, by whom and when."""
    return {name: headers[name] for name in _TELLING if name in headers}
