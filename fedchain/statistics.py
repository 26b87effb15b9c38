"""Statistics: computes means over seeds, with confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NEGLIGIBLE = 1e-12
"""Half of an interval, as a share of its mean, up to which nothing varies but rounding errors."""


@dataclass(frozen=True)
class Interval:
    """A mean over repetitions, and a confidence interval for the true mean."""

    mean: float
    """Arithmetic mean of the values."""
    half: float
    """Half of the interval's width; infinite for one value, 0 if all values are equal."""
    count: int
    """Number of values."""

    @property
    def varies(self) -> bool:
        """Whether the values are known to differ by more than rounding errors.

        >>> Interval(0.9, 0.01, 3).varies, Interval(0.9, 1e-17, 3).varies
        (True, False)
        >>> Interval(0.9, math.inf, 1).varies
        False
        """
        return math.isfinite(self.half) and self.half > NEGLIGIBLE * max(1.0, abs(self.mean))

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of values, and its confidence interval by Student's t distribution.

    The half width is t s / sqrt(n) for n values with sample standard deviation s, where t is the (1
    + confidence) / 2 quantile of Student's distribution with n - 1 degrees of freedom.

    Args:
        values: one finite number for each repetition, at least one.
        confidence: share of experiments whose interval contains the true mean, in (0, 1).

    Raises:
        ValueError: no values.

    Reference:
        Student, "The probable error of a mean", Biometrika 6 (1908).

    >>> found = interval([0.90, 0.92, 0.94])
    >>> round(found.mean, 3), round(found.half, 4)
    (0.92, 0.0497)
    """
    if not values:
        raise ValueError("values: must hold at least one number, got none")
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, math.inf, 1)
    from scipy.special import stdtrit  # what scipy.stats calls, whose import takes a second

    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (count - 1))
    quantile = float(stdtrit(count - 1, (1 + confidence) / 2))
    return Interval(mean, quantile * deviation / math.sqrt(count), count)
