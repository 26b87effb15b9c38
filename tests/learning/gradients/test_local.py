"""Local training, against a slow loop and against torch's own steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference_gradients import slow_row
from small_tasks import TASKS

from fedchain.learning.evaluation import flat_weights, load_weights
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.gradients.local import Batches, shuffled, train_locally
from fedchain.learning.task import Records
from fedchain.randomness import stream
from fedchain.scenario import Local

CLIP, SIZES = 0.4, (7, 12, 5)


def all_records(step: int) -> None:
    """Every record takes part in every step."""


def weights_of(task, scale=0.5):
    start = flat_weights(task.model())
    return start + scale * np.random.default_rng(2).standard_normal(start.shape)


@pytest.mark.parametrize("unit", ["record", "holder"])
@pytest.mark.parametrize("name", sorted(TASKS))
def test_one_step_is_the_gradient_bit_for_bit(name, unit):
    task = TASKS[name](SIZES)
    gradients, weights = CohortGradients(task, CLIP, unit), weights_of(task)
    expected = gradients(weights, [0, 2, 1]).copy()
    one = Local(steps=1, learning_rate=0.3)
    clean, sent = train_locally(gradients, weights, [0, 2, 1], one, all_records)
    assert clean.tobytes() == sent.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["logistic", "mlp", "u-net"])
def test_the_sum_is_that_of_a_slow_loop(name):
    task = TASKS[name](SIZES)
    gradients = CohortGradients(task, CLIP, dtype=torch.float64)
    weights, local = weights_of(task), Local(steps=4, learning_rate=0.3)
    rows, _ = train_locally(gradients, weights, range(3), local, all_records)
    for row, records in zip(rows, task.holders, strict=True):
        own, total = weights.copy(), np.zeros_like(weights)
        for _ in range(4):
            step = slow_row(task, own, records, CLIP)
            total, own = total + step, own - 0.3 * step
        np.testing.assert_allclose(row, total, rtol=1e-6, atol=1e-9)


def test_a_holder_ends_where_stochastic_gradient_descent_of_torch_ends():
    task, local = TASKS["mlp"](SIZES), Local(steps=6, learning_rate=0.2, batch=3)
    gradients = CohortGradients(task, None, dtype=torch.float64)
    weights = weights_of(task)
    drawn = Batches(local, 5, 2, range(3), SIZES)
    rows, _ = train_locally(gradients, weights, range(3), local, drawn)
    for holder, records in enumerate(task.holders):
        module = task.model().double()
        load_weights(module, weights)
        descent = torch.optim.SGD(module.parameters(), lr=0.2)
        order = shuffled(SIZES[holder], 3, stream(5, "batches", holder, 2))
        for _, flags in zip(range(6), order, strict=False):
            inputs = torch.from_numpy(records.inputs[flags]).double()
            descent.zero_grad()
            task.loss(module(inputs), torch.from_numpy(records.targets[flags])).mean().backward()
            descent.step()
        moved = (weights - flat_weights(module)) / 0.2
        np.testing.assert_allclose(rows[holder], moved, rtol=1e-8, atol=1e-10)


def test_a_holder_as_the_unit_has_its_sum_clipped_and_no_step():
    task, local = TASKS["mlp"](SIZES), Local(steps=5, learning_rate=0.3)
    weights = weights_of(task, 2.0)
    plain, _ = train_locally(CohortGradients(task, None), weights, range(3), local, all_records)
    norms = np.linalg.norm(plain, axis=1, keepdims=True)
    clip = float(norms.min() * 0.9)
    gradients = CohortGradients(task, clip, "holder")
    rows, _ = train_locally(gradients, weights, range(3), local, all_records)
    np.testing.assert_allclose(rows, plain * clip / norms, rtol=1e-5)


def test_a_holder_moves_by_what_has_noise_and_sends_the_sum_of_it():
    task, local = TASKS["mlp"](SIZES), Local(steps=3, learning_rate=0.5)
    gradients, seen = CohortGradients(task, CLIP), []
    noise = np.random.default_rng(0).standard_normal((3, 2, gradients.dimension))
    weights, means = weights_of(task), gradients.means

    def spy(own, holders, drawn=None):
        seen.append(own.copy())
        return means(own, holders, drawn)

    gradients.means = spy
    add = {"add_noise": lambda rows, step: rows + noise[step]}
    clean, sent = train_locally(gradients, weights, [0, 1], local, all_records, **add)
    np.testing.assert_allclose(sent - clean, noise.sum(axis=0), atol=1e-12)
    own = [weights] * 2
    for step in range(2):
        found = [means(own[k], [k])[0].copy() + noise[step, k] for k in range(2)]
        own = [at - 0.5 * moved for at, moved in zip(own, found, strict=True)]
        at = 1 + 2 * step
        np.testing.assert_allclose(seen[at : at + 2], own, rtol=1e-6, atol=1e-9)


def test_a_sum_does_not_depend_on_who_else_trains():
    task, local = TASKS["mlp"](SIZES), Local(steps=4, learning_rate=0.3, batch=4)
    gradients, weights = CohortGradients(task, CLIP), weights_of(task)
    drawn = Batches(local, 0, 1, range(3), SIZES)
    rows, _ = train_locally(gradients, weights, range(3), local, drawn)
    alone = Batches(local, 0, 1, [1], SIZES[1:2])
    (row,), _ = train_locally(gradients, weights, [1], local, alone)
    assert row.tobytes() == rows[1].tobytes()


def test_every_record_is_in_one_batch_of_a_shuffle():
    found = np.array([next(each) for each in [shuffled(10, 5, stream(0, "b"))] for _ in range(4)])
    assert (found.sum(axis=1) == 5).all()
    assert (found[:2].sum(axis=0) == 1).all()
    assert (found[2:].sum(axis=0) == 1).all()
    assert (found[0] != found[2]).any()


def test_a_shuffle_leaves_a_short_rest_to_nobody():
    found = [flags for flags, _ in zip(shuffled(7, 3, stream(0, "b")), range(20), strict=False)]
    assert [int(flags.sum()) for flags in found] == [3] * 20
    assert [int((one & two).sum()) for one, two in zip(found[::2], found[1::2], strict=True)] == [
        0
    ] * 10


def test_a_holder_with_few_records_takes_all_of_them_in_every_step():
    every = Batches(Local(steps=2, learning_rate=1.0, batch=32), 0, 1, [0, 1], [5, 40])
    drawn = every(0)
    assert drawn is not None
    assert (drawn.masks[0].all(), list(drawn.sizes)) == (True, [5, 32])


def test_batches_differ_between_holders_and_rounds_and_not_between_runs():
    def first(seed, round_, holder):
        local = Local(steps=1, learning_rate=1.0, batch=8)
        return Batches(local, seed, round_, [holder], [64])(0).masks[0].tobytes()

    places = [(0, 1, 0), (0, 2, 0), (0, 1, 1), (1, 1, 0)]
    assert len({first(*place) for place in places}) == 4
    assert first(0, 1, 0) == first(0, 1, 0)


def test_a_batch_counts_records_and_not_their_examples():
    tiles = Records(np.zeros((6, 6), np.float32), np.zeros(6, np.int64), np.arange(6) // 2)
    task = replace(TASKS["logistic"]((6, 6, 6)), holders=(tiles,))
    gradients = CohortGradients(task, CLIP)
    drawn = Batches(Local(steps=1, learning_rate=1.0, batch=2), 0, 1, [0], [tiles.count])(0)
    row = gradients.means(weights_of(task), [0], drawn)[0]
    alone = slow_row(task, weights_of(task), tiles.part(drawn.masks[0]), CLIP)
    np.testing.assert_allclose(row, alone, rtol=1e-4, atol=1e-7)


def test_what_diverges_is_not_finite_and_warns_of_nothing():
    task, local = TASKS["mlp"](SIZES), Local(steps=60, learning_rate=1e6)
    rows, _ = train_locally(CohortGradients(task, None), weights_of(task), [0], local, all_records)
    assert not np.isfinite(rows).all()
