"""Named random streams.

Every draw comes from a stream that is named by what it is for, so that no result depends on
the order of events, the number of workers, or an interruption, and adding a holder leaves the
draws of the others alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fedchain.arrays import Singles

_START = bytes(16)
"""Where the counter of a key stream begins."""
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
    begun = hashlib.sha256(f"fedchain:{seed}".encode())
    begun.update(_written(names))
    return begun.digest()


def uniforms(seed: int, *names: Name) -> Callable[..., float]:
    """Return what draws one number of each name that begins so; quicker than a stream each.

    Args:
        seed: the scenario's seed, 0 or more.
        names: the steps with which all the names begin, the purpose first.

    Returns:
        The further steps of a name to its number in [0, 1).

    >>> uniforms(0, "work", 1)(2, b"parent") == uniforms(0, "work")(1, 2, b"parent")
    True
    """
    begun = hashlib.sha256(f"fedchain:{seed}".encode() + _written(names))

    def draw(*further: Name) -> float:
        whole = begun.copy()
        whole.update(_written(further))
        return (int.from_bytes(whole.digest()[:8]) >> 11) / 2.0**53

    return draw


def _written(names: tuple[Name, ...]) -> bytes:
    """Return the steps of a name, each after its type and length."""
    steps = b""
    for name in names:
        body = name if isinstance(name, bytes) else str(name).encode()
        steps += b"|%b:%d:%b" % (type(name).__name__.encode(), len(body), body)
    return steps


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


def normals(keys: Sequence[bytes], count: int) -> Singles:
    """Return normal numbers that only these keys give: the noise that hides gradients.

    The key stream of AES-256 in counter mode, 32 bits a number, turned by Box and Muller. Who
    does not have the key cannot tell the numbers from others of the same law. A radius ends at
    6.7, beyond which a normal number lies once in 5e10 draws.

    Args:
        keys: 32 bytes each, as ``digest`` gives them; none is ever used for anything else.
        count: how many numbers of each, 0 or more.

    Returns:
        Independent standard normal numbers, float32, one row a key, shape (len(keys), count).

    Reference:
        Box and Muller, A note on the generation of random normal deviates, 1958.

    >>> keys = [digest(0, "noise", holder) for holder in range(2)]
    >>> bool((normals(keys, 1000)[1] == normals(keys[1:], 1000)[0]).all())
    True
    """
    half = (count + 1) // 2
    numbers = _words(keys, 2 * half).astype(np.float32)
    radius, angle = numbers[:, :half], numbers[:, half:]
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
    return numbers[:, :count]


def laplaces(keys: Sequence[bytes], count: int) -> Singles:
    """Return numbers of density e^-|x| / 2 that only these keys give.

    The key stream of ``normals``: a bit for the sign, 31 for -log(u), which ends at 22.2.

    Args:
        keys: 32 bytes each, as ``digest`` gives them; none is ever used for anything else.
        count: how many numbers of each, 0 or more.

    Returns:
        Independent Laplace numbers of scale 1, float32, one row a key, shape (len(keys), count).

    >>> keys = [digest(0, "noise", holder) for holder in range(2)]
    >>> bool((laplaces(keys, 1000)[1] == laplaces(keys[1:], 1000)[0]).all())
    True
    """
    words = _words(keys, count)
    numbers = (words >> np.uint32(1)).astype(np.float32)
    numbers += np.float32(0.5)  # no logarithm of zero
    numbers *= np.float32(2.0**-31)
    np.log(numbers, out=numbers)
    words &= np.uint32(1)
    numbers *= np.float32(1.0) - np.float32(2.0) * words.astype(np.float32)
    return numbers


class KeyStream:
    """The 64-bit words that follow from one key, as many as are asked for.

    >>> stream = KeyStream(digest(0, "noise"))
    >>> bool((stream.words(1) != stream.words(1)).all())
    True
    """

    def __init__(self, key: bytes) -> None:
        """Begin with the first word of a key of 32 bytes."""
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(_START)).encryptor()

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """Return the next words (count,)."""
        found = np.zeros(count, dtype="<u8")
        text = found.data.cast("B")
        self._cipher.update_into(text, text)  # zeros under the key stream, in their place
        return found


def _words(keys: Sequence[bytes], count: int) -> npt.NDArray[np.uint32]:
    """Return the first 32-bit words of the key streams, (len(keys), count)."""
    bits = np.empty((len(keys), count), dtype=np.uint32)
    zeros = bytes(4 * count)
    for row, key in zip(bits, keys, strict=True):
        Cipher(algorithms.AES(key), modes.CTR(_START)).encryptor().update_into(
            zeros, row.data.cast("B")
        )
    return bits
