"""Planes give the gradients that float64 gives, and the same bits in every build."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fedchain.learning.evaluation import flat_weights
from fedchain.learning.gradients.methods import by_layers
from fedchain.learning.gradients.plan import plane_plan
from fedchain.learning.gradients.planes import planes_for
from fedchain.native.loading import BUILDS, library
from fedchain.native.planes import PlaneGradients
from fedchain.scans.losses import bce, dice, focal
from fedchain.scans.models.gajdosech_unet import UNet

needs_kernels = pytest.mark.skipif(library() is None, reason="the kernels are not compiled here")


class Joined(nn.Module):
    """Skips, unequal kernels, norms of two groups, and an image that three operations read."""

    def __init__(self, channels, width, kernel):
        super().__init__()
        self.first = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        self.norm = nn.GroupNorm(2, width)
        self.act = nn.ReLU()
        self.down = nn.MaxPool2d(2)
        self.deep = nn.Conv2d(width, width + 1, 1, bias=False)
        self.up = nn.ConvTranspose2d(width + 1, 3, 2, stride=2)
        self.last = nn.Conv2d(width + 3, 1, 3, padding=1)

    def forward(self, image):
        wide = self.act(self.norm(self.first(image)))
        return self.last(torch.cat([wide, self.up(self.deep(self.down(wide)))], 1))


class Shared(nn.Module):
    """Images that several operations read, so that errors are added to errors in every way."""

    def __init__(self):
        super().__init__()
        self.first, self.side = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.norm, self.down = nn.GroupNorm(1, 2), nn.MaxPool2d(2)
        self.up, self.again = (nn.ConvTranspose2d(2, 1, 2, stride=2) for _ in "ab")
        self.low, self.last = nn.Conv2d(2, 2, 1), nn.Conv2d(6, 1, 1)

    def forward(self, image):
        left = self.first(image)
        normed, side, small = self.norm(left), self.side(left), self.down(left)
        up, again = self.up(small), self.again(self.low(small))
        return self.last(torch.cat([normed, side, up, again], 1))


def some(shape, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, *shape, generator=generator)
    targets = (torch.rand(count, *shape[1:], generator=generator) > 0.5).float()
    targets[torch.rand(targets.shape, generator=generator) > 0.7] = float("nan")
    return inputs, targets


def planes_of(module, loss, inputs, targets):
    plan = plane_plan(module, loss, tuple(inputs.shape[1:]))
    return planes_for(plan, module, loss, inputs, targets)


def gradients_of(module, loss, inputs, targets):
    """Return the gradients by planes, and those by torch in float64."""
    planes = PlaneGradients(library(), plane_plan(module, loss, tuple(inputs.shape[1:])))
    weights = flat_weights(module).astype(np.float32)
    found = planes.each(weights, inputs.numpy(), targets.numpy())
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(value.float())
    wide = by_layers(module.double(), loss, inputs.double(), targets.double()).numpy()
    return found, wide


@needs_kernels
@pytest.mark.parametrize("loss", [dice(), bce(keep_weight=0.3), focal(alpha=0.2, gamma=2.5)])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("width", [2, 4, 6])
def test_gradients_of_single_examples_are_those_of_float64(loss, kernel, width):
    torch.manual_seed(kernel + width)
    found, wide = gradients_of(Joined(3, width, kernel), loss, *some((3, 6, 10), 19))
    apart = np.linalg.norm(found - wide, axis=1)
    assert (apart <= 1e-5 * np.linalg.norm(wide, axis=1)).all()


@needs_kernels
@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    channels=st.integers(1, 4),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    high=st.integers(2, 3),
    wide=st.integers(3, 5),
    count=st.integers(1, 40),
    norm=st.sampled_from(["none", "group"]),
    seed=st.integers(0, 99),
)
def test_every_u_net_has_the_gradients_of_float64(channels, sizes, high, wide, count, norm, seed):
    torch.manual_seed(seed)
    times = 2 ** (len(sizes) - 1)
    module = UNet(channels, sizes, 1, norm=norm)
    found, right = gradients_of(
        module, dice(), *some((channels, high * times, wide * times), count)
    )
    apart, sizes = np.linalg.norm(found - right, axis=1), np.linalg.norm(right, axis=1)
    # Rounding may turn the sign of a value before an activation, or the largest of four values.
    assert np.median(apart / np.maximum(sizes, 1e-9)) < 1e-5
    assert (apart <= 0.05 * sizes + 1e-7).all()


@needs_kernels
def test_errors_of_all_operations_that_read_an_image_are_added():
    torch.manual_seed(1)
    found, right = gradients_of(Shared(), dice(), *some((1, 6, 8), 9))
    apart = np.linalg.norm(found - right, axis=1)
    assert (apart <= 1e-5 * np.linalg.norm(right, axis=1)).all()


@needs_kernels
def test_of_equal_values_the_first_one_passes_the_pool_as_in_torch():
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2), nn.ConvTranspose2d(2, 1, 2, stride=2)
    )
    nn.init.zeros_(module[0].weight)  # all values of a channel are equal
    found, right = gradients_of(module, dice(), *some((1, 8, 8), 5))
    np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-7)


@needs_kernels
@pytest.mark.parametrize("automatic", [False, True])
@pytest.mark.parametrize("sizes", [[0], [1], [5, 3], [16], [50], [8, 8, 8], [17, 0, 2, 40]])
def test_a_sum_is_that_of_the_clipped_gradients_of_a_holder(automatic, sizes):
    inputs, targets = some((2, 8, 8), sum(sizes))
    module = UNet(2, [2, 3], 1, norm="group")
    planes = PlaneGradients(library(), plane_plan(module, dice(), (2, 8, 8)))
    batch = flat_weights(module).astype(np.float32), inputs.numpy(), targets.numpy()
    each = planes.each(*batch).astype(np.float64)
    norms = np.linalg.norm(each, axis=1)[:, None]
    clip = 0.8 * float(np.median(norms)) if len(norms) else 1.0
    factors = clip / (norms + 0.01) if automatic else np.minimum(1, clip / norms)
    ends = np.cumsum([0, *sizes])
    found = planes.clipped_sums(*batch, sizes, clip=clip, automatic=automatic)
    plain = planes.clipped_sums(*batch, sizes, clip=None)
    for k, part in enumerate(map(slice, ends[:-1], ends[1:])):
        wanted = (factors[part] * each[part]).sum(0)
        np.testing.assert_allclose(found[k], wanted, rtol=2e-6, atol=1e-9)
        np.testing.assert_allclose(plain[k], each[part].sum(0), rtol=1e-12, atol=1e-12)
        alone = batch[0], batch[1][part], batch[2][part], [sizes[k]]
        same = planes.clipped_sums(*alone, clip=clip, automatic=automatic)
        assert same.tobytes() == found[k].tobytes()


@needs_kernels
def test_a_gradient_that_is_not_finite_counts_as_zero():
    inputs, targets = some((2, 8, 8), 20)
    module = UNet(2, [2, 3], 1, norm="none")
    planes = PlaneGradients(library(), plane_plan(module, dice(), (2, 8, 8)))
    weights, kept = flat_weights(module).astype(np.float32), np.arange(20) != 7
    spoilt = inputs.numpy().copy()
    spoilt[7] = np.inf
    (found,) = planes.clipped_sums(weights, spoilt, targets.numpy(), [20], clip=0.1)
    rest = inputs.numpy()[kept], targets.numpy()[kept], [19]
    (others,) = planes.clipped_sums(weights, *rest, clip=0.1)
    np.testing.assert_allclose(found, others, rtol=1e-9, atol=1e-12)


@needs_kernels
def test_the_gradient_of_an_example_does_not_depend_on_its_place_and_its_neighbours():
    inputs, targets = (each.numpy() for each in some((2, 8, 8), 40))
    module = UNet(2, [2, 3], 1, norm="group")
    planes = PlaneGradients(library(), plane_plan(module, dice(), (2, 8, 8)))
    weights = flat_weights(module).astype(np.float32)
    whole = planes.each(weights, inputs, targets)
    turned = planes.each(weights, inputs[::-1].copy(), targets[::-1].copy())
    ones = ((inputs[k, None], targets[k, None]) for k in range(40))
    alone = np.concatenate([planes.each(weights, *one) for one in ones])
    assert (whole == turned[::-1]).all()
    assert (whole == alone).all()


PROGRAM = """
import hashlib, json, numpy as np, torch
from fedchain.learning.evaluation import flat_weights
from fedchain.learning.gradients.plan import plane_plan
from fedchain.native.loading import library
from fedchain.native.planes import PlaneGradients
from fedchain.randomness import stream
from fedchain.scans.losses import bce, dice, focal
from fedchain.scans.models.gajdosech_unet import UNet

