from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from fedchain.secure_aggregation.shamir import PRIME, polynomial, secret_of, share_at

SECRET, KEY = bytes(range(224, 256)), bytes(32)


def slow_secret(shares: dict[int, int], prime: int) -> int:
    """Lagrange's polynomial at 0 in fractions, taken into the field at the end."""
    total = 0
    for point, share in shares.items():
        weight = Fraction(1)
        for other in shares:
            if other != point:
                weight *= Fraction(other, other - point)
        total += share * weight.numerator * pow(weight.denominator, -1, prime)
    return total % prime


def is_prime(number: int) -> bool:
    """Miller and Rabin, for the bases 2 to 37."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        powers = [pow(base, odd << n, number) for n in range(twos)]
        if powers[0] != 1 and number - 1 not in powers:
            return False
    return True


def test_the_field_holds_every_secret_of_32_bytes() -> None:
    assert is_prime(PRIME)
    assert 2**256 < PRIME < 2**257


@pytest.mark.parametrize("points", list(itertools.combinations(range(1, 7), 3)))
def test_any_three_of_the_published_shares_give_the_published_secret(
    points: tuple[int, ...],
) -> None:
    published = {1: 1494, 2: 329, 3: 965, 4: 176, 5: 1188, 6: 775}  # Wikipedia's example
    shares = {point: published[point] for point in points}
    assert secret_of(shares, prime=1613) == 1234 == slow_secret(shares, 1613)


@pytest.mark.parametrize(("threshold", "size"), [(1, 1), (2, 3), (4, 5), (7, 10)])
def test_every_threshold_of_shares_gives_the_secret(threshold: int, size: int) -> None:
    coefficients = polynomial(SECRET, threshold, KEY)
    assert len(coefficients) == threshold
    shares = {point: share_at(coefficients, point) for point in range(1, size + 1)}
    for points in itertools.combinations(shares, threshold):
        part = {point: shares[point] for point in points}
        assert secret_of(part).to_bytes(32) == SECRET
        assert slow_secret(part, PRIME).to_bytes(32) == SECRET


def test_fewer_shares_fit_every_secret_equally() -> None:
    """Of a small field, all polynomials: what one share says of the secret is nothing."""
    prime = 11
    for share in range(prime):
        fits = {s for s in range(prime) for c in range(prime) if (s + 3 * c) % prime == share}
        assert fits == set(range(prime))
    coefficients = polynomial(SECRET, 3, KEY)
    two = {point: share_at(coefficients, point) for point in (1, 2)}
    assert secret_of(two) != int.from_bytes(SECRET)


def test_a_horner_step_without_remainder_is_a_sum_of_powers() -> None:
    coefficients = polynomial(SECRET, 5, KEY)
    for point in (1, 2, 255):
        powers = sum(c * point**n for n, c in enumerate(coefficients)) % PRIME
        assert share_at(coefficients, point) == powers


def test_coefficients_follow_from_their_key_alone() -> None:
    assert polynomial(SECRET, 3, KEY)[1:] == polynomial(bytes(32), 3, KEY)[1:]
    assert polynomial(SECRET, 3, KEY)[1:] != polynomial(SECRET, 3, SECRET)[1:]
