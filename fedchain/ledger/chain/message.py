"""Message of a data holder or group: one normalised, quantised, signed gradient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from fedchain.arrays import Integers, read_only
from fedchain.errors import EncodingError
from fedchain.ledger.chain import signature as ed25519
from fedchain.ledger.chain.codec import STORAGES, Storage, quantise, storage_of
from fedchain.ledger.chain.encoding import Part, Reader, cached_field, fixed, real, text, unsigned
from fedchain.ledger.chain.merkle import HASH, InclusionProof

__all__ = [
    "VERSION",
    "Declaration",
    "Limits",
    "Message",
    "Storage",
    "content_of",
    "decode_bare",
    "decode_message",
    "encode_bare",
    "encode_message",
    "identity_leaf",
    "identity_leaves",
    "identity_of",
    "message_id",
    "message_parts",
    "payload_of",
    "quantise",
    "read_message",
    "sign_message",
    "signing_bytes",
]

VERSION = 1
"""Version of the message format."""
_TAG = b"fedchain:m"
_SIGNING_TAG = b"fedchain:s"
_LONGEST_NAME = 64
_LONGEST_PATH = 64
_FIXED_START = len(_TAG) + 2 + HASH + HASH + 4 + 32
_NO_DIRECTION = bytes.fromhex("000100000000")


@dataclass(frozen=True)
class Declaration:
    """What a participant declares about its release; public."""

    mechanism: str
    """Name of the mechanism, for example ``gaussian``, ``skellam`` or ``none``."""
    noise: float
    """Sigma over the clip (gaussian, skellam), 1/eps0 (knorm, laplace), 0 (clipped, none)."""
    clip: float
    """Largest norm of one record's gradient; infinite if gradients are not clipped."""
    records: int
    """Number of records n_k of equation (6)."""


@dataclass(frozen=True, eq=False, kw_only=True)
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
    """Ed25519 public key of this round, 32 bytes; its SHA-256 is the identity P*."""
    proof: InclusionProof | None
    """Proof that the identity is registered for this round; None where identities are open."""
    exponent: int
    """Exponent e of the quantised direction."""
    direction: Integers
    """round(2^e g*), (d,), int8, int16 or int32, read-only."""
    norm: float
    """s_k of equation (11): the norm of the release before it was normalised, noise included."""
    declaration: Declaration
    """What the participant declares about its release."""
    signature: bytes = b""
    """Ed25519 over ``signing_bytes``, 64 bytes."""

    def __post_init__(self) -> None:
        read_only(self.direction)

    @cached_field
    def _payload(self) -> bytes:
        digest = hashlib.sha256(_encode_shape(self))
        digest.update(_direction_bytes(self))
        return digest.digest()

    @cached_field
    def _id(self) -> bytes:
        return hashlib.sha256(_encode_with_payload(self)).digest()

    @cached_field
    def _content(self) -> bytes:
        return hashlib.sha256(self._id + fixed(self.signature, 64)).digest()

    @cached_field
    def _size(self) -> int:
        return sum(map(len, message_parts(self)))


@dataclass(frozen=True)
class Limits:
    """Upper bounds that a decoder checks before it allocates anything."""

    entries: int
    """Most entries of a direction."""
    messages: int
    """Most messages of a block."""


def message_id(message: Message) -> bytes:
    """Return the message id: the SHA-256 of everything but the signature, 32 bytes.

    The payload hash takes the place of the direction, so that the large part of a message is
    hashed only once.

    Raises:
        EncodingError: a field has no encoding (a key of 31 bytes, a negative round).
    """
    return message._id


def content_of(message: Message) -> bytes:
    """Return the SHA-256 of id and signature, 32 bytes: it covers the whole message."""
    return message._content


def payload_of(message: Message) -> bytes:
    """Return the payload hash: the SHA-256 of exponent, width, length and direction, 32 bytes.

    A copy of another participant's direction has the same payload hash.
    """
    return message._payload


def message_size(message: Message) -> int:
    """Return the number of bytes of a message's encoding.

    Raises:
        EncodingError: a field has no encoding.
    """
    return message._size


def identity_of(public_key: bytes) -> bytes:
    """Return the pseudo-identity P*: the SHA-256 of a public key, 32 bytes."""
    return hashlib.sha256(public_key).digest()


def identity_leaf(number: int, identity: bytes) -> bytes:
    """Return the leaf of the identity tree that registers an identity for one round.

    >>> identity_leaf(3, bytes(32))[:4].hex()
    '00000003'
    """
    return unsigned(number, 4) + fixed(identity, HASH)


