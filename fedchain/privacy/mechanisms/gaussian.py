"""Gaussian noise: the default mechanism, which needs the least noise in high dimension."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

from fedchain.arrays import Matrix, Singles
from fedchain.privacy import accounting
from fedchain.privacy.mechanisms.mechanism import (
    Clip,
    ClipQuantile,
    Delta,
    Epsilon,
    Mechanism,
    NoiseMultiplier,
    SamplingRate,
    SpareReleases,
    Terms,
    Unit,
    mechanisms,
    noise_for,
    terms_of,
)
from fedchain.randomness import normals
from fedchain.registry import cites
from fedchain.transforms import add_gradients

COUNT_SHARE = 0.05
"""Part of the privacy cost that pays for the counts of an adaptive clip; see
``Gaussian.joint_multiplier``."""
CLIP_RATE = 0.2
"""Learning rate of an adaptive clip, as in Andrew et al., 2021; see ``Gaussian.next_clip``."""


@mechanisms
@cites(
    "balle2018",
    when={
        "accountant=pld": ("koskela2020",),
        "accountant=prv": ("gopi2021",),
        "accountant=rdp": ("mironov2017",),
        "clip=automatic": ("bu2023",),
        "clip_quantile": ("andrew2021",),
    },
)
def gaussian(
    releases: int,
    dimension: int,  # noqa: ARG001 - the cost of Gaussian noise does not depend on it
    *,
    epsilon: Epsilon = None,
    noise_multiplier: NoiseMultiplier = None,
    delta: Delta = 1e-5,
    clip: Clip,
    clip_quantile: ClipQuantile = None,
    unit: Unit = "record",
    sampling_rate: SamplingRate = 1.0,
    accountant: Literal["pld", "prv", "rdp"] = "pld",
    spare_releases: SpareReleases = None,
) -> Mechanism:
    """Add independent normal noise to every coordinate: no mechanism needs less in high dimension.

    The standard deviation is noise_multiplier * clip / n, where n is the expected number of records
    in a release, or 1 for unit holder.

    Args:
        releases: number of rounds of the run.
        dimension: length of a gradient.
        epsilon: total over all releases of a holder, from which the noise is computed. With
            inf, gradients are clipped but get no noise.
        noise_multiplier: standard deviation divided by the sensitivity. Give either this or
            epsilon.
        delta: chance that the bound on epsilon fails; keep it below 1 / records.
        clip: largest 2-norm of one gradient. With automatic, every gradient g becomes g / (norm(g)
            + .01), whose norm is below 1.
        clip_quantile: quantile of the gradient norms that each holder's clip follows, beginning at
            clip. With null, the clip is fixed.
        unit: what is protected: each record of a holder, or the holder as a whole.
        sampling_rate: chance of each record to take part in a release, drawn in secret (Poisson
            sampling). With 1, all records take part. A smaller rate lowers epsilon.
        accountant: pld (exact if all records take part), prv or rdp (Opacus; both report a larger
            epsilon).
        spare_releases: additional releases for forks; by default a tenth of the rounds, at least 2.

    Reference:
        LearningChain equation (10), reconstructed; Balle and Wang 2018.
    """
    terms = replace(
        terms_of(releases, spare_releases, clip=clip, unit=unit, delta=delta),
        sampling_rate=sampling_rate,
        clip_quantile=clip_quantile,
    )

    def solve(epsilon: float) -> float:
        joint = _solved_sigma(accountant, terms.releases, delta, sampling_rate, epsilon)
        return joint if clip_quantile is None else joint / math.sqrt(1 - COUNT_SHARE)

    noise = noise_for(epsilon, noise_multiplier, solve)
    return Gaussian(terms=terms, noise_multiplier=noise, accountant=accountant)


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Normal noise, with one noise multiplier for the whole run."""

    terms: Terms
    """What the mechanism promises."""
    noise_multiplier: float
    """Standard deviation of the noise divided by the sensitivity."""
    accountant: Literal["pld", "prv", "rdp"]
    """The accountant whose total is reported."""
    name: str = "gaussian"
    sampling: bool = True
    # it is not known how a sum of rounded normal numbers is distributed
    group_noise: None = None
    noise_schedule: None = None
    pure_total: None = None
    """Records may be sampled. Members of a group cannot share the noise. There is no pure
    epsilon."""

    @cached_property
    def joint_multiplier(self) -> float:
        """Noise multiplier of the gradient and the clip's count together, which determines epsilon.

        The joint multiplier z fulfils 1/z^2 = 1/noise_multiplier^2 + 1/(2 count_noise)^2.
        """
        # One record moves the gradient by the sensitivity, and the count by 1/2. Gradient and count
        # together are one normal vector.
        share = 0.0 if self.terms.clip_quantile is None else COUNT_SHARE
        return self.noise_multiplier * math.sqrt(1 - share)

    @property
    def count_noise(self) -> float:
        """Standard deviation of the noise in the adaptive clip's count, in records."""
        return self.joint_multiplier / (2 * math.sqrt(COUNT_SHARE))

    @cached_property
    def clip_follower(self) -> Gaussian | None:
        """This mechanism if its clip is adaptive; None if the clip is fixed."""
        return None if self.terms.clip_quantile is None else self

    def with_clip(self, clip: float) -> Gaussian:
        """Return this mechanism with another clip, for one release."""
        return replace(self, terms=replace(self.terms, clip=clip))

    def next_clip(self, key: bytes, clip: float, within: int, drawn: int, records: int) -> float:
        """Return the clip of a holder's next release: clip * e^(-(b - clip_quantile) / 5).

        Here b is a noisy estimate of the share of the holder's records whose gradient norm is at
        most ``clip``.

        Reference:
            Andrew, Thakkar, McMahan and Ramaswamy, "Differentially Private Learning with
            Adaptive Clipping", 2021, algorithm 1.
        """
        assert self.terms.clip_quantile is not None, "it follows one"
        noisy = within - drawn / 2 + self.count_noise * float(normals([key], 1)[0, 0])
        share = 0.5 + noisy / (self.terms.sampling_rate * records)
        return clip * math.exp(-CLIP_RATE * (share - self.terms.clip_quantile))

    @property
    def epsilon_per_release(self) -> float:
        """Epsilon of one release at delta."""
        return self.epsilon_after(1)

    def release(
        self, gradients: Matrix, keys: Sequence[bytes], sensitivities: Sequence[float]
    ) -> Singles:
        """Return gradients plus noise of standard deviation noise_multiplier * sensitivity."""
        drawn = normals(keys, gradients.shape[1])
        scales = [self.noise_multiplier * moved for moved in sensitivities]
        add_gradients(drawn, scales, gradients)
        return drawn

    def noise_norm(self, sensitivity: float, dimension: int) -> float:
        """Return noise_multiplier * sensitivity * sqrt(dimension)."""
        return self.noise_multiplier * sensitivity * math.sqrt(dimension)

    def epsilon_after(self, releases: int) -> float:
        """Return the total epsilon at delta after this number of releases."""
        if self.noise_multiplier == 0 or releases == 0:
            return math.inf if releases else 0.0
        delta, rate = self.terms.delta, self.terms.sampling_rate
        return GAUSSIAN_TOTALS[self.accountant](self.joint_multiplier, releases, delta, rate)

    def epsilon_bound(self, releases: int) -> float:
        """Return an upper bound on the total epsilon: the closed form, or from one curve.

        With accountant prv it is tighter than ``epsilon_after``, whose total is up to .01 too high.
        """
        rate = self.terms.sampling_rate
        if self.noise_multiplier == 0 or releases == 0 or self.accountant == "rdp":
            return self.epsilon_after(releases)
        if rate == 1:
            return GAUSSIAN_TOTALS["pld"](self.joint_multiplier, releases, self.terms.delta, rate)
        from fedchain.privacy.curve import sampled_gaussian_curve  # loads scipy

        curve = sampled_gaussian_curve(self.joint_multiplier, rate, self.terms.releases)
        return curve.epsilon(releases, self.terms.delta)

    def cross_check(self) -> None:
        """Check that the totals of all accountants agree: closed form, PLD, PRV and RDP."""
        terms = self.terms
        asked = self.joint_multiplier, terms.releases, terms.delta, terms.sampling_rate
        tight = {"dp-accounting PLD": GAUSSIAN_TOTALS["pld"](*asked)}
        if terms.sampling_rate == 1:
            closed = {"the closed form": GAUSSIAN_TOTALS["pld"](*asked)}
            tight = closed | {"dp-accounting PLD": accounting.pld_epsilon(*asked)}
        with contextlib.suppress(ValueError):  # Opacus cannot represent totals near 0
            tight["Opacus PRV"] = GAUSSIAN_TOTALS["prv"](*asked)
        accounting.cross_check(tight, {"Opacus RDP": GAUSSIAN_TOTALS["rdp"](*asked)})


