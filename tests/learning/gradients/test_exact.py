"""Exact gradients: products against fractions, gradients against torch in float64, refusals."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from small_tasks import TASKS, table_task
from torch import nn

from fedchain.elementary import exponentials
from fedchain.errors import ScenarioError
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.gradients.exact_products import exact_product, halve, squares
from fedchain.learning.models import mlp

SIZES, CLIP = (7, 12, 5), 0.4
TANH = lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3, bias=False))  # noqa: E731
MODELS = {
    "logistic": TASKS["logistic"],
    "mlp": TASKS["mlp"],
    "tanh": lambda sizes: table_task(TANH, sizes),
}


def random_rows(rows, entries, seed=0):
    draw = np.random.default_rng(seed)
    return draw.standard_normal((rows, entries)) * 2.0 ** draw.integers(-9, 9, (rows, 1))


def weights_of(task):
    start = flat_weights(task.model())
    return start + 0.5 * np.random.default_rng(2).standard_normal(start.shape)


@pytest.mark.parametrize("entries", [1, 2, 64, 1000, 4096])
def test_a_product_is_near_the_exact_one(entries):
    one, other = random_rows(3, entries), random_rows(4, entries, 1)
    found = exact_product(one, other)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            true = sum((Fraction(x) * Fraction(y) for x, y in zip(a, b, strict=True)), Fraction())
            largest = Fraction(np.abs(a).max()) * Fraction(np.abs(b).max()) * entries
            assert abs(Fraction(found[i, j]) - true) <= largest / 2**38


@pytest.mark.parametrize("entries", [3, 64, 1000])
def test_the_order_of_the_terms_changes_no_bit(entries):
    one, other = random_rows(5, entries), random_rows(4, entries, 1)
    order = np.random.default_rng(3).permutation(entries)
    assert (
        exact_product(one, other).tobytes()
        == exact_product(one[:, order], other[:, order]).tobytes()
    )
    assert squares(one).tobytes() == squares(one[:, order]).tobytes()


def test_halves_are_whole_numbers_that_can_be_added_up_exactly():
    for entries in (2, 64, 4096):
        a = halve(random_rows(3, entries))
        assert (a.high == np.rint(a.high)).all()
        assert (a.low == np.rint(a.low)).all()
        most = max(np.abs(a.high).max(), np.abs(a.low).max())
        assert entries * most * most <= 2.0**53


def test_a_row_of_zeros_has_the_product_zero():
    assert not exact_product(np.zeros((2, 5)), random_rows(3, 5)).any()
    assert not squares(np.zeros((2, 5))).any()


def test_exponentials_are_right_to_the_last_bits():
    import mpmath

    values = np.concatenate([np.linspace(-700, 700, 997), np.linspace(-1, 1, 101)])
    with mpmath.workdps(40):
        for value, found in zip(values.tolist(), exponentials(values).tolist(), strict=True):
            true = mpmath.exp(mpmath.mpf(value))
            assert abs(mpmath.mpf(found) - true) <= 1e-15 * true
    assert exponentials(np.array([-800.0, 800.0])).tolist() == [0.0, np.inf]


@pytest.mark.parametrize("options", [{}, {"unit": "holder"}, {"automatic": True}])
@pytest.mark.parametrize("clip", [None, CLIP])
@pytest.mark.parametrize("name", MODELS)
def test_exact_gradients_are_those_of_torch_in_float64(name, clip, options):
    task = MODELS[name](SIZES)
    weights = weights_of(task)
    exact = CohortGradients(task, clip, exact=True, **options)
    known = CohortGradients(task, clip, dtype=torch.float64, **options)
    assert exact.method == "exact"
    expected = known(weights, range(3)).copy()
    np.testing.assert_allclose(exact(weights, range(3)), expected, rtol=1e-7, atol=1e-10)


def test_a_holder_has_the_same_bits_alone_and_with_others():
    task = TASKS["mlp"](SIZES)
    gradients, weights = CohortGradients(task, CLIP, exact=True), weights_of(task)
    rows = gradients(weights, range(3)).copy()
    assert gradients.twin()(weights, [1])[0].tobytes() == rows[1].tobytes()


def test_many_examples_are_added_up_in_pieces(monkeypatch):
    task = TASKS["mlp"](SIZES)
    weights = weights_of(task)
    whole = CohortGradients(task, CLIP, exact=True)(weights, range(3)).copy()
    monkeypatch.setattr("fedchain.learning.gradients.exact.EXACT_PIECE", 3)
    pieces = CohortGradients(task, CLIP, exact=True)(weights, range(3))
    np.testing.assert_allclose(pieces, whole, rtol=1e-9, atol=1e-12)


def test_an_example_whose_gradient_overflows_becomes_zero():
    task = TASKS["mlp"](SIZES)
    inputs = task.holders[0].inputs.copy()
    inputs[2] = 1e38
    weights = weights_of(task) * 1e300
    spoilt = (replace(task.holders[0], inputs=inputs), *task.holders[1:])
    row = CohortGradients(replace(task, holders=spoilt), CLIP, exact=True)(weights, [0])[0]
    assert np.isfinite(row).all()


def convolution():
    return nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


class Doubled(nn.Sequential):
    def forward(self, inputs):
        return 2 * super().forward(inputs)


def hooked():
    model = mlp((6,), 3, hidden=[4])
    model[1].register_forward_hook(lambda _, __, left: 3 * left)
    return model


def other_loss(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets, reduction="none") * 2


REFUSED = {
    "a convolution": ({"model": convolution}, "layer 0 is a Unflatten"),
    "a class of its own": (
        {"model": lambda: Doubled(*mlp((6,), 3, hidden=[4]))},
        "layer of the model is a Doubled",
    ),
    "a hook": ({"model": hooked}, "the model computes something beside its layers"),
    "an activation at the end": (
        {"model": lambda: nn.Sequential(nn.Linear(6, 3), nn.ReLU())},
        "that ends with Linear",
    ),
    "a loss of one's own": ({"loss": other_loss}, "the task's loss is not cross_entropy"),
    "views": ({"views": 1 + 1}, "records have several examples"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_exact_is_refused_with_the_reason(name):
    values, reason = REFUSED[name]
    task = replace(TASKS["mlp"](SIZES), **values)
    with pytest.raises(ScenarioError) as refused:
        CohortGradients(task, CLIP, exact=True)
    assert str(refused.value).startswith("engine.exact: must be false where ")
    assert reason in str(refused.value)
    assert str(refused.value).count("\n") == 0
