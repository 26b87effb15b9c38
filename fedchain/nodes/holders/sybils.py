"""Sybils: one holder that says the same under many names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fedchain.arrays import Integers
from fedchain.ledger.chain.message import Message, sign_message
from fedchain.ledger.chain.signature import public_key_of
from fedchain.randomness import digest


def under_names(message: Message, names: int, seed: int, holder: int) -> Iterator[Message]:
    """Yield a holder's message, and the same under names that it has made up.

    Where identities are open each name counts as a holder; where they are registered each made-up
    one is refused, for nothing shows that it is registered. The directions differ in their last
    bits, because copies do not count.

    Args:
        message: the holder's own, signed.
        names: how many it speaks under, its own included, 1 to 1000.
        seed: of the scenario; with holder and round it names the keys.
        holder: its number.
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
    """Add the binary digits of a number to the smallest entries: the norm hardly feels them."""
    smallest = np.argsort(np.abs(direction.astype(np.int64)), kind="stable")
    other = direction.copy()
    for digit, entry in enumerate(smallest[: number.bit_length()]):
        other[entry] += number >> digit & 1
    return other
