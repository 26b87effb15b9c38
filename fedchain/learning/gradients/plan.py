"""Plan: where the images of a traced model stand in memory, and the steps of ``native.planes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from fedchain.learning.evaluation import places
from fedchain.learning.gradients.tracing import NotTracedError, Operation, Traced, trace_operations
from fedchain.learning.losses import MaskLoss
from fedchain.native.planes import PlanePlan, PlaneStep

ImageShape = tuple[int, int, int]
"""Channels, height and width of an image."""
MOST_PLANE_NUMBERS = 2**22
"""Largest number of values that all planes of one example may have; the rooms of a block of 16 are
then at most 512 MiB."""
MOST_CHANNELS = 64
"""Largest number of channels of an image. With more, torch's convolutions are faster: measured with
32 x 32 pixels and one processor, times of torch divided by those of planes (AVX-512, AVX2) are 14
and 9 for at most 8 channels, 2.4 and 1.6 for 32, 1 and 1 for 64, .7 and .4 for 128."""
# The table is fixed, and nothing is timed when a run begins: heads must not depend on load.


def plane_plan(module: nn.Module, loss: object, shape: tuple[int, ...]) -> PlanePlan | None:
    """Return the plan for a model, a loss and examples of a shape (channels, height, width).

    Returns:
        The plan, or None if the model or the loss has a part that planes cannot compute.

    >>> from fedchain.scans.losses import dice
    >>> model = nn.Sequential(nn.Conv2d(2, 1, 3, padding=1))
    >>> plan = plane_plan(model, dice(), (2, 8, 8))
    >>> [step.kind for step in plan.steps]
    ['convolution', 'dice']
    """
    if not isinstance(loss, MaskLoss) or len(shape) != 3:
        return None
    try:
        channels, height, width = shape
        placed = _place_images(trace_operations(module), (channels, height, width))
        return _plan(module, loss, placed)
    except NotTracedError:
        return None


@dataclass(frozen=True)
class _Image:
    """Planes of one image, which are the channels."""

    channels: int
    height: int
    width: int
    place: int
    """Place of the first plane, in vectors."""


@dataclass(frozen=True)
class _Placed:
    """The operations of a model, and the place of each image."""

    traced: Traced
    images: dict[str, _Image]
    border: int
    """Width of the border of zeros."""
    size: int
    """Number of vectors of all images."""


def _place_images(traced: Traced, shape: ImageShape) -> _Placed:
    """Give every image its place. Images that are joined stand one behind the other."""
    parts = [each.part for each in traced.operations]
    border = (
        max((part.kernel_size[0] for part in parts if isinstance(part, nn.Conv2d)), default=1) // 2
    )
    sizes: dict[str, ImageShape] = {traced.entering: shape}
    for operation in traced.operations:
        sizes[operation.leaving] = _shape_of(
            operation, [sizes[name] for name in operation.entering]
        )
    images, size = dict[str, _Image](), 0

    def stand(name: str) -> None:
        nonlocal size
        if name in images:
            raise NotTracedError  # it is joined twice, and cannot stand in two places
        channels, height, width = sizes[name]
        images[name] = _Image(channels, height, width, size)
        size += channels * (height + 2 * border) * (width + 2 * border)

    for operation in traced.operations:
        if operation.kind == "concatenation":
            begun = size
            for name in operation.entering:
                stand(name)
            images[operation.leaving] = _Image(*sizes[operation.leaving], begun)
    for name in sizes:
        if name not in images:
            stand(name)
    if (
        size > MOST_PLANE_NUMBERS
        or max(channels for channels, *_ in sizes.values()) > MOST_CHANNELS
    ):
        raise NotTracedError
    return _Placed(traced, images, border, size)


def _shape_of(operation: Operation, entering: list[ImageShape]) -> ImageShape:
    """Return the shape of the image that leaves an operation."""
    channels, height, width = entering[0]
    part = operation.part
    if operation.kind == "concatenation":
        if {each[1:] for each in entering} != {(height, width)}:
            raise NotTracedError
        return sum(each[0] for each in entering), height, width
    if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
        times = 2 if operation.kind == "transposed" else 1
        if part.in_channels != channels:
            raise NotTracedError
        return part.out_channels, times * height, times * width
    if operation.kind == "norm":
        return channels, height, width
    if height % 2 or width % 2:
        raise NotTracedError
    return channels, height // 2, width // 2


def _plan(module: nn.Module, loss: MaskLoss, placed: _Placed) -> PlanePlan:
    traced, images, at = placed.traced, placed.images, places(module)
    entering, leaving = images[traced.entering], images[traced.leaving]
    if (leaving.channels, leaving.height, leaving.width) != (1, entering.height, entering.width):
        raise NotTracedError
    adds, lonely, steps = _additions(traced), _lonely(traced), list[PlaneStep]()
    used, size = list[str](), 2 * placed.size
    for operation in traced.operations:
        if operation.kind == "concatenation":
            continue
        own = _weights_of(operation, at)
        used += own.values()
        (name,) = operation.entering
        step = _step(operation, placed, adds=adds[operation.leaving])
        if isinstance(operation.part, nn.GroupNorm):
            before, normed, inverse = images[name], images[name].place, size
            size += operation.part.num_groups
            if name not in lonely:
                normed, size = size, size + before.channels * _plane(before, placed.border)
            step = replace(step, normed=normed, inverse=inverse)
        begins = {key: at[name].start for key, name in own.items()}
        steps.append(replace(step, weight=begins.get("weight", -1), bias=begins.get("bias", -1)))
    if sorted(used) != sorted(at):
        raise NotTracedError  # a layer is called twice, or a weight belongs to none of them
    return PlanePlan(
        steps=(*steps, _loss_step(loss, leaving, placed.size)),
        border=placed.border,
        vectors=size,
        weights=sum(part.stop - part.start for part in at.values()),
        channels=entering.channels,
        height=entering.height,
        width=entering.width,
        input=entering.place,
    )


def _weights_of(operation: Operation, at: Mapping[str, slice]) -> dict[str, str]:
    """Return the names of an operation's weight and bias in the model, as far as it has them."""
    if operation.part is None:
        return {}
    names = {key: f"{operation.layer}.{key}" for key in ("weight", "bias")}
    return {key: name for key, name in names.items() if name in at}


