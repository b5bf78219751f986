"""Maps between the passes: what is written by window is what numpy reads, whole and by window."""

import numpy as np
import pytest

from pipeline.maps import create_map, read_map, remove_map, write_map


def test_windows_written_in_any_order_are_the_map(tmp_path):
    whole = np.random.default_rng(1).integers(0, 255, (3, 50, 7)).astype(np.float32)
    made = create_map(tmp_path / "2020", "level", whole.shape, np.float32)
    for start, stop in ((20, 50), (0, 7)):
        made.put((slice(start, stop), slice(0, 7)), whole[:, start:stop])
    for start, stop in ((3, 7), (0, 3)):
        made.put((slice(7, 20), slice(start, stop)), whole[:, 7:20, start:stop])
    np.testing.assert_array_equal(np.load(tmp_path / "2020" / "level.npy"), whole)
    whole[1, 4:9, 2:5] = 300.0
    made.put((1, slice(4, 9), slice(2, 5)), whole[1, 4:9, 2:5])
    np.testing.assert_array_equal(read_map(tmp_path / "2020", "level"), whole)
    at = (slice(5, 30), slice(2, 4))
    np.testing.assert_array_equal(read_map(tmp_path / "2020", "level", at), whole[(..., *at)])
    np.testing.assert_array_equal(read_map(tmp_path / "2020", "level", (1, *at)), whole[(1, *at)])


def test_what_is_read_is_no_view_of_the_file(tmp_path):
    write_map(tmp_path, "seen", np.zeros((4, 4), dtype=bool))
    part = read_map(tmp_path, "seen", (slice(0, 2), slice(0, 2)))
    part[:] = True
    assert not read_map(tmp_path, "seen").any()
    assert type(part) is np.ndarray


@pytest.mark.parametrize(
    ("at", "values"),
    [
        ((slice(3, 5), slice(0, 6)), np.zeros((2, 6), bool)),
        ((slice(0, 2), slice(2, 7)), np.zeros((2, 5), bool)),
        ((slice(0, 2), slice(0, 6)), np.zeros((2, 5), bool)),
        ((slice(0, 2), slice(0, 6)), np.zeros((2, 6), np.uint8)),
    ],
    ids=["below", "beside", "narrow", "dtype"],
)
def test_windows_that_do_not_fit_are_refused(tmp_path, at, values):
    made = create_map(tmp_path, "seen", (4, 6), bool)
    with pytest.raises(ValueError, match="is no part of bool"):
        made.put(at, values)


def test_a_removed_map_is_gone(tmp_path):
    write_map(tmp_path, "n", np.arange(24).reshape(4, 6))
    remove_map(tmp_path, "n")
    with pytest.raises(FileNotFoundError):
        read_map(tmp_path, "n")
