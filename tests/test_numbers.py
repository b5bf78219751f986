"""The numbers kept of a run against the GeoPackage itself, read without ours."""

import gzip
import json
import math
import re
import sqlite3

import pytest

from pipeline.errors import ProductError
from pipeline.products._documents import json_text
from pipeline.products.numbers import LAYERS_KEPT, numbers_of, read_numbers, rows_of
from pipeline.products.row_address import row_address
from pipeline.records import LAYERS, ClaimRow

SITES = ("sim-camp", "sim-mine", "sim-port")


@pytest.fixture(scope="module")
def mine(demo_results):
    return demo_results / "sim-mine" / "sim-mine.gpkg"


def stored(package, layer):
    """Rows of a layer as SQLite holds them, without number and outline."""
    with sqlite3.connect(package) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(f"SELECT * FROM {layer} ORDER BY fid")]  # noqa: S608
    return [{key: value for key, value in row.items() if key not in ("fid", "geom")} for row in rows]


@pytest.mark.parametrize("layer", [layer for layer in LAYERS_KEPT if layer != "reviews"])
@pytest.mark.parametrize("site", SITES)
def test_every_row_and_column_is_there_with_all_its_digits(demo_results, site, layer):
    package = demo_results / site / f"{site}.gpkg"
    kept = list(json.loads(json_text(numbers_of(package)))["rows"][layer].values())
    expected = stored(package, layer)
    assert len(kept) == len(expected)
    for ours, theirs in zip(kept_in_order(kept, expected), expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name] == value, name


def kept_in_order(kept, expected):
    """Rows in the order of the file: JSON sorts them by address."""
    place = {json.dumps(row, sort_keys=True, default=str): i for i, row in enumerate(expected)}
    return sorted(kept, key=lambda row: place.get(json.dumps(as_stored(row), sort_keys=True, default=str), -1))


def as_stored(row):
    return {key: int(value) if isinstance(value, bool) else value for key, value in row.items()}


def test_no_layer_with_numbers_is_left_out():
    by_date_or_of_the_method = {"sites", "stockpile_observations", "drift", "platforms", "run"}
    drawn_by_persons = {"analyst_outlines", "agreement"}
    assert set(LAYERS) - set(LAYERS_KEPT) == by_date_or_of_the_method | drawn_by_persons


def test_rows_stand_in_the_report_under_the_same_address(demo_results):
    for site in SITES:
        folder = demo_results / site
        page = (folder / "report.html").read_text(encoding="utf-8")
        in_page = set(re.findall(r'id="([^"]+/[^"]*)"', page))
        rows = numbers_of(folder / f"{site}.gpkg")["rows"]
        shown = ("measurements", "changes", "trends", "breaks", "claims", "stockpile_changes", "boundary_changes")
        for layer in shown:
            assert {at for at in in_page if at.startswith(f"{layer}/")} <= set(rows[layer]), layer
        # Levels before and after a resolution are listed where years stand on both its sides.
        for layer in (*(name for name in shown if name != "breaks"), "scenes"):
            assert set(rows[layer]) <= in_page, layer


def test_facts_are_those_of_the_layer_run(mine):
    assert numbers_of(mine)["facts"] == {row["key"]: row["value"] for row in stored(mine, "run")}


def test_a_document_is_read_back_as_it_was_written(mine, tmp_path):
    numbers = numbers_of(mine)
    path = tmp_path / "0001.numbers.json.gz"
    path.write_bytes(gzip.compress(json_text(numbers).encode(), mtime=0))
    assert read_numbers(path) == numbers
    values = [v for rows in numbers["rows"].values() for row in rows.values() for v in row.values()]
    assert all(math.isfinite(v) for v in values if isinstance(v, float))


def test_two_names_with_one_address_are_both_kept():
    words = dict.fromkeys(("quote", "source", "test", "verdict", "reason", "not_observable", "metric"), "w")
    numbers = dict.fromkeys(("value", "lo95", "hi95"))
    claims = [ClaimRow(claim_id=name, **words, **numbers) for name in ("a b", "a_b", "a  b")]
    assert len({row_address("claims", claim) for claim in claims}) == 1
    kept = rows_of("claims", claims)
    assert [(at, row["claim_id"]) for at, row in kept.items()] == [
        ("claims/a_b", "a b"),
        ("claims/a_b~2", "a_b"),
        ("claims/a_b~3", "a  b"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "rows|format|cut off|Invalid JSON"),
        (gzip.compress(b'{"format": 1, "facts": {}, "rows": {}}', mtime=0)[:-9], "cut off"),
        (b"plain", "no gzip file|Not a gzipped"),
        (gzip.compress(b'{"format": 2, "facts": {}, "rows": {}}', mtime=0), "format"),
        (gzip.compress(b'{"format": 1, "facts": {}, "rows": {"changes": {"x": {"delta": NaN}}}}', mtime=0), "rows"),
        (gzip.compress(b'{"format": 1, "facts": {}, "rows": {"changes": [1]}}', mtime=0), "rows"),
        (gzip.compress(b'{"format": 1, "facts": {}, "rows": {}, "more": 1}', mtime=0), "more"),
    ],
    ids=["empty", "cut", "plain", "format", "nan", "list", "more"],
)
def test_what_is_no_document_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "0001.numbers.json.gz"
    path.write_bytes(content)
    with pytest.raises(ProductError, match=said) as caught:
        read_numbers(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_document_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ProductError, match="No such file"):
        read_numbers(tmp_path / "0001.numbers.json.gz")
