"""Mechanism: its terms, its noise, and what else it can do.

The noise is added to the mean of the clipped gradients of a holder's records. One record more
or less moves that mean by at most clip / records, and a whole holder by at most clip: that
sensitivity times the noise multiplier is the scale of the noise. The mechanism is built for the
whole run: every round, and spare releases for the answers that forks ask for again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedchain.arrays import Singles
from fedchain.registry import Family

Unit = Literal["record", "holder"]
Epsilon = Annotated[float | None, Field(gt=0, allow_inf_nan=True)]
NoiseMultiplier = Annotated[float | None, Field(gt=0)]
Delta = Annotated[float, Field(gt=0, lt=1)]
Clip = Annotated[float, Field(gt=0)] | Literal["automatic"]
SamplingRate = Annotated[float, Field(gt=0, le=1)]
ClipQuantile = Annotated[float | None, Field(gt=0, lt=1)]
SpareReleases = Annotated[int | None, Field(ge=0)]


@dataclass(frozen=True)
class Terms:
    """What a mechanism promises, for how many releases, and how gradients are bounded for it.

    Raises:
        ValueError: two of the terms contradict each other.

    >>> Terms(clip=0.5, unit="record", delta=1e-5, releases=44).sensitivity(100)
    0.005
    """

    clip: float
    """Bound on the 2-norm of a unit's gradient, above 0; inf where nothing is clipped."""
    unit: Unit
    """What one neighbour differs by: a record of a holder, or the whole holder."""
    delta: float
    """The delta of the tight total, below 1; 0 where nothing is promised."""
    releases: int
    """Releases that one holder may make: the rounds and the spare ones."""
    sampling_rate: float = 1.0
    """Chance of each record to take part in a release, drawn in secret; 1: all of them do."""
    clip_quantile: float | None = None
    """Quantile of the records' norms that the clip follows; None: the clip is fixed."""
    automatic: bool = False
    """Whether every gradient is brought near the clip, instead of the longer ones cut at it."""

    def __post_init__(self) -> None:
        if self.unit == "holder" and self.sampling_rate < 1:
            raise ValueError(
                f"privacy.sampling_rate: {self.sampling_rate:g} of the records hides no holder; "
                "only 1 is allowed with unit holder"
            )
        if self.unit == "holder" and self.clip_quantile is not None:
            raise ValueError(
                f"privacy.clip_quantile: {self.clip_quantile:g} of the records' norms says nothing "
                "of a holder's; only null is allowed with unit holder"
            )
        if self.automatic and self.clip_quantile is not None:
            raise ValueError(
                f"privacy.clip_quantile: {self.clip_quantile:g} moves a clip, and an automatic one "
                "does not matter; only null is allowed with clip automatic"
            )

    def units(self, records: int) -> int:
        """Return the number of units among so many records of one holder: each, or one."""
        return records if self.unit == "record" else 1

    def sensitivity(self, records: int) -> float:
        """Return how far one neighbour moves a holder's mean gradient, in the 2-norm.

        Of sampled records the mean is their sum over the number that is expected.

        Args:
            records: the public n_k, 1 or more.
        """
        return self.clip / (self.sampling_rate * self.units(records))


class GroupNoise(Protocol):
    """Noise in whole numbers, which the members of a group add up from shares."""

    @property
    def shares(self) -> int:
        """Members whose noise makes the whole that is accounted for, 1 or more."""

    @property
    def step(self) -> float:
        """What one whole number stands for in a sum of gradients."""

    def in_steps(
        self, gradients: Singles, keys: Sequence[bytes], records: Sequence[int]
    ) -> npt.NDArray[np.int64]:
        """Return what members of a group add up: gradients and their shares of noise, in steps.

        Args:
            gradients: clipped mean gradients (n, d); they are left alone.
            keys: 32 bytes of each share of noise, known to its holder alone.
            records: the public n_k of each holder; a gradient counts once for each of its units.

        Returns:
            Whole numbers (n, d), of which each unit of a holder moves one row by at most
            clip / step.

        Raises:
            ValueError: a gradient may take more steps than float64 can count.
        """


