"""Published values of privacy accounting; neighbours differ in one gradient, there or zero.

The table of accountants is from Opacus 1.5 (RDP, PRV) and dp-accounting 0.4 (PLD), the column
``exact`` from the closed form of Balle and Wang 2018, theorem 8, as are the noise multipliers
and the costs of Gaussian differential privacy (Dong, Roth and Su 2022, corollary 2.13). Pure
releases compose by Kairouz, Oh and Viswanath 2015, theorem 3.3, and by Bun and Steinke 2016,
proposition 1.3. K-norm noise is that of Hardt and Talwar 2010.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """What accountants say of one composition of Gaussian releases."""

    rate: float
    sigma: float
    releases: int
    delta: float
    rdp: float
    prv: float
    pld: float
    exact: float | None = None


ACCOUNTING = (
    Row(1, 1, 1, 1e-5, 4.7285, 4.3874, 4.3772, 4.3772),
    Row(1, 20, 100, 1e-5, 2.1657, 2.0032, 1.9931, 1.9931),
    Row(1, 37.3, 100, 1e-5, 1.0928, 1.0103, 1.0002, 1.0002),
    Row(1, 50, 200, 1e-3, 0.7951, 0.6957, 0.6856, 0.6856),
    Row(0.01, 1.0, 1000, 1e-5, 2.1014, 1.8384, 1.8282),
    Row(0.1, 1.0, 100, 1e-5, 7.8993, 7.0571, 7.0466),
    Row(0.25, 4.0, 200, 1e-5, 4.2882, 3.9596, 3.9493),
)
SIGMA_OF_ONE_RELEASE = {
    (0.5, 1e-5): 7.031827,
    (1, 1e-5): 3.730632,
    (2, 1e-5): 1.993812,
    (8, 1e-5): 0.600229,
    (1, 1e-3): 2.574657,
    (8, 1e-3): 0.480014,
}
"""(epsilon, delta) to sigma over sensitivity."""
EPSILON_OF_MU = {0.1: 0.3407, 0.5: 1.9931, 1: 4.3772, 2: 9.9973}
"""mu to epsilon at delta 1e-5."""
PURE = ((0.1, 50, 5, 3.6431, 2.8447), (1, 100, 100, 97.99, 79.84))
"""eps0, releases; epsilon at delta 1e-5: the plain sum, by zCDP, optimal."""
KNORM = ((650, 1, 100, 1.522), (10_000, 1, 100, 0.3407))
"""d, eps0, releases, epsilon at delta 1e-5."""
