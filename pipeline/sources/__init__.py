"""Where scenes come from. One file per kind of source; nothing outside this folder knows a provider.

A source is a module with the three functions of :class:`Source`.
"""

import importlib
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

from shapely.geometry.base import BaseGeometry

from pipeline.config import Config
from pipeline.delivery import Delivered
from pipeline.imagery import Item
from pipeline.ledger import Traffic
from pipeline.remote import Line
from pipeline.types import Grid


class Source(Protocol):
    """What the flow asks of a source."""

    def search(self, aoi: BaseGeometry, config: Config, line: Line) -> list[Item]:
        """Items whose coverage meets the AOI, in the configured years and windows, sorted by time and id."""

    def deliver(self, item: Item, bands: Sequence[str], grid: Grid, line: Line) -> Iterator[Delivered]:
        """Pixels of a grid and its margin, band by band as they come; an error ends them after those that came."""

    def price(self, item: Item, bands: Sequence[str], grid: Grid) -> Traffic:
        """Say what delivering would take at most; pure."""


def load(kind: str) -> Source:
    """Return the source of a kind: the module of that name in this folder."""
    return cast("Source", importlib.import_module(f"{__name__}.{kind}"))
