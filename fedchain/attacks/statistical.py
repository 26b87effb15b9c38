"""Statistical attacks: they move the mean of honest messages as far as its spread allows.

The statistics are those of ``view.known``. With ``knowledge: own`` these are the attackers' own
releases.
"""

from __future__ import annotations

import statistics
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.attacks.view import Rows, View, alike, attacks, unit
from fedchain.registry import cites


@attacks
@cites("xie2019")
def inner_product(view: View, *, tau: Annotated[float, Field(ge=0, le=1e30)] = 2.0) -> Rows:
    """Send -tau times the mean of the known messages: inner-product manipulation (IPM).

    Args:
        view: what the adversary knows.
        tau: number that multiplies the negative mean; 2 in byzfl. If the rule does not trust norms,
            every value above 0 has the same effect.

    Reference:
        Xie et al., Fall of Empires, UAI 2019.
    """
    return alike(view, -tau * view.mean)


@attacks
@cites("baruch2019")
def alie(view: View, *, factor: Annotated[float, Field(ge=0, le=1e30)] | None = None) -> Rows:
    """Send the mean minus z standard deviations of every coordinate: a little is enough (ALIE).

    The deviation divides by the number of known messages, as in the paper. byzfl divides by one
    less, adds in place of subtracting, and has the factor 1.5.

    Args:
        view: what the adversary knows.
        factor: the number z; null: the paper's, from the number of holders and of attackers.

    Reference:
        Baruch et al., A Little Is Enough, NeurIPS 2019.
    """
    z = alie_factor(view.holders, len(view.own)) if factor is None else factor
    return alike(view, view.mean - z * view.known.std(axis=0))


def alie_factor(holders: int, attackers: int) -> float:
    """Return the factor z of ALIE: the quantile of (n - m - k) / (n - m), k = floor(n / 2 + 1) - m.

    Here n is the number of holders and m that of attackers. The factor is at least 0, since the
    quantile is negative for very few attackers. A majority of attackers counts as k = 1, and a
    single honest holder as a share of one half.

    Reference:
        Baruch et al., A Little Is Enough, NeurIPS 2019.

    >>> round(alie_factor(50, 24), 3), round(alie_factor(20, 8), 3)
    (1.426, 0.674)
    """
    supporters = max(1, holders // 2 + 1 - attackers)
    honest = max(2, holders - attackers)
    share = max(0.5, (honest - supporters) / honest)
    return statistics.NormalDist().inv_cdf(share)


Perturbation = Literal["unit", "std", "sign"]
"""Direction in which min-max and min-sum move the mean m. ``unit``: -m / |m|; ``std``: minus the
standard deviation of each coordinate; ``sign``: minus the sign of each coordinate of m."""


@attacks
@cites("shejwalkar2021")
def min_max(view: View, *, perturbation: Perturbation = "unit") -> Rows:
    """Move the mean as far as the largest distance between two honest messages allows.

    All attackers send m + g p with the largest g at which no known message is farther from it than
    the two farthest known messages are from each other. The paper finds g by bisection; here it is
    the smallest root of one quadratic equation for each message.

    Args:
        view: what the adversary knows.
        perturbation: the direction p. ``unit``: against the mean m; ``std``: minus the standard
            deviation of each coordinate; ``sign``: minus the sign of each coordinate of m.

    Reference:
        Shejwalkar and Houmansadr, Manipulating the Byzantine, NDSS 2021.
    """
    apart, most = _apart(view), float(_squared_distances(view).max())
    along = _perturbation(view, perturbation)
    inner, slack = np.vecdot(apart, along), most - np.vecdot(apart, apart)
    return _moved(view, along, _root(inner, slack).min().item())


@attacks
@cites("shejwalkar2021")
def min_sum(view: View, *, perturbation: Perturbation = "unit") -> Rows:
    """Move the mean as far as the sum of squared distances between honest messages allows.

    All attackers send m + g p with the largest g at which its squared distances from the known
    messages add up to no more than those of any known message. The paper finds g by bisection; here
    it is the root of a quadratic equation.

    Args:
        view: what the adversary knows.
        perturbation: the direction p. ``unit``: against the mean m; ``std``: minus the standard
            deviation of each coordinate; ``sign``: minus the sign of each coordinate of m.

    Reference:
        Shejwalkar and Houmansadr, Manipulating the Byzantine, NDSS 2021.
    """
    apart, most = _apart(view), float(_squared_distances(view).sum(axis=1).max())
    along, count = _perturbation(view, perturbation), len(apart)
    inner, slack = np.vecdot(apart, along), most - np.vecdot(apart, apart).sum()
    return _moved(view, along, _root(inner.sum() / count, slack / count).item())


def _apart(view: View) -> Vector:
    """Return the mean minus each known message, shape (messages, entries)."""
    return np.asarray(view.mean - view.known)


def _squared_distances(view: View) -> Vector:
    """Return the squared distance between any two known messages, shape (messages, messages)."""
    # The differences are taken first: inner products would cancel where messages are nearly equal.
    rows = view.known
    return np.stack([np.vecdot(rows - row, rows - row) for row in rows])


def _perturbation(view: View, kind: Perturbation) -> Vector:
    """Return the direction p as a unit vector, since its length changes only g."""
    match kind:
        case "unit":
            return -unit(view.mean)
        case "std":
            return -unit(np.asarray(view.known.std(axis=0)))
        case _:
            return -unit(np.sign(view.mean))


def _root(inner: Vector, slack: Vector) -> Vector:
    """Return the largest g with g^2 + 2 inner g <= slack."""
    return np.asarray(np.sqrt(np.maximum(inner**2 + slack, 0.0)) - inner)


def _moved(view: View, along: Vector, factor: float) -> Rows:
    return alike(view, view.mean + max(0.0, factor) * along)
