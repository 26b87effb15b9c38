"""Probe: a few examples that show whether a model or a loss mixes the examples of a batch.

Clipping bounds the effect of one record only if the gradient of each example depends on this
example alone. The probe compares the gradient of an example alone with its gradient in a batch.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from fedchain.errors import PartError
from fedchain.learning.task import Loss

ExampleGradients = Callable[[nn.Module, Loss, Tensor, Tensor], Tensor]
"""Function of a model, a loss, inputs and targets. It returns the gradient of each example, one row
each."""
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}
"""Largest difference between two gradients of one example that counts as rounding, divided by the
length of the gradient."""
SCALES = (0.0, -1.0, 1e3, 1e6, math.inf)
"""Factors that turn the inputs of given examples into outliers."""
REDUCE = "so that clipping does not bound one record; reduce over the axes of one example only"
ONCE = "so that the gradient of a record depends on others; keep no state and draw nothing in it"


def refuse_layers(module: nn.Module) -> None:
    """Refuse a model with a batch norm or a dropout, by the name of the layer; raise PartError."""
    for name, layer in module.named_modules():
        words = f"task.model: layer {name} is a {type(layer).__name__}, which"
        if isinstance(layer, _BatchNorm):
            raise PartError(
                f"{words} mixes examples, so that clipping bounds no record; use a norm within one "
                "example, as GroupNorm"
            )
        if isinstance(layer, _DropoutNd) and layer.p > 0:
            raise PartError(
                f"{words} draws at random, so that nobody could compute a gradient again; leave it "
                "out, or write p=0: the noise of privacy takes its place"
            )


def summed_gradient(
    module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, shares: Tensor | None = None
) -> Tensor:
    """Return the gradient of the sum of the losses, shape (weights,).

    ``shares`` has the factor of each loss in the sum; with None, all factors are 1.
    """
    losses = loss(module(inputs), targets)
    total = losses.sum() if shares is None else losses.reshape(len(shares), -1).sum(1) @ shares
    parameters = list(module.parameters())
    found = torch.autograd.grad(total, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])


def by_single(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of each example, with one call of the model for each example."""
    each = zip(torch.split(inputs, 1), torch.split(targets, 1), strict=True)
    return torch.stack([summed_gradient(module, loss, *one) for one in each])


@dataclass(frozen=True, eq=False, kw_only=True)
class Probe:
    """A few given examples, some outliers, and the gradient that each example has alone."""

    module: nn.Module
    """A copy of the model, at weights where no gradient is 0 by chance."""
    loss: Loss
    """The loss, which gives one value for each example."""
    inputs: Tensor
    """Inputs of all examples, shape (examples, ...): first the given examples, then the
    outliers."""
    targets: Tensor
    """Targets of all examples, shape (examples, ...)."""
    own: list[int]
    """Indices of the given examples whose gradients are finite; at least one."""
    strangers: list[int]
    """Indices of the outliers whose gradients are finite."""
    alone: Tensor
    """The gradient of each example alone, shape (examples, weights)."""
    lengths: Tensor
    """For each example, the length by which a difference of its gradients is divided."""

    def agrees(self, way: ExampleGradients) -> bool:
        """Return whether a function gives each example of a batch the gradient that it has alone.

        A function that raises an exception does not agree.
        """
        try:
            found = way(self.module, self.loss, self.inputs, self.targets)
        except Exception:  # the user's model or loss may raise anything, as under vmap
            return False
        if found.shape != self.alone.shape:
            return False
        finite = self.own + self.strangers
        apart = (found - self.alone)[finite].norm(dim=1) / self.lengths[finite]
        return bool((apart <= TOLERANCE[found.dtype]).all())  # not if one is NaN

    def refuse_mixing(self, most: int) -> None:
        """Refuse a model or a loss if an example's gradient depends on more than this example.

        The examples are tried in several batches; the largest has ``most`` examples.

        Raises:
            PartError: the model or the loss is refused; the text begins with the scenario's key.
        """
        # A weighted sum of losses is compared. Its weights are irregular, so that what one example
        # gains and another loses does not cancel.
        self._refuse_change()
        for order in self._orders(most):
            inputs, targets, lengths = self.inputs[order], self.targets[order], self.lengths[order]
            shares = (2 + torch.cos(torch.arange(len(order)))).to(lengths) / lengths
            found = summed_gradient(self.module, self.loss, inputs, targets, shares)
            apart = float((found - shares @ self.alone[order]).norm())
            if not apart <= TOLERANCE[found.dtype] * len(order):  # nor if it is NaN
                raise PartError(self._words(inputs))
        self._refuse_change()

    def _orders(self, most: int) -> Iterator[list[int]]:
        """Yield the batches, each as the indices of its examples."""
        yield self.own
        for stranger in self.strangers:
            yield [stranger, *self.own] if stranger % 2 else [*self.own, stranger]
        yield [*reversed(self.own), *self.strangers]
        yield (self.own * most)[:most]

    def _words(self, inputs: Tensor) -> str:
        """Return an error text that says whether the model or the loss mixes the examples."""
        with torch.no_grad():
            together = self.module(inputs)
            alone = torch.cat([self.module(one) for one in torch.split(inputs, 1)])
        rounding, key, what = TOLERANCE[inputs.dtype], "model", "outputs of an example depend"
        if together.shape == alone.shape and torch.allclose(together, alone, rounding, rounding):
            key, what = "loss", "loss of an example depends"
        return f"task.{key}: the {what} on the other examples of its batch, {REDUCE}"

    def _refuse_change(self) -> None:
        """Refuse a model that keeps a state, draws at random, or changes its input."""
        before = [value.clone() for value in self._values()]
        first = self.own[:1]
        inputs, targets = self.inputs[first], self.targets[first]
        again = summed_gradient(self.module, self.loss, inputs, targets)
        if not (_same(inputs, self.inputs[first]) and _same(targets, self.targets[first])):
            raise PartError(
                "task: model or loss changes the records that it is given, and later rounds would "
                "learn from the changed ones; copy them first"
            )
        apart = float((again - self.alone[first[0]]).norm() / self.lengths[first[0]])
        same = all(map(_same, before, self._values()))
        if not (same and apart <= TOLERANCE[again.dtype]):
            raise PartError(f"task.model: is another one after every call, {ONCE}")

    def _values(self) -> list[Tensor]:
        return [*self.module.parameters(), *self.module.buffers()]


