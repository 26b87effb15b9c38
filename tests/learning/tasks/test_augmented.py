"""Views of records: where they come from, and that a record stays one record to the clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference_gradients import one_gradient
from small_tasks import TASKS, image_task

from fedchain.learning.evaluation import Evaluation, flat_weights, load_weights
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import Records, Task, tasks
from fedchain.learning.tasks.augmented import moved, views_of

VIEWS, CLIP = 3, 0.05


def seen(task: Task, views: int = VIEWS, shift: int = 2) -> Task:
    holders = tuple(views_of(own, views, shift, 0) for own in task.holders)
    return replace(task, holders=holders, views=views * task.views)


def built(of: str = "digits", holders: int = 4, seed: int = 0, **settings) -> Task:
    block = {"kind": "augmented", "of": {"kind": of}, **settings}
    return tasks.build(tasks.check(block), holders, seed)


def engine(task: Task, clip: float | None = CLIP) -> CohortGradients:
    return CohortGradients(task, clip, dtype=torch.float64)


@pytest.mark.parametrize("clip", [CLIP, None])
@pytest.mark.parametrize("name", ["u-net with group norm", "standardised u-net"])
def test_a_record_has_the_clipped_mean_gradient_of_its_views(name, clip):
    task = seen(TASKS[name]((5, 4)))
    weights = flat_weights(task.model())
    module = task.model().double()
    load_weights(module, weights)
    for row, records in zip(engine(task, clip)(weights, [0, 1]), task.holders, strict=True):
        total = np.zeros_like(weights)
        for number in range(records.count):
            places = np.flatnonzero(records.record == number)
            mean = np.mean([one_gradient(task, module, records, p) for p in places], axis=0)
            total += mean * (1 if clip is None else min(1, clip / np.linalg.norm(mean)))
        np.testing.assert_allclose(row, total / records.count, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("views", [2, 8])
def test_a_record_more_moves_the_sum_by_the_clip_at_most_however_many_views(views):
    task = image_task(TASKS["u-net with group norm"]((2,)).model, (6,))
    whole = task.holders[0]
    loud = Records(whole.inputs.copy(), whole.targets)
    loud.inputs[-1] *= 1e4
    fewer = Records(loud.inputs[:-1], loud.targets[:-1])
    weights = flat_weights(task.model())
    sums = [
        engine(seen(replace(task, holders=(own,)), views), 1e-3)(weights, [0])[0] * own.count
        for own in (loud, fewer)
    ]
    distance = np.linalg.norm(sums[0] - sums[1])
    assert 0.99e-3 < distance <= 1e-3


def test_the_first_view_is_the_record_and_the_others_are_moved_with_their_masks():
    task = image_task(TASKS["u-net"]((2,)).model, (50,))
    records = task.holders[0]
    found = views_of(records, VIEWS, 1, 7)
    assert (found.count, found.examples) == (50, 150)
    np.testing.assert_array_equal(found.inputs[:50], records.inputs)
    np.testing.assert_array_equal(found.targets[:50], records.targets)
    directions = set()
    for place in range(50, 150):
        number = place % 50
        assert found.record[place] == number
        both = records.inputs[number], records.targets[number]
        fitting = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            if np.array_equal(at(both[0], down, right, 0.0), found.inputs[place])
            and np.array_equal(at(both[1], down, right, np.nan), found.targets[place], True)
        ]
        directions |= set(fitting)
        assert len(fitting) == 1
    assert len(directions) == 9


def at(picture: np.ndarray, down: int, right: int, outside: float) -> np.ndarray:
    """Pad by one pixel all round and cut out: another way to move."""
    frame = [(0, 0)] * (picture.ndim - 2) + [(1, 1), (1, 1)]
    padded = np.pad(picture, frame, constant_values=outside)
    height, width = picture.shape[-2:]
    return padded[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]


def test_a_picture_that_moves_down_and_left_loses_its_last_row_and_first_column():
    picture = np.arange(1.0, 10.0).reshape(1, 3, 3)
    left = moved(picture, np.array([[1, -1]]), 0.0)[0]
    assert left.tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0]]


def test_views_follow_from_seed_and_record_and_nothing_else():
    records = Records(np.random.default_rng(0).random((9, 8, 8)), np.arange(9))
    first = views_of(records, 4, 1, 0).inputs.reshape(4, 9, 8, 8)
    np.testing.assert_array_equal(first[:2].reshape(18, 8, 8), views_of(records, 2, 1, 0).inputs)
    assert not np.array_equal(first, views_of(records, 4, 1, 1).inputs.reshape(first.shape))
    kept = np.array([8, 5, 3, 0])
    fewer = Records(records.inputs[kept], records.targets[kept])
    np.testing.assert_array_equal(views_of(fewer, 4, 1, 0).inputs, first[:, kept].reshape(-1, 8, 8))


def test_held_out_records_and_their_loss_are_those_of_the_task_alone():
    plain, task = tasks.build(tasks.check({"kind": "digits"}), 4, 0), built(views=5)
    np.testing.assert_array_equal(task.held_out.inputs, plain.held_out.inputs)
    weights = np.random.default_rng(1).standard_normal(650)
    assert Evaluation(task)(weights)[0] == Evaluation(plain)(weights)[0]
    assert [own.count for own in task.holders] == [own.count for own in plain.holders]
    assert (task.views, task.holders[0].examples) == (5, 5 * task.holders[0].count)


def test_a_warm_start_of_views_takes_public_records_with_all_their_views():
    block = {"kind": "augmented", "of": {"kind": "digits"}, "views": 2}
    task = tasks.build(
        tasks.check({"kind": "warm_start", "of": block, "records": 50, "steps": 5}), 4, 0
    )
    assert task.public == 50
    assert all(own.examples == 2 * own.count for own in task.holders)
    assert task.baselines["public_only"]["accuracy"] > 0.5


def test_views_of_views_are_counted_together():
    block = {"kind": "augmented", "of": {"kind": "digits"}, "views": 2}
    task = tasks.build(tasks.check({"kind": "augmented", "of": block, "views": 3}), 4, 0)
    assert task.views == 6
    assert task.holders[0].examples == 6 * task.holders[0].count


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"of": "breast_cancer"}, r"1 pixels do not fit records of shape \(30,\) of breast_cancer"),
        ({"shift": 4}, r"4 pixels do not fit .* sides of more than 8 are allowed"),
    ],
)
def test_what_cannot_be_shifted_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        built(**settings)
