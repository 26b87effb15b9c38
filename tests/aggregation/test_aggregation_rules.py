"""What every rule must keep to, also one that is added tomorrow."""

from __future__ import annotations

import numpy as np
import pytest
from plain_rules import received, sent, some_rows, with_zeros

from fedchain.aggregation import aggregations
from fedchain.aggregation import directions as sharing
from fedchain.aggregation.directions import Directions
from fedchain.registry import bound_problems, parameters

REQUIRED = {"l_nearest": {"keep": 12}, "smea": {"byzantine": 1}}
BOUNDED = {"byzantine": 3, "trim": 4}
WITH_ROOT = (np.arange(20) < 19).astype(np.float64)  # the last message is the public root's
EXTRA = {"krum": {"keep": 5}}


def block_of(kind, **options):
    if kind == "average_of":
        return {"kind": kind, "rules": [block_of(each, **options) for each in ("dnc", "median")]}
    own = parameters(aggregations.find(kind))
    known = {name: value for name, value in BOUNDED.items() if name in own}
    return {"kind": kind, **known, **REQUIRED.get(kind, {}), **EXTRA.get(kind, {}), **options}


def built(kind, directions, norms, records=None, **options):
    if kind == "fltrust" and records is None:
        records = WITH_ROOT
    part = aggregations.check(block_of(kind, **options))
    return aggregations.build(part, received(directions, norms, records))


@pytest.mark.parametrize("kind", aggregations.names())
def test_every_rule_ignores_the_order_of_arrival_but_for_rounding(kind):
    rows, norms = some_rows(6), np.linspace(1.0, 2.0, 20)
    order = np.random.default_rng(0).permutation(20)
    straight = built(kind, Directions.of(rows), norms)
    records = WITH_ROOT[order] if kind == "fltrust" else None
    shuffled = built(kind, Directions.of(rows[order]), norms[order], records)
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


@pytest.mark.parametrize("kind", aggregations.names())
def test_a_block_of_gradients_that_are_all_zero_gives_the_gradient_zero(kind):
    zeros = with_zeros(sent(some_rows(2, 20, 300)), *range(20))
    for scale in ("restore", "unit", "median_clip"):
        made = built(kind, zeros, np.zeros(20), scale=scale)
        assert made.gradient.tobytes() == np.zeros(300).tobytes()
        assert made.cosines.tolist() == [0.0] * 20
        assert made.shares.sum() == pytest.approx(0 if kind == "fltrust" else 1)


@pytest.mark.parametrize("kind", aggregations.names())
def test_a_gradient_of_zero_has_cosine_zero_and_leaves_all_other_cosines(kind):
    rows, norms = sent(some_rows(2, 20, 300)), np.linspace(1.0, 2.0, 20)
    fewer = Directions(rows.integers[2:], rows.exponents[2:])
    zeros = np.where(np.arange(20) < 2, 0.0, norms)
    records = WITH_ROOT[2:] if kind == "fltrust" else None
    made = built(kind, with_zeros(rows, 0, 1), zeros)
    without = built(kind, fewer, norms[2:], records)
    assert made.cosines[:2].tolist() == [0.0, 0.0]
    assert made.cosines[2:].tobytes() == without.cosines.tobytes()
    assert np.isfinite(made.gradient).all()


def test_the_mean_divides_by_all_messages_also_by_gradients_of_zero():
    rows = with_zeros(Directions.of(2**20 * np.eye(4)), 3)
    made = built("mean", rows, np.array([4.0, 8.0, 12.0, 0.0]))
    assert made.gradient.tolist() == [1.0, 2.0, 3.0, 0.0]
    assert made.shares.tolist() == [0.25] * 4


NUMBERS = [(kind, name) for kind in aggregations.names() for name in ("byzantine", "trim", "keep")]
NUMBERS = [(kind, name) for kind, name in NUMBERS if name in parameters(aggregations.find(kind))]


@pytest.mark.parametrize(("kind", "name"), NUMBERS)
def test_a_number_of_messages_is_bounded_by_those_asked(kind, name):
    part = aggregations.check({**block_of(kind), name: 20})
    problems = list(bound_problems(part, aggregations, {"nodes": {"asked": 4}}))
    assert name in {problem.key for problem in problems}
