import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fedchain.scans.training.windows import corners, put_centre, window_at


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(2, 6), st.integers(0, 5), st.integers(0))
def test_the_centres_of_windows_put_every_wanted_pixel_back_in_its_place(h, w, step, margin, seed):
    wanted = np.random.default_rng(seed).random((h, w)) < 0.2
    grid, side = np.arange(1.0, h * w + 1).reshape(h, w), step + 2 * margin
    found = np.zeros((h, w))
    for corner in corners(wanted, side, margin):
        put_centre(found, window_at(grid, corner, side), corner, margin)
    assert (found[wanted] == grid[wanted]).all()


def test_a_window_beyond_the_grid_has_the_given_value_and_all_leading_axes():
    window = window_at(np.ones((3, 2, 2)), (-1, 1), 3, 7.0)
    assert window.shape == (3, 3, 3)
    assert window[1].tolist() == [[7, 7, 7], [1, 7, 7], [1, 7, 7]]
    assert (window_at(np.ones((2, 2)), (5, -9), 2) == 0).all()


def test_windows_without_a_wanted_pixel_are_left_out():
    wanted = np.zeros((100, 100), bool)
    wanted[50, 70] = True
    assert list(corners(wanted, 30, 5)) == [(35, 55)]
