"""Vectors: what a rule works on, after pre-aggregations have mixed the messages of a block."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.aggregation.directions import Directions
from fedchain.aggregation.inner_products import agreement_of
from fedchain.aggregation.rule import NO_SCORES, Aggregate, Received, Scale, reasons_for, scaled
from fedchain.aggregation.weights import Weights, counted, weighted_mean
from fedchain.arrays import ONE, Matrix, Vector, Wholes, misshapen
from fedchain.ordered import applied, ordered_sum, product
from fedchain.registry import AtMost, Family, Part

MOST_COMPARED = 2048
"""Largest number of messages that are all compared with each other at once."""
LARGEST_FACTOR = 2.0**200
"""Largest factor of a direction, as a multiple of the usual one; larger ones are lowered to it.
Squares and products of such lengths are finite, and no rule takes a vector of this length for a
usual one."""

Byzantine = Annotated[
    int | None,
    Field(ge=0),
    AtMost("nodes.asked", "the number of holders or groups asked in a round"),
]
"""Number of vectors that may be Byzantine. None: what the scenario's attacks say (see
``settled_rule``); a rule takes it for 0."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """The m vectors that a rule works on.

    Message k stands for x_k, its direction times ``factors[k]``. Vector j is x_j, or after a
    pre-aggregation the sum of ``mix[j, k]`` x_k over all n messages.
    """

    received: Received
    """The messages of the block."""
    factors: Vector
    """The number that multiplies each direction, shape (n,)."""
    mix: Matrix | None = None
    """How much of each x_k is in each vector, shape (m, n); None: the vectors are the x_k."""
    taken: Matrix | None = None
    """The share of each message in each vector, not weighted by norms, shape (m, n); each row adds
    up to 1. None: the vectors are the x_k."""
    owners: Wholes | None = None
    """The vector that stands for each message, shape (n,); None: each message has its own."""

    def __len__(self) -> int:
        return len(self.factors) if self.mix is None else len(self.mix)

    @functools.cached_property
    def unit(self) -> float:
        """The unit of ``gram``: the largest power of two up to the median factor."""
        return _unit_of(self.factors)

    @functools.cached_property
    def gram(self) -> Matrix:
        """Inner products of all vectors, divided by ``unit`` squared, shape (m, m).

        Raises:
            ValueError: there are more than 2048 messages.
        """
        directions: Directions = self.received.directions
        if len(directions) > MOST_COMPARED:
            words = f"at most {MOST_COMPARED} are compared with each other"
            raise ValueError(f"got {len(directions)} messages; {words}")
        lengths = self.factors / self.unit
        # One product of whole numbers is exact; every other operation is by element.
        exact = directions.gram / ONE**2 * np.multiply.outer(lengths, lengths)
        if self.mix is None:
            return exact
        mixed = product(product(self.mix, exact), np.ascontiguousarray(self.mix.T))
        return np.asarray((mixed + mixed.T) / 2.0)

    @functools.cached_property
    def distances(self) -> Matrix:
        """Squared distances of all vectors, divided by ``unit`` squared, shape (m, m)."""
        squares = self.gram.diagonal()
        return np.maximum(np.add.outer(squares, squares) - 2.0 * self.gram, 0.0)

    @functools.cached_property
    def lengths(self) -> Vector:
        """Norms of the vectors, divided by ``unit``, shape (m,)."""
        return np.sqrt(np.maximum(self.gram.diagonal(), 0.0))

    def of_messages(self, scores: Vector) -> Vector:
        """Return the score of the vector that stands for each message, shape (n,)."""
        return scores if self.owners is None or not len(scores) else scores[self.owners]

    def blocks(self, columns: slice) -> Iterator[tuple[slice, Matrix]]:
        """Yield the columns of a block, and 2^20 times the vectors in it, shape (m, columns)."""
        directions = self.received.directions
        scales = self.factors * directions.shifts
        for part, block in directions.blocks(columns):
            block *= scales[:, None]
            yield part, block if self.mix is None else product(self.mix, block)

    def sample(self, most: int) -> Matrix:
        """Return the vectors in at most ``most`` evenly spaced columns, shape (m, columns)."""
        # The same columns on every machine.
        directions = self.received.directions
        stride = -(-directions.dimension // most)
        rows = np.stack([row[::stride] for row in directions.integers])
        values = rows * (self.factors * directions.shifts)[:, None]
        return values if self.mix is None else product(self.mix, values)


def _flaw(made: Vectors, before: Vectors) -> str | None:
    count = len(before.factors)
    wrong = misshapen("factors", made.factors, (count,), "float64")
    if wrong or (made.mix is None and made.taken is None and made.owners is None):
        return wrong
    if made.mix is None or made.taken is None or made.owners is None:
        return "mix, taken and owners: either all are None, or none is"
    wrong = (
        misshapen("mix", made.mix, (len(made.mix), count), "float64")
        or misshapen("taken", made.taken, (len(made.mix), count), "float64")
        or misshapen("owners", made.owners, (count,), "int64")
    )
    if wrong:
        return wrong
    if not (np.isfinite(made.mix).all() and (made.mix >= 0).all()):
        return "mix must be finite numbers of 0 or more"
    if not (np.isfinite(made.taken).all() and (made.taken >= 0).all()):
        return "taken must be finite numbers of 0 or more"
    inside = (made.owners >= 0).all() and (made.owners < len(made.mix)).all()
    return None if inside else f"owners must be from 0 to {len(made.mix) - 1}"


pre_aggregations: Family[Vectors] = Family(
    "pre_aggregation", ("fedchain.aggregation.mixing",), Vectors, _flaw
)
"""The family of pre-aggregations. Each is a function ``(vectors, *, ...) -> Vectors``."""

First = tuple[Annotated[Part, pre_aggregations], ...]
"""Pre-aggregations that change the vectors before a rule works on them, in their order."""


def mixed_vectors(received: Received, scale: Scale, first: First = ()) -> Vectors:
    """Return the vectors that a rule works on.

    >>> two = Received(Directions.of(2**20 * np.eye(2)), np.array([2.0, 4.0]), np.ones(2))
    >>> vectors = mixed_vectors(two, "restore")
    >>> (vectors.gram * vectors.unit**2).tolist()
    [[4.0, 0.0], [0.0, 16.0]]
    """
    factors = scaled(received.norms, scale)
    with np.errstate(over="ignore"):
        vectors = Vectors(received, np.minimum(factors, LARGEST_FACTOR * _unit_of(factors)))
    for part in first:
        vectors = pre_aggregations.build(part, vectors)
    return vectors


def _unit_of(factors: Vector) -> float:
    _, exponent = np.frexp(np.median(factors))
    return float(np.ldexp(1.0, int(exponent) - 1))


def check_number(rule: str, vectors: Vectors, key: str, value: int, least: int) -> None:
    """Raise ValueError if a rule gets fewer vectors than the value of its parameter needs."""
    if len(vectors) < least:
        what = "messages" if vectors.mix is None else "vectors after its pre-aggregations"
        needed = f"{key}: {value} needs at least {least}"
        raise ValueError(f"{rule}: got {len(vectors)} {what}; {needed}")


def counts_of(vectors: Vectors, weights: Weights) -> Vector:
    """Return how much each vector counts in a mean: the messages' counts, mixed like them."""
    counts = counted(vectors.received.records, weights)
    if not counts.any():  # only a public root, which has no registered records
        counts = np.ones_like(counts)
    return counts if vectors.taken is None else applied(vectors.taken, counts)


