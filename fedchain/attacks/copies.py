"""Copies: attacks that repeat what others have sent."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Matrix, Vector
from fedchain.attacks.view import Rows, View, alike, attacks, fresh_noise, unit
from fedchain.registry import cites

POWER_STEPS = 32
"""Number of power steps for a principal direction."""


def principal_direction(rows: Matrix) -> Vector:
    """Return the direction in which rows vary most about their mean, as a unit vector.

    The direction comes from a fixed number of power steps that begin at the row farthest from the
    mean. If all rows are equal, it is zero.

    >>> principal_direction(np.array([[0.0, 5.0], [0.0, 0.0], [1.0, 2.5]])).round(6).tolist()
    [0.0, 1.0]
    """
    apart = rows - rows.mean(axis=0)
    gram = np.stack([np.vecdot(apart, row) for row in apart])
    weights = np.zeros(len(rows))
    weights[np.argmax(np.diag(gram))] = 1.0
    for _ in range(POWER_STEPS):
        weights = unit(np.vecdot(gram, weights))
    return unit((apart * weights[:, None]).sum(axis=0))


@attacks
@cites("karimireddy2022")
def mimic(view: View, *, victim: Annotated[int, Field(ge=0)] | None = None) -> Rows:
    """Copy one honest message from all attackers, so that its sender counts many times.

    The attack sends nothing false, and harms where holders have different data.

    Args:
        view: what the adversary knows.
        victim: place of the copied message among those known, from 0 (modulo their number), as in
            byzfl. null: the message that lies farthest along the direction of the largest variance.
            The paper learns this direction over some rounds; here it is that of the round.

    Reference:
        Karimireddy et al., Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, ICLR
        2022.
    """
    if victim is None:
        victim = int(np.argmax(np.abs(np.vecdot(view.known, principal_direction(view.known)))))
    return alike(view, view.known[victim % len(view.known)])


@attacks
@cites("li2022")
def copy_cat(view: View) -> Rows:
    """Copy a random honest message under one's own name, another one for each attacker.

    With ``knowledge: own`` the attackers copy each other.

    Reference:
        Li et al., Blockchain Assisted Decentralized Federated Learning (BLADE-FL), IEEE TPDS 2022
        (lazy clients).
    """
    return np.stack([view.known[each.integers(len(view.known))] for each in view.generators])


@attacks
@cites("lin2019", "fraboni2021")
def free_rider(view: View, *, echo: Annotated[float, Field(ge=0, le=1)] = 0.5) -> Rows:
    """Send the last global gradient under fresh noise, without learning from any record.

    The last gradient is what the rule makes of the messages in the parent block. In round 1 there
    is only noise. The norm is the median of the known norms.

    Args:
        view: what the adversary knows.
        echo: the share of the norm that the last gradient has, 0 (noise alone) to 1 (no noise).

    Reference:
        Lin et al., Free-Riders in Federated Learning: Attacks and Defenses, 2019 (delta weights
        with noise); Fraboni et al., AISTATS 2021 (disguised free-riders).
    """
    before = view.previous()
    if len(before):
        last = unit(view.rule(before))
    else:
        last, echo = np.zeros(view.own.shape[1]), 0.0
    return view.size * (echo * last + math.sqrt(1.0 - echo**2) * fresh_noise(view, last))
