"""The large parts of a block on disk: its messages, its weights, the memory of the update."""

from __future__ import annotations

import hashlib

from fedchain.errors import EncodingError, LedgerError
from fedchain.ledger.chain.block import (
    Block,
    Header,
    address_of,
    block_hash,
    decode_header,
    decode_messages,
    message_bytes,
    messages_parts,
    messages_root,
)
from fedchain.ledger.chain.encoding import Part, Reader, blob, unsigned
from fedchain.ledger.chain.message import Message, decode_bare, encode_bare
from fedchain.ledger.chain.rules import Rules, limits_of
from fedchain.ledger.chain.state import (
    State,
    decode_tensors,
    hash_memory,
    hash_weights,
    memory_parts,
    weights_parts,
)
from fedchain.ledger.storage.blobs import Blobs, changed
from fedchain.ledger.storage.database import BlockRow

_BARE_TAG = b"fedchain:p"
_MOST_BARE = 4096
"""Bytes of a message without its direction, and more."""
_FREE = 65_536
"""Bytes that names and shapes may take beside the numbers of a blob."""
_MOST_MEMORY = 16
"""The memory of an update is at most this many times as large as float64 weights."""


def read_block(blobs: Blobs, rules: Rules, row: BlockRow) -> Block:
    """Return the block of a row: header and messages fit the name and each other.

    Raises:
        LedgerError: they do not, or the blob is missing or damaged.
    """
    return _fitting(row, _read_messages(blobs, rules, row.messages))


def _fitting(row: BlockRow, messages: tuple[Message, ...]) -> Block:
    header = decode_header(row.header)
    if block_hash(header) != row.hash:
        raise LedgerError(
            f"header: was changed: it hashes to {block_hash(header).hex()[:8]}, not to its name"
        )
    if messages_root(messages) != header.messages_root:
        raise LedgerError("messages_root: is not the root of its messages")
    return Block(header, messages)


def read_state(blobs: Blobs, rules: Rules, header: Header) -> State:
    """Return the state that a header commits to.

    Raises:
        LedgerError: a blob is missing or damaged, or holds something else than weights.
    """
    return decode_state(rules, *read_state_bytes(blobs, rules, header))


def decode_state(rules: Rules, weights: bytes, memory: bytes) -> State:
    """Return the state of these bytes.

    Raises:
        LedgerError: they are none of a state under these rules.
    """
    tensors = decode_tensors(weights)
    row = tensors.get("weights")
    fits = row is not None and row.shape == (rules.dimension,)
    if row is None or not fits or len(tensors) > 1 or row.dtype.name != rules.dtype:
        raise LedgerError(f"weights: must be one row of {rules.dimension} {rules.dtype}")
    return State(row, decode_tensors(memory))


def read_state_bytes(blobs: Blobs, rules: Rules, header: Header) -> tuple[bytes, bytes]:
    """Return the bytes of weights and memory, which have the hashes that a header names.

    Raises:
        LedgerError: a blob is missing or damaged.
    """
    weights, memory = largest_state(rules)
    return blobs.get(header.weights_hash, weights), blobs.get(header.memory_hash, memory)


def largest_state(rules: Rules) -> tuple[int, int]:
    """Return the most bytes that weights, and the memory of an update, can have."""
    size = 8 * rules.dimension
    return size + _FREE, _MOST_MEMORY * size + _FREE


def check_state(header: Header, state: State) -> None:
    """Check that a state is the one that a header commits to.

    Raises:
        ValueError: it is not.
    """
    if (hash_weights(state), hash_memory(state)) != (header.weights_hash, header.memory_hash):
        raise ValueError("state: is not the one that the block's header commits to")


def bodies_of(block: Block, state: State | None) -> dict[bytes, list[Part]]:
    """Return what of a block becomes blobs, by address: its messages and the state after it.

    Nothing large is copied or hashed again.

    Args:
        block: the block.
        state: after it; None: it is not kept.
    """
    messages = {address_of(block.messages): messages_parts(block.messages)}
    return messages if state is None else messages | state_bodies(block.header, state)


def state_bodies(header: Header, state: State) -> dict[bytes, list[Part]]:
    """Return what of a state becomes blobs, by address."""
    return {header.weights_hash: weights_parts(state), header.memory_hash: memory_parts(state)}


def bare_address(messages: bytes) -> bytes:
    """Return under which name messages without directions are stored.

    Args:
        messages: the name of the whole messages, 32 bytes.
    """
    return hashlib.sha256(_BARE_TAG + messages).digest()


def bare_body(block: Block) -> list[Part]:
    """Return a block's messages without their directions: u32 number, each as a blob."""
    bare = [blob(encode_bare(message)) for message in block.messages]
    return [unsigned(len(bare), 4), *bare]


def read_bare_block(blobs: Blobs, rules: Rules, row: BlockRow) -> Block:
    """Return the block of a row whose directions are gone; else as ``read_block``.

    Raises:
        LedgerError: the blob is missing or damaged, or does not fit the header.
    """
    limits = limits_of(rules)
    data = blobs.read(bare_address(row.messages), 4 + _MOST_BARE * limits.messages)
    reader = Reader(data)
    count = reader.unsigned(4)
    if count > limits.messages:
        raise EncodingError(f"messages: got {count}; at most {limits.messages}")
    messages = tuple(decode_bare(reader.blob(_MOST_BARE)) for _ in range(count))
    reader.end()
    return _fitting(row, messages)


def _read_messages(blobs: Blobs, rules: Rules, address: bytes) -> tuple[Message, ...]:
    limits = limits_of(rules)
    longest = 4 + limits.messages * (4 + message_bytes(limits))
    data = blobs.read(address, longest)
    try:
        messages = decode_messages(data, limits)
    except EncodingError as error:
        raise changed(address, str(error)) from error
    if (digest := address_of(messages)) != address:
        raise changed(address, f"they hash to {digest.hex()[:8]}")
    return messages