def directions_between(vectors: Vectors) -> Matrix:
    """Return the cosine of every two vectors, shape (m, m); 0 with a vector of zeros."""
    lengths = np.multiply.outer(vectors.lengths, vectors.lengths)
    return np.divide(vectors.gram, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def cosines_with_sum(vectors: Vectors) -> Vector:
    """Return the cosine of each vector with the sum of the directions of all, shape (m,)."""
    inner = applied(directions_between(vectors), np.ones(len(vectors)))
    square = ordered_sum(inner)
    return inner / math.sqrt(square) if square > 0 else np.zeros_like(inner)


def combined(
    vectors: Vectors,
    counts: Vector,
    *,
    reason: str,
    scores: Vector = NO_SCORES,
    score: str = "",
) -> Aggregate:
    """Return the mean of the vectors, in which each of them counts so much.

    Args:
        vectors: what the rule works on.
        counts: how much each vector counts, 0 or more, shape (m,). If all are 0, the gradient is
            zero and no message has a share.
        reason: why a message has no share.
        scores: what the rule judged each vector by, shape (m,).
        score: the name of the scores.

    >>> two = Received(Directions.of(2**20 * np.eye(2)), np.array([2.0, 4.0]), np.ones(2))
    >>> made = combined(mixed_vectors(two, "restore"), np.array([3.0, 1.0]), reason="far")
    >>> made.gradient.tolist(), made.shares.tolist()
    ([1.5, 1.0], [0.75, 0.25])
    """
    directions, whole = vectors.received.directions, ordered_sum(counts)
    cosines = agreement_of(directions).cosines
    told = vectors.of_messages(scores)
    if whole == 0.0:
        nothing = np.zeros(len(directions))
        gradient, shares = np.zeros(directions.dimension), nothing
    else:
        parts, shares = counts, counts
        if vectors.mix is not None and vectors.taken is not None:
            parts, shares = (applied(each.T, counts) for each in (vectors.mix, vectors.taken))
        used = parts > 0
        # The ratio is exactly 1 if all used messages count the same.
        factors = vectors.factors * (float(used.sum()) * parts / whole)
        gradient, shares = weighted_mean(directions, factors, used), shares / whole
    return Aggregate(gradient, cosines, shares, reasons_for(shares, reason), {}, told, score)
