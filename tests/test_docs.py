"""The pages of docs/ against the code: citations land, the contract names what is written, tables can be repeated."""

import ast
import datetime as dt
import json
import re
import types
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from pydantic import BaseModel
from scipy import ndimage

from models._delineate import OUTLINE_BANDS, outline, place_of
from models._uncertainty import median_sigma, pile_sigma_m2
from models.stockpile import MODEL, score
from models.volume import volume_m3
from pipeline.clear import sun_position
from pipeline.cli import _parser
from pipeline.config import Config
from pipeline.passes.ground import positional_noise_m
from pipeline.records import LAYERS
from pipeline.trend import trend

ROOT = Path(__file__).resolve().parent.parent
SCIENCE = (ROOT / "docs" / "science.md").read_text(encoding="utf-8")
CONTRACT = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
CITING = [
    path
    for folder in ("pipeline", "models", "aoi", "notebooks", "benchmarks")
    for kind in ("*.py", "*.md", "*.yaml", "*.geojson", "*.ipynb")
    for path in sorted((ROOT / folder).rglob(kind))
] + sorted(ROOT.glob("*.md"))
LINKING = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "aoi").glob("*.md")})

_NUMBER = r"\d+(?:\.\d+)?"
_CITATION = re.compile(rf"\bscience(?:\.md)?\s+({_NUMBER}(?:(?:\s*,\s*|\s*-\s*|\s+to\s+|\s+and\s+){_NUMBER})*)")
_ODD_CITATION = re.compile(
    r"\bscience\.md\s+\d|\bscience,?\s+(?:finding|section)|\bcontract \d|\bdesign\.md|\bclaims\.md"
)
_HEADING = re.compile(rf"^#{{2,4}} ({_NUMBER})\b", re.MULTILINE)
_SETTING = re.compile(r"`([a-z_]+(?:\.\w+)?) = ([^`]+)`")
_METHOD = ("radiometry", "clear", "align", "stockpile", "footprint", "boundary", "uncertainty", "stats", "volume")


def cited(text: str) -> Iterator[str]:
    """Section numbers a text cites; a range cites both of its ends."""
    for found in _CITATION.finditer(text):
        yield from re.findall(_NUMBER, found[1])


def rows_under(text: str, heading: str) -> list[list[str]]:
    """Cells of the table rows between a heading and the next, without the table's own head."""
    part = text.split(f"\n{heading}", maxsplit=1)[1].split("\n#", maxsplit=1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_citations_have_a_section():
    headings = set(_HEADING.findall(SCIENCE))
    lost = {
        f"{path.relative_to(ROOT)}: {n}" for path in CITING for n in cited(path.read_text("utf-8")) if n not in headings
    }
    assert not lost
    assert sum(1 for path in CITING for _ in cited(path.read_text("utf-8"))) > 40


def test_sections_stand_once_and_in_order():
    numbers = [tuple(map(int, n.split("."))) for n in _HEADING.findall(SCIENCE)]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("text", "numbers"), [("(science 1.4, 6.7-6.9)", ["1.4", "6.7", "6.9"]), ("no science here", [])]
)
def test_what_counts_as_a_citation(text, numbers):
    assert list(cited(text)) == numbers


def test_citations_have_one_form():
    odd = {
        f"{path.relative_to(ROOT)}: {m[0]}" for path in CITING for m in _ODD_CITATION.finditer(path.read_text("utf-8"))
    }
    assert not odd


def test_contract_names_every_layer_and_column_and_no_other():
    named: dict[str, dict[str, bool]] = {}
    layer = ""
    for first, columns, _, null in rows_under(CONTRACT, "## Layers"):
        layer = first.strip("`") or layer
        known = named.setdefault(layer, {})
        for column in re.findall(r"`(\w+)`", columns):
            assert column not in known, f"{layer}.{column} stands twice"
            known[column] = null != "never"
    written = {}
    for name, record in LAYERS.items():
        hints = get_type_hints(record)
        written[name] = {f.name.removesuffix("_"): types.NoneType in get_args(hints[f.name]) for f in fields(record)}
    assert {k: list(v) for k, v in named.items()} == {k: list(v) for k, v in written.items()}
    assert named == written, "a column that may be NULL says when, any other says never"


