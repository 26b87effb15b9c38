"""What every update is given and returns.

Every operation is IEEE float64 (multiply, add, divide, square root), each rounded once and in a
written order, so that any node recomputes the same bits. What an update remembers (momentum,
Adam's moments, averages) is part of what a block commits to. An update may stand around another
one (``of``): it sees to the gradient before the step, or to the weights after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fedchain.arrays import Vector
from fedchain.registry import Family

Memory = Mapping[str, Vector]
"""What an update carries to the next round, by name; empty at genesis."""
AVERAGE = "average"
"""Name of the memory that is the model for whoever uses it, where an update keeps one."""
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Updated:
    """The next weights, and what the update remembers."""

    weights: Vector
    """w_{t+1}, shape (d,)."""
    memory: Memory
    """State of the update after this round."""


updates: Family[Updated] = Family("update", ("fedchain.update",), Updated)
"""Part: ``(weights (d,), memory, gradient (d,), round (from 1), *, ...) -> Updated``."""


def used(weights: Vector, memory: Memory) -> Vector:
    """Return the weights (d,) that the model is used with: the average where there is one.

    >>> import numpy as np
    >>> used(np.zeros(1), {"average": np.ones(1)}).tolist()
    [1.0]
    """
    return memory.get(AVERAGE, weights)
