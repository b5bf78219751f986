"""Light on a slope and shadows of a ridge against angles worked out by hand."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.pixels import read_elevation
from pipeline.terrain import cast_shadow, cos_incidence
from pipeline.types import Grid

GRID = Grid(32652, 400000.0, 4400000.0, 60, 40)
NORTH, EAST, SOUTH, WEST = 0.0, 90.0, 180.0, 270.0


def plane(dip_deg: float, towards_deg: float, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    """Plane that falls by an angle towards an azimuth, metres."""
    rows, columns = np.indices(shape)
    east, north = 10.0 * columns, -10.0 * rows
    along = east * np.sin(np.radians(towards_deg)) + north * np.cos(np.radians(towards_deg))
    return (500.0 - np.tan(np.radians(dip_deg)) * along).astype(np.float32)


@pytest.mark.parametrize(
    ("dip", "towards", "zenith", "azimuth", "expected"),
    [
        (0.0, NORTH, 40.0, EAST, np.cos(np.radians(40))),  # level
        (25.0, SOUTH, 30.0, SOUTH, np.cos(np.radians(5))),  # faces the sun
        (25.0, NORTH, 30.0, SOUTH, np.cos(np.radians(55))),  # faces away
        (25.0, EAST, 30.0, SOUTH, np.cos(np.radians(25)) * np.cos(np.radians(30))),  # across
        # Science 2.7: a slope of 25 degrees turned away has 0.61 in May (27.3) and 0.25 in October (50.8).
        (25.0, 320.0, 27.3, 140.0, 0.6115),
        (25.0, 337.0, 50.8, 157.0, 0.2453),
        (35.0, NORTH, 58.0, SOUTH, np.cos(np.radians(93))),  # turned from the sun altogether
    ],
)
def test_light_on_a_plane(dip, towards, zenith, azimuth, expected):
    found = cos_incidence(plane(dip, towards), zenith, azimuth)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.full(found.shape, expected), abs=1e-3)


@given(st.floats(0, 60), st.floats(0, 360), st.floats(5, 70), st.floats(0, 360))
def test_light_on_any_plane(dip, towards, zenith, azimuth):
    """Formula of slope and aspect (Soenen et al. 2005), which the code does not use."""
    s, z, turn = np.radians([dip, zenith, azimuth - towards])
    expected = np.cos(z) * np.cos(s) + np.sin(z) * np.sin(s) * np.cos(turn)
    assert cos_incidence(plane(dip, towards, (6, 8)), zenith, azimuth) == pytest.approx(
        np.full((6, 8), expected), abs=2e-3
    )


def test_unknown_ground_has_unknown_light_and_casts_nothing():
    ground = plane(10.0, EAST)
    ground[5, 5] = np.nan
    light = cos_incidence(ground, 40.0, EAST)
    assert np.isnan(light[5, 6])
    assert np.isfinite(light[20, 20])
    assert not cast_shadow(ground, 40.0, EAST)[5].any()
    assert not cast_shadow(np.full((8, 8), np.nan, np.float32), 40.0, EAST).any()


@pytest.mark.parametrize("zenith", [30.0, 45.0, 55.0])
@pytest.mark.parametrize(("azimuth", "down", "right"), [(SOUTH, -1, 0), (NORTH, 1, 0), (EAST, 0, -1), (WEST, 0, 1)])
def test_shadow_of_a_wall_is_as_long_as_its_height_times_the_tangent(zenith, azimuth, down, right):
    ground = np.full((121, 121), 100.0, np.float32)
    wall = (60, slice(None)) if down else (slice(None), 60)
    ground[wall] += 200.0
    shadow = cast_shadow(ground, zenith, azimuth)
    line = shadow[:, 60][:: down or 1] if down else shadow[60][:: right or 1]
    length_m = 10.0 * line[61:].sum()
    assert length_m == pytest.approx(200.0 * np.tan(np.radians(zenith)), abs=10.0)
    assert not line[:61].any()  # the sunny side and the wall itself


def test_shadow_falls_along_the_sun_and_not_beside_it():
    ground = np.zeros((101, 101), np.float32)
    ground[50, 50] = 300.0
    ground[49:52, 49:52] = 300.0
    shadow = cast_shadow(ground, 45.0, 135.0)
    rows, columns = np.nonzero(shadow)
    assert (rows - 50).mean() == pytest.approx((columns - 50).mean(), abs=1.0)  # to the north-west
    assert rows.max() <= 51
    assert np.hypot(rows - 50, columns - 50).max() * 10 == pytest.approx(300.0, abs=25.0)


def test_a_plane_shades_nothing_until_the_sun_is_behind_it():
    assert not cast_shadow(plane(30.0, NORTH), 55.0, SOUTH).any()
    assert cast_shadow(plane(40.0, NORTH), 55.0, SOUTH)[:-1].all()  # nothing stands south of the last row


# --- the file ---


def write(path, values, **about):
    about = {"crs": "EPSG:32652", "transform": Affine(30.0, 0, 399000.0, 0, -30.0, 4401000.0)} | about
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=values.shape[0], width=values.shape[1], dtype=values.dtype, **about
    ) as file:
        file.write(values, 1)
    return str(path)


def test_elevation_is_brought_onto_the_grid(tmp_path):
    rows, columns = np.indices((80, 90))
    values = (300.0 + 3.0 * columns - 2.0 * rows).astype(np.float32)  # 0.1 a metre east, 0.0667 a metre north
    values[0, 0], values[1, 1] = -32768, -9
    found = read_elevation(write(tmp_path / "dem.tif", values, nodata=-9), GRID)
    x, y = (GRID.transform @ (0.5, 0.5)), (GRID.transform @ (59.5, 39.5))
    for place, (east, north) in (((0, 0), x), ((39, 59), y)):
        by_hand = 300.0 + 3.0 * ((east - 399000) / 30 - 0.5) - 2.0 * ((4401000 - north) / 30 - 0.5)
        assert found[place] == pytest.approx(by_hand, abs=0.01)
    wide = Grid(32652, 398980.0, 4401020.0, 20, 20)
    corner = read_elevation(str(tmp_path / "dem.tif"), wide)
    assert np.nanmin(corner) > 280.0  # neither mark for no data, declared or not, is a height
    assert np.isnan(corner[3, 3])
    assert np.isnan(corner[6, 6])
    assert np.isfinite(corner[3, 12])


def test_elevation_in_degrees_fits_within_its_own_pixel(tmp_path):
    values = np.full((400, 400), 250.0, np.float32)
    found = read_elevation(
        write(tmp_path / "dem.tif", values, crs="EPSG:4326", transform=Affine(0.0003, 0, 127.8, 0, -0.0003, 39.8)), GRID
    )
    assert found == pytest.approx(np.full(GRID.shape, 250.0))


def test_a_model_that_cannot_serve_is_named_with_a_remedy(tmp_path):
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(InputError, match=r"clear\.dem = .*text\.tif: cannot be read"):
        read_elevation(str(tmp_path / "text.tif"), GRID)
    far = write(tmp_path / "far.tif", np.ones((9, 9), np.float32), transform=Affine(30, 0, 0, 0, -30, 9000))
    with pytest.raises(InputError, match="does not reach"):
        read_elevation(far, GRID)