def identity_leaves(registered: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """Yield the leaves of the identity tree, for ``merkle.Tree``.

    Args:
        registered: (round, P*) pairs, in the order of the leaves, which genesis commits to.
    """
    return (identity_leaf(number, identity) for number, identity in registered)


def sign_message(message: Message, secret: bytes) -> Message:
    """Return the message with the signature of this secret key (32 bytes)."""
    signed = replace(message, signature=ed25519.sign(secret, signing_bytes(message)))
    # Neither hash covers the signature, so the direction need not be hashed again.
    vars(signed).update(_payload=message._payload, _id=message._id)
    return signed


def signing_bytes(message: Message) -> bytes:
    """Return the bytes that are signed: a tag and the id, 42 bytes.

    Raises:
        EncodingError: a field has no encoding.
    """
    return _SIGNING_TAG + message_id(message)


def encode_message(message: Message) -> bytes:
    """Return the canonical bytes of a message.

    Raises:
        EncodingError: a field has no encoding.
    """
    return b"".join(message_parts(message))


def message_parts(message: Message) -> tuple[Part, ...]:
    """Return the canonical bytes of a message in parts; the direction is not copied.

    Raises:
        EncodingError: a field has no encoding.
    """
    before = _encode_place(message) + _encode_shape(message)
    after = _encode_norm_and_declaration(message) + fixed(message.signature, 64)
    return before, _direction_bytes(message), after


def decode_message(data: bytes, limits: Limits) -> Message:
    """Decode a message; whether it keeps the rules is not checked here.

    Args:
        data: bytes from outside.
        limits: bounds that are checked before anything is allocated.

    Returns:
        The message; its encoding is ``data``.

    Raises:
        EncodingError: the bytes are not the canonical encoding of any message.
    """
    return read_message(Reader(data), limits)


def read_message(reader: Reader, limits: Limits) -> Message:
    """Decode a message from all that a reader has left; its direction is a view of the bytes.

    What was read is encoded again and compared with the bytes. The integers of the direction are
    left out: any bytes are the canonical encoding of the integers that they stand for.

    Raises:
        EncodingError: the bytes are not the canonical encoding of any message.
    """
    start = reader.position
    message = _read_fields(reader, limits)
    reader.end()
    before, _, after = message_parts(message)
    same_start = reader.data[start : start + len(before)] == before
    if not same_start or reader.data[reader.position - len(after) : reader.position] != after:
        raise EncodingError("message: is not the canonical encoding of its value")
    return message


def encode_bare(message: Message) -> bytes:
    """Return the canonical bytes of a bare message: the payload hash replaces the direction.

    They are some hundred bytes. The last 64 are the signature; the SHA-256 of all before them is
    the message id.

    Raises:
        EncodingError: a field has no encoding.
    """
    return _encode_with_payload(message) + fixed(message.signature, 64)


def decode_bare(data: bytes) -> Message:
    """Decode a bare message, which has only the hash of its direction.

    Args:
        data: bytes from outside.

    Returns:
        The message without entries; its payload hash and id are those of the whole message. It
        can be read and checked, but not sent.

    Raises:
        EncodingError: the bytes are not what ``encode_bare`` writes of any message.
    """
    reader = Reader(data)
    reader.take(_FIXED_START)
    _read_proof(reader)
    start = reader.position
    payload = reader.take(HASH)
    whole = data[:start] + _NO_DIRECTION + data[reader.position :]
    message = decode_message(whole, Limits(entries=0, messages=1))
    vars(message).update(_payload=payload)
    return message


def _encode_with_payload(message: Message) -> bytes:
    return b"".join(
        (_encode_place(message), message._payload, _encode_norm_and_declaration(message))
    )


def _encode_place(message: Message) -> bytes:
    return b"".join(
        (
            _TAG,
            unsigned(message.version, 2),
            fixed(message.chain_id, HASH),
            fixed(message.parent, HASH),
            unsigned(message.round, 4),
            fixed(message.public_key, 32),
            _encode_proof(message.proof),
        )
    )


def _encode_shape(message: Message) -> bytes:
    direction = message.direction
    if storage_of(direction) is None:
        kind = f"{direction.dtype} with {direction.ndim} axes"
        raise EncodingError(f"direction: {kind}; int8, int16 or int32 with one")
    width, entries = direction.itemsize, len(direction)
    return unsigned(message.exponent, 1) + unsigned(width, 1) + unsigned(entries, 4)


def _direction_bytes(message: Message) -> memoryview:
    storage = message.direction.dtype.newbyteorder("<")
    return np.ascontiguousarray(message.direction, storage).view(np.uint8).data


def _encode_norm_and_declaration(message: Message) -> bytes:
    said = message.declaration
    return b"".join(
        (
            real(message.norm),
            text(said.mechanism),
            real(said.noise),
            real(said.clip),
            unsigned(said.records, 4),
        )
    )


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


def _read_fields(reader: Reader, limits: Limits) -> Message:
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
    if width not in STORAGES or entries > limits.entries:
        raise EncodingError(
            f"direction: {entries} entries of {width} bytes; at most {limits.entries} of 1, 2 or 4"
        )
    integers = np.frombuffer(reader.view(width * entries), f"<i{width}")
    # Copies only if the bytes are not aligned, or if the machine has the other byte order.
    return np.require(integers, STORAGES[width], "A")
