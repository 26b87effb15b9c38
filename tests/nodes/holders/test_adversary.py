from __future__ import annotations

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ledger_world import make_world, secret
from small_runs import small

from fedchain.errors import PartError
from fedchain.ledger.chain.state import State
from fedchain.nodes.holders.adversary import (
    Adversary,
    _nudge,
    check_finite,
    nudged,
    repeats,
    under_names,
    vectors_of,
)
from fedchain.nodes.holders.release import Withheld

OPEN = make_world(identity="open", identity_root=bytes(32))


def test_one_name_is_the_message_itself():
    message = OPEN.message(0, OPEN.chain_id, 1)
    assert list(under_names(message, 1, 0, 7)) == [message]


@pytest.mark.parametrize("storage", ["int8", "int16", "int32"])
def test_every_name_says_nearly_the_same_and_counts_where_identities_are_open(storage):
    world = make_world(identity="open", identity_root=bytes(32), storage=storage)
    chain = world.chain()
    pool = world.pool(chain)
    first, *others = said = list(under_names(world.message(0, chain.head, 1), 1000, 0, 7))
    for message in said:
        assert pool.add(message)
    assert len({message.public_key for message in said}) == 1000
    assert len({message.payload for message in said}) == 1000
    largest = max(
        np.abs(other.direction.astype(np.int64) - first.direction).max() for other in others
    )
    assert largest == 1


def test_names_follow_from_seed_holder_and_round_alone():
    message = OPEN.message(0, OPEN.chain_id, 1)
    ids = [
        [each.id for each in under_names(message, 3, *who)]
        for who in ((0, 7), (0, 7), (1, 7), (0, 8))
    ]
    assert ids[0] == ids[1]
    assert not set(ids[0][1:]) & {*ids[2][1:], *ids[3][1:]}


@pytest.mark.parametrize("storage", ["int8", "int16", "int32"])
def test_equal_vectors_of_colluders_and_their_sybils_all_count(storage):
    world = make_world(identity="open", identity_root=bytes(32), storage=storage)
    chain = world.chain()
    pool, alike = world.pool(chain), world.message(0, chain.head, 1)
    said = []
    for colluder in range(4):
        mine = world.message(colluder, chain.head, 1)
        mine = replace(alike, public_key=mine.public_key, proof=mine.proof, signature=b"")
        mine = nudged(mine, colluder, secret(colluder, 1))
        said += under_names(mine, 20, 0, colluder)
    for message in said:
        assert pool.add(message)
    assert len({message.payload for message in said}) == 80


def test_equal_vectors_of_few_entries_are_told_apart_too():
    direction = np.array([3, -4, 5], np.int16)
    found = {_nudge(direction, number, apart=True).tobytes() for number in range(8)}
    assert len(found) == 8


def test_messages_of_zero_under_other_names_are_zero_too():
    zero = replace(
        OPEN.message(0, OPEN.chain_id, 1), exponent=0, norm=0.0, direction=np.zeros(31, np.int16)
    )
    for message in under_names(zero, 3, bytes(32), 7):
        assert not message.direction.any()


def test_a_rule_that_is_tried_on_no_finite_row_says_so():
    rule = Adversary(small(aggregation={"kind": "mean"}), keep=1).rule_at(State(np.zeros(3), {}))
    with pytest.raises(ValueError, match="no row is finite"):
        rule(np.full((2, 3), np.nan))


def test_an_attack_that_makes_a_number_that_is_not_finite_is_named_with_its_holder():
    own = np.array([[1.0, 2.0], [3.0, np.inf], [5.0, 6.0]], np.float32)
    view = SimpleNamespace(own=own, round=7)
    check_finite(own * 2, view, "mine", [4, 5, 6], grouped=False)  # holder 5 had none before
    made = own.copy()
    made[2, 0] = np.nan
    with pytest.raises(PartError) as caught:
        check_finite(made, view, "mine", [4, 5, 6], grouped=False)
    assert str(caught.value) == (
        "attack mine: makes holder 6 send nan in round 7; "
        "allowed: finite numbers of float32, at most 3.4e+38, and a finite norm"
    )


def test_repeats_are_counted_among_the_messages_that_are_known_and_the_rows_before():
    world = make_world()
    known = world.message(0, world.chain_id, 1)
    (copy,) = vectors_of([known], len(known.direction))
    other, nothing = np.roll(copy, 1), np.zeros_like(copy)
    rows = np.array([copy, other, 2.0 * other, nothing, copy, nothing, other])
    assert repeats(rows, "int16", [known]) == [1, 0, 1, 0, 2, 0, 2]
    assert repeats(rows[:1], "int16", []) == [0]