class ClipFollower(Protocol):
    """What moves a holder's clip from one release to the next, at a cost that epsilon counts."""

    def with_clip(self, clip: float) -> Mechanism:
        """Return the mechanism of a release with this clip."""

    def next_clip(self, key: bytes, clip: float, within: int, drawn: int, records: int) -> float:
        """Return the clip of a holder's next release.

        Args:
            key: 32 bytes of this count alone, known to its holder alone.
            clip: of this release.
            within: records of norm at most the clip.
            drawn: records that took part.
            records: the public n_k.
        """


class Mechanism(Protocol):
    """What a holder and the report need of a mechanism."""

    @property
    def name(self) -> str:
        """The registered name."""

    @property
    def terms(self) -> Terms:
        """What is promised, for how many releases, and how gradients are bounded."""

    @property
    def noise_multiplier(self) -> float:
        """Scale of the noise over the sensitivity: sigma, or 1 / eps0; 0 without noise."""

    @property
    def sampling(self) -> bool:
        """Whether the noise and epsilon are right for a sampling rate below 1."""

    @property
    def group_noise(self) -> GroupNoise | None:
        """The same noise in shares; None: it is drawn in floating point and makes none."""

    @property
    def clip_follower(self) -> ClipFollower | None:
        """What moves the clip; None: the clip is fixed."""

    @property
    def epsilon_per_release(self) -> float:
        """Cost of one release: pure where the mechanism has a pure cost, else at delta."""

    @property
    def pure_total(self) -> float | None:
        """Sum of the pure costs of all releases; None where the mechanism has none."""

    def release(
        self, gradients: Singles, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Return what holders publish in place of their mean gradients, (n, d), one row each.

        Args:
            gradients: clipped mean gradients (n, d); they are left alone.
            keys: 32 bytes of each release, of it alone and known to its holder alone.
            sensitivities: how far one neighbour moves each gradient, in the 2-norm.
        """

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon of that many releases at delta."""

    def cross_check(self) -> None:
        """Raise FedchainError unless accountants agree on a total that promises anything."""


def _flaw(made: Mechanism, _releases: int, _dimension: int, shares: int = 0) -> str | None:
    """Say which of its terms a mechanism does not keep; the guarantee would promise them."""
    lacking = [name for name in vars(Mechanism) if name[0] != "_" and name not in dir(made)]
    if lacking:
        return f"lacks {', '.join(lacking)}, which every mechanism has"
    if not isinstance(made.terms, Terms):
        return f"terms must be Terms, got {type(made.terms).__name__}"
    rate, quantile = made.terms.sampling_rate, made.terms.clip_quantile
    if rate < 1 and (shares or not made.sampling):
        where = "holders form groups" if shares else "sampling is False"
        return f"terms.sampling_rate must be 1 where {where}, got {rate:g}"
    if quantile is not None and (shares or made.clip_follower is None):
        where = "holders form groups" if shares else "clip_follower is None"
        return f"terms.clip_quantile must be None where {where}, got {quantile:g}"
    if quantile is None and made.clip_follower is not None:
        return "terms.clip_quantile must be what the clip_follower follows, got None"
    if shares and made.group_noise is None:
        return f"group_noise must add up from {shares} shares where holders form groups, got None"
    return None


mechanisms: Family[Mechanism] = Family("mechanism", ("fedchain.privacy.mechanisms",), flaw=_flaw)
"""Part: ``(releases: int, dimension: int, *, ...) -> Mechanism``; releases counts the rounds.

One whose noise members of a group can share takes a third value before ``*``, ``shares: int``:
the members whose noise is counted on."""


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


def noise_for(
    epsilon: float | None, noise_multiplier: float | None, solve: Callable[[float], float]
) -> float:
    """Return the noise multiplier: the one that was given, or the one that a total epsilon needs.

    Args:
        epsilon: total over all releases; inf: no noise; None: the noise multiplier is given.
        noise_multiplier: of the noise; None: epsilon is given.
        solve: finite total epsilon to noise multiplier.

    Raises:
        ValueError: both are given, or none.

    >>> noise_for(2.0, None, lambda epsilon: 3 / epsilon), noise_for(None, 0.7, abs)
    (1.5, 0.7)
    """
    if epsilon is not None and noise_multiplier is None:
        return 0.0 if math.isinf(epsilon) else solve(epsilon)
    if noise_multiplier is not None and epsilon is None:
        return noise_multiplier
    raise ValueError(
        f"privacy: needs epsilon or noise_multiplier, got epsilon {epsilon} and "
        f"noise_multiplier {noise_multiplier}; exactly one of the two is allowed"
    )
