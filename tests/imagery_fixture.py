"""Items and images for the tests of the pure stages."""

import datetime as dt
from typing import Any

import numpy as np
from shapely.geometry import box

from pipeline.imagery import Asset, Image, Item
from pipeline.types import Grid

NOON = dt.datetime(2022, 5, 1, 2, 10, tzinfo=dt.UTC)


def an_item(item_id: str = "item", **changes: Any) -> Item:
    """Return an item of tile 52SBJ with nothing remarkable but the changes."""
    values: dict[str, Any] = {
        "id": item_id,
        "collection": "sentinel-2-l2a",
        "datetime": NOON,
        "platform": "sentinel-2a",
        "processing_baseline": "05.09",
        "relative_orbit": 46,
        "epsg": 32652,
        "tile": "52SBJ",
        "coverage": box(126.0, 39.0, 127.0, 40.0),
        "assets": {},
    }
    return Item(**(values | changes))


def an_asset(band: str = "blue", **changes: Any) -> Asset:
    """Return an asset that declares nothing but the changes."""
    return Asset(band, f"{band}.tif", **changes)


def an_image(shape: tuple[int, int], scl: Any = None, **bands: Any) -> Image:
    """Return an image of mid-grey ground on which each named band is replaced; a scalar fills the image."""
    grid = Grid(32652, 400000.0, 4400000.0, shape[1], shape[0])
    ground = {"blue": 0.06, "green": 0.08, "red": 0.10, "nir": 0.20, "swir16": 0.20, "swir22": 0.15} | bands
    filled = {
        band: np.broadcast_to(np.asarray(value, dtype=np.float32), shape).copy() for band, value in ground.items()
    }
    return Image(grid, filled, None if scl is None else np.broadcast_to(np.asarray(scl, dtype=np.uint8), shape).copy())
