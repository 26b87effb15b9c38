from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from reference_gradients import one_gradient, slow_row
from small_tasks import TASKS, grouped_records, table_task
from torch import nn

from fedchain.errors import PartError
from fedchain.learning.evaluation import flat_weights, load_weights
from fedchain.learning.gradients.clipping import clip_factors
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.gradients.layers import memory_format
from fedchain.learning.gradients.methods import by_layers
from fedchain.learning.models import mlp, softmax
from fedchain.learning.task import Records, Sampled, Task
from fedchain.machine import one_thread

CLIP = 0.4
SIZES = (7, 12, 5)


def random_weights(task: Task, scale: float = 0.5) -> np.ndarray:
    start = flat_weights(task.model())
    return start + scale * np.random.default_rng(2).standard_normal(start.shape)


def engine(task: Task, clip: float | None = CLIP, **options) -> CohortGradients:
    return CohortGradients(task, clip, **{"dtype": torch.float64, **options})


@pytest.fixture(params=sorted(TASKS))
def task(request) -> Task:
    return TASKS[request.param](SIZES)


def assert_rows_are_slow_rows(task: Task, clip: float | None, **options) -> None:
    weights = random_weights(task)
    rows = engine(task, clip, **options)(weights, range(len(SIZES)))
    for row, records in zip(rows, task.holders, strict=True):
        expected = slow_row(task, weights, records, clip, options.get("automatic", False))
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("automatic", [False, True])
def test_rows_are_the_mean_of_clipped_gradients_of_single_examples(task, automatic):
    assert_rows_are_slow_rows(task, CLIP, automatic=automatic)


@pytest.mark.parametrize("automatic", [False, True])
def test_rows_are_right_in_pieces_that_do_not_divide_the_records(task, automatic, monkeypatch):
    monkeypatch.setattr("fedchain.learning.gradients.cohort.PIECE", 3)
    monkeypatch.setattr("fedchain.learning.gradients.cohort.SEGMENTED", 3)
    assert_rows_are_slow_rows(task, CLIP, automatic=automatic)


