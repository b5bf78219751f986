"""config.yaml: defaults that stand alone, refusals that name file, key, value and remedy."""

import ast
import datetime as dt
import inspect
from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

import pipeline.config
import pipeline.sections
from pipeline.config import Config, in_windows, read_config, window_parts
from pipeline.errors import InputError

ROOT = Path(__file__).parents[1]


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    """Return what a file is refused with; always one line that names the file."""
    path = written(folder, text)
    with pytest.raises(InputError) as refused:
        read_config(path)
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert refused.value.exit_status == 2
    return said.removeprefix(f"{path}: ")


def section_of(annotation: object) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


SECTIONS = {name: section_of(field.annotation) for name, field in Config.model_fields.items()}
SECTIONS = {name: section for name, section in SECTIONS.items() if section}


FIRST_KEYS = {name: next(iter(section.model_fields)) for name, section in SECTIONS.items()}


# --- what stands alone ---


def test_source_and_sites_alone_are_enough(tmp_path):
    config = read_config(written(tmp_path, "source: {kind: stac, url: archive/catalog.json}\nsites: places\n"))
    assert config.sites == tmp_path / "places"
    assert config.out == tmp_path / "out"
    assert config.claims is None
    # The contract's defaults.
    assert config.windows.stockpile == (("04-01", "06-15"), ("09-01", "10-20"))
    assert config.windows.footprint == (("06-01", "09-30"),)
    assert (config.min_dates, config.max_season_shift_days) == (6, 60)


def test_an_empty_file_is_every_default(tmp_path):
    config = read_config(written(tmp_path, "# nothing\n"))
    folders = {name: Path(default) for name, default in (("sites", "aoi"), ("reviews", "reviews"), ("out", "out"))}
    assert config.model_copy(update=folders) == Config()


def test_every_contract_key_is_there():
    assert {"sites", "claims", "source", "years", "windows", "min_dates", "max_season_shift_days", "out"} <= set(
        Config.model_fields
    )
    assert {"kind", "url", "collection"} <= set(SECTIONS["source"].model_fields)
    assert set(SECTIONS["years"].model_fields) == {"first", "last", "baseline"}
    assert set(SECTIONS["windows"].model_fields) == {"stockpile", "footprint"}


def test_the_configuration_of_the_project_is_read_and_changes_no_number_of_science():
    config = read_config(ROOT / "config.yaml")
    for name in ("radiometry", "clear", "align", "stockpile", "footprint", "boundary", "uncertainty", "stats"):
        assert getattr(config, name) == getattr(Config(), name), name
    assert config.sites == ROOT / "aoi"


def test_defaults_are_good_values_themselves():
    """Defaults are not checked when they are used, so they are checked here; also that YAML can carry them."""
    document = yaml.safe_load(yaml.safe_dump(Config().model_dump(mode="json")))
    assert Config.model_validate(document) == Config()


@pytest.mark.parametrize(
    ("name", "value"),
    # The table at the end of science section 6 and its sections 1.4, 2.2, 2.3, 3.3 and 3.4.
    {
        "stockpile.persistence_seed": 0.6, "stockpile.persistence_grow": 0.35, "stockpile.min_measure_px": 20,
        "stockpile.outline_level": 0.5, "stockpile.min_contrast_sigma": 5.0,
        "clear.cloud_dilate_m": 100.0, "clear.shadow_dilate_m": 60.0, "clear.max_sun_zenith_deg": 55.0,
        "clear.dark_protect_share": 0.6, "align.max_residual_m": 3.0, "uncertainty.c": 0.4,
        "boundary.rings_m": (1000.0, 3000.0, 10000.0),
        "boundary.sigma_registration_m": 2.0, "footprint.ndvi_max_bare": 0.30, "footprint.bare_share": 0.60,
        "stats.fdr_q": 0.10, "volume.enabled": False, "volume.repose_deg": 37.0, "volume.height_max_m": (3.0, 12.0),
        "source.max_cloud_percent": 60.0, "radiometry.absent_share": 0.005,
    }.items(),
)  # fmt: skip
def test_default_of_science(name, value):
    section, key = name.split(".")
    assert getattr(getattr(Config(), section), key) == value


