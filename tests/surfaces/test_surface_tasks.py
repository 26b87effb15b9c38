"""Tasks of surfaces: records are shapes, baselines stand beside the model, private rounds run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fedchain
from fedchain.errors import ScenarioError
from fedchain.learning.gradients.cohort import CohortGradients
from fedchain.learning.task import tasks
from fedchain.scenario import from_mapping
from fedchain.surfaces.solids import SOLIDS
from fedchain.surfaces.tasks.shapes import records_of_shapes

REFINE = {"kind": "cloud_refinement", "points": 48, "shapes": 3, "candidates": 8, "held_out": 3}
PU_NET = {
    "kind": "cloud_upsampling", "points": 48, "shapes": 3, "patch": 16, "patches": 2, "held_out": 3,
}  # fmt: skip
BLOCKS = [REFINE, PU_NET]
NAMES = ["refine", "pu_net"]


def build(block, holders=3, seed=0, **given):
    return tasks.build(tasks.check({**block, **given}), holders, seed)


def outputs_of(task):
    with torch.no_grad():
        return task.model()(torch.tensor(task.held_out.inputs)).numpy()


@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_a_record_is_a_shape_with_all_its_examples(block):
    task = build(block)
    each = block.get("candidates") or block["patches"]
    for records in task.holders:
        assert records.count == 3
        assert records.examples == 3 * each
        assert (np.bincount(records.places) == each).all()
    assert task.held_out.count == 3
    assert task.record == "shape"


def test_the_examples_of_a_record_are_those_of_one_shape():
    of_shape = np.repeat(np.arange(3.0), 4 * 2).reshape(3, 4, 2)  # every number is its shape's
    records = records_of_shapes(of_shape, of_shape[..., :1])
    assert records.inputs.shape == (12, 2)
    assert records.targets.shape == (12, 1)
    for values in (records.inputs, records.targets):
        assert (values == records.places[:, None]).all()


@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_by_site_another_holder_leaves_the_shapes_of_the_others_alone(block):
    few, more = build(block, 2), build(block, 3)
    for one, same in zip(few.holders, more.holders, strict=False):
        assert one.inputs.tobytes() == same.inputs.tobytes()
        assert one.targets.tobytes() == same.targets.tobytes()


@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_the_same_seed_gives_the_same_task_and_another_seed_another(block):
    first, again, other = build(block), build(block), build(block, seed=1)
    assert first.held_out.inputs.tobytes() == again.held_out.inputs.tobytes()
    assert first.held_out.inputs.tobytes() != other.held_out.inputs.tobytes()
    assert np.array_equal(outputs_of(first), outputs_of(again))
    assert not np.array_equal(outputs_of(first), outputs_of(other))


@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_the_model_and_both_baselines_are_measured_alike(block):
    task = build(block)
    found = task.measure(outputs_of(task), task.held_out)
    assert task.baselines.keys() >= {"midpoints", "plain_midpoints"}
    assert all(each.keys() == found.keys() for each in task.baselines.values())
    assert task.score in found
    assert task.baselines["midpoints"]["gain"] == 0
    gain = 1 - found["chamfer"] / task.baselines["midpoints"]["chamfer"]
    assert found["gain"] == pytest.approx(gain)


def test_offsets_of_zero_are_unmoved_midpoints_and_the_true_offsets_are_better():
    task = build(REFINE, points=100)
    nothing = task.measure(0 * task.held_out.targets, task.held_out)
    assert nothing == task.baselines["unmoved"]
    true = task.measure(task.held_out.targets, task.held_out)
    assert true["gain"] > max(0.05, nothing["gain"])


def test_the_truth_of_each_patch_is_better_than_midpoints():
    task = build(PU_NET, points=100, patch=50)
    found = task.measure(task.held_out.targets, task.held_out)
    assert found["gain"] > 0.05
    assert task.baselines["plain_midpoints"]["gain"] < 0


@pytest.mark.parametrize(
    "split", [{"kind": "iid"}, {"kind": "dirichlet", "least": 1}], ids=["iid", "dirichlet"]
)
@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_other_splits_deal_every_shape_once(block, split):
    dealt = np.concatenate([h.inputs for h in build(block, split=split).holders])
    whole = np.concatenate([h.inputs for h in build(block).holders])
    assert sorted(x.tobytes() for x in dealt) == sorted(x.tobytes() for x in whole)


def test_holders_have_different_families_in_turn():
    assert len(SOLIDS) == 7
    task = build(REFINE, holders=8)
    widths = [np.abs(h.inputs[..., 2]).mean() for h in task.holders]
    assert np.std(widths[:7]) > 0


def test_a_patch_larger_than_a_shape_is_refused():
    with pytest.raises(ScenarioError, match=r"task\.patch: must be at most the 48 points"):
        build(PU_NET, patch=64)


@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_gradients_of_records_are_clipped_as_sums_over_their_examples(block):
    task = build(block)
    gradients = CohortGradients(task, 0.01, dtype=torch.float64)
    module, records = task.model().double(), task.holders[1]
    total = torch.zeros(gradients.dimension, dtype=torch.float64)
    for number in range(records.count):
        own = records.places == number
        inputs, targets = (torch.tensor(x[own]).double() for x in (records.inputs, records.targets))
        loss = task.loss(module(inputs), targets).sum()
        flat = torch.cat(
            [g.flatten() for g in torch.autograd.grad(loss, list(module.parameters()))]
        )
        total += flat * min(1, 0.01 / float(flat.norm()))
    weights = torch.cat([p.detach().flatten() for p in module.parameters()]).numpy()
    found = gradients.means(weights, [1])
    assert np.allclose(np.asarray(found)[0], (total / records.count).numpy(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("privacy", ["gaussian", "none"])
@pytest.mark.parametrize("block", BLOCKS, ids=NAMES)
def test_two_rounds_are_run_private_and_not(block, privacy, tmp_path):
    bound = {"epsilon": 8.0, "delta": 1e-3, "clip": 0.1} if privacy == "gaussian" else {}
    scenario = from_mapping(
        {
            "version": 1,
            "name": "surfaces",
            "rounds": 2,
            "task": block,
            "nodes": {"holders": 2, "compute": 1},
            "privacy": {"kind": privacy, **bound},
            "aggregation": {"kind": "mean"},
            "ledger": {"work": {"kind": "sampled", "interval_s": 10.0}},
        }
    )
    run = fedchain.run(scenario, tmp_path)
    assert run.summary()["rounds"] == 2
    assert "gain" in run.metrics[-1]
