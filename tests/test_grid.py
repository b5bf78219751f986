"""Grid, blocks, zones and areas against hand calculation and the geodesic library."""

import datetime as dt
import itertools

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from imagery_fixture import an_item
from pyproj import Geod, Transformer
from rasterio.features import rasterize
from shapely import affinity
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box

from pipeline.errors import InputError
from pipeline.grid import (
    areal_scale,
    blocks,
    burn,
    choose_epsg,
    geodesic_area_m2,
    is_utm,
    make_grid,
    reproject,
    touched,
    utm_epsg,
    window,
)
from pipeline.imagery import Item
from pipeline.types import Feature, Grid, Site
from pipeline.zones import make_zones, perimeter_of, slug

GEOD = Geod(ellps="WGS84")
CAMP_14 = (126.055466, 39.571086)
CAMP_25 = (129.725280, 41.834384)
RINGS_M = (1000.0, 3000.0, 10000.0)


def square_lonlat(longitude: float, latitude: float, side_m: float, epsg: int) -> Polygon:
    """Return a square of the grid's axes around a point, in longitude and latitude."""
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(longitude, latitude)
    half = side_m / 2
    return reproject(box(x - half, y - half, x + half, y + half), epsg, 4326)


# --- UTM zones ---


@pytest.mark.parametrize(
    ("longitude", "latitude", "epsg"),
    [
        (125.999343, 39.631412, 32651),  # Ch'oma-bong, science 2.5
        (126.055466, 39.571086, 32652),  # Camp 14, 8 km away
        (126.0, 39.6, 32652),  # a zone holds its western edge
        (125.9999999, 39.6, 32651),
        (132.0, 39.6, 32653),
        (-180.0, 10.0, 32601),
        (179.9999, 10.0, 32660),
        (180.0, 10.0, 32660),  # not zone 61
        (-0.0001, 51.0, 32630),
        (0.0, 51.0, 32631),
        (3.0, 0.0, 32631),  # the equator belongs to the north
        (3.0, -0.0001, 32731),
    ],
)
def test_utm_zone_of_a_point(longitude, latitude, epsg):
    assert utm_epsg(longitude, latitude) == epsg


@pytest.mark.parametrize(
    ("epsg", "said"),
    [(32601, True), (32660, True), (32701, True), (32760, True), (32600, False), (32661, False), (32700, False),
     (32761, False), (4326, False), (3857, False), (None, False)],
)  # fmt: skip
def test_is_utm(epsg, said):
    assert is_utm(epsg) is said


def item_covering(coverage: Polygon, epsg: int | None, n: int) -> Item:
    return an_item(f"{epsg}_{n}", epsg=epsg, coverage=coverage)


WEST, EAST = box(125.0, 39.0, 126.02, 40.0), box(126.04, 39.0, 127.0, 40.0)
WHOLE = box(125.0, 39.0, 127.0, 40.0)
AOI = box(126.0, 39.5, 126.1, 39.6)


@pytest.mark.parametrize(
    ("items", "epsg"),
    [
        ([], 32652),
        # the larger share of the AOI wins over the larger number of scenes
        ([(WEST, 32651)] * 5 + [(EAST, 32652)], 32652),
        ([(WHOLE, 32651)] + [(EAST, 32652)] * 5, 32651),
        # equal shares: most scenes, then the AOI's own zone
        ([(WHOLE, 32651)] * 3 + [(WHOLE, 32652)] * 2, 32651),
        ([(WHOLE, 32651)] * 2 + [(WHOLE, 32652)] * 2, 32652),
        # another CRS has no vote
        ([(WHOLE, 4326)] * 9 + [(WEST, 32651)], 32651),
        ([(WHOLE, None)] * 9, 32652),
        # tiles of one family cover it together
        ([(WEST, 32651), (box(126.02, 39.0, 126.2, 40.0), 32651), (EAST, 32652)], 32651),
    ],
)
def test_tile_family_is_the_one_that_covers_most(items, epsg):
    found = [item_covering(coverage, code, n) for n, (coverage, code) in enumerate(items)]
    assert choose_epsg(AOI, found) == epsg
    assert choose_epsg(AOI, found[::-1]) == epsg


