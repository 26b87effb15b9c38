"""How far holders' messages point along the true mean gradient, and how many colluders that stops.

rho is the cosine of an honest message with the mean of all holders' gradients without noise, at the
same weights. The formulas need no run; ``momentum.py`` holds them against runs.
"""

from __future__ import annotations

import math

import numpy as np

from fedchain.arrays import Matrix, Vector


def rho_of(signal: float, spread: float, noise: float, beta: float = 0.0) -> float:
    """Return rho for a steady gradient, from squared lengths.

    An exponential average keeps the share (1 - beta) / (1 + beta) of the noise of single releases.
    It keeps the whole difference between holders, which is the same in every round.

    Args:
        signal: squared length of the mean gradient.
        spread: mean squared distance of a holder's gradient without noise from the mean gradient.
        noise: mean squared length of the noise of a release.
        beta: momentum of the holders, from 0 (none) to below 1.

    >>> round(rho_of(1.0, 0.0, 99.0), 3), round(rho_of(1.0, 0.0, 99.0, 0.9), 3)
    (0.1, 0.401)
    """
    return math.sqrt(signal / (signal + spread + noise * (1.0 - beta) / (1.0 + beta)))


def least_rho(colluders: int, honest: int, *, orthogonal: bool) -> float:
    """Return the rho below which colluders who send one direction capture l-nearest.

    They rank before the honest messages if f > 1 + (n - 1) rho, for f colluders against the mean
    gradient and n honest holders; rho squared takes the place of rho for a direction that is
    orthogonal to the mean gradient.

    >>> least_rho(4, 16, orthogonal=False), round(least_rho(4, 16, orthogonal=True), 3)
    (0.2, 0.447)
    """
    share = (colluders - 1) / (honest - 1)
    return math.sqrt(share) if orthogonal else share


def colluders_of(rho: float, honest: int) -> int:
    """Return the least number of sign flippers that capture l-nearest, by the closed form.

    >>> [colluders_of(rho, 20) for rho in (0.1, 0.3, 0.5, 0.9)]
    [3, 7, 11, 19]
    """
    return math.floor(1.0 + (honest - 1) * rho) + 1


def colluders_in(honest: Matrix, gradient: Vector) -> int:
    """Return the least number of colluders whose messages rank before those of honest holders.

    All send the direction against the gradient. They rank before the honest messages if their
    cosine with the sum of all directions is above the mean cosine of the honest ones.

    Args:
        honest: messages of honest holders, shape (n, d).
        gradient: the mean gradient without noise, shape (d,).

    >>> colluders_in(np.array([[1.0, 0.0]] * 3), np.array([2.0, 0.0]))
    4
    """
    units = honest / np.linalg.norm(honest, axis=1)[:, None]
    against, total = -gradient / np.linalg.norm(gradient), units.sum(axis=0)
    own = total @ (units.mean(axis=0) - against)  # what the honest messages alone are ahead by
    each = 1.0 - against @ units.mean(axis=0)  # what each colluder makes up for
    return math.floor(own / each) + 1


def cosines(rows: Matrix, gradient: Vector) -> Vector:
    """Return the cosine of each row with a gradient, shape (rows,).

    >>> cosines(np.array([[3.0, 4.0], [0.0, -2.0]]), np.array([2.0, 0.0])).tolist()
    [0.6, 0.0]
    """
    return np.asarray(rows @ gradient / np.linalg.norm(rows, axis=1) / np.linalg.norm(gradient))


def squares_of(true: Matrix, released: Matrix) -> tuple[float, float, float]:
    """Return the arguments of ``rho_of`` for one round.

    Args:
        true: gradients without noise, shape (holders, weights).
        released: the same gradients with noise.

    >>> squares_of(np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[3.0, 1.0], [1.0, -3.0]]))
    (1.0, 1.0, 4.0)
    """
    gradient = true.mean(axis=0)
    found = gradient[None], true - gradient, released - true
    signal, spread, noise = (float((each**2).sum(axis=1).mean()) for each in found)
    return signal, spread, noise
