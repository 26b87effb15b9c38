"""Per-example gradients of one batch: two exact methods, and the choice of one for a model."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fedchain.learning.gradients.layers import layer_gradients, supports, turned_backwards
from fedchain.learning.task import Loss
from fedchain.learning.weights import layout

ExampleGradients = Callable[[nn.Module, Loss, Tensor, Tensor], Tensor]
"""Maps (module, loss, inputs (n, ..), targets (n, ..)) to the gradient of each example, (n, d)."""
Passed = tuple[str, nn.Module, Tensor, Tensor]
"""A layer's name, the layer, its input, and the error of its output (the gradient of the loss)."""


def passes(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> list[Passed]:
    """Run a batch forward and backward once; return inputs and errors of the layers with weights.

    The examples must not influence each other. Each row of the error of the summed loss is then
    the error of one example's own loss.
    """
    seen: list[tuple[str, nn.Module, Tensor, Tensor]] = []

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        def keep(layer: nn.Module, entered: tuple[Tensor, ...], left: Tensor) -> Tensor:
            left = turned_backwards(layer, entered[0], left)
            seen.append((name, layer, entered[0].detach(), left))
            return left

        return keep

    hooks = [
        layer.register_forward_hook(watch(name)) for name, layer in weighted_layers(module).items()
    ]
    try:
        total = loss(module(inputs), targets).sum()
    finally:
        for hook in hooks:
            hook.remove()
    errors = torch.autograd.grad(total, [left for *_, left in seen])
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
    """Compute the gradients from each layer's inputs and errors, with one backward pass."""
    found: dict[str, Tensor] = {}
    passed = passes(module, loss, inputs, targets)
    with torch.no_grad():
        for name, layer, entered, error in passed:
            for parameter, gradient in layer_gradients(layer, entered, error).items():
                full = f"{name}.{parameter}" if name else parameter
                flat, before = gradient.flatten(1), found.get(full)
                found[full] = flat if before is None else torch.add(before, flat)
        return torch.cat([found[name] for name, _ in layout(module)], dim=1)


def by_vmap(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Differentiate every example by itself, vectorised by torch; slower, but for any model."""
    from torch.func import functional_call, grad, vmap

    def one(values: dict[str, Tensor], example: Tensor, target: Tensor) -> Tensor:
        outputs = functional_call(module, values, (example[None],))
        return loss(outputs, target[None]).sum()

    values = {name: value.detach() for name, value in module.named_parameters()}
    found = vmap(grad(one), in_dims=(None, 0, 0))(values, inputs, targets)
    return torch.cat([gradient.reshape(len(inputs), -1) for gradient in found.values()], dim=1)


def fitting_way(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> ExampleGradients:
    """Return ``by_layers`` if it knows every layer and finds the true gradient, else ``by_vmap``.

    The check compares summed gradients in float64 at disturbed weights. It finds models that use a
    parameter outside of its layer: there the layer's inputs and errors do not give the whole
    gradient.

    Args:
        module: the model; it is not changed.
        loss: gives one loss per example.
        inputs: a few examples (n, ...).
        targets: their targets (n, ...).

    >>> from fedchain.learning.losses import cross_entropy
    >>> batch = torch.ones(2, 3), torch.tensor([0, 1])
    >>> fitting_way(nn.Linear(3, 2), cross_entropy(), *batch).__name__
    'by_layers'
    """
    if not all(supports(layer) for layer in weighted_layers(module).values()):
        return by_vmap
    probe = copy.deepcopy(module).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in probe.parameters():
            value.add_(torch.randn(value.shape, generator=generator, dtype=value.dtype), alpha=0.1)
    batch = inputs.double(), targets.double() if targets.is_floating_point() else targets
    true = torch.autograd.grad(loss(probe(batch[0]), batch[1]).sum(), list(probe.parameters()))
    expected = torch.cat([gradient.flatten() for gradient in true])
    found = by_layers(probe, loss, *batch).sum(0)
    agrees = float((found - expected).norm()) <= 1e-9 * float(expected.norm()) + 1e-12
    return by_layers if agrees else by_vmap
