"""A value's hash tells what it is: the same for equal content wherever it is made, another for any other."""

import copy
import datetime as dt
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import environment
from hypothesis import given
from hypothesis import strategies as st
from shapely import LinearRing, LineString, Point, box

from pipeline.digest import digest
from pipeline.imagery import Asset, Item, Scene, Scratch, StoredBand, StoredScene
from pipeline.sections import WindowsConfig
from pipeline.types import Grid

GRID = Grid(32652, 300_000.0, 4_400_000.0, 6, 4)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.dates()
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3) | st.builds(slice, inner),
    max_leaves=8,
)


@dataclass(frozen=True)
class Holder:
    value: Any


@dataclass(frozen=True)
class Other:
    value: Any


def stored(**changed):
    """One scene of one band, with some fields of its parts changed."""
    asset = Asset("red", "https://a/1?sig=x", 1e-4, -0.1, 0.0, 100, "1220aa")
    band = StoredBand("red", "/data/red.tif", "aa", 100, "https://a/1", "copy", 1e-4, -0.1, 0.0)
    day = dt.datetime(2020, 5, 1, 2, 16, tzinfo=dt.UTC)
    item = Item("i", "c", day, "s2a", "05.00", 3, 32652, "52S", box(0, 0, 1, 1), {"red": asset})
    parts = {"asset": asset, "band": band, "item": item}
    for name, value in changed.items():
        part, field = name.split("__")
        parts[part] = replace(parts[part], **{field: value})
    item = replace(parts["item"], assets={"red": parts["asset"]})
    return StoredScene(Scene("s", item.datetime, "s2a", "05.00", 3, (item,)), ((parts["band"],),))


def sent(value):
    """Give a value as a worker gets it."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


def exact(value):
    """Text that two values share only when all of them is the same, types included; lists as tuples."""
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{exact(k)}: {exact(v)}' for k, v in value.items()))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(exact, value))})"
    if isinstance(value, slice):
        return f"slice{exact((value.start, value.stop, value.step))}"
    return f"{type(value).__name__} {value!r}"


@given(VALUES, VALUES)
def test_two_values_share_a_hash_exactly_when_they_are_the_same(one, other):
    assert (digest(one) == digest(other)) == (exact(one) == exact(other))


@given(VALUES)
def test_a_hash_does_not_depend_on_the_object(value):
    assert digest(Holder(value)) == digest(Holder(copy.deepcopy(value))) == digest(sent(Holder(value)))


def test_a_hash_is_the_same_in_another_process():
    text = "digest({'b': (1, 2.5, None), 'a': frozenset({'x', 'y', 'z'})}).hex()"
    said = {
        subprocess.run(
            [sys.executable, "-c", f"from pipeline.digest import digest; print({text})"],
            env=environment(PYTHONHASHSEED=seed), capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1


DIFFERENT = [
    (1, True), (1, 1.0), (0.0, -0.0), ("1", 1), ("a", b"a"), (None, ""), ((), ""), (("ab", "c"), ("a", "bc")),
    ((1, (2, 3)), ((1, 2), 3)), ({"a": 1, "b": 2}, {"a": 2, "b": 1}), (1.0, 1.0 + 2**-52), (Holder(1), Other(1)),
    (slice(1, 2), slice(1, 2, 1)), (dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
    (Point(0, 0), Point(0, 2**-60)),
    (LinearRing([(0, 0), (1, 0), (1, 1)]), LineString([(0, 0), (1, 0), (1, 1), (0, 0)])),
    (np.zeros(4, np.uint8), np.zeros(4, bool)), (np.zeros((2, 3)), np.zeros((3, 2))), (np.float32(1), np.float64(1)),
    (np.array([1.0, np.nan]), np.array([np.nan, 1.0])), (GRID, replace(GRID, width=8)),
    (WindowsConfig(), WindowsConfig(footprint=(("06-01", "09-29"),))),
    (stored(), stored(band__sha256="ab")), (stored(), stored(band__offset=0.0)), (stored(), stored(asset__scale=1e-3)),
    (stored(), stored(item__processing_baseline="05.01")), (stored(), stored(item__coverage=box(0, 0, 1, 2))),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_content_has_another_hash(one, other):
    assert digest(one) != digest(other)


SAME = [
    ([1, 2], (1, 2)), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({"x", "y"}, frozenset({"y", "x"})),
    (float("nan"), -float("nan")), (np.asfortranarray(np.eye(3)[:2]), np.eye(3)[:2].copy()),
    (box(0, 0, 1, 1), sent(box(0, 0, 1, 1))), (WindowsConfig(), WindowsConfig()),
    (stored(), stored(band__path="/elsewhere/red.tif")), (stored(), stored(asset__href="https://a/1?sig=y")),
    (stored(), stored(item__document={"links": []})),
    (stored(), replace(stored(), fetched=3, requests=9, notes=("mended",))),
    (stored(), replace(stored(), scratch=Scratch("/tmp/x", GRID))),  # noqa: S108
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_how_pixels_came_and_where_they_lie_is_no_content(one, other):
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    "value",
    [object(), Path("a"), len, lambda: 1, Holder(object()), {"a": {1: open}}, np.array([None]), Holder],
)
def test_what_cannot_be_told_is_refused(value):
    with pytest.raises(TypeError, match="cannot be part of a key"):
        digest(value)


def test_what_is_known_otherwise_is_asked_for_at_any_depth():
    known = {Path("a"): b"content 1", Path("b"): b"content 1", Path("c"): b"content 2"}

    def told(value):
        return known.get(value) if isinstance(value, Path) else None

    a, b, c = (digest(Holder((1, {"x": Path(name)})), told) for name in "abc")
    assert a == b
    assert a != c
