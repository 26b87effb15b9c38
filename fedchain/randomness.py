"""Named random streams.

Every draw comes from a stream that is named by what it is for, so that no result depends on
the order of events, the number of workers, or an interruption, and adding a holder leaves the
draws of the others alone.
"""

from __future__ import annotations

import hashlib

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fedchain.arrays import Single

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


def normals(key: bytes, count: int) -> Single:
    """Return normal numbers that only this key gives: the noise that hides a gradient.

    The key stream of AES-256 in counter mode, 32 bits a number, turned by Box and Muller. Who
    does not have the key cannot tell the numbers from others of the same law. A radius ends at
    6.7, beyond which a normal number lies once in 5e10 draws.

    Args:
        key: 32 bytes, as ``digest`` gives them; never used twice.
        count: how many, 0 or more.

    Returns:
        Independent standard normal numbers, float32, shape (count,).

    Reference:
        Box and Muller, A note on the generation of random normal deviates, 1958.

    >>> key = digest(0, "noise", 3)
    >>> normals(key, 1000).tobytes() == normals(key, 1000).tobytes()
    True
    """
    half = (count + 1) // 2
    bits = np.empty(2 * half, dtype=np.uint32)
    stream_of_key = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    stream_of_key.update_into(bytes(bits.nbytes), bits.data.cast("B"))
    numbers = bits.astype(np.float32)
    radius, angle = numbers[:half], numbers[half:]
    radius += np.float32(0.5)  # no logarithm of zero
    radius *= np.float32(2.0**-32)
    np.log(radius, out=radius)
    radius *= np.float32(-2.0)
    np.sqrt(radius, out=radius)
    angle *= np.float32(2.0 * np.pi * 2.0**-32)
    sine = np.sin(angle)
    np.cos(angle, out=angle)
    angle *= radius
    radius *= sine
    return numbers[:count]
