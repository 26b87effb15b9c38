"""Exact noise: a noise multiplier that every processor computes alike from a total epsilon."""

from __future__ import annotations

from fedchain.privacy.mechanisms import Mechanism

DIGITS = 6
"""Number of digits of the noise multiplier. The search for it ends within 1e-10 of its size, so
that two processors hardly ever round to two different numbers."""
CLOSED_FORMS = ("gaussian", "privacy_filter")
"""Mechanisms of which the total epsilon has a closed form."""


def rounded_noise(made: Mechanism) -> float:
    """Return the noise multiplier of a mechanism, which epsilon asked for, rounded up.

    Raises:
        ValueError: the noise was solved by a numerical accountant, which ends at other numbers on
            other processors.

    >>> from fedchain.privacy.mechanisms import gaussian
    >>> made = gaussian(10, 5, epsilon=1.0, clip=0.1)
    >>> round(made.noise_multiplier, 8), rounded_noise(made)
    (12.92328707, 12.9233)
    """
    noise, accountant = made.noise_multiplier, getattr(made, "accountant", "pld")
    why = None
    if made.name not in CLOSED_FORMS:
        why = f"the mechanism is {made.name}"
    elif made.terms.sampling_rate < 1:
        why = f"privacy.sampling_rate is {made.terms.sampling_rate:g}"
    elif accountant != "pld":
        why = f"the accountant is {accountant}"
    if why is not None:
        raise ValueError(
            f"privacy.epsilon: must be null with engine.exact where {why}, since the search for "
            f"the noise ends at other numbers elsewhere; write noise_multiplier: {noise:.6g}"
        )
    found = float(f"{noise:.{DIGITS - 1}e}")
    return found if found >= noise else float(f"{noise * (1 + 10 ** (1 - DIGITS)):.{DIGITS - 1}e}")