random, found = stream(0, "planes"), hashlib.sha256()
for loss, norm in [(dice(), "group"), (focal(), "none"), (bce(), "group")]:
    module = UNet(3, [2, 4, 5], 1, norm=norm)
    plan = plane_plan(module, loss, (3, 8, 12))
    weights = (random.random(plan.weights) - 0.5).astype(np.float32)
    inputs = (random.random((21, 3, 8, 12)) - 0.5).astype(np.float32)
    targets = (random.random((21, 8, 12)) > 0.5).astype(np.float32)
    targets[random.random(targets.shape) > 0.7] = np.nan
    planes = PlaneGradients(library(), plan)
    found.update(planes.each(weights, inputs, targets).tobytes())
    found.update(planes.clipped_sums(weights, inputs, targets, [21], clip=0.05).tobytes())
print(json.dumps([library().build, found.hexdigest()]))
"""
DIGEST = "f883017b73e1da7d51f15de9f595d0c0cdaa13290efd0519b7d9ccad43a3b871"


@needs_kernels
@pytest.mark.parametrize("build", BUILDS)
def test_every_build_gives_the_same_bits(build):
    if BUILDS.index(build) > BUILDS.index(library().build):
        pytest.skip("this processor cannot run the build")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "FEDCHAIN_NATIVE": build},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [build, DIGEST]


@needs_kernels
def test_threads_give_the_bits_of_one_thread():
    inputs, targets = some((2, 16, 16), 64)
    module = UNet(2, [2, 3], 1, norm="group")
    planes = planes_of(module, dice(), inputs[:3], targets[:3])
    weights, wrong = flat_weights(module), []
    known = planes.each(weights, inputs, targets)

    def work(own):
        found = (own.each(weights, inputs, targets) for _ in range(20))
        wrong.extend(not torch.equal(each, known) for each in found)

    threads = [threading.Thread(target=work, args=(planes.twin(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 80
    assert not any(wrong)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image):
        return self.layer(self.layer(image))


class Before(nn.Module):
    """An activation whose input another operation reads as well."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(4, 1, 1)
        self.act = nn.ReLU()

    def forward(self, image):
        left = self.layer(image)
        return self.last(torch.cat([self.act(left), left], 1))


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, image):
        return self.layer(image) * self.scale


