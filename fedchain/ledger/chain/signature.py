"""Ed25519 signatures over canonical bytes (RFC 8032)."""

from __future__ import annotations

import functools

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES = 64
"""Bytes of a signature."""


def public_key_of(secret: bytes) -> bytes:
    """Return the public key (32 bytes) of a secret key (32 bytes).

    >>> public_key_of(bytes(32)).hex()[:8]
    '3b6a27bc'
    """
    return _key(secret).public_key().public_bytes_raw()


def sign(secret: bytes, data: bytes) -> bytes:
    """Sign data: the same key and data always give the same 64 bytes.

    Args:
        secret: secret key, 32 bytes.
        data: the bytes to sign.

    Returns:
        The signature, 64 bytes.

    Reference:
        RFC 8032, section 5.1.6.

    >>> len(sign(bytes(32), b"message"))
    64
    """
    return _key(secret).sign(data)


def verify(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether the signature is this key's signature of the data.

    A key of small order is always refused: under it one signature fits all data, as with the
    values 0 and 1 in textbook RSA.

    >>> verify(public_key_of(bytes(32)), sign(bytes(32), b"yes"), b"no")
    False
    """
    if len(public_key) != 32 or len(signature) != 64:
        return False
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
"""The y coordinates of the eight points of order 1, 2, 4 and 8. The coordinates 0 and 1 are here
twice, because p and p + 1 encode them too."""


@functools.lru_cache(4096)
def _key(secret: bytes) -> Ed25519PrivateKey:
    """Return the private key object of a secret.

    It is cached: a holder needs its key twice, and loading a key costs as much as signing.
    """
    return Ed25519PrivateKey.from_private_bytes(secret)
