"""Losses of clouds: against slow loops, scipy, brute force and finite differences."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.func import grad, vmap

from fedchain.learning.task import losses
from fedchain.surfaces import losses as clouds
from fedchain.surfaces.losses import nearest_of, repulsion_of

CHAMFER = {"kind": "chamfer"}
KINDS = [CHAMFER, {**CHAMFER, "repulsion": 0.5}, {"kind": "emd"}, {"kind": "emd", "repulsion": 0.5}]


def make(block):
    return losses.build(losses.check(block))


def batch(n=7, m=7, scale=0.05):
    random = np.random.default_rng(0)
    return (torch.tensor(scale * random.normal(size=(3, k, 3))) for k in (n, m))


def squared(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def slow_chamfer(a, b):
    there = [min(squared(p, q) for q in b) for p in a]
    back = [min(squared(p, q) for p in a) for q in b]
    return sum(there) / len(a) + sum(back) / len(b)


def slow_emd(a, b):
    orders = itertools.permutations(range(len(b)))
    return min(sum(squared(a[k], b[j]) for k, j in enumerate(order)) / len(a) for order in orders)


def slow_repulsion(points):
    total = 0.0
    for k, p in enumerate(points):
        others = sorted(math.dist(p, q) for j, q in enumerate(points) if j != k)[:4]
        total += sum(max(0.07 - d, 0) * math.exp(-(d**2) / 0.03**2) for d in others)
    return total / (4 * len(points))


def lists(tensor):
    return [cloud.tolist() for cloud in tensor]


def test_chamfer_is_what_a_plain_loop_computes_also_for_clouds_of_different_sizes():
    outputs, targets = batch(7, 4)
    wanted = [slow_chamfer(*each) for each in zip(lists(outputs), lists(targets), strict=True)]
    assert make(CHAMFER)(outputs, targets).tolist() == pytest.approx(wanted, rel=1e-9)


def test_chamfer_in_small_blocks_is_the_same(monkeypatch):
    outputs, targets = batch(9, 5)
    whole = make(CHAMFER)(outputs, targets)
    monkeypatch.setattr(clouds, "DISTANCES_AT_ONCE", 31)
    assert torch.equal(make(CHAMFER)(outputs, targets), whole)


def test_emd_is_the_best_of_all_assignments_and_that_of_scipy():
    outputs, targets = batch(6, 6)
    found = make({"kind": "emd"})(outputs, targets).tolist()
    wanted = [slow_emd(*each) for each in zip(lists(outputs), lists(targets), strict=True)]
    assert found == pytest.approx(wanted, rel=1e-9)
    outputs, targets = batch(60, 60)
    costs = torch.cdist(outputs, targets).square().numpy()
    wanted = [cost[linear_sum_assignment(cost)].mean() for cost in costs]
    assert make({"kind": "emd"})(outputs, targets).tolist() == pytest.approx(wanted, rel=1e-9)


def test_emd_is_larger_than_chamfer_where_two_points_share_a_nearest_one():
    outputs = torch.tensor([[[0.0, 0, 0], [0.1, 0, 0]]])
    targets = torch.tensor([[[0.0, 0, 0], [9.0, 0, 0]]])
    assert float(make({"kind": "emd"})(outputs, targets)) == pytest.approx(8.9**2 / 2)
    assert float(make(CHAMFER)(outputs, targets)) == pytest.approx(0.01 / 2 + 8.9**2 / 2)


def test_repulsion_is_what_a_plain_loop_computes():
    (points, _) = batch(9)
    wanted = [slow_repulsion(cloud) for cloud in lists(points)]
    assert min(wanted) > 0
    assert repulsion_of(points).tolist() == pytest.approx(wanted, rel=1e-9)


def test_repulsion_pushes_neighbours_apart_everywhere_within_its_radius():
    for apart in np.linspace(0.001, 0.069, 30):
        pair = torch.tensor([[[0.0, 0, 0], [apart, 0, 0]]], requires_grad=True)
        (slope,) = torch.autograd.grad(repulsion_of(pair).sum(), pair)
        assert float(slope[0, 1, 0]) < 0  # a step against the gradient moves it away
    far = torch.tensor([[[0.0, 0, 0], [0.08, 0, 0]]])
    assert float(repulsion_of(far)) == 0


@pytest.mark.parametrize("block", KINDS, ids=str)
def test_gradients_agree_with_finite_differences(block):
    outputs, targets = batch()
    loss = make(block)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), outputs.requires_grad_())


def test_the_gradient_of_repulsion_agrees_with_finite_differences():
    points = next(iter(batch(9))).requires_grad_()
    assert torch.autograd.gradcheck(repulsion_of, points)


def test_equal_points_have_finite_gradients():
    outputs = torch.zeros(1, 6, 3, requires_grad=True)
    for block in KINDS:
        value = make(block)(outputs, torch.zeros(1, 6, 3)).sum()
        (slope,) = torch.autograd.grad(value, outputs)
        assert slope.isfinite().all()


@pytest.mark.parametrize("block", [CHAMFER, KINDS[1]], ids=str)
def test_per_example_gradients_under_vmap_equal_one_by_one(block):
    outputs, targets = batch()
    loss = make(block)

    def one(z, t):
        return loss(z[None], t[None])[0]

    together = vmap(grad(one))(outputs, targets)
    alone = torch.stack([grad(one)(z, t) for z, t in zip(outputs, targets, strict=True)])
    assert torch.allclose(together, alone, rtol=1e-12, atol=0)


@pytest.mark.parametrize("block", KINDS, ids=str)
def test_the_loss_of_an_example_depends_on_this_example_alone(block):
    outputs, targets = batch()
    whole = make(block)(outputs, targets)
    for k in range(3):
        assert make(block)(outputs[k : k + 1], targets[k : k + 1]).item() == whole[k].item()


def test_an_example_that_is_not_finite_leaves_the_others_alone():
    outputs, targets = batch()
    for block in KINDS:
        whole = make(block)(outputs, targets)
        broken = torch.cat([outputs[:2], torch.full_like(outputs[:1], math.inf)])
        assert torch.equal(make(block)(broken, targets)[:2], whole[:2])


def test_neighbours_are_the_nearest_ones_first():
    points, others = batch(5, 9)
    found = nearest_of(points, others, 4)
    order = torch.cdist(points, others).argsort(2)[:, :, :4]
    assert torch.equal(found, order)
    assert torch.equal(nearest_of(points, others), order[:, :, 0])


@pytest.mark.parametrize("kind", ["chamfer", "emd"])
def test_what_is_no_cloud_is_refused_with_what_is_allowed(kind):
    loss = make({"kind": kind})
    with pytest.raises(ValueError, match=rf"^{kind}: got outputs of shape \(2, 5\); allowed: "):
        loss(torch.zeros(2, 5), torch.zeros(2, 5, 3))
    with pytest.raises(ValueError, match=rf"^{kind}: got targets of shape \(2,\); allowed: "):
        loss(torch.zeros(2, 5, 3), torch.zeros(2, dtype=torch.int64))


def test_emd_refuses_clouds_that_cannot_be_assigned():
    loss = make({"kind": "emd"})
    with pytest.raises(ValueError, match="emd: got clouds of 5 points and 4; allowed: the same"):
        loss(torch.zeros(1, 5, 3), torch.zeros(1, 4, 3))
    with pytest.raises(ValueError, match=r"1025 points and 1025; .* up to 1024"):
        loss(torch.zeros(1, 1025, 3), torch.zeros(1, 1025, 3))


def test_the_squared_error_is_a_sum_over_one_example_and_refuses_classes():
    loss = make({"kind": "squared_error"})
    outputs, targets = batch()
    wanted = [float(((a - b) ** 2).sum()) for a, b in zip(outputs, targets, strict=True)]
    assert loss(outputs, targets).tolist() == pytest.approx(wanted)
    with pytest.raises(ValueError, match="squared_error: got outputs"):
        loss(torch.zeros(2), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="squared_error: got outputs"):
        loss(torch.zeros(2, 3), torch.zeros(2, 1))
