"""Ground along pixel edges cut along a zone, held to GEOS over all of it."""

import itertools

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.outlines import to_polygons
from pipeline.patches import within_zone
from pipeline.types import Grid
from tests.specification.overlays import cut

GRID = Grid(32652, 300_000.0, 4_400_000.0, 16, 14)
MASKS = arrays(bool, GRID.shape, elements=st.sampled_from([True, True, True, False]))


@st.composite
def zones(draw):
    """Polygons askew to the pixels, and along them but for rounding."""
    left, bottom, right, top = GRID.bounds
    x, y = draw(st.floats(left + 60, right - 60)), draw(st.floats(bottom + 60, top - 60))
    askew = shapely.Point(x, y).buffer(draw(st.floats(25, 90)), quad_segs=draw(st.integers(1, 6)))
    off = draw(st.sampled_from([0.0, 1e-9, -1e-9, 0.5, 3.0]))
    along = shapely.box(left + 20 + off, bottom + 30 + off, right - 10 * draw(st.integers(1, 5)) + off, top - 20 - off)
    return draw(st.sampled_from([askew, along, shapely.union(askew, along)]))


@given(MASKS, zones())
def test_ground_in_a_zone_is_that_of_geos(mask, zone):
    found, expected = within_zone(to_polygons(mask, GRID), zone), cut(to_polygons(mask, GRID), zone)
    assert found.is_valid
    assert shapely.symmetric_difference(found, expected).area < 1e-6
    assert abs(found.area - expected.area) < 1e-6


def test_gaps_come_back_into_the_part_they_lie_in():
    """A bar with two gaps, cut in the middle by a zone of two halves."""
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[3:8, 2:14] = True
    mask[5, 4] = mask[5, 11] = False
    left, bottom, right, top = GRID.bounds
    middle = left + 80
    zone = shapely.union(shapely.box(left, bottom, middle - 3, top), shapely.box(middle + 3, bottom, right, top))
    found = within_zone(to_polygons(mask, GRID), zone)
    assert [len(part.interiors) for part in found.geoms] == [1, 1]
    assert abs(found.area - (58 * 100 - 5 * 10 * 6)) < 1e-6


def test_gaps_that_lead_from_an_edge_to_that_of_the_zone_part_the_ground():
    """Gaps touch each other at corners, from a notch of the patch down to one that the zone's edge cuts."""
    mask = np.ones(GRID.shape, dtype=bool)
    notch_and_gaps = np.arange(6)
    mask[notch_and_gaps, notch_and_gaps + 3] = False
    left, _, right, top = GRID.bounds
    zone = shapely.box(left - 50, top - 55, right + 50, top + 50)
    found, expected = within_zone(to_polygons(mask, GRID), zone), cut(to_polygons(mask, GRID), zone)
    assert found.is_valid
    assert shapely.equals(found, expected)
    assert len(found.geoms) == 2


def test_a_gap_next_to_the_edge_of_a_zone_is_cut_with_it():
    """The edge passes a corner of the gap by less than rounding, at many slopes."""
    mask = np.ones(GRID.shape, dtype=bool)
    mask[6, 6] = False
    ground = to_polygons(mask, GRID)
    x, y = GRID.left_m + 70, GRID.top_m - 60
    for rise, off_m in itertools.product(range(4, 160, 4), (1e-10, 3e-10, 1e-9)):
        upper, lower = (x + off_m - 172, y + rise), (x + off_m + 172, y - rise)
        zone = shapely.Polygon([upper, lower, (lower[0], y - 200), (upper[0], y - 200)])
        found, expected = within_zone(ground, zone), cut(ground, zone)
        assert found.is_valid
        assert shapely.symmetric_difference(found, expected).area < 1e-6
        assert abs(found.area - expected.area) < 1e-6
