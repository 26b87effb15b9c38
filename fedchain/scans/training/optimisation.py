"""Optimisation: steps of Adam on crops of scans, with early stop and a state that can be saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from fedchain.arrays import Array
from fedchain.learning.task import Loss
from fedchain.randomness import digest, stream
from fedchain.scans.scan import Floats, Mask
from fedchain.scans.training.cleaning import logits_in, seen_at
from fedchain.scans.training.model_file import Channel
from fedchain.scans.training.windows import Corner, window_at

WARM_UP = 0.3
"""Share of the steps in which the learning rate rises."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam's usual constants."""
START, END = 1 / 25, 1e-4
"""First and last learning rate, as shares of the largest one."""


@dataclass(frozen=True, eq=False)
class Example:
    """One scan to learn from: its image, and which points remain after cleaning."""

    name: str
    """Name of the scan."""
    image: Floats
    """Channels as the scan has them, float32, shape (channels, height, width)."""
    valid: Mask
    """Pixels that hold a point, shape (height, width)."""
    keep: Mask
    """Pixels whose point remains, shape (height, width)."""
    held_out: Mask
    """Pixels that are measured and not learned from, shape (height, width)."""
    views: int = 0
    """Number of other scans that the channels compare this one with."""


@dataclass(frozen=True)
class StepSchedule:
    """How many steps of which size are made, and when they stop."""

    steps: int
    """Number of steps."""
    batch: int
    """Crops in a step."""
    window: int
    """Pixels along a side of a crop."""
    margin: int
    """Pixels at each side of a window whose answer is not used when a scan is measured."""
    learning_rate: float
    """Largest learning rate of Adam."""
    check_every: int
    """Steps between two measurements on the points held out."""
    patience: int
    """Measurements without an improvement after which the training stops."""
    seed: int
    """Seed of the crops."""


@dataclass
class TrainingState:
    """Where a training is: everything that the next step depends on."""

    module: nn.Module
    """The model."""
    first: dict[str, torch.Tensor]
    """Adam's running mean of the gradient of each parameter."""
    second: dict[str, torch.Tensor]
    """Adam's running mean of the squared gradient of each parameter."""
    step: int = 0
    """Steps done."""
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    """Weights with the least loss on the points held out, or those of the last step."""
    history: list[tuple[int, float]] = field(default_factory=list)
    """Step and loss on the points held out, for each measurement."""

    @property
    def best_step(self) -> int:
        """Number of steps after which the best weights were found."""
        measured = [(loss, step) for step, loss in self.history if math.isfinite(loss)]
        return min(measured)[1] if measured else self.step


def begin(module: nn.Module) -> TrainingState:
    """Return the state before the first step."""
    nothing = {name: torch.zeros_like(each) for name, each in module.named_parameters()}
    return TrainingState(module, nothing, {name: each.clone() for name, each in nothing.items()})


def rate_at(step: int, schedule: StepSchedule) -> float:
    """Return the learning rate of a step.

    >>> schedule = StepSchedule(100, 6, 96, 16, 1.0, 20, 5, 0)
    >>> rate_at(0, schedule), rate_at(30, schedule)
    (0.04, 1.0)
    """
    return one_cycle(step, schedule.steps, schedule.learning_rate)


def one_cycle(step: int, steps: int, largest: float) -> float:
    """Return the learning rate of a step among ``steps``: one cycle of two half cosines.

    Reference:
        Smith and Topin, "Super-Convergence", 2017.

    >>> one_cycle(0, 100, 1.0), one_cycle(30, 100, 1.0)
    (0.04, 1.0)
    """
    rise = max(1.0, WARM_UP * steps)
    if step <= rise:
        low, part = START, 1 - step / rise
    else:
        low, part = END, (step - rise) / max(1.0, steps - 1 - rise)
    return largest * (low + (1 - low) * (1 + math.cos(math.pi * part)) / 2)


def optimise(
    state: TrainingState,
    examples: Sequence[Example],
    channels: Sequence[Channel],
    loss: Loss,
    schedule: StepSchedule,
    checked: Callable[[TrainingState], None],
    stepped: Callable[[int, int], None],
) -> None:
    """Make the remaining steps; ``state`` changes in place.

    Args:
        state: the state to continue from.
        examples: the scans, of which at least one has points to learn from.
        channels: what the channels are scaled by.
        loss: loss of one crop.
        schedule: number and size of the steps.
        checked: called with the state after each measurement, when the state may be saved.
        stepped: called after each step with the number of steps done and of all steps.
    """
    places = [np.flatnonzero(each.valid & ~each.held_out) for each in examples]
    measured = any((each.held_out & each.valid).any() for each in examples)
    while not _is_over(state, schedule):
        crops = _crops(examples, channels, places, schedule, state.step)
        _make_step(state, crops, loss, schedule)
        stepped(state.step, schedule.steps)
        if state.step % schedule.check_every and state.step < schedule.steps:
            continue
        found = held_out_loss(state.module, examples, channels, schedule) if measured else math.nan
        state.history.append((state.step, found))
        if state.best_step == state.step:
            state.best = {n: each.detach().clone() for n, each in state.module.state_dict().items()}
        checked(state)
    state.module.load_state_dict(state.best)


