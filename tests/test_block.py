"""Layers of a block: the compiled reduction beside the plain one, and stacks that do not fit into memory."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from specification.block import SeenDate, layers_of

from models.stockpile import ScoreRules
from pipeline.config import Config
from pipeline.kernels.dates import BANDS, NO_DATA, median_of_dates, sorting_network
from pipeline.passes.block import YearLayers, reduce_dates
from pipeline.passes.mask import BlockDates, DateMask, packed
from pipeline.passes.stack import DateStack
from pipeline.types import Grid

GRID = Grid(32652, 400_000, 4_400_000, 26, 18)
RULES = ScoreRules(0.1, 0.018, 0.2, 0.1, 0.3)
DAYS = [dt.date(2020, 4, 1) + dt.timedelta(days) for days in range(0, 240, 9)]


def some_dates(seed, dates):
    """Reflectance of a few kinds of ground with noise, holes and negative values, and what of it may be used."""
    rng = np.random.default_rng(seed)
    kinds = np.array([[0.04, 0.04, 0.045, 0.05, 0.05, 0.06, 0.06], [0.03, 0.05, 0.03, 0.35, 0.36, 0.2, 0.1],
                      [0.06, 0.05, 0.04, 0.02, 0.02, 0.01, 0.01],
                      [0.1, 0.14, 0.19, 0.25, 0.26, 0.33, 0.3]])  # fmt: skip
    ground = kinds[rng.integers(0, len(kinds), GRID.shape)]
    seen = []
    for _ in range(dates):
        values = ground * rng.choice([1.0, 1.0, 0.4, 2.0]) + rng.normal(0, 0.01, ground.shape)
        values[rng.random(GRID.shape) < 0.02] = 0.0
        whole = np.rint(values * 1e4).astype(np.int16).astype(np.float32) * np.float32(1e-4)
        seen.append((dict(zip(BANDS, np.moveaxis(whole, -1, 0), strict=True)), rng.random(GRID.shape) < 0.6))
    return seen


def reduced(seen, days, folder, most_bytes=10**9):
    stack = DateStack(len(seen), GRID.shape, folder, most_bytes)
    for date, (bands, _) in enumerate(seen):
        stack.put(date, bands)
    masks = [DateMask(ok, np.zeros_like(ok)) for _, ok in seen]
    return reduce_dates(BlockDates(stack, packed(masks)), days, GRID, RULES, Config())


def same(found: YearLayers, wanted: YearLayers) -> None:
    for name, layer in vars(wanted).items():
        np.testing.assert_array_equal(getattr(found, name), layer, err_msg=name)


@given(st.integers(0, 2**32 - 1), st.integers(1, len(DAYS)))
def test_it_is_the_specification_bit_by_bit(tmp_path_factory, seed, dates):
    seen, windows, footprint = some_dates(seed, dates), Config().windows, Config().footprint
    spring, summer = windows.stockpile[0], windows.footprint[0]
    assert (spring, summer) == (("04-01", "06-15"), ("06-01", "09-30"))
    plain = [
        SeenDate(bands, ok, _within(day, windows.stockpile), _within(day, windows.footprint))
        for (bands, ok), day in zip(seen, DAYS, strict=False)
    ]
    wanted = layers_of(plain, GRID, RULES, footprint.ndvi_max_bare, footprint.min_pixel_dates)
    same(reduced(seen, DAYS[:dates], tmp_path_factory.getbasetemp()), wanted)


def _within(day, windows):
    return any(first <= f"{day:%m-%d}" <= last for first, last in windows)


def test_a_stack_on_disk_gives_the_same_layers(tmp_path):
    seen = some_dates(3, len(DAYS))
    same(reduced(seen, DAYS, tmp_path, most_bytes=0), reduced(seen, DAYS, tmp_path))


def test_strips_of_a_stack_on_disk_cover_it_with_their_halo(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.passes.stack._STRIP_BYTES", 2 * 7 * 3 * 26 * 9)
    seen = some_dates(4, 3)
    stack, whole = DateStack(3, GRID.shape, tmp_path, 0), DateStack(3, GRID.shape, tmp_path)
    for date, (bands, _) in enumerate(seen):
        stack.put(date, bands)
        whole.put(date, bands)
    ((_, _, everything),) = whole.strips(2)
    strips = list(stack.strips(2))
    assert [(rows.start + kept.start, rows.start + kept.stop) for rows, kept, _ in strips] == [
        (0, 8),
        (8, 16),
        (16, 18),
    ]
    for rows, _, values in strips:
        np.testing.assert_array_equal(values, everything[:, :, rows])
    assert [(rows.start, rows.stop) for rows, _, _ in strips] == [(0, 10), (6, 18), (14, 18)]


@pytest.mark.parametrize("length", [*range(1, 40), 73, 146, 240])
def test_the_network_sorts(length):
    # The zero-one principle: a network that sorts every sequence of zeros and ones sorts all; here many random ones.
    rng = np.random.default_rng(length)
    for lines in (rng.integers(0, 2, (length, 500)), rng.integers(-32000, 32000, (length, 50))):
        values = lines.copy()
        for first, second in sorting_network(length):
            values[first], values[second] = (
                np.minimum(values[first], values[second]),
                np.maximum(values[first], values[second]),
            )
        np.testing.assert_array_equal(values, np.sort(lines, axis=0))


def test_medians_by_hand():
    values = np.array([[3, 3, 1, -4], [6, 5, 2, 3], [9, 30000, 4, 9]], dtype=np.int16).reshape(3, 1, 4)
    usable = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0]], dtype=np.uint8).reshape(3, 1, 4)
    out = np.zeros((1, 4), dtype=np.uint16)
    median_of_dates(values, usable, NO_DATA, sorting_network(3), out)
    # 6; (3 + 5) / 2; (1 + 2) / 2 to even; below 1.
    assert out.tolist() == [[6, 4, 2, 1]]
    median_of_dates(values, np.zeros_like(usable), NO_DATA, sorting_network(3), out)
    assert out.tolist() == [[0, 0, 0, 0]]


def test_a_value_that_is_no_data_is_never_used():
    values = np.array([0, 7, 0], dtype=np.int16).reshape(3, 1, 1)
    out = np.zeros((1, 1), dtype=np.uint16)
    median_of_dates(values, np.ones((3, 1, 1), dtype=np.uint8), 0, sorting_network(3), out)
    assert out.tolist() == [[7]]
