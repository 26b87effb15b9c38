"""Attacks that see what others send, as a user would write them, and pools whose colluders decide.

A scenario names them as ``adversaries:alie``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fedchain.attacks import View
from fedchain.ledger.chain.message import Message
from fedchain.ledger.chain.state import State
from fedchain.nodes.holders.adversary import Adversary
from fedchain.nodes.holders.holder_pool import ReleaseBackend
from fedchain.nodes.holders.release import ReleaseRequest, Withheld
from fedchain.scenario import Scenario

SEEING = [
    {"kind": "adversaries:alie", "holders": [4, 8], "knowledge": "omniscient", "from_round": 2},
    {"kind": "adversaries:mimic", "count": 2, "knowledge": "heard"},
    {"kind": "poisoned", "holders": [0], "from_round": 3, "to_round": 9},
]
"""Three adversaries at once among ten holders."""
VIEWS: list[View] = []
"""What ``spy`` has seen."""


def alie(view, *, z: float = 1.0):
    """Send the mean of what is known, moved by z standard deviations of each coordinate."""
    if len(view.honest) < 2:
        return view.own
    moved = view.honest.mean(axis=0) - z * view.honest.std(axis=0)
    return np.tile(moved, (len(view.own), 1))


def mimic(view):
    """Send what the first honest holder sends."""
    return view.own if not len(view.honest) else np.tile(view.honest[0], (len(view.own), 1))


def adapted(view):
    """Send the multiple of the honest mean for which the rule's gradient points farthest away."""
    if not len(view.honest):
        return -view.own
    mean = view.honest.mean(axis=0)
    sent = [np.tile(factor * mean, (len(view.own), 1)) for factor in (-1.0, -0.3, 0.1, 3.0)]
    return min(sent, key=lambda rows: mean @ view.rule(np.concatenate([view.honest, rows])))


def cancel(view):
    """Send nothing but zeros, if holders form groups; alone this is no message."""
    return np.zeros_like(view.own)


def spy(view):
    """Note the view, and send what an honest holder would."""
    VIEWS.append(view)
    return view.own.copy()


def told(
    scenario: Scenario, pool: ReleaseBackend, weights: np.ndarray, asked: Sequence[ReleaseRequest]
) -> list[Message | None]:
    """Return the message for each request at one block, after all colluders have decided."""
    answers = list(pool(weights, asked).messages)
    cohort = {each.context.holder: a for each, a in zip(asked, answers, strict=True)}
    requests = {each.context.holder: each for each in asked}
    adversary, at = Adversary(scenario, keep=64), asked[0].context
    for participant, answer in cohort.items():
        if isinstance(answer, Withheld):
            adversary.listen(answer.rows, at.parent, at.round)
            state = State(np.zeros(len(next(iter(answer.rows.values())))), {})
            sent = adversary.decide(
                participant, cohort, parent=at.parent, state=state, previous=lambda: ()
            )
            decided = [replace(requests[participant], sent=sent[participant])]
            requests[participant] = decided[0]
    return [
        pool(weights, [each]).messages[0] if each.sent is not None else cohort[number]
        for number, each in requests.items()
    ]
