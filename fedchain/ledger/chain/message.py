"""Message: the normalised, quantised and signed gradient of one data holder or group."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from fedchain.arrays import Integers, read_only
from fedchain.errors import EncodingError
from fedchain.ledger.chain.codec import STORAGES, storage_of
from fedchain.ledger.chain.crypto import HASH, SIGNATURE_BYTES, InclusionProof, sign
from fedchain.ledger.chain.encoding import (
    F64,
    U16,
    U32,
    Coder,
    Digest,
    Piece,
    Reader,
    RecordCoder,
    cached_field,
    fixed,
    text_coder,
    unsigned,
)

MESSAGE_VERSION = 2
"""Version of the message format."""
_TAG = b"fedchain:m"
_SIGNING_TAG = b"fedchain:s"
_LONGEST_PATH = 64
MOST_NAME = 64
"""Most bytes of a mechanism's name."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a participant states about its release: noise, clip and number of records."""

    mechanism: Annotated[str, text_coder(MOST_NAME)]
    """Name of the mechanism, for example ``gaussian``, ``skellam`` or ``none``."""
    noise_step: U16
    """Index of ``noise`` in the agreed schedule of noise."""
    noise: F64
    """Size of the noise. Gaussian and skellam: the standard deviation divided by the clip. Knorm
    and laplace: 1/eps0, where eps0 is the pure epsilon of one release. Clipped and none: 0."""
    clip: F64
    """Largest allowed norm of one record's gradient; infinite if gradients are not clipped."""
    records: U32
    """Number of records of the participant, n_k in LearningChain's equation (6). A group declares
    the records of all members; the public root declares 0."""


_DECLARATION = RecordCoder(Declaration)


def _write_proof(proof: InclusionProof | None) -> bytes:
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Message:
    """The gradient that one identity releases in one round, usually with noise.

    All properties raise an EncodingError if a field cannot be encoded.
    """

    version: U16
    """Version of the message format."""
    chain_id: Digest
    """Hash of the genesis block, 32 bytes."""
    parent: Digest
    """Hash of the block at whose weights the gradient was computed, 32 bytes."""
    round: U32
    """Height of the block that may carry the message: the parent's height plus 1."""
    public_key: Digest
    """The sender's Ed25519 public key for this round, 32 bytes."""
    proof: Annotated[InclusionProof | None, Coder(_write_proof, _read_proof)]
    """Proof that the identity is registered for this round; None where identities are open."""
    exponent: int
    """Exponent e of the quantised direction; 0 for a zero gradient."""
    direction: Integers
    """The quantised direction round(2^e g*) of the normalised release g*, shape (entries,),
    read-only; int8, int16 or int32."""
    norm: F64
    """Norm of the release (gradient plus noise) before normalisation, s_k in LearningChain's
    equation (11)."""
    declaration: Annotated[Declaration, _DECLARATION]
    """What the participant states about its release."""
    signature: bytes = b""
    """Ed25519 signature of ``signing_bytes``, 64 bytes."""

    def __post_init__(self) -> None:
        read_only(self.direction)

    @cached_field
    def payload(self) -> bytes:
        """SHA-256 of the exponent and the direction, 32 bytes."""
        digest = hashlib.sha256(_encode_shape(self))
        digest.update(_direction_bytes(self))
        return digest.digest()

    @cached_field
    def said(self) -> tuple[bytes, bytes]:
        """The bytes before the exponent and those after the direction, without the signature."""
        return _PLACE.write(self), _SAID.write(self)

    @cached_field
    def id(self) -> bytes:
        """SHA-256 of the payload and of all remaining fields but the signature, 32 bytes."""
        return hashlib.sha256(self.payload.join(self.said)).digest()

    @cached_field
    def content(self) -> bytes:
        """SHA-256 of the id and the signature, 32 bytes."""
        return hashlib.sha256(self.id + fixed(self.signature, SIGNATURE_BYTES)).digest()

    @cached_field
    def size(self) -> int:
        """Number of bytes of the message's encoding."""
        return sum(map(len, message_parts(self)))


_NAMES = "version", "chain_id", "parent", "round", "public_key", "proof"
_PLACE = RecordCoder(Message, *_NAMES, tag=_TAG, what="message")
"""Coder of the fields before the exponent (in a bare message, before the payload)."""
_SAID = RecordCoder(Message, "norm", "declaration")
"""Coder of the fields after the direction, without the signature."""


