"""Masks: long words that two members can compute and nobody else can tell from chance."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedchain.randomness import KeyStream

Words = npt.NDArray[np.uint64]
"""Whole numbers modulo 2^64, shape (d,): sums of them wrap round."""
_REMEMBERED = 2**15
"""Agreements of two members that are kept: their channel keys stay the same for a run."""


def key_of(secret: bytes) -> X25519PrivateKey:
    """Return the X25519 key of 32 secret bytes."""
    return X25519PrivateKey.from_private_bytes(secret)


def public_of(key: X25519PrivateKey) -> bytes:
    """Return the public key, 32 bytes."""
    return key.public_key().public_bytes_raw()


def derived(secret: bytes, *names: bytes) -> bytes:
    """Return 32 bytes for one purpose, by HKDF with SHA-256.

    Args:
        secret: what nobody else knows.
        names: the purpose, and what else makes it unique, each of a fixed length.

    Reference:
        RFC 5869.
    """
    return HKDF(SHA256(), 32, None, b"fedchain:" + b":".join(names)).derive(secret)


def agreed(secret: X25519PrivateKey, public: bytes) -> bytes:
    """Return what two members agree on: the same from either side, and unknown to all others.

    Args:
        secret: key of one.
        public: of the other, 32 bytes.

    Raises:
        ValueError: the public key is of small order, and agrees on nothing.

    Reference:
        RFC 7748.

    >>> one, other = key_of(bytes(31) + b"1"), key_of(bytes(31) + b"2")
    >>> agreed(one, public_of(other)) == agreed(other, public_of(one))
    True
    """
    return secret.exchange(X25519PublicKey.from_public_bytes(public))


@functools.lru_cache(_REMEMBERED)
def agreed_for_good(secret: bytes, public: bytes) -> bytes:
    """Return ``agreed`` of keys that are used again in every round."""
    return agreed(key_of(secret), public)


def mask(seed: bytes, count: int) -> Words:
    """Return the mask of a seed: the key stream of AES-256 in counter mode.

    Args:
        seed: 32 bytes of this mask alone.
        count: d.

    Returns:
        Uniform words, shape (count,).
    """
    return KeyStream(seed).words(count)


def add_pair_mask(words: Words, seed: bytes, own: int, other: int) -> None:
    """Add the mask of a pair to what one of the two sends; the other's has the other sign.

    Args:
        words: changed in place, (d,).
        seed: of the pair.
        own: number of the one that sends.
        other: number of the other.
    """
    if own < other:
        words += mask(seed, len(words))
    else:
        words -= mask(seed, len(words))
