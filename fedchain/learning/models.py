"""Models for tables and pictures: logistic and softmax regression, dense and convolutional."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Annotated, ParamSpec

import torch
from pydantic import Field
from torch import nn

from fedchain.learning.task import models
from fedchain.randomness import digest
from fedchain.registry import cites

P = ParamSpec("P")


def same_everywhere(make: Callable[P, nn.Module]) -> Callable[P, nn.Module]:
    """Give the models of a function initial weights with the same bits on every processor.

    The weights of dense layers and convolutions are drawn again, with torch's law and from the same
    random numbers: uniform from -b to b, where b is 1 / sqrt(n), and n is the number of weights in
    ``weight[0]``. The function must not have given them values of its own.
    """
    # torch computes u (b - a) + a, and rounds once or twice, depending on the processor.

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> nn.Module:
        state = torch.get_rng_state()
        model = make(*args, **kwargs)
        torch.set_rng_state(state)
        for layer in model.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                bound = 1 / math.sqrt(layer.weight[0].numel())
                for weights in layer.parameters():
                    weights.data.uniform_().sub_(0.5).mul_(2 * bound)
        return model

    return made


@models
@cites()
def logistic(inputs: tuple[int, ...], outputs: int) -> nn.Module:
    """Make a logistic regression: one logit for class 1; all weights start at zero.

    Raises:
        ValueError: there are more than two classes.

    >>> logistic((30,), 2)[1].out_features
    1
    """
    if outputs > 2:
        raise ValueError(f"logistic: {outputs} classes; it separates 2, use softmax")
    return _linear(inputs, 1)


@models
@cites()
def softmax(inputs: tuple[int, ...], outputs: int) -> nn.Module:
    """Make a softmax regression: one logit per class; all weights start at zero.

    >>> softmax((8, 8), 10)[1].weight.shape
    torch.Size([10, 64])
    """
    return _linear(inputs, outputs)


@models
@cites()
@same_everywhere
def mlp(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    hidden: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = [64],  # noqa: B006
) -> nn.Module:
    """Make a dense network with ReLU between its layers.

    Args:
        inputs: shape of one example.
        outputs: number of classes.
        hidden: sizes of the hidden layers.

    >>> [layer.out_features for layer in mlp((28, 28), 10, hidden=[64])[1::2]]
    [64, 10]
    """
    layers: list[nn.Module] = [nn.Flatten()]
    size = math.prod(inputs)
    for width in hidden:
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, outputs))


@models
@cites("lecun1998")
@same_everywhere
def cnn(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    channels: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = [16, 32],  # noqa: B006
    hidden: Annotated[int, Field(ge=1)] = 32,
) -> nn.Module:
    """Make a small convolutional network for pictures.

    Each convolution (3 x 3, ReLU) is followed by the largest value of 2 x 2 pixels. Two dense
    layers follow.

    Args:
        inputs: shape of one picture, (height, width) or (channels, height, width).
        outputs: number of classes.
        channels: channels of each convolution.
        hidden: size of the first dense layer.

    Raises:
        ValueError: the inputs are no pictures, or too small for so many convolutions.

    Reference:
        LeCun, Bottou, Bengio and Haffner, 1998, section II, with other sizes.

    >>> cnn((8, 8), 10)(torch.zeros(3, 8, 8)).shape
    torch.Size([3, 10])
    """
    if len(inputs) not in (2, 3) or min(inputs[-2:]) < 2 ** len(channels):
        least = 2 ** len(channels)
        words = f"cnn: takes pictures of at least {least} x {least} pixels"
        raise ValueError(f"{words}, got inputs of shape {inputs}")
    height, width = inputs[-2:]
    before = inputs[0] if len(inputs) == 3 else 1
    layers: list[nn.Module] = [] if len(inputs) == 3 else [nn.Unflatten(1, (1, height))]
    for count in channels:
        layers += [nn.Conv2d(before, count, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        before, height, width = count, height // 2, width // 2
    layers += [nn.Flatten(), nn.Linear(before * height * width, hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))


def _linear(inputs: tuple[int, ...], outputs: int) -> nn.Module:
    layer = nn.Linear(math.prod(inputs), outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Flatten(), layer)


def seeded(make: Callable[[], nn.Module], seed: int) -> Callable[[], nn.Module]:
    """Return a function that makes the model with the same initial weights at every call.

    ``make`` draws the initial weights from torch's global generator.

    >>> make = seeded(lambda: nn.Linear(2, 1), 0)
    >>> bool((make().weight == make().weight).all())
    True
    """

    def made() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int.from_bytes(digest(seed, "initial weights")[:8], "big") >> 1)
            return make()

    return made
