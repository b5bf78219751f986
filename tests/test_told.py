"""What readers are told of every column: complete, and in agreement with the names and words of the contract."""

import typing

import pytest

from pipeline import told
from pipeline import types as nouns
from pipeline.products._columns import Column, Layer, _column
from pipeline.records import LAYERS

COLUMNS = [pytest.param(column, id=f"{name}.{column.name}") for name in LAYERS for column in Layer.of(name).columns]
SUFFIXES = {"_m2": "m2", "_m3": "m3", "_m": "m", "_fraction": "1"}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_has_an_alias_and_a_meaning_in_plain_lines(column):
    for text in (column.alias, column.meaning):
        assert text
        assert text == text.strip()
        assert "\n" not in text
        assert "_" not in text, "a name of the file is no word"
    assert len(column.alias) <= 34, "a form has no room for it"
    assert not column.meaning.endswith(".")


@pytest.mark.parametrize("column", COLUMNS)
def test_the_unit_is_the_one_the_name_ends_in(column):
    due = next((unit for suffix, unit in SUFFIXES.items() if column.name.endswith(suffix)), None)
    if due is None:
        assert column.unit in {"", "1"}
    else:
        assert column.unit == due
    if column.unit:
        assert column.type is float


@pytest.mark.parametrize("layer", LAYERS)
def test_aliases_of_a_layer_differ(layer):
    aliases = [column.alias for column in Layer.of(layer).columns]
    assert len(set(aliases)) == len(aliases)


@pytest.mark.parametrize(
    ("words", "noun"),
    [
        (told.VERDICTS, nouns.Verdict),
        (told.CLAIM_VERDICTS, nouns.ClaimVerdict),
        (told.OFFSET_VERDICTS, nouns.OffsetVerdict),
        (told.STATUSES, nouns.Status),
        (told.TIERS, nouns.Tier),
        (told.ROLES, nouns.ZoneRole),
    ],
)
def test_every_word_of_the_contract_is_told(words, noun):
    assert {value for value, _ in words} == set(typing.get_args(noun))
    assert len({shown for _, shown in words}) == len(words)


def test_a_field_nobody_is_told_of_is_refused():
    with pytest.raises(TypeError, match="field area_m2"):
        _column("area_m2", float)
    with pytest.raises(TypeError, match="one Told is due"):
        _column("area_m2", typing.Annotated[float, "square metres"])
    area = told.Told("Area", unit="m2", meaning="Of it")
    assert _column("class_", typing.Annotated[str | None, area]) == Column("class_", str, True, area)
    assert _column("n", typing.Annotated[int, area]) == Column("n", int, False, area)
