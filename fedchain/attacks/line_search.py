"""Line searches: attacks with one factor, which they choose by trying the deployed rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from pydantic import Field

from fedchain.arrays import Vector
from fedchain.attacks.statistical import alie, inner_product
from fedchain.attacks.view import Rows, View, alike, attacks
from fedchain.registry import cites

FIRST_STEP, SHRINK = 10.0, 0.8
"""First step of the search, and the number that multiplies a step after a trial that failed."""
_Evaluations = Annotated[int, Field(ge=1, le=1000)]


@attacks
@cites("allouah2023mixing", "baruch2019")
def alie_search(view: View, *, evaluations: _Evaluations = 20) -> Rows:
    """Send the mean minus z standard deviations, with the z that moves the deployed rule farthest.

    If the rule refuses so few messages, the attack is ``alie``. byzfl adds in place of subtracting,
    and divides by one less in the deviation.

    Args:
        view: what the adversary knows.
        evaluations: number of factors that are tried on the rule.

    Reference:
        Allouah et al., Fixing by Mixing, AISTATS 2023 (optimised attacks).
    """
    spread = view.known.std(axis=0)
    try:
        z = _search(view, lambda factor: view.mean - factor * spread, evaluations)
    except ValueError:
        return alie(view)
    return alike(view, view.mean - z * spread)


@attacks
@cites("allouah2023mixing", "xie2019")
def inner_product_search(view: View, *, evaluations: _Evaluations = 20) -> Rows:
    """Send -tau times the mean, with the tau that moves the deployed rule farthest.

    If the rule refuses so few messages, the attack is ``inner_product``.

    Args:
        view: what the adversary knows.
        evaluations: number of factors that are tried on the rule.

    Reference:
        Allouah et al., Fixing by Mixing, AISTATS 2023 (optimised attacks).
    """
    try:
        tau = _search(view, lambda factor: -factor * view.mean, evaluations)
    except ValueError:
        return inner_product(view)
    return alike(view, -tau * view.mean)


def _search(view: View, row_of: Callable[[float], Vector], evaluations: int) -> float:
    """Return the factor whose row moves the rule's gradient farthest from the known mean.

    The search begins at 0. Its step doubles as long as the distance grows; then it shrinks after
    every trial. This is the search of byzfl.

    Raises:
        ValueError: the rule needs more messages.
    """

    def distance(factor: float) -> float:
        return float(np.linalg.norm(view.response(alike(view, row_of(factor))) - view.mean))

    best, step, grows = 0.0, FIRST_STEP, True
    farthest = distance(best)
    for _ in range(evaluations - 1):
        found = distance(best + step)
        better = found > farthest
        grows = grows and better
        if better:
            best, farthest = best + step, found
        step *= 2.0 if grows else SHRINK
    return best
