"""Masks: words that two members can compute, and that look random to everybody else."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedchain.randomness import KeyStream

Words = npt.NDArray[np.uint64]
"""Whole numbers modulo 2^64, shape (d,); their sums wrap around."""
_REMEMBERED = 2**15
"""Most key agreements in a cache; the second member of a pair reuses the result of the first."""


@dataclass(frozen=True)
class KeyPair:
    """An X25519 key pair of one member."""

    secret: X25519PrivateKey = field(compare=False, repr=False)
    """Key that only the member knows."""
    public: bytes
    """Key that all others know, 32 bytes."""


@dataclass(frozen=True)
class _Pair:
    """The keys of two members, for a cache: equal for both, whichever of the two is ``own``."""

    public: frozenset[bytes]
    own: KeyPair = field(compare=False)
    other: bytes = field(compare=False)


def key_pair(secret: bytes) -> KeyPair:
    """Return the key pair of 32 secret bytes.

    >>> len(key_pair(bytes(32)).public)
    32
    """
    key = X25519PrivateKey.from_private_bytes(secret)
    return KeyPair(key, key.public_key().public_bytes_raw())


def derived(secret: bytes, *names: bytes) -> bytes:
    """Derive 32 bytes from a secret for one purpose, by HKDF with SHA-256 (RFC 5869).

    The first name is the purpose. Others may follow, such as the session's name. Each name has a
    fixed length.
    """
    return HKDF(SHA256(), 32, None, b"fedchain:" + b":".join(names)).derive(secret)


def agreed(own: KeyPair, other: bytes, *names: bytes) -> bytes:
    """Return 32 secret bytes for one purpose that only two members can compute (RFC 7748).

    Each computes them from its own key pair and the other's public key. The names are as in
    ``derived``.

    Raises:
        ValueError: the other's public key has small order, and gives no secret.

    >>> one, other = key_pair(bytes(31) + b"1"), key_pair(bytes(31) + b"2")
    >>> agreed(one, other.public, b"mask") == agreed(other, one.public, b"mask")
    True
    """
    return _derived_of(_Pair(frozenset((own.public, other)), own, other), names)


@functools.lru_cache(_REMEMBERED)
def _derived_of(pair: _Pair, names: tuple[bytes, ...]) -> bytes:
    return derived(_exchanged(pair), *names)


@functools.lru_cache(_REMEMBERED)
def _exchanged(pair: _Pair) -> bytes:
    return pair.own.secret.exchange(X25519PublicKey.from_public_bytes(pair.other))


def mask(seed: bytes, count: int) -> Words:
    """Return the mask of a 32-byte seed: uniform words (count,) from a key stream of AES-256."""
    return KeyStream(seed).words(count)


def add_pair_mask(words: Words, seed: bytes, own: int, other: int) -> None:
    """Add the mask of a pair in place to the words (d,) that member ``own`` sends.

    The other member of the pair uses the opposite sign, so that the two masks cancel out.
    """
    if own < other:
        words += mask(seed, len(words))
    else:
        words -= mask(seed, len(words))
