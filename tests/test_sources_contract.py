"""What every kind of source must do; a new file in the folder is found here by itself."""

import importlib
import inspect
import pickle
import pkgutil
from typing import get_args

import pytest
from servers import COLLECTION, EPSG, LEFT, TOP, footprint, opened_line, write_archive

from pipeline import sources
from pipeline.config import Config, SourceConfig, WindowsConfig, YearsConfig
from pipeline.errors import InputError, SourceError
from pipeline.imagery import Item

KINDS = sorted(name for _, name, _ in pkgutil.iter_modules(sources.__path__) if not name.startswith("_"))
ARCHIVES = {"stac": {}, "simulated": {"stockline:simulated": True}}
"""Kind to properties of items in a small archive of that kind; a new source adds its own."""


@pytest.fixture(params=KINDS)
def kind(request):
    if request.param not in ARCHIVES:
        pytest.fail(f"add how a small archive of kind {request.param} is made to ARCHIVES")
    return request.param


@pytest.fixture
def config(kind, tmp_path):
    write_archive(tmp_path / "archive", 6, **ARCHIVES[kind])
    return config_of(kind, tmp_path / "archive" / "catalog.json")


def config_of(kind, url, years=(2020, 2020)):
    windows = WindowsConfig(stockpile=(("04-01", "06-15"),), footprint=(("06-01", "09-30"),))
    source = SourceConfig(kind=kind, url=str(url), sign_url=None, collection=COLLECTION)
    return Config(source=source, years=YearsConfig(first=years[0], last=years[1]), windows=windows)


def test_the_configuration_knows_exactly_the_sources_there_are():
    assert sorted(get_args(SourceConfig.model_fields["kind"].annotation)) == KINDS


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("method", ["search", "deliver", "price"])
def test_the_signature_is_that_of_the_protocol(name, method):
    wanted = inspect.signature(getattr(sources.Source, method))
    found = inspect.signature(getattr(sources.load(name), method))
    assert list(found.parameters) == list(wanted.parameters)[1:]
    for parameter in found.parameters.values():
        assert parameter.annotation is wanted.parameters[parameter.name].annotation
    assert importlib.import_module(f"pipeline.sources.{name}").__doc__


def test_items_are_found_sorted_and_can_be_fetched(kind, config):
    items = sources.load(kind).search(footprint(), config)
    assert len(items) == 6
    assert all(isinstance(item, Item) for item in items)
    assert [i.datetime for i in items] == sorted(i.datetime for i in items)
    for item in items:
        assert item.datetime.utcoffset().total_seconds() == 0
        assert item.coverage.intersects(footprint())
        assert {"blue", "red", "swir16", "scl"} <= set(item.assets)
        assert all(asset.href.startswith(("/", "http")) for asset in item.assets.values())
        assert item.document["id"] == item.id


def test_the_same_search_gives_the_same_items(kind, config):
    load = sources.load(kind)
    assert load.search(footprint(), config) == load.search(footprint(), config)


def test_only_days_of_the_windows_and_years_are_found(kind, config):
    """By hand: of six items nine days apart from 1 May, one lies after 10 June; windows to 10 June leave five."""
    windows = WindowsConfig(stockpile=(("04-01", "06-10"),), footprint=(("06-01", "06-10"),))
    assert len(sources.load(kind).search(footprint(), config.model_copy(update={"windows": windows}))) == 5
    other = config.model_copy(update={"years": YearsConfig(first=2021, last=2023)})
    with pytest.raises(SourceError, match="no scene over the AOI in 2021-2023 within the windows; check source"):
        sources.load(kind).search(footprint(), other)


def test_an_aoi_elsewhere_finds_nothing_and_says_so(kind, config):
    with pytest.raises(SourceError, match="no scene over the AOI"):
        sources.load(kind).search(footprint(left=LEFT + 20_000), config)


def test_a_catalogue_that_is_not_there_is_the_users_to_mend(kind, tmp_path):
    with pytest.raises(InputError, match=r"source\.url = .*none\.json: no such file"):
        sources.load(kind).search(footprint(), config_of(kind, tmp_path / "none.json"))


def test_local_paths_need_no_signature(kind, config):
    assert sources.load(kind).sign("/a/b.tif", COLLECTION, config) == "/a/b.tif"


def test_workers_can_be_sent_a_source(kind):
    sign = sources.load(kind).sign
    assert pickle.loads(pickle.dumps(sign)) is sign  # noqa: S301 - pickled one line above