# --- paths ---


def test_relative_paths_are_relative_to_the_file_wherever_it_is_read_from(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    path = written(
        folder, "sites: ../places\nclaims: claims.yaml\nout: ./results\nsource: {url: ../../archive/catalog.json}\n"
    )
    monkeypatch.chdir(tmp_path)
    for given_path in (path, Path("a/b/config.yaml")):
        config = read_config(given_path)
        assert config.sites == tmp_path / "a" / "places"
        assert config.claims == folder / "claims.yaml"
        assert config.out == folder / "results"
        assert config.source.url == str(tmp_path / "archive" / "catalog.json")


def test_absolute_paths_and_addresses_stay(tmp_path):
    text = f"sites: {tmp_path}/x\nsource: {{url: 'https://example.org/stac/v1', collection: s2}}\n"
    config = read_config(written(tmp_path, text))
    assert config.sites == tmp_path / "x"
    assert config.source.url == "https://example.org/stac/v1"


@pytest.mark.parametrize("url", ["archive/catalog.json", "https://example.org/stac/v1"])
def test_another_provider_inherits_neither_token_nor_habit_of_the_default_one(tmp_path, url):
    source = read_config(written(tmp_path, f"source: {{url: '{url}'}}\n")).source
    assert (source.sign_url, source.raw_dn) == (None, None)
    kept = read_config(written(tmp_path, f"source: {{url: '{url}', raw_dn: true, sign_url: 'https://t'}}\n")).source
    assert (kept.sign_url, kept.raw_dn) == ("https://t", True)


# --- unknown keys ---


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("site: aoi\n", "site", "sites"),
        ("windowz: {}\n", "windowz", "windows"),
        *((f"{name}: {{{key}x: 1}}\n", f"{name}.{key}x", key) for name, key in FIRST_KEYS.items()),
    ],
)
def test_unknown_key_at_every_level_is_named_with_the_nearest(tmp_path, text, key, near):
    said = refusal(tmp_path, text)
    assert said.startswith(f"unknown key {key!r}")
    assert f"did you mean {near!r}?" in said


def test_unknown_key_unlike_any_lists_the_known_ones(tmp_path):
    said = refusal(tmp_path, "years: {zzzzzz: 1}\n")
    assert said == "unknown key 'years.zzzzzz'; known keys: baseline, first, last"


@pytest.mark.parametrize("order", ["years: {frist: 1}\nouut: x\n", "ouut: x\nyears: {frist: 1}\n"])
def test_of_several_unknown_keys_the_outermost_is_named(tmp_path, order):
    assert refusal(tmp_path, order) == "unknown key 'ouut'; did you mean 'out'? (and 1 more)"


def test_an_unknown_key_is_named_before_a_bad_value(tmp_path):
    said = refusal(tmp_path, "min_dates: 1\nyears: {frist: 2017}\nclear: {shadow_dilate_m: -1}\n")
    assert said == "unknown key 'years.frist'; did you mean 'first'? (and 2 more)"