def _is_over(state: TrainingState, schedule: StepSchedule) -> bool:
    """Return whether every step is done, or the loss has not fallen for too long.

    The answer follows from the state alone, so that a training that was interrupted after its last
    measurement makes no further step.
    """
    waited = state.step - state.best_step
    return state.step >= schedule.steps or waited >= schedule.patience * schedule.check_every


def _crops(
    examples: Sequence[Example],
    channels: Sequence[Channel],
    places: Sequence[Array],
    schedule: StepSchedule,
    step: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the crops of one step: images (batch, channels, side, side) and targets.

    A crop lies around a point that is drawn evenly from the points of all scans.
    """
    generator = stream(schedule.seed, "crops", step)
    ends = np.cumsum([len(own) for own in places])
    drawn = generator.integers(ends[-1], size=schedule.batch)
    shifts = generator.integers(schedule.window, size=(schedule.batch, 2))
    images, targets = [], []
    for number, shift in zip(drawn, shifts, strict=True):
        which = int(np.searchsorted(ends, number, side="right"))
        example, own = examples[which], places[which]
        row, column = divmod(int(own[number - ends[which]]), example.valid.shape[1])
        corner = row - int(shift[0]), column - int(shift[1])
        image, target = _crop(example, channels, corner, schedule.window)
        images.append(image)
        targets.append(target)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(targets))


def _crop(
    example: Example, channels: Sequence[Channel], corner: Corner, side: int
) -> tuple[Floats, Floats]:
    learned = window_at(example.valid & ~example.held_out, corner, side)
    keep = window_at(example.keep, corner, side)
    target = np.where(learned, keep, np.nan).astype(np.float32)
    return seen_at(example.image, example.valid, channels, corner, side), target


def _make_step(
    state: TrainingState,
    crops: tuple[torch.Tensor, torch.Tensor],
    loss: Loss,
    schedule: StepSchedule,
) -> None:
    device = next(state.module.parameters()).device
    images, targets = (each.to(device) for each in crops)
    state.module.train()
    with torch.random.fork_rng():  # dropout depends on the step alone, also after an interruption
        torch.manual_seed(int.from_bytes(digest(schedule.seed, "dropout", state.step)[:8]) >> 1)
        each = loss(state.module(images), targets)
    # A crop counts as much as it has points, so that every point counts the same.
    points = targets.isfinite().sum(dim=(1, 2))
    total: torch.Tensor = (each * points).sum() / points.sum()
    gradients = torch.autograd.grad(total, list(state.module.parameters()))
    rate = rate_at(state.step, schedule)
    state.step += 1
    make_adam_step(state, gradients, rate)


@torch.no_grad()
def make_adam_step(state: TrainingState, gradients: Sequence[torch.Tensor], rate: float) -> None:
    """Change the weights of a state by a step of Adam; ``state.step`` is the number of this step.

    Reference:
        Kingma and Ba, "Adam", 2015, algorithm 1.
    """
    # The first optimiser of torch.optim imports torch's compiler: 1.7 seconds of a processor, as
    # long as a short training.
    corrections = 1 - BETAS[0] ** state.step, 1 - BETAS[1] ** state.step
    for (name, weights), gradient in zip(state.module.named_parameters(), gradients, strict=True):
        first, second = state.first[name], state.second[name]
        first.lerp_(gradient, 1 - BETAS[0])
        second.lerp_(gradient.square(), 1 - BETAS[1])
        size = (second / corrections[1]).sqrt_().add_(EPSILON)
        weights.addcdiv_(first, size, value=-rate / corrections[0])


def held_out_loss(
    module: nn.Module,
    examples: Sequence[Example],
    channels: Sequence[Channel],
    schedule: StepSchedule,
) -> float:
    """Return the mean cross-entropy of the points that are held out."""
    total, count = 0.0, 0
    for example in examples:
        wanted = example.held_out & example.valid
        logits = logits_in(
            module, example.image, example.valid, wanted, channels, schedule.window, schedule.margin
        )
        right = np.where(example.keep, logits, -logits)[wanted].astype(np.float64)
        total += float(np.logaddexp(0, -right).sum())
        count += len(right)
    return total / max(count, 1)


def arrays_of_state(state: TrainingState) -> dict[str, Any]:
    """Return the arrays of a state by name: weights, both moments of Adam, and the best weights."""
    found = {
        f"weights/{n}": each.numpy(force=True) for n, each in state.module.state_dict().items()
    }
    found |= {f"best/{name}": each.numpy(force=True) for name, each in state.best.items()}
    found |= {f"first/{name}": each.numpy(force=True) for name, each in state.first.items()}
    found |= {f"second/{name}": each.numpy(force=True) for name, each in state.second.items()}
    return found


def restore(state: TrainingState, arrays: dict[str, Array], step: int) -> None:
    """Give a new state the arrays of ``arrays_of_state``; names and shapes must be right."""

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(arrays[name].copy()).to(device)

    device = next(state.module.parameters()).device
    names = list(state.module.state_dict())
    state.module.load_state_dict({name: tensor(f"weights/{name}") for name in names})
    state.best = {name: tensor(f"best/{name}") for name in names}
    state.first = {name: tensor(f"first/{name}") for name in state.first}
    state.second = {name: tensor(f"second/{name}") for name in state.second}
    state.step = step
