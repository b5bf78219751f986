"""Masks of piles: as bits on the way through a run, and as products any reader of GeoTIFF opens."""

import hashlib

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from pipeline.findings import PileSeries, PileYear
from pipeline.pile_masks import packed, unpacked
from pipeline.products.geopackage import read_tables
from pipeline.products.manifest import read_manifest
from pipeline.products.masks import write_masks
from pipeline.types import Grid

WINDOW = Grid(32652, 700_020.0, 4_260_040.0, 6, 4)


def masks_of(*planes):
    return [np.array([[c == "x" for c in row] for row in plane.split()]) for plane in planes]


MEMBER, OTHERS, FIRST, SECOND = masks_of(
    "...... .xx... .xx... ......",
    "....xx ....xx ...... ......",
    "xxxxxx xxxxxx xxxxxx xxxxxx",
    "xxx... xxx... xxx... xxx...",
)


def year(number, *usable):
    masks = packed(MEMBER, OTHERS, usable)
    return PileYear(number, 400.0, 10.0, 2, 120.0, 1.0, "probable", None, masks=masks)


@pytest.fixture
def pile():
    years = (
        year(2018, ("S2A_1", FIRST), ("S2A_2", SECOND)),
        year(2019),
        PileYear(2020, None, None, 0, None, None, None, None),
    )
    return PileSeries("p70003-426002", (700_035.0, 4_260_020.0), years, WINDOW)


@given(st.data())
def test_what_is_packed_comes_back(data):
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    planes = data.draw(arrays(bool, (data.draw(st.integers(2, 20)), *shape)))
    usable = [(f"scene {n}", plane) for n, plane in enumerate(planes[2:])]
    member, others, back = unpacked(packed(planes[0], planes[1], usable))
    np.testing.assert_array_equal(member, planes[0])
    np.testing.assert_array_equal(others, planes[1])
    assert list(back) == [name for name, _ in usable]
    for name, plane in usable:
        np.testing.assert_array_equal(back[name], plane)


def test_a_file_says_of_every_band_what_it_is(tmp_path, pile):
    path, style = write_masks(tmp_path, [pile], "sim-port", simulated=True)
    assert path == tmp_path / "masks" / "p70003-426002.tif"
    assert style == path.with_suffix(".qml")
    assert 'type="paletted" band="2"' in style.read_text(), "the newest year"
    with rasterio.open(path) as file:
        assert file.descriptions == ("object 2018", "object 2019", "S2A_1", "S2A_2")
        assert file.crs.to_epsg() == 32652
        assert file.transform @ (0, 0) == (700_020.0, 4_260_040.0)
        assert file.transform @ (6, 4) == (700_080.0, 4_260_000.0)
        assert file.read(1).tolist() == [
            [0, 0, 0, 0, 2, 2],
            [0, 1, 1, 0, 2, 2],
            [0, 1, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
        ]
        np.testing.assert_array_equal(file.read(3), np.ones((4, 6)))
        np.testing.assert_array_equal(file.read(4), SECOND)
        assert [file.tags(n)["year"] for n in (1, 2, 3, 4)] == ["2018", "2019", "2018", "2018"]
        assert [file.tags(n)["kind"] for n in (1, 2, 3, 4)] == ["object", "object", "usable", "usable"]
        about = file.tags()
        assert about["SIMULATED"] == "yes"
        assert about["site"] == "sim-port"
        assert about["pile_id"] == "p70003-426002"
        assert "SIMULATED" in about["TIFFTAG_COPYRIGHT"]
        assert "1 the pile" in about["object_bands"]


def test_the_same_masks_are_the_same_bytes(tmp_path, pile):
    found = [
        hashlib.sha256(write_masks(tmp_path / name, [pile], "a", simulated=False)[0].read_bytes()).hexdigest()
        for name in ("one", "two")
    ]
    assert found[0] == found[1]


def test_a_pile_that_reviewers_drew_has_none(tmp_path):
    drawn = PileSeries("own (a. person)", (0.0, 0.0), (PileYear(2018, 1.0, 1.0, 1, None, None, None, None),))
    assert write_masks(tmp_path, [drawn], "a", simulated=False) == []
    assert not (tmp_path / "masks").exists()


@pytest.mark.slow
def test_masks_of_a_run_are_those_its_outlines_rest_on(port_results):
    folder = port_results / "sim-port"
    tables = read_tables(folder / "sim-port.gpkg", ["stockpiles", "stockpile_observations"])
    outputs = {output.path for output in read_manifest(folder).outputs}
    piles = {row.pile_id for row in tables["stockpiles"]}
    assert piles
    files = {f"masks/{name}.{ending}" for name in piles for ending in ("tif", "qml")}
    assert files == {path for path in outputs if path.startswith("masks/")}
    for name in piles:
        rows = [row for row in tables["stockpile_observations"] if row.pile_id == name]
        with rasterio.open(folder / "masks" / f"{name}.tif") as file:
            bands = dict(zip(file.descriptions, file.read(), strict=True))
            to = file.transform
        assert {d for d in bands if not d.startswith("object ")} == {row.scene_id for row in rows}
        for row in rows:
            member, usable = bands[f"object {row.year}"] & 1 > 0, bands[row.scene_id] == 1
            # A date that does not show the pile and the pixels beside it shows no outline.
            assert usable[ndimage.binary_dilation(member)].all()
            y, x = np.nonzero(member)
            east, north = to @ np.array([x + 0.5, y + 0.5])
            assert shapely.contains_xy(row.geometry, east, north).mean() > 0.8
