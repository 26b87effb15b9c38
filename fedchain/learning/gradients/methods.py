"""Methods that compute the gradient of each example of a batch; all of them are exact."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fedchain.learning.evaluation import layout
from fedchain.learning.gradients.clipping import Clipping
from fedchain.learning.gradients.layers import GRADIENTS, supports, turned_backwards
from fedchain.learning.gradients.probe import ExampleGradients, by_single, probe_of
from fedchain.learning.task import Loss

SINGLE = 512
"""Largest number of examples of a holder whose gradients are added up in float32. More examples are
added up in float64."""
# The error of a float32 sum grows with the number of examples. Up to SINGLE it is below 10^-4 of
# what one record may move; at 10^6 it is some percent. Float64 takes up to four times as long.
GradientMethod = Literal["exact", "planes", "segments", "layers", "vmap", "single"]
"""How the gradients of single examples are computed. ``planes``: by compiled kernels with the
examples innermost. ``exact``: by exact products. ``segments``: one matrix product for each holder
and layer. ``layers``: one for each example and layer. ``vmap``: by torch's vmap. ``single``: one
call of the model for each example."""
Batch = tuple[Tensor, Tensor]
"""Inputs and targets of some examples."""
Passed = tuple[str, nn.Module, Tensor, Tensor]
"""The name of a layer, the layer, its input, and the error of its output: the gradient of the loss
with respect to the output."""


def passes(module: nn.Module, loss: Loss, *batches: Batch) -> list[Passed]:
    """Return the input of each layer, and the gradient of the loss with respect to its output.

    Only layers with weights are returned. The model must not mix the examples. Several batches go
    through the model one by one, so that the bits of one do not depend on the others; inputs and
    gradients of all of them are joined. A model for several batches uses every layer once.
    """
    seen: list[Passed] = []

    def keep(name: str, layer: nn.Module, entered: tuple[Tensor, ...], left: Tensor) -> Tensor:
        if isinstance(layer, nn.Conv2d):
            left = turned_backwards(layer, entered[0], left)
        seen.append((name, layer, entered[0].detach(), left))
        return left

    hooks = [
        layer.register_forward_hook(functools.partial(keep, name))
        for name, layer in weighted_layers(module).items()
    ]
    try:
        totals = [loss(module(inputs), targets).sum() for inputs, targets in batches]
    finally:
        for hook in hooks:
            hook.remove()
    errors = torch.autograd.grad(totals, [left for *_, left in seen])
    if len(batches) > 1:
        layers = len(seen) // len(batches)
        return [
            (
                name,
                layer,
                torch.cat([e for *_, e, _ in seen[i::layers]]),
                torch.cat(errors[i::layers]),
            )
            for i, (name, layer, *_) in enumerate(seen[:layers])
        ]
    return [
        (name, layer, entered, error)
        for (name, layer, entered, _), error in zip(seen, errors, strict=True)
    ]


def weighted_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that own parameters, by name."""
    return {
        name: layer
        for name, layer in module.named_modules()
        if next(layer.parameters(recurse=False), None) is not None
    }


