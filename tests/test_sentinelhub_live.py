"""What only a live service can prove.

Run with credentials of Copernicus Data Space in the environment::

    SH_CLIENT_ID=... SH_CLIENT_SECRET=... python -m pytest -m live tests/test_sentinelhub_live.py

It costs about 0.2 processing units. ``SENTINELHUB_URL`` names another deployment.
"""

import json
import os

import numpy as np
import pyproj
import pytest
from shapely.geometry import box

from pipeline import sources
from pipeline.config import Config, SourceConfig, WindowsConfig, YearsConfig
from pipeline.ledger import Ledger, Limits, Traffic
from pipeline.remote import Line
from pipeline.sources._items import BANDS
from pipeline.types import Grid

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not (os.environ.get("SH_CLIENT_ID") and os.environ.get("SH_CLIENT_SECRET")),
        reason="set SH_CLIENT_ID and SH_CLIENT_SECRET to ask the live service (about 0.2 processing units)",
    ),
]
AOI = box(126.065, 39.565, 126.085, 39.580)
"""Two square kilometres of 52SCJ and its neighbours; any land would do."""


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    url = os.environ.get("SENTINELHUB_URL", "https://sh.dataspace.copernicus.eu")
    source = SourceConfig(kind="sentinelhub", url=url, sign_url=None, max_cloud_percent=20.0)
    ledger = Ledger(tmp_path_factory.mktemp("ledger"), Limits(2, processing_units=2.0, size_bytes=50_000_000))
    return Line(source, ledger.opened())


@pytest.fixture(scope="module")
def items(line):
    windows = WindowsConfig(stockpile=(("05-01", "06-15"),), footprint=(("05-01", "06-15"),))
    config = Config(source=line.source, years=YearsConfig(first=2021, last=2021), windows=windows)
    return sources.load("sentinelhub").search(AOI, config, line)


def test_items_say_all_that_is_read_of_them(items):
    for item in items:
        assert item.id.startswith("S2")
        assert item.processing_baseline
        assert item.relative_orbit
        assert item.tile
        assert item.epsg in {32651, 32652}
        assert item.document["assets"]["data"]["href"]
        assert item.coverage.intersects(AOI)


def test_pixels_are_of_the_item_where_they_were_asked_for_and_cost_no_more_than_was_said(items, line):
    hub, item = sources.load("sentinelhub"), items[0]
    x, y = pyproj.Transformer.from_crs(4326, item.epsg, always_xy=True).transform(*AOI.centroid.coords[0])
    grid = Grid(item.epsg, x - x % 20, y - y % 20, 100, 80)
    before = line.ledger.spent()
    came = list(hub.deliver(item, list(BANDS), grid, line))
    spent = line.ledger.spent() - before
    priced = hub.price(item, list(BANDS), grid)
    assert 0 < spent.processing_units <= priced.processing_units * 1.001
    assert sum((one.traffic for one in came), Traffic()).pixel_requests == priced.pixel_requests == 2
    assert [one.band for one in came] == list(BANDS)
    for one in came:
        cell = 20 if one.band in {"nir08", "swir16", "swir22", "scl"} else 10
        assert one.part.transform.c == grid.left_m - 60
        assert one.part.transform.f == grid.top_m + 60
        assert one.part.pixels.shape == (920 // cell, 1120 // cell)
        assert (tile := json.loads(one.response["tiles"])[0])["date"][:10] == item.datetime.date().isoformat()
        assert item.id.removesuffix(".SAFE") in json.dumps(tile) or tile["dataPath"]
        assert "x-processingunits-spent" in one.response
        assert np.count_nonzero(one.part.pixels) > 0
