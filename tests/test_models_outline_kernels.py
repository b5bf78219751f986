"""The compiled outline and levels of a pile beside the plain ones, on windows of every kind."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from shapely import Point, affinity, box
from skimage.measure import find_contours
from specification import outline as plain
from specification import spectrum as plain_spectrum

from models._contour import contours
from models._contour_kernels import parts_of, rings_of
from models._delineate import OUTLINE_BANDS, outline, outlines, place_of
from models._spectrum import object_levels
from models._spline_kernels import FINE, magnified
from models.stockpile import SPECTRUM_BANDS

SEEDS = st.integers(0, 2**32 - 1)
PX2 = 1e-5
"""Areas agree to a thousandth of a square metre, nearly all to a millionth: how GEOS rounds a corner may follow from
where a ring begins, and that of a pile with a hole does not begin in the same place."""
COARSE = {"nir08", "swir16", "swir22"}
COAL = (0.04, 0.04, 0.04, 0.05, 0.05, 0.06, 0.06)
GROUND = (
    (0.1, 0.14, 0.19, 0.24, 0.25, 0.33, 0.3),
    (0.025, 0.045, 0.03, 0.3, 0.32, 0.15, 0.07),  # wood: darker than coal in two bands
    (0.22, 0.25, 0.29, 0.31, 0.31, 0.33, 0.31),
)


def field(seed, shape, smooth=1.0):
    rng = np.random.default_rng(seed)
    return ndimage.gaussian_filter(rng.normal(0, 1, shape), smooth) * (1 + 2 * smooth) + 0.3


def pile_window(seed):
    """A window with a pile of any form, perhaps at its edge, others near it, and pixels that are not seen."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(12, 25, 2) * 2
    y, x = np.indices((rows, columns))
    centre, radii, turn = rng.uniform(8, (rows - 8, columns - 8)), rng.uniform(1.2, 8, 2), rng.uniform(0, np.pi)
    u, v = (x - centre[1]) * np.cos(turn) + (y - centre[0]) * np.sin(turn), (y - centre[0]) * np.cos(turn)
    away = np.hypot(u / radii[0], (v - (x - centre[1]) * np.sin(turn)) / radii[1])
    pile = (away < 1) & ~((away < rng.uniform(0, 0.7)) & (rng.random() < 0.3))
    share = ndimage.gaussian_filter(pile.astype(float), 0.6)
    relief = 1 + rng.choice([0.02, 0.12]) * ndimage.gaussian_filter(rng.normal(0, 2, pile.shape), 1)
    bands = {}
    ground = GROUND[rng.integers(len(GROUND))]
    for band, coal, bare in zip(SPECTRUM_BANDS, COAL, ground, strict=True):
        seen = ndimage.gaussian_filter(share, 1.1) if band in COARSE else share
        values = seen * coal + (1 - seen) * bare * relief + rng.normal(0, 0.004, pile.shape)
        values[rng.random(pile.shape) < rng.choice([0.0, 0.0, 0.01])] = np.nan
        bands[band] = values.astype(np.float32)
    clear = ~(ndimage.gaussian_filter(rng.normal(0, 1, pile.shape), 3) > rng.choice([0.2, 0.3, 9.0]))
    others = (ndimage.gaussian_filter(rng.normal(0, 1, pile.shape), 2) > rng.choice([0.25, 9.0])) & ~pile
    # Sometimes what persists is wider than the pile of this date, or lies a little beside it.
    member = np.roll(share > rng.uniform(0.05, 0.9), rng.choice([0, 0, 0, 1, 2]), int(rng.integers(2)))
    return bands, clear | ndimage.binary_dilation(member), member, others & ~member


@settings(max_examples=60)
@given(SEEDS)
def test_the_outline_is_that_of_the_specification(seed):
    bands, clear, member, others = pile_window(seed)
    found = outline(bands, clear, place_of(member, others), 0.5)
    rounds = []
    wanted = plain.outline(bands, clear, member, others, 0.5, rounds)
    # Of a few piles much smaller than their mask one pixel sets the level, and is then half pile but for the last bit.
    assume(all(np.abs(fine - 0.5).min() > 1e-9 for fine in rounds))
    assert (found is None) == (wanted is None)
    if found is None or wanted is None:
        return
    assert found.geometry.area == pytest.approx(wanted.geometry.area, abs=PX2, rel=1e-6)
    assert found.geometry.length == pytest.approx(wanted.geometry.length, abs=PX2, rel=1e-6)
    assert shapely.symmetric_difference(found.geometry, wanted.geometry).area < PX2 + 1e-6 * wanted.geometry.area
    for name in ("pile_level", "background_level", "contrast_sigma", "halo_px"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-6, abs=1e-6)