# --- grids and windows ---


@given(
    st.floats(124.5, 130.5), st.floats(37.8, 42.8), st.floats(30.0, 9000.0), st.sampled_from([32651, 32652]),
    st.floats(0.0, 400.0),
)  # fmt: skip
def test_grid_is_snapped_and_holds_the_aoi_with_its_margin(longitude, latitude, side_m, epsg, margin_m):
    aoi = square_lonlat(longitude, latitude, side_m, utm_epsg(longitude, latitude))
    grid = make_grid(aoi, epsg, margin_m)
    # Whole 20 m cells, as the tiles have: their origins are multiples of 20 m from (0, 0).
    assert all(edge % 20.0 == 0 for edge in grid.bounds)
    assert grid.width % 2 == 0
    assert grid.height % 2 == 0
    left, bottom, right, top = grid.bounds
    inner = shapely.segmentize(aoi, 0.0005)
    x_min, y_min, x_max, y_max = reproject(inner, 4326, epsg).bounds
    for gap in (x_min - left, y_min - bottom, right - x_max, top - y_max):
        # Less than one cell of slack beyond the margin on either side, plus the sagitta of a straightened edge.
        assert margin_m - 1.0 <= gap <= margin_m + 40.0 + 2.0


def test_grid_transform_is_north_up_and_starts_at_the_corner():
    grid = Grid(32652, 400020.0, 4400000.0, 6, 4)
    assert grid.shape == (4, 6)
    matrix = np.array(grid.transform).reshape(3, 3)
    assert (matrix @ [0, 0, 1]).tolist() == [400020.0, 4400000.0, 1.0]
    assert (matrix @ [6, 4, 1]).tolist() == [400080.0, 4399960.0, 1.0]
    assert grid.bounds == (400020.0, 4399960.0, 400080.0, 4400000.0)


@pytest.mark.parametrize(
    "values", [(400010.0, 4400000.0, 6, 4), (400000.0, 4400010.0, 6, 4), (400000.0, 4400000.0, 0, 4),
               (400000.0, 4400000.0, 4, -2)]
)  # fmt: skip
def test_grid_refuses_a_bad_corner_or_size_and_shows_it(values):
    with pytest.raises(InputError) as refused:
        Grid(32652, *values)
    assert any(str(value) in str(refused.value) for value in values)


def test_window_moves_the_corner_by_ten_metres_a_cell():
    grid = Grid(32652, 400020.0, 4400000.0, 60, 40)
    part = window(grid, slice(4, 20), slice(6, 40))
    assert part == Grid(32652, 400080.0, 4399960.0, 34, 16)


@pytest.mark.parametrize(("rows", "columns"), [(slice(3, 20), slice(6, 40)), (slice(4, 20), slice(7, 40))])
def test_window_refuses_odd_bounds_that_would_split_a_20_m_cell(rows, columns):
    with pytest.raises(InputError, match="20 m cells"):
        window(Grid(32652, 400020.0, 4400000.0, 60, 40), rows, columns)


