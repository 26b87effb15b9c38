"""Small tasks with random records for the tests of the engine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fedchain.learning.losses import cross_entropy
from fedchain.learning.models import logistic, mlp, seeded
from fedchain.learning.task import Loss, Records, Task
from fedchain.scans.models.gajdosech_unet import UNet


class SmallUNet(nn.Module):
    """Every kind of layer that a U-Net has, with and without group norm."""

    def __init__(self, grouped: bool, width: int = 2) -> None:
        super().__init__()
        self.down = block(3, width, grouped)
        self.deep = block(width, 2 * width, grouped)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.across = block(2 * width, width, grouped)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        fine = self.down(image)
        coarse = self.deep(functional.max_pool2d(fine, 2))
        return self.last(self.across(torch.cat([fine, self.up(coarse)], dim=1)))


def block(entering: int, leaving: int, grouped: bool) -> nn.Sequential:
    norm = [nn.GroupNorm(1, leaving)] if grouped else []
    return nn.Sequential(
        nn.Conv2d(entering, leaving, 3, padding=1), *norm, nn.LeakyReLU(0.3, inplace=True)
    )


def standardised(width: int) -> nn.Module:
    """The scan model's own, whose kernels are functions of its weights."""
    return UNet(3, [width, 2 * width], 1, norm="group_and_weights")


class OddConvolutions(nn.Module):
    """Strides, paddings, kernels and layers without bias that the U-Net does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, (3, 2), padding=(2, 0), bias=False),
            nn.Tanh(),
            nn.Conv2d(4, 3, 3, stride=2, padding=1),
            nn.GroupNorm(3, 3),
            nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1, bias=False),
            nn.Tanh(),
            nn.ConvTranspose2d(2, 2, (2, 3), stride=(2, 3)),
            nn.Conv2d(2, 1, 5),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layers(image)


class TiedAndBare(nn.Module):
    """One layer used twice, one parameter outside of every layer: only vmap sees it all."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(self.scale * self.twice(torch.tanh(self.twice(inputs))))


class BorrowedWeights(nn.Module):
    """A layer whose weights also act outside of its own forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6, bias=False)
        self.last = nn.Linear(6, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.first(inputs)) @ self.first.weight)


def pixel_loss(outputs: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    valid = masks.isfinite()
    truth = torch.where(valid, masks, torch.zeros_like(masks))
    losses = functional.binary_cross_entropy_with_logits(
        outputs.flatten(1), truth.flatten(1), reduction="none"
    )
    return (losses * valid.flatten(1)).mean(1)


def table_task(make: Callable[[], nn.Module], sizes: tuple[int, ...], classes: int = 3) -> Task:
    generator = np.random.default_rng(5)

    def some(size: int) -> Records:
        inputs = generator.standard_normal((size, 6)).astype(np.float32)
        return Records(inputs, generator.integers(0, classes, size))

    return task_of(make, tuple(some(size) for size in sizes), cross_entropy())


def image_task(
    make: Callable[[], nn.Module], sizes: tuple[int, ...], out: tuple[int, int] = (8, 8)
) -> Task:
    generator = np.random.default_rng(6)

    def some(size: int) -> Records:
        images = generator.standard_normal((size, 3, 8, 8)).astype(np.float32)
        masks = (generator.random((size, *out)) > 0.5).astype(np.float32)
        masks[generator.random(masks.shape) > 0.8] = np.nan
        return Records(images, masks)

    return task_of(make, tuple(some(size) for size in sizes), pixel_loss)


def grouped_records(task: Task, per_record: int) -> Task:
    """The same examples, several of them a record, the records' numbers scattered."""
    generator = np.random.default_rng(7)

    def scattered(records: Records) -> Records:
        numbers = generator.permutation(np.arange(records.examples) // per_record) * 3
        return Records(records.inputs, records.targets, numbers)

    return task_of(task.model, tuple(map(scattered, task.holders)), task.loss)


def task_of(make: Callable[[], nn.Module], holders: tuple[Records, ...], loss: Loss) -> Task:
    return Task(
        name="small",
        holders=holders,
        held_out=holders[0],
        model=seeded(make, 1),
        loss=loss,
        measure=lambda *_: {},
        score="accuracy",
        baselines={},
    )


TASKS: dict[str, Callable[[tuple[int, ...]], Task]] = {
    "logistic": lambda sizes: table_task(lambda: logistic((6,), 2), sizes, 2),
    "softmax": lambda sizes: table_task(lambda: nn.Linear(6, 3), sizes),
    "mlp": lambda sizes: table_task(lambda: mlp((6,), 3, hidden=[5, 4]), sizes),
    "u-net": lambda sizes: image_task(lambda: SmallUNet(False), sizes),
    "u-net with group norm": lambda sizes: image_task(lambda: SmallUNet(True), sizes),
    "wide u-net": lambda sizes: image_task(lambda: SmallUNet(False, 8), sizes),
    "wide u-net with group norm": lambda sizes: image_task(lambda: SmallUNet(True, 8), sizes),
    "standardised u-net": lambda sizes: image_task(lambda: standardised(2), sizes),
    "wide standardised u-net": lambda sizes: image_task(lambda: standardised(8), sizes),
    "odd convolutions": lambda sizes: image_task(OddConvolutions, sizes, (16, 20)),
    "tied and bare": lambda sizes: table_task(TiedAndBare, sizes),
    "borrowed weights": lambda sizes: table_task(BorrowedWeights, sizes),
}
