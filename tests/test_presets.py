"""Archives known by name: what each stands for, against its real items; keys that are given count."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import DATA, PROJECT

from pipeline.addresses import not_allowed
from pipeline.config import Config, SourceConfig, read_config
from pipeline.errors import InputError
from pipeline.presets import DEFAULT, PRESETS, Preset
from pipeline.sources._items import read_item

RECORDED = DATA / "stac-items" / "pystac-client_recorded_s2_items.json"
KEYS = ("url", "collection", "sign_url", "raw_dn", "hosts")


def written(folder, text):
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def source_of(folder, text):
    return read_config(written(folder, f"source: {{{text}}}\n")).source


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_stands_for_what_it_says(tmp_path, name):
    source, preset = source_of(tmp_path, f"preset: {name}"), PRESETS[name]
    assert [getattr(source, key) for key in KEYS] == [getattr(preset, key) for key in KEYS]
    assert (source.kind, source.preset) == ("stac", name)


@pytest.mark.parametrize(
    ("name", "url", "collection", "raw_dn", "signed"),
    [
        ("earth-search", "https://earth-search.aws.element84.com/v1", "sentinel-2-l2a", None, False),
        ("earth-search-c1", "https://earth-search.aws.element84.com/v1", "sentinel-2-c1-l2a", True, False),
        ("planetary-computer", "https://planetarycomputer.microsoft.com/api/stac/v1", "sentinel-2-l2a", True, True),
        ("cdse", "https://stac.dataspace.copernicus.eu/v1", "sentinel-2-l2a", True, False),
    ],
)
def test_the_archives_by_name(name, url, collection, raw_dn, signed):
    preset = PRESETS[name]
    assert (preset.url, preset.collection, preset.raw_dn) == (url, collection, raw_dn)
    assert (preset.sign_url is not None) == signed
    assert preset.pixels_need_account == (name == "cdse")


@pytest.mark.parametrize("name", PRESETS)
def test_no_preset_names_an_open_door(name):
    """Every address is https, and no host is a pattern: below most domains anybody can rent a name."""
    preset = PRESETS[name]
    for address in (preset.url, preset.sign_url or preset.url, preset.licence):
        assert urlsplit(address).scheme == "https"
    assert preset.hosts
    assert not any("*" in host or "/" in host or ":" in host for host in preset.hosts)


@pytest.mark.parametrize("preset", ["earth-search", "earth-search-c1", "planetary-computer"])
def test_real_items_lead_to_the_hosts_of_their_preset_alone(preset):
    if not RECORDED.is_file():
        pytest.skip(f"{RECORDED} is absent")
    known = PRESETS[preset]
    hosts = set()
    for document in json.loads(RECORDED.read_text(encoding="utf-8"))["features"]:
        own = next(link["href"] for link in document["links"] if link["rel"] == "self")
        if own.startswith(known.url) and document["collection"] == known.collection:
            for asset in read_item(document).assets.values():
                assert not_allowed(asset.href, known.url, known.hosts) is None
                assert not_allowed(asset.href, known.url, ()) is not None
                hosts.add(urlsplit(asset.href).hostname)
    assert hosts == set(known.hosts)


# --- what is given counts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("url", "'https://mirror.example/v1'", "https://mirror.example/v1"),
        ("collection", "other", "other"),
        ("collection", "null", None),
        ("sign_url", "null", None),
        ("raw_dn", "false", False),
        ("raw_dn", "null", None),
        ("hosts", "[a.example, '*.b.example']", ("a.example", "*.b.example")),
        ("hosts", "[]", ()),
    ],
)
def test_a_key_that_is_given_counts_and_the_others_stay(tmp_path, key, text, value):
    source, preset = source_of(tmp_path, f"preset: planetary-computer, {key}: {text}"), PRESETS["planetary-computer"]
    assert getattr(source, key) == value
    assert all(getattr(source, other) == getattr(preset, other) for other in KEYS if other != key)


def test_what_a_provider_allows_is_kept_to_unless_less_is_chosen(tmp_path):
    assert source_of(tmp_path, "preset: cdse").max_concurrent == 4
    assert source_of(tmp_path, "preset: cdse, max_concurrent: 1").max_concurrent == 1
    assert source_of(tmp_path, "preset: earth-search").max_requests_per_minute is None


def test_without_a_word_it_is_the_default(tmp_path):
    expected = source_of(tmp_path, f"preset: {DEFAULT}")
    assert read_config(written(tmp_path, "# nothing\n")).source == expected
    assert source_of(tmp_path, "preset: null") == expected
    assert source_of(tmp_path, "max_cloud_percent: 60") == expected
    assert Config().source == SourceConfig() == expected
    assert expected.hosts


@pytest.mark.parametrize("url", ["archive/catalog.json", "https://example.org/stac/v1"])
def test_another_archive_inherits_nothing_of_the_default(tmp_path, url):
    source = source_of(tmp_path, f"url: '{url}'")
    assert (source.preset, source.sign_url, source.raw_dn, source.hosts) == (None, None, None, ())


def test_a_simulated_archive_has_no_preset():
    source = SourceConfig(kind="simulated", url="catalog.json")
    assert (source.preset, source.hosts) == (None, ())
    assert SourceConfig(kind="simulated").preset is None


def test_the_effective_values_are_what_is_written_down(tmp_path):
    source = source_of(tmp_path, "preset: earth-search-c1, raw_dn: false")
    told = source.model_dump(mode="json")
    assert (told["url"], told["hosts"], told["raw_dn"]) == (
        PRESETS["earth-search-c1"].url, list(PRESETS["earth-search-c1"].hosts), False,
    )  # fmt: skip
    assert SourceConfig.model_validate(told) == source


def test_the_configuration_of_the_project_names_a_preset():
    source = read_config(Path(PROJECT) / "config.yaml").source
    assert source.preset == "planetary-computer"
    assert source.sign_url == "https://planetarycomputer.microsoft.com/api/sas/v1/token"
    assert source.raw_dn is True


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("preset: planetary", ["source.preset = 'planetary'", "did you mean 'planetary-computer'?"]),
        ("preset: earthsearch", ["source.preset = 'earthsearch'", "'earth-search'", "'earth-search-c1'"]),
        ("preset: CDSE", ["source.preset = 'CDSE'", "did you mean 'cdse'?"]),
        ("preset: zzz", ["presets are earth-search, earth-search-c1, planetary-computer, cdse"]),
        ("preset: 7", ["source.preset = 7"]),
        ("preset: [cdse]", ["source.preset = ['cdse']"]),
        ("kind: simulated, preset: cdse", ["source.preset = 'cdse'", "source.kind = 'stac'", "'simulated'"]),
        ("presett: cdse", ["unknown key 'source.presett'", "did you mean 'preset'?"]),
    ],
)  # fmt: skip
def test_a_preset_nobody_knows_is_refused_with_the_nearest(tmp_path, text, words):
    with pytest.raises(InputError) as refused:
        source_of(tmp_path, text)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path / 'config.yaml'}: ")
    for word in words:
        assert word in str(refused.value)


def test_presets_cannot_be_changed():
    with pytest.raises(TypeError):
        PRESETS["mine"] = Preset("https://a.example", "c", ("a.example",), None)
    with pytest.raises(AttributeError):
        PRESETS["cdse"].url = "https://a.example"
