"""Masks to polygons, held to GDAL's polygons and to the mask itself."""

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.features import shapes
from shapely.geometry import shape

from pipeline.grid import burn
from pipeline.outlines import tight, to_polygons
from pipeline.types import Grid

GRID = Grid(32652, 300_000.0, 4_400_000.0, 14, 12)
MASKS = arrays(bool, GRID.shape, elements=st.sampled_from([True, True, False]))


def of_gdal(mask):
    found = shapes(mask.astype(np.uint8), mask=mask, connectivity=4, transform=GRID.transform)
    return shapely.union_all([shape(geometry) for geometry, _ in found])


@given(MASKS)
def test_outline_is_that_of_gdal(mask):
    found, expected = to_polygons(mask, GRID), of_gdal(mask)
    assert found.is_valid
    assert found.equals(expected)
    assert found.area == 100.0 * mask.sum()
    assert found.length == expected.length
    assert shapely.get_num_coordinates(found) == shapely.get_num_coordinates(expected)
    assert len(shapely.get_parts(found)) == len(shapely.get_parts(expected))
    np.testing.assert_array_equal(burn(found, GRID), mask)


@given(MASKS, st.integers(0, 10), st.integers(0, 12))
def test_a_window_lies_where_it_is(mask, row, column):
    part = mask.copy()
    part[:row] = part[:, :column] = False
    at = (slice(row, 12), slice(column, 14))
    assert to_polygons(mask[at], GRID, at).equals(to_polygons(part, GRID))


def test_outer_rings_run_one_way_and_holes_the_other():
    mask = np.ones(GRID.shape, dtype=bool)
    mask[3, 3] = mask[4, 4] = mask[8, 8] = False
    (polygon,) = shapely.get_parts(to_polygons(mask, GRID))
    assert not polygon.exterior.is_ccw
    assert [ring.is_ccw for ring in polygon.interiors] == [True] * 3


def test_a_ring_of_ground_open_at_a_corner_has_a_hole():
    """The pixel inside and the one outside meet at a corner: shell and hole touch there."""
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[2:5, 2:5] = True
    mask[3, 3] = mask[2, 2] = False
    polygon = to_polygons(mask, GRID)
    assert polygon.is_valid
    assert len(polygon.interiors) == 1
    assert polygon.area == 700.0


def test_nothing_is_empty():
    assert to_polygons(np.zeros(GRID.shape, dtype=bool), GRID).is_empty
    assert tight(np.zeros(GRID.shape, dtype=bool)) == (slice(0, 0), slice(0, 0))


@given(MASKS)
def test_tight_window_holds_all(mask):
    rows, columns = tight(mask)
    assert mask[rows, columns].sum() == mask.sum()
    if mask.any():
        assert mask[rows, columns][[0, -1]].any(axis=1).all()
        assert mask[rows, columns][:, [0, -1]].any(axis=0).all()


def test_holes_belong_to_the_ground_around_them():
    """Two rings side by side, one of them with ground in its hole."""
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[1:8, 1:8] = mask[1:6, 9:13] = True
    mask[2:7, 2:7] = mask[2:4, 10:12] = False
    mask[4, 4] = True
    found = to_polygons(mask, GRID)
    assert found.is_valid
    assert found.equals(of_gdal(mask))
    assert [len(part.interiors) for part in found.geoms] == [1, 1, 0]
    assert [part.area for part in found.geoms] == [2400.0, 1600.0, 100.0]


def test_ground_joined_from_below_is_one():
    """A comb: its teeth are runs apart from each other until the last row."""
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[2:9, 1:12:2] = mask[9, 1:12] = True
    mask[2, 3:10] = True
    found = to_polygons(mask, GRID)
    assert found.geom_type == "Polygon"
    assert len(found.interiors) == 3
    assert found.equals(of_gdal(mask))
