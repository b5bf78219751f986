"""Records: the layers are those of the contract, and the nouns refuse bad values and show them."""

import dataclasses
import datetime as dt
import types
import typing

import pytest
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from pipeline import findings, imagery, records
from pipeline import types as nouns
from pipeline.errors import BusyError, InputError, StocklineError
from pipeline.records import LAYERS
from pipeline.types import Claim, Site, check_choice

CONTRACT = {
    "sites": "id, name, kind, role, source, source_date, uncertainty_m",
    "zones": "zone_id, role, name, reference, area_m2",
    "scenes": "scene_id, datetime, platform, processing_baseline, relative_orbit, used, reason, clear_fraction, "
    "offset_verdict, shift_x_m, shift_y_m, sha256",
    "stockpiles": "pile_id, year, year_start, year_end, area_m2, area_lo95_m2, area_hi95_m2, n_dates, persistence, "
    "tier, zone_id, volume_lo_m3, volume_hi_m3, method",
    "stockpile_observations": "pile_id, scene_id, date, area_m2, area_lo95_m2, area_hi95_m2, pile_level, "
    "background_level, clear_fraction",
    "stockpile_changes": "pile_id, year_from, year_to, delta_m2, lo95_m2, hi95_m2, mdc95_m2, verdict",
    "footprints": "year, year_start, year_end, class, zone_id, area_m2, area_lo95_m2, area_hi95_m2",
    "boundary_changes": "year_from, year_to, change, zone_id, area_m2, advance_p50_m, advance_p90_m, advance_max_m",
    "measurements": "site_id, zone_id, year, metric, value, lo95, hi95, unit, n_dates, valid_fraction, status",
    "changes": "site_id, zone_id, metric, year_from, year_to, delta, lo95, hi95, mdc95, unit, p_value, q_value, "
    "verdict, reason",
    "claims": "claim_id, quote, source, test, verdict, reason, value, lo95, hi95",
    "run": "key, value",
}
"""The layers and columns the outside may rely on. The contract may be extended, never changed."""
WITHOUT_GEOMETRY = {
    "measurements", "changes", "year_scenes", "trends", "breaks", "claims", "drift", "platforms", "agreement", "run",
}  # fmt: skip
COLUMN_TYPES = {str, int, float, bool, dt.date, dt.datetime}


def columns_of(layer: str) -> list[str]:
    return [f.name.removesuffix("_") for f in dataclasses.fields(LAYERS[layer]) if f.name != "geometry"]


def kinds_of(annotation: object) -> set[object]:
    """Return the types an annotation allows, None among them."""
    union = typing.get_origin(annotation) in {typing.Union, types.UnionType}
    return set(typing.get_args(annotation)) if union else {annotation}


@pytest.mark.parametrize("layer", CONTRACT)
def test_a_layer_has_the_columns_of_the_contract_in_order(layer):
    promised = CONTRACT[layer].split(", ")
    found = columns_of(layer)
    assert [name for name in found if name in promised] == promised


ADDED = {
    "claims": ["not_observable", "metric", "tested"],
    "scenes": ["residual_m", "evidence_version", "scale", "offset_dn", "nodata_dn"],
    "boundary_changes": ["advance_length_m", "review"],
    "stockpiles": [
        "score", "material", "persistence_lo95", "persistence_hi95", "area_max_m2", "area_end_m2", "parts",
        "machine_tier", "review", "reviewed_as",
    ],
    "stockpile_observations": ["score", "year"],
}  # fmt: skip


@pytest.mark.parametrize(("layer", "added"), [(layer, ADDED.get(layer, [])) for layer in CONTRACT])
def test_what_is_added_to_the_contract_is_known(layer, added):
    assert [name for name in columns_of(layer) if name not in CONTRACT[layer].split(", ")] == added


def test_layers_beyond_the_contract_are_known():
    beyond = {layer for layer in LAYERS if layer not in CONTRACT}
    reviews = {"reviews", "analyst_outlines", "agreement"}
    assert beyond == {"trends", "breaks", "drift", "platforms", "year_scenes"} | reviews


