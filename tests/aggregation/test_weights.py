"""Means weighted by numbers of records, against exact fractions and against plain floats."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rules import received, sent, some_rows, whole, with_zeros

from fedchain.aggregation import aggregations, scaled
from fedchain.aggregation.directions import Directions
from fedchain.aggregation.settling import settled_rule
from fedchain.aggregation.weights import CAPPED, counted, weights_in_words
from fedchain.errors import ScenarioError
from fedchain.registry import Part

RULES = st.sampled_from([{"kind": "mean"}, {"kind": "l_nearest", "keep": 5}])
SCALES = st.sampled_from(["restore", "unit", "median_clip"])
WEIGHTS = st.sampled_from(["records", CAPPED])
STORAGES = st.sampled_from(["int8", "int16", "int32"])


def built(block, given_):
    return aggregations.build(aggregations.check(block), given_)


def counts_by_hand(records: list[int], weights: object) -> list[Fraction]:
    ordered, half = sorted(records), len(records) // 2
    middle = Fraction(ordered[half] + ordered[-half - 1], 2)
    return [min(Fraction(n), middle) if weights == CAPPED else Fraction(n) for n in records]


def one_rounding_at_a_time(rows, factors, counts, used) -> list[float]:
    """Return the weighted mean: exact fractions, each operation rounded to the nearest float."""
    total, gradient = sum(counts[k] for k in used), []
    ratios = [Fraction(float(len(used) * count / total)) for count in counts]
    scales = [Fraction(float(Fraction(s) * r)) for s, r in zip(factors, ratios, strict=True)]
    for place in range(len(rows[0])):
        value = Fraction(0)
        for k in used:
            value = Fraction(float(value + Fraction(float(rows[k][place] * scales[k]))))
        gradient.append(float(value / (len(used) * 2**20)))
    return gradient


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 12), RULES, SCALES, WEIGHTS, STORAGES)
def test_a_weighted_mean_is_that_of_fractions_rounded_one_by_one(
    seed, count, rule, scale, weights, storage
):
    directions = sent(some_rows(seed, count, 15), seed, storage)
    generator = np.random.default_rng(seed)
    if seed % 3 == 0:
        directions = with_zeros(directions, 0)
    norms = generator.lognormal(size=count) * [bool(e) for e in directions.exponents]
    records = generator.integers(1, 2 ** int(generator.integers(1, 32)), size=count)
    got = built(
        {**rule, "scale": scale, "weights": weights},
        received(directions, norms, records.astype(float)),
    )
    rows, counts = whole(directions), counts_by_hand(records.tolist(), weights)
    used, factors = np.flatnonzero(got.used).tolist(), scaled(norms, scale).tolist()
    assert got.gradient.tolist() == one_rounding_at_a_time(rows, factors, counts, used)
    shares = [counts[k] / sum(counts[j] for j in used) if k in used else 0 for k in range(count)]
    assert got.shares.tolist() == [float(share) for share in shares]
    exact = [
        float(sum(shares[k] * Fraction(factors[k]) * row[place] for k, row in enumerate(rows)))
        for place in range(15)
    ]
    np.testing.assert_allclose(got.gradient * 2**20, exact, rtol=1e-12, atol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 2**32 - 1), RULES, SCALES)
def test_equal_numbers_of_records_give_the_bits_of_the_mean_without_weights(
    seed, count, records, rule, scale
):
    directions = sent(some_rows(seed, count, 30), seed)
    norms = np.random.default_rng(seed).lognormal(size=count)
    alike = received(directions, norms, np.full(count, float(records)))
    plain = built({**rule, "scale": scale, "weights": "equal"}, alike)
    for weights in ("records", CAPPED, None):
        got = built({**rule, "scale": scale, "weights": weights}, alike)
        assert got.gradient.tobytes() == plain.gradient.tobytes()
        assert got.shares.tobytes() == plain.shares.tobytes()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(1, 20), RULES, SCALES, WEIGHTS)
def test_the_order_of_messages_changes_nothing_but_rounding(seed, count, rule, scale, weights):
    generator, rule = np.random.default_rng(seed), {**rule, "scale": scale, "weights": weights}
    directions, norms = sent(some_rows(seed, count, 20), seed), generator.lognormal(size=count)
    records, order = generator.integers(1, 1000, count).astype(float), generator.permutation(count)
    moved = Directions(
        tuple(directions.integers[k] for k in order), tuple(directions.exponents[k] for k in order)
    )
    straight = built(rule, received(directions, norms, records))
    shuffled = built(rule, received(moved, norms[order], records[order]))
    assert straight.shares[order].tobytes() == shuffled.shares.tobytes()
    np.testing.assert_allclose(straight.gradient, shuffled.gradient, rtol=0, atol=1e-12)


def test_a_holder_of_three_records_counts_three_times():
    rows = Directions.of(2**20 * np.eye(2))
    got = built({"kind": "mean", "weights": "records"}, received(rows, np.ones(2), np.r_[1.0, 3]))
    assert got.gradient.tolist() == [0.25, 0.75]
    assert got.shares.tolist() == [0.25, 0.75]


def test_nobody_counts_more_than_the_median_of_all_received_with_a_cap():
    records = np.array([1.0, 2.0, 5.0, 1e6])
    assert counted(records, CAPPED).tolist() == [1.0, 2.0, 3.5, 3.5]
    rows = 2**20 * np.array([[1, 0], [1, 0], [1, 0], [-1, 0]])
    near = {"kind": "l_nearest", "keep": 3, "weights": CAPPED}
    got = built(near, received(Directions.of(rows), np.ones(4), records))
    assert got.shares.tolist() == [1 / 6.5, 2 / 6.5, 3.5 / 6.5, 0.0]


def test_a_public_root_has_no_records_and_counts_only_if_it_is_alone():
    rows = Directions.of(2**20 * np.eye(3))
    got = built(
        {"kind": "mean", "weights": "records"}, received(rows, np.ones(3), np.r_[0.0, 1, 3])
    )
    assert got.shares.tolist() == [0.0, 0.25, 0.75]
    assert got.reasons == ("has no registered records", "", "")
    alone = received(Directions.of([[2**20, 0]]), np.ones(1), np.zeros(1))
    made = built({"kind": "l_nearest", "keep": 1, "weights": CAPPED}, alone)
    assert (made.gradient.tolist(), made.shares.tolist()) == ([1.0, 0.0], [1.0])


@pytest.mark.parametrize("weights", ["records", CAPPED])
def test_the_choice_of_the_nearest_does_not_depend_on_numbers_of_records(weights):
    directions, near = sent(some_rows(3)), {"kind": "l_nearest", "keep": 9}
    records = np.random.default_rng(0).integers(1, 1000, 20).astype(float)
    given_ = received(directions, np.ones(20), records)
    plain, got = built(near, given_), built({**near, "weights": weights}, given_)
    assert got.used.tolist() == plain.used.tolist()
    assert got.cosines.tobytes() == plain.cosines.tobytes()


def test_weights_have_one_spelling():
    def checked(weights):
        return aggregations.check({"kind": "mean", "weights": weights}).parameters["weights"]

    assert [checked(w) for w in (None, "equal", "records")] == [None, "equal", "records"]
    assert checked({"kind": "records"}) == checked({"kind": "records", "cap": None}) == "records"
    assert checked({"kind": "records", "cap": "median"}) == CAPPED
    for wrong in ("record", 3, True, [], {"kind": "equal"}, {"kind": "records", "cap": 5}, {}):
        with pytest.raises(ScenarioError, match="must be equal, records or "):
            checked(wrong)


@pytest.mark.parametrize(
    ("weights", "records", "stated"),
    [
        (None, (5, 5, 5), "equal"),
        (None, (5, 5, 6), "records"),
        (None, (), "equal"),  # identities are open
        ("equal", (5, 6), "equal"),
        ("records", (5, 5), "records"),
        (CAPPED, (5, 6), CAPPED),
    ],
)
def test_weights_that_a_scenario_leaves_open_follow_from_the_registered_numbers(
    weights, records, stated
):
    part = settled_rule(Part("mean", {"scale": "unit", "weights": weights}), records)
    assert part.parameters == {"scale": "unit", "weights": stated}
    assert weights_in_words(stated).startswith("equal" if stated == "equal" else "records")


def test_a_rule_without_weights_stays_as_it_is():
    part = Part("median", {"scale": "unit"})
    assert settled_rule(part, (1, 2)) == part
