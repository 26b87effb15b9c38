"""Attacks by a direction: what they send, and when l-nearest is captured."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from attack_views import cosine, noisy, sent, view

from fedchain.aggregation import Received, l_nearest
from fedchain.aggregation.directions import Directions
from fedchain.nodes.holders.sent import quantised_rows


def used(honest: np.ndarray, colluders: np.ndarray, keep: int) -> np.ndarray:
    """Return which colluders l-nearest keeps."""
    found = quantised_rows(np.concatenate([honest, colluders]), "int16")
    exponents, integers = zip(*found.forms, strict=True)
    norms = np.array(found.norms)
    rows = Received(Directions(integers, exponents), norms, np.ones(len(norms)))
    return l_nearest(rows, keep=keep).used[len(honest) :]


def first_capture(rho: float, kind: str, **given: object) -> int:
    """Return the least number of colluders that all rank before the median of 20 honest ones."""
    for colluders in range(1, 40):
        seen = noisy(20, colluders, entries=800, rho=rho)
        if used(seen.honest, sent(kind, seen, **given), (20 + colluders) // 2).all():
            return colluders
    raise AssertionError("never captured")


@pytest.mark.parametrize("rho", [0.1, 0.3, 0.5, 0.9])
def test_l_nearest_is_captured_where_the_closed_form_says(rho):
    pooled = 20 * math.sqrt(rho**2 + (1 - rho**2) / 20)
    assert abs(first_capture(rho, "sign_flip", of="pooled") - (math.floor(pooled) + 1)) <= 1
    apart = 1 + 19 * rho**2
    assert abs(first_capture(rho, "orthogonal") - (math.floor(apart) + 1)) <= 1


@pytest.mark.parametrize("colluders", [2, 4])
@pytest.mark.parametrize("rho", [0.1, 0.4, 0.8])
def test_the_attack_on_l_nearest_is_kept_and_hardly_less_harmful_than_any_that_is(rho, colluders):
    kept = []
    for seed in range(3):
        seen = noisy(20, colluders, entries=2000, rho=rho, seed=seed)
        (row, *_) = sent("against_l_nearest", seen)
        kept += used(seen.honest, np.tile(row, (colluders, 1)), (20 + colluders) // 2).tolist()
        axis = seen.mean / np.linalg.norm(seen.mean)
        along = row @ axis / np.linalg.norm(row)
        apart = row / np.linalg.norm(row) - along * axis
        apart /= np.linalg.norm(apart)
        worse = max(-1.0, along - 0.15)
        moved = worse * axis + math.sqrt(1 - worse**2) * apart
        assert not used(seen.honest, np.tile(moved, (colluders, 1)), 10).any()
    assert np.mean(kept) > 0.8


def test_a_majority_of_colluders_turns_l_nearest_around():
    seen = noisy(6, 8)
    assert cosine(sent("against_l_nearest", seen)[0], seen.mean) == pytest.approx(-1, abs=1e-3)


def test_hidden_attackers_send_fresh_noise_with_the_named_share_against_the_mean():
    seen = noisy(10, 4, entries=3000)
    rows = sent("hidden", seen, against=0.25)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), seen.size)
    np.testing.assert_allclose([cosine(row, seen.gradient) for row in rows], -0.25, atol=1e-9)
    between = [cosine(one, other) for i, one in enumerate(rows) for other in rows[:i]]
    np.testing.assert_allclose(between, 0.25**2, atol=5 / 3000**0.5)  # five standard errors


def test_each_attacker_draws_its_noise_from_its_own_generator():
    one, other = noisy(10, 3), noisy(10, 3)
    swapped = (other.generators[0], np.random.default_rng(99), other.generators[2])
    before, after = sent("hidden", one), sent("hidden", replace(other, generators=swapped))
    assert (before == after).all(axis=1).tolist() == [True, False, True]


def test_orthogonal_colluders_agree_with_each_other_in_every_round():
    one, other = noisy(10, 3, seed=1), noisy(10, 3, seed=2)
    for seen in (one, other):
        rows = sent("orthogonal", seen)
        assert (rows == rows[0]).all()
        assert np.linalg.norm(rows[0]) == pytest.approx(seen.size)
        assert abs(cosine(rows[0], seen.mean)) < 1e-9
    assert cosine(sent("orthogonal", one)[0], sent("orthogonal", other)[0]) > 0.9


def test_pooled_sign_flippers_send_minus_the_mean_of_what_they_know():
    seen = view([9.0, 9.0], [1.0, 1.0], honest=[[1.0, 2.0], [3.0, -6.0]])
    assert sent("sign_flip", seen, of="pooled").tolist() == [[-2.0, 2.0]] * 2
    alone = view([9.0, 9.0], [1.0, 1.0])
    assert sent("sign_flip", alone, of="pooled").tolist() == [[-5.0, -5.0]] * 2


def test_normal_numbers_have_their_centre_and_deviation_whatever_was_learned():
    rows = sent("gaussian", view([1e9] * 4000, [0.0] * 4000), centre=3.0, deviation=50.0)
    margin = 4 * 50 / 8000**0.5  # four standard errors
    assert abs(rows.mean() - 3.0) < margin
    assert abs(rows.std() - 50.0) < margin
    assert abs(cosine(rows[0] - 3, rows[1] - 3)) < 4 / 4000**0.5
