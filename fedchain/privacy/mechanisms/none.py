"""No noise, with and without clipping: baselines for the mechanisms with noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedchain.arrays import Matrix, Singles
from fedchain.privacy.mechanisms.mechanism import Clip, Mechanism, Terms, Unit, mechanisms, terms_of
from fedchain.registry import cites


@mechanisms
@cites()
def none(releases: int, dimension: int) -> Mechanism:  # noqa: ARG001 - the same for every run
    """Add nothing and clip nothing: a baseline without privacy."""
    terms = Terms(clip=math.inf, unit="record", delta=0.0, releases=releases)
    return NoNoise(name="none", terms=terms)


@mechanisms
@cites()
def clipped(
    releases: int,
    dimension: int,  # noqa: ARG001 - the same for every run
    *,
    clip: Clip,
    unit: Unit = "record",
) -> Mechanism:
    """Clip gradients, but add no noise: a baseline that shows how clipping alone affects learning.

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient.
        clip: largest 2-norm of one gradient. With automatic, every gradient g becomes g / (norm(g)
            + .01), whose norm is below 1.
        unit: what is clipped: the gradient of each record, or a holder's mean.
    """
    return NoNoise(name="clipped", terms=terms_of(releases, 0, clip=clip, unit=unit, delta=0.0))


@dataclass(frozen=True, kw_only=True)
class NoNoise:
    """No noise, with or without clipping. A holder may make any number of releases."""

    name: str
    """The registered name."""
    terms: Terms
    """How gradients are clipped."""
    noise_multiplier: float = 0.0
    sampling: bool = False
    group_noise: None = None
    clip_follower: None = None
    noise_schedule: None = None
    epsilon_per_release: float = math.inf
    pure_total: None = None
    """All records take part in every release, and the clip is fixed."""

    def release(
        self,
        gradients: Matrix,
        keys: Sequence[bytes],  # noqa: ARG002 - there is no noise to draw
        sensitivities: Sequence[float],  # noqa: ARG002
    ) -> Singles:
        """Return the gradients as float32."""
        return np.asarray(gradients, dtype=np.float32)

    def noise_norm(
        self,
        sensitivity: float,  # noqa: ARG002 - there is no noise to measure
        dimension: int,  # noqa: ARG002
    ) -> float:
        """Return 0."""
        return 0.0

    def epsilon_after(self, releases: int) -> float:
        """Return infinity after any release, else 0."""
        return math.inf if releases else 0.0

    epsilon_bound = epsilon_after

    def cross_check(self) -> None:
        """Do nothing: there is no epsilon to check."""
