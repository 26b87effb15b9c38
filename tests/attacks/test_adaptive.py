"""The adaptive attack: what it tries, and that it sends the worst of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from attack_views import cosine, noisy, sent, view

from fedchain.attacks.adaptive import agreement, candidates, palette_of

RULES = [
    {"kind": "mean", "scale": "median_clip"},
    {"kind": "l_nearest", "keep": 9},
    {"kind": "krum", "byzantine": 3},
    {"kind": "trimmed_mean", "trim": 3},
]
rules = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["kind"])


def again(seen):
    """Return an equal view whose generators have drawn nothing."""
    count = len(seen.own)
    return replace(seen, generators=tuple(np.random.default_rng([0, row]) for row in range(count)))


@rules
def test_what_is_sent_is_at_least_as_harmful_as_each_of_sixty_candidates(rule):
    seen = noisy(12, 3, rule=rule)
    rows = sent("adaptive", seen)
    palette = palette_of(again(seen))
    tried = [palette.rows(blend) for blend in candidates(seen)]
    found = [cosine(seen.response(each), seen.gradient) for each in tried]
    assert len(tried) == 60
    assert len({each.tobytes() for each in tried}) == 60
    assert cosine(seen.response(rows), seen.gradient) == min(found)


@rules
def test_no_attack_of_a_closed_form_is_much_worse_than_the_adaptive_one(rule):
    seen = noisy(12, 3, rule=rule)
    kinds = "hidden", "alie", "inner_product", "orthogonal", "against_l_nearest", "mimic"
    fixed = min(agreement(seen, sent(kind, again(seen))) for kind in kinds)
    assert agreement(seen, sent("adaptive", again(seen))) < fixed + 0.02


def test_a_larger_budget_never_does_less_harm():
    seen = noisy(12, 3, rule={"kind": "l_nearest", "keep": 9})
    budgets = 0, 5, 15, 20, 25, 30
    harm = [agreement(seen, sent("adaptive", again(seen), budget=n)) for n in budgets]
    assert harm == sorted(harm, reverse=True)
    assert harm[-1] < harm[0]


def test_the_evolution_strategy_finds_more_harm_than_the_candidates():
    seen = noisy(12, 3, rule={"kind": "l_nearest", "keep": 9})
    before, after = (agreement(seen, sent("adaptive", again(seen), budget=n)) for n in (0, 60))
    assert after < before - 0.01


def test_the_rule_is_tried_sixty_times_and_once_more_for_each_of_the_budget():
    seen, calls = noisy(8, 2), []

    def response(rows):
        calls.append(rows.shape)
        return seen.response(rows)

    sent("adaptive", replace(seen, response=response), budget=7)
    assert calls == [(2, 60)] * 67


def test_the_same_view_gives_the_same_bits_whatever_was_decided_before():
    seen = noisy(10, 4, rule=RULES[1])
    one = sent("adaptive", again(seen), budget=20)
    sent("adaptive", noisy(5, 2, seed=9), budget=3)
    np.testing.assert_array_equal(one, sent("adaptive", again(seen), budget=20))


def test_where_the_rule_refuses_so_few_messages_a_hidden_part_is_sent():
    seen = view(*noisy(4, 3).own.tolist(), rule={"kind": "trimmed_mean", "trim": 9})
    rows = sent("adaptive", seen, budget=3)
    np.testing.assert_allclose([cosine(row, seen.gradient) for row in rows], -0.3, atol=1e-9)


def test_equal_or_zero_messages_stop_nothing():
    for honest in (np.ones((4, 5)), np.zeros((4, 5)), 1e-320 * np.ones((4, 5))):
        rows = sent("adaptive", view([1.0] * 5, [2.0] * 5, honest=honest), budget=5)
        assert np.isfinite(rows).all()
