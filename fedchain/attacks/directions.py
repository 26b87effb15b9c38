"""Directions: attacks that choose a direction against the mean, apart from it, or at random."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.attacks.view import Rows, View, alike, attacks, fresh_noise, orthogonal_part, unit
from fedchain.randomness import stream
from fedchain.registry import cites


@attacks
@cites("allenzhu2021")
def sign_flip(view: View, *, of: Literal["own", "pooled"] = "own") -> Rows:
    """Send the negative of a gradient, with the same norm.

    Args:
        view: what the adversary knows.
        of: ``own``: each attacker sends the negative of its own gradient. ``pooled``: all send the
            negative of the mean of the messages that the adversary knows (with ``knowledge: own``,
            of the attackers' gradients). byzfl has ``pooled`` alone.

    Reference:
        Allen-Zhu et al., Byzantine-Resilient Non-Convex Stochastic Gradient Descent, ICLR 2021.
    """
    return -view.own if of == "own" else alike(view, -view.mean)


@attacks
@cites("chen2018")
def norm_inflation(view: View, *, factor: Annotated[float, Field(gt=0)] = 1e6) -> Rows:
    """Send each attacker's direction with a huge norm, to dominate the mean, LearningChain (16).

    The attack works with ``scale: restore``, where the aggregation rule trusts the declared norms.
    ``scale: unit`` and ``scale: median_clip`` prevent the attack.

    Args:
        view: the attackers' private gradients.
        factor: number that multiplies the norm, above 0.
    """
    return view.own * factor


@attacks
@cites()
def random_direction(view: View) -> Rows:
    """Send uniformly random directions, each with the norm of the attacker's gradient.

    This models broken sensors rather than an adversary.
    """
    pairs = zip(view.own, view.generators, strict=True)
    return np.stack([_random(release, generator) for release, generator in pairs])


def _random(release: Vector, generator: np.random.Generator) -> Vector:
    direction = generator.standard_normal(release.shape)
    return direction * (np.linalg.norm(release) / np.linalg.norm(direction))


@attacks
@cites("blanchard2017")
def gaussian(
    view: View,
    *,
    centre: float = 0.0,
    deviation: Annotated[float, Field(ge=0, le=1e30)] = 200.0,
) -> Rows:
    """Send normally distributed numbers, whose mean and deviation depend on no gradient.

    The norm is large, so the attack is strong where the rule trusts declared norms. Where it does
    not, only the random direction remains.

    Args:
        view: what the adversary knows.
        centre: mean of the numbers.
        deviation: standard deviation of the numbers; 200 in the paper, 1 in byzfl.

    Reference:
        Blanchard et al., Machine Learning with Adversaries, NeurIPS 2017.
    """
    rows = [generator.standard_normal(view.own.shape[1]) for generator in view.generators]
    return centre + deviation * np.stack(rows)


def drift(view: View) -> Vector:
    """Return a unit vector orthogonal to the mean of what is known, shape (entries,).

    It is drawn from a stream that does not depend on the round. So the model moves the same way in
    every round.
    """
    drawn = stream(0, "drift of an attack").standard_normal(view.mean.shape)
    return orthogonal_part(drawn, unit(view.mean))


@attacks
@cites()
def orthogonal(view: View) -> Rows:
    """Send one direction orthogonal to the mean, the same from all attackers and in all rounds.

    The attackers agree with each other far more than noisy honest messages do, and move the model
    where the gradient does not. The norm is the median of the known norms.

    Reference:
        The capture of l-nearest by f > 1 + (n - 1) rho^2 colluders, docs/threats.md.
    """
    return alike(view, view.size * drift(view))


@attacks
@cites("baruch2019")
def hidden(view: View, *, against: Annotated[float, Field(ge=0, le=1)] = 0.3) -> Rows:
    """Hide a part against the gradient in fresh noise, so that a message passes for a private one.

    Each attacker sends s (-c u + sqrt(1 - c^2) z), where u is the direction of the estimated
    gradient, z a fresh random direction orthogonal to u, and s the median of the known norms. The
    attackers estimate the gradient from the known messages and from their own records.

    Args:
        view: what the adversary knows.
        against: the share c of the norm that points against the gradient, 0 to 1.

    Reference:
        The idea is that of Baruch et al., A Little Is Enough, NeurIPS 2019: stay within the spread
        of honest messages, which is privacy noise here.
    """
    axis = unit(view.gradient)
    noise = math.sqrt(1.0 - against**2) * fresh_noise(view, axis)
    return view.size * (noise - against * axis)


@attacks
@cites()
def against_l_nearest(view: View, *, outrank: Annotated[float, Field(ge=0, le=1)] = 0.75) -> Rows:
    """Send the most harmful direction that ``l_nearest`` still ranks before honest messages.

    The n honest unit directions have the cosine k with the direction u of their sum, on average. f
    colluders send v = a u + sqrt(1 - a^2) w, with w orthogonal to u. Then an honest message with
    the cosine c has the projection c (n k + f a) on the sum of all directions, and a colluder has
    f + n k a. So colluders rank before this message if a is at least (n k c - f) / (n k - f c). The
    direction w is that of ``orthogonal``, and the norm is the median of the known norms.

    Args:
        view: what the adversary knows.
        outrank: share of the honest messages before which colluders rank, 0 to 1. 0.5 is the
            average message; where the rule keeps half of all messages, 0.75 lets up to a fifth of
            colluders in.

    Reference:
        The closed form of the capture of l-nearest, docs/threats.md: f (1 + b) > n (k^2 + b), for
        c = k and b = -a k.
    """
    axis = unit(np.sum([unit(row) for row in view.known], axis=0))
    cosines = np.array([float(np.vecdot(unit(row), axis)) for row in view.known])
    honest, mean = max(1, view.holders - len(view.own)), float(cosines.mean())
    total = honest * _cosine_among(honest, mean, len(cosines))
    most = float(np.quantile(cosines, outrank)) * total / (honest * mean) if mean > 0.0 else 0.0
    along = _least_cosine(total, most, len(view.own))
    row = along * axis + math.sqrt(1.0 - along**2) * orthogonal_part(drift(view), axis)
    return alike(view, view.size * row)


def _cosine_among(honest: int, cosine: float, known: int) -> float:
    """Return the mean cosine of all honest directions with their sum, from that of the known ones.

    The fewer directions, the larger is their cosine with their sum, since each is a part of it.
    """
    if known < 2:
        return 1.0 / math.sqrt(honest)
    pairs = max(0.0, (cosine**2 - 1.0 / known) / (1.0 - 1.0 / known))
    return math.sqrt(pairs + (1.0 - pairs) / honest)


def _least_cosine(total: float, cosine: float, colluders: int) -> float:
    """Return the least cosine with the honest sum at which colluders rank before a message.

    Args:
        total: norm of the sum of all honest directions.
        cosine: cosine of the message with that sum.
        colluders: number of colluders.
    """
    if colluders * cosine >= total:
        return -1.0
    return min(1.0, max(-1.0, (total * cosine - colluders) / (total - colluders * cosine)))
