import math

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from fedchain.learning.task import losses

KINDS = [
    {"kind": "focal"},
    {"kind": "focal", "alpha": 0.4, "gamma": 0.0},
    {"kind": "focal", "alpha": 0.3, "gamma": 2.5},
    {"kind": "bce"},
    {"kind": "bce", "keep_weight": 0.2},
    {"kind": "dice"},
    {"kind": "dice", "smooth": 0.1},
]


def make(block):
    return losses.build(losses.check(block))


def batch(spread=3.0):
    random = np.random.default_rng(0)
    logits = torch.tensor(random.normal(0, spread, (3, 1, 4, 5)))
    targets = (random.random((3, 4, 5)) < 0.6).astype(float)
    targets[random.random((3, 4, 5)) < 0.3] = np.nan
    return logits, torch.tensor(targets)


def slow(block, logits, targets):
    values, p_sum, t_sum, both = [], 0.0, 0.0, 0.0
    for z, t in zip(logits.flatten().tolist(), targets.flatten().tolist(), strict=True):
        if math.isnan(t):
            continue
        p = 1 / (1 + math.exp(-z))
        right = p if t else 1 - p
        if block["kind"] == "focal":
            alpha, gamma = block.get("alpha", 0.07), block.get("gamma", 4.0)
            values.append(-(alpha if t else 1 - alpha) * (1 - right) ** gamma * math.log(right))
        weight = block.get("keep_weight", 0.5)
        if block["kind"] == "bce":
            values.append(-2 * (weight if t else 1 - weight) * math.log(right))
        p_sum, t_sum, both = p_sum + p, t_sum + t, both + p * t
    if block["kind"] == "dice":
        smooth = block.get("smooth", 1.0)
        return 1 - (2 * both + smooth) / (p_sum + t_sum + smooth)
    return sum(values) / len(values)


@pytest.mark.parametrize("block", KINDS)
def test_losses_are_what_a_plain_loop_computes(block):
    logits, targets = batch()
    wanted = [slow(block, z, t) for z, t in zip(logits, targets, strict=True)]
    assert make(block)(logits, targets).tolist() == pytest.approx(wanted, rel=1e-12)
    assert make(block)(logits[:, 0], targets).tolist() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("block", KINDS)
def test_gradients_agree_with_finite_differences(block):
    logits, targets = batch()
    loss = make(block)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


@pytest.mark.parametrize("block", KINDS)
def test_pixels_without_a_point_have_no_gradient(block):
    logits, targets = batch()
    slope = grad(lambda z: make(block)(z, targets).sum())(logits)[:, 0]
    assert (slope[targets.isnan()] == 0).all()
    assert (slope[~targets.isnan()] != 0).all()


@pytest.mark.parametrize("block", KINDS)
def test_huge_logits_stay_finite(block):
    _, targets = batch()
    for size in (1e4, -1e4):
        logits = torch.full((3, 1, 4, 5), size, requires_grad=True)
        value = make(block)(logits, targets.float()).sum()
        value.backward()
        assert value.isfinite()
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("block", KINDS)
def test_an_example_without_points_costs_nothing_and_breaks_nothing(block):
    logits = torch.zeros(1, 1, 4, 5, requires_grad=True)
    value = make(block)(logits, torch.full((1, 4, 5), math.nan))
    value.sum().backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("block", KINDS)
def test_per_example_gradients_under_vmap_equal_one_by_one(block):
    logits, targets = batch()
    loss = make(block)

    def one(z, t):
        return loss(z[None], t[None])[0]

    together = vmap(grad(one))(logits, targets)
    alone = torch.stack([grad(one)(z, t) for z, t in zip(logits, targets, strict=True)])
    assert torch.allclose(together, alone, rtol=1e-12, atol=0)


def test_the_focal_loss_without_focus_is_half_the_weighted_cross_entropy():
    logits, targets = batch()
    focal = make({"kind": "focal", "alpha": 0.2, "gamma": 0.0})(logits, targets)
    assert torch.allclose(2 * focal, make({"kind": "bce", "keep_weight": 0.2})(logits, targets))
