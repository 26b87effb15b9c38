"""Mechanisms: how a data holder hides its records in noise, equation (10).

The noise is added to the mean of the clipped gradients of a holder's records. One record more
or less moves that mean by at most clip / records, and a whole holder by at most clip: that
sensitivity times the noise multiplier is the scale of the noise. The mechanism is built for the
whole run: every round, and spare releases for the answers that forks ask for again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, Protocol

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.privacy import accounting
from fedchain.registry import Family

VACUOUS = 500.0
"""A total epsilon that promises nothing, and that discretised accountants cannot hold."""
Unit = Literal["record", "holder"]
Epsilon = Annotated[float | None, Field(gt=0, allow_inf_nan=True)]
NoiseMultiplier = Annotated[float | None, Field(gt=0)]
Delta = Annotated[float, Field(gt=0, lt=1)]
Clip = Annotated[float, Field(gt=0)]
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
    def unit(self) -> Unit:
        """What one neighbour differs by: a record of a holder, or the whole holder."""

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

    def noise(self, generator: np.random.Generator, dimension: int, records: int) -> Vector:
        """Draw what is added to the mean gradient (d,) of a holder with that many records."""

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon of that many releases at delta."""

    def cross_check(self) -> None:
        """Raise FedchainError unless independent accountants agree on the total epsilon."""


mechanisms: Family[Mechanism] = Family("mechanism", ("fedchain.privacy.mechanisms",))
"""Part: ``(releases: int, dimension: int, *, ...) -> Mechanism``; releases counts the rounds."""


@mechanisms
def gaussian(
    releases: int,
    dimension: int,  # noqa: ARG001 - the cost of Gaussian noise does not depend on it
    *,
    epsilon: Epsilon = None,
    noise_multiplier: NoiseMultiplier = None,
    delta: Delta = 1e-5,
    clip: Clip,
    unit: Unit = "record",
    accountant: Literal["pld", "prv", "rdp"] = "pld",
    spare_releases: SpareReleases = None,
) -> Mechanism:
    """Add independent normal noise to every coordinate: the tightest noise in high dimension.

    Its sd is noise_multiplier * clip / records. Full-batch releases compose to one Gaussian
    release of sigma / sqrt(releases), whose cost is known exactly.

    Args:
        releases: rounds of the run.
        dimension: length of a gradient.
        epsilon: total over all releases of a holder; the noise is solved from it; inf: no
            noise, gradients still clipped.
        noise_multiplier: sigma over sensitivity; epsilon follows. Give one of the two.
        delta: chance that the bound on epsilon fails; keep it below 1 / records.
        clip: bound on the 2-norm of the gradient of one unit.
        unit: what is protected: each record of a holder, or the holder as a whole.
        accountant: pld (exact here), prv or rdp (Opacus; both cost more epsilon).
        spare_releases: releases beyond the rounds, for forks; default a tenth, at least 2.

    Reference:
        LearningChain equation (10), reconstructed; Balle and Wang 2018.
    """
    total = releases + _spare(releases, spare_releases)
    sigma = _one_of(epsilon, noise_multiplier)
    if sigma is None:
        sigma = _solved_sigma(accountant, total, delta, epsilon or math.inf)
    return Gaussian(sigma, clip, unit, delta, total, accountant)


