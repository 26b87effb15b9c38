"""Updates: their family, and what each of them is given and returns.

Every operation is an IEEE float64 operation (multiply, add, divide, square root) that rounds once.
The order of the operations is fixed, so any node recomputes the same bits. A block commits to the
memory of the update (momentum, Adam's moments, averages). An update may wrap another one (``of``):
it then changes the gradient before the step, or the weights after it.
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
"""What an update keeps for the next round, by name; empty at genesis."""
AVERAGE = "average"
"""Name of the average in the memory; where an update keeps one, it is used as the model."""
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Updated:
    """The next weights and the memory of the update."""

    weights: Vector
    """w_{t+1}, shape (d,)."""
    memory: Memory
    """The memory after this round."""


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
    """Return the weights (d,) to use as the model: the average if there is one.

    >>> import numpy as np
    >>> used(np.zeros(1), {"average": np.ones(1)}).tolist()
    [1.0]
    """
    return memory.get(AVERAGE, weights)
