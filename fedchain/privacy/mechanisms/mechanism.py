"""What every mechanism is, and the parameters that mechanisms share.

The noise is added to the mean of the clipped gradients of a holder's records. One record more
or less moves that mean by at most clip / records, and a whole holder by at most clip: that
sensitivity times the noise multiplier is the scale of the noise. The mechanism is built for the
whole run: every round, and spare releases for the answers that forks ask for again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

from pydantic import Field

from fedchain.arrays import Singles
from fedchain.registry import Family

VACUOUS = 500.0
"""A total epsilon that promises nothing, and that discretised accountants cannot hold."""
Unit = Literal["record", "holder"]
Epsilon = Annotated[float | None, Field(gt=0, allow_inf_nan=True)]
NoiseMultiplier = Annotated[float | None, Field(gt=0)]
Delta = Annotated[float, Field(gt=0, lt=1)]
Clip = Annotated[float, Field(gt=0)] | Literal["automatic"]
SamplingRate = Annotated[float, Field(gt=0, le=1)]
ClipQuantile = Annotated[float | None, Field(gt=0, lt=1)]
SpareReleases = Annotated[int | None, Field(ge=0)]


class Mechanism(Protocol):
    """What a holder and the report need of a mechanism."""

    @property
    def name(self) -> str:
        """The registered name."""

    @property
    def noise_multiplier(self) -> float:
        """Scale of the noise over the sensitivity: sigma, or 1 / eps0; 0 without noise."""

    @property
    def clip(self) -> float:
        """Bound on the norm of a record's (or holder's) gradient; inf where nothing is clipped."""

    @property
    def automatic(self) -> bool:
        """Whether every gradient is brought near the clip, instead of the longer ones cut at it."""

    @property
    def unit(self) -> Unit:
        """What one neighbour differs by: a record of a holder, or the whole holder."""

    @property
    def sampling_rate(self) -> float:
        """Chance of each record to take part in a release; 1: all of them do."""

    @property
    def clip_quantile(self) -> float | None:
        """Quantile of the records' norms that the clip follows; None: the clip is fixed."""

    @property
    def delta(self) -> float:
        """The delta of the tight total; 0 where nothing is promised."""

    @property
    def releases(self) -> int:
        """Releases that one holder may make: the rounds and the spare ones."""

    @property
    def epsilon_per_release(self) -> float:
        """Cost of one release: pure where the mechanism has a pure cost, else at delta."""

    @property
    def pure_total(self) -> float | None:
        """Sum of the pure costs of all releases; None where the mechanism has none."""

    def release(self, gradients: Singles, keys: Sequence[bytes], records: Sequence[int]) -> Singles:
        """Return what holders publish in place of their mean gradients, (n, d), one row each.

        Args:
            gradients: clipped mean gradients (n, d); they are left alone.
            keys: 32 bytes of each release, of it alone and known to its holder alone.
            records: the public n_k of each holder.
        """

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon of that many releases at delta."""

    def cross_check(self) -> None:
        """Raise FedchainError unless independent accountants agree on the total epsilon."""


mechanisms: Family[Mechanism] = Family("mechanism", ("fedchain.privacy.mechanisms",))
"""Part: ``(releases: int, dimension: int, *, ...) -> Mechanism``; releases counts the rounds."""


def sensitivity(clip: float, unit: Unit, records: float) -> float:
    """Return how far one neighbour moves the mean gradient, in the 2-norm.

    Of sampled records ``records`` is the number that is expected, which divides their sum.

    >>> sensitivity(0.5, "record", 100), sensitivity(0.5, "holder", 100)
    (0.005, 0.5)
    """
    return clip / records if unit == "record" else clip


def bound_of(clip: Clip) -> float:
    """Return the bound that a clip sets: 1 where it is automatic.

    An automatic clip of C makes all gradients and their noise C times as long, and no direction
    another, so that there is nothing to choose.

    >>> bound_of(0.5), bound_of("automatic")
    (0.5, 1.0)
    """
    return 1.0 if clip == "automatic" else clip


def with_spare(rounds: int, spare: int | None) -> int:
    """Return the releases that the noise must cover: the rounds, and spare ones for forks.

    >>> with_spare(40, None), with_spare(40, 0)
    (44, 40)
    """
    return rounds + (max(2, math.ceil(rounds / 10)) if spare is None else spare)


def one_of(epsilon: float | None, noise_multiplier: float | None) -> float | None:
    """Return the noise multiplier if it was given; exactly one of the two must be."""
    if (epsilon is None) == (noise_multiplier is None):
        raise ValueError(
            f"privacy: needs epsilon or noise_multiplier, got epsilon {epsilon} and "
            f"noise_multiplier {noise_multiplier}; exactly one of the two is allowed"
        )
    return noise_multiplier
