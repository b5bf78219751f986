"""What every kind of source must do; a new file in the folder is found here by itself."""

import contextlib
import datetime as dt
import importlib
import inspect
import json
import os
import pickle
import pkgutil
from typing import get_args
from unittest import mock

import numpy as np
import pytest
import rasterio
from safe_products import SafeProduct, write_safe
from sentinelhub_server import CLIENT_ID, CLIENT_SECRET, NATIVE_M, SentinelHubServer, Tile, centres
from servers import COLLECTION, EPSG, LEFT, TOP, FileServer, footprint, opened_line, searched, write_archive

from pipeline import sources
from pipeline.addresses import is_remote
from pipeline.config import Config, SourceConfig, WindowsConfig, YearsConfig
from pipeline.errors import InputError, SceneRefusedError, SourceError
from pipeline.imagery import Item
from pipeline.ledger import NOTHING
from pipeline.pixels import MARGIN_M
from pipeline.types import Grid

GRID = Grid(EPSG, LEFT + 400, TOP - 400, 30, 20)
BANDS = ("blue", "red", "swir16", "scl")
STEP_M = {"blue": 10, "red": 10, "swir16": 20, "scl": 20}


def config_of(kind, url, **source):
    windows = WindowsConfig(stockpile=(("04-01", "06-15"),), footprint=(("06-01", "09-30"),))
    values = {"sign_url": None, "collection": COLLECTION, "retries": 1, "timeout_s": 5.0, **source}
    return Config(
        source=SourceConfig(kind=kind, url=str(url), **values),
        years=YearsConfig(first=2020, last=2020),
        windows=windows,
    )


@contextlib.contextmanager
def static_archive(folder, **properties):
    write_archive(folder / "archive", 6, **properties)
    yield config_of("simulated" if properties else "stac", folder / "archive" / "catalog.json")


@contextlib.contextmanager
def served_archive(folder):
    write_archive(folder / "archive", 6)
    with FileServer(folder / "archive") as server:
        yield config_of("stac", f"{server.url}/catalog.json")


