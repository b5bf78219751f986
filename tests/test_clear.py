"""Sun position against an almanac, clear codes against truth tables, cloud without SCL against real reference masks."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from imagery_fixture import an_image

from pipeline.clear import (
    CLEAR,
    CLOUD,
    DIM,
    NO_DATA,
    SHADOW,
    SNOW,
    classify,
    spectral_cloud_and_snow,
    sun_position,
    usable,
    veil,
)
from pipeline.config import ClearConfig

CONFIG = ClearConfig()
BARE = ClearConfig(cloud_dilate_m=0, shadow_dilate_m=0)
DATA = Path(__file__).parents[2] / "shared" / "data"
NORTH, EAST, SOUTH_EAST = 0.0, 90.0, 135.0


# --- sun ---

ALMANAC = [
    # UTC, longitude, latitude, zenith, azimuth: Solar Position Algorithm of NREL (Reda and Andreas 2004),
    # without refraction, computed with pvlib 0.16.1, method nrel_numpy.
    ("2022-01-15T02:10:00+00:00", 126.055, 39.6, 64.678, 155.440),
    ("2022-02-15T02:10:00+00:00", 126.055, 39.6, 57.259, 150.687),
    ("2022-03-15T02:10:00+00:00", 126.055, 39.6, 47.113, 146.755),
    ("2022-04-15T02:10:00+00:00", 126.055, 39.6, 35.486, 141.552),
    ("2022-05-15T02:10:00+00:00", 126.055, 39.6, 27.292, 133.603),
    ("2022-06-15T02:10:00+00:00", 126.055, 39.6, 24.450, 125.391),
    ("2022-07-15T02:10:00+00:00", 126.055, 39.6, 26.612, 125.968),
    ("2022-08-15T02:10:00+00:00", 126.055, 39.6, 32.311, 135.804),
    ("2022-09-15T02:10:00+00:00", 126.055, 39.6, 40.894, 148.073),
    ("2022-10-15T02:10:00+00:00", 126.055, 39.6, 50.846, 156.903),
    ("2022-11-15T02:10:00+00:00", 126.055, 39.6, 60.318, 160.754),
    ("2022-12-15T02:10:00+00:00", 126.055, 39.6, 65.619, 159.650),
    ("2019-06-21T02:16:00+00:00", 126.055, 39.57, 23.592, 127.098),
    ("2023-04-03T02:16:00+00:00", 125.999, 39.63, 39.275, 145.917),
    ("2021-09-23T10:50:00+00:00", 2.82, 42.35, 44.124, 161.514),
    ("2020-12-21T13:00:00+00:00", -60.4, -37.5, 40.801, 83.009),
    ("2018-07-01T23:46:21+00:00", -179.9, 66.2, 43.237, 174.219),
    ("2025-10-20T02:00:00+00:00", 129.73, 41.83, 54.364, 159.925),
]


@pytest.mark.parametrize("row", ALMANAC)
def test_sun_against_the_almanac(row):
    when, longitude, latitude, zenith, azimuth = row
    found = sun_position(dt.datetime.fromisoformat(when), longitude, latitude)
    assert found[0] == pytest.approx(zenith, abs=0.02)
    # The nearer the zenith, the less an angle along the horizon means on the ground.
    assert (found[1] - azimuth) * np.sin(np.radians(zenith)) == pytest.approx(0.0, abs=0.02)


def equation_of_time_min(day_of_year: int) -> float:
    """Return how far sundials run ahead of the clock, minutes; the classroom formula, good to half a minute."""
    b = np.radians(360 / 365 * (day_of_year - 81))
    return float(9.87 * np.sin(2 * b) - 7.53 * np.cos(b) - 1.5 * np.sin(b))


@pytest.mark.parametrize(
    ("month", "zenith"), list(enumerate([64, 57, 47, 36, 28, 25, 27, 33, 43, 53, 62, 66], start=1))
)
def test_sun_at_the_overpass_is_what_the_seasons_were_chosen_by(month, zenith):
    """Science 2.7: 39.6 N at 10:30 by the sundial, in the middle of each month."""
    found = []
    for day in (dt.datetime(2021, month, n, tzinfo=dt.UTC) for n in (13, 18)):
        clock_h = 10.5 - equation_of_time_min(day.timetuple().tm_yday) / 60 - 126.0 / 15
        found.append(sun_position(day + dt.timedelta(hours=clock_h), 126.0, 39.6)[0])
    assert min(found) - 1.0 <= zenith <= max(found) + 1.0


@given(
    st.dates(dt.date(2015, 6, 1), dt.date(2030, 1, 1)), st.floats(-180, 180), st.floats(-66, 66), st.floats(0.2, 5.0)
)
def test_sun_is_symmetric_about_its_noon(day, longitude, latitude, hours):
    """By hand: at its highest the sun stands on the meridian, and as far east before as west after."""
    clock_h = (12.0 - equation_of_time_min(day.timetuple().tm_yday) / 60 - longitude / 15) % 24
    noon = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(hours=clock_h)
    before, after = (sun_position(noon + sign * dt.timedelta(hours=hours), longitude, latitude) for sign in (-1, 1))
    assert before[0] == pytest.approx(after[0], abs=0.6)
    low = np.sin(np.radians(before[0]))
    turned = (before[1] + after[1] + 180.0) % 360.0 - 180.0
    assert turned * low == pytest.approx(0.0, abs=1.2)
    assert 0 < before[1] < 180 < after[1] < 360
    # The declination that the noon zenith gives, and the hour angle, give the zenith of any other hour.
    declination = np.radians(latitude - sun_position(noon, longitude, latitude)[0] * np.sign(latitude))
    if abs(latitude) > 30:
        phi, angle = np.radians(latitude), np.radians(15 * hours)
        hand = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
        assert before[0] == pytest.approx(np.degrees(np.arccos(hand)), abs=0.6)


# --- codes from the scene classification ---


@pytest.mark.parametrize(
    ("scl", "code"),
    [(0, NO_DATA), (1, NO_DATA), (2, CLEAR), (3, CLEAR), (4, CLEAR), (5, CLEAR), (6, CLEAR), (7, CLEAR),
     (8, CLOUD), (9, CLOUD), (10, CLOUD), (11, SNOW)],
)  # fmt: skip
def test_class_alone(scl, code):
    """Dark area and water stay: Sen2Cor calls coal so (science 1.3). Shadow without any cloud in view stays too."""
    assert (classify(an_image((30, 30), scl), EAST, CONFIG) == code).all()


def test_shadow_may_come_from_a_cloud_beyond_the_edge_once_there_is_one_in_view():
    """Sun in the east: ground within reach of the eastern edge may lie under a cloud nobody sees."""
    scl = np.full((60, 200), 3)
    scl[:5, :5] = 9  # in the far corner, so that it shades none of this itself
    config = ClearConfig(cloud_dilate_m=0, shadow_dilate_m=0, shadow_reach_m=500)
    codes = classify(an_image(scl.shape, scl), EAST, config)
    assert (codes[20:, 160:] == SHADOW).all()  # 400 m from the edge and nearer
    assert (codes[20:, :140] == CLEAR).all()  # 600 m and farther
    scl[:5, :5] = 4
    assert (classify(an_image(scl.shape, scl), EAST, config) == CLEAR).all()


def test_shadow_within_reach_of_neither_cloud_nor_edge_stays():
    scl = np.full((101, 301), 4)
    scl[45:56, 20:31] = 9  # a cloud in the west
    scl[48:53, 100:110] = 3  # dark ground east of it: with the sun in the east it lies before, not behind the cloud
    near = ClearConfig(cloud_dilate_m=0, shadow_dilate_m=0, shadow_reach_m=500)
    image = an_image(scl.shape, scl)
    assert (classify(image, EAST, near)[48:53, 100:110] == CLEAR).all()
    assert (classify(image, 270.0, near)[48:53, 100:110] == CLEAR).all()  # behind it, but 700 m away
    far = ClearConfig(cloud_dilate_m=0, shadow_dilate_m=0, shadow_reach_m=1000)
    assert (classify(image, 270.0, far)[48:53, 100:110] == SHADOW).all()  # behind it and within reach


@pytest.mark.parametrize("azimuth", [20.0, 100.0, 135.0, 160.0, 250.0, 340.0])
def test_shadow_falls_away_from_the_sun(azimuth):
    scl = np.full((201, 201), 4)
    scl[96:105, 96:105] = 9
    direction = np.array([-np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))])  # rows, columns towards the sun
    behind, before = (np.round(100 + sign * 40 * direction).astype(int) for sign in (-1, 1))
    for row, column in (behind, before):
        scl[row - 1 : row + 2, column - 1 : column + 2] = 3
    config = ClearConfig(cloud_dilate_m=0, shadow_dilate_m=0, shadow_reach_m=450)
    codes = classify(an_image(scl.shape, scl), azimuth, config)
    assert codes[tuple(behind)] == SHADOW
    assert codes[tuple(before)] == CLEAR


@pytest.mark.parametrize("distance_m", [0.0, 30.0, 60.0, 100.0])
def test_clouds_grow_by_metres(distance_m):
    scl = np.full((61, 61), 5)
    scl[30, 30] = 9
    codes = classify(an_image(scl.shape, scl), EAST, ClearConfig(cloud_dilate_m=distance_m, shadow_dilate_m=0))
    rows, columns = np.indices(scl.shape)
    expected = 10.0 * np.hypot(rows - 30, columns - 30) <= distance_m
    assert np.array_equal(codes == CLOUD, expected)
    assert set(np.unique(codes)) == {CLEAR, CLOUD}


def test_shadow_grows_by_its_own_distance_and_yields_to_snow_cloud_and_no_data():
    scl = np.full((101, 201), 5)
    scl[45:56, 150:161] = 9
    scl[50, 100] = 3
    scl[50, 104] = 11
    scl[50, 96] = 0
    codes = classify(an_image(scl.shape, scl), EAST, ClearConfig(cloud_dilate_m=0, shadow_dilate_m=60))
    rows, columns = np.indices(scl.shape)
    near = 10.0 * np.hypot(rows - 50, columns - 100) <= 60
    expected = near & (scl != 11) & (scl != 0)
    assert np.array_equal(codes == SHADOW, expected)
    assert codes[50, 104] == SNOW
    assert codes[50, 96] == NO_DATA


@pytest.mark.parametrize("band", ["blue", "green", "red", "nir", "swir16", "swir22"])
@pytest.mark.parametrize("scl", [None, 5, 9, 11])
def test_a_pixel_that_lacks_any_band_is_no_data_even_under_cloud(band, scl):
    hole = np.full((20, 20), 0.1)
    hole[3, 4] = np.nan
    codes = classify(an_image((20, 20), scl, **{band: hole}), EAST, CONFIG)
    assert codes[3, 4] == NO_DATA
    assert (codes == NO_DATA).sum() == 1


def test_negative_reflectance_is_data():
    assert (classify(an_image((20, 20), 5, blue=-0.01), EAST, CONFIG) == CLEAR).all()


def test_suspected_shadow_is_used_only_over_ground_that_is_dark_on_most_dates():
    codes = np.array([NO_DATA, CLEAR, SHADOW, CLOUD, SNOW, DIM], dtype=np.uint8)
    assert usable(codes, np.zeros(6, bool)).tolist() == [False, True, False, False, False, False]
    assert usable(codes, np.ones(6, bool)).tolist() == [False, True, True, False, False, False]


@given(st.integers(0, 2**32 - 1), st.floats(0, 360))
def test_codes_of_any_classification(seed, azimuth):
    rng = np.random.default_rng(seed)
    scl = rng.choice(12, (24, 32), p=[0.05] * 11 + [0.45]).astype(np.uint8)
    codes = classify(an_image(scl.shape, scl), azimuth, CONFIG)
    assert codes.dtype == np.uint8
    assert np.array_equal(codes == NO_DATA, scl < 2)
    assert (codes[(scl >= 8) & (scl <= 10)] == CLOUD).all()
    assert np.isin(codes[scl == 11], (SNOW, CLOUD)).all()
    assert not np.any(codes[scl == 6] == SNOW)


# --- codes without a scene classification ---


@pytest.mark.parametrize(
    ("surface", "reflectance", "cloud", "snow"),
    [
        # science 1.1, and cloud and snow by their physics: white, snow black beyond 1.5 micrometres
        ("anthracite", (0.040, 0.041, 0.042, 0.046, 0.052), False, False),
        ("asphalt", (0.079, 0.084, 0.090, 0.101, 0.131), False, False),
        ("clear water", (0.033, 0.038, 0.025, 0.020, 0.019), False, False),
        ("turbid water", (0.070, 0.065, 0.054, 0.028, 0.005), False, False),
        ("dry soil", (0.118, 0.182, 0.280, 0.360, 0.479), False, False),
        ("basalt", (0.114, 0.131, 0.149, 0.159, 0.182), False, False),
        ("forest", (0.025, 0.045, 0.030, 0.300, 0.130), False, False),
        ("thick cloud", (0.55, 0.54, 0.54, 0.57, 0.45), True, False),
        ("thin cloud over forest", (0.20, 0.20, 0.19, 0.38, 0.22), True, False),
        # Yellow dust of spring: redder than cloud, so its brightness tells.
        ("thick dust", (0.30, 0.38, 0.46, 0.50, 0.45), True, False),
        ("fresh snow", (0.80, 0.80, 0.80, 0.75, 0.08), False, True),
    ],
)
def test_surfaces_without_scl(surface, reflectance, cloud, snow):
    bands = dict(zip(("blue", "green", "red", "nir", "swir16"), reflectance, strict=True))
    found = spectral_cloud_and_snow(an_image((9, 9), None, **bands).bands)
    assert (found[0][4, 4], found[1][4, 4]) == (cloud, snow), surface


def test_single_bright_pixels_are_no_cloud():
    red = np.full((9, 9), 0.1)
    red[4, 4] = 0.9
    cloud, _ = spectral_cloud_and_snow(an_image((9, 9), None, red=red, nir=red, green=red, blue=red).bands)
    assert not cloud.any()


def reference_mask():
    """Real top-of-atmosphere scene of 30 m pixels, mask by hand: 4 cloud, 3 land, 1 water, 0 cloud shadow."""
    path = DATA / "cloud-reference" / "sentinel2.npz"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    with np.load(path) as file:
        image, mask = file["img"], file["msk"][..., 0]
    return {band: image[..., i] for i, band in enumerate(("blue", "green", "red", "nir", "swir16", "swir22"))}, mask


def test_cloud_without_scl_against_a_reference_mask(capsys):
    bands, mask = reference_mask()
    cloud, snow = spectral_cloud_and_snow(bands)
    recall = cloud[mask == 4].mean()
    precision = (mask[cloud] == 4).mean()
    with capsys.disabled():
        print(f"\ncloud without SCL: recall {recall:.3f}, precision {precision:.3f}")  # noqa: T201
    assert recall > 0.90
    assert precision > 0.85
    assert snow.mean() < 0.001


REFERENCE_SUN_DEG = 155.0
"""Away from it every cloud of the reference mask has a shadow of the same mask."""


def test_shadow_without_scl_against_a_reference_mask(capsys):
    bands, mask = reference_mask()
    third = ClearConfig(cloud_dilate_m=100 / 3, shadow_dilate_m=20, shadow_reach_m=8000 / 3)  # its pixels are 30 m
    codes = classify(an_image(mask.shape, None, **bands), REFERENCE_SUN_DEG, third)
    hidden = np.isin(codes, (SHADOW, CLOUD))
    found = np.isin(mask, (0, 4))[~hidden].mean()
    with capsys.disabled():
        print(f"\nshadow found {hidden[mask == 0].mean():.3f}, hidden among clear {found:.4f}")  # noqa: T201
    assert hidden[mask == 0].mean() > 0.95
    assert found < 0.01
    # The sun on the other side: what is dark does not lie where a cloud could have cast it.
    assert np.mean(classify(an_image(mask.shape, None, **bands), 335.0, third)[mask == 0] == SHADOW) < 0.2


def test_dark_ground_that_fits_no_cloud_is_no_shadow_without_scl():
    nir = np.full((120, 120), 0.25)
    nir[70:100, 10:50] = 0.03  # a lake, not where the cloud's shadow falls
    dark = nir < 0.1
    cloudy = {band: np.full(nir.shape, 0.1) for band in ("blue", "green", "red")}
    for values in cloudy.values():
        values[10:30, 80:100] = 0.5
    nir[10:30, 80:100], swir = 0.5, np.where(dark, 0.02, 0.2)
    image = an_image(nir.shape, None, nir=nir, swir16=swir, **cloudy)
    assert not np.any(classify(image, 270.0, BARE) == SHADOW)
    # With the sun in the north-east, 45 degrees, the lake's corner lies 60 to 90 pixels behind the cloud.
    assert np.mean((classify(image, 45.0, BARE) == SHADOW)[dark]) > 0.5


def test_snow_is_found_by_colour_where_the_classes_miss_it():
    snow = {"blue": 0.8, "green": 0.8, "red": 0.8, "nir": 0.75, "swir16": 0.08}
    assert (classify(an_image((20, 20), 7, **snow), EAST, CONFIG) == SNOW).all()
    assert (classify(an_image((20, 20), 9, **snow), EAST, CONFIG) == CLOUD).all()
    assert (classify(an_image((20, 20), 0, **snow), EAST, CONFIG) == NO_DATA).all()


def test_another_mask_is_taken_where_there_is_no_scl():
    cloud, shadow = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    cloud[20:25, 40:45], shadow[20:25, 10:15] = True, True  # the sun is in the east
    codes = classify(an_image(cloud.shape), EAST, BARE, (cloud, shadow))
    assert np.array_equal(codes == CLOUD, cloud)
    assert np.array_equal(codes == SHADOW, shadow)
    assert (classify(an_image(cloud.shape, 5), EAST, BARE, (cloud, shadow)) == CLEAR).all()


# --- haze of one scene ---


def test_veil_by_hand():
    """Darkest quarter: forest, blue 0.03 and red 0.03; haze adds its own blue, and 0.62 of it to red."""
    red, blue, swir = np.full((40, 40), 0.2), np.full((40, 40), 0.1), np.full((40, 40), 0.3)
    red[:, :12], blue[:, :12] = 0.03, 0.03
    red[:, 30:], blue[:, 30:], swir[:, 30:] = 0.01, 0.07, 0.01  # silty water, bluer than any haze
    bands = an_image(red.shape, None, red=red, blue=blue, swir16=swir, green=0.05).bands
    everywhere = np.ones(red.shape, bool)
    assert veil(bands, everywhere) == pytest.approx(0.015, abs=1e-6)
    hazy = dict(bands) | {"blue": bands["blue"] + 0.04, "red": bands["red"] + 0.62 * 0.04}
    assert veil(hazy, everywhere) == pytest.approx(0.015 + 0.69 * 0.04, abs=1e-6)
    assert np.isnan(veil(bands, np.zeros(red.shape, bool)))


@pytest.mark.parametrize(
    ("date", "veiled"),
    [("20200113", True), ("20200202", False), ("20200621", False), ("20210626", False), ("20210716", False),
     ("20220308", False)],
)  # fmt: skip
def test_the_hazy_real_scene_is_veiled_and_no_other(date, veiled):
    bands = boadella(date, "blue", "green", "red", "nir", "swir16")
    codes = classify(an_image(bands["blue"].shape, None, **bands), SOUTH_EAST, CONFIG)
    haze = veil(bands, codes == CLEAR)
    assert (haze > CONFIG.max_veil) == veiled
    assert veiled or haze < 0.025


def boadella(date: str, *bands: str) -> dict[str, np.ndarray]:
    folder = DATA / "boadella" / f"S2_boadella_{date}"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    names = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08", "swir16": "B11", "swir22": "B12"}
    found = {}
    for band in bands:
        with rasterio.open(folder / f"{names[band]}.tif") as file:
            dn = file.read(1).astype(np.float32)
        found[band] = np.where(dn == 0, np.nan, dn * 1e-4).astype(np.float32)
    return found


@pytest.mark.parametrize(
    ("date", "least", "most"),
    [
        ("20200118", 0.90, 1.0),  # fully clouded
        ("20200621", 0.0, 0.01),
        ("20210716", 0.0, 0.01),
        ("20200202", 0.0, 0.01),
    ],
)
def test_real_scenes_without_scl(date, least, most):
    bands = boadella(date, "blue", "green", "red", "nir", "swir16")
    shape = bands["blue"].shape
    codes = classify(an_image(shape, None, **bands), SOUTH_EAST, CONFIG)
    assert least <= np.mean(codes[codes != NO_DATA] == CLOUD) <= most
