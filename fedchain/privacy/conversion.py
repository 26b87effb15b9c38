"""Conversion: Gaussian noise to a total epsilon and back, by several accountants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedchain.privacy.accounting import cross_check
from fedchain.privacy.mechanisms.gaussian import GAUSSIAN_TOTALS, gaussian

GaussianAccountant = Literal["pld", "prv", "rdp"]
ACCOUNTANT_WORDS: dict[GaussianAccountant, str] = {
    "pld": "closed form; dp-accounting if sampled",
    "prv": "Opacus, up to .01 too high",
    "rdp": "Opacus, Rényi: an upper bound",
}
"""What each accountant computes, by its name in a scenario."""


@dataclass(frozen=True, kw_only=True)
class Total:
    """What one accountant says."""

    accountant: GaussianAccountant
    """Name of the accountant: ``pld``, ``prv`` or ``rdp``."""
    noise_multiplier: float | None
    """Standard deviation of the noise divided by the sensitivity; None: the accountant has none."""
    epsilon: float | None
    """Total epsilon at delta; None: the accountant cannot represent it."""
    problem: str = ""
    """Why there is no number."""


def totals(
    *,
    releases: int,
    delta: float,
    epsilon: float | None = None,
    noise_multiplier: float | None = None,
    sampling_rate: float = 1.0,
) -> list[Total]:
    """Return the total epsilon of a noise, or the noise of a total epsilon, by each accountant.

    Args:
        releases: number of releases of a holder, 1 or more.
        delta: chance that the bound on epsilon fails, 1e-11 to .1.
        epsilon: the total, from which each accountant computes its noise.
        noise_multiplier: the noise. Give either this or ``epsilon``.
        sampling_rate: chance of each record to take part in a release, at most 1.

    Raises:
        ValueError: both or neither of ``epsilon`` and ``noise_multiplier`` are given.
        FedchainError: accountants disagree on the total of one noise.

    >>> exact, *others = totals(releases=1, delta=1e-5, noise_multiplier=1.0)
    >>> exact.accountant, round(exact.epsilon, 4), all(t.epsilon >= 4.37 for t in others)
    ('pld', 4.3772, True)
    """
    found = [
        _total(name, releases, delta, epsilon, noise_multiplier, sampling_rate)
        for name in ACCOUNTANT_WORDS
    ]
    noise = found[0].noise_multiplier
    if noise is not None:
        asked = noise, releases, delta, sampling_rate
        at_one_noise: dict[str, float] = {
            total.accountant: GAUSSIAN_TOTALS[total.accountant](*asked)
            for total in found
            if not total.problem
        }
        bound = {"rdp": at_one_noise.pop("rdp")} if "rdp" in at_one_noise else {}
        cross_check(at_one_noise, bound)
    return found


def _total(
    accountant: GaussianAccountant,
    releases: int,
    delta: float,
    epsilon: float | None,
    noise_multiplier: float | None,
    sampling_rate: float,
) -> Total:
    if (epsilon is None) == (noise_multiplier is None):
        raise ValueError("give exactly one of epsilon and noise_multiplier")
    try:
        made = gaussian(
            releases, 1, epsilon=epsilon, noise_multiplier=noise_multiplier, delta=delta, clip=1.0,
            sampling_rate=sampling_rate, accountant=accountant, spare_releases=0,
        )  # fmt: skip
        total = made.epsilon_after(releases)
    except (ArithmeticError, ValueError, RuntimeError) as error:
        known = noise_multiplier
        return Total(
            accountant=accountant, noise_multiplier=known, epsilon=None, problem=str(error)
        )
    return Total(accountant=accountant, noise_multiplier=made.noise_multiplier, epsilon=total)