@settings(max_examples=40)
@given(SEEDS, st.integers(2, 5))
def test_dates_outlined_together_are_those_outlined_alone(seed, dates):
    """Some brighter, some noisier, some hidden in part: whatever the others show, bit by bit."""
    rng = np.random.default_rng(seed)
    bands, clear, member, others = pile_window(seed)
    first = np.array([bands[band] for band in OUTLINE_BANDS])
    pixels = first * rng.uniform(0.7, 1.4, (dates, 1, 1, 1)) + rng.normal(0, 0.01, (dates, *first.shape))
    pixels = pixels.astype(np.float32)
    seen = np.array([clear & (rng.random(clear.shape) < rng.choice([1.0, 0.999])) for _ in range(dates)])
    place = place_of(member, others)
    for number, found in enumerate(outlines(pixels, seen, place, 0.5)):
        alone = outline(dict(zip(OUTLINE_BANDS, pixels[number], strict=True)), seen[number], place, 0.5)
        assert (found is None) == (alone is None)
        if found is not None and alone is not None:
            assert shapely.equals_identical(found.geometry, alone.geometry)
            assert replace(found, geometry=None) == replace(alone, geometry=None)


def test_no_date_has_no_outline():
    member = np.pad(np.ones((4, 4), dtype=bool), 8)
    place, shape = place_of(member, np.zeros_like(member)), (0, *member.shape)
    assert outlines(np.zeros((0, 4, *member.shape), np.float32), np.zeros(shape, dtype=bool), place, 0.5) == []


def test_most_of_these_windows_have_an_outline_and_some_have_none():
    """The comparison above is not one of nothing with nothing."""
    found = []
    for seed in range(60):
        bands, clear, member, others = pile_window(seed)
        found.append(outline(bands, clear, place_of(member, others), 0.5))
    drawn = [f for f in found if f is not None]
    assert 20 < len(drawn) < 55
    assert any(f.halo_px > 0 for f in drawn)
    assert any(shapely.get_num_interior_rings(part) for f in drawn for part in shapely.get_parts(f.geometry))


@given(SEEDS, st.integers(2, 30), st.integers(2, 30))
def test_splines_are_those_of_scipy(seed, rows, columns):
    values = np.random.default_rng(seed).normal(0, 1, (rows, columns))
    wanted = ndimage.zoom(values, FINE, order=3, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(magnified(values[np.newaxis])[0], wanted, rtol=0, atol=1e-12)


@given(SEEDS, st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.3, 0.5, 1.0]))
@example(0, 20, 20, 0.0)
def test_contours_are_those_of_scikit_image(seed, rows, columns, smooth):
    """Every closed line, each once, with the same corners to the last bit; corners do not connect."""
    values = field(seed, (rows, columns), smooth)
    labels, count, size = parts_of(values, 0.5, np.ones(values.shape, dtype=bool))
    points, ends, parts = rings_of(values, 0.5, labels, count, size)
    assert count == ndimage.label(values > 0.5)[1]
    assert set(parts) == set(range(1, count + 1))
    found = [frozenset(map(tuple, ring)) for ring in np.split(points, ends[:-1])] if ends.size else []
    lines = find_contours(np.pad(values, 1), 0.5)
    assert sorted(map(sorted, found)) == sorted(sorted(set(map(tuple, line[:, ::-1]))) for line in lines)


@given(arrays(bool, (9, 11)))
def test_the_places_for_corners_suffice_whatever_the_form(mask):
    """Loose points, combs and checker boards have the most sides."""
    values = mask.astype(float)
    points, ends, _ = rings_of(values, 0.5, *parts_of(values, 0.5, ~np.zeros_like(mask)))
    padded = np.pad(mask, 1)
    sides = sum((padded & ~np.roll(padded, step, axis)).sum() for axis in (0, 1) for step in (1, -1))
    assert len(points) == sides + ends.size


