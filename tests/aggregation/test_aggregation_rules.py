"""What every rule must keep to, also one that is added tomorrow."""

from __future__ import annotations

import numpy as np
import pytest
from plain_rules import sent, some_rows

from fedchain.aggregation import aggregations
from fedchain.aggregation import directions as sharing
from fedchain.aggregation.directions import Directions
from fedchain.registry import AtMost, bound_problems, parameters

REQUIRED = {"l_nearest": {"keep": 12}, "krum": {"byzantine": 3}, "trimmed_mean": {"trim": 4}}
EXTRA = {"krum": {"keep": 5}}


def built(kind, directions, norms):
    block = {"kind": kind, **REQUIRED.get(kind, {}), **EXTRA.get(kind, {})}
    return aggregations.build(aggregations.check(block), directions, norms)


@pytest.mark.parametrize("kind", aggregations.names())
def test_every_rule_ignores_the_order_of_arrival_but_for_rounding(kind):
    rows, norms = some_rows(6), np.linspace(1.0, 2.0, 20)
    order = np.random.default_rng(0).permutation(20)
    straight = built(kind, Directions.of(rows), norms)
    shuffled = built(kind, Directions.of(rows[order]), norms[order])
    assert np.array_equal(straight.used[order], shuffled.used)
    np.testing.assert_allclose(straight.gradient, shuffled.gradient, rtol=0, atol=1e-12)
    assert straight.gradient.shape == (300,)
    assert straight.cosines.shape == (20,)


@pytest.mark.parametrize("kind", aggregations.names())
def test_the_shares_of_every_rule_add_up_to_one_and_those_of_nothing_have_a_reason(kind):
    made = built(kind, Directions.of(some_rows(6)), np.linspace(1.0, 2.0, 20))
    assert made.shares.sum() == pytest.approx(1)
    assert [reason == "" for reason in made.reasons] == (made.shares > 0).tolist()


@pytest.mark.parametrize("kind", aggregations.names())
def test_no_rule_shows_how_many_threads_or_blocks_there_were(kind, monkeypatch):
    directions, norms = sent(some_rows(2, 20, 9000), storage="int16"), np.linspace(1.0, 2.0, 20)
    alone = built(kind, directions, norms)
    monkeypatch.setattr(sharing, "SMALL", 0)
    for threads, block in [(2, 100_000), (5, 1000), (8, 30_000)] * 3:
        monkeypatch.setattr(sharing, "THREADS", threads)
        monkeypatch.setattr(sharing, "BLOCK_ENTRIES", block)
        shared = built(kind, directions, norms)
        assert shared.gradient.tobytes() == alone.gradient.tobytes()
        assert shared.shares.tobytes() == alone.shares.tobytes()
        assert shared.cosines.tobytes() == alone.cosines.tobytes()


@pytest.mark.parametrize("kind", aggregations.names())
def test_every_rule_gives_the_same_for_the_same_numbers_in_other_storage(kind):
    narrow, norms = sent(some_rows(2, 20, 500), storage="int16"), np.linspace(1.0, 2.0, 20)
    wide = Directions.of(np.asarray(narrow))
    assert (
        built(kind, narrow, norms).gradient.tobytes() == built(kind, wide, norms).gradient.tobytes()
    )


@pytest.mark.parametrize("kind", aggregations.names())
def test_every_rule_leaves_what_it_was_given_alone(kind):
    directions, norms = sent(some_rows(2, 20, 500)), np.linspace(1.0, 2.0, 20)
    before = np.asarray(directions)
    built(kind, directions, norms)
    assert np.array_equal(np.asarray(directions), before)
    assert norms.tolist() == np.linspace(1.0, 2.0, 20).tolist()


@pytest.mark.parametrize("kind", REQUIRED)
def test_what_has_no_default_is_asked_for_and_bounded_by_those_asked(kind):
    block = {"kind": kind, **dict.fromkeys(REQUIRED[kind], 20), **EXTRA.get(kind, {})}
    asked = parameters(aggregations.find(kind)).values()
    marks = [
        m for p in asked for m in getattr(p.annotation, "__metadata__", ()) if isinstance(m, AtMost)
    ]
    assert {mark.key for mark in marks} == {"nodes.asked"}
    part, asked = aggregations.check(block), {"nodes": {"asked": 4}}
    assert len(list(bound_problems(part, aggregations, asked))) == len(marks)
