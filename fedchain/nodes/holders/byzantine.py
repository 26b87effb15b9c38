"""Byzantine data holders: which holders attack, when, how, and under how many names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from fedchain.arrays import Integers, Single, Vector
from fedchain.attacks import attacks
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.message import Message, sign_message
from fedchain.randomness import digest, stream
from fedchain.scenario import HolderAttack, Scenario

Forger = Callable[[Single | Vector, np.random.Generator], Single | Vector]
"""A function of a release (d,) and a random generator. It returns the vector (d,) that is sent
instead."""


class Byzantine:
    """The Byzantine holders of a scenario, with their attacks."""

    def __init__(self, attacks_: Iterable[HolderAttack]) -> None:
        self._attacks: dict[int, list[HolderAttack]] = {}
        for attack in attacks_:
            for holder in attack.holders:
                self._attacks.setdefault(holder, []).append(attack)

    def attack_of(self, holder: int, round_: int) -> tuple[str, Forger | None]:
        """Return the name and function of a holder's attack in a round; ``"", None`` if honest."""
        for attack in self._attacks.get(holder, ()):
            if attack.active(round_):
                return attack.part.kind, functools.partial(attacks.build, attack.part)
        return "", None

    def sent_instead(
        self, release: Single | Vector, holder: int, round_: int, seed: int
    ) -> Single | Vector | None:
        """Return what a holder sends in place of its release (d,); None if it is honest."""
        _, attack = self.attack_of(holder, round_)
        return None if attack is None else attack(release, stream(seed, "attack", holder, round_))

    def attacks_behind(self, holders: Iterable[int], round_: int) -> str:
        """Return the names of the attacks in a message of these holders, joined by commas."""
        return ", ".join(sorted({self.attack_of(holder, round_)[0] for holder in holders} - {""}))

    def names_of(self, holder: int, round_: int) -> int:
        """Return the number of names under which a holder sends its message in a round."""
        return next((a.names for a in self._attacks.get(holder, ()) if a.active(round_)), 1)


def byzantine_in(scenario: Scenario) -> Byzantine | None:
    """Return the Byzantine holders of a scenario; None if all holders are honest."""
    named = [attack for attack in scenario.attacks if isinstance(attack, HolderAttack)]
    return Byzantine(named) if named else None


def under_names(message: Message, names: int, secret: bytes, holder: int) -> Iterator[Message]:
    """Yield a holder's message, then a copy of it under each made-up name (a Sybil).

    If identities are open, each name counts as a holder. If they are registered, a message under
    a made-up name is refused, since it has no proof of registration. The directions differ
    slightly, because exact copies are not counted. ``names`` includes the holder's own name.
    The made-up keys follow from the run's secret root, holder and round.
    """
    yield message
    for number in range(1, names):
        own = digest(secret, "sybil", holder, message.round, number)
        said = replace(
            message,
            public_key=public_key_of(own),
            proof=None,
            direction=_nudged(message.direction, number),
            signature=b"",
        )
        yield sign_message(said, own)


def _nudged(direction: Integers, number: int) -> Integers:
    """Return a direction with the binary digits of a number added to its smallest entries.

    The norm hardly changes, and each number yields another direction.
    """
    smallest = np.argsort(np.abs(direction.astype(np.int64)), kind="stable")
    other = direction.copy()
    for digit, entry in enumerate(smallest[: number.bit_length()]):
        other[entry] += number >> digit & 1
    return other
