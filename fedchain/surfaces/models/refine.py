"""Refine: a small network that moves a candidate to the surface that its neighbours show."""

from __future__ import annotations

import itertools
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites

FeatureWidth = Annotated[int, Field(ge=1, le=512)]
"""Number of features of a neighbour in the first layers."""


@models
@cites("he2023", "qi2017")
@same_everywhere
def refine(inputs: tuple[int, ...], outputs: int, *, width: FeatureWidth = 64) -> nn.Module:
    """Make the network that moves candidates: it turns a neighbourhood into an offset.

    A candidate, such as the middle between two points, lies near the surface. The network sees the
    nearest points around it (``fedchain.surfaces.neighbourhoods``) and gives the way from the
    candidate to the surface. The same layers treat every neighbour; the largest value of each
    feature over all neighbours says what the neighbourhood is like, and is shown to the neighbours
    once more. The idea to move candidates instead of making new points is that of Grad-PU, which
    learns a distance and follows its slope; here the offset is learned.

    Args:
        inputs: shape of one neighbourhood, (neighbours, 3).
        outputs: 3, the coordinates of the offset.
        width: features of a neighbour in the first layers; later ones have twice as many. With 64
            the network has 45,891 parameters.

    Returns:
        A module that turns neighbourhoods (n, neighbours, 3) into offsets (n, outputs).

    Raises:
        ValueError: the inputs are no neighbourhood.

    Reference:
        He et al., "Grad-PU", 2023; the layers are those of Qi et al., "PointNet++", 2017.
    """
    if len(inputs) != 2 or inputs[1] != 3:
        raise ValueError(
            f"refine: inputs of shape {inputs} are no points; allowed: (neighbours, 3)"
        )
    return Refine(width, outputs)


class Refine(nn.Module):
    """The network of ``refine``."""

    def __init__(self, width: int, outputs: int) -> None:
        """Make the layers."""
        super().__init__()
        self.first = _dense(3, width, width)
        self.second = _dense(2 * width, 2 * width, 2 * width)
        self.last = nn.Sequential(_dense(2 * width, width), nn.Linear(width, outputs))

    def forward(self, around: torch.Tensor) -> torch.Tensor:
        """Return the offset of each neighbourhood, shape (n, outputs)."""
        features = self.first(around)
        whole = features.amax(1, keepdim=True).expand_as(features)
        features = self.second(torch.cat([features, whole], dim=2))
        offset: torch.Tensor = self.last(features.amax(1))
        return offset


def _dense(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering, leaving in itertools.pairwise(sizes):
        layers += [nn.Linear(entering, leaving), nn.ReLU()]
    return nn.Sequential(*layers)
