"""Losses for clouds: one value per example, computed from its points alone.

Outputs are clouds, shape (examples, n, 3), and targets are clouds, shape (examples, m, 3). All
distances are squared Euclidean ones, unless something else is said.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from fedchain.learning.task import Loss, losses
from fedchain.registry import cites

MOST_ASSIGNED = 1024
"""Largest number of points that the earth mover's distance assigns."""
RADIUS, SPREAD, PUSHING = 0.07, 0.03, 4
"""Radius within which points repel each other, the length h over which the force falls, and the
number of neighbours that repel a point. Patches fill the unit sphere."""
DISTANCES_AT_ONCE = 1 << 22
"""Largest number of distances that are computed at once."""
LEAST_SQUARED = 1e-12
"""Squared distance below which two points count as equal and have no direction to move in."""
RepulsionWeight = Annotated[float, Field(ge=0, le=1000)]


@losses
@cites("fan2017", when={"repulsion": ("yu2018",)})
def chamfer(*, repulsion: RepulsionWeight = 0.0) -> Loss:
    """Return the squared Chamfer distance of two clouds, and the repulsion of PU-Net if asked for.

    The loss of an example is the mean over the output's points of the squared distance to the
    nearest point of the target, plus the mean over the target's points of the squared distance to
    the nearest point of the output.

    Args:
        repulsion: weight of the repulsion, which keeps the output's points apart; 0 leaves it out.

    Reference:
        Fan, Su and Guibas, "A Point Set Generation Network", 2017, equation (3), with means.

    >>> point, pair = torch.zeros(1, 1, 3), torch.tensor([[[0.0, 0, 0], [2, 0, 0]]])
    >>> chamfer()(point, pair)
    tensor([2.])
    """

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        _check("chamfer", outputs, targets)
        there = _squared(outputs, _picked(targets, nearest_of(outputs, targets)))
        back = _squared(targets, _picked(outputs, nearest_of(targets, outputs)))
        return _with_repulsion(there.mean(1) + back.mean(1), outputs, repulsion)

    return loss


@losses
@cites("fan2017", when={"repulsion": ("yu2018",)})
def emd(*, repulsion: RepulsionWeight = 0.0) -> Loss:
    """Return the earth mover's distance of two clouds, and the repulsion of PU-Net if asked for.

    Each point of the output is assigned to a point of the target of its own, so that the mean
    squared distance of the pairs is least; this mean is the loss. The assignment is exact, and is
    computed on a processor for each example.

    Args:
        repulsion: weight of the repulsion, which keeps the output's points apart; 0 leaves it out.
            The published code adds 100 times the distance to the repulsion, which is a weight of
            0.01.

    Reference:
        Yu et al., "PU-Net", 2018, equations (1) to (3); distances are squared, as in its code.

    >>> first, second = torch.tensor([[[0.0, 0, 0], [1, 0, 0]]]), torch.tensor([[[1.0, 0, 0]] * 2])
    >>> emd()(first, second)
    tensor([0.5000])
    """

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        _check("emd", outputs, targets)
        if outputs.shape != targets.shape or outputs.shape[1] > MOST_ASSIGNED:
            shapes = f"{outputs.shape[1]} points and {targets.shape[1]}"
            raise ValueError(
                f"emd: got clouds of {shapes}; allowed: the same number, up to {MOST_ASSIGNED}"
            )
        distance = _squared(outputs, _picked(targets, assigned_to(outputs, targets))).mean(1)
        return _with_repulsion(distance, outputs, repulsion)

    return loss


@losses
@cites()
def squared_error() -> Loss:
    """Return the sum of the squared differences of outputs and targets of the same shape.

    >>> squared_error()(torch.tensor([[3.0, 0.0, 1.0]]), torch.tensor([[0.0, 4.0, 1.0]]))
    tensor([25.])
    """

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        if outputs.shape != targets.shape or not targets.is_floating_point():
            shapes = f"outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)}"
            raise ValueError(f"squared_error: got {shapes}; allowed: real numbers of one shape")
        return (outputs - targets).square().flatten(1).sum(1)

    return loss


