"""Ground over ground and over zones, held to GEOS over the whole (`tests/specification/overlays.py`)."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline import overlays
from pipeline.grid import burn
from pipeline.kernels.zones import sort_patches
from pipeline.outlines import polygons_only, to_polygons
from pipeline.overlays import ZoneCutter, beyond, beyond_m2, edge_inside_m, lay, length_inside_m, of_zone, without
from pipeline.types import Grid
from tests.specification import overlays as plain

GRID = Grid(32652, 300_000.0, 4_400_000.0, 24, 22)
EPS_M = 7.84
MASKS = arrays(bool, GRID.shape, elements=st.sampled_from([True, True, False]))
BLOCKS = arrays(bool, (5, 6), elements=st.booleans()).map(
    lambda coarse: np.kron(coarse, np.ones((5, 4), dtype=bool))[: GRID.height, : GRID.width]
)
"""Ground with an inside."""
LATER, EARLIER, SURE = 1, 2, 4


def marked(later, earlier, sure=True):
    return (later * LATER + earlier * EARLIER + np.broadcast_to(sure, GRID.shape) * SURE).astype(np.uint8)


@st.composite
def zones(draw):
    """Polygons askew to the pixels, along them, or partly both; within the grid."""
    left, bottom, right, top = GRID.bounds
    x, y = draw(st.floats(left + 60, right - 60)), draw(st.floats(bottom + 60, top - 60))
    askew = shapely.Point(x, y).buffer(draw(st.floats(15, 60)), quad_segs=draw(st.integers(1, 6)))
    columns, rows = (
        sorted(draw(st.tuples(*[st.integers(0, 24)] * 2))),
        sorted(draw(st.tuples(*[st.integers(0, 22)] * 2))),
    )
    along = shapely.box(
        left + 10 * columns[0], top - 10 * rows[1], left + 10 * columns[1] + 10, top - 10 * rows[0] + 10
    )
    kind = draw(st.sampled_from(["askew", "along", "holed", "both"]))
    zone = {"askew": askew, "along": along, "holed": askew.difference(along), "both": along.intersection(askew)}[kind]
    found = polygons_only(zone.intersection(shapely.box(*GRID.bounds)))
    return askew if found.area < 1 else found


@pytest.fixture(scope="module", autouse=True, params=[8, 512])
def tile(request):
    """Tiles that part the grid, and one that holds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlays, "_TILE_PX", request.param)
        yield


@given(MASKS, MASKS, MASKS, zones(), st.sampled_from([0.0, 3.0, EPS_M, 10.0, 14.0]))
def test_ground_beyond_is_that_of_geos(later, earlier, sure, zone, eps_m):
    found = beyond_m2(lay(zone, GRID), marked(later, earlier, sure), (LATER | SURE, EARLIER), GRID, eps_m)
    assert found == pytest.approx(plain.beyond_m2(later & sure, earlier, zone, GRID, eps_m), rel=1e-9, abs=1e-5)


@given(BLOCKS, zones())
def test_edge_inside_ground_is_that_of_geos(ground, zone):
    found = edge_inside_m(lay(zone, GRID), marked(ground, ground), LATER, GRID)
    assert found == pytest.approx(plain.edge_inside_m(ground, zone, GRID), rel=1e-6, abs=1e-3)


def test_a_pixel_beside_earlier_ground_by_hand():
    """A pixel with earlier ground on its left keeps what lies beyond 7.84 m; in a zone half as high, half of that."""
    later, earlier = np.zeros(GRID.shape, dtype=bool), np.zeros(GRID.shape, dtype=bool)
    later[5, 6] = earlier[5, 5] = True
    left, top = GRID.left_m + 60, GRID.top_m - 50
    for share in (1.0, 0.5):
        zone = shapely.box(left - 30, top - 10 * share, left + 30, top + 30)
        assert beyond_m2(lay(zone, GRID), marked(later, earlier), (LATER, EARLIER), GRID, EPS_M) == pytest.approx(
            share * 10 * (10 - EPS_M), abs=1e-6
        )


