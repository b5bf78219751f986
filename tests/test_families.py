"""Piles named through the years, and the tasks that measure them."""

import datetime as dt
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from pipeline.config import Config
from pipeline.findings import PileYear
from pipeline.maps import write_map
from pipeline.passes.families import Family, deepest, label_families, pile_name
from pipeline.passes.pile import Measured, judge_piles, pile_jobs
from pipeline.types import Grid

GRID = Grid(32652, 400_000.0, 4_400_000.0, 60, 48)
YEARS = (2019, 2020, 2021)
EIGHT = np.ones((3, 3), dtype=bool)


def written(folder, objects):
    """Year to the folder of its maps."""
    maps = {}
    for year, mask in zip(YEARS, objects, strict=False):
        maps[year] = folder / f"{year}_maps"
        write_map(maps[year], "objects", mask)
    return maps


def painted(*boxes):
    mask = np.zeros(GRID.shape, dtype=bool)
    for rows, columns in boxes:
        mask[slice(*rows), slice(*columns)] = True
    return mask


def everywhere():
    return np.ones(GRID.shape, dtype=bool)


# --- families ---


def test_a_pile_that_moves_through_the_years_is_one_with_a_window_round_all_of_it(tmp_path):
    maps = written(tmp_path, [painted(((20, 24), (20, 24))), painted(((24, 29), (24, 29)))])
    (family,) = label_families(GRID, maps, everywhere())
    # Rows and columns 20 to 28, 16 pixels of margin, to even bounds.
    assert (family.rows, family.columns) == (slice(4, 46), slice(4, 46))
    assert family.own.sum() == 16 + 25
    assert not family.others.any()
    # The deepest pixel is the middle of the five by five: (26, 26); the cell's easting and northing in tens of metres.
    assert family.pile_id == "p40026-439973"


def test_a_window_ends_at_the_grid(tmp_path):
    (family,) = label_families(GRID, written(tmp_path, [painted(((0, 3), (57, 60)))]), everywhere())
    assert (family.rows, family.columns) == (slice(0, 20), slice(40, 60))
    assert family.own.shape == family.others.shape == (20, 20)


def test_no_year_no_pile():
    assert label_families(GRID, {}, everywhere()) == []


def test_what_is_not_measured_is_no_pile(tmp_path):
    maps = written(tmp_path, [painted(((5, 9), (5, 9)), ((30, 34), (30, 40)))])
    inside = painted(((0, 48), (0, 35)))
    assert [f.own.sum() for f in label_families(GRID, maps, inside)] == [16, 20]
    assert label_families(GRID, maps, ~everywhere()) == []


@given(arrays(bool, (3, *GRID.shape), elements=st.booleans(), fill=st.just(False)), st.permutations(range(3)))
def test_families_are_the_connected_ground_of_all_years(tmp_path_factory, masks, order):
    """Against a label of the whole: whose is each pixel of each window, whatever the order of the years."""
    folder = tmp_path_factory.mktemp("maps")
    found = label_families(GRID, written(folder, masks[order]), everywhere())
    labels, count = ndimage.label(masks.any(axis=0), structure=EIGHT)
    assert len(found) == count
    seen = np.zeros(GRID.shape, dtype=int)
    for family in found:
        part = labels[family.rows, family.columns]
        (label,) = np.unique(part[family.own])
        np.testing.assert_array_equal(family.own, part == label)
        np.testing.assert_array_equal(family.others, (part > 0) & (part != label))
        assert family.own.sum() == (labels == label).sum()
        seen[family.rows, family.columns] += family.own
        assert all(edge % 2 == 0 for s in (family.rows, family.columns) for edge in (s.start, s.stop))
    np.testing.assert_array_equal(seen, labels > 0)
    assert [f.pile_id for f in found] == sorted(f.pile_id for f in found)


def test_the_deepest_pixel_is_inside_and_the_edge_counts_as_outside():
    ring = np.ones((9, 9), dtype=bool)
    assert deepest(ring) == (4, 4)
    ring[4, 4] = False
    row, column = deepest(ring)
    assert ring[row, column]
    assert pile_name(GRID, 0, 0) == "p40000-439999"


# --- tasks ---


def family_at(row, column, name):
    nothing = np.zeros((4, 4), dtype=bool)
    return Family(name, slice(row, row + 4), slice(column, column + 4), nothing, nothing)


def scene_of(year, number):
    return SimpleNamespace(stored=SimpleNamespace(scene=SimpleNamespace(date=dt.date(year, 5, number), name=number)))


PLACES = st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 1500)), min_size=1, max_size=30, unique=True)
SCENES = [scene_of(year, number) for year in YEARS for number in (3, 13, 23)]
MAPS = {year: Path(f"{year}_maps") for year in YEARS}


@given(PLACES)
def test_every_pile_is_measured_once_in_every_year_with_that_years_scenes(places):
    listed = [family_at(row, column, f"p{n:03d}") for n, (row, column) in enumerate(places)]
    jobs = pile_jobs(listed, MAPS, SCENES)
    for year in YEARS:
        of_year = [job for job in jobs if job.year == year]
        assert sorted(f.pile_id for job in of_year for f in job.families) == [f.pile_id for f in listed]
        for job in of_year:
            assert job.maps == MAPS[year]
            assert list(job.scenes) == [s for s in SCENES if s.stored.scene.date.year == year]


@given(PLACES, st.tuples(st.integers(0, 1500), st.integers(0, 1500)))
def test_a_pile_more_changes_the_tasks_of_its_part_alone(places, more):
    listed = [family_at(row, column, f"p{n:03d}") for n, (row, column) in enumerate(places)]
    before = [job.families for job in pile_jobs(listed, MAPS, SCENES)]
    after = [job.families for job in pile_jobs([*listed, family_at(*more, "q")], MAPS, SCENES)]
    assert sum(families not in before for families in after) == len(YEARS)


def test_without_piles_or_years_there_is_nothing_to_do():
    assert pile_jobs([], MAPS, SCENES) == []
    assert pile_jobs([family_at(0, 0, "p")], {}, SCENES) == []


# --- judging ---


def measured(year, area_m2, score):
    return Measured(PileYear(year, area_m2, 100.0, 8, 120.0, 0.9, None, None, score=score), 3.0)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_pile_is_judged_by_all_its_years_in_their_order(order):
    """One that is coal in one year of three and surely not in the others is left out, however its tasks are ordered."""
    member = np.ones((4, 4), dtype=bool)
    listed = [Family(name, slice(0, 4), slice(0, 4), member, ~member) for name in ("p1-coal", "p2-not", "p3-mostly")]
    scores = {"p1-coal": (0.9, 0.9, 0.9), "p2-not": (0.9, 0.0, 0.0), "p3-mostly": (0.9, 0.9, 0.1)}
    jobs = pile_jobs(listed, MAPS, SCENES)
    found = [(job, [measured(job.year, 5e3, scores[f.pile_id][YEARS.index(job.year)]) for f in job.families])
             for job in (jobs[place] for place in order)]  # fmt: skip
    piles = judge_piles(listed, found, GRID, Config())
    assert [pile.pile_id for pile in piles] == ["p1-coal", "p3-mostly"]
    for pile in piles:
        assert tuple(year.year for year in pile.years) == YEARS
        # A square of four by four: the first of its four deepest pixels, (1, 1).
        assert pile.point == (400_015.0, 4_399_985.0)