@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(2, 40), st.integers(0, 20),
)  # fmt: skip
def test_blocks_keep_every_pixel_once_and_see_their_halo(half_width, half_height, size_px, halo_px):
    grid = Grid(32652, 400000.0, 4400000.0, 2 * half_width, 2 * half_height)
    kept = np.zeros(grid.shape, dtype=int)
    row_of, column_of = np.indices(grid.shape)
    for block in blocks(grid, size_px, halo_px):
        kept[block.target] += 1
        # What the block calls its inner part is, on the ground, what it writes to the whole grid.
        rows, columns = block.inner
        assert block.grid.left_m + 10 * columns.start == grid.left_m + 10 * block.target[1].start
        assert block.grid.top_m - 10 * rows.start == grid.top_m - 10 * block.target[0].start
        assert 0 <= rows.start < rows.stop <= block.grid.height
        assert 0 <= columns.start < columns.stop <= block.grid.width
        target_rows, target_columns = row_of[block.target], column_of[block.target]
        # A halo of at least halo_px, or the edge of the grid.
        assert rows.start >= min(halo_px, target_rows.min())
        assert columns.start >= min(halo_px, target_columns.min())
        assert block.grid.height - rows.stop >= min(halo_px, grid.height - 1 - target_rows.max())
        assert block.grid.width - columns.stop >= min(halo_px, grid.width - 1 - target_columns.max())
        assert max(rows.stop - rows.start, columns.stop - columns.start) <= size_px + 1
    assert (kept == 1).all()


def test_burn_takes_cells_by_their_centre():
    grid = Grid(32652, 400000.0, 4400000.0, 8, 6)
    xs, ys = 400000.0 + 10 * np.arange(8) + 5, 4400000.0 - 10 * np.arange(6) - 5
    shape = Polygon([(400003, 4399998), (400062, 4399981), (400031, 4399943)])
    expected = [[shape.contains(Point(x, y)) for x in xs] for y in ys]
    assert burn(shape, grid).tolist() == expected
    assert not burn(Polygon(), grid).any()


EDGES = st.floats(-30, 110)


@given(st.lists(st.lists(st.tuples(EDGES, EDGES), min_size=3, max_size=9), min_size=1, max_size=4))
@example([[(0, 0), (0, 5), (5, 5)]])
@example([[(5, 5), (45, 5), (45, 35), (5, 35)]])
@example([[(5, 5), (5, 35), (45, 35), (45, 5)]])
@example([[(15, 5), (35, 5), (35, 15), (65, 15), (65, 45), (-15, 45), (-15, 25), (15, 25)]])
def test_burn_is_that_of_gdal(rings):
    grid = Grid(32652, 400000.0, 4400000.0, 8, 6)
    polygons = [Polygon([(400000 + x, 4400000 - y) for x, y in ring]) for ring in rings]
    shape = shapely.union_all([p.buffer(0) for p in polygons])
    expected = np.zeros(grid.shape, bool)
    if not shape.is_empty:
        expected = rasterize([(shape, 1)], out_shape=grid.shape, transform=grid.transform, dtype="uint8") == 1
    np.testing.assert_array_equal(burn(shape, grid), expected)


@given(st.lists(st.tuples(EDGES, EDGES), min_size=2, max_size=6))
def test_every_cell_a_line_passes_is_touched(points):
    grid = Grid(32652, 400000.0, 4400000.0, 8, 6)
    line = LineString([(400000 + x, 4400000 - y) for x, y in points])
    cells = [
        [box(400000 + x, 4400000 - y - 10, 400010 + x, 4400000 - y) for x in range(0, 80, 10)] for y in range(0, 60, 10)
    ]
    found = touched(line, grid)
    passed = shapely.length(shapely.intersection(line, cells)) > 1e-3
    assert not (passed & ~found).any()
    assert not (found & ~shapely.dwithin(line, cells, 0.01)).any()


def test_a_line_along_cells_touches_both_sides_and_not_those_at_its_ends():
    grid = Grid(32652, 400000.0, 4400000.0, 8, 6)
    found = touched(LineString([(400020, 4399980), (400050, 4399980), (400050, 4399950)]), grid)
    expected = np.zeros(grid.shape, dtype=bool)
    expected[1:3, 2:5] = expected[2:5, 4:6] = True
    np.testing.assert_array_equal(found, expected)


# --- areas ---


@pytest.mark.parametrize(
    ("place", "epsg", "scale"),
    [
        # science 2.5, computed there for the Camp 14 reference point in both zones
        (CAMP_14, 32651, 1.00090),
        (CAMP_14, 32652, 1.00078),
    ],
)
def test_areal_scale_of_camp_14_in_both_zones(place, epsg, scale):
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(*place)
    assert areal_scale(epsg, x, y) == pytest.approx(scale, abs=1.5e-5)


