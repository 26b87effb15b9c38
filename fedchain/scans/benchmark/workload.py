"""The workload of the benchmark: a model, random scans, and a loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from fedchain.learning.models import seeded
from fedchain.learning.task import Loss, losses, models
from fedchain.registry import Part
from fedchain.scans.features import CHANNELS
from fedchain.scans.models.gajdosech_unet import SLOPE

FULL = Part("gajdosech_unet", {})
"""The model of the paper: 237,433 parameters."""
FOCAL = Part("focal", {})
"""The loss of the paper."""
EMPTY_SHARE = 0.2
"""Share of the pixels of the benchmark's images that hold no point."""


@dataclass(frozen=True, eq=False)
class Workload:
    """What every back end computes."""

    model: nn.Module
    """The model, in float32 on the CPU; back ends take copies of it."""
    images: torch.Tensor
    """A batch of scans for a step of training, shape (scans, channels, height, width). Inference
    takes the first scan alone."""
    targets: torch.Tensor
    """Masks of the batch: 1 to keep, 0 to erase, NaN without a point, (scans, height, width)."""
    loss: Loss
    """Loss of the steps of training."""


def workload_of(model: Part, size: tuple[int, int], batch: int) -> Workload:
    """Return random scans, and a model whose logits depend on them.

    Raises:
        ValueError: the model does not fit images of this size.
    """
    shape = (len(CHANNELS), *size)
    made = seeded(lambda: models.build(model, shape, 1), 0)()
    generator = torch.Generator().manual_seed(0)
    for weights in made.parameters():
        # Initial weights shrink the signal from layer to layer. With nearly constant logits, nobody
        # would notice a back end that computes something else.
        if weights.ndim > 1:
            nn.init.kaiming_normal_(weights, SLOPE, generator=generator)
    images = torch.rand((batch, *shape), generator=generator)
    draws = torch.rand((batch, *size), generator=generator)
    targets = (draws < 0.5).float().where(draws < 1 - EMPTY_SHARE, torch.tensor(math.nan))
    return Workload(made.eval(), images, targets, losses.build(FOCAL))
