"""Signatures: Ed25519, without the keys under which one signature fits every text."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PRIME = 2**255 - 19
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL = (0, 1, PRIME - 1, ORDER_8, PRIME - ORDER_8)


def of_small_order(key):
    """Say whether a key is one of the points of order 1, 2, 4 and 8."""
    return int.from_bytes(key, "little") % 2**255 % PRIME in SMALL


def signs(key, signature, text):
    """Say whether a signature is that of a key over a text."""
    if of_small_order(key):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
