"""No noise, with and without clipping: what the others are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fedchain.arrays import Singles
from fedchain.privacy.mechanisms.mechanism import Clip, Mechanism, Unit, bound_of, mechanisms


@mechanisms
def none(releases: int, dimension: int) -> Mechanism:  # noqa: ARG001 - the same for every run
    """Add nothing and clip nothing: the run without privacy, to compare with.

    Args:
        releases: rounds of the run.
        dimension: length of a gradient.
    """
    return NoNoise(releases)


@mechanisms
def clipped(
    releases: int,
    dimension: int,  # noqa: ARG001 - the same for every run
    *,
    clip: Clip,
    unit: Unit = "record",
) -> Mechanism:
    """Clip and add nothing: epsilon is infinite. It shows what clipping alone does to learning.

    Clipping bounds what one record moves, but without noise nothing is hidden.

    Args:
        releases: rounds of the run.
        dimension: length of a gradient.
        clip: bound on the 2-norm of the gradient of one unit; automatic: every gradient g becomes
            g / (norm(g) + .01), whose norm is below 1, and there is no threshold to choose.
        unit: what is clipped: the gradient of each record, or a holder's mean.
    """
    return NoNoise(releases, "clipped", bound_of(clip), unit, clip == "automatic")


@dataclass(frozen=True)
class NoNoise:
    """Gradients as they are, or clipped."""

    releases: int
    """Rounds of the run; nothing runs out after them."""
    name: str = "none"
    """The registered name."""
    clip: float = math.inf
    """Bound on the gradient of one unit; inf: none."""
    unit: Unit = "record"
    """What is clipped; nothing is protected."""
    automatic: bool = False
    """Whether every gradient is brought near the clip, instead of the longer ones cut at it."""
    sampling_rate: float = 1.0
    """All records take part in every release."""
    clip_quantile: None = None
    """The clip is fixed."""
    noise_multiplier: float = 0.0
    """No noise."""
    delta: float = 0.0
    """Nothing is promised."""
    epsilon_per_release: float = math.inf
    """Nothing is promised."""
    pure_total: None = None
    """Nothing is promised."""

    def release(
        self,
        gradients: Singles,
        keys: Sequence[bytes],  # noqa: ARG002 - there is no noise to draw
        records: Sequence[int],  # noqa: ARG002
    ) -> Singles:
        """Return the gradients themselves (n, d)."""
        return gradients

    def epsilon_after(self, releases: int) -> float:
        """Return inf as soon as anything is released."""
        return math.inf if releases else 0.0

    def cross_check(self) -> None:
        """Accept: there is no figure to check."""
