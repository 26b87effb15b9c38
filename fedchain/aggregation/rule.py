"""Aggregation rules: what they receive, what they return, and the family that lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fedchain.aggregation.directions import Directions
from fedchain.arrays import Flags, Vector, misshapen, read_only
from fedchain.errors import Problem
from fedchain.registry import Family, Part

RuleMemory = Mapping[str, Vector]
"""The arrays that a rule keeps for the next block, by name; empty before the first block."""
MOST_VECTORS, LONGEST_NAME = 32, 100
"""Largest number of arrays in the memory of a rule, and of characters in the name of an array."""
MOST_TIMES, MOST_MORE = 8, 2048
"""The memory of a rule may hold MOST_TIMES numbers for each weight of the model, and MOST_MORE
more."""

Scale = Literal["restore", "unit", "median_clip"]
"""The number that multiplies each direction. ``restore``: the norm of the gradient; ``unit``: 1;
``median_clip``: the norm, but at most the median of all norms."""

NO_SCORES: Vector = read_only(np.empty(0))
"""The scores of a rule that judges no message by a number."""


@dataclass(frozen=True, eq=False)
class Received:
    """What a rule receives: the n messages of a block, ordered by id, and the rule's memory."""

    directions: Directions
    """The directions of the gradients, as they were sent. The direction of a zero gradient is
    zero."""
    norms: Vector
    """The norm of each gradient, shape (n,); exactly 0 where the gradient is zero."""
    records: Vector
    """The registered number of records behind each message, shape (n,): whole numbers from 1, or 0
    for a public root. With open identities, nobody checks these numbers."""
    memory: RuleMemory = field(default_factory=dict)
    """What the rule returned as ``Aggregate.memory`` at the parent block; read-only."""

    def __post_init__(self) -> None:
        read_only(self.norms)
        read_only(self.records)


@dataclass(frozen=True)
class Aggregate:
    """The result of a rule: the global gradient, and the share of each message in it."""

    gradient: Vector
    """The global gradient, one value for each weight of the model."""
    cosines: Vector
    """Cosine of each direction with the sum of all directions, shape (n,) for n messages."""
    shares: Vector
    """The share of each message in the gradient, not weighted by norms; 0 or more, shape (n,)."""
    reasons: tuple[str, ...]
    """For each message, why its share is 0; empty if the share is above 0."""
    memory: RuleMemory = field(default_factory=dict)
    """What the rule keeps for the next block: finite float64 vectors by name. The block commits to
    them."""
    scores: Vector = field(default_factory=lambda: NO_SCORES)
    """What the rule judged each message by, shape (n,), finite; empty if it judged none by a
    number."""
    score: str = ""
    """What the scores are, in plain words, such as ``Krum score``; empty if there are none."""

    @property
    def used(self) -> Flags:
        """Which messages have a share above 0, shape (n,)."""
        return self.shares > 0


def _flaw(made: Aggregate, received: Received) -> str | None:
    rows, columns = len(received.norms), received.directions.dimension
    shape = (
        misshapen("gradient", made.gradient, (columns,), "float64")
        or misshapen("cosines", made.cosines, (rows,), "float64")
        or misshapen("shares", made.shares, (rows,), "float64")
    )
    if shape:
        return shape
    if not (np.isfinite(made.shares).all() and (made.shares >= 0).all()):
        return f"shares must be numbers of 0 or more, got {made.shares.min():g} among them"
    if not isinstance(made.reasons, tuple) or len(made.reasons) != rows:
        return f"reasons must be a tuple of {rows} texts, got {made.reasons!r}"
    for row, (reason, share) in enumerate(zip(made.reasons, made.shares, strict=True)):
        if not isinstance(reason, str) or (share > 0) == (reason != ""):
            wanted = "must be empty" if share > 0 else "must say why nothing was taken"
            return f"reasons: row {row} has share {share:g}: its reason {wanted}, got {reason!r}"
    return _score_flaw(made, rows) or _memory_flaw(made.memory, columns)


def _score_flaw(made: Aggregate, rows: int) -> str | None:
    if not isinstance(made.score, str) or len(made.score) > LONGEST_NAME:
        return f"score must be a text of at most {LONGEST_NAME} characters, got {made.score!r:.80}"
    wrong = misshapen("scores", made.scores, (rows if made.score else 0,), "float64")
    if wrong is None and not np.isfinite(made.scores).all():
        return "scores must be finite numbers"
    return wrong


def _memory_flaw(memory: object, dimension: int) -> str | None:
    if not isinstance(memory, Mapping):
        return f"memory must be a mapping of names to arrays, got {type(memory).__name__}"
    if len(memory) > MOST_VECTORS:
        return f"memory must have at most {MOST_VECTORS} arrays, got {len(memory)}"
    for name, vector in memory.items():
        if not (isinstance(name, str) and name.isascii() and 1 <= len(name) <= LONGEST_NAME):
            return f"memory: a name must be 1 to {LONGEST_NAME} ASCII characters, got {name!r}"
        if not isinstance(vector, np.ndarray) or vector.ndim != 1 or vector.dtype != np.float64:
            return f"memory {name!r} must be a flat array of float64"
        if not np.isfinite(vector).all():
            return f"memory {name!r} must be finite numbers"
    numbers, most = sum(map(len, memory.values())), MOST_TIMES * dimension + MOST_MORE
    if numbers > most:
        return f"memory must have at most {most} numbers (8 times the weights), got {numbers}"
    return None


def _misfits(part: Part) -> Iterator[Problem]:
    """Yield a problem for every rule that stands in a list of rules of its own kind."""
    for name, value in part.parameters.items():
        for index, inner in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(inner, Part) and inner.kind == part.kind:
                words = f"must be another rule than {part.kind}, in which it stands"
                yield Problem((name, index, "kind"), f"{words}, got {inner.kind}")


aggregations: Family[Aggregate] = Family(
    "aggregation", ("fedchain.aggregation",), Aggregate, _flaw, _misfits
)
"""The family of aggregation rules. Each rule is a function ``(received, *, ...) -> Aggregate``."""


def scaled(norms: Vector, scale: Scale) -> Vector:
    """Return the number that multiplies each direction, from the norm of each gradient.

    >>> scaled(np.array([1.0, 2.0, 1e9]), "median_clip").tolist()
    [1.0, 2.0, 2.0]
    """
    if scale == "unit":
        return np.ones_like(norms)
    if scale == "median_clip":
        return np.minimum(norms, np.median(norms))
    return norms


def reasons_for(shares: Vector, reason: str) -> tuple[str, ...]:
    """Return ``reason`` for each message whose share is 0, and an empty text for the others.

    >>> reasons_for(np.array([0.5, 0.0, 0.5]), "far from the sum")
    ('', 'far from the sum', '')
    """
    return tuple("" if share > 0 else reason for share in shares)
