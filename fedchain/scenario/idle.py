"""Idle: what a scenario asks for that its rounds are too few for."""

from __future__ import annotations

from fedchain.names import counted_words
from fedchain.scenario.sections import Scenario


def idle_parts(scenario: Scenario) -> list[str]:
    """Return a warning for each attack and each update that begins after the last round.

    >>> import fedchain
    >>> idle_parts(fedchain.load("first_light", set={"rounds": 3}))
    ['attacks[0] (sign_flip) begins in round 20, after the last of 3 rounds: it never happens']
    """
    rounds = counted_words(scenario.rounds, "round")
    begins = {
        f"attacks[{index}] ({attack.part.kind})": attack.from_round
        for index, attack in enumerate(scenario.attacks)
    }
    begins |= {
        f"update ({part.kind})": part.parameters.get("from_round", 1)
        for part in scenario.update.nested()
    }
    return [
        f"{name} begins in round {first}, after the last of {rounds}: it never happens"
        for name, first in begins.items()
        if first > scenario.rounds
    ]
