"""Block: the messages of one round, with a header that commits to them and to the new state."""

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
"""Number of bytes of an encoded header."""
START_BYTES = HEADER_BYTES + HASH + SIGNATURE_BYTES
"""Number of bytes of an encoded block before its messages: header, public key and signature."""
# With this tag a header has 256 bytes before the nonce, so that each try costs only two SHA-256
# compressions.
_TAG = b"fedchain:h"
"""First bytes of every encoded header."""
_BODY_TAG = b"fedchain:b"
_SIGNING_TAG = b"fedchain:k"


@dataclass(frozen=True)
class Header:
    """The fields that the proof of work and the block hash cover."""

    version: U16
    """Version of the block format."""
    chain_id: Digest
    """Hash of the genesis block, 32 bytes; zero bytes in the genesis block."""
    height: U64
    """Height of the block, which is also the number of its round; genesis has height 0."""
    parent: Digest
    """Hash of the parent block, 32 bytes."""
    time_ms: U64
    """Time at which the block was made, simulated milliseconds."""
    bits: U32
    """Target of the proof of work, in Bitcoin's compact form."""
    address: Digest
    """SHA-256 of the public key of the compute node that made the block, 32 bytes."""
    messages_root: Digest
    """Merkle root (RFC 6962) of the messages, 32 bytes; the leaves are ``Message.content``."""
    weights_hash: Digest
    """Hash of the weights after this block, 32 bytes."""
    memory_hash: Digest
    """Hash of the update's memory after this block, 32 bytes."""
    rules_hash: Digest
    """Hash of the chain's rules, 32 bytes."""
    # Last, so that a search for a nonce hashes the fields before it only once.
    nonce: U64
    """Number from 0 to 2^64 - 1 that brings the header's hash to at most the target; 0 if work is
    sampled."""

    @cached_field
    def encoded(self) -> bytes:
        """The canonical bytes of the header, 264 bytes."""
        return _HEADER.write(self)

    @cached_field
    def hash(self) -> bytes:
        """Hash of the block: double SHA-256 of the encoded header, 32 bytes."""
        return double_sha256(self.encoded)

    @property
    def label(self) -> str:
        """Name of the block in error texts, for example ``block 0022d941 (height 25)``."""
        return f"block {self.hash.hex()[:8]} (height {self.height})"


_HEADER = RecordCoder(Header, tag=_TAG, what="header")


@dataclass(frozen=True)
class Block:
    """A header, its messages, and the signature of the compute node that made the block."""

    header: Header
    """The header."""
    messages: tuple[Message, ...]
    """The messages of this round, in ascending order of their ids."""
    public_key: bytes = bytes(HASH)
    """Ed25519 public key of the block's maker, 32 bytes; zero bytes in the genesis block."""
    signature: bytes = bytes(SIGNATURE_BYTES)
    """The maker's Ed25519 signature of a tag and the header's hash, 64 bytes; zero bytes in the
    genesis block."""

    # Somebody may send a valid header with a wrong signature or wrong messages. The content of that
    # copy differs, so its verdict is not used for the true block.
    @cached_field
    def content(self) -> bytes:
        """SHA-256 of header, public key, signature and all messages, 32 bytes."""
        body = b"".join([message.content for message in self.messages])
        return hashlib.sha256(_signed_start(self, self.header.hash) + body).digest()

    @cached_field
    def flaw(self) -> str:
        """What is wrong with the signature or the messages, as text; empty if nothing is wrong."""
        try:
            flaw, root = self.forgery, messages_root(self.messages)
        except EncodingError as error:
            return f"messages: {error}"
        wrong = root != self.header.messages_root
        return flaw or ("messages_root: is not the root of its messages" if wrong else "")

    @cached_field
    def forgery(self) -> str:
        """What is wrong with the key or the signature, as text; empty if nothing is wrong."""
        if identity_of(self.public_key) != self.header.address:
            return "public_key: is not that of the address"
        if not is_signature(self.public_key, self.signature, _SIGNING_TAG + self.header.hash):
            return "signature: is not that of the maker over the header"
        return ""

    @cached_field
    def size(self) -> int:
        """Number of bytes of the encoded block."""
        return START_BYTES + 4 + sum(4 + message.size for message in self.messages)


def sign_block(block: Block, secret: bytes) -> Block:
    """Return the block with a signature by its maker's secret key (32 bytes)."""
    signature = sign(secret, _SIGNING_TAG + block.header.hash)
    return Block(block.header, block.messages, public_key_of(secret), signature)


def without_messages(block: Block) -> Block:
    """Return the block with its header, public key and signature, but no messages."""
    return Block(block.header, (), block.public_key, block.signature)


_EMPTY_ROOT = Tree(()).root


def messages_root(messages: tuple[Message, ...]) -> bytes:
    """Return the Merkle root of the messages, 32 bytes; the leaves are ``Message.content``."""
    # The leaves cover the signatures. If a signature is changed in transit, the messages no longer
    # belong to the header, and nobody blames the maker of the block.
    return Tree(message.content for message in messages).root if messages else _EMPTY_ROOT


def header_prefix(header: Header) -> bytes:
    """Return the encoded header without its nonce, 256 bytes."""
    return header.encoded[:-8]


def encode_header(header: Header) -> bytes:
    """Return the canonical bytes of a header, 264 bytes.

    Raises:
        EncodingError: the value of a field cannot be encoded.
    """
    return header.encoded


def decode_header(data: bytes) -> Header:
    """Decode a header from its canonical bytes.

    Raises:
        EncodingError: the bytes are not the encoding of any header.
    """
    return _HEADER.decode(data)


def address_of(messages: tuple[Message, ...]) -> bytes:
    """Return the address under which a block's messages are stored, 32 bytes.

    The address is a hash of a tag and of ``Message.content`` of all messages.
    """
    contents = b"".join([message.content for message in messages])
    return hashlib.sha256(_BODY_TAG + contents).digest()


def messages_parts(messages: tuple[Message, ...]) -> list[Piece]:
    """Return the canonical bytes of a block's messages in parts."""
    parts: list[Piece] = [unsigned(len(messages), 4)]
    for message in messages:
        before, bulk, after = message_parts(message)
        parts += [unsigned(len(before) + len(bulk) + len(after), 4) + bytes(before), bulk, after]
    return parts


def encode_messages(messages: tuple[Message, ...]) -> bytes:
    """Return the canonical bytes of a block's messages."""
    return b"".join(messages_parts(messages))


def decode_messages(data: bytes, limits: Limits) -> tuple[Message, ...]:
    """Decode a block's messages; the directions may be views of ``data``.

    Raises:
        EncodingError: the bytes are not the encoding of messages within the limits.
    """
    return _read_messages(Reader(data), limits)


def encode_block(block: Block) -> bytes:
    """Return the canonical bytes of a block."""
    return encode_start(block) + encode_messages(block.messages)


def encode_start(block: Block) -> bytes:
    """Return the canonical bytes of a block's header, public key and signature."""
    return _signed_start(block, block.header.encoded)


def decode_start(data: bytes) -> Block:
    """Decode a block without messages from its first ``START_BYTES`` bytes.

    Raises:
        EncodingError: the bytes do not begin with an encoded header.
    """
    key, signature = data[HEADER_BYTES:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
    return Block(decode_header(data[:HEADER_BYTES]), (), key, signature)


def decode_block(data: bytes, limits: Limits) -> Block:
    """Decode a block from its canonical bytes.

    Raises:
        EncodingError: the bytes are not the encoding of a block within the limits.
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