@pytest.mark.parametrize("axis", [0, 1])
def test_earlier_ground_of_the_next_tile_is_seen_from_this_one(axis, monkeypatch):
    """Every other column or row is earlier ground, and a zone half a pixel wide runs across all of them."""
    monkeypatch.setattr(overlays, "_TILE_PX", 8)
    later = np.ones(GRID.shape, dtype=bool)
    earlier = np.indices(GRID.shape)[axis] % 2 == 0
    left, bottom, right, top = GRID.bounds
    across = shapely.box(left + 62, bottom, left + 67, top), shapely.box(left, top - 67, right, top - 62)
    zone = across[axis]
    found = beyond_m2(lay(zone, GRID), marked(later, earlier), (LATER, EARLIER), GRID, 3.0)
    assert found == pytest.approx(plain.beyond_m2(later, earlier, zone, GRID, 3.0), abs=1e-6)
    # Half are later, each 4 m wide, but the last: nothing is earlier on its other side.
    assert found == pytest.approx(5 * (4 * (GRID.shape[axis] // 2) + 3), abs=1e-6)


@given(MASKS, zones())
def test_pixels_of_a_zone_are_those_whose_centre_it_holds(ground, zone):
    laid = lay(zone, GRID)
    found = np.zeros(GRID.shape, dtype=bool)
    found[laid.at] = of_zone(laid, marked(ground, ground)[laid.at], EARLIER)
    rows, columns = np.indices(GRID.shape)
    x, y = GRID.left_m + 10 * columns + 5, GRID.top_m - 10 * rows - 5
    edge = shapely.distance(zone.boundary, shapely.points(x, y)) < 1e-6
    expected = ground & shapely.contains_xy(zone, x, y)
    np.testing.assert_array_equal(found[~edge], expected[~edge])


def sums(geometry):
    return geometry.area, geometry.length


@given(MASKS, MASKS, st.sampled_from([3.0, EPS_M, 14.0]))
def test_drawn_ground_beyond_is_that_of_geos(later, earlier, eps_m):
    ground, rim = beyond(later, earlier, GRID, eps_m)
    expected, expected_rim = plain.beyond(later, earlier, GRID, eps_m)
    assert shapely.symmetric_difference(ground, expected).area < 1e-6
    assert sums(ground) == pytest.approx(sums(expected), abs=1e-5)
    assert rim.length == pytest.approx(expected_rim.length, abs=1e-5)


@given(BLOCKS, MASKS, MASKS, zones())
def test_ground_cut_along_a_zone_is_that_of_geos(blocks, later, earlier, zone):
    """The parts of patches that are cut are less than the patches, and may be several."""
    moved = (later | blocks) & ~earlier
    ground = plain.beyond(moved, earlier, GRID, EPS_M)[0]
    cutter = ZoneCutter(lay(zone, GRID), marked(later | blocks, earlier), (LATER, EARLIER), GRID)
    found, expected = cutter.cut(ground), plain.cut(ground, zone)
    assert shapely.symmetric_difference(found, expected).area < 1e-5
    assert found.area == pytest.approx(expected.area, abs=1e-5)


@given(MASKS, MASKS)
def test_ground_less_a_part_of_it_is_that_of_geos(ground, earlier):
    whole, taken = to_polygons(ground, GRID), plain.beyond(ground, earlier, GRID, EPS_M)[0]
    left = without(whole, taken)
    assert shapely.symmetric_difference(left, whole.difference(taken)).area < 1e-5
    assert left.area == pytest.approx(whole.area - taken.area, abs=1e-5)


@given(MASKS, zones())
def test_sides_of_patches_are_those_of_their_polygons(ground, zone):
    laid = lay(zone, GRID)
    here, sides = np.zeros(GRID.shape, dtype=np.uint8), np.zeros(GRID.shape, dtype=np.uint8)
    here[laid.at] = laid.marks
    sort_patches(here, marked(ground, ~ground), (LATER, EARLIER), sides)
    np.testing.assert_array_equal(sides > 0, ground)
    for patch in shapely.get_parts(to_polygons(ground, GRID)):
        (side,) = np.unique(sides[burn(patch, GRID)])
        share = patch.intersection(zone).area / patch.area
        # An edge that runs along the inside of a pixel, nearer to its own edge than rounding, may part it or not.
        assert side == 3 or share == pytest.approx({1: 1.0, 2: 0.0}[int(side)], abs=1e-6)
        assert side != 3 or 1e-9 < share < 1 - 1e-9 or patch.distance(zone.boundary) < 1e-3


def test_a_gap_that_is_filled_gains_nothing_and_has_no_rim():
    grid = Grid(epsg=32652, left_m=400_000.0, top_m=4_400_000.0, width=8, height=8)
    earlier = np.zeros(grid.shape, dtype=bool)
    earlier[1:6, 1:6] = True
    earlier[3, 3] = False
    later = earlier.copy()
    later[3, 3] = True
    ground, rim = beyond(later, earlier, grid, 10.0)
    assert ground.is_empty
    assert len(shapely.get_parts(rim)) == 0
    assert length_inside_m(rim, shapely.box(*grid.bounds)) == 0.0
