"""Planes: gradients of convolutional models, computed with the examples innermost.

A plan is a list of steps on planes. A plane is one channel of an image with a border of zeros; a
vector holds one number of each example of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from fedchain.arrays import Array, Matrix, Singles, Wholes
from fedchain.native.loading import Library, aligned

StepKind = Literal["convolution", "norm", "pool", "transposed", "dice", "focal"]
KINDS: Sequence[str] = ("convolution", "norm", "pool", "transposed", "dice", "focal")
"""The kinds of steps, in the order of their numbers in ``planes.c``."""
SUMS_OF_EXAMPLES = 16
"""Number of partial sums over examples: example n belongs to sum n modulo 16."""


@dataclass(frozen=True, kw_only=True)
class PlaneStep:
    """One step of a plan. Places of planes are counted in vectors."""

    kind: StepKind
    """What the step computes."""
    from_place: int
    """Place of the planes that enter."""
    from_error: int
    """Place of the gradient of the loss with respect to what enters; -1 if it is not needed."""
    to_place: int = 0
    """Place of the planes that leave."""
    to_error: int = 0
    """Place of the gradient of the loss with respect to what leaves."""
    adds: bool = False
    """Whether the error of what enters is added to what stands at its place."""
    entering: int = 1
    """Number of channels that enter."""
    leaving: int = 1
    """Number of channels that leave."""
    height: int
    """Height of the planes that enter."""
    width: int
    """Width of the planes that enter."""
    kernel: int = 0
    """Width and height of the kernels of a convolution, an odd number."""
    groups: int = 1
    """Number of groups of a norm."""
    weight: int = -1
    """Place of the weights of the step in the model's flat weights; -1 if it has none."""
    bias: int = -1
    """Place of the biases of the step; -1 if it has none."""
    normed: int = 0
    """Place where a norm keeps its result before gain and shift."""
    inverse: int = 0
    """Place where a norm keeps the factors of its groups."""
    slope: float = 1.0
    """Slope of the activation for numbers that are not positive; 1 for no activation."""
    first: float = 0.0
    """First parameter of a norm or a loss."""
    second: float = 0.0
    """Second parameter of a loss."""
    factor: float = 1.0
    """Factor of a loss."""


@dataclass(frozen=True, kw_only=True)
class PlanePlan:
    """The steps for one model, one loss and images of one size."""

    steps: tuple[PlaneStep, ...]
    """The steps of the forward pass; the last one is the loss."""
    border: int
    """Width of the border of zeros around each plane."""
    vectors: int
    """Number of vectors that the steps need."""
    weights: int
    """Number of weights of the model."""
    channels: int
    """Number of channels of an image."""
    height: int
    """Height of an image."""
    width: int
    """Width of an image."""
    input: int
    """Place of the planes of the image that enters the model."""


_STEP = np.dtype(
    [(each.name, "f8" if each.type == "float" else "i8") for each in fields(PlaneStep)]
)
_PLAN = np.dtype(
    [
        (name, "i8")
        for name in ("steps", "border", "weights", "channels", "height", "width", "input")
    ]
    + [("clip", "f8"), ("automatic", "i8")]
)


class PlaneGradients:
    """Computes gradients by a plan. An object must not be used by two threads."""

    def __init__(self, library: Library, plan: PlanePlan) -> None:
        """Allocate the rooms of the plan."""
        self._library, self.plan = library, plan
        lanes = library.lanes
        rows = [
            tuple(
                KINDS.index(value) if name == "kind" else value
                for name, value in vars(step).items()
            )
            for step in plan.steps
        ]
        self._steps = np.array(rows, dtype=_STEP)
        self._planes = aligned(plan.vectors * lanes, np.float32)
        self._gradient = aligned(plan.weights * lanes, np.float32)
        self._target = aligned(plan.height * plan.width * lanes, np.float32)
        self._turned = aligned(plan.weights, np.float32)

    def twin(self) -> PlaneGradients:
        """Return an object with rooms of its own, for another thread."""
        return PlaneGradients(self._library, self.plan)

    def clipped_sums(
        self,
        weights: Singles,
        inputs: Singles,
        targets: Singles,
        sizes: Sequence[int],
        *,
        clip: float | None,
        automatic: bool = False,
    ) -> Matrix:
        """Return the sum of the clipped gradients of each holder, shape (holders, weights).

        Args:
            weights: the model's weights, one float32 vector.
            inputs: images of the holders, one holder after the other, shape (examples, channels,
                height, width).
            targets: their masks, shape (examples, height, width).
            sizes: number of examples of each holder.
            clip: bound on the norm of each gradient; None for no bound.
            automatic: scale every gradient to nearly the clip, not only those above it.
        """
        sums = np.empty((len(sizes), self.plan.weights))
        owners = np.repeat(np.arange(len(sizes)), sizes)
        places = np.concatenate([np.arange(size) for size in sizes])
        partial = np.empty((*sums.shape, SUMS_OF_EXAMPLES))
        head = (-1.0 if clip is None else clip), int(automatic)
        self._run(head, weights, inputs, targets, (owners, places), (partial, sums, None))
        return sums

    def each(self, weights: Singles, inputs: Singles, targets: Singles) -> Singles:
        """Return the gradient of each example, shape (examples, weights), without clipping.

        The arguments are those of ``clipped_sums``.
        """
        found = np.empty((len(inputs), self.plan.weights), dtype=np.float32)
        alone = np.arange(len(inputs))
        self._run((-1.0, 0), weights, inputs, targets, (alone, alone), (None, None, found))
        return found

    def _run(
        self,
        clip: tuple[float, int],
        weights: Singles,
        inputs: Singles,
        targets: Singles,
        owned: tuple[Wholes, Wholes],
        results: tuple[Matrix | None, Matrix | None, Singles | None],
    ) -> None:
        plan, count = self.plan, len(inputs)
        image = plan.channels, plan.height, plan.width
        _check("weights", weights, (plan.weights,), np.float32)
        _check("inputs", inputs, (count, *image), np.float32)
        _check("targets", targets, (count, *image[1:]), np.float32)
        for array in owned:
            _check("sizes", array, (count,), np.int64)
        numbers = len(plan.steps), plan.border, plan.weights, *image, plan.input, *clip
        head = np.array([numbers], dtype=_PLAN)
        given: list[Array] = [head, self._steps, weights, inputs, targets, *owned]
        rooms: list[Array] = [self._planes, self._gradient, self._target, self._turned]
        before, after = [_address(array) for array in given], [_address(room) for room in rooms]
        holders = 0 if results[1] is None else len(results[1])
        last = [_address(result) for result in results]
        self._library.gradients(*before, count, holders, *after, *last)


def _address(array: Array | None) -> int | None:
    return None if array is None else array.ctypes.data


def _check(name: str, array: Array, shape: tuple[int, ...], kind: Any) -> None:
    """Refuse an array of another shape or type, or one whose entries are not in C order."""
    if array.shape != shape or array.dtype != kind or not array.flags.c_contiguous:
        raise ValueError(
            f"{name}: must be {np.dtype(kind)} of shape {shape} in C order, "
            f"got {array.dtype} of shape {array.shape}"
        )