def test_camp_14_reference_point_lies_in_both_tiles_where_science_says():
    at_51 = reproject(Point(*CAMP_14), 4326, 32651)
    at_52 = reproject(Point(*CAMP_14), 4326, 32652)
    assert (at_51.x, at_51.y) == (pytest.approx(762_462, abs=1), pytest.approx(4_384_615, abs=1))
    assert (at_52.x, at_52.y) == (pytest.approx(247_069, abs=1), pytest.approx(4_384_296, abs=1))


@pytest.mark.parametrize("place", [CAMP_14, CAMP_25, (125.4169, 38.7281), (-60.4, -37.5)])
@pytest.mark.parametrize("side_m", [10.0, 100.0, 1000.0])
def test_areal_scale_and_geodesic_area_agree_with_the_geodesic_polygon(place, side_m):
    epsg = utm_epsg(*place)
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(*place)
    half = side_m / 2
    square = box(x - half, y - half, x + half, y + half)
    lonlat = [Transformer.from_crs(epsg, 4326, always_xy=True).transform(*c) for c in square.exterior.coords]
    truth, _ = GEOD.polygon_area_perimeter(*zip(*lonlat, strict=True))
    assert geodesic_area_m2(square, epsg) == pytest.approx(abs(truth), rel=1e-9)
    assert side_m**2 / areal_scale(epsg, x, y) == pytest.approx(abs(truth), rel=2e-6)


def test_wrong_zone_makes_camp_25_too_large_by_0_69_percent():
    """Science 2.5: the planar area in zone 51 is what must never be reported."""
    square = square_lonlat(*CAMP_25, 1000.0, 32652)
    planar_wrong = reproject(square, 4326, 32651).area
    true = geodesic_area_m2(square, 4326)
    assert planar_wrong / true - 1 == pytest.approx(0.0069, abs=0.0001)
    # The geodesic area does not care in which CRS the polygon came.
    assert geodesic_area_m2(reproject(square, 4326, 32651), 32651) == pytest.approx(true, rel=1e-9)
    assert geodesic_area_m2(reproject(square, 4326, 32652), 32652) == pytest.approx(true, rel=1e-9)


def test_geodesic_area_of_a_ring_with_a_knot_of_a_millimetre_leaves_its_hole_out():
    """Rings that touch themselves cross by rounding in degrees; which way they run is then told wrong."""
    x, y = 400000.0, 4400000.0
    knot = [(x + 500.0, y + 1010), (x + 499.999, y + 1010.001), (x + 500.001, y + 1010.001), (x + 500.0, y + 1010)]
    outer = [(x, y), (x + 1000, y), (x + 1000, y + 1000), *knot, (x, y + 1000)][::-1]
    hole = [(x + 100, y + 100), (x + 100, y + 600), (x + 600, y + 600), (x + 600, y + 100)]
    tied = geodesic_area_m2(Polygon(outer, [hole]), 32652)
    assert tied == pytest.approx(75.5e4 / areal_scale(32652, x + 500, y + 500), rel=1e-4)


def test_geodesic_area_leaves_holes_out_and_adds_parts_whatever_their_direction():
    outer, hole, far = box(0, 0, 900, 900), box(300, 300, 600, 600), box(2000, 0, 2300, 300)
    moved = [affinity.translate(g, 500000, 4400000) for g in (outer, hole, far)]
    one = [geodesic_area_m2(g, 32652) for g in moved]
    for flip_outer, flip_hole in itertools.product((False, True), repeat=2):
        shell = list(moved[0].exterior.coords)[:: -1 if flip_outer else 1]
        inner = list(moved[1].exterior.coords)[:: -1 if flip_hole else 1]
        shape = MultiPolygon([Polygon(shell, [inner]), moved[2]])
        assert geodesic_area_m2(shape, 32652) == pytest.approx(one[0] - one[1] + one[2], rel=1e-9)
    assert geodesic_area_m2(Polygon(), 32652) == 0.0


