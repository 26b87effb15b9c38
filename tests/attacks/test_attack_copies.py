"""Attacks that repeat what others have sent."""

from __future__ import annotations

import numpy as np
import pytest
from attack_views import cosine, noisy, sent, view

from fedchain.attacks.copies import principal_direction


@pytest.mark.parametrize("seed", range(3))
def test_the_principal_direction_is_that_of_an_eigenvalue_library(seed):
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((9, 30))
    rows += np.outer(3 * draw.standard_normal(9), draw.standard_normal(30))
    apart = rows - rows.mean(axis=0)
    wanted = np.linalg.svd(apart)[2][0]
    assert abs(principal_direction(rows) @ wanted) == pytest.approx(1.0, abs=1e-6)


def test_equal_rows_have_no_principal_direction():
    assert not principal_direction(np.ones((4, 3))).any()
    assert not principal_direction(np.zeros((1, 3))).any()


def test_mimics_copy_the_message_that_lies_farthest_along_the_largest_variance():
    rows = noisy(8, 2).honest
    rows[5] += 4 * np.eye(60)[7]
    seen = view([0.0] * 60, [0.0] * 60, honest=rows)
    assert (sent("mimic", seen) == rows[5]).all()
    assert (sent("mimic", seen, victim=2) == rows[2]).all()
    assert (sent("mimic", seen, victim=10) == rows[2]).all()


def test_copy_cats_send_honest_messages_as_they_are():
    seen = noisy(5, 40)
    places = [
        np.flatnonzero((seen.honest == row).all(axis=1)).item() for row in sent("copy_cat", seen)
    ]
    assert set(places) == set(range(5))


def test_free_riders_send_the_last_gradient_under_noise_and_learn_nothing():
    previous = np.array([[0.0] * 2000, [4.0] + [0.0] * 1999])
    seen = noisy(8, 3, entries=2000, previous=previous)
    rows = sent("free_rider", seen, echo=0.6)
    np.testing.assert_allclose([cosine(row, previous[1]) for row in rows], 0.6, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), seen.size, rtol=1e-9)
    assert abs(cosine(rows[0], rows[1]) - 0.36) < 4 / 2000**0.5  # four standard errors
    other = view(*(-7 * seen.own).tolist(), honest=seen.honest, previous=previous)
    np.testing.assert_array_equal(rows, sent("free_rider", other, echo=0.6))


def test_free_riders_send_noise_in_the_first_round():
    seen = noisy(8, 2, entries=2000)
    rows = sent("free_rider", seen, echo=1.0)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), seen.size)
    assert abs(cosine(rows[0], rows[1])) < 4 / 2000**0.5