# --- bad values ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("years: {first: 2020, last: 2019}\n", ["years", "last (2019) is before first (2020)"]),
        ("years: {first: 2018, last: 2020, baseline: 2017}\n", ["years", "baseline (2017) is outside 2018-2020"]),
        ("years: {first: 1999}\n", ["years.first = 1999", "2015"]),
        ("years: 2019\n", ["years = 2019", "baseline, first, last"]),
        ("source: https://example.org\n", ["source = 'https://example.org'", "kind"]),
        ("source:\n", ["source = None", "keys and values"]),
        ("source: {kind: landsat}\n", ["source.kind = 'landsat'", "'stac'"]),
        ("source: {max_cloud_percent: 101}\n", ["source.max_cloud_percent = 101", "100"]),
        ("source: {band_substitutes: {nir8: nir}}\n", ["source.band_substitutes", "'nir8' is not a band", "nir08"]),
        ("source: {band_substitutes: {nir08: B08}}\n", ["source.band_substitutes", "'B08' is not a band"]),
        ("windows: {stockpile: []}\n", ["windows.stockpile = []", "at least one window"]),
        ("windows: {stockpile: [['06-15', '04-01']]}\n", ["windows.stockpile", "06-15..04-01 ends before", "split"]),
        ("windows: {footprint: [['06-01', '06-31']]}\n", ["windows.footprint.0.1 = '06-31'", "not a day of the year"]),
        ("windows: {footprint: [['6-1', '09-30']]}\n", ["windows.footprint.0.0 = '6-1'", "'04-01'"]),
        ("windows: {footprint: [['06-01']]}\n", ["windows.footprint.0"]),
        ("windows: {footprint: [[0601, 0930]]}\n", ["windows.footprint.0.0 = 385"]),
        ("min_dates: 1\n", ["min_dates = 1", "2"]),
        ("min_dates: many\n", ["min_dates = 'many'", "integer"]),
        ("min_dates: 6.5\n", ["min_dates = 6.5"]),
        ("max_season_shift_days: -1\n", ["max_season_shift_days = -1"]),
        ("adequate_fraction: 80\n", ["adequate_fraction = 80"]),
        ("stockpile: {swir16_max_hard: 0}\n", ["stockpile.swir16_max_hard = 0"]),
        ("stockpile: {swir16_max_hard: .nan}\n", ["stockpile.swir16_max_hard = nan"]),
        ("stockpile: {mndwi_max: .inf}\n", ["stockpile.mndwi_max = inf"]),
        ("stockpile: {persistence_grow: 0.7}\n", ["persistence_grow (0.7) is above persistence_seed (0.6)"]),
        ("boundary: {rings_m: [3000, 1000, 10000]}\n", ["boundary.rings_m", "must grow"]),
        ("boundary: {rings_m: [1000, 1000, 10000]}\n", ["boundary.rings_m", "must grow"]),
        ("boundary: {rings_m: [1000, 3000]}\n", ["boundary.rings_m"]),
        ("volume: {height_max_m: [12, 3]}\n", ["volume.height_max_m", "lower height stands first"]),
        ("limits: {block_px: 10}\n", ["limits.block_px = 10", "64"]),
        ("stats: {min_trend_years: 4}\n", ["stats.min_trend_years = 4", "5"]),
        ("sites: 7\n", ["sites = 7"]),
    ],
)  # fmt: skip
def test_bad_value_is_named_with_key_value_and_remedy(tmp_path, text, words):
    said = refusal(tmp_path, text)
    for word in words:
        assert word in said


@pytest.mark.parametrize("name", SECTIONS)
def test_no_number_takes_minus_a_million(tmp_path, name):
    """Every number but differences of bands has a least value."""
    signed = {"mndwi_max", "ndvi_max_hard", "ndvi_max_lignite", "swir16_min", "ndvi_max_bare", "dark_brightness",
              "dark_floor_dn", "score_shift"}  # fmt: skip
    for key, field in SECTIONS[name].model_fields.items():
        numbers = {int, float} & {field.annotation, *get_args(field.annotation)}
        if numbers and field.annotation is not bool and key not in signed:
            said = refusal(tmp_path, f"{name}: {{{key}: -1000000}}\n")
            assert said.startswith(name)
            assert key in said


# --- files ---


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read") as refused:
        read_config(tmp_path / "none.yaml")
    assert "--config" in str(refused.value)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["a: [1, 2\n", "a: b: c\n", "\tx: 1\n"])
