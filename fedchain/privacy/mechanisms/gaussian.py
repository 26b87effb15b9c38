"""Gaussian noise: the default, the tightest in high dimension."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from fedchain.arrays import Singles
from fedchain.privacy import accounting
from fedchain.privacy.mechanisms.mechanism import (
    VACUOUS,
    Clip,
    Delta,
    Epsilon,
    Mechanism,
    NoiseMultiplier,
    SpareReleases,
    Unit,
    mechanisms,
    one_of,
    sensitivity,
    with_spare,
)
from fedchain.randomness import normals


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
    total = with_spare(releases, spare_releases)
    sigma = one_of(epsilon, noise_multiplier)
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

    def release(self, gradients: Singles, keys: Sequence[bytes], records: Sequence[int]) -> Singles:
        """Add normal noise of sd noise_multiplier * sensitivity, (n, d)."""
        drawn = normals(keys, gradients.shape[1])
        scales = [self.noise_multiplier * sensitivity(self.clip, self.unit, n) for n in records]
        drawn *= np.array(scales, dtype=np.float32)[:, None]
        drawn += gradients
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
