import math

import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from fedchain.learning.task import losses
from fedchain.scans.borders import border_weights

KINDS = [
    {"kind": "focal"},
    {"kind": "focal", "alpha": 0.4, "gamma": 0.0},
    {"kind": "focal", "alpha": 0.3, "gamma": 2.5},
    {"kind": "bce"},
    {"kind": "bce", "keep_weight": 0.2},
    {"kind": "dice"},
    {"kind": "dice", "smooth": 0.1},
    {"kind": "softened_bce"},
    {"kind": "bce_log_jaccard", "smooth": 0.1},
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
        if block["kind"] == "softened_bce":
            values.append(-0.6 * t * math.log(p) - (1 - 0.6 * t) * math.log(1 - p))
        if block["kind"] == "bce_log_jaccard":
            values.append(-math.log(right))
        p_sum, t_sum, both = p_sum + p, t_sum + t, both + p * t
    if block["kind"] == "dice":
        smooth = block.get("smooth", 1.0)
        return 1 - (2 * both + smooth) / (p_sum + t_sum + smooth)
    mean = sum(values) / len(values)
    if block["kind"] == "bce_log_jaccard":
        smooth = block["smooth"]
        return mean - math.log((both + smooth) / (p_sum + t_sum - both + smooth))
    return mean


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


def slow_weights(keep, valid, border, sigma):
    """Return U-Net's weights, with the parts found by flooding and all distances computed."""
    parts, left = [], {(int(y), int(x)) for y, x in zip(*np.nonzero(keep), strict=True)}
    while left:
        edge = [left.pop()]
        parts.append(list(edge))
        while edge:
            y, x = edge.pop()
            near = {(a, b) for a, b in left if max(abs(a - y), abs(b - x)) <= 1}
            left -= near
            edge += near
            parts[-1] += near
    weights = np.zeros(keep.shape)
    for y, x in zip(*np.nonzero(valid), strict=True):
        same = valid & (keep == keep[y, x])
        weights[y, x] = valid.sum() / (2 * same.sum())
        apart = sorted(min(math.dist((y, x), each) for each in part) for part in parts)
        if not keep[y, x] and len(parts) > 1:
            weights[y, x] += border * math.exp(-((apart[0] + apart[1]) ** 2) / (2 * sigma**2))
    return weights


@pytest.mark.parametrize("density", [0.08, 0.5, 0.0, 1.0])
def test_border_weights_are_what_the_formula_gives_pixel_by_pixel(density):
    random = np.random.default_rng(3)
    valid = random.random((9, 7)) < 0.8
    keep = valid & (random.random((9, 7)) < density)
    weights = border_weights(keep, valid, 10.0, 2.0)
    np.testing.assert_allclose(weights, slow_weights(keep, valid, 10.0, 2.0), rtol=1e-12)


def test_the_border_weighted_loss_is_the_mean_of_weighted_cross_entropies():
    logits, targets = batch()
    found = make({"kind": "border_weighted_bce", "border": 3.0, "sigma": 2.0})(logits, targets)
    for value, z, t in zip(found, logits[:, 0].numpy(), targets.numpy(), strict=True):
        valid = np.isfinite(t)
        weights = slow_weights(t == 1, valid, 3.0, 2.0)
        costs = np.log1p(np.exp(np.where(t == 1, -z, z)))
        assert float(value) == pytest.approx((weights * costs)[valid].mean(), rel=1e-12)


def test_a_mask_without_points_costs_nothing_with_border_weights():
    logits = torch.zeros(1, 1, 4, 5, requires_grad=True)
    value = make({"kind": "border_weighted_bce"})(logits, torch.full((1, 4, 5), math.nan))
    value.sum().backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()
