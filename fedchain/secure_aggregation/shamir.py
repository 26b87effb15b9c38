"""Shamir's secret sharing: a threshold of shares gives the secret back, fewer reveal nothing."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from fedchain.randomness import KeyStream

PRIME = 2**257 - 93
"""The largest prime of 257 bits, above every secret of 32 bytes."""
SHARE_BYTES = 33
"""Length of a share in bytes."""
_DRAWN_WORDS = 8
"""Number of random 64-bit words for one coefficient; the bias modulo the prime is below 2^-250."""


def polynomial(secret: bytes, threshold: int, key: bytes) -> list[int]:
    """Return the coefficients of a random polynomial whose value at 0 is the secret.

    Args:
        secret: the secret, 32 bytes.
        threshold: number of coefficients, and number of shares that reconstruct the secret.
        key: 32 secret bytes from which the other coefficients are drawn; to be used only once.
    """
    words = KeyStream(key).words(_DRAWN_WORDS * (threshold - 1)).reshape(-1, _DRAWN_WORDS)
    drawn = [int.from_bytes(row.tobytes()) % PRIME for row in words]
    return [int.from_bytes(secret), *drawn]


def share_at(coefficients: Sequence[int], point: int, prime: int = PRIME) -> int:
    """Return the share of a member: the polynomial's value at the member's number ``point``.

    Reference:
        Shamir, "How to share a secret", 1979.

    >>> [share_at([1234, 166, 94], point, prime=1613) for point in range(1, 7)]
    [1494, 329, 965, 176, 1188, 775]
    """
    value = 0
    for coefficient in reversed(coefficients):  # the points are small, so one reduction suffices
        value = value * point + coefficient
    return value % prime


@functools.lru_cache
def _weights_at_zero(points: tuple[int, ...], prime: int) -> list[int]:
    """Return the Lagrange weights at 0. The secret is the weighted sum of the shares."""
    weights = []
    for point in points:
        over = under = 1
        for other in points:
            if other != point:
                over = over * other % prime
                under = under * (other - point) % prime
        weights.append(over * pow(under, -1, prime) % prime)
    return weights


def secret_of(shares: Mapping[int, int], prime: int = PRIME) -> int:
    """Return the secret from the shares of enough members, by member number.

    With fewer shares than the threshold, the result is a random number.

    >>> secret_of({2: 329, 4: 176, 5: 1188}, prime=1613)
    1234
    """
    weights = _weights_at_zero(tuple(shares), prime)
    return sum(w * share for w, share in zip(weights, shares.values(), strict=True)) % prime
