import numpy as np
import pytest

from lib.images.grid_distance import corner_distance

GRID = np.diag([0.7, 0.7, 5.0, 1.0])


def _moved(*millimetres):
    affine = GRID.copy()
    affine[:3, 3] += millimetres
    return affine


def test_a_grid_lies_nowhere_but_on_itself():
    assert corner_distance(GRID, GRID, (512, 512, 300)) == pytest.approx(0, abs=1e-9)


def test_a_shift_counts_in_voxels():
    assert corner_distance(_moved(0.07, 0, 0), GRID, (8, 8, 8)) == pytest.approx(0.1)
    assert corner_distance(_moved(0.7, 0, 5), GRID, (8, 8, 8)) == pytest.approx(np.sqrt(2))


def test_a_small_difference_of_spacing_grows_to_the_far_corner():
    wider = np.diag([0.7009, 0.7, 5.0, 1.0])
    assert corner_distance(wider, GRID, (512, 512, 300)) == pytest.approx(511.5 * 0.0009 / 0.7)
    assert corner_distance(wider, GRID, (20, 20, 20)) < 0.1


def test_the_thickness_of_a_single_slice_counts():
    assert corner_distance(np.diag([0.7, 0.7, 1.0, 1.0]), GRID, (8, 8, 1)) == pytest.approx(0.4)


@pytest.mark.parametrize("broken", [np.diag([0.7, 0.0, 5.0, 1.0]), np.full((4, 4), np.nan)])
def test_what_is_no_grid_lies_infinitely_far(broken):
    assert corner_distance(GRID, broken, (8, 8, 8)) == np.inf
