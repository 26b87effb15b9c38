"""Method ``exact``: gradients of dense models with the same bits on every processor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fedchain.arrays import Array, Matrix, Vector
from fedchain.elementary import exponentials
from fedchain.errors import Problem, ScenarioError
from fedchain.learning.evaluation import flat_weights, places
from fedchain.learning.gradients.clipping import clip_factors
from fedchain.learning.gradients.exact_products import exact_product, squares
from fedchain.learning.gradients.examples import Examples
from fedchain.learning.gradients.probe import summed_gradient
from fedchain.learning.losses import cross_entropy
from fedchain.learning.task import Loss, Task

EXACT_PIECE = 4096
"""Largest number of examples whose gradients are added up in whole numbers."""
SAME_AS_TORCH = 0.01
"""Largest difference to the gradient by torch, as a share of its norm; rounding is far below it."""
EXACT_LAYERS = "Flatten, Linear, ReLU and Tanh"
"""Names of the layers whose gradients are computed exactly."""


@dataclass(frozen=True)
class DenseLayer:
    """A dense layer and the activation behind it."""

    weight: slice
    """The slice of the weights in the flat vector."""
    bias: slice | None
    """The slice of the biases; None: the layer has none."""
    outputs: int
    """Number of outputs."""
    activation: type[nn.Module] | None
    """``nn.ReLU`` or ``nn.Tanh``; None: the outputs stay as they are."""


class ExactGradients:
    """Computes clipped sums of gradients by operations that are rounded in one way only.

    Products of matrices are exact products, and everything else is element-wise. The object has no
    state of its own, so threads may share it.
    """

    def __init__(self, layers: Sequence[DenseLayer], dimension: int) -> None:
        """Store the layers from input to output, and the number of weights."""
        self._layers, self._dimension = tuple(layers), dimension

    def twin(self) -> ExactGradients:
        """Return the object itself, which threads share."""
        return self

    def sums(
        self, weights: Vector, holders: Sequence[Examples], clip: float | None, *, automatic: bool
    ) -> Iterator[Tensor]:
        """Yield the float64 sum of the clipped gradients of each holder, shape (weights,).

        Args:
            weights: the model's weights, which are not rounded.
            holders: the examples of each holder.
            clip: bound on the norm of each gradient; None for no bound.
            automatic: scale every gradient to nearly the clip, not only those above it.
        """
        for each in holders:
            total = np.zeros(self._dimension)
            inputs, targets = each.inputs.numpy(), each.targets.numpy()
            with np.errstate(over="ignore", invalid="ignore"):  # what diverges is never sent
                for start in range(0, len(inputs), EXACT_PIECE):
                    part = slice(start, start + EXACT_PIECE)
                    total += self._sum(weights, inputs[part], targets[part], clip, automatic)
            yield torch.from_numpy(total)

    def _sum(
        self, weights: Vector, inputs: Array, targets: Array, clip: float | None, automatic: bool
    ) -> Vector:
        entered, errors = self._passes(weights, inputs, targets)
        if clip is not None:
            errors = _clipped(entered, errors, clip, automatic)
        total = np.empty(self._dimension)
        for layer, rows, error in zip(self._layers, entered, errors, strict=True):
            found = exact_product(error.T, rows.T)
            if layer.bias is not None:
                total[layer.bias] = found[:, -1]
                found = found[:, :-1]
            total[layer.weight] = found.reshape(-1)
        return total

    def _passes(
        self, weights: Vector, inputs: Array, targets: Array
    ) -> tuple[list[Matrix], list[Matrix]]:
        """Return what enters each layer, with a column of ones for a bias, and its errors.

        An error is the gradient of the loss with respect to an output of the layer.
        """
        rows, entered, left = inputs.reshape(len(inputs), -1).astype(np.float64), [], []
        matrices = [weights[layer.weight].reshape(layer.outputs, -1) for layer in self._layers]
        for layer, matrix in zip(self._layers, matrices, strict=True):
            whole = matrix
            if layer.bias is not None:
                rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
                whole = np.concatenate([matrix, weights[layer.bias][:, None]], axis=1)
            entered.append(rows)
            rows = _activated(exact_product(rows, whole), layer.activation)
            left.append(rows)
        error = _loss_errors(rows, targets)
        errors = [error]
        for place in range(len(self._layers) - 1, 0, -1):
            error = exact_product(error, matrices[place].T)
            error = error * _slopes(left[place - 1], self._layers[place - 1].activation)
            errors.insert(0, error)
        return entered, errors


def _activated(rows: Matrix, activation: type[nn.Module] | None) -> Matrix:
    if activation is nn.ReLU:
        return np.maximum(rows, 0.0)
    if activation is nn.Tanh:
        small = exponentials(-2.0 * np.abs(rows))
        return np.copysign((1.0 - small) / (1.0 + small), rows)
    return rows


def _slopes(left: Matrix, activation: type[nn.Module] | None) -> Matrix:
    """Return the derivative of an activation, from the values that it returned."""
    if activation is nn.ReLU:
        return (left > 0.0).astype(np.float64)
    return 1.0 - left * left if activation is nn.Tanh else np.ones_like(left)


def _loss_errors(outputs: Matrix, targets: Array) -> Matrix:
    """Return the gradient of the cross-entropy with respect to the outputs."""
    if outputs.shape[1] == 1:
        small = exponentials(-np.abs(outputs))
        share = np.where(outputs >= 0.0, 1.0, small) / (1.0 + small)
        return np.asarray(share - targets.reshape(-1, 1).astype(np.float64))
    powers = exponentials(outputs - outputs.max(axis=1, keepdims=True))
    total = np.zeros(len(outputs))
    for column in powers.T:  # in the order of the classes
        total += column
    errors = powers / total[:, None]
    errors[np.arange(len(outputs)), targets] -= 1.0
    return np.asarray(errors)


def _clipped(
    entered: Sequence[Matrix], errors: Sequence[Matrix], clip: float, automatic: bool
) -> list[Matrix]:
    """Return errors that are scaled so that the gradient of each example is clipped.

    A gradient that overflowed becomes zero.
    """
    total = np.zeros(len(errors[0]))
    for rows, error in zip(entered, errors, strict=True):
        total += squares(error) * squares(rows)
    norms = torch.from_numpy(np.sqrt(total))
    factors = clip_factors(norms, clip, automatic=automatic).numpy()[:, None]
    for rows in entered:
        rows[factors[:, 0] == 0.0] = 0.0
    return [np.where(factors > 0.0, error, 0.0) * factors for error in errors]


def exact_for(
    module: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor, task: Task
) -> ExactGradients:
    """Return the method for a task and its model.

    Args:
        module: the model.
        loss: the loss, which gives one value for each example.
        inputs: a few examples, on which the method is compared with torch.
        targets: their targets.
        task: the task.

    Raises:
        ScenarioError: an operation of the task or its model has other last bits elsewhere.

    >>> from fedchain.learning.models import mlp
    >>> [layer.outputs for layer in _dense_layers(mlp((8, 8), 10, hidden=[32]))]
    [32, 10]
    """
    reasons = {
        "the task's loss is not cross_entropy": task.loss is not cross_entropy(),
        "records have several examples": task.holders[0].record is not None or task.views > 1,
        "releases are projected on a subspace": task.subspace is not None,
    }
    why = next((reason for reason, holds in reasons.items() if holds), None)
    if why is not None:
        raise _refusal(why)
    weights = flat_weights(module)
    found = ExactGradients(_dense_layers(module), len(weights))
    few = Examples(inputs, targets, None, len(inputs))
    (here,) = found.sums(weights, [few], None, automatic=False)
    known = summed_gradient(module, loss, inputs, targets)
    if not bool((here - known).norm() <= SAME_AS_TORCH * known.norm()):
        raise _refusal("the model computes something beside its layers")
    return found


def _refusal(why: str) -> ScenarioError:
    text = f"engine.exact: must be false where {why}, got true"
    return ScenarioError([Problem(("engine", "exact"), text.removeprefix("engine.exact: "))], text)


def _dense_layers(module: nn.Module) -> list[DenseLayer]:
    """Return the layers of a model; raise ScenarioError if it has other layers."""
    found: list[DenseLayer] = []
    where = places(module)
    for name, layer in _in_order(module, ""):
        if type(layer) is nn.Linear:
            bias = where.get(f"{name}.bias".removeprefix("."))
            weight = where[f"{name}.weight".removeprefix(".")]
            found.append(DenseLayer(weight, bias, layer.out_features, None))
        elif type(layer) in (nn.ReLU, nn.Tanh) and found and found[-1].activation is None:
            last = found.pop()
            found.append(DenseLayer(last.weight, last.bias, last.outputs, type(layer)))
        elif type(layer) is not nn.Flatten or found:
            what = f"layer {name or 'of the model'} is a {type(layer).__name__}"
            raise _refusal(f"the model is no Sequential of {EXACT_LAYERS} ({what})")
    if not found or found[-1].activation is not None:
        raise _refusal(f"the model is no Sequential of {EXACT_LAYERS} that ends with Linear")
    return found


def _in_order(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of nested Sequentials by name, in the order in which they compute."""
    if type(module) is not nn.Sequential:
        yield name, module
        return
    for inner, layer in module.named_children():
        yield from _in_order(layer, f"{name}.{inner}".removeprefix("."))