def repulsion_of(points: Tensor) -> Tensor:
    """Return how much the points of clouds repel their nearest neighbours.

    The value is the mean of (r - d) exp(-d^2 / h^2) over the 4 nearest neighbours of each point,
    where d is the distance, not squared, r is .07, h is .03, and a neighbour beyond r counts as 0.
    The published code has r - d exp(-d^2 / h^2), which attracts points that are more than .021
    apart.

    Args:
        points: clouds of at least two points, shape (examples, n, 3).

    Returns:
        One value for each example, shape (examples,).

    Reference:
        Yu et al., "PU-Net", 2018, equation (4).
    """
    count = points.shape[1]
    near = nearest_of(points, points, min(PUSHING, count - 1) + 1)[:, :, 1:]
    own = points.unsqueeze(2).expand(*near.shape, 3)
    found = _picked(points, near.flatten(1)).reshape(own.shape)
    squared = _squared(own, found).clamp(min=LEAST_SQUARED)
    pushed = (RADIUS - squared.sqrt()).clamp(min=0) * (-squared / SPREAD**2).exp()
    return pushed.flatten(1).mean(1)


def nearest_of(clouds: Tensor, others: Tensor, count: int = 1) -> Tensor:
    """Return the indices of the nearest points of other clouds, nearest first.

    The distances are computed in blocks of points, without a gradient.

    Args:
        clouds: shape (examples, n, 3).
        others: shape (examples, m, 3).
        count: number of points that are asked for, at most m.

    Returns:
        Shape (examples, n) if ``count`` is 1, else (examples, n, count).
    """
    with torch.no_grad():
        block = max(1, DISTANCES_AT_ONCE // (len(clouds) * others.shape[1]))
        found = []
        for part in torch.split(clouds.detach(), block, 1):
            distances = distances_between(part, others.detach())
            chosen = distances.argmin(2) if count == 1 else _least(distances, count)
            found.append(chosen)
        return torch.cat(found, 1)


def distances_between(clouds: Tensor, others: Tensor) -> Tensor:
    """Return all squared distances between the points of two clouds, shape (examples, n, m).

    Each operation is rounded by itself, so that no distance depends on other examples.
    """
    total = (clouds[:, :, None, 0] - others[:, None, :, 0]).square()
    for axis in (1, 2):
        total = total + (clouds[:, :, None, axis] - others[:, None, :, axis]).square()
    return total


def assigned_to(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return, for each point, the index of the target's point that the best assignment gives it.

    Both clouds have the shape (examples, n, 3); the result has the shape (examples, n).
    """
    from scipy.optimize import linear_sum_assignment

    with torch.no_grad():
        costs = distances_between(outputs.detach(), targets.detach()).cpu().numpy()
    chosen = np.tile(np.arange(outputs.shape[1]), (len(costs), 1))
    for own, cost in zip(chosen, costs, strict=True):
        if np.isfinite(cost).all():  # else nothing can be assigned, and the loss is not finite
            own[:] = linear_sum_assignment(cost)[1]
    return torch.from_numpy(chosen).to(outputs.device)


def _least(distances: Tensor, count: int) -> Tensor:
    return distances.topk(count, dim=2, largest=False, sorted=True).indices


def _picked(clouds: Tensor, index: Tensor) -> Tensor:
    """Return the points of clouds with these indices (examples, n), shape (examples, n, 3)."""
    return torch.gather(clouds, 1, index.unsqueeze(2).expand(*index.shape, 3))


def _squared(one: Tensor, other: Tensor) -> Tensor:
    """Return the squared distances of points in pairs, without the last axis."""
    return (one - other).square().sum(-1)


def _with_repulsion(distance: Tensor, outputs: Tensor, weight: float) -> Tensor:
    return distance + weight * repulsion_of(outputs) if weight > 0 else distance


def _check(name: str, outputs: Tensor, targets: Tensor) -> None:
    for what, cloud in (("outputs", outputs), ("targets", targets)):
        if cloud.ndim != 3 or cloud.shape[2] != 3 or not cloud.is_floating_point():
            shape = tuple(cloud.shape)
            raise ValueError(f"{name}: got {what} of shape {shape}; allowed: (examples, n, 3)")