@pytest.mark.parametrize("layer", LAYERS)
def test_a_row_is_frozen_and_every_column_has_one_type_a_table_can_hold(layer):
    record = LAYERS[layer]
    assert record.__dataclass_params__.frozen
    hints = typing.get_type_hints(record)
    names = [f.name for f in dataclasses.fields(record)]
    assert ("geometry" in names) == (layer not in WITHOUT_GEOMETRY)
    for name in names:
        kinds = kinds_of(hints[name]) - {type(None)}
        if name == "geometry":
            assert names[0] == "geometry"
            assert kinds == {BaseGeometry}
        else:
            assert len(kinds) == 1, name
            assert kinds <= COLUMN_TYPES, name


@pytest.mark.parametrize("layer", LAYERS)
def test_years_are_whole_dates_are_dates_and_units_stand_in_names(layer):
    hints = typing.get_type_hints(LAYERS[layer])
    for name, hint in hints.items():
        kinds = kinds_of(hint) - {type(None)}
        if name == "year" or name.startswith(("year_from", "year_to", "year_first", "year_last", "n_")):
            assert kinds == {int}, name
        if name in {"date", "year_start", "year_end"}:
            assert kinds == {dt.date}, name
        if name.endswith(("_m2", "_m", "_m3", "_fraction")):
            assert kinds == {float}, name


def test_every_row_class_is_a_layer():
    rows = {c for n, c in vars(records).items() if n.endswith("Row") and isinstance(c, type)}
    assert rows == set(LAYERS.values())
    assert set(typing.get_args(records.Row)) == rows


@pytest.mark.parametrize("module", [nouns, imagery, findings, records], ids=lambda m: m.__name__)
def test_every_noun_is_frozen_and_says_what_it_is(module):
    found = [c for c in vars(module).values() if dataclasses.is_dataclass(c) and c.__module__ == module.__name__]
    assert found
    for record in found:
        assert record.__dataclass_params__.frozen, record
        assert record.__doc__
        assert not record.__doc__.startswith(f"{record.__name__}("), f"{record} has the docstring dataclass makes"


# --- refusals ---


def test_check_choice_shows_the_value_and_what_would_do():
    check_choice("kind", "camp", nouns.SiteKind)
    with pytest.raises(InputError) as refused:
        check_choice("kind of site x", "prison", nouns.SiteKind)
    assert str(refused.value) == "kind of site x is 'prison'; it must be one of camp, mine, port, power_plant, other"


@pytest.mark.parametrize("change", [{"kind": "prison"}, {"coal_rank": "soft"}])
def test_a_site_refuses_what_the_contract_does_not_know(change):
    good = {"id": "x", "name": "X", "kind": "camp", "coal_rank": "none", "aoi": box(0, 0, 1, 1)}
    Site(**good)
    with pytest.raises(InputError, match=repr(next(iter(change.values())))):
        Site(**(good | change))


CLAIM = {
    "id": "c1", "quote": "q", "source": "s", "observable": "stock", "sites": ("x",), "zones": ("site",),
    "metric": "stockpile_area_m2", "baseline": 2018, "test_years": (2019, 2021), "direction": "increase",
    "aggregate": "each", "margin_fraction": None, "margin_m2": None, "not_observable": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "shown"),
    [({"observable": "flow"}, "'flow'"), ({"direction": "up"}, "'up'"), ({"test_years": (2021, 2019)}, "(2021, 2019)")],
)
def test_a_claim_refuses_bad_values(change, shown):
    Claim(**CLAIM)
    with pytest.raises(InputError) as refused:
        Claim(**(CLAIM | change))
    assert shown in str(refused.value)
    assert "c1" in str(refused.value)


@pytest.mark.parametrize("error", StocklineError.__subclasses__())
def test_exit_status_of_every_error(error):
    expected = {InputError: 2, BusyError: 75}.get(error, 1)
    assert error("x").exit_status == expected
    assert error.__doc__


def test_verdict_words_are_those_of_the_contract():
    assert typing.get_args(nouns.Verdict) == ("increase", "decrease", "no_detectable_change", "insufficient_data")
    assert typing.get_args(nouns.ClaimVerdict) == ("supported", "contradicted", "not_detectable", "not_observable")
    assert typing.get_args(nouns.OffsetVerdict) == ("consistent", "corrected", "quarantined", "undecidable")
    assert typing.get_args(nouns.Status) == ("ok", "partial", "insufficient_data", "not_assessed")
    assert typing.get_args(nouns.Tier) == ("candidate", "probable", "confirmed")
