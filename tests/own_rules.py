"""Rules of a user, with a state; a scenario names them as ``own_rules:centred_clipping``."""

from __future__ import annotations

import math

import numpy as np

from fedchain.aggregation import Aggregate, agreement_of, inner_with, weighted_mean
from fedchain.arrays import ONE

CENTRED = {"kind": "own_rules:centred_clipping"}
"""The aggregation of a scenario that uses the rule below."""


def centred_clipping(received, *, radius: float = 0.5) -> Aggregate:
    """Pull every gradient to within a radius of the last aggregate c, and average them.

    The result is c + (1/n) sum_k min(1, radius / |g_k - c|) (g_k - c).

    Args:
        radius: how far a gradient may be from the last aggregate.

    Reference:
        Karimireddy, He and Jaggi, Learning from History, ICML 2021, algorithm 2, one iteration.
    """
    rows, norms, count = received.directions, received.norms, len(received.norms)
    centre = received.memory.get("centre", np.zeros(rows.dimension))  # whole numbers: 2^20 c
    agreement, own = agreement_of(rows), math.fsum(centre * centre)
    squares = norms * norms * agreement.squares - 2.0 * norms * inner_with(rows, centre) + own
    distances = np.sqrt(np.maximum(squares, 1.0)) / ONE
    pulls = np.minimum(1.0, radius / distances)
    stays = 1.0 - math.fsum(pulls) / count
    gradient = stays * centre / ONE + weighted_mean(rows, norms * pulls, pulls > 0)
    memory = {"centre": np.rint(gradient * ONE)}
    return Aggregate(gradient, agreement.cosines, pulls / count, ("",) * count, memory)
