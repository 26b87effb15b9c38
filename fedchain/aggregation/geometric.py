"""Geometric median and centred clipping: rules that pull each vector to a point with little force.

Both move a point in a fixed number of steps. The point is a sum of the vectors, so that all its
distances follow from their inner products.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.inner_products import inner_with
from fedchain.aggregation.rule import Aggregate, Received, RuleMemory, Scale, aggregations, scaled
from fedchain.aggregation.vectors import First, Vectors, combined, mixed_vectors
from fedchain.arrays import ONE, Matrix, Vector
from fedchain.ordered import applied, ordered_sum
from fedchain.registry import cites

CENTRE, STEP = "centre", "step"
"""Names of the arrays that centred clipping keeps: the centre is ``centre`` times ``step``."""
CENTRE_BITS = 30
"""Bits of the largest entry of a centre."""


@aggregations
@cites("pillutla2022")
def geometric_median(
    received: Received,
    *,
    steps: Annotated[int, Field(ge=1, le=1000)] = 32,
    smoothing: Annotated[float, Field(gt=0, le=1)] = 0.001,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Take the point with the smallest sum of distances to the vectors.

    Weiszfeld's algorithm with a fixed number of steps, beginning at zero. In each step, the point
    becomes the mean of the vectors with the weights 1 / max(distance to the point, v).

    Args:
        received: the messages of the block.
        steps: number of steps.
        smoothing: the smallest distance v, as a share of the median of the factors by which
            ``scale`` multiplies directions.
        scale: number that multiplies each direction before vectors are compared. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. Scores are distances to the point before the last step.

    Raises:
        ValueError: there are more than 2048 messages.

    Reference:
        Pillutla, Kakade and Harchaoui, Robust Aggregation for Federated Learning, IEEE Transactions
        on Signal Processing 2022, algorithm 2.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1, 0], [1, 0], [-1, 0]]))
    >>> geometric_median(Received(rows, np.ones(3), np.ones(3))).gradient.round(3).tolist()
    [1.0, 0.0]
    """
    vectors = mixed_vectors(received, scale, first)
    least = smoothing * float(np.median(scaled(received.norms, scale))) / vectors.unit
    counts, distances = np.zeros(len(vectors)), vectors.lengths
    for step in range(steps):
        if step:
            distances = _distances(vectors.gram, counts)
        counts = 1.0 / np.maximum(distances, least if least > 0.0 else 1.0)
        counts = counts / ordered_sum(counts)
    told = distances * vectors.unit
    score = "distance to the median"
    return combined(vectors, counts, reason="far from the median", scores=told, score=score)


@aggregations
@cites("karimireddy2021")
def centred_clipping(
    received: Received,
    *,
    radius: Annotated[float, Field(gt=0)] | None = None,
    steps: Annotated[int, Field(ge=1, le=100)] = 1,
    scale: Scale = "restore",
    first: First = (),
) -> Aggregate:
    """Move the last aggregate by the mean of the differences to it, none longer than a radius.

    Before the first block, the centre is zero. The rule remembers the aggregate as whole numbers of
    up to 30 bits, so that the inner products with it are exact.

    Args:
        received: the messages of the block.
        radius: largest length of a difference, in the unit of gradients. null: the median of the
            distances of all vectors to the centre, in each step anew.
        steps: number of steps; each begins where the last one ended.
        scale: number that multiplies each direction before vectors are compared. ``restore``: the
            norm of the gradient; ``unit``: 1; ``median_clip``: the norm, but at most the median of
            all norms.
        first: pre-aggregations, in their order.

    Returns:
        The aggregate. Scores are distances to the centre. Shares are those of the differences.

    Raises:
        ValueError: there are more than 2048 messages.

    Reference:
        Karimireddy, He and Jaggi, Learning from History for Byzantine Robust Optimization, ICML
        2021, algorithm 2.

    >>> from fedchain.aggregation.directions import Directions
    >>> rows = Directions.of(2**20 * np.array([[1, 0], [0, 1]]))
    >>> four = Received(rows, np.array([1.0, 4.0]), np.ones(2))
    >>> centred_clipping(four, radius=2.0).gradient.tolist()
    [0.5, 1.0]
    """
    vectors, centre = mixed_vectors(received, scale, first), centre_of(received.memory)
    count = len(vectors)
    whole = _with_centre(vectors, centre)
    place = np.zeros(count + 1)  # how much of each vector, and of the centre, is in the point
    place[count] = 1.0
    told = np.zeros(count)
    for step in range(steps):
        distances = _distances(whole, place)[:count]
        told = told if step else distances * vectors.unit
        most = float(np.median(distances)) if radius is None else radius / vectors.unit
        force = np.divide(most, distances, out=np.ones(count), where=distances > most) / count
        place = place * (1.0 - ordered_sum(force))
        place[:count] += force
    score = "distance to the centre"
    made = combined(vectors, place[:count], reason="no part of it", scores=told, score=score)
    gradient = made.gradient * ordered_sum(place[:count])
    if centre is not None:
        gradient += centre.vector() * place[count]
    return replace(made, gradient=gradient, memory=_remembered(gradient, received.memory))


@dataclass(frozen=True, eq=False)
class Centre:
    """A point as whole numbers."""

    whole: Vector
    """The whole numbers, below 2^30, one for each weight."""
    step: float
    """The power of two that multiplies them."""

    def vector(self) -> Vector:
        """Return the point."""
        return self.whole * self.step


def centre_of(memory: RuleMemory) -> Centre | None:
    """Return the centre that the rule remembers, or None before the first block."""
    return Centre(memory[CENTRE], float(memory[STEP][0])) if CENTRE in memory else None


def _remembered(gradient: Vector, before: RuleMemory) -> RuleMemory:
    most = float(np.abs(gradient).max())
    if not 0.0 < most < math.inf:
        return before
    step = math.ldexp(1.0, max(math.frexp(most)[1] - CENTRE_BITS, -1000))
    return {CENTRE: np.rint(gradient / step), STEP: np.array([step])}


def _with_centre(vectors: Vectors, centre: Centre | None) -> Matrix:
    """Return the inner products of the vectors and, in the last row and column, the centre."""
    count = len(vectors)
    whole = np.zeros((count + 1, count + 1))
    whole[:count, :count] = vectors.gram
    if centre is not None:
        ratio = centre.step / vectors.unit
        directions = vectors.received.directions
        inner = inner_with(directions, centre.whole) / ONE * (vectors.factors / vectors.unit)
        mixed = inner if vectors.mix is None else applied(vectors.mix, inner)
        whole[count, :count] = whole[:count, count] = mixed * ratio
        whole[count, count] = math.fsum(centre.whole * centre.whole) * ratio * ratio
    return whole


def _distances(gram: Matrix, place: Vector) -> Vector:
    """Return the distance of every vector to the sum of ``place[k]`` times vector k."""
    inner = applied(gram, place)
    squares = gram.diagonal() - 2.0 * inner + ordered_sum(place * inner)
    return np.sqrt(np.maximum(squares, 0.0))