def test_a_vector_of_a_message_is_what_the_holder_sent():
    world = make_world()
    sent = [world.message(holder, world.chain_id, 1) for holder in range(3)]
    rows = vectors_of(sent, len(sent[0].direction))
    norms = [message.norm for message in sent]
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), norms, rtol=1e-3)
    assert vectors_of([], 7).shape == (0, 7)


def test_the_rule_that_an_adversary_tries_is_that_of_the_run():
    rows = np.random.default_rng(0).standard_normal((7, 31))
    state = State(np.zeros(31), {})
    mean = Adversary(small(aggregation={"kind": "mean"}), keep=1).rule_at(state)
    np.testing.assert_allclose(mean(rows), rows.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(mean(np.vstack([rows, 0 * rows])), mean(rows) / 2)
    np.testing.assert_allclose(mean(np.vstack([rows, np.inf * rows])), mean(rows))
    nearest = Adversary(
        small(aggregation={"kind": "l_nearest", "keep": 1, "scale": "unit"}), keep=1
    )
    assert np.linalg.norm(nearest.rule_at(state)(rows)) == pytest.approx(1.0, abs=1e-3)


LAB = """
import numpy as np
def odd(view, *, value: str = "0"):
    views.append(view)
    return np.full(view.own.shape, float(value))
views = []
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    (tmp_path / "odd_attack_lab.py").write_text(LAB)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_attack_lab", raising=False)
    return lambda: sys.modules["odd_attack_lab"]


def decided(value: float, dtype: str, knowledge: str = "omniscient"):
    """Return honest messages before and after colluders send ``value``, and what they send."""
    attack = {
        "kind": "odd_attack_lab:odd",
        "holders": [3, 4],
        "knowledge": knowledge,
        "value": str(value),
    }
    adversary = Adversary(small(attacks=[attack], aggregation={"kind": "median"}), keep=1)
    world = make_world()
    cohort = {holder: world.message(holder, world.chain_id, 1) for holder in range(3)}
    before = [(each.direction.copy(), each.norm) for each in cohort.values()]
    rows = np.random.default_rng(0).standard_normal((2, 12)).astype(dtype)
    cohort |= {3: Withheld({3: rows[0]}, clean={3: rows[0]})}
    cohort |= {4: Withheld({4: rows[1]}, clean={4: rows[1]})}
    adversary.listen([3], world.chain_id, 1)
    state, last = State(np.zeros(12), {}), [world.message(3, world.chain_id, 1)]
    found = adversary.decide(3, cohort, parent=world.chain_id, state=state, previous=lambda: last)
    after = [(cohort[holder].direction, cohort[holder].norm) for holder in range(3)]
    return before, after, found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [0.0, 1e-120, 1e-40, 1e30])
def test_rows_of_odd_size_change_no_honest_message(value, dtype, lab):
    before, after, found = decided(value, dtype)
    assert all(
        np.array_equal(a, b) and n == m for (a, n), (b, m) in zip(before, after, strict=True)
    )
    assert found.keys() == {3, 4}
    assert all((each.rows[k] == np.array(value, dtype)).all() for k, each in found.items())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e308])
def test_rows_without_a_finite_norm_are_named_with_attack_holder_and_round(value, dtype, lab):
    with pytest.raises(
        PartError, match=r"odd_attack_lab:odd: makes holder 3 send .* in round 1; allowed"
    ):
        decided(value, dtype)


@pytest.mark.parametrize("knowledge", ["own", "omniscient"])
def test_the_response_is_the_rule_on_what_is_known_and_the_attackers_rows(knowledge, lab):
    decided(1.0, "float32", knowledge)
    (view,) = lab().views
    tried = np.random.default_rng(1).standard_normal((2, 12))
    every = np.concatenate([view.known, tried])
    np.testing.assert_allclose(view.response(tried), view.rule(every), atol=1e-4)
    np.testing.assert_array_equal(view.response(tried), view.response(tried))
    assert len(every) == (5 if knowledge == "omniscient" else 4)


def test_an_adversary_knows_the_number_of_holders_and_the_messages_of_the_parent_block(lab):
    decided(1.0, "float32")
    (view,) = lab().views
    assert view.holders == 10
    world = make_world()
    wanted = vectors_of([world.message(3, world.chain_id, 1)], 12)
    np.testing.assert_array_equal(view.previous(), wanted)
