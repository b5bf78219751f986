"""Composites as pictures: coarse for all years, fine where it is shown, one stretch."""

import numpy as np
import pytest

from pipeline.products import true_colour as module
from pipeline.products.cog import write_cog
from pipeline.products.pictures import Outlines, picture_jpeg
from pipeline.products.true_colour import true_colour
from pipeline.types import Grid

GRID = Grid(epsg=32652, left_m=400_000.0, top_m=4_400_000.0, width=300, height=260)
NAMES = ("blue", "green", "red")


def composite(folder, year, level):
    """A composite whose value is the column, brighter by a level every year; a corner has no data."""
    values = np.broadcast_to(np.arange(GRID.width, dtype=np.uint16) * 10 + level, GRID.shape).copy()
    values[:20, :20] = 65535
    folder.mkdir(exist_ok=True)
    write_cog(
        folder / f"{year}.tif", NAMES, lambda rows, columns: np.stack([values[rows, columns]] * 3), GRID, {}
    )  # fmt: skip
    return values


def stretched(values, low, high):
    """The stretch as it is defined, pixel by pixel."""
    tone = np.clip((values.astype(float) - low) / (high - low), 0, 1) ** 0.8 * 255
    tone[values == 65535] = 190
    return tone.astype(np.uint8)


def test_all_years_have_the_stretch_of_those_that_are_shown(tmp_path):
    values = {year: composite(tmp_path, year, level) for year, level in ((2018, 0), (2019, 400), (2020, 9000))}
    shown = true_colour(tmp_path, {2018, 2019}, 32652)
    assert [p.year for p in shown] == [2018, 2019]
    seen = np.concatenate([values[y][values[y] != 65535] for y in (2018, 2019)])
    low, high = np.percentile(seen, (1, 99))
    for picture in shown:
        np.testing.assert_array_equal(picture.rgb[..., 0], stretched(values[picture.year], low, high))
        assert picture.bounds == (400_000.0, 4_397_400.0, 403_000.0, 4_400_000.0)
        assert picture.close is None


def test_years_that_are_not_measured_are_shown_when_no_other_is(tmp_path):
    composite(tmp_path, 2018, 0)
    assert [p.year for p in true_colour(tmp_path, {2020}, 32652)] == [2018]
    assert true_colour(tmp_path / "none", {2020}, 32652) == []


def test_a_large_site_is_held_coarse_and_read_fine_where_it_is_shown(tmp_path, monkeypatch):
    values = composite(tmp_path, 2018, 0)
    monkeypatch.setattr(module, "_COARSE_PX", 80)
    (picture,) = true_colour(tmp_path, {2018}, 32652)
    assert picture.rgb.shape == (65, 75, 3)
    assert picture.bounds == pytest.approx((400_000.0, 4_397_400.0, 403_000.0, 4_400_000.0))
    window = 401_003.0, 4_398_000.0, 401_997.0, 4_399_001.0
    close = picture.close(window)
    assert close.bounds == (401_000.0, 4_398_000.0, 402_000.0, 4_399_010.0)
    seen = values[::4, ::4]
    low, high = np.percentile(seen[seen != 65535], (1, 99))
    # Which of four columns a coarse picture holds is GDAL's choice: the stretch differs by some DN.
    np.testing.assert_allclose(close.rgb[..., 1], stretched(values[99:200, 100:200], low, high), atol=3)
    # What lies outside the file is left out.
    assert picture.close((399_000.0, 4_390_000.0, 409_000.0, 4_409_000.0)).rgb.shape == (260, 300, 3)


def test_a_picture_shows_the_same_coarse_or_fine(tmp_path, monkeypatch):
    """The picture of a site that is held coarse is that of the same site held whole."""
    composite(tmp_path, 2018, 0)
    (whole,) = true_colour(tmp_path, {2018}, 32652)
    monkeypatch.setattr(module, "_COARSE_PX", 150)
    monkeypatch.setattr(np, "percentile", lambda *_: (15.0, 2975.0))
    (coarse,) = true_colour(tmp_path, {2018}, 32652)
    monkeypatch.setattr(module, "_COARSE_PX", 1024)
    (whole,) = true_colour(tmp_path, {2018}, 32652)
    nothing = Outlines((), (), ())
    drawn = [picture_jpeg(p, nothing, whole.bounds, "credit", simulated=False) for p in (whole, coarse)]
    assert whole.rgb.shape != coarse.rgb.shape
    assert drawn[0] == drawn[1]


def test_short_wave_infrared_has_its_bands_in_their_places_and_one_stretch_for_all_years(tmp_path):
    rows, columns = np.indices(GRID.shape).astype(np.uint16)
    made = {}
    for year, level in ((2018, 0), (2021, 500)):
        bands = {
            "blue": columns,
            "green": rows,
            "red": columns + level,
            "nir": rows * 3 + level,
            "swir22": columns * 7 + rows + level,
        }
        made[year] = bands
        write_cog(
            tmp_path / f"{year}.tif", tuple(bands),
            lambda r, c, b=bands: np.stack([one[r, c] for one in b.values()]).astype(np.uint16), GRID, {},
        )  # fmt: skip
    pictures = true_colour(tmp_path, {2018, 2021}, 32652)
    at = 401_000.0, 4_398_000.0, 402_000.0, 4_399_000.0
    for picture in pictures:
        shown = picture.infrared(at)
        assert shown.year == picture.year
        assert shown.bounds == at
        for channel, band in enumerate(("swir22", "nir", "red")):
            low, high = np.percentile([made[year][band] for year in made], (1, 99))
            expected = stretched(made[picture.year][band][100:200, 100:200], low, high)
            # The stretch is taken from a coarser image.
            np.testing.assert_allclose(shown.rgb[..., channel], expected, atol=4)
