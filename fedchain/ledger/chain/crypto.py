"""Cryptography of the chain: Merkle trees (RFC 6962) and Ed25519 signatures (RFC 8032)."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

HASH = 32
"""Number of bytes of a hash."""
SIGNATURE_BYTES = 64
"""Number of bytes of a signature."""


@dataclass(frozen=True)
class InclusionProof:
    """Proof that a Merkle tree with a known root has a certain leaf."""

    index: int
    """Index of the leaf, from 0."""
    size: int
    """Number of leaves of the tree."""
    path: tuple[bytes, ...]
    """Hashes of the sibling nodes from the leaf up to the root, 32 bytes each."""


class Tree:
    """A Merkle tree of a sequence of leaves.

    A node without a sibling moves up a level unchanged. The tree takes up about 64 bytes per leaf.

    Reference:
        RFC 6962, section 2.1.

    >>> tree = Tree([b"a", b"b", b"c"])
    >>> proof = tree.proof(2)
    >>> root_from_path(b"c", proof) == tree.root
    True
    """

    def __init__(self, leaves: Iterable[bytes]) -> None:
        sha256, lowest = hashlib.sha256, bytearray()
        for leaf in leaves:
            lowest += sha256(b"\x00" + leaf).digest()
        levels = [bytes(lowest)]
        while len(levels[-1]) > HASH:
            levels.append(_level_above(levels[-1]))
        self.size = len(lowest) // HASH
        self.root = levels[-1] or sha256(b"").digest()
        """The root, 32 bytes; for a tree without leaves, the SHA-256 of the empty string."""
        self._levels = levels

    def proof(self, index: int) -> InclusionProof:
        """Return the inclusion proof of the leaf at an index.

        Raises:
            ValueError: the tree has no leaf at this index.
        """
        if not 0 <= index < self.size:
            raise ValueError(f"index: no leaf {index}; the tree has {self.size}")
        path = []
        for height, level in enumerate(self._levels[:-1]):
            start = ((index >> height) ^ 1) * HASH
            if start < len(level):
                path.append(level[start : start + HASH])
        return InclusionProof(index, self.size, tuple(path))


def root_from_path(leaf: bytes, proof: InclusionProof) -> bytes:
    """Return the Merkle root (32 bytes) that a leaf and its inclusion proof lead to.

    The proof is valid if the result is the known root of the tree.

    Args:
        leaf: the bytes of the leaf, not their hash.
        proof: an inclusion proof of the leaf.

    Raises:
        ValueError: the index is outside the tree, or the path has too few or too many hashes.

    Reference:
        RFC 9162, section 2.1.3.2.
    """
    place, last = proof.index, proof.size - 1
    if not 0 <= place <= last:
        raise ValueError(f"index: no leaf {place}; the tree has {proof.size}")
    node = hashlib.sha256(b"\x00" + leaf).digest()
    neighbours = iter(proof.path)
    while last:
        # The last node of a level with an odd number of nodes has no sibling, so it moves up.
        if place % 2 or place != last:
            neighbour = next(neighbours, None)
            if neighbour is None:
                raise ValueError(f"path: {len(proof.path)} hashes are too few")
            pair = neighbour + node if place % 2 else node + neighbour
            node = hashlib.sha256(b"\x01" + pair).digest()
        place, last = place >> 1, last >> 1
    if next(neighbours, None) is not None:
        raise ValueError(f"path: {len(proof.path)} hashes are too many")
    return node


def _level_above(level: bytes) -> bytes:
    sha256, above = hashlib.sha256, bytearray()
    whole = len(level) - len(level) % (2 * HASH)
    for i in range(0, whole, 2 * HASH):
        above += sha256(b"\x01" + level[i : i + 2 * HASH]).digest()
    return bytes(above + level[whole:])


@functools.lru_cache(4096)  # a compute node needs its key for every block that it makes
def public_key_of(secret: bytes) -> bytes:
    """Return the public key (32 bytes) of a secret key (32 bytes).

    >>> public_key_of(bytes(32)).hex()[:8]
    '3b6a27bc'
    """
    return _key(secret).public_key().public_bytes_raw()


def sign(secret: bytes, data: bytes) -> bytes:
    """Sign data with a secret key (32 bytes); return the Ed25519 signature (64 bytes).

    The same key and data always give the same signature.

    Reference:
        RFC 8032, section 5.1.6.
    """
    return _key(secret).sign(data)


def is_signature(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether a signature of the data was made with the secret key of a public key.

    Returns False for every public key of small order.

    >>> is_signature(public_key_of(bytes(32)), sign(bytes(32), b"yes"), b"no")
    False
    """
    if len(public_key) != 32 or len(signature) != SIGNATURE_BYTES:
        return False
    # For a key of small order one signature fits all data.
    if int.from_bytes(public_key, "little") % 2**255 in _SMALL_ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature:
        return False
    return True


_PRIME = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = {0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8, _PRIME, _PRIME + 1}
"""The y coordinates of the curve points of order 1, 2, 4 and 8. The last two numbers are equal to 0
and 1 modulo the prime."""


# Cached, because a holder needs its key twice, and loading a key costs as much as signing.
@functools.lru_cache(4096)
def _key(secret: bytes) -> Ed25519PrivateKey:
    """Return the private key object of a secret key (32 bytes)."""
    return Ed25519PrivateKey.from_private_bytes(secret)
