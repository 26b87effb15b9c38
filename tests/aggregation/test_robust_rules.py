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
    "dnc": ({"byzantine": FEW}, lambda rows, _: plain.dnc(rows, FEW, 1)),
    "caf": ({"byzantine": FEW}, lambda rows, _: plain.caf(rows, FEW)),
}
EIGEN = {"dnc", "caf", "smea"}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("kind", PLAIN)
def test_a_rule_is_its_slow_loop(kind, first, name):
    options, rule = PLAIN[kind]
    if (first, name) == ("clipping, nnm", "zero"):
        pytest.skip("all are equally far from the zero: rounding decides who is its neighbour")
    for scale in ("restore", "unit"):
        whole, norms = bad_rows(name, 3)
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
