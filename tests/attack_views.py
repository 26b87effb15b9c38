"""What an adversary sees, made by hand: rows, a rule of fedchain, and generators from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fedchain.aggregation import Received, aggregations
from fedchain.aggregation.directions import Directions
from fedchain.attacks import View, attacks
from fedchain.ledger.chain.state import State
from fedchain.nodes.holders.sent import quantised_rows

MEAN = {"kind": "mean"}


def rule_of(block: dict[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a rule as a function from sent rows to the gradient."""
    bound = aggregations.bind(aggregations.check(block))

    def rule(rows: np.ndarray) -> np.ndarray:
        sent = quantised_rows(np.asarray(rows, np.float64), "int16")
        exponents, integers = zip(*sent.forms, strict=True)
        norms = np.array(sent.norms)
        return bound(Received(Directions(integers, exponents), norms, np.ones(len(norms)))).gradient

    return rule


def view(
    *own: list[float],
    honest: Any = (),
    previous: Any = (),
    clean: Any = None,
    rule: dict[str, Any] = MEAN,
    seed: int = 0,
    dtype: str = "float64",
) -> View:
    """Return what attackers with the releases ``own`` see of a round."""
    mine = np.array(own, dtype=dtype)
    others, before = (
        np.array(rows, float).reshape(-1, mine.shape[1]) for rows in (honest, previous)
    )
    deployed, known = rule_of(rule), others if len(others) else mine
    return View(
        round=1,
        state=State(np.zeros(mine.shape[1]), {}),
        own=mine,
        clean=np.array(mine if clean is None else clean, np.float64),
        honest=others,
        holders=len(mine) + len(others),
        rule=deployed,
        response=lambda sent: deployed(np.concatenate([known, sent])),
        previous=lambda: before,
        generators=tuple(np.random.default_rng([seed, row]) for row in range(len(mine))),
    )


def noisy(
    honest: int, attackers: int, *, entries: int = 60, rho: float = 0.4, seed: int = 0, **given: Any
) -> View:
    """Return a view of unit messages whose cosine with the true gradient is about ``rho``.

    The true gradient points along the first axis.
    """
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((honest + attackers, entries))
    rows[:, 0] = 0.0
    rows *= np.sqrt(1 - rho**2) / np.linalg.norm(rows, axis=1)[:, None]
    rows[:, 0] = rho
    return view(*rows[honest:].tolist(), honest=rows[:honest], seed=seed, **given)


def sent(kind: str, seen: View, **given: object) -> np.ndarray:
    """Return what the attackers of an attack send."""
    return attacks.build(attacks.check({"kind": kind, **given}), seen)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Return the cosine of two vectors."""
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
