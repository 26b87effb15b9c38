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

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector, misshapen
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


def _flaw(made: Updated, weights: Vector, *_: object) -> str | None:
    if not isinstance(made.memory, Mapping):
        return f"memory must be a mapping of names to arrays, got {type(made.memory).__name__}"
    for name, array in made.memory.items():
        if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype != np.float64:
            return f"memory {name!r} must be a flat array of float64"
    return misshapen("weights", made.weights, weights.shape, "float64")


updates: Family[Updated] = Family("update", ("fedchain.update",), Updated, _flaw)
"""Part: ``(weights (d,), memory, gradient (d,), round (from 1), *, ...) -> Updated``."""


def used(weights: Vector, memory: Memory) -> Vector:
    """Return the weights (d,) that the model is used with: the average where there is one.

    >>> import numpy as np
    >>> used(np.zeros(1), {"average": np.ones(1)}).tolist()
    [1.0]
    """
    return memory.get(AVERAGE, weights)
