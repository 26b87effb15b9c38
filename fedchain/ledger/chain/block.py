"""Block: the messages of one round, and a header that commits to them and to the new state."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from fedchain.errors import EncodingError
from fedchain.ledger.chain.crypto import (
    HASH,
    SIGNATURE_BYTES,
    Tree,
    is_signature,
    public_key_of,
    sign,
)
from fedchain.ledger.chain.encoding import (
    U16,
    U32,
    U64,
    Digest,
    Piece,
    Reader,
    RecordCoder,
    cached_field,
    fixed,
    unsigned,
)
from fedchain.ledger.chain.message import (
    Limits,
    Message,
    identity_of,
    message_parts,
    read_message,
)
from fedchain.ledger.chain.work import double_sha256

BLOCK_VERSION = 2
"""Version of the block format."""
HEADER_BYTES = 264
"""Bytes of a header's encoding."""
START_BYTES = HEADER_BYTES + HASH + SIGNATURE_BYTES
"""Bytes of a block before its messages: the header, and its maker's key and signature."""
_TAG = b"fedchain:h"
"""First bytes of every header. With them a header has 256 bytes before the nonce, so that each
nonce that is tried costs only two SHA-256 compressions."""
_BODY_TAG = b"fedchain:b"
_SIGNING_TAG = b"fedchain:k"


@dataclass(frozen=True)
class Header:
    """The fields that the proof of work and the block hash cover."""

    version: U16
    """Version of the format."""
    chain_id: Digest
    """Hash of the genesis block, 32 bytes; zero in the genesis block itself."""
    height: U64
    """Number of blocks below this one, which is also the number of the round."""
    parent: Digest
    """Hash of the block below, 32 bytes."""
    time_ms: U64
    """When the block was made, in simulated milliseconds."""
    bits: U32
    """The target of the proof of work, in Bitcoin's compact form."""
    address: Digest
    """SHA-256 of the compute node's public key, 32 bytes."""
    messages_root: Digest
    """Merkle root (RFC 6962) over ``Message.content`` of all messages, 32 bytes."""
    weights_hash: Digest
    """Hash of the weights after this block, 32 bytes."""
    memory_hash: Digest
    """Hash of the update's memory after this block, 32 bytes."""
    rules_hash: Digest
    """Hash of the rules, the same in every block, 32 bytes."""
    nonce: U64
    """The number that a node varies until the header's hash is at most the target, 0 to 2^64 - 1.
    It stands last, so that a search hashes the fields before it only once."""

    @cached_field
    def hash(self) -> bytes:
        """Double SHA-256 of the header, 32 bytes.

        It names the block, and proof of work compares it with the target.
        """
        return double_sha256(encode_header(self))

    @property
    def label(self) -> str:
        """Name of the block in error texts: ``block 0022d941 (height 25)``."""
        return f"block {self.hash.hex()[:8]} (height {self.height})"


_HEADER = RecordCoder(Header, tag=_TAG, what="header")


@dataclass(frozen=True)
class Block:
    """A header, the messages that it commits to, and the signature of its maker."""

    header: Header
    """The header."""
    messages: tuple[Message, ...]
    """The messages of this round, in ascending order of their ids."""
    public_key: bytes = bytes(HASH)
    """The maker's Ed25519 public key, 32 bytes; its SHA-256 is the header's address. The genesis
    block has no maker: its key and its signature are zero bytes."""
    signature: bytes = bytes(SIGNATURE_BYTES)
    """The maker's signature of a tag and the header's hash, 64 bytes."""

    @cached_field
    def content(self) -> bytes:
        """SHA-256 of header, key, signature and messages, their signatures included, 32 bytes.

        Somebody may send a valid header with a wrong signature or wrong messages. This hash then
        differs from that of the true block, so that the verdict on the wrong copy is not used for
        the true block.
        """
        body = b"".join([message.content for message in self.messages])
        return hashlib.sha256(_signed_start(self, self.header.hash) + body).digest()

    @cached_field
    def flaw(self) -> str:
        """What is wrong with this copy, its signature or its messages; empty if nothing is."""
        try:
            flaw, root = self.forgery, messages_root(self.messages)
        except EncodingError as error:
            return f"messages: {error}"
        wrong = root != self.header.messages_root
        return flaw or ("messages_root: is not the root of its messages" if wrong else "")

    @cached_field
    def forgery(self) -> str:
        """What is wrong with key and signature; empty if the maker has signed this header."""
        if identity_of(self.public_key) != self.header.address:
            return "public_key: is not that of the address"
        if not is_signature(self.public_key, self.signature, _SIGNING_TAG + self.header.hash):
            return "signature: is not that of the maker over the header"
        return ""

    @cached_field
    def size(self) -> int:
        """Number of bytes of the block's encoding."""
        return START_BYTES + 4 + sum(4 + message.size for message in self.messages)


