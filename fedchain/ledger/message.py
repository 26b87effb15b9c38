"""The message of a data holder: one normalised, quantised, signed gradient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fedchain.arrays import Integers, read_only
from fedchain.errors import EncodingError
from fedchain.ledger import signature as ed25519
from fedchain.ledger.codec import Storage, common_exponent, quantise
from fedchain.ledger.encoding import Reader, decoded, fixed, real, text, unsigned
from fedchain.ledger.merkle import HASH, InclusionProof

__all__ = [
    "VERSION",
    "Declaration",
    "Limits",
    "Message",
    "Storage",
    "common_exponent",
    "content_of",
    "decode_message",
    "encode_message",
    "identity_leaf",
    "identity_leaves",
    "identity_of",
    "message_id",
    "payload_of",
    "quantise",
    "sign_message",
    "signing_bytes",
]

VERSION = 1
"""Version of the message format."""
_TAG = b"fedchain:m"
_STORAGES = {1: "int8", 2: "int16", 4: "int32"}
_LONGEST_NAME = 64
_LONGEST_PATH = 64


@dataclass(frozen=True)
class Declaration:
    """What a holder says about its release; public."""

    mechanism: str
    """Name of the mechanism: ``gaussian``, ``knorm``, ``none``."""
    noise: float
    """Sigma over the clip (gaussian), 1/eps0 (knorm), 0 (none)."""
    clip: float
    """Largest norm of one record's gradient; infinite when nothing is clipped."""
    records: int
    """Number of records n_k of equation (6)."""


@dataclass(frozen=True, eq=False)
class Message:
    """One release of one identity in one round."""

    version: int
    """Version of the format."""
    chain_id: bytes
    """Hash of the genesis block, 32 bytes."""
    parent: bytes
    """Hash of the block whose weights the gradient was computed at, 32 bytes."""
    round: int
    """Height of the block that may carry the message: one above the parent's."""
    public_key: bytes
    """Ed25519 key of this round, 32 bytes; its SHA-256 is the identity P*."""
    proof: InclusionProof | None
    """Shows that the identity is registered for this round; None where identities are open."""
    exponent: int
    """Exponent e of the quantised direction."""
    direction: Integers
    """round(2^e g*), (d,), int8, int16 or int32, read-only."""
    norm: float
    """s_k of equation (11): the norm that the direction had, noise included."""
    declaration: Declaration
    """What the holder says about its release."""
    signature: bytes = b""
    """Ed25519 over ``signing_bytes``, 64 bytes."""

    def __post_init__(self) -> None:
        read_only(self.direction)

    @cached_property
    def _signing_bytes_hash(self) -> bytes:
        return hashlib.sha256(signing_bytes(self)).digest()

    @cached_property
    def _content_hash(self) -> bytes:
        return hashlib.sha256(encode_message(self)).digest()


@dataclass(frozen=True)
class Limits:
    """What a decoder accepts before it looks at anything else."""

    entries: int
    """Most entries of a direction."""
    messages: int
    """Most messages of a block."""


def message_id(message: Message) -> bytes:
    """Return the SHA-256 of everything but the signature, 32 bytes."""
    return message._signing_bytes_hash


def content_of(message: Message) -> bytes:
    """Return the SHA-256 of the whole message, signature included, 32 bytes."""
    return message._content_hash


def payload_of(message: Message) -> bytes:
    """Return the SHA-256 of the direction alone: who copies another's gradient has the same."""
    start = b"%d:%s:" % (message.exponent, message.direction.dtype.str.encode())
    return hashlib.sha256(start + message.direction.tobytes()).digest()


def identity_of(public_key: bytes) -> bytes:
    """Return the pseudo-identity P*: the SHA-256 of a public key, 32 bytes."""
    return hashlib.sha256(public_key).digest()


def identity_leaf(number: int, identity: bytes) -> bytes:
    """Return the leaf that registers an identity for one round.

    >>> identity_leaf(3, bytes(32))[:4].hex()
    '00000003'
    """
    return unsigned(number, 4) + fixed(identity, HASH)


