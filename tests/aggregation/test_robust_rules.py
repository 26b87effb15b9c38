"""Robust rules against slow loops, ByzFL, and inputs that lead rules astray."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import plain_robust as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_rules import quantised, received

from fedchain.aggregation import aggregations
from fedchain.aggregation.directions import Directions
from fedchain.arrays import ONE

STORED = json.loads((Path(__file__).parent / "byzfl_values.json").read_text())
FEW = 2


def aggregate(kind, directions, norms, records=None, memory=None, **options):
    part = aggregations.check({"kind": kind, **options})
    heard = received(Directions.of(directions), norms, records, **(memory or {}))
    return aggregations.build(part, heard)


def bad_rows(name, seed, count=9, columns=7):
    """Return whole numbers, 2^20 times each direction, and norms: the first two are Byzantine."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(count, columns)) + 0.7
    if name == "colluding":
        rows[:2] = -1.5 * rows[2:].mean(axis=0) + 0.01 * generator.normal(size=(2, columns))
    elif name == "little":
        rows[:2] = rows[2:].mean(axis=0) - 0.9 * rows[2:].std(axis=0) * generator.uniform(0.9, 1, 1)
        rows[1] *= 1.001
    elif name == "long":
        rows[0] *= 1e5
        rows[1] *= -1e3
    elif name == "twins":
        rows[1] = rows[0] = -rows[2]
    norms = np.linalg.norm(rows, axis=1)
    whole = quantised(rows)
    if name == "zero":
        whole[1], norms[1] = 0.0, 0.0
    return whole, norms


CASES = ("random", "colluding", "little", "long", "twins", "zero")
FIRST = {
    "": (),
    "nnm": ({"kind": "nnm", "byzantine": FEW},),
    "bucketing": ({"kind": "bucketing", "size": 2},),
    "clipping": ({"kind": "norm_clipping"},),
    "clipping, nnm": ({"kind": "norm_clipping", "radius": 1.5}, {"kind": "nnm", "byzantine": 1}),
}
MIXED = {
    "": lambda rows: rows,
    "nnm": lambda rows: plain.nnm(rows, FEW),
    "bucketing": lambda rows: plain.bucketing(rows, 2),
    "clipping": lambda rows: plain.norm_clipping(rows, None),
    "clipping, nnm": lambda rows: plain.nnm(plain.norm_clipping(rows, 1.5), 1),
}
PLAIN = {
    "mean": ({}, lambda rows, _: rows.mean(axis=0)),
    "l_nearest": ({"keep": 4}, lambda rows, _: plain.l_nearest(rows, 4)),
    "krum": ({"byzantine": 1, "keep": 2}, lambda rows, _: plain.krum(rows, 1, 2)),
    "bulyan": ({"byzantine": 0}, lambda rows, _: plain.bulyan(rows, 0)),
    "median": ({}, lambda rows, _: np.median(rows, axis=0)),
    "trimmed_mean": ({"trim": FEW}, lambda rows, _: plain.trimmed_mean(rows, FEW)),
    "mean_around_median": (
        {"byzantine": FEW},
        lambda rows, _: plain.mean_around_median(rows, len(rows) - FEW),
    ),
    "geometric_median": (
        {"steps": 7, "smoothing": 0.05},
        lambda rows, unit: plain.geometric_median(rows, 0.05 * unit, 7),
    ),
    "centred_clipping": (
        {"steps": 3},
        lambda rows, _: plain.centred_clipping(rows, np.zeros(rows.shape[1]), None, 3),
    ),
    "mda": ({"byzantine": FEW}, lambda rows, _: plain.mda(rows, FEW)),
    "smea": ({"byzantine": FEW}, lambda rows, _: plain.smea(rows, FEW)),
    "dnc": (
        {"byzantine": 1, "iterations": 2},
        lambda rows, _: plain.dnc(rows, 1, 2),
    ),
    "caf": ({"byzantine": FEW}, lambda rows, _: plain.caf(rows, FEW)),
}
EIGEN = {"dnc", "caf", "smea"}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("kind", PLAIN)
def test_a_rule_is_its_slow_loop(kind, first):
    options, rule = PLAIN[kind]
    for number, name in enumerate(CASES):
        if (first, name) == ("clipping, nnm", "zero"):
            continue  # all are equally far from the zero: rounding decides who is its neighbour
        scale, (whole, norms) = ("restore", "unit")[number % 4 == 3], bad_rows(name, 3)
        made = aggregate(kind, whole, norms, scale=scale, first=list(FIRST[first]), **options)
        factors = norms if scale == "restore" else np.ones_like(norms)
        rows = MIXED[first](whole / ONE * factors[:, None])
        expected = rule(rows, np.median(factors))
        size = max(np.abs(expected).max(), 1e-6 * np.abs(rows).max())
        np.testing.assert_allclose(made.gradient, expected, rtol=0, atol=1e-6 * size)
        assert made.shares.sum() == pytest.approx(1)
        assert [reason == "" for reason in made.reasons] == (made.shares > 0).tolist()
        assert made.scores.shape == ((9,) if made.score else (0,))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(sorted(PLAIN)), st.sampled_from(sorted(FIRST)))
