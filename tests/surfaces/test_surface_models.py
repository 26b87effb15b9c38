"""The models that make clouds denser: sizes, what defines each, gradients of single examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fedchain.learning.evaluation import dimension, places
from fedchain.learning.gradients.methods import by_layers, by_vmap, method_for
from fedchain.learning.gradients.probe import by_single
from fedchain.learning.task import losses, models
from fedchain.surfaces.models.pu_net import RADII, _grouped, _interpolated, farthest

REFINE, PU_NET = {"kind": "refine", "width": 6}, {"kind": "pu_net", "width": 0.0625}
RESIDUAL = {**PU_NET, "residual": True}
PATCH = 32


def make(block, inputs):
    torch.manual_seed(0)
    return models.build(models.check(block), inputs, 3)


def loss(kind, **given):
    return losses.build(losses.check({"kind": kind, **given}))


def points(*shape, seed=1):
    cloud = torch.randn(
        *shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    return cloud / cloud.norm(dim=-1, keepdim=True)


def lively(model):
    """Return the model in float64 with positive biases, so that no ReLU is 0 everywhere."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.abs_()
    return model.double()


CASES = [
    (REFINE, (3, 16), (3,), loss("squared_error")),
    (PU_NET, (2, PATCH), (2, 4 * PATCH), loss("chamfer")),
    (RESIDUAL, (2, PATCH), (2, 4 * PATCH), loss("chamfer", repulsion=0.01)),
    (RESIDUAL, (2, PATCH), (2, 4 * PATCH), loss("emd", repulsion=0.01)),
]
NAMES = ["refine", "pu_net", "residual and repulsion", "residual and emd"]


def test_pu_net_has_the_parameters_of_the_paper():
    assert dimension(make({"kind": "pu_net"}, (1024, 3))) == 814_307
    assert dimension(make({"kind": "pu_net", "width": 0.5}, (1024, 3))) < 814_307 / 3
    assert dimension(make({"kind": "refine"}, (16, 3))) == 45_891


@pytest.mark.parametrize(("block", "given", "wanted", "lossy"), CASES, ids=NAMES)
def test_gradients_of_single_examples_are_those_of_a_slow_loop(block, given, wanted, lossy):
    model = lively(make(block, (given[-1], 3)))
    batch = model, lossy, points(*given), points(*wanted, seed=2)
    alone = by_single(*batch)
    assert alone.isfinite().all()
    assert all(alone[:, place].abs().max() > 0 for place in places(model).values())
    torch.testing.assert_close(by_layers(*batch), alone, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("block", "given", "wanted", "lossy"), CASES[:3], ids=NAMES[:3])
def test_gradients_by_vmap_are_those_of_a_slow_loop(block, given, wanted, lossy):
    model = lively(make(block, (given[-1], 3)))
    batch = model, lossy, points(*given), points(*wanted, seed=2)
    torch.testing.assert_close(by_vmap(*batch), by_single(*batch), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("block", "given", "wanted", "lossy"), CASES, ids=NAMES)
def test_the_fast_method_of_layers_is_chosen(block, given, wanted, lossy):
    model = make(block, (given[-1], 3))
    batch = points(*given).float(), points(*wanted, seed=2).float()
    assert method_for(model, lossy, *batch, single=False) == "layers"


@pytest.mark.parametrize("block", [PU_NET, RESIDUAL])
def test_a_patch_becomes_four_times_as_many_points_and_is_seen_alone(block):
    model = make(block, (PATCH, 3)).double()
    several = points(3, PATCH)
    made = model(several)
    assert made.shape == (3, 4 * PATCH, 3)
    torch.testing.assert_close(model(several[1:2]), made[1:2], rtol=1e-12, atol=1e-14)