def test_an_automatic_clip_of_a_holder_bounds_its_mean_gradient(task):
    weights = random_weights(task)
    plain = engine(task, None)(weights, [0]).copy()
    found = engine(task, CLIP, unit="holder", automatic=True)(weights, [0])
    expected = plain * CLIP / (np.linalg.norm(plain) + 0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("factors", [clip_factors, partial(clip_factors, automatic=True)])
def test_no_gradient_of_whatever_length_is_left_above_the_bound(factors, dtype):
    generator = np.random.default_rng(0)
    for clip in (1e-3, 0.4, 1.0, 30.0):
        exponents = generator.uniform(-44, 37, 2000)
        near = clip * (1 + generator.uniform(-1e-6, 1e-6, 2000))
        norms = torch.tensor(np.concatenate([[0.0], 10.0**exponents, near]), dtype=dtype)
        left = factors(norms, clip).double() * norms.double()
        assert left.max() <= clip
        assert torch.isfinite(left).all()
    assert factors(torch.tensor([math.inf, math.nan], dtype=dtype), 1.0).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("clip", [None, math.inf])
def test_without_a_clip_rows_are_plain_mean_gradients(task, clip):
    weights = random_weights(task)
    rows = engine(task, clip)(weights, [1])
    expected = slow_row(task, weights, task.holders[1], None)
    np.testing.assert_allclose(rows[0], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("piece", [2, 3, 100])
def test_a_record_of_several_examples_is_clipped_as_a_whole(task, piece, monkeypatch):
    monkeypatch.setattr("fedchain.learning.gradients.cohort.PIECE", piece)
    assert_rows_are_slow_rows(grouped_records(task, 3), CLIP)


@pytest.mark.parametrize("most", [3, 7, 12, 19, 20, 4096])
@pytest.mark.parametrize("name", ["mlp", "softmax"])
def test_holders_that_share_a_pass_have_the_rows_of_each_alone(name, most, monkeypatch):
    monkeypatch.setattr("fedchain.learning.gradients.cohort.SEGMENTED", most)
    for clip in (None, CLIP):
        assert_rows_are_slow_rows(TASKS[name](SIZES), clip)


@pytest.mark.parametrize("most", [3, 12, 4096])
@pytest.mark.parametrize("name", ["mlp", "logistic"])
def test_a_sampled_row_has_the_bits_of_the_holder_alone(name, most, monkeypatch):
    monkeypatch.setattr("fedchain.learning.gradients.cohort.SEGMENTED", most)
    task, generator = TASKS[name](SIZES), np.random.default_rng(3)
    gradients, weights = CohortGradients(task, CLIP), random_weights(task)
    for rate in (0.1, 0.7):
        masks = [generator.random(records.count) < rate for records in task.holders]
        masks[1][:] = False
        sizes = [rate * size for size in SIZES]
        rows = gradients(weights, range(len(SIZES)), Sampled(masks, sizes)).copy()
        assert not rows[1].any()
        for holder, mask in enumerate(masks):
            alone = gradients(weights, [holder], Sampled([mask], [sizes[holder]]))
            assert rows[holder].tobytes() == alone.tobytes()


def test_the_errors_of_all_sampled_holders_come_from_one_pass_backwards(monkeypatch):
    task, calls, grad = TASKS["mlp"](SIZES), [], torch.autograd.grad
    gradients, weights = CohortGradients(task, CLIP), random_weights(task)
    monkeypatch.setattr(torch.autograd, "grad", lambda *a: (calls.append(a), grad(*a))[1])
    masks = [np.ones(records.count, dtype=np.bool_) for records in task.holders]
    rows = gradients(weights, range(len(SIZES)), Sampled(masks, SIZES)).copy()
    assert len(calls) == 1
    np.testing.assert_allclose(rows, gradients(weights, range(len(SIZES))), rtol=1e-4, atol=1e-6)


def test_a_holder_as_the_unit_has_its_mean_clipped_as_a_whole(task):
    weights = random_weights(task)
    plain = engine(task, None)(weights, range(3))
    rows = engine(task, 0.05, unit="holder")(weights, range(3))
    for mean, row in zip(plain, rows, strict=True):
        np.testing.assert_allclose(row, mean * min(1, 0.05 / np.linalg.norm(mean)), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize(
    "name",
    ["logistic", "softmax", "mlp"]
    + [f"{wide}u-net{norm}" for wide in ("", "wide ") for norm in ("", " with group norm")],
)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_single_examples_are_those_of_opacus(name, order):
    from opacus.grad_sample import GradSampleModule

    task = TASKS[name]((6,))
    module = task.model().double()
    for layer in module.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False
    load_weights(module, random_weights(task))
    inputs = torch.from_numpy(task.holders[0].inputs).double()
    targets = torch.from_numpy(task.holders[0].targets)
    targets = targets.double() if targets.is_floating_point() else targets
    found = by_layers(module.to(memory_format=order), task.loss, inputs, targets)
    module.to(memory_format=torch.contiguous_format)  # Opacus is wrong with channels last
    wrapped = GradSampleModule(module, loss_reduction="sum")
    task.loss(wrapped(inputs), targets).sum().backward()
    samples = [value.grad_sample.flatten(1) for value in wrapped.parameters()]
    torch.testing.assert_close(found, torch.cat(samples, 1), rtol=1e-9, atol=1e-12)
    wrapped.remove_hooks()


def test_known_layers_take_the_fast_way_and_hidden_parameters_the_general_one():
    methods = {name: engine(make(SIZES)).method for name, make in TASKS.items()}
    assert {name for name, method in methods.items() if method == "vmap"} == {
        "tied and bare",
        "borrowed weights",
    }
    assert {name for name, method in methods.items() if method == "segments"} == {
        "logistic",
        "softmax",
        "mlp",
    }


def test_a_twin_gives_the_same_bits_and_another_cohort_the_same_row(task):
    weights = random_weights(task)
    single = CohortGradients(task, CLIP)(weights, [0, 1, 2])
    twin = CohortGradients(task, CLIP).twin()
    assert twin(weights, [0, 1, 2]).tobytes() == single.tobytes()
    np.testing.assert_allclose(twin(weights, [2, 0])[1], single[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["u-net with group norm", "wide u-net", "mlp", "tied and bare"])
def test_threads_give_the_bits_of_one_thread_every_time(name):
    task = TASKS[name]((9,) * 8)
    single = CohortGradients(task, CLIP)
    # Each thread has one of torch's, as in every engine: inside an operation the order of a sum
    # would follow from how many torch has.
    with (
        ThreadPoolExecutor(1, initializer=one_thread) as alone,
        ThreadPoolExecutor(4, initializer=one_thread) as threads,
    ):
        for repetition in range(8):
            weights = random_weights(task, 0.1 * (repetition + 1))
            twins = [single.twin() for _ in range(4)]
            found = threads.map(lambda each, at: each(at, range(8)), twins, [weights] * 4)
            expected = alone.submit(single, weights, range(8)).result()
            assert {rows.tobytes() for rows in found} == {expected.tobytes()}


@pytest.mark.parametrize("automatic", [False, True])
def test_no_record_moves_the_sum_by_more_than_the_clip(task, automatic):
    weights = random_weights(task, 3.0)
    for records in task.holders:
        alone = Records(records.inputs[:1], records.targets[:1])
        single = CohortGradients(with_holder(task, alone), 0.01, automatic=automatic)
        assert np.linalg.norm(single(weights, [0])[0]) <= 0.01 * (1 + 1e-7)


@pytest.mark.parametrize("name", ["mlp", "u-net"])
def test_no_neighbour_moves_a_sum_of_automatically_clipped_gradients_by_more_than_the_clip(name):
    task = TASKS[name]((6,))
    holder, largest = task.holders[0], 0.0
    for spread in (0.0, 0.5, 1e4):
        weights = random_weights(task, spread)
        for scale in (0.0, 1e-30, 1e-3, 1e3, 1e30):
            inputs = holder.inputs.copy()
            inputs[2] *= np.float32(scale)
            more, rest = Records(inputs, holder.targets), np.arange(6) != 2
            less = Records(inputs[rest], holder.targets[rest])
            sums = [
                each.count * engine(with_holder(task, each), automatic=True)(weights, [0])[0]
                for each in (more, less)
            ]
            largest = max(largest, float(np.linalg.norm(sums[0] - sums[1])))
    assert 0.9 * CLIP < largest <= CLIP * (1 + 1e-9)


def test_an_example_with_a_gradient_of_a_million_moves_the_mean_by_at_most_clip_over_n():
    task = table_task(lambda: nn.Linear(6, 3), (10,))
    weights = random_weights(task)
    huge = task.holders[0].inputs.copy()
    huge[4] *= 1e6
    moved = with_holder(task, Records(huge, task.holders[0].targets))
    before, after = (engine(each)(weights, [0])[0] for each in (task, moved))
    module = task.model().double()
    load_weights(module, weights)
    assert np.linalg.norm(one_gradient(task, module, moved.holders[0], 4)) > 1e5
    assert 0 < np.linalg.norm(after - before) <= 2 * CLIP / 10  # replaced: twice add-or-remove


@pytest.mark.parametrize("bad", [np.inf, 3e38])
@pytest.mark.parametrize("name", ["mlp", "u-net", "wide u-net"])
def test_a_record_whose_gradient_is_not_finite_counts_as_zero(name, bad):
    task = TASKS[name]((6,))
    inputs = task.holders[0].inputs.copy()
    inputs[2] = bad
    rest = np.arange(6) != 2
    broken = with_holder(task, Records(inputs, task.holders[0].targets))
    whole = with_holder(task, Records(inputs[rest], task.holders[0].targets[rest]))
    weights = random_weights(task)
    found = CohortGradients(broken, CLIP)(weights, [0])[0]
    expected = CohortGradients(whole, CLIP)(weights, [0])[0]
    np.testing.assert_allclose(6 * found, 5 * expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_changing_one_example_leaves_the_gradients_of_the_others_bit_identical(task, dtype):
    module = task.model().to(dtype)
    load_weights(module, random_weights(task))
    for layer in module.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = False
    module.to(memory_format=memory_format(module, single=True))
    inputs = torch.from_numpy(task.holders[1].inputs).to(dtype)
    targets = torch.from_numpy(task.holders[1].targets)
    way = engine(task)._way
    before = way(module, task.loss, inputs, targets)
    changed = inputs.clone()
    changed[3] += 1.0
    after = way(module, task.loss, changed, targets)
    others = torch.arange(len(inputs)) != 3
    assert torch.equal(before[others], after[others])
    assert not torch.equal(before[3], after[3])


def test_batch_norm_is_refused_with_the_name_of_its_layer():
    task = table_task(lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), (5,))
    with pytest.raises(PartError, match="layer 1 is a BatchNorm1d, which mixes examples"):
        CohortGradients(task, CLIP)


def test_the_model_of_the_task_and_read_only_records_are_left_alone():
    task = table_task(lambda: mlp((6,), 3, hidden=[4]), (5,))
    for array in (task.holders[0].inputs, task.holders[0].targets):
        array.flags.writeable = False
    rows = CohortGradients(task, CLIP)(random_weights(task), [0, 0])
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-5, atol=1e-7)
    assert rows.dtype == np.float64


def with_holder(task: Task, records: Records) -> Task:
    return Task(
        name="small",
        holders=(records,),
        held_out=records,
        model=task.model,
        loss=task.loss,
        measure=task.measure,
        score="loss",
        baselines={},
    )


@pytest.mark.parametrize("records", [1, 3], ids=["examples", "groups"])
def test_sampled_rows_are_the_sums_of_what_was_drawn_over_what_was_expected(
    task, records, monkeypatch
):
    monkeypatch.setattr("fedchain.learning.gradients.cohort.PIECE", 2)
    task = grouped_records(task, records)
    weights, generator, rate = random_weights(task), np.random.default_rng(1), 0.4
    masks = [generator.random(each.count) < rate for each in task.holders]
    masks[1][:] = False
    masks[2][:] = True
    sizes = [rate * each.count for each in task.holders]
    rows = engine(task)(weights, range(len(SIZES)), Sampled(masks, sizes))
    for row, mask, each in zip(rows, masks, task.holders, strict=True):
        numbers = np.arange(each.examples) if each.record is None else each.record
        kept = np.isin(numbers, np.unique(numbers)[mask])
        expected = np.zeros(len(weights))
        if mask.any():
            record = None if each.record is None else each.record[kept]
            drawn = Records(each.inputs[kept], each.targets[kept], record)
            expected = slow_row(task, weights, drawn, CLIP) * mask.sum() / (rate * each.count)
        np.testing.assert_allclose(row, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("records", [1, 3], ids=["examples", "groups"])
def test_a_holder_with_a_clip_of_its_own_says_how_many_records_are_below_it(task, records):
    task = grouped_records(task, records)
    weights, each = random_weights(task), task.holders[1]
    clip = float(np.median(record_norms(task, weights, each)))
    found, within = engine(task).bounded(weights, 1, clip, np.ones(each.count, bool))
    expected = slow_row(task, weights, each, clip) * each.count
    np.testing.assert_allclose(found[0], expected, rtol=1e-9, atol=1e-11)
    assert within == (record_norms(task, weights, each) <= clip).sum()
    nobody = engine(task).bounded(weights, 1, clip, np.zeros(each.count, bool))
    assert nobody[1] == 0
    assert not nobody[0].any()


def record_norms(task: Task, weights: np.ndarray, records: Records) -> np.ndarray:
    numbers = np.arange(records.examples) if records.record is None else records.record
    rows = []
    for number in np.unique(numbers):
        kept = numbers == number
        alone = Records(records.inputs[kept], records.targets[kept], numbers[kept])
        rows.append(np.linalg.norm(slow_row(task, weights, alone, None)))
    return np.array(rows)


@pytest.mark.parametrize(
    ("dense", "count", "most"),
    [(True, 300, 1e-4), (True, 2000, 5e-6), (True, 20_000, 5e-6), (False, 3000, 5e-6)],
)
def test_in_float32_one_of_many_records_moves_the_sum_by_its_own_gradient(dense, count, most):
    def make() -> nn.Module:
        if dense:
            return softmax((30,), 10)
        convolution = nn.Conv2d(1, 2, 3, padding=1)
        return nn.Sequential(
            nn.Unflatten(1, (1, 5, 6)), convolution, nn.Flatten(), nn.Linear(60, 10)
        )

    draw = np.random.default_rng(0)
    inputs = (2 + draw.standard_normal((count, 30))).astype(np.float32)
    targets = np.full(count, 3)  # all gradients point alike, so that the sum is long
    whole = replace(table_task(make, (1,)), held_out=Records(inputs[:3], targets[:3]))
    weights = random_weights(whole, 0.1)

    def total(kept: slice, **options: object) -> np.ndarray:
        holder = Records(inputs[kept], targets[kept])
        gradients = CohortGradients(replace(whole, holders=[holder]), 1.0, **options)
        return gradients(weights, [0])[0].astype(np.float64) * holder.count

    moved = total(slice(None)) - total(slice(1, None))  # all other records change their place
    own = total(slice(1), dtype=torch.float64)
    assert np.linalg.norm(moved - own) < most * np.linalg.norm(own)
