"""Preparation: turns the inputs of a task, as its data have them, into the inputs of its model."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from fedchain.arrays import Array, Matrix, Vector


class Standardised(nn.Module):
    """Subtracts a mean from the inputs, and divides by a scale; both come from public records.

    >>> Standardised(torch.ones(2), torch.tensor(2.0))(torch.tensor([[1.0, 4.0]]))
    tensor([[0.0000, 1.5000]])
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    @classmethod
    def of(cls, mean: Array, scale: Array | float) -> Standardised:
        """Return the module for the arrays of a task, which computes in the type of the mean."""
        return cls(torch.tensor(mean), torch.tensor(scale, dtype=torch.tensor(mean).dtype))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the standardised inputs as float32, in the shape of the inputs."""
        return ((inputs.to(self.mean.dtype) - self.mean) / self.scale).to(torch.float32)


class Coordinates(nn.Module):
    """Replaces each input by its coordinates along a few directions.

    >>> Coordinates(torch.zeros(2), torch.eye(2)[:, 1:])(torch.tensor([[[3.0], [4.0]]]))
    tensor([[4.]])
    """

    mean: torch.Tensor
    basis: torch.Tensor

    def __init__(self, mean: torch.Tensor, basis: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)

    @classmethod
    def of(cls, mean: Vector, basis: Matrix) -> Coordinates:
        """Return the module for a mean (inputs,) and directions (inputs, directions)."""
        return cls(torch.tensor(mean, dtype=torch.float64), torch.tensor(basis))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the coordinates as float32, shape (examples, directions)."""
        rows = inputs.flatten(1).to(self.basis.dtype) - self.mean.to(self.basis.dtype)
        return (rows @ self.basis).to(torch.float32)


class PreparedModel(nn.Sequential):
    """A trained model behind the preparation of its inputs: ``prepare``, then ``model``."""

    def __init__(self, prepare: nn.Module, model: nn.Module) -> None:
        super().__init__(OrderedDict(prepare=prepare, model=model))
