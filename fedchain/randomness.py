"""Named random streams.

Every draw comes from a stream that is named by what it is for, so that no result depends on
the order of events, the number of workers, or an interruption, and adding a holder leaves the
draws of the others alone.
"""

from __future__ import annotations

import hashlib

import numpy as np

Name = str | int | bytes
"""One step of a stream's name: a purpose, a holder, a round, a block hash."""


def digest(seed: int, *names: Name) -> bytes:
    """Return 32 bytes that only this seed and these names give.

    Each step is written with its type and length, so that no two lists of names collide.

    Args:
        seed: the scenario's seed, 0 or more.
        names: the steps of the name, the purpose first.

    Returns:
        A SHA-256 digest.

    >>> digest(0, "noise", 1, 2) == digest(0, "noise", 12)
    False
    """
    written = hashlib.sha256(f"fedchain:{seed}".encode())
    for name in names:
        body = name if isinstance(name, bytes) else str(name).encode()
        written.update(f"|{type(name).__name__}:{len(body)}:".encode() + body)
    return written.digest()


def stream(seed: int, *names: Name) -> np.random.Generator:
    """Return the generator of this name, at its beginning.

    Args:
        seed: the scenario's seed, 0 or more.
        names: the steps of the name, the purpose first.

    Returns:
        A fresh numpy generator (SFC64, seeded with 256 bits); equal names give equal draws.

    >>> bool(stream(0, "noise", 3).random() == stream(0, "noise", 3).random())
    True
    """
    entropy = int.from_bytes(digest(seed, *names), "big")
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))
