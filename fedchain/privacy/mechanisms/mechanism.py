"""Mechanism: adds noise to the mean of a holder's clipped gradients, in all releases of a run.

The scale of the noise is the noise multiplier times the sensitivity. The sensitivity is the largest
change of the mean when one gradient becomes zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, Field

from fedchain.arrays import Matrix, Singles
from fedchain.privacy.accounting import gaussian_noise_multiplier, least_noise
from fedchain.privacy.mechanisms.abilities import ClipFollower, GroupNoise, NoiseSchedule
from fedchain.registry import Family

Unit = Literal["record", "holder"]
LEAST_EPSILON, LARGEST_EPSILON = 1e-4, 1e4
"""Smallest and largest finite total epsilon for which noise can be computed."""
Clip = Annotated[float, Field(ge=1e-9, le=1e6)] | Literal["automatic"]
SamplingRate = Annotated[float, Field(ge=1e-4, le=1)]
ClipQuantile = Annotated[float | None, Field(gt=0, lt=1)]
SpareReleases = Annotated[int | None, Field(ge=0, le=1_000_000)]
# Within these bounds the accountants have the digits that they need.
NoiseMultiplier = Annotated[float | None, Field(ge=1e-6, le=1e6)]
Delta = Annotated[float, Field(ge=1e-11, le=0.1)]


def _solvable(epsilon: float | None) -> float | None:
    """Return the epsilon; refuse a finite epsilon for which no noise can be computed."""
    if epsilon is None or math.isinf(epsilon) or LEAST_EPSILON <= epsilon <= LARGEST_EPSILON:
        return epsilon
    allowed = f"between {LEAST_EPSILON:g} and {LARGEST_EPSILON:g}, or .inf for no noise"
    raise ValueError(f"must be {allowed}, got {epsilon:g}")


Epsilon = Annotated[float | None, Field(gt=0, allow_inf_nan=True), AfterValidator(_solvable)]


@dataclass(frozen=True)
class Terms:
    """What a mechanism promises, for how many releases, and how it bounds gradients.

    Raises:
        ValueError: two of the terms contradict each other.

    >>> Terms(clip=0.5, unit="record", delta=1e-5, releases=44).sensitivity(100)
    0.005
    """

    clip: float
    """Largest 2-norm of a unit's gradient, above 0; inf if gradients are not clipped."""
    unit: Unit
    """What is protected: each record of a holder, or the holder as a whole."""
    delta: float
    """Delta of the tight total epsilon, below 1; 0 if no privacy is promised."""
    releases: int
    """Largest number of releases of one holder: one in each round, and the spare ones."""
    sampling_rate: float = 1.0
    """Probability of each record to take part in a release, drawn in secret; 1 if all take part."""
    clip_quantile: float | None = None
    """Quantile of the records' gradient norms that the clip follows; None if the clip is fixed."""
    automatic: bool = False
    """Whether every gradient g becomes clip * g / (norm(g) + .01). Otherwise only gradients above
    the clip are scaled."""

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
        """Return the number of protected units: the number of records, or 1 for unit ``holder``."""
        return records if self.unit == "record" else 1

    def sensitivity(self, records: int) -> float:
        """Return the largest 2-norm by which one unit changes a holder's mean gradient.

        If records are sampled, the mean is the sum divided by the expected number of sampled
        records. ``records`` is the public number of the holder's records, 1 or more.
        """
        return self.clip / (self.sampling_rate * self.units(records))


