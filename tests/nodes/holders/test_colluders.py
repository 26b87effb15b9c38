from __future__ import annotations

import itertools

import numpy as np
import pytest
from small_runs import small

from fedchain.learning.task import tasks
from fedchain.nodes.holders.colluders import Colluders, poison_of, poisoned_task
from fedchain.registry import Part


def test_a_holder_attacks_in_its_rounds_and_in_no_other():
    attacks = [{"kind": "sign_flip", "holders": [1, 2], "from_round": 2, "to_round": 3}]
    colluders = Colluders(small(rounds=5, attacks=attacks))
    active = {(k, t) for k in range(10) for t in range(1, 6) if colluders.attacks_of([k], t)}
    assert active == {(1, 2), (1, 3), (2, 2), (2, 3)}
    assert colluders.attack_of(1, 2) == 0
    assert colluders.attack_of(1, 1) is None
    assert colluders.label({0}) == "sign_flip"
    assert colluders.label(set()) == ""


def attackers(*attacks: dict[str, object], seed: int = 0) -> list[list[int]]:
    """Return the holders of each attack; all of them flip signs in round 1."""
    named = [{"kind": "sign_flip", "to_round": 1, **attack} for attack in attacks]
    colluders = Colluders(small(2, seed=seed, attacks=named))
    whose = [colluders.attack_of(holder, 1) for holder in range(10)]
    return [[k for k in range(10) if whose[k] == index] for index in range(len(named))]


def test_shares_and_counts_are_drawn_by_the_seed_and_never_twice():
    listed, three, half = attackers({"holders": [4]}, {"count": 3}, {"share": 0.5})
    assert listed == [4]
    assert (len(three), len(half)) == (3, 5)
    assert len({*listed, *three, *half}) == 9
    assert attackers({"count": 3}) == attackers({"count": 3})
    assert len({tuple(attackers({"count": 3}, seed=seed)[0]) for seed in range(8)}) > 4


def test_a_larger_share_has_the_attackers_of_a_smaller_one():
    sets = [set(attackers({"share": share})[0]) for share in (0.01, 0.2, 0.25, 0.6, 1.0)]
    assert [len(each) for each in sets] == [1, 2, 3, 6, 10]
    assert all(few < many for few, many in itertools.pairwise(sets))


def test_a_share_or_a_count_of_zero_is_nobody():
    assert attackers({"share": 0.0}, {"count": 0}, {"count": 2})[:2] == [[], []]


POISONED = {"kind": "poisoned", "holders": [2, 7], "from_round": 2, "to_round": 3}


def test_attackers_learn_from_poisoned_records_in_their_rounds_and_others_never():
    flipped = [{"kind": "sign_flip", "holders": [1]}, POISONED]
    scenario = small(5, attacks=flipped, task={"kind": "digits"})
    colluders = Colluders(scenario)
    task = tasks.build(scenario.task, 10, 0)
    made = poisoned_task(task, scenario)
    numbers = {(k, t): colluders.records_of(k, t) for k in range(10) for t in range(1, 6)}
    attacking = {(k, t) for (k, t), number in numbers.items() if number != k}
    assert attacking == {(2, 2), (2, 3), (7, 2), (7, 3)}
    twin = made.holders[numbers[7, 2]]
    assert twin.targets.tolist() == (9 - task.holders[7].targets).tolist()
    assert np.array_equal(twin.inputs, task.holders[7].inputs)
    assert len(made.holders) == 10
    assert all(one is other for one, other in zip(made.holders, task.holders, strict=True))


def test_without_poison_a_task_stays_as_it_is():
    task = tasks.build(small().task, 10, 0)
    assert poisoned_task(task, small()) is task


@pytest.mark.parametrize("kind", ["sign_flip", "poisoned"])
def test_an_attack_names_its_poison_as_a_part(kind):
    (attack,) = small(2, attacks=[{"kind": kind, "holders": [1]}]).attacks
    expected = Part("label_flip", {}) if kind == "poisoned" else None
    assert poison_of(attack.part) == expected