def test_contract_names_every_command():
    named = [cells[0].strip("`").split()[1] for cells in rows_under(CONTRACT, "## Commands")]
    choices = next(a.choices for a in _parser()._actions if isinstance(a.choices, dict))
    assert sorted(named) == sorted(choices)


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys_of(field.annotation, f"{name}.")
        else:
            yield prefix + name, field.default


def test_every_setting_is_described_with_its_default():
    defaults = dict(keys_of(Config))
    said = [(key, value) for key, value in _SETTING.findall(SCIENCE) if "." in key or key in defaults]
    stated = {key: ast.literal_eval(value) for key, value in said}
    plain = json.loads(json.dumps({key: defaults[key] for key in stated if key in defaults}))
    assert stated == plain, "docs/science.md states another default than the code"
    method = {key for key in defaults if key.split(".")[0] in _METHOD}
    assert method <= set(stated), "every number of the method is in docs/science.md"
    assert {key for key in set(defaults) - set(stated) if f"`{key}`" not in CONTRACT} == set()


@pytest.mark.parametrize("page", LINKING, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_resolve(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    lost = [
        t for t in targets if "://" not in t and not t.startswith("#") and not (page.parent / t.split("#")[0]).exists()
    ]
    assert not lost


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_pages_name_nothing_outside_the_repository(page):
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w.])/(?:tmp|home|root)\b", text) == []
    paths = re.findall(r"`((?:pipeline|models|tests|aoi|docs|benchmarks|notebooks)/[\w./-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def volume_of_a_hectare(height_max_m: float) -> float:
    square = np.pad(np.ones((50, 50), dtype=bool), 2)
    return volume_m3(square, 2.0, Config().volume.repose_deg, height_max_m)


def morning_zenith(month: int) -> float:
    return sun_position(dt.datetime(2020, month, 15, 2, 20, tzinfo=dt.UTC), 126.0, 39.6)[0]


def pass_rates(spectrum: list[float]) -> list[float]:
    """Per cent of draws that are listed and that are counted, for hard coal and for lignite."""
    rng = np.random.default_rng(1)
    drawn = np.array(spectrum) * rng.uniform(0.75, 1.35, (500, 1)) * (1 + rng.normal(0, 0.03, (500, 7)))
    s, rates = Config().stockpile, []
    for rank in ("hard", "lignite"):
        probable = [
            score(
                dict(zip(MODEL.bands, map(float, levels), strict=True)),
                dict(zip(MODEL.bands, map(float, 0.03 * levels), strict=True)),
                rank,
                (s.score_slope, s.score_shift),
            ).probability
            for levels in drawn
        ]
        rates += [100 * float(np.mean(np.array(probable) >= limit)) for limit in (s.score_listed, s.score_counted)]
    return rates


def test_rule_table_can_be_repeated():
    spectra = {cells[0]: [float(number) for number in cells[1:8]] for cells in rows_under(SCIENCE, "### 1.1")}
    stated = {cells[0]: [float(number) for number in cells[1:]] for cells in rows_under(SCIENCE, "### 1.6")}
    assert set(stated) == set(spectra)
    for material, numbers in stated.items():
        np.testing.assert_allclose(pass_rates(spectra[material]), numbers, atol=1.0, err_msg=material)


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("27 700 to", volume_of_a_hectare(3.0)),
        ("85 900 m3", volume_of_a_hectare(12.0)),
        ("125 700 without", volume_of_a_hectare(1000.0)),
        ("= 7.8 m", positional_noise_m(Config().boundary)),
        ("0.083 with four", trend(range(4), range(4)).p_value),
        ("0.017 with five", trend(range(5), range(5)).p_value),
        ("0.0028 with six", trend(range(6), range(6)).p_value),
        ("25 degrees in June", morning_zenith(6)),
        ("50 in mid October", morning_zenith(10)),
    ],
)
def test_numbers_said_in_passing(said, number):
    assert said in re.sub(r"\s+", " ", SCIENCE)
    digits = re.search(r"\d[\d ]*(?:\.\d+)?", said)[0].replace(" ", "")
    unit = 100.0 if number > 1000 else 5.0 if number > 10 else 10.0 ** -len(digits.partition(".")[2])
    assert number == pytest.approx(float(digits), abs=0.51 * unit)


