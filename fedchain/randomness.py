"""Random streams: each stream has a name that says what its numbers are for.

A draw depends only on the seed and the name, not on the order of events.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fedchain.arrays import Single, Singles, Words
from fedchain.transforms import Tail, to_laplaces, to_normals

_START = bytes(16)
"""First counter block of AES in counter mode, for every key stream."""
NameStep = str | int | bytes
"""One part of a stream's name: a purpose, a holder, a round or a block hash."""
Seed = int | bytes
"""A scenario's seed for public draws (network, cohorts, latencies, work), or a run's secret root,
32 bytes, for noise and keys."""


def digest(seed: Seed, *names: NameStep) -> bytes:
    """Return the SHA-256 digest (32 bytes) of a seed and a name.

    The name's first part is its purpose. Different names never collide.

    >>> digest(0, "noise", 1, 2) == digest(0, "noise", 12)
    False
    """
    return _hash_of(seed, names).digest()


def uniforms(seed: Seed, *names: NameStep) -> Callable[..., float]:
    """Return a function that maps the last parts of a name to a number in [0, 1).

    All names begin with ``names``. The function returns the same number for the same name.

    >>> uniforms(0, "work", 1)(2, b"parent") == uniforms(0, "work")(1, 2, b"parent")
    True
    """
    begun = _hash_of(seed, names)

    def draw(*further: NameStep) -> float:
        whole = begun.copy()
        whole.update(_encode_names(further))
        return (int.from_bytes(whole.digest()[:8]) >> 11) / 2.0**53

    return draw


def _hash_of(seed: Seed, names: tuple[NameStep, ...]) -> hashlib._Hash:
    begun = f":{seed}".encode() if isinstance(seed, int) else _encode_names((seed,))
    return hashlib.sha256(b"fedchain" + begun + _encode_names(names))


def _encode_names(names: tuple[NameStep, ...]) -> bytes:
    """Return a name as bytes; each part is preceded by its type and length."""
    steps = b""
    for name in names:
        body = name if isinstance(name, bytes) else str(name).encode()
        steps += b"|%b:%d:%b" % (type(name).__name__.encode(), len(body), body)
    return steps


def stream(seed: Seed, *names: NameStep) -> np.random.Generator:
    """Return a new random generator for a name (SFC64, seeded with 256 bits).

    >>> bool(stream(0, "noise", 3).random() == stream(0, "noise", 3).random())
    True
    """
    entropy = int.from_bytes(digest(seed, *names), "big")
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(entropy)))


def normals(keys: Sequence[bytes], count: int) -> Singles:
    """Return standard normal numbers derived from secret keys, for the noise in releases.

    The numbers come from AES-256 in counter mode and the Box-Muller transform. Their magnitude is
    at most 11.6. They have the same bits on every processor.

    Args:
        keys: 32 bytes each, as ``digest`` returns them; use a key for nothing else.
        count: how many numbers to draw from each key, 0 or more.

    Returns:
        Independent float32 numbers, shape (keys, count): one row for each key.

    >>> keys = [digest(0, "noise", holder) for holder in range(2)]
    >>> bool((normals(keys, 1000)[1] == normals(keys[1:], 1000)[0]).all())
    True
    """
    return _drawn(keys, (count + 1) // 2 * 2, to_normals)[:, :count]


def laplaces(keys: Sequence[bytes], count: int) -> Singles:
    """Return numbers with density e^-|x| / 2 (Laplace), derived from keys as in ``normals``.

    Their magnitude is at most 66.6. The result has shape (keys, count).

    >>> keys = [digest(0, "noise", holder) for holder in range(2)]
    >>> bool((laplaces(keys, 1000)[1] == laplaces(keys[1:], 1000)[0]).all())
    True
    """
    return _drawn(keys, count, to_laplaces)


def _drawn(
    keys: Sequence[bytes], count: int, transform: Callable[[Words, Single, Tail], None]
) -> Singles:
    """Return the numbers that a transform makes of each key's first words."""
    found, words = np.empty((len(keys), count), dtype=np.float32), np.empty(count, dtype=np.uint32)
    for row, key in zip(found, keys, strict=True):
        _fill(words, key)
        transform(words, row, functools.partial(_tail, key))
    return found


def _tail(key: bytes, place: int) -> float:
    """Return a random number from 2^-65 to 1 in place of the word 0 at an index of a key's stream.

    Without it, normal noise would end at 6.76 standard deviations, which costs delta.
    """
    return (int.from_bytes(digest(key, "tail", place)[:8], "big") + 0.5) * 2.0**-64


class KeyStream:
    """Key stream of one key: an endless sequence of 64-bit words.

    >>> stream = KeyStream(digest(0, "noise"))
    >>> bool((stream.words(1) != stream.words(1)).all())
    True
    """

    def __init__(self, key: bytes) -> None:
        """Start at the first word of a key of 32 bytes."""
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(_START)).encryptor()

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """Return the next ``count`` words of the stream, shape (count,)."""
        found = np.zeros(count, dtype="<u8")
        text = found.data.cast("B")
        self._cipher.update_into(text, text)  # zeros encrypt to the key stream itself
        return found


def _fill(words: Words, key: bytes) -> None:
    """Write the first 32-bit words of a key's stream."""
    words.fill(0)
    text = words.data.cast("B")
    # Zeros encrypt to the key stream itself.
    Cipher(algorithms.AES(key), modes.CTR(_START)).encryptor().update_into(text, text)