class Doubled(nn.Module):
    """One image that is joined to itself."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(4, 1, 1)

    def forward(self, image):
        left = self.layer(image)
        return self.last(torch.cat([left, left], 1))


REFUSED = {
    "a layer that is called twice": Twice(),
    "a value before its activation": Before(),
    "a weight outside of the layers": Own(),
    "an image joined to itself": Doubled(),
    "a stride": nn.Sequential(
        nn.Conv2d(1, 1, 3, padding=1, stride=2), nn.ConvTranspose2d(1, 1, 2, 2)
    ),
    "an even kernel": nn.Sequential(nn.Conv2d(1, 1, 2, padding=1)),
    "no padding": nn.Sequential(nn.Conv2d(1, 1, 3)),
    "reflected padding": nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")),
    "dilation": nn.Sequential(nn.Conv2d(1, 1, 3, padding=2, dilation=2)),
    "two logits a pixel": nn.Sequential(nn.Conv2d(1, 2, 3, padding=1)),
    "another activation": nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Sigmoid()),
    "a norm without weights": nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.GroupNorm(1, 2, affine=False), nn.Conv2d(2, 1, 1)
    ),
    "too many channels": nn.Sequential(nn.Conv2d(1, 65, 1), nn.Conv2d(65, 1, 1)),
    "a smaller image": nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(2)),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_model_that_planes_cannot_compute_has_no_plan(why):
    assert plane_plan(REFUSED[why], dice(), (1, 8, 8)) is None


POINTWISE = nn.Sequential(nn.Conv2d(1, 1, 1))


def test_a_loss_of_ones_own_has_no_plan():
    assert plane_plan(POINTWISE, lambda *_: 0, (1, 8, 8)) is None
    assert plane_plan(POINTWISE, dice(), (1, 8, 8)) is not None


@needs_kernels
def test_a_model_that_a_hook_changes_is_not_computed_by_planes():
    inputs, targets = some((1, 8, 8), 3)
    module = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 1))
    assert planes_of(module, dice(), inputs, targets) is not None
    module[0].register_forward_hook(lambda *passed: 3 * passed[2])
    assert planes_of(module, dice(), inputs, targets) is None


@needs_kernels
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"weights": np.zeros(3, np.float32)}, "weights: must be float32 of shape"),
        ({"inputs": np.zeros((4, 1, 8, 8))}, "inputs: must be float32 of shape"),
        (
            {"inputs": np.zeros((4, 8, 8, 1), np.float32).transpose(0, 3, 1, 2)[:, :, ::-1]},
            "C order",
        ),
        ({"targets": np.zeros((4, 8, 7), np.float32)}, "targets: must be"),
    ],
)
def test_arrays_that_do_not_fit_never_reach_the_kernels(change, text):
    module = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1))
    planes = PlaneGradients(library(), plane_plan(module, dice(), (1, 8, 8)))
    arrays = {
        "weights": flat_weights(module).astype(np.float32),
        "inputs": np.zeros((4, 1, 8, 8), np.float32),
        "targets": np.zeros((4, 8, 8), np.float32),
    }
    planes.each(**arrays)
    with pytest.raises(ValueError, match=text):
        planes.each(**(arrays | change))


@needs_kernels
def test_sizes_that_do_not_add_up_to_the_examples_never_reach_the_kernels():
    module = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1))
    planes = PlaneGradients(library(), plane_plan(module, dice(), (1, 8, 8)))
    batch = np.zeros(10, np.float32), np.zeros((4, 1, 8, 8), np.float32)
    with pytest.raises(ValueError, match="sizes: must be int64 of shape"):
        planes.clipped_sums(*batch, np.zeros((4, 8, 8), np.float32), [2, 3], clip=1.0)