def _step(operation: Operation, placed: _Placed, *, adds: bool) -> PlaneStep:
    """Return the step of an operation, without its weights and without what a norm keeps."""
    (name,), part = operation.entering, operation.part
    before, after = placed.images[name], placed.images[operation.leaving]
    needed = name != placed.traced.entering
    assert operation.kind != "concatenation", "joined images stand one behind the other already"
    return PlaneStep(
        kind=operation.kind,
        from_place=before.place,
        from_error=placed.size + before.place if needed else -1,
        to_place=after.place,
        to_error=placed.size + after.place,
        adds=adds,
        entering=before.channels,
        leaving=after.channels,
        height=before.height,
        width=before.width,
        kernel=part.kernel_size[0] if isinstance(part, nn.Conv2d) else 0,
        groups=part.num_groups if isinstance(part, nn.GroupNorm) else 1,
        slope=operation.slope,
        first=part.eps if isinstance(part, nn.GroupNorm) else 0.0,
    )


def _loss_step(loss: MaskLoss, logits: _Image, size: int) -> PlaneStep:
    """Return the step of a loss; ``size`` is the number of vectors of all images."""
    return PlaneStep(
        kind=loss.kind,
        from_place=logits.place,
        from_error=size + logits.place,
        height=logits.height,
        width=logits.width,
        first=loss.first,
        second=loss.second,
        factor=loss.factor,
    )


def _plane(image: _Image, border: int) -> int:
    return (image.height + 2 * border) * (image.width + 2 * border)


def _parts(traced: Traced) -> dict[str, tuple[str, ...]]:
    """Return the images that stand in each joined image, by its name."""
    joined = [each for each in traced.operations if each.kind == "concatenation"]
    return {each.leaving: each.entering for each in joined}


def _additions(traced: Traced) -> dict[str, bool]:
    """Return for each operation whether its error is added to what a later operation has left.

    The operations are named by the image that leaves them.
    """
    parts, found = _parts(traced), dict[str, bool]()
    written = set(parts.get(traced.leaving, (traced.leaving,)))
    for operation in reversed(traced.operations):
        if not written.issuperset(parts.get(operation.leaving, (operation.leaving,))):
            raise NotTracedError
        if operation.kind == "concatenation":
            continue
        (name,) = operation.entering
        stands = {part in written for part in parts.get(name, (name,))}
        if len(stands) > 1:
            raise NotTracedError  # one pass cannot write some channels and add to others
        (found[operation.leaving],) = stands
        written |= set(parts.get(name, (name,)))
    return found


def _lonely(traced: Traced) -> set[str]:
    """Return the images that one operation alone reads, and whose backward pass needs no values."""
    read = [name for operation in traced.operations for name in operation.entering]
    plain = {each.leaving for each in traced.operations if each.slope == 1.0}
    return {name for name in plain if read.count(name) == 1 and name != traced.leaving}
