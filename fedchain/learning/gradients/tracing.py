"""Tracing: the operations of a convolutional model in order, as far as planes can compute them.

Planes compute convolutions with odd kernels, stride 1 and images that keep their size, transposed
convolutions 2 x 2 with stride 2, max pooling 2 x 2, GroupNorm, ReLU or LeakyReLU after a
convolution or a norm, and the concatenation of channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import fx, nn
from torch.nn import functional

OperationKind = Literal["convolution", "norm", "pool", "transposed", "concatenation"]
EITHER = (2, (2, 2))
"""The spellings of a kernel or a stride of 2 x 2."""


class NotTracedError(Exception):
    """The model has a part that planes cannot compute."""


@dataclass(frozen=True)
class Operation:
    """One operation of a model."""

    kind: OperationKind
    """The kind."""
    entering: tuple[str, ...]
    """Names of the images that enter; one, except for a concatenation."""
    leaving: str
    """Name of the image that leaves."""
    layer: str = ""
    """Name of the layer in the model; empty for a function without weights."""
    part: nn.Module | None = None
    """The layer; None for a function without weights."""
    slope: float = 1.0
    """Slope of the activation that follows, for negative numbers; 1 without an activation."""


@dataclass(frozen=True)
class Traced:
    """The operations of a model."""

    operations: tuple[Operation, ...]
    """The operations, in the order of the model's forward pass."""
    entering: str
    """Name of the image that enters the model."""
    leaving: str
    """Name of the image that leaves the model."""


def trace_operations(module: nn.Module) -> Traced:
    """Return the operations of a model.

    Raises:
        NotTracedError: the model has a part that planes cannot compute.

    >>> model = nn.Sequential(nn.Conv2d(2, 1, 3, padding=1), nn.ReLU())
    >>> [(each.kind, each.slope) for each in trace_operations(model).operations]
    [('convolution', 0.0)]
    """
    try:
        graph = fx.Tracer().trace(module)
    except Exception as error:  # the user's model may raise anything
        raise NotTracedError from error
    layers, found, names = dict(module.named_modules()), list[Operation](), dict[str, str]()
    entering, leaving = "", ""
    for node in graph.nodes:
        inputs = tuple(names[each.name] for each in node.all_input_nodes)
        if node.op == "placeholder" and not entering:
            entering = names[node.name] = node.name
        elif node.op == "output" and len(inputs) == 1 and node.args[0] in node.all_input_nodes:
            leaving = inputs[0]
        elif (slope := _slope_of(node, layers)) is not None:
            found[-1] = _activated(found[-1] if found else None, node, inputs, slope)
            names[node.name] = inputs[0]
        else:
            found.append(_operation_of(node, layers, inputs))
            names[node.name] = node.name
    if not leaving:
        raise NotTracedError
    return Traced(tuple(found), entering, leaving)


def _operation_of(
    node: fx.Node, layers: Mapping[str, nn.Module], inputs: tuple[str, ...]
) -> Operation:
    if node.op == "call_module":
        layer = layers[str(node.target)]
        for kind, fits in LAYERS.items():
            if fits(layer):
                return Operation(kind, inputs, node.name, str(node.target), layer)
    if node.op == "call_function":
        for target, (kind, suits) in FUNCTIONS.items():
            if node.target is target and suits(*node.args, **node.kwargs):
                return Operation(kind, inputs, node.name)
    raise NotTracedError


def _slope_of(node: fx.Node, layers: Mapping[str, nn.Module]) -> float | None:
    """Return the slope of an activation for negative numbers, or None for other operations."""
    if node.op != "call_module":
        return None
    layer = layers[str(node.target)]
    if type(layer) is nn.LeakyReLU:
        return float(layer.negative_slope)
    return 0.0 if type(layer) is nn.ReLU else None


def _activated(
    last: Operation | None, node: fx.Node, inputs: tuple[str, ...], slope: float
) -> Operation:
    alone = len(node.all_input_nodes[0].users) == 1
    if last is None or last.leaving != inputs[0] or last.slope != 1.0 or not alone:
        raise NotTracedError
    if last.kind not in ("convolution", "norm") or not 0 <= slope < 1:
        raise NotTracedError
    return replace(last, slope=slope)


def _is_convolution(layer: nn.Module) -> bool:
    if type(layer) is not nn.Conv2d or layer.kernel_size[0] != layer.kernel_size[1]:
        return False
    size = layer.kernel_size[0]
    plain = (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
    same = layer.padding == (size // 2, size // 2) and layer.padding_mode == "zeros"
    return size % 2 == 1 and plain and same


def _is_transposed(layer: nn.Module) -> bool:
    return type(layer) is nn.ConvTranspose2d and (
        (layer.kernel_size, layer.stride, layer.padding, layer.output_padding)
        == ((2, 2), (2, 2), (0, 0), (0, 0))
    ) and (layer.dilation, layer.groups) == ((1, 1), 1)  # fmt: skip


def _is_norm(layer: nn.Module) -> bool:
    return type(layer) is nn.GroupNorm and layer.affine


def _is_pool(layer: nn.Module) -> bool:
    return type(layer) is nn.MaxPool2d and _halves(
        None, layer.kernel_size, layer.stride, layer.padding, layer.dilation,
        layer.ceil_mode, layer.return_indices,
    )  # fmt: skip


def _halves(
    image: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> bool:
    """Return whether the arguments of torch's max pooling mean 2 x 2 with stride 2."""
    del image
    plain = padding in (0, (0, 0)) and dilation in (1, (1, 1)) and not (ceil_mode or return_indices)
    return kernel_size in EITHER and stride in (None, *EITHER) and plain


def _joins_channels(images: Any, dim: int = 0) -> bool:
    return isinstance(images, list | tuple) and len(images) > 1 and dim == 1


LAYERS: Mapping[OperationKind, Callable[[nn.Module], bool]] = {
    "convolution": _is_convolution,
    "norm": _is_norm,
    "pool": _is_pool,
    "transposed": _is_transposed,
}
"""For each kind of operation, a function that says whether a layer is one that planes compute."""
FUNCTIONS: Mapping[Callable[..., Any], tuple[OperationKind, Callable[..., bool]]] = {
    functional.max_pool2d: ("pool", _halves),
    torch.cat: ("concatenation", _joins_channels),
}
"""For each function of torch, its kind, and a function that says whether its arguments are ones
that planes compute."""