def by_layers(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of each example, shape (examples, weights), by the method ``layers``."""
    found: dict[str, Tensor] = {}
    passed = passes(module, loss, (inputs, targets))
    with torch.no_grad():
        for name, layer, entered, error in passed:
            for parameter, gradient in GRADIENTS[type(layer)](layer, entered, error).items():
                full = f"{name}.{parameter}" if name else parameter
                flat, before = gradient.flatten(1), found.get(full)
                found[full] = flat if before is None else torch.add(before, flat)
        return torch.cat([found[name] for name, _ in layout(module)], dim=1)


def by_vmap(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of each example, shape (examples, weights), by the method ``vmap``."""
    from torch.func import functional_call, grad, vmap

    def one(values: dict[str, Tensor], example: Tensor, target: Tensor) -> Tensor:
        outputs = functional_call(module, values, (example[None],))
        return loss(outputs, target[None]).sum()

    values = {name: value.detach() for name, value in module.named_parameters()}
    found = vmap(grad(one), in_dims=(None, 0, 0))(values, inputs, targets)
    return torch.cat([gradient.reshape(len(inputs), -1) for gradient in found.values()], dim=1)


WAYS: Mapping[GradientMethod, ExampleGradients] = {
    "exact": by_layers,
    "planes": by_layers,
    "segments": by_layers,
    "layers": by_layers,
    "vmap": by_vmap,
    "single": by_single,
}
"""For each method, the function of torch that computes the gradients of single examples."""


def method_for(
    module: nn.Module,
    loss: Loss,
    inputs: Tensor,
    targets: Tensor,
    *,
    single: bool = True,
    most: int = 1,
) -> GradientMethod:
    """Return the fastest method that gives the right gradients on a few examples.

    A gradient is right if an example in a batch has the gradient that it has alone. The largest
    batch that is tried has ``most`` examples. ``single`` says whether each clipped record is one
    example; if not, the method ``segments`` is not considered.

    Raises:
        PartError: the gradient of an example depends on the other examples or on earlier calls.

    >>> from fedchain.learning.losses import cross_entropy
    >>> batch = torch.ones(2, 3), torch.tensor([0, 1])
    >>> method_for(nn.Linear(3, 2), cross_entropy(), *batch)
    'segments'
    """
    # ``by_layers`` is wrong for a model that uses a parameter outside the layer that owns it, or
    # whose layers do not have the examples along their first axis. The probe shows this.
    probe = probe_of(module, loss, inputs, targets)
    probe.refuse_mixing(most)
    if all(map(supports, weighted_layers(module).values())) and probe.agrees(by_layers):
        return "segments" if single and _has_segments(module, loss, inputs, targets) else "layers"
    return "vmap" if probe.agrees(by_vmap) else "single"


def _has_segments(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> bool:
    """Return whether every parameter belongs to a dense layer that is used once."""
    owners = weighted_layers(module)
    if not all(type(owner) is nn.Linear for owner in owners.values()):
        return False
    passed = passes(module, loss, (inputs, targets))
    flat = all(entered.ndim == 2 and len(entered) == len(inputs) for _, _, entered, _ in passed)
    return flat and len({name for name, *_ in passed}) == len(passed) == len(owners)


@dataclass(frozen=True)
class Segments:
    """Which examples of a batch belong to which holder, and how their gradients are scaled."""

    sizes: Sequence[int]
    """Number of examples of each holder, in order."""
    shares: Sequence[float]
    """Factor of each holder's sum of gradients. The factor 1 / (number of records) gives the
    mean."""
    clipping: Clipping | None
    """The function that clips the gradient of each example, or None for no clipping."""
    places: dict[str, slice]
    """Slice of each parameter in a row of gradients, by the name of the parameter."""


def segment_sums(
    module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, segments: Segments, out: Tensor
) -> None:
    """Write the sum of each holder's clipped gradients, times the holder's share, to ``out``.

    All layers of the model are dense. ``inputs`` and ``targets`` are those of all holders. ``out``
    is float64, shape (holders, weights).

    Reference:
        Goodfellow, "Efficient Per-Example Gradient Computations", 2015.
    """
    # The gradient of a dense layer is the matrix product errors^T inputs. The gradient of a holder
    # is therefore the product of the holder's rows of the two matrices.
    passed = passes(module, loss, (inputs, targets))
    places, sizes = segments.places, list(segments.sizes)
    kind = out.dtype if max(sizes) > SINGLE else inputs.dtype
    with torch.no_grad():
        for name, _, entered, error in _clip_errors(passed, segments.clipping):
            prefix = f"{name}." if name else ""
            weight, bias = places[f"{prefix}weight"], places.get(f"{prefix}bias")
            if len(set(sizes)) == 1:  # two calls in all, instead of two per holder
                many, n = len(sizes), sizes[0]
                mine, given = error.view(many, n, -1).to(kind), entered.view(many, n, -1).to(kind)
                out[:, weight] = torch.bmm(mine.mT, given).flatten(1)
                if bias is not None:
                    out[:, bias] = mine.sum(1)
                continue
            parts = zip(out, torch.split(error, sizes), torch.split(entered, sizes), strict=True)
            for row, some, those in parts:
                one, its = some.to(kind), those.to(kind)
                row[weight] = torch.mm(one.T, its).flatten()
                if bias is not None:
                    row[bias] = one.sum(0)
        out *= out.new_tensor(segments.shares)[:, None]


def separate_sums(
    module: nn.Module,
    loss: Loss,
    batches: Sequence[Batch],
    clipping: Clipping | None,
    places: dict[str, slice],
    out: Tensor,
) -> None:
    """Add the sum of each holder's clipped gradients to ``out``, as ``segment_sums`` does.

    The examples of a holder, ``batches[k]``, go through the model alone. The sum therefore has the
    same bits whichever other examples are drawn. A batch may be empty.
    """
    kept = [(row, batch) for row, batch in zip(out, batches, strict=True) if len(batch[0])]
    if not kept:
        return
    sizes = [len(inputs) for _, (inputs, _) in kept]
    passed = passes(module, loss, *(batch for _, batch in kept))
    with torch.no_grad():
        for name, _, entered, error in _clip_errors(passed, clipping):
            prefix = f"{name}." if name else ""
            weight, bias = places[f"{prefix}weight"], places.get(f"{prefix}bias")
            parts = torch.split(error[None], sizes, 1), torch.split(entered[None], sizes, 1)
            for (row, _), size, some, those in zip(kept, sizes, *parts, strict=True):
                kind = out.dtype if size > SINGLE else those.dtype
                one, its = some.to(kind), those.to(kind)
                row[weight].add_(torch.bmm(one.mT, its).flatten())
                if bias is not None:
                    row[bias].add_(one.sum(1)[0])


def groups_of(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Yield slices of consecutive holders, with at most ``most`` examples or a single holder.

    ``sizes`` has the number of examples of each holder.

    >>> [(part.start, part.stop) for part in groups_of([4000, 90, 90, 5000], 4096)]
    [(0, 2), (2, 3), (3, 4)]
    """
    start = examples = 0
    for place, more in enumerate(sizes):
        if place > start and examples + more > most:
            yield slice(start, place)
            start, examples = place, 0
        examples += more
    if start < len(sizes):
        yield slice(start, len(sizes))


def _clip_errors(passed: list[Passed], clipping: Clipping | None) -> list[Passed]:
    """Return the layers with errors that are scaled so that each example's gradient is clipped.

    A gradient that overflowed becomes zero.
    """
    if clipping is None:
        return passed
    # The gradient of one example has the squared norm |error|^2 (|input|^2 + 1), with the 1 for the
    # bias. Clipping therefore needs no gradient of a single example.
    squares = passed[0][-1].new_zeros(len(passed[0][-1]))
    for _, layer, entered, error in passed:
        squares += error.square().sum(1) * (entered.square().sum(1) + (layer.bias is not None))
    factors = clipping(squares.sqrt())[:, None]
    kept = factors > 0
    if not bool(kept.all()):
        nothing = squares.new_zeros(())
        passed = [
            (name, layer, entered.where(kept, nothing), error.where(kept, nothing))
            for name, layer, entered, error in passed
        ]
    return [(name, layer, entered, error * factors) for name, layer, entered, error in passed]