class ArchiveTile(Tile):
    """A tile of the loopback Sentinel Hub with the pixels of an archive's item."""

    extent = (LEFT, TOP - 1200, LEFT + 1200, TOP)

    def samples(self, names, bounds, width, height, *, harmonise):  # noqa: ARG002 - as the tile of the server
        """Give the place of each native pixel, as ``servers.write_archive`` does."""
        x, y = centres(bounds, width, height)
        found = {"dataMask": np.ones((height, width), np.uint8)}
        for name in set(names) - {"dataMask"}:
            step = NATIVE_M[name]
            place = 1 + ((TOP - y) // step).astype(int) * (1200 // step) + ((x - LEFT) // step).astype(int)
            found[name] = place % 11 + 1 if name == "SCL" else place + self.ident
        return found


@contextlib.contextmanager
def sentinel_hub(folder):
    days = [dt.date(2020, 5, 1) + dt.timedelta(days=9 * number) for number in range(6)]
    tiles = [
        ArchiveTile(
            f"S2A_MSIL2A_{day:%Y%m%d}T020000_N0500_R103_T52SDG_20230101T000000", f"{day}T02:00:00Z", ident=number
        )
        for number, day in enumerate(days)
    ]
    account = {"SH_CLIENT_ID": CLIENT_ID, "SH_CLIENT_SECRET": CLIENT_SECRET}
    with SentinelHubServer(tiles) as server, mock.patch.dict(os.environ, account):
        yield config_of("sentinelhub", server.url, token_url=server.token_url)


@contextlib.contextmanager
def safe_archive(folder):
    """Give the archive's products as SAFE, lossless, in a folder a year, a level 1C product among them."""
    for document in write_archive(folder / "archive", 6):
        files = {band: folder / "archive" / document["id"] / f"{band}.tif" for band in document["assets"]}
        pixels = {}
        for band, path in files.items():
            with rasterio.open(path) as dataset:
                pixels[band] = (dataset.read(1), dataset.transform)
        product = SafeProduct(document["properties"]["datetime"], "52SDG", EPSG, footprint())
        write_safe(folder / "products" / "2020", product, pixels)
    (folder / "products" / "S2A_MSIL1C_20200501T020000_N0500_R103_T52SDG_20230101T000000.SAFE").mkdir()
    yield config_of("archive", folder / "products")


@contextlib.contextmanager
def downloaded_items(folder):
    """Give the archive's items as a user keeps them who downloaded them: no catalogue, addresses of the provider."""
    for document in write_archive(folder / "archive", 6):
        for asset in document["assets"].values():
            asset["href"] = asset["href"].replace("./", f"https://files.example/{document['id']}/") + "?sig=1"
        (folder / "archive" / document["id"] / f"{document['id']}.json").write_text(json.dumps(document))
    (folder / "archive" / "catalog.json").unlink()
    yield config_of("archive", folder / "archive")


ARCHIVES = {
    "archive, SAFE": safe_archive,
    "archive, items": downloaded_items,
    "sentinelhub": sentinel_hub,
    "stac": static_archive,
    "stac, served": served_archive,
    "simulated": lambda folder: static_archive(folder, **{"stockline:simulated": True}),
}
"""Of each kind of source six acquisitions nine days apart from 1 May 2020, whose pixels are those of
``servers.write_archive``; a new source adds its own."""
KINDS = sorted(name for _, name, _ in pkgutil.iter_modules(sources.__path__) if not name.startswith("_"))


def truth(item_number, band):
    """DN of a band over the grid and its margin, by hand: pixels of an archive tell their place."""
    step = STEP_M[band]
    edge = 1200 // step
    first, rows, columns = (400 - int(MARGIN_M)) // step, (200 + 120) // step, (300 + 120) // step
    row, column = np.mgrid[first : first + rows, first : first + columns]
    place = 1 + row * edge + column
    return (place % 11 + 1).astype(np.uint8) if band == "scl" else (place + item_number).astype(np.uint16)


@pytest.fixture(params=sorted(ARCHIVES))
def config(request, tmp_path):
    with ARCHIVES[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def source(config):
    return sources.load(config.source.kind)


def test_every_source_is_held_to_the_contract():
    assert sorted(get_args(SourceConfig.model_fields["kind"].annotation)) == KINDS
    assert {name.split(",")[0] for name in ARCHIVES} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("method", ["search", "deliver", "price"])
def test_the_signature_is_that_of_the_protocol(name, method):
    wanted = inspect.signature(getattr(sources.Source, method))
    found = inspect.signature(getattr(sources.load(name), method))
    assert list(found.parameters) == list(wanted.parameters)[1:]
    for parameter in found.parameters.values():
        assert parameter.annotation == wanted.parameters[parameter.name].annotation
    assert importlib.import_module(f"pipeline.sources.{name}").__doc__


def test_items_are_found_sorted_and_can_be_fetched(source, config):
    items = searched(source, footprint(), config)
    assert len(items) == 6
    assert all(isinstance(item, Item) for item in items)
    assert [i.datetime for i in items] == sorted(i.datetime for i in items)
    for item in items:
        assert item.datetime.utcoffset().total_seconds() == 0
        assert item.coverage.intersects(footprint())
        assert set(BANDS) <= set(item.assets)
        assert all(asset.href.startswith(("/", "http")) for asset in item.assets.values())
        assert item.document["id"] == item.id


def test_the_same_search_gives_the_same_items(source, config):
    assert searched(source, footprint(), config) == searched(source, footprint(), config)


def test_only_days_of_the_windows_and_years_are_found(source, config):
    """By hand: of six items nine days apart from 1 May, one lies after 10 June; windows to 10 June leave five."""
    windows = WindowsConfig(stockpile=(("04-01", "06-10"),), footprint=(("06-01", "06-10"),))
    assert len(searched(source, footprint(), config.model_copy(update={"windows": windows}))) == 5
    other = config.model_copy(update={"years": YearsConfig(first=2021, last=2023)})
    with pytest.raises(SourceError, match="no scene over the AOI in 2021-2023 within the windows; check source"):
        searched(source, footprint(), other)


def test_an_aoi_elsewhere_finds_nothing_and_says_so(source, config):
    with pytest.raises(SourceError, match="no scene over the AOI"):
        searched(source, footprint(left=LEFT + 20_000), config)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("url", ["/nowhere/none.json", "http://127.0.0.1:9/api"])
def test_a_catalogue_that_is_not_there_is_told(kind, url, tmp_path):
    config = config_of(kind, url, retries=0)
    with pytest.raises((InputError, SourceError), match=r"/nowhere/none\.json|127\.0\.0\.1:9") as caught:
        sources.load(kind).search(footprint(), config, opened_line(config.source, tmp_path))
    assert "\n" not in str(caught.value)


def test_what_is_delivered_are_the_pixels_of_the_archive_in_their_own_grid(source, config, tmp_path):
    line = opened_line(config.source, tmp_path / "line")
    for number, item in enumerate(source.search(footprint(), config, line)[:2]):
        came = list(source.deliver(item, BANDS, GRID, line))
        assert sorted(delivered.band for delivered in came) == sorted(BANDS)
        for delivered in came:
            part, step = delivered.part, STEP_M[delivered.band]
            np.testing.assert_array_equal(part.pixels, truth(number, delivered.band))
            assert part.pixels.dtype == truth(number, delivered.band).dtype
            assert part.crs.to_epsg() == EPSG
            assert tuple(part.transform)[:6] == (step, 0, LEFT + 340, 0, -step, TOP - 340)
            assert part.nodata == 0


def test_one_band_alone_can_be_asked_for(source, config, tmp_path):
    line = opened_line(config.source, tmp_path / "line")
    item = source.search(footprint(), config, line)[0]
    (delivered,) = source.deliver(item, ("red",), GRID, line)
    assert delivered.band == "red"
    np.testing.assert_array_equal(delivered.part.pixels, truth(0, "red"))


def test_delivering_takes_no_more_than_its_price(source, config, tmp_path):
    line = opened_line(config.source, tmp_path / "line")
    item = source.search(footprint(), config, line)[0]
    before = line.ledger.spent()
    came = list(source.deliver(item, BANDS, GRID, line))
    took, price = line.ledger.spent() - before, source.price(item, BANDS, GRID)
    assert sum((delivered.traffic for delivered in came), NOTHING) == took
    for name in ("requests", "pixel_requests", "size_bytes", "processing_units"):
        assert getattr(took, name) <= getattr(price, name)
    # A local archive costs nothing; what is asked over a network is told before.
    assert (took.pixel_requests > 0) == is_remote(config.source.url) == (price.pixel_requests > 0)


def test_how_pixels_came_can_be_written_as_json(source, config, tmp_path):
    line = opened_line(config.source, tmp_path / "line")
    item = source.search(footprint(), config, line)[0]
    for delivered in source.deliver(item, BANDS, GRID, line):
        assert pickle.loads(pickle.dumps(delivered.request)) == delivered.request  # noqa: S301 - pickled here
        assert all(name == name.lower() for name in delivered.response)
        assert delivered.request


def test_a_window_the_scene_does_not_reach_refuses_it(source, config, tmp_path):
    line = opened_line(config.source, tmp_path / "line")
    item = source.search(footprint(), config, line)[0]
    with pytest.raises(SceneRefusedError, match="does not reach the AOI"):
        list(source.deliver(item, BANDS, Grid(EPSG, LEFT + 90_000, TOP - 400, 30, 20), line))


def test_workers_can_be_sent_a_source_and_its_line(source, config, tmp_path):
    line = opened_line(config.source, tmp_path / "line")
    item = source.search(footprint(), config, line)[0]
    deliver, sent, again = pickle.loads(pickle.dumps((source.deliver, line, item)))  # noqa: S301 - pickled here
    assert len(list(deliver(again, BANDS, GRID, sent))) == len(BANDS)