def test_a_rule_is_its_slow_loop_on_any_rows(seed, kind, first):
    options, rule = PLAIN[kind]
    whole, norms = bad_rows("random", seed, columns=30)
    made = aggregate(kind, whole, norms, first=list(FIRST[first]), **options)
    expected = rule(MIXED[first](whole / ONE * norms[:, None]), np.median(norms))
    np.testing.assert_allclose(made.gradient, expected, rtol=0, atol=1e-6)


OF_BYZFL = {
    "median": {"kind": "median"},
    "trimmed_mean": {"kind": "trimmed_mean", "trim": FEW},
    "mean_around_median": {"kind": "mean_around_median", "byzantine": FEW},
    "geometric_median": {"kind": "geometric_median", "steps": 32, "smoothing": 0.001},
    "krum, neighbours of f + 1, directions": {"kind": "krum", "byzantine": FEW, "scale": "unit"},
    "multi-krum, neighbours of f + 1, directions": {
        "kind": "krum",
        "byzantine": FEW,
        "keep": 9 - FEW - 1,
        "scale": "unit",
    },
    "centred_clipping": {"kind": "centred_clipping", "radius": 1.5, "steps": 2},
    "mda": {"kind": "mda", "byzantine": FEW},
    "smea, 3000 power steps": {"kind": "smea", "byzantine": FEW},
    "caf, 3000 power steps, largest of those that count": {"kind": "caf", "byzantine": FEW},
    "norm_clipping": {"kind": "mean", "first": [{"kind": "norm_clipping", "radius": 2.0}]},
    "nnm, trimmed_mean": {"kind": "trimmed_mean", "trim": FEW, "first": list(FIRST["nnm"])},
    "nnm, caf, 3000 power steps, largest of those that count": {
        "kind": "caf",
        "byzantine": FEW,
        "first": list(FIRST["nnm"]),
    },
    "bucketing in order, median": {"kind": "median", "first": [{"kind": "bucketing"}]},
    "bucketing in order, geometric_median": {
        "kind": "geometric_median",
        "first": [{"kind": "bucketing"}],
    },
}


@pytest.mark.parametrize("case", STORED)
@pytest.mark.parametrize("rule", OF_BYZFL)
def test_a_rule_agrees_with_byzfl(rule, case):
    stored = STORED[case]
    made = aggregate(
        directions=np.array(stored["whole"]), norms=np.array(stored["norms"]), **OF_BYZFL[rule]
    )
    size = 1e-6 * max(1.0, np.abs(stored[rule]).max())
    np.testing.assert_allclose(made.gradient, stored[rule], rtol=0, atol=size)


