"""Masks: random words that hide a vector, from seeds that only one or two members know."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedchain.randomness import KeyStream

MaskWords = npt.NDArray[np.uint64]
"""Integers modulo 2^64, shape (dimension,)."""
_REMEMBERED = 2**15
"""Largest number of cached key agreements."""


@dataclass(frozen=True)
class KeyPair:
    """An X25519 key pair of one member."""

    secret: X25519PrivateKey = field(compare=False, repr=False)
    """The secret key."""
    public: bytes
    """The public key, 32 bytes."""


@dataclass(frozen=True)
class _Pair:
    """The keys of two members, for the cache. Both members make equal pairs."""

    public: frozenset[bytes]
    own: KeyPair = field(compare=False)
    other: bytes = field(compare=False)


def key_pair(secret: bytes) -> KeyPair:
    """Return the X25519 key pair of 32 secret bytes.

    >>> len(key_pair(bytes(32)).public)
    32
    """
    key = X25519PrivateKey.from_private_bytes(secret)
    return KeyPair(key, key.public_key().public_bytes_raw())


def derived(secret: bytes, *names: bytes) -> bytes:
    """Derive 32 bytes from a secret for one purpose, by HKDF with SHA-256 (RFC 5869).

    The first name is the purpose; more names, such as the session's name, may follow.
    """
    return HKDF(SHA256(), 32, None, b"fedchain:" + b":".join(names)).derive(secret)


def agreed(own: KeyPair, other: bytes, *names: bytes) -> bytes:
    """Return 32 secret bytes that only two members can compute, by X25519 (RFC 7748).

    Args:
        own: the member's own key pair.
        other: the other member's public key, 32 bytes.
        names: the purpose and further names, as in ``derived``.

    Raises:
        ValueError: the other member's public key has small order.

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


def mask(seed: bytes, count: int) -> MaskWords:
    """Return ``count`` random words from a 32-byte seed, by a key stream of AES-256."""
    return KeyStream(seed).words(count)


def add_pair_mask(words: MaskWords, seed: bytes, own: int, other: int) -> None:
    """Add the mask of members ``own`` and ``other`` in place to the vector of ``own``.

    The other member adds the same mask with the opposite sign, so both cancel out in the sum.
    """
    if own < other:
        words += mask(seed, len(words))
    else:
        words -= mask(seed, len(words))