def _tight(sigma: float, releases: int, delta: float, sampling_rate: float) -> float:
    if sampling_rate == 1:
        return accounting.gaussian_epsilon(delta, math.sqrt(releases) / sigma)
    return accounting.pld_epsilon(sigma, releases, delta, sampling_rate)


GAUSSIAN_TOTALS: dict[str, Callable[[float, int, float, float], float]] = {
    "pld": lru_cache(maxsize=4096)(_tight),
    "prv": lru_cache(maxsize=4096)(accounting.prv_epsilon),
    "rdp": lru_cache(maxsize=4096)(accounting.rdp_epsilon),
}
"""Functions that compute the total epsilon, by accountant. Their arguments are the noise
multiplier, the number of releases, delta and the sampling rate."""


@lru_cache(maxsize=64)
def _solved_sigma(
    accountant: str, releases: int, delta: float, sampling_rate: float, epsilon: float
) -> float:
    exact = accounting.gaussian_noise_multiplier(epsilon, delta, releases)
    if accountant == "pld" and sampling_rate == 1:
        return exact
    # An accountant takes longest for too little noise, so the guess must not be too low. Sampled
    # records need different noise from full batches.
    guess = max(exact * sampling_rate, min(exact, 0.7))
    tolerance = 1e-6 if sampling_rate == 1 else 1e-4
    return accounting.least_noise(
        lambda sigma: GAUSSIAN_TOTALS[accountant](sigma, releases, delta, sampling_rate),
        epsilon,
        guess,
        tolerance,
    )
