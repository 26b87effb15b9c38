"""Line searches of one factor against the deployed rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from attack_views import noisy, sent, view
from test_statistical import ROWS

from fedchain.attacks.line_search import _search
from fedchain.attacks.view import alike


def test_searched_factors_are_those_of_byzfl():
    seen = view([0.0] * 4, [0.0] * 4, honest=ROWS)
    # A mean moves farther with every factor, so all 19 steps double.
    np.testing.assert_allclose(
        sent("inner_product_search", seen), [[-14680036, -22020054, -18874332, -16777184]] * 2
    )
    trimmed = view([0.0] * 4, [0.0] * 4, honest=ROWS, rule={"kind": "trimmed_mean", "trim": 2})
    np.testing.assert_allclose(sent("inner_product_search", trimmed), [[-28, -42, -36, -32]] * 2)
    # byzfl adds deviations: what it sends for the negative messages is the negative.
    turned = view([0.0] * 4, [0.0] * 4, honest=-ROWS, rule={"kind": "trimmed_mean", "trim": 2})
    added = np.array([53.98593557, 43.18717738, 59.54640292, 46.44349662])
    mean, narrower = ROWS.mean(axis=0), np.sqrt(4 / 5)  # byzfl divides by one less
    wanted = -(mean + narrower * (added - mean))
    np.testing.assert_allclose(sent("alie_search", turned), [wanted] * 2, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_a_search_tries_the_rule_as_often_as_it_may_and_keeps_the_farthest(count):
    seen, tried = noisy(9, 3, rule={"kind": "median"}), []

    def row_of(factor: float) -> np.ndarray:
        tried.append(factor)
        return -factor * seen.mean

    best = _search(seen, row_of, count)
    distances = [
        np.linalg.norm(seen.response(alike(seen, -each * seen.mean)) - seen.mean) for each in tried
    ]
    assert len(tried) == count
    assert best == tried[int(np.argmax(distances))]


def two_phases(distance, count: int) -> float:
    """Return the factor that byzfl's search finds: its steps grow, then they shrink for ever."""
    best, reached, step, left = 0.0, distance(0.0), 10.0, count - 1
    while left:
        left -= 1
        if distance(best + step) <= reached:
            step *= 0.8
            break
        best, reached, step = best + step, distance(best + step), 2 * step
    while left:
        left -= 1
        if distance(best + step) > reached:
            best, reached = best + step, distance(best + step)
        step *= 0.8
    return best


@pytest.mark.parametrize("waves", [0.0, 0.01, 0.13, 0.37, 0.9, 2.0])
def test_steps_grow_until_the_first_failure_and_shrink_ever_after(waves):
    seen = noisy(9, 2)

    def distance(factor: float) -> float:
        return 9.0 + np.sin(waves * factor) + 1e-3 * factor

    def response(rows: np.ndarray) -> np.ndarray:
        factor = -(rows[0] @ seen.mean) / (seen.mean @ seen.mean)
        return seen.mean + distance(round(factor, 6)) * np.eye(60)[0]

    found = _search(replace(seen, response=response), lambda factor: -factor * seen.mean, 15)
    assert found == pytest.approx(two_phases(distance, 15), abs=1e-5)


@pytest.mark.parametrize("kind", ["alie", "inner_product"])
def test_where_the_rule_refuses_so_few_messages_the_plain_attack_remains(kind):
    seen = view([1.0, 2.0], [3.0, 1.0], rule={"kind": "trimmed_mean", "trim": 2})
    np.testing.assert_array_equal(sent(f"{kind}_search", seen), sent(kind, seen))
