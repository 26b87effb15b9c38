"""The share of attackers at which rules break: closed lines, and lines that were measured."""

import math

import numpy as np
import pytest

from fedchain.reports.breaking import breaking_share, crossing, rho_of, rho_of_messages


@pytest.mark.parametrize(
    ("rho", "flip", "orthogonal"), [(0.1, 3, 2), (0.3, 7, 3), (0.5, 11, 6), (0.9, 19, 17)]
)
def test_the_closed_line_is_crossed_by_the_first_colluder_that_wins(rho, flip, orthogonal):
    for first, flat in ((flip, False), (orthogonal, True)):
        for few, wins in ((first - 1, False), (first, True)):
            share = few / (20 + few)  # twenty honest holders
            assert (share > breaking_share(rho, 20 + few, orthogonal=flat)) is wins


@pytest.mark.parametrize("rho", [0.05, 0.4, 0.8])
def test_rho_is_found_from_the_cosines_with_the_sum(rho):
    draw = np.random.default_rng(3)
    found = []
    for _ in range(40):
        noise = draw.standard_normal((20, 650))
        noise[:, 0] = 0.0
        noise *= math.sqrt(1 - rho**2) / np.linalg.norm(noise, axis=1)[:, None]
        noise[:, 0] = rho
        total = noise.sum(axis=0)
        found.append(rho_of((noise @ total / np.linalg.norm(total)).tolist()))
    assert np.mean(found) == pytest.approx(rho, abs=0.012)


def test_rho_of_a_run_is_the_mean_over_its_blocks_without_late_messages():
    rows = [{"block": "a", "cosine": 1.0, "late": False}] * 2
    rows += [{"block": "b", "cosine": 0.5, "late": False}] * 3
    rows += [{"block": "a", "cosine": -1.0, "late": True}]
    assert rho_of_messages(rows) == pytest.approx(0.5)
    assert rho_of_messages([]) is None


def test_a_crossing_is_the_first_one_and_passes_over_what_was_not_measured():
    assert crossing([0.0, 0.1, 0.2, 0.3], [1.0, 0.4, 0.9, 0.0], 0.5) == pytest.approx(1 / 12)
    assert crossing([0.0, 0.1, 0.2], [1.0, math.nan, 0.0], 0.5) == pytest.approx(0.1)
    assert crossing([0.1, 0.2], [0.2, 0.9], 0.5) == 0.1
    assert math.isnan(crossing([0.1, 0.2], [0.9, 0.5], 0.5))