# --- zones ---


def site_with(*features: Feature) -> Site:
    aoi = square_lonlat(*CAMP_14, 16000.0, 32652)
    return Site("camp-14", "Camp 14", "camp", "hard", aoi, features=features)


def place_at(dx_m: float, dy_m: float, side_m: float) -> Polygon:
    """Return a square in longitude and latitude, off the camp's centre."""
    centre = reproject(Point(*CAMP_14), 4326, 32652)
    x, y, half = centre.x + dx_m, centre.y + dy_m, side_m / 2
    return reproject(box(x - half, y - half, x + half, y + half), 32652, 4326)


CONTROL = Feature("control", "Valley B", place_at(6000, 6000, 2000))
EXCLUDED = Feature("exclude", "Town", place_at(0, 2500, 1000))
NAMED = Feature("zone", "Ch'oma-bong", place_at(-4000, 0, 3000))
PERIMETER = Feature("perimeter", "fence", place_at(0, 0, 3000), source="x")


def zones_by_id(site: Site, reference=None) -> dict:
    grid = make_grid(site.aoi, 32652)
    return {zone.zone_id: zone for zone in make_zones(site, grid, reference, RINGS_M)}


def test_without_a_reference_only_site_named_and_control_zones_exist():
    zones = zones_by_id(site_with(CONTROL, NAMED))
    assert list(zones) == ["site", "named:ch-oma-bong", "control:valley-b"]
    assert [zone.role for zone in zones.values()] == ["site", "named", "control"]
    assert {zone.reference for zone in zones.values()} == {None}


def test_controls_are_no_part_of_the_site_and_excluded_ground_of_nothing():
    zones = zones_by_id(site_with(CONTROL, EXCLUDED, NAMED, PERIMETER), reproject(PERIMETER.geometry, 4326, 32652))
    control, excluded = (reproject(f.geometry, 4326, 32652) for f in (CONTROL, EXCLUDED))
    assert zones["site"].geometry.intersection(control).area < 1.0
    for zone in zones.values():
        assert zone.geometry.intersection(excluded).area < 1.0, zone.zone_id
    hand = 16000.0**2 - 2000.0**2 - 1000.0**2
    assert zones["site"].geometry.area == pytest.approx(hand, rel=1e-6)
    assert zones["site"].area_m2 == pytest.approx(hand / 1.00078, rel=2e-4)
    assert zones["control:valley-b"].geometry.area == pytest.approx(2000.0**2, rel=1e-6)


def test_excluded_ground_cuts_named_and_control_zones_too():
    hole = Feature("exclude", "pond", place_at(-4000, 0, 1000))
    inside_control = Feature("exclude", "pond 2", place_at(6000, 6000, 500))
    zones = zones_by_id(site_with(CONTROL, NAMED, hole, inside_control))
    assert zones["named:ch-oma-bong"].geometry.area == pytest.approx(3000.0**2 - 1000.0**2, rel=1e-6)
    assert zones["control:valley-b"].geometry.area == pytest.approx(2000.0**2 - 500.0**2, rel=1e-6)


def test_rings_are_disjoint_and_fill_the_site():
    reference = reproject(PERIMETER.geometry, 4326, 32652)
    zones = zones_by_id(site_with(CONTROL, EXCLUDED, PERIMETER), reference)
    rings = [zones[i] for i in ("inside", "adjacent_0_1km", "adjacent_1_3km", "outside")]
    for a, b in itertools.combinations(rings, 2):
        assert a.geometry.intersection(b.geometry).area < 1.0, (a.zone_id, b.zone_id)
    assert sum(z.geometry.area for z in rings) == pytest.approx(zones["site"].geometry.area, rel=1e-9)
    assert [z.role for z in rings] == ["inside", "adjacent", "adjacent", "outside"]
    assert {z.reference for z in rings} == {"perimeter"}
    assert rings[0].geometry.area == pytest.approx(3000.0**2, rel=1e-6)
    # A ring of 1 km around a square of 3 km: four sides and four quarter circles, less the part of the
    # excluded square (y from 2000 to 3000) that lies in it: 1000 m wide, 500 m high.
    ring = 4 * 3000.0 * 1000.0 + np.pi * 1000.0**2 - 1000.0 * 500.0
    assert rings[1].geometry.area == pytest.approx(ring, rel=0.005)


