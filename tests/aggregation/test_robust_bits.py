"""Robust rules have the same bits everywhere, and no message changes what another one counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import bits_of_rules
import kernels
import numpy as np
import pytest
from plain_rules import quantised, received, some_rows
from test_aggregation_rules import block_of

from fedchain.aggregation import aggregations
from fedchain.aggregation.directions import Directions
from fedchain.ordered import applied, leading_eigenvector, ordered_sum, product

SCRIPT = Path(bits_of_rules.__file__)
OLD = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": kernels.numpy_instructions(),
    "FEDCHAIN_NATIVE": "0",
}
"""Variables that take the instructions of newer processors from BLAS and numpy, and the kernels."""


def test_every_rule_has_the_same_bits_with_the_instructions_of_an_old_processor():
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(
        [sys.executable, SCRIPT],
        env={**os.environ, "PYTHONPATH": path, **OLD},
        capture_output=True,
        text=True,
        check=True,
    )
    rules = bits_of_rules.blocks()
    pairs = zip(rules, json.loads(done.stdout), bits_of_rules.hashes(), strict=True)
    assert [rule for rule, old, new in pairs if old != new] == []


def test_sums_and_products_are_added_one_after_the_other():
    generator = np.random.default_rng(3)
    left, right = generator.lognormal(0, 9, (7, 23)), generator.lognormal(0, 9, (23, 5))
    expected = np.zeros((7, 5))
    for i in range(7):
        for j in range(5):
            total = left[i, 0] * right[0, j]
            for k in range(1, 23):
                total = total + left[i, k] * right[k, j]
            expected[i, j] = total
    assert product(left, right).tobytes() == expected.tobytes()
    assert applied(left, right[:, 2]).tobytes() == expected[:, 2].tobytes()
    total = 0.0
    for value in left[0]:
        total += value
    assert ordered_sum(left[0]) == total


def test_the_leading_eigenvector_is_that_of_numpy_up_to_its_sign_and_length():
    generator = np.random.default_rng(0)
    some = generator.normal(size=(6, 12, 12))
    gram = some @ some.transpose(0, 2, 1)
    vectors, values = leading_eigenvector(gram)
    wanted, right = np.linalg.eigh(gram)
    np.testing.assert_allclose(values, wanted[:, -1], rtol=1e-12)
    for vector, expected in zip(vectors, right[:, :, -1], strict=True):
        cosine = vector @ expected / np.linalg.norm(vector)
        assert abs(cosine) == pytest.approx(1, abs=1e-10)
    assert leading_eigenvector(np.zeros((3, 3)))[1] == 0.0


ROBUST = ("dnc", "caf", "mda", "smea", "mean_around_median", "trimmed_mean", "median")
BOUNDED = (*ROBUST, "geometric_median", "centred_clipping")


@pytest.mark.parametrize("kind", BOUNDED)
def test_a_message_as_long_as_float64_allows_moves_a_rule_no_farther_than_a_long_one(kind):
    rows, found = Directions.of(some_rows(6, 12, 40)), []
    for length in (1e6, 1e150, 1e308):
        norms = np.ones(12)
        norms[5] = length
        rule = {**block_of(kind, scale="restore"), **({"byzantine": 2} if kind == "smea" else {})}
        made = aggregations.build(aggregations.check(rule), received(rows, norms))
        assert np.isfinite(made.gradient).all()
        assert np.isfinite(made.scores).all()
        found.append(made)
    for each in found[1:] if kind != "dnc" else []:  # what else dnc leaves out is close to a tie
        np.testing.assert_allclose(each.gradient, found[0].gradient, rtol=0, atol=1e-5)
    if kind in ("dnc", "caf", "mda", "smea"):
        assert found[2].shares[5] == 0.0
        assert found[2].reasons[5] != ""
        assert found[2].used.sum() == found[0].used.sum()


def test_subnormal_norms_are_norms_like_others():
    rows = Directions.of(some_rows(6, 12, 40))
    for kind in BOUNDED:
        part = aggregations.check(block_of(kind))
        tiny = aggregations.build(part, received(rows, np.full(12, 1e-310)))
        usual = aggregations.build(part, received(rows, np.full(12, 1.0)))
        np.testing.assert_allclose(tiny.shares, usual.shares, atol=1e-9)


@pytest.mark.parametrize("kind", ["dnc", "caf", "mda", "smea", "geometric_median"])
def test_equal_rows_that_collude_get_equal_shares_and_scores(kind):
    rows = quantised(np.random.default_rng(1).normal(1, 1, (12, 30)))
    rows[[2, 7]] = -rows[0]
    byzantine = {"byzantine": 2} if kind != "geometric_median" else {}
    part = aggregations.check({**block_of(kind), **byzantine})
    made = aggregations.build(part, received(Directions.of(rows), np.ones(12)))
    assert made.shares[2] == made.shares[7]
    assert made.scores[2] == made.scores[7]