@dataclass(frozen=True)
class Limits:
    """Upper bounds that a decoder checks before it allocates memory."""

    entries: int
    """Most entries that a direction may have."""
    messages: int
    """Most messages that a block may have."""

    @property
    def message_bytes(self) -> int:
        """Upper bound on the bytes of one message."""
        return 4 * self.entries + 4096

    @property
    def body_bytes(self) -> int:
        """Upper bound on the bytes of all messages of a block."""
        return 4 + self.messages * (4 + self.message_bytes)


def identity_of(public_key: bytes) -> bytes:
    """Return the pseudo-identity P*: the SHA-256 of a public key, 32 bytes."""
    return hashlib.sha256(public_key).digest()


def identity_leaf(number: int, identity: bytes, records: int) -> bytes:
    """Return the bytes of the leaf that registers an identity in the identity tree.

    Args:
        number: the round.
        identity: the identity P*, 32 bytes.
        records: registered number of records; 0 for the public root.

    >>> leaf = identity_leaf(3, bytes(32), 200)
    >>> leaf[:4].hex(), leaf[-4:].hex()
    ('00000003', '000000c8')
    """
    return unsigned(number, 4) + fixed(identity, HASH) + unsigned(records, 4)


def sign_message(message: Message, secret: bytes) -> Message:
    """Return the message with a signature by this secret key (32 bytes)."""
    signed = replace(message, signature=sign(secret, signing_bytes(message)))
    # They do not cover the signature, so nothing need be encoded and hashed again.
    vars(signed).update(payload=message.payload, said=message.said, id=message.id)
    return signed


def signing_bytes(message: Message) -> bytes:
    """Return the bytes that the sender signs: a tag and the message id, 42 bytes."""
    return _SIGNING_TAG + message.id


def encode_message(message: Message) -> bytes:
    """Return the canonical bytes of a message."""
    return b"".join(message_parts(message))


def message_parts(message: Message) -> tuple[Piece, ...]:
    """Return the canonical bytes of a message in three parts; the second is the direction."""
    before, after = message.said
    ending = after + fixed(message.signature, SIGNATURE_BYTES)
    return before + _encode_shape(message), _direction_bytes(message), ending


def decode_message(data: bytes, limits: Limits) -> Message:
    """Decode a message, without checking the rules of the chain.

    Raises:
        EncodingError: the bytes are not the canonical encoding of a message within the limits.
    """
    return read_message(Reader(data), limits)


def read_message(reader: Reader, limits: Limits) -> Message:
    """Decode a message from all remaining bytes of a reader; the direction may be a view of them.

    Raises:
        EncodingError: the bytes are not the canonical encoding of a message within the limits.
    """
    start = reader.position
    place = _PLACE.read_fields(reader)
    exponent, direction = reader.unsigned(1), _read_direction(reader, limits)
    said, signature = _SAID.read_fields(reader), reader.take(SIGNATURE_BYTES)
    message = Message(**place, exponent=exponent, direction=direction, **said, signature=signature)
    reader.end()
    before, _, after = message_parts(message)
    same_start = reader.data[start : start + len(before)] == before
    if not same_start or reader.data[reader.position - len(after) : reader.position] != after:
        raise EncodingError("message: is not the canonical encoding of its value")
    return message


def encode_bare(message: Message) -> bytes:
    """Encode a message as a bare message, in which the payload replaces exponent and direction.

    The last 64 bytes are the signature. The SHA-256 of all other bytes is the message id.
    """
    return message.payload.join(message.said) + fixed(message.signature, SIGNATURE_BYTES)


def decode_bare(data: bytes) -> Message:
    """Decode a bare message into one with exponent 0, no direction, and the same payload and id.

    Raises:
        EncodingError: the bytes are not the output of ``encode_bare`` for any message.
    """
    reader = Reader(data)
    place, payload = _PLACE.read_fields(reader), reader.take(HASH)
    said, signature = _SAID.read_fields(reader), reader.take(SIGNATURE_BYTES)
    reader.end()
    nothing = np.zeros(0, np.int8)
    message = Message(**place, exponent=0, direction=nothing, **said, signature=signature)
    vars(message).update(payload=payload)
    if encode_bare(message) != data:
        raise EncodingError("message: is not the canonical encoding of its value")
    return message


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


def _read_direction(reader: Reader, limits: Limits) -> Integers:
    width, entries = reader.unsigned(1), reader.unsigned(4)
    if width not in STORAGES or entries > limits.entries:
        raise EncodingError(
            f"direction: {entries} entries of {width} bytes; at most {limits.entries} of 1, 2 or 4"
        )
    integers = np.frombuffer(reader.view(width * entries), f"<i{width}")
    # Copies only if the bytes are not aligned, or if the machine has the other byte order.
    return np.require(integers, STORAGES[width], "A")
