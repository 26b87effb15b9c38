"""PU-Net: a network that makes four points of each point of a patch."""

from __future__ import annotations

import itertools
import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from fedchain.learning.models import same_everywhere
from fedchain.learning.task import models
from fedchain.registry import cites
from fedchain.surfaces.losses import distances_between

FACTOR = 4
"""Number of points that the network makes of one point."""
LEAST_POINTS = 8
"""Fewest points of a patch: a level has half the points of the one before, the last an eighth."""
PUBLISHED_POINTS = 1024
"""Number of points of a patch in the paper."""
RADII = 0.05, 0.1, 0.2, 0.3
"""Radius of the balls of each level, for patches of 1,024 points that fill the unit sphere."""
IN_BALL = 32
"""Largest number of points of a ball."""
LEVELS = (32, 32, 64), (64, 64, 128), (128, 128, 256), (256, 256, 512)
"""Features of the layers of each level, at width 1."""
INTERPOLATED, BRANCH, LAST = 64, (256, 128), 64
"""Features that are interpolated from each level, features of a branch, and of the last layer."""


@models
@cites("yu2018", "qi2017")
@same_everywhere
def pu_net(
    inputs: tuple[int, ...],
    outputs: int,
    *,
    width: Annotated[float, Field(gt=0, le=1)] = 1.0,
    residual: bool = False,
) -> nn.Module:
    """Make PU-Net, which turns a patch of n points into a patch of 4 n points.

    Four levels see balls of growing radius around fewer and fewer points; their features are
    interpolated back to all points, and four branches make a new point each of a point's features.
    With width 1 the model has the 814,307 parameters of the paper. It has no BatchNorm, which
    mixes examples. The points of a ball are the nearest ones, not the first ones in the order of
    the file. For patches of n points the radii are those of the paper times the root of 1024 / n,
    so that a ball holds as many points.

    Args:
        inputs: shape of one patch, (points, 3), with at least 8 points that fill the unit sphere.
        outputs: 3, the coordinates of a point.
        width: factor of the number of features of every layer, above 0 and at most 1.
        residual: whether the network gives offsets, which are added to the points of the patch. In
            the paper it gives the coordinates themselves, which takes longer to learn.

    Returns:
        A module that turns patches (examples, points, 3) into patches (examples, 4 points, 3). The
        first quarter has one new point for each point, in their order; so have the others.

    Raises:
        ValueError: the inputs are no patch of at least 8 points.

    Reference:
        Yu, Li, Fu, Cohen-Or and Heng, "PU-Net: Point Cloud Upsampling Network", 2018, section 3.
    """
    if len(inputs) != 2 or inputs[1] != 3 or inputs[0] < LEAST_POINTS:
        raise ValueError(
            f"pu_net: inputs of shape {inputs} are no patch; allowed: ({LEAST_POINTS} or more "
            "points, 3)"
        )
    return PUNet(width, outputs, residual=residual)


class PUNet(nn.Module):
    """The network of ``pu_net``."""

    def __init__(self, width: float, outputs: int, *, residual: bool) -> None:
        """Make the layers."""
        super().__init__()

        def scaled(*sizes: int) -> list[int]:
            return [max(1, round(width * size)) for size in sizes]

        self.residual = residual
        sizes = [scaled(*level) for level in LEVELS]
        entering = [3, *(3 + level[-1] for level in sizes[:-1])]
        self.levels = nn.ModuleList(
            _dense(before, *level) for before, level in zip(entering, sizes, strict=True)
        )
        (between,) = scaled(INTERPOLATED)
        self.back = nn.ModuleList(_dense(level[-1], between) for level in sizes[1:])
        features = 3 + sizes[0][-1] + between * len(self.back)
        branch, (last,) = scaled(*BRANCH), scaled(LAST)
        self.branches = nn.ModuleList(_dense(features, *branch) for _ in range(FACTOR))
        self.last = nn.Sequential(_dense(branch[-1], last), nn.Linear(last, outputs))

    def forward(self, patches: Tensor) -> Tensor:
        """Return the denser patches, shape (examples, 4 points, 3)."""
        points, features = patches, self.levels[0](_grouped(patches, patches, None, 0))
        features = features.amax(2)
        seen = [patches, features]
        for level, back in enumerate(self.back, start=1):
            centres = _picked(points, farthest(points, patches.shape[1] >> level))
            around = _grouped(centres, points, features, level)
            points, features = centres, self.levels[level](around).amax(2)
            seen.append(back(_interpolated(patches, points, features)))
        every = torch.cat(seen, dim=2)
        made: Tensor = self.last(torch.cat([branch(every) for branch in self.branches], dim=1))
        return made + patches.repeat(1, FACTOR, 1) if self.residual else made


def farthest(points: Tensor, count: int) -> Tensor:
    """Return the indices of points that lie far from each other, shape (examples, count).

    The first point is that with index 0; each next one is farthest from those before.

    Args:
        points: clouds, shape (examples, n, 3).
        count: number of points, at most n.
    """
    with torch.no_grad():
        points = points.detach()
        chosen = [torch.zeros_like(points[:, :1, 0], dtype=torch.int64)]
        apart = distances_between(points[:, :1], points)[:, 0]
        for _ in range(count - 1):
            chosen.append(apart.argmax(1, keepdim=True))
            latest = _picked(points, chosen[-1])
            apart = torch.minimum(apart, distances_between(latest, points)[:, 0])
        return torch.cat(chosen, 1)


def _grouped(centres: Tensor, points: Tensor, features: Tensor | None, level: int) -> Tensor:
    """Return what each ball holds: points seen from its centre, and their features.

    Shape (examples, centres, points of a ball, 3 + features).
    """
    radius = RADII[level] * math.sqrt(PUBLISHED_POINTS / (centres.shape[1] << level))
    count = min(IN_BALL, points.shape[1])
    with torch.no_grad():
        squared, near = distances_between(centres.detach(), points.detach()).topk(
            count, dim=2, largest=False
        )
        # A ball that holds fewer points repeats the one nearest to its centre.
        near = torch.where(squared <= radius * radius, near, near[:, :, :1])
    seen = points if features is None else torch.cat([points, features], dim=2)
    found = _picked(seen, near.flatten(1)).reshape(*near.shape, seen.shape[2])
    away = found[..., :3] - centres[:, :, None]
    return away if features is None else torch.cat([away, found[..., 3:]], dim=3)


def _interpolated(points: Tensor, known: Tensor, features: Tensor) -> Tensor:
    """Return features at points, from the three nearest points at which they are known."""
    with torch.no_grad():
        squared, near = distances_between(points.detach(), known.detach()).topk(
            min(3, known.shape[1]), dim=2, largest=False
        )
        weights = 1 / squared.clamp(min=1e-10)
        weights = weights / weights.sum(2, keepdim=True)
    found = _picked(features, near.flatten(1)).reshape(*near.shape, features.shape[2])
    return (weights[..., None] * found).sum(2)


def _picked(values: Tensor, index: Tensor) -> Tensor:
    """Return the rows of values (examples, n, m) with these indices (examples, k)."""
    return torch.gather(values, 1, index[:, :, None].expand(*index.shape, values.shape[2]))


def _dense(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering, leaving in itertools.pairwise(sizes):
        layers += [nn.Linear(entering, leaving), nn.ReLU()]
    return nn.Sequential(*layers)
