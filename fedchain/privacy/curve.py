"""Privacy curve: bounds the total epsilon after any number of equal releases.

The privacy loss of a release is the logarithm of the ratio of its densities under two neighbouring
data sets. Losses of independent releases add up. Their distribution is transformed once; the power
of the transform for each number of releases then gives the total, in a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import logsumexp, ndtr

from fedchain.arrays import Vector

OUTSIDE = 1e-15
"""Bound on the probability of a total loss outside of the window; delta includes it."""
SMALLEST = 1e-300
"""Numbers below count as this one where a logarithm is taken."""
VANISHING = -746.0
"""Exponent whose exponential is 0 in float64."""
CHERNOFF_ORDERS = np.geomspace(0.1, 64.0, 30)
"""Orders of the Chernoff bounds on the window, divided by the width of one release's losses."""
CURVE_STEP = 0.04
"""Step of the grid for sampled Gaussian releases, in units of sampling rate / noise multiplier."""
WIDEST_NOISE = 10.0
"""Normal noise beyond this number of standard deviations counts as infinite loss."""


@dataclass(frozen=True, eq=False)
class _Direction:
    """Losses of one release if a record is removed, or if it is added."""

    step: float
    """Distance of two losses on the grid."""
    first: int
    """The least loss, in steps."""
    masses: Vector
    """Probability of each loss, shape (n,)."""
    infinite: float
    """Probability of an infinite loss."""
    below: int
    """Begin of the window, in steps below the mean total loss."""
    spectrum: npt.NDArray[np.complex128]
    """Logarithm of the transform of the masses at the length of the window."""
    length: int
    """Number of losses in the window."""

    def epsilon(self, releases: int, delta: float) -> float:
        """Return the least epsilon of 0 or more for which this direction keeps delta."""
        mean = float(np.arange(len(self.masses)) @ self.masses) / float(self.masses.sum())
        begin = math.floor(releases * mean) - self.below
        # Most powers of many releases are 0 in float64. Those above the last other one stay 0.
        stop = len(self.spectrum) - int(np.argmax(releases * self.spectrum.real[::-1] > VANISHING))
        power = np.zeros_like(self.spectrum)
        np.exp(releases * self.spectrum[:stop], out=power[:stop])
        whole = irfft(power, self.length)
        losses = self.step * np.arange(self.length, dtype=np.float64)
        losses += self.step * (releases * self.first + begin)
        infinite = OUTSIDE - math.expm1(releases * math.log1p(-self.infinite))
        start = int(np.searchsorted(losses, 0.0))
        masses = np.roll(whole, -(begin % self.length))[start:]
        return _least_epsilon(losses[start:], masses, delta - infinite)


def _least_epsilon(losses: Vector, masses: Vector, delta: float) -> float:
    """Return the least epsilon of 0 or more at which delta is kept; inf if there is none.

    Args:
        losses: the finite losses of 0 or more, ascending, shape (n,).
        masses: their probabilities, shape (n,).
        delta: the part of delta that is left for finite losses.
    """
    # At epsilon = l, delta is the sum of p (1 - e^(l - loss)) over all losses above l.
    # Far out e^-loss is rounded down to 0, which makes the sum larger.
    shrunk = np.exp(-losses)
    above, scaled = (np.cumsum(each[::-1])[::-1] for each in (masses, masses * shrunk))
    grown = np.divide(scaled, shrunk, out=np.zeros_like(scaled), where=shrunk > 0)
    fine = np.flatnonzero(above - grown <= delta)
    if delta <= 0 or len(fine) == 0:
        return math.inf
    first = fine[0]
    if scaled[first] <= 0:
        return float(losses[first])
    # Between two losses, the sum is linear in e^epsilon.
    return max(0.0, math.log(max((above[first] - delta) / scaled[first], SMALLEST)))


class PrivacyCurve:
    """For each n from 1 to ``most``, an upper bound on the total epsilon of n equal releases."""

    def __init__(self, step: float, curves: Sequence[tuple[int, Vector]], most: int) -> None:
        """Transform the losses of one release.

        Args:
            step: distance of two losses.
            curves: for each direction of the neighbouring data sets, the least loss in steps, and
                the least delta of one release when epsilon is the loss, for this and all following
                losses of the grid, shape (n,). Chords between these points bound the curve.
            most: largest number of releases, 1 or more.
        """
        self._directions = [_direction(step, first, deltas, most) for first, deltas in curves]

    def epsilon(self, releases: int, delta: float) -> float:
        """Return the bound for this number of releases; inf if delta is too small for the grid."""
        return max(each.epsilon(releases, delta) for each in self._directions)


