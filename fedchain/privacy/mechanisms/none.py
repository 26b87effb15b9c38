"""No noise: what the others are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Singles
from fedchain.privacy.mechanisms.mechanism import (
    Mechanism,
    Unit,
    mechanisms,
)


@mechanisms
def none(releases: int, dimension: int) -> Mechanism:  # noqa: ARG001 - the same for every run
    """Add nothing and clip nothing: the run without privacy, to compare with.

    Args:
        releases: rounds of the run.
        dimension: length of a gradient.
    """
    return NoNoise(releases)


@dataclass(frozen=True)
class NoNoise:
    """Gradients as they are."""

    releases: int
    """Rounds of the run; nothing runs out after them."""
    name: str = "none"
    """The registered name."""
    noise_multiplier: float = 0.0
    """No noise."""
    clip: float = math.inf
    """No clipping."""
    unit: Unit = "record"
    """Nothing is protected."""
    delta: float = 0.0
    """Nothing is promised."""
    epsilon_per_release: float = math.inf
    """Nothing is promised."""
    pure_total: None = None
    """Nothing is promised."""

    def noise(self, keys: Sequence[bytes], dimension: int, records: Sequence[int]) -> Singles:  # noqa: ARG002
        """Return zeros (n, d)."""
        return np.zeros((len(keys), dimension), dtype=np.float32)

    def epsilon_after(self, releases: int) -> float:
        """Return inf as soon as anything is released."""
        return math.inf if releases else 0.0

    def cross_check(self) -> None:
        """Accept: there is no figure to check."""
