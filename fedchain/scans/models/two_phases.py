"""Two phases: how Havaei's network is trained where one class of pixels is rare."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fedchain.scans.models.havaei import Cascaded, TwoPaths

DRAWN = 256
"""Number of patches that are drawn from each class in a step of the first phase."""


def train_two_phases(
    model: TwoPaths | Cascaded,
    images: Tensor,
    masks: Tensor,
    *,
    epochs: tuple[int, int] = (6, 2),
    batch: int = 8,
    rate: float = 3e-3,
    seed: int = 0,
) -> None:
    """Train Havaei's network on masks, in the two phases of the paper, with Adam.

    In the first phase each step draws as many patches around points to keep as around points to
    erase. In the second phase only the last convolution learns, from all points, so that it learns
    how frequent the classes are. The logits of the patches come from the convolution over whole
    images, which computes each value only once. Of a cascade, the first network goes through both
    phases, then the second one.

    Args:
        model: the network, with 1 output; its weights are changed.
        images: shape (images, channels, h, w).
        masks: 1 for a point to keep, 0 to erase, NaN without a point; shape (images, h, w).
        epochs: how often each of the two phases goes through the images, at least once.
        batch: number of images in a step.
        rate: largest learning rate; it rises and falls once in each phase.
        seed: seed of the order of the images, and of the patches.

    Reference:
        Havaei and others, "Brain Tumor Segmentation with Deep Neural Networks", 2017, section 4.2.
    """
    draws = torch.Generator().manual_seed(seed)
    networks = [model] if isinstance(model, TwoPaths) else [model.before, model.after]
    for network in networks:
        whole = model if network is networks[-1] else network
        learning: tuple[nn.Module, nn.Module] = network, network.last
        for balanced, part, times in zip((True, False), learning, epochs, strict=True):
            orders = [torch.randperm(len(images), generator=draws) for _ in range(times)]
            steps = [some for order in orders for some in torch.split(order, batch)]
            weights = list(part.parameters())
            optimiser = torch.optim.Adam(weights, rate)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, len(steps))
            for some in steps:
                logits, targets = _points(whole(images[some]), masks[some])
                if balanced:
                    drawn = _balanced(targets, draws)
                    logits, targets = logits[drawn], targets[drawn]
                value = binary_cross_entropy_with_logits(logits, targets)
                for weight, slope in zip(weights, torch.autograd.grad(value, weights), strict=True):
                    weight.grad = slope
                optimiser.step()
                schedule.step()


def _points(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits and the targets of all points of some images, shape (points,) each."""
    valid = masks.isfinite()
    return logits[:, 0][valid], masks[valid]


def _balanced(targets: Tensor, draws: torch.Generator) -> Tensor:
    """Draw the indices of as many points to keep as points to erase."""
    classes = [places for known in (0, 1) if len(places := (targets == known).nonzero()[:, 0])]
    return torch.cat(
        [places[torch.randint(len(places), (DRAWN,), generator=draws)] for places in classes]
    )