def test_the_residual_network_adds_its_output_to_each_point():
    plain, residual = (make(block, (PATCH, 3)).double() for block in (PU_NET, RESIDUAL))
    residual.load_state_dict(plain.state_dict())
    patch = points(1, PATCH)
    torch.testing.assert_close(residual(patch), plain(patch) + torch.cat([patch] * 4, dim=1))


def test_the_order_of_a_patch_and_of_neighbours_matters_to_no_new_point():
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    model, around = make(REFINE, (16, 3)).double(), points(4, 16)
    torch.testing.assert_close(model(around[:, order]), model(around))
    # PU-Net's levels begin with the first point, so that only this one must stay in place.
    order = torch.cat([torch.tensor([0]), 1 + torch.randperm(PATCH - 1)])
    model, patch = make(PU_NET, (PATCH, 3)).double(), points(1, PATCH)
    quarter = model(patch)[:, :PATCH]
    torch.testing.assert_close(model(patch[:, order])[:, :PATCH], quarter[:, order])


def test_farthest_points_are_those_of_a_plain_loop():
    cloud = points(2, 30)
    found = farthest(cloud, 11)
    for own, chosen in zip(cloud, found, strict=True):
        taken = [0]
        for _ in range(10):
            apart = torch.cdist(own, own[taken]).amin(1)
            taken.append(int(apart.argmax()))
        assert chosen.tolist() == taken


@pytest.mark.parametrize("level", [1, 3])
def test_a_ball_holds_the_nearest_points_within_its_radius(level):
    cloud = points(1, 1024 if level == 3 else 256)
    count = cloud.shape[1] >> level
    centres = cloud[:, :count]
    radius = RADII[level] * (1024 / (count << level)) ** 0.5
    found = _grouped(centres, cloud, cloud, level)
    assert found.shape[:2] == (1, count)
    own = found[..., :3] + centres[:, :, None]
    torch.testing.assert_close(own, found[..., 3:])  # points and their features belong together
    apart = torch.cdist(centres, cloud)[0]
    for ball, distance in zip(found[0, :, :, :3].norm(dim=2), apart, strict=True):
        within = distance[distance <= radius].sort().values[:32]
        full = torch.cat([within, within[:1].expand(32 - len(within))])
        torch.testing.assert_close(ball.sort().values, full.sort().values)


def test_interpolation_weighs_three_neighbours_by_their_squared_distances():
    known, features = points(1, 9), torch.rand(1, 9, 4, dtype=torch.float64)
    asked = points(1, 5, seed=3)
    found = _interpolated(asked, known, features)
    for point, value in zip(asked[0], found[0], strict=True):
        apart = ((known[0] - point) ** 2).sum(1)
        near = apart.argsort()[:3]
        weights = 1 / apart[near]
        wanted = (weights[:, None] * features[0, near]).sum(0) / weights.sum()
        torch.testing.assert_close(value, wanted)
    torch.testing.assert_close(_interpolated(known, known, features), features, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("block", "inputs", "words"),
    [
        (REFINE, (16,), r"refine: inputs of shape \(16,\) are no points; allowed: \(neigh"),
        (REFINE, (16, 2), r"refine: inputs of shape \(16, 2\)"),
        (PU_NET, (5, 32, 32), r"pu_net: inputs of shape \(5, 32, 32\) are no patch; allowed: \(8"),
        (PU_NET, (7, 3), r"pu_net: inputs of shape \(7, 3\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_what_is_allowed(block, inputs, words):
    with pytest.raises(ValueError, match=words):
        make(block, inputs)


def test_equal_points_give_finite_outputs_and_gradients():
    model, flat = make(RESIDUAL, (PATCH, 3)), torch.zeros(1, PATCH, 3)
    made = model(flat)
    gradients = torch.autograd.grad(made.square().sum(), list(model.parameters()))
    assert made.isfinite().all()
    assert all(each.isfinite().all() for each in gradients)
    assert np.isfinite(make(REFINE, (16, 3))(torch.zeros(1, 16, 3)).detach().numpy()).all()
