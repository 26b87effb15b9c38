"""Sybils: one holder sends the same message under many names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fedchain.arrays import Integers
from fedchain.ledger.chain.crypto import public_key_of
from fedchain.ledger.chain.message import Message, sign_message
from fedchain.randomness import digest


def under_names(message: Message, names: int, seed: int, holder: int) -> Iterator[Message]:
    """Yield a holder's message, and the same message under made-up names.

    If identities are open, each name counts as a holder. If they are registered, a message under
    a made-up name is refused, since it has no proof of registration. The directions differ in
    their last bits, because exact copies are not counted.

    Args:
        message: the holder's own message, signed.
        names: number of names, its own included, 1 to 1000.
        seed: the scenario's seed; the made-up keys follow from it, the holder and the round.
        holder: number of the holder.
    """
    yield message
    for number in range(1, names):
        secret = digest(seed, "sybil", holder, message.round, number)
        said = replace(
            message,
            public_key=public_key_of(secret),
            proof=None,
            direction=_nudged(message.direction, number),
            signature=b"",
        )
        yield sign_message(said, secret)


def _nudged(direction: Integers, number: int) -> Integers:
    """Return a direction with the binary digits of a number added to its smallest entries.

    The norm hardly changes, and each number yields another direction.
    """
    smallest = np.argsort(np.abs(direction.astype(np.int64)), kind="stable")
    other = direction.copy()
    for digit, entry in enumerate(smallest[: number.bit_length()]):
        other[entry] += number >> digit & 1
    return other