_PILE_AND_GROUND = {"blue": (0.040, 0.10), "green": (0.041, 0.14), "red": (0.042, 0.19), "nir": (0.045, 0.245)}
_FINE = 5
"""Cells of 2 m in a pixel."""


def measured_pile(area_m2: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Simulate one pile on three dates: its true area, the measured one and its standard deviation."""
    size, aspect, turn = 64 * _FINE, rng.uniform(1, 4), rng.uniform(0, np.pi)
    middle = size / 2 + rng.uniform(-_FINE, _FINE, 2)
    y, x = (axis + 0.5 - m for axis, m in zip(np.mgrid[:size, :size], middle, strict=True))
    short = np.sqrt(area_m2 / aspect) / 4
    inside = (np.abs(x * np.cos(turn) + y * np.sin(turn)) < short * aspect) & (
        np.abs(y * np.cos(turn) - x * np.sin(turn)) < short
    )
    ground, pile = (ndimage.gaussian_filter(rng.standard_normal((size, size)), 4.5, mode="wrap") for _ in range(2))
    ground, pile = 1 + 0.15 * ground / ground.std(), 1 + 0.09 * pile / pile.std()
    # The pixel's own aperture is added by averaging.
    sigma = np.sqrt(5.1**2 - 100 / 12) / 2

    def seen(field):
        return ndimage.gaussian_filter(field, sigma, mode="nearest").reshape(64, _FINE, 64, _FINE).mean(axis=(1, 3))

    clean = {b: seen(np.where(inside, c * pile, g * ground)) for b, (c, g) in _PILE_AND_GROUND.items()}
    member = seen(inside.astype(float)) > 0.5
    none, areas, sigmas = np.zeros_like(member), [], []
    for _ in range(3):
        common, gain = rng.normal(0, 0.004), rng.normal(1, 0.03)
        bands = {
            b: (clean[b] * gain + common + rng.normal(0, 0.004, member.shape)).astype(np.float32) for b in OUTLINE_BANDS
        }
        drawn = outline(bands, ~none, place_of(member, none), Config().stockpile.outline_level)
        areas.append(drawn.geometry.area * 100)
        sigmas.append(
            pile_sigma_m2(
                drawn.geometry.length * 10,
                10.0,
                drawn.contrast_sigma,
                drawn.halo_px * 10,
                Config().uncertainty.c,
                Config().uncertainty.sigma_edge_m,
            )
        )
    return inside.sum() * 4.0, float(np.median(areas)), median_sigma(areas, float(np.median(sigmas)))


def size_errors(area_ha: float, draws: int) -> tuple[float, float, float, float]:
    """Mean and standard deviation of the relative error, mean stated one, all in per cent; per cent covered."""
    rng = np.random.default_rng(3)
    true, found, sigma = np.array([measured_pile(area_ha * 1e4, rng) for _ in range(draws)]).T
    error = 100 * (found / true - 1)
    covered = 100 * np.mean(np.abs(found - true) < 1.96 * sigma)
    return float(error.mean()), float(error.std()), float(np.mean(100 * sigma / true)), float(covered)


@pytest.mark.parametrize("row", rows_under(SCIENCE, "### 1.7"), ids=lambda row: f"{row[0]} ha")
def test_size_table_can_be_repeated(row):
    area_ha, bias, spread, sigma, covered = map(float, row)
    draws = 30
    found = size_errors(area_ha, draws)
    # The page has 200 draws: the mean of 30 is within three standard errors, the rest within a third.
    assert found[0] == pytest.approx(bias, abs=3 * spread / np.sqrt(draws) + 0.3)
    assert found[1] == pytest.approx(spread, rel=0.4)
    assert found[2] == pytest.approx(sigma, rel=0.15)
    assert found[3] >= covered - 10
