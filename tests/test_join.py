"""A year's blocks joined: nothing depends on where they were cut, and the maps are those of the specification."""

from dataclasses import fields

import numpy as np
import pytest
from scipy import ndimage
from specification import ground as ground_plainly
from specification import objects as objects_plainly

from models.footprint import SeasonLayers
from pipeline.config import Config
from pipeline.grid import blocks
from pipeline.maps import write_map
from pipeline.passes import join
from pipeline.passes.block import YearLayers
from pipeline.passes.join import YearBlocks, compose_year, join_year
from pipeline.passes.label import read_maps
from pipeline.passes.mask import DateMask, masks_beside, packed, read_masks, write_masks
from pipeline.products.cog import read_cog
from pipeline.rules import site_rules
from pipeline.types import Grid

GRID = Grid(32652, 300_000.0, 4_400_000.0, 90, 120)
CONFIG = Config()
RULES = site_rules(CONFIG)


def field(rng, sigma):
    values = ndimage.gaussian_filter(rng.standard_normal(GRID.shape), sigma)
    return values / values.std()


def layers(seed):
    """Smooth fields of coal, water and bare ground, with noise and places that were hardly seen."""
    rng = np.random.default_rng(seed)
    made = YearLayers.empty(GRID)
    made.clear[:] = np.clip(8 + 3 * field(rng, 6), 0, 12)
    for layer, share in ((made.hits, field(rng, 3) - 0.5), (made.water, field(rng, 4) - 1)):
        layer[:] = np.clip(share, 0, 1) * made.clear
    green, wet = field(rng, 3), field(rng, 5) - 1
    for half in range(3):
        clear = np.clip(4 + 3 * field(rng, 6), 0, 9).astype(np.uint8)
        made.ground_clear[half] = clear
        made.ground_bare[half] = np.clip(0.8 - green / 3, 0, 1) * clear
        made.ground_water[half] = np.clip(wet, 0, 1) * clear
        noise = 0.03 * rng.standard_normal(GRID.shape)
        made.ndvi_max[half] = np.where(clear > 0, 0.3 + 0.2 * green + noise, np.nan)
        made.dvi_max[half] = made.ndvi_max[half] / 2
    made.brightness[:] = np.where(made.ground_clear[0] > 0, 0.15 + 0.03 * field(rng, 2) - 0.1 * (wet > 0.3), np.nan)
    made.composite[:] = rng.integers(0, 4, made.composite.shape) * 700
    return made


def joined(made, folder, size):
    """Write layers as blocks of a size, with masks of two dates, and join them."""
    folder.mkdir()
    parts, usable = [], made.clear > 6
    for block in blocks(GRID, size, 16):
        path = folder / f"2020_{block.row}_{block.column}"
        for layer in fields(made):
            write_map(path, layer.name, getattr(made, layer.name)[(..., *block.target)])
        whole = slice(None), slice(None)
        mask = usable[block.target]
        write_masks(path, packed([DateMask(mask, ~mask), DateMask(~mask, mask)]), whole)
        parts.append((block, path))
    year = YearBlocks(parts, GRID)
    compose_year(year, folder / "2020.tif", {"year": "2020"})
    return join_year(year, folder / "maps", RULES)


def share(count, of):
    return np.where(of > 0, count / np.maximum(of, 1), np.nan).astype(np.float32)


def plainly(made, half):
    clear = made.ground_clear[half]
    season = SeasonLayers(
        made.ndvi_max[half], made.dvi_max[half], share(made.ground_bare[half], clear),
        share(made.ground_water[half], clear), made.brightness, clear,
    )  # fmt: skip
    least = RULES.ground.min_dates if half == 0 else max(1, RULES.ground.min_dates // 2)
    return ground_plainly.measure(season, type(RULES.ground)(**{**vars(RULES.ground), "min_dates": least}))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_maps_are_those_of_the_specification_however_a_year_is_cut(seed, tmp_path, monkeypatch):
    made = layers(seed)
    whole = joined(made, tmp_path / "whole", 120)
    monkeypatch.setattr(join, "_STRIP_PIXELS", 17 * GRID.width)
    cut = joined(made, tmp_path / "cut", 26)
    maps = read_maps(whole)
    ground = [plainly(made, half) for half in range(3)]
    few = np.all(made.ground_clear[1:] >= max(1, RULES.ground.min_dates // 2), axis=0)
    np.testing.assert_array_equal(maps.ground, np.stack([ground[0], ground[1] & few, ground[2] & few]))
    water_share = share(made.water, made.clear)
    expected = objects_plainly.detect(share(made.hits, made.clear), made.clear, water_share, RULES.objects)
    assert expected.any()
    np.testing.assert_array_equal(maps.objects, expected)
    np.testing.assert_array_equal(maps.water, objects_plainly.lasting_water(water_share, RULES.objects))
    wet = share(made.ground_water[0], made.ground_clear[0]) > RULES.ground.water_share_max
    np.testing.assert_array_equal(maps.wet, wet)
    np.testing.assert_array_equal(maps.brightness, made.brightness)
    for name, array in vars(read_maps(cut)).items():
        np.testing.assert_array_equal(array, getattr(maps, name), err_msg=name)
    assert sorted(p.name for p in whole.iterdir()) == sorted(f"{f.name}.npy" for f in fields(maps)), "no scratch left"


def test_composite_and_masks_are_those_of_the_blocks(tmp_path):
    made = layers(4)
    path = joined(made, tmp_path / "cut", 26)
    bands, _, _ = read_cog(tmp_path / "cut" / "2020.tif")
    expected = np.where(made.composite == 0, 65535, made.composite)
    np.testing.assert_array_equal(list(bands.values()), expected)
    first, second = read_masks(masks_beside(path), (slice(0, 120), slice(0, 90)), 2)
    np.testing.assert_array_equal(first.usable, made.clear > 6)
    np.testing.assert_array_equal(second.usable, made.clear <= 6)
    joined(made, tmp_path / "whole", 120)
    assert (tmp_path / "whole" / "2020.tif").read_bytes() == (tmp_path / "cut" / "2020.tif").read_bytes()