def probe_of(module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> Probe:
    """Return the probe of a model and a loss, made from a few examples.

    Raises:
        PartError: the model fails on one example alone, or no gradient is finite.
    """
    # In float64, rounding and mixing are far apart.
    try:
        return _probe_in(torch.float64, module, loss, inputs, targets)
    except (RuntimeError, PartError):  # torch's answer to arrays of two types
        return _probe_in(inputs.dtype, module, loss, inputs, targets)


def _probe_in(
    dtype: torch.dtype, module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor
) -> Probe:
    module = _moved(copy.deepcopy(module).to(dtype))
    targets = targets.to(dtype) if targets.is_floating_point() else targets
    inputs = inputs.to(dtype)
    with torch.no_grad():  # fails if the model cannot compute in this type
        loss(module(inputs.clone()), targets.clone())
    try:
        rows = list(torch.unbind(by_single(module, loss, inputs.clone(), targets.clone())))
    except Exception as error:  # the user's model or loss may raise anything
        text = f"task.model: takes {len(inputs)} examples but not one alone: {error}; {REDUCE}"
        raise PartError(text) from error
    own = [place for place, row in enumerate(rows) if row.isfinite().all()]
    if not own:
        raise PartError("task.model: no gradient of a held-out example is finite; one must be")
    typical = max(float(rows[place].norm()) for place in own) or 1.0
    sizes = [typical] * len(rows)
    for scale, place in zip(SCALES, itertools.cycle(own), strict=False):
        stranger, target = scale * inputs[place][None], targets[place][None]
        try:
            rows.append(summed_gradient(module, loss, stranger.clone(), target.clone()))
        except Exception:  # the user's model may refuse such inputs in any way
            continue
        inputs, targets = torch.cat([inputs, stranger]), torch.cat([targets, target])
        sizes.append(typical * min(max(scale, 1.0), 1e6))
    alone = torch.stack(rows)
    finite = alone.isfinite().all(1).nonzero().flatten().tolist()
    return Probe(
        module=module,
        loss=loss,
        inputs=inputs,
        targets=targets,
        own=own,
        strangers=[place for place in finite if place not in own],
        alone=alone,
        lengths=torch.maximum(alone.norm(dim=1), torch.tensor(sizes, dtype=dtype)),
    )


def _moved(module: nn.Module) -> nn.Module:
    """Move the weights a little, because all gradients of a layer may be 0 where weights are 0."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.parameters():
            step = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            value.add_(step.to(value.dtype), alpha=0.1)
    return module


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether two arrays are equal; NaN equals NaN."""
    return bool(torch.allclose(one, other, rtol=0, atol=0, equal_nan=True))