def test_broken_yaml(tmp_path, text):
    assert refusal(tmp_path, text).startswith("is not valid YAML: ")


@pytest.mark.parametrize(("text", "kind"), [("- a\n", "list"), ("just words\n", "str"), ("7\n", "int")])
def test_yaml_that_is_no_mapping(tmp_path, text, kind):
    assert refusal(tmp_path, text).startswith(f"holds {kind}, not keys and values")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"sites: \xff\xfe\n")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_config(path)


def test_a_program_in_the_file_is_not_run(tmp_path):
    mark = tmp_path / "ran"
    text = f"sites: !!python/object/apply:os.mkdir ['{mark}']\n"
    assert refusal(tmp_path, text).startswith("is not valid YAML")
    assert not mark.exists()


# --- records ---


def test_configuration_is_frozen_at_every_level():
    config = Config()
    with pytest.raises(ValidationError):
        config.min_dates = 3
    for name in SECTIONS:
        section = getattr(config, name)
        with pytest.raises(ValidationError):
            setattr(section, next(iter(type(section).model_fields)), 1)


def documented_fields(module: object) -> dict[str, bool]:
    """Fields of the sections of a module, and whether a docstring or a comment says what each is."""
    lines = inspect.getsource(module).splitlines()
    found = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                comment = "  # " in lines[(field.end_lineno or 1) - 1]
                a_section = isinstance(field.annotation, ast.Name) and field.annotation.id.endswith("Config")
                found[f"{node.name}.{field.target.id}"] = said or comment or a_section
    return found


def test_every_setting_says_what_it_is_and_every_section_too():
    found = documented_fields(pipeline.sections) | documented_fields(pipeline.config)
    assert len(found) > 70
    assert [name for name, said in found.items() if not said] == []
    assert all(section.__doc__ for section in SECTIONS.values())


def test_years_are_whole_and_in_order():
    assert list(Config().years.all) == list(range(2017, 2026))


# --- windows ---


@pytest.mark.parametrize(
    ("day", "inside"),
    [((3, 31), False), ((4, 1), True), ((6, 15), True), ((6, 16), False), ((8, 31), False), ((9, 1), True),
     ((10, 20), True), ((10, 21), False), ((12, 31), False), ((1, 1), False)],
)  # fmt: skip
@pytest.mark.parametrize("year", [2017, 2020])
def test_windows_hold_both_their_ends_in_every_year(year, day, inside):
    assert in_windows(dt.date(year, *day), Config().windows.stockpile) is inside


@given(st.dates(dt.date(2015, 1, 1), dt.date(2030, 12, 31)), st.dates(dt.date(2020, 1, 1), dt.date(2020, 12, 31)),
       st.dates(dt.date(2020, 1, 1), dt.date(2020, 12, 31)))  # fmt: skip
def test_any_window_by_month_and_day(day, start, end):
    window = ((f"{start:%m-%d}", f"{end:%m-%d}"),)
    expected = (start.month, start.day) <= (day.month, day.day) <= (end.month, end.day)
    assert in_windows(day, window) is expected


def test_the_leap_day_may_bound_a_window(tmp_path):
    config = read_config(written(tmp_path, "windows: {footprint: [['02-29', '09-30']]}\n"))
    assert in_windows(dt.date(2021, 3, 1), config.windows.footprint)
    assert not in_windows(dt.date(2021, 2, 28), config.windows.footprint)


@pytest.mark.parametrize(
    ("windows", "parts"),
    [
        ((("04-01", "06-15"), ("09-01", "10-20")), (("04-01", "06-15"), ("09-01", "10-20"))),
        ((("06-01", "09-30"),), (("06-01", "07-31"), ("08-01", "09-30"))),
        ((("06-01", "06-01"),), (("06-01", "06-01"), ("06-01", "06-01"))),
    ],
)
def test_parts_of_a_season(windows, parts):
    assert window_parts(windows) == parts