def sign_block(block: Block, secret: bytes) -> Block:
    """Return the block, signed with its maker's secret key (32 bytes)."""
    signature = sign(secret, _SIGNING_TAG + block.header.hash)
    return replace(block, public_key=public_key_of(secret), signature=signature)


def without_messages(block: Block) -> Block:
    """Return header, key and signature alone: the proof that their maker made the block."""
    return replace(block, messages=())


def messages_root(messages: tuple[Message, ...]) -> bytes:
    """Return the Merkle root over ``Message.content`` of all messages, 32 bytes.

    The root covers the signatures. So if somebody changes a signature on the way, a node sees that
    the messages do not belong to the header, and does not blame the maker of the block.
    """
    return Tree(message.content for message in messages).root


def header_prefix(header: Header) -> bytes:
    """Return the encoding of all fields before the nonce, 256 bytes, for ``work.search``."""
    return encode_header(header)[:-8]


def encode_header(header: Header) -> bytes:
    """Return the canonical bytes of a header, 264 bytes.

    Raises:
        EncodingError: the value of a field cannot be encoded.
    """
    return _HEADER.write(header)


def decode_header(data: bytes) -> Header:
    """Decode a header.

    Raises:
        EncodingError: the bytes are not the encoding of any header.
    """
    return _HEADER.decode(data)


def address_of(messages: tuple[Message, ...]) -> bytes:
    """Return the address under which a block's messages are stored, 32 bytes.

    The address is a hash of ``Message.content`` of all messages. It covers every byte of them, and
    their directions need not be hashed again.
    """
    contents = b"".join([message.content for message in messages])
    return hashlib.sha256(_BODY_TAG + contents).digest()


def messages_parts(messages: tuple[Message, ...]) -> list[Piece]:
    """Return the canonical bytes of a block's messages in parts; a length precedes each message."""
    parts: list[Piece] = [unsigned(len(messages), 4)]
    for message in messages:
        before, bulk, after = message_parts(message)
        parts += [unsigned(len(before) + len(bulk) + len(after), 4) + bytes(before), bulk, after]
    return parts


def encode_messages(messages: tuple[Message, ...]) -> bytes:
    """Return the canonical bytes of a block's messages; a length precedes each message."""
    return b"".join(messages_parts(messages))


def decode_messages(data: bytes, limits: Limits) -> tuple[Message, ...]:
    """Decode a block's messages; the directions are views of ``data``, not copies.

    Raises:
        EncodingError: the bytes are not the encoding of any messages within the limits.
    """
    return _read_messages(Reader(data), limits)


def encode_block(block: Block) -> bytes:
    """Return the canonical bytes of a block, as it is sent and exported."""
    return encode_start(block) + encode_messages(block.messages)


def encode_start(block: Block) -> bytes:
    """Return the canonical bytes of a block before its messages: header, key, signature."""
    return _signed_start(block, encode_header(block.header))


def decode_start(data: bytes) -> Block:
    """Decode a block up to its messages: header, key and signature, ``START_BYTES`` in all.

    Raises:
        EncodingError: the bytes are not the encoding of any header.
    """
    key, signature = data[HEADER_BYTES:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
    return Block(decode_header(data[:HEADER_BYTES]), (), key, signature)


def decode_block(data: bytes, limits: Limits) -> Block:
    """Decode a block.

    Args:
        data: bytes from outside.
        limits: most messages, and most entries of a direction.

    Raises:
        EncodingError: the bytes are not the encoding of any block within the limits.
    """
    reader = Reader(data)
    start = decode_start(reader.take(START_BYTES))
    return replace(start, messages=_read_messages(reader, limits))


def _signed_start(block: Block, header: bytes) -> bytes:
    return header + fixed(block.public_key, HASH) + fixed(block.signature, SIGNATURE_BYTES)


def _read_messages(reader: Reader, limits: Limits) -> tuple[Message, ...]:
    count = reader.unsigned(4)
    if count > limits.messages:
        raise EncodingError(f"messages: got {count}; at most {limits.messages}")
    longest = limits.message_bytes
    messages = tuple(read_message(reader.inner(longest), limits) for _ in range(count))
    reader.end()
    return messages
