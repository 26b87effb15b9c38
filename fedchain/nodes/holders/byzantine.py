"""Byzantine data holders: which holders attack in which rounds, and what they send."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import numpy as np

from fedchain.arrays import Single, Vector
from fedchain.attacks import attacks
from fedchain.scenario import HolderAttack as Misbehaviour
from fedchain.scenario import Scenario

Attack = Callable[[Single | Vector, np.random.Generator], Single | Vector]
"""(release (d,), generator) to the vector that is sent instead (d,)."""


class Byzantine:
    """The Byzantine holders of a scenario, with their attacks."""

    def __init__(self, scenario: Scenario) -> None:
        self._attacks: dict[int, list[Misbehaviour]] = {}
        for attack in scenario.attacks:
            if not isinstance(attack, Misbehaviour):
                continue
            for holder in attack.holders:
                self._attacks.setdefault(holder, []).append(attack)

    def attack_of(self, holder: int, round_: int) -> tuple[str, Attack | None]:
        """Return name and function of a holder's attack in a round; honest: ``"", None``."""
        for attack in self._attacks.get(holder, ()):
            if attack.active(round_):
                return attack.part.kind, functools.partial(attacks.build, attack.part)
        return "", None

    def attacks_behind(self, holders: Iterable[int], round_: int) -> str:
        """Return the names of the attacks in a message of these holders, joined by commas."""
        return ", ".join(sorted({self.attack_of(holder, round_)[0] for holder in holders} - {""}))

    def names_of(self, holder: int, round_: int) -> int:
        """Return under how many names a holder sends its message in a round."""
        return next((a.names for a in self._attacks.get(holder, ()) if a.active(round_)), 1)
