"""Flat weights: conversion between a vector (d,) and the parameters of a module."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from fedchain.arrays import Vector

Layout = tuple[tuple[str, tuple[int, ...]], ...]
"""(name, shape) of every parameter, in the order of ``named_parameters``."""
Places = dict[str, slice]
"""Slice of each parameter in the flat vector, by name."""


def layout(module: nn.Module) -> Layout:
    """Return the name and shape of each parameter, in the order of the flat vector.

    >>> layout(nn.Linear(3, 2))
    (('weight', (2, 3)), ('bias', (2,)))
    """
    return tuple((name, tuple(value.shape)) for name, value in module.named_parameters())


def dimension(shapes: Layout) -> int:
    """Return d, the number of weights.

    >>> dimension((("weight", (2, 3)), ("bias", (2,))))
    8
    """
    return sum(math.prod(shape) for _, shape in shapes)


def places(shapes: Layout) -> Places:
    """Return the slice of each parameter in the flat vector.

    >>> places((("weight", (2, 3)), ("bias", (2,))))["bias"]
    slice(6, 8, None)
    """
    ends = np.cumsum([0, *(math.prod(shape) for _, shape in shapes)]).tolist()
    return {
        name: slice(start, end)
        for (name, _), start, end in zip(shapes, ends, ends[1:], strict=False)
    }


def flatten(tensors: Sequence[torch.Tensor]) -> Vector:
    """Join tensors, each in C order, into one float64 vector (d,).

    >>> flatten([torch.ones(1, 2), torch.zeros(1)])
    array([1., 1., 0.])
    """
    rows = [tensor.detach().cpu().reshape(-1) for tensor in tensors]
    return np.concatenate([np.empty(0), *(row.numpy().astype(np.float64) for row in rows)])


def flat_weights(module: nn.Module) -> Vector:
    """Return a copy of the module's weights as one float64 vector (d,)."""
    return flatten([value for _, value in module.named_parameters()])


def load_weights(module: nn.Module, weights: Vector) -> None:
    """Copy a flat vector (d,) into the module's parameters, rounded to their data type.

    Raises:
        ValueError: the length of the vector does not fit the module.

    >>> module = nn.Linear(1, 1)
    >>> load_weights(module, np.array([2.0, -1.0]))
    >>> flat_weights(module)
    array([ 2., -1.])
    """
    shapes = layout(module)
    if weights.shape != (dimension(shapes),):
        raise ValueError(
            f"weights: shape {weights.shape} does not fit the model; "
            f"it has {dimension(shapes)} parameters"
        )
    whole, parts = torch.tensor(weights), places(shapes)
    with torch.no_grad():
        for name, value in module.named_parameters():
            value.copy_(whole[parts[name]].view(value.shape))
