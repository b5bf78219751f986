"""Where scenes come from. One file per kind of source; nothing outside this folder knows a provider.

A source is a module with ``search(aoi, config) -> list[Item]`` and ``sign(href, collection, config) -> str``.
"""

import importlib
from collections.abc import Sequence
from typing import Protocol, cast

from shapely.geometry.base import BaseGeometry

from pipeline.config import Config
from pipeline.imagery import Item


class Source(Protocol):
    """What the flow asks of a source."""

    def search(self, aoi: BaseGeometry, config: Config) -> Sequence[Item]:
        """Items whose coverage meets the AOI, in the configured years and windows, sorted by time and id."""

    def sign(self, href: str, collection: str, config: Config) -> str:
        """Address that can be read now; hrefs that need no signature come back as they are."""


def load(kind: str) -> Source:
    """Return the source of a kind: the module of that name in this folder."""
    return cast("Source", importlib.import_module(f"{__name__}.{kind}"))