@dataclass(frozen=True)
class Gaussian:
    """Normal noise, its scale solved for the whole run."""

    noise_multiplier: float
    """sigma over sensitivity."""
    clip: float
    """Bound on the gradient of one unit."""
    unit: Unit
    """What is protected."""
    delta: float
    """delta of the totals."""
    releases: int
    """Releases that one holder may make."""
    accountant: Literal["pld", "prv", "rdp"]
    """Whose total is reported."""
    name: str = "gaussian"
    """The registered name."""
    pure_total: None = None
    """Normal noise has no pure cost."""

    @property
    def epsilon_per_release(self) -> float:
        """Cost of one release at delta."""
        return self.epsilon_after(1)

    def noise(self, generator: np.random.Generator, dimension: int, records: int) -> Vector:
        """Draw normal noise (d,) of sd noise_multiplier * sensitivity."""
        drawn = generator.standard_normal(dimension)
        drawn *= self.noise_multiplier * sensitivity(self.clip, self.unit, records)
        return drawn

    def epsilon_after(self, releases: int) -> float:
        """Return the total epsilon of that many releases at delta."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        return _gaussian_total(self.accountant, self.noise_multiplier, releases, self.delta)

    def cross_check(self) -> None:
        """Compare the closed form, dp-accounting's PLD, and Opacus' PRV and RDP accountants."""
        if self.epsilon_after(self.releases) > VACUOUS:
            return
        totals = {
            kind: total(self.noise_multiplier, self.releases, self.delta)
            for kind, total in GAUSSIAN_TOTALS.items()
        }
        rdp = {"Opacus RDP": totals.pop("rdp")}
        dp_accounting = accounting.pld_epsilon(self.noise_multiplier, self.releases, self.delta)
        tight = {
            "the closed form": totals["pld"],
            "dp-accounting PLD": dp_accounting,
            "Opacus PRV": totals["prv"],
        }
        accounting.cross_check(tight, rdp)


@mechanisms
def knorm(
    releases: int,
    dimension: int,
    *,
    epsilon: Epsilon = None,
    noise_multiplier: NoiseMultiplier = None,
    delta: Delta = 1e-5,
    clip: Clip,
    unit: Unit = "record",
    accountant: Literal["pld", "rdp"] = "pld",
    spare_releases: SpareReleases = None,
) -> Mechanism:
    """Add noise z of density e^(-(eps0 / Delta) |z|): the paper's, with a pure cost eps0 a release.

    Sampled exactly: a radius from Gamma(d, Delta / eps0) times a uniform direction, with
    Delta = clip / records. The pure total, releases * eps0, is far above the tight one: in high
    dimension T releases cost about what a Gaussian of mu = sqrt(T) eps0 / sqrt(d + 1) costs.

    Args:
        releases: rounds of the run.
        dimension: length of a gradient, 2 or more.
        epsilon: tight total over all releases of a holder; eps0 is solved from it; inf: no
            noise, gradients still clipped.
        noise_multiplier: 1 / eps0; epsilon follows. Give one of the two.
        delta: chance that the tight bound on epsilon fails; keep it below 1 / records.
        clip: bound on the 2-norm of the gradient of one unit.
        unit: what is protected: each record of a holder, or the holder as a whole.
        accountant: pld (certified, tight) or rdp.
        spare_releases: releases beyond the rounds, for forks; default a tenth, at least 2.

    Reference:
        LearningChain equation (10), reconstructed; Hardt and Talwar 2010.
    """
    total = releases + _spare(releases, spare_releases)
    scale = _one_of(epsilon, noise_multiplier)
    if scale is None:
        scale = _solved_scale(accountant, total, dimension, delta, epsilon or math.inf)
    return KNorm(scale, clip, unit, delta, total, accountant, dimension)


@dataclass(frozen=True)
class KNorm:
    """Noise with a Gamma radius and a uniform direction, its scale solved for the whole run."""

    noise_multiplier: float
    """1 / eps0."""
    clip: float
    """Bound on the gradient of one unit."""
    unit: Unit
    """What is protected."""
    delta: float
    """delta of the tight totals."""
    releases: int
    """Releases that one holder may make."""
    accountant: Literal["pld", "rdp"]
    """Whose tight total is reported."""
    dimension: int
    """Length of a gradient: the cost depends on it."""
    name: str = "knorm"
    """The registered name."""

    @property
    def epsilon_per_release(self) -> float:
        """eps0: the pure cost of one release."""
        return 1 / self.noise_multiplier if self.noise_multiplier else math.inf

    @property
    def pure_total(self) -> float:
        """Sum of the pure costs of all releases."""
        return self.releases * self.epsilon_per_release

    def noise(self, generator: np.random.Generator, dimension: int, records: int) -> Vector:
        """Draw a radius from Gamma(d) and a direction, and scale them to the sensitivity."""
        drawn = generator.standard_normal(dimension)
        radius = generator.standard_gamma(dimension)
        scale = self.noise_multiplier * sensitivity(self.clip, self.unit, records)
        drawn *= scale * radius / math.sqrt(math.fsum(drawn * drawn))
        return drawn

    def epsilon_after(self, releases: int) -> float:
        """Return the tight total epsilon of that many releases at delta."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        scale = self.noise_multiplier
        return _knorm_total(self.accountant, scale, self.dimension, releases, self.delta)

    def cross_check(self) -> None:
        """Compare the certified privacy-loss distribution with the Rényi bound."""
        if self.epsilon_after(self.releases) > VACUOUS:
            return
        pld, rdp = (
            _knorm_total(kind, self.noise_multiplier, self.dimension, self.releases, self.delta)
            for kind in ("pld", "rdp")
        )
        if pld == self.pure_total:  # a plain sum: there is no second road to it
            return
        accounting.cross_check({"dp-accounting PLD": pld}, {"Opacus RDP": rdp})


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

    def noise(self, generator: np.random.Generator, dimension: int, records: int) -> Vector:  # noqa: ARG002
        """Return zeros (d,)."""
        return np.zeros(dimension)

    def epsilon_after(self, releases: int) -> float:
        """Return inf as soon as anything is released."""
        return math.inf if releases else 0.0

    def cross_check(self) -> None:
        """Accept: there is no figure to check."""


