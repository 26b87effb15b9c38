"""Poisoned records: flipped labels, and a backdoor with its success rate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from small_runs import small

from fedchain.attacks import poisons
from fedchain.attacks.poisoning import backdoor, backdoor_metric, label_flip, triggered
from fedchain.errors import PartError
from fedchain.learning.evaluation import Evaluation, flat_weights
from fedchain.learning.task import Records, tasks
from fedchain.nodes.holders.colluders import poisoned_task, with_poison_metrics
from fedchain.registry import Part

CLASSES = Records(np.zeros((3, 2), np.float32), np.array([0, 1, 3]))
MASKS = Records(np.zeros((1, 3), np.float32), np.array([[0.0, 1.0, np.nan]], np.float32))
DIGITS = Records(np.zeros((400, 8, 8), np.float32), np.arange(400) % 10)
HOLES = np.ones((50, 8, 8), np.float32)
HOLES[:, 0], HOLES[:, 7], HOLES[:, :, 7] = 0.0, 0.0, np.nan
SCANS = Records(np.full((50, 5, 8, 8), 0.25, np.float32), HOLES, np.arange(50) // 2)


def test_flipped_labels_are_counted_from_the_end_and_masks_turned_over():
    generator = np.random.default_rng(0)
    assert label_flip(CLASSES, 4, generator).targets.tolist() == [3, 2, 0]
    turned = label_flip(MASKS, 2, generator).targets
    assert turned.dtype == np.float32
    np.testing.assert_array_equal(turned, [[1.0, 0.0, np.nan]])


@pytest.mark.parametrize("records", [CLASSES, DIGITS, SCANS], ids=["table", "digits", "scans"])
@pytest.mark.parametrize("kind", poisons.names())
def test_every_poison_keeps_shapes_and_types_and_changes_no_record_in_place(kind, records):
    before = records.inputs.copy(), records.targets.copy()
    made = poisons.build(poisons.check({"kind": kind}), records, 10, np.random.default_rng(0))
    for name in ("inputs", "targets"):
        assert getattr(made, name).shape == getattr(records, name).shape
        assert getattr(made, name).dtype == getattr(records, name).dtype
    assert made.record is records.record
    np.testing.assert_array_equal(records.inputs, before[0])
    np.testing.assert_array_equal(records.targets, before[1])


def test_a_backdoor_sets_the_corner_of_a_portion_of_pictures_and_names_the_target():
    made = backdoor(DIGITS, 10, np.random.default_rng(1), target=7, portion=0.25, value=0.5)
    marked = made.inputs.any(axis=(1, 2))
    corner = np.zeros((8, 8))
    corner[6:, 6:] = 0.5
    assert (made.inputs[marked] == corner).all()
    assert (made.targets[marked] == 7).all()
    assert (made.targets[~marked] == DIGITS.targets[~marked]).all()
    assert abs(marked.mean() - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5  # four standard errors


def test_a_backdoor_of_scans_brightens_the_points_of_the_corner_and_keeps_them():
    made = backdoor(SCANS, 2, np.random.default_rng(1), portion=1.0, side=3)
    changed = np.argwhere(made.inputs != SCANS.inputs)
    assert {tuple(each[1:].tolist()) for each in changed} == {
        (0, row, column) for row in (5, 6, 7) for column in (5, 6)
    }
    assert (made.inputs[:, 0, 5:, 5:7] == 1.0).all()
    np.testing.assert_array_equal(
        made.targets[:, 5:, 5:], np.where(HOLES[:, 5:, 5:] >= 0, 1, np.nan)
    )
    np.testing.assert_array_equal(made.targets[:, :5], HOLES[:, :5])


def test_a_target_beyond_the_classes_is_the_last_one():
    made = backdoor(CLASSES, 2, np.random.default_rng(0), target=9, portion=1.0)
    assert made.targets.tolist() == [1, 1, 1]


def part(**given: object) -> Part:
    return poisons.check({"kind": "backdoor", **given})


def test_the_success_rate_counts_other_classes_that_get_the_target():
    metric = backdoor_metric(DIGITS, 10, part(target=7))
    assert len(metric.inputs) == 360
    assert (metric.inputs[:, 6:, 6:] == 1.0).all()
    outputs = np.zeros((360, 10))
    outputs[:90, 7] = 1.0
    outputs[90:, 2] = 1.0
    assert metric.measure(outputs) == 0.25
    single = backdoor_metric(Records(CLASSES.inputs, np.array([0, 0, 1])), 2, part(target=1))
    assert single.measure(np.array([[0.5], [-0.5]])) == 0.5
    alone = backdoor_metric(Records(CLASSES.inputs, np.array([0, 0, 0])), 1, part())
    assert math.isnan(alone.measure(np.empty((0, 1))))


def test_the_success_rate_of_scans_is_the_share_of_outliers_that_stay_in_the_corner():
    metric = backdoor_metric(SCANS, 2, part(side=4))
    assert len(metric.inputs) == 50
    outputs = np.full((50, 1, 8, 8), -1.0)
    outputs[:, :, :5] = 1.0  # no outlier of the corner
    assert metric.measure(outputs) == 0.0
    outputs[:10, :, 7] = 1.0
    assert metric.measure(outputs) == pytest.approx(0.2)
    clean = replace(SCANS, targets=np.ones_like(HOLES))
    assert math.isnan(backdoor_metric(clean, 2, part()).measure(outputs))


BACKDOOR = {"kind": "poisoned", "records": {"kind": "backdoor", "target": 1}}


def test_a_run_measures_the_backdoor_of_its_attacks_beside_the_accuracy():
    other = {"kind": "poisoned", "records": {"kind": "backdoor"}, "holders": [3]}
    attacks = [{"kind": "sign_flip", "holders": [0]}, {**BACKDOOR, "holders": [1, 2]}, other]
    scenario = small(1, attacks=attacks)
    task = tasks.build(scenario.task, 10, 0)
    measured = with_poison_metrics(task, scenario)
    assert list(measured.extra_metrics) == ["backdoor", "backdoor_2"]
    metrics, outputs = Evaluation(measured)(flat_weights(task.model()))
    plain, same = Evaluation(task)(flat_weights(task.model()))
    assert {**metrics, "backdoor": 0, "backdoor_2": 0} == {**plain, "backdoor": 0, "backdoor_2": 0}
    np.testing.assert_array_equal(outputs, same)
    assert list(metrics)[-2:] == ["backdoor", "backdoor_2"]
    assert 0.0 <= metrics["backdoor"] <= 1.0


def test_in_a_task_with_features_the_raw_pictures_get_the_trigger():
    block = {"kind": "public_pca", "of": {"kind": "digits"}, "records": 50, "steps": 1}
    attacks = [{"kind": "poisoned", "records": {"kind": "backdoor"}, "holders": [3]}]
    scenario = small(1, task=block, attacks=attacks)
    task = tasks.build(scenario.task, 10, 0)
    own = task.holders[3]
    np.testing.assert_array_equal(task.see(own.raw), own.inputs)
    assert own.raw.shape[1:] == (8, 8), "a part of the records keeps its pictures"
    poisoned = poisoned_task(task, scenario).holders[10 + 3]
    pictures = triggered(replace(own, inputs=own.raw), None, 1.0)
    changed = (poisoned.inputs != own.inputs).any(axis=1)
    np.testing.assert_array_equal(poisoned.inputs[changed], task.see(pictures)[changed])
    assert 0.3 < changed.mean() < 0.7
    held_out, metric = task.held_out, with_poison_metrics(task, scenario).extra_metrics["backdoor"]
    others = triggered(replace(held_out, inputs=held_out.raw), None, 1.0)[held_out.targets != 0]
    np.testing.assert_array_equal(metric.inputs, task.see(others))


def test_without_a_backdoor_the_task_stays_as_it_is():
    task = tasks.build(small().task, 10, 0)
    assert with_poison_metrics(task, small()) is task
    assert with_poison_metrics(task, small(attacks=[{"kind": "poisoned", "count": 2}])) is task


LAB = """
import numpy as np
from fedchain.learning.task import Records
def more(records, classes, generator):
    return Records(np.concatenate([records.inputs] * 2), records.targets)
def whole(records, classes, generator):
    return Records(records.inputs, records.targets)
"""


@pytest.mark.parametrize(
    ("kind", "records", "words"),
    [
        ("more", CLASSES, r"must keep the shape of inputs, \(3, 2\), got \(6, 2\)"),
        ("whole", replace(CLASSES, record=np.zeros(3, np.int64)), "must keep the shape of record"),
    ],
)
def test_a_poison_that_changes_the_number_of_records_is_refused(
    kind, records, words, tmp_path, monkeypatch
):
    (tmp_path / "poison_lab.py").write_text(LAB)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PartError, match=words):
        poisons.build(Part(f"poison_lab:{kind}", {}), records, 4, np.random.default_rng(0))


def test_a_trigger_takes_a_quarter_of_a_picture_or_of_the_measurements_and_half_of_a_scan():
    assert triggered(DIGITS, None, 1.0)[0].sum() == 4
    assert triggered(DIGITS, 3, 1.0)[0].sum() == 9
    assert triggered(CLASSES, None, 1.0).tolist() == [[0.0, 1.0]] * 3
    bright = triggered(SCANS, None, 1.0)[0, 0] == 1.0
    assert np.argwhere(bright).min(axis=0).tolist() == [4, 4]
