"""Block: the messages of one round, and a header that commits to them and to the next state."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from fedchain.errors import EncodingError
from fedchain.ledger.chain import merkle
from fedchain.ledger.chain.encoding import Part, Reader, cached_field, decoded, fixed, unsigned
from fedchain.ledger.chain.merkle import HASH
from fedchain.ledger.chain.message import (
    Limits,
    Message,
    content_of,
    message_parts,
    message_size,
    read_message,
)
from fedchain.ledger.chain.work import double_sha256

VERSION = 1
"""Version of the block format."""
NONCE_BYTES = 8
"""Bytes of the nonce. It is the end of the encoding, so that a search hashes the prefix once."""
_TAG = b"fedchain:h"
"""With this tag the prefix fills 256 bytes, so that a try costs only two SHA-256 compressions."""
_BODY_TAG = b"fedchain:b"
HEADER_BYTES = 264
"""Bytes of a header's encoding."""


@dataclass(frozen=True)
class Header:
    """The fields that the proof of work and the block hash cover."""

    version: int
    """Version of the format."""
    chain_id: bytes
    """Hash of the genesis block, 32 bytes; zero in the genesis block itself."""
    height: int
    """Number of blocks below; it is also the round."""
    parent: bytes
    """Hash of the block below, 32 bytes."""
    time_ms: int
    """When the block was made, in simulated milliseconds."""
    bits: int
    """The target, in Bitcoin's compact form."""
    address: bytes
    """SHA-256 of the compute node's public key, 32 bytes."""
    messages_root: bytes
    """RFC 6962 root over the contents of the messages, signatures included, 32 bytes."""
    weights_hash: bytes
    """Hash of the weights after this block, 32 bytes."""
    memory_hash: bytes
    """Hash of the update's memory after this block, 32 bytes."""
    rules_hash: bytes
    """Hash of the rules, the same in every block, 32 bytes."""
    nonce: int
    """The number that the search for work varies, below 2^64; it may be 0."""

    @cached_field
    def _hash(self) -> bytes:
        return double_sha256(encode_header(self))


@dataclass(frozen=True)
class Block:
    """A header and the messages that it commits to."""

    header: Header
    """The header."""
    messages: tuple[Message, ...]
    """The messages of this round, in ascending order of their ids."""

    @cached_field
    def _content(self) -> bytes:
        body = b"".join(content_of(message) for message in self.messages)
        return hashlib.sha256(block_hash(self.header) + body).digest()

    @cached_field
    def _size(self) -> int:
        return HEADER_BYTES + 4 + sum(4 + message_size(message) for message in self.messages)


def block_hash(header: Header) -> bytes:
    """Return the double SHA-256 of the header, 32 bytes.

    It names the block, and proof of work compares it with the target.
    """
    return header._hash


def content_of_block(block: Block) -> bytes:
    """Return the SHA-256 of header and messages, signatures included, 32 bytes.

    Somebody may send a header with messages that are not its own. This hash tells such a copy
    from the block, so that a verdict on one is not used for the other.
    """
    return block._content


def block_size(block: Block) -> int:
    """Return the number of bytes of a block's encoding.

    Raises:
        EncodingError: a field has no encoding.
    """
    return block._size


def messages_root(messages: tuple[Message, ...]) -> bytes:
    """Return the root over the contents of the messages, 32 bytes.

    It covers the signatures. So whoever has the header can tell a copy with a changed signature
    from the block, and does not blame the compute node that made the block.
    """
    return merkle.root([content_of(message) for message in messages])


def header_prefix(header: Header) -> bytes:
    """Return the encoding of all fields before the nonce, 256 bytes, for ``work.search``."""
    return b"".join(
        (
            _TAG,
            unsigned(header.version, 2),
            fixed(header.chain_id, HASH),
            unsigned(header.height, 8),
            fixed(header.parent, HASH),
            unsigned(header.time_ms, 8),
            unsigned(header.bits, 4),
            fixed(header.address, HASH),
            fixed(header.messages_root, HASH),
            fixed(header.weights_hash, HASH),
            fixed(header.memory_hash, HASH),
            fixed(header.rules_hash, HASH),
        )
    )


def encode_header(header: Header) -> bytes:
    """Return the canonical bytes of a header, 264 bytes.

    Raises:
        EncodingError: a field has no encoding.
    """
    return header_prefix(header) + unsigned(header.nonce, NONCE_BYTES)


def decode_header(data: bytes) -> Header:
    """Decode a header.

    Raises:
        EncodingError: the bytes are not the encoding of any header.
    """
    return decoded(data, _read_header, encode_header)


def address_of(messages: tuple[Message, ...]) -> bytes:
    """Return the address under which a block's messages are stored, 32 bytes.

    It is a hash of their contents: it covers every byte, and no direction is hashed again.
    """
    return hashlib.sha256(_BODY_TAG + b"".join(map(content_of, messages))).digest()


def messages_parts(messages: tuple[Message, ...]) -> list[Part]:
    """Return the canonical bytes of a block's messages in parts, each message after its length."""
    parts: list[Part] = [unsigned(len(messages), 4)]
    for message in messages:
        before, bulk, after = message_parts(message)
        parts += [unsigned(len(before) + len(bulk) + len(after), 4) + bytes(before), bulk, after]
    return parts


def encode_messages(messages: tuple[Message, ...]) -> bytes:
    """Return the canonical bytes of a block's messages, each message after its length."""
    return b"".join(messages_parts(messages))


def decode_messages(data: bytes, limits: Limits) -> tuple[Message, ...]:
    """Decode a block's messages; their directions are views of the bytes.

    Raises:
        EncodingError: the bytes are not the encoding of any messages within the limits.
    """
    return _read_messages(Reader(data), limits)


def encode_block(block: Block) -> bytes:
    """Return the canonical bytes of a block, as it is sent and exported."""
    return encode_header(block.header) + encode_messages(block.messages)


def decode_block(data: bytes, limits: Limits) -> Block:
    """Decode a block.

    Args:
        data: bytes from outside.
        limits: most messages, and most entries of a direction.

    Raises:
        EncodingError: the bytes are not the encoding of any block within the limits.
    """
    reader = Reader(data)
    header = decode_header(reader.take(HEADER_BYTES))
    return Block(header, _read_messages(reader, limits))


def message_bytes(limits: Limits) -> int:
    """Return an upper bound on the bytes of one message within the limits."""
    return 4 * limits.entries + 4096


def _read_header(reader: Reader) -> Header:
    if (tag := reader.take(len(_TAG))) != _TAG:
        raise EncodingError(f"header: starts with {tag!r}; must start with {_TAG!r}")
    return Header(
        version=reader.unsigned(2),
        chain_id=reader.take(HASH),
        height=reader.unsigned(8),
        parent=reader.take(HASH),
        time_ms=reader.unsigned(8),
        bits=reader.unsigned(4),
        address=reader.take(HASH),
        messages_root=reader.take(HASH),
        weights_hash=reader.take(HASH),
        memory_hash=reader.take(HASH),
        rules_hash=reader.take(HASH),
        nonce=reader.unsigned(NONCE_BYTES),
    )


def _read_messages(reader: Reader, limits: Limits) -> tuple[Message, ...]:
    count = reader.unsigned(4)
    if count > limits.messages:
        raise EncodingError(f"messages: got {count}; at most {limits.messages}")
    longest = message_bytes(limits)
    messages = tuple(read_message(reader.inner(longest), limits) for _ in range(count))
    reader.end()
    return messages