def sensitivity(clip: float, unit: Unit, records: int) -> float:
    """Return how far one neighbour moves the mean gradient, in the 2-norm.

    >>> sensitivity(0.5, "record", 100), sensitivity(0.5, "holder", 100)
    (0.005, 0.5)
    """
    return clip / records if unit == "record" else clip


def _closed_form(sigma: float, releases: int, delta: float) -> float:
    return accounting.gaussian_epsilon(delta, math.sqrt(releases) / sigma)


GAUSSIAN_TOTALS: dict[str, Callable[[float, int, float], float]] = {
    "pld": _closed_form,
    "prv": accounting.prv_epsilon,
    "rdp": accounting.rdp_epsilon,
}
"""(sigma, releases, delta) to total epsilon; full batches make the closed form the exact PLD."""


@lru_cache(maxsize=4096)
def _gaussian_total(accountant: str, sigma: float, releases: int, delta: float) -> float:
    return GAUSSIAN_TOTALS[accountant](sigma, releases, delta)


@lru_cache(maxsize=4096)
def _knorm_total(
    accountant: str, scale: float, dimension: int, releases: int, delta: float
) -> float:
    from fedchain.privacy.knorm_loss import knorm_epsilon, knorm_rdp_epsilon

    total = knorm_epsilon if accountant == "pld" else knorm_rdp_epsilon
    return total(1 / scale, dimension, releases, delta)


@lru_cache(maxsize=64)
def _solved_sigma(accountant: str, releases: int, delta: float, epsilon: float) -> float:
    if math.isinf(epsilon):
        return 0.0
    exact = accounting.gaussian_noise_multiplier(epsilon, delta, releases)
    if accountant == "pld":
        return exact
    return accounting.least_noise(
        lambda sigma: _gaussian_total(accountant, sigma, releases, delta), epsilon, exact, 1e-6
    )


@lru_cache(maxsize=64)
def _solved_scale(
    accountant: str, releases: int, dimension: int, delta: float, epsilon: float
) -> float:
    if math.isinf(epsilon):
        return 0.0
    sigma = accounting.gaussian_noise_multiplier(epsilon, delta, releases)
    return accounting.least_noise(
        lambda scale: _knorm_total(accountant, scale, dimension, releases, delta),
        epsilon,
        sigma / math.sqrt(dimension + 1),
        1e-4,
    )


def _spare(rounds: int, given: int | None) -> int:
    return max(2, math.ceil(rounds / 10)) if given is None else given


def _one_of(epsilon: float | None, noise_multiplier: float | None) -> float | None:
    """Return the noise multiplier if it was given; exactly one of the two must be."""
    if (epsilon is None) == (noise_multiplier is None):
        raise ValueError(
            f"privacy: needs epsilon or noise_multiplier, got epsilon {epsilon} and "
            f"noise_multiplier {noise_multiplier}; exactly one of the two is allowed"
        )
    return noise_multiplier