def identity_leaves(registered: Iterable[tuple[int, bytes]]) -> list[bytes]:
    """Return the leaves of the identity tree, for ``merkle.Tree``.

    Args:
        registered: (round, P*) pairs, in the shuffled order that genesis commits to.
    """
    return [identity_leaf(number, identity) for number, identity in registered]


def sign_message(message: Message, secret: bytes) -> Message:
    """Return the message with the signature of this secret key (32 bytes)."""
    return replace(message, signature=ed25519.sign(secret, signing_bytes(message)))


def signing_bytes(message: Message) -> bytes:
    """Return what the signature covers: every field but itself.

    Raises:
        EncodingError: a field has no encoding (a key of 31 bytes, a negative round).
    """
    declaration, storage = message.declaration, message.direction.dtype
    if storage.name not in _STORAGES.values() or message.direction.ndim != 1:
        axes = message.direction.ndim
        raise EncodingError(f"direction: {storage} with {axes} axes; int8, int16 or int32 with one")
    return b"".join(
        (
            _TAG,
            unsigned(message.version, 2),
            fixed(message.chain_id, HASH),
            fixed(message.parent, HASH),
            unsigned(message.round, 4),
            fixed(message.public_key, 32),
            _encode_proof(message.proof),
            unsigned(message.exponent, 1),
            unsigned(storage.itemsize, 1),
            unsigned(len(message.direction), 4),
            message.direction.astype(storage.newbyteorder("<"), copy=False).tobytes(),
            real(message.norm),
            text(declaration.mechanism),
            real(declaration.noise),
            real(declaration.clip),
            unsigned(declaration.records, 4),
        )
    )


def encode_message(message: Message) -> bytes:
    """Return the canonical bytes of a message.

    Raises:
        EncodingError: a field has no encoding.
    """
    return signing_bytes(message) + fixed(message.signature, 64)


def decode_message(data: bytes, limits: Limits) -> Message:
    """Read a message; says nothing yet about the rules.

    Args:
        data: bytes from outside.
        limits: what is accepted before anything is made.

    Returns:
        The message; its encoding is ``data``.

    Raises:
        EncodingError: the bytes are not the canonical encoding of any message.
    """
    return decoded(data, lambda reader: _read_message(reader, limits), encode_message)


def _encode_proof(proof: InclusionProof | None) -> bytes:
    if proof is None:
        return b"\x00"
    hashes = b"".join(fixed(node, HASH) for node in proof.path)
    start = unsigned(proof.index, 8) + unsigned(proof.size, 8)
    return b"\x01" + start + unsigned(len(proof.path), 1) + hashes


def _read_proof(reader: Reader) -> InclusionProof | None:
    if not reader.unsigned(1):
        return None
    index, size, count = reader.unsigned(8), reader.unsigned(8), reader.unsigned(1)
    if count > _LONGEST_PATH:
        raise EncodingError(f"proof: {count} hashes; at most {_LONGEST_PATH}")
    return InclusionProof(index, size, tuple(reader.take(HASH) for _ in range(count)))


def _read_message(reader: Reader, limits: Limits) -> Message:
    if (tag := reader.take(len(_TAG))) != _TAG:
        raise EncodingError(f"message: starts with {tag!r}; must start with {_TAG!r}")
    return Message(
        version=reader.unsigned(2),
        chain_id=reader.take(HASH),
        parent=reader.take(HASH),
        round=reader.unsigned(4),
        public_key=reader.take(32),
        proof=_read_proof(reader),
        exponent=reader.unsigned(1),
        direction=_read_direction(reader, limits),
        norm=reader.real(),
        declaration=Declaration(
            reader.text(_LONGEST_NAME), reader.real(), reader.real(), reader.unsigned(4)
        ),
        signature=reader.take(64),
    )


def _read_direction(reader: Reader, limits: Limits) -> Integers:
    width, entries = reader.unsigned(1), reader.unsigned(4)
    if width not in _STORAGES or entries > limits.entries:
        raise EncodingError(
            f"direction: {entries} entries of {width} bytes; at most {limits.entries} of 1, 2 or 4"
        )
    return np.frombuffer(reader.take(width * entries), f"<i{width}").astype(
        _STORAGES[width], copy=False
    )