@given(SEEDS)
def test_the_first_ring_of_a_part_holds_its_holes(seed):
    values = field(seed, (24, 30))
    found = parts_of(values, 0.5, np.ones(values.shape, dtype=bool))
    labels = found[0]
    points, ends, parts = rings_of(values, 0.5, *found)
    rings = [shapely.Polygon(ring) for ring in np.split(points, ends[:-1])]
    for label in set(parts):
        outer, *holes = [ring for ring, part in zip(rings, parts, strict=True) if part == label]
        assert all(outer.contains(hole) for hole in holes)
        inside = outer.difference(shapely.union_all(holes))
        rows, columns = np.indices(values.shape)
        np.testing.assert_array_equal(shapely.contains_xy(inside, columns + 1.0, rows + 1.0), labels == label)


def test_parts_that_meet_no_seed_are_left_out():
    values = np.zeros((9, 9))
    values[1:3, 1:3] = values[5:8, 5:8] = 1.0
    values[3, 3] = 1.0  # touches the first at a corner: another part
    seeds = np.zeros(values.shape, dtype=bool)
    seeds[2, 2] = seeds[4, 4] = True
    labels, count, size = parts_of(values, 0.5, seeds)
    assert (count, size) == (1, 4)
    np.testing.assert_array_equal(labels, np.pad(np.ones((2, 2), dtype=int), ((1, 6), (1, 6))))


@pytest.mark.parametrize(("value", "level"), [(0.1, 0.05), (0.1, 0.0), (0.0, -0.05), (-0.01, -0.05)])
def test_a_contour_closes_at_the_edge_at_any_level(value, level):
    """A step below a level of 0.2 the whole window is pile: its contour is the window's own edge."""
    values = np.full((6, 6), value)
    points, ends, _ = rings_of(values, level, *parts_of(values, level, np.ones(values.shape, dtype=bool)))
    assert ends.size == 1
    assert np.isfinite(points).all()
    assert 25 < shapely.Polygon(points).area < 49


def test_a_point_hardly_above_the_level_has_no_outline():
    fine, member = np.zeros((9, 9)), np.ones((3, 3), dtype=bool)
    fine[4, 4] = np.nextafter(0.5, 1.0)
    assert contours(fine[np.newaxis], np.array([[0.5]]), member)[0, 0].is_empty
    fine[1, 1] = 1.0
    assert contours(fine[np.newaxis], np.array([[0.5]]), member)[0, 0].area > 0


def shape_of(seed):
    """Outlines of one or two parts, with or without a hole, whole or cut by the window's edge."""
    rng = np.random.default_rng([seed, 1])
    first = affinity.rotate(box(0, 0, *rng.uniform(2, 14, 2)), rng.uniform(0, 90))
    whole = affinity.translate(first, *rng.uniform(-2, 30, 2))
    if rng.random() < 0.4:
        whole = whole.difference(Point(whole.centroid).buffer(rng.uniform(0.3, 2)))
    if rng.random() < 0.4:
        whole = whole.union(Point(*rng.uniform(5, 30, 2)).buffer(rng.uniform(0.5, 5)))
    return whole


@settings(max_examples=60)
@given(SEEDS)
def test_levels_are_those_of_the_specification(seed):
    bands, clear, _, others = pile_window(seed)
    shape = shape_of(seed)
    found, wanted = (
        object_levels(bands, clear, shape, others),
        plain_spectrum.object_levels(bands, clear, shape, others),
    )
    assert (found is None) == (wanted is None)
    if found is None or wanted is None:
        return
    for band in SPECTRUM_BANDS:
        assert found.value[band] == pytest.approx(wanted.value[band], rel=1e-9)
        assert found.sigma[band] == pytest.approx(wanted.sigma[band], rel=1e-9)


@pytest.mark.parametrize("lost", ["the ground", "the object"])
def test_a_band_that_does_not_show_both_object_and_ground_tells_nothing(lost):
    bands, clear, _, _ = pile_window(3)
    shape, nothing = box(10, 10, 16, 16), np.zeros_like(clear)
    hidden = nothing.copy()
    hidden[9:17, 9:17] = True
    values = np.where(hidden == (lost == "the object"), np.float32(np.nan), bands["swir16"])
    assert object_levels(bands, ~nothing, shape, nothing) is not None
    assert object_levels({**bands, "swir16": values}, ~nothing, shape, nothing) is None


def test_bands_are_those_the_outline_is_drawn_on():
    assert set(OUTLINE_BANDS) < set(SPECTRUM_BANDS)
    assert plain.OUTLINE_BANDS == OUTLINE_BANDS