@pytest.mark.parametrize("case", STORED)
def test_centred_clipping_goes_on_from_the_last_block(case):
    stored = STORED[case]
    whole, norms = np.array(stored["whole"]), np.array(stored["norms"])
    options = {"radius": 1.5, "steps": 2}
    before = aggregate("centred_clipping", whole, norms, **options)
    made = aggregate("centred_clipping", whole[::-1], norms[::-1], memory=before.memory, **options)
    expected = stored["centred_clipping, second block in reverse"]
    np.testing.assert_allclose(made.gradient, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", ["restore", "median_clip"])
@pytest.mark.parametrize("first", FIRST)
def test_fltrust_is_its_slow_loop(first, scale):
    whole, norms = bad_rows("colluding", 8, count=10)
    records = np.ones(10)
    records[6] = 0.0
    norms[6] *= 3.0
    made = aggregate("fltrust", whole, norms, records, scale=scale, first=list(FIRST[first]))
    others = np.delete(np.arange(10), 6)
    clipped = min(norms[6], np.median(norms)) if scale == "median_clip" else norms[6]
    expected = plain.fltrust(MIXED[first](whole[others] / ONE), whole[6] / ONE, clipped)
    np.testing.assert_allclose(made.gradient, expected, rtol=0, atol=1e-6)
    assert made.shares[6] == 0.0
    assert made.scores[6] == 1.0
    assert made.shares.sum() == pytest.approx(1)
    assert (made.shares[:2] == 0).all() or first != ""


def test_fltrust_takes_nothing_where_nobody_judges_or_nobody_agrees():
    whole, norms = bad_rows("random", 8)
    alone = aggregate("fltrust", whole, norms)
    assert not alone.gradient.any()
    assert set(alone.reasons) == {"no message of a public root is in the block"}
    against = np.array([[1, 0], [-1, 0], [0, 0]]) * ONE
    made = aggregate("fltrust", against, np.array([1.0, 2.0, 0.0]), np.array([0.0, 1.0, 1.0]))
    assert not made.gradient.any()
    assert made.reasons[1:] == ("does not point the way of the public root",) * 2


def test_the_average_of_rules_has_their_mean_and_each_memory():
    whole, norms = bad_rows("colluding", 4)
    kinds = ("dnc", "centred_clipping", "centred_clipping")
    rules = [{"kind": kind, "first": list(FIRST["nnm"])} for kind in kinds]
    rules[2]["steps"] = 3
    made = aggregate("average_of", whole, norms, rules=rules)
    parts = [aggregate(**rule, directions=whole, norms=norms) for rule in rules]
    np.testing.assert_allclose(made.gradient, np.mean([p.gradient for p in parts], axis=0))
    np.testing.assert_allclose(made.shares, np.mean([p.shares for p in parts], axis=0))
    assert set(made.memory) == {f"{n}/{name}" for n in (1, 2) for name in ("centre", "step")}
    again = aggregate("average_of", whole, norms, rules=rules, memory=made.memory)
    third = aggregate(**rules[2], directions=whole, norms=norms, memory=parts[2].memory)
    assert again.memory["2/centre"].tobytes() == third.memory["centre"].tobytes()


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("caf", {"byzantine": 5}, "caf: got 9 messages; byzantine: 5 needs at least 11"),
        ("bulyan", {"byzantine": 2}, "bulyan: got 9 messages; byzantine: 2 needs at least 11"),
        ("dnc", {"byzantine": 3, "iterations": 3}, "byzantine: 3 needs at least 10"),
        (
            "median",
            {"first": [{"kind": "nnm", "byzantine": 5}]},
            "nnm: got 9 messages; byzantine: 5 needs at least 11",
        ),
        (
            "mda",
            {"byzantine": 3, "first": [{"kind": "bucketing"}]},
            "mda: got 5 vectors after its pre-aggregations; byzantine: 3 needs at least 7",
        ),
    ],
)
def test_too_few_vectors_say_how_many_are_needed(kind, options, words):
    whole, norms = bad_rows("random", 8)
    with pytest.raises(ValueError, match=words):
        aggregate(kind, whole, norms, **options)


@pytest.mark.parametrize(("kind", "count", "few"), [("mda", 30, 6), ("smea", 24, 4)])
def test_more_subsets_than_can_be_compared_are_refused(kind, count, few):
    whole, norms = bad_rows("random", 8, count=count)
    with pytest.raises(
        ValueError, match=rf"{kind}: byzantine: {few} makes \d+ subsets of .* at most"
    ):
        aggregate(kind, whole, norms, byzantine=few)


@pytest.mark.parametrize("name", ["random", "colluding", "long"])
@pytest.mark.parametrize("few", [1, 3])
def test_bulyan_is_its_slow_loop_with_byzantine_vectors(few, name):
    whole, norms = bad_rows(name, 5, count=15)
    made = aggregate("bulyan", whole, norms, byzantine=few)
    expected = plain.bulyan(whole / ONE * norms[:, None], few)
    np.testing.assert_allclose(made.gradient, expected, rtol=0, atol=1e-6)
