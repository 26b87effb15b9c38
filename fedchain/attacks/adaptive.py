"""Adaptive attack: it tries some 60 candidates on the deployed rule, and sends the worst."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Matrix, Vector
from fedchain.attacks.copies import principal_direction
from fedchain.attacks.directions import drift
from fedchain.attacks.view import Rows, View, attacks, fresh_noise, unit
from fedchain.registry import cites

LOUD_NORM = 100.0
"""Factor of the norm in the few candidates that rely on a large norm."""
FIRST_WIDTH = 0.3
"""First width of the evolution strategy's steps, as a share of the norm of a blend's weights."""
GROWTH = 1.5
"""Factor of the width after a step that did more harm. After four others, the width is divided by
it: this is the one-fifth rule."""


@dataclass(frozen=True)
class Blend:
    """How attackers mix directions into what they send; only the ratios of the weights count."""

    carrier: float = 0.0
    """Weight of the sum of all honest directions."""
    harm: float = 0.0
    """Weight of the direction against the mean gradient."""
    copied: float = 0.0
    """Weight of one honest message, the same for all attackers."""
    noise: float = 0.0
    """Weight of fresh noise, another one for each attacker."""
    principal: float = 0.0
    """Weight of the direction in which honest messages vary most."""
    spread: float = 0.0
    """Weight of minus the standard deviation of each coordinate."""
    drift: float = 0.0
    """Weight of a direction orthogonal to the mean gradient, the same from all attackers and in all
    rounds."""
    message: int = 0
    """Place of the copied message, in the order of cosines with the sum of directions, from 0, the
    largest."""
    members: int | None = None
    """Number of attackers that send the blend, while the others seem honest; None: all."""
    loudness: float = 1.0
    """Norm of what is sent, as a multiple of the median of the known norms."""

    @property
    def weights(self) -> Vector:
        """The seven weights, shape (7,)."""
        return np.array(astuple(self)[:7])


@dataclass(frozen=True)
class Palette:
    """The directions that blends mix, each a unit vector."""

    shared: Matrix
    """Carrier, harm, principal direction, spread and drift, shape (5, entries)."""
    messages: Matrix
    """The known messages, nearest to the sum first, shape (messages, entries)."""
    noise: Matrix
    """Fresh noise of each attacker, orthogonal to the mean, shape (attackers, entries)."""
    honest: Matrix
    """What the attackers would send if honest, shape (attackers, entries)."""
    size: float
    """Median of the known norms."""

    def rows(self, blend: Blend) -> Matrix:
        """Return what the attackers send with a blend, shape (attackers, entries)."""
        carrier, harm, copied, noise, *others = blend.weights
        common = copied * self.messages[blend.message % len(self.messages)]
        for weight, direction in zip((carrier, harm, *others), self.shared, strict=True):
            if weight:
                common = common + weight * direction
        rows = np.array(common + noise * self.noise if noise else [common] * len(self.noise))
        lengths = np.sqrt(np.vecdot(rows, rows))[:, None]
        np.divide(rows, lengths, out=rows, where=lengths > 0.0)
        if blend.members is not None:
            rows[blend.members :] = self.honest[blend.members :]
        rows *= self.size * blend.loudness
        return rows


def palette_of(view: View) -> Palette:
    """Return the directions that an adversary can mix."""
    units = np.stack([unit(row) for row in view.known])
    carrier, own = unit(units.sum(axis=0)), np.asarray(view.own, dtype=np.float64)
    order = np.argsort(-np.vecdot(units, carrier), kind="stable")
    harm, spread = -unit(view.gradient), -unit(np.asarray(view.known.std(axis=0)))
    return Palette(
        shared=np.stack([carrier, harm, principal_direction(view.known), spread, drift(view)]),
        messages=units[order],
        noise=fresh_noise(view, harm),
        honest=np.stack([unit(row) for row in own]),
        size=view.size,
    )


def candidates(view: View) -> Iterator[Blend]:
    """Yield the blends that are tried in every round.

    They are: a part against the mean in fresh noise (``hidden``), the mean moved along the
    principal direction with and without noise, a part along or against the mean beside a common
    direction (``against_l_nearest``), the honest sum with harm, honest messages that are pushed
    against the mean, the mean minus t deviations (``alie``), large norms, and few members.
    """
    for share in (0.3, 0.05, 0.1, 0.15, 0.2, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0):
        yield Blend(harm=share, noise=math.sqrt(1.0 - share**2))
    for harm in (-0.5, 0.0, 0.5):
        for sign in (-1.0, 1.0):
            for noise in (0.0, 1.0):
                yield Blend(harm=harm, principal=sign * math.sqrt(1.0 - harm**2), noise=noise)
    for harm in (-0.6, -0.3, -0.15, 0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 0.9):
        yield Blend(harm=harm, drift=math.sqrt(1.0 - harm**2))
    for harm in (0.8, 1.2):
        for noise in (0.0, 2.0):
            yield Blend(carrier=1.0, harm=harm, noise=noise)
    for message in (0, -1):
        for harm in (0.25, 0.5, 1.0, 1.5, 3.0):
            yield Blend(copied=1.0, harm=harm, message=message)
    mean, spread = np.linalg.norm(view.mean), np.linalg.norm(view.known.std(axis=0))
    for z in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0):
        yield Blend(harm=-float(mean), spread=z * float(spread))
    half = max(1, len(view.own) // 2)
    yield Blend(harm=1.0, loudness=LOUD_NORM)
    yield Blend(harm=0.5, noise=1.0, loudness=LOUD_NORM)
    yield Blend(harm=1.0, members=half)
    yield Blend(harm=0.5, noise=1.0, members=half)


def agreement(view: View, rows: Rows) -> float:
    """Return the cosine of the rule's gradient with the mean of the known messages.

    It is 0 if the gradient is zero or not finite, or if the rule refuses so few messages.
    """
    try:
        gradient = view.response(rows)
    except ValueError:
        return 0.0
    cosine = float(np.vecdot(unit(gradient), unit(view.gradient)))
    return cosine if math.isfinite(cosine) else 0.0


@attacks
@cites("shejwalkar2021", "rechenberg1973")
def adaptive(view: View, *, budget: Annotated[int, Field(ge=0, le=100_000)] = 0) -> Rows:
    """Try many attacks on the deployed rule, and send the one that turns the gradient most.

    In every round the rule is tried on the known messages with each of 60 candidates: noise with a
    hidden part against the mean, the mean moved along the principal direction, pushed copies, a
    little is enough, and others. What is sent is the candidate at which the rule's gradient has the
    smallest cosine with the mean of the known messages. Then an evolution strategy changes the
    weights of its directions, ``budget`` times. With ``knowledge: own`` the attackers' own releases
    stand for the honest messages, which says little about the rule; use ``omniscient``.

    Args:
        view: what the adversary knows.
        budget: number of further trials, by the evolution strategy.

    Reference:
        Shejwalkar and Houmansadr, Manipulating the Byzantine, NDSS 2021 (attacks adapted to the
        rule); Rechenberg, Evolutionsstrategie, 1973 (the one-fifth rule).
    """
    palette, tried = palette_of(view), list(candidates(view))
    found = [agreement(view, palette.rows(blend)) for blend in tried]
    best = int(np.argmin(found))
    return palette.rows(_evolved(view, palette, tried[best], found[best], budget))


def _evolved(view: View, palette: Palette, blend: Blend, least: float, budget: int) -> Blend:
    """Return the most harmful of a blend and ``budget`` mutants, each of the best one so far."""
    draw, width = view.generators[0], FIRST_WIDTH
    for _ in range(budget):
        mutant = _mutated(blend, width, draw, palette)
        found = agreement(view, palette.rows(mutant))
        width *= GROWTH if found < least else GROWTH**-0.25
        if found < least:
            blend, least = mutant, found
    return blend


def _mutated(blend: Blend, width: float, draw: np.random.Generator, palette: Palette) -> Blend:
    """Return a blend with other weights; at times with another message or number of members."""
    weights = blend.weights / max(float(np.linalg.norm(blend.weights)), 1e-300)
    weights += width * draw.standard_normal(len(weights))
    message, members = blend.message, blend.members
    if draw.random() < 0.2:
        message = int(draw.integers(len(palette.messages)))
    if draw.random() < 0.2:
        members = int(draw.integers(1, len(palette.noise) + 1))
    plain = Blend(*weights.tolist())
    return replace(plain, message=message, members=members, loudness=blend.loudness)