class Mechanism(Protocol):
    """Interface of a mechanism."""

    @property
    def name(self) -> str:
        """The registered name."""

    @property
    def terms(self) -> Terms:
        """What the mechanism promises."""

    @property
    def noise_multiplier(self) -> float:
        """Scale of the noise divided by the sensitivity; 0 without noise."""

    @property
    def sampling(self) -> bool:
        """Whether a sampling rate below 1 is allowed."""

    @property
    def group_noise(self) -> GroupNoise | None:
        """The noise as a sum of members' shares; None if members of a group cannot share it."""

    @property
    def clip_follower(self) -> ClipFollower | None:
        """The object that adapts the clip; None if the clip is fixed."""

    @property
    def noise_schedule(self) -> NoiseSchedule | None:
        """The object that chooses the noise of each release; None if all have the same noise."""

    @property
    def epsilon_per_release(self) -> float:
        """Epsilon of one release: the pure epsilon if there is one, else epsilon at delta."""

    @property
    def pure_total(self) -> float | None:
        """Sum of the pure epsilons of all releases; None if there is no pure epsilon."""

    def release(
        self, gradients: Matrix, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Return the noisy gradients that holders publish, shape (releases, dimension).

        Args:
            gradients: clipped mean gradients, shape (releases, dimension); they are not changed.
            keys: 32 bytes for each release, known only to its holder and used for nothing else.
            sensitivities: sensitivity of each gradient, see ``Terms.sensitivity``.
        """

    def noise_norm(self, sensitivity: float, dimension: int) -> float:
        """Return the root mean square of the norm of a release's noise, from public values."""

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon at delta after this number of releases."""

    def epsilon_bound(self, releases: int) -> float:
        """Return a proven upper bound on the total epsilon, for the records of rounds.

        A run asks for every number of releases, so this must take only milliseconds. A mechanism
        whose ``epsilon_after`` is as fast returns the same.
        """

    def cross_check(self) -> None:
        """Check that independent accountants agree on the total epsilon.

        Raises:
            FedchainError: two accountants disagree.
        """


@dataclass(frozen=True, kw_only=True)
class PureNoise:
    """What mechanisms with a pure epsilon share; one scale of the noise for the whole run."""

    terms: Terms
    """What the mechanism promises."""
    noise_multiplier: float
    """1 / eps0, where eps0 is the pure epsilon of one release; 0 without noise."""
    dimension: int
    """Length of a gradient."""
    # For sampled records no bound on epsilon is proven. A sum of such noise has another law.
    sampling: bool = False
    group_noise: None = None
    clip_follower: None = None
    noise_schedule: None = None
    """Records cannot be sampled, and members of a group cannot share the noise. The clip is
    fixed."""

    @property
    def epsilon_per_release(self) -> float:
        """Pure epsilon of one release."""
        return 1 / self.noise_multiplier if self.noise_multiplier else math.inf

    @property
    def pure_total(self) -> float:
        """Sum of the pure epsilons of all releases."""
        return self.terms.releases * self.epsilon_per_release


def _flaw(made: Mechanism, _releases: int, _dimension: int, shares: int = 0) -> str | None:
    """Return what a mechanism lacks, or which of its terms it cannot keep; None if it is sound."""
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
    if made.noise_schedule is not None and (shares or quantile is not None):
        where = "holders form groups" if shares else "clips follow a quantile"
        return f"noise_schedule must be None where {where}, got one"
    if shares and made.group_noise is None:
        return f"group_noise must add up from {shares} shares where holders form groups, got None"
    return None


mechanisms: Family[Mechanism] = Family("mechanism", ("fedchain.privacy.mechanisms",), flaw=_flaw)
"""Functions ``(releases: int, dimension: int, *, ...) -> Mechanism``, by name. ``releases`` is the
number of rounds.

If members of a group can share the noise, a third argument before ``*`` is ``shares: int``, the
number of members on whose noise the guarantee relies."""


def terms_of(rounds: int, spare: int | None, *, clip: Clip, unit: Unit, delta: float) -> Terms:
    """Return the terms of a run with one release in every round, and spare releases for forks.

    By default the spare releases are a tenth of the rounds, and at least 2.

    >>> terms_of(40, None, clip=0.5, unit="record", delta=1e-5).releases
    44
    >>> terms_of(40, 0, clip="automatic", unit="record", delta=1e-5).clip
    1.0
    """
    return Terms(
        # Any other automatic clip would scale all gradients and their noise alike.
        clip=1.0 if clip == "automatic" else clip,
        unit=unit,
        delta=delta,
        releases=rounds + (max(2, math.ceil(rounds / 10)) if spare is None else spare),
        automatic=clip == "automatic",
    )


def noise_for(
    epsilon: float | None, noise_multiplier: float | None, solve: Callable[[float], float]
) -> float:
    """Return the noise multiplier: the given one, or the one that a total epsilon requires.

    ``solve`` returns the noise multiplier for a finite epsilon. An infinite epsilon needs no noise.

    Raises:
        ValueError: both are given, or neither.

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


def near_gaussian(
    make: Callable[[float], Mechanism],
    epsilon: float | None,
    noise_multiplier: float | None,
    *,
    ratio: float,
    tolerance: float,
) -> Mechanism:
    """Return a mechanism with the given noise, or with the least noise that a total epsilon needs.

    ``make`` returns the mechanism for a noise multiplier. ``ratio`` is the noise multiplier of
    Gaussian noise divided by that of the mechanism, approximately. ``tolerance`` is the largest
    relative excess over the least noise.
    """

    def solve(epsilon: float) -> float:
        terms = make(0.0).terms
        guess = gaussian_noise_multiplier(epsilon, terms.delta, terms.releases) / ratio
        return least_noise(
            lambda noise: make(noise).epsilon_after(terms.releases), epsilon, guess, tolerance
        )

    return make(noise_for(epsilon, noise_multiplier, solve))