def test_the_outside_zone_ends_at_the_outer_ring():
    """Rings of 0.5, 1 and 2 km around a square of 3 km: by hand, squares with rounded corners."""
    site = site_with(PERIMETER)
    reference = reproject(PERIMETER.geometry, 4326, 32652)
    zones = {z.zone_id: z for z in make_zones(site, make_grid(site.aoi, 32652), reference, (500.0, 1000.0, 2000.0))}

    def grown(distance_m: float) -> float:
        return 3000.0**2 + 4 * 3000.0 * distance_m + np.pi * distance_m**2

    assert zones["adjacent_0_0.5km"].geometry.area == pytest.approx(grown(500) - grown(0), rel=0.005)
    assert zones["adjacent_0.5_1km"].geometry.area == pytest.approx(grown(1000) - grown(500), rel=0.005)
    assert zones["outside"].geometry.area == pytest.approx(grown(2000) - grown(1000), rel=0.005)


def test_a_measured_reference_is_named_as_one():
    zones = zones_by_id(site_with(), reproject(PERIMETER.geometry, 4326, 32652))
    assert zones["inside"].reference == "baseline_footprint"


def test_zones_that_hold_no_ground_are_left_out():
    outside_aoi = Feature("control", "far", place_at(50000, 0, 1000))
    zones = zones_by_id(site_with(outside_aoi), Polygon())
    assert list(zones) == ["site"]


def test_the_latest_perimeter_is_the_reference():
    def fence(year: int | None) -> Feature:
        return Feature("perimeter", str(year), PERIMETER.geometry, valid_from=year and dt.date(year, 1, 1))

    assert perimeter_of(site_with()) is None
    for order in itertools.permutations([fence(2012), fence(2020), fence(None)]):
        assert perimeter_of(site_with(*order)).name == "2020"


@pytest.mark.parametrize(
    ("name", "made"),
    [("Ch'oma-bong", "ch-oma-bong"), ("  Kyo-hwa-so No. 12 ", "kyo-hwa-so-no-12"), ("B", "b"), ("개천 A1", "a1")],
)
def test_slug(name, made):
    assert slug(name) == made


@pytest.mark.parametrize("name", ["", "  ", "개천", "--"])
def test_slug_refuses_a_name_without_latin_letters_and_shows_it(name):
    with pytest.raises(InputError, match="Latin name") as refused:
        slug(name)
    assert repr(name) in str(refused.value)


def test_a_zone_is_areal_where_outlines_touch():
    """A reference whose corner touches the AOI's edge leaves a point there, which is no part of a zone."""
    site = Site("x", "x", "camp", "hard", box(126.0, 39.5, 126.02, 39.52))
    grid = make_grid(site.aoi, 32652)
    west, south, east, north = (
        float(v)
        for v in shapely.transform(
            site.aoi, lambda p: np.column_stack(Transformer.from_crs(4326, 32652, always_xy=True).transform(*p.T))
        ).bounds
    )
    corner = box(west - 500, north - 300, west + 400, north + 500)
    lines = shapely.GeometryCollection([corner, shapely.LineString([(west, south), (east, south)])])
    zones = make_zones(site, grid, lines, (100.0, 200.0, 300.0))
    assert {zone.geometry.geom_type for zone in zones} <= {"Polygon", "MultiPolygon"}