def _direction(step: float, first: int, deltas: Vector, most: int) -> _Direction:
    """Connect the points of a curve, and transform the distribution of the losses.

    Reference:
        Doroshenko et al., "Connect the Dots: Tighter Discrete Approximations of Privacy Loss
        Distributions", algorithm 1.
    """
    # Chords in e^loss. Their slopes are subtracted first: quotients would lose digits.
    falls = np.concatenate([[0.0], -np.diff(deltas), [0.0]])
    masses = falls[:-1] - np.diff(falls) / math.expm1(step)
    masses[0] += 1 - deltas[0]
    below, above = _reach(masses, most)
    length = next_fast_len(max(below + above + 2, len(masses)), real=True)
    transform = rfft(masses, length)
    # A power is faster from the logarithm: a product instead of many.
    spectrum = np.log(np.maximum(np.abs(transform), SMALLEST)) + 1j * np.angle(transform)
    return _Direction(step, first, masses, float(deltas[-1]), below, spectrum, length)


def _reach(masses: Vector, most: int) -> tuple[int, int]:
    """Return how far a sum of up to ``most`` losses may lie below and above its mean, in steps."""
    # The bound grows with the number of releases, so that of the most releases holds for all.
    places = np.arange(len(masses)) - float(np.arange(len(masses)) @ masses) / float(masses.sum())
    positive, ends = np.maximum(masses, 0.0), []  # rounding makes some masses negative
    for sign in (-1.0, 1.0):
        orders = sign * CHERNOFF_ORDERS / len(masses)
        moments = [float(logsumexp(order * places, b=positive)) for order in orders]
        ends.append(
            min(
                (most * max(moment, 0.0) + math.log(2 / OUTSIDE)) / abs(order)
                for order, moment in zip(orders, moments, strict=True)
            )
        )
    return math.ceil(ends[0]), math.ceil(ends[1])


@lru_cache(maxsize=8)
def sampled_gaussian_curve(
    noise_multiplier: float, sampling_rate: float, most: int
) -> PrivacyCurve:
    """Return the curve of Gaussian releases, each with a Poisson sample of the records.

    Args:
        noise_multiplier: standard deviation divided by the sensitivity, above 0.
        sampling_rate: probability of each record to take part, above 0 and below 1.
        most: largest number of releases.

    >>> curve = sampled_gaussian_curve(3.6, 0.2, 330)
    >>> round(curve.epsilon(10, 1e-4), 3), round(curve.epsilon(330, 1e-4), 3)
    (0.591, 3.999)
    """
    step = CURVE_STEP * sampling_rate / noise_multiplier
    ends = [_loss(x, noise_multiplier, sampling_rate) for x in (-WIDEST_NOISE, WIDEST_NOISE)]
    low, high = math.floor(ends[0] / step), math.ceil(ends[1] / step)
    losses = (step * np.arange(low, high + 1)).astype(np.float64)
    removed = _removed(losses, noise_multiplier, sampling_rate)
    added = _added(-losses[::-1], noise_multiplier, sampling_rate)
    return PrivacyCurve(step, [(low, removed), (-high, added)], most)


def _loss(deviations: float, sigma: float, rate: float) -> float:
    """Return the loss if the noisy sum lies this number of deviations outside of 0 or 1."""
    x = deviations * sigma + (deviations > 0)
    return math.log1p(rate * math.expm1((x - 0.5) / sigma**2))


def _crossing(losses: Vector, sigma: float, rate: float) -> Vector:
    """Return the noisy sum at which the loss of a removed record has each of these values."""
    inner = np.expm1(losses) / rate
    reached = inner > -1
    return np.where(reached, sigma**2 * np.log1p(np.where(reached, inner, 0.0)) + 0.5, -np.inf)


def _removed(losses: Vector, sigma: float, rate: float) -> Vector:
    """Return the least delta of one release at each epsilon, if a record is removed."""
    x = _crossing(losses, sigma, rate)
    found: Vector = rate * ndtr((1 - x) / sigma) - (np.expm1(losses) + rate) * ndtr(-x / sigma)
    return found


def _added(losses: Vector, sigma: float, rate: float) -> Vector:
    """Return the least delta of one release at each epsilon, if a record is added."""
    x = _crossing(-losses, sigma, rate)
    mixed = (1 - rate) * ndtr(x / sigma) + rate * ndtr((x - 1) / sigma)
    found: Vector = ndtr(x / sigma) - np.exp(losses) * mixed
    return found
