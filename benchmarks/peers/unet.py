# ruff: noqa: D102 - the methods share one signature
"""A small U-Net: clipped gradients of single scans, by Opacus and by hand; no noise, no update.

Opacus has no rule for the norms of convolutions, so that its ghost mode falls back on gradients
of single examples there, and saves only the memory.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import torch
import workload
from opacus.grad_sample import (
    GradSampleModule,
    GradSampleModuleExpandedWeights,
    GradSampleModuleFastGradientClipping,
)
from scans import CLIP, clipped_mean, losses, network, plain, scans
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from fedchain.machine import keep_freed_memory


class Opacus:
    """Opacus, one holder at a time."""

    def __init__(self, module: nn.Module, mode: str) -> None:
        self.parameters = list(module.parameters())
        if mode == "ew":
            self.wrapped = GradSampleModuleExpandedWeights(module, loss_reduction="sum")
        else:
            functorch = mode == "functorch"
            self.wrapped = GradSampleModule(module, loss_reduction="sum", force_functorch=functorch)

    def __call__(self, images: Tensor, masks: Tensor) -> Tensor:
        losses(self.wrapped(images), masks).sum().backward()
        singles = torch.cat([each.grad_sample.flatten(1) for each in self.parameters], dim=1)
        for each in self.parameters:
            each.grad = each.grad_sample = None
        return clipped_mean(singles)


class Ghost:
    """Opacus' ghost clipping: norms in a first pass backwards, the clipped sum in a second."""

    def __init__(self, module: nn.Module) -> None:
        self.parameters = list(module.parameters())
        self.wrapped = GradSampleModuleFastGradientClipping(
            module, loss_reduction="sum", max_grad_norm=CLIP, use_ghost_clipping=True
        )

    def __call__(self, images: Tensor, masks: Tensor) -> Tensor:
        each = losses(self.wrapped(images), masks)
        each.sum().backward(retain_graph=True)
        for parameter in self.parameters:
            parameter.grad = None
        factors = self.wrapped.get_clipping_coef()
        self.wrapped.disable_hooks()
        (each * factors).sum().backward()
        self.wrapped.enable_hooks()
        row = torch.cat([parameter.grad.flatten() for parameter in self.parameters])
        for parameter in self.parameters:
            parameter.grad = None
        return row / len(images)


class Vmap:
    """vmap of grad over the scans of one holder."""

    def __init__(self, module: nn.Module) -> None:
        self.parameters = {name: each.detach() for name, each in module.named_parameters()}

        def loss(parameters, image, mask):
            return losses(functional_call(module, parameters, (image[None],)), mask[None])[0]

        self.singles = vmap(grad(loss), (None, 0, 0))

    def __call__(self, images: Tensor, masks: Tensor) -> Tensor:
        found = self.singles(self.parameters, images, masks)
        return clipped_mean(torch.cat([each.flatten(1) for each in found.values()], dim=1))


def one_by_one(method, everyone):
    """Return a round that asks one holder after the other."""
    return lambda: torch.stack([method(*each) for each in everyone])


def side_by_side(module, everyone, threads):
    """Return a round in threads, each with one torch thread and a model of its own.

    The best method by hand: images lie channels last, freed memory is kept.
    """
    keep_freed_memory()
    free = [
        Vmap(copy.deepcopy(module).to(memory_format=torch.channels_last)) for _ in range(threads)
    ]
    laid = [(i.to(memory_format=torch.channels_last), masks) for i, masks in everyone]
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))

    def row(each):
        method = free.pop()
        try:
            return method(*each)
        finally:
            free.append(method)

    return lambda: torch.stack(list(pool.map(row, laid)))


def main() -> None:
    """Run, and print the line."""
    run = workload.asked("hooks", "ew", "functorch", "ghost", "vmap", "threads")
    module = network()
    everyone = [
        tuple(torch.from_numpy(each) for each in scans(holder)) for holder in range(run.holders)
    ]
    if run.variant == "threads":
        play = side_by_side(module, everyone, run.threads)
    elif run.variant == "vmap":
        play = one_by_one(Vmap(module), everyone)
    elif run.variant == "ghost":
        play = one_by_one(Ghost(copy.deepcopy(module)), everyone)
    else:
        play = one_by_one(Opacus(copy.deepcopy(module), run.variant), everyone)
    run.tick()
    for _ in range(run.total):
        rows = play()
        run.tick()

    def difference() -> float:
        expected = plain(run.holders)
        return float((rows - expected).abs().max() / expected.abs().max())

    package = "torch" if run.variant in ("vmap", "threads") else "opacus"
    workload.write(run, "unet", package, difference)


if __name__ == "__main__":
    main()
